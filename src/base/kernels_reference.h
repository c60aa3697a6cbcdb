/*
 * kernels_reference.h: the table of inner loops, and its plain C form.
 *
 * Callers include base/kernels.h, which gives them the table in use.  The contract of each entry is
 * stated here once; the variants are compared with kernels_reference.c.
 */
#ifndef TFRS_KERNELS_REFERENCE_H
#define TFRS_KERNELS_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

/*
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; there
 * exp(r) = 1 + r + r^2 (c2 + c3 r + c4 r^2 + c5 r^3) with a relative error of at most 1.1e-7 (the
 * minimax coefficients with exp(0) exact).  ln 2 is in two parts, the first of which times n is
 * exact.  Below the lowest argument the result is 0, before it leaves the normal numbers; above the
 * highest it is infinity.
 */
#define TFRS_EXP_LOWEST -87.0f
#define TFRS_EXP_HIGHEST 88.72283f
#define TFRS_EXP_PER_LN2 1.44269504f
#define TFRS_EXP_LN2_HIGH 0.693359375f
#define TFRS_EXP_LN2_LOW -2.12194440e-4f
#define TFRS_EXP_C2 0x1.fffdfcp-2f
#define TFRS_EXP_C3 0x1.5557b0p-3f
#define TFRS_EXP_C4 0x1.572a64p-5f
#define TFRS_EXP_C5 0x1.106250p-7f

/* Bounds on matmul_tile's tile over all variants, for buffers. */
#define TFRS_MAX_TILE_ROWS 8
#define TFRS_MAX_TILE_COLUMNS 32

/* Rows of a block of 4-bit codes, and the most codes of a row: sums then stay within 16 bits. */
#define TFRS_CODE_ROWS 32
#define TFRS_MAX_CODES 256

/*
 * Blocks of 4-bit codes.  A block holds 32 rows of codes codes each in 16 * codes bytes: byte
 * 32 p + i has code 2 p in its low half and code 2 p + 1 in its high half, of row i / 2 where i is
 * even and of row 16 + i / 2 where it is odd (so that sums of even and of odd bytes, each widened
 * to 16 bits, stand in the order of the rows).
 */
typedef struct tfrs_code_scan
{
	const uint8_t *tables;		/* (codes, 16): what a code is worth */
	size_t		codes;			/* a multiple of 4, at most TFRS_MAX_CODES */
	const uint8_t *blocks;		/* (count, 16 * codes) */
	size_t		count;
	const uint16_t *thresholds; /* (count) */
	uint16_t   *sums;			/* (count, 32): of what the row's codes are worth */
	uint32_t   *hits;			/* (count): bit r is set where row r's sum >= the threshold */
} tfrs_code_scan;

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
	 * 1e-6.  Arguments below -87 give 0, those too large infinity, NaN stays NaN.  The sum is in
	 * double, in an order that depends on count alone.
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

	/* Fills scan->sums and scan->hits.  Reads nothing past the last block. */
	void		(*scan_codes) (const tfrs_code_scan *scan);

	/*
	 * For matmul: tile (tile_rows, tile_columns) = sum over depth of the outer products of the
	 * rows of a (depth, tile_rows) and b (depth, tile_columns), both aligned to TFRS_ALIGNMENT.
	 */
	size_t		tile_rows;
	size_t		tile_columns;
	void		(*matmul_tile) (const float *a, const float *b, size_t depth, float *tile);
} tfrs_kernel_table;

extern const tfrs_kernel_table tfrs_kernels_reference;

#endif							/* TFRS_KERNELS_REFERENCE_H */
