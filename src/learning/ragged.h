/*
 * ragged.h: for each row of a batch a list of weighted items (TensorFlow's RaggedTensor).
 *
 * Lists are appended in row order.  The capacities stand before the arrays are taken and are the
 * most that a batch can have, so pushing cannot fail.
 */
#ifndef TFRS_RAGGED_H
#define TFRS_RAGGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assertion.h"
#include "base/plan.h"

typedef struct tfrs_ragged
{
	size_t		row_capacity;
	size_t		capacity;
	bool		has_weight;
	size_t		rows;			/* lists that are complete */
	size_t		count;			/* items in all */
	size_t	   *start;			/* (row_capacity + 1): row r has items start[r] .. start[r + 1) */
	uint32_t   *item;			/* (capacity) */
	float	   *weight;			/* (capacity), or NULL */
} tfrs_ragged;

static inline void
tfrs_ragged_plan(tfrs_plan *plan, tfrs_ragged *ragged)
{
	TFRS_PLAN(plan, &ragged->start, ragged->row_capacity + 1);
	TFRS_PLAN(plan, &ragged->item, ragged->capacity);
	if (ragged->has_weight)
		TFRS_PLAN(plan, &ragged->weight, ragged->capacity);
}

/* No rows; before the first push. */
static inline void
tfrs_ragged_clear(tfrs_ragged *ragged)
{
	ragged->rows = 0;
	ragged->count = 0;
	ragged->start[0] = 0;
}

/* One more item of the current row; the weight is kept where there are weights. */
static inline void
tfrs_ragged_push(tfrs_ragged *ragged, uint32_t item, float weight)
{
	TFRS_ASSERT(ragged->count < ragged->capacity);
	ragged->item[ragged->count] = item;
	if (ragged->has_weight)
		ragged->weight[ragged->count] = weight;
	ragged->count++;
}

/* Ends the list of the current row. */
static inline void
tfrs_ragged_end_row(tfrs_ragged *ragged)
{
	TFRS_ASSERT(ragged->rows < ragged->row_capacity);
	ragged->rows++;
	ragged->start[ragged->rows] = ragged->count;
}

/* Items of a complete row. */
static inline size_t
tfrs_ragged_length(const tfrs_ragged *ragged, size_t row)
{
	return ragged->start[row + 1] - ragged->start[row];
}

/*
 * The counts of lists become where they begin.  start (lists + 1): start[x + 1] has the count of list
 * x, and then the place where its first item goes; filling moves it on, so that in the end start[x]
 * is where list x begins.  start[0] is 0.  Returns the sum of the counts.
 */
static inline uint64_t
tfrs_counts_to_starts(uint64_t *start, size_t lists)
{
	uint64_t	sum = 0;

	for (size_t x = 1; x <= lists; x++)
	{
		uint64_t	count = start[x];

		start[x] = sum;
		sum += count;
	}
	return sum;
}

/* The same for sums that 32 bits hold. */
static inline void
tfrs_small_counts_to_starts(uint32_t *start, size_t lists)
{
	uint32_t	sum = 0;

	for (size_t x = 1; x <= lists; x++)
	{
		uint32_t	count = start[x];

		start[x] = sum;
		sum += count;
	}
}

#endif							/* TFRS_RAGGED_H */
