/*
 * table.h: an embedding table: one row of parameters for each id, and its optimizer state.
 *
 * Memory comes at once; values are given in steps, since a table may be 640 MB.  The last row is
 * the unknown slot: ids that training never saw.  No batch touches it unless ids are dropped.
 */
#ifndef TFRS_TABLE_H
#define TFRS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/random.h"
#include "learning/optimizer.h"

typedef struct tfrs_table
{
	tfrs_arena *arena;
	size_t		rows;			/* V + 1 */
	size_t		dim;			/* D */
	float	   *values;			/* (V + 1, D) */
	int			slots;
	float	   *slot[2];		/* (V + 1, D), or NULL */
	float	   *length;			/* (V + 1) of the rows before they were normalized, or NULL */
	size_t		done;			/* rows that the current walk over the table has passed */
	double	   *sum;			/* (D), while averaging */
} tfrs_table;

/* ids is V.  Values are left as they are. */
extern tfrs_status tfrs_table_init(tfrs_table *table, tfrs_arena *arena, size_t ids, size_t dim,
								   int slots, tfrs_error *error);
extern void tfrs_table_free(tfrs_table *table);

/* Asks for the lengths that normalizing takes away; before that. */
extern tfrs_status tfrs_table_keep_lengths(tfrs_table *table, tfrs_error *error);

/* Adds to *bytes what init takes; false where that overflows. */
extern bool tfrs_table_bytes(size_t ids, size_t dim, int slots, size_t *bytes);

/* Values uniform in [-0.05, 0.05) (Keras "uniform"), slots at their start.
 * TFRS_MORE until done. */
extern tfrs_status tfrs_table_fill_step(tfrs_table *table, const tfrs_optimizer *optimizer,
										tfrs_random *random);

/* Copies rows of the table to vectors (count, D). */
extern void tfrs_table_gather(const tfrs_table *table, const uint32_t *rows, size_t count,
							  float *vectors);

/* One optimizer step on distinct rows.  TFRS_NOT_FINITE where one of them overflowed by it. */
extern tfrs_status tfrs_table_apply(tfrs_table *table, const tfrs_optimizer *optimizer,
									uint64_t step, const uint32_t *rows, size_t count,
									const float *gradient);

/* The unknown slot becomes the mean of the rows, weighted by counts (V).  TFRS_MORE until done. */
extern tfrs_status tfrs_table_average_step(tfrs_table *table, const uint32_t *counts);

/* The first width numbers of every row to unit length.  TFRS_MORE until done. */
extern tfrs_status tfrs_table_normalize_step(tfrs_table *table, size_t width);

#endif							/* TFRS_TABLE_H */
