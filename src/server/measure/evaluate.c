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

#include "server/values/block_cache.h"
#include "server/host/bridge.h"
#include "server/values/candidate_ids.h"
#include "server/host/compat.h"
#include "server/measure/evaluate_report.h"
#include "server/measure/evaluation_run.h"
#include "server/host/options.h"
#include "server/host/progress.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"

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

typedef struct evaluate_options
{
	tfrs_option_integers ks;
	bool		seen;
	bool		baselines;
} evaluate_options;

typedef struct evaluate_state
{
	MemoryContext context;		/* the aggregate's */
	tfrs_evaluation_run run;
	evaluate_options options;
	struct varlena *first_options;	/* of the first row, as it came; NULL: it was NULL */
	tfrs_block_site site;
	bool		query_is_json;
	tfrs_id_reader query;		/* unless query_is_json */
	tfrs_id_reader candidate;	/* or element of an array */
	Oid			element_type;	/* that candidate was made for */
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
	const tfrs_cached_block *block = tfrs_block_cache_get(&state->site, state->context, model,
														  TFRS_BLOCK_MODEL);

	tfrs_evaluation_run_begin(&state->run, state->context, &block->model, "maintenance_work_mem");
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
	read_options(fcinfo, state, options_argument);
	state->query_is_json = query_type == JSONBOID;
	if (!state->query_is_json)
		tfrs_id_reader_init(&state->query, query_type, "query");
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

	context = tfrs_bridge_aggregate(fcinfo, true);
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

/* The number of the row's query; false for a JSON null. */
static bool
query_number(FunctionCallInfo fcinfo, evaluate_state *state, uint32 *number)
{
	uint32		tag = state->run.model->query_ids.tag;
	tfrs_id		id;

	if (!state->query_is_json)
		id = tfrs_id_read_as(&state->query, tag, PG_GETARG_DATUM(QUERY), "query");
	else if (!tfrs_id_from_json(tag, PG_GETARG_JSONB_P(QUERY), "query", &id))
		return false;
	*number = tfrs_evaluation_run_query(&state->run, id);
	return true;
}

static void
add_relevant(evaluate_state *state, uint32 query, Datum candidate)
{
	tfrs_id		id = tfrs_id_read_as(&state->candidate, state->run.model->candidate_ids.tag,
									 candidate, "candidate");

	tfrs_evaluation_run_add_relevant(&state->run, query, id);
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
	tfrs_row_list excluded = {0};
	uint32		query;

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
		excluded = tfrs_candidate_rows(&state->run.model->candidate_ids,
									   get_fn_expr_argtype(flinfo, EXCLUDE),
									   PG_GETARG_DATUM(EXCLUDE), "exclude");
	for (size_t i = 0; i < excluded.count; i++)
		tfrs_evaluation_run_add_excluded(&state->run, query, excluded.rows[i]);
	PG_RETURN_POINTER(state);
}

static tfrs_evaluation_options
core_options(const evaluate_state *state)
{
	tfrs_evaluation_options options = {0};
	const tfrs_option_integers *ks = &state->options.ks;

	memcpy(options.cutoffs, ks->values, ks->count * sizeof(ks->values[0]));
	options.cutoff_count = tfrs_options_distinct(options.cutoffs, ks->count);
	options.keep_seen = state->options.seen;
	options.baselines = state->options.baselines;
	options.threads = tfrs_settings_threads();
	return options;
}

/* Runs the evaluation and keeps its report. */
static void
evaluate(FunctionCallInfo fcinfo, evaluate_state *state)
{
	tfrs_evaluation_options options = core_options(state);
	const tfrs_evaluation_result *result = tfrs_evaluation_run_finish(&state->run, &options,
																	  &state->rows.distinct);
	size_t		candidates = state->run.model->candidate_ids.count;
	char	   *report = tfrs_evaluate_report(result, &options, &state->rows, candidates);

	state->report = MemoryContextStrdup(state->context, report);
	tfrs_evaluate_notice(result, &options, fcinfo);
	tfrs_evaluation_run_end(&state->run);
}

Datum
tfrs_evaluate_finish(PG_FUNCTION_ARGS)
{
	evaluate_state *state = PG_ARGISNULL(0) ? NULL : (evaluate_state *) PG_GETARG_POINTER(0);

	tfrs_bridge_aggregate(fcinfo, true);
	if (state == NULL || state->rows.rows == 0)
	{
		if (tfrs_bridge_first_notice(fcinfo, TFRS_EVALUATE_NOTICES))
			ereport(NOTICE,
					(errmsg("nothing was evaluated: there are no rows with a model, a query and "
							"a candidate")));
		PG_RETURN_NULL();
	}
	tfrs_collecting_end(state->collecting);
	if (state->report == NULL)
		evaluate(fcinfo, state);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(state->report));
}
