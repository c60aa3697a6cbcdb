/*
 * score_adjustment.h: the candidates whose score is not that of their vectors alone: those that a
 * query's events touch by the sparse parts of the model's score (learning/score_parts.h).
 */
#ifndef TFRS_SCORE_ADJUSTMENT_H
#define TFRS_SCORE_ADJUSTMENT_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/collector.h"

/* Adjusted rows of the queries that wait to be searched together, at most: 32 MB. */
#define TFRS_MOST_WAITING_ADJUSTED ((size_t) 1 << 22)

/*
 * Puts what the events of the list add to candidates' scores into search->adjusted, in the current
 * memory context.  candidates: the model's own, or those of an index, which are told by their ids.
 */
extern void tfrs_search_adjust(const tfrs_model *model, const tfrs_id_view *candidates,
							   const tfrs_event_list *list, tfrs_search *search);

#endif							/* TFRS_SCORE_ADJUSTMENT_H */
