/*
 * batch.h: the distinct queries, candidates and pairs of a batch of rows.
 *
 * Distinct numbers are given in the order of first appearance, by a sparse set: place[id] is
 * believed where distinct[place[id]] is the id, so nothing is cleared between batches and a batch
 * costs O(B) whatever the tables' sizes are.
 */
#ifndef TFRS_BATCH_H
#define TFRS_BATCH_H

#include <stdbool.h>

#include "base/arena.h"
#include "learning/row_store.h"

typedef struct tfrs_batch_side
{
	size_t		count;			/* distinct ids of the batch: U, V */
	uint32_t   *distinct;		/* (B) their table rows */
	uint32_t   *number;			/* (B) for each row of the batch, the place of its id in distinct */
	uint32_t   *place;			/* (ids) */
} tfrs_batch_side;

typedef struct tfrs_batch
{
	tfrs_arena *arena;
	size_t		capacity;		/* rows */
	size_t		rows;			/* B */
	tfrs_batch_side query;
	tfrs_batch_side candidate;
	float	   *weight;			/* (B) of each row */
	float	   *candidate_count;	/* (V) rows of each distinct candidate */
	size_t		pairs;			/* P distinct (query, candidate), ascending by query */
	uint32_t   *pair_query;		/* (P) */
	uint32_t   *pair_candidate; /* (P) */
	float	   *pair_weight;	/* (P) sum of the weights of its rows */
	uint32_t   *start;			/* (B + 1) scratch: rows of each distinct query */
	uint32_t   *row;			/* (B) scratch: row numbers grouped by query */
	uint32_t   *pair_of;		/* (B) scratch: pair of each distinct candidate */
} tfrs_batch;

/* queries and candidates are the numbers of ids. */
extern tfrs_status tfrs_batch_init(tfrs_batch *batch, tfrs_arena *arena, size_t capacity,
								   size_t queries, size_t candidates, tfrs_error *error);
extern void tfrs_batch_free(tfrs_batch *batch);

/* Adds to *bytes what init takes; false where that overflows. */
extern bool tfrs_batch_bytes(size_t capacity, size_t queries, size_t candidates, size_t *bytes);

/* count <= capacity rows, at least one. */
extern void tfrs_batch_assemble(tfrs_batch *batch, const tfrs_interaction *rows, size_t count);

#endif							/* TFRS_BATCH_H */
