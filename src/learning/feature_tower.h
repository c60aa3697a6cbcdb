/*
 * feature_tower.h: the features of one side become encoders and tensors of its tower, and what they
 * made of the rows becomes cells.
 *
 * Tensors of a side ("query" or "candidate"), with f0, f1, ... in the order of the options:
 *     SIDE.fK             the table of a feature, unless it shares one; of a number or a vector in a
 *                         tower that sums its kernel (width, D)
 *     SIDE.fK.kernel, SIDE.fK.recurrent, SIDE.fK.bias      of a sequence
 *     SIDE.crossL.kernel, SIDE.crossL.bias, SIDE.layerL.kernel, SIDE.layerL.bias
 * They begin as Keras's and TensorFlow Recommenders' do.
 *
 * The encoders of the key are declared by the caller, before: here it is only said that they are the
 * key's.  A tower of features leaves an unknown key out.
 */
#ifndef TFRS_FEATURE_TOWER_H
#define TFRS_FEATURE_TOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/feature.h"
#include "learning/tower.h"

/* One side of a training; nothing at all where it is a scalar. */
typedef struct tfrs_side_features
{
	const tfrs_features *features;	/* NULL: a scalar */
	const tfrs_encoded_feature *encoded;	/* (features->count); NULL where only sizes are asked for */
	const uint32_t *row_of_key; /* (V) the row of each key, or NULL: no column is read */
	uint32_t	null_row;		/* that of NULLs */
} tfrs_side_features;

/* Features beside the key; 0 of a scalar. */
static inline size_t
tfrs_side_feature_count(const tfrs_side_features *side)
{
	return side->features == NULL ? 0 : side->features->count;
}

/* Whether the side has a table of ids. */
static inline bool
tfrs_side_has_id(const tfrs_side_features *side)
{
	return side->features == NULL || !side->features->options->no_id;
}

/* Whether the row of an interaction matters. */
static inline bool
tfrs_side_has_rows(const tfrs_side_features *side)
{
	return tfrs_side_feature_count(side) > 0;
}

/*
 * Adds encoders of the features to both towers, whose encoders of the key are there, and the layers
 * behind them.  shared: the tables of ids that features may read, candidates' and queries' (or NULL).
 */
typedef struct tfrs_feature_towers
{
	tfrs_tensors *parameters;
	tfrs_tower *query;
	tfrs_tower *candidate;
	const tfrs_side_features *query_side;
	const tfrs_side_features *candidate_side;
	tfrs_tensor *query_ids;
	tfrs_tensor *candidate_ids;
} tfrs_feature_towers;

extern void tfrs_feature_towers_declare(const tfrs_feature_towers *towers);

/* Whether a feature of either side reads the table of ids of a side. */
extern bool tfrs_features_share_ids(const tfrs_side_features *side, bool of_queries);

/* The first of its encoders that is a feature's: those before it are the key's. */
extern size_t tfrs_feature_tower_first(const tfrs_tower *tower, const tfrs_side_features *side);

/* Makes rows of the features' tables 0 that no value of a training reads: they mean nothing, whoever
 * reads them later.  Before the first step. */
extern void tfrs_feature_towers_clear(const tfrs_feature_towers *towers);

/* The features' cells of a batch whose rows have these numbers (B). */
extern void tfrs_feature_tower_cells(tfrs_tower *tower, const tfrs_side_features *side,
									 const uint32_t *row);

#endif							/* TFRS_FEATURE_TOWER_H */
