/*
 * warm_start.c: where the parameters of an earlier model belong now.
 */
#include "learning/warm_start.h"

#include <string.h>

#include "base/limits.h"

/* Ids looked up by one step. */
#define STEP_IDS ((size_t) 1 << 14)

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

/* Sizes of the arrays, with those of the earlier model. */
typedef struct places
{
	tfrs_warm_start *warm;
	size_t		queries;		/* now */
	size_t		candidates;
} places;

static void
arrays(void *object, tfrs_plan *plan)
{
	places	   *places = object;
	tfrs_warm_start *warm = places->warm;

	TFRS_PLAN(plan, &warm->query, warm->model->query_ids.count + 1);
	TFRS_PLAN(plan, &warm->candidate, warm->model->candidate_ids.count + 1);
	TFRS_PLAN(plan, &warm->query_rows, places->queries);
	TFRS_PLAN(plan, &warm->candidate_rows, places->candidates);
}

void
tfrs_warm_start_plan(tfrs_plan *plan, const tfrs_model *model, size_t queries, size_t candidates)
{
	tfrs_warm_start warm = {.model = model};

	arrays(&(places) {&warm, queries, candidates}, plan);
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
	status = tfrs_plan_take(arena, arrays,
							&(places) {warm, query_count(warm), candidate_count(warm)}, error);
	if (status != TFRS_OK)
		return status;
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
	tfrs_plan_release(warm->arena, arrays, &(places) {warm, 0, 0});
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

	if (warm->phase == TFRS_WARM_QUERIES)
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
	return warm->phase == TFRS_WARM_FOUND ? TFRS_OK : TFRS_MORE;
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
check_history(const tfrs_tower_shape *shape, const tfrs_train_options *options,
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
	return TFRS_OK;
}

/* The end of the towers: a plain table of any length can be normalized, a bias needs its place. */
static tfrs_status
check_tower(const tfrs_tower_shape *shape, const tfrs_train_options *options, tfrs_error *error)
{
	if (options->candidate_bias != (shape->bias != 0))
		return refuse(error, "candidate_bias");
	if (shape->bags > 0 && options->normalize != (shape->normalize != 0))
		return refuse(error, "normalize");
	return TFRS_OK;
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
	if (status == TFRS_OK)
		status = check_tower(model->tower, options, error);
	if (status == TFRS_OK && model->history != NULL)
		status = check_history(model->history, options, error);
	return status;
}

void
tfrs_warm_start_keep_shape(const tfrs_model *model, tfrs_history_options *history)
{
	const tfrs_tower_shape *shape = model->history;

	history->all = shape->decay[0] == 0.0f;
	history->decays = shape->bags - history->all;
	for (uint32_t i = 0; i < history->decays; i++)
		history->decay[i] = shape->decay[i + history->all];
}

/* An earlier tensor as its rows are copied. */
typedef struct source
{
	const tfrs_model_tensor *tensor;
	size_t		rows;
	const uint32_t *place;		/* (rows) of each row now */
	const float *values;		/* (rows, D) */
	size_t		width;			/* numbers of a row that were normalized */
} source;

static bool
has_tensor(const tfrs_tensors *parameters, const char *name)
{
	for (size_t i = 0; i < parameters->count; i++)
		if (strcmp(parameters->tensor[i].name, name) == 0)
			return true;
	return false;
}

/* What a tensor begins with.  Candidates that a bag is tied to are what the bag read, since they
 * were normalized themselves. */
static source
source_of(const tfrs_warm_start *warm, const tfrs_tensors *parameters,
		  const tfrs_tensor *tensor)
{
	const tfrs_model *model = warm->model;
	const tfrs_model_tensor *bag = tfrs_model_tensor_of(model, "bag0");
	source		from = {.tensor = tfrs_model_tensor_of(model, tensor->name)};

	from.place = tensor->of_queries ? warm->query : warm->candidate;
	from.rows = from.tensor->rows;
	from.values = from.tensor->values;
	from.width = tfrs_tower_width(model->tower);
	if (strcmp(tensor->name, "candidate") == 0 && bag != NULL && !has_tensor(parameters, "bag0"))
	{
		from.rows = bag->rows;
		from.values = bag->values;
		from.width = 0;
	}
	return from;
}

static void
copy_row(const source *from, size_t row, bool with_state, tfrs_tensor *tensor)
{
	size_t		dim = tensor->dim;
	const float *length = from->tensor->length;
	float	   *values = tensor->values + from->place[row] * dim;

	memcpy(values, from->values + row * dim, dim * sizeof(float));
	for (size_t d = 0; d < from->width && length != NULL; d++)
		values[d] *= length[row];
	for (int i = 0; i < tensor->slots && with_state; i++)
		if (from->tensor->slot[i] != NULL)
			memcpy(tensor->slot[i] + from->place[row] * dim, from->tensor->slot[i] + row * dim,
				   dim * sizeof(float));
}

/* Takes out of a candidate's bias what was folded into it (tfrs_model_score). */
static void
unfold_bias(const tfrs_model *model, size_t row, float *bias)
{
	const tfrs_model_score *score = model->score;

	if (score->recent > 0 && row < model->candidate_ids.count)
		*bias -= score->recent * (model->recent_end[row] - model->recent_all[row]);
	*bias /= score->towers;
}

/* Whether rows are candidates as they were served, with a bias that something was folded into. */
static bool
has_folded(const tfrs_model *model, const source *from)
{
	return model->score != NULL && model->tower->bias && from->values == model->candidate_table;
}

tfrs_status
tfrs_warm_start_copy_step(const tfrs_warm_start *warm, tfrs_tensors *parameters)
{
	tfrs_tensor *tensor = &parameters->tensor[parameters->at];
	source		from = source_of(warm, parameters, tensor);
	size_t		start;
	size_t		end;

	tfrs_tensors_piece(parameters, from.rows, &start, &end);
	for (size_t row = start; row < end; row++)
	{
		copy_row(&from, row, warm->keeps_state, tensor);
		if (has_folded(warm->model, &from))
			unfold_bias(warm->model, row,
						tensor->values + (from.place[row] + 1) * tensor->dim - 1);
	}
	return tfrs_tensors_pass(parameters, from.rows);
}

uint64_t
tfrs_warm_start_steps(const tfrs_warm_start *warm)
{
	return warm->keeps_state ? warm->model->optimizer->step : 0;
}
