/*
 * interaction_examples.h: examples out of the interactions themselves, epoch by epoch.
 *
 * A batch is some rows of the interactions in the order of the epoch (TFRS's way).  Rows of one
 * query are one example with several targets, where its features are the same in all of them, unless
 * every row is to be an example of its own: then example i has the one target that row i chose (the
 * plain form, hard negatives).
 *
 * Rows weigh count(query)^-w times their own weight, 1 on the average, w the option query_weight; a
 * share of them may be taken for rows of an unknown query (id_dropout), so that its row of the table
 * learns what all share; rows of what is held out are passed over.
 */
#ifndef TFRS_INTERACTION_EXAMPLES_H
#define TFRS_INTERACTION_EXAMPLES_H

#include "learning/event_split.h"
#include "learning/examples.h"
#include "learning/hyperparameters.h"
#include "learning/interactions.h"

typedef struct tfrs_interaction_examples
{
	const tfrs_train_options *options;
	tfrs_interactions *interactions;
	const tfrs_event_split *split;	/* what is held out, or NULL */
	const uint32_t *counts;		/* (V) rows of each query */
	size_t		count;			/* rows of all */
	size_t		queries;		/* V */
	size_t		capacity;		/* rows of a batch at most */
	bool		merges;			/* rows of one query are one example */
	bool		has_rows;		/* a query's features may differ from row to row */
	uint32_t	epoch;			/* from 1 */
	uint64_t	batch;			/* batches of the epoch so far */
	size_t		read;			/* rows of the epoch so far */
	size_t		held;			/* of the batch that is read */
	size_t		weighed;		/* queries whose weight is summed */
	double		weight;			/* of all rows of these */
	tfrs_interaction *row;		/* (capacity) */
	uint32_t   *positive;		/* (capacity) */
	uint32_t   *query;			/* (capacity) of each example: distinct, where rows are merged */
	uint32_t   *query_row;		/* (capacity) of each example, where there are rows */
	uint32_t   *number;			/* (capacity) example of each row */
	uint32_t   *place;			/* (V + 1) example of a query, believed where query[place] is it */
	uint32_t   *start;			/* (capacity + 1) rows of each example */
	uint32_t   *order;			/* (capacity) rows grouped by example */
} tfrs_interaction_examples;

/* Sizes, before anything is taken; queries and count may be upper bounds.  has_rows is set behind. */
extern void tfrs_interaction_examples_size(tfrs_interaction_examples *source,
										   const tfrs_train_options *options, size_t queries,
										   size_t count);
extern void tfrs_interaction_examples_most(const tfrs_interaction_examples *source,
										   tfrs_examples_most *most);

/* Its arrays and those of its batches, as a part of a list. */
extern void tfrs_interaction_examples_plan(tfrs_plan *plan, tfrs_interaction_examples *source,
										   tfrs_examples *batch);

/* The arrays are there.  split: what is held out, or NULL. */
extern tfrs_status tfrs_interaction_examples_begin(tfrs_interaction_examples *source,
												   tfrs_interactions *interactions,
												   const tfrs_event_split *split,
												   tfrs_error *error);

/* TFRS_MORE until batches can be drawn; TFRS_MORE until one is. */
extern tfrs_status tfrs_interaction_examples_prepare(tfrs_interaction_examples *source);
extern tfrs_status tfrs_interaction_examples_draw(tfrs_interaction_examples *source,
												  tfrs_examples *batch, tfrs_error *error);

#endif							/* TFRS_INTERACTION_EXAMPLES_H */
