/*
 * lift.h: how much more often two candidates of one query are found together with other queries than
 * chance would have it.
 *
 *     lift = sum of n(a, b) / sum of E n(a, b)
 *
 * over some pairs (a, b) of two events of a query, drawn at random: n(a, b) of the other queries have
 * both, and E n(a, b) = n(a) n(b) sum_q m(q) (m(q) - 1) / (sum_q m(q))^2 would if the m(q) events of
 * each query were drawn by the candidates' counts alone.  1: what goes together is a matter of
 * popularity alone (ratings thinned at random are at .8 to 1); Amazon's and Yelp's reviews and
 * Gowalla's check-ins are at 4 to 10, Online Retail at 1.05.  It tells how far short histories can
 * be trusted (choose_temperature in hyperparameters.c).
 *
 * The caller guarantees distinct numbers of queries and candidates below 2^32 - 1; what is chosen
 * again counts once.  The draw does not depend on a training's seed: data have one lift.
 */
#ifndef TFRS_LIFT_H
#define TFRS_LIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "base/random.h"
#include "learning/history.h"

typedef struct tfrs_lift_pair
{
	uint32_t	first;			/* the candidate with fewer events */
	uint32_t	second;
	uint32_t	both;			/* queries that have both */
} tfrs_lift_pair;

typedef enum tfrs_lift_phase
{
	TFRS_LIFT_DRAW = 0,
	TFRS_LIFT_SORT,
	TFRS_LIFT_COUNT,
	TFRS_LIFT_DONE
} tfrs_lift_phase;

typedef struct tfrs_lift
{
	tfrs_arena *arena;
	const tfrs_events *events;
	tfrs_lift_phase phase;		/* what the next step does */
	uint32_t	query;			/* the next one of the pass under way */
	tfrs_random random;
	size_t		candidates;		/* N */
	size_t		most;			/* P pairs that are drawn, fewer where queries have one event */
	size_t		drawn;			/* events looked at for a pair */
	size_t		pairs;
	tfrs_lift_pair *pair;		/* (P) by first */
	uint32_t   *count;			/* (N) queries that have the candidate */
	uint32_t   *begin;			/* (N) its first pair, TFRS_NO_ROW where it is first in none */
	uint32_t   *found;			/* (N) the last query it was found at, plus 1 */
	uint32_t   *counted;		/* (N) the last query its pairs were counted for, plus 1 */
	double		value;			/* the lift; 1 until it is known */
} tfrs_lift;

/* events must stay until the last step. */
extern tfrs_status tfrs_lift_begin(tfrs_lift *lift, tfrs_arena *arena, const tfrs_events *events,
								   size_t candidates, tfrs_error *error);

/* TFRS_MORE until value is known. */
extern tfrs_status tfrs_lift_step(tfrs_lift *lift);

/* The value stays. */
extern void tfrs_lift_free(tfrs_lift *lift);

/* What is taken, as a part of a list that is counted. */
extern void tfrs_lift_plan(tfrs_plan *plan, size_t candidates);

#endif							/* TFRS_LIFT_H */
