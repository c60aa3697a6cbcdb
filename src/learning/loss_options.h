/*
 * loss_options.h: what is made of the logits of a batch.
 *
 *     softmax   -ln (e_t / sum_j e_j)
 *     bsl       power ln sum_j e_j - S_t, j over the negatives: the bilateral softmax loss (ICDE 2024)
 *     ccl       1 - S_t + weight (mean of max(0, S_j - margin) over the negatives): the cosine
 *               contrastive loss of SimpleX (CIKM 2021); S is without temperature; a correction
 *               weighs the negatives by 1 / p_j in that mean
 *
 * A row without negatives has a bsl of 0 and learns nothing.
 */
#ifndef TFRS_LOSS_OPTIONS_H
#define TFRS_LOSS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum tfrs_loss_kind
{
	TFRS_LOSS_SOFTMAX = 0,
	TFRS_LOSS_BSL,
	TFRS_LOSS_CCL
} tfrs_loss_kind;

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

#endif							/* TFRS_LOSS_OPTIONS_H */
