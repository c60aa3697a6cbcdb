/*
 * state_loss.h: softmax loss of rows with several targets each.
 *
 * A row (a state of a query) has logits s_j = q . v_j over C columns, a set of targets and a set of
 * masked columns.  The loss of a target t is
 *
 *     -ln(e_t / (e_t + Z)),   e_j = exp(s_j),   Z = sum of c_j e_j over columns that are neither
 *                                               targets nor masked
 *
 * with c_j > 0 a weight of the column (1, or N / sampled where columns are a sample); the last
 * columns may be there as targets only, c_j = 0.  Without negatives the loss is 0.  One
 * exponential a column and row serves all its targets; with a = sum_t w_t / (e_t + Z) the gradient
 * of a logit is a c_j e_j on a negative and -w_t Z / (e_t + Z) on a target.
 *
 * Rows are taken in tiles that stay in the second-level cache where they can; B x C numbers are
 * never held.  A step takes a tile for each lane.  Results do not depend on the number of threads.
 */
#ifndef TFRS_STATE_LOSS_H
#define TFRS_STATE_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/ragged.h"

/* Most rows of a tile.  Tiles are dealt out to a fixed number of lanes, each with a column gradient
 * of its own, so that the sums do not depend on the number of threads. */
#define TFRS_STATE_TILE 64
#define TFRS_STATE_LANES 4

typedef struct tfrs_state_batch
{
	size_t		rows;			/* B */
	size_t		columns;		/* C */
	size_t		dim;			/* D */
	const float *query;			/* (B, D) */
	const float *candidate;		/* (C, D) */
	size_t		negatives;		/* the first so many columns are negatives of other rows */
	const float *column_weight; /* (negatives) c_j, or NULL for ones */
	const tfrs_ragged *target;	/* B lists of columns with weights w_t */
	const tfrs_ragged *masked;	/* B lists of columns; weights unused */
	/* results, overwritten */
	float	   *d_query;		/* (B, D) */
	float	   *d_candidate;	/* (C, D) */
} tfrs_state_batch;

typedef struct tfrs_state_loss
{
	tfrs_arena *arena;
	int			threads;
	size_t		capacity_columns;
	size_t		capacity_dim;
	size_t		capacity_lanes;
	size_t		capacity_targets;
	float	   *tile;			/* (threads, TFRS_STATE_TILE, C) logits */
	float	   *scaled;			/* (threads, TFRS_STATE_TILE, D) query rows times a */
	float	   *partial;		/* (lanes - 1, C, D) column gradients of lanes after the first */
	float	   *of_target;		/* (targets of the batch) logit, then Z / (e_t + Z) */
	/* the batch under way */
	tfrs_state_batch batch;
	size_t		tile_rows;
	size_t		tiles;
	size_t		lanes;
	size_t		done;			/* tiles */
	size_t		reduced;		/* lanes whose gradient is in d_candidate */
	double		lane_loss[TFRS_STATE_LANES];
} tfrs_state_loss;

extern void tfrs_state_loss_init(tfrs_state_loss *loss, tfrs_arena *arena, int threads);
extern void tfrs_state_loss_free(tfrs_state_loss *loss);

/* One row at least; what batch points to must stay until the last step.  Errors: memory. */
extern tfrs_status tfrs_state_loss_begin(tfrs_state_loss *loss, const tfrs_state_batch *batch,
										 tfrs_error *error);

/* TFRS_MORE until done; then *total is the weighted sum of the losses and the gradients stand. */
extern tfrs_status tfrs_state_loss_step(tfrs_state_loss *loss, double *total);

/* Adds to *bytes what batches of at most that size take; false where that overflows. */
extern bool tfrs_state_loss_bytes(size_t rows, size_t columns, size_t dim, size_t targets,
								  int threads, size_t *bytes);

#endif							/* TFRS_STATE_LOSS_H */
