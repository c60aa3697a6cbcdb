/*
 * training_data.c: the phases before a training.
 */
#include "learning/training_data.h"

#include <string.h>

#include "learning/training.h"

/* The ids of an earlier model are found: its events and the rows become those of each query. */
static tfrs_status
begin_collecting(tfrs_training_data *data, tfrs_error *error)
{
	tfrs_event_options events = tfrs_training_event_options(data->options, data->interactions);

	data->phase = TFRS_DATA_KNOWN;
	if (!tfrs_training_needs_events(data->options, data->model))
		return TFRS_OK;
	if (data->model != NULL && data->model->has_events)
		events.stored = &data->warm.stored;
	data->phase = TFRS_DATA_COLLECT;
	return tfrs_event_collector_begin(&data->collector, data->arena, data->interactions, &events,
									  error);
}

static tfrs_status
begin_warm(tfrs_training_data *data, tfrs_error *error)
{
	bool		has_time = tfrs_interactions_settings(data->interactions)->has_time;
	tfrs_status status = tfrs_warm_start_check(data->model, data->options, has_time, error);

	data->phase = TFRS_DATA_FIND;
	if (status == TFRS_OK)
		status = tfrs_warm_start_begin(&data->warm, data->arena, data->model, data->options,
									   data->interactions, error);
	return status;
}

tfrs_status
tfrs_training_data_begin(tfrs_training_data *data, tfrs_arena *arena,
						 const tfrs_train_options *options, tfrs_interactions *interactions,
						 const tfrs_model *model, tfrs_error *error)
{
	memset(data, 0, sizeof(*data));
	data->arena = arena;
	data->options = options;
	data->interactions = interactions;
	data->model = model;
	return model != NULL ? begin_warm(data, error) : begin_collecting(data, error);
}

void
tfrs_training_data_free(tfrs_training_data *data)
{
	tfrs_event_collector_free(&data->collector);
	tfrs_warm_start_free(&data->warm);
}

tfrs_status
tfrs_training_data_step(tfrs_training_data *data, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (data->phase == TFRS_DATA_FIND)
	{
		status = tfrs_warm_start_step(&data->warm, error);
		if (status == TFRS_OK)
			status = begin_collecting(data, error);
		return status == TFRS_OK && data->phase != TFRS_DATA_KNOWN ? TFRS_MORE : status;
	}
	if (data->phase == TFRS_DATA_COLLECT)
		status = tfrs_event_collector_step(&data->collector, &data->events, error);
	if (status == TFRS_OK)
		data->phase = TFRS_DATA_KNOWN;
	return status;
}

const tfrs_warm_start *
tfrs_training_data_warm(const tfrs_training_data *data)
{
	return data->model != NULL ? &data->warm : NULL;
}

const uint32_t *
tfrs_training_data_query_rows(const tfrs_training_data *data)
{
	return data->model != NULL ? data->warm.query_rows
		: tfrs_interactions_query_counts(data->interactions);
}

const uint32_t *
tfrs_training_data_candidate_rows(const tfrs_training_data *data)
{
	return data->model != NULL ? data->warm.candidate_rows
		: tfrs_interactions_candidate_counts(data->interactions);
}

uint64_t
tfrs_training_data_rows(const tfrs_training_data *data)
{
	const uint32_t *of_query = tfrs_training_data_query_rows(data);
	size_t		queries = tfrs_interactions_queries(data->interactions)->count;
	uint64_t	rows = 0;

	for (size_t q = 0; q < queries; q++)
		rows += of_query[q];
	return rows;
}

size_t
tfrs_training_data_candidates(const tfrs_training_data *data)
{
	return tfrs_interactions_candidates(data->interactions)->count;
}

const uint32_t *
tfrs_training_data_chosen(const tfrs_training_data *data)
{
	const uint32_t *counts = tfrs_training_data_candidate_rows(data);
	bool		some_new = false;

	for (size_t c = 0; c < tfrs_training_data_candidates(data); c++)
		some_new = some_new || counts[c] == 0;
	return some_new ? counts : NULL;
}
