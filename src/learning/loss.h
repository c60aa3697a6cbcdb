/*
 * loss.h: in-batch softmax loss in the order of operations of TFRS's Retrieval task, tile by tile.
 *
 *     S = Q X^T;  S /= T;  S -= ln clip(p_j, floor, 1) on every column;  accidental hits masked;
 *     score mask;  the positive and the k largest negatives of a row kept;
 *     L = sum_i w_i (logsumexp_j S_ij - S_ii)
 *
 * Row i's positive is column i.  B x C numbers are never held: a tile of rows meets all columns,
 * is turned into dS in place and consumed by two more products.
 *
 * Two other losses of the same cells, S and the masks as above:
 *
 *     bsl   power ln sum_j e_j - S_ii, j over the negatives: the bilateral softmax loss (ICDE 2024)
 *     ccl   1 - S_ii + weight (mean of max(0, S_ij - margin) over the negatives): the cosine
 *           contrastive loss of SimpleX (CIKM 2021); S is without temperature; a correction weighs
 *           the negatives by 1 / p_j in that mean
 *
 * A row without negatives has a bsl of 0 and learns nothing.
 *
 * Two forms behind one face.  The plain form takes a batch as TFRS does, a row an interaction.  The
 * distinct form takes each distinct query vector and each distinct candidate vector of the batch
 * once, with counts: the same loss and gradients for a fraction of the logits.
 */
#ifndef TFRS_LOSS_H
#define TFRS_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/loss_kind.h"

typedef struct tfrs_loss_options
{
	tfrs_loss_kind kind;
	float		bsl_power;			/* > 0 */
	float		ccl_margin;			/* -1 .. 1 */
	float		ccl_weight;			/* >= 0 */
	float		temperature;		/* > 0 */
	float		probability_floor;	/* > 0 */
	bool		remove_accidental_hits;
	uint32_t	hard_negatives;		/* 0 keeps all */

	/*
	 * Corrected logQ (Khrylchenko et al. 2025, arXiv 2507.09331): the positive is given and not
	 * sampled, so its own logit is not corrected and its column is left out of the estimate of
	 * the others' sum: L = -ln e_i / (e_i + S), S = sum_j e_j / (n p_j), n the number of the other
	 * columns of the batch.  The paper writes the gradient as that of (1 - P)(ln S - s_i), where
	 * the first factor, 1 - P = S / (e_i + S), is held constant: which is the gradient of L.  With
	 * accidental hits removed S is, on the average, the sum over all candidates but the positive
	 * (a hit is a sample that adds nothing).  The authors' program (NonameUntitled/logq) divides by
	 * the number of columns that are no hits, with p_j / (1 - p_i) in place of p_j: the same mean.
	 */
	bool		leave_positive_out;
} tfrs_loss_options;

extern void tfrs_loss_options_default(tfrs_loss_options *options);

/* A sentence about what is wrong, or NULL. */
extern const char *tfrs_loss_options_check(const tfrs_loss_options *options);

/*
 * Probabilities are clipped to [floor, 1] as TFRS does (whoever takes them from a user says more);
 * weights are >= 0.
 *
 * The plain form.  Column i < B is the positive of row i, the rest are extra candidates.
 */
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
	/* results */
	float	   *d_query;		/* (B, H, D) or NULL: overwritten */
	float	   *d_candidate;	/* (C, D) or NULL: overwritten */
	double	   *row_loss;		/* (B) unweighted, or NULL */
	uint32_t   *row_above;		/* (B) kept logits above the positive's, equal ones not, or NULL;
								 * asking changes the last bits of the other results */
	float	   *logits;			/* (B, C) before hard negatives, for tests; NULL as a rule */
	float	   *d_logits;		/* (B, C) of the weighted loss, for tests; NULL as a rule */
} tfrs_loss_batch;

/*
 * The distinct form.  The batch's rows are grouped by (distinct query, distinct candidate): pair
 * p stands for the rows whose query is pair_query[p] and whose positive is pair_candidate[p].
 * Columns that are nobody's positive are extra candidates.
 *
 * A masked cell (u, v) is no negative of query u.  Where v is also a positive of u it counts in its
 * own pair alone: with all of u's positives masked, the loss of a pair is -ln e / (e + Z) with Z
 * over the columns not masked.
 */
typedef struct tfrs_loss_distinct
{
	size_t		queries;		/* U distinct queries */
	size_t		candidates;		/* V distinct candidates */
	size_t		pairs;			/* P distinct pairs, ascending by query */
	size_t		dim;			/* D */
	const float *query;			/* (U, D) */
	const float *candidate;		/* (V, D) */
	const float *candidate_count;	/* (V) how many columns of the batch it stands for; 0 where it
									 * is a positive only: counted in its own pairs alone */
	const float *probability;	/* (V) or NULL */
	const uint32_t *pair_query; /* (P) */
	const uint32_t *pair_candidate; /* (P) */
	const float *pair_weight;	/* (P) sum of the weights of its rows */
	const uint64_t *masked;		/* cells u * V + v, ascending, or NULL */
	size_t		masked_count;
	/* results */
	float	   *d_query;		/* (U, D) or NULL: overwritten */
	float	   *d_candidate;	/* (V, D) or NULL: overwritten */
	double	   *pair_loss;		/* (P) unweighted, or NULL */
	uint32_t   *pair_above;		/* (P) columns of the batch above the pair's own, or NULL */
} tfrs_loss_distinct;

/*
 * Bytes of scratch that a loss takes for a batch of these sizes (its arrays are not looked at), in
 * either form; SIZE_MAX where that overflows.  A batch of a little fewer candidates may be cut into
 * larger tiles and take some more.
 */
extern size_t tfrs_loss_bytes(const tfrs_loss_distinct *sizes, const tfrs_loss_options *options,
							  int threads);

typedef struct tfrs_loss tfrs_loss;

/* A loss keeps its scratch memory between batches; threads as in team.h. */
extern tfrs_status tfrs_loss_create(tfrs_loss **loss, tfrs_arena *arena, int threads,
									tfrs_error *error);

/*
 * Begin checks the batch (TFRS_INVALID_ARGUMENT: C < B, accidental hits without ids, a mask that
 * hides a positive, numbers that make no sense; TFRS_NOT_FINITE: embeddings that overflow;
 * TFRS_UNSUPPORTED in the distinct form: hard negatives).  A step does some 2^29 multiply-adds a
 * thread and returns TFRS_MORE until the batch is done; then *total is the weighted sum of the
 * losses.  The batch's arrays must stay until then.
 */
extern tfrs_status tfrs_loss_begin(tfrs_loss *loss, const tfrs_loss_batch *batch,
								   const tfrs_loss_options *options, tfrs_error *error);
extern tfrs_status tfrs_loss_begin_distinct(tfrs_loss *loss, const tfrs_loss_distinct *batch,
											const tfrs_loss_options *options, tfrs_error *error);
extern tfrs_status tfrs_loss_step(tfrs_loss *loss, double *total, tfrs_error *error);

extern void tfrs_loss_destroy(tfrs_loss *loss);

#endif							/* TFRS_LOSS_H */
