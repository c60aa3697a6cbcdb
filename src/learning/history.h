/*
 * history.h: what each query chose, and bags of it: the input of the default query tower.
 *
 * Events are kept query by query, oldest first: distinct (query, candidate) pairs with the first
 * time of each, as a rule.  A bag is a weighted list of a query's events:
 *
 *     decay 0   every event alike, 1 / sqrt(count); needs no time
 *     decay g   the last events, weight g^age / sqrt(sum of the weights), age in distinct later
 *               times, so that the items of one basket are equally old; without times in positions
 */
#ifndef TFRS_HISTORY_H
#define TFRS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "learning/ragged.h"

/* Recency bags beside the bag of all events. */
#define TFRS_MAX_DECAYS 4
#define TFRS_MAX_BAGS (TFRS_MAX_DECAYS + 1)

/* A run of events of one query, oldest first. */
typedef struct tfrs_event_list
{
	size_t		count;
	const uint32_t *candidate;	/* (count) */
	const int64_t *at;			/* (count) ascending, or NULL where the order alone is known */
} tfrs_event_list;

/* The events of all queries. */
typedef struct tfrs_events
{
	size_t		queries;		/* V */
	size_t		count;			/* E */
	const uint64_t *offsets;	/* (V + 1) */
	const uint32_t *candidate;	/* (E) */
	const int64_t *at;			/* (E) or NULL */
	/* for training only */
	const float *weight;		/* (E) or NULL for ones */
	const uint32_t *row;		/* (E) the query's row (feature_rows.h) at that event, or NULL */
	size_t		several;		/* queries with two events or more */
	size_t		later;			/* events that begin a time after their query's first */
	double		length;			/* events of the query of a random event: sum n^2 / sum n */
} tfrs_events;

/* A query that is not among them has none. */
static inline tfrs_event_list
tfrs_events_of(const tfrs_events *events, uint32_t query)
{
	uint64_t	first;

	if (query >= events->queries)
		return (tfrs_event_list) {0};
	first = events->offsets[query];
	return (tfrs_event_list) {
		events->offsets[query + 1] - first,
		events->candidate + first,
		events->at == NULL ? NULL : events->at + first
	};
}

/* Events of the query that has most. */
extern size_t tfrs_events_longest(const tfrs_events *events);

/* Which bag: its decay, and how many events one that decays sees. */
typedef struct tfrs_bag
{
	float		decay;
	uint32_t	length;
} tfrs_bag;

/* Events that a bag of a list of so many has at most. */
static inline size_t
tfrs_bag_size(tfrs_bag bag, size_t events)
{
	return bag.decay > 0 && events > bag.length ? bag.length : events;
}

/* The events of a bag with their weights, from the newest to the oldest. */
typedef struct tfrs_bag_walk
{
	const tfrs_event_list *list;
	float		decay;
	size_t		first;			/* event of the bag */
	size_t		event;			/* at hand */
	float		scale;			/* 1 / sqrt(sum of the weights) */
	float		weight;			/* of the event at hand */
	float		next;			/* of the one before it, both before they are scaled */
} tfrs_bag_walk;

extern tfrs_bag_walk tfrs_bag_begin(tfrs_bag bag, const tfrs_event_list *list);

/* Turns to the next event; false past the last. */
extern bool tfrs_bag_next(tfrs_bag_walk *walk);

/*
 * Pushes a bag of the list (not the row's end): each element is left out with probability dropout
 * and the rest scaled by 1 / (1 - dropout); random may be NULL where dropout is 0.
 */
extern void tfrs_bag_push(tfrs_bag bag, const tfrs_event_list *list, float dropout,
						  tfrs_random *random, tfrs_ragged *out);

#endif							/* TFRS_HISTORY_H */
