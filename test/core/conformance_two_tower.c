/*
 * conformance_two_tower.c: whole trainings of towers with features, step by step, by the training's
 * own steps and in both forms of the loss.
 *
 * What features make of values is in the files (two_tower_encoded), and so are the parameters at the
 * beginning, the gradients of the first step, the losses of all steps, and parameters, optimizer and
 * vectors at the end.  The keys are no features here: an id of the files is a feature of its own, with
 * Keras's unknown slots.  A query with context is another one in each interaction, so its key is the
 * number of the interaction there.
 */
#include <stdio.h>
#include <string.h>

#include "conformance_two_tower.h"

/* The tensor of a parameter, NULL where it is none of this training. */
static const tfrs_tensor *
tensor_of(const two_tower *run, const char *param)
{
	const tfrs_tower *tower = strncmp(param, "query/", 6) == 0 ? &run->descent.query
		: &run->descent.candidate;
	const two_tower_side *side = tower == &run->descent.query ? &run->query : &run->candidate;
	const char *rest = strchr(param, '/') + 1;
	const char *part = strrchr(param, '/') + 1;
	size_t		layer;

	if (sscanf(rest, "dense%zu/", &layer) == 1)
		return strcmp(part, "bias") == 0 ? tower->layers.bias[layer - 1]
			: tower->layers.kernel[layer - 1];
	for (size_t f = 0; f < side->features.count; f++)
	{
		const tfrs_encoder *encoder = &tower->encoder[f];
		const char *name = table_text(&run->tables->features, side->line[f], "feature");

		if (strncmp(rest, name, strlen(name)) != 0 || side->features.feature[f].shares)
			continue;
		if (rest[strlen(name)] == '\0')
			return encoder->table;
		if (rest[strlen(name)] != '/')
			continue;
		return strcmp(part, "bias") == 0 ? encoder->bias
			: strcmp(part, "recurrent_kernel") == 0 ? encoder->recurrent : encoder->kernel;
	}
	malformed("there is no parameter %s", param);
}

static size_t
param_row(const table *params, size_t r)
{
	size_t		row = table_count(params, r, "row");

	return strstr(table_text(params, r, "param"), "/dense") == NULL &&
		strstr(table_text(params, r, "param"), "kernel") == NULL &&
		strstr(table_text(params, r, "param"), "bias") == NULL ? row : row - 1;
}

static void
set_parameters(two_tower *run)
{
	const table *params = &run->tables->params;

	for (size_t r = 0; r < params->rows; r++)
	{
		const tfrs_tensor *tensor = tensor_of(run, table_text(params, r, "param"));

		table_floats(params, r, "initial", tensor->values + param_row(params, r) * tensor->dim,
					 tensor->dim);
	}
}

/* One column of the parameters against an array like the tensor's values. */
static void
compare_column(two_tower *run, size_t r, const char *column, const char *quantity,
			   const float *got)
{
	const table *params = &run->tables->params;
	size_t		length;
	double	   *expected;

	if (table_null(params, r, column))
		return;
	expected = table_vector(params, r, column, &length);
	for (size_t d = 0; d < length; d++)
		case_near(&run->checked, quantity, got == NULL ? 0.0 : got[d], expected[d], r + 1, d + 1);
}

static void
compare_gradients(two_tower *run)
{
	const table *params = &run->tables->params;

	for (size_t r = 0; r < params->rows; r++)
	{
		const tfrs_tensor *tensor = tensor_of(run, table_text(params, r, "param"));
		size_t		row = param_row(params, r);
		size_t		place = tensor->dense ? row : tensor->place[row];
		bool		touched = tensor->dense ||
			(place < tensor->touched && tensor->row[place] == row);

		compare_column(run, r, "grad_step1", "gradient",
					   touched ? tensor->gradient + place * tensor->dim : NULL);
	}
}

static void
compare_parameters(two_tower *run)
{
	const table *params = &run->tables->params;

	for (size_t r = 0; r < params->rows; r++)
	{
		const tfrs_tensor *tensor = tensor_of(run, table_text(params, r, "param"));
		size_t		offset = param_row(params, r) * tensor->dim;

		compare_column(run, r, "final", "parameter", tensor->values + offset);
		for (int i = 0; i < tensor->slots; i++)
			compare_column(run, r, i == 0 ? "slot1" : "slot2", "slot", tensor->slot[i] + offset);
	}
}

static void
compare_vectors(two_tower *run, const char *column)
{
	const table *vectors = &run->tables->vectors;
	size_t		dim = run->options.dim;
	float	   *vector = TAKE(dim, float);

	for (size_t r = 0; r < vectors->rows; r++)
	{
		bool		of_queries = table_is(vectors, r, "tower", "query");
		size_t		length;
		double	   *expected;
		size_t		v;

		if (!table_is(vectors, r, "variant", run->name))
			continue;
		v = two_tower_key(of_queries ? &run->query : &run->candidate, table_text(vectors, r, "key"));
		if (of_queries)
			tfrs_descent_serve_query(&run->descent, (uint32_t) v, (uint32_t) v, NULL, vector);
		else
			tfrs_descent_serve_candidates(&run->descent, v, 1, vector);
		expected = table_vector(vectors, r, column, &length);
		for (size_t d = 0; d < length && d < dim; d++)
			case_near(&run->checked, "vector", vector[d], expected[d], r + 1, d + 1);
	}
}

/* Interactions that know all keys, so that these have the numbers of the file. */
static tfrs_status
know_keys(const two_tower *run, tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_status status = tfrs_interactions_set_query_type(interactions, TFRS_ID_INTEGER, 20, error);

	if (status == TFRS_OK)
		status = tfrs_interactions_set_candidate_type(interactions, TFRS_ID_INTEGER, 20, error);
	for (size_t v = 0; status == TFRS_OK && v < run->query.count; v++)
		status = tfrs_interactions_know_query(interactions, tfrs_id_of_integer((int64_t) v), error);
	for (size_t v = 0; status == TFRS_OK && v < run->candidate.count; v++)
		status = tfrs_interactions_know_candidate(interactions, tfrs_id_of_integer((int64_t) v),
												  error);
	return status;
}

/* The interaction of that number. */
static tfrs_status
add_interaction(const two_tower *run, const char *number, tfrs_interactions *interactions,
				tfrs_error *error)
{
	const table *rows = &run->tables->interactions;
	size_t		r = 0;
	size_t		query;
	size_t		candidate;

	while (r < rows->rows && !(table_is(rows, r, "data", run->data) &&
							   table_is(rows, r, "n", number)))
		r++;
	if (r == rows->rows)
		malformed("there is no interaction %s", number);
	query = two_tower_key(&run->query, run->context ? number : table_text(rows, r, "query_id"));
	candidate = two_tower_key(&run->candidate, table_text(rows, r, "candidate_id"));
	return tfrs_interactions_add(interactions, tfrs_id_of_integer((int64_t) query),
								 tfrs_id_of_integer((int64_t) candidate), 1.0f, 0, error);
}

/* Interactions that know all keys, so that these have the numbers of the file. */
static tfrs_status
collect(const two_tower *run, size_t batch, tfrs_interactions **interactions, size_t *count,
		tfrs_error *error)
{
	char	  **numbers = table_texts(&run->tables->batches, batch, "interactions", count);
	tfrs_interactions_options options = {.input_order = true,.budget = SIZE_MAX};
	tfrs_status status = tfrs_interactions_create(interactions, arena(), &options, error);

	if (status == TFRS_OK)
		status = know_keys(run, *interactions, error);
	for (size_t i = 0; status == TFRS_OK && i < *count; i++)
		status = add_interaction(run, numbers[i], *interactions, error);
	if (status == TFRS_OK)
		while ((status = tfrs_interactions_finish_step(*interactions, error)) == TFRS_MORE)
			;
	return status;
}

static tfrs_side_features
side_features(const two_tower_side *side)
{
	return (tfrs_side_features) {
		.features = &side->features, .encoded = side->encoded, .row_of_key = side->rows
	};
}

/* Up to the first batch: then the parameters of the file take the place of the initial ones. */
static tfrs_status
begin(two_tower *run, size_t first, tfrs_error *error)
{
	static const tfrs_events none;
	tfrs_descent *descent = &run->descent;
	tfrs_descent_counts counts = {
		.queries = run->query.count, .candidates = run->candidate.count, .events = &none,
		.query = side_features(&run->query), .candidate = side_features(&run->candidate)
	};
	tfrs_descent_data data = {0};
	bool		stepped;
	tfrs_status status = collect(run, first, &data.interactions, &counts.rows, error);

	if (status == TFRS_OK)
		status = tfrs_descent_begin(descent, arena(), &run->options, &counts, &data, error);
	while ((status == TFRS_OK || status == TFRS_MORE) && descent->phase != TFRS_DESCENT_DRAW)
		status = tfrs_descent_step(descent, &stepped, error);
	if (status != TFRS_OK && status != TFRS_MORE)
		return status;
	set_parameters(run);
	descent->negatives.frequency = run->frequency;
	descent->negatives.total = WHOLE;
	return TFRS_OK;
}

static void
compare_loss(two_tower *run, size_t batch)
{
	const table *losses = &run->tables->losses;
	const char *epoch = table_text(&run->tables->batches, batch, "epoch");
	const char *step = table_text(&run->tables->batches, batch, "step");

	for (size_t r = 0; r < losses->rows; r++)
		if (table_is(losses, r, "variant", run->name) && table_is(losses, r, "epoch", epoch) &&
			table_is(losses, r, "step", step))
			case_near(&run->checked, "loss", run->descent.total, table_number(losses, r, "loss"),
					  r + 1, 0);
}

static tfrs_status
run_batch(two_tower *run, size_t batch, tfrs_error *error)
{
	tfrs_interaction_examples *source = &run->descent.interactions;
	bool		stepped = false;
	tfrs_status status = collect(run, batch, &source->interactions, &source->count, error);

	if (status == TFRS_OK)
		status = tfrs_interactions_rewind(source->interactions, 0, error);
	while ((status == TFRS_OK || status == TFRS_MORE) && !stepped)
		status = tfrs_descent_step(&run->descent, &stepped, error);
	if (stepped)
		compare_loss(run, batch);
	return stepped ? TFRS_OK : status;
}

static tfrs_status
train(two_tower *run, tfrs_error *error)
{
	const table *batches = &run->tables->batches;
	bool		first = true;
	tfrs_status status = TFRS_OK;

	for (size_t r = 0; status == TFRS_OK && r < batches->rows; r++)
	{
		if (!table_is(batches, r, "data", run->data))
			continue;
		if (first)
			status = begin(run, r, error);
		if (first && status == TFRS_OK)
			compare_vectors(run, "initial");
		if (status == TFRS_OK)
			status = run_batch(run, r, error);
		if (first && status == TFRS_OK)
			compare_gradients(run);
		first = false;
	}
	if (status == TFRS_OK)
	{
		compare_parameters(run);
		compare_vectors(run, "final");
	}
	return status;
}

static void
conform_variant(two_tower_tables *tables, size_t variant, tfrs_loss_form form)
{
	two_tower  *run = TAKE(1, two_tower);
	char		file[128];
	tfrs_error	error;

	run->tables = tables;
	run->variant = variant;
	run->name = table_text(&tables->variants, variant, "variant");
	run->data = table_text(&tables->variants, variant, "data");
	run->context = table_flag(&tables->variants, variant, "context");
	case_begin(&run->checked, form == TFRS_FORM_PLAIN ? "two towers, plain form"
			   : "two towers, distinct form", run->name);
	case_allow(&run->checked, "parameter", 2);
	case_allow(&run->checked, "vector", 2);
	case_allow(&run->checked, "slot", 10);
	snprintf(file, sizeof(file), "two_tower_params_%s", run->name);
	if (!table_read(&tables->params, file))
		return;
	two_tower_read(run, form);
	if (train(run, &error) != TFRS_OK)
		case_problem(&run->checked, "%s", error.message);
	case_end(&run->checked);
}

void
conform_two_tower(void)
{
	static two_tower_tables tables;

	if (!table_read(&tables.variants, "two_tower_variants") ||
		!table_read(&tables.features, "two_tower_features") ||
		!table_read(&tables.encoded, "two_tower_encoded") ||
		!table_read(&tables.queries, "two_tower_queries") ||
		!table_read(&tables.candidates, "two_tower_candidates") ||
		!table_read(&tables.interactions, "two_tower_interactions") ||
		!table_read(&tables.batches, "two_tower_batches") ||
		!table_read(&tables.losses, "two_tower_losses") ||
		!table_read(&tables.vectors, "two_tower_vectors"))
		return;
	for (size_t v = 0; v < tables.variants.rows; v++)
	{
		conform_variant(&tables, v, TFRS_FORM_PLAIN);
		conform_variant(&tables, v, TFRS_FORM_DISTINCT);
	}
}
