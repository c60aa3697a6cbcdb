/*
 * training.c: what a training collects and how much memory it takes.
 */
#include "learning/training.h"

#include "learning/history_trainer.h"
#include "learning/lift.h"
#include "learning/serving.h"
#include "learning/table_trainer.h"
#include "learning/validation.h"
#include "learning/warm_start.h"

tfrs_event_options
tfrs_training_event_options(const tfrs_train_options *options,
							const tfrs_interactions *interactions)
{
	const tfrs_interactions_options *given = tfrs_interactions_settings(interactions);

	return (tfrs_event_options) {
		.has_weight = given->has_weight, .has_time = given->has_time,
		.keep_repeats = options->history.on && !options->mask_known
	};
}

/* Rows of the query that has most. */
static size_t
most_rows(const tfrs_interactions *interactions)
{
	const uint32_t *counts = tfrs_interactions_query_counts(interactions);
	size_t		queries = tfrs_interactions_queries(interactions)->count;
	uint32_t	most = 0;

	for (size_t q = 0; q < queries; q++)
		most = counts[q] > most ? counts[q] : most;
	return most;
}

bool
tfrs_training_needs_events(const tfrs_train_options *options, const tfrs_model *model)
{
	return options->store || options->history.on || options->mask_known ||
		options->validation.on || (model != NULL && model->has_events);
}

/* The longest query of an earlier model. */
static size_t
most_events(const tfrs_model *model)
{
	size_t		most = 0;

	for (size_t q = 0; model != NULL && q < model->events.queries; q++)
	{
		size_t		count = tfrs_events_of(&model->events, (uint32_t) q).count;

		most = count > most ? count : most;
	}
	return most;
}

/* What training takes beside the tables: epochs, what is held out, what goes on. */
static bool
add_beside(const tfrs_train_options *used, size_t queries, size_t candidates, size_t rows,
		   size_t *bytes)
{
	*bytes = used->epochs * (sizeof(tfrs_model_epoch) +
							 used->batch_accuracy.count * sizeof(float) + sizeof(double));
	if (used->keep_optimizer_state)
		*bytes += (queries + candidates + 2) * sizeof(float);
	return !used->validation.on ||
		tfrs_validation_bytes(used, queries, candidates, rows, bytes);
}

tfrs_status
tfrs_training_estimate(const tfrs_train_options *options, const tfrs_interactions *interactions,
					   const tfrs_model *model, size_t *bytes, tfrs_error *error)
{
	tfrs_train_options used = *options;
	tfrs_event_options collecting = tfrs_training_event_options(options, interactions);
	size_t		queries = tfrs_interactions_queries(interactions)->count;
	size_t		candidates = tfrs_interactions_candidates(interactions)->count;
	size_t		rows = tfrs_interactions_count(interactions) +
		(model == NULL ? 0 : model->events.count);
	size_t		longest = most_rows(interactions) + most_events(model);
	size_t		later = collecting.has_time ? rows : 0;
	tfrs_train_counts counts = {
		.candidates = candidates, .events = rows, .queries = queries, .next_states = later,
		.history_length = (double) longest	/* so that tables of their own are counted */
	};
	tfrs_events events = {
		.queries = queries, .count = rows, .several = queries, .later = later
	};
	bool		fits;

	used.dim = tfrs_train_options_most_dim(options, candidates);
	tfrs_train_options_resolve(&used, &counts);
	fits = add_beside(&used, queries, candidates, rows, bytes) &&
		(model == NULL || tfrs_warm_start_bytes(model, queries, candidates, bytes)) &&
		(!tfrs_training_needs_events(&used, model) ||
		 tfrs_event_collector_bytes(&collecting, rows, queries, bytes));
	if (fits && used.history.on)
		fits = tfrs_lift_bytes(candidates, bytes) &&
			tfrs_serving_bytes(&used, candidates, bytes) &&
			tfrs_history_trainer_bytes(&used, &events, longest, candidates, bytes);
	else if (fits)
		fits = tfrs_table_trainer_bytes(&used, queries, candidates, rows, bytes);
	return fits ? TFRS_OK : tfrs_fail(error, TFRS_TOO_LARGE, "a size overflows");
}
