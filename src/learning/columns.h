/*
 * columns.h: which candidates are the columns of a batch's softmax, and their served vectors.
 *
 * All N of them, or a uniform sample of n beside the batch's targets: a sampled column counts
 * N / n, and a target's column that was not sampled is nobody's negative, so that the sum over
 * negatives stays unbiased.
 *
 * Or those of the batch: each distinct target, which stands for the rows that have it; with p its
 * share of the data, one that stands for m of B rows counts m / (B p), so that the sum over them is
 * that over all candidates on the average (sampling correction, logQ).  The row's own target is
 * given and not sampled, so it is not corrected (arXiv 2507.09331; on MovieLens and Online Retail
 * the usual form, which corrects it too, is as good).
 */
#ifndef TFRS_COLUMNS_H
#define TFRS_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/random.h"
#include "learning/history.h"
#include "learning/ragged.h"

typedef struct tfrs_columns
{
	size_t		candidates;		/* N */
	size_t		sampled;		/* n; 0: all are columns */
	size_t		count;			/* C */
	size_t		negatives;		/* all, or the sampled ones, which come first */
	size_t		capacity;
	uint32_t   *candidate;		/* (capacity) */
	uint32_t   *column_of;		/* (N) TFRS_NO_ROW where the candidate is no column */
	float	   *weight;			/* (n) N / n each, or the batch's; NULL where all are columns */
	const uint32_t *frequency;	/* (N) of the targets in the data; NULL: not those of the batch */
	size_t		total;			/* of the frequencies */
	float	   *vector;			/* (capacity, D) as served: v / |v| and the bias */
	float	   *scale;			/* (capacity) 1 / |v| */
} tfrs_columns;

extern tfrs_status tfrs_columns_init(tfrs_columns *columns, tfrs_arena *arena, size_t candidates,
									 size_t sampled, size_t dim, tfrs_error *error);

/* Adds to *bytes what init and batches of at most that many columns take;
 * false where that overflows. */
extern bool tfrs_columns_bytes(size_t candidates, size_t sampled, size_t columns, size_t dim,
							   size_t *bytes);

/* The batch's targets as columns, of which there are at most that many. */
extern tfrs_status tfrs_columns_init_batch(tfrs_columns *columns, tfrs_arena *arena,
										   size_t candidates, size_t most, size_t dim,
										   tfrs_error *error);

/* How often each candidate is a target in the data; they must stay. */
extern void tfrs_columns_set_frequency(tfrs_columns *columns, const uint32_t *frequency,
									   size_t total);
extern void tfrs_columns_free(tfrs_columns *columns, tfrs_arena *arena);

/*
 * Chooses the batch's columns, then turns the lists' items from candidates into columns; items that
 * are no column are dropped (only masked ones can be).
 */
extern tfrs_status tfrs_columns_choose(tfrs_columns *columns, tfrs_arena *arena,
									   tfrs_random *random, tfrs_ragged *target,
									   tfrs_ragged *masked, size_t dim, tfrs_error *error);

/* Columns start .. end: vector = the rows of table (N, D) as served. */
extern void tfrs_columns_forward(tfrs_columns *columns, const tfrs_history_shape *shape,
								 const float *table, size_t start, size_t end);

/* Columns start .. end: gradient of the vectors (C, D) -> that of the table's rows, in place. */
extern void tfrs_columns_backward(const tfrs_columns *columns, const tfrs_history_shape *shape,
								  float *gradient, size_t start, size_t end);

#endif							/* TFRS_COLUMNS_H */
