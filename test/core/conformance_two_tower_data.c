/*
 * conformance_two_tower_data.c: from the files to the options, keys, features and encoded values of a
 * training.  Steps of an unmasked sequence that are padding are in the files as elements.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conformance_two_tower.h"

size_t
two_tower_key(const two_tower_side *side, const char *key)
{
	for (size_t v = 0; v < side->count; v++)
		if (strcmp(side->keys[v], key) == 0)
			return v;
	malformed("there is no %s %s", side->tower, key);
}

static void
read_keys(const two_tower *run, two_tower_side *side, const table *from, const char *column)
{
	side->keys = TAKE(from->rows, const char *);
	side->rows = TAKE(from->rows, uint32_t);
	for (size_t r = 0; r < from->rows; r++)
		if (table_is(from, r, "data", run->data))
		{
			side->rows[side->count] = (uint32_t) side->count;
			side->keys[side->count++] = table_text(from, r, column);
		}
}

static uint32_t
kind_of(const char *name)
{
	static const char *const names[] = {
		"", "id", "hash", "cross", "number", "bucket", "text", "bag", "sequence", "vector"
	};

	for (uint32_t kind = 1; kind < sizeof(names) / sizeof(names[0]); kind++)
		if (strcmp(names[kind], name) == 0)
			return kind;
	malformed("no feature of the kind \"%s\"", name);
}

/* Rows of a parameter. */
static size_t
param_rows(const two_tower *run, const char *name)
{
	size_t		rows = 0;

	for (size_t r = 0; r < run->tables->params.rows; r++)
		rows += table_is(&run->tables->params, r, "param", name);
	return rows;
}

static void
read_feature(const two_tower *run, two_tower_side *side, size_t line)
{
	const table *features = &run->tables->features;
	size_t		f = side->features.count++;
	tfrs_feature_options *options = &side->options.feature[f];
	tfrs_feature *feature = &side->features.feature[f];

	side->line[f] = line;
	options->kind = kind_of(table_text(features, line, "kind"));
	options->dim = (uint32_t) table_count(features, line, "width");
	side->summary[f].width = options->dim;
	feature->options = options;
	feature->summary = &side->summary[f];
	if (!table_null(features, line, "param"))
		feature->rows = param_rows(run, table_text(features, line, "param"));
}

/* Lines of a tower's features are in the order of their positions. */
static void
read_features(const two_tower *run, two_tower_side *side)
{
	const table *features = &run->tables->features;
	size_t		layers;
	double	   *layer = table_vector(&run->tables->variants, run->variant, "layers", &layers);

	for (size_t line = 0; line < features->rows; line++)
		if (table_is(features, line, "variant", run->name) &&
			table_is(features, line, "tower", side->tower))
			read_feature(run, side, line);
	side->options.no_id = 1;
	side->options.features = (uint32_t) side->features.count;
	side->features.options = &side->options;
	for (size_t l = 0; l + 1 < layers; l++)
		side->options.layer[side->options.layers++] = (uint32_t) layer[l];
	side->options.joined = layers > 0;
	if (!tfrs_activation_find(table_text(&run->tables->variants, run->variant, "activation"),
							  (tfrs_activation *) &side->options.activation))
		malformed("an activation that is not known");
}

/* A feature whose parameter has another's name reads the table of that one. */
static void
share_tables(two_tower *run, two_tower_side *side)
{
	const table *features = &run->tables->features;

	for (size_t f = 0; f < side->features.count; f++)
	{
		tfrs_feature *feature = &side->features.feature[f];
		struct two_tower_side *sides[] = {&run->query, &run->candidate};
		const char *param;
		char		name[128];

		if (table_null(features, side->line[f], "param"))
			continue;
		param = table_text(features, side->line[f], "param");
		for (size_t i = 0; i < 2; i++)
			for (size_t g = 0; g < sides[i]->features.count; g++)
			{
				snprintf(name, sizeof(name), "%s/%s", sides[i]->tower,
						 table_text(features, sides[i]->line[g], "feature"));
				if (strcmp(name, param) != 0 || (sides[i] == side && g == f))
					continue;
				feature->shares = true;
				feature->shares_query = i == 0;
				feature->shares_feature = (uint32_t) g;
			}
	}
}

/* The line of a key's encoded value. */
static size_t
encoded_line(const two_tower *run, const two_tower_side *side, size_t f, const char *key)
{
	const table *encoded = &run->tables->encoded;
	const char *name = table_text(&run->tables->features, side->line[f], "feature");

	for (size_t r = 0; r < encoded->rows; r++)
		if (table_is(encoded, r, "key", key) && table_is(encoded, r, "feature", name) &&
			table_is(encoded, r, "variant", run->encoded_by) &&
			table_is(encoded, r, "tower", side->tower))
			return r;
	malformed("%s %s has no %s", side->tower, key, name);
}

/* Padding is 0 in lists of one length that are masked. */
static bool
is_padding(const two_tower *run, const two_tower_side *side, size_t f, double id, size_t length)
{
	const table *features = &run->tables->features;

	return id == 0 && !table_null(features, side->line[f], "masked") &&
		table_flag(features, side->line[f], "masked") &&
		!table_null(features, side->line[f], "padded_length") &&
		length == table_count(features, side->line[f], "padded_length");
}

static void
read_list(const two_tower *run, two_tower_side *side, size_t f, const double *ids, size_t length)
{
	tfrs_ragged *items = &side->encoded[f].items;
	size_t		first = items->count;

	if (items->start == NULL)
	{
		items->row_capacity = side->count;
		items->capacity = side->count * 64;
		items->start = TAKE(side->count + 1, size_t);
		items->item = TAKE(items->capacity, uint32_t);
		items->weight = TAKE(items->capacity, float);
		items->has_weight = true;
	}
	for (size_t i = 0; i < length; i++)
		if (!is_padding(run, side, f, ids[i], length))
			tfrs_ragged_push(items, (uint32_t) ids[i], 1.0f);
	for (size_t i = first; i < items->count; i++)
		items->weight[i] = 1.0f / (float) (items->count - first);
	tfrs_ragged_end_row(items);
}

/* The raw numbers of a vector are in the table of the candidates or the queries. */
static void
read_vector(const two_tower *run, two_tower_side *side, size_t f, size_t v, const char *column)
{
	const table *from = side == &run->candidate ? &run->tables->candidates : &run->tables->queries;
	size_t		width = side->summary[f].width;

	for (size_t r = 0; r < from->rows; r++)
		if (table_is(from, r, "data", run->data) &&
			table_is(from, r, side == &run->candidate ? "candidate_id" : "query_id",
					 side->keys[v]))
			table_floats(from, r, column, side->encoded[f].number + v * width, width);
}

static void
read_value(const two_tower *run, two_tower_side *side, size_t f, size_t v)
{
	tfrs_encoded_feature *encoded = &side->encoded[f];
	uint32_t	kind = side->options.feature[f].kind;
	const table *values = &run->tables->encoded;
	size_t		line;
	size_t		length;
	double	   *ids;

	if (kind == TFRS_FEATURE_VECTOR)
	{
		read_vector(run, side, f, v, table_text(&run->tables->features, side->line[f],
												"source_column"));
		return;
	}
	line = encoded_line(run, side, f, side->keys[v]);
	if (kind == TFRS_FEATURE_NUMBER)
	{
		encoded->number[v] = (float) table_number(values, line, "number");
		return;
	}
	ids = table_vector(values, line, "ids", &length);
	if (tfrs_feature_is_list(kind))
		read_list(run, side, f, ids, length);
	else
		encoded->id[v] = (uint32_t) ids[0];
}

static void
read_encoded(const two_tower *run, two_tower_side *side)
{
	for (size_t f = 0; f < side->features.count; f++)
	{
		side->encoded[f].id = TAKE(side->count, uint32_t);
		side->encoded[f].number = TAKE(side->count * (side->summary[f].width + 1), float);
		for (size_t v = 0; v < side->count; v++)
			read_value(run, side, f, v);
	}
}

/* The values of a variant without ones of its own are those of one with the same data and context. */
static const char *
encoded_by(const two_tower *run)
{
	const table *variants = &run->tables->variants;
	const table *encoded = &run->tables->encoded;

	for (size_t r = 0; r < encoded->rows; r++)
		if (table_is(encoded, r, "variant", run->name))
			return run->name;
	for (size_t r = 0; r < encoded->rows; r++)
		for (size_t v = 0; v < variants->rows; v++)
			if (table_is(variants, v, "variant", table_text(encoded, r, "variant")) &&
				table_is(variants, v, "data", run->data) &&
				table_flag(variants, v, "context") == run->context)
				return table_text(encoded, r, "variant");
	malformed("%s has no encoded values", run->name);
}

static void
read_optimizer(two_tower *run)
{
	const table *variants = &run->tables->variants;
	tfrs_optimizer *optimizer = &run->options.optimizer;

	if (table_is(variants, run->variant, "optimizer", "adagrad"))
		tfrs_optimizer_default(optimizer, TFRS_ADAGRAD);
	else if (table_is(variants, run->variant, "optimizer", "adam"))
		tfrs_optimizer_default(optimizer, TFRS_ADAM);
	else if (table_is(variants, run->variant, "optimizer", "sgd"))
		tfrs_optimizer_default(optimizer, TFRS_SGD);
	else
		malformed("an optimizer that is not known");
	optimizer->learning_rate = (float) table_number(variants, run->variant, "lr");
}

static void
read_options(two_tower *run, tfrs_loss_form form)
{
	const table *variants = &run->tables->variants;
	tfrs_train_options *options = &run->options;
	size_t		v = run->variant;

	tfrs_train_options_tfrs(options);
	options->dim = (uint32_t) table_count(variants, v, "dim");
	options->batch_size = (uint32_t) table_count(variants, v, "batch");
	options->normalize = table_flag(variants, v, "l2_normalize");
	options->correction = table_flag(variants, v, "logq") ? TFRS_CORRECTION_IN_BATCH
		: TFRS_CORRECTION_NONE;
	options->loss.temperature = (float) table_number_or(variants, v, "temperature", 1.0);
	options->loss.remove_accidental_hits = table_flag(variants, v, "accidental_hits");
	options->form = form;
	options->epochs = TFRS_MAX_EPOCHS;
	options->threads = 2;
	read_optimizer(run);
}

void
two_tower_read(two_tower *run, tfrs_loss_form form)
{
	const table *candidates = &run->tables->candidates;
	size_t		v = 0;

	run->encoded_by = encoded_by(run);
	read_options(run, form);
	run->query.tower = "query";
	run->candidate.tower = "candidate";
	if (run->context)
		read_keys(run, &run->query, &run->tables->interactions, "n");
	else
		read_keys(run, &run->query, &run->tables->queries, "query_id");
	read_keys(run, &run->candidate, candidates, "candidate_id");
	run->frequency = TAKE(candidates->rows, uint32_t);
	for (size_t r = 0; r < candidates->rows; r++)
		if (table_is(candidates, r, "data", run->data))
			run->frequency[v++] = (uint32_t) lround(WHOLE * table_number_or(candidates, r, "p", 1.0));
	read_features(run, &run->query);
	read_features(run, &run->candidate);
	share_tables(run, &run->query);
	share_tables(run, &run->candidate);
	read_encoded(run, &run->query);
	read_encoded(run, &run->candidate);
}
