/*
 * build_index.c: the aggregate that makes a candidate index of ids and vectors.
 *
 * Rows are collected in order of arrival, then put in order of their ids, so that the index's bytes
 * depend on the rows and options alone.  The vectors lie in one piece that grows by repalloc, which
 * for a piece of that size moves pages instead of bytes, and are sorted in place: at its peak a
 * build holds the vectors, the finished block, and what the search structure needs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/id_sort.h"
#include "base/limits.h"
#include "retrieval/index.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/values/index_type.h"
#include "server/host/options.h"
#include "server/host/progress.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"

enum
{
	DUPLICATES_ERROR,
	DUPLICATES_FIRST
};

typedef struct build_options
{
	tfrs_index_options index;
	int			duplicates;
} build_options;

typedef struct build_state
{
	MemoryContext context;		/* the aggregate's */
	tfrs_arena	arena;			/* over it */
	build_options options;
	struct varlena *first_options;	/* of the first row, as they came; NULL: it had none */
	tfrs_id_reader reader;
	tfrs_id_set ids;
	size_t		dim;			/* D; 0 before the first vector */
	size_t		capacity;		/* rows that vectors has room for */
	float	   *vectors;		/* (capacity, D) */
	bool		sorted;			/* no further rows */
	tfrs_collecting *collecting;
} build_state;

static const tfrs_option_choice kind_choices[] = {
	{"auto", TFRS_INDEX_AUTO},
	{"exact", TFRS_INDEX_EXACT},
	{"tree", TFRS_INDEX_TREE},
	{NULL, 0}
};

static const tfrs_option_choice metric_choices[] = {
	{"dot", TFRS_METRIC_DOT},
	{"cosine", TFRS_METRIC_COSINE},
	{"l2", TFRS_METRIC_L2},
	{NULL, 0}
};

static const tfrs_option_choice quantization_choices[] = {
	{"none", TFRS_QUANTIZATION_NONE},
	{"pq4", TFRS_QUANTIZATION_PQ4},
	{"int8", TFRS_QUANTIZATION_INT8},
	{NULL, 0}
};

static const tfrs_option_choice duplicates_choices[] = {
	{"error", DUPLICATES_ERROR},
	{"first", DUPLICATES_FIRST},
	{NULL, 0}
};

#define FIELD(member) TFRS_OPTION_FIELD(build_options, member)
#define INTEGER(key, member, least, most) \
	{.name = key, .type = TFRS_OPTION_INTEGER, FIELD(member), .low = least, .high = most}
#define CHOICE(key, member, words) \
	{.name = key, .type = TFRS_OPTION_CHOICE, FIELD(member), .choices = words}

static const tfrs_option_key build_keys[] = {
	CHOICE("kind", index.kind, kind_choices),
	CHOICE("metric", index.metric, metric_choices),
	{.name = "target_recall", .type = TFRS_OPTION_FLOAT, FIELD(index.target_recall),
	.high = 1, .above_zero = true},
	INTEGER("k", index.target_k, 1, 10000),
	INTEGER("leaves", index.leaves, 1, TFRS_MAX_ROWS),
	INTEGER("leaves_to_search", index.leaves_to_search, 1, TFRS_MAX_ROWS),
	INTEGER("rerank", index.rerank, 1, TFRS_MAX_ROWS),
	CHOICE("quantization", index.quantization, quantization_choices),
	INTEGER("seed", index.seed, 0, TFRS_OPTION_LARGEST),
	CHOICE("duplicates", duplicates, duplicates_choices),
};

static const tfrs_option_scheme build_scheme = {
	"index option", build_keys, lengthof(build_keys)
};

PG_FUNCTION_INFO_V1(tfrs_build_index_add);
PG_FUNCTION_INFO_V1(tfrs_build_index_finish);

static build_state *
begin_build(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	build_state *state = palloc0(sizeof(build_state));
	tfrs_error	error;

	state->context = context;
	state->collecting = tfrs_collecting_of_call(fcinfo->flinfo, "build_index");
	tfrs_bridge_arena(&state->arena, context, tfrs_settings_memory_bytes());
	tfrs_index_options_default(&state->options.index);
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
	{
		state->first_options = tfrs_options_keep(PG_GETARG_DATUM(3));
		tfrs_options_read(&build_scheme, PG_GETARG_JSONB_P(3), &state->options);
		tfrs_index_check_options(&state->options.index);
	}
	tfrs_id_reader_init(&state->reader, get_fn_expr_argtype(fcinfo->flinfo, 1), "candidate");
	tfrs_check(tfrs_id_set_init(&state->ids, &state->arena, state->reader.kind, state->reader.tag,
								&error), &error);
	MemoryContextSwitchTo(caller);
	return state;
}

static void
report_duplicate(const build_state *state, tfrs_id id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("candidate %s occurs more than once", tfrs_id_to_cstring(state->ids.tag, id)),
			 errhint("Remove the other rows, or keep the first of each with the option "
					 "'{\"duplicates\": \"first\"}'.")));
}

/* Takes that many bytes for vectors from what tfrs.max_memory leaves to the arena. */
static void
bound_arena(build_state *state, size_t bytes)
{
	size_t		limit = tfrs_settings_memory_bytes();

	if (limit == SIZE_MAX)
		return;
	if (bytes > limit || state->arena.used > limit - bytes)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the candidates need more memory than tfrs.max_memory allows"),
				 errdetail("%zu bytes are needed for vectors and %zu for ids; tfrs.max_memory is "
						   "%zu kB.", bytes, state->arena.used, limit / 1024),
				 errhint("Have tfrs.max_memory raised, or build several indexes with GROUP BY.")));
	state->arena.budget = limit - bytes;
}

/* Room for one more vector. */
static float *
place_for(build_state *state, size_t row)
{
	size_t		bytes = (row + 1) * state->dim * sizeof(float);

	if (bytes > TFRS_MAX_BLOCK_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("candidate index is too large"),
				 errdetail("%zu vectors of %zu dimensions are %zu bytes; an index has at most %zu.",
						   row + 1, state->dim, bytes, TFRS_MAX_BLOCK_BYTES),
				 errhint("Build several with GROUP BY, or use fewer dimensions.")));
	if (row >= state->capacity)
	{
		size_t		capacity = Max(state->capacity + state->capacity / 2, 64);

		bytes = capacity * state->dim * sizeof(float);
		bound_arena(state, bytes);
		state->vectors = state->vectors == NULL
			? MemoryContextAllocHuge(state->context, bytes)
			: repalloc_huge(state->vectors, bytes);
		state->capacity = capacity;
	}
	return state->vectors + row * state->dim;
}

/* (internal, candidate "any", embedding [, options jsonb]) -> internal */
Datum
tfrs_build_index_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	build_state *state;
	const tfrs_embedding *embedding;
	size_t		count;
	tfrs_id		id;
	uint32_t	row;
	tfrs_error	error;

	context = tfrs_bridge_aggregate(fcinfo, true);
	state = PG_ARGISNULL(0) ? begin_build(fcinfo, context) : (build_state *) PG_GETARG_POINTER(0);
	if (PG_NARGS() > 3 && !PG_ARGISNULL(0))
		tfrs_options_check_same(build_scheme.what, state->first_options, PG_ARGISNULL(3),
								PG_GETARG_DATUM(3));
	tfrs_collecting_count_row(state->collecting);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	embedding = TFRS_GETARG_EMBEDDING(2);
	if (state->dim == 0)
		state->dim = embedding->dim;
	tfrs_embedding_check_same_dim(state->dim, embedding->dim);
	id = tfrs_id_read(&state->reader, PG_GETARG_DATUM(1));
	tfrs_id_check_length(id, "candidate", NULL);
	count = state->ids.count;
	tfrs_check(tfrs_id_set_add(&state->ids, id, &row, &error), &error);
	if (row == count)
		memcpy(place_for(state, row), embedding->values, state->dim * sizeof(float));
	else if (state->options.duplicates == DUPLICATES_ERROR)
		report_duplicate(state, id);
	PG_RETURN_POINTER(state);
}

static void
swap_vectors(float *a, float *b, size_t dim)
{
	for (size_t d = 0; d < dim; d++)
	{
		float		moved = a[d];

		a[d] = b[d];
		b[d] = moved;
	}
}

/*
 * Moves each vector from its old row to new_row[old], along the cycles of the permutation;
 * new_row is used up.  One cycle may go through most of the rows.
 */
static void
permute(float *vectors, size_t dim, uint32_t *new_row, size_t count)
{
	size_t		moves = 0;

	for (size_t start = 0; start < count; start++)
	{
		while (new_row[start] != start)
		{
			uint32_t	target = new_row[start];

			if (moves++ % 4096 == 0)
				CHECK_FOR_INTERRUPTS();
			swap_vectors(vectors + start * dim, vectors + target * dim, dim);
			new_row[start] = new_row[target];
			new_row[target] = target;
		}
	}
}

static void
sort_rows(build_state *state)
{
	uint32_t   *new_row;
	size_t		count = state->ids.count;
	tfrs_id_sort sort;
	tfrs_status status;
	tfrs_error	error;

	tfrs_check(TFRS_GET(&state->arena, &new_row, count, &error), &error);
	tfrs_check(tfrs_id_sort_begin(&sort, &state->ids, new_row, &error), &error);
	while ((status = tfrs_id_sort_step(&sort, &error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	tfrs_check(status, &error);
	tfrs_id_sort_end(&sort);
	permute(state->vectors, state->dim, new_row, count);
	tfrs_arena_release(&state->arena, new_row);
}

static tfrs_block_value *
build(build_state *state, tfrs_progress *run)
{
	tfrs_id_view ids = tfrs_id_set_view(&state->ids);
	tfrs_index_builder *builder;
	tfrs_block_value *value;
	tfrs_error	error;

	state->options.index.threads = tfrs_settings_threads();
	tfrs_check(tfrs_index_builder_begin(&builder, &state->arena, &state->options.index,
										state->vectors, state->ids.count, state->dim, &error),
			   &error);
	tfrs_index_run_builder(builder, state->ids.count, run);
	value = tfrs_index_value_of(&ids, builder);
	tfrs_index_builder_destroy(builder);
	return value;
}

/*
 * The rows are sorted in place, and given back at once unless groups are hashed: those may be asked
 * again, since such an aggregate is rescanned without being filled anew.
 */
Datum
tfrs_build_index_finish(PG_FUNCTION_ARGS)
{
	build_state *state;
	tfrs_progress *run;
	tfrs_block_value *value;

	tfrs_bridge_aggregate(fcinfo, true);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (build_state *) PG_GETARG_POINTER(0);
	tfrs_collecting_end(state->collecting);
	if (state->ids.count == 0)
	{
		if (tfrs_bridge_first_notice(fcinfo, 0))
			ereport(NOTICE,
					(errmsg("no candidate with an embedding: the index is null")));
		PG_RETURN_NULL();
	}
	run = tfrs_progress_begin("build_index", NULL);
	tfrs_progress_update(run, &(tfrs_progress_state) {.phase = "sorting rows"});
	if (!state->sorted)
		sort_rows(state);
	state->sorted = true;
	value = build(state, run);
	tfrs_progress_end(run);
	if (!tfrs_bridge_groups_are_hashed(fcinfo))
	{
		tfrs_arena_free(&state->arena);
		pfree(state->vectors);
	}
	PG_RETURN_POINTER(value);
}
