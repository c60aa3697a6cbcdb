/*
 * popular.c: tfrs.popular and tfrs.trending: what is chosen most, and what more and more.
 *
 * Both count rows of the interactions at the moment of the call and as the caller sees them.  No
 * model is asked, so candidates count that came after the last training, and before the first.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "server/values/candidate_ids.h"
#include "server/recommender/live_rows.h"
#include "server/recommender/recommend_call.h"

enum
{
	RECOMMENDER,
	SINCE,
	WITHIN,
	K,
	EXCLUDE,
	AMONG,
	UNTIL,
	SHRINK
};

PG_FUNCTION_INFO_V1(tfrs_popular);
PG_FUNCTION_INFO_V1(tfrs_trending);

/* The start of the interval before a time. */
static TimestampTz
time_before(FunctionCallInfo fcinfo, TimestampTz time)
{
	TimestampTz result = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
																 TimestampTzGetDatum(time),
																 PG_GETARG_DATUM(SINCE)));

	if (result >= time)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since must be an interval above 0")));
	return result;
}

/* The times that since and until name; with_before: the interval before them, too. */
static tfrs_span
span_arguments(FunctionCallInfo fcinfo, const tfrs_recommender *recommender, bool with_before)
{
	tfrs_span	span = {!PG_ARGISNULL(SINCE) || !PG_ARGISNULL(UNTIL), DT_NOBEGIN, DT_NOBEGIN, 0};

	if (span.given && recommender->at_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommender \"%s\" does not know when candidates were chosen",
						recommender->name),
				 errhint("CALL tfrs.alter_recommender(name, at => ...) names their column.")));
	span.end = PG_ARGISNULL(UNTIL) ? GetCurrentTransactionStartTimestamp()
		: PG_GETARG_TIMESTAMPTZ(UNTIL);
	if (TIMESTAMP_NOT_FINITE(span.end))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("until must be a finite time")));
	if (!PG_ARGISNULL(SINCE))
		span.begin = span.middle = time_before(fcinfo, span.end);
	if (with_before)
		span.begin = time_before(fcinfo, span.middle);
	return span;
}

/* Only candidates that are in a list too. */
static void
keep_among(tfrs_search *search, tfrs_row_list list)
{
	size_t		kept = 0;

	for (size_t i = 0; i < list.count; i++)
		if (tfrs_search_allows(search, list.rows[i]))
			list.rows[kept++] = list.rows[i];
	search->has_among = true;
	search->among = list.rows;
	search->among_count = kept;
}

/* Counts, and reads the arguments that need the counted candidates. */
static void
count(tfrs_recommend_call *call, bool with_before, tfrs_live_counts *counts)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	tfrs_span	span;

	call->recommender = tfrs_recommender_find(text_to_cstring(PG_GETARG_TEXT_PP(RECOMMENDER)));
	span = span_arguments(fcinfo, call->recommender, with_before);
	tfrs_live_counts_read(call->recommender, &span, counts);
	call->candidates = &counts->ids;
	tfrs_search_rows(fcinfo, K, call->candidates, &call->search);
	if (!PG_ARGISNULL(WITHIN))
		keep_among(&call->search, tfrs_live_within_read(call->recommender,
														PG_GETARG_JSONB_P(WITHIN),
														call->candidates));
}

/* Rows of rank, candidate, label and, for trending, growth; then the counts. */
static void
put_counted(tfrs_recommend_call *call, const tfrs_shown_list *list, const tfrs_live_counts *counts,
			bool trending)
{
	Datum		values[6] = {0};
	bool		nulls[6] = {false};

	tfrs_id_writer_init(&call->writer, call->candidates, TEXTOID, CurrentMemoryContext);
	for (size_t i = 0; i < list->count; i++)
	{
		uint32		row = list->hits[i].row;
		int			column = 3;

		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = tfrs_id_write(&call->writer, tfrs_id_view_get(call->candidates, row));
		nulls[2] = list->labels[i] == NULL;
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(list->labels[i]);
		if (trending)
			values[column++] = Float4GetDatum(list->hits[i].score);
		values[column++] = Int64GetDatum(counts->recent[row]);
		if (trending)
			values[column++] = Int64GetDatum(counts->before[row]);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
	}
}

/* (name, since, within, k, exclude, among, until) */
Datum
tfrs_popular(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_live_counts counts;
	tfrs_shown_list list;
	float	   *scores;

	if (!tfrs_call_begin(fcinfo, &call, RECOMMENDER, 1))
		PG_RETURN_NULL();
	count(&call, false, &counts);
	call.scores = scores = palloc_extended(counts.ids.count * sizeof(float) + 1, MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < counts.ids.count; i++)
		scores[i] = (float) counts.recent[i];
	list = tfrs_call_find(&call);
	put_counted(&call, &list, &counts, false);
	PG_RETURN_NULL();
}

static double
shrink_argument(FunctionCallInfo fcinfo)
{
	double		shrink = PG_ARGISNULL(SHRINK) ? -1 : PG_GETARG_FLOAT8(SHRINK);

	if (!(shrink > 0) || isinf(shrink))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shrink must be a finite number above 0")));
	return shrink;
}

static double
sum_of(const int64 *counts, size_t count)
{
	double		sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double) counts[i];
	return sum;
}

/*
 * How many times its former share a candidate now has: its rows, over those that its share of the
 * interval before would make of all rows now.  shrink rows that grow by nothing are added to both,
 * so that few rows make no trend.
 */
static float *
growth_of(const tfrs_live_counts *counts, double shrink)
{
	size_t		count = counts->ids.count;
	float	   *growth = palloc_extended(count * sizeof(float) + 1, MCXT_ALLOC_HUGE);
	double		recent = sum_of(counts->recent, count);
	double		before = sum_of(counts->before, count);
	double		scale = before > 0 ? recent / before : 0;

	for (size_t i = 0; i < count; i++)
		growth[i] = (float) (((double) counts->recent[i] + shrink) /
							 ((double) counts->before[i] * scale + shrink));
	return growth;
}

/* (name, since, within, k, exclude, among, until, shrink) */
Datum
tfrs_trending(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_live_counts counts;
	tfrs_shown_list list;
	double		shrink;

	if (!tfrs_call_begin(fcinfo, &call, RECOMMENDER, 1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(SINCE))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("since must not be null")));
	shrink = shrink_argument(fcinfo);
	count(&call, true, &counts);
	call.scores = growth_of(&counts, shrink);
	call.search.min_score = nextafterf(1, 2);	/* above 1: it grows */
	list = tfrs_call_find(&call);
	put_counted(&call, &list, &counts, true);
	PG_RETURN_NULL();
}
