/*
 * trainer.c: what comes before the descent of a training, and after it.
 *
 *     training_data.h -> [features] -> [content] -> [hold some events out] -> [measure their lift -> weigh what
 *     stands beside the tower] -> descend <-> [validate] -> serve -> [new candidates] -> [fit what
 *     stands beside the tower] -> trained
 *
 * Each arrow is a phase of the step machine; one step does one bounded piece of one phase.
 */
#include "learning/trainer.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "learning/content_training.h"
#include "learning/descent.h"
#include "learning/epoch_log.h"
#include "learning/lift.h"
#include "learning/model_writer.h"
#include "learning/part_training.h"
#include "learning/serving.h"
#include "learning/training_data.h"
#include "learning/training_features.h"
#include "learning/validation.h"

typedef enum train_phase
{
	PREPARE,
	SETTLE_FEATURES,
	BUILD_CONTENT,
	HOLD_OUT,
	MEASURE,
	CHOOSE_PARTS,
	DESCEND,
	VALIDATE,
	SERVE,
	FILL_NEW,
	FIT_PARTS,
	STORE_FEATURES,
	TRAINED
} train_phase;

struct tfrs_trainer
{
	tfrs_arena *arena;
	tfrs_train_options options; /* nothing left open */
	train_phase phase;
	tfrs_training_data data;
	tfrs_training_features features;
	tfrs_lift	lift;			/* of the events that a history tower is trained on */
	tfrs_descent descent;
	tfrs_train_progress progress;
	double		units;			/* of the epoch's batches */
	tfrs_validation validation; /* where asked for */
	train_phase resumed;		/* after VALIDATE */
	tfrs_epoch_log log;
	tfrs_serving serving;
	tfrs_content_training content;	/* of the candidates, where it is told */
	tfrs_part_training beside;	/* of its score, with a history tower */
	tfrs_model_parts parts;		/* what save adds lives here */
	tfrs_model_optimizer optimizer;
};

const tfrs_train_options *
tfrs_trainer_options(const tfrs_trainer *trainer)
{
	return &trainer->options;
}

tfrs_status
tfrs_trainer_begin(tfrs_trainer **trainer, tfrs_arena *arena, const tfrs_train_options *options,
				   tfrs_interactions *interactions, const tfrs_model *model, tfrs_error *error)
{
	const char *problem = tfrs_train_options_check(options);
	tfrs_trainer *made;
	tfrs_status status;

	*trainer = NULL;
	if (problem != NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "%s", problem);
	if (tfrs_interactions_count(interactions) == 0)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "there are no interactions to train on");
	status = TFRS_GET_ZERO(arena, &made, 1, error);
	if (status != TFRS_OK)
		return status;
	made->arena = arena;
	made->options = *options;
	made->progress.epoch = 1;
	status = tfrs_training_data_begin(&made->data, arena, &made->options, interactions, model,
									  error);
	if (status != TFRS_OK)
		tfrs_trainer_destroy(made);
	else
		*trainer = made;
	return status;
}

void
tfrs_trainer_tell_content(tfrs_trainer *trainer, const tfrs_content_source *source)
{
	tfrs_content_training_init(&trainer->content, trainer->arena, source);
}

void
tfrs_trainer_destroy(tfrs_trainer *trainer)
{
	if (trainer == NULL)
		return;
	tfrs_validation_free(&trainer->validation);
	tfrs_part_training_free(&trainer->beside);
	tfrs_content_training_free(&trainer->content);
	tfrs_serving_free(&trainer->serving);
	tfrs_training_data_free(&trainer->data);
	tfrs_lift_free(&trainer->lift);
	tfrs_descent_free(&trainer->descent);
	tfrs_training_features_free(&trainer->features);	/* the descent's list reads them */
	tfrs_epoch_log_free(&trainer->log);
	tfrs_arena_release(trainer->arena, trainer);
}

/* The events that are trained on. */
static const tfrs_events *
training_events(const tfrs_trainer *trainer)
{
	return trainer->options.validation.on ? &trainer->validation.split.training.events
		: &trainer->data.events;
}

/* No query has two candidates, so that there is no history to predict from. */
static tfrs_status
give_up_history(tfrs_trainer *trainer, const tfrs_train_counts *counts, tfrs_error *error)
{
	double		rows = (double) trainer->data.events.queries +
		(double) tfrs_training_data_candidates(&trainer->data) + 2;
	double		bytes;

	tfrs_train_options_without_history(&trainer->options);
	tfrs_train_options_resolve(&trainer->options, counts);
	bytes = rows * trainer->options.dim * sizeof(float);
	if (bytes > (double) TFRS_MAX_BLOCK_BYTES)
		return tfrs_fail(error, TFRS_TOO_LARGE, "no query has two candidates, and a table of all "
						 "queries would take %.0f MB", bytes / (1 << 20));
	if (trainer->data.model != NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "no query has two candidates: there is "
						 "nothing to retrain the model's history tower with");
	return TFRS_OK;
}

static tfrs_status
fail_divergence(const tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_fail(error, TFRS_NOT_FINITE, "loss is not finite in epoch %u", trainer->progress.epoch);
	tfrs_error_detail(error, "Training broke off at batch %llu of the epoch.",
					  (unsigned long long) trainer->progress.batch + 1);
	tfrs_error_hint(error, "Lower learning_rate, raise temperature, or set normalize.");
	return TFRS_NOT_FINITE;
}

/* What a descent is told, by this training or by its pilot. */
static tfrs_pilot_training
descent_of(const tfrs_trainer *trainer)
{
	tfrs_interactions *interactions = trainer->data.interactions;
	const tfrs_events *events = training_events(trainer);

	return (tfrs_pilot_training) {
		.options = &trainer->options,
		.counts = {
			.queries = tfrs_interactions_queries(interactions)->count,
			.candidates = tfrs_training_data_candidates(&trainer->data),
			.chosen = tfrs_training_data_chosen(&trainer->data),
			.rows = tfrs_interactions_count(interactions), .events = events,
			.longest = tfrs_events_longest(events),
			.query = tfrs_training_features_side(&trainer->features, TFRS_SIDE_QUERY),
			.candidate = tfrs_training_features_side(&trainer->features, TFRS_SIDE_CANDIDATE)
		},
		.data = {
			.interactions = interactions, .warm = tfrs_training_data_warm(&trainer->data),
			.split = trainer->options.validation.on ? &trainer->validation.split : NULL
		},
		.query_counts = tfrs_training_data_query_rows(&trainer->data),
		.content = tfrs_content_training_rows(&trainer->content)
	};
}

static tfrs_status
begin_descent(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_pilot_training training = descent_of(trainer);

	trainer->phase = DESCEND;
	return tfrs_descent_begin(&trainer->descent, trainer->arena, &trainer->options,
							  &training.counts, &training.data, error);
}

/* What stands beside a tower of events is weighed first, then the tower is trained. */
static tfrs_status
begin_parts(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_pilot_training training = descent_of(trainer);

	if (!trainer->options.history.on)
		return begin_descent(trainer, error);
	trainer->phase = CHOOSE_PARTS;
	return tfrs_part_training_begin(&trainer->beside, trainer->arena, &training, error);
}

/* A pilot has no epochs. */
static tfrs_train_progress
progress_of_pilot(const tfrs_pilot_progress *pilot)
{
	return (tfrs_train_progress) {
		.batch = pilot->batches, .rows = pilot->rows, .loss_per_row = pilot->loss,
		.done = pilot->done, .total = pilot->total
	};
}

static tfrs_status
choose_parts(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_part_training_choose_step(&trainer->beside, &trainer->options.parts,
														error);

	trainer->progress = status == TFRS_MORE ? progress_of_pilot(&trainer->beside.pilot.progress)
		: (tfrs_train_progress) {.epoch = 1};
	if (status == TFRS_NOT_FINITE)
		return fail_divergence(trainer, error);
	return status == TFRS_OK ? begin_descent(trainer, error) : status;
}

/* The events are known, if they were asked for: what was left open is chosen. */
static tfrs_status
begin_fit(tfrs_trainer *trainer, tfrs_error *error)
{
	const tfrs_events *events = training_events(trainer);
	tfrs_train_options *options = &trainer->options;
	tfrs_train_counts counts = {
		.candidates = tfrs_training_data_candidates(&trainer->data), .events = events->count,
		.queries = events->several, .next_states = events->later,
		.history_length = events->length, .lift = trainer->lift.value
	};
	tfrs_status status = TFRS_OK;

	if (options->history.on && events->several == 0)
		status = give_up_history(trainer, &counts, error);
	else
		tfrs_train_options_resolve(options, &counts);
	if (options->history.on && trainer->data.model != NULL)
		tfrs_warm_start_keep_shape(trainer->data.model, &options->history);
	if (status == TFRS_OK)
		status = tfrs_epoch_log_begin(&trainer->log, trainer->arena, options, error);
	return status == TFRS_OK ? begin_parts(trainer, error) : status;
}

/* The events that are trained on are known. */
static tfrs_status
begin_measuring(tfrs_trainer *trainer, tfrs_error *error)
{
	if (!trainer->options.history.on)
		return begin_fit(trainer, error);
	trainer->phase = MEASURE;
	return tfrs_lift_begin(&trainer->lift, trainer->arena, training_events(trainer),
						   tfrs_training_data_candidates(&trainer->data), error);
}

static tfrs_status
measure(tfrs_trainer *trainer, tfrs_error *error)
{
	if (tfrs_lift_step(&trainer->lift) == TFRS_MORE)
		return TFRS_MORE;
	tfrs_lift_free(&trainer->lift);
	return begin_fit(trainer, error);
}

/* What a training does not do with features. */
static tfrs_status
begin_features(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_training_features *features = &trainer->features;
	tfrs_status status = tfrs_training_features_begin(features, trainer->arena,
													  trainer->data.interactions, error);

	if (status != TFRS_OK)
		return status;
	if (tfrs_training_features_has(features, TFRS_SIDE_QUERY))
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
						 "queries cannot have features beside their ids yet");
	if (tfrs_training_features_has(features, TFRS_SIDE_CANDIDATE) && trainer->data.model != NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
						 "a model of candidates with features cannot be retrained yet");
	return TFRS_OK;
}

static tfrs_status
prepare(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_training_data_step(&trainer->data, error);

	if (status == TFRS_OK)
		status = begin_features(trainer, error);
	if (status == TFRS_OK)
		trainer->phase = SETTLE_FEATURES;
	return status;
}

static tfrs_status
settle_features(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_training_features_step(&trainer->features, error);

	if (status == TFRS_OK)
		trainer->phase = BUILD_CONTENT;
	return status;
}

static tfrs_status
store_features(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_training_features_store_step(&trainer->features, error);

	if (status == TFRS_OK)
		trainer->phase = TRAINED;
	return status;
}

static tfrs_status
build_content(tfrs_trainer *trainer, tfrs_error *error)
{
	const tfrs_training_data *data = &trainer->data;
	const uint32_t *counts = tfrs_training_data_candidate_rows(data);
	tfrs_status status = tfrs_content_training_build_step(&trainer->content, counts, error);

	if (status != TFRS_OK)
		return status;
	if (!trainer->options.validation.on)
		return begin_measuring(trainer, error);
	trainer->phase = HOLD_OUT;
	return tfrs_validation_begin(&trainer->validation, trainer->arena, &trainer->options,
								 &data->events, tfrs_training_data_candidates(data),
								 counts, error);
}

static tfrs_status
hold_out(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_event_split_step(&trainer->validation.split, error);

	return status == TFRS_OK ? begin_measuring(trainer, error) : status;
}

/* Figures of the epoch that the last step finished make room for those of the next. */
static void
begin_epoch(tfrs_trainer *trainer)
{
	tfrs_train_progress *progress = &trainer->progress;

	*progress = (tfrs_train_progress) {
		.epoch = progress->epoch + 1, .rows = progress->rows,
		.done = progress->done, .total = progress->total
	};
	trainer->units = 0;
	memset(&trainer->descent.accuracy, 0, sizeof(trainer->descent.accuracy));
}

static void
count_step(tfrs_trainer *trainer)
{
	const tfrs_examples *batch = &trainer->descent.batch;
	tfrs_train_progress *progress = &trainer->progress;
	double		loss = batch->rows > 0 ? trainer->descent.total : 0.0;

	progress->batch += batch->rows > 0;
	progress->rows_done += batch->items;
	progress->rows += batch->items;
	progress->batch_loss = loss;
	progress->loss += loss;
	trainer->units += batch->units;
	progress->loss_per_row = progress->loss / fmax(trainer->units, 1.0);
	progress->done = batch->done;
	progress->total = batch->total;
	progress->epoch_finished = batch->ends_epoch;
	if (batch->ends_epoch)
		tfrs_epoch_log_add(&trainer->log, progress->epoch,
						   &(tfrs_model_epoch) {progress->loss, progress->loss_per_row},
						   &trainer->descent.accuracy);
}

/* A step of training, and to the validation where it ended an epoch that is due. */
static tfrs_status
descend(tfrs_trainer *trainer, tfrs_error *error)
{
	bool		stepped;
	tfrs_status status;

	if (trainer->progress.epoch_finished)
		begin_epoch(trainer);
	status = tfrs_descent_step(&trainer->descent, &stepped, error);
	if (status == TFRS_NOT_FINITE)
		return fail_divergence(trainer, error);
	if (stepped)
		count_step(trainer);
	if (status == TFRS_OK)
		trainer->phase = SERVE;
	if (!trainer->progress.epoch_finished || !trainer->options.validation.on ||
		!tfrs_validation_is_due(&trainer->validation, trainer->progress.epoch))
		return status;
	trainer->resumed = trainer->phase;
	trainer->phase = VALIDATE;
	return status;
}

/* After an epoch that is to be measured; then training goes on, or the best epoch is put back. */
static tfrs_status
validate(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_validation *validation = &trainer->validation;
	uint32_t	epoch = trainer->progress.epoch;
	tfrs_status status = tfrs_validation_measure_step(validation, &trainer->descent, epoch, error);

	if (status != TFRS_OK)
		return status;
	trainer->log.validation[epoch - 1] = validation->value;
	trainer->phase = tfrs_validation_is_over(validation) ? SERVE : trainer->resumed;
	if (trainer->phase == SERVE)
		tfrs_tensors_restore(&trainer->descent.parameters);
	return TFRS_OK;
}

static tfrs_status
serve(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_serving_data data = {
		&trainer->data.events, tfrs_training_data_query_rows(&trainer->data),
		tfrs_training_data_candidate_rows(&trainer->data)
	};
	tfrs_status status = TFRS_OK;

	trainer->progress.epoch_finished = false;
	if (trainer->serving.arena == NULL)
		status = tfrs_serving_begin(&trainer->serving, trainer->arena, &trainer->descent, &data,
									error);
	if (status == TFRS_OK)
		status = tfrs_serving_step(&trainer->serving);
	if (status != TFRS_OK)
		return status;
	trainer->phase = FILL_NEW;
	return tfrs_content_training_fill_begin(&trainer->content, &trainer->serving, error);
}

static tfrs_status
fill_new(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_content_training_fill_step(&trainer->content, error);

	if (status != TFRS_OK)
		return status;
	trainer->phase = trainer->options.history.on ? FIT_PARTS : STORE_FEATURES;
	if (trainer->options.history.on)
		tfrs_part_training_fit_begin(&trainer->beside, &trainer->data.events,
									 tfrs_training_data_candidates(&trainer->data),
									 trainer->options.threads);
	return TFRS_OK;
}

static tfrs_status
fit_parts(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_descent *descent = &trainer->descent;
	tfrs_tensor served = *tfrs_descent_candidates(descent);
	tfrs_status status;

	served.values = tfrs_serving_candidates(&trainer->serving);
	status = tfrs_part_training_fit_step(&trainer->beside, &descent->shape, &served,
										 trainer->serving.unknown, error);

	if (status == TFRS_OK)
		trainer->phase = STORE_FEATURES;
	return status;
}

/* TFRS_OK only where nothing is left to do. */
static tfrs_status
step(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	switch (trainer->phase)
	{
		case PREPARE:
			status = prepare(trainer, error);
			break;
		case SETTLE_FEATURES:
			status = settle_features(trainer, error);
			break;
		case BUILD_CONTENT:
			status = build_content(trainer, error);
			break;
		case HOLD_OUT:
			status = hold_out(trainer, error);
			break;
		case MEASURE:
			status = measure(trainer, error);
			break;
		case CHOOSE_PARTS:
			status = choose_parts(trainer, error);
			break;
		case DESCEND:
			status = descend(trainer, error);
			break;
		case VALIDATE:
			status = validate(trainer, error);
			break;
		case SERVE:
			status = serve(trainer, error);
			break;
		case FILL_NEW:
			status = fill_new(trainer, error);
			break;
		case FIT_PARTS:
			status = fit_parts(trainer, error);
			break;
		case STORE_FEATURES:
			status = store_features(trainer, error);
			break;
		case TRAINED:
			break;
	}
	return status == TFRS_OK && trainer->phase != TRAINED ? TFRS_MORE : status;
}

tfrs_status
tfrs_trainer_step(tfrs_trainer *trainer, tfrs_train_progress *progress, tfrs_error *error)
{
	bool		validating = trainer->phase == VALIDATE;
	tfrs_status status = step(trainer, error);

	*progress = trainer->progress;
	if (validating)
		progress->epoch_finished = false;	/* that was told already */
	return status;
}

const char *
tfrs_trainer_phase(const tfrs_trainer *trainer)
{
	switch (trainer->phase)
	{
		case PREPARE:
		case BUILD_CONTENT:
			return "collecting events";
		case SETTLE_FEATURES:
			return "reading features";
		case HOLD_OUT:
			return "holding events out";
		case VALIDATE:
			return "validating";
		case CHOOSE_PARTS:
			return "choosing weights";
		case SERVE:
		case FILL_NEW:
		case FIT_PARTS:
		case STORE_FEATURES:
		case TRAINED:
			return "finishing";
		default:
			return "training";
	}
}

static void
fill_sides(const tfrs_trainer *trainer, tfrs_model_parts *parts)
{
	const tfrs_interactions *interactions = trainer->data.interactions;

	parts->query.ids = tfrs_interactions_queries(interactions);
	parts->query.counts = tfrs_training_data_query_rows(&trainer->data);
	parts->candidate.ids = tfrs_interactions_candidates(interactions);
	parts->candidate.counts = tfrs_training_data_candidate_rows(&trainer->data);
}

static void
fill_parameters(tfrs_trainer *trainer, tfrs_model_parts *parts)
{
	const tfrs_descent *descent = &trainer->descent;

	parts->tower = &descent->shape;
	parts->parameters = &descent->parameters;
	if (descent->shape.bags > 0 || descent->counts.query.features != NULL)
		parts->unknown = trainer->serving.unknown;
	parts->served = trainer->serving.served;
	parts->query_features = tfrs_training_features_store(&trainer->features, TFRS_SIDE_QUERY);
	parts->candidate_features = tfrs_training_features_store(&trainer->features,
															 TFRS_SIDE_CANDIDATE);
	for (uint32_t b = 0; b < descent->shape.bags; b++)
		parts->bag[b] = tfrs_serving_bag(&trainer->serving, b);
	if (trainer->options.history.on)
		tfrs_part_training_fill(&trainer->beside, parts);
	if (!trainer->options.keep_optimizer_state)
		return;
	trainer->optimizer = (tfrs_model_optimizer) {
		.kind = trainer->options.optimizer.kind,
		.slots = (uint32_t) tfrs_optimizer_slots(&trainer->options.optimizer),
		.step = tfrs_descent_steps(descent)
	};
	parts->optimizer = &trainer->optimizer;
	parts->length = trainer->serving.length;
}

tfrs_status
tfrs_trainer_save(tfrs_trainer *trainer, uint64_t skipped_query, uint64_t skipped_candidate,
				  tfrs_block_writer *writer, tfrs_error *error)
{
	tfrs_model_parts *parts = &trainer->parts;

	if (trainer->phase != TRAINED)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the training is not finished");
	*parts = (tfrs_model_parts) {
		.shape = {
			.dim = trainer->options.dim,
			.rows = tfrs_training_data_rows(&trainer->data),
			.skipped_query = skipped_query,
			.skipped_candidate = skipped_candidate,
			.temperature = trainer->options.loss.temperature
		},
		.events = trainer->options.store ? &trainer->data.events : NULL
	};
	tfrs_epoch_log_fill(&trainer->log, parts);
	fill_sides(trainer, parts);
	if (trainer->data.model != NULL)
	{
		parts->shape.skipped_query += trainer->data.model->shape->skipped_query;
		parts->shape.skipped_candidate += trainer->data.model->shape->skipped_candidate;
	}
	fill_parameters(trainer, parts);
	return tfrs_model_parts_add(parts, writer, error);
}

const float *
tfrs_trainer_candidates(const tfrs_trainer *trainer, size_t *count)
{
	*count = trainer->descent.counts.candidates;
	return tfrs_serving_candidates(&trainer->serving);
}
