/*
 * loss_tile.c: how a problem is cut, and the scratch memory of a tile.
 */
#include "learning/loss_tile.h"

#include <string.h>

/* A tile holds about that many cells (4 MB), within these bounds on its rows. */
#define TILE_CELLS ((size_t) 1 << 20)
#define LEAST_ROWS 16
#define MOST_ROWS 128

void
tfrs_loss_shape_choose(tfrs_loss_shape *shape, const tfrs_loss_problem *problem)
{
	size_t		head_tiles = problem->heads > 1 ? problem->heads : 0;
	size_t		rows = TILE_CELLS / problem->columns / (head_tiles + 1) / LEAST_ROWS * LEAST_ROWS;
	size_t		vectors;
	size_t		pieces;

	rows = rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
	memset(shape, 0, sizeof(*shape));
	shape->tile_rows = rows;
	shape->tiles = (problem->rows + rows - 1) / rows;
	shape->blocks = (problem->columns + TFRS_LOSS_BLOCK - 1) / TFRS_LOSS_BLOCK;
	shape->scratch.fits = tfrs_size_multiply(rows * problem->dim, problem->heads, &vectors);
	pieces = rows * shape->blocks;
	shape->sum = tfrs_layout_place(&shape->scratch, pieces, sizeof(double));
	shape->factor = tfrs_layout_place(&shape->scratch, pieces, sizeof(double));
	shape->row_peak = tfrs_layout_place(&shape->scratch, rows, sizeof(double));
	shape->peak = tfrs_layout_place(&shape->scratch, pieces, sizeof(float));
	shape->hits = tfrs_layout_place(&shape->scratch, problem->hard_negatives, sizeof(tfrs_hit));
	shape->scaled = tfrs_layout_place(&shape->scratch, vectors, sizeof(float));
	shape->partial = tfrs_layout_place(&shape->scratch, vectors, sizeof(float));
	shape->cells = tfrs_layout_place(&shape->scratch, pieces, TFRS_LOSS_STRIDE * sizeof(float));
	shape->shares = shape->cells;
	if (problem->heads > 1)
		shape->shares = tfrs_layout_place(&shape->scratch, pieces * head_tiles,
										 TFRS_LOSS_STRIDE * sizeof(float));
}

void
tfrs_loss_tile_init(tfrs_loss_tile *tile, const tfrs_loss_problem *problem,
					const tfrs_loss_shape *shape, size_t number, void *scratch)
{
	char	   *memory = scratch;

	tile->problem = problem;
	tile->shape = shape;
	tile->first = number * shape->tile_rows;
	tile->rows = problem->rows - tile->first;
	if (tile->rows > shape->tile_rows)
		tile->rows = shape->tile_rows;
	tile->d_candidate = NULL;
	tile->sum = (double *) (memory + shape->sum);
	tile->factor = (double *) (memory + shape->factor);
	tile->row_peak = (double *) (memory + shape->row_peak);
	tile->peak = (float *) (memory + shape->peak);
	tile->hits = (tfrs_hit *) (memory + shape->hits);
	tile->scaled = (float *) (memory + shape->scaled);
	tile->partial = (float *) (memory + shape->partial);
	tile->cells = (float *) (memory + shape->cells);
	tile->shares = (float *) (memory + shape->shares);
}
