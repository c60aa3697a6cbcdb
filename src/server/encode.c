/*
 * encode.c: tfrs.embed_query and tfrs.embed_candidate.
 *
 * One C function a tower serves every overload: the type of the second argument is asked from the
 * call once.  The model is found in the block cache, so a scan that encodes a million rows with one
 * model does not read it a million times.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "server/block_cache.h"
#include "server/compat.h"
#include "server/embedding_type.h"
#include "server/row_reader.h"

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
