/*
 * index_type.c: the SQL type tfrs.candidate_index.
 */
#include "server/values/index_type.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/finite.h"
#include "server/host/bridge.h"

static tfrs_status
check_index(const tfrs_block *block, tfrs_error *error)
{
	tfrs_id_view candidates;
	tfrs_index	index;
	tfrs_arena	arena;
	tfrs_status status;

	tfrs_bridge_arena(&arena, CurrentMemoryContext, SIZE_MAX);
	status = tfrs_index_of_block(block, &candidates, &index, &arena, error);
	tfrs_arena_free(&arena);
	return status;
}

const tfrs_block_type tfrs_index_type = {
	"tfrs.candidate_index", TFRS_BLOCK_INDEX, check_index, NULL
};

tfrs_status
tfrs_index_of_block(const tfrs_block *block, tfrs_id_view *candidates, tfrs_index *index,
					tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = tfrs_id_view_load(candidates, block, "candidate.", error);

	if (status == TFRS_OK)
		status = tfrs_index_load(index, block, "index.", NULL, 0, arena, error);
	if (status == TFRS_OK && index->count != candidates->count)
		status = tfrs_fail(error, TFRS_CORRUPT, "index has %zu vectors for %zu candidates",
						   index->count, candidates->count);
	if (status == TFRS_OK && !block->trusted &&
		!tfrs_all_finite(index->vectors, index->count * index->dim))
		status = tfrs_fail(error, TFRS_CORRUPT, "a vector of the index is not finite");
	return status;
}

void
tfrs_index_run_builder(tfrs_index_builder *builder, size_t rows, tfrs_progress *run)
{
	tfrs_progress_state state = {.phase = "building the index", .total = rows};
	tfrs_status status;
	tfrs_error	error;
	double		share;

	while ((status = tfrs_index_builder_step(builder, &share, &error)) == TFRS_MORE)
	{
		CHECK_FOR_INTERRUPTS();
		state.done = (uint64) (share * (double) rows);
		tfrs_progress_update(run, &state);
	}
	tfrs_check(status, &error);
}

tfrs_block_value *
tfrs_index_value_of(const tfrs_id_view *ids, tfrs_index_builder *builder)
{
	tfrs_block_writer *writer = palloc(sizeof(tfrs_block_writer));
	tfrs_block_value *value;
	uint32_t	head[2];
	size_t		bytes;
	tfrs_error	error;

	tfrs_block_writer_init(writer, TFRS_BLOCK_INDEX);
	tfrs_check(tfrs_id_view_save(ids, head, writer, "candidate.", &error), &error);
	writer->prefix = "index.";
	tfrs_check(tfrs_index_builder_save(builder, true, writer, &error), &error);
	tfrs_check(tfrs_block_writer_size(writer, &bytes, &error), &error);
	value = tfrs_block_value_make(bytes);
	tfrs_block_writer_begin(writer, value->block);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	pfree(writer);
	return value;
}

void
tfrs_index_check_options(const tfrs_index_options *options)
{
	const char *complaint = tfrs_index_options_check(options);

	if (complaint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", complaint)));
}

PG_FUNCTION_INFO_V1(tfrs_candidate_index_in);
PG_FUNCTION_INFO_V1(tfrs_candidate_index_out);
PG_FUNCTION_INFO_V1(tfrs_candidate_index_recv);
PG_FUNCTION_INFO_V1(tfrs_candidate_index_send);

Datum
tfrs_candidate_index_in(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_in(fcinfo, &tfrs_index_type);
}

Datum
tfrs_candidate_index_out(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_out(fcinfo);
}

Datum
tfrs_candidate_index_recv(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_recv(fcinfo, &tfrs_index_type);
}

Datum
tfrs_candidate_index_send(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_send(fcinfo);
}
