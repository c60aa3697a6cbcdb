/*
 * sequence_encoder.c: lists packed by time, there and back.
 */
#include "learning/sequence_encoder.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/recurrent.h"

static void
plan_sequence(tfrs_plan *plan, tfrs_encoder *encoder)
{
	tfrs_encoder_scratch *scratch = &encoder->scratch;
	size_t		items = encoder->longest > TFRS_ENCODER_ITEMS ? encoder->longest
		: TFRS_ENCODER_ITEMS;
	size_t		width = encoder->width;

	TFRS_PLAN_VECTORS(plan, &scratch->x, items, encoder->inputs);
	TFRS_PLAN_VECTORS(plan, &scratch->d_x, items, encoder->inputs);
	TFRS_PLAN_VECTORS(plan, &scratch->gates, items, TFRS_GRU_GATES * width);
	TFRS_PLAN_VECTORS(plan, &scratch->inner, items, width);
	TFRS_PLAN_VECTORS(plan, &scratch->before, items, width);
	TFRS_PLAN_VECTORS(plan, &scratch->sums, TFRS_ENCODER_ROWS, TFRS_GRU_GATES * width);
	TFRS_PLAN_VECTORS(plan, &scratch->state, TFRS_ENCODER_ROWS, width);
	TFRS_PLAN(plan, &scratch->active, items);
	TFRS_PLAN(plan, &scratch->order, TFRS_ENCODER_ROWS);
}

static size_t
length_of(const tfrs_encoder *encoder, size_t row)
{
	return tfrs_ragged_length(encoder->cells.list, tfrs_encoder_entry(encoder, row));
}

static uint32_t
item_of(const tfrs_encoder *encoder, size_t row, size_t step)
{
	const tfrs_ragged *lists = encoder->cells.list;

	return lists->item[lists->start[tfrs_encoder_entry(encoder, row)] + step];
}

/* The rows by the lengths of their lists, the longest first, equal ones in their order. */
static void
sort_rows(tfrs_encoder *encoder, size_t start, size_t end)
{
	size_t	   *order = encoder->scratch.order;

	for (size_t row = start; row < end; row++)
	{
		size_t		place = row - start;

		for (; place > 0 && length_of(encoder, order[place - 1]) < length_of(encoder, row); place--)
			order[place] = order[place - 1];
		order[place] = row;
	}
}

static tfrs_packed
pack(tfrs_encoder *encoder, size_t start, size_t end)
{
	tfrs_encoder_scratch *scratch = &encoder->scratch;
	tfrs_packed packed = {
		.rows = end - start, .active = scratch->active, .x = scratch->x
	};
	size_t		running = end - start;

	sort_rows(encoder, start, end);
	for (size_t step = 0;; step++)
	{
		while (running > 0 && length_of(encoder, scratch->order[running - 1]) <= step)
			running--;
		if (running == 0)
			return packed;
		for (size_t i = 0; i < running; i++, packed.elements++)
			memcpy(scratch->x + packed.elements * encoder->inputs,
				   tfrs_tensor_row(encoder->table, item_of(encoder, scratch->order[i], step)),
				   encoder->inputs * sizeof(float));
		scratch->active[packed.steps++] = running;
	}
}

static tfrs_gru
layer_of(const tfrs_encoder *encoder)
{
	return (tfrs_gru) {
		encoder->inputs, encoder->width, encoder->kernel->values, encoder->recurrent->values,
		encoder->bias->values
	};
}

static tfrs_gru_scratch
scratch_of(const tfrs_encoder *encoder)
{
	const tfrs_encoder_scratch *scratch = &encoder->scratch;

	return (tfrs_gru_scratch) {
		scratch->gates, scratch->inner, scratch->before, scratch->sums
	};
}

/* The last states of the rows, by order. */
static tfrs_packed
run(tfrs_encoder *encoder, size_t start, size_t end)
{
	tfrs_packed packed = pack(encoder, start, end);
	tfrs_gru	layer = layer_of(encoder);
	tfrs_gru_scratch scratch = scratch_of(encoder);

	tfrs_gru_forward(&layer, &packed, &scratch, encoder->scratch.state);
	return packed;
}

static void
forward_sequence(tfrs_encoder *encoder, size_t start, size_t end, float *out, size_t pitch)
{
	const tfrs_encoder_scratch *scratch = &encoder->scratch;

	run(encoder, start, end);
	for (size_t i = 0; i < end - start; i++)
		tfrs_kernels.add_scaled(out + (scratch->order[i] - start) * pitch,
								scratch->state + i * encoder->width, encoder->width, 1.0f);
}

/* The gradient of each element to that of its row of the table. */
static void
spread(tfrs_encoder *encoder, const tfrs_packed *packed)
{
	const float *d_x = encoder->scratch.d_x;

	for (size_t step = 0; step < packed->steps; step++)
		for (size_t i = 0; i < packed->active[step]; i++, d_x += encoder->inputs)
			tfrs_kernels.add_scaled(
				tfrs_tensor_gradient(encoder->table,
									 item_of(encoder, encoder->scratch.order[i], step)),
				d_x, encoder->inputs, 1.0f);
}

static void
backward_sequence(tfrs_encoder *encoder, size_t start, size_t end, const float *d_out,
				  size_t pitch)
{
	tfrs_packed packed = run(encoder, start, end);
	tfrs_gru	layer = layer_of(encoder);
	tfrs_gru_scratch scratch = scratch_of(encoder);
	tfrs_gru_gradient gradient = {
		encoder->kernel->gradient, encoder->recurrent->gradient, encoder->bias->gradient
	};
	float	   *d_state = encoder->scratch.state;

	for (size_t i = 0; i < end - start; i++)
		memcpy(d_state + i * encoder->width, d_out + (encoder->scratch.order[i] - start) * pitch,
			   encoder->width * sizeof(float));
	tfrs_gru_backward(&layer, &packed, &scratch, d_state, &gradient, encoder->scratch.d_x);
	spread(encoder, &packed);
}

const tfrs_encoder_kind tfrs_encoder_sequence = {
	.name = "sequence", .forward_rows = forward_sequence, .backward_rows = backward_sequence,
	.plan = plan_sequence
};
