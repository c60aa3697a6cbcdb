/*
 * test_tower.c: bags by hand-computed values, the query vector and its gradient.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/tower.h"

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

static tfrs_tower_shape
shape_of(float decay, uint32_t length)
{
	return (tfrs_tower_shape) {
		.dim = 4, .bags = 1, .decay = {decay}, .length = length, .temperature = 1.0f
	};
}

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_ragged_plan(plan, object);
}

static void
make_bag(tfrs_ragged *bag, const tfrs_tower_shape *shape, const tfrs_event_list *list,
		 float dropout, tfrs_random *random)
{
	*bag = (tfrs_ragged) {
		.row_capacity = 1, .has_weight = true,
		.capacity = tfrs_bag_size(tfrs_tower_bag(shape, 0), list->count)
	};
	CHECK_OK(tfrs_plan_take(check_arena(), arrays, bag, &check_error));
	tfrs_ragged_clear(bag);
	tfrs_bag_push(tfrs_tower_bag(shape, 0), list, dropout, random, bag);
	tfrs_ragged_end_row(bag);
}

static void
check_bag(float decay, uint32_t length, const tfrs_event_list *list, const float *weights)
{
	tfrs_tower_shape shape = shape_of(decay, length);
	tfrs_ragged bag = {0};

	make_bag(&bag, &shape, list, 0, NULL);
	for (size_t i = 0; i < bag.count; i++)
	{
		CHECK_EQUAL(bag.item[i], list->candidate[list->count - 1 - i]);
		CHECK_NEAR(bag.weight[i], weights[i], 1e-6);
	}
	CHECK_EQUAL(bag.count, tfrs_bag_size(tfrs_tower_bag(&shape, 0), list->count));
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
	tfrs_tower_shape shape = shape_of(0.0f, 3);

	CHECK_EQUAL(tfrs_bag_size(tfrs_tower_bag(&shape, 0), 5), 5);
	shape.decay[0] = 0.9f;
	CHECK_EQUAL(tfrs_bag_size(tfrs_tower_bag(&shape, 0), 5), 3);
	CHECK_EQUAL(tfrs_bag_size(tfrs_tower_bag(&shape, 0), 2), 2);
}

/* Kept elements are scaled so that the sum is the same on the average. */
CHECK_TEST(dropout_keeps_the_mean)
{
	static uint32_t candidates[MANY];
	tfrs_event_list list = {MANY, candidates, NULL};
	tfrs_tower_shape shape = shape_of(0.0f, 1);
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
	tfrs_tower_shape shape = shape_of(0.01f, MANY);
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
	tfrs_tower_shape shape = {
		.dim = 4, .bags = 2, .decay = {0.0f, 0.5f}, .length = 2, .bias = 1, .temperature = 0.5f
	};
	float		tables[2][9 * 4];
	const float *table[2] = {tables[0], tables[1]};
	float		expected[4] = {0};
	float		got[4];

	for (int i = 0; i < 9 * 4; i++)
	{
		tables[0][i] = (float) ((i * 37) % 11 - 5);
		tables[1][i] = (float) ((i * 29) % 13 - 6);
	}
	for (uint32_t b = 0; b < 2; b++)
	{
		tfrs_bag_walk walk = tfrs_bag_begin(tfrs_tower_bag(&shape, b), &four);

		while (tfrs_bag_next(&walk))
			for (int d = 0; d < 4; d++)
				expected[d] += walk.weight * table[b][four.candidate[walk.event] * 4 + d];
		for (int d = 0; b == 0 && d < 3; d++)
			CHECK_NEAR(expected[d], 0.5 * (tables[0][5 * 4 + d] + tables[0][3 * 4 + d] +
										   tables[0][8 * 4 + d] + tables[0][1 * 4 + d]), 1e-5);
	}
	tfrs_tower_encode(&shape, table, &four, got);
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
			const tfrs_tower_shape shape = {
				.dim = 4, .bags = 2, .decay = {0, 0.5f}, .length = 2, .bias = 1,
				.normalize = normalize, .temperature = 0.2f
			};
			const tfrs_event_list list = {count, four_candidates, four_times};
			double		contribution[4];
			double		sum = candidate[3];

			tfrs_tower_encode(&shape, tables, &list, expected);
			tfrs_tower_contributions(&shape, tables, &list, candidate, query, contribution);
			CHECK(memcmp(query, expected, sizeof(query)) == 0);
			for (size_t i = 0; i < count; i++)
				sum += contribution[i];
			CHECK_NEAR(sum, tfrs_kernels.dot(query, candidate, 4), 1e-5);
		}
}

/* An event beyond the length of the decaying bag is in the other one only. */
CHECK_TEST(contributions_by_hand)
{
	const tfrs_tower_shape shape = {
		.dim = 2, .bags = 2, .decay = {0, 0.5f}, .length = 1, .temperature = 0.5f
	};
	const uint32_t candidates[] = {0, 1, 0, 1};
	const float all[] = {1, 0, 0, 1};
	const float recent[] = {10, 0, 0, 10};
	const float *tables[] = {all, recent};
	const float candidate[] = {2, 3};
	float		query[2];
	double		contribution[4];

	tfrs_tower_contributions(&shape, tables, &(tfrs_event_list) {4, candidates, NULL}, candidate,
							   query, contribution);
	CHECK_NEAR(contribution[0], 2 * 0.5 / 0.5, 1e-6);
	CHECK_NEAR(contribution[1], 3 * 0.5 / 0.5, 1e-6);
	CHECK_NEAR(contribution[2], 2 * 0.5 / 0.5, 1e-6);
	CHECK_NEAR(contribution[3], (3 * 0.5 + 30) / 0.5, 1e-5);
}

CHECK_TEST(finishing_by_hand)
{
	tfrs_tower_shape shape = shape_of(0.0f, 1);
	float		vector[4] = {3, 0, 4, 7};
	float		zero[4] = {0, 0, 0, 5};
	float		candidates[8] = {3, 0, 4, 7, 0, 0, 0, 5};
	float		length[2];

	shape.bias = 1;
	shape.normalize = 1;
	shape.temperature = 0.1f;
	tfrs_tower_finish(&shape, vector);
	CHECK_NEAR(vector[0], 6.0, 1e-5);
	CHECK_NEAR(vector[1], 0.0, 0);
	CHECK_NEAR(vector[2], 8.0, 1e-5);
	CHECK_NEAR(vector[3], 1.0, 0);
	tfrs_tower_finish(&shape, zero);
	CHECK(zero[0] == 0 && zero[1] == 0 && zero[2] == 0 && zero[3] == 1);
	tfrs_tower_finish_candidates(&shape, candidates, 2, length);
	CHECK_NEAR(candidates[0], 0.6, 1e-6);
	CHECK_NEAR(candidates[2], 0.8, 1e-6);
	CHECK(candidates[3] == 7 && candidates[7] == 5);	/* biases of their own */
	CHECK_NEAR(length[0], 5.0, 1e-5);
}

/* sum (w . finish(x)) as a function of x, in double but for the floats of finish itself. */
static double
probe(const tfrs_tower_shape *shape, const float *x, const float *w)
{
	float		vector[8];
	double		sum = 0;

	memcpy(vector, x, shape->dim * sizeof(float));
	tfrs_tower_finish(shape, vector);
	for (uint32_t d = 0; d < shape->dim; d++)
		sum += (double) w[d] * vector[d];
	return sum;
}

/* A tower of one embedding, with one row in its batch. */
typedef struct embedding
{
	tfrs_tensors parameters;
	tfrs_tower	tower;
} embedding;

static void
embedding_arrays(void *object, tfrs_plan *plan)
{
	embedding  *e = object;

	tfrs_tensors_plan(plan, &e->parameters);
	tfrs_tower_plan(plan, &e->tower);
}

/* The gradient of w . vector by the row x of the table. */
static void
gradient_by_tower(const tfrs_tower_shape *shape, bool distinct, const float *x, const float *w,
				  float *gradient)
{
	static const uint32_t id = 1;
	embedding	e = {.parameters = {.dim = 8}};

	e.tower = (tfrs_tower) {.shape = shape,.encoders = 1,.distinct = distinct,.room = 1};
	e.tower.encoder[0].kind = &tfrs_encoder_embedding;
	e.tower.encoder[0].table = tfrs_tensors_declare(&e.parameters, "query", 3, 1);
	e.tower.encoder[0].cells.id = &id;
	CHECK_OK(tfrs_plan_take(check_arena(), embedding_arrays, &e, &check_error));
	memcpy(e.parameters.tensor[0].values + 8, x, 8 * sizeof(float));
	tfrs_tower_begin(&e.tower, 1);
	CHECK_OK(tfrs_tower_forward_step(&e.tower, NULL));
	memcpy(tfrs_tower_gradient(&e.tower), w, 8 * sizeof(float));
	CHECK_OK(tfrs_tower_backward_step(&e.tower));
	CHECK_EQUAL(e.parameters.tensor[0].touched, 1);
	CHECK_EQUAL(e.parameters.tensor[0].row[0], 1);
	memcpy(gradient, e.parameters.tensor[0].gradient, 8 * sizeof(float));
	tfrs_plan_release(check_arena(), embedding_arrays, &e);
}

static void
check_gradient(const tfrs_tower_shape *shape, bool distinct, float size)
{
	float		x[8];
	float		w[8];
	float		gradient[8];
	tfrs_random random;

	tfrs_random_init(&random, 4, 5, 6);
	tfrs_random_fill(&random, x, 8, -size, size);
	tfrs_random_fill(&random, w, 8, -1, 1);
	gradient_by_tower(shape, distinct, x, w, gradient);
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
	for (uint32_t switches = 0; switches < 16; switches++)
	{
		tfrs_tower_shape shape = {
			.dim = 8, .bags = 1, .bias = switches & 1, .normalize = switches >> 1 & 1,
			.temperature = switches & 4 ? 0.2f : 1.0f
		};

		check_gradient(&shape, switches & 8, 1.0f);
		if (shape.normalize)
			check_gradient(&shape, switches & 8, 1e-7f);
	}
}
