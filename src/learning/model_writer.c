/*
 * model_writer.c: names and sizes of the parts of a model.
 */
#include "learning/model_writer.h"

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
	if (status == TFRS_OK && side->table != NULL)
		status = tfrs_block_writer_add(writer, "table", side->table->values,
									   side->table->rows * side->table->dim, sizeof(float), error);
	writer->prefix = "";
	return status;
}

static tfrs_status
add_history(const tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	const tfrs_history_shape *shape = parts->history;
	tfrs_status status = tfrs_block_writer_add(writer, "history.shape", shape, 1, sizeof(*shape),
											   error);

	for (uint32_t b = 0; b < shape->bags && status == TFRS_OK; b++)
		status = tfrs_block_writer_add(writer, tfrs_model_bag_part(b), parts->bag[b],
									   parts->candidate.ids->count * shape->dim, sizeof(float),
									   error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, "query.unknown", parts->unknown, shape->dim,
									   sizeof(float), error);
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

static tfrs_status
add_state_part(const char *name, const char *what, const float *values, size_t count,
			   tfrs_block_writer *writer, tfrs_error *error)
{
	char		part[TFRS_MAX_PART_NAME];

	return values == NULL ? TFRS_OK
		: tfrs_block_writer_add(writer, tfrs_model_state_part(name, what, part), values, count,
								sizeof(float), error);
}

/* The state of that many rows of a table, which may be NULL. */
static tfrs_status
add_state(const char *name, const tfrs_table *table, size_t rows, tfrs_block_writer *writer,
		  tfrs_error *error)
{
	tfrs_status status;

	if (table == NULL)
		return TFRS_OK;
	status = add_state_part(name, "slot0", table->slot[0], rows * table->dim, writer, error);
	if (status == TFRS_OK)
		status = add_state_part(name, "slot1", table->slot[1], rows * table->dim, writer, error);
	if (status == TFRS_OK)
		status = add_state_part(name, "length", table->length, rows, writer, error);
	return status;
}

static tfrs_status
add_optimizer(const tfrs_model_parts *parts, tfrs_block_writer *writer, tfrs_error *error)
{
	size_t		candidates = parts->candidate.ids->count;
	tfrs_status status = tfrs_block_writer_add(writer, "optimizer", parts->optimizer, 1,
											   sizeof(*parts->optimizer), error);

	if (status == TFRS_OK)
		status = add_state("query", parts->query.table, parts->query.ids->count + 1, writer, error);
	if (status == TFRS_OK)
		status = add_state("candidate", parts->candidate.table, candidates + 1, writer, error);
	for (uint32_t b = 0; b < TFRS_MAX_BAGS && status == TFRS_OK; b++)
		status = add_state(tfrs_model_bag_part(b), parts->bag_table[b], candidates, writer, error);
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
	if (status == TFRS_OK && parts->events != NULL)
		status = add_events(parts->events, writer, error);
	if (status == TFRS_OK && parts->history != NULL)
		status = add_history(parts, writer, error);
	if (status == TFRS_OK && parts->optimizer != NULL)
		status = add_optimizer(parts, writer, error);
	return status;
}
