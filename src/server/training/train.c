/*
 * train.c: the aggregates tfrs.train and tfrs.retrain: rows of a query to interactions, then a
 * model.
 *
 * The transition is the hot path of training: a look at the state, at the options (equal bytes to
 * the first row's, nothing more), two ids out of their Datums and two hash probes.  What depends on
 * the call alone, the types above all, is found once and kept in fn_extra.
 *
 * Memory: everything of a group lies in a context of its own under the aggregate's.  Rows and ids
 * get maintenance_work_mem; where the planner hashes the groups, so that many states are alive,
 * each new one gets half of what is left (the size of the budget never changes a result). Temporary
 * files are closed by the aggregate's callback, which runs between groups and at the end, but not
 * after an error: then the resource owner has closed them.
 *
 * The final function may be called again for the same state: a hashed aggregate is rescanned
 * without being filled anew.  So it leaves the interactions as they are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "server/values/block_cache.h"
#include "server/host/bridge.h"
#include "server/training/collection.h"
#include "server/host/compat.h"
#include "server/host/options.h"
#include "server/host/progress.h"
#include "server/values/row_reader.h"
#include "server/training/train_options.h"

/* Arguments after the state, or after the model of retrain. */
enum
{
	QUERY,
	CANDIDATE,
	WEIGHT,						/* where there are 4 or more, options among them */
	TIME						/* where there are 5 */
};

#define COUNT_WITH_OPTIONS 3
#define COUNT_WITH_WEIGHT 4
#define COUNT_WITH_TIME 5

/* Place of the model. */
#define ARGUMENT_MODEL 1

/* The least that a group gets where many are alive. */
#define LEAST_BUDGET ((size_t) 64 * 1024)

/* A query or candidate as it comes: a scalar is an id, and a row has columns. */
typedef struct train_side
{
	const char *role;
	bool		is_record;
	tfrs_id_reader id;			/* of scalars */
} train_side;

/* What is the same for all groups of one call. */
typedef struct train_site
{
	int			first;			/* place of QUERY */
	int			count;			/* of the arguments from there on */
	train_side	query;
	train_side	candidate;
	size_t		granted;		/* bytes promised to groups that are alive, where hashed */
	tfrs_collecting collecting;
} train_site;

/* One group. */
typedef struct train_state
{
	train_site *site;
	MemoryContext context;
	tfrs_block_site block;		/* of the model to go on from */
	const tfrs_cached_block *model; /* or NULL */
	struct varlena *first_options;	/* of the first row, as it came; NULL: it was NULL */
	tfrs_collection collection;
	tfrs_record_reader record[2];	/* of the query and the candidate, where they are rows */
	size_t		granted;
	bool		begun;			/* the collection, which waits for the first row with columns */
	bool		finished;		/* no further rows: the interactions are in their final order */
} train_state;

static void
init_side(train_side *side, Oid type, const char *role)
{
	side->role = role;
	side->is_record = tfrs_is_record_type(type);
	if (type == JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a %s of type jsonb has no columns of SQL types", role),
				 errhint("Pass a row: the types of its columns say what its features are.")));
	if (!side->is_record)
		tfrs_id_reader_init(&side->id, type, role);
}

static train_site *
site_of_call(FunctionCallInfo fcinfo, int first)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	train_site *site = flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(*site));
		site->first = first;
		site->count = PG_NARGS() - first;
		init_side(&site->query, get_fn_expr_argtype(flinfo, first + QUERY), "query");
		init_side(&site->candidate, get_fn_expr_argtype(flinfo, first + CANDIDATE), "candidate");
		tfrs_collecting_init(&site->collecting, "train", flinfo->fn_mcxt);
		flinfo->fn_extra = site;
	}
	return site;
}

static bool
is_retrain(const train_site *site)
{
	return site->first > ARGUMENT_MODEL;
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
	tfrs_collection_end(&state->collection);
}

/* The model that retrain goes on from; without one it begins as train does. */
static void
open_model(FunctionCallInfo fcinfo, train_state *state)
{
	if (is_retrain(state->site) && !PG_ARGISNULL(ARGUMENT_MODEL))
		state->model = tfrs_block_cache_get(&state->block, state->context,
											PG_GETARG_DATUM(ARGUMENT_MODEL), TFRS_BLOCK_MODEL);
}

static void
check_same_model(FunctionCallInfo fcinfo, const train_state *state)
{
	bool		same = PG_ARGISNULL(ARGUMENT_MODEL) ? state->model == NULL
		: state->model != NULL &&
		tfrs_block_site_holds(&state->block, PG_GETARG_DATUM(ARGUMENT_MODEL));

	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model must be the same for all rows of a group"),
				 errhint("Add GROUP BY a column that tells the models apart.")));
}

static void
read_options(FunctionCallInfo fcinfo, train_state *state)
{
	int			argument = PG_NARGS() - 1;
	Jsonb	   *json = NULL;

	if (state->site->count >= COUNT_WITH_OPTIONS && !PG_ARGISNULL(argument))
	{
		state->first_options = tfrs_options_keep(PG_GETARG_DATUM(argument));
		json = PG_GETARG_JSONB_P(argument);
	}
	if (state->model != NULL)
		tfrs_retrain_options_read(&state->collection.request, &state->model->model, json);
	else
		tfrs_train_options_read(&state->collection.request, json);
}

/* By the type of the first row. */
static tfrs_record_reader *
begin_record(train_state *state, const train_side *side, tfrs_record_reader *record,
			 const tfrs_tower_request *request, Datum value)
{
	TupleDesc	desc = tfrs_record_type_of(value, side->role);
	tfrs_tower_options *tower = tfrs_tower_of_rows(request, desc, side->role);

	*record = (tfrs_record_reader) {
		.context = state->context, .role = side->role, .options = tower, .all = true,
		.open = tower
	};
	return record;
}

/* The key of rows as an id that was read already. */
static tfrs_id_reader
key_reader(const tfrs_tower_options *tower)
{
	const tfrs_column *key = &tower->column[tower->key];

	return (tfrs_id_reader) {.tag = key->tag, .kind = key->kind};
}

static void
begin_records(FunctionCallInfo fcinfo, train_state *state)
{
	tfrs_collection *collection = &state->collection;
	const train_site *site = state->site;
	tfrs_train_options *options = &collection->request.options;

	collection->query = site->query.id;
	collection->candidate = site->candidate.id;
	if (site->query.is_record)
	{
		collection->query_record = begin_record(state, &site->query, &state->record[0],
												&collection->request.query,
												PG_GETARG_DATUM(site->first + QUERY));
		options->query_tower = state->record[0].options;
		collection->query = key_reader(options->query_tower);
	}
	if (site->candidate.is_record)
	{
		collection->candidate_record = begin_record(state, &site->candidate, &state->record[1],
													&collection->request.candidate,
													PG_GETARG_DATUM(site->first + CANDIDATE));
		options->candidate_tower = state->record[1].options;
		collection->candidate = key_reader(options->candidate_tower);
	}
}

static void
begin_collection(FunctionCallInfo fcinfo, train_state *state)
{
	tfrs_collection *collection = &state->collection;
	train_site *site = state->site;

	collection->context = state->context;
	begin_records(fcinfo, state);
	collection->has_weight = site->count >= COUNT_WITH_WEIGHT;
	collection->has_time = site->count >= COUNT_WITH_TIME;
	collection->budget = grant_budget(fcinfo, state);
	if (state->model != NULL)
		tfrs_collection_adopt_types(collection, &state->model->model);
	tfrs_collection_begin(collection);
	AggRegisterCallback(fcinfo, end_group, PointerGetDatum(state));
	if (state->model != NULL)
		tfrs_collection_know_model(collection, &state->model->model);
	state->begun = true;
}

static bool
has_records(const train_site *site)
{
	return site->query.is_record || site->candidate.is_record;
}

/* The first row of a group. */
static train_state *
begin_group(FunctionCallInfo fcinfo, int first)
{
	MemoryContext context;
	MemoryContext old_context;
	train_state *state;

	context = AllocSetContextCreate(tfrs_bridge_aggregate(fcinfo, false), "tfrs train",
									ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(context);
	state = palloc0(sizeof(*state));
	state->site = site_of_call(fcinfo, first);
	state->context = context;
	open_model(fcinfo, state);
	read_options(fcinfo, state);
	if (!has_records(state->site))
		begin_collection(fcinfo, state);
	MemoryContextSwitchTo(old_context);
	return state;
}

static float
read_weight(FunctionCallInfo fcinfo, const train_site *site)
{
	return site->count < COUNT_WITH_WEIGHT ? 1
		: (float) tfrs_weight_read(fcinfo, site->first + WEIGHT);
}

static int64
read_time(FunctionCallInfo fcinfo, const train_site *site)
{
	return site->count < COUNT_WITH_TIME ? 0 :
		tfrs_time_of(TIMESTAMPTZOID, &fcinfo->args[site->first + TIME]);
}

/* The group of the row, which has the options and the model of its first row. */
static train_state *
group_of_row(FunctionCallInfo fcinfo, int first)
{
	train_state *state = PG_ARGISNULL(0) ? NULL : (train_state *) PG_GETARG_POINTER(0);
	int			options = PG_NARGS() - 1;

	if (state == NULL)
		return begin_group(fcinfo, first);
	if (state->site->count >= COUNT_WITH_OPTIONS)
		tfrs_options_check_same("training option", state->first_options, PG_ARGISNULL(options),
								PG_GETARG_DATUM(options));
	if (is_retrain(state->site))
		check_same_model(fcinfo, state);
	return state;
}

/* Begins with the first row whose query and candidate are there; false where this is none. */
static bool
is_begun(FunctionCallInfo fcinfo, train_state *state)
{
	const train_site *site = state->site;
	bool		no_query = PG_ARGISNULL(site->first + QUERY);
	MemoryContext old_context;

	if (state->begun)
		return true;
	if (no_query || PG_ARGISNULL(site->first + CANDIDATE))
	{
		state->collection.skipped_query += no_query;
		state->collection.skipped_candidate += !no_query;
		return false;
	}
	old_context = MemoryContextSwitchTo(state->context);
	begin_collection(fcinfo, state);
	MemoryContextSwitchTo(old_context);
	return true;
}

/* A row with columns on one side or both. */
static void
collect_records(FunctionCallInfo fcinfo, train_state *state)
{
	train_site *site = state->site;
	tfrs_row_ids ids;
	float		weight;

	if (!is_begun(fcinfo, state) ||
		!tfrs_collection_records(&state->collection, &fcinfo->args[site->first + QUERY],
								 &fcinfo->args[site->first + CANDIDATE], &ids))
		return;
	weight = read_weight(fcinfo, site);
	if (tfrs_collection_counts(&state->collection, weight))
		tfrs_collection_add_records(&state->collection, &ids, weight, read_time(fcinfo, site));
}

static Datum
collect_row(FunctionCallInfo fcinfo, int first)
{
	train_state *state = group_of_row(fcinfo, first);
	train_site *site = state->site;
	float		weight;
	tfrs_row_ids ids;

	tfrs_collecting_count_row(&site->collecting);
	if (has_records(site))
	{
		collect_records(fcinfo, state);
		PG_RETURN_POINTER(state);
	}
	if (!tfrs_collection_ids(&state->collection, &fcinfo->args[first + QUERY],
							 &fcinfo->args[first + CANDIDATE], &ids))
		PG_RETURN_POINTER(state);
	weight = read_weight(fcinfo, site);
	if (tfrs_collection_counts(&state->collection, weight))
		tfrs_collection_add(&state->collection, &ids, weight, read_time(fcinfo, site));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(tfrs_train_collect);
PG_FUNCTION_INFO_V1(tfrs_retrain_collect);
PG_FUNCTION_INFO_V1(tfrs_train_fit);

Datum
tfrs_train_collect(PG_FUNCTION_ARGS)
{
	return collect_row(fcinfo, ARGUMENT_MODEL);
}

Datum
tfrs_retrain_collect(PG_FUNCTION_ARGS)
{
	return collect_row(fcinfo, ARGUMENT_MODEL + 1);
}

/* The model as it was, or NULL without one. */
static Datum
nothing_to_learn(FunctionCallInfo fcinfo, const train_state *state)
{
	const tfrs_block_header *header;
	tfrs_block_value *value;

	if (tfrs_bridge_first_notice(fcinfo, TFRS_COLLECTION_NOTICES))
		ereport(NOTICE,
				(errmsg("no model was trained: there are no rows with a query and a candidate"),
				 state == NULL || state->collection.skipped_weight == 0 ? 0
				 : errdetail("Rows of weight 0 count for nothing, and there are no others.")));
	if (state == NULL || state->model == NULL)
		PG_RETURN_NULL();
	header = state->model->block.header;
	value = tfrs_block_value_make(header->total_bytes);
	memcpy(value->block, header, header->total_bytes);
	PG_RETURN_POINTER(value);
}

Datum
tfrs_train_fit(PG_FUNCTION_ARGS)
{
	train_state *state = PG_ARGISNULL(0) ? NULL : (train_state *) PG_GETARG_POINTER(0);
	tfrs_fit	fit;

	tfrs_bridge_aggregate(fcinfo, false);
	if (state != NULL)
		tfrs_collecting_end(&state->site->collecting);
	if (state != NULL && !state->begun)
		return nothing_to_learn(fcinfo, state);
	if (state != NULL && !state->finished)
	{
		tfrs_collection_finish(&state->collection);
		state->finished = true;
	}
	if (state == NULL || tfrs_interactions_count(state->collection.interactions) == 0)
		return nothing_to_learn(fcinfo, state);
	tfrs_collection_warn(&state->collection, fcinfo);
	fit = tfrs_collection_fit(&state->collection,
							  state->model == NULL ? NULL : &state->model->model);
	PG_RETURN_POINTER(tfrs_fit_run(&fit));
}
