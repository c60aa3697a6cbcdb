/*
 * event_split.h: which events are trained on, which are tested, and what is shown of a tested
 * query.
 *
 *     random   each event is tested with probability fraction
 *     last     the last events of each query, at most floor(fraction n) and whole times only; where
 *              its last time has more, all of that time's or none, with the chance that makes the
 *              fraction on the average, so that two dates a query do not hold out half of them
 *     query    queries are held out with probability fraction: none of their events is trained on,
 *              a fifth is tested, the last ones where there are times, else random ones, and the
 *              others are shown: what their vector is made of (strong generalization in Liang et
 *              al. 2018, arXiv 1802.05814)
 *
 *     window   the events of a moment and those that are later; of queries that have none of them,
 *              the last events as above
 *
 * Random and last leave each query an event to be trained on at least, and show what is trained on.
 * By query, a query of one event is trained on, and so is the first one with more.
 */
#ifndef TFRS_EVENT_SPLIT_H
#define TFRS_EVENT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "learning/history.h"
#include "learning/hyperparameters.h"
#include "learning/pair_set.h"

/* Some of the events of all queries. */
typedef struct tfrs_event_part
{
	tfrs_events events;			/* of the arrays below; whole once all is split */
	uint64_t   *offsets;		/* (V + 1) */
	uint32_t   *candidate;		/* (E) */
	int64_t    *at;				/* (E) or NULL */
	float	   *weight;			/* (E) or NULL */
	uint32_t   *row;			/* (E) or NULL */
	double		squares;		/* of the numbers of events of the queries so far */
} tfrs_event_part;

typedef struct tfrs_event_split
{
	tfrs_arena *arena;
	const tfrs_validation_options *options;
	uint64_t	seed;
	const tfrs_events *all;
	uint32_t	query;			/* the split is at */
	tfrs_event_part training;
	tfrs_event_part shown;		/* by query only: of queries that are held out */
	tfrs_pair_set tested;
} tfrs_event_split;

/*
 * The events and options must outlive it.  TFRS_INVALID_ARGUMENT: the last events are wanted and
 * the events have no times.
 */
extern tfrs_status tfrs_event_split_begin(tfrs_event_split *split, tfrs_arena *arena,
										  const tfrs_validation_options *options, uint64_t seed,
										  const tfrs_events *all, tfrs_error *error);

/* TFRS_MORE until the parts are whole. */
extern tfrs_status tfrs_event_split_step(tfrs_event_split *split, tfrs_error *error);

/* The events that a tested query is ranked by, and that are left out of its ranking. */
extern const tfrs_events *tfrs_event_split_shown(const tfrs_event_split *split);

/* Whether a pair is not trained on. */
extern bool tfrs_event_split_holds(const tfrs_event_split *split, uint32_t query,
								   uint32_t candidate);

extern void tfrs_event_split_free(tfrs_event_split *split);

/* What is taken, as a part of a list that is counted; counts of events may be upper bounds. */
extern void tfrs_event_split_plan(tfrs_plan *plan, const tfrs_validation_options *options,
								  const tfrs_events *all);

#endif							/* TFRS_EVENT_SPLIT_H */
