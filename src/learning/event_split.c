/*
 * event_split.c: one pass over the queries; what becomes of an event depends on its query, the seed
 * and the query's other events.
 */
#include "learning/event_split.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "learning/streams.h"

/* Events of one step: a few milliseconds. */
#define STEP_EVENTS ((size_t) 1 << 17)

/* Of the events of a query that is held out. */
#define TESTED_SHARE 0.2

static void
plan_part(tfrs_plan *plan, tfrs_event_part *part, const tfrs_events *all)
{
	TFRS_PLAN_ZERO(plan, &part->offsets, all->queries + 1);
	TFRS_PLAN(plan, &part->candidate, all->count);
	if (all->at != NULL || all->later > 0)
		TFRS_PLAN(plan, &part->at, all->count);
	if (all->weight != NULL)
		TFRS_PLAN(plan, &part->weight, all->count);
	if (all->row != NULL)
		TFRS_PLAN(plan, &part->row, all->count);
}

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_event_split *split = object;

	plan_part(plan, &split->training, split->all);
	if (split->options->by == TFRS_HELD_OUT_QUERY)
		plan_part(plan, &split->shown, split->all);
}

void
tfrs_event_split_plan(tfrs_plan *plan, const tfrs_validation_options *options,
					  const tfrs_events *all)
{
	tfrs_event_split split = {.options = options,.all = all};

	arrays(&split, plan);
	tfrs_pair_set_plan(plan, all->count, all->queries);
}

tfrs_status
tfrs_event_split_begin(tfrs_event_split *split, tfrs_arena *arena,
					   const tfrs_validation_options *options, uint64_t seed,
					   const tfrs_events *all, tfrs_error *error)
{
	tfrs_status status;

	memset(split, 0, sizeof(*split));
	if ((options->by == TFRS_HELD_OUT_LAST || options->by == TFRS_HELD_OUT_WINDOW) &&
		all->at == NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
						 "validation by the last events needs the times of events");
	split->arena = arena;
	split->options = options;
	split->seed = seed;
	split->all = all;
	tfrs_pair_set_init(&split->tested, arena);
	status = tfrs_plan_take(arena, arrays, split, error);
	if (status != TFRS_OK)
		tfrs_event_split_free(split);
	return status;
}

void
tfrs_event_split_free(tfrs_event_split *split)
{
	if (split->arena == NULL)
		return;
	tfrs_pair_set_free(&split->tested);
	tfrs_plan_release(split->arena, arrays, split);
	memset(split, 0, sizeof(*split));
}

static void
add_event(const tfrs_events *all, uint64_t event, tfrs_event_part *part)
{
	size_t		to = part->events.count++;

	part->candidate[to] = all->candidate[event];
	if (all->at != NULL)
		part->at[to] = all->at[event];
	if (all->weight != NULL)
		part->weight[to] = all->weight[event];
	if (all->row != NULL)
		part->row[to] = all->row[event];
}

/* The part has all that it gets of a query: what tfrs_events counts of them. */
static void
end_query(tfrs_event_part *part, uint32_t query)
{
	tfrs_events *events = &part->events;
	size_t		first = part->offsets[query];
	size_t		count = events->count - first;

	part->offsets[query + 1] = events->count;
	events->several += count > 1;
	part->squares += (double) count * (double) count;
	for (size_t e = first + 1; part->at != NULL && e < events->count; e++)
		events->later += part->at[e - 1] < part->at[e];
}

static tfrs_status
test_event(tfrs_event_split *split, uint64_t event, tfrs_error *error)
{
	return tfrs_pair_set_add(&split->tested, split->query, split->all->candidate[event], error);
}

/* Events of the query that are later than a time; its last ones. */
static uint64_t
count_later(const tfrs_events *all, uint32_t query, int64_t at)
{
	uint64_t	end = all->offsets[query + 1];
	uint64_t	e = end;

	while (e > all->offsets[query] && all->at[e - 1] > at)
		e--;
	return end - e;
}

/*
 * How many of a query's last events are tested, which are never all: no more than the share and
 * whole times only; where the last time has more, all of its events by a draw that makes the share
 * on the average.
 */
static uint64_t
draw_last(const tfrs_events *all, uint32_t query, double share, tfrs_random *random)
{
	uint64_t	first = all->offsets[query];
	uint64_t	end = all->offsets[query + 1];
	double		wanted = share * (double) (end - first);
	uint64_t	later;

	if (first == end || all->at[first] == all->at[end - 1])
		return 0;
	later = count_later(all, query, all->at[end - 1 - (uint64_t) wanted]);
	if (later > 0)
		return later;
	later = count_later(all, query, all->at[end - 1] - 1);
	return tfrs_random_float(random) < (float) (wanted / (double) later) ? later : 0;
}

/* So many of the last events are tested, but never the first; the others become part. */
static tfrs_status
split_last(tfrs_event_split *split, uint64_t last, tfrs_event_part *part, tfrs_error *error)
{
	uint64_t	first = split->all->offsets[split->query];
	uint64_t	end = split->all->offsets[split->query + 1];
	tfrs_status status = TFRS_OK;

	for (uint64_t e = first; e < end && status == TFRS_OK; e++)
	{
		if (e == first || end - e > last)
			add_event(split->all, e, part);
		else
			status = test_event(split, e, error);
	}
	return status;
}

/* Random ones are tested, one at least where wanted, but never all of them. */
static tfrs_status
split_random(tfrs_event_split *split, double share, bool one, tfrs_random *random,
			 tfrs_event_part *part, tfrs_error *error)
{
	size_t		before = part->events.count;
	size_t		tested = split->tested.count;
	uint64_t	end = split->all->offsets[split->query + 1];
	tfrs_status status = TFRS_OK;

	for (uint64_t e = split->all->offsets[split->query]; e < end && status == TFRS_OK; e++)
	{
		bool		is_tested = tfrs_random_float(random) < (float) share;

		if (e + 1 == end && part->events.count == before)
			is_tested = false;
		else if (e + 1 == end && one && split->tested.count == tested)
			is_tested = true;
		if (is_tested)
			status = test_event(split, e, error);
		else
			add_event(split->all, e, part);
	}
	return status;
}

/* What is not older than a moment is tested, whatever is left; the last events of other queries. */
static tfrs_status
split_window(tfrs_event_split *split, tfrs_random *random, tfrs_error *error)
{
	const tfrs_events *all = split->all;
	uint64_t	end = all->offsets[split->query + 1];
	tfrs_status status = TFRS_OK;

	if (end > all->offsets[split->query] && all->at[end - 1] < split->options->since)
		return split_last(split, draw_last(all, split->query, split->options->fraction, random),
						  &split->training, error);
	for (uint64_t e = all->offsets[split->query]; e < end && status == TFRS_OK; e++)
	{
		if (all->at[e] >= split->options->since)
			status = test_event(split, e, error);
		else
			add_event(all, e, &split->training);
	}
	return status;
}

/* By query: trained on as a whole, or held out as a whole. */
static tfrs_status
split_whole(tfrs_event_split *split, tfrs_random *random, tfrs_error *error)
{
	const tfrs_events *all = split->all;
	uint64_t	end = all->offsets[split->query + 1];
	uint64_t	count = end - all->offsets[split->query];
	uint64_t	last = (uint64_t) fmax(1.0, floor(TESTED_SHARE * (double) count));
	bool		held = tfrs_random_float(random) < split->options->fraction;

	if (held && count > 1 && split->training.events.several > 0)
		return all->at != NULL ? split_last(split, last, &split->shown, error)
			: split_random(split, TESTED_SHARE, true, random, &split->shown, error);
	for (uint64_t e = all->offsets[split->query]; e < end; e++)
		add_event(all, e, &split->training);
	return TFRS_OK;
}

static tfrs_status
split_query(tfrs_event_split *split, tfrs_error *error)
{
	double		fraction = split->options->fraction;
	tfrs_random random;
	tfrs_status status;

	tfrs_random_init(&random, split->seed, TFRS_STREAM_VALIDATION, split->query);
	if (split->options->by == TFRS_HELD_OUT_LAST)
		status = split_last(split, draw_last(split->all, split->query, fraction, &random),
							&split->training, error);
	else if (split->options->by == TFRS_HELD_OUT_WINDOW)
		status = split_window(split, &random, error);
	else if (split->options->by == TFRS_HELD_OUT_RANDOM)
		status = split_random(split, fraction, false, &random, &split->training, error);
	else
		status = split_whole(split, &random, error);
	end_query(&split->training, split->query);
	if (split->shown.offsets != NULL)
		end_query(&split->shown, split->query);
	split->query++;
	return status;
}

static void
finish_part(const tfrs_event_split *split, tfrs_event_part *part)
{
	tfrs_events *events = &part->events;

	events->queries = split->all->queries;
	events->offsets = part->offsets;
	events->candidate = part->candidate;
	events->at = part->at;
	events->weight = part->weight;
	events->row = part->row;
	events->length = events->count == 0 ? 0 : part->squares / (double) events->count;
}

tfrs_status
tfrs_event_split_step(tfrs_event_split *split, tfrs_error *error)
{
	const tfrs_events *all = split->all;
	size_t		events = 0;
	tfrs_status status = TFRS_OK;

	if (split->query == all->queries)
	{
		finish_part(split, &split->training);
		finish_part(split, &split->shown);
		return tfrs_pair_set_finish_step(&split->tested, error);
	}
	while (split->query < all->queries && events < STEP_EVENTS && status == TFRS_OK)
	{
		events += 1 + all->offsets[split->query + 1] - all->offsets[split->query];
		status = split_query(split, error);
	}
	return status == TFRS_OK ? TFRS_MORE : status;
}

const tfrs_events *
tfrs_event_split_shown(const tfrs_event_split *split)
{
	return split->options->by == TFRS_HELD_OUT_QUERY ? &split->shown.events
		: &split->training.events;
}

bool
tfrs_event_split_holds(const tfrs_event_split *split, uint32_t query, uint32_t candidate)
{
	const tfrs_pair_set *tested = &split->tested;
	uint64_t	pair = (uint64_t) query << 32 | candidate;
	size_t		low = 0;
	size_t		high = tested->count;

	if (split->training.offsets[query] == split->training.offsets[query + 1])
		return true;
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (tested->pairs[middle] < pair)
			low = middle + 1;
		else
			high = middle;
	}
	return low < tested->count && tested->pairs[low] == pair;
}
