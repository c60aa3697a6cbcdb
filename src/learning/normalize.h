/*
 * normalize.h: vectors to unit length and back (Keras UnitNormalization).
 *
 *     s = 1 / sqrt(max(sum x^2, 1e-12));  y = s x
 *     d_x = s (d_y - y (y . d_y)), and s d_y where the floor holds
 */
#ifndef TFRS_NORMALIZE_H
#define TFRS_NORMALIZE_H

#include <stddef.h>

/* The scale where the floor holds, a length of 1e-6: there the gradient has no part along y. */
#define TFRS_FLOOR_SCALE 1e6f

/*
 * The first dim of pitch numbers of each row, in place (the rest, a bias, is left alone); scale
 * (count) receives s, or is NULL.
 */
extern void tfrs_normalize_forward(float *vectors, size_t count, size_t dim, size_t pitch,
								   float *scale);

/* gradient (count, D) in place: d_y becomes d_x.  vectors are the y and scale the s of forward. */
extern void tfrs_normalize_backward(const float *vectors, const float *scale, size_t count,
									size_t dim, size_t pitch, float *gradient);

#endif							/* TFRS_NORMALIZE_H */
