/*
 * materialize.c: tfrs.materialize, the recommendations of all queries in one pass.
 *
 *     interactions in the order of the query -> profiles -> slice of queries -> hits -> difference
 *
 * Everything is read as the caller, the interactions under one snapshot: outside of a transaction
 * block a held cursor goes on over the commits, one after each slice of whole queries.  Answers
 * are those that tfrs.recommend gives the same caller.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "base/limits.h"
#include "server/bridge.h"
#include "server/candidate_ids.h"
#include "server/compat.h"
#include "server/model_query.h"
#include "server/profile.h"
#include "server/recommendation_table.h"
#include "server/recommender_sources.h"
#include "server/row_reader.h"
#include "server/run_as.h"
#include "server/settings.h"
#include "server/live_relation.h"
#include "server/live_rows.h"
#include "server/store.h"

enum
{
	RECOMMENDER,
	TARGET,
	K,
	INCLUDE_SEEN,
	IN_ONE_TRANSACTION,
	TOLERANCE,
	VERSION
};

/* Rows of a slice, and queries: a transaction of some tenths of a second. */
#define SLICE_ROWS 50000
#define MOST_QUERIES 4096

/* Interactions fetched at once. */
#define FETCH_ROWS 10000

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
	int			version;
	tfrs_block_site site;
	const tfrs_cached_block *block;
	const tfrs_model *model;
	bool		include_seen;
	double		tolerance;
	char	  **labels;			/* (N) */
	tfrs_search search;			/* of each query, but for what it has seen */
	size_t		k;				/* min(k, N) */
	tfrs_arena	arena;
	tfrs_recommendation_table table;
	/* interactions */
	Portal		portal;
	uint64		fetched;		/* rows of SPI_tuptable */
	SPITupleTable *rows;
	uint64		next;
	tfrs_id_reader query_reader;
	tfrs_id_reader candidate_reader;
	Oid			at_type;		/* InvalidOid: without times */
	/* slice */
	MemoryContext slice_context;
	size_t		room;
	size_t		waiting;
	slice_query *queries;		/* (room) */
	tfrs_search *searches;		/* (room) */
	float	   *vectors;		/* (room, D) */
	tfrs_hit   *hits;			/* (room, k) */
	size_t	   *counts;			/* (room) */
	tfrs_hit   *popular;		/* (k); NULL: not needed yet */
	size_t		popular_count;
	bool		has_last;		/* of the slice before */
	Datum		last;			/* in context */
	uint64		answered;		/* queries */
	MemoryContextCallback end;
} materialize_job;

PG_FUNCTION_INFO_V1(tfrs_materialize);

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
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

	job->labels = allocate(ids->count, sizeof(char *));
	tfrs_live_candidates_read_all(job->recommender, ids, available, job->labels);
	for (size_t row = 0; row < ids->count; row++)
	{
		if (available[row])
			shown[shown_count++] = (uint32) row;
		else
			hidden[hidden_count++] = (uint32) row;
	}
	/* the shorter list: each query's search reads it */
	job->search.has_among = hidden_count > shown_count;
	job->search.among = shown;
	job->search.among_count = job->search.has_among ? shown_count : 0;
	job->search.excluded = hidden;
	job->search.excluded_count = job->search.has_among ? 0 : hidden_count;
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
	size_t		dim = job->block->index.dim;

	job->k = Min(job->search.k, job->block->index.count);
	job->room = Max(Min(SLICE_ROWS / Max(job->k, 1), MOST_QUERIES), 1);
	job->queries = allocate(job->room, sizeof(slice_query));
	job->searches = allocate(job->room, sizeof(tfrs_search));
	job->vectors = allocate(job->room * dim, sizeof(float));
	job->hits = allocate(job->room * job->k, sizeof(tfrs_hit));
	job->counts = allocate(job->room, sizeof(size_t));
	job->slice_context = AllocSetContextCreate(job->context, "tfrs slice of queries",
											   ALLOCSET_DEFAULT_SIZES);
	tfrs_bridge_arena(&job->arena, job->context, tfrs_settings_memory_bytes());
}

/*
 * A cursor over the interactions.  Held where there will be commits: then all of it is read
 * here.
 */
static void
open_interactions(materialize_job *job)
{
	tfrs_run_as scope;
	char	   *sql = tfrs_live_events_statement(job->recommender);
	SPIPlanPtr	plan;

	tfrs_run_as_reader(&scope, tfrs_live_reader(job->recommender));
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	job->portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	if (job->commits)
	{
		PinPortal(job->portal);
		HoldPinnedPortals();
	}
	tfrs_run_as_end(&scope);
}

static void
close_interactions(materialize_job *job)
{
	if (job->commits)
		UnpinPortal(job->portal);
	SPI_cursor_close(job->portal);
}

/* The next rows; false at the end. */
static bool
fetch(materialize_job *job)
{
	tfrs_run_as scope;

	if (job->rows != NULL)
		SPI_freetuptable(job->rows);
	tfrs_run_as_reader(&scope, tfrs_live_reader(job->recommender));
	SPI_cursor_fetch(job->portal, true, FETCH_ROWS);
	tfrs_run_as_end(&scope);
	job->rows = SPI_tuptable;
	job->fetched = SPI_processed;
	job->next = 0;
	return job->fetched > 0;
}

static void
prepare_readers(materialize_job *job)
{
	TupleDesc	columns = job->rows->tupdesc;

	tfrs_id_reader_init(&job->query_reader, SPI_gettypeid(columns, 1), "query");
	tfrs_id_reader_init(&job->candidate_reader, SPI_gettypeid(columns, 2), "candidate");
	job->at_type = columns->natts < 3 ? InvalidOid : getBaseType(SPI_gettypeid(columns, 3));
}

static Datum
column_value(const materialize_job *job, int column, bool *null)
{
	return SPI_getbinval(job->rows->vals[job->next], job->rows->tupdesc, column, null);
}

/* Keeps the query of the row at hand in the slice's memory. */
static Datum
copy_query(const materialize_job *job)
{
	bool		by_value;
	int16		length;
	bool		null;

	get_typlenbyval(job->table.query_type, &length, &by_value);
	return datumCopy(column_value(job, 1, &null), by_value, length);
}

static tfrs_id
query_id(const materialize_job *job, Datum value)
{
	return tfrs_id_read_as(&job->query_reader, job->model->query_ids.tag, value, "query");
}

static void
add_event(const materialize_job *job, tfrs_profile *profile)
{
	const tfrs_id_view *ids = &job->model->candidate_ids;
	int64		at = 0;
	bool		null;
	Datum		value = column_value(job, 2, &null);
	tfrs_id		id = tfrs_id_read_as(&job->candidate_reader, ids->tag, value, "candidate");
	uint32		row = tfrs_id_view_find(ids, id);

	if (OidIsValid(job->at_type))
	{
		NullableDatum time;

		time.value = column_value(job, 3, &time.isnull);
		at = tfrs_time_of(job->at_type, &time);
	}
	tfrs_profile_add(profile, row, at);
}

/* Reads all rows of the query of the row at hand; false at the end of the rows. */
static bool
read_profile(materialize_job *job, Datum query, tfrs_profile *profile)
{
	tfrs_id		id = query_id(job, query);

	tfrs_profile_begin(profile, job->model, id, OidIsValid(job->at_type));
	tfrs_profile_set_live(profile);
	for (;; job->next++)
	{
		bool		null;

		if (job->next == job->fetched)
		{
			CHECK_FOR_INTERRUPTS();
			if (!fetch(job))
				break;
		}
		if (tfrs_id_compare(query_id(job, column_value(job, 1, &null)), id) != 0)
			break;
		add_event(job, profile);
	}
	tfrs_profile_finish(profile);
	return job->fetched > 0;
}

/* What is popular among what may be shown, for the queries that nothing is known of. */
static void
find_popular(materialize_job *job)
{
	if (job->popular != NULL)
		return;
	job->popular = MemoryContextAllocHuge(job->context, job->k * sizeof(tfrs_hit) + 1);
	job->popular_count = tfrs_popular_candidates(job->model, &job->block->candidates,
												 &job->search, job->popular);
}

/* Puts the query into the slice. */
static void
add_query(materialize_job *job, Datum value, const tfrs_profile *profile)
{
	slice_query *query = &job->queries[job->waiting];
	tfrs_search *search = &job->searches[job->waiting];
	size_t		dim = job->block->index.dim;
	float	   *vector = job->vectors + job->waiting++ * dim;

	*search = job->search;
	query->value = value;
	query->answer = tfrs_profile_answer(profile, TFRS_UNKNOWN_POPULAR, vector);
	if (query->answer != TFRS_ANSWER_POPULAR)
	{
		if (!job->include_seen)
			tfrs_profile_exclude(profile, search);
		return;
	}
	/* no vector to search for */
	find_popular(job);
	memset(vector, 0, dim * sizeof(float));
	search->has_among = true;
	search->among_count = 0;
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

static void
add_rows(const materialize_job *job, tfrs_recommendation_rows *rows, const slice_query *query,
		 const tfrs_hit *hits, size_t count)
{
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
		rows->sources[row] = tfrs_answer_name(query->answer);
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
		rows->last = job->queries[job->waiting - 1].value;
}

/* Keeps the last query of the slice for the next one. */
static void
keep_bound(materialize_job *job, const tfrs_recommendation_rows *rows)
{
	MemoryContext caller = MemoryContextSwitchTo(job->context);
	bool		by_value;
	int16		length;

	get_typlenbyval(job->table.query_type, &length, &by_value);
	job->has_last = true;
	job->last = datumCopy(rows->last, by_value, length);
	MemoryContextSwitchTo(caller);
}

/* Answers the queries that wait and writes what has changed.  is_last: no queries follow. */
static void
write_slice(materialize_job *job, bool is_last)
{
	tfrs_index_queries queries = {
		job->waiting, job->vectors, job->searches, tfrs_settings_threads(), job->k, job->hits,
		job->counts
	};
	MemoryContext caller = MemoryContextSwitchTo(job->slice_context);
	tfrs_recommendation_rows rows = {0};

	if (job->waiting > 0)
		tfrs_search_many(&job->block->index, &queries, &job->arena);
	allocate_rows(&rows, job->waiting * job->k);
	for (size_t b = 0; b < job->waiting; b++)
	{
		const slice_query *query = &job->queries[b];

		if (query->answer == TFRS_ANSWER_POPULAR)
			add_rows(job, &rows, query, job->popular, job->popular_count);
		else
			add_rows(job, &rows, query, job->hits + b * job->k, job->counts[b]);
	}
	set_bounds(job, &rows, is_last);
	tfrs_recommendation_table_write(&job->table, &rows, job->version, job->tolerance);
	if (!is_last)
		keep_bound(job, &rows);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(job->slice_context);
	job->answered += job->waiting;
	job->waiting = 0;
	if (job->commits)
		SPI_commit();
}

/* All queries, slice by slice. */
static void
answer_queries(materialize_job *job)
{
	bool		more = fetch(job);

	if (more)
		prepare_readers(job);
	while (more)
	{
		MemoryContext caller;
		tfrs_profile profile;
		Datum		query;

		if (job->waiting == job->room)
			write_slice(job, false);
		caller = MemoryContextSwitchTo(job->slice_context);
		query = copy_query(job);
		more = read_profile(job, query, &profile);
		add_query(job, query, &profile);
		MemoryContextSwitchTo(caller);
	}
	write_slice(job, true);
}

static void
need_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be NULL", name)));
}

static void
read_arguments(FunctionCallInfo fcinfo, materialize_job *job)
{
	need_argument(fcinfo, RECOMMENDER, "name");
	need_argument(fcinfo, TARGET, "target");
	tfrs_search_default(&job->search);
	job->include_seen = !PG_ARGISNULL(INCLUDE_SEEN) && PG_GETARG_BOOL(INCLUDE_SEEN);
	job->tolerance = PG_ARGISNULL(TOLERANCE) ? 0 : PG_GETARG_FLOAT8(TOLERANCE);
	if (!(job->tolerance >= 0 && job->tolerance < INFINITY))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"tolerance\" must not be negative, but is %g", job->tolerance)));
	job->version = tfrs_search_version(fcinfo, VERSION);
	job->commits = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic &&
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

static void
forget_plan(void *argument)
{
	tfrs_recommendation_table_forget_plan(&((materialize_job *) argument)->table);
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
	job->end.func = forget_plan;
	job->end.arg = job;
	MemoryContextRegisterResetCallback(context, &job->end);
	read_arguments(fcinfo, job);
	job->recommender = tfrs_recommender_find(text_to_cstring(PG_GETARG_TEXT_PP(RECOMMENDER)));
	tfrs_recommender_check_sources(job->recommender);
	open_model(job);
	tfrs_recommendation_table_open(&job->table, job->recommender, PG_GETARG_TEXT_PP(TARGET),
								   PG_ARGISNULL(K) ? -1 : (int) tfrs_search_k(fcinfo, K),
								   job->commits);
	job->search.k = (size_t) job->table.k;
	read_candidates(job);
	prepare_slices(job);
	open_interactions(job);
	answer_queries(job);
	close_interactions(job);
	tfrs_recommendation_table_close(&job->table, job->commits);
	tell(job);
	SPI_finish();
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
