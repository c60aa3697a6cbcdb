/*
 * event_collector.h: interactions -> the events of each query (history.h).
 *
 * Equal (query, candidate) pairs become one event at their first time, with the largest of their
 * weights; where repeats are kept, only those of one time.  (With the sum of the weights what is
 * bought often would outweigh everything: recall@20 of Online Retail .127 instead of .132.)  The
 * result does not depend on the order of the rows.  A step places some queries, reads a block of
 * rows or moves some elements of a sort, however many rows one query has.
 *
 * Where interactions carry rows of their queries, an event has that of the interaction that was
 * kept, of several at one time the greatest row.
 *
 * Events that an earlier model has stored (retrain) are merged with the rows: they weigh 1 where no
 * row has their pair, and a row with the query, candidate and time of one is that event again.  Their
 * queries' rows are those of the keys, which are all that a model stores.
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

/* Events of an earlier model, and where its ids are now. */
typedef struct tfrs_stored_events
{
	const tfrs_events *events;	/* of its V queries */
	const uint32_t *query;		/* (V) */
	const uint32_t *candidate;	/* (N) */
	/* rows of each query and candidate; those are taken off that are a stored event again */
	uint32_t   *query_rows;
	uint32_t   *candidate_rows;
} tfrs_stored_events;

typedef struct tfrs_event_options
{
	bool		has_weight;
	bool		has_time;
	bool		keep_repeats;	/* a candidate chosen again later is another event */
	const tfrs_stored_events *stored;	/* NULL: none; must outlive the collector */
	bool		has_row;		/* interactions carry rows of their queries */
} tfrs_event_options;

typedef enum tfrs_collect_phase
{
	TFRS_COLLECT_COUNT_STORED = 0,
	TFRS_COLLECT_PLACE,
	TFRS_COLLECT_READ_STORED,
	TFRS_COLLECT_READ,
	TFRS_COLLECT_HEAP_BY_CANDIDATE,
	TFRS_COLLECT_MERGE,
	TFRS_COLLECT_HEAP_BY_TIME,
	TFRS_COLLECT_STORE,
	TFRS_COLLECT_BEGIN_ROWS,
	TFRS_COLLECT_READ_ROWS,
	TFRS_COLLECT_FILL_ROWS,
	TFRS_COLLECT_DONE
} tfrs_collect_phase;

typedef struct tfrs_event_collector
{
	tfrs_arena *arena;
	tfrs_interactions *interactions;
	tfrs_event_options options;
	size_t		queries;		/* V */
	size_t		all;			/* rows and stored events */
	tfrs_collect_phase phase;	/* what the next step does */
	size_t		done;			/* queries that the phase has passed */
	size_t		cursor;			/* elements left of the query that is being sorted */
	size_t		kept;			/* where its events begin that are sorted and merged */
	tfrs_collected_event last_stored;	/* of these the one that was merged last; weight 0: none */
	size_t		several;		/* as in tfrs_events */
	size_t		later;
	double		squares;		/* sum of n^2 over the queries' events */
	tfrs_interaction *rows;		/* a block of rows */
	tfrs_collected_event *event;	/* (rows and stored events) a stored one weighs -1 */
	uint64_t   *begin;			/* (V + 1) where a query's rows begin; their number at first */
	uint64_t   *filled;			/* (V) where its next row goes */
	/* the result, until free */
	uint64_t   *offsets;		/* (V + 1) */
	uint32_t   *candidate;		/* (E) */
	int64_t    *at;				/* (E) or NULL */
	float	   *weight;			/* (E) or NULL */
	uint32_t   *row;			/* (E) or NULL */
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

/* What collecting takes, as a part of a list that is counted; rows: with the stored events. */
extern void tfrs_event_collector_plan(tfrs_plan *plan, const tfrs_event_options *options,
									  size_t rows, size_t queries);

#endif							/* TFRS_EVENT_COLLECTOR_H */
