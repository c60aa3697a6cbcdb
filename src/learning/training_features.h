/*
 * training_features.h: the features of a training: settled over its rows, encoded, and stored.
 *
 *     begin -> step ... -> side -> (towers) -> store step ...
 *
 * A side whose rows have no columns that are read is a scalar, and costs nothing here.
 */
#ifndef TFRS_TRAINING_FEATURES_H
#define TFRS_TRAINING_FEATURES_H

#include <stdbool.h>

#include "learning/feature_settling.h"
#include "learning/feature_store.h"
#include "learning/feature_tower.h"
#include "learning/interactions.h"

/* The sides in the order of the arrays. */
enum
{
	TFRS_SIDE_QUERY = 0,
	TFRS_SIDE_CANDIDATE,
	TFRS_SIDES
};

typedef struct tfrs_training_features
{
	tfrs_arena *arena;
	const tfrs_interactions *interactions;
	bool		settled;
	int			side;			/* that is being encoded, then stored */
	tfrs_id_view key[TFRS_SIDES];
	tfrs_settling_side settling_side[TFRS_SIDES];
	tfrs_settling *settling;	/* NULL: both sides are scalars */
	tfrs_encoded_rows encoded[TFRS_SIDES];
	tfrs_feature_store store[TFRS_SIDES];
} tfrs_training_features;

/* The interactions are finished and outlive the features. */
extern tfrs_status tfrs_training_features_begin(tfrs_training_features *features,
												tfrs_arena *arena,
												const tfrs_interactions *interactions,
												tfrs_error *error);
extern void tfrs_training_features_free(tfrs_training_features *features);

/* TFRS_MORE until both sides are encoded.  Errors of tfrs_settling_step. */
extern tfrs_status tfrs_training_features_step(tfrs_training_features *features,
											   tfrs_error *error);

/* Whether a side has features. */
extern bool tfrs_training_features_has(const tfrs_training_features *features, int side);

/* What a descent is told of a side. */
extern tfrs_side_features tfrs_training_features_side(const tfrs_training_features *features,
													  int side);

/* TFRS_MORE until what is stored of them is ready. */
extern tfrs_status tfrs_training_features_store_step(tfrs_training_features *features,
													 tfrs_error *error);

/* What is stored of a side; NULL of a scalar. */
extern tfrs_feature_store *tfrs_training_features_store(tfrs_training_features *features,
														int side);

#endif							/* TFRS_TRAINING_FEATURES_H */
