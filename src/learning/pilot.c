/*
 * pilot.c: the phases of pilot.h.
 */
#include "learning/pilot.h"

#include <math.h>
#include <string.h>

/* With fewer events nothing is chosen: the weights would be those of chance. */
#define LEAST_EVENTS 1000

/* A part that weighs less is none. */
#define LEAST_WEIGHT 1e-6f

/* Of the events are withheld: without times no more than are looked at, with times the newest of all
 * and, of each query that has none of them, the newest of its own. */
#define WITHHELD 0.1
#define MOST_RANDOM 20000.0
#define WINDOW 0.05

/* Where the newest events hold more of all than this, they are no window: times tell too little. */
#define MOST_WINDOW 0.25

/* Of the training's steps. */
#define STEPS_SHARE 0.25

enum
{
	ORDER,
	SPLIT,
	TRAIN,
	SERVE,
	FIT_PARTS,
	CHOOSE,
	CHOSEN
};

tfrs_part_weights
tfrs_pilot_weights(const tfrs_part_options *options, bool has_time)
{
	tfrs_part_weights weights = {.towers = 1};

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		weights.part[p] = options->weight[p] >= LEAST_WEIGHT ? options->weight[p] : 0;
	if (!has_time)
		weights.part[TFRS_NEXT] = 0;
	if (options->towers > 0)
		weights.towers = options->towers;
	if (options->recent >= 0 && has_time)
		weights.recent = options->recent;
	return weights;
}

bool
tfrs_pilot_is_due(const tfrs_train_options *options, const tfrs_events *events)
{
	const tfrs_part_options *parts = &options->parts;
	bool		timed = events->at != NULL;

	return parts->pilot && events->count >= LEAST_EVENTS && options->mask_known &&
		(parts->weight[TFRS_TOGETHER] < 0 || (timed && parts->weight[TFRS_NEXT] < 0) ||
		 parts->towers <= 0 || (timed && parts->recent < 0));
}

void
tfrs_pilot_free(tfrs_pilot *pilot)
{
	if (pilot->arena == NULL)
		return;
	tfrs_part_choice_free(&pilot->choice);
	tfrs_part_fit_free(&pilot->parts);
	tfrs_serving_free(&pilot->serving);
	tfrs_descent_free(&pilot->descent);
	tfrs_event_split_free(&pilot->split);
	tfrs_time_order_free(&pilot->order);
	tfrs_arena_release(pilot->arena, (void *) pilot->candidate_counts);
	*pilot = (tfrs_pilot) {.weights = pilot->weights};
}

/* Rows of each candidate, for averages that nobody looks at: ones. */
static tfrs_status
get_counts(tfrs_pilot *pilot, tfrs_error *error)
{
	uint32_t   *counts;
	tfrs_status status = TFRS_GET(pilot->arena, &counts, pilot->candidates, error);

	for (size_t c = 0; c < pilot->candidates && status == TFRS_OK; c++)
		counts[c] = 1;
	pilot->candidate_counts = counts;
	return status;
}

tfrs_status
tfrs_pilot_begin(tfrs_pilot *pilot, tfrs_arena *arena, const tfrs_pilot_training *training,
				 tfrs_error *error)
{
	const tfrs_train_options *options = training->options;
	const tfrs_events *events = training->counts.events;
	tfrs_status status;

	memset(pilot, 0, sizeof(*pilot));
	pilot->arena = arena;
	pilot->options = *options;
	pilot->options.history.steps = (uint32_t) ceil(STEPS_SHARE * options->history.steps);
	pilot->events = events;
	pilot->candidates = training->counts.candidates;
	pilot->training = *training;
	pilot->weights = tfrs_pilot_weights(&options->parts, events->at != NULL);
	status = get_counts(pilot, error);
	if (status == TFRS_OK && events->at != NULL)
		status = tfrs_time_order_begin(&pilot->order, arena, events, error);
	if (status != TFRS_OK)
		tfrs_pilot_free(pilot);
	return status;
}

/* Where the window of the newest events begins; false where there is none. */
static bool
find_window(tfrs_pilot *pilot, int64_t *since)
{
	const tfrs_events *events = pilot->events;
	size_t		held = (size_t) (WINDOW * (double) events->count) + 1;
	size_t		place = events->count - held;

	if (events->at == NULL)
		return false;
	*since = events->at[pilot->order.order[place].event];
	while (place > 0 && events->at[pilot->order.order[place - 1].event] >= *since)
		place--;
	return (double) (events->count - place) < MOST_WINDOW * (double) events->count;
}

static tfrs_status
begin_split(tfrs_pilot *pilot, tfrs_error *error)
{
	tfrs_validation_options *held = &pilot->options.validation;

	held->by = TFRS_HELD_OUT_RANDOM;
	held->fraction = (float) fmin(WITHHELD, MOST_RANDOM / (double) pilot->events->count);
	pilot->has_window = find_window(pilot, &held->since);
	if (pilot->has_window)
	{
		held->by = TFRS_HELD_OUT_WINDOW;
		held->fraction = WITHHELD;
	}
	tfrs_time_order_free(&pilot->order);
	return tfrs_event_split_begin(&pilot->split, pilot->arena, held, pilot->options.seed,
								  pilot->events, error);
}

/* The rest is trained on, where there is enough of it. */
static tfrs_status
begin_training(tfrs_pilot *pilot, tfrs_error *error)
{
	tfrs_descent_counts *counts = &pilot->training.counts;
	tfrs_descent_data *data = &pilot->training.data;

	if (pilot->split.training.events.several == 0)
	{
		pilot->phase = CHOSEN;
		return TFRS_OK;
	}
	counts->events = &pilot->split.training.events;
	counts->longest = tfrs_events_longest(counts->events);
	data->split = &pilot->split;
	return tfrs_descent_begin(&pilot->descent, pilot->arena, &pilot->options, counts, data, error);
}

static tfrs_status
begin_serving(tfrs_pilot *pilot, tfrs_error *error)
{
	tfrs_serving_data data = {
		&pilot->split.training.events, pilot->training.query_counts, pilot->candidate_counts
	};

	return tfrs_serving_begin(&pilot->serving, pilot->arena, &pilot->descent, &data, error);
}

static void
begin_parts(tfrs_pilot *pilot)
{
	const tfrs_part_options *options = &pilot->options.parts;
	tfrs_part_fit_data data = {
		.events = &pilot->split.training.events, .content = pilot->training.content,
		.candidates = pilot->candidates, .threads = pilot->options.threads
	};

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		data.wanted[p] = options->weight[p] != 0;
	tfrs_part_fit_begin(&pilot->parts, pilot->arena, &data);
}

static tfrs_status
begin_choice(tfrs_pilot *pilot, tfrs_error *error)
{
	const tfrs_part_options *options = &pilot->options.parts;
	tfrs_part_test test = {
		.shape = &pilot->descent.shape,
		.bag = pilot->bag,
		.candidate = tfrs_serving_candidates(&pilot->serving),
		.shown = &pilot->split.training.events,
		.withheld = &pilot->split.tested,
		.fit = &pilot->parts,
		.threads = pilot->options.threads,
		.given = {.towers = options->towers > 0, .recent = options->recent >= 0}
	};

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		test.given.part[p] = options->weight[p] >= 0;
	for (uint32_t b = 0; b < pilot->descent.shape.bags; b++)
		pilot->bag[b] = tfrs_serving_bag(&pilot->serving, b);
	if (!pilot->descent.shape.bias || !pilot->has_window)
		test.given.recent = true;
	else if (!test.given.recent)
		pilot->weights.recent = 1;
	return tfrs_part_choice_begin(&pilot->choice, pilot->arena, &test, pilot->candidates,
								  &pilot->weights, error);
}

/* A phase is over: begins the next one. */
static tfrs_status
advance(tfrs_pilot *pilot, tfrs_error *error)
{
	switch (pilot->phase++)
	{
		case ORDER:
			return begin_split(pilot, error);
		case SPLIT:
			return begin_training(pilot, error);
		case TRAIN:
			return begin_serving(pilot, error);
		case SERVE:
			begin_parts(pilot);
			return TFRS_OK;
		case FIT_PARTS:
			return begin_choice(pilot, error);
		default:
			pilot->weights = pilot->choice.weights;
			return TFRS_OK;
	}
}

static tfrs_status
train_step(tfrs_pilot *pilot, tfrs_error *error)
{
	const tfrs_examples *batch = &pilot->descent.batch;
	tfrs_pilot_progress *progress = &pilot->progress;
	bool		stepped;
	tfrs_status status = tfrs_descent_step(&pilot->descent, &stepped, error);

	if (!stepped)
		return status;
	pilot->losses += batch->rows > 0 ? pilot->descent.total : 0.0;
	progress->batches += batch->rows > 0;
	pilot->units += batch->units;
	progress->done = batch->done;
	progress->total = batch->total;
	progress->rows += batch->items;
	progress->loss = pilot->losses / fmax(pilot->units, 1.0);
	return status;
}

static tfrs_status
choose_step(tfrs_pilot *pilot)
{
	tfrs_status status = tfrs_part_choice_step(&pilot->choice);

	tfrs_part_choice_progress(&pilot->choice, &pilot->progress.done, &pilot->progress.total);
	return status;
}

static tfrs_status
step(tfrs_pilot *pilot, tfrs_error *error)
{
	switch (pilot->phase)
	{
		case ORDER:
			return pilot->order.arena == NULL ? TFRS_OK : tfrs_time_order_step(&pilot->order);
		case SPLIT:
			return tfrs_event_split_step(&pilot->split, error);
		case TRAIN:
			return train_step(pilot, error);
		case SERVE:
			return tfrs_serving_step(&pilot->serving);
		case FIT_PARTS:
			return tfrs_part_fit_step(&pilot->parts, error);
		default:
			return choose_step(pilot);
	}
}

tfrs_status
tfrs_pilot_step(tfrs_pilot *pilot, tfrs_error *error)
{
	tfrs_status status;

	if (pilot->phase == CHOSEN)
		return TFRS_OK;
	status = step(pilot, error);
	if (status == TFRS_OK)
		status = advance(pilot, error);
	if (status != TFRS_OK)
		return status;
	return pilot->phase < CHOSEN ? TFRS_MORE : TFRS_OK;
}
