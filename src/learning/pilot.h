/*
 * pilot.h: a training on a part of the events, which chooses the weights of a score's parts
 * (part_choice.h) for the training on all of them.
 *
 *     order by time -> withhold -> fit the towers -> serve them -> fit the other parts -> choose
 *
 * With times the newest twentieth of the events is withheld, as the future will be.  Often most
 * queries have none of these: their own last events are withheld too, so that a weight has to do
 * something for both.  Without times, or where the newest events have no older ones beside them, a
 * random tenth is withheld, and then popularity is that of all time.  Withholding events from the final fit would cost more than the choice gains, so the pilot's
 * tables are thrown away.
 */
#ifndef TFRS_PILOT_H
#define TFRS_PILOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/event_split.h"
#include "learning/descent.h"
#include "learning/part_choice.h"
#include "learning/part_fit.h"
#include "learning/serving.h"
#include "learning/time_order.h"

/* What the descent of the training that is to come is told. */
typedef struct tfrs_pilot_training
{
	const tfrs_train_options *options;	/* resolved */
	tfrs_descent_counts counts;
	tfrs_descent_data data;
	const uint32_t *query_counts;	/* (V) */
	const tfrs_content *content;	/* of the candidates, or NULL */
} tfrs_pilot_training;

/* How far a pilot is. */
typedef struct tfrs_pilot_progress
{
	uint64_t	done;			/* steps of its training, then queries that are ranked */
	uint64_t	total;			/* of them; 0 where it does neither */
	uint64_t	batches;		/* that were trained on */
	uint64_t	rows;
	double		loss;			/* mean of the batches' so far */
} tfrs_pilot_progress;

/* What a training without a pilot begins with, and with which the choice begins. */
extern tfrs_part_weights tfrs_pilot_weights(const tfrs_part_options *options, bool has_time);

/* Whether one is worth its time: there are weights to be chosen and events enough. */
extern bool tfrs_pilot_is_due(const tfrs_train_options *options, const tfrs_events *events);

typedef struct tfrs_pilot
{
	tfrs_arena *arena;
	tfrs_pilot_training training;
	tfrs_train_options options; /* of the pilot's own training */
	const tfrs_events *events;
	size_t		candidates;		/* N */
	const uint32_t *candidate_counts;	/* (N) */
	int			phase;			/* what the next step does */
	bool		has_window;
	tfrs_time_order order;
	tfrs_event_split split;
	tfrs_descent descent;
	tfrs_serving serving;
	const float *bag[TFRS_MAX_BAGS];
	tfrs_part_fit parts;
	tfrs_part_choice choice;
	tfrs_pilot_progress progress;
	double		losses;			/* sum of the batches' */
	double		units;			/* of the batches */
	tfrs_part_weights weights;	/* the result */
} tfrs_pilot;

/* All that the training points to must outlive the pilot. */
extern tfrs_status tfrs_pilot_begin(tfrs_pilot *pilot, tfrs_arena *arena,
									const tfrs_pilot_training *training, tfrs_error *error);

/* TFRS_MORE until the weights are chosen.  Errors: as of tfrs_descent_step. */
extern tfrs_status tfrs_pilot_step(tfrs_pilot *pilot, tfrs_error *error);

/* The weights stay. */
extern void tfrs_pilot_free(tfrs_pilot *pilot);

#endif							/* TFRS_PILOT_H */
