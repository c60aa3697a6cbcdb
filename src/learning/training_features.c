/*
 * training_features.c: the steps of training_features.h.
 */
#include "learning/training_features.h"

#include <string.h>

static const tfrs_key_rows *
rows_of(const tfrs_training_features *features, int side)
{
	return side == TFRS_SIDE_QUERY ? tfrs_interactions_query_rows(features->interactions)
		: tfrs_interactions_candidate_rows(features->interactions);
}

static const tfrs_features *
features_of(const tfrs_training_features *features, int side)
{
	return tfrs_settling_features(features->settling, side == TFRS_SIDE_QUERY);
}

static void
fill_side(tfrs_training_features *features, int side)
{
	const tfrs_key_rows *rows = rows_of(features, side);
	const tfrs_id_set *ids = side == TFRS_SIDE_QUERY
		? tfrs_interactions_queries(features->interactions)
		: tfrs_interactions_candidates(features->interactions);

	features->key[side] = tfrs_id_set_view(ids);
	features->settling_side[side].keys = &features->key[side];
	if (rows == NULL || rows->arena == NULL)
		return;
	features->settling_side[side].options = rows->rows.options;
	features->settling_side[side].view = tfrs_feature_rows_view(&rows->rows);
	features->settling_side[side].row_count = rows->row_count;
}

tfrs_status
tfrs_training_features_begin(tfrs_training_features *features, tfrs_arena *arena,
							 const tfrs_interactions *interactions, tfrs_error *error)
{
	memset(features, 0, sizeof(*features));
	features->arena = arena;
	features->interactions = interactions;
	for (int side = 0; side < TFRS_SIDES; side++)
		fill_side(features, side);
	if (!tfrs_training_features_has(features, TFRS_SIDE_QUERY) &&
		!tfrs_training_features_has(features, TFRS_SIDE_CANDIDATE))
		return TFRS_OK;
	return tfrs_settling_begin(&features->settling, arena,
							   &features->settling_side[TFRS_SIDE_QUERY],
							   &features->settling_side[TFRS_SIDE_CANDIDATE], error);
}

void
tfrs_training_features_free(tfrs_training_features *features)
{
	if (features->arena == NULL)
		return;
	for (int side = 0; side < TFRS_SIDES; side++)
	{
		if (features->store[side].arena != NULL)
			tfrs_feature_store_free(&features->store[side]);
		if (features->encoded[side].arena != NULL)
			tfrs_encoded_rows_free(&features->encoded[side]);
	}
	if (features->settling != NULL)
		tfrs_settling_destroy(features->settling);
	memset(features, 0, sizeof(*features));
}

bool
tfrs_training_features_has(const tfrs_training_features *features, int side)
{
	return features->settling_side[side].options != NULL;
}

/* Moves on past sides without features; whether one is left. */
static bool
find_side(tfrs_training_features *features)
{
	while (features->side < TFRS_SIDES && !tfrs_training_features_has(features, features->side))
		features->side++;
	return features->side < TFRS_SIDES;
}

static tfrs_status
settle(tfrs_training_features *features, tfrs_error *error)
{
	tfrs_status status = tfrs_settling_step(features->settling, error);

	features->settled = status == TFRS_OK;
	return status == TFRS_OK ? TFRS_MORE : status;
}

tfrs_status
tfrs_training_features_step(tfrs_training_features *features, tfrs_error *error)
{
	tfrs_encoded_rows *encoded;
	tfrs_status status = TFRS_OK;

	if (features->settling == NULL)
		return TFRS_OK;
	if (!features->settled)
		return settle(features, error);
	if (!find_side(features))
	{
		features->side = 0;
		return TFRS_OK;
	}
	encoded = &features->encoded[features->side];
	if (encoded->arena == NULL)
		status = tfrs_encoded_rows_begin(encoded, features->arena,
										 features_of(features, features->side),
										 &features->settling_side[features->side].view, error);
	if (status == TFRS_OK)
		status = tfrs_encoded_rows_step(encoded, error);
	if (status == TFRS_OK)
		features->side++;
	return status == TFRS_OK ? TFRS_MORE : status;
}

tfrs_side_features
tfrs_training_features_side(const tfrs_training_features *features, int side)
{
	if (!tfrs_training_features_has(features, side))
		return (tfrs_side_features) {0};
	return (tfrs_side_features) {
		.features = features_of(features, side), .encoded = features->encoded[side].feature,
		.row_of_key = rows_of(features, side)->row_of,
		.null_row = tfrs_feature_rows_null(&rows_of(features, side)->rows)
	};
}

tfrs_status
tfrs_training_features_store_step(tfrs_training_features *features, tfrs_error *error)
{
	tfrs_feature_store *store;
	tfrs_status status = TFRS_OK;

	if (features->settling == NULL || !find_side(features))
		return TFRS_OK;
	store = &features->store[features->side];
	if (store->arena == NULL)
		status = tfrs_feature_store_begin(store, features->arena,
										  features_of(features, features->side),
										  &features->settling_side[features->side].view,
										  rows_of(features, features->side)->row_of,
										  features->key[features->side].count, error);
	if (status == TFRS_OK)
		status = tfrs_feature_store_step(store, error);
	if (status == TFRS_OK)
		features->side++;
	return status == TFRS_OK ? TFRS_MORE : status;
}

tfrs_feature_store *
tfrs_training_features_store(tfrs_training_features *features, int side)
{
	return tfrs_training_features_has(features, side) ? &features->store[side] : NULL;
}
