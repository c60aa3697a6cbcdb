/*
 * history_trainer.c: the steps of history_trainer.h.
 */
#include "learning/history_trainer.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "base/random.h"

/* Purposes of the random streams. */
enum
{
	STREAM_TABLE = 0x6869,
	STREAM_STEP
};

static bool
is_tied(const tfrs_history_trainer *trainer, uint32_t bag)
{
	return trainer->options.tied && trainer->options.shape.decay[bag] == 0;
}

static tfrs_history_table *
table_of(tfrs_history_trainer *trainer, uint32_t bag)
{
	return is_tied(trainer, bag) ? &trainer->candidate : &trainer->bag[bag];
}

const float *
tfrs_history_trainer_table(const tfrs_history_trainer *trainer, uint32_t bag)
{
	return is_tied(trainer, bag) ? trainer->candidate.values : trainer->bag[bag].values;
}

/* Tables start uniform; the bias component starts at 0. */
static tfrs_status
init_table(tfrs_history_trainer *trainer, tfrs_history_table *table, uint64_t stream,
		   tfrs_error *error)
{
	const tfrs_history_options *options = &trainer->options;
	size_t		dim = options->shape.dim;
	size_t		width = tfrs_history_width(&options->shape);
	tfrs_random random;
	tfrs_status status = TFRS_GET_ZERO(trainer->arena, &table->values, trainer->candidates * dim,
									   error);

	for (int s = 0; s < tfrs_optimizer_slots(&options->optimizer) && status == TFRS_OK; s++)
		status = TFRS_GET_ZERO(trainer->arena, &table->slot[s], trainer->candidates * dim, error);
	if (status == TFRS_OK)
		status = tfrs_row_gradient_init(&table->gradient, trainer->arena, trainer->candidates, dim,
										error);
	if (status != TFRS_OK)
		return status;
	tfrs_random_init(&random, options->seed, STREAM_TABLE, stream);
	for (size_t c = 0; c < trainer->candidates; c++)
		tfrs_random_fill(&random, table->values + c * dim, width, -options->initial_range,
						 options->initial_range);
	return TFRS_OK;
}

static tfrs_status
init_tables(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = init_table(trainer, &trainer->candidate, 0, error);

	for (uint32_t b = 0; b < trainer->options.shape.bags && status == TFRS_OK; b++)
		if (!is_tied(trainer, b))
			status = init_table(trainer, &trainer->bag[b], b + 1, error);
	return status;
}

static tfrs_status
init_scratch(tfrs_history_trainer *trainer, tfrs_error *error)
{
	size_t		count = (size_t) trainer->options.batch * trainer->options.shape.dim;
	tfrs_status status = TFRS_GET(trainer->arena, &trainer->query, count, error);

	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->d_query, count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->keep, count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->inverse_norm, trainer->options.batch, error);
	return status;
}

tfrs_status
tfrs_history_trainer_begin(tfrs_history_trainer *trainer, tfrs_arena *arena,
						   const tfrs_history_options *options, const tfrs_events *events,
						   size_t candidates, tfrs_error *error)
{
	tfrs_status status;

	memset(trainer, 0, sizeof(*trainer));
	trainer->arena = arena;
	trainer->options = *options;
	trainer->candidates = candidates;
	tfrs_state_loss_init(&trainer->loss, arena, options->threads);
	tfrs_matmul_load();
	status = init_tables(trainer, error);
	if (status == TFRS_OK)
		status = tfrs_states_init(&trainer->states, arena, &options->states,
								  &trainer->options.shape, events, error);
	if (status == TFRS_OK)
		status = tfrs_columns_init(&trainer->columns, arena, candidates, options->sampled,
								   options->shape.dim, error);
	if (status == TFRS_OK)
		status = init_scratch(trainer, error);
	return status;
}

/* query = served form of keep * sum of bags */
static void
forward_row(tfrs_history_trainer *trainer, size_t row, tfrs_random *random)
{
	const tfrs_history_options *options = &trainer->options;
	size_t		dim = options->shape.dim;
	size_t		width = tfrs_history_width(&options->shape);
	float	   *query = trainer->query + row * dim;
	float	   *keep = trainer->keep + row * dim;
	float		scale = 1.0f / (1.0f - options->query_dropout);

	memset(query, 0, dim * sizeof(float));
	for (uint32_t b = 0; b < options->shape.bags; b++)
		tfrs_history_add(query, tfrs_history_trainer_table(trainer, b), dim,
						 &trainer->states.bag[b], row);
	for (size_t d = 0; d < width; d++)
	{
		keep[d] = tfrs_random_float(random) < options->query_dropout ? 0.0f : scale;
		query[d] *= keep[d];
	}
	trainer->inverse_norm[row] =
		1.0f / sqrtf(fmaxf(tfrs_kernels.dot(query, query, width), 1e-12f));
	tfrs_history_finish(&options->shape, query);
}

/* Gradient of the query vector -> gradient of the sum of bags, in place. */
static void
backward_row(tfrs_history_trainer *trainer, size_t row)
{
	const tfrs_history_shape *shape = &trainer->options.shape;
	size_t		width = tfrs_history_width(shape);
	const float *query = trainer->query + row * shape->dim;
	const float *keep = trainer->keep + row * shape->dim;
	float	   *d_query = trainer->d_query + row * shape->dim;
	float		scale = 1.0f / shape->temperature;
	float		along = 0.0f;

	if (shape->normalize)
	{
		/* query = u / T with |u| = 1: the part along u goes */
		along = tfrs_kernels.dot(query, d_query, width) * shape->temperature * shape->temperature;
		scale *= trainer->inverse_norm[row];
	}
	for (size_t d = 0; d < width; d++)
		d_query[d] = (d_query[d] - query[d] * along) * scale * keep[d];
	if (shape->bias)
		d_query[width] = 0.0f;
}

static tfrs_status
run_loss(tfrs_history_trainer *trainer, double *loss, tfrs_error *error)
{
	const tfrs_history_shape *shape = &trainer->options.shape;
	tfrs_state_batch batch = {0};

	batch.rows = trainer->states.rows;
	batch.columns = trainer->columns.count;
	batch.dim = shape->dim;
	batch.query = trainer->query;
	batch.candidate = trainer->columns.vector;
	batch.column_weight = trainer->columns.weight;
	batch.shift = shape->normalize ? 1.0f / shape->temperature : 0.0f;
	batch.target = &trainer->states.target;
	batch.masked = &trainer->states.masked;
	batch.d_query = trainer->d_query;
	batch.d_candidate = trainer->candidate.gradient.values;
	return tfrs_state_loss_run(&trainer->loss, &batch, loss, error);
}

/* Room for the columns' gradients, which the loss writes, and for a tied bag's rows behind them. */
static tfrs_status
reset_candidate_gradient(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_row_gradient *gradient = &trainer->candidate.gradient;
	size_t		room = trainer->columns.count;
	tfrs_status status;

	for (uint32_t b = 0; b < trainer->options.shape.bags; b++)
		if (is_tied(trainer, b))
			room += trainer->states.bag[b].count;
	if (room > trainer->candidates)
		room = trainer->candidates;
	status = tfrs_row_gradient_reset(gradient, trainer->arena, room, error);
	for (size_t c = 0; c < trainer->columns.count && status == TFRS_OK; c++)
		(void) tfrs_row_gradient_of(gradient, trainer->columns.candidate[c]);
	return status;
}

/* Spreads the rows' gradients over the rows of the bag's table. */
static tfrs_status
backward_bag(tfrs_history_trainer *trainer, uint32_t b, tfrs_error *error)
{
	size_t		dim = trainer->options.shape.dim;
	const tfrs_ragged *bag = &trainer->states.bag[b];
	tfrs_row_gradient *gradient = &table_of(trainer, b)->gradient;
	size_t		room = bag->count < trainer->candidates ? bag->count : trainer->candidates;

	if (!is_tied(trainer, b))
	{
		tfrs_status status = tfrs_row_gradient_reset(gradient, trainer->arena, room, error);

		if (status != TFRS_OK)
			return status;
	}
	for (size_t r = 0; r < trainer->states.rows; r++)
		for (size_t i = bag->start[r]; i < bag->start[r + 1]; i++)
			tfrs_kernels.add_scaled(tfrs_row_gradient_of(gradient, bag->item[i]),
									trainer->d_query + r * dim, dim, bag->weight[i]);
	return TFRS_OK;
}

static void
move_table(tfrs_history_trainer *trainer, tfrs_history_table *table,
		   const tfrs_optimizer *optimizer)
{
	tfrs_optimizer_table view = {0};

	view.rows = trainer->candidates;
	view.dim = trainer->options.shape.dim;
	view.values = table->values;
	view.slot[0] = table->slot[0];
	view.slot[1] = table->slot[1];
	view.touched = table->gradient.count;
	view.touched_row = table->gradient.row;
	view.gradient = table->gradient.values;
	tfrs_optimizer_apply(optimizer, trainer->step, &view);
}

static void
move_tables(tfrs_history_trainer *trainer)
{
	tfrs_optimizer optimizer = trainer->options.optimizer;
	uint32_t	last = trainer->options.steps > 1 ? trainer->options.steps - 1 : 1;
	float		done = (float) (trainer->step - 1) / (float) last;

	optimizer.learning_rate += (trainer->options.last_rate - optimizer.learning_rate) * done;
	move_table(trainer, &trainer->candidate, &optimizer);
	for (uint32_t b = 0; b < trainer->options.shape.bags; b++)
		if (!is_tied(trainer, b) && trainer->bag[b].gradient.count > 0)
			move_table(trainer, &trainer->bag[b], &optimizer);
}

tfrs_status
tfrs_history_trainer_step(tfrs_history_trainer *trainer, double *loss, tfrs_error *error)
{
	tfrs_states *states = &trainer->states;
	tfrs_columns *columns = &trainer->columns;
	const tfrs_history_shape *shape = &trainer->options.shape;
	tfrs_random random;
	tfrs_status status = tfrs_states_next(states, trainer->options.batch, error);

	trainer->step++;
	tfrs_random_init(&random, trainer->options.seed, STREAM_STEP, trainer->step);
	if (status == TFRS_OK)
		status = tfrs_columns_choose(columns, trainer->arena, &random, &states->target,
									 &states->masked, shape->dim, error);
	if (status == TFRS_OK)
		status = reset_candidate_gradient(trainer, error);
	if (status != TFRS_OK)
		return status;
	tfrs_columns_forward(columns, shape, trainer->candidate.values);
	for (size_t r = 0; r < states->rows; r++)
		forward_row(trainer, r, &random);
	status = run_loss(trainer, loss, error);
	if (status != TFRS_OK)
		return status;
	tfrs_columns_backward(columns, shape, trainer->candidate.gradient.values);
	for (size_t r = 0; r < states->rows; r++)
		backward_row(trainer, r);
	for (uint32_t b = 0; b < shape->bags && status == TFRS_OK; b++)
		status = backward_bag(trainer, b, error);
	if (status != TFRS_OK)
		return status;
	move_tables(trainer);
	return trainer->step < trainer->options.steps ? TFRS_MORE : TFRS_OK;
}

void
tfrs_history_trainer_serve(const tfrs_history_trainer *trainer, float *served)
{
	const tfrs_history_shape *shape = &trainer->options.shape;
	size_t		width = tfrs_history_width(shape);

	memcpy(served, trainer->candidate.values, trainer->candidates * shape->dim * sizeof(float));
	for (size_t c = 0; c < trainer->candidates && shape->normalize; c++)
	{
		float	   *row = served + c * shape->dim;
		float		scale = 1.0f / sqrtf(fmaxf(tfrs_kernels.dot(row, row, width), 1e-12f));

		for (size_t d = 0; d < width; d++)
			row[d] *= scale;
	}
}

static void
free_table(tfrs_history_table *table, tfrs_arena *arena)
{
	tfrs_arena_release(arena, table->values);
	tfrs_arena_release(arena, table->slot[0]);
	tfrs_arena_release(arena, table->slot[1]);
	tfrs_row_gradient_free(&table->gradient, arena);
}

void
tfrs_history_trainer_free(tfrs_history_trainer *trainer)
{
	tfrs_arena *arena = trainer->arena;

	free_table(&trainer->candidate, arena);
	for (uint32_t b = 0; b < TFRS_MAX_BAGS; b++)
		free_table(&trainer->bag[b], arena);
	tfrs_states_free(&trainer->states);
	tfrs_columns_free(&trainer->columns, arena);
	tfrs_state_loss_free(&trainer->loss);
	tfrs_arena_release(arena, trainer->query);
	tfrs_arena_release(arena, trainer->d_query);
	tfrs_arena_release(arena, trainer->keep);
	tfrs_arena_release(arena, trainer->inverse_norm);
}
