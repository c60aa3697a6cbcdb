/*
 * history.c: bags of events and the query vector that they sum up to.
 */
#include "learning/history.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"

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

/* Pushes the events from first on with weight g^age, newest first; returns the weights' sum. */
static double
push_events(float decay, const tfrs_event_list *list, size_t first, tfrs_ragged *out)
{
	float		weight = 1.0f;
	double		sum = 0;

	for (size_t i = list->count; i-- > first;)
	{
		tfrs_ragged_push(out, list->candidate[i], weight);
		sum += weight;
		if (decay > 0 && starts_group(list, i))
			weight *= decay;
	}
	return sum;
}

/* Scales the items from first on and leaves some out. */
static void
scale_and_drop(tfrs_ragged *out, size_t first, float scale, float dropout, tfrs_random *random)
{
	size_t		kept = first;

	for (size_t i = first; i < out->count; i++)
	{
		if (dropout > 0 && tfrs_random_float(random) < dropout)
			continue;
		out->item[kept] = out->item[i];
		out->weight[kept] = out->weight[i] * scale;
		kept++;
	}
	out->count = kept;
}

void
tfrs_history_bag(const tfrs_history_shape *shape, uint32_t bag, const tfrs_event_list *list,
				 float dropout, tfrs_random *random, tfrs_ragged *out)
{
	size_t		first = out->count;
	size_t		skip = list->count - tfrs_history_bag_size(shape, bag, list->count);
	double		sum = push_events(shape->decay[bag], list, skip, out);

	if (out->count > first)
		scale_and_drop(out, first, (float) (1.0 / (sqrt(sum) * (1.0 - dropout))), dropout, random);
}

void
tfrs_history_add(float *sum, const float *table, size_t dim, const tfrs_ragged *bag, size_t row)
{
	for (size_t i = bag->start[row]; i < bag->start[row + 1]; i++)
		tfrs_kernels.add_scaled(sum, table + (size_t) bag->item[i] * dim, dim, bag->weight[i]);
}

void
tfrs_history_finish(const tfrs_history_shape *shape, float *vector)
{
	size_t		width = tfrs_history_width(shape);
	float		scale = 1.0f / shape->temperature;

	if (shape->normalize)
		scale /= sqrtf(fmaxf(tfrs_kernels.dot(vector, vector, width), 1e-12f));
	for (size_t d = 0; d < width; d++)
		vector[d] *= scale;
	if (shape->bias)
		vector[width] = 1.0f;
}

tfrs_status
tfrs_history_encode(const tfrs_history_shape *shape, const float *const *tables,
					const tfrs_event_list *list, tfrs_ragged *scratch, tfrs_arena *arena,
					float *vector, tfrs_error *error)
{
	memset(vector, 0, shape->dim * sizeof(float));
	for (uint32_t b = 0; b < shape->bags; b++)
	{
		tfrs_status status = tfrs_ragged_reserve(scratch, arena, 1, list->count, error);

		if (status != TFRS_OK)
			return status;
		tfrs_history_bag(shape, b, list, 0.0f, NULL, scratch);
		tfrs_ragged_end_row(scratch);
		tfrs_history_add(vector, tables[b], shape->dim, scratch, 0);
	}
	tfrs_history_finish(shape, vector);
	return TFRS_OK;
}
