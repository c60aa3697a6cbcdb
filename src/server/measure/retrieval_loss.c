/*
 * retrieval_loss.c: the aggregate tfrs.retrieval_loss: the loss of TFRS's Retrieval task over the
 * rows of a group as one batch.
 *
 * A row is a query and its positive; a row without a query is an extra candidate, a column that is
 * nobody's positive.  The core wants the positives first, so extra candidates are collected apart
 * and put behind them at the end.  What is collected may take maintenance_work_mem.
 */
#include "postgres.h"

#include <float.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/id_set.h"
#include "learning/loss.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/host/options.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"

/* Arguments; with three columns of their own options stand behind them. */
enum
{
	STATE,
	QUERY,
	CANDIDATE,
	OPTIONS,
	WEIGHT = OPTIONS,
	PROBABILITY,
	ID,
	OPTIONS_BEHIND,
	COUNT_WITH_COLUMNS
};

typedef struct loss_options
{
	tfrs_loss_options loss;
	bool		mean;
} loss_options;

/* Candidates: those of rows with a query, or the extra ones. */
typedef struct columns
{
	size_t		count;
	size_t		capacity;
	float	   *vector;			/* (capacity, D) */
	float	   *probability;	/* (capacity) */
	uint32_t   *id;				/* (capacity) number of the id */
} columns;

typedef struct loss_state
{
	tfrs_arena	arena;			/* over the aggregate's context */
	loss_options options;
	struct varlena *first_options;	/* of the first row, as it came; NULL: it was NULL */
	size_t		dim;			/* D; 0 before the first vector */
	columns		positives;
	columns		extras;
	float	   *query;			/* (positives.capacity, D) */
	float	   *weight;			/* (positives.capacity) */
	tfrs_id_set ids;
	size_t		probabilities;	/* rows with one */
	size_t		without_id;		/* rows without one */
	bool		finished;
	double		result;
} loss_state;

static const tfrs_option_choice reduction_choices[] = {
	{"sum", false},
	{"mean", true},
	{NULL, 0}
};

#define FIELD(member) TFRS_OPTION_FIELD(loss_options, member)

static const tfrs_option_key loss_keys[] = {
	{.name = "temperature", .type = TFRS_OPTION_FLOAT, FIELD(loss.temperature),
	.low = 0, .high = FLT_MAX, .above_zero = true},
	{.name = "remove_accidental_hits", .type = TFRS_OPTION_BOOL,
	FIELD(loss.remove_accidental_hits)},
	{.name = "hard_negatives", .type = TFRS_OPTION_INTEGER, FIELD(loss.hard_negatives),
	.low = 0, .high = TFRS_MAX_ROWS},
	{.name = "reduction", .type = TFRS_OPTION_CHOICE, FIELD(mean), .choices = reduction_choices},
	{.name = "probability_floor", .type = TFRS_OPTION_FLOAT, FIELD(loss.probability_floor),
	.low = 0, .high = 1, .above_zero = true},
};

static const tfrs_option_scheme loss_scheme = {"loss option", loss_keys, lengthof(loss_keys)};

PG_FUNCTION_INFO_V1(tfrs_retrieval_loss_row);
PG_FUNCTION_INFO_V1(tfrs_retrieval_loss_finish);

static int
options_argument(FunctionCallInfo fcinfo)
{
	return PG_NARGS() == COUNT_WITH_COLUMNS ? OPTIONS_BEHIND : OPTIONS;
}

/* The first row of a group. */
static loss_state *
begin_group(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	loss_state *state = palloc0(sizeof(loss_state));
	int			options = options_argument(fcinfo);
	const char *problem;
	tfrs_error	error;

	tfrs_bridge_arena(&state->arena, context, tfrs_bridge_maintenance_memory());
	tfrs_loss_options_default(&state->options.loss);
	if (options < PG_NARGS() && !PG_ARGISNULL(options))
	{
		state->first_options = tfrs_options_keep(PG_GETARG_DATUM(options));
		tfrs_options_read(&loss_scheme, PG_GETARG_JSONB_P(options), &state->options);
	}
	problem = tfrs_loss_options_check(&state->options.loss);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", problem)));
	tfrs_check(tfrs_id_set_init(&state->ids, &state->arena, TFRS_ID_BYTES, TFRS_TAG_TEXT, &error),
			   &error);
	MemoryContextSwitchTo(caller);
	return state;
}

/* What is collected is bounded: the one wording for too much of it. */
static void
check_collected(tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OVER_BUDGET)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the batch does not fit into maintenance_work_mem"),
				 errdetail("%s", error->detail),
				 errhint("Raise maintenance_work_mem, or take fewer rows: the loss is that of one "
						 "batch.")));
	tfrs_check(status, error);
}

/* Room for one row more. */
static void
make_room(loss_state *state, columns *columns)
{
	size_t		capacity = columns->capacity * 2 + 64;
	tfrs_arena *arena = &state->arena;
	tfrs_status status;
	tfrs_error	error;

	if (columns->count < columns->capacity)
		return;
	status = TFRS_RESIZE(arena, &columns->vector, capacity * state->dim, &error);
	if (status == TFRS_OK)
		status = TFRS_RESIZE(arena, &columns->probability, capacity, &error);
	if (status == TFRS_OK)
		status = TFRS_RESIZE(arena, &columns->id, capacity, &error);
	if (status == TFRS_OK && columns == &state->positives)
		status = TFRS_RESIZE(arena, &state->query, capacity * state->dim, &error);
	if (status == TFRS_OK && columns == &state->positives)
		status = TFRS_RESIZE(arena, &state->weight, capacity, &error);
	check_collected(status, &error);
	columns->capacity = capacity;
}

static float
read_probability(FunctionCallInfo fcinfo)
{
	double		probability = PG_GETARG_FLOAT8(PROBABILITY);

	if (!(probability > 0 && probability <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a sampling probability must be above 0 and at most 1, but is %g",
						probability),
				 errhint("It is the chance that a candidate is drawn into the batch, such as its "
						 "share in the rows.")));
	return (float) probability;
}

/* What comes with a candidate, into the next column. */
static void
read_columns(FunctionCallInfo fcinfo, loss_state *state, columns *columns)
{
	text	   *id;
	uint32_t	number;
	tfrs_error	error;

	if (PG_NARGS() < COUNT_WITH_COLUMNS || PG_ARGISNULL(ID))
		state->without_id++;
	else
	{
		id = PG_GETARG_TEXT_PP(ID);
		check_collected(tfrs_id_set_add(&state->ids,
										tfrs_id_of_bytes(VARDATA_ANY(id),
														 VARSIZE_ANY_EXHDR(id)),
										&number, &error), &error);
		columns->id[columns->count] = number;
	}
	if (PG_NARGS() < COUNT_WITH_COLUMNS || PG_ARGISNULL(PROBABILITY))
		return;
	columns->probability[columns->count] = read_probability(fcinfo);
	state->probabilities++;
}

static void
take_vector(loss_state *state, const tfrs_embedding *embedding, float *place)
{
	tfrs_embedding_check_same_dim((int) state->dim, embedding->dim);
	memcpy(place, embedding->values, state->dim * sizeof(float));
}

/* (internal, query embedding, candidate embedding [, sample_weight float8, sampling_probability
 * float8, candidate_id text] [, options jsonb]) -> internal */
Datum
tfrs_retrieval_loss_row(PG_FUNCTION_ARGS)
{
	int			options = options_argument(fcinfo);
	MemoryContext context;
	loss_state *state;
	columns    *columns;
	const tfrs_embedding *candidate;

	context = tfrs_bridge_aggregate(fcinfo, true);
	if (PG_ARGISNULL(STATE))
		state = begin_group(fcinfo, context);
	else
	{
		state = (loss_state *) PG_GETARG_POINTER(STATE);
		if (options < PG_NARGS())
			tfrs_options_check_same(loss_scheme.what, state->first_options,
									PG_ARGISNULL(options), PG_GETARG_DATUM(options));
	}
	if (PG_ARGISNULL(CANDIDATE))
		PG_RETURN_POINTER(state);
	candidate = TFRS_GETARG_EMBEDDING(CANDIDATE);
	if (state->dim == 0)
		state->dim = (size_t) candidate->dim;
	columns = PG_ARGISNULL(QUERY) ? &state->extras : &state->positives;
	make_room(state, columns);
	take_vector(state, candidate, columns->vector + columns->count * state->dim);
	read_columns(fcinfo, state, columns);
	if (!PG_ARGISNULL(QUERY))
	{
		take_vector(state, TFRS_GETARG_EMBEDDING(QUERY),
					state->query + columns->count * state->dim);
		state->weight[columns->count] = PG_NARGS() < COUNT_WITH_COLUMNS ? 1
			: (float) tfrs_weight_read(fcinfo, WEIGHT);
	}
	columns->count++;
	PG_RETURN_POINTER(state);
}

/* Puts the extra candidates behind the positives. */
static void
append_extras(loss_state *state)
{
	columns    *all = &state->positives;
	const columns *extras = &state->extras;
	size_t		count = all->count + extras->count;
	tfrs_status status;
	tfrs_error	error;

	if (extras->count == 0)
		return;
	status = TFRS_RESIZE(&state->arena, &all->vector, count * state->dim, &error);
	if (status == TFRS_OK)
		status = TFRS_RESIZE(&state->arena, &all->probability, count, &error);
	if (status == TFRS_OK)
		status = TFRS_RESIZE(&state->arena, &all->id, count, &error);
	check_collected(status, &error);
	memcpy(all->vector + all->count * state->dim, extras->vector,
		   extras->count * state->dim * sizeof(float));
	memcpy(all->probability + all->count, extras->probability, extras->count * sizeof(float));
	memcpy(all->id + all->count, extras->id, extras->count * sizeof(uint32_t));
}

/* Probabilities are for all columns or none. */
static bool
has_probabilities(const loss_state *state, size_t candidates)
{
	if (state->probabilities != 0 && state->probabilities != candidates)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a sampling probability is null"),
				 errdetail("%zu of %zu candidates have one; the correction needs it for all of "
						   "them.", state->probabilities, candidates)));
	return state->probabilities > 0;
}

static double
compute_loss(loss_state *state)
{
	size_t		candidates = state->positives.count + state->extras.count;
	tfrs_loss_batch batch = {
		.queries = state->positives.count,
		.candidates = candidates,
		.dim = state->dim,
		.heads = 1,
		.query = state->query,
		.weight = state->weight
	};
	tfrs_loss  *loss;
	tfrs_arena	arena;
	tfrs_status status;
	tfrs_error	error;
	double		total;

	append_extras(state);
	batch.candidate = state->positives.vector;
	if (has_probabilities(state, candidates))
		batch.probability = state->positives.probability;
	if (state->without_id == 0)
		batch.candidate_id = state->positives.id;
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_loss_create(&loss, &arena, tfrs_settings_threads(), &error), &error);
	tfrs_check(tfrs_loss_begin(loss, &batch, &state->options.loss, &error), &error);
	while ((status = tfrs_loss_step(loss, &total)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	tfrs_check(status, &error);
	tfrs_loss_destroy(loss);
	return state->options.mean ? total / (double) batch.queries : total;
}

/* A hashed aggregate may be asked twice, so the result is kept. */
Datum
tfrs_retrieval_loss_finish(PG_FUNCTION_ARGS)
{
	loss_state *state = PG_ARGISNULL(0) ? NULL : (loss_state *) PG_GETARG_POINTER(0);

	tfrs_bridge_aggregate(fcinfo, true);
	if (state == NULL || state->positives.count == 0)
		PG_RETURN_NULL();
	if (!state->finished)
	{
		state->result = compute_loss(state);
		state->finished = true;
		tfrs_arena_free(&state->arena);
	}
	PG_RETURN_FLOAT8(state->result);
}
