/*
 * state_loss.h: softmax loss of states with several targets each.
 *
 * A state (a row) has logits s_j = q . v_j over C columns, a set of targets and a set of masked
 * columns.  The loss of a target t is
 *
 *     -log(e_t / (e_t + Z)),   e_j = exp(s_j),   Z = sum of c_j e_j over columns that are neither
 *                                                targets nor masked
 *
 * with c_j a weight of the column (1, or N / sampled where columns are a sample).  One exponential a
 * column and row serves all its targets; with a = sum_t w_t / (e_t + Z) the gradient of a logit is
 * a c_j e_j on a negative and -w_t Z / (e_t + Z) on a target.
 *
 * Rows are taken in tiles that stay in the second-level cache; B x C numbers are never held.  The
 * logits must stay within +-80 of shift (normalized vectors and a temperature see to that), so that
 * no row maximum is needed.  Results do not depend on the number of threads.
 */
#ifndef TFRS_STATE_LOSS_H
#define TFRS_STATE_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/ragged.h"

/* Rows of a tile; tiles are dealt out to a fixed number of lanes, each with a column gradient of its
 * own, so that the sums do not depend on the number of threads. */
#define TFRS_STATE_TILE 64
#define TFRS_STATE_LANES 4

typedef struct tfrs_state_batch
{
	size_t		rows;			/* B */
	size_t		columns;		/* C */
	size_t		dim;			/* D */
	const float *query;			/* (B, D) */
	const float *candidate;		/* (C, D) */
	const float *column_weight; /* (C) or NULL for ones */
	float		shift;			/* subtracted from each logit; an upper bound of them is best */
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
	float	   *partial;		/* (lanes - 1, C, D) column gradients of the lanes after the first */
	double	   *lane_loss;		/* (lanes) */
	float	   *target_logit;	/* (targets of the batch) */
} tfrs_state_loss;

extern void tfrs_state_loss_init(tfrs_state_loss *loss, tfrs_arena *arena, int threads);
extern void tfrs_state_loss_free(tfrs_state_loss *loss);

/* Weighted sum of the losses of one batch, and the gradients.  Errors: memory. */
extern tfrs_status tfrs_state_loss_run(tfrs_state_loss *loss, const tfrs_state_batch *batch,
									   double *total, tfrs_error *error);

#endif							/* TFRS_STATE_LOSS_H */
