/*
 * ranking.h: the best rows of some leaves, as far as their codes tell.
 *
 * Sums are counted by class, so that the lowest class still wanted is known at any time, and rows
 * below it are not kept; no row is compared with another one.
 */
#ifndef TFRS_RANKING_H
#define TFRS_RANKING_H

#include "retrieval/probe.h"

typedef struct tfrs_ranking
{
	tfrs_probe *probe;
	size_t		wanted;
	int			shift;			/* bits of a sum below its class */
	uint32_t	lowest;			/* class that is still wanted */
	size_t		above;			/* candidates of class lowest and better */
	size_t		count;			/* entries of scratch->candidates, those below lowest included */
	float		best;			/* largest product with a centroid */
} tfrs_ranking;

/* Of a probe that has begun; wanted > 0: what its scratch has room for, or TFRS_PROBE_ROWS. */
extern tfrs_ranking tfrs_ranking_of(tfrs_probe *probe, size_t wanted);

/* Counts in the rows of a leaf; each leaf only once. */
extern void tfrs_ranking_visit(tfrs_ranking *ranking, size_t leaf);

/* Rows of the lowest class and better that the lists kept out. */
extern size_t tfrs_ranking_dropped(const tfrs_ranking *ranking);

/*
 * Whether the lists kept out so many of the best rows that the wanted ones lie deeper than those
 * that ranks were tuned on: a quarter of k before the k-th candidate, or more than k among all that
 * are wanted, since codes order the best rows only roughly.
 */
extern bool tfrs_ranking_best_are_kept_out(const tfrs_ranking *ranking);

/* Scores the wanted best. */
extern void tfrs_ranking_score(tfrs_ranking *ranking);

#endif							/* TFRS_RANKING_H */
