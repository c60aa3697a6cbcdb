/*
 * feature_store.h: features, and the rows of keys, as parts of a model.
 *
 * Parts of a side ("query." or "candidate."), where its rows have features; fK: feature number K of
 * the tower's options, valueC: column number C:
 *     "options"              tfrs_tower_options, one element
 *     "fK.summary"           tfrs_feature_summary, one element
 *     "fK.boundary"          bucket: double (boundaries)
 *     "fK.vocabulary.*"      id, text, bag, sequence: vocabulary.h, unless it shares another's
 *     "row"                  uint32 (V, W): the row of each key (feature_rows.h); left out where the
 *                            model stores no rows of queries
 *     "valueC.ids", or "valueC.offsets" and "valueC.bytes"   distinct values of these rows, in order
 * The tensors of features are stored with the others (tensors.h).
 */
#ifndef TFRS_FEATURE_STORE_H
#define TFRS_FEATURE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/block.h"
#include "learning/feature.h"

/* One side of a model, for reading. */
typedef struct tfrs_stored_features
{
	tfrs_features features;		/* no options: a scalar */
	bool		has_rows;
	tfrs_rows_view rows;		/* (V) the row of each key, where they are stored */
} tfrs_stored_features;

/* Checks everything, as bytes from outside.  keys: how many there are. */
extern tfrs_status tfrs_stored_features_load(tfrs_stored_features *stored, const tfrs_block *block,
											 bool of_queries, size_t keys, tfrs_error *error);

/* Whether a training of these options would have the features of a model; else an error that names
 * what differs.  A side of NULL is a scalar. */
extern tfrs_status tfrs_stored_features_check(const tfrs_stored_features *stored,
											  const tfrs_tower_options *options, const char *side,
											  tfrs_error *error);

/* One side as it is written: rows of keys alone, and of values those that they have. */
typedef struct tfrs_feature_store
{
	tfrs_arena *arena;
	const tfrs_features *features;
	const tfrs_rows_view *view;
	const uint32_t *row;		/* (V) of each key, or NULL: no rows are stored */
	size_t		keys;			/* V */
	uint32_t	column;			/* the next one */
	uint32_t   *words;			/* (V, W) */
	tfrs_id_set value[TFRS_MAX_COLUMNS];
	uint32_t	kind[TFRS_MAX_FEATURES][2];	/* for the writer */
} tfrs_feature_store;

/* All that is given must outlive the store. */
extern tfrs_status tfrs_feature_store_begin(tfrs_feature_store *store, tfrs_arena *arena,
											const tfrs_features *features,
											const tfrs_rows_view *view, const uint32_t *row,
											size_t keys, tfrs_error *error);
extern void tfrs_feature_store_free(tfrs_feature_store *store);

/* TFRS_MORE until the rows are ready; a step handles a column. */
extern tfrs_status tfrs_feature_store_step(tfrs_feature_store *store, tfrs_error *error);

/* Adds the parts, which lie in the store. */
extern tfrs_status tfrs_feature_store_add(tfrs_feature_store *store, bool of_queries,
										  tfrs_block_writer *writer, tfrs_error *error);

#endif							/* TFRS_FEATURE_STORE_H */
