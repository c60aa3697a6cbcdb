/*
 * history_trainer.h: fits the history tower (history.h) by steps over states (states.h).
 *
 * A step draws a batch of states, sums their bags, takes the softmax over the columns (columns.h,
 * state_loss.h) and moves the rows that were touched.  The learning rate falls linearly to its last
 * value; the last step is kept.
 */
#ifndef TFRS_HISTORY_TRAINER_H
#define TFRS_HISTORY_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/columns.h"
#include "learning/history.h"
#include "learning/optimizer.h"
#include "learning/row_gradient.h"
#include "learning/state_loss.h"
#include "learning/states.h"

typedef struct tfrs_history_options
{
	tfrs_history_shape shape;
	tfrs_states_options states;
	uint32_t	batch;			/* states a step */
	uint32_t	steps;
	uint32_t	sampled;		/* columns sampled a step; 0: all candidates */
	bool		tied;			/* the bag of all uses the candidate table */
	float		query_dropout;	/* of the components of the summed bags */
	tfrs_optimizer optimizer;
	float		last_rate;		/* the learning rate falls linearly to this */
	float		initial_range;	/* tables start uniform in (-range, range) */
	uint64_t	seed;
	int			threads;
} tfrs_history_options;

/* One table of parameters with its optimizer state and this step's gradient. */
typedef struct tfrs_history_table
{
	float	   *values;			/* (N, D) */
	float	   *slot[2];		/* (N, D) or NULL */
	tfrs_row_gradient gradient;
} tfrs_history_table;

typedef struct tfrs_history_trainer
{
	tfrs_arena *arena;
	tfrs_history_options options;
	size_t		candidates;		/* N */
	uint64_t	step;			/* steps done */
	tfrs_history_table candidate;
	tfrs_history_table bag[TFRS_MAX_BAGS];
	tfrs_states states;
	tfrs_columns columns;
	tfrs_state_loss loss;
	float	   *query;			/* (batch, D) */
	float	   *d_query;		/* (batch, D) */
	float	   *keep;			/* (batch, D) 0 or 1 / (1 - dropout) */
	float	   *inverse_norm;	/* (batch) */
} tfrs_history_trainer;

extern tfrs_status tfrs_history_trainer_begin(tfrs_history_trainer *trainer, tfrs_arena *arena,
											  const tfrs_history_options *options,
											  const tfrs_events *events, size_t candidates,
											  tfrs_error *error);

/* One step; *loss receives the mean loss of its targets.  TFRS_OK after the last one. */
extern tfrs_status tfrs_history_trainer_step(tfrs_history_trainer *trainer, double *loss,
											 tfrs_error *error);

/* The table that bag b reads. */
extern const float *tfrs_history_trainer_table(const tfrs_history_trainer *trainer, uint32_t bag);

/* The candidates as served (N, D). */
extern void tfrs_history_trainer_serve(const tfrs_history_trainer *trainer, float *served);

extern void tfrs_history_trainer_free(tfrs_history_trainer *trainer);

#endif							/* TFRS_HISTORY_TRAINER_H */
