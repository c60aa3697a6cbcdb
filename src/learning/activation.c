/*
 * activation.c: one row of the table an activation.
 */
#include "learning/activation.h"

#include <math.h>
#include <string.h>

#define SELU_SCALE 1.0507009873554805f
#define SELU_ALPHA 1.6732632423543772f
#define SQRT_HALF 0.70710678118654752f
#define SQRT_2_OVER_PI 0.79788456080286536f
#define GELU_CUBE 0.044715f

static float
linear(float x)
{
	return x;
}

static float
linear_slope(float x)
{
	(void) x;
	return 1.0f;
}

static float
relu(float x)
{
	return x > 0.0f ? x : 0.0f;
}

static float
relu_slope(float x)
{
	return x > 0.0f;
}

static float
tanh_slope(float x)
{
	float		y = tanhf(x);

	return 1.0f - y * y;
}

static float
sigmoid(float x)
{
	return x >= 0.0f ? 1.0f / (1.0f + expf(-x)) : 1.0f - 1.0f / (1.0f + expf(x));
}

static float
sigmoid_slope(float x)
{
	return sigmoid(x) * sigmoid(-x);
}

static float
elu(float x)
{
	return x > 0.0f ? x : expm1f(x);
}

static float
elu_slope(float x)
{
	return x >= 0.0f ? 1.0f : expf(x);
}

static float
selu(float x)
{
	return SELU_SCALE * (x > 0.0f ? x : SELU_ALPHA * expm1f(x));
}

static float
selu_slope(float x)
{
	return SELU_SCALE * (x >= 0.0f ? 1.0f : SELU_ALPHA * expf(x));
}

static float
silu(float x)
{
	return x * sigmoid(x);
}

static float
silu_slope(float x)
{
	return sigmoid(x) + x * sigmoid_slope(x);
}

static float
gelu(float x)
{
	return 0.5f * x * erfcf(-x * SQRT_HALF);
}

static float
gelu_slope(float x)
{
	return 0.5f * erfcf(-x * SQRT_HALF) + 0.5f * SQRT_2_OVER_PI * x * expf(-0.5f * x * x);
}

static float
gelu_tanh(float x)
{
	return 0.5f * x * (1.0f + tanhf(SQRT_2_OVER_PI * (x + GELU_CUBE * x * x * x)));
}

static float
gelu_tanh_slope(float x)
{
	float		inner = SQRT_2_OVER_PI * (x + GELU_CUBE * x * x * x);
	float		inner_slope = SQRT_2_OVER_PI * (1.0f + 3.0f * GELU_CUBE * x * x);

	return 0.5f * (1.0f + tanhf(inner)) + 0.5f * x * tanh_slope(inner) * inner_slope;
}

static float
softplus(float x)
{
	return x > 0.0f ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

static const struct
{
	const char *name;
	float		(*value) (float x);
	float		(*slope) (float x);
}			activations[TFRS_ACTIVATIONS] = {
	[TFRS_LINEAR] = {"linear", linear, linear_slope},
	[TFRS_RELU] = {"relu", relu, relu_slope},
	[TFRS_TANH] = {"tanh", tanhf, tanh_slope},
	[TFRS_SIGMOID] = {"sigmoid", sigmoid, sigmoid_slope},
	[TFRS_ELU] = {"elu", elu, elu_slope},
	[TFRS_SELU] = {"selu", selu, selu_slope},
	[TFRS_SILU] = {"silu", silu, silu_slope},
	[TFRS_GELU] = {"gelu", gelu, gelu_slope},
	[TFRS_GELU_TANH] = {"gelu_tanh", gelu_tanh, gelu_tanh_slope},
	[TFRS_SOFTPLUS] = {"softplus", softplus, sigmoid},
};

const char *
tfrs_activation_name(tfrs_activation activation)
{
	return activations[activation].name;
}

bool
tfrs_activation_find(const char *name, tfrs_activation *activation)
{
	for (int i = 0; i < TFRS_ACTIVATIONS; i++)
		if (strcmp(activations[i].name, name) == 0)
		{
			*activation = (tfrs_activation) i;
			return true;
		}
	return false;
}

float
tfrs_activation_value(tfrs_activation activation, float x)
{
	return activations[activation].value(x);
}

float
tfrs_activation_slope(tfrs_activation activation, float x)
{
	return activations[activation].slope(x);
}

/* The usual one is a loop that the compiler turns into vector instructions. */
void
tfrs_activation_forward(tfrs_activation activation, const float *x, size_t count, float *y)
{
	if (activation == TFRS_LINEAR)
		memmove(y, x, count * sizeof(float));
	else if (activation == TFRS_RELU)
		for (size_t i = 0; i < count; i++)
			y[i] = relu(x[i]);
	else
		for (size_t i = 0; i < count; i++)
			y[i] = activations[activation].value(x[i]);
}

void
tfrs_activation_backward(tfrs_activation activation, const float *x, size_t count,
						 const float *d_y, float *d_x)
{
	if (activation == TFRS_LINEAR)
		memmove(d_x, d_y, count * sizeof(float));
	else if (activation == TFRS_RELU)
		for (size_t i = 0; i < count; i++)
			d_x[i] = d_y[i] * relu_slope(x[i]);
	else
		for (size_t i = 0; i < count; i++)
			d_x[i] = d_y[i] * activations[activation].slope(x[i]);
}
