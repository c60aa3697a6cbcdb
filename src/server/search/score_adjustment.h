/*
 * score_adjustment.h: the candidates whose score is not that of their vectors alone: those that a
 * query's events touch by the sparse parts of the model's score (learning/score_parts.h).
 */
#ifndef TFRS_SCORE_ADJUSTMENT_H
#define TFRS_SCORE_ADJUSTMENT_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/collector.h"

/*
 * Adds what the events of the list add to candidates' scores to search->adjusted, in the current
 * memory context.  candidates: the model's own, or those of an index, which are told by their ids.
 */
extern void tfrs_search_adjust(const tfrs_model *model, const tfrs_id_view *candidates,
							   const tfrs_event_list *list, tfrs_search *search);

/* Rows that are adjusted, and by how much. */
typedef struct tfrs_adjustment
{
	uint32_t   *rows;			/* (count) ascending */
	float	   *values;			/* (count) */
	size_t		count;			/* at most, before they are summed */
} tfrs_adjustment;

/* Adds adjustments to those that a search has. */
extern void tfrs_search_add_adjustment(tfrs_search *search, const tfrs_adjustment *adjusted);

/*
 * tfrs_search_adjust for many queries on all threads: begin, then add and run again and again.  Lies in the
 * memory context of begin; what run makes lies in that of the caller.
 */
typedef struct tfrs_adjuster
{
	const tfrs_model *model;
	const tfrs_id_view *candidates;
	int			threads;		/* 0: the model's score has no sparse parts */
	tfrs_arena	arena;
	tfrs_part_sums *sums;		/* (threads) */
	tfrs_event_list *lists;		/* (room) */
	tfrs_adjustment *adjusted;	/* (room) */
	size_t		count;			/* lists that wait */
	size_t		done;			/* of them */
} tfrs_adjuster;

/* Room for that many queries that wait. */
extern void tfrs_adjuster_begin(tfrs_adjuster *adjuster, const tfrs_model *model,
								const tfrs_id_view *candidates, size_t room);

/* Adds the events of the next query, which must stay until run; returns how many rows they adjust at
 * most. */
extern size_t tfrs_adjuster_add(tfrs_adjuster *adjuster, const tfrs_event_list *list);

/* Puts the adjustments of the queries that were added into searches, in their order; then none
 * waits. */
extern void tfrs_adjuster_run(tfrs_adjuster *adjuster, tfrs_search *searches);

#endif							/* TFRS_SCORE_ADJUSTMENT_H */
