/*
 * softmax_tile.c: how a problem is cut, and the scratch memory of a tile.
 */
#include "learning/softmax_tile.h"

#include <string.h>

/* A tile holds about that many cells (4 MB), within these bounds on its rows. */
#define TILE_CELLS ((size_t) 1 << 20)
#define LEAST_ROWS 16
#define MOST_ROWS 128

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_softmax_tile *tile = object;
	const tfrs_softmax_batch *batch = &tile->problem->batch;
	size_t		rows = tile->shape->tile_rows;
	size_t		pieces = rows * tile->shape->blocks;

	TFRS_PLAN(plan, &tile->sum, pieces);
	TFRS_PLAN(plan, &tile->factor, pieces);
	TFRS_PLAN(plan, &tile->row_peak, rows);
	TFRS_PLAN(plan, &tile->peak, pieces);
	TFRS_PLAN(plan, &tile->hits, tile->problem->hard_negatives);
	TFRS_PLAN_VECTORS(plan, &tile->scaled, rows * batch->heads, batch->dim);
	TFRS_PLAN_VECTORS(plan, &tile->partial, rows * batch->heads, batch->dim);
	TFRS_PLAN(plan, &tile->target_at, rows);
	TFRS_PLAN(plan, &tile->hidden_at, rows);
	TFRS_PLAN_VECTORS(plan, &tile->cells, pieces, TFRS_SOFTMAX_STRIDE);
	if (batch->heads > 1)
		TFRS_PLAN_VECTORS(plan, &tile->shares, pieces * batch->heads, TFRS_SOFTMAX_STRIDE);
}

tfrs_status
tfrs_softmax_shape_choose(tfrs_softmax_shape *shape, const tfrs_softmax_problem *problem,
						  tfrs_error *error)
{
	const tfrs_softmax_batch *batch = &problem->batch;
	tfrs_softmax_tile tile = {.problem = problem, .shape = shape};
	size_t		cells = batch->columns * (batch->heads > 1 ? batch->heads + 1 : 1);
	size_t		rows = TILE_CELLS / cells / LEAST_ROWS * LEAST_ROWS;

	rows = rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
	shape->tile_rows = rows;
	shape->tiles = (batch->rows + rows - 1) / rows;
	shape->blocks = (batch->columns + TFRS_SOFTMAX_BLOCK - 1) / TFRS_SOFTMAX_BLOCK;
	shape->bytes = 0;
	return tfrs_plan_count(arrays, &tile, &shape->bytes, error);
}

void
tfrs_softmax_tile_init(tfrs_softmax_tile *tile, const tfrs_softmax_problem *problem,
					   const tfrs_softmax_shape *shape, size_t number, void *scratch)
{
	memset(tile, 0, sizeof(*tile));
	tile->problem = problem;
	tile->shape = shape;
	tile->first = number * shape->tile_rows;
	tile->rows = tfrs_size_smaller(problem->batch.rows - tile->first, shape->tile_rows);
	tfrs_plan_place(scratch, arrays, tile);
	if (tile->shares == NULL)
		tile->shares = tile->cells;
}
