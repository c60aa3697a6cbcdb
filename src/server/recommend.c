/*
 * recommend.c: tfrs.recommend, tfrs.similar by a recommender's name, and tfrs.explain.
 *
 * The model is read as its owner, what the query has chosen and the candidates' rows as the
 * caller, all of it as the running statement sees the database.  The rows are given as a whole:
 * they are few. The recommender and its pinned model lie in fn_extra, so that a join over many
 * queries looks them up once.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/limits.h"
#include "server/bridge.h"
#include "server/candidate_ids.h"
#include "server/compat.h"
#include "server/embedding_type.h"
#include "server/model_query.h"
#include "server/profile.h"
#include "server/recommender_sources.h"
#include "server/row_reader.h"
#include "server/settings.h"
#include "server/similar.h"
#include "server/live_rows.h"
#include "server/store.h"

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
	SIMILAR_MIN_SCORE = AMONG + 1,	/* similar */
	SIMILAR_VERSION,
	EXPLAIN_CANDIDATE = QUERY + 1,	/* explain */
	EXPLAIN_K,
	EXPLAIN_VERSION
};

/* Candidates looked up beyond k in the first place: some of the best may not be available. */
#define SPARE(k) ((k) / 4 + 4)

/* What is kept from one call to the next. */
typedef struct recommend_site
{
	char	   *name;			/* of the recommender; NULL: none yet */
	int			version;
	tfrs_recommender *recommender;
	MemoryContext context;		/* where these lie */
	tfrs_block_site block;
} recommend_site;

/* The call that is being answered. */
typedef struct recommend_call
{
	FunctionCallInfo fcinfo;
	ReturnSetInfo *result;
	const tfrs_recommender *recommender;
	const tfrs_cached_block *block;
	const tfrs_model *model;
	const tfrs_id_view *candidates;
	tfrs_id_writer writer;
	tfrs_search search;
	tfrs_answer answer;			/* where it comes from */
	const float *query;			/* (D) */
	uint32		like;			/* the candidate that others are compared with, or TFRS_NO_ROW */
} recommend_call;

/* Candidates in the order of their ranks. */
typedef struct shown_list
{
	tfrs_hit   *hits;
	char	  **labels;
	size_t		count;
} shown_list;

PG_FUNCTION_INFO_V1(tfrs_recommend);
PG_FUNCTION_INFO_V1(tfrs_recommend_as);
PG_FUNCTION_INFO_V1(tfrs_similar_recommender);
PG_FUNCTION_INFO_V1(tfrs_explain);

static recommend_site *
site_of_call(FunctionCallInfo fcinfo)
{
	FmgrInfo   *function = fcinfo->flinfo;
	recommend_site *site = function->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(function->fn_mcxt, sizeof(recommend_site));
		site->context = AllocSetContextCreate(function->fn_mcxt, "tfrs recommender",
											  ALLOCSET_SMALL_SIZES);
		function->fn_extra = site;
	}
	return site;
}

/* Finds the recommender and the model that the arguments name. */
static void
open_model(recommend_call *call, Datum name, int version)
{
	recommend_site *site = site_of_call(call->fcinfo);
	char	   *wanted = TextDatumGetCString(name);
	MemoryContext caller;

	if (site->name == NULL || strcmp(site->name, wanted) != 0)
	{
		site->name = NULL;
		MemoryContextReset(site->context);
		caller = MemoryContextSwitchTo(site->context);
		site->recommender = tfrs_recommender_find(wanted);
		site->name = pstrdup(wanted);
		MemoryContextSwitchTo(caller);
		site->version = -1;
	}
	call->recommender = site->recommender;
	if (site->version != version || site->block.entry == NULL)
		tfrs_store_model(site->recommender, version, &site->block, call->fcinfo->flinfo->fn_mcxt);
	site->version = version;
	call->block = tfrs_block_site_block(&site->block);
	call->model = &call->block->model;
	call->candidates = &call->block->candidates;
	tfrs_recommender_check_model(call->recommender, &call->model->query_ids, call->candidates);
}

static bool
boolean_argument(FunctionCallInfo fcinfo, int argument)
{
	return !PG_ARGISNULL(argument) && PG_GETARG_BOOL(argument);
}

/* An id of one of the model's sides, given in any of the ways; false for a JSON null. */
static bool
id_argument(FunctionCallInfo fcinfo, int argument, const tfrs_id_view *ids, const char *role,
			tfrs_id *id)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, argument);
	tfrs_id_reader reader;

	if (type == JSONBOID)
		return tfrs_id_from_json(ids->tag, PG_GETARG_JSONB_P(argument), role, id);
	tfrs_id_reader_init(&reader, type, role);
	*id = tfrs_id_read_as(&reader, ids->tag, PG_GETARG_DATUM(argument), role);
	return true;
}

/* Begins the result; false where it stays empty, since there is no name or query. */
static bool
begin_call(FunctionCallInfo fcinfo, recommend_call *call, int first)
{
	InitMaterializedSRF(fcinfo, 0);
	call->fcinfo = fcinfo;
	call->result = (ReturnSetInfo *) fcinfo->resultinfo;
	call->like = TFRS_NO_ROW;
	return !PG_ARGISNULL(first + RECOMMENDER) && !PG_ARGISNULL(first + QUERY);
}

/* The query's events as the caller sees them, or as they are stored. */
static void
read_profile(const recommend_call *call, tfrs_id id, tfrs_profile *profile)
{
	tfrs_profile_begin(profile, call->model, id, call->recommender->at_column != NULL);
	tfrs_live_events_read(call->recommender, profile);
	tfrs_profile_finish(profile);
}

/* The best search->k candidates, whether or not they may be shown.  hits: room for min(k, N). */
static size_t
find_hits(const recommend_call *call, const tfrs_search *search, tfrs_hit *hits)
{
	tfrs_arena	arena;
	tfrs_error	error;
	size_t		count;

	if (call->like != TFRS_NO_ROW)
		return tfrs_similar_candidates(call->model, &call->block->index, call->like, search, hits);
	if (call->answer == TFRS_ANSWER_POPULAR)
		return tfrs_popular_candidates(call->model, call->candidates, search, hits);
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_search(&call->block->index, call->query, search, &arena, hits, &count,
								 &error), &error);
	return count;
}

/* Keeps of the list what may be shown, up to k. */
static void
keep_available(const recommend_call *call, shown_list *list, size_t k)
{
	uint32	   *rows = palloc_extended(list->count * sizeof(uint32) + 1, MCXT_ALLOC_HUGE);
	bool	   *available = palloc_extended(list->count + 1, MCXT_ALLOC_HUGE);
	size_t		kept = 0;

	list->labels = palloc_extended(list->count * sizeof(char *) + 1, MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < list->count; i++)
		rows[i] = list->hits[i].row;
	tfrs_live_candidates_read(call->recommender, call->candidates, rows, list->count,
								 available, list->labels);
	for (size_t i = 0; i < list->count && kept < k; i++)
	{
		if (!available[i])
			continue;
		list->hits[kept] = list->hits[i];
		list->labels[kept++] = list->labels[i];
	}
	list->count = kept;
}

/*
 * The best k candidates that may be shown.  More are searched for than are wanted, four times as
 * many in each round: so the last round costs most, and k means k unless there are fewer.
 */
static shown_list
find_shown(const recommend_call *call)
{
	size_t		all = call->candidates->count;
	size_t		k = Min(call->search.k, all);
	size_t		ask = tfrs_live_has_candidates(call->recommender) && k > 0 ? k + SPARE(k) : k;
	shown_list	list;

	for (;; ask *= 4)
	{
		tfrs_search search = call->search;
		size_t		found;

		search.k = ask = Min(ask, all);
		list.hits = palloc_extended(ask * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
		found = list.count = find_hits(call, &search, list.hits);
		keep_available(call, &list, k);
		if (list.count == k || found < ask || ask == all)
			return list;
		pfree(list.hits);
	}
}

/* Rows of rank, candidate, label, score and, where it has a name, the source. */
static void
put_shown(recommend_call *call, const shown_list *list, const char *source)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	tfrs_id_writer_init(&call->writer, call->candidates,
						TupleDescAttr(call->result->setDesc, 1)->atttypid, CurrentMemoryContext);
	if (source != NULL)
		values[4] = CStringGetTextDatum(source);
	for (size_t i = 0; i < list->count; i++)
	{
		const char *label = list->labels[i];

		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = tfrs_id_write(&call->writer,
								  tfrs_id_view_get(call->candidates, list->hits[i].row));
		nulls[2] = label == NULL;
		values[2] = label == NULL ? (Datum) 0 : CStringGetTextDatum(label);
		values[3] = Float4GetDatum(list->hits[i].score);
		tuplestore_putvalues(call->result->setResult, call->result->setDesc, values, nulls);
	}
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

/* (name, query, k, exclude, among, include_seen, unknown, version, min_score) from first on */
static void
recommend(FunctionCallInfo fcinfo, int first)
{
	recommend_call call = {0};
	tfrs_profile profile;
	shown_list	list;
	float	   *vector;
	tfrs_id		id;

	if (!begin_call(fcinfo, &call, first))
		return;
	open_model(&call, PG_GETARG_DATUM(first + RECOMMENDER),
			   tfrs_search_version(fcinfo, first + VERSION));
	if (!id_argument(fcinfo, first + QUERY, &call.model->query_ids, "query", &id))
		return;
	tfrs_search_rows(fcinfo, first + K, call.candidates, &call.search);
	call.search.min_score = tfrs_search_min_score(fcinfo, first + MIN_SCORE);
	read_profile(&call, id, &profile);
	if (!boolean_argument(fcinfo, first + INCLUDE_SEEN))
		tfrs_profile_exclude(&profile, &call.search);
	call.query = vector = palloc(call.model->shape->dim * sizeof(float));
	call.answer = tfrs_profile_answer(&profile, unknown_argument(fcinfo, first + UNKNOWN), vector);
	if (call.answer == TFRS_ANSWER_NOTHING)
		return;
	list = find_shown(&call);
	put_shown(&call, &list, tfrs_answer_name(call.answer));
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

/* (name, candidate, k, exclude, among, min_score, version) */
Datum
tfrs_similar_recommender(PG_FUNCTION_ARGS)
{
	recommend_call call = {0};
	shown_list	list;
	tfrs_id		id;

	if (!begin_call(fcinfo, &call, 0))
		PG_RETURN_NULL();
	open_model(&call, PG_GETARG_DATUM(RECOMMENDER), tfrs_search_version(fcinfo, SIMILAR_VERSION));
	if (!id_argument(fcinfo, QUERY, call.candidates, "candidate", &id))
		PG_RETURN_NULL();
	tfrs_search_rows(fcinfo, K, call.candidates, &call.search);
	call.search.min_score = tfrs_search_min_score(fcinfo, SIMILAR_MIN_SCORE);
	call.like = tfrs_id_view_find(call.candidates, id);
	if (call.like == TFRS_NO_ROW)
		PG_RETURN_NULL();
	list = find_shown(&call);
	put_shown(&call, &list, NULL);
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
find_named(const recommend_call *call, const tfrs_profile *profile, const score_part *parts,
		   size_t count, score_part *named)
{
	bool		may_know = profile->live || tfrs_recommender_may_own(call->recommender) ||
		tfrs_recommender_may_read(call->recommender);
	shown_list	list = {.count = may_know ? count : 0};

	list.hits = palloc_extended(count * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < list.count; i++)
		list.hits[i] = (tfrs_hit) {(float) parts[i].contribution, parts[i].candidate};
	keep_available(call, &list, call->search.k);
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
put_part(recommend_call *call, int rank, const score_part *part, double share)
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
put_parts(recommend_call *call, score_part *named, size_t count, const score_part *rest,
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
explain(recommend_call *call, const tfrs_profile *profile, uint32 candidate)
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
	recommend_call call = {0};
	tfrs_profile profile;
	tfrs_id		query;
	tfrs_id		id;
	uint32		candidate;

	if (!begin_call(fcinfo, &call, 0) || PG_ARGISNULL(EXPLAIN_CANDIDATE))
		PG_RETURN_NULL();
	open_model(&call, PG_GETARG_DATUM(RECOMMENDER), tfrs_search_version(fcinfo, EXPLAIN_VERSION));
	call.search.k = tfrs_search_k(fcinfo, EXPLAIN_K);
	if (call.model->history == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the model of recommender \"%s\" does not tell why",
						call.recommender->name),
				 errdetail("It was trained with \"history\": false: a query has a vector of its "
						   "own, which is no sum over what it chose.")));
	if (!id_argument(fcinfo, QUERY, &call.model->query_ids, "query", &query) ||
		!id_argument(fcinfo, EXPLAIN_CANDIDATE, call.candidates, "candidate", &id))
		PG_RETURN_NULL();
	candidate = tfrs_id_view_find(call.candidates, id);
	if (candidate == TFRS_NO_ROW)
		PG_RETURN_NULL();
	read_profile(&call, query, &profile);
	if (profile.list.count > 0 && call.search.k > 0)
		explain(&call, &profile, candidate);
	PG_RETURN_NULL();
}
