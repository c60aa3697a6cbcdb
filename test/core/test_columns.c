/*
 * test_columns.c: the columns of a softmax: all or a sample, and their vectors.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "learning/columns.h"

#define N 50
#define DIM 5
#define DRAWS 20000

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static const uint32_t target_items[2][3] = {{3, 40, 41}, {7, 3, 20}};
static const uint32_t masked_items[2][3] = {{4, 5, 6}, {41, 40, 0}};

static void
fill(tfrs_ragged *lists, const uint32_t items[2][3])
{
	CHECK_OK(tfrs_ragged_reserve(lists, check_arena(), 2, 6, &check_error));
	for (int r = 0; r < 2; r++)
	{
		for (int i = 0; i < 3; i++)
			tfrs_ragged_push(lists, items[r][i], (float) items[r][i]);
		tfrs_ragged_end_row(lists);
	}
}

/* Targets and masked items of two rows, and the columns of a batch with them. */
typedef struct batch
{
	tfrs_columns columns;
	tfrs_ragged target;
	tfrs_ragged masked;
	tfrs_random random;
} batch;

static void
begin(batch *b, size_t sampled)
{
	memset(b, 0, sizeof(*b));
	tfrs_random_init(&b->random, 5, 77, sampled);
	CHECK_OK(tfrs_columns_init(&b->columns, check_arena(), N, sampled, DIM, &check_error));
}

static void
choose(batch *b)
{
	fill(&b->target, target_items);
	fill(&b->masked, masked_items);
	CHECK_OK(tfrs_columns_choose(&b->columns, check_arena(), &b->random, &b->target, &b->masked,
								 DIM, &check_error));
}

CHECK_TEST(all_candidates_are_columns)
{
	static const size_t sampled[] = {0, N, N + 1};

	for (int i = 0; i < 3; i++)
	{
		batch		b;

		begin(&b, sampled[i]);
		choose(&b);
		CHECK_EQUAL(b.columns.count, N);
		CHECK_EQUAL(b.columns.negatives, N);
		CHECK(b.columns.weight == NULL);
		for (uint32_t c = 0; c < N; c++)
			CHECK(b.columns.candidate[c] == c && b.columns.column_of[c] == c);
		CHECK(memcmp(b.target.item, target_items, sizeof(target_items)) == 0);
		CHECK_EQUAL(b.masked.count, 6);
		tfrs_columns_free(&b.columns, check_arena());
	}
}

/* Each item of the lists names the column of the candidate that it named before. */
static void
check_renamed(const batch *b, const tfrs_ragged *lists, const uint32_t items[2][3], bool all)
{
	for (int r = 0; r < 2; r++)
	{
		size_t		at = lists->start[r];

		for (int i = 0; i < 3; i++)
		{
			uint32_t	column = b->columns.column_of[items[r][i]];

			CHECK(!all || column != TFRS_NO_ROW);
			if (column == TFRS_NO_ROW)
				continue;
			CHECK_EQUAL(lists->item[at], column);
			CHECK(lists->weight[at] == (float) items[r][i]);
			at++;
		}
		CHECK_EQUAL(at, lists->start[r + 1]);
	}
	CHECK_EQUAL(lists->count, lists->start[2]);
}

static void
check_columns(const batch *b, size_t sampled)
{
	size_t		named = 0;

	for (size_t c = 0; c < b->columns.count; c++)
	{
		CHECK_EQUAL(b->columns.column_of[b->columns.candidate[c]], c);
		CHECK(c >= sampled || b->columns.weight[c] == (float) N / (float) sampled);
	}
	for (uint32_t c = 0; c < N; c++)
		named += b->columns.column_of[c] != TFRS_NO_ROW;
	CHECK_EQUAL(b->columns.negatives, sampled);
	CHECK_EQUAL(named, b->columns.count);
}

CHECK_TEST(a_sample_and_the_targets)
{
	static const size_t sampled[] = {1, 10, N / 2, N - 1};

	for (int i = 0; i < 4; i++)
	{
		batch		b;

		begin(&b, sampled[i]);
		for (int draw = 0; draw < 20; draw++)
		{
			choose(&b);
			check_columns(&b, sampled[i]);
			check_renamed(&b, &b.target, target_items, true);
			check_renamed(&b, &b.masked, masked_items, false);
		}
		tfrs_columns_free(&b.columns, check_arena());
	}
}

static bool
has(const tfrs_ragged *lists, size_t row, size_t item)
{
	for (size_t i = lists->start[row]; i < lists->start[row + 1]; i++)
		if (lists->item[i] == item)
			return true;
	return false;
}

/*
 * The weighted sum over columns that are neither targets nor masked has the mean of the sum over
 * all such candidates; for row 1 these are all but 0, 3, 7, 20, 40 and 41.
 */
CHECK_TEST(sampled_sums_are_unbiased)
{
	batch		b;
	double		expected = 0;
	double		sum = 0;
	double		square = 0;

	begin(&b, 8);
	for (int c = 1; c < N; c++)
		if (c != 3 && c != 7 && c != 20 && c != 40 && c != 41)
			expected += exp(0.1 * c);
	for (int draw = 0; draw < DRAWS; draw++)
	{
		double		one = 0;

		choose(&b);
		for (size_t c = 0; c < b.columns.negatives; c++)
			if (!has(&b.target, 1, c) && !has(&b.masked, 1, c))
				one += b.columns.weight[c] * exp(0.1 * b.columns.candidate[c]);
		sum += one;
		square += one * one;
	}
	sum /= DRAWS;
	CHECK_NEAR(sum, expected, 4 * sqrt((square / DRAWS - sum * sum) / DRAWS));
	CHECK(square / DRAWS > sum * sum * 1.01);
}

/*
 * Columns of a batch: with targets drawn as often as the data have them, the weighted sum over the
 * columns has the mean of the sum over all candidates.
 */
CHECK_TEST(columns_of_a_batch)
{
	batch		b;
	uint32_t	frequency[N];
	uint32_t	urn[N * 10];
	size_t		total = 0;
	double		expected = 0;
	double		sum = 0;
	double		square = 0;

	memset(&b, 0, sizeof(b));
	tfrs_random_init(&b.random, 5, 77, 1);
	CHECK_OK(tfrs_columns_init_batch(&b.columns, check_arena(), N, 20, DIM, &check_error));
	for (uint32_t c = 0; c < N; c++)
	{
		frequency[c] = 1 + c % 10;
		for (uint32_t i = 0; i < frequency[c]; i++)
			urn[total++] = c;
		expected += cos(c);
	}
	tfrs_columns_set_frequency(&b.columns, frequency, total);
	for (int draw = 0; draw < DRAWS; draw++)
	{
		double		one = 0;

		CHECK_OK(tfrs_ragged_reserve(&b.target, check_arena(), 20, 20, &check_error));
		CHECK_OK(tfrs_ragged_reserve(&b.masked, check_arena(), 20, 0, &check_error));
		for (int r = 0; r < 20; r++)
		{
			tfrs_ragged_push(&b.target, urn[tfrs_random_below(&b.random, (uint32_t) total)], 1);
			tfrs_ragged_end_row(&b.target);
			tfrs_ragged_end_row(&b.masked);
		}
		CHECK_OK(tfrs_columns_choose(&b.columns, check_arena(), &b.random, &b.target, &b.masked,
									 DIM, &check_error));
		CHECK(b.columns.count <= 20 && b.columns.negatives == b.columns.count);
		CHECK_EQUAL(b.target.count, 20);
		for (size_t c = 0; c < b.columns.count; c++)
			one += b.columns.weight[c] * cos(b.columns.candidate[c]);
		sum += one;
		square += one * one;
	}
	sum /= DRAWS;
	CHECK_NEAR(sum, expected, 4 * sqrt((square / DRAWS - sum * sum) / DRAWS));
	tfrs_columns_free(&b.columns, check_arena());
}

static double
probe(batch *b, const tfrs_history_shape *shape, const float *table, const float *w)
{
	double		sum = 0;

	tfrs_columns_forward(&b->columns, shape, table, 0, 4);
	tfrs_columns_forward(&b->columns, shape, table, 4, b->columns.count);
	for (size_t i = 0; i < b->columns.count * DIM; i++)
		sum += (double) w[i] * b->columns.vector[i];
	return sum;
}

static void
check_backward(const tfrs_history_shape *shape)
{
	batch		b;
	float		table[N * DIM];
	float		w[N * DIM];
	float		gradient[N * DIM];

	begin(&b, 10);
	choose(&b);
	tfrs_random_fill(&b.random, table, N * DIM, -1, 1);
	tfrs_random_fill(&b.random, w, N * DIM, -1, 1);
	memcpy(gradient, w, sizeof(w));
	(void) probe(&b, shape, table, w);
	tfrs_columns_backward(&b.columns, shape, gradient, 0, 3);
	tfrs_columns_backward(&b.columns, shape, gradient, 3, b.columns.count);
	for (size_t i = 0; i < b.columns.count * DIM; i++)
	{
		float	   *x = &table[b.columns.candidate[i / DIM] * DIM + i % DIM];
		float		kept = *x;
		double		up;

		*x = kept + 1e-2f;
		up = probe(&b, shape, table, w);
		*x = kept - 1e-2f;
		CHECK_NEAR(gradient[i], (up - probe(&b, shape, table, w)) / 2e-2, 5e-3);
		*x = kept;
	}
	tfrs_columns_free(&b.columns, check_arena());
}

CHECK_TEST(vectors_and_their_gradient)
{
	for (uint32_t switches = 0; switches < 4; switches++)
	{
		tfrs_history_shape shape = {
			.dim = DIM, .bags = 1, .bias = switches & 1, .normalize = switches >> 1,
			.temperature = 0.1f
		};

		check_backward(&shape);
	}
}

static tfrs_status
three_batches(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_columns columns;
	tfrs_random random;
	tfrs_ragged none = {0};
	tfrs_status status = tfrs_columns_init(&columns, arena, N, 0, DIM, error);

	tfrs_columns_free(&columns, arena);
	tfrs_random_init(&random, 1, 1, 1);
	if (status == TFRS_OK)
		status = tfrs_columns_init(&columns, arena, N, 5, DIM, error);
	if (status == TFRS_OK)
		status = tfrs_ragged_reserve(&none, arena, 0, 0, error);
	if (status == TFRS_OK)
		status = tfrs_columns_choose(&columns, arena, &random, &none, &none, DIM, error);
	tfrs_columns_free(&columns, arena);
	tfrs_ragged_release(&none, arena);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(three_batches);
}
