/*
 * cross_layer.h: an explicit crossing of all features with each other (DCN-v2, arXiv 2008.13535;
 * TensorFlow Recommenders' Cross), forward and backward:
 *
 *     y = x0 * (f(x U V + b) + s x) + x
 *
 * x0 is the input of the first of several layers, x that of this one.  U (W, P) projects to few
 * numbers first and may be missing; s is 0 but for those who ask for it.  What a layer owns and
 * adds to is as in dense.h, of which it is made.
 */
#ifndef TFRS_CROSS_LAYER_H
#define TFRS_CROSS_LAYER_H

#include <stdbool.h>

#include "learning/dense.h"

typedef struct tfrs_cross_layer
{
	bool		projects;		/* whether there is U */
	tfrs_dense	projection;		/* W -> P, linear, without bias */
	tfrs_dense	inner;			/* P or W -> W: V, b and f */
	float		diagonal;		/* s */
} tfrs_cross_layer;

/* What forward leaves for backward, for B rows. */
typedef struct tfrs_cross_scratch
{
	float	   *projected;		/* (B, P), with a projection */
	float	   *sums;			/* (B, W) before f */
	float	   *inner;			/* (B, W) f */
	float	   *d_inner;		/* (B, W), backward only */
	float	   *d_projected;	/* (B, P), backward only */
} tfrs_cross_scratch;

typedef struct tfrs_cross_gradient
{
	tfrs_dense_gradient projection;
	tfrs_dense_gradient inner;
} tfrs_cross_gradient;

/* x0, x (B, W) -> y (B, W), which is neither of them. */
extern void tfrs_cross_layer_forward(const tfrs_cross_layer *layer, const float *x0,
									 const float *x, size_t rows,
									 const tfrs_cross_scratch *scratch, float *y);

/* d_y (B, W) -> d_x0 (B, W), which is added to, and d_x (B, W), overwritten. */
extern void tfrs_cross_layer_backward(const tfrs_cross_layer *layer, const float *x0,
									  const float *x, size_t rows,
									  const tfrs_cross_scratch *scratch, const float *d_y,
									  const tfrs_cross_gradient *gradient, float *d_x0,
									  float *d_x);

#endif							/* TFRS_CROSS_LAYER_H */
