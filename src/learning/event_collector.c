/*
 * event_collector.c: a counting sort by query, then a heap sort of each query's rows.
 *
 * Rows arrive shuffled.  Heap sort needs no memory and is never quadratic; queries are short.  The
 * order (candidate, at) brings equal pairs together, (at, candidate) is the order of the result.
 */
#include "learning/event_collector.h"

#include <string.h>

/* Rows of a step. */
#define STEP_ROWS ((size_t) 1 << 14)

typedef bool (*event_order) (const tfrs_collected_event *a, const tfrs_collected_event *b);

static bool
by_candidate(const tfrs_collected_event *a, const tfrs_collected_event *b)
{
	return a->candidate != b->candidate ? a->candidate < b->candidate : a->at < b->at;
}

static bool
by_time(const tfrs_collected_event *a, const tfrs_collected_event *b)
{
	return a->at != b->at ? a->at < b->at : a->candidate < b->candidate;
}

static void
sift_down(tfrs_collected_event *event, size_t root, size_t count, event_order before)
{
	tfrs_collected_event moving = event[root];

	for (size_t child; (child = 2 * root + 1) < count; root = child)
	{
		if (child + 1 < count && before(&event[child], &event[child + 1]))
			child++;
		if (!before(&moving, &event[child]))
			break;
		event[root] = event[child];
	}
	event[root] = moving;
}

static void
sort_events(tfrs_collected_event *event, size_t count, event_order before)
{
	for (size_t root = count / 2; root-- > 0;)
		sift_down(event, root, count, before);
	for (size_t end = count; end-- > 1;)
	{
		tfrs_collected_event last = event[end];

		event[end] = event[0];
		event[0] = last;
		sift_down(event, 0, end, before);
	}
}

/* Equal candidates become one event; they stand together, the earliest first.  Returns the count. */
static size_t
merge_equal(tfrs_collected_event *event, size_t count)
{
	size_t		kept = 0;

	for (size_t i = 1; i < count; i++)
	{
		if (event[i].candidate == event[kept].candidate)
			event[kept].weight += event[i].weight;
		else
			event[++kept] = event[i];
	}
	return count == 0 ? 0 : kept + 1;
}

static tfrs_status
reserve(tfrs_event_collector *collector, tfrs_error *error)
{
	tfrs_arena *arena = collector->arena;
	size_t		rows = tfrs_interactions_count(collector->interactions);
	size_t		queries = collector->queries;
	tfrs_status status = TFRS_GET(arena, &collector->rows, STEP_ROWS, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &collector->event, rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &collector->begin, queries + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &collector->filled, queries, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &collector->offsets, queries + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &collector->candidate, rows, error);
	if (status == TFRS_OK && collector->has_time)
		status = TFRS_GET(arena, &collector->at, rows, error);
	if (status == TFRS_OK && collector->has_weight)
		status = TFRS_GET(arena, &collector->weight, rows, error);
	return status;
}

bool
tfrs_event_collector_bytes(size_t rows, size_t queries, size_t *bytes)
{
	size_t		of_rows;
	size_t		of_queries;

	return tfrs_size_multiply(rows, sizeof(tfrs_collected_event) + sizeof(uint32_t) +
							  sizeof(int64_t) + sizeof(float), &of_rows) &&
		tfrs_size_multiply(queries + 1, 3 * sizeof(uint64_t), &of_queries) &&
		tfrs_size_add(of_rows, STEP_ROWS * sizeof(tfrs_interaction), &of_rows) &&
		tfrs_size_add(*bytes, of_rows, bytes) && tfrs_size_add(*bytes, of_queries, bytes);
}

tfrs_status
tfrs_event_collector_begin(tfrs_event_collector *collector, tfrs_arena *arena,
						   tfrs_interactions *interactions, bool has_weight, bool has_time,
						   tfrs_error *error)
{
	const uint32_t *counts = tfrs_interactions_query_counts(interactions);
	tfrs_status status;

	memset(collector, 0, sizeof(*collector));
	collector->arena = arena;
	collector->interactions = interactions;
	collector->has_weight = has_weight;
	collector->has_time = has_time;
	collector->queries = tfrs_interactions_queries(interactions)->count;
	collector->reading = true;
	status = reserve(collector, error);
	if (status != TFRS_OK)
	{
		tfrs_event_collector_free(collector);
		return status;
	}
	collector->begin[0] = 0;
	collector->offsets[0] = 0;
	for (size_t q = 0; q < collector->queries; q++)
	{
		collector->filled[q] = collector->begin[q];
		collector->begin[q + 1] = collector->begin[q] + counts[q];
	}
	return tfrs_interactions_rewind(interactions, 0, error);
}

void
tfrs_event_collector_free(tfrs_event_collector *collector)
{
	if (collector->arena == NULL)
		return;
	tfrs_arena_release(collector->arena, collector->rows);
	tfrs_arena_release(collector->arena, collector->event);
	tfrs_arena_release(collector->arena, collector->begin);
	tfrs_arena_release(collector->arena, collector->filled);
	tfrs_arena_release(collector->arena, collector->offsets);
	tfrs_arena_release(collector->arena, collector->candidate);
	tfrs_arena_release(collector->arena, collector->at);
	tfrs_arena_release(collector->arena, collector->weight);
	memset(collector, 0, sizeof(*collector));
}

static tfrs_status
read_rows(tfrs_event_collector *collector, tfrs_error *error)
{
	size_t		count;
	tfrs_status status = tfrs_interactions_read(collector->interactions, collector->rows,
												STEP_ROWS, &count, error);

	if (status != TFRS_OK)
		return status;
	for (size_t i = 0; i < count; i++)
	{
		const tfrs_interaction *row = &collector->rows[i];
		tfrs_collected_event *event = &collector->event[collector->filled[row->query]++];

		event->at = collector->has_time ? row->at : 0;
		event->candidate = row->candidate;
		event->weight = collector->has_weight ? row->weight : 1.0f;
	}
	collector->reading = count > 0;
	return TFRS_OK;
}

/* The result's place of a query is never behind its rows, so both may share the order. */
static void
finish_query(tfrs_event_collector *collector, size_t query)
{
	tfrs_collected_event *event = collector->event + collector->begin[query];
	size_t		rows = collector->begin[query + 1] - collector->begin[query];
	uint64_t	first = collector->offsets[query];
	size_t		count;

	sort_events(event, rows, by_candidate);
	count = merge_equal(event, rows);
	sort_events(event, count, by_time);
	for (size_t i = 0; i < count; i++)
	{
		collector->candidate[first + i] = event[i].candidate;
		if (collector->has_time)
			collector->at[first + i] = event[i].at;
		if (collector->has_weight)
			collector->weight[first + i] = event[i].weight;
	}
	collector->offsets[query + 1] = first + count;
}

static void
finish_queries(tfrs_event_collector *collector)
{
	uint64_t	start = collector->begin[collector->done];

	while (collector->done < collector->queries &&
		   collector->begin[collector->done] - start < STEP_ROWS)
		finish_query(collector, collector->done++);
}

tfrs_status
tfrs_event_collector_step(tfrs_event_collector *collector, tfrs_events *events, tfrs_error *error)
{
	if (collector->reading)
	{
		tfrs_status status = read_rows(collector, error);

		return status == TFRS_OK ? TFRS_MORE : status;
	}
	if (collector->done < collector->queries)
	{
		finish_queries(collector);
		return TFRS_MORE;
	}
	events->queries = collector->queries;
	events->count = collector->offsets[collector->queries];
	events->offsets = collector->offsets;
	events->candidate = collector->candidate;
	events->at = collector->at;
	events->weight = collector->weight;
	return TFRS_OK;
}
