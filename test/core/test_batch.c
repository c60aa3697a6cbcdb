/*
 * test_batch.c: distinct ids and pairs of a batch against a slow count, normalization's gradient.
 */
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "check.h"
#include "learning/batch.h"
#include "learning/normalize.h"

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

#define QUERIES 20
#define CANDIDATES 15

static void
draw(tfrs_interaction *rows, size_t count, uint64_t seed)
{
	tfrs_random random;

	tfrs_random_init(&random, seed, 0, 0);
	for (size_t i = 0; i < count; i++)
	{
		rows[i].query = tfrs_random_below(&random, QUERIES);
		rows[i].candidate = tfrs_random_below(&random, CANDIDATES);
		rows[i].weight = (float) (1 + tfrs_random_below(&random, 4));
	}
}

static void
check_sides(const tfrs_batch *batch, const tfrs_interaction *rows)
{
	float		count[CANDIDATES] = {0};

	for (size_t i = 0; i < batch->rows; i++)
	{
		CHECK_EQUAL(batch->query.distinct[batch->query.number[i]], rows[i].query);
		CHECK_EQUAL(batch->candidate.distinct[batch->candidate.number[i]], rows[i].candidate);
		CHECK(batch->query.number[i] < batch->query.count);
		CHECK(batch->candidate.number[i] < batch->candidate.count);
		CHECK(batch->weight[i] == rows[i].weight);
		count[rows[i].candidate] += 1.0f;
	}
	for (size_t v = 0; v < batch->candidate.count; v++)
	{
		CHECK(batch->candidate_count[v] == count[batch->candidate.distinct[v]]);
		for (size_t w = 0; w < v; w++)
			CHECK(batch->candidate.distinct[v] != batch->candidate.distinct[w]);
	}
}

static void
check_pairs(const tfrs_batch *batch, const tfrs_interaction *rows)
{
	float		weight[QUERIES][CANDIDATES] = {{0}};

	for (size_t i = 0; i < batch->rows; i++)
		weight[rows[i].query][rows[i].candidate] += rows[i].weight;
	for (size_t p = 0; p < batch->pairs; p++)
	{
		float	   *expected = &weight[batch->query.distinct[batch->pair_query[p]]]
			[batch->candidate.distinct[batch->pair_candidate[p]]];

		CHECK(*expected > 0.0f);
		CHECK(batch->pair_weight[p] == *expected);
		*expected = 0.0f;		/* a second pair of these ids would fail */
		CHECK(p == 0 || batch->pair_query[p - 1] <= batch->pair_query[p]);
	}
	for (size_t i = 0; i < QUERIES * CANDIDATES; i++)
		CHECK((&weight[0][0])[i] == 0.0f);
}

/* Batches of all sizes one after the other: nothing of one may show in the next. */
CHECK_TEST(a_batch_is_counted)
{
	tfrs_interaction rows[200];
	tfrs_batch_sizes sizes = {.rows = 200, .queries = QUERIES, .candidates = CANDIDATES};
	tfrs_batch	batch;

	CHECK_OK(tfrs_batch_init(&batch, check_arena(), &sizes, &check_error));
	for (size_t round = 0; round < 200; round++)
	{
		size_t		count = 1 + round * 67 % 200;

		draw(rows, count, round);
		tfrs_batch_assemble(&batch, rows, count);
		CHECK_EQUAL(batch.rows, count);
		check_sides(&batch, rows);
		check_pairs(&batch, rows);
	}
	tfrs_batch_free(&batch);
}

CHECK_TEST(bytes_are_those_taken)
{
	tfrs_batch_sizes sizes = {.rows = 100000, .added = 700, .queries = 3000, .candidates = 5000};
	tfrs_batch	batch;
	size_t		bytes = 0;

	CHECK(tfrs_batch_bytes(&sizes, &bytes));
	CHECK_OK(tfrs_batch_init(&batch, check_arena(), &sizes, &check_error));
	CHECK(check_arena()->used >= bytes && check_arena()->used < bytes + 14 * 256);
	tfrs_batch_free(&batch);
	sizes.rows = SIZE_MAX / 8;
	CHECK(!tfrs_batch_bytes(&sizes, &bytes));
}

CHECK_TEST(normalized_vectors_have_unit_length)
{
	float		vectors[4][3] = {{3, 0, 4}, {0, 0, 0}, {1e-7f, 0, 0}, {-2e15f, 1, 2}};
	float		scale[4];

	tfrs_normalize_forward(&vectors[0][0], 4, 3, 3, scale);
	CHECK_NEAR(vectors[0][0], 0.6, 1e-7);
	CHECK_NEAR(vectors[0][2], 0.8, 1e-7);
	CHECK(vectors[1][0] == 0.0f && vectors[1][1] == 0.0f && vectors[1][2] == 0.0f);
	CHECK_NEAR(vectors[2][0], 0.1, 1e-7);	/* below the floor of 1e-12 the length is not one */
	CHECK_NEAR(vectors[3][0], -1.0, 1e-6);
	CHECK_NEAR(scale[0], 0.2, 1e-7);
}

/* y(x) . u for one vector, in double. */
static double
product(const double *x, const float *u, size_t dim)
{
	double		square = 0;
	double		sum = 0;

	for (size_t j = 0; j < dim; j++)
		square += x[j] * x[j];
	for (size_t j = 0; j < dim; j++)
		sum += x[j] * u[j];
	return sum / sqrt(fmax(square, 1e-12));
}

CHECK_TEST(normalization_has_the_gradient_of_differences)
{
	enum
	{
		COUNT = 5, DIM = 7
	};
	float		vectors[COUNT * DIM];
	float		gradient[COUNT * DIM];
	float		scale[COUNT];
	double		x[COUNT * DIM];
	float		upstream[COUNT * DIM];
	tfrs_random random;

	tfrs_random_init(&random, 1, 0, 0);
	tfrs_random_fill(&random, vectors, COUNT * DIM, -1.0f, 1.0f);
	tfrs_random_fill(&random, upstream, COUNT * DIM, -1.0f, 1.0f);
	for (size_t j = 0; j < DIM; j++)
		vectors[j] *= 1e-8f;	/* the first vector lies below the floor */
	for (size_t i = 0; i < COUNT * DIM; i++)
		x[i] = vectors[i];
	memcpy(gradient, upstream, sizeof(gradient));
	tfrs_normalize_forward(vectors, COUNT, DIM, DIM, scale);
	tfrs_normalize_backward(vectors, scale, COUNT, DIM, DIM, gradient);
	for (size_t i = 0; i < COUNT * DIM; i++)
	{
		double	   *row = x + i / DIM * DIM;
		const float *u = upstream + i / DIM * DIM;
		double		h = i < DIM ? 1e-10 : 1e-6;
		double		kept = x[i];
		double		high;
		double		low;

		x[i] = kept + h;
		high = product(row, u, DIM);
		x[i] = kept - h;
		low = product(row, u, DIM);
		x[i] = kept;
		CHECK_NEAR(gradient[i], (high - low) / (2 * h), 1e-5 * scale[i / DIM]);
	}
}
