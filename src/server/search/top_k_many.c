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
#include "server/values/row_reader.h"
#include "server/search/score_adjustment.h"
#include "server/search/search_arguments.h"
#include "server/host/settings.h"

/* Queries of a slice at most: more gain nothing. */
#define MOST_QUERIES 8192

typedef struct many_query
{
	Datum		label;			/* the id as text, in the slice's memory */
	bool		popular;		/* unknown: candidates by how often they were chosen */
} many_query;

/* Lies in the memory context of the call, whose end unpins the blocks. */
typedef struct many_call
{
	tfrs_block_site source_site;
	tfrs_block_site index_site;
	const tfrs_model *model;	/* NULL: the queries come with their vectors */
	const tfrs_cached_block *candidates;
	const tfrs_index *index;	/* of the candidates */
	tfrs_search search;			/* of each query, but for what it has seen */
	tfrs_search_options options;
	tfrs_id_reader reader;		/* of the queries' ids */
	tfrs_id_writer writer;
	ReturnSetInfo *result;
	MemoryContext context;		/* of the call */
	tfrs_arena	arena;
	MemoryContext slice_context;
	size_t		room;			/* queries of a slice */
	size_t		waiting;		/* in the slice now */
	size_t		adjusted;		/* rows that these adjust */
	size_t		k;				/* min(k, N) */
	many_query *queries;		/* (room) */
	tfrs_search *searches;		/* (room) */
	float	   *vectors;		/* (room, D) */
	tfrs_hit   *hits;			/* (room, k) */
	size_t	   *counts;			/* (room) */
	tfrs_hit   *popular;		/* (k); NULL: not needed yet */
	size_t		popular_count;
} many_call;

PG_FUNCTION_INFO_V1(tfrs_top_k_many_index);
PG_FUNCTION_INFO_V1(tfrs_top_k_many_model);

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
}

/* Memory for slices of as many queries as work_mem holds, or of queries if they are fewer. */
static void
prepare_slices(many_call *call, size_t queries)
{
	size_t		dim = call->index->dim;
	size_t		bytes;

	call->k = Min(call->search.k, call->index->count);
	bytes = dim * sizeof(float) + call->k * sizeof(tfrs_hit) + sizeof(many_query) +
		sizeof(tfrs_search);
	call->room = tfrs_bridge_work_memory() / bytes;
	call->room = Max(Min(Min(call->room, MOST_QUERIES), queries), 1);
	call->queries = allocate(call->room, sizeof(many_query));
	call->searches = allocate(call->room, sizeof(tfrs_search));
	call->vectors = allocate(call->room * dim, sizeof(float));
	call->hits = allocate(call->room * call->k, sizeof(tfrs_hit));
	call->counts = allocate(call->room, sizeof(size_t));
	call->slice_context = AllocSetContextCreate(CurrentMemoryContext, "tfrs slice of queries",
												ALLOCSET_DEFAULT_SIZES);
	tfrs_bridge_arena(&call->arena, call->context, tfrs_settings_memory_bytes());
}

/* Reads what both forms have; k is argument number first. */
static void
begin_call(FunctionCallInfo fcinfo, many_call *call, int first)
{
	InitMaterializedSRF(fcinfo, 0);
	call->result = (ReturnSetInfo *) fcinfo->resultinfo;
	call->index = &call->candidates->index;
	call->options.by_id = call->options.by_query = call->model != NULL;
	tfrs_search_arguments(fcinfo, first, &call->candidates->candidates, &call->search,
						  &call->options);
	tfrs_id_writer_init(&call->writer, &call->candidates->candidates, TEXTOID,
						CurrentMemoryContext);
}

/* The rows of one query. */
static void
put_rows(many_call *call, const many_query *query, const tfrs_hit *hits, size_t count)
{
	const tfrs_id_view *ids = &call->candidates->candidates;
	bool		nulls[4] = {false};

	for (size_t i = 0; i < count; i++)
	{
		Datum		values[4];

		values[0] = query->label;
		values[1] = Int32GetDatum((int32) i + 1);
		values[2] = tfrs_id_write(&call->writer, tfrs_id_view_get(ids, hits[i].row));
		values[3] = Float4GetDatum(hits[i].score);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[2]));
	}
}

static void
search_slice(many_call *call)
{
	tfrs_index_queries queries = {
		call->waiting, call->vectors, call->searches, tfrs_settings_threads(), call->k,
		call->hits, call->counts
	};

	tfrs_search_many(call->index, &queries, &call->arena);
}

/* Answers the queries that wait.  What was allocated for them is gone afterwards. */
static void
answer_slice(many_call *call)
{
	if (call->waiting > 0)
		search_slice(call);
	for (size_t b = 0; b < call->waiting; b++)
	{
		const many_query *query = &call->queries[b];

		CHECK_FOR_INTERRUPTS();
		if (query->popular)
			put_rows(call, query, call->popular, call->popular_count);
		else
			put_rows(call, query, call->hits + b * call->k, call->counts[b]);
	}
	call->waiting = 0;
	call->adjusted = 0;
	MemoryContextReset(call->slice_context);
}

/* Adds a query, whose vector and search the caller has put at the end of theirs. */
static void
add_query(many_call *call, tfrs_id id, uint32 tag, bool popular)
{
	many_query *query = &call->queries[call->waiting++];

	query->label = CStringGetTextDatum(tfrs_id_to_cstring(tag, id));
	query->popular = popular;
	call->adjusted += call->searches[call->waiting - 1].adjusted_count;
	if (call->waiting == call->room || call->adjusted > TFRS_MOST_WAITING_ADJUSTED)
		answer_slice(call);
}

static float *
next_vector(const many_call *call)
{
	return call->vectors + call->waiting * call->index->dim;
}

/* Adds one of the model's queries, unless it is unknown and such get nothing. */
static void
add_model_query(many_call *call, tfrs_id id)
{
	const tfrs_model *model = call->model;
	const tfrs_id_view *candidates = &call->candidates->candidates;
	tfrs_search *search = &call->searches[call->waiting];
	tfrs_query_kind kind;

	*search = call->search;
	kind = tfrs_model_query_open(model, candidates, id, &call->options, next_vector(call), search);
	if (kind == TFRS_QUERY_NOTHING)
		return;
	if (kind == TFRS_QUERY_POPULAR)
	{
		/* no vector to search for */
		memset(next_vector(call), 0, call->index->dim * sizeof(float));
		search->has_among = true;
		search->among_count = 0;
	}
	if (kind == TFRS_QUERY_POPULAR && call->popular == NULL)
	{
		call->popular = MemoryContextAllocHuge(call->context, call->k * sizeof(tfrs_hit) + 1);
		call->popular_count = tfrs_popular_candidates(model, candidates, &call->search,
													  call->popular);
	}
	add_query(call, id, model->query_ids.tag, kind == TFRS_QUERY_POPULAR);
}

static void
add_vector(many_call *call, tfrs_id id, const tfrs_embedding *query)
{
	tfrs_embedding_check_same_dim(query->dim, (int) call->index->dim);
	memcpy(next_vector(call), query->values, call->index->dim * sizeof(float));
	call->searches[call->waiting] = call->search;
	add_query(call, id, call->reader.tag, false);
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
	call->model = &call->candidates->model;
	if (!PG_ARGISNULL(7))
		call->candidates = tfrs_block_cache_get(&call->index_site, CurrentMemoryContext,
											   PG_GETARG_DATUM(7), TFRS_BLOCK_INDEX);
	begin_call(fcinfo, call, 2);
	tfrs_embedding_check_same_dim((int) call->model->shape->dim, (int) call->index->dim);
	tfrs_id_reader_init(&call->reader, ARR_ELEMTYPE(ids), "query");
	prepare_slices(call, element_count(ids));
	iterator = array_create_iterator(ids, 0, NULL);
	while (array_iterate(iterator, &value, &null))
	{
		if (null)
			continue;
		MemoryContextSwitchTo(call->slice_context);
		add_model_query(call, tfrs_id_read_as(&call->reader, call->model->query_ids.tag, value,
											  "query"));
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
		MemoryContextSwitchTo(call->slice_context);
		add_vector(call, tfrs_id_read(&call->reader, id), tfrs_embedding_of_datum(value));
		MemoryContextSwitchTo(call->context);
	}
	answer_slice(call);
	PG_RETURN_VOID();
}
