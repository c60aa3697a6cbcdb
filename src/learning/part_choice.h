/*
 * part_choice.h: how much each part of a score weighs, by what it does for events that were withheld.
 *
 *     score = a (tower(q) . tower(c)) + w1 together + w2 next + w3 content
 *             + g (ln p_end(c) - ln p_all(c))
 *
 * In the order w2, w1, w3, a, g each weight is tried while the others stay; it is changed if that
 * gains more than a standard error over the queries, so what does nothing stays off, and what was
 * there before stays as it is.  The gain of a query is the mean over its withheld events of
 * 1 / log2(1 + rank), ranked among the candidates that it neither has nor has withheld and that have
 * been trained on.
 *
 * Queries that are not shown at all tell which list such ones get: what is popular now, or of all time.
 */
#ifndef TFRS_PART_CHOICE_H
#define TFRS_PART_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/pair_set.h"
#include "learning/part_fit.h"
#include "learning/tower.h"

/* Weights of a score's parts. */
typedef struct tfrs_part_weights
{
	float		part[TFRS_SCORE_PARTS];	/* w1, w2, w3 */
	float		towers;			/* a */
	float		recent;			/* g */
	bool		trending;		/* unknown queries get the largest p_end */
} tfrs_part_weights;

/* Which of them are given and stay: those of the order above. */
typedef struct tfrs_part_given
{
	bool		part[TFRS_SCORE_PARTS];
	bool		towers;
	bool		recent;
} tfrs_part_given;

/* Queries as the towers have learned them without what was withheld. */
typedef struct tfrs_part_test
{
	const tfrs_tower_shape *shape;
	const float *const *bag;	/* (bags) tables that they read */
	const float *candidate;		/* (N, D) as they are served */
	const tfrs_events *shown;	/* what is known of each query */
	const tfrs_pair_set *withheld;	/* finished */
	const tfrs_part_fit *fit;	/* on what is shown */
	int			threads;
	tfrs_part_given given;
} tfrs_part_test;

typedef struct tfrs_part_choice
{
	tfrs_arena *arena;
	tfrs_part_test test;
	size_t		candidates;		/* N */
	tfrs_part_weights weights;	/* so far, and at the end the result */
	size_t		queries;		/* Q that are ranked */
	size_t	   *list;			/* (Q) of the withheld pairs */
	int			tried;			/* which weight is tried */
	size_t		done;			/* queries that it was tried for */
	float	   *gain;			/* (Q, grid) */
	float	   *scratch;		/* (threads, ...) */
	size_t		scratch_stride;
	tfrs_part_sums *sums;		/* (threads) */
	uint64_t   *known;			/* (N bits) candidates with an event that is shown */
} tfrs_part_choice;

/* weights: where the choice begins.  Error: memory. */
extern tfrs_status tfrs_part_choice_begin(tfrs_part_choice *choice, tfrs_arena *arena,
										  const tfrs_part_test *test, size_t candidates,
										  const tfrs_part_weights *weights, tfrs_error *error);

/* TFRS_MORE until all are chosen. */
extern tfrs_status tfrs_part_choice_step(tfrs_part_choice *choice);

/* Queries that were ranked, by all weights, and how many will have been. */
extern void tfrs_part_choice_progress(const tfrs_part_choice *choice, uint64_t *done,
									  uint64_t *total);
extern void tfrs_part_choice_free(tfrs_part_choice *choice);

#endif							/* TFRS_PART_CHOICE_H */
