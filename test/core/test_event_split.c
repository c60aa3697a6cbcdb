/*
 * test_event_split.c: what is trained on, shown and tested are all events, each once, as each way
 * of splitting promises.
 */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "check.h"
#include "learning/event_split.h"

#define QUERIES 3000
#define MOST 40					/* events of a query */

static uint64_t offsets[QUERIES + 1];
static uint32_t candidate[QUERIES * MOST];
static int64_t at[QUERIES * MOST];
static float weight[QUERIES * MOST];

/* Queries of 0 to MOST - 1 events, ascending by time and candidate. */
static tfrs_events
make_events(bool timed, bool weighted)
{
	tfrs_events events = {.queries = QUERIES,.offsets = offsets,.candidate = candidate};
	tfrs_random random;

	tfrs_random_init(&random, 7, 1, 1);
	for (size_t q = 0; q < QUERIES; q++)
	{
		size_t		count = tfrs_random_next(&random) % MOST;

		for (size_t i = 0; i < count; i++)
		{
			size_t		e = events.count++;

			candidate[e] = (uint32_t) (i * 3 + tfrs_random_next(&random) % 3);
			at[e] = timed ? (int64_t) i / 2 : 0;
			weight[e] = (float) (q + candidate[e]);
		}
		offsets[q + 1] = events.count;
	}
	events.at = timed ? at : NULL;
	events.weight = weighted ? weight : NULL;
	return events;
}

static tfrs_status
split_in(tfrs_event_split *split, tfrs_arena *arena, const tfrs_validation_options *options,
		 const tfrs_events *events, tfrs_error *error)
{
	tfrs_status status = tfrs_event_split_begin(split, arena, options, 3, events, error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_event_split_step(split, error)) == TFRS_MORE)
		;
	return status;
}

/* A part's events of a query are some of all, in their order; returns how many. */
static size_t
check_part(const tfrs_events *part, const tfrs_events *all, uint32_t query, bool *taken)
{
	uint64_t	e = all->offsets[query];

	for (uint64_t p = part->offsets[query]; p < part->offsets[query + 1]; p++, e++)
	{
		while (e < all->offsets[query + 1] && all->candidate[e] != part->candidate[p])
			e++;
		CHECK(e < all->offsets[query + 1]);
		CHECK(!taken[e]);
		taken[e] = true;
		CHECK(all->at == NULL ? part->at == NULL : part->at[p] == all->at[e]);
		CHECK(all->weight == NULL ? part->weight == NULL : part->weight[p] == all->weight[e]);
	}
	return part->offsets[query + 1] - part->offsets[query];
}

static void
check_counts(const tfrs_events *part)
{
	size_t		several = 0;
	size_t		later = 0;
	double		squares = 0;

	CHECK_EQUAL(part->count, part->offsets[QUERIES]);
	for (size_t q = 0; q < QUERIES; q++)
	{
		size_t		count = part->offsets[q + 1] - part->offsets[q];

		several += count > 1;
		squares += (double) count * (double) count;
		for (uint64_t e = part->offsets[q] + 1; part->at != NULL && e < part->offsets[q + 1]; e++)
			later += part->at[e] > part->at[e - 1];
	}
	CHECK_EQUAL(part->several, several);
	CHECK_EQUAL(part->later, later);
	CHECK_NEAR(part->length, squares / (double) part->count, 1e-9);
}

/* The last events, whole times only and, where these are not more than that, a fourth at most. */
static void
check_last(const tfrs_events *all, uint32_t query, size_t tested)
{
	uint64_t	first = all->offsets[query];
	uint64_t	end = all->offsets[query + 1];

	if (tested == 0)
		return;
	CHECK(all->at[end - tested - 1] < all->at[end - tested]);
	CHECK(tested <= (end - first) / 4 || all->at[end - tested] == all->at[end - 1]);
}

/* Each event once; tested ones are later than others where that is promised. */
static void
check_query(const tfrs_event_split *split, uint32_t query, bool last, bool *taken)
{
	const tfrs_events *all = split->all;
	bool		whole = split->options->by == TFRS_HELD_OUT_QUERY;
	size_t		count = all->offsets[query + 1] - all->offsets[query];
	size_t		trained = check_part(&split->training.events, all, query, taken);
	size_t		shown = whole ? check_part(&split->shown.events, all, query, taken) : 0;
	size_t		tested = 0;

	for (uint64_t e = all->offsets[query]; e < all->offsets[query + 1]; e++)
	{
		CHECK(tfrs_event_split_holds(split, query, all->candidate[e]) == (shown > 0 || !taken[e]));
		CHECK(!last || tested == 0 || !taken[e]);
		tested += !taken[e];
	}
	CHECK_EQUAL(trained + shown + tested, count);
	if (whole)
		CHECK(trained == count || (trained == 0 && shown > 0 && tested > 0));
	else
		CHECK(count == 0 || trained > 0);
	if (shown > 0 && last)
		CHECK_EQUAL(tested, count / 5 > 1 ? count / 5 : 1);
	if (split->options->by == TFRS_HELD_OUT_LAST)
		check_last(all, query, count - trained);
}

static void
check_split(tfrs_held_out_by by, bool timed)
{
	static bool taken[QUERIES * MOST];
	tfrs_events all = make_events(timed, timed);
	tfrs_validation_options options = {.on = true,.fraction = 0.25f,.by = by};
	bool		last = by == TFRS_HELD_OUT_LAST || (by == TFRS_HELD_OUT_QUERY && timed);
	tfrs_event_split split;
	size_t		held = 0;

	memset(taken, 0, sizeof(taken));
	CHECK_OK(split_in(&split, check_arena(), &options, &all, &check_error));
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		check_query(&split, q, last, taken);
		held += all.offsets[q + 1] > all.offsets[q] &&
			split.training.offsets[q] == split.training.offsets[q + 1];
	}
	check_counts(&split.training.events);
	CHECK(tfrs_event_split_shown(&split) ==
		  (by == TFRS_HELD_OUT_QUERY ? &split.shown.events : &split.training.events));
	if (by == TFRS_HELD_OUT_QUERY)
		CHECK_NEAR((double) held / QUERIES, 0.25, 0.03);
	else
		CHECK_EQUAL(held, 0);
	if (by == TFRS_HELD_OUT_LAST)
	{
		CHECK((double) split.tested.count / (double) all.count < 0.25);
		CHECK((double) split.tested.count / (double) all.count > 0.2);
	}
	if (by == TFRS_HELD_OUT_RANDOM)
		CHECK_NEAR((double) split.tested.count / (double) all.count, 0.25, 0.02);
	tfrs_event_split_free(&split);
}

CHECK_TEST(every_event_is_in_one_part)
{
	check_split(TFRS_HELD_OUT_RANDOM, false);
	check_split(TFRS_HELD_OUT_RANDOM, true);
	check_split(TFRS_HELD_OUT_LAST, true);
	check_split(TFRS_HELD_OUT_QUERY, false);
	check_split(TFRS_HELD_OUT_QUERY, true);
}

/* Queries of two times, most of whose events have the last one, or of one time. */
CHECK_TEST(few_times_a_query_hold_out_no_more_than_the_share)
{
	tfrs_events all = make_events(true, false);
	tfrs_validation_options options = {.on = true,.fraction = 0.1f,.by = TFRS_HELD_OUT_LAST};
	tfrs_event_split split;

	for (size_t q = 0; q < QUERIES; q++)
		for (uint64_t e = offsets[q]; e < offsets[q + 1]; e++)
			at[e] = e == offsets[q] ? INT64_MIN : 5;
	CHECK_OK(split_in(&split, check_arena(), &options, &all, &check_error));
	CHECK_NEAR((double) split.tested.count / (double) all.count, 0.1, 0.02);
	tfrs_event_split_free(&split);
	memset(at, 0, sizeof(at));
	CHECK_OK(split_in(&split, check_arena(), &options, &all, &check_error));
	CHECK_EQUAL(split.tested.count, 0);
	tfrs_event_split_free(&split);
}

/* However large the share, something is left to learn from. */
CHECK_TEST(not_all_queries_are_held_out)
{
	tfrs_events all = make_events(true, false);
	tfrs_validation_options options = {.on = true,.fraction = 0.9999f,.by = TFRS_HELD_OUT_QUERY};
	tfrs_event_split split;

	CHECK_OK(split_in(&split, check_arena(), &options, &all, &check_error));
	CHECK(split.training.events.several >= 1);
	CHECK(split.tested.count > 0);
}

CHECK_TEST(the_last_events_need_times)
{
	tfrs_events all = make_events(false, false);
	tfrs_validation_options options = {.on = true,.fraction = 0.1f,.by = TFRS_HELD_OUT_LAST};
	tfrs_event_split split;

	CHECK_STATUS(split_in(&split, check_arena(), &options, &all, &check_error),
				 TFRS_INVALID_ARGUMENT);
}

CHECK_TEST(the_estimate_holds)
{
	tfrs_events all = make_events(true, true);

	for (int by = TFRS_HELD_OUT_RANDOM; by <= TFRS_HELD_OUT_QUERY; by++)
	{
		tfrs_validation_options options = {.on = true,.fraction = 0.99f,.by = by};
		tfrs_event_split split;
		tfrs_plan	plan = {.use = TFRS_PLAN_COUNT};
		tfrs_events many = {.queries = QUERIES,.count = SIZE_MAX / 8};
		size_t		before = check_arena()->used;

		tfrs_event_split_plan(&plan, &options, &all);
		CHECK_OK(plan.status);
		CHECK_OK(split_in(&split, check_arena(), &options, &all, &check_error));
		CHECK(check_arena()->peak - before <= plan.bytes + 65536);
		tfrs_event_split_free(&split);
		CHECK_EQUAL(check_arena()->used, before);
		tfrs_event_split_plan(&plan, &options, &many);
		CHECK_STATUS(plan.status, TFRS_TOO_LARGE);
	}
}

static tfrs_status
split_some(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_events all = make_events(true, true);
	tfrs_validation_options options = {.on = true,.fraction = 0.25f,.by = TFRS_HELD_OUT_QUERY};
	tfrs_event_split split;
	tfrs_status status = split_in(&split, arena, &options, &all, error);

	tfrs_event_split_free(&split);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(split_some);
}

/* The newest of all, whatever is left of their queries, and the newest of the other queries' own. */
CHECK_TEST(a_window_comes_with_the_last_events_of_other_queries)
{
	tfrs_validation_options options = {
		.on = true,.fraction = 0.2f,.by = TFRS_HELD_OUT_WINDOW,.since = 15
	};
	tfrs_events events = make_events(true, false);
	size_t		others = 0;
	size_t		tested = 0;
	tfrs_event_split split;

	CHECK_OK(split_in(&split, check_arena(), &options, &events, &check_error));
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		tfrs_event_list all = tfrs_events_of(&events, q);
		tfrs_event_list kept = tfrs_events_of(&split.training.events, q);
		bool		has_window = all.count > 0 && all.at[all.count - 1] >= 15;

		for (size_t i = 0; i < kept.count; i++)
			CHECK(kept.candidate[i] == all.candidate[i] && kept.at[i] < 15);
		if (has_window)
			CHECK_EQUAL(kept.count, 30);
		else
			CHECK(kept.count > 0 || all.count == 0);
		others += has_window ? 0 : all.count;
		tested += has_window ? 0 : all.count - kept.count;
	}
	CHECK(tested > 0.1 * (double) others && tested < 0.25 * (double) others);
	tfrs_event_split_free(&split);
}
