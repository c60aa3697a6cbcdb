/*
 * history_trainer.c: the steps of history_trainer.h.
 *
 *     fill the tables [-> earlier parameters] -> find the states -> per step: draw -> columns
 *     -> bags -> loss -> columns back -> bags back -> move the tables
 *
 * Each arrow is a phase, each call does one piece of one phase: rows or columns up to some number
 * of multiply-adds.  A batch of the usual size takes one piece a phase.
 */
#include "learning/history_trainer.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "learning/streams.h"

/* Multiply-adds of a piece, a few milliseconds. */
#define PIECE_WORK ((size_t) 1 << 22)

typedef enum fit_phase
{
	FILL,
	WARM,
	FIND,
	DRAW,
	COLUMNS,
	SHARED,
	BAGS,
	BEGIN_LOSS,
	RUN_LOSS,
	COLUMNS_BACK,
	BAGS_BACK,
	SHARED_BACK,
	MOVE
} fit_phase;

/* Rows of a batch: no more than there are states of a kind. */
static size_t
rows_of_batch(const tfrs_train_options *options, const tfrs_events *events)
{
	size_t		states = events->several > events->later ? events->several : events->later;

	if (options->history.interactions)
		states = events->count;
	if (states < 1)
		return 1;				/* an estimate for nobody */
	return states < options->batch_size ? states : options->batch_size;
}

static tfrs_status
init_scratch(tfrs_history_trainer *trainer, tfrs_error *error)
{
	size_t		batch = trainer->batch_rows;
	size_t		floats = batch * trainer->shape.dim;
	tfrs_status status = TFRS_GET(trainer->arena, &trainer->query, floats, error);

	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->d_query, floats, error);
	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->keep, floats, error);
	if (status == TFRS_OK)
		status = TFRS_GET(trainer->arena, &trainer->scale, batch, error);
	if (status == TFRS_OK && trainer->options->history.interactions)
		status = TFRS_GET(trainer->arena, &trainer->shared, floats, error);
	if (status == TFRS_OK && trainer->options->history.interactions)
		status = TFRS_GET(trainer->arena, &trainer->d_shared, floats, error);
	return status;
}

static tfrs_states_options
states_options(const tfrs_train_options *options, size_t rows, size_t candidates)
{
	const tfrs_history_options *history = &options->history;

	return (tfrs_states_options) {
		.hidden_low = history->hidden_low,
		.hidden_high = history->hidden_high,
		.dropout = history->dropout,
		.hide_share = history->hide_share,
		.query_weight = options->query_weight,
		.mask_known = options->mask_known,
		.interactions = history->interactions,
		.seed = options->seed,
		.rows = rows,
		.candidates = candidates
	};
}

static tfrs_status
init_states(tfrs_history_trainer *trainer, const tfrs_events *events, tfrs_error *error)
{
	tfrs_states_options options = states_options(trainer->options, trainer->batch_rows,
												 trainer->candidates);

	return tfrs_states_begin(&trainer->states, trainer->arena, &options, &trainer->shape, events,
							 error);
}

static tfrs_status
init_columns(tfrs_history_trainer *trainer, tfrs_error *error)
{
	const tfrs_history_options *history = &trainer->options->history;
	size_t		sampled = history->columns > 0 ? (size_t) history->columns : 0;

	if (history->interactions)
		return tfrs_columns_init_batch(&trainer->columns, trainer->arena, trainer->candidates,
									   trainer->batch_rows, trainer->shape.dim, error);
	return tfrs_columns_init(&trainer->columns, trainer->arena, trainer->candidates, sampled,
							 trainer->shape.dim, error);
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
		.temperature = options->loss.temperature,
		.repeats = !options->mask_known
	};

	if (history->all)
		shape.decay[shape.bags++] = 0.0f;
	for (uint32_t i = 0; i < history->decays; i++)
		shape.decay[shape.bags++] = history->decay[i];
	return shape;
}

tfrs_status
tfrs_history_trainer_begin(tfrs_history_trainer *trainer, tfrs_arena *arena,
						   const tfrs_history_training *training, tfrs_error *error)
{
	const tfrs_train_options *options = training->options;
	tfrs_status status;

	memset(trainer, 0, sizeof(*trainer));
	trainer->arena = arena;
	trainer->options = options;
	trainer->shape = shape_of(options);
	trainer->candidates = training->candidates;
	trainer->batch_rows = rows_of_batch(options, training->events);
	tfrs_state_loss_init(&trainer->loss, arena, options->threads);
	tfrs_matmul_load();
	status = tfrs_history_tables_init(&trainer->tables, arena, options, &trainer->shape,
									  training->candidates, error);
	trainer->tables.warm = training->warm;
	if (status == TFRS_OK)
		status = init_states(trainer, training->events, error);
	if (status == TFRS_OK)
		status = init_columns(trainer, error);
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
		tfrs_history_add(query, tfrs_history_tables_values(&trainer->tables, b), shape->dim,
						 &trainer->states.bag[b], row);
	if (trainer->states.shared.rows > 0)
		tfrs_kernels.add_scaled(query, trainer->shared +
								trainer->states.row_group[row] * shape->dim, shape->dim, 1.0f);
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
	if (trainer->states.shared.rows > 0)
		tfrs_kernels.add_scaled(trainer->d_shared + trainer->states.row_group[row] * shape->dim,
								d_query, shape->dim, 1.0f);
}

static tfrs_status
begin_loss(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_state_batch batch = {
		.rows = trainer->states.rows,
		.columns = trainer->columns.count,
		.dim = trainer->shape.dim,
		.query = trainer->query,
		.candidate = trainer->columns.vector,
		.negatives = trainer->columns.negatives,
		.column_weight = trainer->columns.weight,
		.target = &trainer->states.target,
		.masked = &trainer->states.masked,
		.d_query = trainer->d_query,
		.d_candidate = trainer->tables.candidate.gradient.values
	};

	return tfrs_state_loss_begin(&trainer->loss, &batch, error);
}

static tfrs_status
run_loss(tfrs_history_trainer *trainer)
{
	tfrs_status status = tfrs_state_loss_step(&trainer->loss, &trainer->total);

	return status == TFRS_OK && !isfinite(trainer->total) ? TFRS_NOT_FINITE : status;
}

/* Room for the columns' gradients, which the loss writes, and for a tied bag's rows behind them. */
static tfrs_status
reset_candidate_gradient(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_row_gradient *gradient = &trainer->tables.candidate.gradient;
	size_t		room = trainer->columns.count;
	tfrs_status status;

	for (uint32_t b = 0; b < trainer->shape.bags; b++)
		if (tfrs_history_tables_is_tied(&trainer->tables, b))
			room += trainer->states.bag[b].count + trainer->states.shared.count;
	if (room > trainer->candidates)
		room = trainer->candidates;
	status = tfrs_row_gradient_reset(gradient, trainer->arena, room, error);
	for (size_t c = 0; c < trainer->columns.count && status == TFRS_OK; c++)
		tfrs_row_gradient_place(gradient, trainer->columns.candidate[c]);
	return status;
}

/* Draws the batch and its columns. */
static tfrs_status
draw(tfrs_history_trainer *trainer, tfrs_error *error)
{
	tfrs_states *states = &trainer->states;
	tfrs_status status;

	trainer->step++;
	tfrs_random_init(&trainer->random, trainer->options->seed, TFRS_STREAM_STEP, trainer->step);
	status = tfrs_states_next(states, error);
	if (status == TFRS_OK)
		status = tfrs_columns_choose(&trainer->columns, trainer->arena, &trainer->random,
									 &states->target, &states->masked, trainer->shape.dim, error);
	return status == TFRS_OK ? reset_candidate_gradient(trainer, error) : status;
}

/* The end of a piece of count items that take work multiply-adds each. */
static size_t
end_of_piece(size_t done, size_t count, size_t work)
{
	size_t		piece = PIECE_WORK / work + 1;

	return count - done < piece ? count : done + piece;
}

/* Columns from done on, there or back.  TFRS_MORE until all are done. */
static tfrs_status
pass_columns(tfrs_history_trainer *trainer, bool back)
{
	tfrs_columns *columns = &trainer->columns;
	size_t		start = trainer->done;
	size_t		end = end_of_piece(start, columns->count, trainer->shape.dim);

	if (back)
		tfrs_columns_backward(columns, &trainer->shape,
							  trainer->tables.candidate.gradient.values, start, end);
	else
		tfrs_columns_forward(columns, &trainer->shape,
							 trainer->tables.candidate.table.values, start, end);
	trainer->done = end;
	return end < columns->count ? TFRS_MORE : TFRS_OK;
}

/* Lists from done on: what the rows of a query share. */
static tfrs_status
sum_shared(tfrs_history_trainer *trainer)
{
	const tfrs_ragged *shared = &trainer->states.shared;
	const float *table = tfrs_history_tables_values(&trainer->tables, 0);
	size_t		dim = trainer->shape.dim;
	size_t		items = 0;

	while (trainer->done < shared->rows && items * dim < PIECE_WORK)
	{
		size_t		group = trainer->done++;

		memset(trainer->shared + group * dim, 0, dim * sizeof(float));
		memset(trainer->d_shared + group * dim, 0, dim * sizeof(float));
		tfrs_history_add(trainer->shared + group * dim, table, dim, shared, group);
		items += shared->start[group + 1] - shared->start[group] + 1;
	}
	return trainer->done < shared->rows ? TFRS_MORE : TFRS_OK;
}

/* Rows from done on: query vectors. */
static tfrs_status
sum_bags(tfrs_history_trainer *trainer)
{
	const tfrs_states *states = &trainer->states;
	size_t		items = 0;

	while (trainer->done < states->rows && items * trainer->shape.dim < PIECE_WORK)
	{
		size_t		row = trainer->done++;

		forward_row(trainer, row, &trainer->random);
		for (uint32_t b = 0; b < trainer->shape.bags; b++)
			items += states->bag[b].start[row + 1] - states->bag[b].start[row];
		items++;
	}
	return trainer->done < states->rows ? TFRS_MORE : TFRS_OK;
}

/* Room for the gradient of a bag's table; that of a tied one lies behind the columns'. */
static tfrs_status
reset_bag_gradient(tfrs_history_trainer *trainer, uint32_t b, tfrs_error *error)
{
	size_t		shared = b == 0 ? trainer->states.shared.count : 0;
	size_t		count = trainer->states.bag[b].count + shared;
	size_t		room = count < trainer->candidates ? count : trainer->candidates;

	if (tfrs_history_tables_is_tied(&trainer->tables, b))
		return TFRS_OK;
	return tfrs_row_gradient_reset(&trainer->tables.bag[b].gradient, trainer->arena, room, error);
}

/* Spreads the gradient (D) of a sum over the rows of the bag's table that its list names. */
static void
spread_list(tfrs_history_trainer *trainer, uint32_t b, const tfrs_ragged *lists, size_t list,
			const float *d_sum)
{
	tfrs_row_gradient *gradient = &tfrs_history_tables_of(&trainer->tables, b)->gradient;

	for (size_t i = lists->start[list]; i < lists->start[list + 1]; i++)
		tfrs_kernels.add_scaled(tfrs_row_gradient_of(gradient, lists->item[i]), d_sum,
								trainer->shape.dim, lists->weight[i]);
}

/* Rows from done on of the bag at hand, then those of the next one. */
static tfrs_status
spread_bags(tfrs_history_trainer *trainer, tfrs_error *error)
{
	uint32_t	b = trainer->bag;
	size_t		dim = trainer->shape.dim;
	const tfrs_ragged *bag = &trainer->states.bag[b];
	size_t		items = 0;
	tfrs_status status = TFRS_OK;

	if (trainer->done == 0)
		status = reset_bag_gradient(trainer, b, error);
	if (status != TFRS_OK)
		return status;
	while (trainer->done < bag->rows && items * dim < PIECE_WORK)
	{
		size_t		row = trainer->done++;

		if (b == 0)
			backward_row(trainer, row);
		spread_list(trainer, b, bag, row, trainer->d_query + row * dim);
		items += bag->start[row + 1] - bag->start[row] + 1;
	}
	if (trainer->done < bag->rows)
		return TFRS_MORE;
	trainer->done = 0;
	trainer->bag++;
	return trainer->bag < trainer->shape.bags ? TFRS_MORE : TFRS_OK;
}

/* Lists from done on of what the rows of a query share. */
static tfrs_status
spread_shared(tfrs_history_trainer *trainer)
{
	const tfrs_ragged *shared = &trainer->states.shared;
	size_t		dim = trainer->shape.dim;
	size_t		items = 0;

	while (trainer->done < shared->rows && items * dim < PIECE_WORK)
	{
		size_t		group = trainer->done++;

		spread_list(trainer, 0, shared, group, trainer->d_shared + group * dim);
		items += shared->start[group + 1] - shared->start[group] + 1;
	}
	return trainer->done < shared->rows ? TFRS_MORE : TFRS_OK;
}

static tfrs_status
find_states(tfrs_history_trainer *trainer)
{
	tfrs_status status = tfrs_states_find_step(&trainer->states);

	if (status == TFRS_OK && trainer->options->history.interactions)
		tfrs_columns_set_frequency(&trainer->columns, trainer->states.count,
								   trainer->states.pool[TFRS_STATE_ONE].count);
	return status;
}

/* A piece of the phase; TFRS_OK where that was its last one. */
static tfrs_status
run_phase(tfrs_history_trainer *trainer, tfrs_error *error)
{
	switch ((fit_phase) trainer->phase)
	{
		case FILL:
			return tfrs_history_tables_fill_step(&trainer->tables);
		case WARM:
			return tfrs_history_tables_warm_step(&trainer->tables);
		case FIND:
			return find_states(trainer);
		case DRAW:
			return draw(trainer, error);
		case COLUMNS:
			return pass_columns(trainer, false);
		case SHARED:
			return sum_shared(trainer);
		case BAGS:
			return sum_bags(trainer);
		case BEGIN_LOSS:
			return begin_loss(trainer, error);
		case RUN_LOSS:
			return run_loss(trainer);
		case COLUMNS_BACK:
			return pass_columns(trainer, true);
		case BAGS_BACK:
			return spread_bags(trainer, error);
		case SHARED_BACK:
			return spread_shared(trainer);
		default:
			return tfrs_history_tables_move_step(&trainer->tables, trainer->step);
	}
}

tfrs_status
tfrs_history_trainer_step(tfrs_history_trainer *trainer, bool *stepped, double *loss,
						  tfrs_error *error)
{
	tfrs_status status = run_phase(trainer, error);

	*stepped = status == TFRS_OK && trainer->phase == MOVE;
	if (status != TFRS_OK)
		return status;
	*loss = trainer->total;
	trainer->phase = trainer->phase == MOVE ? DRAW : trainer->phase + 1;
	trainer->bag = 0;
	trainer->done = 0;
	return *stepped && trainer->step == trainer->options->history.steps ? TFRS_OK : TFRS_MORE;
}

void
tfrs_history_trainer_free(tfrs_history_trainer *trainer)
{
	tfrs_arena *arena = trainer->arena;

	if (arena == NULL)
		return;
	tfrs_history_tables_free(&trainer->tables);
	tfrs_states_free(&trainer->states);
	tfrs_columns_free(&trainer->columns, arena);
	tfrs_state_loss_free(&trainer->loss);
	tfrs_arena_release(arena, trainer->query);
	tfrs_arena_release(arena, trainer->d_query);
	tfrs_arena_release(arena, trainer->keep);
	tfrs_arena_release(arena, trainer->scale);
	tfrs_arena_release(arena, trainer->shared);
	tfrs_arena_release(arena, trainer->d_shared);
	memset(trainer, 0, sizeof(*trainer));
}

/* Events of a batch at most that are in a bag. */
static size_t
most_items(const tfrs_history_shape *shape, uint32_t bag, size_t longest, size_t rows)
{
	size_t		most = tfrs_states_most_events(longest, rows);
	size_t		sized = rows * tfrs_history_bag_size(shape, bag, longest);

	return sized < most ? sized : most;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The columns of a batch at most, and how many of all are sampled. */
static size_t
most_columns(const tfrs_train_options *options, size_t candidates, size_t rows, size_t listed,
			 size_t *sampled)
{
	const tfrs_history_options *history = &options->history;

	*sampled = history->columns > 0 ? (size_t) history->columns : 0;
	if (history->interactions)
		*sampled = least(rows, candidates);
	if (*sampled == 0)
		return candidates;
	return history->interactions ? *sampled : least(candidates, *sampled + listed);
}

bool
tfrs_history_trainer_bytes(const tfrs_train_options *options, const tfrs_events *events,
						   size_t longest, size_t candidates, size_t *bytes)
{
	const tfrs_history_options *history = &options->history;
	tfrs_history_shape shape = shape_of(options);
	size_t		batch = rows_of_batch(options, events);
	tfrs_states_options states = states_options(options, batch, candidates);
	size_t		listed = tfrs_states_most_events(longest, batch);
	size_t		sampled;
	size_t		columns = most_columns(options, candidates, batch, listed, &sampled);
	size_t		touched = columns;
	size_t		scratch = 3 * (size_t) shape.dim + 1 + 2 * history->interactions * shape.dim;
	bool		fits = true;

	for (uint32_t b = 0; b < shape.bags && fits; b++)
	{
		size_t		items = most_items(&shape, b, longest, batch);

		if (history->tied && shape.decay[b] == 0)
			touched += items;
		else
			fits = tfrs_history_table_bytes(options, candidates, items, bytes);
	}
	return fits && tfrs_history_table_bytes(options, candidates, touched, bytes) &&
		tfrs_size_add(*bytes, batch * scratch * sizeof(float), bytes) &&
		tfrs_columns_bytes(candidates, sampled, columns, shape.dim, bytes) &&
		tfrs_states_bytes(&states, &shape, events, longest, bytes) &&
		tfrs_state_loss_bytes(batch, columns, shape.dim, listed, options->threads, bytes);
}
