/*
 * feature_bounds.h: the features of a side before they are settled, for an estimate of memory.
 *
 * The sizes of tables and kernels follow from the options and from the distinct values of a column.
 * How many different words texts and lists have is known only once their vocabulary is there: their
 * tables count as empty here, and the limit of the training's arena refuses what is too large then.
 */
#ifndef TFRS_FEATURE_BOUNDS_H
#define TFRS_FEATURE_BOUNDS_H

#include "learning/feature_tower.h"
#include "learning/key_rows.h"

typedef struct tfrs_feature_bounds
{
	tfrs_features features;
	tfrs_feature_summary summary[TFRS_MAX_FEATURES];
} tfrs_feature_bounds;

/* What a descent is told of a side for its sizes alone; the bounds must outlive it.  keys: or NULL. */
extern tfrs_side_features tfrs_feature_bounds_side(tfrs_feature_bounds *bounds,
												   const tfrs_key_rows *keys);

/* Adds the bytes of a side's encoded values.  Error: TFRS_TOO_LARGE. */
extern tfrs_status tfrs_feature_bounds_add(const tfrs_key_rows *keys, size_t *bytes,
										   tfrs_error *error);

#endif							/* TFRS_FEATURE_BOUNDS_H */
