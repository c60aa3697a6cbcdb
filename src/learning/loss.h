/*
 * loss.h: the softmax (softmax.h) in the literal form of TFRS's Retrieval task.
 *
 *     S = Q X^T;  S /= T;  S -= ln clip(p_j, floor, 1) on every column;  accidental hits masked;
 *     score mask;  the positive and the k largest negatives of a row kept;
 *     L = sum_i w_i (logsumexp_j S_ij - S_ii)
 *
 * Row i's positive is column i: a row an interaction, whatever repeats.  This is what is conformed
 * with, and what tfrs.retrieval_loss computes; a training asks the softmax itself.
 */
#ifndef TFRS_LOSS_H
#define TFRS_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/loss_options.h"

/* Column i < B is the positive of row i, the rest are extra candidates; weights are >= 0. */
typedef struct tfrs_loss_batch
{
	size_t		queries;		/* B */
	size_t		candidates;		/* C >= B */
	size_t		dim;			/* D */
	size_t		heads;			/* H vectors a query, the best counts (maxsim); 1 as a rule */
	const float *query;			/* (B, H, D) */
	const float *candidate;		/* (C, D) */
	const float *weight;		/* (B), or NULL for ones */
	const float *probability;	/* (C) sampling probabilities, or NULL */
	const uint32_t *candidate_id;	/* (C) equal numbers are equal candidates, or NULL */
	const uint64_t *masked;		/* cells i * C + j left out, ascending, or NULL */
	size_t		masked_count;
	/* results: see softmax.h */
	float	   *d_query;		/* (B, H, D) or NULL: overwritten */
	float	   *d_candidate;	/* (C, D) or NULL: overwritten */
	double	   *row_loss;		/* (B) unweighted, or NULL */
	uint32_t   *row_above;		/* (B) kept logits above the positive's, or NULL */
	float	   *logits;			/* (B, C) before hard negatives, for tests; NULL as a rule */
	float	   *d_logits;		/* (B, C) of the weighted loss, for tests; NULL as a rule */
} tfrs_loss_batch;

typedef struct tfrs_loss tfrs_loss;

/* A loss keeps its scratch memory between batches; threads as in team.h. */
extern tfrs_status tfrs_loss_create(tfrs_loss **loss, tfrs_arena *arena, int threads,
									tfrs_error *error);
extern void tfrs_loss_destroy(tfrs_loss *loss);

/*
 * Errors of tfrs_softmax_begin, and TFRS_INVALID_ARGUMENT: C < B, accidental hits without ids, a
 * mask that hides a positive.  Steps as those of a softmax.
 */
extern tfrs_status tfrs_loss_begin(tfrs_loss *loss, const tfrs_loss_batch *batch,
								   const tfrs_loss_options *options, tfrs_error *error);
extern tfrs_status tfrs_loss_step(tfrs_loss *loss, double *total);

#endif							/* TFRS_LOSS_H */
