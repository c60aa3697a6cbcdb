/*
 * part_training.h: what a training of a history tower does for the parts beside it: a pilot chooses
 * their weights before the towers are trained, and they are fitted and folded in afterwards.
 *
 *     begin -> choose step ... -> (towers) -> fit begin -> fit step ... -> fill
 *
 * Weights that need no search of their own are folded into what is served: the towers' weight into the
 * temperature and the bias, popularity into the candidates' bias.
 */
#ifndef TFRS_PART_TRAINING_H
#define TFRS_PART_TRAINING_H

#include "base/arena.h"
#include "learning/model_writer.h"
#include "learning/part_fit.h"
#include "learning/pilot.h"

typedef struct tfrs_part_training
{
	tfrs_arena *arena;
	tfrs_pilot	pilot;
	tfrs_part_weights weights;
	const tfrs_content *content;	/* of the candidates, or NULL */
	bool		content_given;	/* how much it weighs */
	tfrs_part_fit fit;
	tfrs_score_parts scores;	/* as they are served */
	tfrs_model_score score;
} tfrs_part_training;

/* As tfrs_pilot_begin; without a pilot the weights are those of the options or of an earlier model. */
extern tfrs_status tfrs_part_training_begin(tfrs_part_training *parts, tfrs_arena *arena,
											const tfrs_pilot_training *training,
											tfrs_error *error);

/* TFRS_MORE until the weights are chosen; options receives them. */
extern tfrs_status tfrs_part_training_choose_step(tfrs_part_training *parts,
												  tfrs_part_options *options, tfrs_error *error);

/* The events that are served. */
extern void tfrs_part_training_fit_begin(tfrs_part_training *parts, const tfrs_events *events,
										 size_t candidates, int threads);

/* TFRS_MORE until the parts are fitted, and folded into the tower that is served. */
extern tfrs_status tfrs_part_training_fit_step(tfrs_part_training *parts,
											   tfrs_tower_shape *shape, tfrs_tensor *candidates,
											   float *unknown, tfrs_error *error);

/* Adds them to what is written. */
extern void tfrs_part_training_fill(const tfrs_part_training *parts, tfrs_model_parts *model);

extern void tfrs_part_training_free(tfrs_part_training *parts);

/*
 * Adds the most that is taken beside the towers, at one time; warm: a training that goes on, which has
 * no pilot.
 */
extern void tfrs_part_training_plan(tfrs_plan *plan, const tfrs_train_options *options,
									const tfrs_events *events, size_t candidates, bool warm);

#endif							/* TFRS_PART_TRAINING_H */
