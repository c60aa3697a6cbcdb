/*
 * columns.c: choice, forward and backward of the softmax columns.
 */
#include "learning/columns.h"

#include <string.h>

#include "base/limits.h"
#include "learning/normalize.h"

static void
release(tfrs_columns *columns, tfrs_arena *arena)
{
	tfrs_arena_release(arena, columns->candidate);
	tfrs_arena_release(arena, columns->vector);
	tfrs_arena_release(arena, columns->scale);
	columns->candidate = NULL;
	columns->vector = NULL;
	columns->scale = NULL;
	columns->capacity = 0;
	columns->count = 0;
}

/* Room for count columns; those of the batch before are lost where it grows. */
static tfrs_status
reserve(tfrs_columns *columns, tfrs_arena *arena, size_t count, size_t dim, tfrs_error *error)
{
	tfrs_status status;

	if (count <= columns->capacity)
		return TFRS_OK;
	release(columns, arena);
	status = TFRS_GET(arena, &columns->candidate, count, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, (void **) &columns->vector, count, dim * sizeof(float),
								error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &columns->scale, count, error);
	if (status == TFRS_OK)
		columns->capacity = count;
	return status;
}

static void
add_column(tfrs_columns *columns, uint32_t candidate)
{
	columns->column_of[candidate] = (uint32_t) columns->count;
	columns->candidate[columns->count] = candidate;
	columns->count++;
}

static tfrs_status
init_weights(tfrs_columns *columns, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = TFRS_GET(arena, &columns->weight, columns->sampled, error);

	for (size_t c = 0; c < columns->sampled && status == TFRS_OK; c++)
		columns->weight[c] = (float) columns->candidates / (float) columns->sampled;
	columns->negatives = columns->sampled;
	return status;
}

bool
tfrs_columns_bytes(size_t candidates, size_t sampled, size_t columns, size_t dim, size_t *bytes)
{
	size_t		column = (dim + 2) * sizeof(float);
	size_t		weights = sampled < candidates ? sampled : 0;
	size_t		product;

	return tfrs_size_multiply(columns, column, &product) &&
		tfrs_size_add(product, (candidates + weights) * sizeof(uint32_t), &product) &&
		tfrs_size_add(*bytes, product, bytes);
}

static tfrs_status
init_places(tfrs_columns *columns, tfrs_arena *arena, size_t candidates, tfrs_error *error)
{
	tfrs_status status;

	memset(columns, 0, sizeof(*columns));
	columns->candidates = candidates;
	status = TFRS_GET(arena, &columns->column_of, candidates, error);
	if (status == TFRS_OK)
		memset(columns->column_of, 0xff, candidates * sizeof(*columns->column_of));
	return status;
}

tfrs_status
tfrs_columns_init_batch(tfrs_columns *columns, tfrs_arena *arena, size_t candidates, size_t most,
						size_t dim, tfrs_error *error)
{
	tfrs_status status = init_places(columns, arena, candidates, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &columns->weight, most, error);
	return status == TFRS_OK ? reserve(columns, arena, most, dim, error) : status;
}

void
tfrs_columns_set_frequency(tfrs_columns *columns, const uint32_t *frequency, size_t total)
{
	columns->frequency = frequency;
	columns->total = total;
}

tfrs_status
tfrs_columns_init(tfrs_columns *columns, tfrs_arena *arena, size_t candidates, size_t sampled,
				  size_t dim, tfrs_error *error)
{
	tfrs_status status = init_places(columns, arena, candidates, error);

	if (status != TFRS_OK)
		return status;
	columns->sampled = sampled < candidates ? sampled : 0;
	if (columns->sampled > 0)
		return init_weights(columns, arena, error);
	status = reserve(columns, arena, candidates, dim, error);
	for (size_t c = 0; c < candidates && status == TFRS_OK; c++)
		add_column(columns, (uint32_t) c);
	columns->negatives = candidates;
	return status;
}

void
tfrs_columns_free(tfrs_columns *columns, tfrs_arena *arena)
{
	release(columns, arena);
	tfrs_arena_release(arena, columns->weight);
	tfrs_arena_release(arena, columns->column_of);
	memset(columns, 0, sizeof(*columns));
}

static void
forget_columns(tfrs_columns *columns)
{
	for (size_t c = 0; c < columns->count; c++)
		columns->column_of[columns->candidate[c]] = TFRS_NO_ROW;
	columns->count = 0;
}

/* Floyd's sample: as many draws as columns, however many of the candidates are wanted. */
static void
sample(tfrs_columns *columns, tfrs_random *random, const tfrs_ragged *target)
{
	for (size_t last = columns->candidates - columns->sampled; last < columns->candidates; last++)
	{
		uint32_t	candidate = tfrs_random_below(random, (uint32_t) last + 1);

		if (columns->column_of[candidate] != TFRS_NO_ROW)
			candidate = (uint32_t) last;
		add_column(columns, candidate);
	}
	for (size_t i = 0; i < target->count; i++)
		if (columns->column_of[target->item[i]] == TFRS_NO_ROW)
			add_column(columns, target->item[i]);
}

/* The targets as columns, each counted as often as its rows stand for it. */
static void
take_targets(tfrs_columns *columns, const tfrs_ragged *target)
{
	double		scale = (double) columns->total / (double) target->count;

	for (size_t i = 0; i < target->count; i++)
	{
		uint32_t	candidate = target->item[i];

		if (columns->column_of[candidate] == TFRS_NO_ROW)
		{
			columns->weight[columns->count] = 0.0f;
			add_column(columns, candidate);
		}
		columns->weight[columns->column_of[candidate]] +=
			(float) (scale / columns->frequency[candidate]);
	}
	columns->negatives = columns->count;
}

static void
rename_items(const tfrs_columns *columns, tfrs_ragged *lists)
{
	size_t		kept = 0;
	size_t		i = 0;

	for (size_t r = 0; r < lists->rows; r++)
	{
		for (; i < lists->start[r + 1]; i++)
		{
			uint32_t	column = columns->column_of[lists->item[i]];

			if (column == TFRS_NO_ROW)
				continue;
			lists->item[kept] = column;
			lists->weight[kept] = lists->weight[i];
			kept++;
		}
		lists->start[r + 1] = kept;
	}
	lists->count = kept;
}

tfrs_status
tfrs_columns_choose(tfrs_columns *columns, tfrs_arena *arena, tfrs_random *random,
					tfrs_ragged *target, tfrs_ragged *masked, size_t dim, tfrs_error *error)
{
	size_t		room = columns->sampled + target->count;
	tfrs_status status;

	if (columns->sampled == 0 && columns->frequency == NULL)
		return TFRS_OK;
	forget_columns(columns);
	status = reserve(columns, arena, room < columns->candidates ? room : columns->candidates, dim,
					 error);
	if (status != TFRS_OK)
		return status;
	if (columns->frequency != NULL)
		take_targets(columns, target);
	else
		sample(columns, random, target);
	rename_items(columns, target);
	rename_items(columns, masked);
	return TFRS_OK;
}

void
tfrs_columns_forward(tfrs_columns *columns, const tfrs_history_shape *shape, const float *table,
					 size_t start, size_t end)
{
	size_t		dim = shape->dim;

	for (size_t c = start; c < end; c++)
		memcpy(columns->vector + c * dim, table + (size_t) columns->candidate[c] * dim,
			   dim * sizeof(float));
	if (shape->normalize)
		tfrs_normalize_forward(columns->vector + start * dim, end - start,
							   tfrs_history_width(shape), dim, columns->scale + start);
}

void
tfrs_columns_backward(const tfrs_columns *columns, const tfrs_history_shape *shape,
					  float *gradient, size_t start, size_t end)
{
	size_t		dim = shape->dim;

	if (shape->normalize)
		tfrs_normalize_backward(columns->vector + start * dim, columns->scale + start,
								end - start, tfrs_history_width(shape), dim,
								gradient + start * dim);
}
