/*
 * validation.h: ranks what a training does not see while it runs, and keeps the best epoch.
 *
 *     split -> per epoch: finish a copy of the candidates -> rank -> keep the parameters if best
 *
 * A tested event (event_split.h) is a relevant candidate of its query, which ranks the whole
 * catalogue by the events that are shown of it and without these (evaluation.h).
 */
#ifndef TFRS_VALIDATION_H
#define TFRS_VALIDATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/descent.h"
#include "learning/evaluation.h"
#include "learning/event_split.h"
#include "learning/history.h"
#include "learning/hyperparameters.h"
#include "learning/pair_set.h"

typedef enum tfrs_validation_phase
{
	TFRS_VALIDATION_SERVE = 0,
	TFRS_VALIDATION_LIST,
	TFRS_VALIDATION_RANK
} tfrs_validation_phase;

typedef struct tfrs_validation
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	size_t		candidates;		/* N */
	const uint32_t *candidate_counts;
	tfrs_event_split split;		/* stepped by the caller until it is whole */
	/* the measurement under way */
	tfrs_validation_phase phase;
	size_t		done;
	float	   *served;			/* (N + 1, D) candidates as they are served */
	float	   *unknown;		/* (D) */
	tfrs_pair_set relevant;		/* the tested pairs again: an evaluation uses them up */
	bool		listing;		/* relevant is being filled */
	tfrs_evaluation *evaluation;
	tfrs_model_shape shape;
	tfrs_model	model;			/* a view of the parameters */
	double		value;			/* of the metric */
	/* the best so far */
	double		best;
	uint32_t	best_epoch;		/* 0: none */
	uint32_t	worse;			/* measurements since */
} tfrs_validation;

/* The events, options and counts (N) must outlive it.  Errors of tfrs_event_split_begin. */
extern tfrs_status tfrs_validation_begin(tfrs_validation *validation, tfrs_arena *arena,
										 const tfrs_train_options *options,
										 const tfrs_events *events, size_t candidates,
										 const uint32_t *candidate_counts, tfrs_error *error);
extern void tfrs_validation_free(tfrs_validation *validation);

/* What is taken beside an evaluation, as a part of a list that is counted: of counts that may be
 * upper bounds. */
extern void tfrs_validation_plan(tfrs_plan *plan, const tfrs_train_options *options,
								 const tfrs_events *events, size_t candidates);

/* Whether the parameters are to be measured after that epoch. */
extern bool tfrs_validation_is_due(const tfrs_validation *validation, uint32_t epoch);

/* TFRS_MORE until value is measured and the parameters are kept where it is the best. */
extern tfrs_status tfrs_validation_measure_step(tfrs_validation *validation,
												tfrs_descent *descent, uint32_t epoch,
												tfrs_error *error);

/* Whether patience has come to its end. */
extern bool tfrs_validation_is_over(const tfrs_validation *validation);

#endif							/* TFRS_VALIDATION_H */
