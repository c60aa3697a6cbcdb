/*
 * index_type.c: tfrs.candidate_index.
 */
#include "server/index_type.h"

#include "fmgr.h"
#include "utils/memutils.h"

#include "base/finite.h"
#include "server/bridge.h"

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

const tfrs_block_type tfrs_index_type = {"tfrs.candidate_index", TFRS_BLOCK_INDEX, check_index};

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
