/*
 * warm_start.c: where the parameters of an earlier model belong now.
 */
#include "learning/warm_start.h"

#include <string.h>

#include "base/limits.h"

/* Ids looked up, and floats copied, by one step. */
#define STEP_IDS ((size_t) 1 << 14)
#define STEP_FLOATS ((size_t) 1 << 20)

typedef enum warm_phase
{
	FIND_QUERIES,
	FIND_CANDIDATES,
	FOUND
} warm_phase;

static size_t
query_count(const tfrs_warm_start *warm)
{
	return tfrs_interactions_queries(warm->interactions)->count;
}

static size_t
candidate_count(const tfrs_warm_start *warm)
{
	return tfrs_interactions_candidates(warm->interactions)->count;
}

bool
tfrs_warm_start_bytes(const tfrs_model *model, size_t queries, size_t candidates, size_t *bytes)
{
	size_t		ids;

	return tfrs_size_add(queries, candidates, &ids) &&
		tfrs_size_add(ids, model->query_ids.count + model->candidate_ids.count + 2, &ids) &&
		tfrs_size_multiply(ids, sizeof(uint32_t), &ids) && tfrs_size_add(*bytes, ids, bytes);
}

static tfrs_status
reserve(tfrs_warm_start *warm, tfrs_error *error)
{
	tfrs_arena *arena = warm->arena;
	tfrs_status status = TFRS_GET(arena, &warm->query, warm->model->query_ids.count + 1, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &warm->candidate, warm->model->candidate_ids.count + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &warm->query_rows, query_count(warm), error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &warm->candidate_rows, candidate_count(warm), error);
	return status;
}

static bool
keeps_state(const tfrs_model *model, const tfrs_optimizer *optimizer)
{
	return model->optimizer != NULL && model->optimizer->kind == (uint32_t) optimizer->kind &&
		(int) model->optimizer->slots == tfrs_optimizer_slots(optimizer);
}

tfrs_status
tfrs_warm_start_begin(tfrs_warm_start *warm, tfrs_arena *arena, const tfrs_model *model,
					  const tfrs_train_options *options, const tfrs_interactions *interactions,
					  tfrs_error *error)
{
	tfrs_status status;

	memset(warm, 0, sizeof(*warm));
	warm->arena = arena;
	warm->model = model;
	warm->interactions = interactions;
	warm->keeps_state = keeps_state(model, &options->optimizer);
	if (model->shape->rows + tfrs_interactions_count(interactions) > TFRS_MAX_INTERACTIONS)
		return tfrs_fail(error, TFRS_TOO_LARGE, "a model cannot learn from more than %zu rows",
						 TFRS_MAX_INTERACTIONS);
	status = reserve(warm, error);
	if (status != TFRS_OK)
	{
		tfrs_warm_start_free(warm);
		return status;
	}
	memcpy(warm->query_rows, tfrs_interactions_query_counts(interactions),
		   query_count(warm) * sizeof(uint32_t));
	memcpy(warm->candidate_rows, tfrs_interactions_candidate_counts(interactions),
		   candidate_count(warm) * sizeof(uint32_t));
	warm->query[model->query_ids.count] = (uint32_t) query_count(warm);
	warm->candidate[model->candidate_ids.count] = (uint32_t) candidate_count(warm);
	warm->stored = (tfrs_stored_events) {
		&model->events, warm->query, warm->candidate, warm->query_rows, warm->candidate_rows
	};
	return TFRS_OK;
}

void
tfrs_warm_start_free(tfrs_warm_start *warm)
{
	if (warm->arena == NULL)
		return;
	tfrs_arena_release(warm->arena, warm->query);
	tfrs_arena_release(warm->arena, warm->candidate);
	tfrs_arena_release(warm->arena, warm->query_rows);
	tfrs_arena_release(warm->arena, warm->candidate_rows);
	memset(warm, 0, sizeof(*warm));
}

/* Some of the earlier ids: where they are now, and their rows added to those of now. */
static tfrs_status
find_ids(tfrs_warm_start *warm, const tfrs_id_view *ids, const uint32_t *counts,
		 const tfrs_id_set *now, uint32_t *place, uint32_t *rows)
{
	tfrs_id_view view = tfrs_id_set_view(now);
	size_t		left = ids->count - warm->done;
	size_t		end = warm->done + (left < STEP_IDS ? left : STEP_IDS);

	for (; warm->done < end; warm->done++)
	{
		uint32_t	row = tfrs_id_view_find(&view, tfrs_id_view_get(ids, (uint32_t) warm->done));

		if (row == TFRS_NO_ROW)
			return TFRS_INVALID_ARGUMENT;
		place[warm->done] = row;
		rows[row] += counts[warm->done];
	}
	return end < ids->count ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_warm_start_step(tfrs_warm_start *warm, tfrs_error *error)
{
	const tfrs_model *model = warm->model;
	tfrs_status status;

	if (warm->phase == FIND_QUERIES)
		status = find_ids(warm, &model->query_ids, model->query_counts,
						  tfrs_interactions_queries(warm->interactions), warm->query,
						  warm->query_rows);
	else
		status = find_ids(warm, &model->candidate_ids, model->candidate_counts,
						  tfrs_interactions_candidates(warm->interactions), warm->candidate,
						  warm->candidate_rows);
	if (status == TFRS_INVALID_ARGUMENT)
		return tfrs_fail(error, status, "an id of the model is not known to the interactions");
	if (status != TFRS_OK)
		return status;
	warm->done = 0;
	warm->phase++;
	return warm->phase == FOUND ? TFRS_OK : TFRS_MORE;
}

static tfrs_status
refuse(tfrs_error *error, const char *option)
{
	tfrs_fail(error, TFRS_INVALID_ARGUMENT, "retraining cannot change \"%s\"", option);
	tfrs_error_detail(error, "The model's tables are made for what it was trained with.");
	tfrs_error_hint(error, "Leave the option out, or train a new model.");
	return TFRS_INVALID_ARGUMENT;
}

static tfrs_status
check_history(const tfrs_history_shape *shape, const tfrs_train_options *options,
			  tfrs_error *error)
{
	const tfrs_history_options *history = &options->history;
	bool		all = shape->decay[0] == 0.0f;

	if (history->all != all)
		return refuse(error, "all");
	if (history->decays != shape->bags - all)
		return refuse(error, "decay");
	for (uint32_t i = 0; i < history->decays; i++)
		if (history->decay[i] != shape->decay[i + all])
			return refuse(error, "decay");
	if (options->candidate_bias != (shape->bias != 0))
		return refuse(error, "candidate_bias");
	return options->normalize == (shape->normalize != 0) ? TFRS_OK : refuse(error, "normalize");
}

static bool
has_times(const tfrs_model *model)
{
	return model->events.at != NULL ||
		(model->history != NULL && model->history->decay[model->history->bags - 1] > 0.0f);
}

static tfrs_status
check_times(const tfrs_model *model, bool has_time, tfrs_error *error)
{
	bool		times = has_times(model);

	if (has_time == times || (!model->has_events && model->history == NULL))
		return TFRS_OK;
	tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the model was trained with%s event times",
			  times ? "" : "out");
	tfrs_error_hint(error, times
					? "Give retrain a weight and a time too: retrain(model, query, candidate, "
					"weight, at, options)."
					: "Give retrain no times either, or train a new model.");
	return TFRS_INVALID_ARGUMENT;
}

tfrs_status
tfrs_warm_start_check(const tfrs_model *model, const tfrs_train_options *options, bool has_time,
					  tfrs_error *error)
{
	tfrs_status status;

	if (options->dim != model->shape->dim)
		return refuse(error, "dim");
	if (options->history.on != (model->history != NULL))
		return refuse(error, "history");
	status = check_times(model, has_time, error);
	if (status == TFRS_OK && model->history != NULL)
		status = check_history(model->history, options, error);
	return status;
}

void
tfrs_warm_start_keep_shape(const tfrs_model *model, tfrs_history_options *history)
{
	const tfrs_history_shape *shape = model->history;

	history->all = shape->decay[0] == 0.0f;
	history->decays = shape->bags - history->all;
	for (uint32_t i = 0; i < history->decays; i++)
		history->decay[i] = shape->decay[i + history->all];
}

/* An earlier table. */
typedef struct source
{
	size_t		rows;
	const uint32_t *place;		/* (rows) of each row now */
	const float *values;		/* (rows, D) */
	size_t		width;			/* numbers of a row that were normalized */
	const tfrs_model_state *state;
} source;

static void
copy_row(const source *from, size_t row, bool with_state, tfrs_table *table)
{
	size_t		dim = table->dim;
	float	   *values = table->values + from->place[row] * dim;

	memcpy(values, from->values + row * dim, dim * sizeof(float));
	for (size_t d = 0; d < from->width && from->state->length != NULL; d++)
		values[d] *= from->state->length[row];
	for (int i = 0; i < table->slots && with_state; i++)
		if (from->state->slot[i] != NULL)
			memcpy(table->slot[i] + from->place[row] * dim, from->state->slot[i] + row * dim,
				   dim * sizeof(float));
}

static tfrs_status
copy_rows(const tfrs_warm_start *warm, const source *from, tfrs_table *table, size_t *done)
{
	size_t		piece = STEP_FLOATS / table->dim + 1;
	size_t		end = from->rows - *done < piece ? from->rows : *done + piece;

	for (; *done < end; (*done)++)
		copy_row(from, *done, warm->keeps_state, table);
	return end < from->rows ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_warm_start_queries(const tfrs_warm_start *warm, tfrs_table *table, size_t *done)
{
	const tfrs_model *model = warm->model;
	source		from = {
		model->query_ids.count + 1, warm->query, model->query_table, table->dim,
		&model->query_state
	};

	return copy_rows(warm, &from, table, done);
}

/* A tied bag has what candidates were before they were normalized. */
tfrs_status
tfrs_warm_start_candidates(const tfrs_warm_start *warm, tfrs_table *table, bool tied,
						   size_t *done)
{
	const tfrs_model *model = warm->model;
	source		from = {
		model->candidate_ids.count + 1, warm->candidate, model->candidate_table,
		model->history != NULL ? tfrs_history_width(model->history) : table->dim,
		&model->candidate_state
	};

	if (tied)
	{
		from.rows--;
		from.values = model->bag_table[0];
		from.width = 0;
	}
	return copy_rows(warm, &from, table, done);
}

tfrs_status
tfrs_warm_start_bag(const tfrs_warm_start *warm, uint32_t bag, tfrs_table *table, size_t *done)
{
	const tfrs_model *model = warm->model;
	source		from = {
		model->candidate_ids.count, warm->candidate, model->bag_table[bag], 0,
		&model->bag_state[bag]
	};

	return copy_rows(warm, &from, table, done);
}

uint64_t
tfrs_warm_start_steps(const tfrs_warm_start *warm)
{
	return warm->keeps_state ? warm->model->optimizer->step : 0;
}
