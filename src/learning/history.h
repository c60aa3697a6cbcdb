/*
 * history.h: what each query chose, and bags of it: the default query tower.
 *
 * Events are kept query by query, oldest first: distinct (query, candidate) pairs with the first
 * time of each, as a rule.  The query vector is a sum of bags of the query's own candidates, each
 * bag with an embedding table of its own:
 *
 *     all       every event alike, sum / sqrt(count); needs no time
 *     decay g   the last events, weight g^age / sqrt(sum of the weights), age in distinct later
 *               times, so that the items of one basket are equally old; without times in positions
 *
 * Then normalized and divided by the temperature where the tower says so, with a last component of
 * 1 for the candidate bias.  Order of operations: sum, L2, temperature, bias.
 */
#ifndef TFRS_HISTORY_H
#define TFRS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
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
	size_t		several;		/* queries with two events or more */
	size_t		later;			/* events that begin a time after their query's first */
	double		length;			/* events of the query of a random event: sum n^2 / sum n */
} tfrs_events;

static inline tfrs_event_list
tfrs_events_of(const tfrs_events *events, uint32_t query)
{
	uint64_t	first = events->offsets[query];
	tfrs_event_list list = {
		events->offsets[query + 1] - first,
		events->candidate + first,
		events->at == NULL ? NULL : events->at + first
	};

	return list;
}

/* The shape of the tower: which bags, and how their sum becomes a query vector. */
typedef struct tfrs_history_shape
{
	uint32_t	dim;			/* D, the bias component included */
	uint32_t	bags;			/* 1 .. TFRS_MAX_BAGS */
	float		decay[TFRS_MAX_BAGS];	/* of each bag; 0: the bag of all events */
	uint32_t	length;			/* events that a decaying bag sees */
	uint32_t	bias;			/* 1: the last component is the candidate bias */
	uint32_t	normalize;		/* 1: L2 on both sides */
	float		temperature;
	uint32_t	repeats;		/* 1: what is chosen again is another event */
} tfrs_history_shape;

/* Components that the bags fill: D without the bias. */
static inline size_t
tfrs_history_width(const tfrs_history_shape *shape)
{
	return shape->dim - shape->bias;
}

/*
 * Pushes one bag of the list (not the row's end): each element is left out with probability dropout
 * and the rest scaled by 1 / (1 - dropout); random may be NULL where dropout is 0.
 */
extern void tfrs_history_bag(const tfrs_history_shape *shape, uint32_t bag,
							 const tfrs_event_list *list, float dropout, tfrs_random *random,
							 tfrs_ragged *out);

/* Items that tfrs_history_bag pushes at most. */
extern size_t tfrs_history_bag_size(const tfrs_history_shape *shape, uint32_t bag, size_t events);

/* sum (D) += the weighted rows of table (N, D) that list row names */
extern void tfrs_history_add(float *sum, const float *table, size_t dim, const tfrs_ragged *bag,
							 size_t row);

/*
 * Sum of bags (D) -> query vector (D), in place.  A zero sum stays zero but for the bias.  scale
 * receives the factor of the L2 norm, or is NULL.
 */
extern void tfrs_history_finish(const tfrs_history_shape *shape, float *vector, float *scale);

/* Gradient of the query vector (D) -> gradient of the sum of bags, in place. */
extern void tfrs_history_finish_backward(const tfrs_history_shape *shape, const float *vector,
										 float scale, float *gradient);

/* The whole way for one list: bags of all its events, their sum, the query vector (D). */
extern void tfrs_history_encode(const tfrs_history_shape *shape, const float *const *tables,
								const tfrs_event_list *list, float *vector);

/*
 * What each event of the list adds to the inner product of the query vector with that of a
 * candidate (D): contribution (count), in the list's order.  With the candidate's bias, where there
 * is one, they add up to the product, for the vector is a multiple of the sum of the events' rows.
 * vector (D): room, receives the query vector.
 */
extern void tfrs_history_contributions(const tfrs_history_shape *shape,
									   const float *const *tables, const tfrs_event_list *list,
									   const float *candidate, float *vector,
									   double *contribution);

#endif							/* TFRS_HISTORY_H */
