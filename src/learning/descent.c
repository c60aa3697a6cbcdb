/*
 * descent.c: the phases of descent.h.
 *
 * The gradient of a step is that of the loss (divided by the rows of a full batch where a mean is
 * asked for) plus 2 l2 v for every touched row v; then its norm over all tables is clipped.
 */
#include "learning/descent.h"

#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "learning/streams.h"

/* Its memory is held while it is at work. */
static tfrs_status
begin_spectral(tfrs_descent *descent, tfrs_error *error)
{
	return !tfrs_descent_is_spectral(descent) ? TFRS_OK
		: tfrs_spectral_begin(&descent->spectral, descent->arena, descent->options->seed, error);
}

static tfrs_status
find_start(tfrs_descent *descent)
{
	tfrs_status status;

	if (descent->spectral.arena == NULL)
		return TFRS_OK;
	status = tfrs_spectral_step(&descent->spectral, &descent->parameters);
	if (status == TFRS_OK)
		tfrs_spectral_free(&descent->spectral);
	return status;
}

/* The arrays are there. */
static tfrs_status
begin_examples(tfrs_descent *descent, const tfrs_descent_data *data, tfrs_error *error)
{
	tfrs_negatives *negatives = &descent->negatives;

	negatives->arena = descent->arena;
	tfrs_negatives_begin(negatives);
	if (tfrs_descent_has_states(descent))
	{
		tfrs_state_examples_begin(&descent->states, &descent->batch);
		negatives->frequency = descent->states.count;
		return TFRS_OK;
	}
	negatives->frequency = tfrs_interactions_candidate_counts(data->interactions);
	return tfrs_interaction_examples_begin(&descent->interactions, data->interactions,
										   data->split, error);
}

tfrs_status
tfrs_descent_begin(tfrs_descent *descent, tfrs_arena *arena, const tfrs_train_options *options,
				   const tfrs_descent_counts *counts, const tfrs_descent_data *data,
				   tfrs_error *error)
{
	tfrs_status status;

	tfrs_descent_size(descent, options, counts);
	status = tfrs_plan_take(arena, tfrs_descent_arrays, descent, error);
	if (status != TFRS_OK)
		return status;
	descent->arena = arena;
	descent->warm = data->warm;
	status = tfrs_softmax_create(&descent->softmax, arena, options->threads, error);
	if (status == TFRS_OK)
		status = begin_spectral(descent, error);
	if (status == TFRS_OK)
		status = begin_examples(descent, data, error);
	if (status != TFRS_OK)
		tfrs_descent_free(descent);
	return status;
}

void
tfrs_descent_free(tfrs_descent *descent)
{
	if (descent->arena == NULL)
		return;
	tfrs_softmax_destroy(descent->softmax);
	tfrs_spectral_free(&descent->spectral);
	tfrs_plan_release(descent->arena, tfrs_descent_arrays, descent);
	memset(descent, 0, sizeof(*descent));
}

tfrs_tensor *
tfrs_descent_candidates(tfrs_descent *descent)
{
	return &descent->parameters.tensor[0];
}

tfrs_tensor *
tfrs_descent_queries(tfrs_descent *descent)
{
	return descent->shape.bags > 0 || !tfrs_side_has_id(&descent->counts.query) ? NULL
		: descent->query.encoder[0].table;
}

const tfrs_tensor *
tfrs_descent_bag(const tfrs_descent *descent, uint32_t bag)
{
	return descent->query.encoder[bag].table;
}

uint64_t
tfrs_descent_steps(const tfrs_descent *descent)
{
	return descent->step + (descent->warm != NULL ? tfrs_warm_start_steps(descent->warm) : 0);
}

/* The id of what nobody has chosen tells nothing. */
static void
clear_new(tfrs_descent *descent)
{
	tfrs_tensor *tensor = tfrs_descent_candidates(descent);

	for (size_t c = 0; descent->counts.chosen != NULL && c < descent->counts.candidates; c++)
		if (descent->counts.chosen[c] == 0)
			memset(tensor->values + c * tensor->dim, 0, tensor->dim * sizeof(float));
}

/* Looks for states, or at the queries' weights.  What an earlier training has learned stays. */
static tfrs_status
prepare(tfrs_descent *descent)
{
	tfrs_feature_towers towers = tfrs_descent_feature_towers(descent);
	tfrs_status status;

	if (descent->warm == NULL)
		tfrs_feature_towers_clear(&towers);
	if (tfrs_side_has_id(&descent->counts.candidate))
		clear_new(descent);
	if (!tfrs_descent_has_states(descent))
	{
		descent->negatives.total = (double) descent->counts.rows;
		return tfrs_interaction_examples_prepare(&descent->interactions);
	}
	status = tfrs_state_examples_prepare(&descent->states);
	descent->negatives.total = (double) descent->states.pool[TFRS_STATE_ONE].count;
	return status;
}

static tfrs_status
draw_examples(tfrs_descent *descent, tfrs_error *error)
{
	if (!tfrs_descent_has_states(descent))
		return tfrs_interaction_examples_draw(&descent->interactions, &descent->batch, error);
	tfrs_state_examples_draw(&descent->states, &descent->batch);
	return TFRS_OK;
}

/* The row of a key, one of count; that of NULLs of one that is not known. */
static uint32_t
row_of_key(const tfrs_side_features *side, uint32_t key, size_t count)
{
	return side->row_of_key == NULL || key >= count ? side->null_row : side->row_of_key[key];
}

/* The columns' cells. */
static void
set_candidate_cells(tfrs_descent *descent, const uint32_t *candidate, size_t count)
{
	const tfrs_side_features *side = &descent->counts.candidate;

	for (size_t j = 0; descent->column_row != NULL && j < count; j++)
		descent->column_row[j] = row_of_key(side, candidate[j], descent->counts.candidates);
	if (tfrs_side_has_id(side))
		descent->candidate.encoder[0].cells.id = candidate;
	tfrs_feature_tower_cells(&descent->candidate, side, descent->column_row);
	tfrs_tower_begin(&descent->candidate, count);
}

/* The row of a query at the time of an example, or where none is told that of its key. */
static uint32_t
query_row(const tfrs_descent *descent, size_t example)
{
	const tfrs_examples *batch = &descent->batch;
	uint32_t	row = batch->query_row == NULL ? TFRS_NO_ROW : batch->query_row[example];

	return row != TFRS_NO_ROW ? row
		: row_of_key(&descent->counts.query, batch->query[example], descent->counts.queries);
}

static void
set_query_cells(tfrs_descent *descent)
{
	tfrs_tower *tower = &descent->query;
	size_t		first = tfrs_feature_tower_first(tower, &descent->counts.query);

	for (size_t r = 0; descent->query_row != NULL && r < descent->batch.rows; r++)
		descent->query_row[r] = query_row(descent, r);
	for (size_t i = 0; i < first; i++)
		tower->encoder[i].cells = descent->batch.cells[i];
	tfrs_feature_tower_cells(tower, &descent->counts.query, descent->query_row);
	tfrs_tower_begin(tower, descent->batch.rows);
}

static void
drop_keys(tfrs_descent *descent)
{
	tfrs_tower *towers[] = {&descent->query, &descent->candidate};

	for (int i = 0; i < 2; i++)
	{
		tfrs_random random;

		tfrs_random_init(&random, descent->options->seed, TFRS_STREAM_KEY_DROPOUT,
						 2 * descent->step + (uint64_t) i);
		tfrs_tower_drop_keys(towers[i], &random);
	}
}

/* A batch and its columns, and where the towers read them. */
static tfrs_status
draw(tfrs_descent *descent, tfrs_error *error)
{
	bool		samples = descent->negatives.kind == TFRS_NEGATIVES_SAMPLED;
	uint64_t	seed = descent->options->seed;
	tfrs_random uniform;
	tfrs_status status = draw_examples(descent, error);

	if (status != TFRS_OK || descent->batch.rows == 0)
		return status;
	descent->step++;
	tfrs_random_init(&descent->random, seed, TFRS_STREAM_STEP, descent->step);
	tfrs_random_init(&uniform, seed, TFRS_STREAM_NEGATIVES, descent->step);
	status = tfrs_negatives_choose(&descent->negatives, &descent->batch,
								   samples ? &descent->random : &uniform, error);
	tfrs_tensors_forget(&descent->parameters);
	set_query_cells(descent);
	set_candidate_cells(descent, descent->negatives.candidate, descent->negatives.count);
	drop_keys(descent);
	return status;
}

static tfrs_status
begin_loss(tfrs_descent *descent, tfrs_error *error)
{
	const tfrs_negatives *negatives = &descent->negatives;

	descent->loss = (tfrs_softmax_batch) {
		.rows = descent->batch.rows,
		.columns = negatives->count,
		.dim = descent->shape.dim,
		.query = descent->query.vector,
		.candidate = descent->candidate.vector,
		.target = &negatives->target,
		.hidden = negatives->hides ? &negatives->hidden : NULL,
		.count = negatives->weight,
		.probability = negatives->probability,
		.id = descent->loss_options.remove_accidental_hits ? negatives->number : NULL,
		.d_query = tfrs_tower_gradient(&descent->query),
		.d_candidate = tfrs_tower_gradient(&descent->candidate),
		.target_above = descent->above
	};
	return tfrs_softmax_begin(descent->softmax, &descent->loss, &descent->loss_options, error);
}

static void
count_hits(tfrs_descent *descent)
{
	const tfrs_cutoffs *cutoffs = &descent->options->batch_accuracy;
	const tfrs_ragged *target = &descent->negatives.target;

	for (size_t t = 0; cutoffs->count > 0 && t < target->count; t++)
	{
		descent->accuracy.weight += target->weight[t];
		for (uint32_t k = 0; k < cutoffs->count; k++)
			if (descent->above[t] < cutoffs->k[k])
				descent->accuracy.hits[k] += target->weight[t];
	}
}

/* What the loss is multiplied by.  The weights of interactions are given, those of states sum to 1. */
static float
share(const tfrs_descent *descent)
{
	bool		mean = descent->options->reduction == TFRS_REDUCTION_MEAN;

	if (tfrs_descent_has_states(descent))
		return mean ? 1.0f : (float) descent->batch.rows;
	return mean ? 1.0f / (float) descent->interactions.capacity : 1.0f;
}

static tfrs_status
run_loss(tfrs_descent *descent, tfrs_error *error)
{
	tfrs_status status = tfrs_softmax_step(descent->softmax, &descent->total);

	if (status != TFRS_OK)
		return status;
	count_hits(descent);
	descent->total *= share(descent);
	return isfinite(descent->total) ? TFRS_OK
		: tfrs_fail(error, TFRS_NOT_FINITE, "loss is not finite");
}

/* Steps of the whole training. */
static uint64_t
all_steps(const tfrs_descent *descent)
{
	size_t		rows = descent->counts.rows;
	size_t		batch = descent->interactions.capacity;

	if (tfrs_descent_has_states(descent))
		return descent->options->history.steps;
	return (rows + batch - 1) / batch * (uint64_t) descent->options->epochs;
}

/* How the parameters move, at the rate that the schedule has for this step. */
static tfrs_tensors_move
move_of(const tfrs_descent *descent)
{
	const tfrs_train_options *options = descent->options;
	tfrs_tensors_move step = {
		.optimizer = tfrs_train_options_optimizer(options, descent->interactions.capacity),
		.number = tfrs_descent_steps(descent), .share = share(descent), .l2 = options->l2,
		.clip_norm = options->clip_norm
	};

	step.optimizer.learning_rate *= tfrs_schedule_factor(&options->schedule, descent->step,
														 all_steps(descent));
	return step;
}

static tfrs_status
move(tfrs_descent *descent, tfrs_error *error)
{
	tfrs_tensors_move step = move_of(descent);
	tfrs_status status = tfrs_tensors_move_step(&descent->parameters, &step);

	return status == TFRS_NOT_FINITE ? tfrs_fail(error, status, "a parameter is not finite")
		: status;
}

static tfrs_status
finish(tfrs_descent *descent)
{
	tfrs_tensors_move step = move_of(descent);

	return tfrs_tensors_finish_step(&descent->parameters, &step);
}

static tfrs_status
fill(tfrs_descent *descent)
{
	tfrs_optimizer optimizer = tfrs_train_options_optimizer(descent->options,
															descent->interactions.capacity);

	return tfrs_tensors_fill_step(&descent->parameters, &optimizer, descent->options->seed);
}

/* A piece of the phase; TFRS_OK where that was its last one. */
static tfrs_status
run_phase(tfrs_descent *descent, tfrs_error *error)
{
	switch (descent->phase)
	{
		case TFRS_DESCENT_FILL:
			return fill(descent);
		case TFRS_DESCENT_SPECTRAL:
			return find_start(descent);
		case TFRS_DESCENT_WARM:
			return descent->warm == NULL ? TFRS_OK
				: tfrs_warm_start_copy_step(descent->warm, &descent->parameters);
		case TFRS_DESCENT_PREPARE:
			return prepare(descent);
		case TFRS_DESCENT_DRAW:
			return draw(descent, error);
		case TFRS_DESCENT_COLUMNS:
			return tfrs_tower_forward_step(&descent->candidate, &descent->random);
		case TFRS_DESCENT_ROWS:
			return tfrs_tower_forward_step(&descent->query, &descent->random);
		case TFRS_DESCENT_BEGIN_LOSS:
			return begin_loss(descent, error);
		case TFRS_DESCENT_RUN_LOSS:
			return run_loss(descent, error);
		case TFRS_DESCENT_COLUMNS_BACK:
			return tfrs_tower_backward_step(&descent->candidate);
		case TFRS_DESCENT_ROWS_BACK:
			return tfrs_tower_backward_step(&descent->query);
		case TFRS_DESCENT_FINISH:
			return finish(descent);
		case TFRS_DESCENT_MOVE:
			return move(descent, error);
	}
	return TFRS_OK;
}

tfrs_status
tfrs_descent_step(tfrs_descent *descent, bool *stepped, tfrs_error *error)
{
	tfrs_status status = run_phase(descent, error);
	bool		empty = descent->phase == TFRS_DESCENT_DRAW && descent->batch.rows == 0;

	*stepped = status == TFRS_OK && (descent->phase == TFRS_DESCENT_MOVE || empty);
	if (status != TFRS_OK)
		return status;
	descent->phase = *stepped ? TFRS_DESCENT_DRAW : descent->phase + 1;
	return *stepped && descent->batch.done == descent->batch.total ? TFRS_OK : TFRS_MORE;
}

/* All rows of the batch at hand, without any dropout. */
static void
run_tower(tfrs_tower *tower)
{
	if (tower->keyless != NULL)
		memset(tower->keyless, 0, tower->rows);
	while (tfrs_tower_forward_step(tower, NULL) == TFRS_MORE)
		;
}

void
tfrs_descent_serve_candidates(tfrs_descent *descent, size_t first, size_t count, float *vectors)
{
	tfrs_tower *tower = &descent->candidate;
	size_t		dim = descent->shape.dim;
	uint32_t	candidate[TFRS_ENCODER_ROWS];

	TFRS_ASSERT(count <= TFRS_ENCODER_ROWS);
	for (size_t done = 0; done < count; done += tower->rows)
	{
		size_t		rows = tfrs_size_smaller(count - done, tower->room);

		for (size_t i = 0; i < rows; i++)
			candidate[i] = (uint32_t) (first + done + i);
		set_candidate_cells(descent, candidate, rows);
		run_tower(tower);
		memcpy(vectors + done * dim, tower->vector, rows * dim * sizeof(float));
	}
}

void
tfrs_descent_serve_query(tfrs_descent *descent, uint32_t query, uint32_t row,
						 const tfrs_ragged *bags, float *vector)
{
	tfrs_tower *tower = &descent->query;
	size_t		first = tfrs_feature_tower_first(tower, &descent->counts.query);

	for (size_t i = 0; i < first; i++)
		tower->encoder[i].cells = descent->shape.bags == 0 ? (tfrs_cells) {.id = &query}
		: (tfrs_cells) {.list = &bags[i]};
	tfrs_feature_tower_cells(tower, &descent->counts.query, &row);
	tfrs_tower_begin(tower, 1);
	run_tower(tower);
	memcpy(vector, tower->vector, descent->shape.dim * sizeof(float));
}
