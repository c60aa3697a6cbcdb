/*
 * quantizer.h: 4-bit product codes.
 *
 * The W components of a vector are cut into M consecutive groups of W / M, and each group is
 * replaced by the nearest of 16 centres of its own.  A product with a query is then a sum of M
 * table entries, which kernels scan_codes takes for 32 rows at once.
 *
 * Codes may be score-aware (Guo et al. 2020, "Accelerating large-scale inference with anisotropic
 * vector quantization"): an error along the row itself changes the scores of those queries for
 * which the row matters, so it is weighted eta times one across.
 */
#ifndef TFRS_QUANTIZER_H
#define TFRS_QUANTIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/kernels.h"

#define TFRS_CENTRES 16

typedef struct tfrs_quantizer
{
	size_t		width;			/* W */
	size_t		codes;			/* M, a multiple of 4, at most TFRS_MAX_CODES */
	const float *centres;		/* (W, 16): component w of the centres of its group */
} tfrs_quantizer;

/* First component of a group; that of group M is W. */
static inline size_t
tfrs_quantizer_group(const tfrs_quantizer *quantizer, size_t group)
{
	return group * quantizer->width / quantizer->codes;
}

/* Group by group: k-means over a sample of vectors.  The caller fills it in. */
typedef struct tfrs_quantizer_training
{
	const tfrs_quantizer *quantizer;
	const float *sample;		/* (n, W) */
	size_t		count;			/* n > 0 */
	uint64_t	seed;
	int			threads;
	float	   *centres;		/* (W, 16), written */
	float	   *scratch;		/* (threads, tfrs_quantizer_training_scratch) */
	size_t		groups_done;	/* 0 at first */
} tfrs_quantizer_training;

/* In floats. */
extern size_t tfrs_quantizer_training_scratch(const tfrs_quantizer *quantizer, size_t count);

/* TFRS_MORE until all centres are there. */
extern tfrs_status tfrs_quantizer_training_step(tfrs_quantizer_training *training);

/*
 * codes (M) of a vector (W), and the length of what they leave over.  row (W) is what the vector
 * is a part of, whose direction eta weighs; eta 1 gives the nearest centres.  scratch: 32 M floats.
 */
extern float tfrs_quantizer_encode(const tfrs_quantizer *quantizer, const float *vector,
								   const float *row, float eta, float *scratch, uint8_t *codes);

/* Puts one row's codes at its place in a block of scan_codes, whose bytes were zero. */
extern void tfrs_quantizer_store(const tfrs_quantizer *quantizer, const uint8_t *codes,
								 size_t row, uint8_t *block);

/*
 * Tables of a query: product of query and coded vector <= offset + step * (sum of entries), and
 * within step * M of it unless entries had to be raised to 0.
 */
typedef struct tfrs_quantizer_tables
{
	uint8_t    *entries;		/* (M, 16) */
	float		offset;
	float		step;			/* > 0 */
} tfrs_quantizer_tables;

/* query (W); scratch: 16 M floats. */
extern void tfrs_quantizer_tabulate(const tfrs_quantizer *quantizer, const float *query,
									float *scratch, tfrs_quantizer_tables *tables);

#endif							/* TFRS_QUANTIZER_H */
