/*
 * model.c: reading a model block that may be hostile.
 *
 * tfrs_block_open has checked that the parts lie inside the bytes; here they are checked to be
 * what they say: sizes that agree, limits, finite numbers, counts that add up.  Behind this point
 * nothing looks again.
 */
#include "learning/model.h"

#include <math.h>
#include <string.h>

#include "base/finite.h"
#include "base/limits.h"

static tfrs_status
corrupt(tfrs_error *error, const char *detail)
{
	tfrs_fail(error, TFRS_CORRUPT, "model is corrupt");
	tfrs_error_detail(error, "%s", detail);
	return TFRS_CORRUPT;
}

static tfrs_status
check_shape(const tfrs_model_shape *shape, tfrs_error *error)
{
	if (shape->dim < 1 || shape->dim > TFRS_MAX_DIM)
		return corrupt(error, "Its dimension is out of range.");
	if (shape->flags != 0 || shape->reserved != 0.0f || signbit(shape->reserved))
		return corrupt(error, "Its reserved fields are not zero.");
	if (shape->rows < 1 || shape->rows > TFRS_MAX_INTERACTIONS)
		return corrupt(error, "Its number of rows is out of range.");
	if (!isfinite(shape->temperature) || !(shape->temperature > 0.0f))
		return corrupt(error, "Its temperature is not a positive number.");
	return TFRS_OK;
}

static tfrs_status
load_shape(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find_exact(&model->block, "shape", sizeof(tfrs_model_shape), 1,
											   (const void **) &model->shape, error);

	return status == TFRS_OK ? check_shape(model->shape, error) : status;
}

static tfrs_status
load_epochs(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find(&model->block, "epochs", sizeof(tfrs_model_epoch),
										 (const void **) &model->epochs, &model->epoch_count,
										 error);

	if (status != TFRS_OK)
		return status;
	if (model->epoch_count < 1 || model->epoch_count > TFRS_MAX_EPOCHS)
		return corrupt(error, "Its number of epochs is out of range.");
	for (size_t i = 0; i < model->epoch_count; i++)
	{
		if (!isfinite(model->epochs[i].loss) || !isfinite(model->epochs[i].loss_per_row))
			return corrupt(error, "A loss of its history is not finite.");
	}
	return TFRS_OK;
}

/* One side: where its parts go. */
typedef struct model_side
{
	const char *prefix;
	const char *counts_name;
	const char *table_name;
	tfrs_id_view *ids;
	const uint32_t **counts;
	const float **table;
} model_side;

static tfrs_status
check_counts(const tfrs_model *model, const model_side *side, tfrs_error *error)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < side->ids->count; i++)
	{
		if ((*side->counts)[i] == 0)
			return corrupt(error, "An id has no row.");
		sum += (*side->counts)[i];
	}
	if (sum != model->shape->rows)
		return corrupt(error, "The counts of its ids do not add up to its rows.");
	return TFRS_OK;
}

static tfrs_status
load_side(tfrs_model *model, const model_side *side, tfrs_error *error)
{
	const tfrs_block *block = &model->block;
	size_t		floats;
	tfrs_status status = tfrs_id_view_load(side->ids, block, side->prefix, error);

	if (status != TFRS_OK)
		return status;
	status = tfrs_block_find_exact(block, side->counts_name, sizeof(uint32_t), side->ids->count,
								   (const void **) side->counts, error);
	if (status == TFRS_OK && !block->trusted)
		status = check_counts(model, side, error);
	if (status != TFRS_OK)
		return status;
	floats = (side->ids->count + 1) * model->shape->dim;
	status = tfrs_block_find_exact(block, side->table_name, sizeof(float), floats,
								   (const void **) side->table, error);
	if (status == TFRS_OK && !block->trusted && !tfrs_all_finite(*side->table, floats))
		return corrupt(error, "An embedding is not finite.");
	return status;
}

tfrs_status
tfrs_model_of_block(tfrs_model *model, const tfrs_block *block, tfrs_error *error)
{
	const model_side query = {
		"query.", "query.counts", "query.table",
		&model->query_ids, &model->query_counts, &model->query_table
	};
	const model_side candidate = {
		"candidate.", "candidate.counts", "candidate.table",
		&model->candidate_ids, &model->candidate_counts, &model->candidate_table
	};
	tfrs_status status;

	memset(model, 0, sizeof(*model));
	model->block = *block;
	status = load_shape(model, error);
	if (status == TFRS_OK)
		status = tfrs_block_find(&model->block, "about", 1, (const void **) &model->about,
								 &model->about_bytes, error);
	if (status == TFRS_OK)
		status = load_epochs(model, error);
	if (status == TFRS_OK)
		status = load_side(model, &query, error);
	if (status == TFRS_OK)
		status = load_side(model, &candidate, error);
	return status;
}

tfrs_status
tfrs_model_load(tfrs_model *model, const void *bytes, size_t length, tfrs_error *error)
{
	tfrs_block	block;
	tfrs_status status = tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, error);

	return status == TFRS_OK ? tfrs_model_of_block(model, &block, error) : status;
}

static void
copy_row(const float *table, size_t rows, size_t dim, uint32_t row, float *vector)
{
	size_t		unknown = rows;
	size_t		at = row == TFRS_NO_ROW ? unknown : row;

	memcpy(vector, table + at * dim, dim * sizeof(float));
}

void
tfrs_model_query(const tfrs_model *model, uint32_t row, float *vector)
{
	copy_row(model->query_table, model->query_ids.count, model->shape->dim, row, vector);
}

void
tfrs_model_candidate(const tfrs_model *model, uint32_t row, float *vector)
{
	copy_row(model->candidate_table, model->candidate_ids.count, model->shape->dim, row, vector);
}
