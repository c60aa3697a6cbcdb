/*
 * lift.c: two passes over the events: pairs are drawn and candidates counted, then the queries that
 * have both of a pair.
 *
 * A pair belongs to its rarer candidate, so a candidate that everybody has makes no work: the second
 * pass looks at some tens of pairs an event at most, at less than two as a rule.
 */
#include "learning/lift.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "learning/streams.h"

/* Pairs, and what is added to both sums, so that few data are not taken at their word. */
#define MOST_PAIRS 4096
#define PRIOR 20.0

/* Events of a step; a query is never cut. */
#define STEP_EVENTS ((size_t) 1 << 17)

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_lift  *lift = object;

	TFRS_PLAN(plan, &lift->pair, lift->most);
	TFRS_PLAN_ZERO(plan, &lift->count, lift->candidates);
	TFRS_PLAN(plan, &lift->begin, lift->candidates);
	TFRS_PLAN_ZERO(plan, &lift->found, lift->candidates);
	TFRS_PLAN_ZERO(plan, &lift->counted, lift->candidates);
}

void
tfrs_lift_free(tfrs_lift *lift)
{
	tfrs_plan_release(lift->arena, arrays, lift);
	*lift = (tfrs_lift) {.value = lift->value};
}

void
tfrs_lift_plan(tfrs_plan *plan, size_t candidates)
{
	tfrs_lift	lift = {.candidates = candidates,.most = MOST_PAIRS};

	arrays(&lift, plan);
}

tfrs_status
tfrs_lift_begin(tfrs_lift *lift, tfrs_arena *arena, const tfrs_events *events, size_t candidates,
				tfrs_error *error)
{
	tfrs_status status;

	*lift = (tfrs_lift) {
		.events = events, .candidates = candidates, .value = 1,
		.most = tfrs_size_smaller(events->count, MOST_PAIRS)
	};
	tfrs_random_init(&lift->random, 0, TFRS_STREAM_LIFT, 0);
	status = tfrs_plan_take(arena, arrays, lift, error);
	if (status != TFRS_OK)
		return status;
	lift->arena = arena;
	memset(lift->begin, 0xff, candidates * sizeof(uint32_t));
	return TFRS_OK;
}

/* An event and another one of its query; none where they are of one candidate. */
static void
draw_pair(tfrs_lift *lift, const tfrs_event_list *list, size_t event)
{
	size_t		other;

	if (list->count < 2)
		return;
	other = tfrs_random_below(&lift->random, (uint32_t) list->count - 1);
	other += other >= event;
	if (list->candidate[event] != list->candidate[other])
		lift->pair[lift->pairs++] = (tfrs_lift_pair) {
			list->candidate[event], list->candidate[other], 0
		};
}

/* Counts the query's candidates; pairs come from one event of each of most strata of all events. */
static void
draw_from(tfrs_lift *lift, uint32_t query)
{
	const tfrs_events *events = lift->events;
	tfrs_event_list list = tfrs_events_of(events, query);
	size_t		end = events->offsets[query + 1];

	for (size_t i = 0; i < list.count; i++)
	{
		lift->count[list.candidate[i]] += lift->found[list.candidate[i]] != query + 1;
		lift->found[list.candidate[i]] = query + 1;
	}
	while (lift->drawn < lift->most)
	{
		tfrs_random ahead = lift->random;
		size_t		event = tfrs_random_stratum(&ahead, lift->drawn, lift->most, events->count);

		if (event >= end)
			break;
		lift->random = ahead;
		lift->drawn++;
		draw_pair(lift, &list, event - events->offsets[query]);
	}
}

static int
compare_pairs(const void *one, const void *two)
{
	const tfrs_lift_pair *a = one;
	const tfrs_lift_pair *b = two;

	return (a->first > b->first) - (a->first < b->first);
}

static bool
is_rarer(const tfrs_lift *lift, uint32_t a, uint32_t b)
{
	return lift->count[a] != lift->count[b] ? lift->count[a] < lift->count[b] : a < b;
}

static void
sort_pairs(tfrs_lift *lift)
{
	for (size_t p = 0; p < lift->pairs; p++)
	{
		tfrs_lift_pair pair = lift->pair[p];

		if (is_rarer(lift, pair.second, pair.first))
			lift->pair[p] = (tfrs_lift_pair) {pair.second, pair.first, 0};
	}
	qsort(lift->pair, lift->pairs, sizeof(tfrs_lift_pair), compare_pairs);
	for (size_t p = lift->pairs; p > 0; p--)
		lift->begin[lift->pair[p - 1].first] = (uint32_t) p - 1;
}

/* The query has the candidate: counts the pairs of which it has the other one too. */
static void
count_pairs(tfrs_lift *lift, uint32_t query, uint32_t candidate)
{
	for (size_t p = lift->begin[candidate];
		 p < lift->pairs && lift->pair[p].first == candidate; p++)
		lift->pair[p].both += lift->found[lift->pair[p].second] == query + 1;
	lift->counted[candidate] = query + 1;
}

static void
count_in(tfrs_lift *lift, uint32_t query)
{
	tfrs_event_list list = tfrs_events_of(lift->events, query);

	for (size_t i = 0; i < list.count; i++)
		lift->found[list.candidate[i]] = query + 1;
	for (size_t i = 0; i < list.count; i++)
		if (lift->begin[list.candidate[i]] != TFRS_NO_ROW &&
			lift->counted[list.candidate[i]] != query + 1)
			count_pairs(lift, query, list.candidate[i]);
}

/* The query that a pair was drawn from is none of the others. */
static void
finish(tfrs_lift *lift)
{
	double		events = (double) lift->events->count;
	double		chance = (lift->events->length - 1) / events;
	double		expected = PRIOR;
	double		sum = PRIOR;

	for (size_t p = 0; p < lift->pairs; p++)
	{
		sum += lift->pair[p].both - 1.0;
		expected += (lift->count[lift->pair[p].first] - 1.0) *
			(lift->count[lift->pair[p].second] - 1.0) * chance;
	}
	lift->value = sum / expected;
}

/* Passes over some queries; TFRS_OK where those were the last. */
static tfrs_status
pass(tfrs_lift *lift, void (*visit) (tfrs_lift *, uint32_t))
{
	const tfrs_events *events = lift->events;
	size_t		done = 0;

	while (lift->query < events->queries && done < STEP_EVENTS)
	{
		done += 1 + tfrs_events_of(events, lift->query).count;
		visit(lift, lift->query++);
	}
	if (lift->query < events->queries)
		return TFRS_MORE;
	lift->query = 0;
	return TFRS_OK;
}

tfrs_status
tfrs_lift_step(tfrs_lift *lift)
{
	tfrs_status status = TFRS_OK;

	switch (lift->phase)
	{
		case TFRS_LIFT_DRAW:
			status = pass(lift, draw_from);
			break;
		case TFRS_LIFT_SORT:
			sort_pairs(lift);
			break;
		case TFRS_LIFT_COUNT:
			status = pass(lift, count_in);
			break;
		case TFRS_LIFT_DONE:
			finish(lift);
			return TFRS_OK;
	}
	lift->phase += status == TFRS_OK;
	return TFRS_MORE;
}
