/*
 * test_partition.c: leaves, and the spaces they are made in.
 */
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "check.h"
#include "retrieval/partition.h"

#define ROWS 2500
#define DIM 10
#define LEAVES 40

static const tfrs_metric metrics[] = {TFRS_METRIC_DOT, TFRS_METRIC_COSINE, TFRS_METRIC_L2};
static float rows[ROWS * DIM];
static float centre[DIM];

static tfrs_corpus
make_rows(tfrs_metric metric, float offset)
{
	tfrs_corpus corpus = {metric, ROWS, DIM, rows, NULL};
	tfrs_random random;

	tfrs_random_init(&random, 2, 1, 0);
	for (size_t i = 0; i < ROWS * DIM; i++)
		rows[i] = offset + tfrs_random_normal(&random) + (float) (i / DIM % 5 == i % DIM) * 4;
	return corpus;
}

static tfrs_space
make_space(const tfrs_corpus *corpus)
{
	float		scale;

	tfrs_space_fit(corpus, 0, centre, &scale);
	return tfrs_space_of(corpus->metric, DIM, centre, scale);
}

static void
partition(tfrs_partition_builder *builder, const tfrs_space *space, const tfrs_corpus *corpus,
		  int threads)
{
	memset(builder, 0, sizeof(*builder));
	builder->leaves = LEAVES;
	builder->threads = threads;
	CHECK_OK(tfrs_partition_begin(builder, check_arena(), space, corpus, &check_error));
	while (tfrs_partition_step(builder) == TFRS_MORE)
		CHECK(tfrs_partition_share_done(builder) <= 1);
}

static float
distance_to(const tfrs_partition_builder *builder, const float *place, size_t leaf)
{
	size_t		width = builder->space->width;

	return tfrs_kernels.squared_distance(place, builder->centroids + leaf * (width + 1), width);
}

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

CHECK_TEST(rows_are_in_their_nearest_leaf)
{
	for (size_t m = 0; m < 3; m++)
	{
		tfrs_corpus corpus = make_rows(metrics[m], 0);
		tfrs_space	space = make_space(&corpus);
		tfrs_partition_builder builder;
		float		place[DIM + 1];
		double		total = 0;
		double		before = 0;

		partition(&builder, &space, &corpus, 2);
		for (size_t row = 0; row < ROWS; row++)
		{
			float		own;

			CHECK(builder.leaf_of[row] < LEAVES);
			tfrs_space_row(&space, &corpus, row, place);
			own = distance_to(&builder, place, builder.leaf_of[row]);
			for (size_t leaf = 0; leaf < LEAVES; leaf++)
				CHECK(distance_to(&builder, place, leaf) >= own * 0.999f - 1e-5f);
			total += own;
			before += tfrs_kernels.dot(place, place, space.width);
		}
		CHECK(total < 0.6 * before);
		tfrs_partition_free(&builder);
	}
}

CHECK_TEST(leaves_do_not_depend_on_threads)
{
	tfrs_corpus corpus = make_rows(TFRS_METRIC_L2, 3);
	tfrs_space	space = make_space(&corpus);
	tfrs_partition_builder one;
	tfrs_partition_builder three;

	partition(&one, &space, &corpus, 1);
	partition(&three, &space, &corpus, 3);
	CHECK(memcmp(one.leaf_of, three.leaf_of, sizeof(uint32_t) * ROWS) == 0);
	tfrs_partition_free(&one);
	tfrs_partition_free(&three);
}

/* With fewer distinct rows than leaves some stay empty, and nothing is divided by zero. */
CHECK_TEST(equal_rows)
{
	tfrs_corpus corpus = make_rows(TFRS_METRIC_DOT, 0);
	tfrs_space	space = make_space(&corpus);
	tfrs_partition_builder builder;

	for (size_t row = 0; row < ROWS; row++)
		memcpy(rows + row * DIM, rows + row % 3 * DIM, DIM * sizeof(float));
	partition(&builder, &space, &corpus, 1);
	for (size_t row = 3; row < ROWS; row++)
		CHECK_EQUAL(builder.leaf_of[row], builder.leaf_of[row % 3]);
	tfrs_partition_free(&builder);
}

/* Products in the space order rows as scores do, and a score's product is one that a row has. */
CHECK_TEST(products_order_as_scores)
{
	for (size_t m = 0; m < 3; m++)
	{
		tfrs_corpus corpus = make_rows(metrics[m], metrics[m] == TFRS_METRIC_L2 ? 500 : 0);
		tfrs_space	space = make_space(&corpus);
		float		query[DIM + 1];
		float		place[DIM + 1];
		tfrs_scorer scorer;

		CHECK_OK(tfrs_scorer_init(&scorer, &corpus, rows + 17 * DIM, &check_error));
		tfrs_space_query(&space, &scorer, query);
		for (size_t row = 0; row < ROWS; row++)
		{
			float		least = tfrs_space_product_of(&space, query,
													  tfrs_scorer_score(&scorer, row));
			float		product;
			float		allowance;

			tfrs_space_row(&space, &corpus, row, place);
			product = tfrs_kernels.dot(query, place, space.width);
			allowance = tfrs_space_rounding(&space) * tfrs_vector_norm(query, space.width) *
				(tfrs_vector_norm(place, space.width) + space.centre_norm);
			CHECK(product >= least - allowance);
			CHECK_NEAR(product, least, 1e-3 * tfrs_vector_norm(query, space.width) *
					   tfrs_vector_norm(place, space.width) + 20 * allowance);
		}
	}
}
