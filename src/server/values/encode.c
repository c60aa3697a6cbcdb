/*
 * encode.c: tfrs.embed_query, tfrs.embed_candidate and tfrs.embed_history.
 *
 * One C function a tower serves every overload: the type of the second argument is asked from the
 * call once.  The model is found in the block cache, so a scan that encodes a million rows with one
 * model does not read it a million times.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "server/values/block_cache.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/values/row_reader.h"

typedef struct encode_site
{
	tfrs_block_site block;
	bool		is_json;
	tfrs_id_reader reader;		/* unless is_json */
} encode_site;

static encode_site *
site_of_call(FunctionCallInfo fcinfo, const char *role)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	encode_site *site = flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(*site));
		site->is_json = get_fn_expr_argtype(flinfo, 1) == JSONBOID;
		if (!site->is_json)
			tfrs_id_reader_init(&site->reader, get_fn_expr_argtype(flinfo, 1), role);
		flinfo->fn_extra = site;
	}
	return site;
}

/* The vector, or NULL for a JSON null. */
static tfrs_embedding *
encode(FunctionCallInfo fcinfo, bool is_query)
{
	const char *role = is_query ? "query" : "candidate";
	encode_site *site = site_of_call(fcinfo, role);
	const tfrs_model *model = &tfrs_block_cache_get(&site->block, fcinfo->flinfo->fn_mcxt,
													PG_GETARG_DATUM(0),
													TFRS_BLOCK_MODEL)->model;
	const tfrs_id_view *ids = is_query ? &model->query_ids : &model->candidate_ids;
	tfrs_embedding *embedding;
	tfrs_id		id;

	if (!site->is_json)
		id = tfrs_id_read_as(&site->reader, ids->tag, PG_GETARG_DATUM(1), role);
	else if (!tfrs_id_from_json(ids->tag, PG_GETARG_JSONB_P(1), role, &id))
		return NULL;
	embedding = tfrs_embedding_make((int) model->shape->dim);
	if (is_query)
		tfrs_model_query(model, tfrs_id_view_find(ids, id), embedding->values);
	else
		tfrs_model_candidate(model, tfrs_id_view_find(ids, id), embedding->values);
	return embedding;
}

static Datum
encode_or_null(FunctionCallInfo fcinfo, bool is_query)
{
	tfrs_embedding *embedding = encode(fcinfo, is_query);

	if (embedding == NULL)
		PG_RETURN_NULL();
	TFRS_RETURN_EMBEDDING(embedding);
}

PG_FUNCTION_INFO_V1(tfrs_embed_query);
PG_FUNCTION_INFO_V1(tfrs_embed_candidate);

Datum
tfrs_embed_query(PG_FUNCTION_ARGS)
{
	return encode_or_null(fcinfo, true);
}

Datum
tfrs_embed_candidate(PG_FUNCTION_ARGS)
{
	return encode_or_null(fcinfo, false);
}

PG_FUNCTION_INFO_V1(tfrs_embed_history);

/* Keeps the first of equal rows: a candidate is an event at its first time, as in training. */
static void
drop_repeats(tfrs_row_list *list, size_t candidates)
{
	uint8	   *seen = palloc_extended(candidates / 8 + 1, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	size_t		kept = 0;

	for (size_t i = 0; i < list->count; i++)
	{
		uint32_t	row = list->rows[i];
		uint8		bit = (uint8) (1 << row % 8);

		if ((seen[row / 8] & bit) == 0)
			list->rows[kept++] = row;
		seen[row / 8] |= bit;
	}
	list->count = kept;
	pfree(seen);
}

Datum
tfrs_embed_history(PG_FUNCTION_ARGS)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	tfrs_row_list list = {0};
	const tfrs_model *model;
	tfrs_embedding *embedding;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	model = &tfrs_block_cache_argument(fcinfo, 0, TFRS_BLOCK_MODEL)->model;
	if (!PG_ARGISNULL(1))
		list = tfrs_candidate_sequence(&model->candidate_ids, get_fn_expr_argtype(flinfo, 1),
									   PG_GETARG_DATUM(1), "candidates");
	if (model->history == NULL || !model->history->repeats)
		drop_repeats(&list, model->candidate_ids.count);
	embedding = tfrs_embedding_make((int) model->shape->dim);
	tfrs_model_history(model, &(tfrs_event_list) {list.count, list.rows, NULL},
					   embedding->values);
	TFRS_RETURN_EMBEDDING(embedding);
}
