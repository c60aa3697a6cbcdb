/*
 * model_query.h: a query by its id, as a model knows it: its vector, what it has chosen already,
 * and what a query gets that the model has never seen.
 */
#ifndef TFRS_MODEL_QUERY_H
#define TFRS_MODEL_QUERY_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/collector.h"
#include "retrieval/index.h"
#include "server/values/candidate_ids.h"
#include "server/search/search_arguments.h"

typedef enum tfrs_query_kind
{
	TFRS_QUERY_NOTHING,			/* there are no rows for it */
	TFRS_QUERY_VECTOR,			/* search for the vector */
	TFRS_QUERY_POPULAR			/* unknown: tfrs_popular_candidates */
} tfrs_query_kind;

/*
 * Puts the query's vector into vector (D), and into *events what the model has stored of it.  Raises
 * for an unknown query where the options say so.
 */
extern tfrs_query_kind tfrs_model_query_open(const tfrs_model *model, tfrs_id id,
											 const tfrs_search_options *options, float *vector,
											 tfrs_event_list *events);

/*
 * Adds the candidates of events to search->excluded, a new list in the current memory context, as
 * rows of candidates: the model's own, or those of an index.
 */
extern void tfrs_model_exclude(const tfrs_model *model, const tfrs_id_view *candidates,
							   const tfrs_event_list *events, tfrs_search *search);

/* Whether queries that nothing is known of get what is popular now, not of all time. */
extern bool tfrs_model_is_trending(const tfrs_model *model);

/*
 * Moves a query's vector (D) away from candidates (rows of the model's): by a quarter of its length
 * in the mean of their directions.  A bias of the vectors is left alone.  So the score of another
 * candidate falls by a quarter of the query's length times the mean of its products with those
 * directions.
 */
extern void tfrs_model_push_away(const tfrs_model *model, const tfrs_row_list *rows,
								 float *vector);

/*
 * The best search->k candidates by the number of rows that the model was trained on, or by the
 * popularity of now, which is the score; 0 for one it does not know.  hits: room for min(k, N) entries.  The result is how many
 * there are.
 */
extern size_t tfrs_popular_candidates(const tfrs_model *model, const tfrs_id_view *candidates,
									  const tfrs_search *search, tfrs_hit *hits);

/* The hits of many queries on all threads; acts on a cancel, raises. */
extern void tfrs_search_many(const tfrs_index *index, const tfrs_index_queries *queries,
							 tfrs_arena *arena);

#endif							/* TFRS_MODEL_QUERY_H */
