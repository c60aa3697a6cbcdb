/*
 * recurrent.c: the GRU step by step.
 *
 * The products with the inputs of all steps are one; those with the states are one a step.
 */
#include "learning/recurrent.h"

#include <math.h>
#include <string.h>

#include "base/matmul.h"
#include "learning/dense.h"

static float
sigmoid(float x)
{
	return tfrs_activation_value(TFRS_SIGMOID, x);
}

/* One sequence, one step: gates (3 U) hold a and become z, r, n; c (3 U); h (U) moves on. */
static void
step_forward(size_t units, float *gates, const float *c, float *inner, float *before, float *h)
{
	float	   *z = gates;
	float	   *r = gates + units;
	float	   *n = gates + 2 * units;

	for (size_t u = 0; u < units; u++)
	{
		z[u] = sigmoid(z[u] + c[u]);
		r[u] = sigmoid(r[u] + c[units + u]);
		inner[u] = c[2 * units + u];
		n[u] = tanhf(n[u] + r[u] * inner[u]);
		before[u] = h[u];
		h[u] = z[u] * h[u] + (1.0f - z[u]) * n[u];
	}
}

/* rows (count, width) = the vector, count times */
static void
repeat(const float *vector, size_t width, size_t count, float *rows)
{
	for (size_t r = 0; r < count; r++)
		memcpy(rows + r * width, vector, width * sizeof(float));
}

void
tfrs_gru_forward(const tfrs_gru *layer, const tfrs_packed *packed,
				 const tfrs_gru_scratch *scratch, float *h)
{
	size_t		units = layer->units;
	size_t		width = TFRS_GRU_GATES * units;
	size_t		done = 0;

	memset(h, 0, packed->rows * units * sizeof(float));
	repeat(layer->bias, width, packed->elements, scratch->gates);
	tfrs_matmul_nn(packed->elements, width, layer->inputs, 1.0f, packed->x, layer->inputs,
				   layer->kernel, width, 1.0f, scratch->gates, width);
	for (size_t t = 0; t < packed->steps; t++)
	{
		size_t		active = packed->active[t];

		repeat(layer->bias + width, width, active, scratch->sums);
		tfrs_matmul_nn(active, width, units, 1.0f, h, units, layer->recurrent, width, 1.0f,
					   scratch->sums, width);
		for (size_t b = 0; b < active; b++, done++)
			step_forward(units, scratch->gates + done * width, scratch->sums + b * width,
						 scratch->inner + done * units, scratch->before + done * units,
						 h + b * units);
	}
}

/* The way back through step_forward: gates become d_a, d_c (3 U), d_h that of the state before. */
static void
step_backward(size_t units, float *gates, float *d_c, const float *inner, const float *before,
			  float *d_h)
{
	for (size_t u = 0; u < units; u++)
	{
		float		z = gates[u];
		float		r = gates[units + u];
		float		n = gates[2 * units + u];
		float		d_n = d_h[u] * (1.0f - z) * (1.0f - n * n);

		gates[u] = d_c[u] = d_h[u] * (before[u] - n) * z * (1.0f - z);
		gates[units + u] = d_c[units + u] = d_n * inner[u] * r * (1.0f - r);
		gates[2 * units + u] = d_n;
		d_c[2 * units + u] = d_n * r;
		d_h[u] *= z;
	}
}

/* The products with the inputs, once all steps have gone back. */
static void
inputs_backward(const tfrs_gru *layer, const tfrs_packed *packed, const float *d_a,
				const tfrs_gru_gradient *gradient, float *d_x)
{
	size_t		inputs = layer->inputs;
	size_t		width = TFRS_GRU_GATES * layer->units;

	tfrs_dense_add_rows(d_a, packed->elements, width, gradient->d_bias);
	tfrs_matmul_tn(inputs, width, packed->elements, 1.0f, packed->x, inputs, d_a, width, 1.0f,
				   gradient->d_kernel, width);
	if (d_x != NULL)
		tfrs_matmul_nt(packed->elements, inputs, width, 1.0f, d_a, width, layer->kernel, width,
					   0.0f, d_x, inputs);
}

void
tfrs_gru_backward(const tfrs_gru *layer, const tfrs_packed *packed,
				  const tfrs_gru_scratch *scratch, float *d_h,
				  const tfrs_gru_gradient *gradient, float *d_x)
{
	size_t		units = layer->units;
	size_t		width = TFRS_GRU_GATES * units;
	size_t		first = packed->elements;

	for (size_t t = packed->steps; t-- > 0;)
	{
		size_t		active = packed->active[t];

		first -= active;
		for (size_t b = 0; b < active; b++)
			step_backward(units, scratch->gates + (first + b) * width, scratch->sums + b * width,
						  scratch->inner + (first + b) * units,
						  scratch->before + (first + b) * units, d_h + b * units);
		tfrs_dense_add_rows(scratch->sums, active, width, gradient->d_bias + width);
		tfrs_matmul_tn(units, width, active, 1.0f, scratch->before + first * units, units,
					   scratch->sums, width, 1.0f, gradient->d_recurrent, width);
		tfrs_matmul_nt(active, units, width, 1.0f, scratch->sums, width, layer->recurrent, width,
					   1.0f, d_h, units);
	}
	inputs_backward(layer, packed, scratch->gates, gradient, d_x);
}
