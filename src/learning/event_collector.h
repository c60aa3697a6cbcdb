/*
 * event_collector.h: interactions -> the events of each query (history.h).
 *
 * Equal (query, candidate) pairs become one event at their first time, with the sum of their
 * weights.  A step reads a block of rows or sorts some queries' events.
 */
#ifndef TFRS_EVENT_COLLECTOR_H
#define TFRS_EVENT_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/history.h"
#include "learning/interactions.h"

typedef struct tfrs_collected_event
{
	int64_t		at;
	uint32_t	candidate;
	float		weight;
} tfrs_collected_event;

typedef struct tfrs_event_collector
{
	tfrs_arena *arena;
	tfrs_interactions *interactions;
	bool		has_weight;
	bool		has_time;
	size_t		queries;		/* V */
	bool		reading;		/* rows are still being read */
	size_t		done;			/* queries whose events are in order */
	tfrs_interaction *rows;		/* a block of rows */
	tfrs_collected_event *event;	/* (rows of the interactions) */
	uint64_t   *begin;			/* (V + 1) where a query's rows begin */
	uint64_t   *filled;			/* (V) where its next row goes */
	/* the result, until free */
	uint64_t   *offsets;		/* (V + 1) */
	uint32_t   *candidate;		/* (E) */
	int64_t    *at;				/* (E) or NULL */
	float	   *weight;			/* (E) or NULL */
} tfrs_event_collector;

/* The interactions are finished; their next epoch is 0 again afterwards. */
extern tfrs_status tfrs_event_collector_begin(tfrs_event_collector *collector, tfrs_arena *arena,
											  tfrs_interactions *interactions, bool has_weight,
											  bool has_time, tfrs_error *error);

/* TFRS_MORE until done; then events points into the collector. */
extern tfrs_status tfrs_event_collector_step(tfrs_event_collector *collector, tfrs_events *events,
											 tfrs_error *error);
extern void tfrs_event_collector_free(tfrs_event_collector *collector);

/* Adds to *bytes what collecting takes; false where that overflows. */
extern bool tfrs_event_collector_bytes(size_t rows, size_t queries, size_t *bytes);

#endif							/* TFRS_EVENT_COLLECTOR_H */
