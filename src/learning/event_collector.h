/*
 * event_collector.h: interactions -> the events of each query (history.h).
 *
 * Equal (query, candidate) pairs become one event at their first time, with the largest of their
 * weights; where repeats are kept, only those of one time.  (With the sum of the weights what is
 * bought often would outweigh everything: recall@20 of Online Retail .127 instead of .132.)  The
 * result does not depend on the order of the rows.  A step places some queries, reads a block of
 * rows or moves some elements of a sort, however many rows one query has.
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

typedef struct tfrs_event_options
{
	bool		has_weight;
	bool		has_time;
	bool		keep_repeats;	/* a candidate chosen again later is another event */
} tfrs_event_options;

typedef struct tfrs_event_collector
{
	tfrs_arena *arena;
	tfrs_interactions *interactions;
	tfrs_event_options options;
	size_t		queries;		/* V */
	int			phase;			/* what the next step does */
	size_t		done;			/* queries that the phase has passed */
	size_t		cursor;			/* elements left of the query that is being sorted */
	size_t		kept;			/* where its events begin that are sorted and merged */
	size_t		several;		/* as in tfrs_events */
	size_t		later;
	double		squares;		/* sum of n^2 over the queries' events */
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
											  tfrs_interactions *interactions,
											  const tfrs_event_options *options,
											  tfrs_error *error);

/* TFRS_MORE until done; then events points into the collector, which holds nothing else. */
extern tfrs_status tfrs_event_collector_step(tfrs_event_collector *collector, tfrs_events *events,
											 tfrs_error *error);
extern void tfrs_event_collector_free(tfrs_event_collector *collector);

/* Adds to *bytes what collecting takes; false where that overflows. */
extern bool tfrs_event_collector_bytes(const tfrs_event_options *options, size_t rows,
									   size_t queries, size_t *bytes);

#endif							/* TFRS_EVENT_COLLECTOR_H */
