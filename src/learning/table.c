/*
 * table.c: embedding tables of table.h.
 */
#include "learning/table.h"

#include <string.h>

#include "base/finite.h"
#include "learning/normalize.h"

/* Floats that one step passes: a few milliseconds. */
#define STEP_FLOATS ((size_t) 1 << 20)

tfrs_status
tfrs_table_init(tfrs_table *table, tfrs_arena *arena, size_t ids, size_t dim, int slots,
				tfrs_error *error)
{
	size_t		floats;
	tfrs_status status;

	memset(table, 0, sizeof(*table));
	table->arena = arena;
	table->rows = ids + 1;
	table->dim = dim;
	table->slots = slots;
	if (!tfrs_size_multiply(table->rows, dim, &floats))
		return tfrs_fail(error, TFRS_TOO_LARGE, "a size overflows");
	status = TFRS_GET(arena, &table->values, floats, error);
	for (int i = 0; status == TFRS_OK && i < slots; i++)
		status = TFRS_GET(arena, &table->slot[i], floats, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &table->sum, dim, error);
	if (status != TFRS_OK)
		tfrs_table_free(table);
	return status;
}

void
tfrs_table_free(tfrs_table *table)
{
	if (table->arena == NULL)
		return;
	tfrs_arena_release(table->arena, table->values);
	tfrs_arena_release(table->arena, table->slot[0]);
	tfrs_arena_release(table->arena, table->slot[1]);
	tfrs_arena_release(table->arena, table->length);
	tfrs_arena_release(table->arena, table->sum);
	memset(table, 0, sizeof(*table));
}

tfrs_status
tfrs_table_keep_lengths(tfrs_table *table, tfrs_error *error)
{
	return TFRS_GET(table->arena, &table->length, table->rows, error);
}

bool
tfrs_table_bytes(size_t ids, size_t dim, int slots, size_t *bytes)
{
	size_t		floats;
	size_t		mine;

	return tfrs_size_add(ids, 1, &floats) && tfrs_size_multiply(floats, dim, &floats) &&
		tfrs_size_multiply(floats, sizeof(float) * (size_t) (1 + slots), &mine) &&
		tfrs_size_add(mine, dim * sizeof(double), &mine) && tfrs_size_add(*bytes, mine, bytes);
}

/* The rows [start, *end) of the next step of a walk; false when the walk is over. */
static bool
next_rows(tfrs_table *table, size_t rows, size_t *start, size_t *end)
{
	size_t		step = STEP_FLOATS / table->dim + 1;

	*start = table->done;
	*end = rows - *start < step ? rows : *start + step;
	table->done = *end;
	return *start < rows;
}

static tfrs_status
end_walk(tfrs_table *table)
{
	table->done = 0;
	return TFRS_OK;
}

tfrs_status
tfrs_table_fill_step(tfrs_table *table, const tfrs_optimizer *optimizer, tfrs_random *random)
{
	size_t		start;
	size_t		end;

	if (!next_rows(table, table->rows, &start, &end))
		return end_walk(table);
	tfrs_random_fill(random, table->values + start * table->dim, (end - start) * table->dim,
					 -0.05f, 0.05f);
	for (int slot = 0; slot < table->slots; slot++)
	{
		float		initial = tfrs_optimizer_initial(optimizer, slot);

		for (size_t i = start * table->dim; i < end * table->dim; i++)
			table->slot[slot][i] = initial;
	}
	return TFRS_MORE;
}

void
tfrs_table_gather(const tfrs_table *table, const uint32_t *rows, size_t count, float *vectors)
{
	for (size_t i = 0; i < count; i++)
		memcpy(vectors + i * table->dim, table->values + rows[i] * table->dim,
			   table->dim * sizeof(float));
}

tfrs_status
tfrs_table_apply(tfrs_table *table, const tfrs_optimizer *optimizer, uint64_t step,
				 const uint32_t *rows, size_t count, const float *gradient)
{
	tfrs_optimizer_table target = {
		.rows = table->rows,
		.dim = table->dim,
		.values = table->values,
		.slot = {table->slot[0], table->slot[1]},
		.touched = count,
		.touched_row = rows,
		.gradient = gradient
	};

	tfrs_optimizer_apply(optimizer, step, &target);
	for (size_t i = 0; i < count; i++)
	{
		if (!tfrs_all_finite(table->values + rows[i] * table->dim, table->dim))
			return TFRS_NOT_FINITE;
	}
	return TFRS_OK;
}

static void
end_average(tfrs_table *table, const uint32_t *counts)
{
	size_t		ids = table->rows - 1;
	uint64_t	total = 0;

	for (size_t i = 0; i < ids; i++)
		total += counts[i];
	for (size_t j = 0; total > 0 && j < table->dim; j++)
		table->values[ids * table->dim + j] = (float) (table->sum[j] / (double) total);
}

tfrs_status
tfrs_table_average_step(tfrs_table *table, const uint32_t *counts)
{
	size_t		start;
	size_t		end;

	if (table->done == 0)
		memset(table->sum, 0, table->dim * sizeof(double));
	if (!next_rows(table, table->rows - 1, &start, &end))
	{
		end_average(table, counts);
		return end_walk(table);
	}
	for (size_t i = start; i < end; i++)
	{
		const float *row = table->values + i * table->dim;

		for (size_t j = 0; j < table->dim; j++)
			table->sum[j] += (double) counts[i] * row[j];
	}
	return TFRS_MORE;
}

tfrs_status
tfrs_table_normalize_step(tfrs_table *table, size_t width)
{
	float	   *length = table->length;
	size_t		start;
	size_t		end;

	if (!next_rows(table, table->rows, &start, &end))
		return end_walk(table);
	tfrs_normalize_forward(table->values + start * table->dim, end - start, width,
						   table->dim, length == NULL ? NULL : length + start);
	for (size_t i = start; i < end && length != NULL; i++)
		length[i] = 1.0f / length[i];
	return TFRS_MORE;
}
