/*
 * test_states.c: batches of states: what is hidden, what is seen, what is masked, what it weighs.
 */
#include "check.h"

#include <string.h>

#include "learning/states.h"

#define QUERIES 40
#define MOST 30					/* events of a query */
#define CANDIDATES 100
#define LONG 100000

static uint64_t offsets[QUERIES + 1];
static uint32_t candidates[QUERIES * MOST];
static int64_t times[QUERIES * MOST];
static float weights[QUERIES * MOST];

static const tfrs_history_shape shape = {
	.dim = 4, .bags = 3, .decay = {0.0f, 0.5f, 0.9f}, .length = 5, .temperature = 1.0f
};

/* Counts what tfrs_events wants to know. */
static void
count(tfrs_events *events)
{
	events->several = events->later = 0;
	for (size_t q = 0; q < events->queries; q++)
	{
		tfrs_event_list list = tfrs_events_of(events, (uint32_t) q);

		events->several += list.count > 1;
		for (size_t i = 1; i < list.count && list.at != NULL; i++)
			events->later += list.at[i] != list.at[i - 1];
	}
}

/* Query q has q % MOST events (0 and 1 too), about two at a time. */
static tfrs_events
make_events(bool has_time, bool has_weight)
{
	tfrs_events events = {
		.queries = QUERIES, .offsets = offsets, .candidate = candidates,
		.at = has_time ? times : NULL, .weight = has_weight ? weights : NULL
	};
	tfrs_random random;

	tfrs_random_init(&random, 9, 9, 9);
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		uint32_t	first = tfrs_random_below(&random, CANDIDATES);

		offsets[q] = events.count;
		for (uint32_t i = 0; i < q % MOST; i++)
		{
			candidates[events.count] = (first + 7 * i) % CANDIDATES;
			times[events.count] = i == 0 ? -50
				: times[events.count - 1] + (int64_t) tfrs_random_below(&random, 2);
			weights[events.count] = 0.5f + tfrs_random_float(&random);
			events.count++;
		}
	}
	offsets[QUERIES] = events.count;
	count(&events);
	return events;
}

static tfrs_states_options
some_options(float hide_share)
{
	return (tfrs_states_options) {
		.hidden_low = 0.2f, .hidden_high = 0.8f, .hide_share = hide_share, .query_weight = 0.5f,
		.mask_known = true, .seed = 3
	};
}

static void
begin(tfrs_states *states, const tfrs_states_options *options, const tfrs_events *events,
	  size_t rows)
{
	tfrs_states_options sized = *options;

	sized.rows = rows;
	sized.candidates = CANDIDATES;
	CHECK_OK(tfrs_states_begin(states, check_arena(), &sized, &shape, events, &check_error));
	while (tfrs_states_find_step(states) == TFRS_MORE)
		;
}

static size_t
length_of(const tfrs_ragged *lists, size_t row)
{
	return lists->start[row + 1] - lists->start[row];
}

static bool
has(const tfrs_ragged *lists, size_t row, uint32_t item)
{
	for (size_t i = lists->start[row]; i < lists->start[row + 1]; i++)
		if (lists->item[i] == item)
			return true;
	return false;
}

/* Targets and masked are the query's events, each once. */
static void
check_partition(const tfrs_states *states, size_t row)
{
	tfrs_event_list list = tfrs_events_of(states->events, states->row_query[row]);

	CHECK_EQUAL(length_of(&states->target, row) + length_of(&states->masked, row), list.count);
	for (size_t i = 0; i < list.count; i++)
		CHECK(has(&states->target, row, list.candidate[i]) !=
			  has(&states->masked, row, list.candidate[i]));
}

static void
check_hide_row(const tfrs_states *states, size_t row)
{
	size_t		kept = length_of(&states->masked, row);

	CHECK(length_of(&states->target, row) >= 1 && kept >= 1);
	CHECK_EQUAL(length_of(&states->bag[0], row), kept);
	CHECK_EQUAL(length_of(&states->bag[1], row), 0);
	CHECK_EQUAL(length_of(&states->bag[2], row), 0);
	for (size_t i = states->bag[0].start[row]; i < states->bag[0].start[row + 1]; i++)
	{
		CHECK(has(&states->masked, row, states->bag[0].item[i]));
		CHECK_NEAR(states->bag[0].weight[i], 1 / sqrt((double) kept), 1e-6);
	}
}

/* What the bags see is earlier than the targets, and without dropout all of it. */
static void
check_next_row(const tfrs_states *states, size_t row)
{
	tfrs_event_list list = tfrs_events_of(states->events, states->row_query[row]);
	int64_t		now = states->events->at[states->row_state[row]];
	size_t		earlier = 0;

	for (size_t i = 0; i < list.count; i++)
	{
		bool		before = list.at[i] < now;

		CHECK(has(&states->target, row, list.candidate[i]) == (list.at[i] == now));
		CHECK(has(&states->bag[0], row, list.candidate[i]) == before);
		CHECK(before || !has(&states->bag[1], row, list.candidate[i]));
		earlier += before;
	}
	CHECK(earlier >= 1);
	CHECK_EQUAL(length_of(&states->bag[0], row), earlier);
	CHECK_EQUAL(length_of(&states->bag[1], row), earlier < 5 ? earlier : 5);
}

static void
check_batch(const tfrs_states *states)
{
	double		sum = 0;

	for (size_t i = 0; i < states->target.count; i++)
		sum += states->target.weight[i];
	CHECK_NEAR(sum, 1.0, 1e-5);
	CHECK_EQUAL(states->target.rows, states->rows);
	for (size_t row = 0; row < states->rows; row++)
	{
		check_partition(states, row);
		if (states->kind == TFRS_STATE_HIDE)
			check_hide_row(states, row);
		else
			check_next_row(states, row);
	}
}

CHECK_TEST(batches_are_what_they_say)
{
	for (int weighted = 0; weighted < 2; weighted++)
	{
		tfrs_events events = make_events(true, weighted);
		tfrs_states_options options = some_options(0.5f);
		tfrs_states states;
		int			kinds[2] = {0};

		begin(&states, &options, &events, 16);
		for (int batch = 0; batch < 300; batch++)
		{
			CHECK_OK(tfrs_states_next(&states, &check_error));
			kinds[states.kind]++;
			check_batch(&states);
		}
		CHECK(kinds[0] > 110 && kinds[1] > 110);
		tfrs_states_free(&states);
	}
}

/* n^(1 - w) a hide state, n^-w a target of a next state, times the events' own weights. */
static void
check_weights(float query_weight, float hide_share)
{
	tfrs_events events = make_events(true, true);
	tfrs_states_options options = some_options(hide_share);
	tfrs_states states;
	double		sum = 0;
	double		got = 0;

	options.query_weight = query_weight;
	begin(&states, &options, &events, 200);
	CHECK_OK(tfrs_states_next(&states, &check_error));
	for (int pass = 0; pass < 2; pass++)
		for (size_t row = 0; row < states.rows; row++)
		{
			uint32_t	query = states.row_query[row];
			tfrs_event_list list = tfrs_events_of(&events, query);
			double		each = states.kind == TFRS_STATE_HIDE
				? pow((double) list.count, 1 - query_weight) /
				(double) length_of(&states.target, row)
				: pow((double) list.count, -query_weight);

			for (size_t i = states.target.start[row]; i < states.target.start[row + 1]; i++)
				for (uint64_t e = offsets[query]; e < offsets[query + 1]; e++)
				{
					if (candidates[e] != states.target.item[i])
						continue;
					if (pass == 0)
						sum += each * weights[e];
					else
						CHECK_NEAR(states.target.weight[i], each * weights[e] / sum, 1e-6);
					got += pass * states.target.weight[i];
				}
		}
	CHECK_NEAR(got, 1.0, 1e-5);
	tfrs_states_free(&states);
}

CHECK_TEST(weights_by_formula)
{
	check_weights(0.5f, 1.0f);
	check_weights(0.5f, 0.0f);
	check_weights(0.0f, 1.0f);
	check_weights(1.0f, 0.0f);
}

/* Every state once before any comes again, in another order each time. */
static void
check_rounds(float hide_share)
{
	tfrs_events events = make_events(true, false);
	tfrs_states_options options = some_options(hide_share);
	static int	visits[QUERIES * MOST];
	static uint32_t order[2][QUERIES * MOST];
	tfrs_states states;
	size_t		all = hide_share == 1.0f ? events.several : events.later;

	memset(visits, 0, sizeof(visits));
	begin(&states, &options, &events, 7);
	for (int round = 0; round < 2; round++)
	{
		size_t		seen = 0;

		while (seen < all)
		{
			CHECK_OK(tfrs_states_next(&states, &check_error));
			CHECK(states.rows == 7 || seen + states.rows == all);
			for (size_t row = 0; row < states.rows; row++)
			{
				CHECK_EQUAL(visits[states.row_state[row]]++, round);
				order[round][seen + row] = states.row_state[row];
			}
			seen += states.rows;
		}
		CHECK_EQUAL(seen, all);
	}
	CHECK(memcmp(order[0], order[1], all * sizeof(order[0][0])) != 0);
	tfrs_states_free(&states);
}

CHECK_TEST(a_round_visits_every_state_once)
{
	check_rounds(1.0f);
	check_rounds(0.0f);
}

/* The first state of a round is any of them, equally often. */
CHECK_TEST(orders_are_uniform)
{
	tfrs_events events = make_events(false, false);
	tfrs_states_options options = some_options(1.0f);
	int			first[QUERIES] = {0};
	tfrs_states states;

	begin(&states, &options, &events, QUERIES);
	for (int round = 0; round < 4000; round++)
	{
		CHECK_OK(tfrs_states_next(&states, &check_error));
		CHECK_EQUAL(states.rows, events.several);
		first[states.row_state[0]]++;
	}
	for (size_t q = 0; q < QUERIES; q++)
	{
		bool		state = offsets[q + 1] - offsets[q] > 1;

		CHECK(state ? first[q] > 60 && first[q] < 170 : first[q] == 0);
	}
	tfrs_states_free(&states);
}

/* The share of hidden events, and that each event is hidden as often as any other. */
CHECK_TEST(hiding_is_fair)
{
	static uint64_t two_offsets[] = {0, 20};
	static uint32_t two_candidates[20];
	int			hidden[20] = {0};
	int			all = 0;
	tfrs_events events = {
		.queries = 1, .count = 20, .offsets = two_offsets, .candidate = two_candidates,
		.several = 1
	};
	tfrs_states_options options = some_options(1.0f);
	tfrs_states states;

	for (uint32_t i = 0; i < 20; i++)
		two_candidates[i] = i;
	begin(&states, &options, &events, 1);
	for (int batch = 0; batch < 5000; batch++)
	{
		CHECK_OK(tfrs_states_next(&states, &check_error));
		for (size_t i = 0; i < states.target.count; i++)
			hidden[states.target.item[i]]++;
		all += (int) states.target.count;
	}
	CHECK_NEAR(all / 1e5, 0.5, 0.01);
	for (int i = 0; i < 20; i++)
		CHECK_NEAR(hidden[i] / 5000.0, 0.5, 0.04);
	tfrs_states_free(&states);
}

/* Dropout leaves bags of next states a part, and hide states alone. */
CHECK_TEST(dropout_is_for_next_states)
{
	tfrs_events events = make_events(true, false);
	tfrs_states_options options = some_options(0.5f);
	tfrs_states with;
	tfrs_states without;
	size_t		kept = 0;
	size_t		all = 0;

	options.dropout = 0.5f;
	begin(&with, &options, &events, 16);
	options.dropout = 0.0f;
	begin(&without, &options, &events, 16);
	for (int batch = 0; batch < 100; batch++)
	{
		CHECK_OK(tfrs_states_next(&with, &check_error));
		CHECK_OK(tfrs_states_next(&without, &check_error));
		CHECK(with.kind == without.kind && with.rows == without.rows);
		if (with.kind == TFRS_STATE_HIDE)
			CHECK_EQUAL(with.bag[0].count, without.bag[0].count);
		else
		{
			kept += with.bag[0].count;
			all += without.bag[0].count;
		}
	}
	CHECK_NEAR((double) kept / (double) all, 0.5, 0.03);
	tfrs_states_free(&with);
	tfrs_states_free(&without);
}

/* One query of 100,000 events at times of their own: batches stay within bounds and advance. */
CHECK_TEST(a_long_query_makes_small_batches)
{
	static uint64_t long_offsets[] = {0, LONG};
	static uint32_t long_candidates[LONG];
	static int64_t long_times[LONG];
	tfrs_events events = {
		.queries = 1, .count = LONG, .offsets = long_offsets, .candidate = long_candidates,
		.at = long_times, .several = 1, .later = LONG - 1
	};
	tfrs_states_options options = some_options(0.5f);
	tfrs_states states;
	tfrs_arena	arena;
	size_t		bytes = 0;

	for (uint32_t i = 0; i < LONG; i++)
	{
		long_candidates[i] = i;
		long_times[i] = i;
	}
	options.rows = 256;
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	CHECK_OK(tfrs_states_begin(&states, &arena, &options, &shape, &events, &check_error));
	while (tfrs_states_find_step(&states) == TFRS_MORE)
		;
	for (int batch = 0; batch < 10; batch++)
	{
		CHECK_OK(tfrs_states_next(&states, &check_error));
		CHECK_EQUAL(states.rows, states.kind == TFRS_STATE_HIDE ? 1 : TFRS_STATES_EVENTS / LONG);
		CHECK_EQUAL(states.target.count + states.masked.count, states.rows * LONG);
	}
	CHECK(tfrs_states_bytes(&options, &shape, &events, LONG, &bytes));
	CHECK(arena.peak < bytes + 2000);
	tfrs_states_free(&states);
	tfrs_arena_free(&arena);
}

/* Nothing is masked where what is known may be chosen again; targets and bags stay the same. */
CHECK_TEST(known_candidates_may_be_negatives)
{
	tfrs_events events = make_events(true, false);
	tfrs_states_options options = some_options(0.5f);
	tfrs_states with;
	tfrs_states without;

	begin(&with, &options, &events, 16);
	options.mask_known = false;
	begin(&without, &options, &events, 16);
	for (int batch = 0; batch < 50; batch++)
	{
		CHECK_OK(tfrs_states_next(&with, &check_error));
		CHECK_OK(tfrs_states_next(&without, &check_error));
		CHECK(with.masked.count > 0);
		CHECK_EQUAL(without.masked.count, 0);
		CHECK_EQUAL(without.masked.rows, without.rows);
		CHECK_EQUAL(without.target.count, with.target.count);
		CHECK_EQUAL(without.bag[0].count, with.bag[0].count);
		CHECK_EQUAL(without.bag[1].count, with.bag[1].count);
	}
	tfrs_states_free(&with);
	tfrs_states_free(&without);
}

/* What a row's bag of all sees, the shared list and its own together. */
static double
seen_of(const tfrs_states *states, size_t row, uint32_t candidate)
{
	const tfrs_ragged *shared = &states->shared;
	const tfrs_ragged *own = &states->bag[0];
	size_t		group = states->row_group[row];
	double		weight = 0;

	for (size_t i = shared->start[group]; i < shared->start[group + 1]; i++)
		if (shared->item[i] == candidate)
			weight += shared->weight[i];
	for (size_t i = own->start[row]; i < own->start[row + 1]; i++)
		if (own->item[i] == candidate)
			weight += own->weight[i];
	return weight;
}

/* All others alike, strictly earlier ones in the recency bags, the own one nowhere. */
static void
check_one_row(const tfrs_states *states, size_t row, bool dropped)
{
	uint32_t	event = states->row_state[row];
	uint32_t	own = states->events->candidate[event];
	tfrs_event_list list = tfrs_events_of(states->events, states->row_query[row]);
	double		each = 1 / sqrt((double) list.count - 1) / (dropped ? 0.5 : 1);

	check_partition(states, row);
	CHECK_EQUAL(length_of(&states->target, row), 1);
	CHECK_EQUAL(states->target.item[states->target.start[row]], own);
	CHECK(length_of(&states->bag[0], row) <= 1);
	for (size_t i = 0; i < list.count; i++)
	{
		uint32_t	candidate = list.candidate[i];
		bool		earlier = list.at[i] < states->events->at[event];
		double		seen = seen_of(states, row, candidate);

		CHECK(candidate != own || fabs(seen) < 1e-6);
		CHECK(candidate == own || fabs(seen - each) < 1e-5 || (dropped && seen == 0));
		CHECK(earlier || !has(&states->bag[1], row, candidate));
		CHECK(!has(&states->bag[2], row, candidate) || earlier);
	}
}

CHECK_TEST(rows_of_interactions)
{
	for (int dropped = 0; dropped < 2; dropped++)
	{
		tfrs_events events = make_events(true, false);
		tfrs_states_options options = some_options(0.5f);
		tfrs_states states;
		size_t		several = 0;
		size_t		seen = 0;
		double		sum;

		for (size_t q = 0; q < QUERIES; q++)
			several += offsets[q + 1] - offsets[q] > 1 ? offsets[q + 1] - offsets[q] : 0;
		options.interactions = true;
		options.dropout = dropped ? 0.5f : 0.0f;
		begin(&states, &options, &events, 60);
		while (seen < several)
		{
			CHECK_OK(tfrs_states_next(&states, &check_error));
			CHECK_EQUAL(states.kind, TFRS_STATE_ONE);
			CHECK(states.shared.rows < states.rows || states.rows < 30);
			sum = 0;
			for (size_t row = 0; row < states.rows; row++)
			{
				check_one_row(&states, row, dropped);
				sum += states.target.weight[row];
			}
			CHECK_NEAR(sum, 1, 1e-5);
			seen += states.rows;
		}
		CHECK_EQUAL(seen, several);
		for (size_t q = 0; q < QUERIES; q++)
			CHECK_EQUAL(states.group_of[q], UINT32_MAX);
		tfrs_states_free(&states);
	}
}

/* Only one kind can be had: the other's share does not matter. */
CHECK_TEST(one_kind_alone)
{
	tfrs_events untimed = make_events(false, false);
	tfrs_states_options options = some_options(0.0f);
	tfrs_states states;

	begin(&states, &options, &untimed, 4);
	CHECK_OK(tfrs_states_next(&states, &check_error));
	CHECK_EQUAL(states.kind, TFRS_STATE_HIDE);
	CHECK_EQUAL(states.rows, 4);
	tfrs_states_free(&states);
}

CHECK_TEST(weights_of_zero_are_no_nan)
{
	tfrs_events events = make_events(true, true);
	tfrs_states_options options = some_options(0.5f);
	tfrs_states states;

	memset(weights, 0, sizeof(weights));
	begin(&states, &options, &events, 16);
	for (int batch = 0; batch < 10; batch++)
	{
		CHECK_OK(tfrs_states_next(&states, &check_error));
		for (size_t i = 0; i < states.target.count; i++)
			CHECK(states.target.weight[i] == 0);
	}
	tfrs_states_free(&states);
}

/* The estimate is an upper bound, and none for sizes that overflow. */
CHECK_TEST(the_estimate_is_enough)
{
	tfrs_events events = make_events(true, false);
	tfrs_states_options options = some_options(0.5f);
	tfrs_states states;
	tfrs_arena	arena;
	size_t		bytes = 0;

	options.rows = 400;
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	CHECK_OK(tfrs_states_begin(&states, &arena, &options, &shape, &events, &check_error));
	while (tfrs_states_find_step(&states) == TFRS_MORE)
		;
	for (int batch = 0; batch < 20; batch++)
		CHECK_OK(tfrs_states_next(&states, &check_error));
	CHECK(tfrs_states_bytes(&options, &shape, &events, MOST, &bytes));
	CHECK(arena.peak < bytes + 2000 && arena.peak > bytes / 4);
	bytes = 0;
	options.rows = 1;
	CHECK(!tfrs_states_bytes(&options, &shape, &events, SIZE_MAX / 16, &bytes));
	tfrs_states_free(&states);
	tfrs_arena_free(&arena);
}

static bool some_interactions;

static tfrs_status
some_batches(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_events events = make_events(true, true);
	tfrs_states_options options = some_options(0.5f);
	tfrs_states states;
	tfrs_status status;

	options.rows = 16;
	options.candidates = CANDIDATES;
	options.interactions = some_interactions;
	status = tfrs_states_begin(&states, arena, &options, &shape, &events, error);
	while (status == TFRS_OK && tfrs_states_find_step(&states) == TFRS_MORE)
		;
	for (int batch = 0; batch < 6 && status == TFRS_OK; batch++)
		status = tfrs_states_next(&states, error);
	tfrs_states_free(&states);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	some_interactions = false;
	check_lack_of_memory(some_batches);
	some_interactions = true;
	check_lack_of_memory(some_batches);
}
