/*
 * neighbour_examples.c: four passes: examples are listed, events counted by candidate, their places
 * summed up, and the events placed.
 */
#include "learning/neighbour_examples.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/random.h"
#include "base/topk.h"
#include "learning/ragged.h"

#define FIT_DECAY 0.8

/* Events of a step, those of a query together. */
#define STEP_EVENTS ((size_t) 1 << 18)

enum
{
	LIST,
	COUNT,
	SUM,
	PLACE,
	KNOWN
};

bool
tfrs_neighbour_examples_bytes(tfrs_neighbour_kind kind, size_t queries, size_t events,
							  size_t candidates, size_t *bytes)
{
	tfrs_layout layout = {0, true};

	tfrs_layout_place(&layout, kind == TFRS_NEXT ? events : queries,
					  sizeof(tfrs_neighbour_example));
	tfrs_layout_place(&layout, events, (kind == TFRS_NEXT ? 4 : 2) * sizeof(uint32_t));
	tfrs_layout_place(&layout, candidates, sizeof(uint32_t) + sizeof(double) +
					  2 * sizeof(uint64_t));
	return layout.fits && tfrs_size_add(*bytes, layout.bytes, bytes);
}

void
tfrs_neighbour_examples_free(tfrs_neighbour_examples *examples)
{
	tfrs_arena *arena = examples->arena;

	if (arena == NULL)
		return;
	if (examples->first != examples->chosen)
		tfrs_arena_release(arena, examples->first);
	tfrs_arena_release(arena, examples->chosen);
	tfrs_arena_release(arena, examples->time);
	tfrs_arena_release(arena, examples->example);
	tfrs_arena_release(arena, examples->place);
	tfrs_arena_release(arena, examples->event);
	tfrs_arena_release(arena, examples->square);
	tfrs_arena_release(arena, examples->chosen_work);
	tfrs_arena_release(arena, examples->had_work);
	memset(examples, 0, sizeof(*examples));
}

static tfrs_status
get_event_arrays(tfrs_neighbour_examples *examples, tfrs_error *error)
{
	tfrs_arena *arena = examples->arena;
	size_t		events = examples->events->count;
	bool		next = examples->kind == TFRS_NEXT;
	tfrs_status status = TFRS_GET(arena, &examples->example,
								  next ? events : examples->events->queries, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &examples->chosen, events, error);
	if (status == TFRS_OK && next)
		status = TFRS_GET(arena, &examples->first, events, error);
	if (status == TFRS_OK && next)
		status = TFRS_GET(arena, &examples->time, events, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &examples->event, events, error);
	if (!next)
		examples->first = examples->chosen;
	return status;
}

static tfrs_status
get_candidate_arrays(tfrs_neighbour_examples *examples, tfrs_error *error)
{
	tfrs_arena *arena = examples->arena;
	size_t		candidates = examples->candidates;
	tfrs_status status = TFRS_GET_ZERO(arena, &examples->place, candidates + 1, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &examples->square, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &examples->chosen_work, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &examples->had_work, candidates, error);
	return status;
}

tfrs_status
tfrs_neighbour_examples_begin(tfrs_neighbour_examples *examples, tfrs_arena *arena,
							  tfrs_neighbour_kind kind, const tfrs_events *events,
							  size_t candidates, tfrs_error *error)
{
	tfrs_status status;

	memset(examples, 0, sizeof(*examples));
	examples->arena = arena;
	examples->kind = kind;
	examples->events = events;
	examples->candidates = candidates;
	for (size_t age = 0; age <= TFRS_STATE_EVENTS; age++)
		examples->power[age] = (float) pow(FIT_DECAY, (double) age);
	status = get_event_arrays(examples, error);
	if (status == TFRS_OK)
		status = get_candidate_arrays(examples, error);
	if (status != TFRS_OK)
		tfrs_neighbour_examples_free(examples);
	return status;
}

/* Adds the last example, in which events stop .. begin were chosen, to the sums. */
static void
count_in(tfrs_neighbour_examples *examples, size_t begin, size_t stop)
{
	const uint32_t *candidate = examples->events->candidate;
	size_t		x = examples->count - 1;
	const tfrs_neighbour_example *example = &examples->example[x];
	uint64_t	events = example->end - example->begin;

	for (size_t e = example->begin; e < example->end; e++)
	{
		double		value = tfrs_neighbour_value(examples, x, e);

		examples->square[candidate[e]] += example->weight * value * value;
		examples->had_work[candidate[e]] += events;
	}
	for (size_t e = begin; e < stop; e++)
	{
		examples->targets += examples->chosen_work[candidate[e]] == 0;
		examples->chosen_work[candidate[e]] += events;
		examples->chosen[e] = (uint32_t) x;
		examples->mass += example->weight;
	}
}

static void
list_query(tfrs_neighbour_examples *examples, uint32_t query)
{
	uint64_t	begin = examples->events->offsets[query];
	uint64_t	end = examples->events->offsets[query + 1];

	if (begin == end)
		return;
	examples->example[examples->count++] = (tfrs_neighbour_example) {
		.begin = (uint32_t) begin, .end = (uint32_t) end,
		.weight = 1 / sqrtf((float) (end - begin))
	};
	count_in(examples, begin, end);
}

/* Numbers the event times of a query; returns how many there are. */
static uint32_t
number_times(tfrs_neighbour_examples *examples, uint64_t begin, uint64_t end)
{
	const int64_t *at = examples->events->at;
	uint32_t	time = 0;

	for (uint64_t e = begin; e < end; e++)
	{
		time += e > begin && at[e] != at[e - 1];
		examples->time[e] = time;
		examples->chosen[e] = TFRS_NO_ROW;
		examples->first[e] = TFRS_NO_ROW;
	}
	return begin < end ? time + 1 : 0;
}

/* Whether the state before a time is kept, which depends on the numbers of both alone. */
static float
chance(uint32_t query, uint32_t time)
{
	return (float) (tfrs_random_mix(((uint64_t) query << 32) + time) >> 40);
}

/* The least chance of a state that is kept, of a query with that many times, and the last of equals. */
static tfrs_hit
last_kept(uint32_t query, uint32_t times)
{
	tfrs_hit	hits[TFRS_QUERY_STATES];
	tfrs_topk	topk;

	tfrs_topk_init(&topk, hits, TFRS_QUERY_STATES);
	for (uint32_t time = 1; time < times; time++)
		tfrs_topk_push(&topk, chance(query, time), time);
	tfrs_topk_finish(&topk);
	return topk.count < TFRS_QUERY_STATES ? (tfrs_hit) {-1, 0} : hits[TFRS_QUERY_STATES - 1];
}

/* A state: events from start on, up to stop, were chosen at one time. */
static void
add_state(tfrs_neighbour_examples *examples, uint64_t first, uint64_t start, uint64_t stop,
		  float weight)
{
	uint64_t	begin = start - first > TFRS_STATE_EVENTS ? start - TFRS_STATE_EVENTS : first;

	examples->example[examples->count++] = (tfrs_neighbour_example) {
		.begin = (uint32_t) begin, .end = (uint32_t) start,
		.time = examples->time[start], .weight = weight
	};
	for (uint64_t e = start; e-- > begin && examples->first[e] == TFRS_NO_ROW;)
		examples->first[e] = (uint32_t) examples->count - 1;
	count_in(examples, start, stop);
}

static void
list_states(tfrs_neighbour_examples *examples, uint32_t query)
{
	uint64_t	first = examples->events->offsets[query];
	uint64_t	end = examples->events->offsets[query + 1];
	uint32_t	times = number_times(examples, first, end);
	tfrs_hit	last = last_kept(query, times);
	float		weight = 1 / sqrtf((float) (end - first));

	if (times > TFRS_QUERY_STATES + 1)
		weight *= (float) (times - 1) / TFRS_QUERY_STATES;
	for (uint64_t start = first, stop; start < end; start = stop)
	{
		tfrs_hit	state = {chance(query, examples->time[start]), examples->time[start]};

		for (stop = start + 1; stop < end && examples->time[stop] == state.row; stop++)
			;
		if (state.row > 0 && !tfrs_hit_before(last, state))
			add_state(examples, first, start, stop, weight);
	}
}

/* Passes over some queries. */
static tfrs_status
list(tfrs_neighbour_examples *examples)
{
	const tfrs_events *events = examples->events;
	size_t		work = 0;

	while (examples->done < events->queries && work < STEP_EVENTS)
	{
		uint32_t	query = (uint32_t) examples->done++;

		work += 1 + (events->offsets[query + 1] - events->offsets[query]);
		if (examples->kind == TFRS_NEXT)
			list_states(examples, query);
		else
			list_query(examples, query);
	}
	return examples->done < events->queries ? TFRS_MORE : TFRS_OK;
}

/* Counts or places some events; place[c + 1] is where the next event of c goes. */
static tfrs_status
pass_events(tfrs_neighbour_examples *examples, bool placing)
{
	const tfrs_events *events = examples->events;
	size_t		end = examples->done + tfrs_size_smaller(STEP_EVENTS,
														events->count - examples->done);

	for (size_t e = examples->done; e < end; e++)
	{
		uint32_t	at = examples->place[events->candidate[e] + 1]++;

		if (placing)
			examples->event[at] = (uint32_t) e;
	}
	examples->done = end;
	return end < events->count ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_neighbour_examples_step(tfrs_neighbour_examples *examples)
{
	tfrs_status status = TFRS_OK;

	switch (examples->phase)
	{
		case LIST:
			status = list(examples);
			break;
		case COUNT:
			status = pass_events(examples, false);
			break;
		case SUM:
			tfrs_small_counts_to_starts(examples->place, examples->candidates);
			break;
		case PLACE:
			status = pass_events(examples, true);
			break;
		default:
			return TFRS_OK;
	}
	if (status == TFRS_OK)
	{
		examples->phase++;
		examples->done = 0;
	}
	return examples->phase < KNOWN ? TFRS_MORE : TFRS_OK;
}
