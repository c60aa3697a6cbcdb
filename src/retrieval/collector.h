/*
 * collector.h: what is asked of a search, and what has been found for it so far.
 *
 * Whatever path a search takes, a row reaches the result only through tfrs_collector_offer with its
 * final score.  There the predicates are applied (exclude, among, min_score), so that k means k:
 * a row that is not allowed never takes a place.
 */
#ifndef TFRS_COLLECTOR_H
#define TFRS_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/topk.h"

typedef struct tfrs_search
{
	size_t		k;
	const uint32_t *excluded;	/* rows never returned, ascending and distinct, or NULL */
	size_t		excluded_count;
	const uint32_t *among;		/* where has_among: the only rows allowed, ascending and distinct */
	size_t		among_count;
	bool		has_among;
	const uint32_t *adjusted;	/* rows with another score, ascending and distinct, or NULL */
	const float *adjustment;	/* (adjusted_count) what is added to that of their vectors */
	size_t		adjusted_count;
	float		min_score;		/* -INFINITY: none */
	uint32_t	leaves_to_search;	/* 0: as stored */
	uint32_t	rerank;			/* 0: as stored */
	bool		exact;			/* true: the full scan's answer whatever the kind */
} tfrs_search;

extern void tfrs_search_default(tfrs_search *search);

/*
 * Whether the predicates on rows let this one through with the score of its vector, which is not that
 * of an adjusted one; O(log of the lists' lengths).
 */
extern bool tfrs_search_allows(const tfrs_search *search, uint32_t row);

/* The place of the first of rows (count; ascending and distinct) that is not below row; count where
 * there is none. */
extern size_t tfrs_place_of_row(const uint32_t *rows, size_t count, uint32_t row);

/* Bits by which most rows are told apart from the hits. */
#define TFRS_COLLECTOR_HELD 2048

typedef struct tfrs_collector
{
	const tfrs_search *search;
	tfrs_topk	topk;
	float		threshold;		/* the larger of min_score and the k-th score */
	bool		revisits;		/* rows may be offered that are among the hits already */
	uint64_t	held[TFRS_COLLECTOR_HELD / 64]; /* bits of those hits, by a hash of the row */
} tfrs_collector;

/* hits: room for min(search->k, rows) entries. */
extern void tfrs_collector_init(tfrs_collector *collector, const tfrs_search *search,
								tfrs_hit *hits, size_t rows);

/*
 * For a search that goes on in another way: from now on each row may be offered once more.  What
 * has been found stays, since the other way may pass over rows that it owes its threshold to.
 */
extern void tfrs_collector_revisit(tfrs_collector *collector);

/* Whether fewer than k rows have been found. */
static inline bool
tfrs_collector_lacks_rows(const tfrs_collector *collector)
{
	return collector->topk.count < collector->topk.k;
}

/* Whether the predicates on rows let this one through, whatever its score. */
extern bool tfrs_search_permits(const tfrs_search *search, uint32_t row);

/* Offers an adjusted row with its own score. */
extern void tfrs_collector_offer_adjusted(tfrs_collector *collector, float score, uint32_t row);

/* The rare part of tfrs_collector_offer: the row reached the threshold. */
extern void tfrs_collector_consider(tfrs_collector *collector, float score, uint32_t row);

static inline void
tfrs_collector_offer(tfrs_collector *collector, float score, uint32_t row)
{
	if (score >= collector->threshold)
		tfrs_collector_consider(collector, score, row);
}

#endif							/* TFRS_COLLECTOR_H */
