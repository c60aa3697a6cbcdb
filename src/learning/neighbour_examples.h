/*
 * neighbour_examples.h: what the sparse item-item part (neighbours.h) is fitted on: the events of all
 * queries, cut into examples.
 *
 *     together   an example is a query: it has all of its events, and each of them was chosen
 *     next       an example is a state of a query just before one of its event times but the first:
 *                it has the last 20 events before, weighted 0.8^age, and what was chosen then.  Age is
 *                the number of event times in between.  Of a query at most 50 states are kept, drawn
 *                by its number and theirs.
 *
 * An example weighs n^-1/2, n the events of its query; where states were left out the others weigh
 * that much more.  Nothing is copied: an example names a run of events, and since those of a query
 * slide, an event knows the first example that has it.  Events are also listed by candidate.
 */
#ifndef TFRS_NEIGHBOUR_EXAMPLES_H
#define TFRS_NEIGHBOUR_EXAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/history.h"

typedef enum tfrs_neighbour_kind
{
	TFRS_TOGETHER,
	TFRS_NEXT
} tfrs_neighbour_kind;

/* Events that a state has at most, and states of a query. */
#define TFRS_STATE_EVENTS 20
#define TFRS_QUERY_STATES 50

typedef struct tfrs_neighbour_example
{
	uint32_t	begin;			/* events begin .. end are known */
	uint32_t	end;
	uint32_t	time;			/* event times of the query before what is chosen */
	float		weight;
} tfrs_neighbour_example;

typedef struct tfrs_neighbour_examples
{
	tfrs_arena *arena;
	const tfrs_events *events;
	tfrs_neighbour_kind kind;
	size_t		candidates;		/* N */
	int			phase;			/* what the next step does */
	size_t		done;			/* queries or events that the phase has passed */
	float		power[TFRS_STATE_EVENTS + 1];	/* weight of an event by its age */
	size_t		count;			/* X */
	tfrs_neighbour_example *example;	/* (X) */
	uint32_t   *time;			/* (E) next: number of the event's time within its query */
	uint32_t   *chosen;			/* (E) the example that the event is chosen in, or TFRS_NO_ROW */
	uint32_t   *first;			/* (E) the first example that has the event, or TFRS_NO_ROW */
	uint32_t   *place;			/* (N + 1) where a candidate's events begin in event */
	uint32_t   *event;			/* (E) by candidate, ascending */
	/* sums over the examples */
	double	   *square;			/* (N) of weight times what an example has of the candidate, squared */
	uint64_t   *chosen_work;	/* (N) events of the examples that the candidate is chosen in */
	uint64_t   *had_work;		/* (N) events of the examples that have it */
	double		mass;			/* of the weights of all that is chosen */
	size_t		targets;		/* candidates that are chosen */
} tfrs_neighbour_examples;

/* The events must outlive them and have times for TFRS_NEXT. */
extern tfrs_status tfrs_neighbour_examples_begin(tfrs_neighbour_examples *examples,
												 tfrs_arena *arena, tfrs_neighbour_kind kind,
												 const tfrs_events *events, size_t candidates,
												 tfrs_error *error);

/* TFRS_MORE until all is known. */
extern tfrs_status tfrs_neighbour_examples_step(tfrs_neighbour_examples *examples);
extern void tfrs_neighbour_examples_free(tfrs_neighbour_examples *examples);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_neighbour_examples_bytes(tfrs_neighbour_kind kind, size_t queries, size_t events,
										  size_t candidates, size_t *bytes);

/* What example x has of its event e. */
static inline float
tfrs_neighbour_value(const tfrs_neighbour_examples *examples, size_t x, size_t e)
{
	return examples->kind == TFRS_TOGETHER ? 1.0f
		: examples->power[examples->example[x].time - 1 - examples->time[e]];
}

#endif							/* TFRS_NEIGHBOUR_EXAMPLES_H */
