/*
 * linear_encoder.c: numbers copied, or gathered for one product of some rows.
 */
#include "learning/linear_encoder.h"

#include <string.h>

#include "base/matmul.h"

static const float *
numbers_of(const tfrs_encoder *encoder, size_t row)
{
	return encoder->cells.number + tfrs_encoder_entry(encoder, row) * encoder->inputs;
}

static size_t
forward_values(const tfrs_encoder *encoder, size_t row, float *out)
{
	const float *x = numbers_of(encoder, row);

	for (size_t i = 0; i < encoder->inputs; i++)
		out[i] += x[i];
	return 1;
}

/* Numbers are given: nothing learns by their gradient. */
static size_t
backward_values(tfrs_encoder *encoder, size_t row, const float *d_out)
{
	(void) encoder;
	(void) row;
	(void) d_out;
	return 1;
}

static void
plan_linear(tfrs_plan *plan, tfrs_encoder *encoder)
{
	TFRS_PLAN_VECTORS(plan, &encoder->scratch.x, TFRS_ENCODER_ROWS, encoder->inputs);
}

/* x (rows, inputs) */
static const float *
gather(tfrs_encoder *encoder, size_t start, size_t end)
{
	for (size_t row = start; row < end; row++)
		memcpy(encoder->scratch.x + (row - start) * encoder->inputs, numbers_of(encoder, row),
			   encoder->inputs * sizeof(float));
	return encoder->scratch.x;
}

static void
forward_linear(tfrs_encoder *encoder, size_t start, size_t end, float *out, size_t pitch)
{
	size_t		inputs = encoder->inputs;

	tfrs_matmul_nn(end - start, encoder->width, inputs, 1.0f, gather(encoder, start, end), inputs,
				   encoder->kernel->values, encoder->width, 1.0f, out, pitch);
}

static void
backward_linear(tfrs_encoder *encoder, size_t start, size_t end, const float *d_out,
				size_t pitch)
{
	size_t		inputs = encoder->inputs;

	tfrs_matmul_tn(inputs, encoder->width, end - start, 1.0f, gather(encoder, start, end), inputs,
				   d_out, pitch, 1.0f, encoder->kernel->gradient, encoder->width);
}

const tfrs_encoder_kind tfrs_encoder_values = {
	.name = "values", .forward = forward_values, .backward = backward_values
};
const tfrs_encoder_kind tfrs_encoder_linear = {
	.name = "linear", .forward_rows = forward_linear, .backward_rows = backward_linear,
	.plan = plan_linear
};
