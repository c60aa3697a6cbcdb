/*
 * model.c: reading a model block that may be hostile.
 *
 * tfrs_block_open has checked that the parts lie inside the bytes; here they are checked to be
 * what they say: sizes that agree, limits, finite numbers, counts that add up.  Behind this point
 * nothing looks again.
 */
#include "learning/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/finite.h"
#include "base/kernels.h"
#include "base/limits.h"

/* Query vectors that a length is the mean of. */
#define LENGTH_SAMPLE 1000

static tfrs_status
corrupt(tfrs_error *error, const char *detail)
{
	tfrs_fail(error, TFRS_CORRUPT, "model is corrupt");
	tfrs_error_detail(error, "%s", detail);
	return TFRS_CORRUPT;
}

static tfrs_status
check_shape(const tfrs_model_shape *shape, tfrs_error *error)
{
	if (shape->dim < 1 || shape->dim > TFRS_MAX_DIM)
		return corrupt(error, "Its dimension is out of range.");
	if (shape->flags != 0 || shape->reserved != 0.0f || signbit(shape->reserved))
		return corrupt(error, "Its reserved fields are not zero.");
	if (shape->rows < 1 || shape->rows > TFRS_MAX_INTERACTIONS)
		return corrupt(error, "Its number of rows is out of range.");
	if (!isfinite(shape->temperature) || !(shape->temperature > 0.0f))
		return corrupt(error, "Its temperature is not a positive number.");
	return TFRS_OK;
}

static tfrs_status
load_shape(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find_exact(&model->block, "shape", sizeof(tfrs_model_shape), 1,
											   (const void **) &model->shape, error);

	return status == TFRS_OK ? check_shape(model->shape, error) : status;
}

static tfrs_status
load_epochs(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find(&model->block, "epochs", sizeof(tfrs_model_epoch),
										 (const void **) &model->epochs, &model->epoch_count,
										 error);

	if (status != TFRS_OK)
		return status;
	if (model->epoch_count < 1 || model->epoch_count > TFRS_MAX_EPOCHS)
		return corrupt(error, "Its number of epochs is out of range.");
	for (size_t i = 0; i < model->epoch_count; i++)
	{
		if (!isfinite(model->epochs[i].loss) || !isfinite(model->epochs[i].loss_per_row))
			return corrupt(error, "A loss of its history is not finite.");
	}
	return TFRS_OK;
}

/* One side: where its parts go. */
typedef struct model_side
{
	const char *prefix;
	const char *counts_name;
	tfrs_id_view *ids;
	const uint32_t **counts;
} model_side;

static tfrs_status
check_counts(const tfrs_model *model, const model_side *side, tfrs_error *error)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < side->ids->count; i++)
		sum += (*side->counts)[i];
	if (sum != model->shape->rows)
		return corrupt(error, "The counts of its ids do not add up to its rows.");
	return TFRS_OK;
}

static tfrs_status
load_side(tfrs_model *model, const model_side *side, tfrs_error *error)
{
	const tfrs_block *block = &model->block;
	tfrs_status status = tfrs_id_view_load(side->ids, block, side->prefix, error);

	if (status == TFRS_OK)
		status = tfrs_block_find_exact(block, side->counts_name, sizeof(uint32_t),
									   side->ids->count, (const void **) side->counts, error);
	if (status == TFRS_OK && !block->trusted)
		status = check_counts(model, side, error);
	return status;
}

const char *
tfrs_model_bag_name(uint32_t bag)
{
	static const char *const names[TFRS_MAX_BAGS] = {"bag0", "bag1", "bag2", "bag3", "bag4"};

	return names[bag];
}

static tfrs_status
check_tower(const tfrs_model *model, tfrs_error *error)
{
	const tfrs_tower_shape *shape = model->tower;

	if (shape->dim != model->shape->dim || shape->bias > 1 || shape->normalize > 1 ||
		shape->repeats > 1 || shape->dim <= shape->bias)
		return corrupt(error, "The dimension of its query tower is wrong.");
	if (shape->bags > TFRS_MAX_BAGS || (shape->bags > 0 && shape->length < 1))
		return corrupt(error, "The bags of its query tower are out of range.");
	for (uint32_t b = 0; b < TFRS_MAX_BAGS; b++)
		if (!(shape->decay[b] >= 0.0f && shape->decay[b] <= 1.0f))
			return corrupt(error, "A decay of its query tower is out of range.");
	if (!isfinite(shape->temperature) || !(shape->temperature > 0.0f))
		return corrupt(error, "The temperature of its query tower is not a positive number.");
	return TFRS_OK;
}

static tfrs_status
load_floats(const tfrs_model *model, const char *name, size_t count, const float **values,
			tfrs_error *error)
{
	tfrs_status status = tfrs_block_find_exact(&model->block, name, sizeof(float), count,
											   (const void **) values, error);

	if (status == TFRS_OK && !model->block.trusted && !tfrs_all_finite(*values, count))
		return corrupt(error, "One of its numbers is not finite.");
	return status;
}

static tfrs_status
load_validation(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find_exact(&model->block, "epochs.validation", sizeof(double),
											   model->epoch_count,
											   (const void **) &model->validation, error);

	for (size_t e = 0; status == TFRS_OK && e < model->epoch_count; e++)
		if (!isfinite(model->validation[e]))
			return corrupt(error, "One of its numbers is not finite.");
	return status;
}

static tfrs_status
load_accuracy(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find(&model->block, "epochs.cutoffs", sizeof(uint32_t),
										 (const void **) &model->cutoffs, &model->cutoff_count,
										 error);

	if (status != TFRS_OK)
		return status;
	if (model->cutoff_count > TFRS_MAX_CUTOFFS)
		return corrupt(error, "It has too many cutoffs.");
	return load_floats(model, "epochs.accuracy", model->epoch_count * model->cutoff_count,
					   &model->accuracy, error);
}

const tfrs_model_tensor *
tfrs_model_tensor_of(const tfrs_model *model, const char *name)
{
	for (size_t i = 0; i < model->tensor_count; i++)
		if (strcmp(model->tensor[i].name, name) == 0)
			return &model->tensor[i];
	return NULL;
}

const char *
tfrs_model_part_name(const char *tensor, const char *what, char name[TFRS_MAX_PART_NAME])
{
	snprintf(name, TFRS_MAX_PART_NAME, "%s.%s", tensor, what);
	return name;
}

/* One part of a tensor, where it is there. */
static tfrs_status
load_part(const tfrs_model *model, const tfrs_model_tensor *tensor, const char *what, size_t count,
		  const float **values, tfrs_error *error)
{
	char		name[TFRS_MAX_PART_NAME];

	tfrs_model_part_name(tensor->name, what, name);
	return tfrs_block_has(&model->block, name) ? load_floats(model, name, count, values, error)
		: TFRS_OK;
}

/* Another tensor of the model; *values receives its table, which must be there. */
static tfrs_status
load_tensor(tfrs_model *model, const char *name, size_t rows, const float **values,
			tfrs_error *error)
{
	tfrs_model_tensor *tensor = &model->tensor[model->tensor_count++];
	size_t		floats = rows * model->shape->dim;
	char		part[TFRS_MAX_PART_NAME];
	tfrs_status status;

	*tensor = (tfrs_model_tensor) {.name = name,.rows = rows};
	status = load_floats(model, tfrs_model_part_name(name, "table", part), floats,
						 &tensor->values, error);
	if (status == TFRS_OK)
		status = load_part(model, tensor, "slot0", floats, &tensor->slot[0], error);
	if (status == TFRS_OK)
		status = load_part(model, tensor, "slot1", floats, &tensor->slot[1], error);
	if (status == TFRS_OK)
		status = load_part(model, tensor, "length", rows, &tensor->length, error);
	*values = tensor->values;
	return status;
}

static tfrs_status
load_query_tower(tfrs_model *model, tfrs_error *error)
{
	size_t		candidates = model->candidate_ids.count;
	tfrs_status status = tfrs_block_find_exact(&model->block, "query.tower",
											   sizeof(tfrs_tower_shape), 1,
											   (const void **) &model->tower, error);

	if (status == TFRS_OK)
		status = check_tower(model, error);
	if (status != TFRS_OK)
		return status;
	if (model->tower->bags == 0)
		return load_tensor(model, "query", model->query_ids.count + 1, &model->query_table, error);
	model->history = model->tower;
	for (uint32_t b = 0; status == TFRS_OK && b < model->history->bags; b++)
		status = load_tensor(model, tfrs_model_bag_name(b), candidates, &model->bag_table[b],
							 error);
	if (status == TFRS_OK)
		status = load_floats(model, "query.unknown", model->shape->dim, &model->unknown_query,
							 error);
	return status;
}

static tfrs_status
check_score(const tfrs_model_score *score, tfrs_error *error)
{
	for (size_t h = 0; h < TFRS_POPULARITY_PARTS; h++)
		if (!(score->mixture[h] >= 0 && score->mixture[h] <= 1.001f))
			return corrupt(error, "Its popularity is no mixture.");
	if (!(score->towers > 0 && score->towers <= 1) || !(score->recent >= 0 && score->recent <= 1) ||
		score->trending > 1 || !(score->content >= 0 && score->content <= 10000))
		return corrupt(error, "The weights of its score are out of range.");
	return TFRS_OK;
}

static tfrs_status
load_score(tfrs_model *model, tfrs_error *error)
{
	size_t		candidates = model->candidate_ids.count;
	tfrs_status status = tfrs_block_find_exact(&model->block, "score", sizeof(tfrs_model_score), 1,
											   (const void **) &model->score, error);

	if (status == TFRS_OK)
		status = check_score(model->score, error);
	if (status == TFRS_OK && tfrs_block_has(&model->block, "score.end"))
		status = load_floats(model, "score.end", candidates, &model->recent_end, error);
	if (status == TFRS_OK && model->recent_end != NULL)
		status = load_floats(model, "score.all", candidates, &model->recent_all, error);
	if (status == TFRS_OK && model->recent_end == NULL &&
		(model->score->recent > 0 || model->score->trending))
		return corrupt(error, "Its popularity is missing.");
	return status;
}

/* What stands beside a tower of events. */
static tfrs_status
load_beside(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_score_parts_load(&model->scores, &model->block,
											   model->candidate_ids.count, error);

	return status == TFRS_OK && tfrs_block_has(&model->block, "score")
		? load_score(model, error) : status;
}

static tfrs_status
load_optimizer(tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = tfrs_block_find_exact(&model->block, "optimizer",
											   sizeof(tfrs_model_optimizer), 1,
											   (const void **) &model->optimizer, error);

	if (status == TFRS_OK && (model->optimizer->slots > 2 ||
							  model->optimizer->step > TFRS_MAX_MODEL_STEPS))
		return corrupt(error, "The state of its optimizer is out of range.");
	return status;
}

/* Offsets that cut the events into one run a query. */
static tfrs_status
check_offsets(const tfrs_events *events, tfrs_error *error)
{
	if (events->offsets[0] != 0 || events->offsets[events->queries] != events->count)
		return corrupt(error, "Its events do not belong to its queries.");
	for (size_t q = 0; q < events->queries; q++)
		if (events->offsets[q] > events->offsets[q + 1])
			return corrupt(error, "Its events do not belong to its queries.");
	return TFRS_OK;
}

static tfrs_status
check_events(const tfrs_model *model, tfrs_error *error)
{
	const tfrs_events *events = &model->events;

	for (size_t e = 0; e < events->count; e++)
		if (events->candidate[e] >= model->candidate_ids.count)
			return corrupt(error, "An event has a candidate that is not there.");
	for (size_t q = 0; q < events->queries && events->at != NULL; q++)
		for (uint64_t e = events->offsets[q] + 1; e < events->offsets[q + 1]; e++)
			if (events->at[e] < events->at[e - 1])
				return corrupt(error, "Its events are not in the order of time.");
	return TFRS_OK;
}

static tfrs_status
load_events(tfrs_model *model, tfrs_error *error)
{
	const tfrs_block *block = &model->block;
	tfrs_events *events = &model->events;
	tfrs_status status;

	events->queries = model->query_ids.count;
	status = tfrs_block_find_exact(block, "events.offsets", sizeof(uint64_t), events->queries + 1,
								   (const void **) &events->offsets, error);
	if (status == TFRS_OK)
		status = tfrs_block_find(block, "events.candidate", sizeof(uint32_t),
								 (const void **) &events->candidate, &events->count, error);
	if (status == TFRS_OK && tfrs_block_has(block, "events.at"))
		status = tfrs_block_find_exact(block, "events.at", sizeof(int64_t), events->count,
									   (const void **) &events->at, error);
	if (status == TFRS_OK && !block->trusted)
		status = check_offsets(events, error);
	if (status == TFRS_OK && !block->trusted)
		status = check_events(model, error);
	model->has_events = status == TFRS_OK;
	return status;
}

/* The features of both sides, which may share tables. */
static tfrs_status
load_features(tfrs_model *model, tfrs_error *error)
{
	tfrs_stored_features *query = &model->query_features;
	tfrs_stored_features *candidate = &model->candidate_features;
	tfrs_status status = tfrs_stored_features_load(query, &model->block, true,
												   model->query_ids.count, error);

	if (status == TFRS_OK)
		status = tfrs_stored_features_load(candidate, &model->block, false,
										   model->candidate_ids.count, error);
	if (status == TFRS_OK && tfrs_features_link(&query->features, &candidate->features,
												&model->query_ids, &model->candidate_ids,
												error) != TFRS_OK)
		return corrupt(error, "A feature shares a table that is not there.");
	return status;
}

static tfrs_status
load_sides(tfrs_model *model, tfrs_error *error)
{
	const model_side query = {
		"query.", "query.counts", &model->query_ids, &model->query_counts
	};
	const model_side candidate = {
		"candidate.", "candidate.counts", &model->candidate_ids, &model->candidate_counts
	};
	tfrs_status status = load_side(model, &query, error);

	if (status == TFRS_OK)
		status = load_side(model, &candidate, error);
	if (status == TFRS_OK)
		status = load_features(model, error);
	if (status == TFRS_OK)
		status = load_tensor(model, "candidate", model->candidate_ids.count + 1,
							 &model->candidate_table, error);
	return status == TFRS_OK ? load_query_tower(model, error) : status;
}

tfrs_status
tfrs_model_of_block(tfrs_model *model, const tfrs_block *block, tfrs_error *error)
{
	tfrs_status status;

	memset(model, 0, sizeof(*model));
	model->block = *block;
	status = load_shape(model, error);
	if (status == TFRS_OK)
		status = tfrs_block_find(&model->block, "about", 1, (const void **) &model->about,
								 &model->about_bytes, error);
	if (status == TFRS_OK)
		status = load_epochs(model, error);
	if (status == TFRS_OK && tfrs_block_has(&model->block, "epochs.cutoffs"))
		status = load_accuracy(model, error);
	if (status == TFRS_OK && tfrs_block_has(&model->block, "epochs.validation"))
		status = load_validation(model, error);
	if (status == TFRS_OK)
		status = load_sides(model, error);
	if (status == TFRS_OK && model->history != NULL)
		status = load_beside(model, error);
	if (status == TFRS_OK && tfrs_block_has(&model->block, "events.offsets"))
		status = load_events(model, error);
	if (status == TFRS_OK && tfrs_block_has(&model->block, "optimizer"))
		status = load_optimizer(model, error);
	return status;
}

tfrs_status
tfrs_model_load(tfrs_model *model, const void *bytes, size_t length, tfrs_error *error)
{
	tfrs_block	block;
	tfrs_status status = tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, error);

	return status == TFRS_OK ? tfrs_model_of_block(model, &block, error) : status;
}

static void
copy_row(const float *table, size_t rows, size_t dim, uint32_t row, float *vector)
{
	size_t		unknown = rows;
	size_t		at = row == TFRS_NO_ROW ? unknown : row;

	memcpy(vector, table + at * dim, dim * sizeof(float));
}

/* The vector of a tower of ids. */
static void
encode_row(const tfrs_model *model, uint32_t row, float *vector)
{
	copy_row(model->query_table, model->query_ids.count, model->shape->dim, row, vector);
	tfrs_tower_finish(model->tower, vector);
}

static float
length_of(const float *vector, size_t dim)
{
	return sqrtf(tfrs_kernels.dot(vector, vector, dim));
}

/* The mean length of the query vectors, of some of them where they are many. */
static float
query_length(const tfrs_model *model, float *vector)
{
	size_t		queries = model->query_ids.count;
	size_t		sample = queries < LENGTH_SAMPLE ? queries : LENGTH_SAMPLE;
	double		sum = 0;

	for (size_t i = 0; i < sample; i++)
	{
		encode_row(model, (uint32_t) (i * queries / sample), vector);
		sum += length_of(vector, tfrs_tower_width(model->tower));
	}
	return (float) (sum / (double) sample);
}

/* Plain tables: the sum of the candidates' vectors, as long as the queries' are on the average. */
static void
fold_in(const tfrs_model *model, const tfrs_event_list *list, float *vector)
{
	size_t		dim = model->shape->dim;
	size_t		width = tfrs_tower_width(model->tower);
	float		wanted = query_length(model, vector);
	float		length;

	memset(vector, 0, dim * sizeof(float));
	for (size_t i = 0; i < list->count; i++)
		tfrs_kernels.add_scaled(vector, model->candidate_table + list->candidate[i] * dim, width,
								1.0f);
	length = length_of(vector, width);
	for (size_t d = 0; d < width; d++)
		vector[d] *= length > 0 ? wanted / length : 0.0f;
	if (model->tower->bias)
		vector[width] = 1.0f;
}

void
tfrs_model_history(const tfrs_model *model, const tfrs_event_list *list, float *vector)
{
	if (list->count == 0)
		tfrs_model_query(model, TFRS_NO_ROW, vector);
	else if (model->history != NULL)
		tfrs_tower_encode(model->tower, model->bag_table, list, vector);
	else
		fold_in(model, list, vector);
}

void
tfrs_model_query(const tfrs_model *model, uint32_t row, float *vector)
{
	tfrs_event_list list = {0};

	if (model->history == NULL)
	{
		encode_row(model, row, vector);
		return;
	}
	if (row != TFRS_NO_ROW && model->has_events)
		list = tfrs_events_of(&model->events, row);
	if (list.count > 0)
		tfrs_tower_encode(model->tower, model->bag_table, &list, vector);
	else
		memcpy(vector, model->unknown_query, model->shape->dim * sizeof(float));
}

void
tfrs_model_add_parts_of(const tfrs_model *model, const tfrs_event_list *list,
						tfrs_part_sums *sums)
{
	if (model->scores.candidates > 0)
		tfrs_score_parts_add(&model->scores, TFRS_SCORE_PARTS, list, sums);
}

void
tfrs_model_add_parts(const tfrs_model *model, uint32_t query, tfrs_part_sums *sums)
{
	tfrs_event_list list = tfrs_events_of(&model->events, query);

	tfrs_model_add_parts_of(model, &list, sums);
}

void
tfrs_model_candidate(const tfrs_model *model, uint32_t row, float *vector)
{
	copy_row(model->candidate_table, model->candidate_ids.count, model->shape->dim, row, vector);
}
