/*
 * row_gradient.h: the gradient of those rows of a table that a batch touches.
 *
 * Gradients of one row are summed where they arise; a row has its place in order of first touch.
 */
#ifndef TFRS_ROW_GRADIENT_H
#define TFRS_ROW_GRADIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/limits.h"

typedef struct tfrs_row_gradient
{
	size_t		dim;			/* D */
	size_t		count;			/* G rows touched */
	size_t		capacity;		/* rows that fit */
	uint32_t   *row;			/* (capacity) */
	float	   *values;			/* (capacity, D) */
	uint32_t   *place;			/* (table rows) place of a row, TFRS_NO_ROW where untouched */
} tfrs_row_gradient;

extern tfrs_status tfrs_row_gradient_init(tfrs_row_gradient *gradient, tfrs_arena *arena,
										  size_t table_rows, size_t dim, tfrs_error *error);

/* Adds to *bytes what init and batches of at most that many rows take; false
 * where that overflows. */
extern bool tfrs_row_gradient_bytes(size_t table_rows, size_t rows, size_t dim, size_t *bytes);
extern void tfrs_row_gradient_free(tfrs_row_gradient *gradient, tfrs_arena *arena);

/* Forgets the batch before and makes room for that many rows (at most the table's are needed). */
extern tfrs_status tfrs_row_gradient_reset(tfrs_row_gradient *gradient, tfrs_arena *arena,
										   size_t rows, tfrs_error *error);

/* Gives a row that is not touched yet its place; its gradient is not set. */
extern void tfrs_row_gradient_place(tfrs_row_gradient *gradient, uint32_t row);

/* The row's gradient (D), zero at its first touch; the row must fit. */
extern float *tfrs_row_gradient_of(tfrs_row_gradient *gradient, uint32_t row);

#endif							/* TFRS_ROW_GRADIENT_H */
