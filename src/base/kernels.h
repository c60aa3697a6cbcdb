/*
 * kernels.h: the inner loops, behind one table of pointers that is chosen once at load.
 *
 * kernels_reference.c is plain C and always built; kernels_x86.c and kernels_arm.c hold variants
 * behind target attributes.  tfrs_kernels_choose picks by what the processor and the operating
 * system can do, so the portable default build is also the fast one.  Outside kernels* nobody
 * names a variant.
 *
 * One dot product: operator, exact search, re-ranking, the survivors of top_k_many and ground truth
 * all call tfrs_kernels.dot, so equal inputs give equal bits whatever path they came by.
 */
#ifndef TFRS_KERNELS_H
#define TFRS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tfrs_kernel_table
{
	const char *name;			/* "reference", "avx2", "avx512", "neon" */

	/* Sum of x[i] y[i]; no alignment needed; relative error at most dim * 2^-24 of sum |x y|. */
	float		(*dot) (const float *x, const float *y, size_t dim);

	/* Sum of (x[i] - y[i])^2. */
	float		(*squared_distance) (const float *x, const float *y, size_t dim);

	/*
	 * Scores of rows consecutive vectors: scores[r] = dot(query, rows_start + r * dim), each with
	 * exactly the bits that dot gives.
	 */
	void		(*dot_rows) (const float *query, const float *rows_start, size_t rows, size_t dim,
							 float *scores);

	/* Largest value; -INFINITY for count 0.  The values hold no NaN. */
	float		(*maximum) (const float *values, size_t count);

	/*
	 * values[i] = exp(values[i] - shift) in place, and their sum; relative error of each at most
	 * 1e-6.  Arguments below -87 give 0.  The sum is in double, in an order that depends on count
	 * alone.
	 */
	double		(*exp_sum) (float *values, size_t count, float shift);

	/*
	 * Weighted form: values[i] = weights[i] * exp(values[i] - shift), and their sum.
	 */
	double		(*weighted_exp_sum) (float *values, const float *weights, size_t count,
									 float shift);

	/* y[i] += scale * x[i] */
	void		(*add_scaled) (float *y, const float *x, size_t count, float scale);

	/* Sum of x[i] y[i] over int8, exact while dim < 2^16. */
	int32_t		(*dot_int8) (const int8_t *x, const int8_t *y, size_t dim);
} tfrs_kernel_table;

/* The table in use.  Set by tfrs_kernels_choose before the first worker thread starts. */
extern tfrs_kernel_table tfrs_kernels;

/* true: the best this machine has; false: the reference kernels (setting tfrs.kernels). */
extern void tfrs_kernels_choose(bool accelerated);

/* For tests: the i-th table that this machine can run (0 is the reference), or NULL past the end. */
extern const tfrs_kernel_table *tfrs_kernels_variant(int i);

#endif							/* TFRS_KERNELS_H */
