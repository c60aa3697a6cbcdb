/*
 * test_update.c: one update of both tables against the formulas written out in double precision,
 * for every form of the loss and every switch.
 */
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/random.h"
#include "check.h"
#include "learning/streams.h"
#include "learning/update.h"

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

enum
{
	QUERIES = 12, CANDIDATES = 9, ROWS = 40, DIM = 5, NEGATIVES = 7
};

#define RATE 0.1

typedef struct reference
{
	double		query[QUERIES][DIM];
	double		candidate[CANDIDATES][DIM];
	double		probability[CANDIDATES];
	bool		known[QUERIES][CANDIDATES];
	double		loss;
} reference;

/* y of a table row, and its length. */
static double
unit(const double *x, bool normalize, double *y)
{
	double		square = 0;
	double		length = 1;

	for (int j = 0; j < DIM; j++)
		square += x[j] * x[j];
	if (normalize)
		length = sqrt(fmax(square, 1e-12));
	for (int j = 0; j < DIM; j++)
		y[j] = x[j] / length;
	return length;
}

/* Adds to d_x what d_y means for x. */
static void
pull_back(const double *y, double length, bool normalize, const double *d_y, double *d_x)
{
	double		along = 0;

	for (int j = 0; normalize && j < DIM; j++)
		along += y[j] * d_y[j];
	for (int j = 0; j < DIM; j++)
		d_x[j] += (d_y[j] - y[j] * along) / length;
}

/* The columns of a batch: of the rows, then those drawn; or all candidates. */
typedef struct columns
{
	int			count;
	uint32_t	candidate[ROWS + NEGATIVES];
} columns;

static columns
columns_of(const tfrs_train_options *options, const tfrs_interaction *rows, uint64_t step)
{
	columns		made = {0};
	tfrs_random random;

	tfrs_random_init(&random, options->seed, TFRS_STREAM_NEGATIVES, step);
	for (int i = 0; i < ROWS && !options->full_softmax; i++)
		made.candidate[made.count++] = rows[i].candidate;
	for (uint32_t i = 0; i < CANDIDATES && options->full_softmax; i++)
		made.candidate[made.count++] = i;
	for (uint32_t i = 0; i < options->uniform_negatives; i++)
		made.candidate[made.count++] = tfrs_random_below(&random, CANDIDATES);
	return made;
}

static double
dot(const double *a, const double *b)
{
	double		sum = 0;

	for (int d = 0; d < DIM; d++)
		sum += a[d] * b[d];
	return sum;
}

/* ln of the weight of column j in the sum of a row whose own column is own. */
static double
column_gain(const reference *model, const tfrs_train_options *options,
			const tfrs_interaction *row, const columns *c, int own, int j)
{
	uint32_t	candidate = c->candidate[j];
	double		negatives = options->uniform_negatives;
	double		q;

	if (j != own && options->mask_known && model->known[row->query][candidate])
		return -INFINITY;
	if (j != own && candidate == row->candidate &&
		(options->loss.remove_accidental_hits || options->correction == TFRS_CORRECTION_CORRECTED))
		return -INFINITY;
	if (options->correction == TFRS_CORRECTION_NONE)
		return 0;
	q = (ROWS * model->probability[candidate] + negatives / CANDIDATES) / (ROWS + negatives);
	q = fmin(fmax(q, options->loss.probability_floor), 1.0);
	if (options->correction == TFRS_CORRECTION_IN_BATCH)
		return -log(q);
	return j == own ? 0 : -log(q * (c->count - 1));
}

/* Adds the gradient of (2 l2 |v|^2 for a touched row) and the squares of all. */
static double
finish_gradient(const tfrs_train_options *options, const double *values, const bool *touched,
				double *gradient, int rows)
{
	double		square = 0;

	for (int i = 0; i < rows * DIM; i++)
	{
		if (options->reduction == TFRS_REDUCTION_MEAN)
			gradient[i] /= ROWS;
		if (touched[i / DIM])
			gradient[i] += 2.0 * options->l2 * values[i];
		square += gradient[i] * gradient[i];
	}
	return square;
}

static void
descend(reference *model, const tfrs_train_options *options, reference *gradient,
		const bool *queries, const bool *candidates)
{
	double		square = finish_gradient(options, &model->query[0][0], queries,
										 &gradient->query[0][0], QUERIES) +
		finish_gradient(options, &model->candidate[0][0], candidates,
						&gradient->candidate[0][0], CANDIDATES);
	double		rate = RATE;

	if (options->clip_norm > 0 && sqrt(square) > options->clip_norm)
		rate *= options->clip_norm / sqrt(square);
	for (int i = 0; i < QUERIES * DIM; i++)
		(&model->query[0][0])[i] -= rate * (&gradient->query[0][0])[i];
	for (int i = 0; i < CANDIDATES * DIM; i++)
		(&model->candidate[0][0])[i] -= rate * (&gradient->candidate[0][0])[i];
}

/* One row of the plain loss: adds to the gradients of the vectors. */
static void
row_reference(reference *model, const tfrs_train_options *options, const tfrs_interaction *row,
			  const columns *c, int own, const reference *unit_of, reference *d)
{
	const double *q = unit_of->query[row->query];
	double		s[ROWS + NEGATIVES];
	double		gain[ROWS + NEGATIVES];
	double		own_gain;
	double		sum = 0;

	for (int j = 0; j < c->count; j++)
	{
		s[j] = dot(q, unit_of->candidate[c->candidate[j]]) / options->loss.temperature;
		gain[j] = column_gain(model, options, row, c, own, j);
		sum += exp(s[j] + gain[j]);
	}
	own_gain = options->correction == TFRS_CORRECTION_IN_BATCH ? gain[own] : 0;
	model->loss += row->weight * (log(sum) - s[own] - own_gain);
	for (int j = 0; j < c->count; j++)
	{
		double		g = row->weight * (exp(s[j] + gain[j]) / sum - (j == own)) /
			options->loss.temperature;

		for (int k = 0; k < DIM; k++)
		{
			d->query[row->query][k] += g * unit_of->candidate[c->candidate[j]][k];
			d->candidate[c->candidate[j]][k] += g * q[k];
		}
	}
}

/* The plain loss of all rows, its gradients by the formula, and one step of SGD. */
static void
update_reference(reference *model, const tfrs_train_options *options,
				 const tfrs_interaction *rows, uint64_t step)
{
	columns		c = columns_of(options, rows, step);
	reference	unit_of;
	reference	d = {0};
	reference	gradient = {0};
	bool		queries[QUERIES] = {false};
	bool		candidates[CANDIDATES] = {false};
	double		q_length[QUERIES];
	double		c_length[CANDIDATES];

	model->loss = 0;
	for (int i = 0; i < QUERIES; i++)
		q_length[i] = unit(model->query[i], options->normalize, unit_of.query[i]);
	for (int i = 0; i < CANDIDATES; i++)
		c_length[i] = unit(model->candidate[i], options->normalize, unit_of.candidate[i]);
	for (int i = 0; i < ROWS; i++)
	{
		row_reference(model, options, &rows[i], &c,
					  options->full_softmax ? (int) rows[i].candidate : i, &unit_of, &d);
		queries[rows[i].query] = true;
	}
	for (int j = 0; j < c.count; j++)
		candidates[c.candidate[j]] = true;
	for (int i = 0; i < QUERIES; i++)
		pull_back(unit_of.query[i], q_length[i], options->normalize, d.query[i],
				  gradient.query[i]);
	for (int i = 0; i < CANDIDATES; i++)
		pull_back(unit_of.candidate[i], c_length[i], options->normalize, d.candidate[i],
				  gradient.candidate[i]);
	descend(model, options, &gradient, queries, candidates);
	if (options->reduction == TFRS_REDUCTION_MEAN)
		model->loss /= ROWS;
}

/* Of the known pairs. */
static void
draw_rows(tfrs_interaction *rows, bool known[QUERIES][CANDIDATES], tfrs_random *random)
{
	for (int i = 0; i < ROWS; i++)
	{
		do
		{
			rows[i].query = tfrs_random_below(random, QUERIES - 1); /* one is in no batch */
			rows[i].candidate = tfrs_random_below(random, CANDIDATES - 1);
		}
		while (!known[rows[i].query][rows[i].candidate]);
		rows[i].weight = 0.25f * (float) (1 + tfrs_random_below(random, 4));
	}
}

/* Half of all pairs, each query's in descending order. */
static void
draw_known(reference *model, tfrs_events *events, uint64_t *offsets, uint32_t *candidate,
		   tfrs_random *random)
{
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		for (uint32_t c = CANDIDATES; c-- > 0;)
		{
			model->known[q][c] = tfrs_random_below(random, 2) == 0;
			if (model->known[q][c])
				candidate[events->count++] = c;
		}
		offsets[q + 1] = events->count;
	}
}

static void
draw_table(tfrs_table *table, double *values, tfrs_random *random)
{
	tfrs_random_fill(random, table->values, table->rows * DIM, -1.0f, 1.0f);
	for (size_t i = 0; i < (table->rows - 1) * DIM; i++)
		values[i] = table->values[i];
}

static void
check_table(const tfrs_table *table, const double *expected)
{
	for (size_t i = 0; i < (table->rows - 1) * DIM; i++)
		CHECK_NEAR(table->values[i], expected[i], 2e-5);
}

static void
check_updates(const tfrs_train_options *options)
{
	tfrs_table	query;
	tfrs_table	candidate;
	float		probability[CANDIDATES];
	uint64_t	offsets[QUERIES + 1] = {0};
	uint32_t	known[QUERIES * CANDIDATES];
	tfrs_events events = {.queries = QUERIES, .offsets = offsets, .candidate = known};
	tfrs_update_parts parts = {
		.options = options, .query = &query, .candidate = &candidate,
		.batch_rows = ROWS
	};
	tfrs_interaction rows[ROWS];
	tfrs_update *update;
	tfrs_random random;
	reference	model;

	tfrs_random_init(&random, 4, 0, 0);
	CHECK_OK(tfrs_table_init(&query, check_arena(), QUERIES, DIM, 0, &check_error));
	CHECK_OK(tfrs_table_init(&candidate, check_arena(), CANDIDATES, DIM, 0, &check_error));
	draw_table(&query, &model.query[0][0], &random);
	draw_table(&candidate, &model.candidate[0][0], &random);
	for (int i = 0; i < CANDIDATES; i++)
		model.probability[i] = probability[i] = 0.02f * (float) (i * i);
	draw_known(&model, &events, offsets, known, &random);
	if (options->mask_known)
		parts.known = &events;
	if (options->correction != TFRS_CORRECTION_NONE)
		parts.probability = probability;
	CHECK_OK(tfrs_update_create(&update, check_arena(), &parts, &check_error));
	for (int step = 0; step < 3; step++)
	{
		double		loss;
		tfrs_status status;

		draw_rows(rows, model.known, &random);
		CHECK_OK(tfrs_update_begin(update, rows, ROWS, &check_error));
		while ((status = tfrs_update_step(update, &loss, &check_error)) == TFRS_MORE)
			;
		CHECK_OK(status);
		update_reference(&model, options, rows, (uint64_t) step + 1);
		CHECK_NEAR(loss, model.loss, 2e-5 * model.loss);
		check_table(&query, &model.query[0][0]);
		check_table(&candidate, &model.candidate[0][0]);
	}
	tfrs_update_destroy(update);
	tfrs_table_free(&query);
	tfrs_table_free(&candidate);
}

CHECK_TEST(an_update_is_the_formula)
{
	for (int switches = 0; switches < 24; switches++)
	{
		tfrs_train_options options;

		tfrs_train_options_tfrs(&options);
		tfrs_optimizer_default(&options.optimizer, TFRS_SGD);
		options.optimizer.learning_rate = (float) RATE;
		options.dim = DIM;
		options.normalize = switches & 1;
		options.correction = switches & 2 ? TFRS_CORRECTION_IN_BATCH : TFRS_CORRECTION_NONE;
		options.loss.remove_accidental_hits = switches & 4;
		options.loss.temperature = 0.5f;
		options.form = (tfrs_loss_form) (switches / 8);
		CHECK(tfrs_train_options_check(&options) == NULL);
		check_updates(&options);
	}
}

enum
{
	WIDE = TFRS_MAX_DIM, WIDE_ROWS = 300, WIDE_IDS = 150
};

/* One update of tables whose columns beyond the first five are 0; both tables in values. */
static void
update_wide(const tfrs_train_options *options, float *values)
{
	tfrs_table	tables[2];
	tfrs_update_parts parts = {
		.options = options, .query = &tables[0], .candidate = &tables[1],
		.batch_rows = WIDE_ROWS
	};
	tfrs_interaction rows[WIDE_ROWS];
	tfrs_update *update;
	tfrs_random random;
	tfrs_status status;
	double		loss;
	size_t		dim = options->dim;
	tfrs_optimizer optimizer = tfrs_train_options_optimizer(options, WIDE_ROWS);

	tfrs_random_init(&random, 9, 0, 0);
	for (int side = 0; side < 2; side++)
	{
		tfrs_table *table = &tables[side];

		CHECK_OK(tfrs_table_init(table, check_arena(), WIDE_IDS, dim,
								 tfrs_optimizer_slots(&optimizer), &check_error));
		for (size_t i = 0; i < table->rows * dim; i++)
		{
			table->values[i] = i % dim < DIM ? tfrs_random_float(&random) : 0.0f;
			for (int slot = 0; slot < table->slots; slot++)
				table->slot[slot][i] = tfrs_optimizer_initial(&optimizer, slot);
		}
	}
	for (uint32_t i = 0; i < WIDE_ROWS; i++)
		rows[i] = (tfrs_interaction) {i % WIDE_IDS, i * 7 / 2 % WIDE_IDS, 1.0f, 0};
	CHECK_OK(tfrs_update_create(&update, check_arena(), &parts, &check_error));
	CHECK_OK(tfrs_update_begin(update, rows, WIDE_ROWS, &check_error));
	while ((status = tfrs_update_step(update, &loss, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
	for (size_t i = 0; i < 2 * WIDE_IDS * dim; i++)
	{
		float		value = tables[i / (WIDE_IDS * dim)].values[i % (WIDE_IDS * dim)];

		if (i % dim < DIM)
			values[i / dim * DIM + i % dim] = value;
		else
			CHECK(value == 0.0f);
	}
	tfrs_update_destroy(update);
	tfrs_table_free(&tables[0]);
	tfrs_table_free(&tables[1]);
}

/* What is sampled, what is masked and how the gradient is finished, in all forms that allow it. */
CHECK_TEST(an_update_of_other_columns_is_the_formula)
{
	for (int switches = 0; switches < 64; switches++)
	{
		tfrs_train_options options;

		tfrs_train_options_tfrs(&options);
		tfrs_optimizer_default(&options.optimizer, TFRS_SGD);
		options.optimizer.learning_rate = (float) RATE;
		options.dim = DIM;
		options.normalize = switches & 1;
		options.mask_known = switches & 2;
		options.correction = (tfrs_sampling_correction) (switches / 4 % 4);
		options.full_softmax = options.correction > TFRS_CORRECTION_CORRECTED;
		if (options.full_softmax)
			options.correction = TFRS_CORRECTION_NONE;
		else
			options.uniform_negatives = switches & 16 ? NEGATIVES : 0;
		if (!options.full_softmax)
			options.form = switches & 32 ? TFRS_FORM_PLAIN : TFRS_FORM_DISTINCT;
		options.reduction = switches & 16 ? TFRS_REDUCTION_MEAN : TFRS_REDUCTION_SUM;
		options.l2 = switches & 1 ? 0.02f : 0.0f;
		options.clip_norm = switches & 2 ? 0.1f : 0.0f;
		options.loss.temperature = 0.5f;
		CHECK(tfrs_train_options_check(&options) == NULL);
		check_updates(&options);
	}
}

/* Constants divided as the gradients are make the same steps of a mean as of a sum. */
CHECK_TEST(a_mean_takes_the_steps_of_a_sum)
{
	static const tfrs_optimizer_kind kinds[] = {TFRS_ADAGRAD, TFRS_ADAM, TFRS_CLIPPY_ADAGRAD};

	for (int k = 0; k < 3; k++)
	{
		static float values[2][2 * WIDE_IDS * DIM];

		for (int mean = 0; mean < 2; mean++)
		{
			tfrs_train_options options;

			tfrs_train_options_tfrs(&options);
			tfrs_optimizer_default(&options.optimizer, kinds[k]);
			options.optimizer.accumulator_relative_threshold = 0.001f;
			options.dim = DIM;
			options.reduction = (tfrs_reduction) mean;
			update_wide(&options, values[mean]);
		}
		for (int i = 0; i < 2 * WIDE_IDS * DIM; i++)
			CHECK_NEAR(values[0][i], values[1][i], 1e-6);
	}
}

/* A batch in which nothing repeats takes the plain form without copies: same numbers. */
CHECK_TEST(forms_agree_where_nothing_repeats)
{
	float		values[2][10 * DIM];

	for (int form = 0; form < 2; form++)
	{
		tfrs_train_options options;
		tfrs_table	query;
		tfrs_table	candidate;
		tfrs_update_parts parts = {
			.options = &options, .query = &query, .candidate = &candidate,
			.batch_rows = 10
		};
		tfrs_interaction rows[10];
		tfrs_update *update;
		tfrs_random random;
		double		loss;

		tfrs_train_options_tfrs(&options);
		options.dim = DIM;
		options.form = form == 0 ? TFRS_FORM_AUTO : TFRS_FORM_DISTINCT;
		tfrs_random_init(&random, 4, 0, 0);
		CHECK_OK(tfrs_table_init(&query, check_arena(), 10, DIM, 1, &check_error));
		CHECK_OK(tfrs_table_init(&candidate, check_arena(), 10, DIM, 1, &check_error));
		while (tfrs_table_fill_step(&query, &options.optimizer, &random) == TFRS_MORE ||
			   tfrs_table_fill_step(&candidate, &options.optimizer, &random) == TFRS_MORE)
			;
		CHECK_OK(tfrs_update_create(&update, check_arena(), &parts, &check_error));
		for (uint32_t i = 0; i < 10; i++)
			rows[i] = (tfrs_interaction) {i * 3 % 10, 9 - i, 1.0f, 0};
		CHECK_OK(tfrs_update_begin(update, rows, 10, &check_error));
		while (tfrs_update_step(update, &loss, &check_error) == TFRS_MORE)
			;
		memcpy(values[form], query.values, sizeof(values[form]));
		tfrs_update_destroy(update);
		tfrs_table_free(&query);
		tfrs_table_free(&candidate);
	}
	for (int i = 0; i < 10 * DIM; i++)
		CHECK_NEAR(values[0][i], values[1][i], 1e-6);
}

/* Vectors so wide that gathering and applying takes several pieces, beside narrow ones. */
CHECK_TEST(pieces_do_not_show)
{
	static float narrow[2 * WIDE_IDS * DIM];
	static float wide[2 * WIDE_IDS * DIM];

	for (int switches = 0; switches < 4; switches++)
	{
		tfrs_train_options options;

		tfrs_train_options_tfrs(&options);
		options.normalize = switches & 1;
		options.form = switches & 2 ? TFRS_FORM_PLAIN : TFRS_FORM_DISTINCT;
		options.dim = DIM;
		update_wide(&options, narrow);
		options.dim = WIDE;
		update_wide(&options, wide);
		for (int i = 0; i < 2 * WIDE_IDS * DIM; i++)
			CHECK_NEAR(wide[i], narrow[i], 1e-5);
	}
}

CHECK_TEST(a_batch_has_rows_and_no_more_than_there_is_room_for)
{
	tfrs_train_options options;
	tfrs_table	table;
	tfrs_update_parts parts = {
		.options = &options, .query = &table, .candidate = &table,
		.batch_rows = 3
	};
	tfrs_interaction rows[4] = {{0, 0, 1.0f, 0}};
	tfrs_update *update;

	tfrs_train_options_tfrs(&options);
	options.dim = DIM;
	CHECK_OK(tfrs_table_init(&table, check_arena(), 1, DIM, 1, &check_error));
	CHECK_OK(tfrs_update_create(&update, check_arena(), &parts, &check_error));
	CHECK_STATUS(tfrs_update_begin(update, rows, 0, &check_error), TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_update_begin(update, rows, 4, &check_error), TFRS_INVALID_ARGUMENT);
	tfrs_update_destroy(update);
	tfrs_table_free(&table);
}

CHECK_TEST(tables_are_filled_and_averaged_in_steps)
{
	enum
	{
		IDS = 300000, WIDTH = 8
	};
	tfrs_optimizer optimizer;
	tfrs_table	table;
	tfrs_random random;
	uint32_t   *counts;
	float	   *expected;
	double		sum = 0;
	double		total = 0;
	int			steps = 0;

	tfrs_optimizer_default(&optimizer, TFRS_ADAGRAD);
	tfrs_random_init(&random, 1, 2, 3);
	CHECK_OK(tfrs_table_init(&table, check_arena(), IDS, WIDTH, 1, &check_error));
	while (tfrs_table_fill_step(&table, &optimizer, &random) == TFRS_MORE)
		steps++;
	CHECK(steps > 1);
	CHECK_OK(TFRS_GET(check_arena(), &expected, (IDS + 1) * WIDTH, &check_error));
	tfrs_random_init(&random, 1, 2, 3);
	tfrs_random_fill(&random, expected, (IDS + 1) * WIDTH, -0.05f, 0.05f);
	CHECK(memcmp(expected, table.values, (IDS + 1) * WIDTH * sizeof(float)) == 0);
	CHECK(table.slot[0][IDS * WIDTH] == 0.1f);
	CHECK_OK(TFRS_GET(check_arena(), &counts, IDS, &check_error));
	for (uint32_t i = 0; i < IDS; i++)
	{
		counts[i] = i % 7;
		total += counts[i];
		sum += (double) counts[i] * table.values[i * WIDTH + 3];
	}
	while (tfrs_table_average_step(&table, counts) == TFRS_MORE)
		;
	CHECK_NEAR(table.values[IDS * WIDTH + 3], sum / total, 1e-9);
	while (tfrs_table_normalize_step(&table, WIDTH) == TFRS_MORE)
		;
	for (size_t i = 0; i <= IDS; i += 1000)
	{
		double		square = 0;

		for (int j = 0; j < WIDTH; j++)
			square += (double) table.values[i * WIDTH + j] * table.values[i * WIDTH + j];
		CHECK_NEAR(square, 1.0, 1e-5);
	}
	tfrs_table_free(&table);
}
