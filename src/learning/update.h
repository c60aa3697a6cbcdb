/*
 * update.h: one update of both tables from one batch of rows.
 *
 *     assemble -> gather -> [normalize] -> loss -> [normalize's gradient] -> optimizer
 *
 * Vectors are computed once for each distinct id of the batch.  The loss sees them so (distinct
 * form) or spread to one a row (plain form); then the gradients of equal rows are summed.
 *
 * Columns of the softmax are the batch's candidates, as many drawn uniformly as the options say
 * (then a column was drawn with probability q = (B p + n / N) / (B + n)), or all candidates.
 *
 * The tables, options, probabilities and events are the caller's and must outlive the update.
 */
#ifndef TFRS_UPDATE_H
#define TFRS_UPDATE_H

#include "learning/batch.h"
#include "learning/hyperparameters.h"
#include "learning/table.h"

typedef struct tfrs_update tfrs_update;

/* Rows whose positive was among the first k of its batch, for each k of the options. */
typedef struct tfrs_batch_accuracy
{
	double		weight;			/* of all rows */
	double		hits[TFRS_MAX_CUTOFFS];	/* weight of those rows */
} tfrs_batch_accuracy;

/* probability: (N) of each candidate in the rows, or NULL; batch_rows: most rows of a batch. */
typedef struct tfrs_update_parts
{
	const tfrs_train_options *options;
	tfrs_table *query;
	tfrs_table *candidate;
	const float *probability;
	const tfrs_events *known;	/* with mask_known, else NULL */
	size_t		batch_rows;
	tfrs_batch_accuracy *accuracy;	/* added to with each batch, where the options ask for it */
	uint64_t	steps;			/* updates of the whole training, for the schedule */
	uint64_t	earlier_steps;	/* that the optimizer has done before */
} tfrs_update_parts;

extern tfrs_status tfrs_update_create(tfrs_update **update, tfrs_arena *arena,
									  const tfrs_update_parts *parts, tfrs_error *error);
/* Steps of the optimizer so far, earlier ones too. */
extern uint64_t tfrs_update_steps(const tfrs_update *update);
extern void tfrs_update_destroy(tfrs_update *update);

/* What an update has to do with. */
typedef struct tfrs_update_counts
{
	size_t		rows;			/* of a batch, at most */
	size_t		queries;
	size_t		candidates;
	size_t		events;			/* known pairs */
} tfrs_update_counts;

/* Adds to *bytes what an update takes at most; false where that overflows. */
extern bool tfrs_update_bytes(const tfrs_train_options *options, const tfrs_update_counts *counts,
							  size_t *bytes);

/* 1 .. batch_rows rows, else TFRS_INVALID_ARGUMENT.  They are read here only. */
extern tfrs_status tfrs_update_begin(tfrs_update *update, const tfrs_interaction *rows,
									 size_t count, tfrs_error *error);

/*
 * TFRS_MORE until the tables are updated; then *loss is the batch's loss before the update.
 * TFRS_NOT_FINITE: the loss or a parameter overflowed; the message is the caller's to complete.
 */
extern tfrs_status tfrs_update_step(tfrs_update *update, double *loss, tfrs_error *error);

#endif							/* TFRS_UPDATE_H */
