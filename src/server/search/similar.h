/*
 * similar.h: candidates like another one.
 */
#ifndef TFRS_SIMILAR_H
#define TFRS_SIMILAR_H

#include "postgres.h"

#include "learning/model.h"
#include "retrieval/index.h"

/*
 * The best search->k candidates by the cosine of their vectors with that of row, which is left out;
 * so is the bias that a model may have put last into each.  model: whose candidates they are, or
 * NULL.  hits: room for min(k, N) entries.  The result is how many there are.
 */
extern size_t tfrs_similar_candidates(const tfrs_model *model, const tfrs_index *index,
									  uint32_t row, const tfrs_search *search, tfrs_hit *hits);

#endif							/* TFRS_SIMILAR_H */
