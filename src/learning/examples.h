/*
 * examples.h: a batch of what a training learns from, whatever it is drawn from.
 *
 * An example is a row of the softmax: cells for the encoders of the query tower, and the candidates
 * that it is to lead to.  interaction_examples.h and state_examples.h make them; towers, negatives
 * and the loss know no more of them than this.
 */
#ifndef TFRS_EXAMPLES_H
#define TFRS_EXAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/encoder.h"
#include "learning/history.h"
#include "learning/ragged.h"

typedef struct tfrs_examples
{
	size_t		rows;			/* B; 0 where an epoch ended with nothing left to train on */
	tfrs_cells	cells[TFRS_MAX_BAGS];	/* of each encoder of the query's key */
	const uint32_t *query;		/* (B) */
	const uint32_t *query_row;	/* (B) the numbers of their rows (feature_rows.h), or NULL */
	tfrs_ragged target;			/* candidates of each row and their weights, in any order; one may
								 * be there several times */
	bool		hides_targets;	/* a row's targets are no negatives of each other */

	/* Candidates that were chosen, one for each thing that is trained on: what an in-batch softmax
	 * has as columns. */
	size_t		positives;
	const uint32_t *positive;	/* (positives) */

	/* progress */
	size_t		items;			/* rows of the data that the batch stands for */
	double		units;			/* what the loss is told by: items, or batches of states */
	bool		ends_epoch;
	uint64_t	done;			/* of all epochs, this batch included */
	uint64_t	total;
} tfrs_examples;

/* The most that the batches of a source can have. */
typedef struct tfrs_examples_most
{
	size_t		rows;
	size_t		positives;
	size_t		targets;
	size_t		known;			/* events of a batch's queries */
	size_t		items[TFRS_MAX_BAGS];	/* rows of its table that an encoder reads */
	size_t		shared[TFRS_MAX_BAGS];	/* shared lists of an encoder */
} tfrs_examples_most;

#endif							/* TFRS_EXAMPLES_H */
