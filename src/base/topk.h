/*
 * topk.h: the best k of a stream under a total order.
 *
 * Order: score descending, then row ascending (rows are sorted by id, so this is the id order that
 * the SQL contract promises).  A heap with its worst entry on top: most rows fail one comparison
 * with the threshold.  NaN scores may not be pushed.
 */
#ifndef TFRS_TOPK_H
#define TFRS_TOPK_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tfrs_hit
{
	float		score;
	uint32_t	row;
} tfrs_hit;

typedef struct tfrs_topk
{
	size_t		k;				/* capacity of hits; 0 is allowed and keeps nothing */
	size_t		count;
	tfrs_hit   *hits;			/* the caller's, k entries */
} tfrs_topk;

static inline void
tfrs_topk_init(tfrs_topk *topk, tfrs_hit *hits, size_t k)
{
	topk->k = k;
	topk->count = 0;
	topk->hits = hits;
}

/*
 * What keeping and sorting the best k of count rows costs where their scores come in any order, in
 * multiply-adds (some 0.1 ns each): about k (1 + ln(count / k)) rows enter.  For sizing steps.
 */
extern double tfrs_topk_cost(size_t k, size_t count);

/* The score that a row must reach (>=) to have a chance. */
static inline float
tfrs_topk_threshold(const tfrs_topk *topk)
{
	return topk->count < topk->k ? -INFINITY : topk->k == 0 ? INFINITY : topk->hits[0].score;
}

/* true where a comes before b. */
static inline bool
tfrs_hit_before(tfrs_hit a, tfrs_hit b)
{
	return a.score > b.score || (a.score == b.score && a.row < b.row);
}

extern void tfrs_topk_push_slow(tfrs_topk *topk, tfrs_hit hit);

static inline void
tfrs_topk_push(tfrs_topk *topk, float score, uint32_t row)
{
	tfrs_hit	hit = {score, row};

	if (topk->count < topk->k || (topk->k > 0 && tfrs_hit_before(hit, topk->hits[0])))
		tfrs_topk_push_slow(topk, hit);
}

/* Sorts hits[0 .. count) best first, or by their rows, ascending; the heap is used up. */
extern void tfrs_topk_finish(tfrs_topk *topk);
extern void tfrs_topk_finish_by_row(tfrs_topk *topk);

#endif							/* TFRS_TOPK_H */
