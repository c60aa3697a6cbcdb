/*
 * test_kernels.c: every kernel of every table this machine can run, against sums in double.
 *
 * Lengths 0 to 67 and some longer ones; arrays end at a forbidden page or start at odd addresses.
 */
#define _DEFAULT_SOURCE

#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "guarded.h"

#define MAX_LENGTH 1000
#define MAX_ROWS 9

static const size_t lengths_beyond_67[] = {96, 100, 127, 128, 129, 300, 768, MAX_LENGTH};
static const tfrs_kernel_table *table;
static tfrs_random random_source;

/* Arrays of the running test, placed anew for each length. */
static float *x;
static float *y;
static float *rows;

typedef void (*length_test) (size_t length);

static void
fill(float *values, size_t count)
{
	tfrs_random_fill(&random_source, values, count, -1.0f, 1.0f);
}

/* Calls test for every table and length, with arrays at the guard and moved in from it. */
static void
for_all(length_test test)
{
	char	   *ends[3];
	size_t		beyond = sizeof(lengths_beyond_67) / sizeof(*lengths_beyond_67);

	tfrs_random_init(&random_source, 5, 6, 7);
	for (int i = 0; i < 3; i++)
		ends[i] = guarded_end(sizeof(float) * MAX_LENGTH * MAX_ROWS + 64);
	for (int i = 0; (table = tfrs_kernels_variant(i)) != NULL; i++)
		for (size_t j = 0; j < 68 + beyond; j++)
			for (size_t moved = 0; moved < 4; moved++)
			{
				size_t		length = j < 68 ? j : lengths_beyond_67[j - 68];

				x = (float *) ends[0] - length - moved;
				y = (float *) ends[1] - length - moved / 2;
				rows = (float *) ends[2] - length * MAX_ROWS - moved;
				fill(x, length);
				fill(y, length);
				fill(rows, length * MAX_ROWS);
				test(length);
			}
}

static void
check_sums(size_t length)
{
	double		product = 0.0;
	double		size = 0.0;
	double		distance = 0.0;

	for (size_t i = 0; i < length; i++)
	{
		double		difference = (double) x[i] - (double) y[i];

		product += (double) x[i] * (double) y[i];
		size += fabs((double) x[i] * (double) y[i]);
		distance += difference * difference;
	}
	CHECK_NEAR(table->dot(x, y, length), product, (double) length * 0x1p-24 * size);
	CHECK_NEAR(table->squared_distance(x, y, length), distance,
			   (double) (length + 2) * 0x1p-24 * distance);
}

CHECK_TEST(dot_and_squared_distance)
{
	for_all(check_sums);
}

static void
check_rows(size_t length)
{
	float		scores[MAX_ROWS + 1];

	for (size_t count = 0; count <= MAX_ROWS; count++)
	{
		const float *first = rows + (MAX_ROWS - count) * length;

		scores[count] = 123.0f;
		table->dot_rows(x, first, count, length, scores);
		CHECK(scores[count] == 123.0f);
		for (size_t r = 0; r < count; r++)
		{
			float		alone = table->dot(x, first + r * length, length);

			CHECK(memcmp(&alone, &scores[r], sizeof(alone)) == 0);
		}
	}
}

CHECK_TEST(dot_rows_gives_the_bits_of_dot)
{
	for_all(check_rows);
}

static void
check_maximum(size_t length)
{
	float		largest = -INFINITY;

	for (size_t i = 0; i < length; i++)
		largest = fmaxf(largest, x[i]);
	CHECK(table->maximum(x, length) == largest);
	for (size_t i = 0; i < length; i++)
		x[i] = -INFINITY;
	CHECK(table->maximum(x, length) == -INFINITY);
	for (size_t i = 0; i < length && i < 68; i++)
	{
		x[i] = -1e30f;
		CHECK(table->maximum(x, length) == -1e30f);
		x[i] = -INFINITY;
	}
}

CHECK_TEST(maximum_at_any_place)
{
	for_all(check_maximum);
}

static void
check_exponential_sums(size_t length)
{
	float		before[MAX_LENGTH];
	double		sum = 0.0;
	double		size;
	double		got;

	for (size_t i = 0; i < length; i++)
		before[i] = x[i] *= 20.0f;
	got = table->exp_sum(x, length, 3.0f);
	for (size_t i = 0; i < length; i++)
	{
		double		exact = exp((double) (before[i] - 3.0f));

		CHECK_NEAR(x[i], exact, 1e-6 * exact);
		sum += (double) x[i];
	}
	CHECK_NEAR(got, sum, 1e-13 * sum);

	memcpy(x, before, length * sizeof(float));
	got = table->weighted_exp_sum(x, y, length, 3.0f);
	sum = size = 0.0;
	for (size_t i = 0; i < length; i++)
	{
		double		exact = (double) y[i] * exp((double) (before[i] - 3.0f));

		CHECK_NEAR(x[i], exact, 1.1e-6 * fabs(exact));
		sum += (double) x[i];
		size += fabs((double) x[i]);
	}
	CHECK_NEAR(got, sum, 1e-13 * size);
}

CHECK_TEST(exponential_sums)
{
	for_all(check_exponential_sums);
}

static float
exponential(float argument)
{
	float		value = argument;
	double		sum = table->exp_sum(&value, 1, 0.0f);

	CHECK(sum == (double) value || sum != sum);
	return value;
}

CHECK_TEST(exponential_over_its_range)
{
	for (int i = 0; (table = tfrs_kernels_variant(i)) != NULL; i++)
	{
		CHECK(exponential(0.0f) == 1.0f);
		CHECK(exponential(-87.0f) > 0.0f);
		CHECK(exponential(nextafterf(-87.0f, -100.0f)) == 0.0f);
		CHECK(exponential(-1e30f) == 0.0f);
		CHECK(exponential(-INFINITY) == 0.0f);
		CHECK(isfinite(exponential(88.72283f)));
		CHECK(exponential(88.73f) == INFINITY);
		CHECK(exponential(1e30f) == INFINITY);
		CHECK(exponential(INFINITY) == INFINITY);
		CHECK(isnan(exponential(NAN)));
		for (int j = 0; j <= 1000000; j++)
		{
			float		argument = -87.0f + 175.72283f * (float) j * 1e-6f;
			double		exact = exp((double) argument);

			CHECK_NEAR(exponential(argument), exact, 1e-6 * exact);
		}
	}
}

CHECK_TEST(exp_sum_depends_on_no_address)
{
	float		values[MAX_LENGTH + 16];

	for (int i = 0; (table = tfrs_kernels_variant(i)) != NULL; i++)
	{
		double		sums[16];

		for (size_t moved = 0; moved < 16; moved++)
		{
			for (size_t j = 0; j < 333; j++)
				values[moved + j] = (float) (j % 37) * -0.3f;
			sums[moved] = table->exp_sum(values + moved, 333, 0.1f);
			CHECK(sums[moved] == sums[0]);
		}
	}
}

static void
check_add_scaled(size_t length)
{
	float		before[MAX_LENGTH];

	memcpy(before, y, length * sizeof(float));
	table->add_scaled(y, x, length, 0.7f);
	for (size_t i = 0; i < length; i++)
	{
		double		term = (double) 0.7f * (double) x[i];

		CHECK_NEAR(y[i], (double) before[i] + term,
				   0x1p-23 * (fabs((double) before[i]) + fabs(term)));
	}
}

CHECK_TEST(add_scaled)
{
	for_all(check_add_scaled);
}

/* Bytes share the float arrays' memory: the guard is at the same place. */
static void
check_int8(size_t length)
{
	int8_t	   *a = (int8_t *) x + 3 * length;
	int8_t	   *b = (int8_t *) y + 3 * length;

	for (int extreme = 0; extreme < 3; extreme++)
	{
		int32_t		sum = 0;

		for (size_t i = 0; i < length; i++)
		{
			a[i] = (int8_t) (extreme ? -128 : (int) tfrs_random_below(&random_source, 256) - 128);
			b[i] = (int8_t) (extreme == 1 ? -128 : extreme == 2 ? 127 :
							 (int) tfrs_random_below(&random_source, 256) - 128);
			sum += a[i] * b[i];
		}
		CHECK_EQUAL(table->dot_int8(a, b, length), sum);
	}
}

CHECK_TEST(dot_int8)
{
	for_all(check_int8);
}

CHECK_TEST(dot_int8_of_the_longest)
{
	static int8_t a[65535];

	memset(a, -128, sizeof(a));
	for (int i = 0; (table = tfrs_kernels_variant(i)) != NULL; i++)
		CHECK_EQUAL(table->dot_int8(a, a, sizeof(a)), 65535 * 16384);
}

#define CODE_BLOCKS 3

/* Tables of random bytes, then of the largest ones; some thresholds are sums that occur. */
static void
check_scan_codes(size_t codes, bool largest)
{
	const tfrs_code_scan *scan;
	uint8_t		tables[TFRS_MAX_CODES * 16];
	size_t		bytes = CODE_BLOCKS * codes * 16;
	uint8_t    *blocks = (uint8_t *) guarded_end(bytes) - bytes;
	uint16_t	thresholds[CODE_BLOCKS];
	uint16_t	sums[2][CODE_BLOCKS * TFRS_CODE_ROWS];
	uint32_t	hits[2][CODE_BLOCKS];

	for (size_t i = 0; i < codes * 16; i++)
		tables[i] = largest ? 255 : (uint8_t) tfrs_random_below(&random_source, 256);
	for (size_t i = 0; i < bytes; i++)
		blocks[i] = (uint8_t) tfrs_random_below(&random_source, 256);
	for (size_t b = 0; b < CODE_BLOCKS; b++)
		thresholds[b] = (uint16_t) (largest ? 255 * codes + b % 2 : 127 * codes);
	for (int i = 0; i < 2; i++)
	{
		scan = &(tfrs_code_scan) {tables, codes, blocks, CODE_BLOCKS, thresholds, sums[i], hits[i]};
		(i == 0 ? tfrs_kernels_reference.scan_codes : table->scan_codes) (scan);
	}
	CHECK(memcmp(sums[0], sums[1], sizeof(sums[0])) == 0);
	CHECK(memcmp(hits[0], hits[1], sizeof(hits[0])) == 0);
	CHECK(!largest || (hits[1][0] == UINT32_MAX && hits[1][1] == 0));
}

CHECK_TEST(scan_codes)
{
	for (int i = 0; (table = tfrs_kernels_variant(i)) != NULL; i++)
		for (size_t codes = 4; codes <= TFRS_MAX_CODES; codes += codes < 24 ? 4 : 58 * 4)
		{
			check_scan_codes(codes, false);
			check_scan_codes(codes, true);
		}
}

/* The layout of kernels_reference.h, spelled out: code c of row r is worth 16 c + its value. */
CHECK_TEST(layout_of_codes)
{
	uint8_t		tables[4 * 16];
	uint8_t		block[4 * 16] = {0};
	uint16_t	threshold = 1 + 2 + 3 + 4 + 96;
	uint16_t	sums[TFRS_CODE_ROWS];
	uint32_t	hits;
	tfrs_code_scan scan = {tables, 4, block, 1, &threshold, sums, &hits};

	for (int i = 0; i < 64; i++)
		tables[i] = (uint8_t) i;
	block[2 * 5] = 1 | 2 << 4;	/* row 5 */
	block[32 + 2 * 5] = 3 | 4 << 4;
	block[2 * 7 + 1] = 15;		/* row 16 + 7 */
	for (int i = 0; (table = tfrs_kernels_variant(i)) != NULL; i++)
	{
		table->scan_codes(&scan);
		CHECK_EQUAL(sums[0], 96);
		CHECK_EQUAL(sums[5], threshold);
		CHECK_EQUAL(sums[23], 111);
		CHECK_EQUAL(hits, 1u << 5 | 1u << 23);
	}
}

CHECK_TEST(choice)
{
	int			count = 0;

	while (tfrs_kernels_variant(count) != NULL)
		count++;
	tfrs_kernels_choose(false);
	CHECK(strcmp(tfrs_kernels.name, "reference") == 0);
	tfrs_kernels_choose(true);
	CHECK(strcmp(tfrs_kernels.name, tfrs_kernels_variant(count - 1)->name) == 0);
	CHECK(tfrs_kernels_variant(count + 1) == NULL);
}
