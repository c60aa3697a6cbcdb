/*
 * tower.c: forward and backward of tower.h, in pieces over the rows of a batch.
 */
#include "learning/tower.h"

#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "base/kernels.h"

/* Multiply-adds of a piece, a few milliseconds. */
#define PIECE_WORK ((size_t) 1 << 22)

/* The scale where the floor of 1e-12 holds: there the gradient has no part along y. */
#define LEAST_SQUARE 1e-12f
#define FLOOR_SCALE 1e6f

/* The first width numbers of x to unit length; returns the scale. */
static float
normalize(const tfrs_tower_shape *shape, float *x)
{
	size_t		width = tfrs_tower_width(shape);
	float		square;
	float		scale;

	if (!shape->normalize)
		return 1.0f;
	square = tfrs_kernels.dot(x, x, width);
	scale = square > LEAST_SQUARE ? 1.0f / sqrtf(square) : FLOOR_SCALE;
	for (size_t d = 0; d < width; d++)
		x[d] *= scale;
	return scale;
}

/* Returns the scale of the norm. */
static float
finish(const tfrs_tower_shape *shape, bool of_candidates, float *vector)
{
	size_t		width = tfrs_tower_width(shape);
	float		scale = normalize(shape, vector);

	if (of_candidates)
		return scale;
	for (size_t d = 0; d < width && shape->temperature != 1.0f; d++)
		vector[d] /= shape->temperature;
	if (shape->bias)
		vector[width] = 1.0f;
	return scale;
}

void
tfrs_tower_finish(const tfrs_tower_shape *shape, float *vector)
{
	finish(shape, false, vector);
}

void
tfrs_tower_finish_candidates(const tfrs_tower_shape *shape, float *vectors, size_t count,
							 float *length)
{
	for (size_t i = 0; i < count; i++)
	{
		float		scale = finish(shape, true, vectors + i * shape->dim);

		if (length != NULL)
			length[i] = 1.0f / scale;
	}
}

static void
finish_backward(const tfrs_tower *tower, const float *vector, float scale, float *d_vector)
{
	const tfrs_tower_shape *shape = tower->shape;
	size_t		width = tfrs_tower_width(shape);
	float		temperature = tower->of_candidates ? 1.0f : shape->temperature;
	float		along = 0.0f;

	if (shape->normalize && scale < FLOOR_SCALE)
		along = tfrs_kernels.dot(vector, d_vector, width) * temperature * temperature;
	for (size_t d = 0; d < width; d++)
		d_vector[d] = (d_vector[d] - vector[d] * along) * scale / temperature;
	if (shape->bias && !tower->of_candidates)
		d_vector[width] = 0.0f;
}

/* sum (D) += the bag of the list */
static void
add_bag(const tfrs_tower_shape *shape, uint32_t bag, const float *table,
		const tfrs_event_list *list, float *sum)
{
	tfrs_bag_walk walk = tfrs_bag_begin(tfrs_tower_bag(shape, bag), list);

	while (tfrs_bag_next(&walk))
		tfrs_kernels.add_scaled(sum, table + (size_t) list->candidate[walk.event] * shape->dim,
								shape->dim, walk.weight);
}

void
tfrs_tower_encode(const tfrs_tower_shape *shape, const float *const *tables,
				  const tfrs_event_list *list, float *vector)
{
	memset(vector, 0, shape->dim * sizeof(float));
	for (uint32_t b = 0; b < shape->bags; b++)
		add_bag(shape, b, tables[b], list, vector);
	finish(shape, false, vector);
}

/* contribution (count) += products of the bag's rows with the candidate, before the vector's end */
static void
add_contributions(const tfrs_tower_shape *shape, uint32_t bag, const float *table,
				  const tfrs_event_list *list, const float *candidate, double *contribution)
{
	tfrs_bag_walk walk = tfrs_bag_begin(tfrs_tower_bag(shape, bag), list);

	while (tfrs_bag_next(&walk))
		contribution[walk.event] += (double) walk.weight *
			tfrs_kernels.dot(table + (size_t) list->candidate[walk.event] * shape->dim, candidate,
							 tfrs_tower_width(shape));
}

void
tfrs_tower_contributions(const tfrs_tower_shape *shape, const float *const *tables,
						 const tfrs_event_list *list, const float *candidate, float *vector,
						 double *contribution)
{
	float		scale;

	memset(vector, 0, shape->dim * sizeof(float));
	memset(contribution, 0, list->count * sizeof(double));
	for (uint32_t b = 0; b < shape->bags; b++)
	{
		add_bag(shape, b, tables[b], list, vector);
		add_contributions(shape, b, tables[b], list, candidate, contribution);
	}
	scale = finish(shape, false, vector);
	for (size_t i = 0; i < list->count; i++)
		contribution[i] *= scale / shape->temperature;
}

void
tfrs_tower_plan(tfrs_plan *plan, tfrs_tower *tower)
{
	size_t		dim = tower->shape->dim;

	TFRS_PLAN_VECTORS(plan, &tower->vector, tower->room, dim);
	if (!tower->distinct)
		TFRS_PLAN_VECTORS(plan, &tower->d_vector, tower->room, dim);
	if (tower->shape->normalize)
		TFRS_PLAN(plan, &tower->scale, tower->room);
	if (tower->dropout > 0)
		TFRS_PLAN_VECTORS(plan, &tower->keep, tower->room, dim);
	if (tower->key_dropout > 0)
		TFRS_PLAN_ZERO(plan, &tower->keyless, tower->room);
	tower->layers.room = tower->room;
	tfrs_layers_plan(plan, &tower->layers);
	for (size_t i = 0; i < tower->encoders; i++)
		tfrs_encoder_plan(plan, &tower->encoder[i]);
}

void
tfrs_tower_begin(tfrs_tower *tower, size_t rows)
{
	TFRS_ASSERT(rows <= tower->room && (!tower->distinct || tower->encoders == 1));
	tower->rows = rows;
	tower->shared = 0;
	tower->done = 0;
}

void
tfrs_tower_drop_keys(tfrs_tower *tower, tfrs_random *random)
{
	for (size_t row = 0; tower->keyless != NULL && row < tower->rows; row++)
		tower->keyless[row] = tfrs_random_float(random) < tower->key_dropout;
}

float *
tfrs_tower_gradient(const tfrs_tower *tower)
{
	return tower->distinct ? tower->encoder[0].table->gradient : tower->d_vector;
}

/* The next shared lists of the encoders: forward, or backward.  TFRS_MORE until all are done. */
static tfrs_status
pass_shared(tfrs_tower *tower, size_t (*pass) (tfrs_encoder *, size_t))
{
	size_t		before = 0;
	size_t		items = 0;

	for (size_t i = 0; i < tower->encoders; i++)
	{
		tfrs_encoder *encoder = &tower->encoder[i];
		size_t		end = before + tfrs_encoder_shared(encoder);

		for (; tower->shared < end; tower->shared++)
		{
			if (items * tower->shape->dim > PIECE_WORK)
				return TFRS_MORE;
			items += pass(encoder, tower->shared - before);
		}
		before = end;
	}
	return TFRS_OK;
}

/* Components that are kept of a row's sum. */
static void
drop_components(tfrs_tower *tower, size_t row, float *vector, tfrs_random *random)
{
	float	   *keep = tower->keep + row * tower->shape->dim;

	for (size_t d = 0; d < tfrs_tower_width(tower->shape); d++)
	{
		keep[d] = tfrs_random_float(random) < tower->dropout ? 0.0f
			: 1.0f / (1.0f - tower->dropout);
		vector[d] *= keep[d];
	}
}

/* Where the encoders of a row add, and how far it is to the next row. */
static float *
encoded_row(const tfrs_tower *tower, size_t row, size_t *pitch)
{
	bool		layers = tfrs_layers_are(&tower->layers);

	*pitch = layers ? tower->layers.inputs : tower->shape->dim;
	return (layers ? tower->layers.x : tower->vector) + row * *pitch;
}

static bool
is_left_out(const tfrs_tower *tower, const tfrs_encoder *encoder, size_t row)
{
	return encoder->of_key && tower->keyless != NULL && tower->keyless[row];
}

/* Items of a row's lists that encoders take together. */
static size_t
items_together(const tfrs_tower *tower, size_t row)
{
	size_t		items = 0;

	for (size_t i = 0; i < tower->encoders; i++)
	{
		const tfrs_encoder *encoder = &tower->encoder[i];

		if (encoder->kind->forward_rows != NULL && encoder->cells.list != NULL)
			items += tfrs_ragged_length(encoder->cells.list, tfrs_encoder_entry(encoder, row));
	}
	return items;
}

/* The end of the rows that are passed next: one, or several that are taken together. */
static size_t
next_end(const tfrs_tower *tower)
{
	size_t		end = tower->done + 1;
	size_t		most = tower->done + tfrs_size_smaller(tower->rows - tower->done, TFRS_ENCODER_ROWS);
	size_t		items;

	if (!tower->together)
		return end;
	items = items_together(tower, tower->done);
	for (; end < most; end++)
	{
		items += items_together(tower, end);
		if (items > TFRS_ENCODER_ITEMS)
			break;
	}
	return end;
}

/* What the layers cost, in rows of D that are read: a product is some ten times as fast. */
static size_t
layers_items(const tfrs_tower *tower, size_t rows)
{
	return tfrs_layers_work(&tower->layers) * rows / tower->shape->dim / 8;
}

static size_t
encode_row(tfrs_tower *tower, size_t row)
{
	size_t		pitch;
	float	   *out = encoded_row(tower, row, &pitch);
	size_t		items = 1;

	memset(out, 0, pitch * sizeof(float));
	for (size_t i = 0; i < tower->encoders; i++)
	{
		const tfrs_encoder *encoder = &tower->encoder[i];

		if (encoder->kind->forward != NULL && !is_left_out(tower, encoder, row))
			items += encoder->kind->forward(encoder, row, out + encoder->offset);
	}
	return items;
}

/* What is made of several rows together. */
static size_t
encode_together(tfrs_tower *tower, size_t start, size_t end, tfrs_random *random)
{
	size_t		pitch;
	float	   *out = encoded_row(tower, start, &pitch);

	for (size_t i = 0; i < tower->encoders; i++)
	{
		tfrs_encoder *encoder = &tower->encoder[i];

		if (encoder->kind->forward_rows != NULL)
			encoder->kind->forward_rows(encoder, start, end, out + encoder->offset, pitch);
	}
	if (!tfrs_layers_are(&tower->layers))
		return 0;
	tfrs_layers_forward(&tower->layers, start, end, random,
						tower->vector + start * tower->shape->dim);
	return layers_items(tower, end - start);
}

static void
end_row(tfrs_tower *tower, size_t row, tfrs_random *random)
{
	float	   *vector = tower->vector + row * tower->shape->dim;
	float		scale;

	if (tower->keep != NULL && random != NULL)
		drop_components(tower, row, vector, random);
	scale = finish(tower->shape, tower->of_candidates, vector);
	if (tower->scale != NULL)
		tower->scale[row] = scale;
}

static size_t
forward_rows(tfrs_tower *tower, size_t start, size_t end, tfrs_random *random)
{
	size_t		items = 0;

	for (size_t row = start; row < end; row++)
		items += encode_row(tower, row);
	if (tower->together)
		items += encode_together(tower, start, end, random);
	for (size_t row = start; row < end; row++)
		end_row(tower, row, random);
	return items;
}

tfrs_status
tfrs_tower_forward_step(tfrs_tower *tower, tfrs_random *random)
{
	size_t		items = 0;
	tfrs_status status = pass_shared(tower, tfrs_encoder_share);

	while (status == TFRS_OK && tower->done < tower->rows)
	{
		size_t		end = next_end(tower);

		if (items * tower->shape->dim > PIECE_WORK)
			return TFRS_MORE;
		items += forward_rows(tower, tower->done, end, random);
		tower->done = end;
	}
	if (status == TFRS_OK)
		tfrs_tower_begin(tower, tower->rows);
	return status;
}

/* Gradient of the row's vector -> that of what is finished, in place. */
static void
end_row_backward(tfrs_tower *tower, size_t row)
{
	size_t		dim = tower->shape->dim;
	float	   *d_vector = tfrs_tower_gradient(tower) + row * dim;

	finish_backward(tower, tower->vector + row * dim,
					tower->scale == NULL ? 1.0f : tower->scale[row], d_vector);
	for (size_t d = 0; tower->keep != NULL && d < tfrs_tower_width(tower->shape); d++)
		d_vector[d] *= tower->keep[row * dim + d];
}

/* d_out: the gradient of what the encoders gave. */
static size_t
encode_row_backward(tfrs_tower *tower, size_t row, const float *d_out)
{
	size_t		items = 1;

	if (tower->distinct)
	{
		tfrs_tensor_touch(tower->encoder[0].table, tower->encoder[0].cells.id[row]);
		return items;
	}
	for (size_t i = 0; i < tower->encoders; i++)
	{
		tfrs_encoder *encoder = &tower->encoder[i];

		if (encoder->kind->backward != NULL && !is_left_out(tower, encoder, row))
			items += encoder->kind->backward(encoder, row, d_out + encoder->offset);
	}
	return items;
}

static void
encode_together_backward(tfrs_tower *tower, size_t start, size_t end, const float *d_out,
						 size_t pitch)
{
	for (size_t i = 0; i < tower->encoders; i++)
	{
		tfrs_encoder *encoder = &tower->encoder[i];

		if (encoder->kind->backward_rows != NULL)
			encoder->kind->backward_rows(encoder, start, end, d_out + encoder->offset, pitch);
	}
}

static size_t
backward_rows(tfrs_tower *tower, size_t start, size_t end)
{
	size_t		pitch = tower->shape->dim;
	float	   *d_out = tfrs_tower_gradient(tower) + start * pitch;
	size_t		items = 0;

	for (size_t row = start; row < end; row++)
		end_row_backward(tower, row);
	if (tfrs_layers_are(&tower->layers))
	{
		tfrs_layers_backward(&tower->layers, start, end, d_out);
		d_out = tower->layers.d_x;
		pitch = tower->layers.inputs;
		items = 2 * layers_items(tower, end - start);
	}
	for (size_t row = start; row < end; row++)
		items += encode_row_backward(tower, row, d_out + (row - start) * pitch);
	if (tower->together)
		encode_together_backward(tower, start, end, d_out, pitch);
	return items;
}

tfrs_status
tfrs_tower_backward_step(tfrs_tower *tower)
{
	size_t		items = 0;

	TFRS_ASSERT(!tower->distinct || tower->encoder[0].table->touched == tower->done);
	while (tower->done < tower->rows)
	{
		size_t		end = next_end(tower);

		if (items * tower->shape->dim > PIECE_WORK)
			return TFRS_MORE;
		items += backward_rows(tower, tower->done, end);
		tower->done = end;
	}
	return pass_shared(tower, tfrs_encoder_share_backward);
}
