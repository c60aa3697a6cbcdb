/*
 * int8_rows.h: rows in bytes, to look at before they are fetched.
 *
 * The W components of a row x become whole multiples a of a step s that its block of 32 rows
 * shares, those of a query q multiples b of a step t of its own.  Then
 *
 *     q . x  =  s t (b . a) + (q - t b) . x + t b . (x - s a)
 *           <=  s t (b . a) + |q - t b| |x| + |t b| |x - s a|
 *
 * whose first term is a product of integers and whose others are a few thousandths of |q| |x|: far
 * closer than 4-bit codes can be, from a quarter of the bytes of the row itself.
 */
#ifndef TFRS_INT8_ROWS_H
#define TFRS_INT8_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/kernels.h"
#include "retrieval/space.h"

/* Of a block of rows. */
typedef struct tfrs_int8_scale
{
	float		step;			/* s */
	float		error;			/* largest |x - s a|, allowance for rounding included */
	float		norm;			/* largest |x| */
} tfrs_int8_scale;

/*
 * codes (TFRS_CODE_ROWS, W) of count <= TFRS_CODE_ROWS rows (count, W) of the space; the others are
 * zero.
 */
extern tfrs_int8_scale tfrs_int8_encode(const float *rows, size_t count, const tfrs_space *space,
										int8_t *codes);

typedef struct tfrs_int8_query
{
	int8_t	   *codes;			/* (W): b */
	float		step;			/* t */
	float		length;			/* |t b| and error: what rounds off is in the scale's allowance */
	float		error;			/* |q - t b| */
} tfrs_int8_query;

/* query->codes is the caller's. */
extern void tfrs_int8_query_set(tfrs_int8_query *query, const float *vector, size_t width);

/* The most that the product of the query with a row of these codes (W) can be. */
static inline float
tfrs_int8_most(const tfrs_int8_query *query, const tfrs_int8_scale *scale, const int8_t *codes,
			   size_t width)
{
	/* Not t s first, which may vanish. */
	return query->step * (float) tfrs_kernels.dot_int8(query->codes, codes, width) * scale->step +
		query->error * scale->norm + query->length * scale->error;
}

#endif							/* TFRS_INT8_ROWS_H */
