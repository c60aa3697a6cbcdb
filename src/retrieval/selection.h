/*
 * selection.h: which of the best candidates are given where rules say more than the score.
 *
 * A greedy choice: each of the k places goes to the best candidate that the rules let through.
 *
 *     most        at most so many rows with one value of a column
 *     at most     at most that share of the k rows is true of a column
 *     at least    likewise: places are kept free for such rows as long as there may be some
 *     diversity   maximal marginal relevance (Carbonell, Goldstein, 1998): among the 5 k best that the
 *                 other rules let through, the largest (1 - d) u - d max cos(c, chosen), where u is
 *                 1 for the best score and 0 for the one of rank k without rules
 *
 * Candidates come in the order of their scores, as many as the caller has looked for.  Where they do
 * not suffice the caller looks for more and begins again: the result is that of all candidates.
 * Without diversity it is in the order of the scores, else in that of the choice.
 */
#ifndef TFRS_SELECTION_H
#define TFRS_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/topk.h"

/* A value that is not limited. */
#define TFRS_NO_VALUE UINT32_MAX

/* Candidates that compete for a place, a place: where there is a diversity. */
#define TFRS_SELECTION_POOL 5

typedef struct tfrs_share_rule
{
	double		least;			/* 0 .. 1 */
	double		most;			/* 0 .. 1 */
} tfrs_share_rule;

typedef struct tfrs_selection
{
	/* rules */
	size_t		k;
	size_t		limits;
	const uint32_t *most;		/* (limits) rows with one value */
	size_t		shares;
	const tfrs_share_rule *share;	/* (shares) */
	double		diversity;		/* 0 .. 1 */
	/* candidates */
	const tfrs_hit *hits;		/* (count) the best first */
	size_t		count;
	bool		is_all;			/* there are no others */
	const uint32_t *value;		/* (count, limits) numbers below count, or TFRS_NO_VALUE */
	const bool *is_true;		/* (count, shares) */
	const float *vectors;		/* (N, D) by hits[].row, for diversity */
	size_t		dim;			/* D */
	size_t		width;			/* numbers of a vector that are compared */
} tfrs_selection;

/* Candidates that are worth looking for in the first place. */
extern size_t tfrs_selection_ask(const tfrs_selection *rules);

/*
 * picked (k): places in hits, *picked_count of them.  TFRS_MORE: these candidates do not suffice, and
 * there are others.
 */
extern tfrs_status tfrs_selection_run(const tfrs_selection *selection, tfrs_arena *arena,
									  uint32_t *picked, size_t *picked_count, tfrs_error *error);

#endif							/* TFRS_SELECTION_H */
