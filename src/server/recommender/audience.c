/*
 * audience.c: tfrs.audience and tfrs.similar_queries: which queries for a candidate, and which are
 * like another one.
 *
 * All queries of the model are ranked by their vectors of the last training, which are made of what
 * the model has stored.  (To read the interactions of all of them at each call would take seconds.)
 * What is shown is looked up: only queries that the caller sees in the interactions are named, or
 * to who may read the model all of them where the interactions cannot be read.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "server/values/candidate_ids.h"
#include "server/recommender/live_rows.h"
#include "server/recommender/recommend_call.h"

enum
{
	RECOMMENDER,
	SUBJECT,					/* a candidate, or a query */
	K,
	EXCLUDE,
	AMONG,
	MIN_SCORE,
	VERSION
};

PG_FUNCTION_INFO_V1(tfrs_audience);
PG_FUNCTION_INFO_V1(tfrs_similar_queries);

/* Opens the model for a ranking of its queries. */
static void
open_queries(tfrs_recommend_call *call)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	tfrs_call_open(call, PG_GETARG_DATUM(RECOMMENDER), tfrs_search_version(fcinfo, VERSION));
	if (call->model->history != NULL && !call->model->has_events)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model of recommender \"%s\" does not know its queries",
						call->recommender->name),
				 errdetail("It was trained with \"store\": false.")));
	call->of_queries = true;
	call->candidates = &call->model->query_ids;
	tfrs_search_rows(fcinfo, K, call->candidates, &call->search);
	call->search.min_score = tfrs_search_min_score(fcinfo, MIN_SCORE);
}

/* ERROR unless the caller may know queries that he does not see in the interactions. */
static void
check_may_name(const tfrs_recommender *recommender)
{
	if (tfrs_recommender_may_own(recommender) || tfrs_recommender_may_read(recommender))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to name the queries of recommender \"%s\"",
					recommender->name),
			 errhint("SELECT on the interactions is needed, or CALL tfrs.grant_recommender(name, role, "
					 "'read').")));
}

/* The product of each query's vector with another one, or the cosine of the first width numbers. */
static void
score_queries(tfrs_recommend_call *call, const float *other, bool cosine)
{
	const tfrs_model *model = call->model;
	size_t		width = cosine ? tfrs_tower_width(model->tower) : model->shape->dim;
	double		length = cosine ? tfrs_vector_norm(other, width) : 1;
	size_t		count = model->query_ids.count;
	float	   *vector = palloc(model->shape->dim * sizeof(float));
	float	   *scores = palloc_extended(count * sizeof(float) + 1, MCXT_ALLOC_HUGE);

	for (uint32 row = 0; row < count; row++)
	{
		double		norms;

		if (row % 256 == 0)
			CHECK_FOR_INTERRUPTS();
		tfrs_model_query(model, row, vector);
		norms = cosine ? length * tfrs_vector_norm(vector, width) : 1;
		scores[row] = norms == 0 ? 0
			: (float) (tfrs_kernels.dot(vector, other, width) / norms);
	}
	call->scores = scores;
}

/* Rows of rank, query and score. */
static void
put_queries(tfrs_recommend_call *call)
{
	tfrs_shown_list list = tfrs_call_find(call);
	Datum		values[3];
	bool		nulls[3] = {false};

	tfrs_id_writer_init(&call->writer, call->candidates, TEXTOID, CurrentMemoryContext);
	for (size_t i = 0; i < list.count; i++)
	{
		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = tfrs_id_write(&call->writer,
								  tfrs_id_view_get(call->candidates, list.hits[i].row));
		values[2] = Float4GetDatum(list.hits[i].score);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
	}
}

/* Leaves out who has chosen the candidate, by what the model has stored. */
static void
exclude_stored(tfrs_recommend_call *call, uint32 candidate)
{
	const tfrs_events *events = &call->model->events;
	tfrs_row_list list = tfrs_row_list_copy(NULL, 0, events->queries);

	for (uint32 query = 0; query < events->queries; query++)
	{
		tfrs_event_list chosen = tfrs_events_of(events, query);

		for (size_t i = 0; i < chosen.count; i++)
			if (chosen.candidate[i] == candidate)
			{
				list.rows[list.count++] = query;
				break;
			}
	}
	tfrs_search_exclude(&call->search, list.rows, list.count);
}

/* (name, candidate, k, exclude, among, min_score, version) */
Datum
tfrs_audience(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_row_list holders;
	float	   *vector;
	uint32		candidate;
	tfrs_id		id;

	if (!tfrs_call_begin(fcinfo, &call, RECOMMENDER, 2))
		PG_RETURN_NULL();
	open_queries(&call);
	if (!tfrs_call_id(fcinfo, SUBJECT, &call.model->candidate_ids, "candidate", &id))
		PG_RETURN_NULL();
	candidate = tfrs_id_view_find(&call.model->candidate_ids, id);
	if (candidate == TFRS_NO_ROW)
		PG_RETURN_NULL();
	if (tfrs_live_holders_read(call.recommender, call.model, candidate, &holders))
		tfrs_search_exclude(&call.search, holders.rows, holders.count);
	else
	{
		check_may_name(call.recommender);
		exclude_stored(&call, candidate);
	}
	vector = palloc(call.model->shape->dim * sizeof(float));
	tfrs_model_candidate(call.model, candidate, vector);
	score_queries(&call, vector, false);
	put_queries(&call);
	PG_RETURN_NULL();
}

/* (name, query, k, exclude, among, min_score, version) */
Datum
tfrs_similar_queries(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_profile profile;
	float	   *vector;
	tfrs_id		id;

	if (!tfrs_call_begin(fcinfo, &call, RECOMMENDER, 2))
		PG_RETURN_NULL();
	open_queries(&call);
	if (!tfrs_call_id(fcinfo, SUBJECT, &call.model->query_ids, "query", &id))
		PG_RETURN_NULL();
	tfrs_call_profile(&call, id, &profile);
	if (!profile.live)
		check_may_name(call.recommender);
	vector = palloc(call.model->shape->dim * sizeof(float));
	if (tfrs_profile_answer(&profile, TFRS_UNKNOWN_NONE, vector) == TFRS_ANSWER_NOTHING)
		PG_RETURN_NULL();
	if (profile.row != TFRS_NO_ROW)
		tfrs_search_exclude(&call.search, &profile.row, 1);
	score_queries(&call, vector, true);
	put_queries(&call);
	PG_RETURN_NULL();
}
