/*
 * training.c: what a training collects and how much memory it takes.
 */
#include "learning/training.h"

#include "learning/descent.h"
#include "learning/epoch_log.h"
#include "learning/feature_bounds.h"
#include "learning/lift.h"
#include "learning/part_training.h"
#include "learning/serving.h"
#include "learning/validation.h"
#include "learning/warm_start.h"

tfrs_event_options
tfrs_training_event_options(const tfrs_train_options *options,
							const tfrs_interactions *interactions)
{
	const tfrs_interactions_options *given = tfrs_interactions_settings(interactions);

	return (tfrs_event_options) {
		.has_weight = given->has_weight, .has_time = given->has_time,
		.keep_repeats = options->history.on && !options->mask_known,
		.has_row = tfrs_interactions_query_rows(interactions) != NULL
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

/* Everything that a training may hold, by counts that are upper bounds. */
typedef struct everything
{
	const tfrs_train_options *options;
	const tfrs_model *model;
	tfrs_event_options collecting;
	tfrs_descent_counts counts;
	tfrs_feature_bounds query;
	tfrs_feature_bounds candidate;
	tfrs_descent descent;
	tfrs_serving serving;
} everything;

static void
arrays(void *object, tfrs_plan *plan)
{
	everything *all = object;
	const tfrs_descent_counts *counts = &all->counts;

	tfrs_epoch_log_plan(plan, all->options);
	if (all->model != NULL)
		tfrs_warm_start_plan(plan, all->model, counts->queries, counts->candidates);
	if (tfrs_training_needs_events(all->options, all->model))
		tfrs_event_collector_plan(plan, &all->collecting, counts->events->count, counts->queries);
	if (all->options->validation.on)
		tfrs_validation_plan(plan, all->options, counts->events, counts->candidates);
	if (all->options->history.on)
		tfrs_lift_plan(plan, counts->candidates);
	if (all->options->history.on)
		tfrs_part_training_plan(plan, all->options, counts->events, counts->candidates,
								all->model != NULL);
	tfrs_descent_arrays(&all->descent, plan);
	tfrs_serving_arrays(&all->serving, plan);
}

/* What the options leave open as these counts choose it, but for what would take less. */
static tfrs_train_options
largest_options(const tfrs_train_options *options, const tfrs_descent_counts *counts)
{
	tfrs_train_options used = *options;
	tfrs_train_counts told = {
		.candidates = counts->candidates, .events = counts->events->count,
		.queries = counts->queries, .next_states = counts->events->later,
		.history_length = (double) counts->longest	/* so that tables of their own are counted */
	};

	used.dim = tfrs_train_options_most_dim(options, counts->candidates);
	tfrs_train_options_resolve(&used, &told);
	return used;
}

/* All arrays, and the encoded values of both sides. */
static tfrs_status
count_everything(everything *all, const tfrs_interactions *interactions, size_t *bytes,
				 tfrs_error *error)
{
	tfrs_status status;

	tfrs_descent_size(&all->descent, all->options, &all->counts);
	tfrs_serving_size(&all->serving, &all->descent);
	*bytes = 0;
	status = tfrs_plan_count(arrays, all, bytes, error);
	if (status == TFRS_OK)
		status = tfrs_feature_bounds_add(tfrs_interactions_query_rows(interactions), bytes, error);
	if (status == TFRS_OK)
		status = tfrs_feature_bounds_add(tfrs_interactions_candidate_rows(interactions), bytes,
										 error);
	return status;
}

tfrs_status
tfrs_training_estimate(const tfrs_train_options *options, const tfrs_interactions *interactions,
					   const tfrs_model *model, size_t *bytes, tfrs_error *error)
{
	everything	all = {
		.model = model, .collecting = tfrs_training_event_options(options, interactions)
	};
	size_t		queries = tfrs_interactions_queries(interactions)->count;
	size_t		rows = tfrs_interactions_count(interactions) +
		(model == NULL ? 0 : model->events.count);
	const float any_weight = 1.0f;
	const uint32_t any_row = 0;
	tfrs_events events = {
		.queries = queries, .count = rows, .several = queries,
		.later = all.collecting.has_time ? rows : 0, .weight = &any_weight,
		.row = all.collecting.has_row ? &any_row : NULL
	};
	tfrs_train_options used;

	all.counts = (tfrs_descent_counts) {
		.queries = queries, .candidates = tfrs_interactions_candidates(interactions)->count,
		.chosen = tfrs_interactions_candidate_counts(interactions),
		.rows = tfrs_interactions_count(interactions), .events = &events,
		.longest = most_rows(interactions) +
		(model == NULL ? 0 : tfrs_events_longest(&model->events)),
		.query = tfrs_feature_bounds_side(&all.query, tfrs_interactions_query_rows(interactions)),
		.candidate = tfrs_feature_bounds_side(&all.candidate,
											  tfrs_interactions_candidate_rows(interactions))
	};
	used = largest_options(options, &all.counts);
	all.options = &used;
	return count_everything(&all, interactions, bytes, error);
}
