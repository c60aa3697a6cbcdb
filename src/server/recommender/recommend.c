/*
 * recommend.c: tfrs.recommend, tfrs.recommend_from, tfrs.similar by a recommender's name, and
 * tfrs.explain.
 *
 * What the query has chosen is read as the caller, as the running statement sees the database.
 * recommend_from is told it instead; from there on both are one.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/limits.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/search/model_query.h"
#include "server/recommender/profile.h"
#include "server/recommender/recommend_call.h"

/* Arguments after the one that says in which type candidates are wanted, if there is one. */
enum
{
	RECOMMENDER,
	QUERY,						/* or the candidate of similar */
	K,
	EXCLUDE,
	AMONG,
	INCLUDE_SEEN,				/* recommend */
	UNKNOWN,
	VERSION,
	MIN_SCORE,
	RULES,						/* four of them */
	SIMILAR_MIN_SCORE = AMONG + 1,	/* similar */
	SIMILAR_VERSION,
	EXPLAIN_CANDIDATE = QUERY + 1,	/* explain */
	EXPLAIN_K,
	EXPLAIN_VERSION,
	FROM_LIST = QUERY,			/* recommend_from */
	FROM_AVOID,
	FROM_K,
	FROM_MIN_SCORE = FROM_K + 3,
	FROM_VERSION,
	FROM_RULES
};

PG_FUNCTION_INFO_V1(tfrs_recommend);
PG_FUNCTION_INFO_V1(tfrs_recommend_as);
PG_FUNCTION_INFO_V1(tfrs_recommend_from);
PG_FUNCTION_INFO_V1(tfrs_recommend_from_as);
PG_FUNCTION_INFO_V1(tfrs_similar_recommender);
PG_FUNCTION_INFO_V1(tfrs_explain);

static bool
boolean_argument(FunctionCallInfo fcinfo, int argument)
{
	return !PG_ARGISNULL(argument) && PG_GETARG_BOOL(argument);
}

static tfrs_unknown
unknown_argument(FunctionCallInfo fcinfo, int argument)
{
	char	   *name;

	if (PG_ARGISNULL(argument))
		return TFRS_UNKNOWN_POPULAR;
	name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	return tfrs_search_unknown(name);
}

/* The answer for a profile, of the search that the arguments ask for. */
static void
answer(tfrs_recommend_call *call, const tfrs_profile *profile, tfrs_unknown unknown,
	   const tfrs_row_list *avoid)
{
	float	   *vector = palloc(call->model->shape->dim * sizeof(float));
	tfrs_shown_list list;

	tfrs_pick_rules_boost(call->rules, call->candidates, &call->search);
	call->query = vector;
	call->answer = tfrs_profile_answer(profile, unknown, vector);
	if (call->answer == TFRS_ANSWER_NOTHING)
		return;
	if (avoid != NULL && call->answer != TFRS_ANSWER_POPULAR)
		tfrs_model_push_away(call->model, avoid, vector);
	tfrs_profile_adjust(profile, &call->search);
	list = tfrs_call_find(call);
	tfrs_call_put(call, &list, tfrs_answer_name(call->answer, call->model));
}

/* (name, query, k, exclude, among, include_seen, unknown, version, min_score, most, diversity,
 * boost, share) from first on */
static void
recommend(FunctionCallInfo fcinfo, int first)
{
	tfrs_recommend_call call = {0};
	tfrs_pick_rules rules;
	tfrs_profile profile;
	tfrs_id		id;

	if (!tfrs_call_begin(fcinfo, &call, first, 2))
		return;
	tfrs_call_open(&call, PG_GETARG_DATUM(first + RECOMMENDER),
				   tfrs_search_version(fcinfo, first + VERSION));
	tfrs_pick_rules_read(fcinfo, first + RULES, call.recommender, &rules);
	call.rules = &rules;
	if (!tfrs_call_id(fcinfo, first + QUERY, &call.model->query_ids, "query", &id))
		return;
	tfrs_search_rows(fcinfo, first + K, call.candidates, &call.search);
	call.search.min_score = tfrs_search_min_score(fcinfo, first + MIN_SCORE);
	tfrs_call_profile(&call, id, &profile);
	tfrs_profile_exclude(&profile, boolean_argument(fcinfo, first + INCLUDE_SEEN), &call.search);
	answer(&call, &profile, unknown_argument(fcinfo, first + UNKNOWN), NULL);
}

Datum
tfrs_recommend(PG_FUNCTION_ARGS)
{
	recommend(fcinfo, 0);
	PG_RETURN_NULL();
}

Datum
tfrs_recommend_as(PG_FUNCTION_ARGS)
{
	recommend(fcinfo, 1);
	PG_RETURN_NULL();
}

/* A list of candidates, which may be null; ids that the model does not know are told once. */
static tfrs_row_list
list_argument(const tfrs_recommend_call *call, int argument, const char *name)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	tfrs_row_list list = {0};

	if (PG_ARGISNULL(argument))
		return list;
	list = tfrs_candidate_sequence(call->candidates, get_fn_expr_argtype(fcinfo->flinfo, argument),
								   PG_GETARG_DATUM(argument), name);
	if (list.unknown > 0 && tfrs_call_first_time(call))
		ereport(NOTICE,
				(errmsg("%s: recommender \"%s\" does not know %zu of the %zu candidates", name,
						call->recommender->name, list.unknown, list.unknown + list.count),
				 errdetail("The answer is the same as without them.")));
	return list;
}

/* (name, candidates, avoid, k, exclude, among, min_score, version, most, diversity, boost, share) from
 * first on */
static void
recommend_from(FunctionCallInfo fcinfo, int first)
{
	tfrs_recommend_call call = {0};
	tfrs_pick_rules rules;
	tfrs_profile profile;
	tfrs_row_list list;
	tfrs_row_list avoid;

	if (!tfrs_call_begin(fcinfo, &call, first, 1))
		return;
	tfrs_call_open(&call, PG_GETARG_DATUM(first + RECOMMENDER),
				   tfrs_search_version(fcinfo, first + FROM_VERSION));
	tfrs_pick_rules_read(fcinfo, first + FROM_RULES, call.recommender, &rules);
	call.rules = &rules;
	list = list_argument(&call, first + FROM_LIST, "candidates");
	avoid = list_argument(&call, first + FROM_AVOID, "avoid");
	tfrs_row_list_sort(&avoid);
	tfrs_search_rows(fcinfo, first + FROM_K, call.candidates, &call.search);
	call.search.min_score = tfrs_search_min_score(fcinfo, first + FROM_MIN_SCORE);
	tfrs_profile_of_list(&profile, call.model, list.rows, list.count);
	tfrs_profile_exclude(&profile, false, &call.search);
	tfrs_search_exclude(&call.search, avoid.rows, avoid.count);
	answer(&call, &profile, TFRS_UNKNOWN_POPULAR, &avoid);
}

Datum
tfrs_recommend_from(PG_FUNCTION_ARGS)
{
	recommend_from(fcinfo, 0);
	PG_RETURN_NULL();
}

Datum
tfrs_recommend_from_as(PG_FUNCTION_ARGS)
{
	recommend_from(fcinfo, 1);
	PG_RETURN_NULL();
}

/* (name, candidate, k, exclude, among, min_score, version) */
Datum
tfrs_similar_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_shown_list list;
	tfrs_id		id;

	if (!tfrs_call_begin(fcinfo, &call, 0, 2))
		PG_RETURN_NULL();
	tfrs_call_open(&call, PG_GETARG_DATUM(RECOMMENDER),
				   tfrs_search_version(fcinfo, SIMILAR_VERSION));
	if (!tfrs_call_id(fcinfo, QUERY, call.candidates, "candidate", &id))
		PG_RETURN_NULL();
	tfrs_search_rows(fcinfo, K, call.candidates, &call.search);
	call.search.min_score = tfrs_search_min_score(fcinfo, SIMILAR_MIN_SCORE);
	call.like = tfrs_id_view_find(call.candidates, id);
	if (call.like == TFRS_NO_ROW)
		PG_RETURN_NULL();
	list = tfrs_call_find(&call);
	tfrs_call_put(&call, &list, NULL);
	PG_RETURN_NULL();
}

/* What is added up to a score: that of a candidate that was chosen, or another. */
typedef struct score_part
{
	double		contribution;
	uint32		candidate;		/* TFRS_NO_ROW: another */
	const char *label;
} score_part;

static int
part_by_candidate(const void *a, const void *b)
{
	uint32		x = ((const score_part *) a)->candidate;
	uint32		y = ((const score_part *) b)->candidate;

	return x < y ? -1 : x > y;
}

static int
strongest_first(const void *a, const void *b)
{
	double		x = ((const score_part *) a)->contribution;
	double		y = ((const score_part *) b)->contribution;

	return x > y ? -1 : x < y ? 1 : part_by_candidate(a, b);
}

/* One part a candidate that was chosen, the strongest first; the result is how many. */
static size_t
find_parts(const tfrs_profile *profile, const double *contribution, score_part *parts)
{
	size_t		kept = 0;

	for (size_t i = 0; i < profile->list.count; i++)
		parts[i] = (score_part) {contribution[i], profile->list.candidate[i], NULL};
	qsort(parts, profile->list.count, sizeof(score_part), part_by_candidate);
	for (size_t i = 0; i < profile->list.count; i++)
	{
		if (kept > 0 && parts[kept - 1].candidate == parts[i].candidate)
			parts[kept - 1].contribution += parts[i].contribution;
		else
			parts[kept++] = parts[i];
	}
	qsort(parts, kept, sizeof(score_part), strongest_first);
	return kept;
}

/*
 * The parts that are shown by name: the strongest k of those that the caller may know of, which he
 * sees in the interactions, or may read in the model.
 */
static size_t
find_named(const tfrs_recommend_call *call, const tfrs_profile *profile, const score_part *parts,
		   size_t count, score_part *named)
{
	bool		may_know = profile->live || tfrs_recommender_may_own(call->recommender) ||
		tfrs_recommender_may_read(call->recommender);
	tfrs_shown_list list = {.count = may_know ? count : 0};

	list.hits = palloc_extended(count * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < list.count; i++)
		list.hits[i] = (tfrs_hit) {(float) parts[i].contribution, parts[i].candidate};
	tfrs_call_keep_available(call, &list, call->search.k);
	for (size_t i = 0; i < list.count; i++)
		named[i] = (score_part) {list.hits[i].score, list.hits[i].row, list.labels[i]};
	return list.count;
}

/* The sum of the parts that are not named, and that of their sizes.  named: in the order of parts. */
static score_part
sum_of_rest(const score_part *parts, size_t count, const score_part *named, size_t named_count,
			double *size)
{
	score_part	rest = {0, TFRS_NO_ROW, "everything else"};
	size_t		next = 0;

	*size = 0;
	for (size_t i = 0; i < count; i++)
	{
		if (next < named_count && named[next].candidate == parts[i].candidate)
		{
			next++;
			continue;
		}
		rest.contribution += parts[i].contribution;
		*size += fabs(parts[i].contribution);
	}
	return rest;
}

/* A row of rank, candidate, label, contribution and share; NaN: there is no share of nothing. */
static void
put_part(tfrs_recommend_call *call, int rank, const score_part *part, double share)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	values[0] = Int32GetDatum(rank);
	nulls[1] = part->candidate == TFRS_NO_ROW;
	if (!nulls[1])
		values[1] = tfrs_id_write(&call->writer,
								  tfrs_id_view_get(call->candidates, part->candidate));
	nulls[2] = part->label == NULL;
	if (!nulls[2])
		values[2] = CStringGetTextDatum(part->label);
	values[3] = Float4GetDatum((float) part->contribution);
	nulls[4] = isnan(share);
	values[4] = Float4GetDatum((float) share);
	tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
}

/*
 * The named parts and the candidate's own one, the strongest first, and last the sum of all others:
 * so contributions add up to the score.  The share of a part is that of its size in the sizes of
 * all parts, whichever way they pull: so shares add up to 1.
 */
static void
put_parts(tfrs_recommend_call *call, score_part *named, size_t count, const score_part *rest,
		  double rest_size)
{
	double		size = rest_size;

	for (size_t i = 0; i < count; i++)
		size += fabs(named[i].contribution);
	qsort(named, count, sizeof(score_part), strongest_first);
	for (size_t i = 0; i < count; i++)
		put_part(call, (int) i + 1, &named[i], fabs(named[i].contribution) / size);
	if (rest != NULL)
		put_part(call, (int) count + 1, rest, rest_size / size);
}

/* What speaks for one candidate.  parts, named: room for one more than the query has events. */
static void
explain(tfrs_recommend_call *call, const tfrs_profile *profile, uint32 candidate)
{
	const tfrs_model *model = call->model;
	size_t		count = profile->list.count;
	float	   *query = palloc(model->shape->dim * sizeof(float));
	float	   *vector = palloc(model->shape->dim * sizeof(float));
	double	   *contribution = palloc_extended(count * sizeof(double), MCXT_ALLOC_HUGE);
	score_part *parts = palloc_extended(count * sizeof(score_part), MCXT_ALLOC_HUGE);
	score_part *named = palloc_extended((count + 1) * sizeof(score_part), MCXT_ALLOC_HUGE);
	score_part	rest;
	double		rest_size;
	size_t		named_count;
	bool		is_all;

	tfrs_model_candidate(model, candidate, vector);
	tfrs_tower_contributions(model->history, model->bag_table, &profile->list, vector, query,
							   contribution);
	if (model->scores.candidates > 0)
		tfrs_score_parts_contributions(&model->scores, &profile->list, candidate, contribution);
	count = find_parts(profile, contribution, parts);
	named_count = find_named(call, profile, parts, count, named);
	is_all = named_count == count;
	rest = sum_of_rest(parts, count, named, named_count, &rest_size);
	if (model->history->bias)
		named[named_count++] = (score_part) {
			vector[tfrs_tower_width(model->history)], TFRS_NO_ROW, "popular in general"
		};
	tfrs_id_writer_init(&call->writer, call->candidates, TEXTOID, CurrentMemoryContext);
	put_parts(call, named, named_count, is_all ? NULL : &rest, rest_size);
}

/* (name, query, candidate, k, version) */
Datum
tfrs_explain(PG_FUNCTION_ARGS)
{
	tfrs_recommend_call call = {0};
	tfrs_profile profile;
	tfrs_id		query;
	tfrs_id		id;
	uint32		candidate;

	if (!tfrs_call_begin(fcinfo, &call, 0, 2) || PG_ARGISNULL(EXPLAIN_CANDIDATE))
		PG_RETURN_NULL();
	tfrs_call_open(&call, PG_GETARG_DATUM(RECOMMENDER),
				   tfrs_search_version(fcinfo, EXPLAIN_VERSION));
	call.search.k = tfrs_search_k(fcinfo, EXPLAIN_K);
	if (call.model->history == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model of recommender \"%s\" does not tell why",
						call.recommender->name),
				 errdetail("It was trained with \"history\": false: a query has a vector of its "
						   "own, which is no sum over what it chose.")));
	if (!tfrs_call_id(fcinfo, QUERY, &call.model->query_ids, "query", &query) ||
		!tfrs_call_id(fcinfo, EXPLAIN_CANDIDATE, call.candidates, "candidate", &id))
		PG_RETURN_NULL();
	candidate = tfrs_id_view_find(call.candidates, id);
	if (candidate == TFRS_NO_ROW)
		PG_RETURN_NULL();
	tfrs_call_profile(&call, query, &profile);
	if (profile.list.count > 0 && call.search.k > 0)
		explain(&call, &profile, candidate);
	PG_RETURN_NULL();
}
