/*
 * encoder.c: the kinds of encoder.h.
 */
#include "learning/encoder.h"

#include <string.h>

#include "base/kernels.h"

void
tfrs_encoder_plan(tfrs_plan *plan, tfrs_encoder *encoder)
{
	if (encoder->kind->plan != NULL)
		encoder->kind->plan(plan, encoder);
	if (encoder->room == 0)
		return;
	TFRS_PLAN_VECTORS(plan, &encoder->sum, encoder->room, encoder->table->dim);
	TFRS_PLAN_VECTORS(plan, &encoder->d_sum, encoder->room, encoder->table->dim);
}

/* Whether a row of the batch has a row of the table, which is *id. */
static bool
has_id(const tfrs_encoder *encoder, size_t row, uint32_t *id)
{
	*id = encoder->cells.id[tfrs_encoder_entry(encoder, row)];
	return *id < encoder->table->rows - encoder->skips_unknown;
}

static size_t
forward_embedding(const tfrs_encoder *encoder, size_t row, float *sum)
{
	uint32_t	id;
	const float *values;

	if (!has_id(encoder, row, &id))
		return 1;
	values = tfrs_tensor_row(encoder->table, id);
	for (size_t d = 0; d < encoder->table->dim; d++)
		sum[d] += values[d];
	return 1;
}

static size_t
backward_embedding(tfrs_encoder *encoder, size_t row, const float *d_sum)
{
	uint32_t	id;
	float	   *gradient;

	if (!has_id(encoder, row, &id))
		return 1;
	gradient = tfrs_tensor_gradient(encoder->table, id);
	for (size_t d = 0; d < encoder->table->dim; d++)
		gradient[d] += d_sum[d];
	return 1;
}

/* sum (D) += the weighted rows that a list names */
static size_t
add_list(const tfrs_tensor *table, const tfrs_ragged *lists, size_t list, float *sum)
{
	for (size_t i = lists->start[list]; i < lists->start[list + 1]; i++)
		tfrs_kernels.add_scaled(sum, tfrs_tensor_row(table, lists->item[i]), table->dim,
								lists->weight[i]);
	return tfrs_ragged_length(lists, list) + 1;
}

static size_t
spread_list(tfrs_tensor *table, const tfrs_ragged *lists, size_t list, const float *d_sum)
{
	for (size_t i = lists->start[list]; i < lists->start[list + 1]; i++)
		tfrs_kernels.add_scaled(tfrs_tensor_gradient(table, lists->item[i]), d_sum, table->dim,
								lists->weight[i]);
	return tfrs_ragged_length(lists, list) + 1;
}

/* The sums of a row's shared list in sums (room, D). */
static float *
shared_of(const tfrs_encoder *encoder, size_t row, float *sums)
{
	return sums + encoder->cells.group[row] * encoder->table->dim;
}

/* The row's own list first: what it takes off the shared sum cancels exactly then. */
static size_t
forward_bag(const tfrs_encoder *encoder, size_t row, float *sum)
{
	size_t		items = add_list(encoder->table, encoder->cells.list,
								 tfrs_encoder_entry(encoder, row), sum);

	if (tfrs_encoder_shared(encoder) > 0)
		tfrs_kernels.add_scaled(sum, shared_of(encoder, row, encoder->sum), encoder->table->dim,
								1.0f);
	return items;
}

static size_t
backward_bag(tfrs_encoder *encoder, size_t row, const float *d_sum)
{
	if (tfrs_encoder_shared(encoder) > 0)
		tfrs_kernels.add_scaled(shared_of(encoder, row, encoder->d_sum), d_sum,
								encoder->table->dim, 1.0f);
	return spread_list(encoder->table, encoder->cells.list, tfrs_encoder_entry(encoder, row),
					   d_sum);
}

size_t
tfrs_encoder_share(tfrs_encoder *encoder, size_t list)
{
	size_t		dim = encoder->table->dim;

	memset(encoder->sum + list * dim, 0, dim * sizeof(float));
	memset(encoder->d_sum + list * dim, 0, dim * sizeof(float));
	return add_list(encoder->table, encoder->cells.shared, list, encoder->sum + list * dim);
}

size_t
tfrs_encoder_share_backward(tfrs_encoder *encoder, size_t list)
{
	return spread_list(encoder->table, encoder->cells.shared, list,
					   encoder->d_sum + list * encoder->table->dim);
}

const tfrs_encoder_kind tfrs_encoder_embedding = {
	.name = "embedding", .forward = forward_embedding, .backward = backward_embedding
};
const tfrs_encoder_kind tfrs_encoder_bag = {
	.name = "bag", .forward = forward_bag, .backward = backward_bag
};
