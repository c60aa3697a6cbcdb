/*
 * test_int8_rows.c: the bound by bytes: above every product, and close to it.
 */
#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "check.h"
#include "retrieval/corpus.h"
#include "retrieval/int8_rows.h"
#include "retrieval/space.h"

#define MOST_WIDTH 1000

static const size_t widths[] = {1, 2, 15, 16, 32, 33, 100, MOST_WIDTH};
static const float sizes[] = {1e-29f, 1e-24f, 1e-9f, 1, 1e9f};
static const float query_sizes[] = {1e-9f, 1, 1e7f};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static tfrs_int8_scale
encode(const float *rows, size_t count, size_t width, int8_t *codes)
{
	tfrs_space	space = tfrs_space_of(TFRS_METRIC_DOT, width, NULL, 0);

	return tfrs_int8_encode(rows, count, &space, codes);
}

/* Normal numbers; one component of every fourth row stands out. */
static void
fill(tfrs_random *random, float *values, size_t rows, size_t width, float size)
{
	for (size_t i = 0; i < rows * width; i++)
		values[i] = size * tfrs_random_normal(random);
	for (size_t r = 0; r < rows; r += 4)
		values[r * width] *= 50;
}

/* bound - product, in |q| |x|, of a block's largest; the bound must hold for each row. */
static float
greatest_slack(tfrs_random *random, size_t count, size_t width, float size, float query_size)
{
	float		rows[TFRS_CODE_ROWS * MOST_WIDTH];
	float		vector[MOST_WIDTH];
	int8_t		codes[TFRS_CODE_ROWS * MOST_WIDTH];
	int8_t		query_codes[MOST_WIDTH];
	tfrs_int8_query query = {.codes = query_codes};
	tfrs_int8_scale scale;
	float		slack = 0;

	fill(random, rows, count, width, size);
	fill(random, vector, 1, width, query_size);
	scale = encode(rows, count, width, codes);
	tfrs_int8_query_set(&query, vector, width);
	for (size_t r = 0; r < count; r++)
	{
		float		product = tfrs_kernels.dot(vector, rows + r * width, width);
		float		most = tfrs_int8_most(&query, &scale, codes + r * width, width);

		CHECK(most >= product);
		slack = fmaxf(slack, (most - product) / query.length / scale.norm);
	}
	return slack;
}

CHECK_TEST(no_product_is_above_its_bound)
{
	tfrs_random random;

	tfrs_random_init(&random, 1, 0, 0);
	for (size_t w = 0; w < COUNT_OF(widths); w++)
		for (size_t s = 0; s < COUNT_OF(sizes); s++)
			for (size_t q = 0; q < COUNT_OF(query_sizes); q++)
				for (size_t count = 1; count <= TFRS_CODE_ROWS; count += 31)
				{
					float		slack = greatest_slack(&random, count, widths[w], sizes[s],
													   query_sizes[q]);

					/* Rows of next to no length are all error. */
					CHECK(slack < (sizes[s] < 1e-20f ? 1e6f
								   : 2.1f * sqrtf((float) widths[w]) / INT8_MAX));
				}
}

/* Denormal steps leave everything over; the bound is then that of Cauchy and Schwarz. */
CHECK_TEST(rows_without_length)
{
	float		rows[TFRS_CODE_ROWS * 8] = {0};
	float		vector[8] = {1};
	int8_t		codes[TFRS_CODE_ROWS * 8];
	int8_t		query_codes[8];
	tfrs_int8_query query = {.codes = query_codes};
	tfrs_int8_scale scale = encode(rows, TFRS_CODE_ROWS, 8, codes);

	CHECK(scale.step == 0 && scale.norm == 0 && scale.error > 0);
	rows[8] = 1e-38f;
	scale = encode(rows, TFRS_CODE_ROWS, 8, codes);
	tfrs_int8_query_set(&query, vector, 8);
	CHECK(scale.step == 0 && codes[8] == 0);
	CHECK(tfrs_int8_most(&query, &scale, codes + 8, 8) >= 1e-38f);
	tfrs_int8_query_set(&query, rows, 8);
	CHECK(query.step == 0 && query.error > 0);
}

CHECK_TEST(rows_that_are_not_there_are_zero)
{
	float		rows[3 * 5] = {1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 0, 0, 0, 0, 1};
	int8_t		codes[TFRS_CODE_ROWS * 5];

	memset(codes, 77, sizeof(codes));
	encode(rows, 3, 5, codes);
	CHECK_EQUAL(codes[4], 127);
	CHECK_EQUAL(codes[9], -127);
	CHECK_EQUAL(codes[14], 25);
	for (size_t i = 15; i < sizeof(codes); i++)
		CHECK_EQUAL(codes[i], 0);
}
