/*
 * validation.c: measuring and keeping tables.
 *
 * The tables are ranked as they would be served: a copy of the candidates is normalized; the length
 * of a plain query vector does not change its ranking, so queries are taken as they are.
 */
#include "learning/validation.h"

#include <string.h>

#include "learning/normalize.h"

/* Floats of one step: a few milliseconds. */
#define STEP_FLOATS ((size_t) 1 << 20)

enum
{
	SERVE,
	LIST,
	RANK
};

enum
{
	CANDIDATE,
	QUERY,
	BAGS,
	TABLES = BAGS + TFRS_MAX_BAGS
};

tfrs_status
tfrs_validation_begin(tfrs_validation *validation, tfrs_arena *arena,
					  const tfrs_train_options *options, const tfrs_events *events,
					  size_t candidates, const uint32_t *candidate_counts, tfrs_error *error)
{
	tfrs_status status;

	memset(validation, 0, sizeof(*validation));
	validation->arena = arena;
	validation->options = options;
	validation->candidates = candidates;
	validation->candidate_counts = candidate_counts;
	tfrs_pair_set_init(&validation->relevant, arena);
	status = tfrs_event_split_begin(&validation->split, arena, &options->validation,
									options->seed, events, error);
	if (status != TFRS_OK)
		tfrs_validation_free(validation);
	return status;
}

void
tfrs_validation_free(tfrs_validation *validation)
{
	tfrs_arena *arena = validation->arena;

	if (arena == NULL)
		return;
	tfrs_evaluation_destroy(validation->evaluation);
	tfrs_event_split_free(&validation->split);
	tfrs_pair_set_free(&validation->relevant);
	tfrs_arena_release(arena, validation->served);
	tfrs_arena_release(arena, validation->unknown);
	for (int i = 0; i < TABLES; i++)
		tfrs_arena_release(arena, validation->kept[i]);
	memset(validation, 0, sizeof(*validation));
}

bool
tfrs_validation_bytes(const tfrs_train_options *options, size_t queries, size_t candidates,
					  size_t events, size_t *bytes)
{
	size_t		tables = options->history.on ? 2 + TFRS_MAX_BAGS : 2;
	size_t		floats;

	return tfrs_size_multiply(candidates, tables, &floats) &&
		tfrs_size_add(floats, options->history.on ? 0 : queries, &floats) &&
		tfrs_size_multiply(floats, options->dim * sizeof(float), &floats) &&
		tfrs_size_add(*bytes, floats, bytes) &&
		tfrs_event_split_bytes(&options->validation, queries, events, bytes) &&
		tfrs_pair_set_bytes(events, queries, bytes);
}

bool
tfrs_validation_is_due(const tfrs_validation *validation, uint32_t epoch)
{
	return validation->split.tested.count > 0 &&
		(epoch % validation->options->validation.every == 0 ||
		 epoch == validation->options->epochs);
}

/* The candidates as they would be served; TFRS_OK once all are. */
static tfrs_status
serve(tfrs_validation *validation, const tfrs_validation_tables *tables, tfrs_error *error)
{
	size_t		dim = validation->options->dim;
	size_t		width = tables->history != NULL ? tfrs_history_width(tables->history) : dim;
	size_t		rows = validation->candidates + 1;
	size_t		count = rows - validation->done;
	float	   *served;
	tfrs_status status = TFRS_OK;

	if (validation->served == NULL)
		status = tfrs_arena_get(validation->arena, (void **) &validation->served, rows,
								dim * sizeof(float), error);
	if (status == TFRS_OK && validation->unknown == NULL)
		status = TFRS_GET_ZERO(validation->arena, &validation->unknown, dim, error);
	if (status != TFRS_OK)
		return status;
	if (count > STEP_FLOATS / dim + 1)
		count = STEP_FLOATS / dim + 1;
	served = validation->served + validation->done * dim;
	memcpy(served, tables->candidate + validation->done * dim, count * dim * sizeof(float));
	if (validation->options->normalize)
		tfrs_normalize_forward(served, count, width, dim, NULL);
	validation->done += count;
	return validation->done < rows ? TFRS_MORE : TFRS_OK;
}

/* The tested pairs again, since an evaluation uses them up. */
static tfrs_status
list_pairs(tfrs_validation *validation, tfrs_error *error)
{
	const tfrs_pair_set *tested = &validation->split.tested;
	tfrs_pair_set *relevant = &validation->relevant;
	tfrs_status status = TFRS_OK;

	if (!validation->listing)
	{
		tfrs_pair_set_free(relevant);
		for (size_t i = 0; i < tested->count && status == TFRS_OK; i++)
		{
			uint64_t	pair = tested->pairs[i];

			status = tfrs_pair_set_add(relevant, tfrs_pair_query(pair),
									   tfrs_pair_candidate(pair), error);
		}
		validation->listing = true;
	}
	if (status == TFRS_OK)
		status = tfrs_pair_set_finish_step(relevant, error);
	validation->listing = status == TFRS_MORE;
	return status;
}

/* The tables as a model, as far as a ranking looks at one. */
static void
view_tables(tfrs_validation *validation, const tfrs_validation_tables *tables)
{
	tfrs_model *model = &validation->model;

	validation->shape.dim = validation->options->dim;
	validation->shape.temperature = validation->options->loss.temperature;
	model->shape = &validation->shape;
	model->query_ids.count = validation->split.all->queries;
	model->candidate_ids.count = validation->candidates;
	model->candidate_counts = validation->candidate_counts;
	model->candidate_table = validation->served;
	model->query_table = tables->query;
	model->has_events = true;
	model->events = *tfrs_event_split_shown(&validation->split);
	model->history = tables->history;
	memcpy(model->bag_table, tables->read, sizeof(model->bag_table));
	model->unknown_query = validation->unknown;
}

static tfrs_status
begin_ranking(tfrs_validation *validation, const tfrs_validation_tables *tables,
			  tfrs_error *error)
{
	tfrs_evaluation_test test = {.model = &validation->model,.relevant = &validation->relevant};
	tfrs_evaluation_options options;

	view_tables(validation, tables);
	tfrs_evaluation_options_default(&options);
	options.cutoffs[0] = validation->options->validation.k;
	options.cutoff_count = 1;
	options.baselines = false;
	options.threads = validation->options->threads;
	return tfrs_evaluation_begin(&validation->evaluation, validation->arena, &test, &options,
								 error);
}

/* The tables that are learned and how many floats they have; NULL where there is none. */
static float *
learned_table(const tfrs_validation *validation, const tfrs_validation_tables *tables, int number,
			  size_t *floats)
{
	size_t		rows = number == QUERY ? validation->split.all->queries : validation->candidates;

	*floats = (rows + 1) * validation->options->dim;
	if (number == CANDIDATE)
		return tables->candidate;
	return number == QUERY ? tables->query : tables->bag[number - BAGS];
}

static tfrs_status
keep_tables(tfrs_validation *validation, const tfrs_validation_tables *tables, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (int i = 0; i < TABLES && status == TFRS_OK; i++)
	{
		size_t		floats;
		const float *table = learned_table(validation, tables, i, &floats);

		if (table == NULL)
			continue;
		if (validation->kept[i] == NULL)
			status = TFRS_GET(validation->arena, &validation->kept[i], floats, error);
		if (status == TFRS_OK)
			memcpy(validation->kept[i], table, floats * sizeof(float));
	}
	return status;
}

static tfrs_status
finish_ranking(tfrs_validation *validation, const tfrs_validation_tables *tables, uint32_t epoch,
			   tfrs_error *error)
{
	const tfrs_evaluation_result *result = tfrs_evaluation_result_of(validation->evaluation);
	const tfrs_metrics *metrics = &result->figures[TFRS_RANKING_MODEL].metrics[0];

	validation->value = validation->options->validation.metric == TFRS_METRIC_NDCG
		? metrics->ndcg : metrics->recall;
	tfrs_evaluation_destroy(validation->evaluation);
	validation->evaluation = NULL;
	validation->phase = SERVE;
	validation->done = 0;
	validation->worse++;
	if (validation->best_epoch > 0 && validation->value <= validation->best)
		return TFRS_OK;
	validation->best = validation->value;
	validation->best_epoch = epoch;
	validation->worse = 0;
	return keep_tables(validation, tables, error);
}

tfrs_status
tfrs_validation_measure_step(tfrs_validation *validation, const tfrs_validation_tables *tables,
							 uint32_t epoch, tfrs_error *error)
{
	tfrs_status status;

	if (validation->phase == SERVE)
		status = serve(validation, tables, error);
	else if (validation->phase == LIST)
	{
		status = list_pairs(validation, error);
		if (status == TFRS_OK)
			status = begin_ranking(validation, tables, error);
	}
	else
	{
		status = tfrs_evaluation_step(validation->evaluation, error);
		return status == TFRS_OK ? finish_ranking(validation, tables, epoch, error) : status;
	}
	if (status != TFRS_OK)
		return status;
	validation->phase++;
	return TFRS_MORE;
}

bool
tfrs_validation_is_over(const tfrs_validation *validation)
{
	uint32_t	patience = validation->options->validation.patience;

	return patience > 0 && validation->worse >= patience;
}

void
tfrs_validation_restore(const tfrs_validation *validation, const tfrs_validation_tables *tables)
{
	for (int i = 0; i < TABLES; i++)
	{
		size_t		floats;
		float	   *table = learned_table(validation, tables, i, &floats);

		if (table != NULL && validation->kept[i] != NULL)
			memcpy(table, validation->kept[i], floats * sizeof(float));
	}
}
