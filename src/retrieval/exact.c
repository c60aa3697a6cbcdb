/*
 * exact.c: the full scan, the definition of the right answer.
 */
#include "retrieval/exact.h"

#include <math.h>

#include "base/arena.h"
#include "base/kernels.h"

/* Rows scored at once: their scores stay in the first-level cache. */
#define SCAN_ROWS 256

/* Rows of a list are fetched this far ahead; they lie anywhere. */
#define ROWS_AHEAD 8

/* Lengths and their products within which float32 loses no more than its last digits. */
#define LEAST_LENGTH 1e-12f
#define MOST_LENGTH 1e18f

/* Times this a product of floats is within the range of float again. */
#define INFINITE_SCALE 0x1p-150

static void
scan_list(const tfrs_scorer *scorer, const uint32_t *rows, size_t count,
		  tfrs_collector *collector)
{
	const tfrs_corpus *corpus = scorer->corpus;

	for (size_t i = 0; i < count; i++)
	{
		if (i + ROWS_AHEAD < count)
			__builtin_prefetch(corpus->vectors + (size_t) rows[i + ROWS_AHEAD] * corpus->dim);
		tfrs_collector_offer(collector, tfrs_scorer_score(scorer, rows[i]), rows[i]);
	}
}

/*
 * Whether a row's cosine may reach the threshold, where lengths are not stored (similar rows of an
 * index by another metric).  Its length by the kernel tells, rounding allowed for, but where that
 * leaves the numbers whose squares and products float32 holds well.
 */
static bool
may_reach(const tfrs_scorer *scorer, size_t row, float product, float threshold)
{
	size_t		dim = scorer->corpus->dim;
	const float *x = scorer->corpus->vectors + row * dim;
	float		length = sqrtf(tfrs_kernels.dot(x, x, dim));
	float		both = length * scorer->query_norm;
	float		rounding = 0x1p-22f * (float) (dim + 16);

	return !(length > LEAST_LENGTH && scorer->query_norm > LEAST_LENGTH && both < MOST_LENGTH &&
			 product < (threshold - rounding) * both);
}

/* By cosine without stored lengths: an exact length takes three times as long as the product. */
static void
scan_unmeasured(const tfrs_scorer *scorer, size_t first, size_t end, tfrs_collector *collector)
{
	const tfrs_corpus *corpus = scorer->corpus;
	float		products[SCAN_ROWS];

	for (; first < end; first += SCAN_ROWS)
	{
		size_t		rows = tfrs_size_smaller(end - first, SCAN_ROWS);

		tfrs_kernels.dot_rows(scorer->query, corpus->vectors + first * corpus->dim, rows,
							  corpus->dim, products);
		for (size_t r = 0; r < rows; r++)
		{
			if (may_reach(scorer, first + r, products[r], collector->threshold))
				tfrs_collector_offer(collector, tfrs_scorer_score(scorer, first + r),
									 (uint32_t) (first + r));
		}
	}
}

void
tfrs_exact_offer_adjusted(const tfrs_scorer *scorer, tfrs_collector *collector)
{
	const tfrs_search *search = collector->search;

	for (size_t i = 0; i < search->adjusted_count; i++)
	{
		uint32_t	row = search->adjusted[i];

		tfrs_collector_offer_adjusted(collector, tfrs_scorer_score(scorer, row) +
									  search->adjustment[i], row);
	}
}

/* Scores of the rows from first on; *next: the first adjusted row that is not below first. */
static void
offer_scores(tfrs_collector *collector, const float *scores, size_t first, size_t rows,
			 size_t *next)
{
	const tfrs_search *search = collector->search;

	for (size_t r = 0; r < rows; r++)
	{
		uint32_t	row = (uint32_t) (first + r);

		if (*next < search->adjusted_count && search->adjusted[*next] == row)
			tfrs_collector_offer_adjusted(collector, scores[r] + search->adjustment[(*next)++],
										  row);
		else
			tfrs_collector_offer(collector, scores[r], row);
	}
}

/* The rows that are adjusted too, with their own scores. */
static void
scan_range(const tfrs_scorer *scorer, size_t first, size_t end, tfrs_collector *collector,
		   size_t *next)
{
	const tfrs_search *search = collector->search;
	float		scores[SCAN_ROWS];

	while (*next < search->adjusted_count && search->adjusted[*next] < first)
		(*next)++;
	for (; first < end; first += SCAN_ROWS)
	{
		size_t		rows = tfrs_size_smaller(end - first, SCAN_ROWS);

		tfrs_scorer_scores(scorer, first, rows, scores);
		offer_scores(collector, scores, first, rows, next);
	}
}

/* The rows between excluded ones, which are not scored. */
static void
scan_ranges(const tfrs_scorer *scorer, tfrs_collector *collector)
{
	const tfrs_search *search = collector->search;
	bool		unmeasured = scorer->corpus->metric == TFRS_METRIC_COSINE &&
		scorer->corpus->norms == NULL;
	size_t		first = 0;
	size_t		next = 0;

	if (unmeasured)
		tfrs_exact_offer_adjusted(scorer, collector);
	for (size_t i = 0; i <= search->excluded_count; i++)
	{
		size_t		end = scorer->corpus->count;

		if (i < search->excluded_count)
			end = tfrs_size_smaller(end, search->excluded[i]);
		if (unmeasured)
			scan_unmeasured(scorer, first, end, collector);
		else
			scan_range(scorer, first, end, collector, &next);
		first = end + 1;
	}
}

void
tfrs_exact_scan(const tfrs_scorer *scorer, tfrs_collector *collector)
{
	const tfrs_search *search = collector->search;

	if (search->has_among)
	{
		tfrs_exact_offer_adjusted(scorer, collector);
		scan_list(scorer, search->among, search->among_count, collector);
	}
	else
		scan_ranges(scorer, collector);
}

/* Infinite scores of that sign. */
static void
order_infinite(const tfrs_scorer *scorer, const tfrs_search *search, float infinity,
			   tfrs_hit *hits, size_t count)
{
	size_t		rows = search->has_among ? search->among_count : scorer->corpus->count;
	tfrs_topk	topk;

	tfrs_topk_init(&topk, hits, count);
	for (size_t i = 0; i < rows; i++)
	{
		size_t		row = search->has_among ? search->among[i] : i;
		double		value = tfrs_scorer_value(scorer, row);

		if ((float) value == infinity && tfrs_search_permits(search, (uint32_t) row))
			tfrs_topk_push(&topk, (float) (value * INFINITE_SCALE), (uint32_t) row);
	}
	tfrs_topk_finish(&topk);
	for (size_t i = 0; i < count; i++)
		hits[i].score = infinity;
}

void
tfrs_exact_order_infinite(const tfrs_scorer *scorer, const tfrs_search *search, tfrs_hit *hits,
						  size_t count)
{
	size_t		first = 0;
	size_t		last = count;

	while (first < count && hits[first].score == INFINITY)
		first++;
	while (last > first && hits[last - 1].score == -INFINITY)
		last--;
	if (first > 0)
		order_infinite(scorer, search, INFINITY, hits, first);
	if (last < count)
		order_infinite(scorer, search, -INFINITY, hits + last, count - last);
}
