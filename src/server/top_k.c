/*
 * top_k.c: the best k candidates for a query, as a set-returning function.
 *
 * The first call of a set searches and keeps the hits; every call returns one of them as a row.  All
 * forms (over an index or a model, with the candidate as text or in its own type) are one function
 * whose arguments start at another place.
 *
 * What a call needs lies in fn_extra and so outlives the set: in a join over many queries the block
 * is found without a look-up, and nothing is allocated but rows.  The server's SRF macros keep their
 * state there and forget it after every set, which is why they are not used.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/limits.h"
#include "server/block_cache.h"
#include "server/bridge.h"
#include "server/candidate_ids.h"
#include "server/compat.h"
#include "server/embedding_type.h"
#include "server/row_reader.h"

/* Arguments after the one that says in which type candidates are wanted, if there is one. */
enum
{
	ARG_SOURCE,					/* a model or an index */
	ARG_QUERY,
	ARG_K,
	ARG_EXCLUDE,
	ARG_AMONG,
	ARG_MIN_SCORE,
	ARG_SEARCH,
	ARG_INDEX					/* of a model only */
};

typedef struct top_k_form
{
	tfrs_block_kind source;
	int			first;			/* place of ARG_SOURCE: 1 after the argument of the wanted type */
} top_k_form;

typedef struct top_k_call
{
	MemoryContext context;		/* where this lies: the query's */
	tfrs_block_site source;
	tfrs_block_site index;
	Oid			query_type;
	bool		query_is_embedding;
	tfrs_id_reader query_reader;
	tfrs_id_writer writer;
	TupleDesc	row;
	/* the set being returned */
	ExprContext *running;		/* NULL: none */
	const tfrs_id_view *candidates;
	tfrs_hit   *hits;			/* (room) */
	size_t		room;
	size_t		count;
	size_t		next;
} top_k_call;

/* The arguments of one set, checked. */
typedef struct top_k_request
{
	const tfrs_cached_block *source;
	const tfrs_cached_block *candidates;	/* the same, or that of index => */
	const float *query;			/* (D) */
	tfrs_search search;
} top_k_request;

PG_FUNCTION_INFO_V1(tfrs_top_k_index);
PG_FUNCTION_INFO_V1(tfrs_top_k_model);
PG_FUNCTION_INFO_V1(tfrs_top_k_as_index);
PG_FUNCTION_INFO_V1(tfrs_top_k_as_model);

static const top_k_form index_form = {TFRS_BLOCK_INDEX, 0};
static const top_k_form model_form = {TFRS_BLOCK_MODEL, 0};
static const top_k_form as_index_form = {TFRS_BLOCK_INDEX, 1};
static const top_k_form as_model_form = {TFRS_BLOCK_MODEL, 1};

/* Whether the type is tfrs.embedding: the one of that name beside the type of the source. */
static bool
is_embedding(Oid type, Oid source_type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(source_type));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", source_type);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return type == GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("embedding"),
								   ObjectIdGetDatum(schema));
}

/* The type of the rows.  That with text is kept for the session. */
static TupleDesc
row_type(Oid candidate_type, MemoryContext context)
{
	static TupleDesc with_text = NULL;
	MemoryContext caller;
	TupleDesc	row;

	if (candidate_type == TEXTOID && with_text != NULL)
		return with_text;
	caller = MemoryContextSwitchTo(candidate_type == TEXTOID ? TopMemoryContext : context);
	row = CreateTemplateTupleDesc(3);
	TupleDescInitEntry(row, 1, "rank", INT4OID, -1, 0);
	TupleDescInitEntry(row, 2, "candidate", candidate_type, -1, 0);
	TupleDescInitEntry(row, 3, "score", FLOAT4OID, -1, 0);
	BlessTupleDesc(row);
	MemoryContextSwitchTo(caller);
	if (candidate_type == TEXTOID)
		with_text = row;
	return row;
}

static top_k_call *
begin_calls(FunctionCallInfo fcinfo, const top_k_form *form)
{
	FmgrInfo   *function = fcinfo->flinfo;
	MemoryContext context = function->fn_mcxt;
	top_k_call *call = MemoryContextAllocZero(context, sizeof(top_k_call));
	Oid			source_type = get_fn_expr_argtype(function, form->first + ARG_SOURCE);
	Oid			wanted = form->first == 0 ? TEXTOID : get_fn_expr_argtype(function, 0);

	if (!OidIsValid(source_type) || !OidIsValid(wanted))
		elog(ERROR, "could not determine the types of the arguments");
	call->context = context;
	call->query_type = get_fn_expr_argtype(function, form->first + ARG_QUERY);
	call->query_is_embedding = is_embedding(call->query_type, source_type);
	if (!call->query_is_embedding && call->query_type != JSONBOID)
		tfrs_id_reader_init(&call->query_reader, call->query_type, "query");
	call->writer.type = wanted;
	call->row = row_type(wanted, context);
	function->fn_extra = call;
	return call;
}

/* k as a number of rows, or -1 where there can't be any. */
static int64
requested_k(FunctionCallInfo fcinfo, int argument)
{
	int32		k;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("k must not be null")));
	k = PG_GETARG_INT32(argument);
	if (k < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must not be negative, but is %d", k)));
	return k;
}

static float
requested_min_score(FunctionCallInfo fcinfo, int argument)
{
	float		score;

	if (PG_ARGISNULL(argument))
		return -INFINITY;
	score = PG_GETARG_FLOAT4(argument);
	if (isnan(score))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_score must not be NaN")));
	return score;
}

/* The predicates of the call. */
static void
read_predicates(FunctionCallInfo fcinfo, int first, top_k_request *request)
{
	const tfrs_id_view *ids = &request->candidates->candidates;
	tfrs_search *search = &request->search;
	tfrs_row_list list;

	if (!PG_ARGISNULL(first + ARG_EXCLUDE))
	{
		list = tfrs_candidate_rows(ids, get_fn_expr_argtype(fcinfo->flinfo, first + ARG_EXCLUDE),
								   PG_GETARG_DATUM(first + ARG_EXCLUDE), "exclude");
		search->excluded = list.rows;
		search->excluded_count = list.count;
	}
	if (!PG_ARGISNULL(first + ARG_AMONG))
	{
		list = tfrs_candidate_rows(ids, get_fn_expr_argtype(fcinfo->flinfo, first + ARG_AMONG),
								   PG_GETARG_DATUM(first + ARG_AMONG), "among");
		search->has_among = true;
		search->among = list.rows;
		search->among_count = list.count;
	}
	search->min_score = requested_min_score(fcinfo, first + ARG_MIN_SCORE);
	if (!PG_ARGISNULL(first + ARG_SEARCH))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("search options are not supported yet")));
}

/* The id that a query given as jsonb stands for; false for a JSON null. */
static bool
id_of_json(const Jsonb *json, uint32 tag, tfrs_id *id)
{
	JsonbValue	value;
	char	   *number;

	if (!JsonbExtractScalar((JsonbContainer *) &json->root, &value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query of this model is a single value"),
				 errhint("Pass the value itself, not a JSON object or array.")));
	switch (value.type)
	{
		case jbvNull:
			return false;
		case jbvString:
			*id = tfrs_id_from_text(tag, value.val.string.val, value.val.string.len);
			return true;
		case jbvBool:
			*id = tfrs_id_from_text(tag, value.val.boolean ? "true" : "false",
									value.val.boolean ? 4 : 5);
			return true;
		default:
			number = DatumGetCString(DirectFunctionCall1(numeric_out,
														 NumericGetDatum(value.val.numeric)));
			*id = tfrs_id_from_text(tag, number, strlen(number));
			return true;
	}
}

/* The vector of a model's query; NULL where there is no query. */
static const float *
vector_of_query(const top_k_call *call, const tfrs_model *model, Datum query)
{
	uint32		tag = model->query_ids.tag;
	float	   *vector;
	tfrs_id		id;

	if (call->query_type != JSONBOID)
		id = tfrs_id_read_as(&call->query_reader, tag, query, "query");
	else if (!id_of_json(DatumGetJsonbP(query), tag, &id))
		return NULL;
	vector = palloc(model->shape->dim * sizeof(float));
	tfrs_model_query(model, tfrs_id_view_find(&model->query_ids, id), vector);
	return vector;
}

/* Reads the arguments; false where a NULL among them means that there are no rows. */
static bool
read_request(FunctionCallInfo fcinfo, const top_k_form *form, top_k_call *call,
			 top_k_request *request)
{
	int			first = form->first;
	Datum		query = PG_GETARG_DATUM(first + ARG_QUERY);

	tfrs_search_default(&request->search);
	request->search.k = requested_k(fcinfo, first + ARG_K);
	if (PG_ARGISNULL(first + ARG_SOURCE) || PG_ARGISNULL(first + ARG_QUERY))
		return false;
	request->source = tfrs_block_cache_get(&call->source, call->context,
										   PG_GETARG_DATUM(first + ARG_SOURCE), form->source);
	request->candidates = request->source;
	if (form->source == TFRS_BLOCK_MODEL && !PG_ARGISNULL(first + ARG_INDEX))
		request->candidates = tfrs_block_cache_get(&call->index, call->context,
												   PG_GETARG_DATUM(first + ARG_INDEX),
												   TFRS_BLOCK_INDEX);
	if (call->query_is_embedding)
	{
		const tfrs_embedding *embedding = tfrs_embedding_of_datum(query);

		tfrs_embedding_check_same_dim(embedding->dim, request->candidates->index.dim);
		request->query = embedding->values;
	}
	else
	{
		request->query = vector_of_query(call, &request->source->model, query);
		tfrs_embedding_check_same_dim(request->source->model.shape->dim,
									  request->candidates->index.dim);
	}
	if (request->query == NULL)
		return false;
	read_predicates(fcinfo, first, request);
	return true;
}

/* Room for that many hits, kept from one set to the next. */
static void
make_room(top_k_call *call, size_t count)
{
	if (count <= call->room)
		return;
	if (call->hits != NULL)
		pfree(call->hits);
	call->hits = NULL;
	call->room = 0;
	call->hits = MemoryContextAllocHuge(call->context, count * sizeof(tfrs_hit));
	call->room = count;
}

/* Finds the hits of a new set. */
static void
search(FunctionCallInfo fcinfo, const top_k_form *form, top_k_call *call)
{
	top_k_request request;
	const tfrs_index *index;
	tfrs_arena	arena;
	tfrs_error	error;

	call->count = call->next = 0;
	if (!read_request(fcinfo, form, call, &request))
		return;
	index = &request.candidates->index;
	call->candidates = &request.candidates->candidates;
	if (call->writer.tag != call->candidates->tag)
		tfrs_id_writer_init(&call->writer, call->candidates, call->writer.type, call->context);
	make_room(call, Min(request.search.k, index->count));
	tfrs_bridge_arena(&arena, CurrentMemoryContext, SIZE_MAX);
	tfrs_check(tfrs_index_search(index, request.query, &request.search, &arena, call->hits,
								 &call->count, &error), &error);
}

/* A set that is given up (LIMIT, a new scan) ends without a last call. */
static void
end_set(Datum argument)
{
	((top_k_call *) DatumGetPointer(argument))->running = NULL;
}

static Datum
make_row(top_k_call *call)
{
	const tfrs_hit *hit = &call->hits[call->next++];
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = Int32GetDatum((int32) call->next);
	values[1] = tfrs_id_write(&call->writer, tfrs_id_view_get(call->candidates, hit->row));
	values[2] = Float4GetDatum(hit->score);
	return HeapTupleGetDatum(heap_form_tuple(call->row, values, nulls));
}

static Datum
next_row(FunctionCallInfo fcinfo, const top_k_form *form)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	top_k_call *call = fcinfo->flinfo->fn_extra;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		(result->allowedModes & SFRM_ValuePerCall) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	if (call == NULL)
		call = begin_calls(fcinfo, form);
	if (call->running == NULL)
	{
		search(fcinfo, form, call);
		RegisterExprContextCallback(result->econtext, end_set, PointerGetDatum(call));
		call->running = result->econtext;
	}
	if (call->next < call->count)
	{
		result->isDone = ExprMultipleResult;
		return make_row(call);
	}
	UnregisterExprContextCallback(call->running, end_set, PointerGetDatum(call));
	call->running = NULL;
	result->isDone = ExprEndResult;
	PG_RETURN_NULL();
}

Datum
tfrs_top_k_index(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, &index_form);
}

Datum
tfrs_top_k_model(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, &model_form);
}

Datum
tfrs_top_k_as_index(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, &as_index_form);
}

Datum
tfrs_top_k_as_model(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, &as_model_form);
}
