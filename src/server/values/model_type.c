/*
 * model_type.c: input and output of tfrs.model.
 *
 * There are no comparison operators: two models are compared by the digest in tfrs.model_info.
 */
#include "server/values/model_type.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "server/host/bridge.h"

static tfrs_status
load_index(const tfrs_model *model, tfrs_index *index, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = tfrs_index_load(index, &model->block, "index.", model->candidate_table,
										 model->candidate_ids.count, arena, error);

	if (status == TFRS_OK && index->dim != model->shape->dim)
		return tfrs_fail(error, TFRS_CORRUPT, "index of a model has another dimension");
	return status;
}

tfrs_status
tfrs_model_and_index(const tfrs_block *block, tfrs_model *model, tfrs_index *index,
					 tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = tfrs_model_of_block(model, block, error);

	if (status != TFRS_OK)
		return status;
	if (tfrs_block_has(block, "index.head"))
		return load_index(model, index, arena, error);
	*index = tfrs_index_over(model->candidate_table, model->candidate_ids.count,
							 model->shape->dim, TFRS_METRIC_DOT);
	return TFRS_OK;
}

Jsonb *
tfrs_model_about(const tfrs_model *model)
{
	char	   *text = pg_any_to_server(model->about, (int) model->about_bytes, PG_UTF8);

	if (text == model->about)
		text = pnstrdup(text, model->about_bytes);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

static tfrs_status
check_model(const tfrs_block *block, tfrs_error *error)
{
	tfrs_model	model;
	tfrs_index	index;
	tfrs_arena	arena;
	tfrs_status status;

	tfrs_bridge_arena(&arena, CurrentMemoryContext, SIZE_MAX);
	status = tfrs_model_and_index(block, &model, &index, &arena, error);
	tfrs_arena_free(&arena);
	return status;
}

const tfrs_block_type tfrs_model_type = {
	"tfrs.model", TFRS_BLOCK_MODEL, check_model,
	"To ask a recommender by its name, call tfrs.recommend or tfrs.similar."
};

PG_FUNCTION_INFO_V1(tfrs_model_in);
PG_FUNCTION_INFO_V1(tfrs_model_out);
PG_FUNCTION_INFO_V1(tfrs_model_recv);
PG_FUNCTION_INFO_V1(tfrs_model_send);

Datum
tfrs_model_in(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_in(fcinfo, &tfrs_model_type);
}

Datum
tfrs_model_out(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_out(fcinfo);
}

Datum
tfrs_model_recv(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_recv(fcinfo, &tfrs_model_type);
}

Datum
tfrs_model_send(PG_FUNCTION_ARGS)
{
	return tfrs_block_type_send(fcinfo);
}
