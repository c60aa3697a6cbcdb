/*
 * state_loss.c: the tiles of state_loss.h.
 *
 * Per tile: one product for the logits, one pass that turns them into c_j e_j and their sum, the
 * few cells of targets and masks set by hand, two products for the gradients.  The row factor a is
 * put on the (rows, D) side of those products instead of on the tile: one pass over the tile less.
 */
#include "learning/state_loss.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/team.h"

/* Multiply-adds of one product of a tile, three of which take some 10 ms; but
 * some rows at least. */
#define TILE_WORK ((size_t) 1 << 26)
#define LEAST_TILE 4

void
tfrs_state_loss_init(tfrs_state_loss *loss, tfrs_arena *arena, int threads)
{
	memset(loss, 0, sizeof(*loss));
	loss->arena = arena;
	loss->threads = threads;
}

void
tfrs_state_loss_free(tfrs_state_loss *loss)
{
	tfrs_arena_release(loss->arena, loss->tile);
	tfrs_arena_release(loss->arena, loss->partial);
	tfrs_arena_release(loss->arena, loss->scaled);
	tfrs_arena_release(loss->arena, loss->of_target);
	tfrs_state_loss_init(loss, loss->arena, loss->threads);
}

static size_t
rows_of_tile(size_t columns, size_t dim)
{
	size_t		rows = TILE_WORK / (columns * dim);

	if (rows < LEAST_TILE)
		return LEAST_TILE;
	return rows < TFRS_STATE_TILE ? rows : TFRS_STATE_TILE;
}

static size_t
count_tiles(size_t rows, size_t columns, size_t dim)
{
	size_t		tile = rows_of_tile(columns, dim);

	return (rows + tile - 1) / tile;
}

static size_t
count_lanes(size_t tiles)
{
	return tiles < TFRS_STATE_LANES ? tiles : TFRS_STATE_LANES;
}

bool
tfrs_state_loss_bytes(size_t rows, size_t columns, size_t dim, size_t targets, int threads,
					  size_t *bytes)
{
	size_t		lanes = count_lanes(count_tiles(rows, columns, dim));
	size_t		tile_rows = (size_t) threads * TFRS_STATE_TILE;
	size_t		numbers = tile_rows * (columns + dim) + tfrs_ragged_room(targets);
	size_t		partial;

	return tfrs_size_multiply((lanes - 1) * columns, dim, &partial) &&
		tfrs_size_add(numbers, partial, &numbers) &&
		tfrs_size_multiply(numbers, sizeof(float), &numbers) &&
		tfrs_size_add(*bytes, numbers, bytes);
}

static tfrs_status
reserve_lanes(tfrs_state_loss *loss, size_t columns, size_t dim, size_t lanes, tfrs_error *error)
{
	size_t		tile_rows = (size_t) loss->threads * TFRS_STATE_TILE;
	tfrs_status status;

	if (columns <= loss->capacity_columns && dim <= loss->capacity_dim &&
		lanes <= loss->capacity_lanes)
		return TFRS_OK;
	tfrs_state_loss_free(loss);
	status = TFRS_GET(loss->arena, &loss->tile, tile_rows * columns, error);
	if (status == TFRS_OK)
		status = TFRS_GET(loss->arena, &loss->scaled, tile_rows * dim, error);
	if (status == TFRS_OK)
		status = TFRS_GET(loss->arena, &loss->partial, (lanes - 1) * columns * dim, error);
	if (status != TFRS_OK)
		return status;
	loss->capacity_columns = columns;
	loss->capacity_dim = dim;
	loss->capacity_lanes = lanes;
	return TFRS_OK;
}

static tfrs_status
reserve_targets(tfrs_state_loss *loss, size_t targets, tfrs_error *error)
{
	tfrs_status status;

	if (loss->of_target != NULL && targets <= loss->capacity_targets)
		return TFRS_OK;
	tfrs_arena_release(loss->arena, loss->of_target);
	loss->of_target = NULL;
	status = TFRS_GET(loss->arena, &loss->of_target, tfrs_ragged_room(targets), error);
	if (status == TFRS_OK)
		loss->capacity_targets = tfrs_ragged_room(targets);
	return status;
}

tfrs_status
tfrs_state_loss_begin(tfrs_state_loss *loss, const tfrs_state_batch *batch, tfrs_error *error)
{
	size_t		tiles = count_tiles(batch->rows, batch->columns, batch->dim);
	size_t		lanes = count_lanes(tiles);
	tfrs_status status = reserve_lanes(loss, batch->columns, batch->dim, lanes, error);

	if (status == TFRS_OK)
		status = reserve_targets(loss, batch->target->count, error);
	if (status != TFRS_OK)
		return status;
	loss->batch = *batch;
	loss->tile_rows = rows_of_tile(batch->columns, batch->dim);
	loss->tiles = tiles;
	loss->lanes = lanes;
	loss->done = 0;
	loss->reduced = 1;
	memset(loss->lane_loss, 0, sizeof(loss->lane_loss));
	return TFRS_OK;
}

static void
take_out(float *cells, const tfrs_ragged *lists, size_t row)
{
	for (size_t i = lists->start[row]; i < lists->start[row + 1]; i++)
		cells[lists->item[i]] = -INFINITY;
}

/*
 * Turns the cells of the row's negatives into c_j e_j / exp(shift) and returns their sum; all
 * others become 0.  The targets' logits are kept aside.
 */
static double
sum_negatives(const tfrs_state_batch *batch, size_t row, float *cells, float *target_logit,
			  float *shift)
{
	const tfrs_ragged *target = batch->target;

	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
		target_logit[i] = cells[target->item[i]];
	take_out(cells, target, row);
	take_out(cells, batch->masked, row);
	memset(cells + batch->negatives, 0, (batch->columns - batch->negatives) * sizeof(float));
	*shift = tfrs_kernels.maximum(cells, batch->negatives);
	if (*shift == -INFINITY)
		*shift = 0.0f;
	if (batch->column_weight == NULL)
		return tfrs_kernels.exp_sum(cells, batch->negatives, *shift);
	return tfrs_kernels.weighted_exp_sum(cells, batch->column_weight, batch->negatives, *shift);
}

/* ln(1 + exp(-x)) */
static double
soft_loss(double x)
{
	return x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
}

/*
 * The loss of the row's targets, of_target their logits.  *factor receives a exp(shift); a target's
 * cell becomes its d logit / *factor, so that every cell holds that in the end.
 */
static double
finish_row(const tfrs_state_batch *batch, size_t row, float *cells, float *of_target,
		   double negatives, float shift, float *factor)
{
	const tfrs_ragged *target = batch->target;
	double		log_negatives = shift + log(negatives);
	double		loss = 0;
	double		a = 0;

	*factor = 0.0f;
	if (negatives == 0)
		return 0;
	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
	{
		double		x = of_target[i] - log_negatives;
		double		share = 1 / (1 + exp(x));

		a += target->weight[i] * share / negatives;
		loss += target->weight[i] * soft_loss(x);
		of_target[i] = (float) share;
	}
	for (size_t i = target->start[row]; i < target->start[row + 1] && a > 0; i++)
		cells[target->item[i]] -= (float) (target->weight[i] * of_target[i] / a);
	*factor = (float) a;
	return loss;
}

/* result (rows, dim) = factor (rows) * values (rows, dim); the two may be one array */
static void
scale_rows(float *result, const float *values, const float *factor, size_t rows, size_t dim)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t d = 0; d < dim; d++)
			result[r * dim + d] = factor[r] * values[r * dim + d];
}

/* Rows first .. first + rows; accumulates onto d_candidate where add is 1,
 * overwrites where it is 0. */
static double
run_tile(tfrs_state_loss *loss, int worker, size_t tile, float *d_candidate, float add)
{
	const tfrs_state_batch *batch = &loss->batch;
	size_t		first = tile * loss->tile_rows;
	size_t		left = batch->rows - first;
	size_t		rows = left < loss->tile_rows ? left : loss->tile_rows;
	size_t		c = batch->columns;
	size_t		d = batch->dim;
	float	   *cells = loss->tile + (size_t) worker * TFRS_STATE_TILE * c;
	float	   *scaled = loss->scaled + (size_t) worker * TFRS_STATE_TILE * d;
	const float *query = batch->query + first * d;
	float	   *d_query = batch->d_query + first * d;
	float		factor[TFRS_STATE_TILE];
	double		total = 0;

	tfrs_matmul_nt(rows, c, d, 1.0f, query, d, batch->candidate, d, 0.0f, cells, c);
	for (size_t r = 0; r < rows; r++)
	{
		float		shift;
		double		negatives = sum_negatives(batch, first + r, cells + r * c, loss->of_target,
											  &shift);

		total += finish_row(batch, first + r, cells + r * c, loss->of_target, negatives, shift,
							&factor[r]);
	}
	tfrs_matmul_nn(rows, d, c, 1.0f, cells, c, batch->candidate, d, 0.0f, d_query, d);
	scale_rows(d_query, d_query, factor, rows, d);
	scale_rows(scaled, query, factor, rows, d);
	tfrs_matmul_tn(c, d, rows, 1.0f, cells, c, scaled, d, add, d_candidate, d);
	return total;
}

static float *
lane_gradient(const tfrs_state_loss *loss, size_t lane)
{
	return lane == 0 ? loss->batch.d_candidate :
		loss->partial + (lane - 1) * loss->batch.columns * loss->batch.dim;
}

static void
run_lane(void *context, int worker, size_t lane)
{
	tfrs_state_loss *loss = context;

	loss->lane_loss[lane] += run_tile(loss, worker, loss->done + lane, lane_gradient(loss, lane),
									  loss->done == 0 ? 0.0f : 1.0f);
}

tfrs_status
tfrs_state_loss_step(tfrs_state_loss *loss, double *total)
{
	const tfrs_state_batch *batch = &loss->batch;
	size_t		left = loss->tiles - loss->done;

	if (left > 0)
	{
		size_t		lanes = left < loss->lanes ? left : loss->lanes;

		tfrs_team_run(loss->threads, lanes, run_lane, loss);
		loss->done += lanes;
		return TFRS_MORE;
	}
	if (loss->reduced < loss->lanes)
	{
		tfrs_kernels.add_scaled(batch->d_candidate, lane_gradient(loss, loss->reduced),
								batch->columns * batch->dim, 1.0f);
		loss->reduced++;
		return TFRS_MORE;
	}
	*total = 0;
	for (size_t lane = 0; lane < loss->lanes; lane++)
		*total += loss->lane_loss[lane];
	return TFRS_OK;
}
