/*
 * evaluate.c: the aggregates tfrs.evaluate and tfrs.evaluate_lists.
 *
 * The transition turns a row into row numbers of the model at once and keeps them as pairs of eight
 * bytes; ids that the model does not know get numbers behind its own.  The model is found in the
 * block cache with a group's first row and stays pinned; of later rows it is only asked whether
 * they mean the same one.
 *
 * Memory: what is collected may take maintenance_work_mem, the evaluation tfrs.max_memory.  The
 * final function may be called again for the same state, so it keeps its result.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "catalog/pg_type.h"

#include "base/id_sort.h"
#include "learning/evaluation.h"
#include "server/block_cache.h"
#include "server/bridge.h"
#include "server/candidate_ids.h"
#include "server/compat.h"
#include "server/evaluate_report.h"
#include "server/options.h"
#include "server/progress.h"
#include "server/row_reader.h"
#include "server/settings.h"

/* Arguments of both transition functions; options come last where they are given. */
enum
{
	STATE,
	MODEL,
	QUERY,
	CANDIDATE,
	RELEVANT = CANDIDATE,
	EXCLUDE
};

/* Pairs renumbered between two looks at pending interrupts. */
#define PAIRS_AT_ONCE ((size_t) 1 << 20)

typedef struct evaluate_options
{
	tfrs_option_integers ks;
	bool		seen;
	bool		baselines;
} evaluate_options;

typedef struct evaluate_state
{
	MemoryContext context;		/* the aggregate's */
	tfrs_arena	arena;			/* over it, for what is collected */
	evaluate_options options;
	struct varlena *first_options;	/* of the first row, as it came; NULL: it was NULL */
	tfrs_block_site site;
	const tfrs_model *model;
	bool		query_is_json;
	tfrs_id_reader query;		/* unless query_is_json */
	tfrs_id_reader candidate;	/* or element of an array */
	Oid			element_type;	/* that candidate was made for */
	tfrs_id_set unknown_queries;
	tfrs_id_set unknown_candidates;
	tfrs_pair_set relevant;
	tfrs_pair_set excluded;
	tfrs_evaluate_rows rows;
	tfrs_collecting *collecting;
	char	   *report;			/* once finished */
} evaluate_state;

#define FIELD(member) TFRS_OPTION_FIELD(evaluate_options, member)

static const tfrs_option_key evaluate_keys[] = {
	{.name = "ks", .type = TFRS_OPTION_INTEGERS, FIELD(ks), .low = 1, .high = TFRS_MAX_CUTOFF},
	{.name = "seen", .type = TFRS_OPTION_BOOL, FIELD(seen)},
	{.name = "baselines", .type = TFRS_OPTION_BOOL, FIELD(baselines)},
};

static const tfrs_option_scheme evaluate_scheme = {
	"evaluation option", evaluate_keys, lengthof(evaluate_keys)
};

PG_FUNCTION_INFO_V1(tfrs_evaluate_row);
PG_FUNCTION_INFO_V1(tfrs_evaluate_lists_row);
PG_FUNCTION_INFO_V1(tfrs_evaluate_finish);

/* What is collected is bounded: the one wording for too much of it. */
static void
check_collected(tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OVER_BUDGET)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the rows to evaluate do not fit into maintenance_work_mem"),
				 errdetail("%s", error->detail),
				 errhint("Raise maintenance_work_mem, or evaluate a sample of the queries.")));
	tfrs_check(status, error);
}

static void
read_options(FunctionCallInfo fcinfo, evaluate_state *state, int argument)
{
	tfrs_evaluation_options defaults;

	tfrs_evaluation_options_default(&defaults);
	state->options.baselines = defaults.baselines;
	state->options.ks.count = (uint32) defaults.cutoff_count;
	memcpy(state->options.ks.values, defaults.cutoffs,
		   defaults.cutoff_count * sizeof(defaults.cutoffs[0]));
	if (argument >= PG_NARGS() || PG_ARGISNULL(argument))
		return;
	state->first_options = tfrs_options_keep(PG_GETARG_DATUM(argument));
	tfrs_options_read(&evaluate_scheme, PG_GETARG_JSONB_P(argument), &state->options);
}

static void
open_model(evaluate_state *state, Datum model)
{
	tfrs_error	error;
	const tfrs_id_view *queries;
	const tfrs_id_view *candidates;

	state->model = &tfrs_block_cache_get(&state->site, state->context, model,
										 TFRS_BLOCK_MODEL)->model;
	queries = &state->model->query_ids;
	candidates = &state->model->candidate_ids;
	tfrs_check(tfrs_id_set_init(&state->unknown_queries, &state->arena, queries->kind,
								queries->tag, &error), &error);
	tfrs_check(tfrs_id_set_init(&state->unknown_candidates, &state->arena, candidates->kind,
								candidates->tag, &error), &error);
}

/* The first row of a group whose model is not NULL. */
static evaluate_state *
begin_group(FunctionCallInfo fcinfo, MemoryContext context, int options_argument)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	evaluate_state *state = palloc0(sizeof(evaluate_state));
	Oid			query_type = get_fn_expr_argtype(fcinfo->flinfo, QUERY);

	state->context = context;
	state->collecting = tfrs_collecting_of_call(fcinfo->flinfo, "evaluate");
	tfrs_bridge_arena(&state->arena, context, tfrs_bridge_maintenance_memory());
	read_options(fcinfo, state, options_argument);
	state->query_is_json = query_type == JSONBOID;
	if (!state->query_is_json)
		tfrs_id_reader_init(&state->query, query_type, "query");
	tfrs_pair_set_init(&state->relevant, &state->arena);
	tfrs_pair_set_init(&state->excluded, &state->arena);
	open_model(state, PG_GETARG_DATUM(MODEL));
	MemoryContextSwitchTo(caller);
	return state;
}

static void
check_same_model(const evaluate_state *state, Datum model)
{
	if (!tfrs_block_site_holds(&state->site, model))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model must be the same for all rows of a group"),
				 errhint("Add GROUP BY a column that tells the models apart.")));
}

/* The state of the row's group, NULL while all its models were NULL. */
static evaluate_state *
state_of_row(FunctionCallInfo fcinfo, int options_argument)
{
	MemoryContext context;
	evaluate_state *state = PG_ARGISNULL(STATE) ? NULL
		: (evaluate_state *) PG_GETARG_POINTER(STATE);

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "tfrs.evaluate called outside of an aggregate");
	if (PG_ARGISNULL(MODEL))
		return state;
	if (state == NULL)
		return begin_group(fcinfo, context, options_argument);
	tfrs_collecting_count_row(state->collecting);
	if (options_argument < PG_NARGS())
		tfrs_options_check_same(evaluate_scheme.what, state->first_options,
								PG_ARGISNULL(options_argument),
								PG_GETARG_DATUM(options_argument));
	check_same_model(state, PG_GETARG_DATUM(MODEL));
	return state;
}

/* The number of an id: the model's row, or one behind the model's rows. */
static uint32
number_of(const tfrs_id_view *known, tfrs_id_set *unknown, tfrs_id id)
{
	uint32		row = tfrs_id_view_find(known, id);
	tfrs_error	error;

	if (row != TFRS_NO_ROW)
		return row;
	check_collected(tfrs_id_set_add(unknown, id, &row, &error), &error);
	return (uint32) known->count + row;
}

/* The number of the row's query; false for a JSON null. */
static bool
query_number(FunctionCallInfo fcinfo, evaluate_state *state, uint32 *number)
{
	const tfrs_id_view *known = &state->model->query_ids;
	tfrs_id		id;

	if (!state->query_is_json)
		id = tfrs_id_read_as(&state->query, known->tag, PG_GETARG_DATUM(QUERY), "query");
	else if (!tfrs_id_from_json(known->tag, PG_GETARG_JSONB_P(QUERY), "query", &id))
		return false;
	*number = number_of(known, &state->unknown_queries, id);
	return true;
}

static void
add_relevant(evaluate_state *state, uint32 query, Datum candidate)
{
	const tfrs_id_view *known = &state->model->candidate_ids;
	tfrs_id		id = tfrs_id_read_as(&state->candidate, known->tag, candidate, "candidate");
	uint32		number = number_of(known, &state->unknown_candidates, id);
	tfrs_error	error;

	check_collected(tfrs_pair_set_add(&state->relevant, query, number, &error), &error);
	state->rows.rows++;
}

static void
make_candidate_reader(evaluate_state *state, Oid type)
{
	if (state->element_type == type)
		return;
	tfrs_id_reader_init(&state->candidate, type, "candidate");
	state->element_type = type;
}

/* (internal, model, query "any", candidate "any" [, options jsonb]) -> internal */
Datum
tfrs_evaluate_row(PG_FUNCTION_ARGS)
{
	evaluate_state *state = state_of_row(fcinfo, CANDIDATE + 1);
	uint32		query;

	if (state == NULL)
		PG_RETURN_NULL();
	if (PG_ARGISNULL(MODEL) || PG_ARGISNULL(QUERY) || PG_ARGISNULL(CANDIDATE) ||
		!query_number(fcinfo, state, &query))
	{
		state->rows.skipped++;
		PG_RETURN_POINTER(state);
	}
	if (!OidIsValid(state->element_type))
		make_candidate_reader(state, get_fn_expr_argtype(fcinfo->flinfo, CANDIDATE));
	add_relevant(state, query, PG_GETARG_DATUM(CANDIDATE));
	PG_RETURN_POINTER(state);
}

static void
add_relevant_array(evaluate_state *state, uint32 query, ArrayType *candidates)
{
	ArrayIterator iterator = array_create_iterator(candidates, 0, NULL);
	Datum		value;
	bool		null;

	make_candidate_reader(state, ARR_ELEMTYPE(candidates));
	while (array_iterate(iterator, &value, &null))
	{
		CHECK_FOR_INTERRUPTS();
		if (null)
			state->rows.skipped++;
		else
			add_relevant(state, query, value);
	}
	array_free_iterator(iterator);
}

/* (internal, model, query "any", relevant "any", exclude "any" [, options jsonb]) -> internal */
Datum
tfrs_evaluate_lists_row(PG_FUNCTION_ARGS)
{
	evaluate_state *state = state_of_row(fcinfo, EXCLUDE + 1);
	FmgrInfo   *flinfo = fcinfo->flinfo;
	tfrs_row_list excluded = {NULL, 0};
	uint32		query;
	tfrs_error	error;

	if (state == NULL)
		PG_RETURN_NULL();
	if (PG_ARGISNULL(MODEL) || PG_ARGISNULL(QUERY) || PG_ARGISNULL(RELEVANT) ||
		!query_number(fcinfo, state, &query))
	{
		state->rows.skipped++;
		PG_RETURN_POINTER(state);
	}
	add_relevant_array(state, query,
					   tfrs_candidate_array(get_fn_expr_argtype(flinfo, RELEVANT),
											PG_GETARG_DATUM(RELEVANT), "relevant"));
	if (!PG_ARGISNULL(EXCLUDE))
		excluded = tfrs_candidate_rows(&state->model->candidate_ids,
									   get_fn_expr_argtype(flinfo, EXCLUDE),
									   PG_GETARG_DATUM(EXCLUDE), "exclude");
	for (size_t i = 0; i < excluded.count; i++)
		check_collected(tfrs_pair_set_add(&state->excluded, query, excluded.rows[i], &error),
						&error);
	PG_RETURN_POINTER(state);
}

/*
 * Gives unknown queries their numbers in the order of their ids: sums over queries must not depend
 * on the order of the rows.
 */
static void
order_unknown_queries(evaluate_state *state)
{
	uint32		known = (uint32) state->model->query_ids.count;
	tfrs_pair_set *sets[] = {&state->relevant, &state->excluded};
	tfrs_id_sort sort;
	uint32_t   *new_row;
	tfrs_status status;
	tfrs_error	error;

	check_collected(TFRS_GET(&state->arena, &new_row, state->unknown_queries.count, &error),
					&error);
	check_collected(tfrs_id_sort_begin(&sort, &state->unknown_queries, new_row, &error), &error);
	while ((status = tfrs_id_sort_step(&sort, &error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	check_collected(status, &error);
	tfrs_id_sort_end(&sort);
	for (int s = 0; s < lengthof(sets); s++)
		for (size_t i = 0; i < sets[s]->count; i++)
		{
			uint64_t	pair = sets[s]->pairs[i];

			if (i % PAIRS_AT_ONCE == 0)
				CHECK_FOR_INTERRUPTS();
			if (tfrs_pair_query(pair) >= known)
				sets[s]->pairs[i] = ((uint64_t) known + new_row[tfrs_pair_query(pair) - known])
					<< 32 | tfrs_pair_candidate(pair);
		}
}

static void
finish_pairs(tfrs_pair_set *set)
{
	tfrs_status status;
	tfrs_error	error;

	while ((status = tfrs_pair_set_finish_step(set, &error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	check_collected(status, &error);
}

static int
compare_ks(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return (x > y) - (x < y);
}

static tfrs_evaluation_options
core_options(const evaluate_state *state)
{
	tfrs_evaluation_options options = {0};
	tfrs_option_integers ks = state->options.ks;

	qsort(ks.values, ks.count, sizeof(ks.values[0]), compare_ks);
	for (uint32 i = 0; i < ks.count; i++)
		if (i == 0 || ks.values[i] != ks.values[i - 1])
			options.cutoffs[options.cutoff_count++] = ks.values[i];
	options.keep_seen = state->options.seen;
	options.baselines = state->options.baselines;
	options.threads = tfrs_settings_threads();
	return options;
}

static void
check_evaluated(tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OVER_BUDGET)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the evaluation does not fit into tfrs.max_memory"),
				 errdetail("%s", error->detail),
				 errhint("Raise tfrs.max_memory, lower tfrs.threads or the largest of \"ks\", or "
						 "leave item-item out with '{\"baselines\": false}'.")));
	tfrs_check(status, error);
}

static void
tell_progress(tfrs_progress *run, const tfrs_evaluation *evaluation)
{
	tfrs_progress_state progress = {0};

	progress.phase = tfrs_evaluation_phase(evaluation, &progress.done, &progress.total);
	tfrs_progress_update(run, &progress);
}

/* Runs the evaluation and keeps its report. */
static void
evaluate(evaluate_state *state, tfrs_progress *run)
{
	tfrs_evaluation_test test = {
		.model = state->model, .relevant = &state->relevant, .excluded = &state->excluded
	};
	tfrs_evaluation_options options = core_options(state);
	const tfrs_evaluation_result *result;
	tfrs_evaluation *evaluation;
	tfrs_arena	arena;
	tfrs_status status;
	tfrs_error	error;

	tfrs_bridge_arena(&arena, state->context, tfrs_settings_memory_bytes());
	check_evaluated(tfrs_evaluation_begin(&evaluation, &arena, &test, &options, &error), &error);
	while ((status = tfrs_evaluation_step(evaluation, &error)) == TFRS_MORE)
	{
		CHECK_FOR_INTERRUPTS();
		tell_progress(run, evaluation);
	}
	check_evaluated(status, &error);
	result = tfrs_evaluation_result_of(evaluation);
	state->report = MemoryContextStrdup(state->context,
										tfrs_evaluate_report(result, &options, &state->rows,
															 state->model->candidate_ids.count));
	tfrs_evaluate_notice(result, &options);
	tfrs_evaluation_destroy(evaluation);
}

Datum
tfrs_evaluate_finish(PG_FUNCTION_ARGS)
{
	evaluate_state *state = PG_ARGISNULL(0) ? NULL : (evaluate_state *) PG_GETARG_POINTER(0);

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "tfrs.evaluate called outside of an aggregate");
	if (state == NULL || state->rows.rows == 0)
	{
		ereport(NOTICE,
				(errmsg("nothing was evaluated: there are no rows with a model, a query and a "
						"candidate")));
		PG_RETURN_NULL();
	}
	tfrs_collecting_end(state->collecting);
	if (state->report == NULL)
	{
		tfrs_progress *run = tfrs_progress_begin("evaluate", NULL);

		tfrs_progress_update(run, &(tfrs_progress_state) {.phase = "sorting rows"});
		if (state->unknown_queries.count > 1)
			order_unknown_queries(state);
		finish_pairs(&state->relevant);
		finish_pairs(&state->excluded);
		state->rows.distinct = state->relevant.count;
		evaluate(state, run);
		tfrs_progress_end(run);
		tfrs_arena_free(&state->arena);
	}
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(state->report));
}
