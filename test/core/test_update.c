/*
 * test_update.c: one update of both tables against the formulas written out in double precision,
 * for every form of the loss and every switch.
 */
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/random.h"
#include "check.h"
#include "learning/update.h"

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

enum
{
	QUERIES = 12, CANDIDATES = 9, ROWS = 40, DIM = 5
};

#define RATE 0.1

typedef struct reference
{
	double		query[QUERIES][DIM];
	double		candidate[CANDIDATES][DIM];
	double		probability[CANDIDATES];
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

static double
logit(const reference *model, const tfrs_train_options *options, const tfrs_interaction *rows,
	  int i, int j, const double *q, const double *c)
{
	double		sum = 0;

	if (options->loss.remove_accidental_hits && i != j &&
		rows[i].candidate == rows[j].candidate)
		return -INFINITY;
	for (int d = 0; d < DIM; d++)
		sum += q[d] * c[d];
	sum /= options->loss.temperature;
	if (options->correction == TFRS_CORRECTION_IN_BATCH)
		sum -= log(fmin(fmax(model->probability[rows[j].candidate],
							 options->loss.probability_floor), 1.0));
	return sum;
}

/* The plain loss of all rows, its gradients by the formula, and one step of SGD. */
static void
update_reference(reference *model, const tfrs_train_options *options,
				 const tfrs_interaction *rows)
{
	static double q[ROWS][DIM], c[ROWS][DIM], d_q[ROWS][DIM], d_c[ROWS][DIM];
	double		q_length[ROWS], c_length[ROWS];
	reference	gradient = {0};

	memset(d_q, 0, sizeof(d_q));
	memset(d_c, 0, sizeof(d_c));
	model->loss = 0;
	for (int i = 0; i < ROWS; i++)
	{
		q_length[i] = unit(model->query[rows[i].query], options->normalize, q[i]);
		c_length[i] = unit(model->candidate[rows[i].candidate], options->normalize, c[i]);
	}
	for (int i = 0; i < ROWS; i++)
	{
		double		s[ROWS];
		double		sum = 0;

		for (int j = 0; j < ROWS; j++)
		{
			s[j] = logit(model, options, rows, i, j, q[i], c[j]);
			sum += exp(s[j]);
		}
		model->loss += rows[i].weight * (log(sum) - s[i]);
		for (int j = 0; j < ROWS; j++)
		{
			double		d = rows[i].weight * (exp(s[j]) / sum - (i == j)) /
				options->loss.temperature;

			for (int k = 0; k < DIM; k++)
			{
				d_q[i][k] += d * c[j][k];
				d_c[j][k] += d * q[i][k];
			}
		}
	}
	for (int i = 0; i < ROWS; i++)
	{
		pull_back(q[i], q_length[i], options->normalize, d_q[i], gradient.query[rows[i].query]);
		pull_back(c[i], c_length[i], options->normalize, d_c[i],
				  gradient.candidate[rows[i].candidate]);
	}
	for (int i = 0; i < QUERIES * DIM; i++)
		(&model->query[0][0])[i] -= RATE * (&gradient.query[0][0])[i];
	for (int i = 0; i < CANDIDATES * DIM; i++)
		(&model->candidate[0][0])[i] -= RATE * (&gradient.candidate[0][0])[i];
}

static void
draw_rows(tfrs_interaction *rows, tfrs_random *random)
{
	for (int i = 0; i < ROWS; i++)
	{
		rows[i].query = tfrs_random_below(random, QUERIES - 1); /* one is in no batch */
		rows[i].candidate = tfrs_random_below(random, CANDIDATES - 1);
		rows[i].weight = 0.25f * (float) (1 + tfrs_random_below(random, 4));
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
	tfrs_update_parts parts = {options, &query, &candidate, NULL, ROWS};
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
	if (options->correction != TFRS_CORRECTION_NONE)
		parts.probability = probability;
	CHECK_OK(tfrs_update_create(&update, check_arena(), &parts, &check_error));
	for (int step = 0; step < 3; step++)
	{
		double		loss;
		tfrs_status status;

		draw_rows(rows, &random);
		CHECK_OK(tfrs_update_begin(update, rows, ROWS, &check_error));
		while ((status = tfrs_update_step(update, &loss, &check_error)) == TFRS_MORE)
			;
		CHECK_OK(status);
		update_reference(&model, options, rows);
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

/* A batch in which nothing repeats takes the plain form without copies: same numbers. */
CHECK_TEST(forms_agree_where_nothing_repeats)
{
	float		values[2][10 * DIM];

	for (int form = 0; form < 2; form++)
	{
		tfrs_train_options options;
		tfrs_table	query;
		tfrs_table	candidate;
		tfrs_update_parts parts = {&options, &query, &candidate, NULL, 10};
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

enum
{
	WIDE = TFRS_MAX_DIM, WIDE_ROWS = 300, WIDE_IDS = 150
};

/* One update of tables whose columns beyond the first five are 0; both tables in values. */
static void
update_wide(const tfrs_train_options *options, float *values)
{
	tfrs_table	tables[2];
	tfrs_update_parts parts = {options, &tables[0], &tables[1], NULL, WIDE_ROWS};
	tfrs_interaction rows[WIDE_ROWS];
	tfrs_update *update;
	tfrs_random random;
	tfrs_status status;
	double		loss;
	size_t		dim = options->dim;

	tfrs_random_init(&random, 9, 0, 0);
	for (int side = 0; side < 2; side++)
	{
		tfrs_table *table = &tables[side];

		CHECK_OK(tfrs_table_init(table, check_arena(), WIDE_IDS, dim, 1, &check_error));
		for (size_t i = 0; i < table->rows * dim; i++)
		{
			table->values[i] = i % dim < DIM ? tfrs_random_float(&random) : 0.0f;
			table->slot[0][i] = 0.1f;
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
	tfrs_update_parts parts = {&options, &table, &table, NULL, 3};
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
