/*
 * topk.c: the heap behind topk.h.
 *
 * hits[0 .. count) is a binary heap whose entries stand after their children in the total order, so
 * hits[0] is the worst one held and its score is the threshold.  Since the order is total (rows are
 * distinct), the k kept and their final order do not depend on the order of the pushes.
 */
#include "base/topk.h"

#include <stdlib.h>

/* Moves the hole at position up until hit fits, then fills it. */
static void
sift_up(tfrs_hit *hits, size_t position, tfrs_hit hit)
{
	while (position > 0)
	{
		size_t		parent = (position - 1) / 2;

		if (!tfrs_hit_before(hits[parent], hit))
			break;
		hits[position] = hits[parent];
		position = parent;
	}
	hits[position] = hit;
}

/* Moves the hole at the top of a heap of count entries down until hit fits, then fills it. */
static void
sift_down(tfrs_hit *hits, size_t count, tfrs_hit hit)
{
	size_t		position = 0;

	for (size_t child = 1; child < count; child = 2 * position + 1)
	{
		if (child + 1 < count && tfrs_hit_before(hits[child], hits[child + 1]))
			child++;
		if (!tfrs_hit_before(hit, hits[child]))
			break;
		hits[position] = hits[child];
		position = child;
	}
	hits[position] = hit;
}

/* Multiply-adds that take as long as one comparison whose outcome cannot be foreseen. */
#define COMPARISON 64

double
tfrs_topk_cost(size_t k, size_t count)
{
	double		kept = (double) (k < count ? k : count);
	double		entering = kept < 1 ? 0 : kept * (1 + log((double) count / kept));

	return COMPARISON * (entering + kept) * log2(kept + 1);
}

void
tfrs_topk_push_slow(tfrs_topk *topk, tfrs_hit hit)
{
	if (topk->count < topk->k)
		sift_up(topk->hits, topk->count++, hit);
	else
		sift_down(topk->hits, topk->count, hit);
}

void
tfrs_topk_finish(tfrs_topk *topk)
{
	for (size_t count = topk->count; count > 1; count--)
	{
		tfrs_hit	last = topk->hits[count - 1];

		topk->hits[count - 1] = topk->hits[0];
		sift_down(topk->hits, count - 1, last);
	}
}

static int
compare_rows(const void *one, const void *two)
{
	uint32_t	a = ((const tfrs_hit *) one)->row;
	uint32_t	b = ((const tfrs_hit *) two)->row;

	return (a > b) - (a < b);
}

void
tfrs_topk_finish_by_row(tfrs_topk *topk)
{
	qsort(topk->hits, topk->count, sizeof(tfrs_hit), compare_rows);
}
