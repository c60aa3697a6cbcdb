/*
 * top_k.c: the best k candidates for a query, and those most like a candidate, as set-returning
 * functions.
 *
 * The first call of a set searches and keeps the hits; every call returns one of them as a row.
 * All forms (over an index or a model, the candidate as text or in its own type) are one function
 * whose arguments start at another place.
 *
 * What a call needs lies in fn_extra and so outlives the set: in a join over many queries the block
 * is found without a look-up, and nothing is allocated but rows.  The server's SRF macros keep
 * their state there and forget it after every set, which is why they are not used.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/limits.h"
#include "server/values/block_cache.h"
#include "server/host/bridge.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/search/model_query.h"
#include "server/values/row_reader.h"
#include "server/search/score_adjustment.h"
#include "server/search/search_arguments.h"
#include "server/host/settings.h"
#include "server/search/similar.h"

/* Arguments after the one that says in which type candidates are wanted, if there is one. */
enum
{
	SOURCE,						/* a model or an index */
	QUERY,
	K,							/* and those that every search has */
	INDEX = K + 5				/* of a model */
};

/* What the query argument is, beside a vector. */
typedef enum query_kind
{
	QUERY_IS_VECTOR,
	QUERY_IS_ID,				/* of one of the model's queries; may be a vector all the same */
	QUERY_IS_CANDIDATE			/* similar */
} query_kind;

typedef struct top_k_form
{
	tfrs_block_kind source;
	query_kind	query;
	int			first;			/* place of SOURCE: 1 after the argument of the wanted type */
} top_k_form;

typedef struct top_k_call
{
	MemoryContext context;		/* where this lies: the query's */
	tfrs_block_site source;
	tfrs_block_site index;
	Oid			query_type;
	bool		query_is_embedding;
	tfrs_id_reader reader;		/* of the query, where it is an id */
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
	const tfrs_model *model;	/* NULL: the source is an index */
	const tfrs_id_view *candidates;
	const tfrs_index *index;	/* over them */
	tfrs_search search;
	tfrs_search_options options;
	uint32_t	like;			/* row of the candidate that others are compared with, or none */
	const float *query;			/* (D); NULL: candidates by how often they were chosen */
} top_k_request;

PG_FUNCTION_INFO_V1(tfrs_top_k_index);
PG_FUNCTION_INFO_V1(tfrs_top_k_model);
PG_FUNCTION_INFO_V1(tfrs_top_k_as_index);
PG_FUNCTION_INFO_V1(tfrs_top_k_as_model);
PG_FUNCTION_INFO_V1(tfrs_similar_index);
PG_FUNCTION_INFO_V1(tfrs_similar_model);

static const top_k_form index_form = {TFRS_BLOCK_INDEX, QUERY_IS_VECTOR, 0};
static const top_k_form model_form = {TFRS_BLOCK_MODEL, QUERY_IS_ID, 0};
static const top_k_form as_index_form = {TFRS_BLOCK_INDEX, QUERY_IS_VECTOR, 1};
static const top_k_form as_model_form = {TFRS_BLOCK_MODEL, QUERY_IS_ID, 1};
static const top_k_form similar_index_form = {TFRS_BLOCK_INDEX, QUERY_IS_CANDIDATE, 0};
static const top_k_form similar_model_form = {TFRS_BLOCK_MODEL, QUERY_IS_CANDIDATE, 0};

/* Whether the type is tfrs.embedding: the one of that name beside the type of the source. */
static bool
is_embedding(Oid type, Oid source_type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(source_type));
	Oid			schema;
	Oid			embedding;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", source_type);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	embedding = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("embedding"),
								ObjectIdGetDatum(schema));
	return getBaseType(type) == embedding;
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
	top_k_call *call = MemoryContextAllocZero(function->fn_mcxt, sizeof(top_k_call));
	Oid			source_type = get_fn_expr_argtype(function, form->first + SOURCE);

	call->context = function->fn_mcxt;
	call->query_type = get_fn_expr_argtype(function, form->first + QUERY);
	call->writer.type = form->first == 0 ? TEXTOID : get_fn_expr_argtype(function, 0);
	if (!OidIsValid(source_type) || !OidIsValid(call->writer.type))
		elog(ERROR, "could not determine the types of the arguments");
	call->query_is_embedding = form->query != QUERY_IS_CANDIDATE &&
		is_embedding(call->query_type, source_type);
	if (!call->query_is_embedding && call->query_type != JSONBOID)
		tfrs_id_reader_init(&call->reader, call->query_type,
							form->query == QUERY_IS_CANDIDATE ? "candidate" : "query");
	call->row = row_type(call->writer.type, call->context);
	function->fn_extra = call;
	return call;
}

/* false: it is a JSON null. */
static bool
read_id(const top_k_call *call, const tfrs_id_view *ids, Datum value, const char *role, tfrs_id *id)
{
	if (call->query_type == JSONBOID)
		return tfrs_id_from_json(ids->tag, DatumGetJsonbP(value), role, id);
	*id = tfrs_id_read_as(&call->reader, ids->tag, value, role);
	return true;
}

/* The vector of one of the model's queries.  false: there are no rows. */
static bool
find_query(const top_k_call *call, Datum query, top_k_request *request)
{
	const tfrs_model *model = request->model;
	const tfrs_id_view *ids = &model->query_ids;
	tfrs_event_list events;
	float	   *vector;
	tfrs_query_kind kind;
	tfrs_id		id;

	if (!read_id(call, ids, query, "query", &id))
		return false;
	tfrs_embedding_check_same_dim(model->shape->dim, request->index->dim);
	vector = palloc(model->shape->dim * sizeof(float));
	kind = tfrs_model_query_open(model, id, &request->options, vector, &events);
	if (!request->options.seen && events.count > 0)
		tfrs_model_exclude(model, request->candidates, &events, &request->search);
	tfrs_search_adjust(model, request->candidates, &events, &request->search);
	if (kind == TFRS_QUERY_VECTOR)
		request->query = vector;
	return kind != TFRS_QUERY_NOTHING;
}

/* The row of a candidate that others are compared with.  false: there are no rows. */
static bool
find_candidate(const top_k_call *call, Datum candidate, top_k_request *request)
{
	const tfrs_id_view *ids = request->candidates;
	tfrs_id		id;

	if (!read_id(call, ids, candidate, "candidate", &id))
		return false;
	request->like = tfrs_id_view_find(ids, id);
	if (request->like == TFRS_NO_ROW && request->options.unknown == TFRS_UNKNOWN_ERROR)
		tfrs_report_unknown(ids, id, "candidate");
	return request->like != TFRS_NO_ROW;
}

static bool
find_vector(const top_k_call *call, Datum query, top_k_request *request)
{
	const tfrs_embedding *embedding = tfrs_embedding_of_datum(query);

	tfrs_embedding_check_same_dim(embedding->dim, request->index->dim);
	request->query = embedding->values;
	return true;
}

/* The blocks of the call: what is asked, and what is searched. */
static void
open_blocks(FunctionCallInfo fcinfo, const top_k_form *form, top_k_call *call,
			top_k_request *request)
{
	int			index = form->first + INDEX;
	const tfrs_cached_block *block;

	block = tfrs_block_cache_get(&call->source, call->context,
								 PG_GETARG_DATUM(form->first + SOURCE), form->source);
	if (form->source == TFRS_BLOCK_MODEL)
		request->model = &block->model;
	if (form->query == QUERY_IS_ID && !PG_ARGISNULL(index))
		block = tfrs_block_cache_get(&call->index, call->context, PG_GETARG_DATUM(index),
									 TFRS_BLOCK_INDEX);
	request->candidates = &block->candidates;
	request->index = &block->index;
}

/* Reads the arguments; false where there can be no rows. */
static bool
read_request(FunctionCallInfo fcinfo, const top_k_form *form, top_k_call *call,
			 top_k_request *request)
{
	Datum		query = PG_GETARG_DATUM(form->first + QUERY);

	if (PG_ARGISNULL(form->first + SOURCE) || PG_ARGISNULL(form->first + QUERY))
	{
		tfrs_search_k(fcinfo, form->first + K);
		return false;
	}
	open_blocks(fcinfo, form, call, request);
	request->options.by_id = !call->query_is_embedding;
	request->options.by_query = request->options.by_id && form->query == QUERY_IS_ID;
	if (form->query == QUERY_IS_CANDIDATE)
		request->options.unknown = TFRS_UNKNOWN_NONE;
	tfrs_search_arguments(fcinfo, form->first + K, request->candidates, &request->search,
						  &request->options);
	if (call->query_is_embedding)
		return find_vector(call, query, request);
	if (form->query == QUERY_IS_CANDIDATE)
		return find_candidate(call, query, request);
	return find_query(call, query, request);
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
	top_k_request request = {.like = TFRS_NO_ROW};
	tfrs_arena	arena;
	tfrs_error	error;

	call->count = call->next = 0;
	if (!read_request(fcinfo, form, call, &request))
		return;
	call->candidates = request.candidates;
	if (!call->writer.ready || call->writer.tag != call->candidates->tag)
		tfrs_id_writer_init(&call->writer, call->candidates, call->writer.type, call->context);
	make_room(call, Min(request.search.k, request.index->count));
	if (request.like != TFRS_NO_ROW)
		call->count = tfrs_similar_candidates(request.model, request.index, request.like,
											  &request.search, call->hits);
	else if (request.query == NULL)
		call->count = tfrs_popular_candidates(request.model, request.candidates, &request.search,
											  call->hits);
	else
	{
		tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
		tfrs_check(tfrs_index_search(request.index, request.query, &request.search, &arena,
									 call->hits, &call->count, &error), &error);
	}
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

Datum
tfrs_similar_index(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, &similar_index_form);
}

Datum
tfrs_similar_model(PG_FUNCTION_ARGS)
{
	return next_row(fcinfo, &similar_model_form);
}
