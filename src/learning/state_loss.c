/*
 * state_loss.c: the tiles of state_loss.h.
 *
 * Per tile: one product for the logits, one pass that turns them into c_j e_j and their sum, the few
 * cells of targets and masks set by hand, two products for the gradients.  The row factor a is put
 * on the (rows, D) side of those products instead of on the tile: one pass over the tile less.
 */
#include "learning/state_loss.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/team.h"

typedef struct lane_work
{
	tfrs_state_loss *loss;
	const tfrs_state_batch *batch;
} lane_work;

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
	tfrs_arena_release(loss->arena, loss->lane_loss);
	tfrs_arena_release(loss->arena, loss->target_logit);
	tfrs_state_loss_init(loss, loss->arena, loss->threads);
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
	if (status == TFRS_OK)
		status = TFRS_GET(loss->arena, &loss->lane_loss, lanes, error);
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

	if (loss->target_logit != NULL && targets <= loss->capacity_targets)
		return TFRS_OK;
	targets += targets / 4;
	status = TFRS_RESIZE(loss->arena, &loss->target_logit, targets, error);
	if (status == TFRS_OK)
		loss->capacity_targets = targets;
	return status;
}

static void
take_out(float *cells, const tfrs_ragged *lists, size_t row)
{
	for (size_t i = lists->start[row]; i < lists->start[row + 1]; i++)
		cells[lists->item[i]] = -INFINITY;
}

/* Sum of c_j e_j over the row's negatives; the targets' logits are kept aside, their cells 0. */
static double
sum_negatives(const tfrs_state_batch *batch, size_t row, float *cells, float *target_logit)
{
	const tfrs_ragged *target = batch->target;

	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
		target_logit[i] = cells[target->item[i]];
	take_out(cells, target, row);
	take_out(cells, batch->masked, row);
	if (batch->column_weight == NULL)
		return tfrs_kernels.exp_sum(cells, batch->columns, batch->shift);
	return tfrs_kernels.weighted_exp_sum(cells, batch->column_weight, batch->columns, batch->shift);
}

/*
 * The loss of the row's targets.  *factor receives a; a target's cell becomes its d logit / a, so
 * that every cell of the row holds d logit / a in the end.
 */
static double
finish_row(const tfrs_state_batch *batch, size_t row, float *cells, const float *target_logit,
		   double negatives, float *factor)
{
	const tfrs_ragged *target = batch->target;
	double		loss = 0;
	double		a = 0;

	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
	{
		double		logit = (double) target_logit[i] - batch->shift;
		double		all = exp(logit) + negatives;

		a += target->weight[i] / all;
		loss += target->weight[i] * (log(all) - logit);
	}
	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
	{
		double		all = exp((double) target_logit[i] - batch->shift) + negatives;

		cells[target->item[i]] = a > 0 ? (float) (-target->weight[i] * negatives / all / a) : 0.0f;
	}
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

/* Rows first .. first + rows; accumulates onto d_candidate where add is 1, overwrites where it is 0. */
static double
run_tile(tfrs_state_loss *loss, const tfrs_state_batch *batch, int worker, size_t first,
		 float *d_candidate, float add)
{
	size_t		rows = batch->rows - first < TFRS_STATE_TILE ? batch->rows - first : TFRS_STATE_TILE;
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
		double		negatives = sum_negatives(batch, first + r, cells + r * c, loss->target_logit);

		total += finish_row(batch, first + r, cells + r * c, loss->target_logit, negatives,
							&factor[r]);
	}
	tfrs_matmul_nn(rows, d, c, 1.0f, cells, c, batch->candidate, d, 0.0f, d_query, d);
	scale_rows(d_query, d_query, factor, rows, d);
	scale_rows(scaled, query, factor, rows, d);
	tfrs_matmul_tn(c, d, rows, 1.0f, cells, c, scaled, d, add, d_candidate, d);
	return total;
}

static void
run_lane(void *context, int worker, size_t lane)
{
	tfrs_state_loss *loss = ((lane_work *) context)->loss;
	const tfrs_state_batch *batch = ((lane_work *) context)->batch;
	float	   *d_candidate = lane == 0 ? batch->d_candidate :
		loss->partial + (lane - 1) * batch->columns * batch->dim;
	size_t		stride = TFRS_STATE_LANES * TFRS_STATE_TILE;
	double		total = 0;

	for (size_t first = lane * TFRS_STATE_TILE; first < batch->rows; first += stride)
		total += run_tile(loss, batch, worker, first, d_candidate, first < stride ? 0.0f : 1.0f);
	loss->lane_loss[lane] = total;
}

tfrs_status
tfrs_state_loss_run(tfrs_state_loss *loss, const tfrs_state_batch *batch, double *total,
					tfrs_error *error)
{
	size_t		tiles = (batch->rows + TFRS_STATE_TILE - 1) / TFRS_STATE_TILE;
	size_t		lanes = tiles < TFRS_STATE_LANES ? tiles : TFRS_STATE_LANES;
	lane_work	work = {loss, batch};
	tfrs_status status = reserve_lanes(loss, batch->columns, batch->dim, lanes, error);

	if (status == TFRS_OK)
		status = reserve_targets(loss, batch->target->count, error);
	if (status != TFRS_OK)
		return status;
	tfrs_team_run(loss->threads, lanes, run_lane, &work);
	*total = 0;
	for (size_t lane = 0; lane < lanes; lane++)
		*total += loss->lane_loss[lane];
	for (size_t lane = 1; lane < lanes; lane++)
		tfrs_kernels.add_scaled(batch->d_candidate,
								loss->partial + (lane - 1) * batch->columns * batch->dim,
								batch->columns * batch->dim, 1.0f);
	return TFRS_OK;
}
