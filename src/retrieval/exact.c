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
scan_unmeasured(const tfrs_scorer *scorer, tfrs_collector *collector)
{
	const tfrs_corpus *corpus = scorer->corpus;
	float		products[SCAN_ROWS];

	for (size_t first = 0; first < corpus->count; first += SCAN_ROWS)
	{
		size_t		rows = tfrs_size_smaller(corpus->count - first, SCAN_ROWS);

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

static void
scan_all(const tfrs_scorer *scorer, tfrs_collector *collector)
{
	float		scores[SCAN_ROWS];
	size_t		count = scorer->corpus->count;

	for (size_t first = 0; first < count; first += SCAN_ROWS)
	{
		size_t		rows = count - first < SCAN_ROWS ? count - first : SCAN_ROWS;

		tfrs_scorer_scores(scorer, first, rows, scores);
		for (size_t r = 0; r < rows; r++)
			tfrs_collector_offer(collector, scores[r], (uint32_t) (first + r));
	}
}

void
tfrs_exact_scan(const tfrs_scorer *scorer, tfrs_collector *collector)
{
	const tfrs_search *search = collector->search;

	if (search->has_among)
		scan_list(scorer, search->among, search->among_count, collector);
	else if (scorer->corpus->metric == TFRS_METRIC_COSINE && scorer->corpus->norms == NULL)
		scan_unmeasured(scorer, collector);
	else
		scan_all(scorer, collector);
}
