/*
 * softmax_batch.h: what a softmax (softmax.h) is told of a batch.
 */
#ifndef TFRS_SOFTMAX_BATCH_H
#define TFRS_SOFTMAX_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "learning/ragged.h"

typedef struct tfrs_softmax_batch
{
	size_t		rows;			/* U */
	size_t		columns;		/* V */
	size_t		dim;			/* D */
	size_t		heads;			/* H vectors a row, the best counts (maxsim); 0 is 1 */
	const float *query;			/* (U, H, D) */
	const float *candidate;		/* (V, D) */
	const tfrs_ragged *target;	/* U lists of columns, ascending; no weights are ones */
	const tfrs_ragged *hidden;	/* U lists of columns, ascending, or NULL */
	const float *count;			/* (V) or NULL for ones */
	const float *probability;	/* (V) with which a column was sampled, clipped to [floor, 1] as TFRS
								 * does, or NULL */
	const float *const *offset; /* (U) V numbers each, added to the logits of a row; or NULL */
	const uint32_t *id;			/* (V) equal numbers are equal candidates, where columns repeat and
								 * accidental hits are removed; else NULL */
	/* results, overwritten */
	float	   *d_query;		/* (U, H, D) or NULL */
	float	   *d_candidate;	/* (V, D) or NULL */
	double	   *target_loss;	/* (P targets) not weighted, or NULL */
	uint32_t   *target_above;	/* (P) columns above the target that are kept, equal ones not, or
								 * NULL; asking changes the last bits of the other results */
	float	   *logits;			/* (U, V) before hard negatives, for tests; NULL as a rule */
	float	   *d_logits;		/* (U, V) of the weighted loss, for tests; NULL as a rule */
} tfrs_softmax_batch;

#endif							/* TFRS_SOFTMAX_BATCH_H */
