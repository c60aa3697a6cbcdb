/*
 * train.c: the aggregate tfrs.train: rows of a query to interactions, then a model.
 *
 * The transition is the hot path of training: a look at the state, at the options (equal bytes to
 * the first row's, nothing more), two ids out of their Datums and two hash probes.  What depends on
 * the call alone, the types above all, is found once and kept in fn_extra.
 *
 * Memory: everything of a group lies in a context of its own under the aggregate's.  Rows and ids
 * get maintenance_work_mem; where the planner hashes the groups, so that many states are alive,
 * each new one gets half of what is left (the size of the budget never changes a result).
 * Temporary files are closed by the aggregate's callback, which runs between groups and at the end,
 * but not after an error: then the resource owner has closed them.
 *
 * The final function may be called again for the same state: a hashed aggregate is rescanned
 * without being filled anew.  So it leaves the interactions as they are.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/bridge.h"
#include "server/compat.h"
#include "server/fit.h"
#include "server/options.h"
#include "server/row_reader.h"
#include "server/spool.h"
#include "server/train_options.h"

/* Arguments of the transition function. */
#define ARGUMENT_QUERY 1
#define ARGUMENT_CANDIDATE 2
#define ARGUMENT_WEIGHT 3		/* where there are 5 arguments or more */
#define ARGUMENT_TIME 4			/* where there are 6 */
#define COUNT_WITH_OPTIONS 4
#define COUNT_WITH_WEIGHT 5
#define COUNT_WITH_TIME 6

/* The least that a group gets where many are alive. */
#define LEAST_BUDGET ((size_t) 64 * 1024)

/* What is the same for all groups of one call. */
typedef struct train_site
{
	tfrs_id_reader query;
	tfrs_id_reader candidate;
	size_t		granted;		/* bytes promised to groups that are alive, where hashed */
} train_site;

/* One group. */
typedef struct train_state
{
	train_site *site;
	MemoryContext context;
	tfrs_train_options options;
	struct varlena *first_options;	/* of the first row, as it came; NULL: it was NULL */
	tfrs_arena	arena;
	tfrs_spools spools;
	tfrs_interactions *interactions;
	uint64		skipped_query;
	uint64		skipped_candidate;
	size_t		granted;
	bool		finished;		/* no further rows: the interactions are in their final order */
} train_state;

static train_site *
site_of_call(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	train_site *site = flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(*site));
		tfrs_id_reader_init(&site->query, get_fn_expr_argtype(flinfo, ARGUMENT_QUERY), "query");
		tfrs_id_reader_init(&site->candidate, get_fn_expr_argtype(flinfo, ARGUMENT_CANDIDATE),
							"candidate");
		flinfo->fn_extra = site;
	}
	return site;
}

/* The share of maintenance_work_mem for a new group. */
static size_t
grant_budget(FunctionCallInfo fcinfo, train_state *state)
{
	size_t		total = tfrs_bridge_maintenance_memory();

	if (!tfrs_bridge_groups_are_hashed(fcinfo))
		return total;
	state->granted = Max(LEAST_BUDGET, (total - Min(total, state->site->granted)) / 2);
	state->site->granted += state->granted;
	return state->granted;
}

/* Before the group's memory goes, unless an error took it. */
static void
end_group(Datum argument)
{
	train_state *state = (train_state *) DatumGetPointer(argument);

	state->site->granted -= state->granted;
	tfrs_interactions_destroy(state->interactions);
}

static void
read_options(FunctionCallInfo fcinfo, train_state *state)
{
	int			argument = PG_NARGS() - 1;

	if (PG_NARGS() < COUNT_WITH_OPTIONS || PG_ARGISNULL(argument))
	{
		tfrs_train_options_read(&state->options, NULL);
		return;
	}
	state->first_options = tfrs_options_keep(PG_GETARG_DATUM(argument));
	tfrs_train_options_read(&state->options, PG_GETARG_JSONB_P(argument));
}

static void
create_interactions(FunctionCallInfo fcinfo, train_state *state)
{
	tfrs_interactions_options options = {0};
	train_site *site = state->site;
	tfrs_error	error;

	tfrs_bridge_arena(&state->arena, state->context, SIZE_MAX);
	tfrs_spools_init(&state->spools, state->context);
	options.has_weight = PG_NARGS() >= COUNT_WITH_WEIGHT;
	options.has_time = PG_NARGS() >= COUNT_WITH_TIME;
	options.input_order = state->options.input_order;
	options.seed = state->options.seed;
	options.budget = grant_budget(fcinfo, state);
	options.spools = &state->spools.functions;
	tfrs_check(tfrs_interactions_create(&state->interactions, &state->arena, &options, &error),
			   &error);
	AggRegisterCallback(fcinfo, end_group, PointerGetDatum(state));
	tfrs_check(tfrs_interactions_set_query_type(state->interactions, site->query.kind,
												site->query.tag, &error), &error);
	tfrs_check(tfrs_interactions_set_candidate_type(state->interactions, site->candidate.kind,
													site->candidate.tag, &error), &error);
}

/* The first row of a group. */
static train_state *
begin_group(FunctionCallInfo fcinfo)
{
	MemoryContext aggregate_context;
	MemoryContext context;
	MemoryContext old_context;
	train_state *state;

	if (AggCheckCallContext(fcinfo, &aggregate_context) != AGG_CONTEXT_AGGREGATE)
		elog(ERROR, "tfrs.train_collect called outside of an aggregate");
	context = AllocSetContextCreate(aggregate_context, "tfrs train", ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(*state));
	state->site = site_of_call(fcinfo);
	state->context = context;
	read_options(fcinfo, state);
	create_interactions(fcinfo, state);
	MemoryContextSwitchTo(old_context);
	return state;
}

static float
read_weight(FunctionCallInfo fcinfo)
{
	return PG_NARGS() < COUNT_WITH_WEIGHT ? 1
		: (float) tfrs_weight_read(fcinfo, ARGUMENT_WEIGHT);
}

/* An unknown time and the ends of time are the earliest. */
static int64
read_time(FunctionCallInfo fcinfo)
{
	TimestampTz at;

	if (PG_NARGS() < COUNT_WITH_TIME || PG_ARGISNULL(ARGUMENT_TIME))
		return DT_NOBEGIN;
	at = PG_GETARG_TIMESTAMPTZ(ARGUMENT_TIME);
	return TIMESTAMP_NOT_FINITE(at) ? DT_NOBEGIN : at;
}

PG_FUNCTION_INFO_V1(tfrs_train_collect);
PG_FUNCTION_INFO_V1(tfrs_train_fit);

Datum
tfrs_train_collect(PG_FUNCTION_ARGS)
{
	train_state *state;
	tfrs_error	error;

	if (PG_ARGISNULL(0))
		state = begin_group(fcinfo);
	else
	{
		state = (train_state *) PG_GETARG_POINTER(0);
		if (PG_NARGS() >= COUNT_WITH_OPTIONS)
			tfrs_options_check_same("training option", state->first_options,
									PG_ARGISNULL(PG_NARGS() - 1),
									PG_GETARG_DATUM(PG_NARGS() - 1));
	}
	if (PG_ARGISNULL(ARGUMENT_QUERY))
		state->skipped_query++;
	else if (PG_ARGISNULL(ARGUMENT_CANDIDATE))
		state->skipped_candidate++;
	else
		tfrs_check(tfrs_interactions_add(state->interactions,
										 tfrs_id_read(&state->site->query,
													  PG_GETARG_DATUM(ARGUMENT_QUERY)),
										 tfrs_id_read(&state->site->candidate,
													  PG_GETARG_DATUM(ARGUMENT_CANDIDATE)),
										 read_weight(fcinfo), read_time(fcinfo), &error),
				   &error);
	PG_RETURN_POINTER(state);
}

static void
finish_rows(train_state *state)
{
	tfrs_status status;
	tfrs_error	error;

	do
	{
		CHECK_FOR_INTERRUPTS();
		status = tfrs_interactions_finish_step(state->interactions, &error);
		tfrs_check(status, &error);
	} while (status == TFRS_MORE);
	state->finished = true;
}

Datum
tfrs_train_fit(PG_FUNCTION_ARGS)
{
	train_state *state = PG_ARGISNULL(0) ? NULL : (train_state *) PG_GETARG_POINTER(0);
	tfrs_fit	fit;

	if (AggCheckCallContext(fcinfo, NULL) != AGG_CONTEXT_AGGREGATE)
		elog(ERROR, "tfrs.train_fit called outside of an aggregate");
	if (state != NULL && !state->finished)
		finish_rows(state);
	if (state == NULL || tfrs_interactions_count(state->interactions) == 0)
	{
		ereport(NOTICE,
				(errmsg("no model was trained: there are no rows with a query and a candidate")));
		PG_RETURN_NULL();
	}
	if (tfrs_interactions_candidates(state->interactions)->count == 1)
		ereport(NOTICE,
				(errmsg("all rows have the same candidate"),
				 errdetail("There is nothing to tell it from, so the model has learned nothing.")));
	if (state->options.history.on && !state->options.store)
		ereport(NOTICE,
				(errmsg("the model stores no events, so it answers all queries alike"),
				 errhint("Leave out \"store\": false, or train with \"history\": false.")));
	fit = (tfrs_fit) {
		&state->options, state->interactions, state->skipped_query, state->skipped_candidate
	};
	PG_RETURN_POINTER(tfrs_fit_run(&fit));
}
