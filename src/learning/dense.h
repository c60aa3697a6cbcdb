/*
 * dense.h: a dense layer, y = f(x K + b) (Keras's Dense), forward and backward.
 *
 * The layer owns nothing: kernel and bias lie in the parameters, activations and gradients with
 * the caller.  Gradients of parameters are added to, that of the input is overwritten.
 */
#ifndef TFRS_DENSE_H
#define TFRS_DENSE_H

#include <stddef.h>

#include "learning/activation.h"

typedef struct tfrs_dense
{
	size_t		inputs;			/* I */
	size_t		outputs;		/* O */
	tfrs_activation activation;
	const float *kernel;		/* (I, O) */
	const float *bias;			/* (O), or NULL: none */
} tfrs_dense;

typedef struct tfrs_dense_gradient
{
	float	   *d_kernel;		/* (I, O) */
	float	   *d_bias;			/* (O); not looked at without a bias */
} tfrs_dense_gradient;

/* x (B, I) -> sums (B, O) before the activation, y (B, O); y may be sums where f is linear. */
extern void tfrs_dense_forward(const tfrs_dense *layer, const float *x, size_t rows, float *sums,
							   float *y);

/* d_y (B, O) becomes the gradient of the sums; d_x (B, I), or NULL where nobody needs it. */
extern void tfrs_dense_backward(const tfrs_dense *layer, const float *x, const float *sums,
								size_t rows, float *d_y, const tfrs_dense_gradient *gradient,
								float *d_x);

/* sum (width) += each of the rows (count, width): the gradient of a bias. */
extern void tfrs_dense_add_rows(const float *rows, size_t count, size_t width, float *sum);

/* The limit of Keras's Glorot uniform initializer: kernels start in [-limit, limit). */
extern float tfrs_glorot_limit(size_t inputs, size_t outputs);

#endif							/* TFRS_DENSE_H */
