/*
 * audience.c: tfrs.audience and tfrs.similar_queries: which queries for a candidate, and which are
 * like another one.
 *
 * All queries of the model are ranked by what the model has stored of them: an audience by the whole
 * score, the sparse parts included, and queries like another one by the cosine of their vectors.
 * (To read the interactions of all of them at each call would take seconds.)
 * What is shown is looked up: only queries that the caller sees in the interactions are named, or
 * to who may read the model all of them where the interactions cannot be read.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/team.h"
#include "server/host/settings.h"
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

/* Queries that a thread scores at a time, and those of a step: some milliseconds. */
#define BLOCK_QUERIES ((size_t) 256)
#define STEP_BLOCKS ((size_t) 64)

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

/* What all queries are scored by. */
typedef struct query_scoring
{
	const tfrs_model *model;
	const float *other;			/* (D) a vector */
	bool		cosine;			/* of the first width numbers, else the product with it */
	size_t		width;
	double		length;			/* of other */
	tfrs_part_columns columns;	/* what events add, where other is a candidate's vector */
	float	   *vectors;		/* (threads, D) */
	float	   *scores;			/* (V) */
	size_t		first;			/* query of the step at hand, and the end of it */
	size_t		end;
} query_scoring;

/* On any thread: works on memory that is there. */
static void
score_block(void *context, int worker, size_t task)
{
	query_scoring *scoring = context;
	const tfrs_model *model = scoring->model;
	float	   *vector = scoring->vectors + (size_t) worker * model->shape->dim;
	size_t		first = scoring->first + task * BLOCK_QUERIES;

	for (size_t row = first; row < Min(first + BLOCK_QUERIES, scoring->end); row++)
	{
		double		norms = 1;
		double		product;

		tfrs_model_query(model, (uint32_t) row, vector);
		product = tfrs_kernels.dot(vector, scoring->other, scoring->width);
		if (scoring->cosine)
			norms = scoring->length * tfrs_vector_norm(vector, scoring->width);
		scoring->scores[row] = norms == 0 ? 0 : (float) (product / norms);
		if (!scoring->cosine && model->scores.candidates > 0)
		{
			tfrs_event_list list = tfrs_events_of(&model->events, (uint32_t) row);

			scoring->scores[row] += tfrs_part_columns_sum(&model->scores, &scoring->columns, &list);
		}
	}
}

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
}

/* The scores of all queries. */
static void
score_queries(tfrs_recommend_call *call, query_scoring *scoring)
{
	const tfrs_model *model = call->model;
	size_t		count = model->query_ids.count;
	int			threads = tfrs_settings_threads();

	scoring->model = model;
	scoring->width = scoring->cosine ? tfrs_tower_width(model->tower) : model->shape->dim;
	scoring->length = tfrs_vector_norm(scoring->other, scoring->width);
	scoring->vectors = allocate(threads * model->shape->dim, sizeof(float));
	scoring->scores = allocate(count, sizeof(float));
	for (scoring->first = 0; scoring->first < count; scoring->first = scoring->end)
	{
		CHECK_FOR_INTERRUPTS();
		scoring->end = Min(count, scoring->first + STEP_BLOCKS * BLOCK_QUERIES);
		tfrs_team_run(threads, (scoring->end - scoring->first + BLOCK_QUERIES - 1) / BLOCK_QUERIES,
					  score_block, scoring);
	}
	call->scores = scoring->scores;
}

/* Queries by their score with a candidate. */
static void
score_for_candidate(tfrs_recommend_call *call, uint32 candidate)
{
	const tfrs_model *model = call->model;
	float	   *vector = palloc(model->shape->dim * sizeof(float));
	query_scoring scoring = {.other = vector};

	tfrs_model_candidate(model, candidate, vector);
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		scoring.columns.value[p] = allocate(model->scores.candidates, sizeof(float));
	tfrs_part_columns_fill(&model->scores, candidate, &scoring.columns);
	score_queries(call, &scoring);
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
	score_for_candidate(&call, candidate);
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
	score_queries(&call, &(query_scoring) {.other = vector, .cosine = true});
	put_queries(&call);
	PG_RETURN_NULL();
}
