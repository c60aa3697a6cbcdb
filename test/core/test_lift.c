/*
 * test_lift.c: the lift of data whose lift is known.
 */
#include "check.h"

#include "learning/lift.h"

#define QUERIES 500
#define EACH 6					/* events of a query */
#define CANDIDATES 120
#define GROUPS 12

static uint64_t offsets[QUERIES + 1];
static uint32_t candidates[QUERIES * EACH];

static tfrs_events
events_of(size_t queries, size_t each)
{
	for (size_t q = 0; q <= queries; q++)
		offsets[q] = q * each;
	return (tfrs_events) {
		.queries = queries, .count = queries * each, .offsets = offsets,
		.candidate = candidates, .length = (double) each
	};
}

static double
lift_of(const tfrs_events *events)
{
	tfrs_lift	lift;

	CHECK_OK(tfrs_lift_begin(&lift, check_arena(), events, CANDIDATES, &check_error));
	while (tfrs_lift_step(&lift) == TFRS_MORE)
		;
	tfrs_lift_free(&lift);
	return lift.value;
}

/* Ten queries that have the same two candidates: every pair is that one. */
CHECK_TEST(a_lift_by_hand)
{
	tfrs_events events = events_of(10, 2);
	double		sum = 20 + 20 * 9;
	double		expected = 20 + 20 * (9 * 9 * (2.0 - 1) / 20);

	for (size_t e = 0; e < 20; e++)
		candidates[e] = e % 2;
	CHECK_NEAR(lift_of(&events), sum / expected, 1e-12);
}

/* A candidate chosen twice is one of the query's, and no pair with itself. */
CHECK_TEST(repeats_count_once)
{
	tfrs_events events = events_of(10, 3);
	tfrs_lift	lift;

	for (size_t e = 0; e < 30; e++)
		candidates[e] = e % 3 == 2;
	CHECK_OK(tfrs_lift_begin(&lift, check_arena(), &events, CANDIDATES, &check_error));
	while (tfrs_lift_step(&lift) == TFRS_MORE)
		;
	CHECK(lift.pairs >= 10 && lift.pairs < 30);
	for (size_t p = 0; p < lift.pairs; p++)
	{
		CHECK(lift.pair[p].first != lift.pair[p].second);
		CHECK_EQUAL(lift.pair[p].both, 10);
	}
	tfrs_lift_free(&lift);
}

/* Each query chooses among the candidates of a group, or of all alike: what a group adds is seen. */
static void
draw(size_t groups)
{
	tfrs_random random;
	uint32_t	among = (uint32_t) (CANDIDATES / groups);

	tfrs_random_init(&random, 1, 2, 3);
	for (size_t q = 0; q < QUERIES; q++)
		for (size_t i = 0; i < EACH; i++)
			candidates[q * EACH + i] = (uint32_t) (q % groups) * among +
				tfrs_random_below(&random, among);
}

CHECK_TEST(groups_lift_what_chance_does_not)
{
	tfrs_events events = events_of(QUERIES, EACH);
	double		chance;

	draw(1);
	chance = lift_of(&events);
	CHECK(chance > 0.8 && chance < 1.2);
	draw(GROUPS);
	CHECK(lift_of(&events) > GROUPS / 2.0);
}

/* Nobody has two candidates. */
CHECK_TEST(no_pair_is_no_lift)
{
	tfrs_events events = events_of(QUERIES, 1);

	for (size_t e = 0; e < QUERIES; e++)
		candidates[e] = e % CANDIDATES;
	CHECK_NEAR(lift_of(&events), 1, 0);
}

static tfrs_status
measure(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_events events = events_of(QUERIES, EACH);
	tfrs_lift	lift;
	tfrs_status status = tfrs_lift_begin(&lift, arena, &events, CANDIDATES, error);

	while (status == TFRS_OK && tfrs_lift_step(&lift) == TFRS_MORE)
		;
	tfrs_lift_free(&lift);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	draw(1);
	check_lack_of_memory(measure);
}
