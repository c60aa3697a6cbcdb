/*
 * conformance_trajectory.c: whole trainings, step by step, in both forms of the loss.
 *
 * Each step is one of the training's own on the tables of the file: every batch is handed to it as
 * the interactions of an epoch.  Losses are compared in every step, tables and accumulators at the
 * end.
 */
#include <math.h>
#include <string.h>

#include "conformance.h"
#include "learning/descent.h"

/* Probabilities are shares of so many. */
#define WHOLE 1e9

typedef struct trajectory_tables
{
	table		interactions;
	table		batches;
	table		variants;
	table		losses;
	table		tables;
} trajectory_tables;

/* One tower: its ids and what they begin with. */
typedef struct side
{
	const char *tower;			/* user, item */
	size_t		count;			/* V */
	const char **ids;			/* (V) */
	uint32_t   *frequency;		/* (V) probabilities, of WHOLE */
	float	   *initial;		/* (V, D) */
} side;

typedef struct trajectory
{
	const trajectory_tables *tables;
	size_t		variant;		/* row of variants */
	const char *name;
	bool		weighted;
	tfrs_train_options options;
	side		user;
	side		item;
} trajectory;

static uint32_t
find_id(const side *side, const char *id)
{
	for (size_t v = 0; v < side->count; v++)
		if (strcmp(side->ids[v], id) == 0)
			return (uint32_t) v;
	malformed("there is no %s %s", side->tower, id);
}

static bool
of_side(const trajectory *run, const side *side, size_t r)
{
	return table_is(&run->tables->tables, r, "variant", run->name) &&
		table_is(&run->tables->tables, r, "tower", side->tower);
}

static void
read_side(trajectory *run, side *side, const char *tower)
{
	const table *tables = &run->tables->tables;
	size_t		dim = run->options.dim;

	side->tower = tower;
	side->ids = TAKE(tables->rows, const char *);
	side->frequency = TAKE(tables->rows, uint32_t);
	side->initial = TAKE(tables->rows * dim, float);
	for (size_t r = 0; r < tables->rows; r++)
	{
		if (!of_side(run, side, r))
			continue;
		side->ids[side->count] = table_text(tables, r, "id");
		table_floats(tables, r, "initial", side->initial + side->count * dim, dim);
		side->frequency[side->count++] = (uint32_t)
			lround(WHOLE * table_number_or(tables, r, "p", 1.0));
	}
}

static void
read_optimizer(trajectory *run)
{
	const table *variants = &run->tables->variants;
	const char *name = table_text(variants, run->variant, "optimizer");
	tfrs_optimizer *optimizer = &run->options.optimizer;

	if (strcmp(name, "sgd") == 0)
		tfrs_optimizer_default(optimizer, TFRS_SGD);
	else if (strcmp(name, "adagrad") == 0)
		tfrs_optimizer_default(optimizer, TFRS_ADAGRAD);
	else if (strcmp(name, "adam") == 0)
		tfrs_optimizer_default(optimizer, TFRS_ADAM);
	else
		malformed("no trajectory with the optimizer \"%s\"", name);
	optimizer->learning_rate = (float) table_number(variants, run->variant, "lr");
	optimizer->initial_accumulator_value =
		(float) table_number_or(variants, run->variant, "acc0", 0.1);
	optimizer->epsilon = (float) table_number_or(variants, run->variant, "eps", 1e-7);
}

static void
read_variant(trajectory *run, tfrs_loss_form form)
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
	options->loss.hard_negatives = (uint32_t) table_number_or(variants, v, "hard_negatives", 0.0);
	options->form = form;
	options->epochs = TFRS_MAX_EPOCHS;
	options->threads = 2;
	run->weighted = table_flag(variants, v, "sample_weight");
	read_optimizer(run);
}

static tfrs_interaction *
read_batch(const trajectory *run, size_t r, size_t *count)
{
	const table *interactions = &run->tables->interactions;
	char	  **numbers = table_texts(&run->tables->batches, r, "interactions", count);
	tfrs_interaction *rows = TAKE(*count, tfrs_interaction);

	for (size_t i = 0; i < *count; i++)
	{
		size_t		n = 0;

		while (n < interactions->rows && !table_is(interactions, n, "n", numbers[i]))
			n++;
		if (n == interactions->rows)
			malformed("there is no interaction %s", numbers[i]);
		rows[i].query = find_id(&run->user, table_text(interactions, n, "user_id"));
		rows[i].candidate = find_id(&run->item, table_text(interactions, n, "item_id"));
		rows[i].weight = 1.0f;
		if (run->weighted)
			rows[i].weight = (float) table_number_or(interactions, n, "weight", 1.0);
	}
	return rows;
}

static void
compare_loss(const trajectory *run, conformance_case *checked, size_t batch, double total)
{
	const table *batches = &run->tables->batches;
	const table *losses = &run->tables->losses;
	const char *epoch = table_text(batches, batch, "epoch");
	const char *step = table_text(batches, batch, "step");

	for (size_t r = 0; r < losses->rows; r++)
		if (table_is(losses, r, "variant", run->name) && table_is(losses, r, "epoch", epoch) &&
			table_is(losses, r, "step", step))
			case_near(checked, "loss", total, table_number(losses, r, "loss"),
					  table_count(losses, r, "epoch"), table_count(losses, r, "step"));
}

static void
compare_final(const trajectory *run, conformance_case *checked, const side *side,
			  const tfrs_tensor *tensor)
{
	const table *tables = &run->tables->tables;
	size_t		dim = run->options.dim;

	for (size_t r = 0; r < tables->rows; r++)
	{
		size_t		v;
		size_t		length;
		double	   *expected;

		if (!of_side(run, side, r))
			continue;
		v = find_id(side, table_text(tables, r, "id"));
		expected = table_vector(tables, r, "final", &length);
		for (size_t d = 0; d < dim && d < length; d++)
			case_near(checked, side->tower, tensor->values[v * dim + d], expected[d], v + 1,
					  d + 1);
		if (tensor->slot[0] == NULL || table_null(tables, r, "final_acc"))
			continue;
		expected = table_vector(tables, r, "final_acc", &length);
		for (size_t d = 0; d < dim && d < length; d++)
			case_near(checked, "accumulator", tensor->slot[0][v * dim + d], expected[d], v + 1,
					  d + 1);
	}
}

/* The rows as interactions that know all ids, so that these have the numbers of the file. */
static tfrs_status
collect(const trajectory *run, const tfrs_interaction *rows, size_t count,
		tfrs_interactions **interactions, tfrs_error *error)
{
	tfrs_interactions_options options = {
		.has_weight = true, .input_order = true, .budget = SIZE_MAX
	};
	tfrs_status status = tfrs_interactions_create(interactions, arena(), &options, error);

	if (status == TFRS_OK)
		status = tfrs_interactions_set_query_type(*interactions, TFRS_ID_INTEGER, 20, error);
	if (status == TFRS_OK)
		status = tfrs_interactions_set_candidate_type(*interactions, TFRS_ID_INTEGER, 20, error);
	for (size_t v = 0; status == TFRS_OK && v < run->user.count; v++)
		status = tfrs_interactions_know_query(*interactions, tfrs_id_of_integer((int64_t) v), error);
	for (size_t v = 0; status == TFRS_OK && v < run->item.count; v++)
		status = tfrs_interactions_know_candidate(*interactions, tfrs_id_of_integer((int64_t) v),
												  error);
	for (size_t i = 0; status == TFRS_OK && i < count; i++)
		status = tfrs_interactions_add(*interactions, tfrs_id_of_integer(rows[i].query),
									   tfrs_id_of_integer(rows[i].candidate), rows[i].weight, 0,
									   error);
	if (status == TFRS_OK)
		while ((status = tfrs_interactions_finish_step(*interactions, error)) == TFRS_MORE)
			;
	return status;
}

static tfrs_status
run_batch(const trajectory *run, tfrs_descent *descent, conformance_case *checked, size_t batch,
		  tfrs_error *error)
{
	size_t		count;
	tfrs_interaction *rows = read_batch(run, batch, &count);
	tfrs_status status = collect(run, rows, count, &descent->interactions.interactions, error);
	bool		stepped = false;

	descent->interactions.count = count;
	if (status == TFRS_OK)
		status = tfrs_interactions_rewind(descent->interactions.interactions, 0, error);
	while ((status == TFRS_OK || status == TFRS_MORE) && !stepped)
		status = tfrs_descent_step(descent, &stepped, error);
	if (stepped)
		compare_loss(run, checked, batch, descent->total);
	return stepped ? TFRS_OK : status;
}

/* Up to the first batch: then the tables of the file take the place of the initial ones. */
static tfrs_status
begin(trajectory *run, tfrs_descent *descent, tfrs_error *error)
{
	const table *batches = &run->tables->batches;
	static const tfrs_events none;
	tfrs_descent_counts counts = {
		.queries = run->user.count, .candidates = run->item.count, .events = &none
	};
	tfrs_descent_data data = {0};
	bool		stepped;
	size_t		count;
	tfrs_status status;

	for (size_t r = 0; r < batches->rows; r++)
	{
		table_texts(batches, r, "interactions", &count);
		counts.rows = count > counts.rows ? count : counts.rows;
	}
	status = collect(run, read_batch(run, 0, &count), count, &data.interactions, error);
	if (status == TFRS_OK)
		status = tfrs_descent_begin(descent, arena(), &run->options, &counts, &data, error);
	while ((status == TFRS_OK || status == TFRS_MORE) && descent->phase != TFRS_DESCENT_DRAW)
		status = tfrs_descent_step(descent, &stepped, error);
	if (status != TFRS_OK && status != TFRS_MORE)
		return status;
	memcpy(tfrs_descent_queries(descent)->values, run->user.initial,
		   run->user.count * run->options.dim * sizeof(float));
	memcpy(tfrs_descent_candidates(descent)->values, run->item.initial,
		   run->item.count * run->options.dim * sizeof(float));
	descent->negatives.frequency = run->item.frequency;
	descent->negatives.total = WHOLE;
	return TFRS_OK;
}

/* The batches are in the file in the order in which they are trained on. */
static tfrs_status
train(trajectory *run, tfrs_descent *descent, conformance_case *checked, tfrs_error *error)
{
	tfrs_status status;

	read_side(run, &run->user, "user");
	read_side(run, &run->item, "item");
	status = begin(run, descent, error);
	for (size_t r = 0; status == TFRS_OK && r < run->tables->batches.rows; r++)
		status = run_batch(run, descent, checked, r, error);
	return status;
}

static void
conform_variant(const trajectory_tables *tables, size_t variant, tfrs_loss_form form)
{
	trajectory	run = {.tables = tables,.variant = variant};
	const char *suite = form == TFRS_FORM_PLAIN ? "trajectory, plain form"
		: "trajectory, distinct form";
	conformance_case checked;
	tfrs_descent descent;
	tfrs_error	error;

	run.name = table_text(&tables->variants, variant, "variant");
	case_begin(&checked, suite, run.name);
	read_variant(&run, form);
	if (form == TFRS_FORM_DISTINCT && run.options.loss.hard_negatives > 0)
	{
		case_skip(suite, run.name, "hard negatives need the plain form");
		return;
	}
	if (train(&run, &descent, &checked, &error) != TFRS_OK)
		case_problem(&checked, "%s", error.message);
	else
	{
		compare_final(&run, &checked, &run.user, tfrs_descent_queries(&descent));
		compare_final(&run, &checked, &run.item, tfrs_descent_candidates(&descent));
	}
	case_end(&checked);
}

void
conform_trajectory(void)
{
	trajectory_tables tables;

	if (!table_read(&tables.variants, "trajectory_variants") ||
		!table_read(&tables.interactions, "trajectory_interactions") ||
		!table_read(&tables.batches, "trajectory_batches") ||
		!table_read(&tables.losses, "trajectory_losses") ||
		!table_read(&tables.tables, "trajectory_tables"))
		return;
	for (size_t v = 0; v < tables.variants.rows; v++)
	{
		conform_variant(&tables, v, TFRS_FORM_PLAIN);
		conform_variant(&tables, v, TFRS_FORM_DISTINCT);
	}
}
