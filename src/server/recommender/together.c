/*
 * together.c: tfrs.together: what is chosen with one or several candidates.
 *
 * Counted are the events that the model has stored, at each call: a pass over them takes a
 * millisecond for a million.  Who may use the recommender sees counts of all queries together; a pair
 * that few have chosen is left out.
 */
#include "postgres.h"

#include <float.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "base/limits.h"
#include "learning/baskets.h"
#include "server/host/bridge.h"
#include "server/host/settings.h"
#include "server/recommender/recommend_call.h"
#include "server/values/candidate_ids.h"

enum
{
	RECOMMENDER,
	CANDIDATES,
	K,
	EXCLUDE,
	AMONG,
	MIN_COUNT,
	BY,
	VERSION
};

/* Queries that are counted between two looks at interrupts. */
#define STEP_QUERIES ((size_t) 8192)

PG_FUNCTION_INFO_V1(tfrs_together);

/* One candidate, or an array; text that begins with a brace is that of an array. */
static tfrs_row_list
candidates_argument(const tfrs_recommend_call *call)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, CANDIDATES);
	Datum		value = PG_GETARG_DATUM(CANDIDATES);
	tfrs_row_list list = {0};
	tfrs_id		id;
	uint32		row;

	if (OidIsValid(get_element_type(getBaseType(type))) ||
		(type == TEXTOID && VARSIZE_ANY_EXHDR(PG_DETOAST_DATUM(value)) > 0 &&
		 *text_to_cstring(DatumGetTextPP(value)) == '{'))
		return tfrs_candidate_rows(call->candidates, type, value, "candidates");
	if (!tfrs_call_id(fcinfo, CANDIDATES, call->candidates, "candidate", &id))
		return list;
	row = tfrs_id_view_find(call->candidates, id);
	list = tfrs_row_list_copy(&row, row != TFRS_NO_ROW, 0);
	return list;
}

static void
check_list(const tfrs_recommend_call *call, const tfrs_row_list *list)
{
	if (!call->model->has_events)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model of recommender \"%s\" does not know what was chosen together",
						call->recommender->name),
				 errdetail("It has stored no events.")));
	if (list->count > TFRS_MOST_TOGETHER)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a list may have %d candidates at most, but has %zu", TFRS_MOST_TOGETHER,
						list->count),
				 errhint("tfrs.recommend_from takes lists of any length.")));
}

/* NULL: by time where times tell baskets. */
static bool
is_by_time(FunctionCallInfo fcinfo, const tfrs_events *events)
{
	char	   *by;

	if (PG_ARGISNULL(BY))
		return tfrs_baskets_share_times(events);
	by = text_to_cstring(PG_GETARG_TEXT_PP(BY));
	if (strcmp(by, "time") != 0 && strcmp(by, "query") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"by\" must not be \"%s\"", by),
				 errhint("It is \"time\" or \"query\", or null: \"time\" where most events share "
						 "theirs with another one.")));
	return strcmp(by, "time") == 0 && events->at != NULL;
}

static uint64
min_count_argument(FunctionCallInfo fcinfo)
{
	int64		count = PG_ARGISNULL(MIN_COUNT) ? 1 : PG_GETARG_INT64(MIN_COUNT);

	if (count < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_count must be above 0, but is %lld", (long long) count)));
	return (uint64) count;
}

static void
count_all(tfrs_baskets *baskets, tfrs_arena *arena)
{
	tfrs_error	error;

	tfrs_check(tfrs_baskets_begin(baskets, arena, &error), &error);
	for (size_t first = 0; first < baskets->events->queries; first += STEP_QUERIES)
	{
		CHECK_FOR_INTERRUPTS();
		tfrs_baskets_count(baskets, first,
							Min(first + STEP_QUERIES, baskets->events->queries));
	}
}

/* Rows of rank, candidate, label, score and count. */
static void
put(tfrs_recommend_call *call, const tfrs_shown_list *list, const tfrs_baskets *baskets)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	tfrs_id_writer_init(&call->writer, call->candidates, TEXTOID, CurrentMemoryContext);
	for (size_t i = 0; i < list->count; i++)
	{
		uint32		row = list->hits[i].row;

		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = tfrs_id_write(&call->writer, tfrs_id_view_get(call->candidates, row));
		nulls[2] = list->labels[i] == NULL;
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(list->labels[i]);
		values[3] = Float4GetDatum(list->hits[i].score);
		values[4] = Int64GetDatum(baskets->any[row]);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
	}
}

/* (name, candidates, k, exclude, among, min_count, by, version) */
Datum
tfrs_together(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_baskets together = {0};
	tfrs_shown_list shown;
	tfrs_row_list list;
	tfrs_arena	arena;
	uint64		min_count = min_count_argument(fcinfo);
	float	   *scores;

	if (!tfrs_call_begin(fcinfo, &call, RECOMMENDER, 2))
		PG_RETURN_NULL();
	tfrs_call_open(&call, PG_GETARG_DATUM(RECOMMENDER), tfrs_search_version(fcinfo, VERSION));
	list = candidates_argument(&call);
	check_list(&call, &list);
	tfrs_search_rows(fcinfo, K, call.candidates, &call.search);
	together.events = &call.model->events;
	together.by_time = is_by_time(fcinfo, together.events);
	together.candidates = call.candidates->count;
	together.list = list.rows;
	together.count = list.count;
	if (list.count == 0)
		PG_RETURN_NULL();
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	count_all(&together, &arena);
	call.scores = scores = palloc_extended(together.candidates * sizeof(float) + 1,
										   MCXT_ALLOC_HUGE);
	tfrs_baskets_score(&together, min_count, scores);
	call.search.min_score = FLT_MIN;
	shown = tfrs_call_find(&call);
	put(&call, &shown, &together);
	PG_RETURN_NULL();
}
