/*
 * test_shortlist.c: whatever the last bits of the products, the best k are those of a full sort by
 * the dot kernel.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "base/shortlist.h"
#include "base/topk.h"
#include "check.h"

#define ROWS 777
#define DIM 9

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

typedef struct corpus
{
	float		query[DIM];
	float		rows[ROWS * DIM];
	float		products[ROWS];
	bool		hidden[ROWS];
	float		query_norm;
	float		longest;
} corpus;

static int
compare_hits(const void *a, const void *b)
{
	const tfrs_hit *x = a;
	const tfrs_hit *y = b;

	return tfrs_hit_before(*x, *y) ? -1 : tfrs_hit_before(*y, *x);
}

static float
norm(const float *vector)
{
	return sqrtf(tfrs_kernels.dot(vector, vector, DIM));
}

/* Products as far from the dot kernel's as two products may be from each other. */
static void
make_products(corpus *corpus, tfrs_random *random, float share_hidden)
{
	corpus->query_norm = norm(corpus->query);
	corpus->longest = 0;
	for (size_t n = 0; n < ROWS; n++)
		corpus->longest = fmaxf(corpus->longest, norm(corpus->rows + n * DIM));
	for (size_t n = 0; n < ROWS; n++)
	{
		float		most = 2.0f * DIM * 0x1p-24f * corpus->query_norm * corpus->longest;
		float		noise = (2.0f * tfrs_random_float(random) - 1.0f) * most;

		corpus->hidden[n] = tfrs_random_float(random) < share_hidden;
		corpus->products[n] = tfrs_kernels.dot(corpus->query, corpus->rows + n * DIM, DIM) +
			noise;
		if (corpus->hidden[n])
			corpus->products[n] = -INFINITY;
	}
}

static void
check_shortlist(const corpus *corpus, size_t k, size_t width)
{
	uint64_t   *keys = malloc(2 * tfrs_shortlist_room(k) * sizeof(uint64_t));
	tfrs_hit	hits[ROWS];
	size_t		count = 0;
	float		largest = -INFINITY;
	tfrs_shortlist list = {
		.query = corpus->query, .rows = corpus->rows, .dim = DIM, .k = k, .keys = keys,
		.scratch = keys + tfrs_shortlist_room(k)
	};

	for (uint32_t n = 0; n < ROWS; n++)
		if (!corpus->hidden[n])
			hits[count++] = (tfrs_hit) {
				tfrs_kernels.dot(corpus->query, corpus->rows + n * DIM, DIM), n
			};
	qsort(hits, count, sizeof(*hits), compare_hits);
	tfrs_shortlist_begin(&list, corpus->query_norm, corpus->longest);
	for (size_t n = 0; n < ROWS; n += width)
		largest = fmaxf(largest, tfrs_shortlist_add(&list, corpus->products + n,
													n + width < ROWS ? width : ROWS - n,
													(uint32_t) n));
	tfrs_shortlist_finish(&list);
	CHECK(largest == tfrs_kernels.maximum(corpus->products, ROWS));
	CHECK_EQUAL(list.count, k < count ? k : count);
	for (size_t i = 0; i < list.count; i++)
		CHECK_EQUAL(tfrs_shortlist_row(&list, i), hits[i].row);
	free(keys);
}

static void
check_all(const corpus *corpus)
{
	static const size_t ks[] = {1, 2, 10, 100, 300, ROWS - 1, ROWS, 2 * ROWS};
	static const size_t widths[] = {1, 63, 64, 250, ROWS};

	for (size_t k = 0; k < sizeof(ks) / sizeof(*ks); k++)
		for (size_t w = 0; w < sizeof(widths) / sizeof(*widths); w++)
			check_shortlist(corpus, ks[k], widths[w]);
}

CHECK_TEST(random_rows_some_of_them_equal)
{
	corpus		corpus;
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 3);
	for (int round = 0; round < 10; round++)
	{
		for (size_t i = 0; i < DIM; i++)
			corpus.query[i] = tfrs_random_normal(&random);
		for (size_t i = 0; i < ROWS * DIM; i++)
			corpus.rows[i] = tfrs_random_normal(&random);
		for (size_t n = 0; n < ROWS / 2; n++)
			memcpy(corpus.rows + tfrs_random_below(&random, ROWS) * DIM,
				   corpus.rows + tfrs_random_below(&random, ROWS) * DIM, DIM * sizeof(float));
		make_products(&corpus, &random, 0.1f * (float) (round % 3));
		check_all(&corpus);
	}
}

/* A search row by row is the worst that can happen. */
CHECK_TEST(all_rows_equal_or_zero)
{
	corpus		corpus;
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 4);
	for (int zero = 0; zero < 2; zero++)
	{
		for (size_t i = 0; i < DIM; i++)
			corpus.query[i] = tfrs_random_normal(&random);
		for (size_t i = 0; i < ROWS * DIM; i++)
			corpus.rows[i] = zero ? 0.0f : 0.1f * (float) (i % DIM);
		make_products(&corpus, &random, 0.0f);
		check_all(&corpus);
	}
}

/*
 * -0 and 0 are equal scores; scores rise with the row, so that every row enters; one is far away.
 */
CHECK_TEST(signs_orders_outliers)
{
	corpus		corpus;
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 5);
	for (int kind = 0; kind < 3; kind++)
	{
		memset(&corpus, 0, sizeof(corpus));
		corpus.query[0] = 1.0f;
		for (size_t n = 0; n < ROWS; n++)
			corpus.rows[n * DIM] = kind == 0 ? n % 2 == 0 ? -0.0f : 0.0f
				: kind == 1 ? (float) n / ROWS : n == 500 ? 1e6f : (float) (n % 7);
		make_products(&corpus, &random, 0.0f);
		check_all(&corpus);
	}
}

CHECK_TEST(everything_hidden)
{
	corpus		corpus;
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 6);
	memset(&corpus, 0, sizeof(corpus));
	make_products(&corpus, &random, 2.0f);
	check_all(&corpus);
}
