/*
 * materialize.c: tfrs.materialize, the recommendations of all queries in one pass.
 *
 *     interactions in the order of the query -> profiles -> slice of queries -> hits -> difference
 *
 * Everything is read as the caller, the interactions under one snapshot: outside of a transaction
 * block a held cursor goes on over the commits, one after each slice of whole queries.  Answers
 * are those that tfrs.recommend gives the same caller.
 *
 * First all locks are taken, which may have to wait for a load or a migration, and then the
 * snapshot, so that it sees what they have left.  Only then the version and the types of columns
 * are looked up, which can't change any more.  The queries are read in the order of the target's
 * column, by which the slices are bounded there.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "base/limits.h"
#include "server/host/bridge.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/search/model_query.h"
#include "server/recommender/pick_rules.h"
#include "server/search/query_slice.h"
#include "server/recommender/profile_cursor.h"
#include "server/recommender/recommendation_table.h"
#include "server/recommender/recommender_sources.h"
#include "server/host/settings.h"
#include "server/recommender/statement.h"
#include "server/recommender/live_relation.h"
#include "server/recommender/live_rows.h"
#include "server/recommender/store.h"

enum
{
	RECOMMENDER,
	TARGET,
	K,
	INCLUDE_SEEN,
	IN_ONE_TRANSACTION,
	TOLERANCE,
	VERSION,
	RULES						/* four of them */
};

/* Rows of a slice, and queries: a transaction of some tenths of a second. */
#define SLICE_ROWS 50000
#define MOST_QUERIES 4096

typedef struct slice_query
{
	Datum		value;			/* of the column, in the slice's memory */
	tfrs_answer answer;
} slice_query;

typedef struct materialize_job
{
	MemoryContext context;		/* lives over commits */
	bool		commits;
	const tfrs_recommender *recommender;
	int			version;		/* 0: the one in use */
	tfrs_block_site site;
	const tfrs_cached_block *block;
	const tfrs_model *model;
	bool		include_seen;
	double		tolerance;
	char	  **labels;			/* (N) */
	tfrs_pick_rules rules;
	char	  **values;			/* (N, columns of the rules) */
	size_t		k;				/* rows of a query: what is searched for may be more */
	tfrs_recommendation_table table;
	tfrs_profile_cursor cursor;	/* over the interactions */
	tfrs_query_slice slice;
	slice_query *queries;		/* (room) those of the slice */
	bool		has_last;		/* of the slice before */
	Datum		last;			/* in context */
	uint64		answered;		/* queries */
} materialize_job;

PG_FUNCTION_INFO_V1(tfrs_materialize);

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
}

/* ERROR where a candidate that may be shown is no value of the column's type any more. */
static void
check_candidate(const materialize_job *job, uint32 row)
{
	const tfrs_id_view *ids = &job->block->candidates;
	tfrs_id		id = tfrs_id_view_get(ids, row);
	Oid			type = job->table.candidate_type;

	if (tfrs_id_is_of_type(ids->tag, id, type))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("candidate \"%s\" of version %d is not a value of type %s",
					tfrs_id_to_cstring(ids->tag, id), job->version, format_type_be(type)),
			 errdetail("Column \"%s\" of %s is of that type.", job->recommender->candidate_column,
					   tfrs_relation_text(job->recommender->interactions)),
			 errhint("CALL tfrs.refresh(name).")));
}

/* What may be shown of the candidates becomes a part of each search. */
static void
read_candidates(materialize_job *job)
{
	const tfrs_id_view *ids = &job->block->candidates;
	bool	   *available = allocate(ids->count, sizeof(bool));
	uint32	   *shown = allocate(ids->count, sizeof(uint32));
	uint32	   *hidden = allocate(ids->count, sizeof(uint32));
	size_t		shown_count = 0;
	size_t		hidden_count = 0;
	tfrs_shown	read;

	job->labels = allocate(ids->count, sizeof(char *));
	job->values = allocate(ids->count * job->rules.columns, sizeof(char *));
	read = (tfrs_shown) {available, job->labels, job->rules.columns, job->rules.column,
	job->values};
	tfrs_live_candidates_read_all(job->recommender, ids, &read);
	for (size_t row = 0; row < ids->count; row++)
	{
		if (!available[row])
			hidden[hidden_count++] = (uint32) row;
		else
		{
			check_candidate(job, (uint32) row);
			shown[shown_count++] = (uint32) row;
		}
	}
	/* the shorter list: each query's search reads it */
	job->slice.search.has_among = hidden_count > shown_count;
	job->slice.search.among = shown;
	job->slice.search.among_count = job->slice.search.has_among ? shown_count : 0;
	job->slice.search.excluded = hidden;
	job->slice.search.excluded_count = job->slice.search.has_among ? 0 : hidden_count;
}

static void
open_model(materialize_job *job)
{
	job->block = tfrs_store_model(job->recommender, job->version, &job->site, job->context);
	job->model = &job->block->model;
	tfrs_recommender_check_model(job->recommender, &job->model->query_ids,
								 &job->block->candidates);
	if (job->version == 0)
		job->version = job->recommender->current_version;
}

static void
prepare_slices(materialize_job *job)
{
	size_t		k;

	job->k = job->slice.search.k;
	if (tfrs_pick_rules_choose(&job->rules))
	{
		tfrs_selection selection = tfrs_pick_rules_selection(&job->rules, job->k, job->model,
															 &job->block->index);

		job->slice.search.k = tfrs_selection_ask(&selection);
	}
	k = Min(job->slice.search.k, job->block->index.count);
	job->slice.model = job->model;
	job->slice.candidates = &job->block->candidates;
	job->slice.index = &job->block->index;
	tfrs_query_slice_begin(&job->slice, Max(Min(SLICE_ROWS / Max(k, 1), MOST_QUERIES), 1));
	job->queries = allocate(job->slice.room, sizeof(slice_query));
}

static void
open_interactions(materialize_job *job)
{
	tfrs_profile_cursor *cursor = &job->cursor;

	cursor->recommender = job->recommender;
	cursor->query_type = job->table.query_type;
	cursor->candidate_type = job->table.candidate_type;
	cursor->collation = job->table.collation;
	cursor->held = job->commits;
	tfrs_profile_cursor_open(cursor);
}

/* Puts the query into the slice. */
static void
add_query(materialize_job *job, Datum value, const tfrs_profile *profile)
{
	slice_query *query = &job->queries[job->slice.waiting];
	float	   *vector;
	tfrs_search *search = tfrs_query_slice_next(&job->slice, &vector);

	query->value = value;
	query->answer = tfrs_profile_answer(profile, TFRS_UNKNOWN_POPULAR, vector);
	tfrs_profile_exclude(profile, job->include_seen, search);
	if (query->answer == TFRS_ANSWER_POPULAR)
		tfrs_query_slice_add_popular(&job->slice);
	else
		tfrs_query_slice_add(&job->slice, &profile->list);
}

static void
allocate_rows(tfrs_recommendation_rows *rows, size_t count)
{
	rows->queries = allocate(count, sizeof(Datum));
	rows->ranks = allocate(count, sizeof(int32));
	rows->candidates = allocate(count, sizeof(Datum));
	rows->labels = allocate(count, sizeof(char *));
	rows->scores = allocate(count, sizeof(float));
	rows->percentiles = allocate(count, sizeof(double));
	rows->sources = allocate(count, sizeof(char *));
}

/* The best k candidates of a query of the slice, one after another and not with all. */
static tfrs_hit *
find_more(const materialize_job *job, size_t query, size_t k, size_t *count)
{
	const tfrs_query_slice *slice = &job->slice;
	tfrs_hit   *hits = allocate(k, sizeof(tfrs_hit));
	tfrs_search search = slice->searches[query];
	tfrs_arena	arena;
	tfrs_error	error;

	search.k = k;
	if (slice->popular[query] != NULL)
	{
		search.has_among = slice->search.has_among;
		search.among_count = slice->search.among_count;
		*count = tfrs_popular_candidates(job->model, slice->candidates, &search, hits);
		return hits;
	}
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_search(slice->index, slice->vectors + query * slice->index->dim, &search,
								 &arena, hits, count, &error), &error);
	tfrs_arena_free(&arena);
	return hits;
}

/* Whether the rules choose k of the hits, or have all to choose from; *hits becomes their choice. */
static bool
choose(const materialize_job *job, const tfrs_hit **hits, size_t *count, bool is_all)
{
	const tfrs_pick_rules *rules = &job->rules;
	tfrs_selection selection = tfrs_pick_rules_selection(rules, job->k, job->model,
														 job->slice.index);
	char	  **values = allocate(*count * rules->columns, sizeof(char *));
	uint32_t   *picked = allocate(job->k, sizeof(uint32_t));
	tfrs_hit   *chosen = allocate(job->k, sizeof(tfrs_hit));
	bool		enough;

	for (size_t i = 0; i < *count && rules->columns > 0; i++)
		memcpy(values + i * rules->columns,
			   job->values + (size_t) (*hits)[i].row * rules->columns,
			   rules->columns * sizeof(char *));
	selection.hits = *hits;
	selection.count = *count;
	selection.is_all = is_all;
	enough = tfrs_pick_rules_run(rules, &selection, values, picked, count);
	for (size_t i = 0; enough && i < *count; i++)
		chosen[i] = (*hits)[picked[i]];
	*hits = enough ? chosen : *hits;
	pfree(values);
	pfree(picked);
	return enough;
}

/* What is given to a query of the slice. */
static const tfrs_hit *
hits_of(const materialize_job *job, size_t query, size_t *count)
{
	const tfrs_hit *hits = tfrs_query_slice_hits(&job->slice, query, count);
	size_t		all = job->block->index.count;
	size_t		ask = job->slice.k;

	if (!tfrs_pick_rules_choose(&job->rules))
		return hits;
	while (!choose(job, &hits, count, *count < ask || ask == all))
	{
		ask = Min(4 * ask, all);
		CHECK_FOR_INTERRUPTS();
		hits = find_more(job, query, ask, count);
	}
	return hits;
}

static void
add_rows(const materialize_job *job, tfrs_recommendation_rows *rows, size_t query_number)
{
	const slice_query *query = &job->queries[query_number];
	size_t		count;
	const tfrs_hit *hits = hits_of(job, query_number, &count);
	tfrs_id_writer writer = {0};

	tfrs_id_writer_init(&writer, &job->block->candidates, job->table.candidate_type,
						CurrentMemoryContext);
	for (size_t i = 0; i < count; i++)
	{
		size_t		row = rows->count++;

		rows->queries[row] = query->value;
		rows->ranks[row] = (int32) i + 1;
		rows->candidates[row] = tfrs_id_write(&writer, tfrs_id_view_get(&job->block->candidates,
																		hits[i].row));
		rows->labels[row] = job->labels[hits[i].row];
		rows->scores[row] = hits[i].score;
		rows->percentiles[row] = 1 - (double) i / (double) count;
		rows->sources[row] = tfrs_answer_name(query->answer, job->model);
	}
}

/* The bounds of the queries that the slice stands for. */
static void
set_bounds(materialize_job *job, tfrs_recommendation_rows *rows, bool is_last)
{
	rows->has_first = job->has_last;
	rows->first = job->last;
	rows->has_last = !is_last;
	if (!is_last)
		rows->last = job->queries[job->slice.waiting - 1].value;
}

/* Keeps the last query of the slice for the next one. */
static void
keep_bound(materialize_job *job, const tfrs_recommendation_rows *rows)
{
	MemoryContext caller = MemoryContextSwitchTo(job->context);

	job->has_last = true;
	job->last = tfrs_profile_cursor_copy(&job->cursor, rows->last);
	MemoryContextSwitchTo(caller);
}

/* Answers the queries that wait and writes what has changed.  is_last: no queries follow. */
static void
write_slice(materialize_job *job, bool is_last)
{
	MemoryContext caller = MemoryContextSwitchTo(job->slice.memory);
	tfrs_recommendation_rows rows = {0};

	tfrs_query_slice_answer(&job->slice);
	allocate_rows(&rows, job->slice.waiting * Min(job->k, job->slice.k));
	for (size_t i = 0; i < job->slice.waiting; i++)
		add_rows(job, &rows, i);
	set_bounds(job, &rows, is_last);
	tfrs_recommendation_table_write(&job->table, &rows, job->version, job->tolerance);
	if (!is_last)
		keep_bound(job, &rows);
	MemoryContextSwitchTo(caller);
	job->answered += job->slice.waiting;
	tfrs_query_slice_clear(&job->slice);
	if (job->commits)
		SPI_commit();
}

/* The query before the one at hand, or NULL. */
static const Datum *
last_query(const materialize_job *job)
{
	if (job->slice.waiting > 0)
		return &job->queries[job->slice.waiting - 1].value;
	return job->has_last ? &job->last : NULL;
}

/* All queries, slice by slice. */
static void
answer_queries(materialize_job *job)
{
	bool		more = tfrs_profile_cursor_begin(&job->cursor);

	while (more)
	{
		MemoryContext caller;
		tfrs_profile profile;
		Datum		query;

		if (tfrs_query_slice_is_full(&job->slice))
			write_slice(job, false);
		caller = MemoryContextSwitchTo(job->slice.memory);
		query = tfrs_profile_cursor_query(&job->cursor, last_query(job));
		more = tfrs_profile_cursor_read(&job->cursor, job->model, query, &profile);
		if (profile.chosen)
			add_query(job, query, &profile);
		MemoryContextSwitchTo(caller);
	}
	write_slice(job, true);
}

static void
read_arguments(FunctionCallInfo fcinfo, materialize_job *job)
{
	tfrs_bridge_need_argument(fcinfo, RECOMMENDER, "name");
	tfrs_bridge_need_argument(fcinfo, TARGET, "target");
	tfrs_search_default(&job->slice.search);
	job->include_seen = !PG_ARGISNULL(INCLUDE_SEEN) && PG_GETARG_BOOL(INCLUDE_SEEN);
	job->tolerance = PG_ARGISNULL(TOLERANCE) ? 0 : PG_GETARG_FLOAT8(TOLERANCE);
	if (!(job->tolerance >= 0 && job->tolerance < INFINITY))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"tolerance\" must not be negative, but is %g", job->tolerance)));
	job->version = tfrs_search_version(fcinfo, VERSION);
	job->commits = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic && !IsSubTransaction() &&
		(PG_ARGISNULL(IN_ONE_TRANSACTION) || !PG_GETARG_BOOL(IN_ONE_TRANSACTION));
}

static void
tell(const materialize_job *job)
{
	const tfrs_recommendation_table *table = &job->table;

	ereport(NOTICE,
			(errmsg("version %d of \"%s\" for " UINT64_FORMAT " queries in %s: " UINT64_FORMAT
					" rows added, " UINT64_FORMAT " changed, " UINT64_FORMAT " removed",
					job->version, job->recommender->name, job->answered, table->name,
					table->added, table->changed, table->removed)));
}

/*
 * Where this procedure commits, what the caller reads meanwhile (a loop over a query) is read to its
 * end, as a COMMIT in this place would do it: as the caller and with his settings.  The
 * transaction that follows sees what is committed while it waits for locks.
 */
static void
begin_own_transactions(const materialize_job *job)
{
	if (!job->commits)
		return;
	HoldPinnedPortals();
	if (!IsolationUsesXactSnapshot())
		return;
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
}

static bool
has_sources_of(const tfrs_recommender *recommender, const tfrs_recommender *other)
{
	return recommender->store == other->store &&
		recommender->interactions == other->interactions &&
		recommender->candidates == other->candidates;
}

/*
 * Waits for all that is read, then takes a snapshot, which is active from here on, and looks at the
 * recommender again.
 */
static void
lock_sources(materialize_job *job)
{
	for (;;)
	{
		const tfrs_recommender *before = job->recommender;

		tfrs_recommender_check_sources(before);
		tfrs_live_lock(before);
		PushActiveSnapshot(GetTransactionSnapshot());
		job->recommender = tfrs_recommender_find(before->name);
		if (has_sources_of(job->recommender, before))
			break;
		PopActiveSnapshot();
	}
	tfrs_recommender_check_sources(job->recommender);
}

/* Up to the cursor, for which the snapshot was taken. */
static void
open_all(FunctionCallInfo fcinfo, materialize_job *job, int k)
{
	text	   *target = PG_GETARG_TEXT_PP(TARGET);

	tfrs_recommendation_table_lock(&job->table, target, job->commits);
	lock_sources(job);
	open_model(job);
	tfrs_recommendation_table_open(&job->table, job->recommender, target, k);
	job->slice.search.k = (size_t) job->table.k;
	tfrs_pick_rules_read(fcinfo, RULES, job->recommender, &job->rules);
	read_candidates(job);
	tfrs_pick_rules_boost(&job->rules, &job->block->candidates, &job->slice.search);
	prepare_slices(job);
	open_interactions(job);
	PopActiveSnapshot();
}

Datum
tfrs_materialize(PG_FUNCTION_ARGS)
{
	materialize_job *job;
	MemoryContext context;
	bool		nonatomic = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic;

	PreventCommandDuringRecovery("a materialization");
	PreventCommandIfReadOnly("a materialization");
	if (SPI_connect_ext(nonatomic ? SPI_OPT_NONATOMIC : 0) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
	context = AllocSetContextCreate(nonatomic ? PortalContext : CurTransactionContext,
									"tfrs materialization", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	job = palloc0(sizeof(materialize_job));
	job->context = context;
	read_arguments(fcinfo, job);
	job->recommender = tfrs_recommender_find(text_to_cstring(PG_GETARG_TEXT_PP(RECOMMENDER)));
	begin_own_transactions(job);
	open_all(fcinfo, job, PG_ARGISNULL(K) ? -1 : (int) tfrs_search_k(fcinfo, K));
	answer_queries(job);
	tfrs_profile_cursor_close(&job->cursor);
	tfrs_recommendation_table_close(&job->table);
	tell(job);
	SPI_finish();
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
