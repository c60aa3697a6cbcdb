/*
 * trainer.c: the face over the two ways to fit: plain tables (table_trainer.h) and the history
 * tower (history_trainer.h).
 *
 *     training_data.h -> [hold some events out] -> measure their lift -> fit <-> [validate]
 *     -> serve -> trained
 *
 * Each arrow is a phase of the step machine; one step does one bounded piece of one phase.
 */
#include "learning/trainer.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "learning/epoch_log.h"
#include "learning/history_trainer.h"
#include "learning/lift.h"
#include "learning/model_writer.h"
#include "learning/serving.h"
#include "learning/training_data.h"
#include "learning/validation.h"

typedef enum train_phase
{
	PREPARE,
	HOLD_OUT,
	MEASURE,
	FIT_TABLES,
	FIT_HISTORY,
	SERVE_HISTORY,
	TRAINED,
	VALIDATE
} train_phase;

struct tfrs_trainer
{
	tfrs_arena *arena;
	tfrs_train_options options; /* nothing left open */
	train_phase phase;
	tfrs_training_data data;
	tfrs_lift	lift;			/* of the events that a history tower is trained on */
	tfrs_table_trainer *tables; /* one of the two */
	tfrs_history_trainer history;
	tfrs_train_progress progress;
	tfrs_validation validation; /* where asked for */
	train_phase resumed;		/* after VALIDATE */
	tfrs_epoch_log log;
	tfrs_serving serving;		/* of a history tower */
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
tfrs_trainer_destroy(tfrs_trainer *trainer)
{
	if (trainer == NULL)
		return;
	tfrs_validation_free(&trainer->validation);
	tfrs_serving_free(&trainer->serving);
	tfrs_training_data_free(&trainer->data);
	tfrs_lift_free(&trainer->lift);
	tfrs_table_trainer_destroy(trainer->tables);
	tfrs_history_trainer_free(&trainer->history);
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

static tfrs_status
begin_tables(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_table_training training = {
		&trainer->options, trainer->data.interactions, training_events(trainer),
		tfrs_training_data_warm(&trainer->data)
	};
	tfrs_status status = tfrs_table_trainer_begin(&trainer->tables, trainer->arena, &training,
												  error);

	if (status == TFRS_OK && trainer->log.validation != NULL)
		tfrs_table_trainer_hold_out(trainer->tables, &trainer->validation.split);
	return status;
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
begin_history(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_history_training training = {
		&trainer->options, training_events(trainer),
		tfrs_training_data_candidates(&trainer->data), tfrs_training_data_warm(&trainer->data)
	};

	trainer->phase = FIT_HISTORY;
	return tfrs_history_trainer_begin(&trainer->history, trainer->arena, &training, error);
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

	trainer->phase = FIT_TABLES;
	if (options->history.on && events->several == 0)
		status = give_up_history(trainer, &counts, error);
	else
		tfrs_train_options_resolve(options, &counts);
	if (options->history.on && trainer->data.model != NULL)
		tfrs_warm_start_keep_shape(trainer->data.model, &options->history);
	if (status == TFRS_OK)
		status = tfrs_epoch_log_begin(&trainer->log, trainer->arena, options, error);
	if (status == TFRS_OK && options->history.on)
		status = begin_history(trainer, error);
	return status;
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

static tfrs_status
prepare(tfrs_trainer *trainer, tfrs_error *error)
{
	const tfrs_training_data *data = &trainer->data;
	tfrs_status status = tfrs_training_data_step(&trainer->data, error);

	if (status != TFRS_OK)
		return status;
	if (!trainer->options.validation.on)
		return begin_measuring(trainer, error);
	trainer->phase = HOLD_OUT;
	return tfrs_validation_begin(&trainer->validation, trainer->arena, &trainer->options,
								 &data->events, tfrs_training_data_candidates(data),
								 tfrs_training_data_candidate_rows(data), error);
}

static tfrs_status
hold_out(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = tfrs_event_split_step(&trainer->validation.split, error);

	return status == TFRS_OK ? begin_measuring(trainer, error) : status;
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

static void
record_epoch(tfrs_trainer *trainer)
{
	const tfrs_train_progress *progress = &trainer->progress;

	tfrs_epoch_log_add(&trainer->log, progress->epoch, progress->loss, progress->loss_per_row);
}

static tfrs_status
fit_tables(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (trainer->tables == NULL)
		status = begin_tables(trainer, error);
	if (status == TFRS_OK)
		status = tfrs_table_trainer_step(trainer->tables, &trainer->progress, error);
	if (status == TFRS_NOT_FINITE)
		return fail_divergence(trainer, error);
	if (trainer->progress.epoch_finished)
		record_epoch(trainer);
	if (trainer->progress.epoch_finished && trainer->log.accuracy != NULL)
		tfrs_epoch_log_add_accuracy(&trainer->log, trainer->progress.epoch,
									tfrs_table_trainer_accuracy(trainer->tables));
	if (status == TFRS_OK)
		trainer->phase = TRAINED;
	return status;
}

/* Steps of the history tower are told in as many epochs as the options name, of equal length. */
static void
count_step(tfrs_trainer *trainer, double loss)
{
	tfrs_train_progress *progress = &trainer->progress;
	uint64_t	steps = trainer->options.history.steps;
	uint64_t	end = steps * progress->epoch / trainer->options.epochs;

	progress->batch++;
	progress->rows_done += trainer->history.states.rows;
	progress->rows += trainer->history.states.rows;
	progress->batch_loss = loss;
	progress->loss += loss;
	progress->loss_per_row = progress->loss / (double) progress->batch;
	progress->done = trainer->history.step;
	progress->total = steps;
	progress->epoch_finished = trainer->history.step == end;
	if (progress->epoch_finished)
		record_epoch(trainer);
}

static tfrs_status
fit_history(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_train_progress *progress = &trainer->progress;
	bool		stepped;
	double		loss;
	tfrs_status status;

	if (progress->epoch_finished)
		*progress = (tfrs_train_progress) {
			.epoch = progress->epoch + 1, .rows = progress->rows,
			.done = progress->done, .total = progress->total
		};
	status = tfrs_history_trainer_step(&trainer->history, &stepped, &loss, error);
	if (status == TFRS_NOT_FINITE)
		return fail_divergence(trainer, error);
	if (stepped && (status == TFRS_OK || status == TFRS_MORE))
		count_step(trainer, loss);
	if (status == TFRS_OK)
		trainer->phase = SERVE_HISTORY;
	return status;
}

static void
tables_to_validate(tfrs_trainer *trainer, tfrs_validation_tables *tables)
{
	memset(tables, 0, sizeof(*tables));
	if (!trainer->options.history.on)
	{
		tables->candidate = tfrs_table_trainer_table(trainer->tables, true)->values;
		tables->query = tfrs_table_trainer_table(trainer->tables, false)->values;
		return;
	}
	tables->history = &trainer->history.shape;
	tables->candidate = trainer->history.tables.candidate.table.values;
	for (uint32_t b = 0; b < trainer->history.shape.bags; b++)
	{
		tables->bag[b] = trainer->history.tables.bag[b].table.values;
		tables->read[b] = tfrs_history_tables_values(&trainer->history.tables, b);
	}
}

/* After an epoch that is to be measured; then training goes on, or the best epoch is put back. */
static tfrs_status
validate(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_validation *validation = &trainer->validation;
	uint32_t	epoch = trainer->progress.epoch;
	bool		over;
	tfrs_validation_tables tables;
	tfrs_status status;

	tables_to_validate(trainer, &tables);
	status = tfrs_validation_measure_step(validation, &tables, epoch, error);
	if (status != TFRS_OK)
		return status;
	trainer->log.validation[epoch - 1] = validation->value;
	trainer->phase = trainer->resumed;
	over = tfrs_validation_is_over(validation);
	if (over && trainer->options.history.on)
		trainer->phase = SERVE_HISTORY;
	else if (over)
		tfrs_table_trainer_stop(trainer->tables);
	if (over || epoch == trainer->options.epochs)
		tfrs_validation_restore(validation, &tables);
	return TFRS_OK;
}

/* A step of training, and to the validation where it ended an epoch that is due. */
static tfrs_status
fit(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status = trainer->phase == FIT_TABLES ? fit_tables(trainer, error)
		: fit_history(trainer, error);

	if ((status == TFRS_OK || status == TFRS_MORE) && trainer->log.validation != NULL &&
		trainer->progress.epoch_finished &&
		tfrs_validation_is_due(&trainer->validation, trainer->progress.epoch))
	{
		trainer->resumed = trainer->phase;
		trainer->phase = VALIDATE;
	}
	return status;
}

static tfrs_status
serve_history(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status;

	trainer->progress.epoch_finished = false;
	if (trainer->serving.arena == NULL)
		tfrs_serving_begin(&trainer->serving, trainer->arena, &trainer->history,
						   &trainer->data.events, tfrs_training_data_query_rows(&trainer->data),
						   tfrs_training_data_candidate_rows(&trainer->data));
	status = tfrs_serving_step(&trainer->serving, error);
	if (status == TFRS_OK)
		trainer->phase = TRAINED;
	return status;
}

/* TFRS_OK only where nothing is left to do. */
static tfrs_status
step(tfrs_trainer *trainer, tfrs_error *error)
{
	tfrs_status status;

	switch (trainer->phase)
	{
		case PREPARE:
			status = prepare(trainer, error);
			break;
		case HOLD_OUT:
			status = hold_out(trainer, error);
			break;
		case MEASURE:
			status = measure(trainer, error);
			break;
		case FIT_TABLES:
		case FIT_HISTORY:
			status = fit(trainer, error);
			break;
		case VALIDATE:
			status = validate(trainer, error);
			break;
		case SERVE_HISTORY:
			status = serve_history(trainer, error);
			break;
		default:
			return TFRS_OK;
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
			return "collecting events";
		case HOLD_OUT:
			return "holding events out";
		case VALIDATE:
			return "validating";
		case SERVE_HISTORY:
		case TRAINED:
			return "finishing";
		default:
			return "training";
	}
}

static const tfrs_table *
candidate_table(const tfrs_trainer *trainer)
{
	return trainer->options.history.on ? &trainer->history.tables.candidate.table :
		tfrs_table_trainer_candidates(trainer->tables);
}

static void
fill_sides(tfrs_trainer *trainer, tfrs_model_parts *parts)
{
	const tfrs_interactions *interactions = trainer->data.interactions;

	parts->query.ids = tfrs_interactions_queries(interactions);
	parts->query.counts = tfrs_training_data_query_rows(&trainer->data);
	parts->candidate.ids = tfrs_interactions_candidates(interactions);
	parts->candidate.counts = tfrs_training_data_candidate_rows(&trainer->data);
	parts->candidate.table = candidate_table(trainer);
	if (!trainer->options.history.on)
		parts->query.table = tfrs_table_trainer_queries(trainer->tables);
}

static void
fill_history(const tfrs_trainer *trainer, tfrs_model_parts *parts)
{
	parts->history = &trainer->history.shape;
	parts->unknown = trainer->serving.unknown;
	tfrs_serving_bags(&trainer->serving, parts->bag);
}

/* What the optimizer remembers, for a training that goes on from here. */
static void
fill_optimizer(tfrs_trainer *trainer, tfrs_model_parts *parts)
{
	bool		history = trainer->options.history.on;

	trainer->optimizer = (tfrs_model_optimizer) {
		.kind = trainer->options.optimizer.kind,
		.slots = (uint32_t) tfrs_optimizer_slots(&trainer->options.optimizer),
		.step = history ?
			tfrs_history_tables_steps(&trainer->history.tables, trainer->history.step) :
			tfrs_table_trainer_steps(trainer->tables)
	};
	parts->optimizer = &trainer->optimizer;
	for (uint32_t b = 0; history && b < trainer->history.shape.bags; b++)
		if (!tfrs_history_tables_is_tied(&trainer->history.tables, b))
			parts->bag_table[b] = &trainer->history.tables.bag[b].table;
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
	if (trainer->options.history.on)
		fill_history(trainer, parts);
	if (trainer->options.keep_optimizer_state)
		fill_optimizer(trainer, parts);
	return tfrs_model_parts_add(parts, writer, error);
}

const float *
tfrs_trainer_candidates(const tfrs_trainer *trainer, size_t *count)
{
	const tfrs_table *table = candidate_table(trainer);

	*count = table->rows - 1;
	return table->values;
}
