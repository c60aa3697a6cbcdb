/*
 * exact.c: the full scan, the definition of the right answer.
 */
#include "retrieval/exact.h"

/* Rows scored at once: their scores stay in the first-level cache. */
#define SCAN_ROWS 256

/* Rows of a list are fetched this far ahead; they lie anywhere. */
#define ROWS_AHEAD 8

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
	else
		scan_all(scorer, collector);
}
