/*
 * history.c: bags of events and the query vector that they sum up to.
 */
#include "learning/history.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "learning/normalize.h"

size_t
tfrs_history_bag_size(const tfrs_history_shape *shape, uint32_t bag, size_t events)
{
	return shape->decay[bag] > 0 && events > shape->length ? shape->length : events;
}

/* Whether event i is followed by a later one, so that what lies before it is a step older. */
static bool
starts_group(const tfrs_event_list *list, size_t i)
{
	return i > 0 && (list->at == NULL || list->at[i - 1] != list->at[i]);
}

/* The share of an event in a bag without dropout, from the newest event to the oldest. */
typedef struct bag_walk
{
	const tfrs_event_list *list;
	float		decay;			/* 0: all alike */
	float		weight;			/* of the event at the walk's position */
} bag_walk;

/* Moves from event i to the one before it. */
static void
step_back(bag_walk *walk, size_t i)
{
	if (walk->decay > 0 && starts_group(walk->list, i))
		walk->weight *= walk->decay;
}

/* 1 / sqrt(sum of the weights) of the events from first on; there is one at least. */
static float
bag_scale(float decay, const tfrs_event_list *list, size_t first)
{
	bag_walk	walk = {list, decay, 1.0f};
	double		sum = 0;

	for (size_t i = list->count; i-- > first;)
	{
		sum += walk.weight;
		step_back(&walk, i);
	}
	return (float) (1.0 / sqrt(sum));
}

void
tfrs_history_bag(const tfrs_history_shape *shape, uint32_t bag, const tfrs_event_list *list,
				 float dropout, tfrs_random *random, tfrs_ragged *out)
{
	size_t		first = list->count - tfrs_history_bag_size(shape, bag, list->count);
	bag_walk	walk = {list, shape->decay[bag], 1.0f};
	float		scale;

	if (first == list->count)
		return;
	scale = bag_scale(walk.decay, list, first) / (1.0f - dropout);
	for (size_t i = list->count; i-- > first;)
	{
		if (dropout == 0 || tfrs_random_float(random) >= dropout)
			tfrs_ragged_push(out, list->candidate[i], walk.weight * scale);
		step_back(&walk, i);
	}
}

void
tfrs_history_add(float *sum, const float *table, size_t dim, const tfrs_ragged *bag, size_t row)
{
	for (size_t i = bag->start[row]; i < bag->start[row + 1]; i++)
		tfrs_kernels.add_scaled(sum, table + (size_t) bag->item[i] * dim, dim, bag->weight[i]);
}

/* sum (D) += the whole bag of the list, as tfrs_history_bag without dropout */
static void
add_bag(const tfrs_history_shape *shape, uint32_t bag, const float *table,
		const tfrs_event_list *list, float *sum)
{
	size_t		first = list->count - tfrs_history_bag_size(shape, bag, list->count);
	bag_walk	walk = {list, shape->decay[bag], 1.0f};
	float		scale;

	if (first == list->count)
		return;
	scale = bag_scale(walk.decay, list, first);
	for (size_t i = list->count; i-- > first;)
	{
		tfrs_kernels.add_scaled(sum, table + (size_t) list->candidate[i] * shape->dim, shape->dim,
								walk.weight * scale);
		step_back(&walk, i);
	}
}

void
tfrs_history_finish(const tfrs_history_shape *shape, float *vector, float *scale)
{
	size_t		width = tfrs_history_width(shape);

	if (shape->normalize)
		tfrs_normalize_forward(vector, 1, width, width, scale);
	for (size_t d = 0; d < width; d++)
		vector[d] /= shape->temperature;
	if (shape->bias)
		vector[width] = 1.0f;
}

/*
 * With u = s x and the vector y = u / T:
 *     d_x = s / T (d_y - u (u . d_y)),  u (u . d_y) = T^2 y (y . d_y)
 */
void
tfrs_history_finish_backward(const tfrs_history_shape *shape, const float *vector, float scale,
							 float *gradient)
{
	size_t		width = tfrs_history_width(shape);
	float		temperature = shape->temperature;
	float		along = 0.0f;

	if (!shape->normalize)
		scale = 1.0f;
	else if (scale < TFRS_FLOOR_SCALE)
		along = tfrs_kernels.dot(vector, gradient, width) * temperature * temperature;
	for (size_t d = 0; d < width; d++)
		gradient[d] = (gradient[d] - vector[d] * along) * scale / temperature;
	if (shape->bias)
		gradient[width] = 0.0f;
}

void
tfrs_history_encode(const tfrs_history_shape *shape, const float *const *tables,
					const tfrs_event_list *list, float *vector)
{
	memset(vector, 0, shape->dim * sizeof(float));
	for (uint32_t b = 0; b < shape->bags; b++)
		add_bag(shape, b, tables[b], list, vector);
	tfrs_history_finish(shape, vector, NULL);
}

/* contribution (count) += products of the bag's rows with the candidate, before the vector's end */
static void
add_contributions(const tfrs_history_shape *shape, uint32_t bag, const float *table,
				  const tfrs_event_list *list, const float *candidate, double *contribution)
{
	size_t		first = list->count - tfrs_history_bag_size(shape, bag, list->count);
	size_t		width = tfrs_history_width(shape);
	bag_walk	walk = {list, shape->decay[bag], 1.0f};
	float		scale;

	if (first == list->count)
		return;
	scale = bag_scale(walk.decay, list, first);
	for (size_t i = list->count; i-- > first;)
	{
		const float *row = table + (size_t) list->candidate[i] * shape->dim;

		contribution[i] += (double) walk.weight * scale * tfrs_kernels.dot(row, candidate, width);
		step_back(&walk, i);
	}
}

void
tfrs_history_contributions(const tfrs_history_shape *shape, const float *const *tables,
						   const tfrs_event_list *list, const float *candidate, float *vector,
						   double *contribution)
{
	float		scale = 1.0f;

	memset(vector, 0, shape->dim * sizeof(float));
	memset(contribution, 0, list->count * sizeof(double));
	for (uint32_t b = 0; b < shape->bags; b++)
	{
		add_bag(shape, b, tables[b], list, vector);
		add_contributions(shape, b, tables[b], list, candidate, contribution);
	}
	tfrs_history_finish(shape, vector, &scale);
	for (size_t i = 0; i < list->count; i++)
		contribution[i] *= scale / shape->temperature;
}
