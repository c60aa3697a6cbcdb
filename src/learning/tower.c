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

static size_t
forward_row(tfrs_tower *tower, size_t row, tfrs_random *random)
{
	size_t		dim = tower->shape->dim;
	float	   *vector = tower->vector + row * dim;
	size_t		items = 1;
	float		scale;

	memset(vector, 0, dim * sizeof(float));
	for (size_t i = 0; i < tower->encoders; i++)
		items += tower->encoder[i].kind->forward(&tower->encoder[i], row, vector);
	if (tower->keep != NULL)
		drop_components(tower, row, vector, random);
	scale = finish(tower->shape, tower->of_candidates, vector);
	if (tower->scale != NULL)
		tower->scale[row] = scale;
	return items;
}

tfrs_status
tfrs_tower_forward_step(tfrs_tower *tower, tfrs_random *random)
{
	size_t		items = 0;
	tfrs_status status = pass_shared(tower, tfrs_encoder_share);

	while (status == TFRS_OK && tower->done < tower->rows)
	{
		if (items * tower->shape->dim > PIECE_WORK)
			return TFRS_MORE;
		items += forward_row(tower, tower->done++, random);
	}
	if (status == TFRS_OK)
		tfrs_tower_begin(tower, tower->rows);
	return status;
}

/* Gradient of the row's vector -> that of the sum, in place, and on to the tables. */
static size_t
backward_row(tfrs_tower *tower, size_t row)
{
	size_t		dim = tower->shape->dim;
	float	   *d_vector = tfrs_tower_gradient(tower) + row * dim;
	size_t		items = 1;

	finish_backward(tower, tower->vector + row * dim,
					tower->scale == NULL ? 1.0f : tower->scale[row], d_vector);
	for (size_t d = 0; tower->keep != NULL && d < tfrs_tower_width(tower->shape); d++)
		d_vector[d] *= tower->keep[row * dim + d];
	if (tower->distinct)
	{
		tfrs_tensor_touch(tower->encoder[0].table, tower->encoder[0].cells.id[row]);
		return items;
	}
	for (size_t i = 0; i < tower->encoders; i++)
		items += tower->encoder[i].kind->backward(&tower->encoder[i], row, d_vector);
	return items;
}

tfrs_status
tfrs_tower_backward_step(tfrs_tower *tower)
{
	size_t		items = 0;

	TFRS_ASSERT(!tower->distinct || tower->encoder[0].table->touched == tower->done);
	while (tower->done < tower->rows)
	{
		if (items * tower->shape->dim > PIECE_WORK)
			return TFRS_MORE;
		items += backward_row(tower, tower->done++);
	}
	return pass_shared(tower, tfrs_encoder_share_backward);
}
