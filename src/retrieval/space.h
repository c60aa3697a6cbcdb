/*
 * space.h: rows and queries as vectors whose inner product orders rows as their scores do.
 *
 * Partitions, codes and bounds know only inner products; a metric is a way to get there:
 *
 *     dot      x               q              W = D
 *     cosine   x / |x|         q / |q|        W = D       (a zero vector stays zero)
 *     l2       (y, -|y|^2/2s)  (p, s)         W = D + 1   y = x - m, p = q - m
 *
 * In the last, the product is (|p|^2 - |x - q|^2) / 2.  m is the mean of the rows, so that rows far
 * from the origin lose no digits, and s of the size of their distances from it, so that the extra
 * component is about as long as the others together.
 */
#ifndef TFRS_SPACE_H
#define TFRS_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "retrieval/corpus.h"

/* Norms outside are searched by the full scan: squares of squares must stay within float32. */
#define TFRS_SPACE_LEAST 1e-9f
#define TFRS_SPACE_MOST 1e9f

/* Least allowance for rounding: products of such lengths lose digits to underflow. */
#define TFRS_SPACE_LEAST_ERROR 1e-25f

typedef struct tfrs_space
{
	tfrs_metric metric;
	size_t		dim;			/* D */
	size_t		width;			/* W */
	const float *centre;		/* (D), l2 only: m */
	float		scale;			/* l2 only: s > 0 */
	float		centre_norm;	/* |m|, 0 for the others */
} tfrs_space;

extern tfrs_space tfrs_space_of(tfrs_metric metric, size_t dim, const float *centre, float scale);

/*
 * For l2: centre (D) and *scale of a sample of the rows (N > 0).  Others would do, but bounds are
 * closest with these.
 */
extern void tfrs_space_fit(const tfrs_corpus *corpus, uint64_t seed, float *centre, float *scale);

/* vector (W) = the place of a row. */
extern void tfrs_space_row(const tfrs_space *space, const tfrs_corpus *corpus, size_t row,
						   float *vector);

/* vector (W) = the place of the scorer's query. */
extern void tfrs_space_query(const tfrs_space *space, const tfrs_scorer *scorer, float *vector);

/*
 * The least inner product with query (W) that a row of that score or a better one can have, were
 * the product exact; rounding of the score itself is allowed for.
 */
extern float tfrs_space_product_of(const tfrs_space *space, const float *query, float score);

/*
 * Relative size of all rounding between a row's stored floats and a product of W terms; the
 * allowance for it is this times |query| times the lengths that were added up to get the row.
 */
extern float tfrs_space_rounding(const tfrs_space *space);

/* That allowance, a unit of |query|. */
extern float tfrs_space_allowance(const tfrs_space *space, float lengths);

#endif							/* TFRS_SPACE_H */
