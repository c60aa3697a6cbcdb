/*
 * ragged.h: for each row of a batch a list of weighted items (TensorFlow's RaggedTensor).
 *
 * Lists are appended in row order: tfrs_ragged_reserve makes room for as many items as the batch
 * can have, then pushing cannot fail.
 */
#ifndef TFRS_RAGGED_H
#define TFRS_RAGGED_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct tfrs_ragged
{
	size_t		rows;			/* lists that are complete */
	size_t		row_capacity;
	size_t		count;			/* items in all */
	size_t		capacity;
	size_t	   *start;			/* (row_capacity + 1): row r has items start[r] .. start[r + 1) */
	uint32_t   *item;			/* (capacity) */
	float	   *weight;			/* (capacity) */
} tfrs_ragged;

/* Empties the lists and makes room; keeps larger memory from before. */
extern tfrs_status tfrs_ragged_reserve(tfrs_ragged *ragged, tfrs_arena *arena, size_t rows,
									   size_t items, tfrs_error *error);

/* Items that there is room for where that many were asked for: the next batch
 * is a little larger, as a rule. */
static inline size_t
tfrs_ragged_room(size_t items)
{
	return items + items / 4;
}

extern void tfrs_ragged_release(tfrs_ragged *ragged, tfrs_arena *arena);

static inline void
tfrs_ragged_push(tfrs_ragged *ragged, uint32_t item, float weight)
{
	ragged->item[ragged->count] = item;
	ragged->weight[ragged->count] = weight;
	ragged->count++;
}

/* Ends the list of the current row. */
static inline void
tfrs_ragged_end_row(tfrs_ragged *ragged)
{
	ragged->rows++;
	ragged->start[ragged->rows] = ragged->count;
}

#endif							/* TFRS_RAGGED_H */
