/*
 * score_parts.h: the sparse parts of a score as they are served.
 *
 *     score(query, c) = tower(query) . tower(c) + sum over parts: weight * sum_j h_j S[j, c]
 *
 *     together   h is 1 for every event of the query
 *     next       h is 0.5^age for its last 20 events; age is the number of later event times, and of
 *                later events where there are no times
 *     content    h is 1 for every event; S is told by what candidates consist of
 *                (content_neighbours.h), so new candidates have one too
 *
 * A query's events touch some hundreds or thousands of candidates: their sums are added to the inner
 * product, and every other candidate's score is the product alone.
 *
 * Parts of the block, under "together.", "next." and "content.": "shape" tfrs_score_part_shape,
 * "offsets" uint64 (N + 1), "candidate" uint32 (M), "value" int8 (M), "scale" float (N).
 */
#ifndef TFRS_SCORE_PARTS_H
#define TFRS_SCORE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/block.h"
#include "learning/history.h"
#include "learning/neighbours.h"

/* TFRS_TOGETHER and TFRS_NEXT come before it. */
#define TFRS_LIKE_CONTENT 2
#define TFRS_SCORE_PARTS 3

typedef struct tfrs_score_part_shape
{
	float		weight;
	float		decay;			/* of an event with its age */
	uint32_t	length;			/* events that are looked at, the last ones; 0: all */
	uint32_t	reserved;
} tfrs_score_part_shape;

/* By part; one whose weight is 0 has no values. */
typedef struct tfrs_score_parts
{
	size_t		candidates;		/* N; 0: there are no parts */
	tfrs_score_part_shape shape[TFRS_SCORE_PARTS];
	tfrs_neighbours neighbours[TFRS_SCORE_PARTS];
} tfrs_score_parts;

/* How a part is served with that weight. */
extern tfrs_score_part_shape tfrs_score_part_of(size_t part, float weight);

/* Sums by candidate of one query; between two queries all are 0. */
typedef struct tfrs_part_sums
{
	size_t		candidates;		/* N */
	float	   *sum;			/* (N) */
	uint32_t   *raw;			/* (N) sums of a part before they are scaled; all 0 but meanwhile */
	uint32_t   *touched;		/* (N + 1) candidates, those whose sum is not 0 among them */
	size_t		count;
	bool		sorted;			/* touched is ascending */
} tfrs_part_sums;

extern tfrs_status tfrs_part_sums_get(tfrs_part_sums *sums, tfrs_arena *arena, size_t candidates,
									  tfrs_error *error);
extern void tfrs_part_sums_release(tfrs_part_sums *sums, tfrs_arena *arena);

/* Adds what the events of the list give; part: one of them, or TFRS_SCORE_PARTS for all. */
extern void tfrs_score_parts_add(const tfrs_score_parts *parts, size_t part,
								 const tfrs_event_list *list, tfrs_part_sums *sums);

/* Candidates that count as touched by the events of the list, at most. */
extern size_t tfrs_score_parts_reach(const tfrs_score_parts *parts, const tfrs_event_list *list);

/*
 * Moves the sums of what is touched to rows (ascending) and values, each with room for what
 * tfrs_score_parts_reach says; returns how many there are.
 */
extern size_t tfrs_part_sums_take(tfrs_part_sums *sums, uint32_t *rows, float *values);

/* contribution (count) += what each event of the list gives to the candidate. */
extern void tfrs_score_parts_contributions(const tfrs_score_parts *parts,
										   const tfrs_event_list *list, uint32_t candidate,
										   double *contribution);

/*
 * What each event gives to one candidate by each part, for sums over many lists: a column (N) each,
 * NULL for a part that is not there.
 */
typedef struct tfrs_part_columns
{
	float	   *value[TFRS_SCORE_PARTS];
} tfrs_part_columns;

/* Fills columns, which have room where there is a part. */
extern void tfrs_part_columns_fill(const tfrs_score_parts *parts, uint32_t candidate,
								   tfrs_part_columns *columns);

/* What the events of a list give to the columns' candidate. */
extern float tfrs_part_columns_sum(const tfrs_score_parts *parts, const tfrs_part_columns *columns,
								   const tfrs_event_list *list);

/* Adds the parts of the block; what is pointed to must stay until the writer has copied it. */
extern tfrs_status tfrs_score_parts_save(const tfrs_score_parts *parts, tfrs_block_writer *writer,
										 tfrs_error *error);

/* Reads and, unless the block is trusted, checks the parts over that many candidates. */
extern tfrs_status tfrs_score_parts_load(tfrs_score_parts *parts, const tfrs_block *block,
										 size_t candidates, tfrs_error *error);

#endif							/* TFRS_SCORE_PARTS_H */
