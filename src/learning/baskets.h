/*
 * baskets.h: how often candidates are chosen together, counted for some of them.
 *
 * A basket is what one query chose at one time; or all that it chose, where times tell no baskets.
 * For the candidates J of a list, n(j) baskets have j, n(j, c) have both j and c:
 *
 *     one or two     mean over J of n(j, c) / n(j), the confidence
 *     more           mean over J of n(j, c) / sqrt((n(j) + 5) (n(c) + 5))
 *
 * Measured on the baskets of Online Retail (the last tenth by time, NDCG@10 of the rest of a basket of
 * which 1, 2, 3 and 5 articles are known): confidence .200, .242, .254, .241; the cosine .183, .247,
 * .273, .292; a ridge regression on baskets .182, .239, .267, .294; what is popular .066, .064, .063,
 * .056.  So the cosine does for longer lists what a regression would, and nothing has to be fitted.
 * All purchases were counted there; with first purchases alone the confidence has .191, .243, .264, .272.
 */
#ifndef TFRS_BASKETS_H
#define TFRS_BASKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/history.h"

/* Candidates of a list at most. */
#define TFRS_MOST_TOGETHER 16

typedef struct tfrs_baskets
{
	/* set by the caller */
	const tfrs_events *events;
	bool		by_time;		/* baskets are what shares a time */
	size_t		candidates;		/* N */
	size_t		count;			/* candidates of the list, 1 .. TFRS_MOST_TOGETHER */
	const uint32_t *list;		/* (count) distinct */

	uint8_t    *member;			/* (N) 1 + the place in the list, or 0 */
	uint32_t   *both;			/* (count, N) n(j, c) */
	uint32_t   *any;			/* (N) baskets with c and with some of the list */
	uint32_t   *each;			/* (N) n(c), of long lists only */
	uint64_t	number;			/* of the basket at hand, from 1 on */
	uint64_t   *last;			/* (N) the last basket with c */
	uint32_t   *basket;			/* (N) its candidates */
} tfrs_baskets;

/* Whether most events share their time with another one of their query, by the first queries. */
extern bool tfrs_baskets_share_times(const tfrs_events *events);

extern tfrs_status tfrs_baskets_begin(tfrs_baskets *baskets, tfrs_arena *arena,
									   tfrs_error *error);

/* Counts the baskets of queries from first up to end. */
extern void tfrs_baskets_count(tfrs_baskets *baskets, size_t first, size_t end);

/* score (N): as above where at least so many baskets have c with some of the list, else 0; 0 for the
 * list's own. */
extern void tfrs_baskets_score(const tfrs_baskets *baskets, uint64_t min_count, float *score);

#endif							/* TFRS_BASKETS_H */
