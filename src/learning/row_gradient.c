/*
 * row_gradient.c: places of touched rows.
 */
#include "learning/row_gradient.h"

#include <string.h>

tfrs_status
tfrs_row_gradient_init(tfrs_row_gradient *gradient, tfrs_arena *arena, size_t table_rows,
					   size_t dim, tfrs_error *error)
{
	tfrs_status status;

	memset(gradient, 0, sizeof(*gradient));
	gradient->dim = dim;
	status = TFRS_GET(arena, &gradient->place, table_rows, error);
	if (status == TFRS_OK)
		memset(gradient->place, 0xff, table_rows * sizeof(*gradient->place));
	return status;
}

bool
tfrs_row_gradient_bytes(size_t table_rows, size_t rows, size_t dim, size_t *bytes)
{
	size_t		product;

	return tfrs_size_multiply(rows, dim * sizeof(float) + sizeof(uint32_t), &product) &&
		tfrs_size_add(product, table_rows * sizeof(uint32_t), &product) &&
		tfrs_size_add(*bytes, product, bytes);
}

static void
release_rows(tfrs_row_gradient *gradient, tfrs_arena *arena)
{
	tfrs_arena_release(arena, gradient->row);
	tfrs_arena_release(arena, gradient->values);
	gradient->row = NULL;
	gradient->values = NULL;
	gradient->capacity = 0;
}

void
tfrs_row_gradient_free(tfrs_row_gradient *gradient, tfrs_arena *arena)
{
	release_rows(gradient, arena);
	tfrs_arena_release(arena, gradient->place);
	memset(gradient, 0, sizeof(*gradient));
}

tfrs_status
tfrs_row_gradient_reset(tfrs_row_gradient *gradient, tfrs_arena *arena, size_t rows,
						tfrs_error *error)
{
	tfrs_status status;

	for (size_t i = 0; i < gradient->count; i++)
		gradient->place[gradient->row[i]] = TFRS_NO_ROW;
	gradient->count = 0;
	if (rows <= gradient->capacity)
		return TFRS_OK;
	release_rows(gradient, arena);
	status = TFRS_GET(arena, &gradient->row, rows, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, (void **) &gradient->values, rows,
								gradient->dim * sizeof(float), error);
	if (status == TFRS_OK)
		gradient->capacity = rows;
	return status;
}

void
tfrs_row_gradient_place(tfrs_row_gradient *gradient, uint32_t row)
{
	gradient->place[row] = (uint32_t) gradient->count;
	gradient->row[gradient->count] = row;
	gradient->count++;
}

float *
tfrs_row_gradient_of(tfrs_row_gradient *gradient, uint32_t row)
{
	bool		touched = gradient->place[row] != TFRS_NO_ROW;
	float	   *values;

	if (!touched)
		tfrs_row_gradient_place(gradient, row);
	values = gradient->values + (size_t) gradient->place[row] * gradient->dim;
	if (!touched)
		memset(values, 0, gradient->dim * sizeof(float));
	return values;
}
