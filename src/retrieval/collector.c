/*
 * collector.c: predicates and the best k.
 *
 * The lists of rows are searched by bisection: only rows that reach the threshold get here, some
 * hundreds a query, and a bitmap or a hash table would have to be filled anew for each query.
 */
#include "retrieval/collector.h"

#include <math.h>
#include <string.h>

void
tfrs_search_default(tfrs_search *search)
{
	memset(search, 0, sizeof(*search));
	search->k = 10;
	search->min_score = -INFINITY;
}

size_t
tfrs_place_of_row(const uint32_t *rows, size_t count, uint32_t row)
{
	size_t		low = 0;

	if (row < count && rows[row] == row)
		return row;				/* a list of all rows, up to here */
	while (count > 0)
	{
		size_t		half = count / 2;

		if (rows[low + half] < row)
		{
			low += half + 1;
			count -= half + 1;
		}
		else
			count = half;
	}
	return low;
}

static bool
holds_row(const uint32_t *rows, size_t count, uint32_t row)
{
	size_t		place = tfrs_place_of_row(rows, count, row);

	return place < count && rows[place] == row;
}

bool
tfrs_search_permits(const tfrs_search *search, uint32_t row)
{
	if (search->has_among && !holds_row(search->among, search->among_count, row))
		return false;
	return !holds_row(search->excluded, search->excluded_count, row);
}

bool
tfrs_search_allows(const tfrs_search *search, uint32_t row)
{
	return tfrs_search_permits(search, row) &&
		!holds_row(search->adjusted, search->adjusted_count, row);
}

static void
update_threshold(tfrs_collector *collector)
{
	float		kth = tfrs_topk_threshold(&collector->topk);

	collector->threshold = fmaxf(kth, collector->search->min_score);
}

void
tfrs_collector_init(tfrs_collector *collector, const tfrs_search *search, tfrs_hit *hits,
					size_t rows)
{
	collector->search = search;
	collector->revisits = false;
	tfrs_topk_init(&collector->topk, hits, search->k < rows ? search->k : rows);
	update_threshold(collector);
}

static uint32_t
held_bit(uint32_t row)
{
	return (row * UINT32_C(0x9e3779b1) >> 16) % TFRS_COLLECTOR_HELD;
}

void
tfrs_collector_revisit(tfrs_collector *collector)
{
	collector->revisits = true;
	memset(collector->held, 0, sizeof(collector->held));
	for (size_t i = 0; i < collector->topk.count; i++)
	{
		uint32_t	bit = held_bit(collector->topk.hits[i].row);

		collector->held[bit / 64] |= UINT64_C(1) << bit % 64;
	}
}

/* Whether it was when revisits began and still is.  All are looked at, which is vector code. */
static bool
is_held(const tfrs_collector *collector, uint32_t row)
{
	const tfrs_topk *topk = &collector->topk;
	uint32_t	bit = held_bit(row);
	uint32_t	equal = 0;

	if ((collector->held[bit / 64] >> bit % 64 & 1) == 0)
		return false;
	for (size_t i = 0; i < topk->count; i++)
		equal |= topk->hits[i].row == row;
	return equal != 0;
}

void
tfrs_collector_offer_adjusted(tfrs_collector *collector, float score, uint32_t row)
{
	if (!(score >= collector->threshold) || !tfrs_search_permits(collector->search, row) ||
		(collector->revisits && is_held(collector, row)))
		return;
	tfrs_topk_push(&collector->topk, score, row);
	update_threshold(collector);
}

void
tfrs_collector_consider(tfrs_collector *collector, float score, uint32_t row)
{
	if (!tfrs_search_allows(collector->search, row) ||
		(collector->revisits && is_held(collector, row)))
		return;
	tfrs_topk_push(&collector->topk, score, row);
	update_threshold(collector);
}
