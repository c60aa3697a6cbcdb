/*
 * feature_options.c: what must hold of the columns and features of a tower.
 *
 * The same checks serve options of a user and those in a model, whose bytes may be hostile.
 */
#include "learning/feature_options.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"

static tfrs_status
refuse(tfrs_error *error, const char *format, const char *name)
{
	return tfrs_fail(error, TFRS_INVALID_ARGUMENT, format, name);
}

/* A text that ends within its room. */
static bool
is_text(const char text[TFRS_MAX_NAME])
{
	return memchr(text, '\0', TFRS_MAX_NAME) != NULL;
}

static bool
is_name(const char name[TFRS_MAX_NAME])
{
	return is_text(name) && name[0] != '\0';
}

static bool
has_ids(const tfrs_column *column)
{
	return column->type == TFRS_COLUMN_ID || column->type == TFRS_COLUMN_LIST;
}

static tfrs_status
check_column(const tfrs_tower_options *options, uint32_t c, tfrs_error *error)
{
	const tfrs_column *column = &options->column[c];
	bool		is_vector = column->type == TFRS_COLUMN_VECTOR;

	if (!is_name(column->name))
		return refuse(error, "a column has no %s", "name");
	for (uint32_t other = 0; other < c; other++)
		if (strcmp(options->column[other].name, column->name) == 0)
			return refuse(error, "column \"%s\" is there twice", column->name);
	if (column->type < TFRS_COLUMN_ID || column->type > TFRS_COLUMN_VECTOR)
		return refuse(error, "column \"%s\" is of no known type", column->name);
	if (has_ids(column) && column->kind != TFRS_ID_INTEGER && column->kind != TFRS_ID_BYTES)
		return refuse(error, "column \"%s\" has ids of no known kind", column->name);
	if (is_vector ? column->dim < 1 || column->dim > TFRS_MAX_DIM : column->dim != 0)
		return refuse(error, "the dimension of column \"%s\" is out of range", column->name);
	return TFRS_OK;
}

/* Whether a feature of that kind can be made of a column. */
static bool
kind_fits(uint32_t kind, const tfrs_column *column)
{
	bool		integers = column->type == TFRS_COLUMN_ID && column->kind == TFRS_ID_INTEGER;

	switch (kind)
	{
		case TFRS_FEATURE_ID:
		case TFRS_FEATURE_HASH:
		case TFRS_FEATURE_CROSS:
			return column->type == TFRS_COLUMN_ID;
		case TFRS_FEATURE_NUMBER:
		case TFRS_FEATURE_BUCKET:
			return column->type == TFRS_COLUMN_NUMBER || integers;
		case TFRS_FEATURE_TEXT:
			return column->type == TFRS_COLUMN_ID && !integers;
		case TFRS_FEATURE_BAG:
		case TFRS_FEATURE_SEQUENCE:
			return column->type == TFRS_COLUMN_LIST;
		case TFRS_FEATURE_VECTOR:
			return column->type == TFRS_COLUMN_VECTOR;
		default:
			return false;
	}
}

static tfrs_status
check_columns_of(const tfrs_tower_options *options, const tfrs_feature_options *feature,
				 tfrs_error *error)
{
	bool		crosses = feature->kind == TFRS_FEATURE_CROSS;

	if (crosses ? feature->columns < 2 || feature->columns > TFRS_MAX_CROSSED
		: feature->columns != 1)
		return refuse(error, "feature \"%s\" is made of a wrong number of columns", feature->name);
	for (uint32_t i = 0; i < feature->columns; i++)
	{
		if (feature->column[i] >= options->columns)
			return refuse(error, "feature \"%s\" is made of a column that is not there",
						  feature->name);
		if (!kind_fits(feature->kind, &options->column[feature->column[i]]))
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "feature \"%s\" cannot be made of "
							 "column \"%s\", whose values are of another type", feature->name,
							 options->column[feature->column[i]].name);
	}
	return TFRS_OK;
}

static tfrs_status
check_boundaries(const tfrs_feature_options *feature, tfrs_error *error)
{
	bool		given = feature->boundaries > 0;

	if (feature->kind != TFRS_FEATURE_BUCKET)
		return TFRS_OK;
	if (given == (feature->quantiles > 0))
		return refuse(error, "feature \"%s\" needs either boundaries or quantiles", feature->name);
	if (feature->boundaries > TFRS_MAX_BOUNDARIES || feature->quantiles > TFRS_MAX_BOUNDARIES ||
		feature->quantiles == 1)
		return refuse(error, "the number of buckets of feature \"%s\" is out of range",
					  feature->name);
	for (uint32_t i = 0; i < feature->boundaries; i++)
	{
		if (!isfinite(feature->boundary[i]))
			return refuse(error, "a boundary of feature \"%s\" is not finite", feature->name);
		if (i > 0 && feature->boundary[i] < feature->boundary[i - 1])
			return refuse(error, "the boundaries of feature \"%s\" are not in ascending order",
						  feature->name);
	}
	return TFRS_OK;
}

static tfrs_status
check_numbers(const tfrs_feature_options *feature, tfrs_error *error)
{
	bool		hashed = feature->kind == TFRS_FEATURE_HASH || feature->kind == TFRS_FEATURE_CROSS;

	if (feature->unknown_slots > TFRS_MAX_BINS || feature->bins > TFRS_MAX_BINS)
		return refuse(error, "feature \"%s\" has too many rows", feature->name);
	if (hashed && feature->bins == 0)
		return refuse(error, "feature \"%s\" needs one bin at least", feature->name);
	if (feature->salted > 1 || feature->logs > 1 || feature->combiner > TFRS_COMBINER_IDF ||
		feature->dim > TFRS_MAX_DIM)
		return refuse(error, "an option of feature \"%s\" is out of range", feature->name);
	if (!(feature->decay >= 0 && feature->decay <= 1))
		return refuse(error, "the decay of feature \"%s\" is not between 0 and 1", feature->name);
	return check_boundaries(feature, error);
}

static tfrs_status
check_feature(const tfrs_tower_options *options, uint32_t f, tfrs_error *error)
{
	const tfrs_feature_options *feature = &options->feature[f];
	tfrs_status status;

	if (!is_name(feature->name) || !is_text(feature->share))
		return refuse(error, "a feature has no %s", "name");
	for (uint32_t other = 0; other < f; other++)
		if (strcmp(options->feature[other].name, feature->name) == 0)
			return refuse(error, "feature \"%s\" is there twice", feature->name);
	if (feature->kind < TFRS_FEATURE_ID || feature->kind > TFRS_FEATURE_VECTOR)
		return refuse(error, "feature \"%s\" is of no known kind", feature->name);
	status = check_columns_of(options, feature, error);
	if (status == TFRS_OK)
		status = check_numbers(feature, error);
	if (status == TFRS_OK && feature->share[0] != '\0' &&
		!tfrs_feature_has_vocabulary(feature->kind))
		return refuse(error, "feature \"%s\" has no table that could be shared", feature->name);
	return status;
}

static tfrs_status
check_layers(const tfrs_tower_options *options, tfrs_error *error)
{
	if (options->joined > 1)
		return refuse(error, "%s is neither 0 nor 1", "joined");
	if (options->layers > TFRS_MAX_LAYERS || options->cross_layers > TFRS_MAX_LAYERS)
		return refuse(error, "a tower has too many %s", "layers");
	for (uint32_t l = 0; l < options->layers; l++)
		if (options->layer[l] < 1 || options->layer[l] > TFRS_MAX_DIM)
			return refuse(error, "the width of a layer is out of %s", "range");
	if (options->activation >= TFRS_ACTIVATIONS)
		return refuse(error, "the activation of a tower is of no known %s", "kind");
	if (!(options->layer_dropout >= 0 && options->layer_dropout < 1))
		return refuse(error, "%s is not between 0 and 1", "layer_dropout");
	if (!(options->id_dropout < 1))
		return refuse(error, "%s is not between 0 and 1", "id_dropout");
	return TFRS_OK;
}

tfrs_status
tfrs_tower_options_check(const tfrs_tower_options *options, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (options->columns < 1 || options->columns > TFRS_MAX_COLUMNS)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "a row must have 1 to %d columns",
						 TFRS_MAX_COLUMNS);
	if (options->features > TFRS_MAX_FEATURES)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "a tower may have %d features at most",
						 TFRS_MAX_FEATURES);
	for (uint32_t c = 0; c < options->columns && status == TFRS_OK; c++)
		status = check_column(options, c, error);
	if (status != TFRS_OK)
		return status;
	if (options->key >= options->columns ||
		options->column[options->key].type != TFRS_COLUMN_ID)
		return refuse(error, "the key of a row is no column of %s", "ids");
	if (options->no_id > 1 || (options->no_id == 1 && options->features == 0))
		return refuse(error, "a tower without its key needs %s", "features");
	for (uint32_t f = 0; f < options->features && status == TFRS_OK; f++)
		status = check_feature(options, f, error);
	return status == TFRS_OK ? check_layers(options, error) : status;
}

/* What the words of a feature's table are. */
static uint32_t
kind_of_words(const tfrs_tower_options *options, const tfrs_feature_options *feature)
{
	return options->column[feature->column[0]].kind;
}

/* The table of ids of a side goes by the name of its key. */
static bool
is_key(const tfrs_tower_options *side, const char *name)
{
	return side == NULL ? strcmp(name, "id") == 0
		: side->no_id == 0 && strcmp(side->column[side->key].name, name) == 0;
}

/* A feature of that name with a vocabulary of its own. */
static uint32_t
find_shared(const tfrs_tower_options *side, const char *name)
{
	for (uint32_t f = 0; side != NULL && f < side->features; f++)
		if (strcmp(side->feature[f].name, name) == 0 && side->feature[f].share[0] == '\0' &&
			tfrs_feature_has_vocabulary(side->feature[f].kind))
			return f;
	return TFRS_NO_ROW;
}

/* The name behind "query." or "candidate.", or NULL. */
static const char *
side_of(const char *share, bool *of_queries)
{
	*of_queries = strncmp(share, "query.", strlen("query.")) == 0;
	if (*of_queries)
		return share + strlen("query.");
	return strncmp(share, "candidate.", strlen("candidate.")) == 0
		? share + strlen("candidate.") : NULL;
}

tfrs_status
tfrs_share_find(const tfrs_both_options *both, bool of_queries, uint32_t feature,
				tfrs_share *share, tfrs_error *error)
{
	const tfrs_tower_options *own = of_queries ? both->query : both->candidate;
	const tfrs_feature_options *given = &own->feature[feature];
	const char *name = side_of(given->share, &share->of_queries);
	const tfrs_tower_options *side = share->of_queries ? both->query : both->candidate;
	uint32_t	kind = kind_of_words(own, given);

	share->feature = TFRS_NO_ROW;
	if (name != NULL && !is_key(side, name))
		share->feature = find_shared(side, name);
	if (name == NULL || (!is_key(side, name) && share->feature == TFRS_NO_ROW))
	{
		tfrs_fail(error, TFRS_INVALID_ARGUMENT, "feature \"%s\" shares the table of \"%s\", which "
				  "there is not", given->name, given->share);
		tfrs_error_hint(error, "Name \"query.NAME\" or \"candidate.NAME\": a key, or a feature that "
						"has a vocabulary of its own.");
		return TFRS_INVALID_ARGUMENT;
	}
	if (side != NULL && kind != (share->feature == TFRS_NO_ROW ? side->column[side->key].kind
								 : kind_of_words(side, &side->feature[share->feature])))
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "feature \"%s\" shares the table of \"%s\", "
						 "whose values are of another type", given->name, given->share);
	return TFRS_OK;
}

static tfrs_status
check_side(const tfrs_both_options *both, bool of_queries, tfrs_error *error)
{
	const tfrs_tower_options *side = of_queries ? both->query : both->candidate;
	tfrs_share	share;
	tfrs_status status = TFRS_OK;

	for (uint32_t f = 0; side != NULL && f < side->features && status == TFRS_OK; f++)
		if (side->feature[f].share[0] != '\0')
			status = tfrs_share_find(both, of_queries, f, &share, error);
	return status;
}

tfrs_status
tfrs_tower_options_check_both(const tfrs_both_options *both, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (both->query != NULL)
		status = tfrs_tower_options_check(both->query, error);
	if (status == TFRS_OK && both->candidate != NULL)
		status = tfrs_tower_options_check(both->candidate, error);
	if (status == TFRS_OK)
		status = check_side(both, true, error);
	return status == TFRS_OK ? check_side(both, false, error) : status;
}
