/*
 * known_cells.h: which cells of a batch are known pairs: (query, candidate) that occur anywhere in
 * the data, so that the candidate is no negative of the query.
 *
 * The events are the caller's and must outlive the cells.
 */
#ifndef TFRS_KNOWN_CELLS_H
#define TFRS_KNOWN_CELLS_H

#include "learning/batch.h"
#include "learning/history.h"

typedef struct tfrs_known_cells
{
	tfrs_arena *arena;
	const tfrs_events *events;
	uint64_t   *bits;			/* (V) one query's known columns */
	size_t		count;
	size_t		capacity;
	uint64_t   *cells;			/* (count) u * V + v or i * C + j, ascending */
} tfrs_known_cells;

/* columns: distinct candidates of a batch at most. */
extern tfrs_status tfrs_known_cells_init(tfrs_known_cells *known, tfrs_arena *arena,
										 const tfrs_events *events, size_t columns,
										 tfrs_error *error);
extern void tfrs_known_cells_free(tfrs_known_cells *known);

/* Adds to *bytes what is taken for batches of that many rows, on the average,
 * where nothing repeats. */
extern bool tfrs_known_cells_bytes(size_t rows, size_t columns, size_t queries, size_t events,
								   size_t *bytes);

/* Finds those of an assembled batch; a query's positives of the batch are among them. */
extern tfrs_status tfrs_known_cells_find(tfrs_known_cells *known, const tfrs_batch *batch,
										 tfrs_error *error);

/* The same for rows and columns that repeat, i * C + j, but for each row's own column. */
extern tfrs_status tfrs_known_cells_find_rows(tfrs_known_cells *known, const tfrs_batch *batch,
											  tfrs_error *error);

#endif							/* TFRS_KNOWN_CELLS_H */
