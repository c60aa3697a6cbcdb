/*
 * training_data.h: what is learned from: the rows and, where a training goes on from an earlier
 * model, what that one has stored.
 *
 *     [find earlier ids] -> [collect the events of each query]
 */
#ifndef TFRS_TRAINING_DATA_H
#define TFRS_TRAINING_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/event_collector.h"
#include "learning/hyperparameters.h"
#include "learning/interactions.h"
#include "learning/model.h"
#include "learning/warm_start.h"

typedef enum tfrs_data_phase
{
	TFRS_DATA_FIND = 0,
	TFRS_DATA_COLLECT,
	TFRS_DATA_KNOWN
} tfrs_data_phase;

typedef struct tfrs_training_data
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	tfrs_interactions *interactions;
	const tfrs_model *model;	/* the earlier one, or NULL */
	tfrs_data_phase phase;
	tfrs_warm_start warm;		/* from it */
	tfrs_event_collector collector;
	tfrs_events events;			/* of all queries; no queries where none are collected */
} tfrs_training_data;

/* All that is given must outlive it.  Errors of tfrs_warm_start_check. */
extern tfrs_status tfrs_training_data_begin(tfrs_training_data *data, tfrs_arena *arena,
											const tfrs_train_options *options,
											tfrs_interactions *interactions,
											const tfrs_model *model, tfrs_error *error);
extern void tfrs_training_data_free(tfrs_training_data *data);

/* TFRS_MORE until all is known. */
extern tfrs_status tfrs_training_data_step(tfrs_training_data *data, tfrs_error *error);

/* What an earlier model left, or NULL. */
extern const tfrs_warm_start *tfrs_training_data_warm(const tfrs_training_data *data);

/* Rows of each query (V) and candidate (N), in all trainings. */
extern const uint32_t *tfrs_training_data_query_rows(const tfrs_training_data *data);
extern const uint32_t *tfrs_training_data_candidate_rows(const tfrs_training_data *data);

/* Of all trainings, those once that are a stored event again. */
extern uint64_t tfrs_training_data_rows(const tfrs_training_data *data);

extern size_t tfrs_training_data_candidates(const tfrs_training_data *data);

/* How often each candidate (N) was chosen, where some never were; else NULL. */
extern const uint32_t *tfrs_training_data_chosen(const tfrs_training_data *data);

#endif							/* TFRS_TRAINING_DATA_H */
