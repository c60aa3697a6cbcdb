/*
 * history_trainer.c: the steps of history_trainer.h.
 */
#include "learning/history_trainer.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "learning/normalize.h"
#include "learning/streams.h"

bool
tfrs_history_trainer_is_tied(const tfrs_history_trainer *trainer, uint32_t bag)
{
	return trainer->options->history.tied && trainer->shape.decay[bag] == 0;
}

static tfrs_history_table *
table_of(tfrs_history_trainer *trainer, uint32_t bag)
{
	return tfrs_history_trainer_is_tied(trainer, bag) ? &trainer->candidate : &trainer->bag[bag];
}

const float *
tfrs_history_trainer_table(const tfrs_history_trainer *trainer, uint32_t bag)
{
	return tfrs_history_trainer_is_tied(trainer, bag) ? trainer->candidate.table.values
		: trainer->bag[bag].table.values;
}

static tfrs_status
init_table(tfrs_history_trainer *trainer, tfrs_history_table *table, tfrs_error *error)
{
	const tfrs_train_options *options = trainer->options;
	tfrs_status status = tfrs_table_init(&table->table, trainer->arena, trainer->candidates,
										 options->dim, tfrs_optimizer_slots(&options->optimizer),
										 error);

	if (status == TFRS_OK)
		status = tfrs_row_gradient_init(&table->gradient, trainer->arena, trainer->candidates,
										options->dim, error);
	return status;
}

static tfrs_status
init_tables(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = init_table(trainer, &trainer->candidate, error);

	for (uint32_t b = 0; b < trainer->shape.bags && status == TFRS_OK; b++)
		if (!tfrs_history_trainer_is_tied(trainer, b))
			status = init_table(trainer, &trainer->bag[b], error);
	return status;
}

static tfrs_status
init_scratch(tfrs_history_trainer *trainer, tfrs_error *error)
{
	size_t		batch = trainer->options->batch_size;
	size_t		floats = batch * trainer->shape.dim;
	tfrs_status status = TFRS_GET(trainer->arena, &trainer->query, floats, error);

	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->d_query, floats, error);
	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->keep, floats, error);
	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->scale, batch, error);
	return status;
}

static tfrs_status
init_states(tfrs_history_trainer *trainer, const tfrs_events *events, tfrs_error *error)
{
	const tfrs_history_options *history = &trainer->options->history;
	tfrs_states_options options = {
		.hidden_low = history->hidden_low,
		.hidden_high = history->hidden_high,
		.dropout = history->dropout,
		.hide_share = history->hide_share,
		.seed = trainer->options->seed
	};

	return tfrs_states_init(&trainer->states, trainer->arena, &options, &trainer->shape, events,
							error);
}

/* The bag of all first, then the recency bags. */
static tfrs_history_shape
shape_of(const tfrs_train_options *options)
{
	const tfrs_history_options *history = &options->history;
	tfrs_history_shape shape = {
		.dim = options->dim,
		.length = history->length,
		.bias = options->candidate_bias,
		.normalize = options->normalize,
		.temperature = options->loss.temperature
	};

	if (history->all)
		shape.decay[shape.bags++] = 0.0f;
	for (uint32_t i = 0; i < history->decays; i++)
		shape.decay[shape.bags++] = history->decay[i];
	return shape;
}

tfrs_status
tfrs_history_trainer_begin(tfrs_history_trainer *trainer, tfrs_arena *arena,
						   const tfrs_train_options *options, const tfrs_events *events,
						   size_t candidates, tfrs_error *error)
{
	size_t		columns = options->history.columns > 0 ? (size_t) options->history.columns : 0;
	tfrs_status status;

	memset(trainer, 0, sizeof(*trainer));
	trainer->arena = arena;
	trainer->options = options;
	trainer->shape = shape_of(options);
	trainer->candidates = candidates;
	tfrs_state_loss_init(&trainer->loss, arena, options->threads);
	tfrs_matmul_load();
	status = init_tables(trainer, error);
	if (status == TFRS_OK)
		status = init_states(trainer, events, error);
	if (status == TFRS_OK)
		status = tfrs_columns_init(&trainer->columns, arena, candidates, columns, options->dim,
								   error);
	if (status == TFRS_OK)
		status = init_scratch(trainer, error);
	if (status != TFRS_OK)
		tfrs_history_trainer_free(trainer);
	return status;
}

/* query = served form of keep * sum of bags */
static void
forward_row(tfrs_history_trainer *trainer, size_t row, tfrs_random *random)
{
	const tfrs_history_shape *shape = &trainer->shape;
	size_t		width = tfrs_history_width(shape);
	float		dropout = trainer->options->dropout;
	float	   *query = trainer->query + row * shape->dim;
	float	   *keep = trainer->keep + row * shape->dim;

	memset(query, 0, shape->dim * sizeof(float));
	for (uint32_t b = 0; b < shape->bags; b++)
		tfrs_history_add(query, tfrs_history_trainer_table(trainer, b), shape->dim,
						 &trainer->states.bag[b], row);
	for (size_t d = 0; d < width; d++)
	{
		keep[d] = dropout > 0 && tfrs_random_float(random) < dropout ? 0.0f
			: 1.0f / (1.0f - dropout);
		query[d] *= keep[d];
	}
	tfrs_history_finish(shape, query, &trainer->scale[row]);
}

/* Gradient of the query vector -> gradient of the sum of bags, in place. */
static void
backward_row(tfrs_history_trainer *trainer, size_t row)
{
	const tfrs_history_shape *shape = &trainer->shape;
	size_t		width = tfrs_history_width(shape);
	const float *keep = trainer->keep + row * shape->dim;
	float	   *d_query = trainer->d_query + row * shape->dim;

	tfrs_history_finish_backward(shape, trainer->query + row * shape->dim, trainer->scale[row],
								 d_query);
	for (size_t d = 0; d < width; d++)
		d_query[d] *= keep[d];
}

static tfrs_status
run_loss(tfrs_history_trainer *trainer, double *loss, tfrs_error *error)
{
	const tfrs_history_shape *shape = &trainer->shape;
	tfrs_state_batch batch = {
		.rows = trainer->states.rows,
		.columns = trainer->columns.count,
		.dim = shape->dim,
		.query = trainer->query,
		.candidate = trainer->columns.vector,
		.column_weight = trainer->columns.weight,
		.shift = shape->normalize ? 1.0f / shape->temperature : 0.0f,
		.target = &trainer->states.target,
		.masked = &trainer->states.masked,
		.d_query = trainer->d_query,
		.d_candidate = trainer->candidate.gradient.values
	};
	tfrs_status status = tfrs_state_loss_run(&trainer->loss, &batch, loss, error);

	return status == TFRS_OK && !isfinite(*loss) ? TFRS_NOT_FINITE : status;
}

/* Room for the columns' gradients, which the loss writes, and for a tied bag's rows behind them. */
static tfrs_status
reset_candidate_gradient(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_row_gradient *gradient = &trainer->candidate.gradient;
	size_t		room = trainer->columns.count;
	tfrs_status status;

	for (uint32_t b = 0; b < trainer->shape.bags; b++)
		if (tfrs_history_trainer_is_tied(trainer, b))
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
	size_t		dim = trainer->shape.dim;
	const tfrs_ragged *bag = &trainer->states.bag[b];
	tfrs_row_gradient *gradient = &table_of(trainer, b)->gradient;
	size_t		room = bag->count < trainer->candidates ? bag->count : trainer->candidates;

	if (!tfrs_history_trainer_is_tied(trainer, b))
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

static tfrs_status
move_table(const tfrs_history_trainer *trainer, tfrs_history_table *table,
		   const tfrs_optimizer *optimizer)
{
	return tfrs_table_apply(&table->table, optimizer, trainer->step, table->gradient.row,
							table->gradient.count, table->gradient.values);
}

static tfrs_status
move_tables(tfrs_history_trainer *trainer)
{
	tfrs_optimizer optimizer = trainer->options->optimizer;
	tfrs_status status;

	optimizer.learning_rate *= tfrs_schedule_factor(&trainer->options->schedule, trainer->step,
													trainer->options->history.steps);
	status = move_table(trainer, &trainer->candidate, &optimizer);
	for (uint32_t b = 0; b < trainer->shape.bags && status == TFRS_OK; b++)
		if (!tfrs_history_trainer_is_tied(trainer, b) && trainer->bag[b].gradient.count > 0)
			status = move_table(trainer, &trainer->bag[b], &optimizer);
	return status;
}

/* Draws the batch and its columns and computes both sides' vectors. */
static tfrs_status
forward(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_states *states = &trainer->states;
	tfrs_columns *columns = &trainer->columns;
	tfrs_random random;
	tfrs_status status = tfrs_states_next(states, trainer->options->batch_size, error);

	tfrs_random_init(&random, trainer->options->seed, TFRS_STREAM_STEP, trainer->step);
	if (status == TFRS_OK)
		status = tfrs_columns_choose(columns, trainer->arena, &random, &states->target,
									 &states->masked, trainer->shape.dim, error);
	if (status == TFRS_OK)
		status = reset_candidate_gradient(trainer, error);
	if (status != TFRS_OK)
		return status;
	tfrs_columns_forward(columns, &trainer->shape, trainer->candidate.table.values);
	for (size_t r = 0; r < states->rows; r++)
		forward_row(trainer, r, &random);
	return TFRS_OK;
}

static tfrs_status
backward(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	tfrs_columns_backward(&trainer->columns, &trainer->shape,
						  trainer->candidate.gradient.values);
	for (size_t r = 0; r < trainer->states.rows; r++)
		backward_row(trainer, r);
	for (uint32_t b = 0; b < trainer->shape.bags && status == TFRS_OK; b++)
		status = backward_bag(trainer, b, error);
	return status;
}

/* The tables in the order candidate, bag 0, bag 1, ...; NULL past the last. */
static tfrs_history_table *
table_to_fill(tfrs_history_trainer *trainer)
{
	if (trainer->filled == 0)
		return &trainer->candidate;
	while (trainer->filled <= trainer->shape.bags &&
		   tfrs_history_trainer_is_tied(trainer, trainer->filled - 1))
		trainer->filled++;
	return trainer->filled <= trainer->shape.bags ? &trainer->bag[trainer->filled - 1] : NULL;
}

/* A bias starts at 0, and where there is one the bags leave its place alone. */
static void
clear_bias(const tfrs_history_trainer *trainer, tfrs_table *table)
{
	for (size_t row = 0; row < table->rows && trainer->shape.bias; row++)
		table->values[(row + 1) * table->dim - 1] = 0.0f;
}

static void
fill(tfrs_history_trainer *trainer, tfrs_history_table *table)
{
	if (table->table.done == 0)
		tfrs_random_init(&trainer->fill, trainer->options->seed,
						 trainer->filled == 0 ? TFRS_STREAM_CANDIDATE_TABLE
						 : TFRS_STREAM_BAG_TABLE, trainer->filled);
	if (tfrs_table_fill_step(&table->table, &trainer->options->optimizer,
							 &trainer->fill) == TFRS_MORE)
		return;
	clear_bias(trainer, &table->table);
	trainer->filled++;
}

tfrs_status
tfrs_history_trainer_step(tfrs_history_trainer *trainer, bool *stepped, double *loss,
						  tfrs_error *error)
{
	tfrs_history_table *table = table_to_fill(trainer);
	tfrs_status status;

	*stepped = table == NULL;
	if (table != NULL)
	{
		fill(trainer, table);
		return TFRS_MORE;
	}
	trainer->step++;
	status = forward(trainer, error);
	if (status == TFRS_OK)
		status = run_loss(trainer, loss, error);
	if (status == TFRS_OK)
		status = backward(trainer, error);
	if (status == TFRS_OK)
		status = move_tables(trainer);
	if (status != TFRS_OK)
		return status;
	return trainer->step < trainer->options->history.steps ? TFRS_MORE : TFRS_OK;
}

static void
free_table(tfrs_history_table *table, tfrs_arena *arena)
{
	tfrs_table_free(&table->table);
	tfrs_row_gradient_free(&table->gradient, arena);
}

void
tfrs_history_trainer_free(tfrs_history_trainer *trainer)
{
	tfrs_arena *arena = trainer->arena;

	if (arena == NULL)
		return;
	free_table(&trainer->candidate, arena);
	for (uint32_t b = 0; b < TFRS_MAX_BAGS; b++)
		free_table(&trainer->bag[b], arena);
	tfrs_states_free(&trainer->states);
	tfrs_columns_free(&trainer->columns, arena);
	tfrs_state_loss_free(&trainer->loss);
	tfrs_arena_release(arena, trainer->query);
	tfrs_arena_release(arena, trainer->d_query);
	tfrs_arena_release(arena, trainer->keep);
	tfrs_arena_release(arena, trainer->scale);
	memset(trainer, 0, sizeof(*trainer));
}

static bool
add_product(size_t a, size_t b, size_t size, size_t *bytes)
{
	size_t		product;

	return tfrs_size_multiply(a, b, &product) && tfrs_size_multiply(product, size, &product) &&
		tfrs_size_add(*bytes, product, bytes);
}

/* The columns of a batch at most, its targets among them where they are sampled. */
static size_t
most_columns(const tfrs_train_options *options, size_t candidates, size_t events)
{
	size_t		sampled = options->history.columns > 0 ? (size_t) options->history.columns : 0;

	return sampled == 0 || sampled + events > candidates ? candidates : sampled + events;
}

/* The lists of a batch hold all events of its queries, on the average; a few long queries hold more. */
bool
tfrs_history_trainer_bytes(const tfrs_train_options *options, size_t queries, size_t candidates,
						   size_t events, size_t *bytes)
{
	tfrs_history_shape shape = shape_of(options);
	int			slots = tfrs_optimizer_slots(&options->optimizer);
	size_t		batch = options->batch_size;
	size_t		listed = queries > batch ? events / queries * batch + batch : events;
	size_t		columns = most_columns(options, candidates, listed);
	bool		fits = true;

	for (uint32_t t = 0; t <= shape.bags && fits; t++)
		fits = tfrs_table_bytes(candidates, shape.dim, slots, bytes) &&
			add_product(candidates, shape.dim + 2, sizeof(float), bytes);
	return fits &&
		add_product(listed, shape.bags + 3, sizeof(uint32_t) + sizeof(float), bytes) &&
		add_product(events, 2, sizeof(uint32_t), bytes) &&
		add_product(batch, 3 * (size_t) shape.dim, sizeof(float), bytes) &&
		add_product(columns, shape.dim * (size_t) (1 + TFRS_STATE_LANES), sizeof(float), bytes) &&
		add_product(columns, (size_t) options->threads * TFRS_STATE_TILE, sizeof(float), bytes);
}
