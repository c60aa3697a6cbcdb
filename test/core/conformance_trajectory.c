/*
 * conformance_trajectory.c: whole trainings, step by step, in both forms of the loss.
 *
 * Each step gathers its rows from two tables, computes the loss, carries the gradients back through
 * the L2 normalization, sums those of equal rows and applies the optimizer.  Losses are compared in
 * every step, tables and accumulators at the end.
 */
#include <math.h>
#include <string.h>

#include "conformance.h"
#include "learning/loss.h"
#include "learning/optimizer.h"

#define LEAST_SQUARE 1e-12		/* of a normalized vector's length, as in TensorFlow */

typedef struct trajectory_tables
{
	table		interactions;
	table		batches;
	table		variants;
	table		losses;
	table		tables;
} trajectory_tables;

/* One side: its ids, its table under training, and what a batch uses of it. */
typedef struct side
{
	const char *tower;			/* user, item */
	size_t		rows;			/* V */
	const char **ids;			/* (V) */
	float	   *probability;	/* (V) */
	tfrs_optimizer_table table;
	/* of the batch */
	size_t		count;			/* vectors of the batch */
	uint32_t   *row;			/* (count) of the table */
	float	   *vector;			/* (count, D) as given to the loss */
	float	   *gradient;		/* (count, D) */
} side;

typedef struct trajectory
{
	const trajectory_tables *tables;
	size_t		variant;		/* row of variants */
	const char *name;
	bool		distinct;
	size_t		dim;
	bool		normalize;
	bool		weighted;
	bool		corrected;
	tfrs_loss_options options;
	tfrs_optimizer optimizer;
	tfrs_loss  *loss;
	side		user;
	side		item;
	uint64_t	steps;
} trajectory;

/* The batch as (user, item, weight); in the distinct form sorted and grouped. */
typedef struct pair
{
	uint32_t	user;
	uint32_t	item;
	float		weight;
} pair;

static size_t
find_id(const side *side, const char *id)
{
	for (size_t v = 0; v < side->rows; v++)
		if (strcmp(side->ids[v], id) == 0)
			return v;
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
	size_t		dim = run->dim;

	side->tower = tower;
	side->ids = TAKE(tables->rows, const char *);
	side->probability = TAKE(tables->rows, float);
	side->table.values = TAKE(tables->rows * dim, float);
	for (size_t r = 0; r < tables->rows; r++)
	{
		if (!of_side(run, side, r))
			continue;
		side->ids[side->rows] = table_text(tables, r, "id");
		side->probability[side->rows] = (float) table_number_or(tables, r, "p", 1.0);
		table_floats(tables, r, "initial", side->table.values + side->rows * dim, dim);
		side->rows++;
	}
	side->table.rows = side->rows;
	side->table.dim = dim;
	for (int s = 0; s < tfrs_optimizer_slots(&run->optimizer); s++)
	{
		side->table.slot[s] = TAKE(side->rows * dim, float);
		for (size_t i = 0; i < side->rows * dim; i++)
			side->table.slot[s][i] = tfrs_optimizer_initial(&run->optimizer, s);
	}
}

static void
read_optimizer(trajectory *run)
{
	const table *variants = &run->tables->variants;
	const char *name = table_text(variants, run->variant, "optimizer");
	tfrs_optimizer *optimizer = &run->optimizer;

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
read_variant(trajectory *run)
{
	const table *variants = &run->tables->variants;
	size_t		v = run->variant;

	run->dim = table_count(variants, v, "dim");
	run->normalize = table_flag(variants, v, "l2_normalize");
	run->weighted = table_flag(variants, v, "sample_weight");
	run->corrected = table_flag(variants, v, "logq");
	tfrs_loss_options_default(&run->options);
	run->options.temperature = (float) table_number_or(variants, v, "temperature", 1.0);
	run->options.remove_accidental_hits = table_flag(variants, v, "accidental_hits");
	run->options.hard_negatives = (uint32_t) table_number_or(variants, v, "hard_negatives", 0.0);
	read_optimizer(run);
	read_side(run, &run->user, "user");
	read_side(run, &run->item, "item");
}

static pair *
read_batch(const trajectory *run, size_t r, size_t *count)
{
	const table *interactions = &run->tables->interactions;
	char	  **numbers = table_texts(&run->tables->batches, r, "interactions", count);
	pair	   *pairs = TAKE(*count, pair);

	for (size_t i = 0; i < *count; i++)
	{
		size_t		n = 0;

		while (n < interactions->rows && !table_is(interactions, n, "n", numbers[i]))
			n++;
		if (n == interactions->rows)
			malformed("there is no interaction %s", numbers[i]);
		pairs[i].user = (uint32_t) find_id(&run->user, table_text(interactions, n, "user_id"));
		pairs[i].item = (uint32_t) find_id(&run->item, table_text(interactions, n, "item_id"));
		pairs[i].weight = 1.0f;
		if (run->weighted)
			pairs[i].weight = (float) table_number_or(interactions, n, "weight", 1.0);
	}
	return pairs;
}

/* Sorted by (user, item), equal pairs made one with the sum of their weights. */
static void
group_pairs(pair *pairs, size_t *count)
{
	size_t		kept = 0;

	for (size_t i = 0; i < *count; i++)
	{
		pair		next = pairs[i];
		size_t		at = kept;

		while (at > 0 && (pairs[at - 1].user > next.user ||
						  (pairs[at - 1].user == next.user && pairs[at - 1].item > next.item)))
			at--;
		if (at > 0 && pairs[at - 1].user == next.user && pairs[at - 1].item == next.item)
		{
			pairs[at - 1].weight += next.weight;
			continue;
		}
		memmove(pairs + at + 1, pairs + at, (kept - at) * sizeof(*pairs));
		pairs[at] = next;
		kept++;
	}
	*count = kept;
}

static double
length_of(const float *vector, size_t dim)
{
	double		square = 0.0;

	for (size_t d = 0; d < dim; d++)
		square += (double) vector[d] * vector[d];
	return sqrt(square > LEAST_SQUARE ? square : LEAST_SQUARE);
}

/* The vectors of the rows side->row, normalized where the variant says so. */
static void
gather(const trajectory *run, side *side)
{
	size_t		dim = run->dim;

	side->vector = TAKE(side->count * dim, float);
	side->gradient = TAKE(side->count * dim, float);
	for (size_t i = 0; i < side->count; i++)
	{
		const float *from = side->table.values + side->row[i] * dim;
		double		length = run->normalize ? length_of(from, dim) : 1.0;

		for (size_t d = 0; d < dim; d++)
			side->vector[i * dim + d] = (float) (from[d] / length);
	}
}

/* d_x = (d_y - y (y . d_y)) / |x| for y = x / |x|; below the least length y is linear in x. */
static void
through_normalization(const float *x, const float *y, size_t dim, double *gradient)
{
	double		length = length_of(x, dim);
	double		along = 0.0;

	for (size_t d = 0; d < dim; d++)
		along += y[d] * gradient[d];
	if (length * length <= LEAST_SQUARE)
		along = 0.0;
	for (size_t d = 0; d < dim; d++)
		gradient[d] = (gradient[d] - along * y[d]) / length;
}

/* Sums the gradients of equal rows and applies the optimizer. */
static void
update(const trajectory *run, side *side)
{
	size_t		dim = run->dim;
	double	   *sum = TAKE(side->rows * dim, double);
	bool	   *touched = TAKE(side->rows, bool);
	float	   *gradient = TAKE(side->rows * dim, float);
	uint32_t   *rows = TAKE(side->rows, uint32_t);

	for (size_t i = 0; i < side->count; i++)
	{
		double	   *part = TAKE(dim, double);

		for (size_t d = 0; d < dim; d++)
			part[d] = side->gradient[i * dim + d];
		if (run->normalize)
			through_normalization(side->table.values + side->row[i] * dim, side->vector + i * dim,
								  dim, part);
		touched[side->row[i]] = true;
		for (size_t d = 0; d < dim; d++)
			sum[side->row[i] * dim + d] += part[d];
	}
	side->table.touched = 0;
	for (size_t v = 0; v < side->rows; v++)
	{
		if (!touched[v])
			continue;
		for (size_t d = 0; d < dim; d++)
			gradient[side->table.touched * dim + d] = (float) sum[v * dim + d];
		rows[side->table.touched++] = (uint32_t) v;
	}
	side->table.touched_row = rows;
	side->table.gradient = gradient;
	tfrs_optimizer_apply(&run->optimizer, run->steps, &side->table);
}

static tfrs_status
finish_loss(trajectory *run, tfrs_status status, double *total, tfrs_error *error)
{
	while (status == TFRS_OK || status == TFRS_MORE)
	{
		status = tfrs_loss_step(run->loss, total, error);
		if (status == TFRS_OK)
			break;
	}
	return status;
}

static float *
item_probabilities(const trajectory *run)
{
	float	   *probability = TAKE(run->item.count, float);

	if (!run->corrected)
		return NULL;
	for (size_t j = 0; j < run->item.count; j++)
		probability[j] = run->item.probability[run->item.row[j]];
	return probability;
}

/* A row an interaction. */
static tfrs_status
plain_loss(trajectory *run, const pair *pairs, size_t count, double *total, tfrs_error *error)
{
	float	   *weight = TAKE(count, float);
	tfrs_loss_batch batch = {.queries = count,.candidates = count,.dim = run->dim,.heads = 1};

	run->user.count = run->item.count = count;
	run->user.row = TAKE(count, uint32_t);
	run->item.row = TAKE(count, uint32_t);
	for (size_t i = 0; i < count; i++)
	{
		run->user.row[i] = pairs[i].user;
		run->item.row[i] = pairs[i].item;
		weight[i] = pairs[i].weight;
	}
	gather(run, &run->user);
	gather(run, &run->item);
	batch.query = run->user.vector;
	batch.candidate = run->item.vector;
	batch.weight = run->weighted ? weight : NULL;
	batch.probability = item_probabilities(run);
	batch.candidate_id = run->item.row;
	batch.d_query = run->user.gradient;
	batch.d_candidate = run->item.gradient;
	return finish_loss(run, tfrs_loss_begin(run->loss, &batch, &run->options, error), total,
					   error);
}

/* The position of a table row among the distinct rows of the batch, added where it is new. */
static uint32_t
place(side *side, uint32_t row)
{
	size_t		i = 0;

	while (i < side->count && side->row[i] != row)
		i++;
	if (i == side->count)
		side->row[side->count++] = row;
	return (uint32_t) i;
}

/* Equal users and equal items once. */
static tfrs_status
distinct_loss(trajectory *run, pair *pairs, size_t count, double *total, tfrs_error *error)
{
	uint32_t   *query = TAKE(count, uint32_t);
	uint32_t   *candidate = TAKE(count, uint32_t);
	float	   *weight = TAKE(count, float);
	float	   *columns = TAKE(count, float);
	tfrs_loss_distinct batch = {.dim = run->dim};

	run->user.count = run->item.count = 0;
	run->user.row = TAKE(count, uint32_t);
	run->item.row = TAKE(count, uint32_t);
	for (size_t i = 0; i < count; i++)
		columns[place(&run->item, pairs[i].item)] += 1.0f;
	group_pairs(pairs, &count);
	for (size_t p = 0; p < count; p++)
	{
		query[p] = place(&run->user, pairs[p].user);
		candidate[p] = place(&run->item, pairs[p].item);
		weight[p] = pairs[p].weight;
	}
	gather(run, &run->user);
	gather(run, &run->item);
	batch.queries = run->user.count;
	batch.candidates = run->item.count;
	batch.pairs = count;
	batch.query = run->user.vector;
	batch.candidate = run->item.vector;
	batch.candidate_count = columns;
	batch.probability = item_probabilities(run);
	batch.pair_query = query;
	batch.pair_candidate = candidate;
	batch.pair_weight = weight;
	batch.d_query = run->user.gradient;
	batch.d_candidate = run->item.gradient;
	return finish_loss(run, tfrs_loss_begin_distinct(run->loss, &batch, &run->options, error),
					   total, error);
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
compare_final(const trajectory *run, conformance_case *checked, const side *side)
{
	const table *tables = &run->tables->tables;
	size_t		dim = run->dim;

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
			case_near(checked, side->tower, side->table.values[v * dim + d], expected[d], v + 1,
					  d + 1);
		if (side->table.slot[0] == NULL || table_null(tables, r, "final_acc"))
			continue;
		expected = table_vector(tables, r, "final_acc", &length);
		for (size_t d = 0; d < dim && d < length; d++)
			case_near(checked, "accumulator", side->table.slot[0][v * dim + d], expected[d], v + 1,
					  d + 1);
	}
}

/* The batches are in the file in the order in which they are trained on. */
static void
train(trajectory *run, conformance_case *checked)
{
	for (size_t r = 0; r < run->tables->batches.rows; r++)
	{
		size_t		count;
		pair	   *pairs = read_batch(run, r, &count);
		double		total = 0.0;
		tfrs_error	error;
		tfrs_status status;

		run->steps++;
		status = run->distinct ? distinct_loss(run, pairs, count, &total, &error)
			: plain_loss(run, pairs, count, &total, &error);
		if (status != TFRS_OK)
		{
			case_problem(checked, "%s", error.message);
			return;
		}
		compare_loss(run, checked, r, total);
		update(run, &run->user);
		update(run, &run->item);
	}
	compare_final(run, checked, &run->user);
	compare_final(run, checked, &run->item);
}

static void
conform_variant(const trajectory_tables *tables, size_t variant, bool distinct)
{
	trajectory	run = {.tables = tables,.variant = variant,.distinct = distinct};
	const char *suite = distinct ? "trajectory, distinct form" : "trajectory, plain form";
	conformance_case checked;
	tfrs_error	error;

	run.name = table_text(&tables->variants, variant, "variant");
	case_begin(&checked, suite, run.name);
	read_variant(&run);
	if (distinct && run.options.hard_negatives > 0)
	{
		case_skip(suite, run.name, "hard negatives need the plain form");
		return;
	}
	if (tfrs_loss_create(&run.loss, arena(), 2, &error) != TFRS_OK)
		case_problem(&checked, "%s", error.message);
	else
	{
		train(&run, &checked);
		tfrs_loss_destroy(run.loss);
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
		conform_variant(&tables, v, false);
		conform_variant(&tables, v, true);
	}
}
