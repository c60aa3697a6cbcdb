/*
 * negatives.h: which candidates are the columns of a batch's softmax.
 *
 *     all         every candidate once
 *     sampled     a uniform sample of n beside the batch's targets: a sampled column counts N / n, a
 *                 target's that was not sampled 0, so that the sum over negatives stays unbiased
 *     in batch    the candidates that the batch's examples chose, each as often as it was, and some
 *                 drawn uniformly; with what probability a column came to be there is known
 *                 (q = (B p + n / N) / (B + n), p its share of the data), for a correction
 *     repeated    the same as TFRS has it: column i is what row i chose, whatever repeats
 *
 * A candidate that nobody has chosen is no negative of anybody: such columns count 0 or are not
 * drawn, so that no vector learns to stay away from what is new.
 *
 * The batch's targets become lists of columns, and so does what is hidden: what a row's query is
 * known to have chosen anywhere in the data (mask_known) is no negative of it.
 */
#ifndef TFRS_NEGATIVES_H
#define TFRS_NEGATIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "base/random.h"
#include "learning/examples.h"
#include "learning/history.h"

typedef enum tfrs_negatives_kind
{
	TFRS_NEGATIVES_ALL = 0,
	TFRS_NEGATIVES_SAMPLED,
	TFRS_NEGATIVES_IN_BATCH,
	TFRS_NEGATIVES_REPEATED
} tfrs_negatives_kind;

typedef struct tfrs_negatives
{
	tfrs_arena *arena;
	tfrs_negatives_kind kind;
	size_t		candidates;		/* N */
	size_t		drawn;			/* n uniformly, of a sample or beside the batch's */
	size_t		positives;		/* of a batch at most */
	size_t		room;			/* columns at most */
	const tfrs_events *known;	/* what is hidden, or NULL */
	const uint32_t *chosen;		/* (N) how often each was, where some never were; or NULL */
	bool		corrects;		/* with what probability a column was sampled is wanted */
	const uint32_t *frequency;	/* (N) of each candidate among all positives, then */
	double		total;			/* of the frequencies */
	/* the columns */
	size_t		count;			/* C */
	uint32_t   *candidate;		/* (C) */
	float	   *weight;			/* (C) columns that one stands for; NULL for ones */
	float	   *probability;	/* (C), or NULL */
	uint32_t   *place;			/* (N) column of a candidate, believed where it has the candidate */
	size_t		distinct;		/* of repeated columns: V candidates that differ */
	uint32_t   *differing;		/* (V) they */
	uint32_t   *number;			/* (C) which of them a column has */
	/* the rows */
	tfrs_ragged target;			/* columns, ascending */
	tfrs_ragged hidden;
	bool		hides;			/* some rows have hidden columns */
	uint64_t   *bits;			/* (room / 64 + 1) columns of a row, between rows 0 */
	float	   *sum;			/* (room) their weights */
} tfrs_negatives;

/* Sizes, before anything is taken: kind, candidates, chosen, drawn, corrects and known are set,
 * events in all. */
extern void tfrs_negatives_size(tfrs_negatives *negatives, const tfrs_examples_most *most,
								bool hides);
extern void tfrs_negatives_plan(tfrs_plan *plan, tfrs_negatives *negatives);

/* The arrays are there. */
extern void tfrs_negatives_begin(tfrs_negatives *negatives);

/*
 * Chooses the columns of a batch, by the step's random numbers or by uniform, and lists what its
 * rows have of them.  Errors: memory, of hidden cells of repeated columns.
 */
extern tfrs_status tfrs_negatives_choose(tfrs_negatives *negatives, const tfrs_examples *batch,
										 tfrs_random *random, tfrs_error *error);

#endif							/* TFRS_NEGATIVES_H */
