/*
 * test_popularity.c: mixtures and shares against values that the numpy reference found for the same
 * data (drawn by the same generator), and against sums by hand.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "learning/popularity.h"

#define EVENTS 3000
#define QUERIES 150
#define DAY INT64_C(86400000000)

static uint64_t offsets[QUERIES + 1];
static uint32_t candidates[EVENTS];
static int64_t times[EVENTS];

static uint32_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = (seed * 1103515245u + 12345u) & 0x7fffffff;
	return (seed >> 8) % below;
}

typedef struct raw_event
{
	uint32_t	seconds;
	uint32_t	query;
	uint32_t	candidate;
} raw_event;

static int
compare_seconds(const void *one, const void *two)
{
	const raw_event *a = one;
	const raw_event *b = two;

	return (a->seconds > b->seconds) - (a->seconds < b->seconds);
}

/* Some tenths of the events go to what is in fashion for some days, the others to small numbers. */
typedef struct fashion
{
	uint32_t	first_seed;
	uint32_t	candidates;
	uint32_t	size;
	uint32_t	tenths;
	uint32_t	days;
} fashion;

static tfrs_events
draw_events(fashion f)
{
	static raw_event raw[EVENTS];
	uint64_t	count = 0;

	seed = f.first_seed;
	for (size_t e = 0; e < EVENTS; e++)
		raw[e].seconds = draw(97 * 86400);
	qsort(raw, EVENTS, sizeof(raw_event), compare_seconds);
	for (size_t e = 0; e < EVENTS; e++)
	{
		uint32_t	query = draw(QUERIES);
		bool		fashionable = draw(10) < f.tenths;
		uint32_t	one = draw(f.candidates);
		uint32_t	other = draw(f.candidates);

		raw[e].query = query;
		raw[e].candidate = one < other ? one : other;
		if (fashionable)
			raw[e].candidate = (raw[e].seconds / (f.days * 86400) * f.size + draw(f.size))
				% f.candidates;
	}
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		offsets[q] = count;
		for (size_t e = 0; e < EVENTS; e++)
			if (raw[e].query == q)
			{
				candidates[count] = raw[e].candidate;
				times[count++] = raw[e].seconds * INT64_C(1000000) - 7 * DAY;
			}
	}
	offsets[QUERIES] = count;
	return (tfrs_events) {
		.queries = QUERIES, .count = count, .offsets = offsets, .candidate = candidates,
		.at = times
	};
}

static void
fit_events(tfrs_popularity_fit *fit, const tfrs_events *events, size_t n)
{
	CHECK_OK(tfrs_popularity_fit_begin(fit, check_arena(), events, n, &check_error));
	while (tfrs_popularity_fit_step(fit) == TFRS_MORE)
		;
}

CHECK_TEST(likeliest_mixture_as_the_reference)
{
	static const double weight[] = {
		.14090, .36060, .11421, .00504, .00024, .00006, .00012, .00058, .00191, .00379, .00780,
		.36474
	};
	static const double end[] = {-2.99515, -4.32971, -4.59376, -4.59744, -3.78598, -3.44010};
	static const double all[] = {-3.30068, -3.40984, -3.39079, -3.35984, -3.41626, -3.36596};
	tfrs_events events = draw_events((fashion) {12345, 40, 4, 6, 7});
	tfrs_popularity_fit fit;
	double		sum = 0;

	fit_events(&fit, &events, 40);
	for (size_t h = 0; h < TFRS_POPULARITY_PARTS; h++)
		CHECK_NEAR(fit.result.weight[h], weight[h], 2e-4);
	for (size_t c = 0; c < 6; c++)
	{
		CHECK_NEAR(fit.result.end[c], end[c], 1e-3);
		CHECK_NEAR(fit.result.all[c], all[c], 1e-3);
	}
	for (size_t c = 0; c < 40; c++)
		sum += exp(fit.result.end[c]);
	CHECK_NEAR(sum, 1, 1e-4);
	tfrs_popularity_fit_free(&fit);
}

/* A list of one half-life, a day, holds more of what is chosen: half of the mixture is that one. */
CHECK_TEST(half_a_mixture_gives_way_to_a_better_list)
{
	static const double weight[] = {.0012, .0056, .5385, .1779, .1145, .0160, .0044, .0033};
	tfrs_events events = draw_events((fashion) {777, 200, 20, 6, 20});
	tfrs_popularity_fit fit;

	fit_events(&fit, &events, 200);
	for (size_t h = 0; h < 8; h++)
		CHECK_NEAR(fit.result.weight[h], weight[h], 5e-4);
	tfrs_popularity_fit_free(&fit);
}

/* All at one time: nothing can be foretold, and popularity is that of all time. */
CHECK_TEST(without_a_course_of_time_it_is_all_time)
{
	tfrs_events events = draw_events((fashion) {12345, 40, 4, 6, 7});
	tfrs_popularity_fit fit;

	for (size_t e = 0; e < EVENTS; e++)
		times[e] = 5 * DAY;
	fit_events(&fit, &events, 40);
	CHECK_NEAR(fit.result.weight[TFRS_HALF_LIVES - 1], 0.95, 1e-6);
	CHECK_NEAR(fit.result.weight[TFRS_HALF_LIVES], 0.05, 1e-6);
	for (size_t c = 0; c < 40; c++)
		CHECK_NEAR(fit.result.end[c], fit.result.all[c], 1e-5);
	tfrs_popularity_fit_free(&fit);
}

/* Times that are none, or as far away as can be, leave numbers and an order. */
CHECK_TEST(unknown_and_infinite_times)
{
	tfrs_events events = draw_events((fashion) {12345, 40, 4, 6, 7});
	tfrs_time_order order;
	tfrs_popularity_fit fit;

	times[5] = INT64_MIN;
	times[17] = INT64_MAX;
	times[23] = INT64_MIN + 1;
	times[29] = INT64_MAX - 1;
	fit_events(&fit, &events, 40);
	for (size_t c = 0; c < 40; c++)
		CHECK(isfinite(fit.result.end[c]) && isfinite(fit.result.all[c]));
	tfrs_popularity_fit_free(&fit);
	CHECK_OK(tfrs_time_order_begin(&order, check_arena(), &events, &check_error));
	while (tfrs_time_order_step(&order) == TFRS_MORE)
		;
	for (size_t e = 1; e < EVENTS; e++)
		CHECK(order.order[e - 1].seconds <= order.order[e].seconds);
	CHECK_EQUAL(order.order[EVENTS - 1].seconds, UINT32_MAX);
	CHECK_EQUAL(order.order[0].event, 0);
	tfrs_time_order_free(&order);
}

/* Item 0 a day and a half before the end, item 1 at the end: the shares of the half-life of a day. */
CHECK_TEST(decayed_shares_by_hand)
{
	static uint64_t one[] = {0, 2};
	static uint32_t chosen[] = {0, 1};
	static int64_t at[] = {0, 3 * DAY / 2};
	tfrs_events events = {
		.queries = 1, .count = 2, .offsets = one, .candidate = chosen, .at = at
	};
	double		old = exp2(-1.5);
	tfrs_popularity_fit fit;

	fit_events(&fit, &events, 3);
	CHECK_NEAR(fit.counters.mass[2], 1 + old, 1e-6);
	CHECK_NEAR(fit.counters.mass[TFRS_HALF_LIVES - 1], 2, 1e-9);
	CHECK_NEAR(exp(fit.result.all[2]), 0.05 / 3, 1e-6);
	tfrs_popularity_fit_free(&fit);
}

static tfrs_status
fit_with(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_events events = draw_events((fashion) {12345, 40, 4, 6, 7});
	tfrs_popularity_fit fit;
	tfrs_status status = tfrs_popularity_fit_begin(&fit, arena, &events, 40, error);

	if (status != TFRS_OK)
		return status;
	while (tfrs_popularity_fit_step(&fit) == TFRS_MORE)
		;
	tfrs_popularity_fit_free(&fit);
	return TFRS_OK;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(fit_with);
}
