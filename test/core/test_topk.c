/*
 * test_topk.c: the best k against a full sort, whatever the order of the pushes.
 */
#include <stdlib.h>

#include "base/random.h"
#include "base/topk.h"
#include "check.h"

#define ROWS 200

static int
compare_hits(const void *a, const void *b)
{
	const tfrs_hit *x = a;
	const tfrs_hit *y = b;

	return tfrs_hit_before(*x, *y) ? -1 : tfrs_hit_before(*y, *x);
}

static void
check_against_sort(const tfrs_hit *pushed, size_t count, size_t k)
{
	tfrs_hit	sorted[ROWS];
	tfrs_hit	kept[ROWS + 10];
	tfrs_topk	topk;

	tfrs_topk_init(&topk, kept, k);
	for (size_t i = 0; i < count; i++)
	{
		sorted[i] = pushed[i];
		tfrs_topk_push(&topk, pushed[i].score, pushed[i].row);
		CHECK_EQUAL(topk.count, i + 1 < k ? i + 1 : k);
	}
	qsort(sorted, count, sizeof(*sorted), compare_hits);
	if (k > 0 && k <= count)
		CHECK(tfrs_topk_threshold(&topk) == sorted[k - 1].score);
	tfrs_topk_finish(&topk);
	CHECK_EQUAL(topk.count, k < count ? k : count);
	for (size_t i = 0; i < topk.count; i++)
	{
		CHECK(kept[i].score == sorted[i].score);
		CHECK_EQUAL(kept[i].row, sorted[i].row);
	}
	tfrs_topk_finish_by_row(&topk);
	for (size_t i = 1; i < topk.count; i++)
		CHECK(kept[i - 1].row < kept[i].row);
}

CHECK_TEST(random_scores_with_ties)
{
	static const size_t ks[] = {0, 1, 2, 3, 10, ROWS - 1, ROWS, ROWS + 10};
	tfrs_hit	hits[ROWS];
	uint32_t	rows[ROWS];
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 3);
	for (uint32_t i = 0; i < ROWS; i++)
		rows[i] = i;
	for (uint32_t distinct = 1; distinct <= 1000; distinct *= 10)
		for (size_t i = 0; i < sizeof(ks) / sizeof(*ks); i++)
		{
			tfrs_random_shuffle(&random, rows, ROWS);
			for (size_t j = 0; j < ROWS; j++)
			{
				hits[j].row = rows[j];
				hits[j].score = (float) tfrs_random_below(&random, distinct) - 5.0f;
			}
			check_against_sort(hits, ROWS, ks[i]);
		}
}

CHECK_TEST(sorted_input)
{
	tfrs_hit	up[ROWS];
	tfrs_hit	down[ROWS];

	for (uint32_t i = 0; i < ROWS; i++)
	{
		up[i] = (tfrs_hit) {(float) i, i};
		down[i] = (tfrs_hit) {-(float) i, i};
	}
	for (size_t k = 1; k < ROWS; k += 7)
	{
		check_against_sort(up, ROWS, k);
		check_against_sort(down, ROWS, k);
	}
}

CHECK_TEST(infinite_scores_and_signed_zeros)
{
	tfrs_hit	hits[] = {{-INFINITY, 4}, {0.0f, 3}, {INFINITY, 2}, {-0.0f, 1}, {-INFINITY, 0}};

	for (size_t k = 0; k <= 6; k++)
		check_against_sort(hits, 5, k);
}

CHECK_TEST(threshold)
{
	tfrs_hit	hits[2];
	tfrs_topk	topk;

	tfrs_topk_init(&topk, hits, 0);
	CHECK(tfrs_topk_threshold(&topk) == INFINITY);
	tfrs_topk_push(&topk, INFINITY, 1);
	CHECK_EQUAL(topk.count, 0);

	tfrs_topk_init(&topk, hits, 2);
	tfrs_topk_push(&topk, 3.0f, 1);
	CHECK(tfrs_topk_threshold(&topk) == -INFINITY);
	tfrs_topk_push(&topk, 5.0f, 2);
	CHECK(tfrs_topk_threshold(&topk) == 3.0f);
	tfrs_topk_push(&topk, 3.0f, 0);	/* an equal score with a lower row wins */
	CHECK_EQUAL(hits[0].row, 0);
}
