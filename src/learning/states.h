/*
 * states.h: softmax rows of the history tower: states of a query with its targets.
 *
 *     hide   a random part of the query's events is hidden (at least one, not all); the bag of all
 *            sees the kept, the targets are the hidden, the recency bags are empty
 *     next   the query just before one of its event times (not the first): the bags see what was
 *            earlier, the targets are that time's candidates
 *     one    an interaction: its candidate is the target, the bag of all sees the query's others,
 *            the recency bags what was strictly earlier
 *
 * The first two take turns; the third is for those who want it alone (option rows: interaction).
 * With mask_known all of the query's other candidates are masked: what is known to be liked is no
 * negative.  Weights: hide n^(1 - w) spread over the targets, next and one n^-w a target, n the
 * query's events, w the option query_weight, times the event's own weight; they sum to 1 over a
 * batch.
 *
 * Interactions of one query share the sum of the bag of all: it is a list of its own, once a query
 * and batch, dropout included, and the row's own bag takes its own candidate off it.
 */
#ifndef TFRS_STATES_H
#define TFRS_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/random.h"
#include "learning/history.h"

/* Events that the queries of one batch have together; a longer query is a batch of its own. */
#define TFRS_STATES_EVENTS ((size_t) 1 << 20)

typedef enum tfrs_state_kind
{
	TFRS_STATE_HIDE = 0,
	TFRS_STATE_NEXT,
	TFRS_STATE_ONE
} tfrs_state_kind;

#define TFRS_STATE_KINDS 3

typedef struct tfrs_states_options
{
	float		hidden_low;		/* the hidden share of a state is uniform in [low, high] */
	float		hidden_high;
	float		dropout;		/* of the elements of bags, but in hide states */
	float		hide_share;		/* share of hide batches where both kinds can be had */
	float		query_weight;	/* w */
	bool		mask_known;
	bool		interactions;	/* states of kind one, and no others */
	uint64_t	seed;
	size_t		rows;			/* most of a batch */
	size_t		candidates;		/* N */
} tfrs_states_options;

/* One kind's states, visited in an order that is shuffled anew when all have been seen. */
typedef struct tfrs_state_pool
{
	size_t		count;
	size_t		filled;			/* states found so far */
	uint32_t   *state;			/* (count) hide: a query; next: an event that begins a later time;
								 * one: an event */
	size_t		position;		/* of the next state in this round */
	uint64_t	round;
	tfrs_random random;			/* of this round's order */
} tfrs_state_pool;

typedef struct tfrs_states
{
	tfrs_arena *arena;
	tfrs_states_options options;
	const tfrs_history_shape *shape;
	const tfrs_events *events;
	tfrs_state_pool pool[TFRS_STATE_KINDS];
	uint32_t	query;			/* where the search for states is */
	uint64_t	event;
	uint64_t	batch;			/* batches made so far */
	uint32_t   *count;			/* (N) states of kind one with that target; NULL for the others */
	uint64_t	kept;			/* names the batch's dropout of shared lists */
	uint32_t   *group_of;		/* (V) the query's list in shared, TFRS_NO_ROW between batches */
	/* the batch */
	tfrs_state_kind kind;
	size_t		rows;			/* B */
	uint32_t   *row_query;		/* (rows of the options) */
	uint32_t   *row_state;		/* (rows of the options) as in the pool */
	uint32_t   *row_group;		/* (rows of the options) its list in shared, kind one */
	tfrs_ragged shared;			/* kind one: what the bags of all of a query's rows have together */
	tfrs_ragged bag[TFRS_MAX_BAGS];
	tfrs_ragged target;			/* candidates with their weights */
	tfrs_ragged masked;			/* the query's other candidates, with mask_known */
} tfrs_states;

/* events->several is not 0, and both counts are true. */
extern tfrs_status tfrs_states_begin(tfrs_states *states, tfrs_arena *arena,
									 const tfrs_states_options *options,
									 const tfrs_history_shape *shape, const tfrs_events *events,
									 tfrs_error *error);
extern void tfrs_states_free(tfrs_states *states);

/* Looks for states among some events: TFRS_MORE until all are found; before the first batch. */
extern tfrs_status tfrs_states_find_step(tfrs_states *states);

/* Makes the next batch: fewer rows than the options say at the end of a round,
 * or for long queries. */
extern tfrs_status tfrs_states_next(tfrs_states *states, tfrs_error *error);

/* Events of a batch at most, where no query has more than longest. */
static inline size_t
tfrs_states_most_events(size_t longest, size_t rows)
{
	size_t		most = longest > TFRS_STATES_EVENTS ? longest : TFRS_STATES_EVENTS;

	return most / rows < longest ? most : rows * longest;
}

/* Adds to *bytes what begin and the batches take; longest: the most events of
 * a query; false where that overflows. */
extern bool tfrs_states_bytes(const tfrs_states_options *options, const tfrs_history_shape *shape,
							  const tfrs_events *events, size_t longest, size_t *bytes);

#endif							/* TFRS_STATES_H */
