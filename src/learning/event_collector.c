/*
 * event_collector.c: a counting sort by query, then two heap sorts of each query's rows.
 *
 *     count stored events -> place queries -> read those -> read rows -> of each query: heap by
 *     (candidate, at) -> take out and merge -> heap by (at, candidate) -> take out and store
 *
 * Heap sort needs no memory, is never quadratic and can be left after any element, so that a query
 * of millions of rows is sorted in many steps.  It gives the largest element first: what is taken
 * out fills the place from its end on, which is where the heap no longer is.
 *
 * Where events have rows of their queries, the interactions are read once more and each is looked
 * for among the events of its query by time and candidate: so an element needs no place for a row.
 */
#include "learning/event_collector.h"

#include <math.h>
#include <string.h>

/* Heavier events weigh as much: products with counts stay finite. */
#define MOST_WEIGHT 1e25f

/* Queries placed, rows read and elements moved by one step. */
#define STEP_QUERIES ((size_t) 1 << 20)
#define STEP_ROWS ((size_t) 1 << 14)

typedef bool (*event_order) (const tfrs_collected_event *a, const tfrs_collected_event *b);

/* Of what is equal a stored event comes last, so that it is taken out before the rows. */
static bool
by_candidate(const tfrs_collected_event *a, const tfrs_collected_event *b)
{
	if (a->candidate != b->candidate)
		return a->candidate < b->candidate;
	return a->at != b->at ? a->at < b->at : a->weight >= 0 && b->weight < 0;
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

/* The largest of count elements, which leaves the heap. */
static tfrs_collected_event
take_largest(tfrs_collected_event *event, size_t count, event_order before)
{
	tfrs_collected_event largest = event[0];

	event[0] = event[count - 1];
	if (count > 1)
		sift_down(event, 0, count - 1, before);
	return largest;
}

/* How many stored events there are. */
static size_t
stored_count(const tfrs_event_collector *collector)
{
	return collector->options.stored == NULL ? 0 : collector->options.stored->events->count;
}

/* What only collecting needs. */
static void
scratch(void *object, tfrs_plan *plan)
{
	tfrs_event_collector *collector = object;

	TFRS_PLAN(plan, &collector->rows, STEP_ROWS);
	TFRS_PLAN(plan, &collector->event, collector->all);
	TFRS_PLAN_ZERO(plan, &collector->begin, collector->queries + 1);
	TFRS_PLAN(plan, &collector->filled, collector->queries);
}

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_event_collector *collector = object;

	scratch(collector, plan);
	TFRS_PLAN(plan, &collector->offsets, collector->queries + 1);
	TFRS_PLAN(plan, &collector->candidate, collector->all);
	if (collector->options.has_time)
		TFRS_PLAN(plan, &collector->at, collector->all);
	if (collector->options.has_weight)
		TFRS_PLAN(plan, &collector->weight, collector->all);
	if (collector->options.has_row)
		TFRS_PLAN(plan, &collector->row, collector->all);
}

void
tfrs_event_collector_plan(tfrs_plan *plan, const tfrs_event_options *options, size_t rows,
						  size_t queries)
{
	tfrs_event_collector collector = {.options = *options,.queries = queries,.all = rows};

	arrays(&collector, plan);
}

tfrs_status
tfrs_event_collector_begin(tfrs_event_collector *collector, tfrs_arena *arena,
						   tfrs_interactions *interactions, const tfrs_event_options *options,
						   tfrs_error *error)
{
	tfrs_status status;

	memset(collector, 0, sizeof(*collector));
	collector->interactions = interactions;
	collector->options = *options;
	collector->queries = tfrs_interactions_queries(interactions)->count;
	collector->all = tfrs_interactions_count(interactions) + stored_count(collector);
	collector->phase = options->stored == NULL ? TFRS_COLLECT_PLACE : TFRS_COLLECT_COUNT_STORED;
	status = tfrs_plan_take(arena, arrays, collector, error);
	if (status != TFRS_OK)
		return status;
	collector->arena = arena;
	collector->offsets[0] = 0;
	return tfrs_interactions_rewind(interactions, 0, error);
}

void
tfrs_event_collector_free(tfrs_event_collector *collector)
{
	tfrs_plan_release(collector->arena, arrays, collector);
	memset(collector, 0, sizeof(*collector));
}

/* The end of a piece of that many items, of which some are done. */
static size_t
end_of_piece(size_t done, size_t count, size_t piece)
{
	return count - done < piece ? count : done + piece;
}

/* Turns to the next phase where all is done. */
static void
pass(tfrs_event_collector *collector, size_t count)
{
	if (collector->done < count)
		return;
	collector->done = 0;
	collector->phase++;
}

/* begin[q + 1] receives the stored events of query q. */
static void
count_stored(tfrs_event_collector *collector)
{
	const tfrs_stored_events *stored = collector->options.stored;
	size_t		queries = stored->events->queries;
	size_t		end = end_of_piece(collector->done, queries, STEP_QUERIES);

	for (; collector->done < end; collector->done++)
		collector->begin[stored->query[collector->done] + 1] =
			tfrs_events_of(stored->events, (uint32_t) collector->done).count;
	pass(collector, queries);
}

static void
place_queries(tfrs_event_collector *collector)
{
	const uint32_t *counts = tfrs_interactions_query_counts(collector->interactions);
	size_t		end = end_of_piece(collector->done, collector->queries, STEP_QUERIES);

	for (; collector->done < end; collector->done++)
	{
		size_t		q = collector->done;

		collector->filled[q] = collector->begin[q];
		collector->begin[q + 1] += collector->begin[q] + counts[q];
	}
	pass(collector, collector->queries);
	collector->cursor = 0;
}

/* Stored events from cursor on; done is the query that they belong to. */
static void
read_stored(tfrs_event_collector *collector)
{
	const tfrs_stored_events *stored = collector->options.stored;
	size_t		count = stored_count(collector);
	size_t		end = end_of_piece(collector->cursor, count, STEP_ROWS);

	for (; collector->cursor < end; collector->cursor++)
	{
		size_t		e = collector->cursor;
		uint32_t	query;

		while (stored->events->offsets[collector->done + 1] <= e)
			collector->done++;
		query = stored->query[collector->done];
		collector->event[collector->filled[query]++] = (tfrs_collected_event) {
			.at = collector->options.has_time && stored->events->at != NULL
				? stored->events->at[e] : 0,
			.candidate = stored->candidate[stored->events->candidate[e]],
			.weight = -1.0f
		};
	}
	if (end == count)
		collector->phase = TFRS_COLLECT_READ;
}

/* Turns to the rows of the next query, or ends the collecting. */
static void
begin_query(tfrs_event_collector *collector)
{
	const uint64_t *begin = collector->begin + collector->done;

	collector->phase = TFRS_COLLECT_DONE;
	if (collector->done == collector->queries)
	{
		collector->phase = collector->options.has_row ? TFRS_COLLECT_BEGIN_ROWS : TFRS_COLLECT_DONE;
		return;
	}
	collector->phase = TFRS_COLLECT_HEAP_BY_CANDIDATE;
	collector->cursor = (begin[1] - begin[0]) / 2;
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

		event->at = collector->options.has_time ? row->at : 0;
		event->candidate = row->candidate;
		event->weight = collector->options.has_weight ? fminf(row->weight, MOST_WEIGHT)
			: 1.0f;
	}
	if (count > 0)
		return TFRS_OK;
	collector->done = 0;
	begin_query(collector);
	return TFRS_OK;
}

/* A row that is a stored event again is none of its own. */
static void
uncount(tfrs_event_collector *collector, const tfrs_collected_event *event)
{
	const tfrs_stored_events *stored = collector->options.stored;
	const tfrs_collected_event *last = &collector->last_stored;

	if (event->weight < 0)
		collector->last_stored = *event;
	else if (last->weight < 0 && last->candidate == event->candidate && last->at == event->at)
	{
		stored->query_rows[collector->done]--;
		stored->candidate_rows[event->candidate]--;
	}
}

static bool
is_repeat(const tfrs_event_collector *collector, const tfrs_collected_event *a,
		  const tfrs_collected_event *b)
{
	return a->candidate == b->candidate && (a->at == b->at || !collector->options.keep_repeats);
}

/* Takes the largest of the query's rows out of the heap and puts it before the kept ones. */
static void
merge_largest(tfrs_event_collector *collector, tfrs_collected_event *event, size_t rows)
{
	tfrs_collected_event *kept = event + collector->kept;
	tfrs_collected_event largest = take_largest(event, collector->cursor, by_candidate);

	uncount(collector, &largest);
	if (collector->kept < rows && is_repeat(collector, &largest, kept))
	{
		kept->at = largest.at;
		kept->weight = fmaxf(kept->weight, largest.weight);	/* of a row, where there is one */
		return;
	}
	collector->kept--;
	kept[-1] = largest;
}

/* Takes the last of the query's events out of the heap and puts it into its place. */
static void
store_last(tfrs_event_collector *collector, tfrs_collected_event *event)
{
	uint64_t	place = collector->offsets[collector->done] + collector->cursor - 1;
	tfrs_collected_event last = take_largest(event, collector->cursor, by_time);

	collector->candidate[place] = last.candidate;
	if (collector->options.has_weight)
		collector->weight[place] = fabsf(last.weight);
	if (!collector->options.has_time)
		return;
	collector->at[place] = last.at;
	/* what is left in the heap is not later */
	collector->later += collector->cursor > 1 && event[0].at < last.at;
}

static void
end_query(tfrs_event_collector *collector, size_t events)
{
	collector->last_stored.weight = 0;
	collector->offsets[collector->done + 1] = collector->offsets[collector->done] + events;
	collector->several += events > 1;
	collector->squares += (double) events * (double) events;
	collector->done++;
	begin_query(collector);
}

/* The phase after one that has no element left, and the elements it begins with. */
static void
turn(tfrs_event_collector *collector, size_t rows)
{
	size_t		events = rows - collector->kept;

	switch (collector->phase)
	{
		case TFRS_COLLECT_HEAP_BY_CANDIDATE:
			collector->phase = TFRS_COLLECT_MERGE;
			collector->cursor = rows;
			collector->kept = rows;
			break;
		case TFRS_COLLECT_MERGE:
			collector->phase = TFRS_COLLECT_HEAP_BY_TIME;
			collector->cursor = events / 2;
			break;
		case TFRS_COLLECT_HEAP_BY_TIME:
			collector->phase = TFRS_COLLECT_STORE;
			collector->cursor = events;
			break;
		default:
			end_query(collector, events);
	}
}

/* One element of the query that is being sorted. */
static void
move_element(tfrs_event_collector *collector, tfrs_collected_event *event, size_t rows)
{
	tfrs_collected_event *kept = event + collector->kept;

	switch (collector->phase)
	{
		case TFRS_COLLECT_HEAP_BY_CANDIDATE:
			sift_down(event, collector->cursor - 1, rows, by_candidate);
			break;
		case TFRS_COLLECT_MERGE:
			merge_largest(collector, event, rows);
			break;
		case TFRS_COLLECT_HEAP_BY_TIME:
			sift_down(kept, collector->cursor - 1, rows - collector->kept, by_time);
			break;
		default:
			store_last(collector, kept);
	}
	collector->cursor--;
}

/* The event of a query at that time with that candidate, or the events' number: none was kept. */
static uint64_t
find_event(const tfrs_event_collector *collector, const tfrs_interaction *row)
{
	int64_t		at = collector->options.has_time ? row->at : 0;
	uint64_t	low = collector->offsets[row->query];
	uint64_t	end = collector->offsets[row->query + 1];
	uint64_t	high = end;

	while (low < high)
	{
		uint64_t	middle = low + (high - low) / 2;
		int64_t		time = collector->at == NULL ? 0 : collector->at[middle];

		if (time < at || (time == at && collector->candidate[middle] < row->candidate))
			low = middle + 1;
		else
			high = middle;
	}
	if (low < end && collector->candidate[low] == row->candidate &&
		(collector->at == NULL || collector->at[low] == at))
		return low;
	return collector->offsets[collector->queries];
}

/* Another look at the interactions: an event gets the greatest row of those that it was made of. */
static tfrs_status
read_event_rows(tfrs_event_collector *collector, tfrs_error *error)
{
	uint64_t	events = collector->offsets[collector->queries];
	size_t		count;
	tfrs_status status = tfrs_interactions_read(collector->interactions, collector->rows,
												STEP_ROWS, &count, error);

	for (size_t i = 0; i < count && status == TFRS_OK; i++)
	{
		const tfrs_interaction *row = &collector->rows[i];
		uint64_t	e = find_event(collector, row);

		if (e < events && (collector->row[e] == TFRS_NO_ROW || row->row > collector->row[e]))
			collector->row[e] = row->row;
	}
	if (status == TFRS_OK && count == 0)
	{
		collector->phase = TFRS_COLLECT_FILL_ROWS;
		collector->done = 0;
	}
	return status;
}

static tfrs_status
begin_event_rows(tfrs_event_collector *collector, tfrs_error *error)
{
	memset(collector->row, 0xFF, collector->offsets[collector->queries] * sizeof(uint32_t));
	collector->phase = TFRS_COLLECT_READ_ROWS;
	return tfrs_interactions_rewind(collector->interactions, 0, error);
}

/* Events that no interaction has made have the row of their query's key. */
static void
fill_event_rows(tfrs_event_collector *collector)
{
	const uint32_t *row_of = tfrs_interactions_query_rows(collector->interactions)->row_of;
	size_t		end = end_of_piece(collector->done, collector->queries, STEP_ROWS);

	for (; collector->done < end; collector->done++)
		for (uint64_t e = collector->offsets[collector->done];
			 e < collector->offsets[collector->done + 1]; e++)
			if (collector->row[e] == TFRS_NO_ROW)
				collector->row[e] = row_of[collector->done];
	if (end == collector->queries)
		collector->phase = TFRS_COLLECT_DONE;
}

static void
sort_queries(tfrs_event_collector *collector)
{
	for (size_t moves = 0; moves < STEP_ROWS && collector->done < collector->queries; moves++)
	{
		uint64_t	begin = collector->begin[collector->done];
		size_t		rows = collector->begin[collector->done + 1] - begin;

		if (collector->cursor == 0)
			turn(collector, rows);
		else
			move_element(collector, collector->event + begin, rows);
	}
}

/* What one step does. */
static tfrs_status
run_phase(tfrs_event_collector *collector, tfrs_error *error)
{
	switch (collector->phase)
	{
		case TFRS_COLLECT_COUNT_STORED:
			count_stored(collector);
			break;
		case TFRS_COLLECT_PLACE:
			place_queries(collector);
			break;
		case TFRS_COLLECT_READ_STORED:
			if (stored_count(collector) > 0)
				read_stored(collector);
			else
				collector->phase = TFRS_COLLECT_READ;
			break;
		case TFRS_COLLECT_READ:
			return read_rows(collector, error);
		case TFRS_COLLECT_BEGIN_ROWS:
			return begin_event_rows(collector, error);
		case TFRS_COLLECT_READ_ROWS:
			return read_event_rows(collector, error);
		case TFRS_COLLECT_FILL_ROWS:
			fill_event_rows(collector);
			break;
		default:
			sort_queries(collector);
	}
	return TFRS_OK;
}

tfrs_status
tfrs_event_collector_step(tfrs_event_collector *collector, tfrs_events *events, tfrs_error *error)
{
	tfrs_status status = run_phase(collector, error);

	if (status != TFRS_OK || collector->phase != TFRS_COLLECT_DONE)
		return status == TFRS_OK ? TFRS_MORE : status;
	tfrs_plan_release(collector->arena, scratch, collector);
	events->queries = collector->queries;
	events->count = collector->offsets[collector->queries];
	events->offsets = collector->offsets;
	events->candidate = collector->candidate;
	events->at = collector->at;
	events->weight = collector->weight;
	events->row = collector->row;
	events->several = collector->several;
	events->later = collector->later;
	events->length = collector->squares / (double) events->count;
	return TFRS_OK;
}
