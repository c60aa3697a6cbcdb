/*
 * warm_start.h: a training that goes on from an earlier model (tfrs.retrain).
 *
 * The interactions of the new training know the earlier model's ids too (tfrs_interactions_know_*).
 * Here is where each of them is now, how many rows it has had, and how its parameters and what its
 * optimizer remembered get into the new tables.  Ids that are new begin as in any training.
 */
#ifndef TFRS_WARM_START_H
#define TFRS_WARM_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/event_collector.h"
#include "learning/history.h"
#include "learning/hyperparameters.h"
#include "learning/interactions.h"
#include "learning/model.h"
#include "learning/tensors.h"

typedef enum tfrs_warm_phase
{
	TFRS_WARM_QUERIES = 0,
	TFRS_WARM_CANDIDATES,
	TFRS_WARM_FOUND
} tfrs_warm_phase;

typedef struct tfrs_warm_start
{
	tfrs_arena *arena;
	const tfrs_model *model;	/* the earlier one: V, N ids */
	const tfrs_interactions *interactions;
	tfrs_warm_phase phase;
	size_t		done;
	uint32_t   *query;			/* (V + 1) the row of each query now; the unknown slot last */
	uint32_t   *candidate;		/* (N + 1) */
	/* rows of all trainings, one that repeats a stored event left out */
	uint32_t   *query_rows;		/* (queries now) */
	uint32_t   *candidate_rows; /* (candidates now) */
	bool		keeps_state;	/* the optimizer goes on where it was */
	tfrs_stored_events stored;	/* for the event collector; no events where none are stored */
} tfrs_warm_start;

/*
 * Errors: memory; TFRS_TOO_LARGE: more rows than a model may have.  The options have passed
 * tfrs_warm_start_check; the model must outlive the warm start.
 */
extern tfrs_status tfrs_warm_start_begin(tfrs_warm_start *warm, tfrs_arena *arena,
										 const tfrs_model *model,
										 const tfrs_train_options *options,
										 const tfrs_interactions *interactions,
										 tfrs_error *error);
extern void tfrs_warm_start_free(tfrs_warm_start *warm);

/* What begin takes for so many ids, as a part of a list that is counted. */
extern void tfrs_warm_start_plan(tfrs_plan *plan, const tfrs_model *model, size_t queries,
								 size_t candidates);

/* Looks up the earlier ids among those of now: TFRS_MORE until done; before all that follows.
 * TFRS_INVALID_ARGUMENT: the interactions were not told of one. */
extern tfrs_status tfrs_warm_start_step(tfrs_warm_start *warm, tfrs_error *error);

/*
 * Whether a training with these options can go on from the model: TFRS_INVALID_ARGUMENT where its
 * tables would have another shape, or times are given to one of the two only.
 */
extern tfrs_status tfrs_warm_start_check(const tfrs_model *model,
										 const tfrs_train_options *options, bool has_time,
										 tfrs_error *error);

/* The options of a history tower as the model's shape has them, whatever the
 * new rows would make. */
extern void tfrs_warm_start_keep_shape(const tfrs_model *model, tfrs_history_options *history);

/* Copies earlier parameters over initial ones: TFRS_MORE until done. */
extern tfrs_status tfrs_warm_start_copy_step(const tfrs_warm_start *warm,
											 tfrs_tensors *parameters);

/* Steps that the optimizer had done where its state is kept, else 0. */
extern uint64_t tfrs_warm_start_steps(const tfrs_warm_start *warm);

#endif							/* TFRS_WARM_START_H */
