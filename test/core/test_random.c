/*
 * test_random.c: recorded numbers (a model depends on them), ranges, and rough statistics.
 */
#include <string.h>

#include "base/random.h"
#include "check.h"

CHECK_TEST(xoshiro_and_seeding_give_recorded_numbers)
{
	tfrs_random random = {{1, 2, 3, 4}};

	/* Blackman and Vigna's reference code from the state 1, 2, 3, 4 */
	CHECK(tfrs_random_next(&random) == 11520);
	CHECK(tfrs_random_next(&random) == 0);
	CHECK(tfrs_random_next(&random) == 1509978240);
	CHECK(tfrs_random_next(&random) == UINT64_C(1215971899390074240));
	tfrs_random_init(&random, 1, 2, 3);
	CHECK(tfrs_random_next(&random) == UINT64_C(0x8868024bdbe94281));
	CHECK(tfrs_random_next(&random) == UINT64_C(0x521c08664fffdf8f));
	tfrs_random_init(&random, 0, 0, 0);
	CHECK(tfrs_random_next(&random) == UINT64_C(0x52f6926fec2a4495));
}

CHECK_TEST(streams_differ_in_every_name)
{
	tfrs_random random[4];

	tfrs_random_init(&random[0], 1, 2, 3);
	tfrs_random_init(&random[1], 2, 1, 3);
	tfrs_random_init(&random[2], 1, 3, 2);
	tfrs_random_init(&random[3], 3, 2, 1);
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < a; b++)
			CHECK(memcmp(&random[a], &random[b], sizeof(random[a])) != 0);
}

CHECK_TEST(floats_fill_their_range)
{
	tfrs_random random;
	float		values[10000];
	float		low = 1;
	float		high = -1;
	double		sum = 0;

	tfrs_random_init(&random, 5, 0, 0);
	tfrs_random_fill(&random, values, 10000, -0.5f, 0.25f);
	for (int i = 0; i < 10000; i++)
	{
		CHECK(values[i] >= -0.5f && values[i] < 0.25f);
		low = values[i] < low ? values[i] : low;
		high = values[i] > high ? values[i] : high;
		sum += values[i];
	}
	CHECK_NEAR(low, -0.5, 0.001);
	CHECK_NEAR(high, 0.25, 0.001);
	CHECK_NEAR(sum / 10000, -0.125, 0.01);
}

CHECK_TEST(below_reaches_every_number_evenly)
{
	tfrs_random random;
	int			seen[7] = {0};

	tfrs_random_init(&random, 6, 0, 0);
	CHECK_EQUAL(tfrs_random_below(&random, 1), 0);
	for (int i = 0; i < 70000; i++)
	{
		uint32_t	drawn = tfrs_random_below(&random, 7);

		CHECK(drawn < 7);
		seen[drawn]++;
	}
	for (int i = 0; i < 7; i++)
		CHECK_NEAR(seen[i], 10000, 500);
}

CHECK_TEST(normal_has_its_moments)
{
	tfrs_random random;
	double		sum[4] = {0};

	tfrs_random_init(&random, 7, 0, 0);
	for (int i = 0; i < 100000; i++)
	{
		double		x = tfrs_random_normal(&random);

		CHECK(isfinite(x));
		for (int power = 0; power < 4; power++)
			sum[power] += pow(x, power + 1);
	}
	CHECK_NEAR(sum[0] / 100000, 0, 0.02);
	CHECK_NEAR(sum[1] / 100000, 1, 0.03);
	CHECK_NEAR(sum[2] / 100000, 0, 0.05);
	CHECK_NEAR(sum[3] / 100000, 3, 0.15);
}

/* Every one of the 4! orders about equally often. */
CHECK_TEST(shuffle_gives_every_order)
{
	tfrs_random random;
	int			seen[256] = {0};
	int			orders = 0;

	tfrs_random_init(&random, 8, 0, 0);
	for (int i = 0; i < 24000; i++)
	{
		uint32_t	rows[4] = {0, 1, 2, 3};

		tfrs_random_shuffle(&random, rows, 4);
		CHECK_EQUAL((1 << rows[0]) | (1 << rows[1]) | (1 << rows[2]) | (1 << rows[3]), 15);
		seen[rows[0] | rows[1] << 2 | rows[2] << 4 | rows[3] << 6]++;
	}
	for (int i = 0; i < 256; i++)
	{
		orders += seen[i] > 0;
		if (seen[i] > 0)
			CHECK_NEAR(seen[i], 1000, 200);
	}
	CHECK_EQUAL(orders, 24);
	tfrs_random_shuffle(&random, NULL, 0);
}
