/*
 * test_state_loss.c: the softmax loss of rows with several targets against its formula in double.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/random.h"
#include "learning/state_loss.h"

#define ROWS 330				/* 6 tiles: two rounds over the lanes */
#define COLUMNS 45
#define DIM 6

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
}

/* A batch with what it points to. */
typedef struct problem
{
	tfrs_state_batch batch;
	tfrs_ragged target;
	tfrs_ragged masked;
	float		query[ROWS * DIM];
	float		candidate[COLUMNS * DIM];
	float		column_weight[COLUMNS];
	float		d_query[ROWS * DIM];
	float		d_candidate[COLUMNS * DIM];
} problem;

static problem p;

/* Row r has r % 4 targets (none too), one of them twice in every fifth row,
 * and some masked columns. */
static void
fill_lists(tfrs_random *random)
{
	CHECK_OK(tfrs_ragged_reserve(&p.target, check_arena(), ROWS, ROWS * 5, &check_error));
	CHECK_OK(tfrs_ragged_reserve(&p.masked, check_arena(), ROWS, ROWS * 5, &check_error));
	for (uint32_t r = 0; r < ROWS; r++)
	{
		for (uint32_t i = 0; i < r % 4; i++)
			tfrs_ragged_push(&p.target, (r + 5 * i) % COLUMNS, 0.1f + tfrs_random_float(random));
		if (r % 5 == 0 && r % 4 > 0)
			tfrs_ragged_push(&p.target, r % COLUMNS, 0.5f);
		for (uint32_t i = 0; i < r % 3; i++)
			tfrs_ragged_push(&p.masked, (r + 11 + 6 * i) % COLUMNS, 0.0f);
		tfrs_ragged_end_row(&p.target);
		tfrs_ragged_end_row(&p.masked);
	}
}

static void
make_problem(size_t rows, float size, bool weighted)
{
	tfrs_random random;

	memset(&p, 0, sizeof(p));
	tfrs_random_init(&random, 2, 3, 4);
	fill_lists(&random);
	tfrs_random_fill(&random, p.query, ROWS * DIM, -size, size);
	tfrs_random_fill(&random, p.candidate, COLUMNS * DIM, -1, 1);
	for (int c = 0; c < COLUMNS; c++)
		p.column_weight[c] = 0.5f * (float) (1 + c % 7);
	p.batch = (tfrs_state_batch) {
		.rows = rows, .columns = COLUMNS, .dim = DIM, .query = p.query, .candidate = p.candidate,
		.negatives = weighted ? COLUMNS - 9 : COLUMNS,
		.column_weight = weighted ? p.column_weight : NULL,
		.target = &p.target, .masked = &p.masked,
		.d_query = p.d_query, .d_candidate = p.d_candidate
	};
}

static double
run(int threads)
{
	tfrs_state_loss loss;
	double		total = NAN;

	memset(p.d_query, 0xff, sizeof(p.d_query));
	memset(p.d_candidate, 0xff, sizeof(p.d_candidate));
	tfrs_state_loss_init(&loss, check_arena(), threads);
	CHECK_OK(tfrs_state_loss_begin(&loss, &p.batch, &check_error));
	while (tfrs_state_loss_step(&loss, &total) == TFRS_MORE)
		;
	tfrs_state_loss_free(&loss);
	return total;
}

static double
logit(size_t row, size_t column)
{
	double		sum = 0;

	for (int d = 0; d < DIM; d++)
		sum += (double) p.query[row * DIM + d] * p.candidate[column * DIM + d];
	return sum;
}

static bool
has(const tfrs_ragged *lists, size_t row, size_t column)
{
	for (size_t i = lists->start[row]; i < lists->start[row + 1]; i++)
		if (lists->item[i] == column)
			return true;
	return false;
}

/* c_j e_j of a negative, else 0 */
static double
negative(size_t row, size_t column)
{
	double		weight = p.batch.column_weight == NULL ? 1 : p.column_weight[column];

	if (column >= p.batch.negatives)
		return 0;
	if (has(&p.target, row, column) || has(&p.masked, row, column))
		return 0;
	return weight * exp(logit(row, column));
}

/* The formula of state_loss.h as it stands, with its gradients. */
static double
expected_row(size_t row, double d_logit[COLUMNS])
{
	double		all = 0;
	double		a = 0;
	double		loss = 0;

	memset(d_logit, 0, COLUMNS * sizeof(double));
	for (size_t c = 0; c < COLUMNS; c++)
		all += negative(row, c);
	for (size_t i = p.target.start[row]; i < p.target.start[row + 1] && all > 0; i++)
	{
		uint32_t	t = p.target.item[i];
		double		e = exp(logit(row, t));

		loss -= p.target.weight[i] * log(e / (e + all));
		a += p.target.weight[i] / (e + all);
		d_logit[t] -= p.target.weight[i] * all / (e + all);
	}
	for (size_t c = 0; c < COLUMNS; c++)
		d_logit[c] += a * negative(row, c);
	return loss;
}

static void
check_against_formula(double tolerance)
{
	static double d_candidate[COLUMNS * DIM];
	double		expected = 0;
	double		got = run(1);

	memset(d_candidate, 0, sizeof(d_candidate));
	for (size_t r = 0; r < p.batch.rows; r++)
	{
		double		d_logit[COLUMNS];
		double		d_query[DIM] = {0};

		expected += expected_row(r, d_logit);
		for (size_t c = 0; c < COLUMNS; c++)
			for (int d = 0; d < DIM; d++)
			{
				d_query[d] += d_logit[c] * p.candidate[c * DIM + d];
				d_candidate[c * DIM + d] += d_logit[c] * p.query[r * DIM + d];
			}
		for (int d = 0; d < DIM; d++)
			CHECK_NEAR(p.d_query[r * DIM + d], d_query[d], tolerance);
	}
	for (int i = 0; i < COLUMNS * DIM; i++)
		CHECK_NEAR(p.d_candidate[i], d_candidate[i], 20 * tolerance);
	CHECK_NEAR(got, expected, 20 * tolerance * (1 + expected));
}

CHECK_TEST(loss_and_gradients_by_formula)
{
	for (int weighted = 0; weighted < 2; weighted++)
	{
		static const size_t rows[] = {1, 64, 65, ROWS};

		for (int i = 0; i < 4; i++)
		{
			make_problem(rows[i], 1.5f, weighted);
			check_against_formula(2e-6);
		}
	}
}

/* Logits in the hundreds: neither infinite nor lost. */
CHECK_TEST(large_logits)
{
	make_problem(ROWS, 100.0f, false);
	check_against_formula(3e-4);
	make_problem(ROWS, 100.0f, true);
	check_against_formula(3e-4);
}

/* In double the loss's own differences are its gradients. */
CHECK_TEST(gradients_by_differences)
{
	make_problem(8, 1.0f, true);
	(void) run(1);
	for (int i = 0; i < 8 * DIM + COLUMNS * DIM; i++)
	{
		float	   *x = i < 8 * DIM ? &p.query[i] : &p.candidate[i - 8 * DIM];
		float		got = i < 8 * DIM ? p.d_query[i] : p.d_candidate[i - 8 * DIM];
		double		d_logit[COLUMNS];
		double		difference = 0;
		float		kept = *x;

		for (int sign = -1; sign <= 1; sign += 2)
		{
			*x = kept + (float) sign * 1e-3f;
			for (size_t r = 0; r < 8; r++)
				difference += sign * expected_row(r, d_logit);
		}
		CHECK_NEAR(got, difference / ((double) (kept + 1e-3f) - (double) (kept - 1e-3f)), 1e-4);
		*x = kept;
	}
}

/* All columns are targets or masked: nothing to tell apart, nothing to learn. */
CHECK_TEST(no_negatives_no_loss)
{
	make_problem(1, 1.0f, false);
	CHECK_OK(tfrs_ragged_reserve(&p.target, check_arena(), 1, COLUMNS, &check_error));
	CHECK_OK(tfrs_ragged_reserve(&p.masked, check_arena(), 1, COLUMNS, &check_error));
	for (uint32_t c = 0; c < COLUMNS; c++)
		tfrs_ragged_push(c % 2 ? &p.target : &p.masked, c, 1.0f);
	tfrs_ragged_end_row(&p.target);
	tfrs_ragged_end_row(&p.masked);
	CHECK(run(1) == 0);
	for (int i = 0; i < COLUMNS * DIM; i++)
		CHECK(p.d_candidate[i] == 0);
	for (int d = 0; d < DIM; d++)
		CHECK(p.d_query[d] == 0);
}

CHECK_TEST(weights_of_zero_move_nothing)
{
	make_problem(ROWS, 1.0f, true);
	for (size_t i = 0; i < p.target.count; i++)
		p.target.weight[i] = 0;
	CHECK(run(1) == 0);
	for (int i = 0; i < COLUMNS * DIM; i++)
		CHECK(p.d_candidate[i] == 0);
}

CHECK_TEST(threads_do_not_show)
{
	static problem first;
	double		total;

	make_problem(ROWS, 1.5f, true);
	total = run(1);
	first = p;
	for (int threads = 2; threads <= 5; threads++)
	{
		CHECK(run(threads) == total);
		CHECK(memcmp(first.d_query, p.d_query, sizeof(p.d_query)) == 0);
		CHECK(memcmp(first.d_candidate, p.d_candidate, sizeof(p.d_candidate)) == 0);
	}
}

/* One after the other, of sizes that need more and less memory, with one loss. */
CHECK_TEST(batches_of_all_sizes)
{
	static const size_t rows[] = {3, ROWS, 1, 200, 64};
	tfrs_state_loss loss;
	tfrs_arena	arena;
	size_t		bytes = 0;

	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_state_loss_init(&loss, &arena, 2);
	for (int i = 0; i < 5; i++)
	{
		double		total;
		double		alone;

		make_problem(rows[i], 1.0f, i % 2);
		alone = run(1);
		CHECK_OK(tfrs_state_loss_begin(&loss, &p.batch, &check_error));
		while (tfrs_state_loss_step(&loss, &total) == TFRS_MORE)
			;
		CHECK(total == alone);
	}
	CHECK(tfrs_state_loss_bytes(ROWS, COLUMNS, DIM, p.target.count, 2, &bytes));
	CHECK(arena.peak <= bytes + 1000 && arena.peak > bytes - bytes / 10);
	tfrs_state_loss_free(&loss);
	tfrs_arena_free(&arena);
}

/* Many columns of many dimensions: a tile has fewer rows, so that no step is long. */
CHECK_TEST(large_products_are_cut)
{
	size_t		columns = 40000;
	size_t		dim = 500;
	float	   *candidate = calloc(columns * dim, sizeof(float));
	float	   *d_candidate = malloc(columns * dim * sizeof(float));
	static float query[20 * 500];
	static float d_query[20 * 500];
	tfrs_state_batch batch = {
		.rows = 20, .columns = columns, .negatives = columns, .dim = dim,
		.query = query, .candidate = candidate, .d_query = d_query, .d_candidate = d_candidate
	};
	tfrs_state_loss loss;
	double		total;

	make_problem(20, 1.0f, false);
	batch.target = &p.target;
	batch.masked = &p.masked;
	tfrs_state_loss_init(&loss, check_arena(), 2);
	CHECK_OK(tfrs_state_loss_begin(&loss, &batch, &check_error));
	CHECK_EQUAL(loss.tile_rows, 4);
	CHECK_EQUAL(loss.tiles, 5);
	while (tfrs_state_loss_step(&loss, &total) == TFRS_MORE)
		;
	for (size_t i = p.target.start[20]; i-- > 0;)
		total -= p.target.weight[i] * log(1.0 + (double) columns);
	CHECK_NEAR(total, 0, 0.1);	/* all logits are 0, but for the lists' own columns */
	tfrs_state_loss_free(&loss);
	free(candidate);
	free(d_candidate);
}

static tfrs_status
one_batch(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_state_loss loss;
	double		total;
	tfrs_status status;

	tfrs_state_loss_init(&loss, arena, 2);
	status = tfrs_state_loss_begin(&loss, &p.batch, error);
	while (status == TFRS_OK && tfrs_state_loss_step(&loss, &total) == TFRS_MORE)
		;
	tfrs_state_loss_free(&loss);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	make_problem(ROWS, 1.0f, true);
	check_lack_of_memory(one_batch);
}
