/*
 * query_slice.h: queries that wait to be searched together.
 *
 *     begin -> (next, add)... -> answer -> hits of each -> clear -> (next, add)...
 *
 * Many queries are cheaper together than one after another: what their events add to scores is
 * summed, and the index is searched, on all threads.  A slice holds as many as there is room for;
 * whoever fills it asks after each query whether it is full.
 */
#ifndef TFRS_QUERY_SLICE_H
#define TFRS_QUERY_SLICE_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/index.h"
#include "server/search/score_adjustment.h"

typedef struct tfrs_query_slice
{
	/* set by the caller */
	const tfrs_model *model;	/* NULL: the queries are no model's, but come with their vectors */
	const tfrs_id_view *candidates;
	const tfrs_index *index;	/* of the candidates */
	tfrs_search search;			/* of each query, but for what is its own */

	MemoryContext context;		/* where all this lies: that of begin */
	MemoryContext memory;		/* of what the waiting queries need, until clear */
	tfrs_arena	arena;
	tfrs_adjuster adjuster;
	size_t		room;			/* queries */
	size_t		waiting;
	size_t		adjusted;		/* rows that these adjust at most */
	size_t		k;				/* min(search.k, N) */
	tfrs_hit  **popular;		/* (room) no vector, but what is popular in general; else NULL */
	size_t	   *popular_counts; /* (room) of these */
	tfrs_search *searches;		/* (room) */
	float	   *vectors;		/* (room, D) */
	tfrs_hit   *hits;			/* (room, k) */
	size_t	   *counts;			/* (room) */
	tfrs_hit   *popular_hits;	/* (k) for all that exclude nothing of their own; NULL: not needed yet */
	size_t		popular_count;
} tfrs_query_slice;

/* Bytes that a query takes while it waits, but for lists of its own. */
extern size_t tfrs_query_slice_bytes(const tfrs_query_slice *slice);

/* Takes room for that many queries in the current memory context. */
extern void tfrs_query_slice_begin(tfrs_query_slice *slice, size_t room);

/* The place of the next query: its search, which is as slice->search, and *vector (D), to be filled
 * before it is added. */
extern tfrs_search *tfrs_query_slice_next(const tfrs_query_slice *slice, float **vector);

/* Adds the query that was put there, with the events that adjust its scores (they stay until clear),
 * or none. */
extern void tfrs_query_slice_add(tfrs_query_slice *slice, const tfrs_event_list *events);

/* Adds a query that nothing is known of, whose search was put there: it gets what is popular in general
 * and not excluded. */
extern void tfrs_query_slice_add_popular(tfrs_query_slice *slice);

extern bool tfrs_query_slice_is_full(const tfrs_query_slice *slice);

/* Finds the hits of the queries that wait; acts on a cancel, raises. */
extern void tfrs_query_slice_answer(tfrs_query_slice *slice);

/* The hits of query number i of those that were answered. */
extern const tfrs_hit *tfrs_query_slice_hits(const tfrs_query_slice *slice, size_t i,
											 size_t *count);

/* Forgets the queries, and frees slice->memory. */
extern void tfrs_query_slice_clear(tfrs_query_slice *slice);

#endif							/* TFRS_QUERY_SLICE_H */
