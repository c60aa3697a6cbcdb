/*
 * baselines.h: two rankings that need no training, which a model must beat.
 *
 *     popularity   candidates by how many queries chose them; the same for everybody
 *     item-item    score(q, j) = sum of cosine(i, j) over those of q's candidates i that are among
 *                  the TFRS_NEIGHBOURS nearest of j;
 *                  cosine(i, j) = |Q_i and Q_j| / sqrt(|Q_i| |Q_j|), Q_i: the queries that chose i
 *
 * Equal scores are in the order of rows.  A ranking by item-item ends where the scores are 0.
 * Sarwar et al., Item-based collaborative filtering, WWW 2001.
 */
#ifndef TFRS_BASELINES_H
#define TFRS_BASELINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/topk.h"
#include "learning/held_out.h"
#include "learning/pair_set.h"

#define TFRS_NEIGHBOURS 100

typedef struct tfrs_popularity
{
	tfrs_pair_set order;		/* (UINT32_MAX - count, candidate) */
	const tfrs_events *events;	/* NULL: the caller has counted */
	uint32_t   *counts;			/* (N) of events */
	size_t		candidates;		/* N */
	size_t		position;		/* events counted */
} tfrs_popularity;

/*
 * Counts the queries that chose a candidate.  Without events (NULL) counts (N) are taken for it,
 * such as numbers of rows, where a query may count more than once.
 */
extern tfrs_status tfrs_popularity_begin(tfrs_popularity *popularity, tfrs_arena *arena,
										 const tfrs_events *events, const uint32_t *counts,
										 size_t candidates, tfrs_error *error);
extern tfrs_status tfrs_popularity_step(tfrs_popularity *popularity, tfrs_error *error);

/* The first k that are not marked, into top; returns how many there are. */
extern size_t tfrs_popularity_rank(const tfrs_popularity *popularity, const uint64_t *marked,
								   size_t k, uint32_t *top);

/* Scratch memory of one worker. */
typedef struct tfrs_item_item_scratch
{
	uint32_t   *common;			/* (N) queries in common; zero between uses */
	float	   *score;			/* (N) zero between uses */
	uint32_t   *touched;		/* (N + 1): one is written ahead */
	tfrs_hit   *hits;			/* (largest k) */
} tfrs_item_item_scratch;

extern tfrs_status tfrs_item_item_scratch_get(tfrs_item_item_scratch *scratch, tfrs_arena *arena,
											  size_t candidates, size_t k, tfrs_error *error);

typedef struct tfrs_item_item
{
	tfrs_arena *arena;
	const tfrs_events *events;
	size_t		candidates;		/* N */
	int			threads;
	tfrs_item_item_scratch *scratch;	/* (threads) the caller's */
	/* once built: the candidates that have i among their nearest, from start[i] to start[i + 1] */
	size_t	   *start;			/* (N + 1) */
	tfrs_hit   *near;			/* candidate and cosine */
	/* while it is built */
	int			phase;
	size_t		position;
	size_t		choices_done;	/* of a candidate that takes several steps */
	size_t		touched;		/* candidates that these have touched */
	uint32_t   *chosen;			/* queries by candidate */
	size_t	   *chosen_start;	/* (N + 1) */
	tfrs_hit   *nearest;		/* (N, TFRS_NEIGHBOURS) */
	uint32_t   *nearest_count;	/* (N) */
} tfrs_item_item;

/*
 * Takes 4 bytes an event and at most 1,600 a candidate.  What is not given back goes with the
 * arena.
 */
extern tfrs_status tfrs_item_item_begin(tfrs_item_item *item_item, tfrs_arena *arena,
										const tfrs_events *events, size_t candidates, int threads,
										tfrs_item_item_scratch *scratch, tfrs_error *error);
extern tfrs_status tfrs_item_item_step(tfrs_item_item *item_item, tfrs_error *error);

/* About how many scores a ranking of the query adds up. */
extern size_t tfrs_item_item_sums(const tfrs_item_item *item_item, uint32_t query);

/* The first k for a query that are not marked, into top; returns how many there are. */
extern size_t tfrs_item_item_rank(const tfrs_item_item *item_item, uint32_t query,
								  const uint64_t *marked, size_t k,
								  tfrs_item_item_scratch *scratch, uint32_t *top);

#endif							/* TFRS_BASELINES_H */
