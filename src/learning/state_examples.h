/*
 * state_examples.h: examples of the history tower: states of a query with what they are to lead to.
 *
 *     hide   a random part of the query's events is hidden (at least one, not all); the bag of all
 *            sees the kept, the targets are the hidden, the recency bags are empty
 *     next   the query just before one of its event times (not the first): the bags see what was
 *            earlier, the targets are that time's candidates
 *     one    an interaction: its candidate is the target, the bag of all sees the query's others,
 *            the recency bags what was strictly earlier
 *
 * The first two take turns; the third is for those who want it alone (option rows: interaction).
 * Weights: hide n^(1 - w) spread over the targets, next and one n^-w a target, n the query's events,
 * w the option query_weight, times the event's own weight; they sum to 1 over a batch.  A share of
 * the rows sees no events (id_dropout): what the tower makes of an unknown query is learned so.
 *
 * Interactions of one query share the sum of the bag of all: it is a list of its own, once a query
 * and batch, dropout included, and the row's own bag takes its own candidate off it.
 */
#ifndef TFRS_STATE_EXAMPLES_H
#define TFRS_STATE_EXAMPLES_H

#include "learning/examples.h"
#include "learning/hyperparameters.h"
#include "learning/tower.h"

/* Events that the queries of one batch have together; a longer query is a batch of its own. */
#define TFRS_STATES_EVENTS ((size_t) 1 << 20)

typedef enum tfrs_state_kind
{
	TFRS_STATE_HIDE = 0,
	TFRS_STATE_NEXT,
	TFRS_STATE_ONE
} tfrs_state_kind;

#define TFRS_STATE_KINDS 3

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

/* What states are made of; a training's events, or upper bounds of their counts. */
typedef struct tfrs_state_counts
{
	const tfrs_events *events;	/* several is not 0 */
	size_t		candidates;		/* N */
	size_t		longest;		/* events of the query that has most */
} tfrs_state_counts;

typedef struct tfrs_state_examples
{
	const tfrs_train_options *options;
	const tfrs_tower_shape *shape;
	const tfrs_events *events;
	size_t		candidates;		/* N */
	size_t		longest;
	size_t		capacity;		/* rows of a batch at most */
	tfrs_state_pool pool[TFRS_STATE_KINDS];
	uint32_t	query;			/* where the search for states is */
	uint64_t	event;
	uint64_t	batch;			/* batches made so far */
	uint32_t	epoch;			/* epochs made so far */
	uint32_t   *count;			/* (N) states of kind one with that target; NULL for the others */
	uint64_t	kept;			/* names the batch's dropout of shared lists */
	uint32_t   *group_of;		/* (V) the query's list in shared, TFRS_NO_ROW between batches */
	/* the batch */
	tfrs_state_kind kind;
	size_t		rows;			/* B */
	uint32_t   *row_query;		/* (capacity) */
	uint32_t   *row_state;		/* (capacity) as in the pool */
	uint32_t   *row_number;		/* (capacity) the query's row (feature_rows.h) at the target's event, of
								 * several hidden ones the first that is hidden always; or NULL */
	uint32_t   *row_group;		/* (capacity) its list in shared, kind one */
	tfrs_ragged shared;			/* kind one: what the bags of all of a query's rows have together */
	tfrs_ragged bag[TFRS_MAX_BAGS];
} tfrs_state_examples;

/* Sizes, before anything is taken. */
extern void tfrs_state_examples_size(tfrs_state_examples *states,
									 const tfrs_train_options *options,
									 const tfrs_tower_shape *shape,
									 const tfrs_state_counts *counts);
extern void tfrs_state_examples_most(const tfrs_state_examples *states, tfrs_examples_most *most);

/* Its arrays and those of its batches, as a part of a list. */
extern void tfrs_state_examples_plan(tfrs_plan *plan, tfrs_state_examples *states,
									 tfrs_examples *batch);

/* The arrays are there. */
extern void tfrs_state_examples_begin(tfrs_state_examples *states, tfrs_examples *batch);

/* Looks for states among some events: TFRS_MORE until all are found; before the first batch. */
extern tfrs_status tfrs_state_examples_prepare(tfrs_state_examples *states);

/* Makes the next batch. */
extern void tfrs_state_examples_draw(tfrs_state_examples *states, tfrs_examples *batch);

#endif							/* TFRS_STATE_EXAMPLES_H */
