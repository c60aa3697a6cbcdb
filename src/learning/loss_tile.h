/*
 * loss_tile.h: a tile of rows against all columns: logits, row losses, gradients.
 *
 * Both forms of loss.h become one problem: rows with targets.  A row of the plain form has one
 * target, column i, with weight w_i; a row of the distinct form has a target for each of its pairs.
 * What differs between rows of one column is a number added to its logits: -ln p, and ln count for
 * a column that stands for several.  With E_j = exp(S_j) over the columns not hidden in the row,
 *
 *     L = sum over targets t of w_t ln(Z_t / e_t),   Z_t = sum_j E_j (own column counted once
 *                                                    where twins or masks ask for it)
 *     dL/dS_j = E_j sum_t w_t / Z_t - [j is target t] (what t contributes itself)
 *
 * A tile is cut into blocks of columns that stay in the second-level cache.  A block is
 * exponentiated against its own row maximum right after its product, so each cell is read twice
 * altogether: exp, and the two backward products.  The row's factor sum_t w_t / Z_t, the block's
 * shift and 1/T go onto the small sides of these products, never onto the cells.
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
	const float *count;			/* (V) with its logarithm in adjust, or NULL for ones */
	bool		own_once;		/* a target's column counts once, not count times */

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
	float	   *target_logit;	/* (P) without ln count */
	double	   *target_loss;	/* (P) not weighted */
	float	   *d_query;		/* (U, H, D) or NULL */
	double	   *row_top1;		/* (U) or NULL */
	float	   *logits;			/* (U, V) or NULL */
	float	   *d_logits;		/* (U, V) or NULL */
} tfrs_loss_problem;

/* How a problem is cut; depends on its sizes alone. */
typedef struct tfrs_loss_shape
{
	size_t		tile_rows;
	size_t		tiles;
	size_t		blocks;			/* of equally many columns, the last one shorter */
	tfrs_layout scratch;		/* of one worker */
	size_t		sum;			/* where each array begins in it */
	size_t		factor;
	size_t		row_peak;
	size_t		peak;
	size_t		hits;
	size_t		scaled;
	size_t		partial;
	size_t		score;
	size_t		share;
} tfrs_loss_shape;

/* Sizes that overflow show in shape->scratch.fits. */
extern void tfrs_loss_shape_choose(tfrs_loss_shape *shape, const tfrs_loss_problem *problem);

/*
 * Rows tile * tile_rows and following.  scratch: as the shape says, aligned to a cache line.  Adds to
 * d_candidate (V, D) unless it is NULL; everything else is overwritten.
 */
extern void tfrs_loss_tile_run(const tfrs_loss_problem *problem, const tfrs_loss_shape *shape,
							   size_t tile, void *scratch, float *d_candidate);

#endif							/* TFRS_LOSS_TILE_H */
