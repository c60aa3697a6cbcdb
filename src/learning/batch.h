/*
 * batch.h: the distinct queries, candidates and pairs of a batch of rows.
 *
 * Distinct numbers are given in the order of first appearance, by a sparse set: place[id] is
 * believed where distinct[place[id]] is the id, so nothing is cleared between batches and a batch
 * costs O(B) whatever the tables' sizes are.
 *
 * The columns of the batch's softmax are the candidates of its rows and what is added to them; or,
 * where the sizes say all, every candidate once: then a candidate's number is its id.
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
	size_t		items;			/* rows of the batch; of candidates: with what was added */
	uint32_t   *number;			/* (items) of each row of the batch: place of its id in distinct */
	uint32_t   *place;			/* (ids) */
} tfrs_batch_side;

typedef struct tfrs_batch
{
	tfrs_arena *arena;
	size_t		capacity;		/* rows */
	bool		all;			/* every candidate is a column */
	size_t		rows;			/* B */
	tfrs_batch_side query;
	tfrs_batch_side candidate;
	float	   *weight;			/* (B) of each row */
	float	   *candidate_count;	/* (V) columns that each distinct candidate stands for */
	size_t		pairs;			/* P distinct (query, candidate), ascending by query */
	uint32_t   *pair_query;		/* (P) */
	uint32_t   *pair_candidate; /* (P) */
	float	   *pair_weight;	/* (P) sum of the weights of its rows */
	uint32_t   *start;			/* (B + 1) scratch: rows of each distinct query */
	uint32_t   *row;			/* (B) scratch: row numbers grouped by query */
	uint32_t   *pair_of;		/* (V) scratch: pair of each distinct candidate */
} tfrs_batch;

typedef struct tfrs_batch_sizes
{
	size_t		rows;			/* B at most */
	size_t		added;			/* columns added to those of the rows at most */
	bool		all;			/* every candidate is a column; nothing is added */
	size_t		queries;		/* ids of each side, unknown ones that are met among them */
	size_t		candidates;
} tfrs_batch_sizes;

/* Distinct candidates of a batch at most. */
extern size_t tfrs_batch_columns(const tfrs_batch_sizes *sizes);

extern tfrs_status tfrs_batch_init(tfrs_batch *batch, tfrs_arena *arena,
								   const tfrs_batch_sizes *sizes, tfrs_error *error);
extern void tfrs_batch_free(tfrs_batch *batch);

/* Adds to *bytes what init takes; false where that overflows. */
extern bool tfrs_batch_bytes(const tfrs_batch_sizes *sizes, size_t *bytes);

/* count <= capacity rows, at least one. */
extern void tfrs_batch_assemble(tfrs_batch *batch, const tfrs_interaction *rows, size_t count);

/* Candidate becomes one more column of the assembled batch. */
extern void tfrs_batch_add_column(tfrs_batch *batch, uint32_t candidate);

#endif							/* TFRS_BATCH_H */
