/*
 * test_state_examples.c: batches of states: what is hidden, what is seen, what it weighs.
 */
#include "check.h"

#include <string.h>

#include "learning/state_examples.h"

#define QUERIES 40
#define MOST 30					/* events of a query */
#define CANDIDATES 100
#define LONG 100000

static uint64_t offsets[QUERIES + 1];
static uint32_t candidates[QUERIES * MOST];
static int64_t times[QUERIES * MOST];
static float weights[QUERIES * MOST];

static const tfrs_tower_shape shape = {
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

/* A source, its batches and what they are made by. */
typedef struct drawing
{
	tfrs_train_options options;
	tfrs_state_examples source;
	tfrs_examples batch;
	tfrs_arena *arena;
} drawing;

static tfrs_train_options
some_options(float hide_share)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	options.history.dropout = 0.0f;
	options.history.hide_share = hide_share;
	options.query_weight = 0.5f;
	options.seed = 3;
	options.history.steps = 1000000;
	return options;
}

static void
arrays(void *object, tfrs_plan *plan)
{
	drawing    *d = object;

	tfrs_state_examples_plan(plan, &d->source, &d->batch);
}

static void
size(drawing *d, const tfrs_train_options *options, const tfrs_events *events, size_t longest)
{
	tfrs_state_counts counts = {events, CANDIDATES, longest};

	memset(d, 0, sizeof(*d));
	d->options = *options;
	tfrs_state_examples_size(&d->source, &d->options, &shape, &counts);
}

static tfrs_status
begin_in(drawing *d, tfrs_arena *arena, const tfrs_train_options *options,
		 const tfrs_events *events, tfrs_error *error)
{
	tfrs_status status;

	size(d, options, events, tfrs_events_longest(events));
	status = tfrs_plan_take(arena, arrays, d, error);
	if (status != TFRS_OK)
		return status;
	d->arena = arena;
	tfrs_state_examples_begin(&d->source, &d->batch);
	while (tfrs_state_examples_prepare(&d->source) == TFRS_MORE)
		;
	return TFRS_OK;
}

static void
begin(drawing *d, const tfrs_train_options *options, const tfrs_events *events, size_t rows)
{
	tfrs_train_options sized = *options;

	sized.batch_size = (uint32_t) rows;
	CHECK_OK(begin_in(d, check_arena(), &sized, events, &check_error));
}

static void
next(drawing *d)
{
	tfrs_state_examples_draw(&d->source, &d->batch);
}

static void
end(drawing *d)
{
	tfrs_plan_release(d->arena, arrays, d);
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

/* Targets are some of the query's events, each once. */
static void
check_targets(const drawing *states, size_t row)
{
	tfrs_event_list list = tfrs_events_of(states->source.events, states->source.row_query[row]);
	size_t		found = 0;

	for (size_t i = 0; i < list.count; i++)
		found += has(&states->batch.target, row, list.candidate[i]);
	CHECK_EQUAL(length_of(&states->batch.target, row), found);
}

static void
check_hide_row(const drawing *states, size_t row)
{
	tfrs_event_list list = tfrs_events_of(states->source.events, states->source.row_query[row]);
	size_t		kept = list.count - length_of(&states->batch.target, row);

	CHECK(length_of(&states->batch.target, row) >= 1 && kept >= 1);
	CHECK_EQUAL(length_of(&states->source.bag[0], row), kept);
	CHECK_EQUAL(length_of(&states->source.bag[1], row), 0);
	CHECK_EQUAL(length_of(&states->source.bag[2], row), 0);
	for (size_t i = states->source.bag[0].start[row]; i < states->source.bag[0].start[row + 1]; i++)
	{
		CHECK(!has(&states->batch.target, row, states->source.bag[0].item[i]));
		CHECK_NEAR(states->source.bag[0].weight[i], 1 / sqrt((double) kept), 1e-6);
	}
}

/* What the bags see is earlier than the targets, and without dropout all of it. */
static void
check_next_row(const drawing *states, size_t row)
{
	tfrs_event_list list = tfrs_events_of(states->source.events, states->source.row_query[row]);
	int64_t		now = states->source.events->at[states->source.row_state[row]];
	size_t		earlier = 0;

	for (size_t i = 0; i < list.count; i++)
	{
		bool		before = list.at[i] < now;

		CHECK(has(&states->batch.target, row, list.candidate[i]) == (list.at[i] == now));
		CHECK(has(&states->source.bag[0], row, list.candidate[i]) == before);
		CHECK(before || !has(&states->source.bag[1], row, list.candidate[i]));
		earlier += before;
	}
	CHECK(earlier >= 1);
	CHECK_EQUAL(length_of(&states->source.bag[0], row), earlier);
	CHECK_EQUAL(length_of(&states->source.bag[1], row), earlier < 5 ? earlier : 5);
}

static void
check_batch(const drawing *states)
{
	double		sum = 0;

	for (size_t i = 0; i < states->batch.target.count; i++)
		sum += states->batch.target.weight[i];
	CHECK_NEAR(sum, 1.0, 1e-5);
	CHECK_EQUAL(states->batch.target.rows, states->source.rows);
	for (size_t row = 0; row < states->source.rows; row++)
	{
		check_targets(states, row);
		if (states->source.kind == TFRS_STATE_HIDE)
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
		tfrs_train_options options = some_options(0.5f);
		drawing		states;
		int			kinds[2] = {0};

		begin(&states, &options, &events, 16);
		for (int batch = 0; batch < 300; batch++)
		{
			next(&states);
			kinds[states.source.kind]++;
			check_batch(&states);
		}
		CHECK(kinds[0] > 110 && kinds[1] > 110);
		end(&states);
	}
}

/* n^(1 - w) a hide state, n^-w a target of a next state, times the events' own weights. */
static void
check_weights(float query_weight, float hide_share)
{
	tfrs_events events = make_events(true, true);
	tfrs_train_options options = some_options(hide_share);
	drawing		states;
	double		sum = 0;
	double		got = 0;

	options.query_weight = query_weight;
	begin(&states, &options, &events, 200);
	next(&states);
	for (int pass = 0; pass < 2; pass++)
		for (size_t row = 0; row < states.source.rows; row++)
		{
			uint32_t	query = states.source.row_query[row];
			tfrs_event_list list = tfrs_events_of(&events, query);
			double		each = states.source.kind == TFRS_STATE_HIDE
				? pow((double) list.count, 1 - query_weight) /
				(double) length_of(&states.batch.target, row)
				: pow((double) list.count, -query_weight);

			for (size_t i = states.batch.target.start[row]; i < states.batch.target.start[row + 1]; i++)
				for (uint64_t e = offsets[query]; e < offsets[query + 1]; e++)
				{
					if (candidates[e] != states.batch.target.item[i])
						continue;
					if (pass == 0)
						sum += each * weights[e];
					else
						CHECK_NEAR(states.batch.target.weight[i], each * weights[e] / sum, 1e-6);
					got += pass * states.batch.target.weight[i];
				}
		}
	CHECK_NEAR(got, 1.0, 1e-5);
	end(&states);
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
	tfrs_train_options options = some_options(hide_share);
	static int	visits[QUERIES * MOST];
	static uint32_t order[2][QUERIES * MOST];
	drawing		states;
	size_t		all = hide_share == 1.0f ? events.several : events.later;

	memset(visits, 0, sizeof(visits));
	begin(&states, &options, &events, 7);
	for (int round = 0; round < 2; round++)
	{
		size_t		seen = 0;

		while (seen < all)
		{
			next(&states);
			CHECK(states.source.rows == 7 || seen + states.source.rows == all);
			for (size_t row = 0; row < states.source.rows; row++)
			{
				CHECK_EQUAL(visits[states.source.row_state[row]]++, round);
				order[round][seen + row] = states.source.row_state[row];
			}
			seen += states.source.rows;
		}
		CHECK_EQUAL(seen, all);
	}
	CHECK(memcmp(order[0], order[1], all * sizeof(order[0][0])) != 0);
	end(&states);
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
	tfrs_train_options options = some_options(1.0f);
	int			first[QUERIES] = {0};
	drawing		states;

	begin(&states, &options, &events, QUERIES);
	for (int round = 0; round < 4000; round++)
	{
		next(&states);
		CHECK_EQUAL(states.source.rows, events.several);
		first[states.source.row_state[0]]++;
	}
	for (size_t q = 0; q < QUERIES; q++)
	{
		bool		state = offsets[q + 1] - offsets[q] > 1;

		CHECK(state ? first[q] > 60 && first[q] < 170 : first[q] == 0);
	}
	end(&states);
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
	tfrs_train_options options = some_options(1.0f);
	drawing		states;

	for (uint32_t i = 0; i < 20; i++)
		two_candidates[i] = i;
	begin(&states, &options, &events, 1);
	for (int batch = 0; batch < 5000; batch++)
	{
		next(&states);
		for (size_t i = 0; i < states.batch.target.count; i++)
			hidden[states.batch.target.item[i]]++;
		all += (int) states.batch.target.count;
	}
	CHECK_NEAR(all / 1e5, 0.5, 0.01);
	for (int i = 0; i < 20; i++)
		CHECK_NEAR(hidden[i] / 5000.0, 0.5, 0.04);
	end(&states);
}

/* Dropout leaves bags of next states a part, and hide states alone. */
CHECK_TEST(dropout_is_for_next_states)
{
	tfrs_events events = make_events(true, false);
	tfrs_train_options options = some_options(0.5f);
	drawing		with;
	drawing		without;
	size_t		kept = 0;
	size_t		all = 0;

	options.history.dropout = 0.5f;
	begin(&with, &options, &events, 16);
	options.history.dropout = 0.0f;
	begin(&without, &options, &events, 16);
	for (int batch = 0; batch < 100; batch++)
	{
		next(&with);
		next(&without);
		CHECK(with.source.kind == without.source.kind && with.source.rows == without.source.rows);
		if (with.source.kind == TFRS_STATE_HIDE)
			CHECK_EQUAL(with.source.bag[0].count, without.source.bag[0].count);
		else
		{
			kept += with.source.bag[0].count;
			all += without.source.bag[0].count;
		}
	}
	CHECK_NEAR((double) kept / (double) all, 0.5, 0.03);
	end(&with);
	end(&without);
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
	tfrs_train_options options = some_options(0.5f);
	drawing		states;
	tfrs_arena	arena;

	for (uint32_t i = 0; i < LONG; i++)
	{
		long_candidates[i] = i;
		long_times[i] = i;
	}
	options.batch_size = 256;
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	CHECK_OK(begin_in(&states, &arena, &options, &events, &check_error));
	for (int batch = 0; batch < 10; batch++)
	{
		next(&states);
		CHECK_EQUAL(states.source.rows, states.source.kind == TFRS_STATE_HIDE ? 1 : TFRS_STATES_EVENTS / LONG);
		CHECK(states.batch.target.count <= states.source.rows * LONG);
	}
	end(&states);
	tfrs_arena_free(&arena);
}

/* A share of the rows sees nothing; targets stay the same. */
CHECK_TEST(unknown_queries_see_nothing)
{
	for (int kind = 0; kind < 3; kind++)
	{
		tfrs_events events = make_events(true, false);
		tfrs_train_options options = some_options(kind == 0 ? 1.0f : 0.0f);
		drawing		d;
		size_t		empty = 0;
		size_t		all = 0;

		options.history.interactions = kind == 2;
		options.id_dropout = 0.25f;
		begin(&d, &options, &events, 16);
		for (int batch = 0; batch < 300; batch++)
		{
			next(&d);
			for (size_t row = 0; row < d.source.rows; row++)
			{
				size_t		seen = length_of(&d.source.bag[0], row);

				if (kind == 2)
					seen = length_of(&d.source.shared, d.source.row_group[row]);
				empty += seen == 0;
				all++;
				CHECK(length_of(&d.batch.target, row) >= 1);
			}
		}
		CHECK_NEAR((double) empty / (double) all, 0.25, 0.03);
		end(&d);
	}
}

/* What a row's bag of all sees, the shared list and its own together. */
static double
seen_of(const drawing *states, size_t row, uint32_t candidate)
{
	const tfrs_ragged *shared = &states->source.shared;
	const tfrs_ragged *own = &states->source.bag[0];
	size_t		group = states->source.row_group[row];
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
check_one_row(const drawing *states, size_t row, bool dropped)
{
	uint32_t	event = states->source.row_state[row];
	uint32_t	own = states->source.events->candidate[event];
	tfrs_event_list list = tfrs_events_of(states->source.events, states->source.row_query[row]);
	double		each = 1 / sqrt((double) list.count - 1) / (dropped ? 0.5 : 1);

	check_targets(states, row);
	CHECK_EQUAL(length_of(&states->batch.target, row), 1);
	CHECK_EQUAL(states->batch.target.item[states->batch.target.start[row]], own);
	CHECK(length_of(&states->source.bag[0], row) <= 1);
	for (size_t i = 0; i < list.count; i++)
	{
		uint32_t	candidate = list.candidate[i];
		bool		earlier = list.at[i] < states->source.events->at[event];
		double		seen = seen_of(states, row, candidate);

		CHECK(candidate != own || fabs(seen) < 1e-6);
		CHECK(candidate == own || fabs(seen - each) < 1e-5 || (dropped && seen == 0));
		CHECK(earlier || !has(&states->source.bag[1], row, candidate));
		CHECK(!has(&states->source.bag[2], row, candidate) || earlier);
	}
}

CHECK_TEST(rows_of_interactions)
{
	for (int dropped = 0; dropped < 2; dropped++)
	{
		tfrs_events events = make_events(true, false);
		tfrs_train_options options = some_options(0.5f);
		drawing		states;
		size_t		several = 0;
		size_t		seen = 0;
		double		sum;

		for (size_t q = 0; q < QUERIES; q++)
			several += offsets[q + 1] - offsets[q] > 1 ? offsets[q + 1] - offsets[q] : 0;
		options.history.interactions = true;
		options.history.dropout = dropped ? 0.5f : 0.0f;
		begin(&states, &options, &events, 60);
		while (seen < several)
		{
			next(&states);
			CHECK_EQUAL(states.source.kind, TFRS_STATE_ONE);
			CHECK(states.source.shared.rows < states.source.rows || states.source.rows < 30);
			sum = 0;
			for (size_t row = 0; row < states.source.rows; row++)
			{
				check_one_row(&states, row, dropped);
				sum += states.batch.target.weight[row];
			}
			CHECK_NEAR(sum, 1, 1e-5);
			seen += states.source.rows;
		}
		CHECK_EQUAL(seen, several);
		for (size_t q = 0; q < QUERIES; q++)
			CHECK_EQUAL(states.source.group_of[q], UINT32_MAX);
		end(&states);
	}
}

/* Only one kind can be had: the other's share does not matter. */
CHECK_TEST(one_kind_alone)
{
	tfrs_events untimed = make_events(false, false);
	tfrs_train_options options = some_options(0.0f);
	drawing		states;

	begin(&states, &options, &untimed, 4);
	next(&states);
	CHECK_EQUAL(states.source.kind, TFRS_STATE_HIDE);
	CHECK_EQUAL(states.source.rows, 4);
	end(&states);
}

CHECK_TEST(weights_of_zero_are_no_nan)
{
	tfrs_events events = make_events(true, true);
	tfrs_train_options options = some_options(0.5f);
	drawing		states;

	memset(weights, 0, sizeof(weights));
	begin(&states, &options, &events, 16);
	for (int batch = 0; batch < 10; batch++)
	{
		next(&states);
		for (size_t i = 0; i < states.batch.target.count; i++)
			CHECK(states.batch.target.weight[i] == 0);
	}
	end(&states);
}

/* Sizes that overflow are no estimate. */
CHECK_TEST(an_estimate_that_overflows)
{
	tfrs_events events = {.queries = 1,.count = SIZE_MAX / 4,.several = 1};
	tfrs_train_options options = some_options(0.5f);
	drawing		d;
	size_t		bytes = 0;

	size(&d, &options, &events, SIZE_MAX / 4);
	CHECK_STATUS(tfrs_plan_count(arrays, &d, &bytes, &check_error), TFRS_TOO_LARGE);
}

static bool some_interactions;

static tfrs_status
some_batches(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_events events = make_events(true, true);
	tfrs_train_options options = some_options(0.5f);
	drawing		states;
	tfrs_status status;

	options.batch_size = 16;
	options.history.interactions = some_interactions;
	status = begin_in(&states, arena, &options, &events, error);
	for (int batch = 0; batch < 6 && status == TFRS_OK; batch++)
		next(&states);
	if (status == TFRS_OK)
		end(&states);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	some_interactions = false;
	check_lack_of_memory(some_batches);
	some_interactions = true;
	check_lack_of_memory(some_batches);
}
