/*
 * serving.c: the phases of serving.h, each a bounded piece a step.
 */
#include "learning/serving.h"

#include <string.h>

/* Floats copied by a step, and events of a step that averages query vectors: some milliseconds. */
#define STEP_FLOATS ((size_t) 1 << 20)
#define STEP_EVENTS ((size_t) 1 << 15)

typedef enum serve_phase
{
	BEGIN,
	COPY_TIED,
	AVERAGE_CANDIDATES,
	NORMALIZE_CANDIDATES,
	AVERAGE_QUERIES,
	SERVED
} serve_phase;

void
tfrs_serving_begin(tfrs_serving *serving, tfrs_arena *arena, tfrs_history_trainer *history,
				   const tfrs_events *events, const uint32_t *query_counts,
				   const uint32_t *candidate_counts)
{
	memset(serving, 0, sizeof(*serving));
	serving->arena = arena;
	serving->history = history;
	serving->events = events;
	serving->query_counts = query_counts;
	serving->candidate_counts = candidate_counts;
	serving->phase = BEGIN;
}

void
tfrs_serving_free(tfrs_serving *serving)
{
	if (serving->arena == NULL)
		return;
	tfrs_arena_release(serving->arena, serving->tied);
	tfrs_arena_release(serving->arena, serving->unknown);
	tfrs_arena_release(serving->arena, serving->vector);
	tfrs_arena_release(serving->arena, serving->sum);
	memset(serving, 0, sizeof(*serving));
}

bool
tfrs_serving_bytes(const tfrs_train_options *options, size_t candidates, size_t *bytes)
{
	size_t		floats;

	if (!tfrs_size_multiply(options->history.tied ? candidates : 0, options->dim, &floats) ||
		!tfrs_size_multiply(floats + 4 * (size_t) options->dim, sizeof(float), &floats))
		return false;
	return tfrs_size_add(*bytes, floats, bytes);
}

static size_t
tied_floats(const tfrs_serving *serving)
{
	return serving->history->options->history.tied
		? serving->history->candidates * serving->history->shape.dim : 0;
}

static tfrs_status
reserve(tfrs_serving *serving, tfrs_error *error)
{
	size_t		dim = serving->history->shape.dim;
	tfrs_status status = TFRS_GET(serving->arena, &serving->tied, tied_floats(serving), error);

	if (status == TFRS_OK)
		status = TFRS_GET(serving->arena, &serving->unknown, dim, error);
	if (status == TFRS_OK)
		status = TFRS_GET(serving->arena, &serving->vector, dim, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(serving->arena, &serving->sum, dim, error);
	return status;
}

/* A tied bag reads the candidates as they were trained, so they are kept beside the served ones. */
static tfrs_status
copy_tied(tfrs_serving *serving)
{
	size_t		left = tied_floats(serving) - serving->done;
	size_t		count = left < STEP_FLOATS ? left : STEP_FLOATS;

	memcpy(serving->tied + serving->done,
		   serving->history->tables.candidate.table.values + serving->done, count * sizeof(float));
	serving->done += count;
	if (left > count)
		return TFRS_MORE;
	serving->done = 0;
	return TFRS_OK;
}

void
tfrs_serving_bags(const tfrs_serving *serving, const float *tables[TFRS_MAX_BAGS])
{
	for (uint32_t b = 0; b < serving->history->shape.bags; b++)
		tables[b] = tfrs_history_tables_is_tied(&serving->history->tables, b) ? serving->tied :
			tfrs_history_tables_values(&serving->history->tables, b);
}

static tfrs_status
average_queries(tfrs_serving *serving)
{
	const tfrs_history_shape *shape = &serving->history->shape;
	const float *tables[TFRS_MAX_BAGS];

	tfrs_serving_bags(serving, tables);
	for (size_t events = 0; events < STEP_EVENTS && serving->done < serving->events->queries;
		 serving->done++)
	{
		tfrs_event_list list = tfrs_events_of(serving->events, (uint32_t) serving->done);
		double		count = serving->query_counts[serving->done];

		tfrs_history_encode(shape, tables, &list, serving->vector);
		for (size_t d = 0; d < shape->dim; d++)
			serving->sum[d] += count * serving->vector[d];
		serving->rows += count;
		events += list.count + 1;
	}
	if (serving->done < serving->events->queries)
		return TFRS_MORE;
	for (size_t d = 0; d < shape->dim; d++)
		serving->unknown[d] = (float) (serving->sum[d] / serving->rows);
	return TFRS_OK;
}

static tfrs_status
run_phase(tfrs_serving *serving, tfrs_error *error)
{
	tfrs_history_trainer *history = serving->history;
	tfrs_table *table = &history->tables.candidate.table;

	switch ((serve_phase) serving->phase)
	{
		case BEGIN:
			return reserve(serving, error);
		case COPY_TIED:
			return copy_tied(serving);
		case AVERAGE_CANDIDATES:
			return tfrs_table_average_step(table, serving->candidate_counts);
		case NORMALIZE_CANDIDATES:
			return history->shape.normalize
				? tfrs_table_normalize_step(table, tfrs_history_width(&history->shape)) : TFRS_OK;
		case AVERAGE_QUERIES:
			return average_queries(serving);
		default:
			return TFRS_OK;
	}
}

tfrs_status
tfrs_serving_step(tfrs_serving *serving, tfrs_error *error)
{
	tfrs_status status = run_phase(serving, error);

	if (status != TFRS_OK || serving->phase == SERVED)
		return status;
	serving->phase++;
	return serving->phase == SERVED ? TFRS_OK : TFRS_MORE;
}
