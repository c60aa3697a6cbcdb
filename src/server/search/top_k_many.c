/*
 * top_k_many.c: the best k candidates for each of many queries.
 *
 * Queries are answered slice by slice, as many at once as work_mem holds with their hits, on all
 * threads.  The rows are given as a whole: whoever asks this way wants all of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/limits.h"
#include "retrieval/index.h"
#include "server/values/block_cache.h"
#include "server/host/bridge.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/search/model_query.h"
#include "server/search/query_slice.h"
#include "server/values/row_reader.h"
#include "server/search/search_arguments.h"
#include "server/host/settings.h"

/* Queries of a slice at most: more gain nothing. */
#define MOST_QUERIES 8192

/* Lies in the memory context of the call, whose end unpins the blocks. */
typedef struct many_call
{
	tfrs_block_site source_site;
	tfrs_block_site index_site;
	const tfrs_cached_block *candidates;
	tfrs_query_slice slice;
	Datum	   *labels;			/* (room) ids as text, in the slice's memory */
	tfrs_search_options options;
	tfrs_id_reader reader;		/* of the queries' ids */
	tfrs_id_writer writer;
	ReturnSetInfo *result;
	MemoryContext context;		/* of the call */
} many_call;

PG_FUNCTION_INFO_V1(tfrs_top_k_many_index);
PG_FUNCTION_INFO_V1(tfrs_top_k_many_model);

/* Memory for slices of as many queries as work_mem holds, or of queries if they are fewer. */
static void
prepare_slices(many_call *call, size_t queries)
{
	size_t		bytes = tfrs_query_slice_bytes(&call->slice) + sizeof(Datum);
	size_t		room = tfrs_bridge_work_memory() / bytes;

	room = Max(Min(Min(room, MOST_QUERIES), queries), 1);
	tfrs_query_slice_begin(&call->slice, room);
	call->labels = palloc(room * sizeof(Datum));
}

/* Reads what both forms have; k is argument number first. */
static void
begin_call(FunctionCallInfo fcinfo, many_call *call, int first)
{
	InitMaterializedSRF(fcinfo, 0);
	call->result = (ReturnSetInfo *) fcinfo->resultinfo;
	call->slice.candidates = &call->candidates->candidates;
	call->slice.index = &call->candidates->index;
	call->options.by_id = call->options.by_query = call->slice.model != NULL;
	tfrs_search_arguments(fcinfo, first, call->slice.candidates, &call->slice.search,
						  &call->options);
	tfrs_id_writer_init(&call->writer, &call->candidates->candidates, TEXTOID,
						CurrentMemoryContext);
}

/* The rows of query number i of the slice. */
static void
put_rows(many_call *call, size_t i)
{
	const tfrs_id_view *ids = call->slice.candidates;
	bool		nulls[4] = {false};
	size_t		count;
	const tfrs_hit *hits = tfrs_query_slice_hits(&call->slice, i, &count);

	for (size_t h = 0; h < count; h++)
	{
		Datum		values[4];

		values[0] = call->labels[i];
		values[1] = Int32GetDatum((int32) h + 1);
		values[2] = tfrs_id_write(&call->writer, tfrs_id_view_get(ids, hits[h].row));
		values[3] = Float4GetDatum(hits[h].score);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[2]));
	}
}

/* Answers the queries that wait.  What was allocated for them is gone afterwards. */
static void
answer_slice(many_call *call)
{
	tfrs_query_slice_answer(&call->slice);
	for (size_t i = 0; i < call->slice.waiting; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_rows(call, i);
	}
	tfrs_query_slice_clear(&call->slice);
}

/* The query that was added last has this id. */
static void
finish_query(many_call *call, tfrs_id id, uint32 tag)
{
	call->labels[call->slice.waiting - 1] = CStringGetTextDatum(tfrs_id_to_cstring(tag, id));
	if (tfrs_query_slice_is_full(&call->slice))
		answer_slice(call);
}

/* Adds one of the model's queries, unless it is unknown and such get nothing. */
static void
add_model_query(many_call *call, tfrs_id id)
{
	tfrs_query_slice *slice = &call->slice;
	tfrs_event_list events;
	float	   *vector;
	tfrs_search *search = tfrs_query_slice_next(slice, &vector);
	tfrs_query_kind kind = tfrs_model_query_open(slice->model, id, &call->options, vector,
												 &events);

	if (kind == TFRS_QUERY_NOTHING)
		return;
	if (kind == TFRS_QUERY_POPULAR)
		tfrs_query_slice_add_popular(slice);
	else
	{
		if (!call->options.seen && events.count > 0)
			tfrs_model_exclude(slice->model, slice->candidates, &events, search);
		tfrs_query_slice_add(slice, &events);
	}
	finish_query(call, id, slice->model->query_ids.tag);
}

static void
add_vector(many_call *call, tfrs_id id, const tfrs_embedding *query)
{
	float	   *vector;

	tfrs_embedding_check_same_dim(query->dim, (int) call->slice.index->dim);
	tfrs_query_slice_next(&call->slice, &vector);
	memcpy(vector, query->values, call->slice.index->dim * sizeof(float));
	tfrs_query_slice_add(&call->slice, NULL);
	finish_query(call, id, call->reader.tag);
}

static size_t
element_count(const ArrayType *array)
{
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

/* (model, ids, k, exclude, among, min_score, search, index) */
Datum
tfrs_top_k_many_model(PG_FUNCTION_ARGS)
{
	many_call  *call;
	ArrayType  *ids;
	ArrayIterator iterator;
	Datum		value;
	bool		null;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		InitMaterializedSRF(fcinfo, 0);
		PG_RETURN_VOID();
	}
	call = palloc0(sizeof(many_call));
	call->context = CurrentMemoryContext;
	ids = PG_GETARG_ARRAYTYPE_P(1);
	call->candidates = tfrs_block_cache_get(&call->source_site, CurrentMemoryContext,
										   PG_GETARG_DATUM(0), TFRS_BLOCK_MODEL);
	call->slice.model = &call->candidates->model;
	if (!PG_ARGISNULL(7))
		call->candidates = tfrs_block_cache_get(&call->index_site, CurrentMemoryContext,
											   PG_GETARG_DATUM(7), TFRS_BLOCK_INDEX);
	begin_call(fcinfo, call, 2);
	tfrs_embedding_check_same_dim((int) call->slice.model->shape->dim, (int) call->slice.index->dim);
	tfrs_id_reader_init(&call->reader, ARR_ELEMTYPE(ids), "query");
	prepare_slices(call, element_count(ids));
	iterator = array_create_iterator(ids, 0, NULL);
	while (array_iterate(iterator, &value, &null))
	{
		if (null)
			continue;
		MemoryContextSwitchTo(call->slice.memory);
		add_model_query(call, tfrs_id_read_as(&call->reader, call->slice.model->query_ids.tag,
											  value, "query"));
		MemoryContextSwitchTo(call->context);
	}
	answer_slice(call);
	PG_RETURN_VOID();
}

/* (index, ids, queries, k, exclude, among, min_score, search) */
Datum
tfrs_top_k_many_index(PG_FUNCTION_ARGS)
{
	many_call  *call;
	ArrayIterator id_iterator;
	ArrayIterator iterator;
	ArrayType  *ids;
	ArrayType  *queries;
	Datum		id;
	Datum		value;
	bool		null_id;
	bool		null;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		InitMaterializedSRF(fcinfo, 0);
		PG_RETURN_VOID();
	}
	call = palloc0(sizeof(many_call));
	call->context = CurrentMemoryContext;
	ids = PG_GETARG_ARRAYTYPE_P(1);
	queries = PG_GETARG_ARRAYTYPE_P(2);
	if (element_count(ids) != element_count(queries))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("there are %zu ids for %zu queries", element_count(ids),
						element_count(queries))));
	call->candidates = tfrs_block_cache_get(&call->source_site, CurrentMemoryContext,
										   PG_GETARG_DATUM(0), TFRS_BLOCK_INDEX);
	begin_call(fcinfo, call, 3);
	tfrs_id_reader_init(&call->reader, ARR_ELEMTYPE(ids), "query");
	prepare_slices(call, element_count(ids));
	id_iterator = array_create_iterator(ids, 0, NULL);
	iterator = array_create_iterator(queries, 0, NULL);
	while (array_iterate(id_iterator, &id, &null_id) && array_iterate(iterator, &value, &null))
	{
		if (null_id || null)
			continue;
		MemoryContextSwitchTo(call->slice.memory);
		add_vector(call, tfrs_id_read(&call->reader, id), tfrs_embedding_of_datum(value));
		MemoryContextSwitchTo(call->context);
	}
	answer_slice(call);
	PG_RETURN_VOID();
}
