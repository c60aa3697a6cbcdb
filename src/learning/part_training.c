/*
 * part_training.c: the pilot, the fit and the fold.
 */
#include "learning/part_training.h"

#include <string.h>

/* What is not given goes on as it was. */
static tfrs_part_weights
carry(const tfrs_part_options *options, const tfrs_model *model, tfrs_part_weights weights)
{
	if (model->score == NULL)
		return weights;
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		if (options->weight[p] < 0)
			weights.part[p] = model->scores.shape[p].weight;
	if (options->towers <= 0)
		weights.towers = model->score->towers;
	if (options->recent < 0)
		weights.recent = model->score->recent;
	weights.trending = model->score->trending != 0;
	return weights;
}

tfrs_status
tfrs_part_training_begin(tfrs_part_training *parts, tfrs_arena *arena,
						 const tfrs_pilot_training *training, tfrs_error *error)
{
	const tfrs_train_options *options = training->options;

	memset(parts, 0, sizeof(*parts));
	parts->arena = arena;
	parts->weights = tfrs_pilot_weights(&options->parts, training->counts.events->at != NULL);
	if (training->data.warm != NULL)
		parts->weights = carry(&options->parts, training->data.warm->model, parts->weights);
	if (training->data.warm != NULL || !tfrs_pilot_is_due(options, training->counts.events))
		return TFRS_OK;
	return tfrs_pilot_begin(&parts->pilot, arena, training, error);
}

tfrs_status
tfrs_part_training_choose_step(tfrs_part_training *parts, tfrs_part_options *options,
							   tfrs_error *error)
{
	if (parts->pilot.arena != NULL)
	{
		tfrs_status status = tfrs_pilot_step(&parts->pilot, error);

		if (status != TFRS_OK)
			return status;
		parts->weights = parts->pilot.weights;
		tfrs_pilot_free(&parts->pilot);
	}
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		options->weight[p] = parts->weights.part[p];
	options->towers = parts->weights.towers;
	options->recent = parts->weights.recent;
	return TFRS_OK;
}

void
tfrs_part_training_fit_begin(tfrs_part_training *parts, const tfrs_events *events,
							 size_t candidates, int threads)
{
	bool		wanted[TFRS_SCORE_PARTS];

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		wanted[p] = parts->weights.part[p] > 0;
	tfrs_part_fit_begin(&parts->fit, parts->arena, events, candidates, wanted, threads);
}

/* As they are served. */
static void
describe(tfrs_part_training *parts)
{
	const tfrs_recent_popularity *recent = parts->fit.recent;

	parts->scores.candidates = parts->fit.candidates;
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
	{
		parts->scores.neighbours[p] = parts->fit.neighbours[p];
		if (parts->fit.neighbours[p].count > 0)
			parts->scores.shape[p] = tfrs_score_part_of((tfrs_neighbour_kind) p,
														parts->weights.part[p]);
	}
	parts->score.towers = parts->weights.towers;
	parts->score.recent = recent != NULL ? parts->weights.recent : 0;
	parts->score.trending = recent != NULL && parts->weights.trending;
	if (recent != NULL)
		memcpy(parts->score.mixture, recent->weight, sizeof(parts->score.mixture));
}

static void
fold(tfrs_part_training *parts, tfrs_tower_shape *shape, tfrs_tensor *candidates,
	 float *unknown)
{
	size_t		width = tfrs_tower_width(shape);
	float		towers = parts->score.towers;

	shape->temperature /= towers;
	for (size_t d = 0; d < width; d++)
		unknown[d] *= towers;
	for (size_t c = 0; shape->bias && c < candidates->rows; c++)
		candidates->values[c * shape->dim + width] *= towers;
	if (!shape->bias)
		parts->score.recent = 0;	/* there is nothing to fold it into */
	for (size_t c = 0; parts->score.recent > 0 && c < parts->fit.candidates; c++)
		candidates->values[c * shape->dim + width] += parts->score.recent *
			(parts->fit.recent->end[c] - parts->fit.recent->all[c]);
}

tfrs_status
tfrs_part_training_fit_step(tfrs_part_training *parts, tfrs_tower_shape *shape,
							tfrs_tensor *candidates, float *unknown, tfrs_error *error)
{
	tfrs_status status = tfrs_part_fit_step(&parts->fit, error);

	if (status != TFRS_OK)
		return status;
	describe(parts);
	fold(parts, shape, candidates, unknown);
	return TFRS_OK;
}

void
tfrs_part_training_fill(const tfrs_part_training *parts, tfrs_model_parts *model)
{
	model->score = &parts->score;
	model->scores = &parts->scores;
	if (parts->fit.recent != NULL)
	{
		model->recent_end = parts->fit.recent->end;
		model->recent_all = parts->fit.recent->all;
	}
}

void
tfrs_part_training_free(tfrs_part_training *parts)
{
	if (parts->arena == NULL)
		return;
	tfrs_pilot_free(&parts->pilot);
	tfrs_part_fit_free(&parts->fit);
	memset(parts, 0, sizeof(*parts));
}

void
tfrs_part_training_plan(tfrs_plan *plan, const tfrs_train_options *options,
						const tfrs_events *events, size_t candidates, bool warm)
{
	tfrs_validation_options window = {.by = TFRS_HELD_OUT_WINDOW};
	size_t		bytes = 0;

	if (!tfrs_part_fit_bytes(events, candidates, options->threads, &bytes))
		bytes = SIZE_MAX;
	tfrs_plan_add(plan, bytes);
	if (warm || !options->parts.pilot)
		return;
	/* of the choice: scores of a worker's query, and sums */
	tfrs_plan_add(plan, (candidates + 1) * (size_t) options->threads * 7 * sizeof(float) +
				  events->queries * sizeof(size_t));
	tfrs_event_split_plan(plan, &window, events);
}
