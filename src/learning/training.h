/*
 * training.h: what a training needs, by its options and the counts of its rows, before any work.
 */
#ifndef TFRS_TRAINING_H
#define TFRS_TRAINING_H

#include <stdbool.h>
#include <stddef.h>

#include "learning/event_collector.h"
#include "learning/hyperparameters.h"
#include "learning/interactions.h"
#include "learning/model.h"

/* How rows become events. */
extern tfrs_event_options tfrs_training_event_options(const tfrs_train_options *options,
													  const tfrs_interactions *interactions);

/* Whether the events of each query are needed, or were stored by an earlier model (or NULL). */
extern bool tfrs_training_needs_events(const tfrs_train_options *options,
									   const tfrs_model *model);

/*
 * The most bytes of parameters and scratch that a training takes; model: an earlier one to go on
 * from, or NULL.  Error: TFRS_TOO_LARGE.
 */
extern tfrs_status tfrs_training_estimate(const tfrs_train_options *options,
										  const tfrs_interactions *interactions,
										  const tfrs_model *model, size_t *bytes,
										  tfrs_error *error);

#endif							/* TFRS_TRAINING_H */
