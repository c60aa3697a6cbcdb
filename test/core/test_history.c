/*
 * test_history.c: bags by hand-computed values, the query vector and its gradient.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/history.h"

#define MANY 4000

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

/* Candidate 5 at 10, 3 and 8 in one basket at 20, 1 at 30. */
static const uint32_t four_candidates[] = {5, 3, 8, 1};
static const int64_t four_times[] = {10, 20, 20, 30};
static const tfrs_event_list four = {4, four_candidates, four_times};

static tfrs_history_shape
shape_of(float decay, uint32_t length)
{
	return (tfrs_history_shape) {
		.dim = 4, .bags = 1, .decay = {decay}, .length = length, .temperature = 1.0f
	};
}

static void
make_bag(tfrs_ragged *bag, const tfrs_history_shape *shape, const tfrs_event_list *list,
		 float dropout, tfrs_random *random)
{
	CHECK_OK(tfrs_ragged_reserve(bag, check_arena(), 1,
								 tfrs_history_bag_size(shape, 0, list->count), &check_error));
	tfrs_history_bag(shape, 0, list, dropout, random, bag);
	tfrs_ragged_end_row(bag);
}

static void
check_bag(float decay, uint32_t length, const tfrs_event_list *list, const float *weights)
{
	tfrs_history_shape shape = shape_of(decay, length);
	tfrs_ragged bag = {0};

	make_bag(&bag, &shape, list, 0, NULL);
	for (size_t i = 0; i < bag.count; i++)
	{
		CHECK_EQUAL(bag.item[i], list->candidate[list->count - 1 - i]);
		CHECK_NEAR(bag.weight[i], weights[i], 1e-6);
	}
	CHECK_EQUAL(bag.count, tfrs_history_bag_size(&shape, 0, list->count));
}

/* Newest first; the weights 1, g, g^2 over the root of their sum. */
CHECK_TEST(bags_by_hand)
{
	const tfrs_event_list untimed = {4, four_candidates, NULL};
	const tfrs_event_list none = {0, four_candidates, four_times};

	check_bag(0.0f, 1, &four, (const float[]) {0.5f, 0.5f, 0.5f, 0.5f});
	check_bag(0.5f, 100, &four, (const float[]) {
		1 / 1.5f, 0.5f / 1.5f, 0.5f / 1.5f, 0.25f / 1.5f
	});
	check_bag(0.5f, 4, &untimed, (const float[]) {
		1 / sqrtf(1.875f), 0.5f / sqrtf(1.875f), 0.25f / sqrtf(1.875f), 0.125f / sqrtf(1.875f)
	});
	check_bag(1.0f, 4, &four, (const float[]) {0.5f, 0.5f, 0.5f, 0.5f});
	check_bag(0.5f, 2, &four, (const float[]) {1 / sqrtf(1.5f), 0.5f / sqrtf(1.5f)});
	check_bag(0.5f, 1, &four, (const float[]) {1});
	check_bag(0.5f, 4, &none, NULL);
	check_bag(0.0f, 4, &none, NULL);
}

CHECK_TEST(the_length_is_for_bags_that_decay)
{
	tfrs_history_shape shape = shape_of(0.0f, 3);

	CHECK_EQUAL(tfrs_history_bag_size(&shape, 0, 5), 5);
	shape.decay[0] = 0.9f;
	CHECK_EQUAL(tfrs_history_bag_size(&shape, 0, 5), 3);
	CHECK_EQUAL(tfrs_history_bag_size(&shape, 0, 2), 2);
}

/* Kept elements are scaled so that the sum is the same on the average. */
CHECK_TEST(dropout_keeps_the_mean)
{
	static uint32_t candidates[MANY];
	tfrs_event_list list = {MANY, candidates, NULL};
	tfrs_history_shape shape = shape_of(0.0f, 1);
	tfrs_ragged bag = {0};
	tfrs_random random;
	double		sum = 0;

	for (uint32_t i = 0; i < MANY; i++)
		candidates[i] = i;
	tfrs_random_init(&random, 1, 2, 3);
	make_bag(&bag, &shape, &list, 0.75f, &random);
	CHECK(bag.count > MANY / 4 - 120 && bag.count < MANY / 4 + 120);
	for (size_t i = 0; i < bag.count; i++)
	{
		CHECK_NEAR(bag.weight[i], 4.0 / sqrt(MANY), 1e-6);
		sum += bag.weight[i];
		CHECK(i == 0 || bag.item[i] < bag.item[i - 1]);
	}
	CHECK_NEAR(sum / sqrt(MANY), 1.0, 0.1);
}

/* A decay that underflows over a long history gives weights of 0, not NaN. */
CHECK_TEST(long_histories_stay_finite)
{
	static uint32_t candidates[MANY];
	tfrs_event_list list = {MANY, candidates, NULL};
	tfrs_history_shape shape = shape_of(0.01f, MANY);
	tfrs_ragged bag = {0};

	make_bag(&bag, &shape, &list, 0, NULL);
	CHECK_EQUAL(bag.count, MANY);
	for (size_t i = 0; i < bag.count; i++)
		CHECK(bag.weight[i] >= 0 && bag.weight[i] <= 1);
	CHECK(bag.weight[MANY - 1] == 0);
}

/* Bags 0 and 1 of the four events over two tables of their own. */
CHECK_TEST(a_query_vector_is_the_sum_of_its_bags)
{
	tfrs_history_shape shape = {
		.dim = 4, .bags = 2, .decay = {0.0f, 0.5f}, .length = 2, .bias = 1, .temperature = 0.5f
	};
	float		tables[2][9 * 4];
	const float *table[2] = {tables[0], tables[1]};
	float		expected[4] = {0};
	float		got[4];
	tfrs_ragged bag = {0};

	for (int i = 0; i < 9 * 4; i++)
	{
		tables[0][i] = (float) ((i * 37) % 11 - 5);
		tables[1][i] = (float) ((i * 29) % 13 - 6);
	}
	for (uint32_t b = 0; b < 2; b++)
	{
		CHECK_OK(tfrs_ragged_reserve(&bag, check_arena(), 1, 4, &check_error));
		tfrs_history_bag(&shape, b, &four, 0, NULL, &bag);
		tfrs_ragged_end_row(&bag);
		tfrs_history_add(expected, tables[b], 4, &bag, 0);
		for (int d = 0; b == 0 && d < 3; d++)
			CHECK_NEAR(expected[d], 0.5 * (tables[0][5 * 4 + d] + tables[0][3 * 4 + d] +
										   tables[0][8 * 4 + d] + tables[0][1 * 4 + d]), 1e-5);
	}
	tfrs_history_encode(&shape, table, &four, got);
	for (int d = 0; d < 3; d++)
		CHECK_NEAR(got[d], expected[d] / 0.5, 1e-5);
	CHECK(got[3] == 1.0f);
}

/* Events that follow one another in a list: with the bias they are the whole product. */
CHECK_TEST(contributions_add_up_to_the_product)
{
	const float candidate[] = {0.3f, -0.7f, 1.1f, 0.25f};
	float		all[10 * 4];
	float		recent[10 * 4];
	const float *tables[] = {all, recent};
	float		query[4];
	float		expected[4];

	for (size_t i = 0; i < 10 * 4; i++)
	{
		all[i] = sinf((float) i);
		recent[i] = cosf(3.0f * (float) i);
	}
	for (uint32_t normalize = 0; normalize < 2; normalize++)
		for (size_t count = 0; count <= four.count; count++)
		{
			const tfrs_history_shape shape = {
				.dim = 4, .bags = 2, .decay = {0, 0.5f}, .length = 2, .bias = 1,
				.normalize = normalize, .temperature = 0.2f
			};
			const tfrs_event_list list = {count, four_candidates, four_times};
			double		contribution[4];
			double		sum = candidate[3];

			tfrs_history_encode(&shape, tables, &list, expected);
			tfrs_history_contributions(&shape, tables, &list, candidate, query, contribution);
			CHECK(memcmp(query, expected, sizeof(query)) == 0);
			for (size_t i = 0; i < count; i++)
				sum += contribution[i];
			CHECK_NEAR(sum, tfrs_kernels.dot(query, candidate, 4), 1e-5);
		}
}

/* An event beyond the length of the decaying bag is in the other one only. */
CHECK_TEST(contributions_by_hand)
{
	const tfrs_history_shape shape = {
		.dim = 2, .bags = 2, .decay = {0, 0.5f}, .length = 1, .temperature = 0.5f
	};
	const uint32_t candidates[] = {0, 1, 0, 1};
	const float all[] = {1, 0, 0, 1};
	const float recent[] = {10, 0, 0, 10};
	const float *tables[] = {all, recent};
	const float candidate[] = {2, 3};
	float		query[2];
	double		contribution[4];

	tfrs_history_contributions(&shape, tables, &(tfrs_event_list) {4, candidates, NULL}, candidate,
							   query, contribution);
	CHECK_NEAR(contribution[0], 2 * 0.5 / 0.5, 1e-6);
	CHECK_NEAR(contribution[1], 3 * 0.5 / 0.5, 1e-6);
	CHECK_NEAR(contribution[2], 2 * 0.5 / 0.5, 1e-6);
	CHECK_NEAR(contribution[3], (3 * 0.5 + 30) / 0.5, 1e-5);
}

CHECK_TEST(finishing_by_hand)
{
	tfrs_history_shape shape = shape_of(0.0f, 1);
	float		vector[4] = {3, 0, 4, 7};
	float		zero[4] = {0, 0, 0, 5};
	float		scale;

	shape.bias = 1;
	shape.normalize = 1;
	shape.temperature = 0.1f;
	tfrs_history_finish(&shape, vector, &scale);
	CHECK_NEAR(vector[0], 6.0, 1e-5);
	CHECK_NEAR(vector[1], 0.0, 0);
	CHECK_NEAR(vector[2], 8.0, 1e-5);
	CHECK_NEAR(vector[3], 1.0, 0);
	CHECK_NEAR(scale, 0.2, 1e-6);
	tfrs_history_finish(&shape, zero, NULL);
	CHECK(zero[0] == 0 && zero[1] == 0 && zero[2] == 0 && zero[3] == 1);
}

/* sum (w . finish(x)) as a function of x, in double but for the floats of finish itself. */
static double
probe(const tfrs_history_shape *shape, const float *x, const float *w)
{
	float		vector[8];
	double		sum = 0;

	memcpy(vector, x, shape->dim * sizeof(float));
	tfrs_history_finish(shape, vector, NULL);
	for (uint32_t d = 0; d < shape->dim; d++)
		sum += (double) w[d] * vector[d];
	return sum;
}

static void
check_gradient(const tfrs_history_shape *shape, float size)
{
	float		x[8];
	float		w[8];
	float		vector[8];
	float		gradient[8];
	float		scale;
	tfrs_random random;

	tfrs_random_init(&random, 4, 5, 6);
	tfrs_random_fill(&random, x, 8, -size, size);
	tfrs_random_fill(&random, w, 8, -1, 1);
	memcpy(vector, x, sizeof(x));
	memcpy(gradient, w, sizeof(w));
	tfrs_history_finish(shape, vector, &scale);
	tfrs_history_finish_backward(shape, vector, scale, gradient);
	for (uint32_t d = 0; d < shape->dim; d++)
	{
		float		up[8];
		float		down[8];
		double		difference;

		memcpy(up, x, sizeof(x));
		memcpy(down, x, sizeof(x));
		up[d] += 0.01f * size;
		down[d] -= 0.01f * size;
		difference = (probe(shape, up, w) - probe(shape, down, w)) / ((double) up[d] - down[d]);
		CHECK_NEAR(gradient[d], difference, 2e-3 / size);
	}
}

/* With and without norm, bias and temperature; also below the floor of the norm. */
CHECK_TEST(the_gradient_of_finishing)
{
	for (uint32_t switches = 0; switches < 8; switches++)
	{
		tfrs_history_shape shape = {
			.dim = 8, .bags = 1, .bias = switches & 1, .normalize = switches >> 1 & 1,
			.temperature = switches & 4 ? 0.2f : 1.0f
		};

		check_gradient(&shape, 1.0f);
		if (shape.normalize)
			check_gradient(&shape, 1e-7f);
	}
}
