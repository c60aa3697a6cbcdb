/*
 * activation.h: the functions between dense layers, with Keras's names, values and slopes.
 */
#ifndef TFRS_ACTIVATION_H
#define TFRS_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

typedef enum tfrs_activation
{
	TFRS_LINEAR = 0,
	TFRS_RELU,
	TFRS_TANH,
	TFRS_SIGMOID,
	TFRS_ELU,
	TFRS_SELU,
	TFRS_SILU,
	TFRS_GELU,					/* by the error function */
	TFRS_GELU_TANH,				/* by its approximation */
	TFRS_SOFTPLUS,
	TFRS_ACTIVATIONS
} tfrs_activation;

extern const char *tfrs_activation_name(tfrs_activation activation);

/* false: there is none of that name. */
extern bool tfrs_activation_find(const char *name, tfrs_activation *activation);

extern float tfrs_activation_value(tfrs_activation activation, float x);

/* The derivative; at the kink of relu it is 0, at that of selu the right one. */
extern float tfrs_activation_slope(tfrs_activation activation, float x);

/* y = f(x), elementwise; y may be x. */
extern void tfrs_activation_forward(tfrs_activation activation, const float *x, size_t count,
									float *y);

/* d_x = d_y f'(x), elementwise; d_x may be d_y. */
extern void tfrs_activation_backward(tfrs_activation activation, const float *x, size_t count,
									 const float *d_y, float *d_x);

#endif							/* TFRS_ACTIVATION_H */
