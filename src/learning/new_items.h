/*
 * new_items.h: what candidates that nobody has chosen start with, told by their content.
 *
 *     R (W, D) = a ridge regression from content to the known candidates' vectors, weighed by the
 *                fourth root of how often each was chosen
 *     v_i = unit(t_i + BLEND unit(P_i R))      t_i: what the tower makes of the content, unit length
 *     bias_i = (tower's bias + P_i g + level) / 2
 *
 * g tells how often a candidate is chosen (count_regression.h).  The level is such that known
 * candidates would have their own biases on an average.  Where a tower has nothing to say of
 * content, v_i = unit(P_i R) and the bias is the second half alone.  Tables of histories get the
 * rows that a ridge of their own predicts, so that what is new counts in a history as soon as
 * somebody has chosen it.
 *
 * On MovieLens 100K with a tenth of the films left out, over three such parts of the training,
 * these weights and penalties ranked new films with an NDCG@10 of .243; weights as the counts and
 * half the penalties with .225.
 *
 * R, and the bias beside it, are all that is needed for a candidate that comes after the training.
 */
#ifndef TFRS_NEW_ITEMS_H
#define TFRS_NEW_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "learning/content.h"
#include "learning/count_regression.h"
#include "learning/history.h"
#include "learning/ridge.h"

/* What a training has made.  Rows of known candidates are read, those of new ones are written. */
typedef struct tfrs_new_items_data
{
	const tfrs_content *content;
	size_t		dim;			/* D, the bias included */
	bool		bias;			/* the last component is one */
	bool		normalize;		/* vectors have unit length */
	bool		tower;			/* new rows hold what the tower makes of their content */
	float	   *candidates;		/* (N, D) as they are served */
	size_t		tables;
	float	   *table[TFRS_MAX_BAGS];	/* (N, D) each, of histories */
	int			threads;
} tfrs_new_items_data;

/* From content to a candidate's row. */
typedef struct tfrs_content_map
{
	size_t		words;			/* W */
	size_t		dim;			/* D */
	bool		bias;
	bool		normalize;
	const float *table;			/* (W + 1, D) R with g beside it; the last row is for all */
} tfrs_content_map;

/* A row of content. */
typedef struct tfrs_content_words
{
	size_t		count;
	const uint32_t *word;		/* (count) */
	const float *value;			/* (count) */
} tfrs_content_words;

typedef struct tfrs_new_items
{
	tfrs_arena *arena;
	tfrs_new_items_data data;
	int			phase;			/* what the next step does */
	size_t		table_at;		/* of the tables */
	size_t		done;			/* candidates that the phase has passed */
	float	   *weight;			/* (N) */
	float	   *result;			/* (W + 1, D) of the map, until free */
	float	   *vector;			/* (D) */
	tfrs_ridge	ridge;
	tfrs_count_regression counts;
} tfrs_new_items;

/* All that the data point to must outlive it.  Error: memory. */
extern tfrs_status tfrs_new_items_begin(tfrs_new_items *items, tfrs_arena *arena,
										const tfrs_new_items_data *data, tfrs_error *error);

/* TFRS_MORE until new rows are written; then map points into it.  Error: memory. */
extern tfrs_status tfrs_new_items_step(tfrs_new_items *items, tfrs_content_map *map,
									   tfrs_error *error);
extern void tfrs_new_items_free(tfrs_new_items *items);

/*
 * The row of a candidate by its words and values: row (D) holds what the tower makes of its content, or
 * anything where there is no such tower.  vector (D): room.
 */
extern void tfrs_content_map_row(const tfrs_content_map *map, const tfrs_content_words *words,
								 bool tower, float *vector, float *row);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_new_items_bytes(size_t candidates, size_t words, size_t dim, size_t *bytes);

#endif							/* TFRS_NEW_ITEMS_H */
