/*
 * tuning.h: how far a search must go to reach a recall.
 *
 * Queries are searched exactly, then bounded with growing reach, then ranked with growing numbers
 * of leaves and of rows re-ranked; of the efforts that reach the target, the one that reads the
 * fewest bytes is taken (rows fetched from anywhere count extra), so the result is the same on
 * every machine.  Where the exact search reads fewer still, that is the result: recall 1 for less.
 */
#ifndef TFRS_TUNING_H
#define TFRS_TUNING_H

#include "base/arena.h"
#include "retrieval/tree_search.h"

typedef struct tfrs_tuning_options
{
	const float *queries;		/* (count, D), or NULL: rows of the corpus, each without itself */
	size_t		count;			/* Q > 0 of queries */
	float		target_recall;	/* at k */
	uint32_t	k;
	uint32_t	leaves;			/* given by the user; 0: to be found */
	uint32_t	rerank;			/* the same */
	bool		bounded_only;	/* only find out what the bounded search reads */
	uint64_t	seed;
	int			threads;
} tfrs_tuning_options;

typedef struct tfrs_tuning_result
{
	tfrs_tree_effort effort;
	double		recall;			/* at k, on the queries */
	double		bytes;			/* read for a query with that effort */
	double		bounded_bytes;	/* read for a query by the bounded search */
} tfrs_tuning_result;

typedef struct tfrs_tuning tfrs_tuning;

/*
 * Tree, corpus (N > 1) and queries stay the caller's.  Errors: memory, TFRS_NOT_FINITE for a query.
 */
extern tfrs_status tfrs_tuning_begin(tfrs_tuning **tuning, tfrs_arena *arena,
									 const tfrs_tuning_options *options, const tfrs_tree *tree,
									 const tfrs_corpus *corpus, tfrs_error *error);

/* TFRS_MORE until the result is there. */
extern tfrs_status tfrs_tuning_step(tfrs_tuning *tuning);
extern tfrs_tuning_result tfrs_tuning_get(const tfrs_tuning *tuning);
extern void tfrs_tuning_destroy(tfrs_tuning *tuning);

#endif							/* TFRS_TUNING_H */
