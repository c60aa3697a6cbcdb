/*
 * test_quantizer.c: codes, what they leave over, and the tables that bounds rest on.
 */
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "check.h"
#include "retrieval/quantizer.h"

#define ROWS 500
#define MOST_WIDTH 70

typedef struct fixture
{
	tfrs_quantizer quantizer;
	float	   *sample;			/* (ROWS, W) */
	float	   *centres;
} fixture;

static fixture
train(size_t width, size_t codes, int threads)
{
	tfrs_arena *arena = check_arena();
	fixture		made = {{width, codes, NULL}, NULL, NULL};
	tfrs_quantizer_training training = {0};
	tfrs_random random;

	tfrs_random_init(&random, 3, width, codes);
	CHECK_OK(TFRS_GET(arena, &made.sample, ROWS * width, &check_error));
	CHECK_OK(TFRS_GET_ZERO(arena, &made.centres, width * TFRS_CENTRES, &check_error));
	CHECK_OK(TFRS_GET(arena, &training.scratch, (size_t) threads *
					  tfrs_quantizer_training_scratch(&made.quantizer, ROWS), &check_error));
	for (size_t i = 0; i < ROWS * width; i++)
		made.sample[i] = tfrs_random_normal(&random);
	made.quantizer.centres = made.centres;
	training.quantizer = &made.quantizer;
	training.sample = made.sample;
	training.count = ROWS;
	training.threads = threads;
	training.centres = made.centres;
	while (tfrs_quantizer_training_step(&training) == TFRS_MORE)
		;
	return made;
}

/* vector - what its codes stand for */
static void
leave_over(const fixture *made, const float *vector, const uint8_t *codes, float *rest)
{
	for (size_t m = 0; m < made->quantizer.codes; m++)
		for (size_t w = tfrs_quantizer_group(&made->quantizer, m);
			 w < tfrs_quantizer_group(&made->quantizer, m + 1); w++)
			rest[w] = vector[w] - made->centres[w * TFRS_CENTRES + codes[m]];
}

static float
length_of(const float *x, size_t width)
{
	return sqrtf(tfrs_kernels.dot(x, x, width));
}

static const size_t widths[] = {1, 3, 8, 32, 33, MOST_WIDTH};
static const size_t lengths[] = {4, 8, 16, 32, 72};

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

/* The error that is returned is that of the codes, and no other code of a group is nearer. */
CHECK_TEST(codes_are_the_nearest_centres)
{
	float		scratch[2 * TFRS_MAX_CODES * TFRS_CENTRES];
	float		rest[MOST_WIDTH];
	uint8_t		codes[TFRS_MAX_CODES];

	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		for (size_t j = 0; j < sizeof(lengths) / sizeof(*lengths); j++)
		{
			fixture		made = train(widths[i], lengths[j], 1);
			double		total = 0;

			for (size_t r = 0; r < ROWS; r++)
			{
				const float *vector = made.sample + r * widths[i];
				float		error = tfrs_quantizer_encode(&made.quantizer, vector, NULL, 1,
														  scratch, codes);
				size_t		m = r % lengths[j];

				leave_over(&made, vector, codes, rest);
				CHECK_NEAR(error, length_of(rest, widths[i]), 1e-4);
				total += error * error;
				codes[m] = (uint8_t) (r % 16);
				leave_over(&made, vector, codes, rest);
				CHECK(length_of(rest, widths[i]) >= error - 1e-4f);
			}
			/* 16 centres a component leave about 1 % of a normal variance, one for two 11 %. */
			if (lengths[j] >= widths[i])
				CHECK(total < 0.02 * ROWS * (double) widths[i]);
			if (widths[i] == 32 && lengths[j] == 16)
				CHECK(total < 0.15 * ROWS * 32);
		}
}

/* Score-aware codes trade length for error along the row. */
CHECK_TEST(score_aware_codes)
{
	fixture		made = train(32, 16, 1);
	float		scratch[2 * TFRS_MAX_CODES * TFRS_CENTRES];
	float		rest[32];
	uint8_t		codes[2][16];
	double		along[2] = {0, 0};
	double		loss[2] = {0, 0};
	const float eta = 5;

	for (size_t r = 0; r < ROWS; r++)
	{
		const float *row = made.sample + r * 32;

		for (int aware = 0; aware < 2; aware++)
		{
			float		error = tfrs_quantizer_encode(&made.quantizer, row, row, aware ? eta : 1,
													  scratch, codes[aware]);
			double		part;

			leave_over(&made, row, codes[aware], rest);
			CHECK_NEAR(error, length_of(rest, 32), 1e-4);
			part = tfrs_kernels.dot(rest, row, 32) / length_of(row, 32);
			along[aware] += part * part;
			loss[aware] += error * error + (eta - 1) * part * part;
		}
	}
	CHECK(along[1] < 0.5 * along[0]);
	CHECK(loss[1] < loss[0]);
}

/* offset + step * (sum of entries) is at least the product with the coded vector. */
CHECK_TEST(tables_are_upper_bounds)
{
	float		scratch[2 * TFRS_MAX_CODES * TFRS_CENTRES];
	uint8_t		entries[TFRS_MAX_CODES * TFRS_CENTRES];
	float		rest[MOST_WIDTH];
	uint8_t		codes[TFRS_MAX_CODES];
	tfrs_quantizer_tables tables = {entries, 0, 0};

	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++)
		for (size_t j = 0; j < sizeof(lengths) / sizeof(*lengths); j++)
		{
			fixture		made = train(widths[i], lengths[j], 1);
			double		above = 0;

			for (size_t r = 0; r < ROWS; r++)
			{
				const float *query = made.sample + (ROWS - 1 - r) * widths[i];
				const float *vector = made.sample + r * widths[i];
				double		sum = 0;
				double		product = 0;

				tfrs_quantizer_tabulate(&made.quantizer, query, scratch, &tables);
				tfrs_quantizer_encode(&made.quantizer, vector, NULL, 1, scratch, codes);
				leave_over(&made, vector, codes, rest);
				for (size_t w = 0; w < widths[i]; w++)
					product += (double) query[w] * (vector[w] - rest[w]);
				for (size_t m = 0; m < lengths[j]; m++)
					sum += entries[m * TFRS_CENTRES + codes[m]];
				CHECK(tables.offset + tables.step * sum >= product - 1e-4);
				above += tables.offset + tables.step * sum - product;
			}
			CHECK(above / ROWS < 0.05 * (double) lengths[j]);
		}
}

CHECK_TEST(a_query_of_zeros_has_tables)
{
	fixture		made = train(8, 4, 1);
	float		query[8] = {0};
	float		scratch[2 * 4 * TFRS_CENTRES];
	uint8_t		entries[4 * TFRS_CENTRES];
	tfrs_quantizer_tables tables = {entries, 0, 0};

	tfrs_quantizer_tabulate(&made.quantizer, query, scratch, &tables);
	CHECK(tables.step > 0);
	CHECK_NEAR(tables.offset + tables.step * 4 * 255, 0, 1e-30);
}

/* What is stored comes out of the scan again. */
CHECK_TEST(stored_codes_are_scanned)
{
	fixture		made = train(32, 8, 1);
	uint8_t		block[16 * 8] = {0};
	uint8_t		codes[TFRS_CODE_ROWS][8];
	uint8_t		tables[8 * TFRS_CENTRES];
	uint16_t	threshold = 0;
	uint16_t	sums[TFRS_CODE_ROWS];
	uint32_t	hits;
	tfrs_code_scan scan = {tables, 8, block, 1, &threshold, sums, &hits};
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 3);
	for (size_t i = 0; i < sizeof(tables); i++)
		tables[i] = (uint8_t) tfrs_random_below(&random, 256);
	for (size_t r = 0; r < TFRS_CODE_ROWS; r++)
	{
		for (size_t m = 0; m < 8; m++)
			codes[r][m] = (uint8_t) tfrs_random_below(&random, 16);
		tfrs_quantizer_store(&made.quantizer, codes[r], r, block);
	}
	tfrs_kernels.scan_codes(&scan);
	for (size_t r = 0; r < TFRS_CODE_ROWS; r++)
	{
		int			expected = 0;

		for (size_t m = 0; m < 8; m++)
			expected += tables[m * TFRS_CENTRES + codes[r][m]];
		CHECK_EQUAL(sums[r], expected);
	}
}

CHECK_TEST(training_does_not_depend_on_threads)
{
	fixture		one = train(33, 16, 1);
	fixture		four = train(33, 16, 4);

	CHECK(memcmp(one.centres, four.centres, 33 * TFRS_CENTRES * sizeof(float)) == 0);
}
