/*
 * test_event_collector.c: rows to the events of each query.
 */
#include "rows.h"

#include "learning/event_collector.h"

#define MANY 60000

static test_row rows[MANY];

static tfrs_status
collect(tfrs_event_collector *collector, tfrs_arena *arena, tfrs_interactions *interactions,
		const tfrs_event_options *options, tfrs_events *events, tfrs_error *error)
{
	tfrs_status status = tfrs_event_collector_begin(collector, arena, interactions, options,
													error);

	while (status == TFRS_OK)
	{
		status = tfrs_event_collector_step(collector, events, error);
		if (status == TFRS_OK)
			break;
		status = status == TFRS_MORE ? TFRS_OK : status;
	}
	return status;
}

/* The events of the first count rows. */
typedef struct collected
{
	tfrs_interactions *interactions;
	tfrs_event_collector collector;
	tfrs_events events;
} collected;

static void
collect_rows(collected *result, const tfrs_event_options *options, size_t count, size_t budget)
{
	tfrs_interactions_options collecting = {
		.has_weight = options->has_weight, .has_time = options->has_time, .budget = budget,
		.spools = &rows_spools
	};

	CHECK_OK(rows_collect(&result->interactions, check_arena(), &collecting, rows, count,
						  &check_error));
	CHECK_OK(collect(&result->collector, check_arena(), result->interactions, options,
					 &result->events, &check_error));
}

static void
release(collected *result)
{
	tfrs_event_collector_free(&result->collector);
	tfrs_interactions_destroy(result->interactions);
}

/* The number in a candidate's text id. */
static int
candidate_of(const collected *result, uint64_t event)
{
	tfrs_id_view ids = tfrs_id_set_view(tfrs_interactions_candidates(result->interactions));
	tfrs_id		id = tfrs_id_view_get(&ids, result->events.candidate[event]);

	return atoi(id.bytes + 1);
}

static const tfrs_event_options plain = {0};
static const tfrs_event_options timed = {.has_weight = true, .has_time = true};
static const tfrs_event_options repeating = {
	.has_weight = true, .has_time = true, .keep_repeats = true
};

/* Query 4: candidates 9 twice, 5 and 7 at one time; query 8: one candidate twice. */
static void
fill_rows(void)
{
	static const test_row given[] = {
		{4, 9, 1.0f, 300}, {8, 7, 0.5f, 50}, {4, 7, 2.0f, 200}, {4, 9, 0.25f, 100},
		{4, 5, 4.0f, 200}, {8, 7, 0.5f, 50}, {4, 9, 8.0f, 300}
	};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		rows[i] = given[i];
}

CHECK_TEST(events_by_hand)
{
	collected	result;
	static const int candidates[] = {9, 5, 7, 7};
	static const int64_t at[] = {100, 200, 200, 50};
	static const float weights[] = {8.0f, 4.0f, 2.0f, 0.5f};

	fill_rows();
	collect_rows(&result, &timed, 7, SIZE_MAX);
	CHECK_EQUAL(result.events.queries, 2);
	CHECK_EQUAL(result.events.count, 4);
	CHECK_EQUAL(result.events.offsets[1], 3);
	CHECK_EQUAL(result.events.offsets[2], 4);
	for (int e = 0; e < 4; e++)
	{
		CHECK_EQUAL(candidate_of(&result, (uint64_t) e), candidates[e]);
		CHECK_EQUAL(result.events.at[e], at[e]);
		CHECK(result.events.weight[e] == weights[e]);
	}
	CHECK_EQUAL(result.events.several, 1);
	CHECK_EQUAL(result.events.later, 1);
	CHECK_NEAR(result.events.length, 2.5, 1e-12);
	release(&result);
}

/* 9 at 300 is another event than 9 at 100; equal ones are one all the same. */
CHECK_TEST(repeats_are_kept_where_they_are_wanted)
{
	collected	result;

	fill_rows();
	collect_rows(&result, &repeating, 7, SIZE_MAX);
	CHECK_EQUAL(result.events.count, 5);
	CHECK_EQUAL(result.events.offsets[1], 4);
	CHECK_EQUAL(candidate_of(&result, 0), 9);
	CHECK_EQUAL(candidate_of(&result, 3), 9);
	CHECK_EQUAL(result.events.at[3], 300);
	CHECK(result.events.weight[0] == 0.25f);
	CHECK(result.events.weight[3] == 8.0f);
	CHECK_EQUAL(result.events.later, 2);
	release(&result);
}

CHECK_TEST(without_times_candidates_are_in_their_order)
{
	collected	result;

	fill_rows();
	collect_rows(&result, &plain, 7, SIZE_MAX);
	CHECK(result.events.at == NULL && result.events.weight == NULL);
	CHECK_EQUAL(result.events.count, 4);
	CHECK_EQUAL(candidate_of(&result, 0), 5);
	CHECK_EQUAL(candidate_of(&result, 1), 7);
	CHECK_EQUAL(candidate_of(&result, 2), 9);
	CHECK_EQUAL(result.events.several, 1);
	CHECK_EQUAL(result.events.later, 0);
	release(&result);
}

/* Stored: query 4 chose candidates 9 at 100 and 5 at 250, query 6, which has no row, 7 at 10. */
static const uint64_t stored_offsets[] = {0, 2, 3};
static const uint32_t stored_candidates[] = {2, 0, 1};	/* of 5, 7, 9 */
static const int64_t stored_at[] = {100, 250, 10};
static const tfrs_events earlier = {
	.queries = 2, .count = 3, .offsets = stored_offsets, .candidate = stored_candidates,
	.at = stored_at
};

/* The first stored event again, twice; the second at another time; new ones. */
static const test_row later_rows[] = {
	{4, 9, 0.5f, 100}, {4, 9, 0.25f, 100}, {4, 5, 4.0f, 200}, {4, 7, 2.0f, 300}, {8, 7, 1.0f, 50}
};

static void
merge(collected *result, const tfrs_event_options *options)
{
	tfrs_interactions_options collecting = {
		.has_weight = true, .has_time = true, .budget = SIZE_MAX
	};

	CHECK_OK(rows_begin(&result->interactions, check_arena(), &collecting, &check_error));
	CHECK_OK(tfrs_interactions_know_query(result->interactions, tfrs_id_of_integer(6),
										  &check_error));
	CHECK_OK(rows_add(result->interactions, later_rows, 5, &check_error));
	CHECK_OK(rows_finish(result->interactions, &check_error));
	CHECK_OK(collect(&result->collector, check_arena(), result->interactions, options,
					 &result->events, &check_error));
}

CHECK_TEST(stored_events_are_merged)
{
	static const uint32_t same[] = {0, 1, 2};
	static const int candidates[2][6] = {{9, 5, 7, 7, 7}, {9, 5, 5, 7, 7, 7}};
	static const int64_t at[2][6] = {{100, 200, 300, 10, 50}, {100, 200, 250, 300, 10, 50}};
	static const float weights[2][6] = {{0.5f, 4, 2, 1, 1}, {0.5f, 4, 1, 2, 1, 1}};

	for (int repeats = 0; repeats < 2; repeats++)
	{
		uint32_t	query_rows[] = {6, 1, 1};
		uint32_t	candidate_rows[] = {2, 3, 3};
		tfrs_stored_events stored = {&earlier, same, same, query_rows, candidate_rows};
		tfrs_event_options options = {
			.has_weight = true, .has_time = true, .keep_repeats = repeats, .stored = &stored
		};
		collected	result;

		merge(&result, &options);
		CHECK_EQUAL(result.events.queries, 3);
		CHECK_EQUAL(result.events.count, 5 + repeats);
		CHECK_EQUAL(result.events.offsets[1], 3 + repeats);
		for (int e = 0; e < 5 + repeats; e++)
		{
			CHECK_EQUAL(candidate_of(&result, (uint64_t) e), candidates[repeats][e]);
			CHECK_EQUAL(result.events.at[e], at[repeats][e]);
			CHECK(result.events.weight[e] == weights[repeats][e]);
		}
		/* less the two rows that are the first stored event again */
		CHECK(query_rows[0] == 4 && query_rows[1] == 1 && query_rows[2] == 1);
		CHECK(candidate_rows[0] == 2 && candidate_rows[1] == 3 && candidate_rows[2] == 1);
		release(&result);
	}
}

static void
check_same(const tfrs_events *a, const tfrs_events *b)
{
	CHECK_EQUAL(a->queries, b->queries);
	CHECK_EQUAL(a->count, b->count);
	CHECK(memcmp(a->offsets, b->offsets, (a->queries + 1) * sizeof(uint64_t)) == 0);
	CHECK(memcmp(a->candidate, b->candidate, a->count * sizeof(uint32_t)) == 0);
	CHECK(memcmp(a->at, b->at, a->count * sizeof(int64_t)) == 0);
	CHECK(memcmp(a->weight, b->weight, a->count * sizeof(float)) == 0);
	CHECK(a->several == b->several && a->later == b->later);
}

/* Weights that give another sum in another order, and times that are equal. */
CHECK_TEST(order_and_budget_do_not_show)
{
	static const size_t budgets[] = {SIZE_MAX, 300000, 0};
	collected	expected;

	rows_draw(rows, MANY, 200, 30);
	for (size_t i = 0; i < MANY; i++)
	{
		rows[i].weight = 1.0f + 1e-3f * (float) (i % 7919);
		rows[i].at = rows[i].at / 1000000 % 50;
	}
	collect_rows(&expected, &timed, MANY, SIZE_MAX);
	for (int i = 0; i < 3; i++)
	{
		collected	got;

		rows_permute(rows, MANY, (uint64_t) i);
		collect_rows(&got, &timed, MANY, budgets[i]);
		check_same(&got.events, &expected.events);
		release(&got);
	}
	release(&expected);
}

/* The order of the rows is theirs in input order, but not that of the events. */
CHECK_TEST(input_order_does_not_show)
{
	tfrs_interactions_options collecting = {
		.has_weight = true, .has_time = true, .budget = SIZE_MAX, .input_order = true
	};
	collected	expected;
	collected	got;

	rows_draw(rows, 5000, 20, 30);
	collect_rows(&expected, &timed, 5000, SIZE_MAX);
	CHECK_OK(rows_collect(&got.interactions, check_arena(), &collecting, rows, 5000,
						  &check_error));
	CHECK_OK(collect(&got.collector, check_arena(), got.interactions, &timed, &got.events,
					 &check_error));
	check_same(&got.events, &expected.events);
	release(&got);
	release(&expected);
}

static void
check_order(const tfrs_events *events, bool repeats)
{
	for (size_t q = 0; q < events->queries; q++)
		for (uint64_t e = events->offsets[q] + 1; e < events->offsets[q + 1]; e++)
		{
			CHECK(events->at[e - 1] <= events->at[e]);
			CHECK(events->at[e - 1] < events->at[e] ||
				  events->candidate[e - 1] < events->candidate[e]);
		}
	for (size_t q = 0; q < events->queries && !repeats; q++)
	{
		static bool seen[1000];

		memset(seen, 0, sizeof(seen));
		for (uint64_t e = events->offsets[q]; e < events->offsets[q + 1]; e++)
		{
			CHECK(!seen[events->candidate[e]]);
			seen[events->candidate[e]] = true;
		}
	}
}

/* One query with almost all rows: no step does more than its share of them. */
CHECK_TEST(a_long_query_is_sorted_in_steps)
{
	for (int repeats = 0; repeats < 2; repeats++)
	{
		const tfrs_event_options *options = repeats ? &repeating : &timed;
		tfrs_interactions_options collecting = {
			.has_weight = true, .has_time = true, .budget = SIZE_MAX
		};
		tfrs_event_collector collector;
		tfrs_interactions *interactions;
		tfrs_events events;
		size_t		steps = 0;

		rows_draw(rows, MANY, 2, 1000);
		for (size_t i = 0; i < MANY - 10; i++)
			rows[i].query = 1;
		CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, MANY,
							  &check_error));
		CHECK_OK(tfrs_event_collector_begin(&collector, check_arena(), interactions, options,
											&check_error));
		while (tfrs_event_collector_step(&collector, &events, &check_error) == TFRS_MORE)
			steps++;
		CHECK(steps > 1 + MANY / 16384 + MANY * 3 / 2 / 16384);
		check_order(&events, repeats);
		CHECK(repeats || events.offsets[1] == 1000 ||
			  events.offsets[2] - events.offsets[1] == 1000);
		tfrs_event_collector_free(&collector);
		tfrs_interactions_destroy(interactions);
	}
}

/* 0 where a size overflows. */
static size_t
estimate_of(const tfrs_event_options *options, size_t rows, size_t queries)
{
	tfrs_plan	plan = {.use = TFRS_PLAN_COUNT};

	tfrs_event_collector_plan(&plan, options, rows, queries);
	return plan.status == TFRS_OK ? plan.bytes : 0;
}

CHECK_TEST(the_estimate_is_what_it_takes)
{
	for (int weighted = 0; weighted < 2; weighted++)
	{
		const tfrs_event_options *options = weighted ? &timed : &plain;
		tfrs_interactions_options collecting = {
			.has_weight = weighted, .has_time = weighted, .budget = SIZE_MAX
		};
		tfrs_event_collector collector;
		tfrs_interactions *interactions;
		tfrs_events events;
		tfrs_arena	arena;
		size_t		estimate = 0;

		rows_draw(rows, MANY, 3000, 100);
		CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, MANY,
							  &check_error));
		estimate = estimate_of(options, MANY, tfrs_interactions_queries(interactions)->count);
		tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
		CHECK_OK(collect(&collector, &arena, interactions, options, &events, &check_error));
		CHECK(arena.peak >= estimate - 1024 && arena.peak < estimate + 2000);
		CHECK(arena.used < MANY * 20);	/* what only collecting needs is given back */
		tfrs_event_collector_free(&collector);
		tfrs_arena_free(&arena);
		tfrs_interactions_destroy(interactions);
	}
	CHECK_EQUAL(estimate_of(&plain, SIZE_MAX / 8, 1), 0);	/* it overflows */
}

static tfrs_status
collect_few(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_interactions_options collecting = {
		.has_weight = true, .has_time = true, .budget = SIZE_MAX
	};
	tfrs_interactions *interactions;
	tfrs_event_collector collector = {0};
	tfrs_events events;
	tfrs_status status = rows_collect(&interactions, arena, &collecting, rows, 7, error);

	if (status == TFRS_OK)
		status = collect(&collector, arena, interactions, &timed, &events, error);
	tfrs_event_collector_free(&collector);
	tfrs_interactions_destroy(interactions);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	fill_rows();
	check_lack_of_memory(collect_few);
}
