/*
 * model_info.c: what is in a model: tfrs.model_info, training_history, vocabulary,
 * query_embeddings and candidate_embeddings.
 *
 * The rows are given one by one, so that a LIMIT in a cursor reads no more than it shows; the model
 * stays pinned in the block cache meanwhile.  Nothing here tells of the machine: equal models have
 * equal information.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "server/values/block_cache.h"
#include "server/values/block_type.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/values/model_type.h"
#include "server/host/options.h"
#include "server/values/row_reader.h"

/* One side of a model. */
typedef struct tower
{
	const tfrs_id_view *ids;
	const uint32_t *counts;
	void		(*vector) (const tfrs_model *model, uint32_t row, float *vector);
} tower;

/* One call of a set-returning function. */
typedef struct row_scan
{
	tfrs_block_site block;
	const tfrs_model *model;
	tower		tower;
} row_scan;

static tower
query_tower(const tfrs_model *model)
{
	return (tower) {
		&model->query_ids, model->query_counts, tfrs_model_query
	};
}

static tower
candidate_tower(const tfrs_model *model)
{
	return (tower) {
		&model->candidate_ids, model->candidate_counts, tfrs_model_candidate
	};
}

static row_scan *
begin_scan(FunctionCallInfo fcinfo)
{
	FuncCallContext *call = SRF_FIRSTCALL_INIT();
	MemoryContext old_context = MemoryContextSwitchTo(call->multi_call_memory_ctx);
	row_scan   *scan = palloc0(sizeof(*scan));
	TupleDesc	row_type;

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	call->tuple_desc = BlessTupleDesc(row_type);
	call->user_fctx = scan;
	scan->model = &tfrs_block_cache_get(&scan->block, call->multi_call_memory_ctx,
										PG_GETARG_DATUM(0), TFRS_BLOCK_MODEL)->model;
	MemoryContextSwitchTo(old_context);
	return scan;
}

static Datum
make_row(FuncCallContext *call, Datum *values)
{
	bool		nulls[3] = {false};

	return HeapTupleGetDatum(heap_form_tuple(call->tuple_desc, values, nulls));
}

static Datum
value_of_row(const row_scan *scan, uint32_t row)
{
	const tfrs_id_view *ids = scan->tower.ids;

	return CStringGetTextDatum(tfrs_id_to_cstring(ids->tag, tfrs_id_view_get(ids, row)));
}

static Datum
embedding_of_row(const row_scan *scan, uint32_t row)
{
	tfrs_embedding *embedding = tfrs_embedding_make((int) scan->model->shape->dim);

	scan->tower.vector(scan->model, row, embedding->values);
	return PointerGetDatum(embedding);
}

/* Rows (id, embedding) of the tower that choose names. */
static Datum
embeddings(FunctionCallInfo fcinfo, tower (*choose) (const tfrs_model *model))
{
	FuncCallContext *call;
	row_scan   *scan;

	if (SRF_IS_FIRSTCALL())
	{
		scan = begin_scan(fcinfo);
		scan->tower = choose(scan->model);
	}
	call = SRF_PERCALL_SETUP();
	scan = call->user_fctx;
	if (call->call_cntr < scan->tower.ids->count)
	{
		uint32_t	row = (uint32_t) call->call_cntr;
		Datum		values[2] = {value_of_row(scan, row), embedding_of_row(scan, row)};

		SRF_RETURN_NEXT(call, make_row(call, values));
	}
	SRF_RETURN_DONE(call);
}

/* The tower that the arguments name; ERROR where they name none. */
static tower
named_tower(const tfrs_model *model, const char *name, const char *feature)
{
	bool		is_query = strcmp(name, "query") == 0;

	if (!is_query && strcmp(name, "candidate") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized tower \"%s\"", name),
				 errhint("A model has the towers \"query\" and \"candidate\".")));
	if (strcmp(feature, "id") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s tower has no feature \"%s\"", name, feature),
				 errhint("Its feature is \"id\".")));
	return is_query ? query_tower(model) : candidate_tower(model);
}

PG_FUNCTION_INFO_V1(tfrs_query_embeddings);
PG_FUNCTION_INFO_V1(tfrs_candidate_embeddings);
PG_FUNCTION_INFO_V1(tfrs_vocabulary);
PG_FUNCTION_INFO_V1(tfrs_training_history);
PG_FUNCTION_INFO_V1(tfrs_model_info);

Datum
tfrs_query_embeddings(PG_FUNCTION_ARGS)
{
	return embeddings(fcinfo, query_tower);
}

Datum
tfrs_candidate_embeddings(PG_FUNCTION_ARGS)
{
	return embeddings(fcinfo, candidate_tower);
}

Datum
tfrs_vocabulary(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	row_scan   *scan;

	if (SRF_IS_FIRSTCALL())
	{
		scan = begin_scan(fcinfo);
		scan->tower = named_tower(scan->model, text_to_cstring(PG_GETARG_TEXT_PP(1)),
								  text_to_cstring(PG_GETARG_TEXT_PP(2)));
	}
	call = SRF_PERCALL_SETUP();
	scan = call->user_fctx;
	if (call->call_cntr < scan->tower.ids->count)
	{
		uint32_t	row = (uint32_t) call->call_cntr;
		Datum		values[3] = {
			value_of_row(scan, row),
			Int64GetDatum(scan->tower.counts[row]),
			embedding_of_row(scan, row)
		};

		SRF_RETURN_NEXT(call, make_row(call, values));
	}
	SRF_RETURN_DONE(call);
}

/* {"1": 0.25, "10": 0.5}, or {} where it was not measured. */
static Datum
accuracy_as_jsonb(const tfrs_model *model, size_t epoch)
{
	const float *accuracy = model->accuracy + epoch * model->cutoff_count;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (size_t k = 0; k < model->cutoff_count; k++)
	{
		appendStringInfo(&json, "%s\"%u\": ", k == 0 ? "" : ", ", model->cutoffs[k]);
		tfrs_options_write_float(&json, accuracy[k]);
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

Datum
tfrs_training_history(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	row_scan   *scan;

	if (SRF_IS_FIRSTCALL())
		begin_scan(fcinfo);
	call = SRF_PERCALL_SETUP();
	scan = call->user_fctx;
	if (call->call_cntr < scan->model->epoch_count)
	{
		const tfrs_model_epoch *epoch = &scan->model->epochs[call->call_cntr];
		Datum		values[5] = {
			Int32GetDatum((int32) call->call_cntr + 1),
			Float8GetDatum(epoch->loss),
			Float8GetDatum(epoch->loss_per_row),
			accuracy_as_jsonb(scan->model, call->call_cntr),
			Float8GetDatum(0)
		};
		bool		nulls[5] = {false};
		const double *validation = scan->model->validation;

		nulls[4] = validation == NULL || validation[call->call_cntr] < 0;
		if (!nulls[4])
			values[4] = Float8GetDatum(validation[call->call_cntr]);
		SRF_RETURN_NEXT(call,
						HeapTupleGetDatum(heap_form_tuple(call->tuple_desc, values, nulls)));
	}
	SRF_RETURN_DONE(call);
}

/* The bags that a query vector is made of: of each its decay, 0 for that of all events. */
static void
append_history(StringInfo json, const tfrs_tower_shape *shape)
{
	if (shape == NULL)
	{
		appendStringInfoString(json, ", \"history\": false");
		return;
	}
	appendStringInfoString(json, ", \"history\": {\"bags\": [");
	for (uint32_t b = 0; b < shape->bags; b++)
	{
		if (b > 0)
			appendStringInfoString(json, ", ");
		tfrs_options_write_float(json, shape->decay[b]);
	}
	appendStringInfo(json, "], \"length\": %u, \"repeats\": %s}", shape->length,
					 shape->repeats ? "true" : "false");
}

static void
append_events(StringInfo json, const tfrs_model *model)
{
	appendStringInfo(json, ", \"events\": {\"stored\": %zu, \"times\": %s}", model->events.count,
					 model->events.at != NULL ? "true" : "false");
}

/* A sparse part; only one that is there. */
static void
append_part(StringInfo json, const char *name, const tfrs_score_parts *parts, int part)
{
	if (parts->candidates == 0 || parts->shape[part].weight == 0)
		return;
	appendStringInfo(json, "\"%s\": {\"weight\": ", name);
	tfrs_options_write_float(json, parts->shape[part].weight);
	appendStringInfo(json, ", \"values\": %zu}, ", parts->neighbours[part].count);
}

/* What the score is made of. */
static void
append_score(StringInfo json, const tfrs_model *model)
{
	const tfrs_model_score *score = model->score;

	if (score == NULL)
		return;
	appendStringInfoString(json, ", \"score\": {");
	append_part(json, "together", &model->scores, TFRS_TOGETHER);
	append_part(json, "next", &model->scores, TFRS_NEXT);
	append_part(json, "content", &model->scores, TFRS_LIKE_CONTENT);
	appendStringInfoString(json, "\"towers\": ");
	tfrs_options_write_float(json, score->towers);
	appendStringInfoString(json, ", \"recent\": ");
	tfrs_options_write_float(json, score->recent);
	appendStringInfo(json, ", \"unknown\": \"%s\"}",
					 score->trending ? "trending" : "popular");
}

static Datum
counts_as_jsonb(const tfrs_model *model)
{
	const tfrs_model_shape *shape = model->shape;
	const tfrs_block_header *header = model->block.header;
	size_t		rows = model->candidate_ids.count + 1 + (model->history == NULL
		? model->query_ids.count + 1 : model->history->bags * model->candidate_ids.count + 1);
	size_t		vectors = sizeof(float) * shape->dim * rows;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json,
					 "{\"format\": %u, \"dim\": %u, \"rows\": " UINT64_FORMAT
					 ", \"queries\": %zu, \"candidates\": %zu, \"epochs\": %zu"
					 ", \"skipped_rows\": {\"query_is_null\": " UINT64_FORMAT
					 ", \"candidate_is_null\": " UINT64_FORMAT "}"
					 ", \"bytes\": {\"total\": " UINT64_FORMAT ", \"vectors\": %zu}"
					 ", \"digest\": \"%s\"",
					 header->format, shape->dim, shape->rows, model->query_ids.count,
					 model->candidate_ids.count, model->epoch_count, shape->skipped_query,
					 shape->skipped_candidate, header->total_bytes, vectors,
					 tfrs_block_digest_text(header->digest));
	append_history(&json, model->history);
	append_events(&json, model);
	append_score(&json, model);
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

Datum
tfrs_model_info(PG_FUNCTION_ARGS)
{
	const tfrs_model *model = &tfrs_block_cache_argument(fcinfo, 0, TFRS_BLOCK_MODEL)->model;

	return DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(tfrs_model_about(model)),
							   counts_as_jsonb(model));
}
