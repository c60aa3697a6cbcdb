/*
 * popularity.h: candidates by how often they were chosen, for a query that nothing is known of.
 */
#ifndef TFRS_POPULARITY_H
#define TFRS_POPULARITY_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/collector.h"

/*
 * The best search->k of candidates (the model's own, or those of an index) by the number of rows
 * that the model was trained on, which is the score; 0 for one it does not know.  hits: room for
 * min(k, N) entries.  The result is how many there are.
 */
extern size_t tfrs_popular_candidates(const tfrs_model *model, const tfrs_id_view *candidates,
									  const tfrs_search *search, tfrs_hit *hits);

#endif							/* TFRS_POPULARITY_H */
