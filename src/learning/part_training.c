/*
 * part_training.c: the pilot, the fit and the fold.
 */
#include "learning/part_training.h"

#include <math.h>
#include <string.h>

/* Of new candidates, whose values are twice those of known ones. */
#define LEAST_CONTENT 2.5f

/* What is not given goes on as it was. */
static tfrs_part_weights
carry(const tfrs_part_options *options, const tfrs_model *model, tfrs_part_weights weights)
{
	if (model->score == NULL)
		return weights;
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		if (options->weight[p] < 0)
			weights.part[p] = p == TFRS_LIKE_CONTENT ? model->score->content
				: model->scores.shape[p].weight;
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
	parts->content = training->content;
	parts->content_given = options->parts.weight[TFRS_LIKE_CONTENT] >= 0;
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
	tfrs_part_fit_data data = {
		.events = events, .content = parts->content, .candidates = candidates, .threads = threads
	};

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		data.wanted[p] = parts->weights.part[p] > 0 ||
			(p == TFRS_LIKE_CONTENT && !parts->content_given);
	tfrs_part_fit_begin(&parts->fit, parts->arena, &data);
}

static bool
is_new(const tfrs_part_training *parts, size_t candidate)
{
	return parts->content != NULL && !tfrs_content_is_known(parts->content, candidate);
}

static bool
has_new(const tfrs_part_training *parts)
{
	bool		found = false;

	for (size_t c = 0; c < parts->fit.data.candidates; c++)
		found = found || is_new(parts, c);
	return found;
}

/*
 * How much content weighs as it is served.  Where no weight was given new candidates have a least
 * one, which those that are known do not share: nothing else tells who chooses what is new.
 */
static float
weigh_content(tfrs_part_training *parts)
{
	float		known = parts->weights.part[TFRS_LIKE_CONTENT];
	bool		given = parts->content_given || !has_new(parts);
	float		weight = given ? known : fmaxf(known, LEAST_CONTENT);

	parts->score.content = known;
	if (weight > known)
		tfrs_content_fit_weigh_known(&parts->fit.content, known / weight);
	return weight;
}

/* As they are served. */
static void
describe(tfrs_part_training *parts)
{
	const tfrs_recent_popularity *recent = parts->fit.recent;

	parts->scores.candidates = parts->fit.data.candidates;
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
	{
		float		weight = parts->weights.part[p];

		parts->scores.neighbours[p] = parts->fit.neighbours[p];
		if (parts->fit.neighbours[p].count == 0)
			continue;
		if (p == TFRS_LIKE_CONTENT)
			weight = weigh_content(parts);
		if (weight > 0)
			parts->scores.shape[p] = tfrs_score_part_of(p, weight);
	}
	parts->score.towers = parts->weights.towers;
	parts->score.recent = recent != NULL ? parts->weights.recent : 0;
	parts->score.trending = recent != NULL && parts->weights.trending;
	if (recent != NULL)
		memcpy(parts->score.mixture, recent->weight, sizeof(parts->score.mixture));
}

/*
 * What a new candidate gains by content on an average over the queries, more than those that are
 * known, is taken from its bias: this part of the score tells who chooses it, not how many.
 */
static void
level_new(tfrs_part_training *parts, tfrs_tensor *candidates, size_t width)
{
	const float *level = parts->fit.content.level;
	float		weight = parts->scores.shape[TFRS_LIKE_CONTENT].weight;
	double		sum = 0;
	size_t		known = 0;

	if (weight == 0)
		return;
	for (size_t c = 0; c < parts->fit.data.candidates; c++)
	{
		sum += is_new(parts, c) ? 0 : level[c];
		known += !is_new(parts, c);
	}
	for (size_t c = 0; c < parts->fit.data.candidates; c++)
		if (is_new(parts, c))
			candidates->values[c * candidates->dim + width] -= weight *
				(level[c] - (float) (sum / fmax(1, (double) known)));
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
	else
		level_new(parts, candidates, width);
	for (size_t c = 0; parts->score.recent > 0 && c < parts->fit.data.candidates; c++)
		if (!is_new(parts, c))
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
	tfrs_plan_add(plan, (candidates + 1) * (size_t) options->threads * 8 * sizeof(float) +
				  events->queries * sizeof(size_t));
	tfrs_event_split_plan(plan, &window, events);
}
