/*
 * layers.c: dense and cross layers, one behind the other.
 */
#include "learning/layers.h"

#include <string.h>

#include "learning/cross_layer.h"
#include "learning/dense.h"

static tfrs_dense
dense_of(const tfrs_tensor *kernel, const tfrs_tensor *bias, tfrs_activation activation)
{
	return (tfrs_dense) {
		kernel->rows, kernel->dim, activation, kernel->values, bias->values
	};
}

static tfrs_dense
dense_layer(const tfrs_layers *layers, size_t l)
{
	return dense_of(layers->kernel[l], layers->bias[l],
					l + 1 < layers->denses ? layers->activation : TFRS_LINEAR);
}

static tfrs_cross_layer
cross_layer(const tfrs_layers *layers, size_t l)
{
	return (tfrs_cross_layer) {
		.inner = dense_of(layers->cross_kernel[l], layers->cross_bias[l], TFRS_LINEAR)
	};
}

/* A linear layer leaves the same as sums and as inner. */
static tfrs_cross_scratch
cross_scratch(const tfrs_layers *layers, size_t l, size_t start)
{
	float	   *inner = layers->inner[l] + start * layers->inputs;

	return (tfrs_cross_scratch) {.sums = inner,.inner = inner,.d_inner = layers->d_inner};
}

/* What cross layer l takes, or where there is no such one the first dense layer. */
static float *
crossed_input(const tfrs_layers *layers, size_t l, size_t start)
{
	return (l == 0 ? layers->x : layers->crossed[l - 1]) + start * layers->inputs;
}

static float *
dense_input(const tfrs_layers *layers, size_t l, size_t start)
{
	return l == 0 ? crossed_input(layers, layers->crosses, start)
		: layers->y[l - 1] + start * layers->kernel[l - 1]->dim;
}

size_t
tfrs_layers_work(const tfrs_layers *layers)
{
	size_t		work = layers->crosses * layers->inputs * layers->inputs;

	for (size_t l = 0; l < layers->denses; l++)
		work += layers->kernel[l]->rows * layers->kernel[l]->dim;
	return work;
}

static size_t
widest(const tfrs_layers *layers)
{
	size_t		widest = layers->inputs;

	for (size_t l = 0; l < layers->denses; l++)
		if (layers->kernel[l]->dim > widest)
			widest = layers->kernel[l]->dim;
	return widest;
}

void
tfrs_layers_plan(tfrs_plan *plan, tfrs_layers *layers)
{
	size_t		room = layers->room;

	if (!tfrs_layers_are(layers))
		return;
	TFRS_PLAN_VECTORS(plan, &layers->x, room, layers->inputs);
	for (size_t l = 0; l < layers->crosses; l++)
	{
		TFRS_PLAN_VECTORS(plan, &layers->inner[l], room, layers->inputs);
		TFRS_PLAN_VECTORS(plan, &layers->crossed[l], room, layers->inputs);
	}
	for (size_t l = 0; l + 1 < layers->denses; l++)
	{
		TFRS_PLAN_VECTORS(plan, &layers->sums[l], room, layers->kernel[l]->dim);
		TFRS_PLAN_VECTORS(plan, &layers->y[l], room, layers->kernel[l]->dim);
		if (layers->dropout > 0.0f)
			TFRS_PLAN_VECTORS(plan, &layers->keep[l], room, layers->kernel[l]->dim);
	}
	TFRS_PLAN_VECTORS(plan, &layers->d_x, TFRS_ENCODER_ROWS, layers->inputs);
	TFRS_PLAN_VECTORS(plan, &layers->d_inner, TFRS_ENCODER_ROWS, layers->inputs);
	for (int i = 0; i < 2; i++)
		TFRS_PLAN_VECTORS(plan, &layers->d[i], TFRS_ENCODER_ROWS, widest(layers));
}

static void
drop(const tfrs_layers *layers, size_t count, tfrs_random *random, float *keep, float *y)
{
	for (size_t i = 0; i < count; i++)
	{
		keep[i] = tfrs_random_float(random) < layers->dropout ? 0.0f
			: 1.0f / (1.0f - layers->dropout);
		y[i] *= keep[i];
	}
}

static void
hidden_forward(tfrs_layers *layers, size_t l, size_t start, size_t end, tfrs_random *random)
{
	tfrs_dense	layer = dense_layer(layers, l);
	size_t		offset = start * layer.outputs;

	tfrs_dense_forward(&layer, dense_input(layers, l, start), end - start,
					   layers->sums[l] + offset, layers->y[l] + offset);
	if (random != NULL && layers->keep[l] != NULL)
		drop(layers, (end - start) * layer.outputs, random, layers->keep[l] + offset,
			 layers->y[l] + offset);
}

void
tfrs_layers_forward(tfrs_layers *layers, size_t start, size_t end, tfrs_random *random,
					float *vector)
{
	size_t		last = layers->denses - 1;
	tfrs_dense	layer = dense_layer(layers, last);

	for (size_t l = 0; l < layers->crosses; l++)
	{
		tfrs_cross_layer cross = cross_layer(layers, l);
		tfrs_cross_scratch scratch = cross_scratch(layers, l, start);

		tfrs_cross_layer_forward(&cross, crossed_input(layers, 0, start),
								 crossed_input(layers, l, start), end - start, &scratch,
								 crossed_input(layers, l + 1, start));
	}
	for (size_t l = 0; l < last; l++)
		hidden_forward(layers, l, start, end, random);
	tfrs_dense_forward(&layer, dense_input(layers, last, start), end - start, vector, vector);
}

/* The gradient of what dense layer l makes, d_y, to that of what it takes, d_in. */
static void
dense_backward(tfrs_layers *layers, size_t l, size_t start, size_t end, float *d_y)
{
	tfrs_dense	layer = dense_layer(layers, l);
	tfrs_dense_gradient gradient = {layers->kernel[l]->gradient, layers->bias[l]->gradient};
	size_t		offset = start * layer.outputs;
	const float *sums = l + 1 < layers->denses ? layers->sums[l] + offset : d_y;
	const float *keep = l + 1 < layers->denses ? layers->keep[l] : NULL;

	for (size_t i = 0; keep != NULL && i < (end - start) * layer.outputs; i++)
		d_y[i] *= keep[offset + i];
	tfrs_dense_backward(&layer, dense_input(layers, l, start), sums, end - start, d_y, &gradient,
						layers->d[l % 2]);
}

/* d_y (rows, W) of the last cross layer to d_x. */
static void
crosses_backward(tfrs_layers *layers, size_t start, size_t end, float *d_y)
{
	size_t		count = (end - start) * layers->inputs;
	float	   *d_in = d_y == layers->d[0] ? layers->d[1] : layers->d[0];

	memset(layers->d_x, 0, count * sizeof(float));
	for (size_t l = layers->crosses; l-- > 0;)
	{
		tfrs_cross_layer layer = cross_layer(layers, l);
		tfrs_cross_scratch scratch = cross_scratch(layers, l, start);
		tfrs_cross_gradient gradient = {
			.inner = {layers->cross_kernel[l]->gradient, layers->cross_bias[l]->gradient}
		};
		float	   *other = d_y;

		tfrs_cross_layer_backward(&layer, crossed_input(layers, 0, start),
								  crossed_input(layers, l, start), end - start, &scratch, d_y,
								  &gradient, layers->d_x, d_in);
		d_y = d_in;
		d_in = other;
	}
	for (size_t i = 0; i < count; i++)
		layers->d_x[i] += d_y[i];
}

void
tfrs_layers_backward(tfrs_layers *layers, size_t start, size_t end, float *d_vector)
{
	for (size_t l = layers->denses; l-- > 0;)
	{
		dense_backward(layers, l, start, end, d_vector);
		d_vector = layers->d[l % 2];
	}
	crosses_backward(layers, start, end, d_vector);
}
