/*
 * serving.c: the phases of serving.h, each a bounded piece a step.
 */
#include "learning/serving.h"

#include <string.h>

/* Floats of a step, and events of one that averages query vectors: some milliseconds. */
#define STEP_FLOATS ((size_t) 1 << 20)
#define STEP_EVENTS ((size_t) 1 << 15)

static size_t
dim_of(const tfrs_serving *serving)
{
	return serving->descent->shape.dim;
}

static bool
is_tied(const tfrs_serving *serving, uint32_t bag)
{
	return tfrs_descent_bag(serving->descent, bag) == tfrs_descent_candidates(serving->descent);
}

static bool
has_features(const tfrs_serving *serving, bool of_queries)
{
	const tfrs_descent_counts *counts = &serving->descent->counts;

	return (of_queries ? &counts->query : &counts->candidate)->features != NULL;
}

/* Only the first bag can be; what it reads is changed where candidates are served from their table. */
static bool
has_tied(const tfrs_serving *serving)
{
	return serving->descent->shape.bags > 0 && is_tied(serving, 0) &&
		!has_features(serving, false);
}

void
tfrs_serving_size(tfrs_serving *serving, tfrs_descent *descent)
{
	memset(serving, 0, sizeof(*serving));
	serving->descent = descent;
}

void
tfrs_serving_arrays(void *object, tfrs_plan *plan)
{
	tfrs_serving *serving = object;
	const tfrs_train_options *options = serving->descent->options;
	size_t		candidates = serving->descent->counts.candidates;
	size_t		dim = dim_of(serving);

	if (has_tied(serving))
		TFRS_PLAN_VECTORS(plan, &serving->tied, candidates, dim);
	if (has_features(serving, false))
		TFRS_PLAN_VECTORS(plan, &serving->served, candidates + 1, dim);
	else if (options->keep_optimizer_state && options->normalize)
		TFRS_PLAN(plan, &serving->length, candidates + 1);
	TFRS_PLAN_ZERO(plan, &serving->unknown, dim);
	TFRS_PLAN(plan, &serving->vector, dim);
	TFRS_PLAN_ZERO(plan, &serving->sum, dim);
}

tfrs_status
tfrs_serving_begin(tfrs_serving *serving, tfrs_arena *arena, tfrs_descent *descent,
				   const tfrs_serving_data *data, tfrs_error *error)
{
	tfrs_status status;

	tfrs_serving_size(serving, descent);
	serving->data = *data;
	status = tfrs_plan_take(arena, tfrs_serving_arrays, serving, error);
	serving->arena = status == TFRS_OK ? arena : NULL;
	return status;
}

void
tfrs_serving_free(tfrs_serving *serving)
{
	if (serving->arena == NULL)
		return;
	tfrs_plan_release(serving->arena, tfrs_serving_arrays, serving);
	memset(serving, 0, sizeof(*serving));
}

/* The next rows [start, end) of count; false past the last. */
static bool
next_rows(tfrs_serving *serving, size_t count, size_t *start, size_t *end)
{
	size_t		left = count - serving->done;

	*start = serving->done;
	*end = *start + tfrs_size_smaller(left, STEP_FLOATS / dim_of(serving) + 1);
	serving->done = *end;
	return left > 0;
}

/* A tied bag reads the candidates as they were trained, so they are kept beside the served ones. */
static tfrs_status
copy_tied(tfrs_serving *serving)
{
	const tfrs_tensor *tensor = tfrs_descent_candidates(serving->descent);
	size_t		dim = dim_of(serving);
	size_t		start;
	size_t		end;

	if (!has_tied(serving) || !next_rows(serving, tensor->rows - 1, &start, &end))
		return TFRS_OK;
	memcpy(serving->tied + start * dim, tfrs_tensor_row(tensor, start),
		   (end - start) * dim * sizeof(float));
	return TFRS_MORE;
}

float *
tfrs_serving_bag(const tfrs_serving *serving, uint32_t bag)
{
	return is_tied(serving, bag) && has_tied(serving) ? serving->tied
		: tfrs_descent_bag(serving->descent, bag)->values;
}

float *
tfrs_serving_candidates(const tfrs_serving *serving)
{
	return serving->served != NULL ? serving->served
		: tfrs_descent_candidates(serving->descent)->values;
}

static void
add_to_mean(tfrs_serving *serving, const float *vector, double weight)
{
	for (size_t d = 0; d < dim_of(serving); d++)
		serving->sum[d] += weight * vector[d];
	serving->weight += weight;
}

/* vector (D) becomes the mean, which begins anew. */
static tfrs_status
end_mean(tfrs_serving *serving, float *vector)
{
	for (size_t d = 0; d < dim_of(serving); d++)
	{
		if (serving->weight > 0)
			vector[d] = (float) (serving->sum[d] / serving->weight);
		serving->sum[d] = 0;
	}
	serving->weight = 0;
	return TFRS_OK;
}

/* The unknown slot of a table (NULL: there is none) becomes the mean of its rows. */
static tfrs_status
average(tfrs_serving *serving, tfrs_tensor *tensor, const uint32_t *counts)
{
	size_t		start;
	size_t		end;

	if (tensor == NULL || !serving->descent->options->average_unknown)
		return TFRS_OK;
	if (!next_rows(serving, tensor->rows - 1, &start, &end))
		return end_mean(serving, tensor->values + (tensor->rows - 1) * tensor->dim);
	for (size_t row = start; row < end; row++)
		add_to_mean(serving, tfrs_tensor_row(tensor, row), counts[row]);
	return TFRS_MORE;
}

/* An unknown slot that was trained stays as it is. */
static bool
learns_unknown(const tfrs_serving *serving)
{
	return serving->descent->options->id_dropout > 0.0f;
}

/* Some rows of a tower, which are few enough not to take long. */
static tfrs_status
encode_candidates(tfrs_serving *serving)
{
	size_t		left = serving->descent->counts.candidates + 1 - serving->done;
	size_t		count = tfrs_size_smaller(left, TFRS_ENCODER_ROWS);

	tfrs_descent_serve_candidates(serving->descent, serving->done, count,
								  serving->served + serving->done * dim_of(serving));
	serving->done += count;
	return count < left ? TFRS_MORE : TFRS_OK;
}

static tfrs_status
finish_candidates(tfrs_serving *serving)
{
	tfrs_tensor *tensor = tfrs_descent_candidates(serving->descent);
	size_t		start;
	size_t		end;

	if (has_features(serving, false))
		return encode_candidates(serving);
	if (!next_rows(serving, tensor->rows, &start, &end))
		return TFRS_OK;
	tfrs_tower_finish_candidates(&serving->descent->shape, tensor->values + start * tensor->dim,
								 end - start,
								 serving->length == NULL ? NULL : serving->length + start);
	return TFRS_MORE;
}

/* The unknown query of a tower with features: what it makes of NULLs and of no events. */
static tfrs_status
encode_unknown(tfrs_serving *serving)
{
	tfrs_descent *descent = serving->descent;
	size_t		start[2] = {0, 0};
	tfrs_ragged bags[TFRS_MAX_BAGS];

	for (int b = 0; b < TFRS_MAX_BAGS; b++)
		bags[b] = (tfrs_ragged) {.rows = 1,.start = start};
	tfrs_descent_serve_query(descent, (uint32_t) descent->counts.queries,
							 descent->counts.query.null_row, bags, serving->unknown);
	return TFRS_OK;
}

/* The unknown query of a tower of events: what it makes of none, or the mean of all queries. */
static tfrs_status
encode_queries(tfrs_serving *serving)
{
	const tfrs_tower_shape *shape = &serving->descent->shape;
	const tfrs_events *events = serving->data.events;
	const float *tables[TFRS_MAX_BAGS];
	size_t		work = 0;

	if (has_features(serving, true))
		return encode_unknown(serving);
	for (uint32_t b = 0; b < shape->bags; b++)
		tables[b] = tfrs_serving_bag(serving, b);
	tfrs_tower_finish(shape, serving->unknown);
	if (shape->bags == 0 || learns_unknown(serving) ||
		!serving->descent->options->average_unknown)
		return TFRS_OK;
	for (; work < STEP_EVENTS && serving->done < events->queries; serving->done++)
	{
		tfrs_event_list list = tfrs_events_of(events, (uint32_t) serving->done);

		tfrs_tower_encode(shape, tables, &list, serving->vector);
		add_to_mean(serving, serving->vector, serving->data.query_counts[serving->done]);
		work += list.count + 1;
	}
	return serving->done < events->queries ? TFRS_MORE : end_mean(serving, serving->unknown);
}

static tfrs_status
run_phase(tfrs_serving *serving)
{
	tfrs_descent *descent = serving->descent;

	switch (serving->phase)
	{
		case TFRS_SERVING_COPY:
			return copy_tied(serving);
		case TFRS_SERVING_AVERAGE_CANDIDATES:
			return has_features(serving, false) ? TFRS_OK
				: average(serving, tfrs_descent_candidates(descent),
						  serving->data.candidate_counts);
		case TFRS_SERVING_AVERAGE_QUERIES:
			return learns_unknown(serving) || has_features(serving, true) ? TFRS_OK
				: average(serving, tfrs_descent_queries(descent), serving->data.query_counts);
		case TFRS_SERVING_FINISH_CANDIDATES:
			return finish_candidates(serving);
		case TFRS_SERVING_ENCODE_QUERIES:
			return encode_queries(serving);
		case TFRS_SERVING_DONE:
			break;
	}
	return TFRS_OK;
}

tfrs_status
tfrs_serving_step(tfrs_serving *serving)
{
	if (run_phase(serving) == TFRS_MORE)
		return TFRS_MORE;
	if (serving->phase == TFRS_SERVING_DONE)
		return TFRS_OK;
	serving->phase++;
	serving->done = 0;
	return serving->phase == TFRS_SERVING_DONE ? TFRS_OK : TFRS_MORE;
}
