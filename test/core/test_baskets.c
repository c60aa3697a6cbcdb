/*
 * test_baskets.c: counts of baskets by hand, by time and by query.
 */
#include "check.h"

#include <math.h>

#include "learning/baskets.h"

#define CANDIDATES 5

/* Three queries: {0 1 2} {3} | {0 1} {0 3} | {4}; the second has chosen candidate 0 twice. */
static const uint64_t offsets[] = {0, 4, 8, 9};
static const uint32_t candidates[] = {0, 1, 2, 3, 0, 1, 0, 3, 4};
static const int64_t times[] = {1, 1, 1, 2, 5, 5, 6, 6, 1};

static tfrs_events
events_of(bool timed)
{
	return (tfrs_events) {
		.queries = 3, .count = 9, .offsets = offsets, .candidate = candidates,
		.at = timed ? times : NULL
	};
}

static void
count(tfrs_baskets *baskets, const tfrs_events *events, bool by_time, const uint32_t *list,
	  size_t length)
{
	*baskets = (tfrs_baskets) {
		.events = events, .by_time = by_time, .candidates = CANDIDATES, .count = length,
		.list = list
	};
	CHECK_OK(tfrs_baskets_begin(baskets, check_arena(), &check_error));
	tfrs_baskets_count(baskets, 0, 2);
	tfrs_baskets_count(baskets, 2, 3);
}

CHECK_TEST(confidence_by_time_and_by_query)
{
	static const uint32_t list[] = {0};
	tfrs_events events = events_of(true);
	tfrs_baskets baskets;
	float		score[CANDIDATES];

	count(&baskets, &events, true, list, 1);
	tfrs_baskets_score(&baskets, 1, score);
	CHECK_NEAR(score[1], 2.0 / 3, 1e-6);
	CHECK_NEAR(score[2], 1.0 / 3, 1e-6);
	CHECK_NEAR(score[3], 1.0 / 3, 1e-6);
	CHECK(score[0] == 0 && score[4] == 0);
	tfrs_baskets_score(&baskets, 2, score);
	CHECK(score[1] > 0 && score[2] == 0);
	count(&baskets, &events, false, list, 1);
	tfrs_baskets_score(&baskets, 1, score);
	CHECK_NEAR(score[1], 1, 1e-6);
	CHECK_NEAR(score[2], 0.5, 1e-6);
	CHECK_EQUAL(baskets.any[0], 2);
}

CHECK_TEST(a_long_list_by_cosine)
{
	static const uint32_t list[] = {0, 2, 4};
	tfrs_events events = events_of(true);
	tfrs_baskets baskets;
	float		score[CANDIDATES];

	count(&baskets, &events, true, list, 3);
	tfrs_baskets_score(&baskets, 1, score);
	CHECK_NEAR(score[1], (2 / sqrt(8.0 * 7) + 1 / sqrt(6.0 * 7)) / 3, 1e-6);
	CHECK_EQUAL(baskets.any[1], 2);
}

CHECK_TEST(times_that_are_shared_make_baskets)
{
	tfrs_events events = events_of(true);

	CHECK(tfrs_baskets_share_times(&events));
	events = events_of(false);
	CHECK(!tfrs_baskets_share_times(&events));
}
