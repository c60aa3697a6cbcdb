/*
 * validation.c: measuring and keeping parameters.
 *
 * They are ranked as they would be served, of which a copy of the candidates is made.
 */
#include "learning/validation.h"

#include <string.h>

/* Floats of one step: a few milliseconds. */
#define STEP_FLOATS ((size_t) 1 << 20)

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_validation *validation = object;
	size_t		dim = validation->options->dim;

	TFRS_PLAN_VECTORS(plan, &validation->served, validation->candidates + 1, dim);
	TFRS_PLAN_ZERO(plan, &validation->unknown, dim);
}

void
tfrs_validation_plan(tfrs_plan *plan, const tfrs_train_options *options, const tfrs_events *events,
					 size_t candidates)
{
	tfrs_validation validation = {.options = options,.candidates = candidates};

	arrays(&validation, plan);
	tfrs_event_split_plan(plan, &options->validation, events);
	tfrs_pair_set_plan(plan, events->count, events->queries);
}

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
	tfrs_plan_release(arena, arrays, validation);
	memset(validation, 0, sizeof(*validation));
}

bool
tfrs_validation_is_due(const tfrs_validation *validation, uint32_t epoch)
{
	return validation->split.tested.count > 0 &&
		(epoch % validation->options->validation.every == 0 ||
		 epoch == validation->options->epochs);
}

/* Candidates [start, start + count) as they would be served. */
static void
serve_candidates(tfrs_validation *validation, tfrs_descent *descent, size_t start, size_t count)
{
	size_t		dim = validation->options->dim;
	float	   *served = validation->served + start * dim;

	if (descent->counts.candidate.features != NULL)
	{
		tfrs_descent_serve_candidates(descent, start, count, served);
		return;
	}
	memcpy(served, tfrs_tensor_row(tfrs_descent_candidates(descent), start),
		   count * dim * sizeof(float));
	tfrs_tower_finish_candidates(&descent->shape, served, count, NULL);
}

/* TFRS_OK once all are. */
static tfrs_status
serve(tfrs_validation *validation, tfrs_descent *descent, tfrs_error *error)
{
	size_t		most = descent->counts.candidate.features != NULL ? TFRS_ENCODER_ROWS
		: STEP_FLOATS / validation->options->dim + 1;
	size_t		start = validation->done;
	size_t		count = tfrs_size_smaller(validation->candidates + 1 - start, most);
	tfrs_status status = TFRS_OK;

	if (validation->served == NULL)
		status = tfrs_plan_take(validation->arena, arrays, validation, error);
	if (status != TFRS_OK)
		return status;
	serve_candidates(validation, descent, start, count);
	validation->done += count;
	return validation->done <= validation->candidates ? TFRS_MORE : TFRS_OK;
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

/* The parameters as a model, as far as a ranking looks at one. */
static void
view_parameters(tfrs_validation *validation, tfrs_descent *descent)
{
	tfrs_model *model = &validation->model;
	const tfrs_tensor *queries = tfrs_descent_queries(descent);

	validation->shape.dim = validation->options->dim;
	validation->shape.temperature = validation->options->loss.temperature;
	model->shape = &validation->shape;
	model->query_ids.count = validation->split.all->queries;
	model->candidate_ids.count = validation->candidates;
	model->candidate_counts = validation->candidate_counts;
	model->candidate_table = validation->served;
	model->query_table = queries == NULL ? NULL : queries->values;
	model->has_events = true;
	model->events = *tfrs_event_split_shown(&validation->split);
	model->tower = &descent->shape;
	model->history = queries == NULL ? model->tower : NULL;
	for (uint32_t b = 0; b < descent->shape.bags; b++)
		model->bag_table[b] = tfrs_descent_bag(descent, b)->values;
	model->unknown_query = validation->unknown;
}

static tfrs_status
begin_ranking(tfrs_validation *validation, tfrs_descent *descent, tfrs_error *error)
{
	tfrs_evaluation_test test = {.model = &validation->model,.relevant = &validation->relevant};
	tfrs_evaluation_options options;

	view_parameters(validation, descent);
	tfrs_evaluation_options_default(&options);
	options.cutoffs[0] = validation->options->validation.k;
	options.cutoff_count = 1;
	options.baselines = false;
	options.threads = validation->options->threads;
	return tfrs_evaluation_begin(&validation->evaluation, validation->arena, &test, &options,
								 error);
}

static void
finish_ranking(tfrs_validation *validation, tfrs_descent *descent, uint32_t epoch)
{
	const tfrs_evaluation_result *result = tfrs_evaluation_result_of(validation->evaluation);
	const tfrs_metrics *metrics = &result->figures[TFRS_RANKING_MODEL].metrics[0];

	validation->value = validation->options->validation.metric == TFRS_METRIC_NDCG
		? metrics->ndcg : metrics->recall;
	tfrs_evaluation_destroy(validation->evaluation);
	validation->evaluation = NULL;
	validation->phase = TFRS_VALIDATION_SERVE;
	validation->done = 0;
	validation->worse++;
	if (validation->best_epoch > 0 && validation->value <= validation->best)
		return;
	validation->best = validation->value;
	validation->best_epoch = epoch;
	validation->worse = 0;
	tfrs_tensors_keep(&descent->parameters);
}

tfrs_status
tfrs_validation_measure_step(tfrs_validation *validation, tfrs_descent *descent, uint32_t epoch,
							 tfrs_error *error)
{
	tfrs_status status;

	switch (validation->phase)
	{
		case TFRS_VALIDATION_SERVE:
			status = serve(validation, descent, error);
			break;
		case TFRS_VALIDATION_LIST:
			status = list_pairs(validation, error);
			if (status == TFRS_OK)
				status = begin_ranking(validation, descent, error);
			break;
		default:
			status = tfrs_evaluation_step(validation->evaluation, error);
			if (status == TFRS_OK)
				finish_ranking(validation, descent, epoch);
			return status;
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
