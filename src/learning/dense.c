/*
 * dense.c: three matrix products and an activation.
 */
#include "learning/dense.h"

#include <math.h>
#include <string.h>

#include "base/matmul.h"

/* The bias is written first, so that the product is added to it in one pass. */
void
tfrs_dense_forward(const tfrs_dense *layer, const float *x, size_t rows, float *sums, float *y)
{
	size_t		inputs = layer->inputs;
	size_t		outputs = layer->outputs;

	for (size_t r = 0; layer->bias != NULL && r < rows; r++)
		memcpy(sums + r * outputs, layer->bias, outputs * sizeof(float));
	tfrs_matmul_nn(rows, outputs, inputs, 1.0f, x, inputs, layer->kernel, outputs,
				   layer->bias != NULL ? 1.0f : 0.0f, sums, outputs);
	tfrs_activation_forward(layer->activation, sums, rows * outputs, y);
}

void
tfrs_dense_add_rows(const float *rows, size_t count, size_t width, float *sum)
{
	for (size_t r = 0; r < count; r++)
		for (size_t i = 0; i < width; i++)
			sum[i] += rows[r * width + i];
}

void
tfrs_dense_backward(const tfrs_dense *layer, const float *x, const float *sums, size_t rows,
					float *d_y, const tfrs_dense_gradient *gradient, float *d_x)
{
	size_t		inputs = layer->inputs;
	size_t		outputs = layer->outputs;

	tfrs_activation_backward(layer->activation, sums, rows * outputs, d_y, d_y);
	tfrs_matmul_tn(inputs, outputs, rows, 1.0f, x, inputs, d_y, outputs, 1.0f,
				   gradient->d_kernel, outputs);
	if (layer->bias != NULL)
		tfrs_dense_add_rows(d_y, rows, outputs, gradient->d_bias);
	if (d_x != NULL)
		tfrs_matmul_nt(rows, inputs, outputs, 1.0f, d_y, outputs, layer->kernel, outputs, 0.0f,
					   d_x, inputs);
}

float
tfrs_glorot_limit(size_t inputs, size_t outputs)
{
	return sqrtf(6.0f / (float) (inputs + outputs));
}
