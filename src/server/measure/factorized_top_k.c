/*
 * factorized_top_k.c: the aggregates tfrs.factorized_top_k: TFRS's FactorizedTopK metric, for each
 * k the share of rows whose candidate is among the first k of an index.
 *
 * By id, a row counts at k where its candidate is one of the first k; among equal scores those of
 * lower id come first.  By embedding, it counts where fewer than k candidates of the index have a
 * score above that of the row's embedding, which is computed as theirs are.  Both are read off the
 * row's exact ranking, which the index finds for many queries at once: rows wait until there are
 * enough of them.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/limits.h"
#include "retrieval/index.h"
#include "server/values/block_cache.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/host/options.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"

/* Rows that are ranked together, and what their vectors and rankings may hold. */
#define MOST_ROWS 1024
#define MOST_NUMBERS ((size_t) 1 << 20)

enum
{
	STATE,
	QUERY,
	TRUE_CANDIDATE,
	WEIGHT,
	INDEX,
	KS
};

/* A row that waits for its ranking. */
typedef struct waiting_row
{
	uint32		row;			/* of the candidate, or TFRS_NO_ROW */
	float		score;			/* of the embedding; -INFINITY where the row is by id */
	double		weight;
} waiting_row;

typedef struct top_k_state
{
	MemoryContext context;		/* the aggregate's */
	tfrs_block_site site;
	const tfrs_cached_block *block;
	ArrayType  *given_ks;		/* of the first row; NULL: it was NULL */
	int			k_count;
	uint32		ks[TFRS_MAX_CUTOFFS];	/* ascending and distinct */
	double		hits[TFRS_MAX_CUTOFFS]; /* sum of the weights of rows that count */
	double		weight;			/* of all rows */
	uint64		rows;
	size_t		room;			/* rows that may wait */
	size_t		count;			/* that do */
	waiting_row *waiting;		/* (room) */
	float	   *queries;		/* (room, D) */
} top_k_state;

PG_FUNCTION_INFO_V1(tfrs_factorized_top_k_id_row);
PG_FUNCTION_INFO_V1(tfrs_factorized_top_k_score_row);
PG_FUNCTION_INFO_V1(tfrs_factorized_top_k_finish);

static void
report_ks(const char *problem, int64 k)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg(problem, (long long) k),
			 errdetail("ks is an array of 1 to %d numbers from 1 to %d.", TFRS_MAX_CUTOFFS,
					   TFRS_MAX_CUTOFF)));
}

/* Checks ks and keeps them ascending and distinct. */
static void
take_ks(top_k_state *state, const int64 *values, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (values[i] < 1 || values[i] > TFRS_MAX_CUTOFF)
			report_ks("ks must not contain %lld", values[i]);
		state->ks[i] = (uint32) values[i];
	}
	state->k_count = (int) tfrs_options_distinct(state->ks, (uint32) count);
}

/* The argument of the first row; NULL: those of TFRS. */
static void
read_ks(FunctionCallInfo fcinfo, top_k_state *state)
{
	static const int64 usual[] = {1, 5, 10, 50, 100};
	int			count;

	if (PG_ARGISNULL(KS))
	{
		take_ks(state, usual, lengthof(usual));
		return;
	}
	state->given_ks = PG_GETARG_ARRAYTYPE_P_COPY(KS);
	count = ArrayGetNItems(ARR_NDIM(state->given_ks), ARR_DIMS(state->given_ks));
	if (count < 1 || count > TFRS_MAX_CUTOFFS)
		report_ks("ks must not have %lld elements", count);
	if (array_contains_nulls(state->given_ks))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("ks must not contain nulls")));
	take_ks(state, (const int64 *) ARR_DATA_PTR(state->given_ks), count);
}

static void
check_same_ks(FunctionCallInfo fcinfo, const top_k_state *state)
{
	const ArrayType *ks = PG_ARGISNULL(KS) ? NULL : PG_GETARG_ARRAYTYPE_P(KS);

	if (ks == NULL ? state->given_ks == NULL
		: state->given_ks != NULL && VARSIZE(ks) == VARSIZE(state->given_ks) &&
		memcmp(ks, state->given_ks, VARSIZE(ks)) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("ks must be the same for all rows of a group")));
}

static size_t
largest_k(const top_k_state *state)
{
	return Min(state->ks[state->k_count - 1], state->block->index.count);
}

/* The first row of a group whose index is not NULL. */
static top_k_state *
begin_group(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	top_k_state *state = palloc0(sizeof(top_k_state));

	state->context = context;
	read_ks(fcinfo, state);
	state->block = tfrs_block_cache_get(&state->site, context, PG_GETARG_DATUM(INDEX),
										TFRS_BLOCK_INDEX);
	state->room = Min(MOST_ROWS, MOST_NUMBERS / (largest_k(state) + state->block->index.dim));
	state->waiting = palloc(state->room * sizeof(waiting_row));
	state->queries = palloc_extended(state->room * state->block->index.dim * sizeof(float),
									 MCXT_ALLOC_HUGE);
	MemoryContextSwitchTo(caller);
	return state;
}

/* The state of the row's group, NULL while all its indexes were NULL. */
static top_k_state *
state_of_row(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	top_k_state *state = PG_ARGISNULL(STATE) ? NULL : (top_k_state *) PG_GETARG_POINTER(STATE);

	context = tfrs_bridge_aggregate(fcinfo, true);
	if (PG_ARGISNULL(INDEX))
		return state;
	if (state == NULL)
		return begin_group(fcinfo, context);
	check_same_ks(fcinfo, state);
	if (!tfrs_block_site_holds(&state->site, PG_GETARG_DATUM(INDEX)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the index must be the same for all rows of a group"),
				 errhint("Add GROUP BY a column that tells the indexes apart.")));
	return state;
}

/* Candidates of a ranking before the row's own: those that keep it out of the first k. */
static size_t
places_before(const waiting_row *waiting, const tfrs_hit *hits, size_t count)
{
	size_t		place = 0;

	if (waiting->row != TFRS_NO_ROW)
	{
		while (place < count && hits[place].row != waiting->row)
			place++;
		return place < count ? place : SIZE_MAX;
	}
	while (place < count && hits[place].score > waiting->score)
		place++;
	return place;
}

static void
count_row(top_k_state *state, const waiting_row *waiting, const tfrs_hit *hits, size_t count)
{
	size_t		before = places_before(waiting, hits, count);

	for (int i = 0; i < state->k_count; i++)
		if (before < state->ks[i])
			state->hits[i] += waiting->weight;
	state->weight += waiting->weight;
	state->rows++;
}

/* The exact rankings of the rows that wait, hits (count, stride). */
static void
rank_waiting(const top_k_state *state, size_t stride, tfrs_hit *hits, size_t *counts)
{
	tfrs_search *searches = palloc(state->count * sizeof(tfrs_search));
	tfrs_index_queries queries = {
		.count = state->count,
		.queries = state->queries,
		.searches = searches,
		.threads = tfrs_settings_threads(),
		.stride = stride,
		.hits = hits,
		.counts = counts
	};
	tfrs_index_many *many;
	tfrs_arena	arena;
	tfrs_status status;
	tfrs_error	error;

	for (size_t i = 0; i < state->count; i++)
	{
		tfrs_search_default(&searches[i]);
		searches[i].k = stride;
		searches[i].exact = true;
	}
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_many_begin(&many, &state->block->index, &queries, &arena, &error),
			   &error);
	while ((status = tfrs_index_many_step(many)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	tfrs_check(status, &error);
	tfrs_index_many_destroy(many);
	pfree(searches);
}

static void
count_waiting(top_k_state *state)
{
	size_t		stride = largest_k(state);
	tfrs_hit   *hits = palloc(state->count * stride * sizeof(tfrs_hit));
	size_t	   *counts = palloc(state->count * sizeof(size_t));

	rank_waiting(state, stride, hits, counts);
	for (size_t i = 0; i < state->count; i++)
		count_row(state, &state->waiting[i], hits + i * stride, counts[i]);
	pfree(hits);
	pfree(counts);
	state->count = 0;
}

static void
add_row(FunctionCallInfo fcinfo, top_k_state *state, const tfrs_embedding *query,
		waiting_row waiting)
{
	waiting.weight = tfrs_weight_read(fcinfo, WEIGHT);
	memcpy(state->queries + state->count * query->dim, query->values, query->dim * sizeof(float));
	state->waiting[state->count++] = waiting;
	if (state->count == state->room)
		count_waiting(state);
}

static const tfrs_embedding *
read_query(FunctionCallInfo fcinfo, const top_k_state *state)
{
	const tfrs_embedding *query = TFRS_GETARG_EMBEDDING(QUERY);

	tfrs_embedding_check_same_dim((int) state->block->index.dim, query->dim);
	return query;
}

static bool
is_skipped(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(QUERY) || PG_ARGISNULL(TRUE_CANDIDATE) || PG_ARGISNULL(INDEX);
}

/* (internal, query embedding, true_candidate text, sample_weight float8, index candidate_index,
 * ks bigint[]) -> internal */
Datum
tfrs_factorized_top_k_id_row(PG_FUNCTION_ARGS)
{
	top_k_state *state = state_of_row(fcinfo);
	waiting_row waiting = {.score = -INFINITY};
	const tfrs_id_view *ids;
	text	   *candidate;

	if (state == NULL)
		PG_RETURN_NULL();
	if (is_skipped(fcinfo))
		PG_RETURN_POINTER(state);
	ids = &state->block->candidates;
	candidate = PG_GETARG_TEXT_PP(TRUE_CANDIDATE);
	waiting.row = tfrs_id_view_find(ids, tfrs_id_from_text(ids->tag, VARDATA_ANY(candidate),
														   VARSIZE_ANY_EXHDR(candidate),
														   "candidate"));
	/* one that is not in the index is among no first k */
	if (waiting.row == TFRS_NO_ROW)
		waiting.row = (uint32) ids->count;
	add_row(fcinfo, state, read_query(fcinfo, state), waiting);
	PG_RETURN_POINTER(state);
}

/* The score that the index would give a candidate with this embedding. */
static float
score_of(const tfrs_index *index, const tfrs_embedding *query, const tfrs_embedding *candidate)
{
	tfrs_corpus corpus = {
		.metric = index->metric, .count = 1, .dim = index->dim, .vectors = candidate->values
	};
	tfrs_scorer scorer;
	tfrs_error	error;

	tfrs_check(tfrs_scorer_init(&scorer, &corpus, query->values, &error), &error);
	return tfrs_scorer_score(&scorer, 0);
}

/* (internal, query embedding, true_candidate embedding, sample_weight float8,
 * index candidate_index, ks bigint[]) -> internal */
Datum
tfrs_factorized_top_k_score_row(PG_FUNCTION_ARGS)
{
	top_k_state *state = state_of_row(fcinfo);
	waiting_row waiting = {.row = TFRS_NO_ROW};
	const tfrs_embedding *query;
	const tfrs_embedding *candidate;

	if (state == NULL)
		PG_RETURN_NULL();
	if (is_skipped(fcinfo))
		PG_RETURN_POINTER(state);
	query = read_query(fcinfo, state);
	candidate = TFRS_GETARG_EMBEDDING(TRUE_CANDIDATE);
	tfrs_embedding_check_same_dim((int) state->block->index.dim, candidate->dim);
	waiting.score = score_of(&state->block->index, query, candidate);
	add_row(fcinfo, state, query, waiting);
	PG_RETURN_POINTER(state);
}

/* {"1": accuracy, ...}; weights that sum to 0 give 0, as in Keras. */
Datum
tfrs_factorized_top_k_finish(PG_FUNCTION_ARGS)
{
	top_k_state *state = PG_ARGISNULL(0) ? NULL : (top_k_state *) PG_GETARG_POINTER(0);
	StringInfoData json;

	tfrs_bridge_aggregate(fcinfo, true);
	if (state != NULL && state->count > 0)
		count_waiting(state);
	if (state == NULL || state->rows == 0)
		PG_RETURN_NULL();
	initStringInfo(&json);
	for (int i = 0; i < state->k_count; i++)
	{
		char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

		double_to_shortest_decimal_buf(state->weight > 0 ? state->hits[i] / state->weight : 0,
									   text);
		appendStringInfo(&json, "%s\"%u\": %s", i == 0 ? "{" : ", ", state->ks[i], text);
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}
