/*
 * history_trainer.h: fits the history tower (history.h) by steps over states (states.h).
 *
 * A step draws a batch of states, sums their bags, takes the softmax over the columns (columns.h,
 * state_loss.h) and moves the rows that were touched.  The learning rate falls linearly to its last
 * value; the last step is kept.  Nothing is learned about a query itself: its vector follows from
 * its events.
 */
#ifndef TFRS_HISTORY_TRAINER_H
#define TFRS_HISTORY_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/columns.h"
#include "learning/history.h"
#include "learning/hyperparameters.h"
#include "learning/row_gradient.h"
#include "learning/state_loss.h"
#include "learning/states.h"
#include "learning/table.h"

/* One table of parameters with this step's gradient; no table of its own where it is tied. */
typedef struct tfrs_history_table
{
	tfrs_table	table;			/* (N + 1, D) */
	tfrs_row_gradient gradient;
} tfrs_history_table;

typedef struct tfrs_history_trainer
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	tfrs_history_shape shape;
	size_t		candidates;		/* N */
	uint32_t	filled;			/* tables that have their initial values */
	tfrs_random fill;			/* of the table being filled */
	uint64_t	step;			/* steps done */
	tfrs_history_table candidate;
	tfrs_history_table bag[TFRS_MAX_BAGS];
	tfrs_states states;
	tfrs_columns columns;
	tfrs_state_loss loss;
	float	   *query;			/* (batch, D) */
	float	   *d_query;		/* (batch, D) */
	float	   *keep;			/* (batch, D) 0 or 1 / (1 - dropout) */
	float	   *scale;			/* (batch) of the L2 norm */
} tfrs_history_trainer;

/* options, its history part on, and the events must outlive the trainer. */
extern tfrs_status tfrs_history_trainer_begin(tfrs_history_trainer *trainer, tfrs_arena *arena,
											  const tfrs_train_options *options,
											  const tfrs_events *events, size_t candidates,
											  tfrs_error *error);

/*
 * TFRS_MORE until the last step is done; one call fills a part of a table (*stepped false) or does one
 * step, whose mean loss of a target *loss receives.  TFRS_NOT_FINITE as in update.h.
 */
extern tfrs_status tfrs_history_trainer_step(tfrs_history_trainer *trainer, bool *stepped,
											 double *loss, tfrs_error *error);

/* The table that bag b reads. */
extern const float *tfrs_history_trainer_table(const tfrs_history_trainer *trainer, uint32_t bag);
extern bool tfrs_history_trainer_is_tied(const tfrs_history_trainer *trainer, uint32_t bag);

extern void tfrs_history_trainer_free(tfrs_history_trainer *trainer);

/* Adds to *bytes what begin and the steps take for V queries with that many events in all; false
 * where that overflows. */
extern bool tfrs_history_trainer_bytes(const tfrs_train_options *options, size_t queries,
									   size_t candidates, size_t events, size_t *bytes);

#endif							/* TFRS_HISTORY_TRAINER_H */
