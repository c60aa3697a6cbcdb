/*
 * softmax_tile.h: how a softmax is cut into tiles, and what is done in one.
 *
 * With e_j = exp(S_j) and E_j = gain_j e_j over the columns not hidden in the row (gain: its count,
 * and what corrects its sampling where the target is no sample),
 *
 *     L = sum over targets t of w_t ln(Z_t / e_t),    Z_t = sum_j E_j - taken_t E_t + added_t e_t
 *     dL/dS_j = E_j sum_t (1 - [j is t] taken_t) w_t / Z_t - [j is t] w_t (1 - added_t e_t / Z_t)
 *
 * where taken and added say how t's own column enters its sum: 0, 0 as a rule; 1 - 1 / count, 0
 * where accidental hits are removed; 1, 1 where the target is no sample of what is summed; 0, 1
 * where it is hidden or counts 0 times: then its cell is 0, and so it is where the exponential
 * underflows, which makes no difference.
 *
 * The bsl of a target is power ln Z_t - S_t with its own column taken from Z_t and nothing added.
 * In ccl a cell becomes E_j = weight_j where S_j is above the margin, else 0, Z_t the sum of E_j
 * (S_j - margin) likewise, and every w_t / Z_t the target's weight times the hinge's.
 *
 * A tile is some rows against all columns, cut into blocks of columns that stay in the second-level
 * cache.  A block is exponentiated against its own row maximum right after its product, so a cell
 * is read twice altogether: by exp, and by the two backward products.  The row's factor
 * sum_t w_t / Z_t, the block's shift and 1/T go onto the small sides of these products, never onto
 * the cells; what a target takes off its cell is put in units of that factor.
 *
 * Rejected: recomputing the block in a second pass, as attention kernels do to save memory (a
 * fourth product and a second exp cost more than the third-level cache), and rows as short as
 * would keep all columns in the second-level cache (BLAS packs the candidates again every time).
 */
#ifndef TFRS_SOFTMAX_TILE_H
#define TFRS_SOFTMAX_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/topk.h"
#include "learning/loss_options.h"
#include "learning/softmax_batch.h"

/* The logit of a hidden cell: the smallest float / 100, as TFRS has it. */
#define TFRS_SOFTMAX_HIDDEN (-3.4028234663852886e36f)

typedef struct tfrs_softmax_problem
{
	tfrs_softmax_batch batch;	/* as given */
	tfrs_loss_kind kind;
	float		inverse_temperature;
	uint32_t	hard_negatives; /* 0 keeps all */
	float		power;			/* bsl */
	float		margin;			/* ccl */
	float		hinge_weight;	/* ccl */
	bool		own_once;		/* a target's other copies are no negatives of it */
	bool		leave_target_out;	/* a target is no sample: its own column has no gain */
	float	   *adjust;			/* (V) added to the logits of a column, or NULL */
	float	   *log_gain;		/* (V) ln gain, or NULL for gains of 1 */
	float	   *weight;			/* (V) ccl: of a column in the mean; sum 1 */
	/* id << 32 | j for all columns j with that id, ascending: hidden in rows whose target has it */
	uint64_t   *twins;			/* (V) or NULL */
	/* rows of different tiles share nothing of these */
	float	   *target_logit;	/* (P) */
	double	   *target_loss;	/* (P) not weighted */
	float	   *target_own;		/* (P) what is subtracted from dL/dS at the target */
	double	   *target_factor;	/* (P) w_t / Z_t, relative to the row's peak */
} tfrs_softmax_problem;

/* How a problem is cut; depends on its sizes alone. */
typedef struct tfrs_softmax_shape
{
	size_t		tile_rows;
	size_t		tiles;
	size_t		blocks;			/* of TFRS_SOFTMAX_BLOCK columns, the last one shorter */
	size_t		bytes;			/* scratch memory of one worker */
} tfrs_softmax_shape;

/* Columns of a block: with 128 rows 270 kB, which leaves room for both sides of its products. */
#define TFRS_SOFTMAX_BLOCK 512

/* Distance of a block's rows: not a power of two, which would crowd a few cache sets. */
#define TFRS_SOFTMAX_STRIDE (TFRS_SOFTMAX_BLOCK + 16)

typedef struct tfrs_softmax_tile
{
	const tfrs_softmax_problem *problem;
	const tfrs_softmax_shape *shape;
	size_t		first;			/* row of the problem */
	size_t		rows;
	float	   *d_candidate;	/* (V, D) that the tile adds to, or NULL */
	bool		is_first;		/* it overwrites that */
	/* scratch memory */
	double	   *sum;			/* (tile_rows, blocks) of a block's cells */
	double	   *factor;			/* (tile_rows, blocks) of the cells in the gradient */
	double	   *row_peak;		/* (tile_rows) largest logit */
	float	   *peak;			/* (tile_rows, blocks) largest logit of the block */
	tfrs_hit   *hits;			/* (hard_negatives) */
	float	   *scaled;			/* (tile_rows * H, D) */
	float	   *partial;		/* (tile_rows * H, D) */
	size_t	   *target_at;		/* (tile_rows) the first target in or behind the block at hand */
	size_t	   *hidden_at;		/* (tile_rows) likewise */
	float	   *cells;			/* (blocks, tile_rows, STRIDE) logits, then their exp */
	float	   *shares;			/* (blocks, tile_rows * H, STRIDE); the cells for H = 1 */
} tfrs_softmax_tile;

/* TFRS_TOO_LARGE: a size overflows. */
extern tfrs_status tfrs_softmax_shape_choose(tfrs_softmax_shape *shape,
											 const tfrs_softmax_problem *problem,
											 tfrs_error *error);

/* Tile number of the shape over scratch memory as the shape says, aligned to a cache line. */
extern void tfrs_softmax_tile_init(tfrs_softmax_tile *tile, const tfrs_softmax_problem *problem,
								   const tfrs_softmax_shape *shape, size_t number, void *scratch);

static inline size_t
tfrs_softmax_block_width(const tfrs_softmax_tile *tile, size_t block)
{
	size_t		rest = tile->problem->batch.columns - block * TFRS_SOFTMAX_BLOCK;

	return rest < TFRS_SOFTMAX_BLOCK ? rest : TFRS_SOFTMAX_BLOCK;
}

/* The cells of one row in one block, and the cell of a column. */
static inline float *
tfrs_softmax_cells(const tfrs_softmax_tile *tile, size_t block, size_t row)
{
	return tile->cells + (block * tile->shape->tile_rows + row) * TFRS_SOFTMAX_STRIDE;
}

static inline float *
tfrs_softmax_cell(const tfrs_softmax_tile *tile, size_t row, size_t column)
{
	return tfrs_softmax_cells(tile, column / TFRS_SOFTMAX_BLOCK, row) + column % TFRS_SOFTMAX_BLOCK;
}

/* The same for one head: its logits, then its share of the row's gradient, then its cells. */
static inline float *
tfrs_softmax_shares(const tfrs_softmax_tile *tile, size_t block, size_t row, size_t head)
{
	size_t		heads = tile->problem->batch.heads;

	return tile->shares +
		((block * tile->shape->tile_rows + row) * heads + head) * TFRS_SOFTMAX_STRIDE;
}

static inline const float *
tfrs_softmax_query(const tfrs_softmax_tile *tile, size_t row)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;

	return batch->query + (tile->first + row) * batch->heads * batch->dim;
}

/* The targets of a row of the tile: from the first to the one before end. */
static inline size_t
tfrs_softmax_first_target(const tfrs_softmax_tile *tile, size_t row)
{
	return tile->problem->batch.target->start[tile->first + row];
}

static inline size_t
tfrs_softmax_end_target(const tfrs_softmax_tile *tile, size_t row)
{
	return tile->problem->batch.target->start[tile->first + row + 1];
}

/* From vectors to cells, and to the losses and factors of the targets. */
extern void tfrs_softmax_forward(const tfrs_softmax_tile *tile);

/* The rows' losses and factors, and what the targets take off their cells. */
extern void tfrs_softmax_finish_row(const tfrs_softmax_tile *tile, size_t row);

/* From cells to the gradients of both sides. */
extern void tfrs_softmax_backward(const tfrs_softmax_tile *tile);

/* What must hold before a batch is stepped; nothing behind it checks again. */
extern tfrs_status tfrs_softmax_check(const tfrs_softmax_problem *problem, tfrs_error *error);

#endif							/* TFRS_SOFTMAX_TILE_H */
