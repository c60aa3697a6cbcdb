/*
 * history_trainer.h: fits the history tower (history.h) by steps over states (states.h).
 *
 * A step draws a batch of states, sums their bags, takes the softmax over the columns (columns.h,
 * state_loss.h) and moves the rows that were touched.  The learning rate follows the schedule; the
 * last step is kept.  Nothing is learned about a query itself: its vector follows from its events.
 */
#ifndef TFRS_HISTORY_TRAINER_H
#define TFRS_HISTORY_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/columns.h"
#include "learning/history.h"
#include "learning/history_tables.h"
#include "learning/hyperparameters.h"
#include "learning/state_loss.h"
#include "learning/states.h"

typedef struct tfrs_history_trainer
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	tfrs_history_shape shape;
	size_t		candidates;		/* N */
	size_t		batch_rows;		/* most rows of a batch */
	int			phase;			/* what the next call does */
	uint32_t	bag;			/* which one the phase is at */
	size_t		done;			/* of the batch's rows, columns or lists */
	tfrs_random random;			/* of the step's columns and dropout */
	uint64_t	step;			/* the step under way, from 1 */
	double		total;			/* its loss */
	tfrs_history_tables tables;
	tfrs_states states;
	tfrs_columns columns;
	tfrs_state_loss loss;
	float	   *query;			/* (batch_rows, D) */
	float	   *d_query;		/* (batch_rows, D) */
	float	   *keep;			/* (batch_rows, D) 0 or 1 / (1 - dropout) */
	float	   *scale;			/* (batch_rows) of the L2 norm */
	float	   *shared;			/* (batch_rows, D) sums that rows of a query share, or NULL */
	float	   *d_shared;		/* (batch_rows, D) */
} tfrs_history_trainer;

/* What a training is made of; all of it must outlive the trainer. */
typedef struct tfrs_history_training
{
	const tfrs_train_options *options;	/* its history part is on */
	const tfrs_events *events;
	size_t		candidates;		/* N */
	const tfrs_warm_start *warm;	/* NULL: from the beginning */
} tfrs_history_training;

extern tfrs_status tfrs_history_trainer_begin(tfrs_history_trainer *trainer, tfrs_arena *arena,
											  const tfrs_history_training *training,
											  tfrs_error *error);

/*
 * TFRS_MORE until the last step is done.  One call does a bounded piece of the preparation or of a
 * step; *stepped tells that it ended one, whose mean loss of a target *loss receives then.
 * TFRS_NOT_FINITE as in update.h.
 */
extern tfrs_status tfrs_history_trainer_step(tfrs_history_trainer *trainer, bool *stepped,
											 double *loss, tfrs_error *error);

extern void tfrs_history_trainer_free(tfrs_history_trainer *trainer);

/*
 * Adds to *bytes the most that begin and the steps take; of events only the counts are looked at,
 * which may be upper bounds; longest: the most events of a query.  false where that overflows.
 */
extern bool tfrs_history_trainer_bytes(const tfrs_train_options *options,
									   const tfrs_events *events, size_t longest,
									   size_t candidates, size_t *bytes);

#endif							/* TFRS_HISTORY_TRAINER_H */
