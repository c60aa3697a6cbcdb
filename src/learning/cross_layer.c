/*
 * cross_layer.c: two dense layers and a product.
 */
#include "learning/cross_layer.h"

void
tfrs_cross_layer_forward(const tfrs_cross_layer *layer, const float *x0, const float *x,
						 size_t rows, const tfrs_cross_scratch *scratch, float *y)
{
	size_t		count = rows * layer->inner.outputs;
	const float *narrow = x;

	if (layer->projects)
	{
		tfrs_dense_forward(&layer->projection, x, rows, scratch->projected, scratch->projected);
		narrow = scratch->projected;
	}
	tfrs_dense_forward(&layer->inner, narrow, rows, scratch->sums, scratch->inner);
	for (size_t i = 0; i < count; i++)
		y[i] = x0[i] * (scratch->inner[i] + layer->diagonal * x[i]) + x[i];
}

/* The way back through U V, into d_x. */
static void
inner_backward(const tfrs_cross_layer *layer, const float *x, size_t rows,
			   const tfrs_cross_scratch *scratch, const tfrs_cross_gradient *gradient, float *d_x)
{
	if (!layer->projects)
	{
		tfrs_dense_backward(&layer->inner, x, scratch->sums, rows, scratch->d_inner,
							&gradient->inner, d_x);
		return;
	}
	tfrs_dense_backward(&layer->inner, scratch->projected, scratch->sums, rows, scratch->d_inner,
						&gradient->inner, scratch->d_projected);
	tfrs_dense_backward(&layer->projection, x, scratch->projected, rows, scratch->d_projected,
						&gradient->projection, d_x);
}

void
tfrs_cross_layer_backward(const tfrs_cross_layer *layer, const float *x0, const float *x,
						  size_t rows, const tfrs_cross_scratch *scratch, const float *d_y,
						  const tfrs_cross_gradient *gradient, float *d_x0, float *d_x)
{
	size_t		count = rows * layer->inner.outputs;

	for (size_t i = 0; i < count; i++)
	{
		d_x0[i] += d_y[i] * (scratch->inner[i] + layer->diagonal * x[i]);
		scratch->d_inner[i] = d_y[i] * x0[i];
	}
	inner_backward(layer, x, rows, scratch, gradient, d_x);
	for (size_t i = 0; i < count; i++)
		d_x[i] += d_y[i] * (1.0f + layer->diagonal * x0[i]);
}
