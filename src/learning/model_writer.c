/*
 * model_writer.c: names and sizes of the parts of a model.
 */
#include "learning/model_writer.h"

#include <string.h>

static tfrs_status
add_epochs(const tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	const tfrs_cutoffs *cutoffs = parts->cutoffs;
	size_t		epochs = parts->epoch_count;
	tfrs_status status = tfrs_block_writer_add(writer, "epochs", parts->epochs, epochs,
											   sizeof(tfrs_model_epoch), error);

	if (status == TFRS_OK && cutoffs->count > 0)
		status = tfrs_block_writer_add(writer, "epochs.cutoffs", cutoffs->k, cutoffs->count,
									   sizeof(uint32_t), error);
	if (status == TFRS_OK && cutoffs->count > 0)
		status = tfrs_block_writer_add(writer, "epochs.accuracy", parts->accuracy,
									   epochs * cutoffs->count, sizeof(float), error);
	if (status == TFRS_OK && parts->validation != NULL)
		status = tfrs_block_writer_add(writer, "epochs.validation", parts->validation, epochs,
									   sizeof(double), error);
	return status;
}

static tfrs_status
add_side(tfrs_model_side_parts *side, const char *prefix, tfrs_block_writer *writer,
		 tfrs_error *error)
{
	tfrs_id_view ids = tfrs_id_set_view(side->ids);
	tfrs_status status = tfrs_id_view_save(&ids, side->head, writer, prefix, error);

	writer->prefix = prefix;
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "counts", side->counts, ids.count,
									   sizeof(uint32_t), error);
	writer->prefix = "";
	return status;
}

static tfrs_status
add_events(const tfrs_events *events, tfrs_block_writer *writer, tfrs_error *error)
{
	tfrs_status status = tfrs_block_writer_add(writer, "events.offsets", events->offsets,
											   events->queries + 1, sizeof(uint64_t), error);

	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "events.candidate", events->candidate,
									   events->count, sizeof(uint32_t), error);
	if (status == TFRS_OK && events->at != NULL)
		status = tfrs_block_writer_add(writer, "events.at", events->at, events->count,
									   sizeof(int64_t), error);
	return status;
}

/* A part of a tensor, unless it has none. */
static tfrs_status
add_part(const char *name, const char *what, const float *values, size_t count,
		 tfrs_block_writer *writer, tfrs_error *error)
{
	char		part[TFRS_MAX_PART_NAME];

	return values == NULL ? TFRS_OK
		: tfrs_block_writer_add(writer, tfrs_model_part_name(name, what, part), values, count,
								sizeof(float), error);
}

static bool
is_bag(const tfrs_tensor *tensor)
{
	return strncmp(tensor->name, "bag", 3) == 0;
}

/* A bag is never read where it is unknown, so its last row is not stored. */
static tfrs_status
add_tensor(const tfrs_model_parts *parts, const tfrs_tensor *tensor, tfrs_block_writer *writer,
		   tfrs_error *error)
{
	size_t		floats = (tensor->rows - is_bag(tensor)) * tensor->dim;
	bool		state = parts->optimizer != NULL;
	tfrs_status status = TFRS_OK;

	if (!is_bag(tensor))
		status = add_part(tensor->name, "table", tensor->values, floats, writer, error);
	if (status == TFRS_OK && state)
		status = add_part(tensor->name, "slot0", tensor->slot[0], floats, writer, error);
	if (status == TFRS_OK && state)
		status = add_part(tensor->name, "slot1", tensor->slot[1], floats, writer, error);
	return status;
}

/* The tower, and the tables of its bags: one that is tied reads what the candidates were. */
static tfrs_status
add_tower(const tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	const tfrs_tower_shape *shape = parts->tower;
	size_t		floats = parts->candidate.ids->count * shape->dim;
	tfrs_status status = tfrs_block_writer_add(writer, "query.tower", shape, 1, sizeof(*shape),
											   error);

	for (uint32_t b = 0; b < shape->bags && status == TFRS_OK; b++)
		status = add_part(tfrs_model_bag_name(b), "table", parts->bag[b], floats, writer, error);
	if (status == TFRS_OK)
		status = add_part("candidate", "table", parts->served,
						  (parts->candidate.ids->count + 1) * shape->dim, writer, error);
	if (status == TFRS_OK && parts->unknown != NULL)
		status = tfrs_block_writer_add(writer, "query.unknown", parts->unknown, shape->dim,
									   sizeof(float), error);
	return status;
}

static tfrs_status
add_score(const tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	size_t		candidates = parts->candidate.ids->count;
	tfrs_status status = tfrs_score_parts_save(parts->scores, writer, error);

	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "score", parts->score, 1, sizeof(*parts->score),
									   error);
	if (status == TFRS_OK)
		status = add_part("score", "end", parts->recent_end, candidates, writer, error);
	if (status == TFRS_OK)
		status = add_part("score", "all", parts->recent_all, candidates, writer, error);
	return status;
}

static tfrs_status
add_parameters(const tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	tfrs_status status = add_tower(parts, writer, error);

	for (size_t i = 0; i < parts->parameters->count && status == TFRS_OK; i++)
		status = add_tensor(parts, &parts->parameters->tensor[i], writer, error);
	if (status == TFRS_OK && parts->optimizer != NULL)
		status = tfrs_block_writer_add(writer, "optimizer", parts->optimizer, 1,
									   sizeof(*parts->optimizer), error);
	if (status == TFRS_OK)
		status = add_part("candidate", "length", parts->length, parts->candidate.ids->count + 1,
						  writer, error);
	return status;
}

tfrs_status
tfrs_model_parts_add(tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	tfrs_status status = tfrs_block_writer_add(writer, "shape", &parts->shape, 1,
											   sizeof(parts->shape), error);

	if (status == TFRS_OK)
		status = add_epochs(parts, writer, error);
	if (status == TFRS_OK)
		status = add_side(&parts->query, "query.", writer, error);
	if (status == TFRS_OK)
		status = add_side(&parts->candidate, "candidate.", writer, error);
	if (status == TFRS_OK && parts->query_features != NULL)
		status = tfrs_feature_store_add(parts->query_features, true, writer, error);
	if (status == TFRS_OK && parts->candidate_features != NULL)
		status = tfrs_feature_store_add(parts->candidate_features, false, writer, error);
	if (status == TFRS_OK && parts->events != NULL)
		status = add_events(parts->events, writer, error);
	if (status == TFRS_OK)
		status = add_parameters(parts, writer, error);
	if (status == TFRS_OK && parts->score != NULL)
		status = add_score(parts, writer, error);
	return status;
}
