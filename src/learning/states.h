/*
 * states.h: softmax rows of the history tower: states of a query with several targets.
 *
 *     hide   a random part of the query's candidates is hidden (at least one, not all); the bag of all
 *            sees the kept, the targets are the hidden, the recency bags are empty
 *     next   the query just before one of its event times (not the first): the bags see what was earlier,
 *            the targets are that time's candidates
 *
 * All of the query's other candidates are masked: what is known to be liked is no negative.  Weights:
 * hide sqrt(n) spread over the targets, next 1 / sqrt(n) a target, n the query's events, times the
 * event's own weight; they sum to 1 over a batch.
 */
#ifndef TFRS_STATES_H
#define TFRS_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/history.h"

typedef enum tfrs_state_kind
{
	TFRS_STATE_HIDE = 0,
	TFRS_STATE_NEXT
} tfrs_state_kind;

typedef struct tfrs_states_options
{
	float		hidden_low;		/* the hidden share of a state is uniform in [low, high] */
	float		hidden_high;
	float		dropout;		/* of the elements of bags in next states */
	float		hide_share;		/* share of hide batches where both kinds can be had */
	uint64_t	seed;
} tfrs_states_options;

/* One kind's states, visited in an order that is shuffled anew when all have been seen. */
typedef struct tfrs_state_pool
{
	size_t		count;
	uint32_t   *state;			/* (count) hide: a query; next: an event that begins a group */
	size_t		position;
	uint64_t	round;
} tfrs_state_pool;

typedef struct tfrs_states
{
	tfrs_arena *arena;
	tfrs_states_options options;
	const tfrs_history_shape *shape;
	const tfrs_events *events;
	uint32_t   *query_of;		/* (E) the query of each event; NULL where there are no next states */
	tfrs_state_pool pool[2];	/* by tfrs_state_kind */
	uint64_t	batch;			/* batches made so far */
	/* the batch */
	tfrs_state_kind kind;
	size_t		rows;			/* B */
	tfrs_ragged bag[TFRS_MAX_BAGS];
	tfrs_ragged target;			/* candidates with their weights */
	tfrs_ragged masked;			/* the query's other candidates */
} tfrs_states;

/* Error TFRS_INVALID_ARGUMENT where no query has two candidates: there is nothing to learn from. */
extern tfrs_status tfrs_states_init(tfrs_states *states, tfrs_arena *arena,
									const tfrs_states_options *options,
									const tfrs_history_shape *shape, const tfrs_events *events,
									tfrs_error *error);
extern void tfrs_states_free(tfrs_states *states);

/* Makes the next batch of at most rows states. */
extern tfrs_status tfrs_states_next(tfrs_states *states, size_t rows, tfrs_error *error);

#endif							/* TFRS_STATES_H */
