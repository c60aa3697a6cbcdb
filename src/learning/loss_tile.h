/*
 * loss_tile.h: the loss as a problem of rows with targets, and how it is cut into tiles.
 *
 * Both forms of loss.h become one problem.  A row of the plain form has one target, column i, with
 * weight w_i; a row of the distinct form has a target for each of its pairs.  A column that stands
 * for several counts as many times: gain_j.  With e_j = exp(S_j) and E_j = gain_j e_j over the
 * columns not hidden in the row,
 *
 *     L = sum over targets t of w_t ln(Z_t / e_t),    Z_t = sum_j E_j - taken_t E_t + added_t e_t
 *     dL/dS_j = E_j sum_t (1 - [j is t] taken_t) w_t / Z_t - [j is t] w_t (1 - added_t e_t / Z_t)
 *
 * where taken and added say how t's own column enters its sum: 0, 0 as a rule; 1 - 1 / count, 0
 * where accidental hits are removed; 1, 1 where the target is no sample of what is summed; 0, 1
 * where it is hidden or counts 0 times.
 *
 * The bsl of a target is power ln Z_t - S_t with its own column taken from Z_t and nothing added.
 * In ccl a cell becomes E_j = weight_j where S_j is above the margin, else 0, Z_t the sum of E_j
 * (S_j - margin) likewise, and every w_t / Z_t the target's weight times the hinge's.
 *
 * A tile is some rows against all columns, cut into blocks of columns that stay in the second-level
 * cache.  A block is exponentiated against its own row maximum right after its product, so a cell
 * is read twice altogether: by exp, and by the two backward products.  The row's factor
 * sum_t w_t / Z_t, the block's shift and 1/T go onto the small sides of these products, never onto
 * the cells.
 *
 * Rejected: recomputing the block in a second pass, as attention kernels do to save memory (a
 * fourth product and a second exp cost more than the third-level cache), and rows as short as
 * would keep all columns in the second-level cache (BLAS packs the candidates again every time).
 */
#ifndef TFRS_LOSS_TILE_H
#define TFRS_LOSS_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/topk.h"
#include "learning/loss_kind.h"

/* The logit of a hidden cell: the smallest float / 100, as TFRS has it. */
#define TFRS_LOSS_HIDDEN (-3.4028234663852886e36f)

typedef struct tfrs_loss_problem
{
	size_t		rows;			/* U */
	size_t		heads;			/* H */
	size_t		columns;		/* V */
	size_t		dim;			/* D */
	float		inverse_temperature;
	uint32_t	hard_negatives; /* 0 keeps all; else every row has one target */
	const float *query;			/* (U, H, D) */
	const float *candidate;		/* (V, D) */
	const float *adjust;		/* (V) added to the logits of a column, or NULL */
	const float *log_gain;		/* (V) ln gain, or NULL for gains of 1 */
	const float *count;			/* (V) columns that one stands for, or NULL for ones */
	bool		has_zero_count;	/* one of them is 0: as a target the column is hidden */
	tfrs_loss_kind kind;
	float		power;			/* bsl */
	float		margin;			/* ccl */
	float		hinge_weight;	/* ccl */
	const float *weight;		/* (V) ccl: of a column in the mean; sum 1 */
	bool		own_once;		/* a target's other copies are no negatives of it */
	bool		leave_target_out;	/* a target is no sample: its own column has no gain */

	/* Targets of row i: target_start[i] <= t < target_start[i + 1]. */
	const uint32_t *target_start;	/* (U + 1) */
	const uint32_t *target_column;	/* (P) */
	const float *target_weight; /* (P), or NULL for ones */

	/*
	 * Hidden cells, as ascending keys: i * V + j, and id << 32 | j for all columns j with that id,
	 * hidden in rows whose (only) target has it.  A target that masked names counts for itself.
	 */
	const uint64_t *masked;
	size_t		masked_count;
	const uint64_t *twins;
	size_t		twin_count;
	const uint32_t *id;			/* (V), with twins */

	/* Scratch memory and results; rows of different tiles share nothing. */
	float	   *target_logit;	/* (P) */
	double	   *target_loss;	/* (P) not weighted */
	float	   *d_query;		/* (U, H, D) or NULL */
	float	   *target_own;		/* (P) what is subtracted from dL/dS at the target */
	uint32_t   *target_above;	/* (P) columns with a logit above the target's, or NULL */
	float	   *logits;			/* (U, V) or NULL */
	float	   *d_logits;		/* (U, V) or NULL */
} tfrs_loss_problem;

/* How a problem is cut; depends on its sizes alone. */
typedef struct tfrs_loss_shape
{
	size_t		tile_rows;
	size_t		tiles;
	size_t		blocks;			/* of TFRS_LOSS_BLOCK columns, the last one shorter */
	tfrs_layout scratch;		/* of one worker */
	size_t		sum;			/* where each array begins in it */
	size_t		factor;
	size_t		row_peak;
	size_t		peak;
	size_t		hits;
	size_t		scaled;
	size_t		partial;
	size_t		cells;
	size_t		shares;
} tfrs_loss_shape;

/* Columns of a block: with 128 rows 270 kB, which leaves room for both sides of its products. */
#define TFRS_LOSS_BLOCK 512

/* Distance of a block's rows: not a power of two, which would crowd a few cache sets. */
#define TFRS_LOSS_STRIDE (TFRS_LOSS_BLOCK + 16)

typedef struct tfrs_loss_tile
{
	const tfrs_loss_problem *problem;
	const tfrs_loss_shape *shape;
	size_t		first;			/* row of the problem */
	size_t		rows;
	float	   *d_candidate;	/* (V, D) that the tile adds to, or NULL */
	/* scratch memory */
	double	   *sum;			/* (tile_rows, blocks) of a block's cells */
	double	   *factor;			/* (tile_rows, blocks) of the cells in the gradient */
	double	   *row_peak;		/* (tile_rows) largest logit */
	float	   *peak;			/* (tile_rows, blocks) largest logit of the block */
	tfrs_hit   *hits;			/* (hard_negatives) */
	float	   *scaled;			/* (tile_rows * H, D) */
	float	   *partial;		/* (tile_rows * H, D) */
	float	   *cells;			/* (blocks, tile_rows, TFRS_LOSS_STRIDE) logits, then their exp */
	float	   *shares;			/* (blocks, tile_rows * H, TFRS_LOSS_STRIDE); the cells for H = 1 */
} tfrs_loss_tile;

/* Sizes that overflow show in shape->scratch.fits. */
extern void tfrs_loss_shape_choose(tfrs_loss_shape *shape, const tfrs_loss_problem *problem);

/* Tile number of the shape over scratch memory as the shape says, aligned to a cache line. */
extern void tfrs_loss_tile_init(tfrs_loss_tile *tile, const tfrs_loss_problem *problem,
								const tfrs_loss_shape *shape, size_t number, void *scratch);

static inline size_t
tfrs_loss_block_width(const tfrs_loss_tile *tile, size_t block)
{
	size_t		rest = tile->problem->columns - block * TFRS_LOSS_BLOCK;

	return rest < TFRS_LOSS_BLOCK ? rest : TFRS_LOSS_BLOCK;
}

/* The cells of one row in one block, and one cell. */
static inline float *
tfrs_loss_cells(const tfrs_loss_tile *tile, size_t block, size_t row)
{
	return tile->cells + (block * tile->shape->tile_rows + row) * TFRS_LOSS_STRIDE;
}

static inline float *
tfrs_loss_cell(const tfrs_loss_tile *tile, size_t row, size_t column)
{
	return tfrs_loss_cells(tile, column / TFRS_LOSS_BLOCK, row) + column % TFRS_LOSS_BLOCK;
}

/* The same for one head: its logits, then its share of the row's gradient, then its cells. */
static inline float *
tfrs_loss_shares(const tfrs_loss_tile *tile, size_t block, size_t row, size_t head)
{
	size_t		heads = tile->problem->heads;

	return tile->shares +
		((block * tile->shape->tile_rows + row) * heads + head) * TFRS_LOSS_STRIDE;
}

static inline const float *
tfrs_loss_query(const tfrs_loss_tile *tile, size_t row, size_t head)
{
	const tfrs_loss_problem *problem = tile->problem;

	return problem->query + ((tile->first + row) * problem->heads + head) * problem->dim;
}

#endif							/* TFRS_LOSS_TILE_H */
