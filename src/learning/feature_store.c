/*
 * feature_store.c: features and rows of keys into a model, and out of bytes that may be hostile.
 */
#include "learning/feature_store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/finite.h"

static tfrs_status
corrupt(tfrs_error *error, const char *detail)
{
	tfrs_fail(error, TFRS_CORRUPT, "model is corrupt");
	tfrs_error_detail(error, "%s", detail);
	return TFRS_CORRUPT;
}

/* "query.f3.vocabulary." for a part of a feature, "query.value2." for one of a column. */
static tfrs_part_name
name_of(bool of_queries, const char *kind, uint32_t number, const char *name)
{
	tfrs_part_name result;

	snprintf(result.text, sizeof(result.text), "%s.%s%u.%s", of_queries ? "query" : "candidate",
			 kind, (unsigned) number, name);
	return result;
}

/* What is loaded, and from where. */
typedef struct loading
{
	tfrs_stored_features *stored;
	const tfrs_block *block;
	bool		of_queries;
	size_t		keys;
	tfrs_error *error;
} loading;

static const char *
prefix_of(const loading *load)
{
	return load->of_queries ? "query." : "candidate.";
}

static tfrs_status
load_options(const loading *load)
{
	const void *options;
	tfrs_status status = tfrs_block_find_exact(load->block,
											   tfrs_part_name_of(prefix_of(load), "options").text,
											   sizeof(tfrs_tower_options), 1, &options, load->error);

	if (status != TFRS_OK)
		return status;
	if (tfrs_tower_options_check(options, load->error) != TFRS_OK)
		return corrupt(load->error, "The options of its features make no sense.");
	load->stored->features.options = options;
	load->stored->features.count = load->stored->features.options->features;
	return TFRS_OK;
}

static tfrs_status
check_summary(const loading *load, const tfrs_feature *feature)
{
	const tfrs_feature_summary *summary = feature->summary;
	uint32_t	kind = feature->options->kind;
	uint32_t	dim = feature->columns[feature->options->column[0]].dim;
	bool		width_fits = kind == TFRS_FEATURE_NUMBER
		? summary->width == 1 || summary->width == 2
		: summary->width == (kind == TFRS_FEATURE_VECTOR ? dim : 0);

	if (!width_fits || summary->nulls > summary->rows ||
		summary->boundaries > (kind == TFRS_FEATURE_BUCKET ? TFRS_MAX_BOUNDARIES : 0))
		return corrupt(load->error, "The summary of a feature is out of range.");
	if (!isfinite(summary->moments.mean) || !isfinite(summary->moments.variance) ||
		summary->moments.variance < 0 || !isfinite(summary->least) || !isfinite(summary->most))
		return corrupt(load->error, "The moments of a feature are not finite.");
	return TFRS_OK;
}

static tfrs_status
load_boundaries(const loading *load, tfrs_feature *feature, uint32_t f)
{
	const void *data;
	tfrs_status status = tfrs_block_find_exact(load->block,
											   name_of(load->of_queries, "f", f, "boundary").text,
											   sizeof(double), feature->summary->boundaries, &data,
											   load->error);

	if (status != TFRS_OK)
		return status;
	feature->boundary = data;
	for (uint32_t i = 0; i < feature->summary->boundaries; i++)
		if (!isfinite(feature->boundary[i]) ||
			(i > 0 && feature->boundary[i] < feature->boundary[i - 1]))
			return corrupt(load->error, "The boundaries of a feature are not in order.");
	return TFRS_OK;
}

static tfrs_status
load_words(const loading *load, tfrs_feature *feature, uint32_t f)
{
	tfrs_word_table *vocabulary = &feature->vocabulary;
	const tfrs_feature_options *options = feature->options;
	const tfrs_column *column = &feature->columns[options->column[0]];
	tfrs_part_name prefix = name_of(load->of_queries, "f", f, "vocabulary.");
	tfrs_status status = tfrs_vocabulary_load(vocabulary, load->block, prefix.text, load->error);

	if (status != TFRS_OK)
		return status;
	if (vocabulary->words.kind != (tfrs_id_kind) column->kind ||
		vocabulary->head.slots != options->unknown_slots ||
		vocabulary->head.reserved != (options->kind == TFRS_FEATURE_TEXT) ||
		(vocabulary->with != NULL) != (options->combiner == TFRS_COMBINER_IDF))
		return corrupt(load->error, "The vocabulary of a feature is not that of its options.");
	return TFRS_OK;
}

static tfrs_status
load_feature(const loading *load, uint32_t f)
{
	tfrs_feature *feature = &load->stored->features.feature[f];
	const tfrs_feature_options *options = &load->stored->features.options->feature[f];
	const void *summary;
	tfrs_status status = tfrs_block_find_exact(load->block,
											   name_of(load->of_queries, "f", f, "summary").text,
											   sizeof(tfrs_feature_summary), 1, &summary,
											   load->error);

	if (status != TFRS_OK)
		return status;
	feature->options = options;
	feature->columns = load->stored->features.options->column;
	feature->summary = summary;
	status = check_summary(load, feature);
	if (status == TFRS_OK && options->kind == TFRS_FEATURE_BUCKET)
		status = load_boundaries(load, feature, f);
	if (status != TFRS_OK || options->share[0] != '\0')
		return status;
	if (tfrs_feature_has_vocabulary(options->kind))
		status = load_words(load, feature, f);
	tfrs_feature_size(feature);
	return status;
}

/* A list as bytes: whole elements of its kind. */
static bool
is_list(const tfrs_column *column, tfrs_id bytes)
{
	uint32_t	length;
	size_t		at = 0;

	if (column->kind == TFRS_ID_INTEGER)
		return bytes.length % sizeof(int64_t) == 0;
	while (bytes.length - at >= sizeof(length))
	{
		memcpy(&length, bytes.bytes + at, sizeof(length));
		at += sizeof(length);
		if (length > bytes.length - at)
			return false;
		at += length;
	}
	return at == bytes.length;
}

static bool
is_vector(const tfrs_column *column, tfrs_id bytes)
{
	float		piece[64];
	size_t		left = column->dim;

	if (bytes.length != column->dim * sizeof(float))
		return false;
	for (const char *at = bytes.bytes; left > 0;)
	{
		size_t		count = tfrs_size_smaller(left, 64);

		memcpy(piece, at, count * sizeof(float));
		if (!tfrs_all_finite(piece, count))
			return false;
		at += count * sizeof(float);
		left -= count;
	}
	return true;
}

/* Offsets that cut the bytes, and what each value is. */
static bool
good_values(const tfrs_column *column, const tfrs_id_view *values, size_t bytes)
{
	if (values->offsets[0] != 0 || values->offsets[values->count] != bytes)
		return false;
	for (size_t i = 0; i < values->count; i++)
		if (values->offsets[i + 1] < values->offsets[i] ||
			values->offsets[i + 1] - values->offsets[i] > TFRS_MAX_VALUE_BYTES)
			return false;
	for (uint32_t i = 0; i < values->count; i++)
	{
		tfrs_id		id = tfrs_id_view_get(values, i);

		if ((column->type == TFRS_COLUMN_LIST && !is_list(column, id)) ||
			(column->type == TFRS_COLUMN_VECTOR && !is_vector(column, id)))
			return false;
	}
	return true;
}

/* Values are read by their number alone, so they have no table of slots. */
static tfrs_status
load_values(const loading *load, uint32_t c)
{
	const tfrs_column *column = &load->stored->features.options->column[c];
	tfrs_id_view *values = &load->stored->rows.value[c];
	bool		integers = column->type == TFRS_COLUMN_ID && column->kind == TFRS_ID_INTEGER;
	const void *data;
	const void *bytes;
	size_t		count;
	size_t		length;
	tfrs_status status;

	values->kind = integers ? TFRS_ID_INTEGER : TFRS_ID_BYTES;
	values->tag = column->tag;
	status = tfrs_block_find(load->block, name_of(load->of_queries, "value", c,
												  integers ? "ids" : "offsets").text,
							 sizeof(uint64_t), &data, &count, load->error);
	if (status == TFRS_OK && !integers)
		status = tfrs_block_find(load->block, name_of(load->of_queries, "value", c, "bytes").text,
								 1, &bytes, &length, load->error);
	if (status != TFRS_OK)
		return status;
	values->count = count;
	values->integers = data;
	if (integers)
		return TFRS_OK;
	if (count == 0)
		return corrupt(load->error, "The values of a column are not there.");
	values->count = count - 1;
	values->integers = NULL;
	values->offsets = data;
	values->bytes = bytes;
	return load->block->trusted || good_values(column, values, length) ? TFRS_OK
		: corrupt(load->error, "The values of a column do not lie where they must.");
}

/* Words are numbers of values that are there, and numbers are finite. */
static bool
good_word(const tfrs_rows_view *rows, uint32_t c, uint32_t row)
{
	uint32_t	number;
	double		x = 0;

	if (!tfrs_column_has_set(&rows->options->column[c]))
		return !tfrs_rows_number(rows, c, row, &x) || isfinite(x);
	number = tfrs_rows_value_number(rows, c, row);
	return number == TFRS_NO_ROW || number < rows->value[c].count;
}

static tfrs_status
check_rows(const loading *load)
{
	const tfrs_rows_view *rows = &load->stored->rows;

	for (uint32_t c = 0; c < rows->options->columns; c++)
		for (uint32_t row = 0; rows->layout.first[c] != TFRS_NO_ROW && row < rows->count; row++)
			if (!good_word(rows, c, row))
				return corrupt(load->error, "A row of a key has a value that is not there.");
	return TFRS_OK;
}

static tfrs_status
load_rows(const loading *load)
{
	tfrs_rows_view *rows = &load->stored->rows;
	const void *words;
	tfrs_status status = TFRS_OK;

	rows->options = load->stored->features.options;
	rows->layout = tfrs_row_layout_of(rows->options);
	rows->count = load->keys;
	for (uint32_t c = 0; c < rows->options->columns && status == TFRS_OK; c++)
		if (rows->layout.first[c] != TFRS_NO_ROW &&
			tfrs_column_has_set(&rows->options->column[c]))
			status = load_values(load, c);
	if (status == TFRS_OK)
		status = tfrs_block_find_exact(load->block,
									   tfrs_part_name_of(prefix_of(load), "row").text,
									   sizeof(uint32_t), load->keys * rows->layout.words, &words,
									   load->error);
	if (status != TFRS_OK)
		return status;
	rows->words = words;
	load->stored->has_rows = true;
	return load->block->trusted ? TFRS_OK : check_rows(load);
}

tfrs_status
tfrs_stored_features_load(tfrs_stored_features *stored, const tfrs_block *block, bool of_queries,
						  size_t keys, tfrs_error *error)
{
	loading		load = {stored, block, of_queries, keys, error};
	tfrs_status status;

	memset(stored, 0, sizeof(*stored));
	if (!tfrs_block_has(block, tfrs_part_name_of(prefix_of(&load), "options").text))
		return TFRS_OK;
	status = load_options(&load);
	for (uint32_t f = 0; status == TFRS_OK && f < stored->features.count; f++)
		status = load_feature(&load, f);
	if (status == TFRS_OK &&
		tfrs_block_has(block, tfrs_part_name_of(prefix_of(&load), "row").text))
		status = load_rows(&load);
	return status;
}

static tfrs_status
refuse_change(tfrs_error *error, const char *side, const char *what)
{
	tfrs_fail(error, TFRS_INVALID_ARGUMENT, "retraining cannot change %s of the %s", what, side);
	tfrs_error_hint(error, "Give the same columns and leave the options of features out, or train a "
					"new model.");
	return TFRS_INVALID_ARGUMENT;
}

/* Names and types of columns, features, layers: all but how many keys are left out in training. */
tfrs_status
tfrs_stored_features_check(const tfrs_stored_features *stored, const tfrs_tower_options *options,
						   const char *side, tfrs_error *error)
{
	const tfrs_tower_options *has = stored->features.options;

	if (has == NULL || options == NULL)
		return has == NULL && options == NULL ? TFRS_OK
			: refuse_change(error, side, "whether there are columns");
	if (has->columns != options->columns || has->key != options->key ||
		memcmp(has->column, options->column, has->columns * sizeof(has->column[0])) != 0)
		return refuse_change(error, side, "the columns");
	if (has->features != options->features || has->no_id != options->no_id ||
		memcmp(has->feature, options->feature, has->features * sizeof(has->feature[0])) != 0)
		return refuse_change(error, side, "the features");
	if (has->layers != options->layers || has->activation != options->activation ||
		has->cross_layers != options->cross_layers || has->joined != options->joined ||
		memcmp(has->layer, options->layer, has->layers * sizeof(has->layer[0])) != 0)
		return refuse_change(error, side, "the layers");
	return TFRS_OK;
}

tfrs_status
tfrs_feature_store_begin(tfrs_feature_store *store, tfrs_arena *arena,
						 const tfrs_features *features, const tfrs_rows_view *view,
						 const uint32_t *row, size_t keys, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	memset(store, 0, sizeof(*store));
	store->arena = arena;
	store->features = features;
	store->view = view;
	store->row = features->options == NULL || view->layout.words == 0 ? NULL : row;
	store->keys = keys;
	if (store->row != NULL)
		status = tfrs_arena_get(arena, (void **) &store->words, keys,
								view->layout.words * sizeof(uint32_t), error);
	for (size_t k = 0; k < keys && status == TFRS_OK && store->row != NULL; k++)
		memcpy(store->words + k * view->layout.words,
			   view->words + (size_t) row[k] * view->layout.words,
			   view->layout.words * sizeof(uint32_t));
	return status;
}

void
tfrs_feature_store_free(tfrs_feature_store *store)
{
	if (store->arena == NULL)
		return;
	for (uint32_t c = 0; c < TFRS_MAX_COLUMNS; c++)
		if (store->value[c].arena != NULL)
			tfrs_id_set_free(&store->value[c]);
	tfrs_arena_release(store->arena, store->words);
	memset(store, 0, sizeof(*store));
}

/* Values that keys have, in their order; number (values) receives their new numbers. */
static tfrs_status
keep_values(tfrs_feature_store *store, uint32_t c, uint32_t *number, tfrs_error *error)
{
	const tfrs_id_view *values = &store->view->value[c];
	const uint32_t *word = store->words + store->view->layout.first[c];
	size_t		words = store->view->layout.words;
	tfrs_status status = tfrs_id_set_init(&store->value[c], store->arena, values->kind,
										  values->tag, error);

	store->value[c].most_bytes = TFRS_MAX_VALUE_BYTES;
	for (size_t k = 0; k < store->keys; k++)
		if (word[k * words] != TFRS_NO_ROW)
			number[word[k * words]] = 1;
	for (uint32_t v = 0; v < values->count && status == TFRS_OK; v++)
		if (number[v] == 1)
			status = tfrs_id_set_add(&store->value[c], tfrs_id_view_get(values, v), &number[v],
									 error);
	return status;
}

static tfrs_status
keep_column(tfrs_feature_store *store, uint32_t c, tfrs_error *error)
{
	uint32_t   *word = store->words + store->view->layout.first[c];
	size_t		words = store->view->layout.words;
	uint32_t   *number;
	tfrs_status status = TFRS_GET_ZERO(store->arena, &number, store->view->value[c].count, error);

	if (status != TFRS_OK)
		return status;
	status = keep_values(store, c, number, error);
	for (size_t k = 0; k < store->keys && status == TFRS_OK; k++)
		if (word[k * words] != TFRS_NO_ROW)
			word[k * words] = number[word[k * words]];
	tfrs_arena_release(store->arena, number);
	return status;
}

tfrs_status
tfrs_feature_store_step(tfrs_feature_store *store, tfrs_error *error)
{
	uint32_t	c = store->column;
	tfrs_status status = TFRS_OK;

	if (store->row == NULL || c == store->view->options->columns)
		return TFRS_OK;
	if (store->view->layout.first[c] != TFRS_NO_ROW &&
		tfrs_column_has_set(&store->view->options->column[c]))
		status = keep_column(store, c, error);
	store->column++;
	return status == TFRS_OK ? TFRS_MORE : status;
}

static tfrs_status
add_feature(tfrs_feature_store *store, bool of_queries, uint32_t f, tfrs_block_writer *writer,
			tfrs_error *error)
{
	const tfrs_feature *feature = &store->features->feature[f];
	tfrs_status status = tfrs_block_writer_add(writer, name_of(of_queries, "f", f, "summary").text,
											   feature->summary, 1, sizeof(*feature->summary),
											   error);

	if (status == TFRS_OK && feature->options->kind == TFRS_FEATURE_BUCKET)
		status = tfrs_block_writer_add(writer, name_of(of_queries, "f", f, "boundary").text,
									   feature->boundary, feature->summary->boundaries,
									   sizeof(double), error);
	if (status != TFRS_OK || feature->shares ||
		!tfrs_feature_has_vocabulary(feature->options->kind))
		return status;
	return tfrs_vocabulary_save(&feature->vocabulary, store->kind[f], writer,
								name_of(of_queries, "f", f, "vocabulary.").text, error);
}

static tfrs_status
add_values(const tfrs_feature_store *store, bool of_queries, uint32_t c,
		   tfrs_block_writer *writer, tfrs_error *error)
{
	const tfrs_id_set *values = &store->value[c];
	tfrs_status status;

	if (values->kind == TFRS_ID_INTEGER)
		return tfrs_block_writer_add(writer, name_of(of_queries, "value", c, "ids").text,
									 values->integers, values->count, sizeof(int64_t), error);
	status = tfrs_block_writer_add(writer, name_of(of_queries, "value", c, "offsets").text,
								   values->offsets, values->count + 1, sizeof(uint64_t), error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, name_of(of_queries, "value", c, "bytes").text,
									   values->bytes, values->offsets[values->count], 1, error);
	return status;
}

tfrs_status
tfrs_feature_store_add(tfrs_feature_store *store, bool of_queries, tfrs_block_writer *writer,
					   tfrs_error *error)
{
	const tfrs_tower_options *options = store->features->options;
	const char *prefix = of_queries ? "query." : "candidate.";
	tfrs_status status;

	if (options == NULL)
		return TFRS_OK;
	status = tfrs_block_writer_add(writer, tfrs_part_name_of(prefix, "options").text, options, 1,
								   sizeof(*options), error);
	for (uint32_t f = 0; f < options->features && status == TFRS_OK; f++)
		status = add_feature(store, of_queries, f, writer, error);
	for (uint32_t c = 0; store->row != NULL && c < options->columns && status == TFRS_OK; c++)
		if (store->value[c].arena != NULL)
			status = add_values(store, of_queries, c, writer, error);
	if (status == TFRS_OK && store->row != NULL)
		status = tfrs_block_writer_add(writer, tfrs_part_name_of(prefix, "row").text, store->words,
									   store->keys * store->view->layout.words, sizeof(uint32_t),
									   error);
	return status;
}
