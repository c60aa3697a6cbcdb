/*
 * test_neighbours.c: the sparse part against values that the numpy reference found for the same data
 * (drawn by the same generator), whatever the threads and the blocks.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/neighbours.h"

#define QUERIES 80
#define CANDIDATES 70
#define MOST 14					/* events of a query */

static uint64_t offsets[QUERIES + 1];
static uint32_t candidates[QUERIES * MOST];
static int64_t times[QUERIES * MOST];

static uint32_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = (seed * 1103515245u + 12345u) & 0x7fffffff;
	return (seed >> 8) % below;
}

static bool
has(uint64_t first, uint64_t end, uint32_t candidate)
{
	for (uint64_t e = first; e < end; e++)
		if (candidates[e] == candidate)
			return true;
	return false;
}

/* Small candidates are popular; some events share their time with the one before. */
static tfrs_events
draw_events(void)
{
	uint64_t	count = 0;

	seed = 12345;
	for (size_t q = 0; q < QUERIES; q++)
	{
		uint32_t	n = 3 + draw(12);
		int64_t		at = 0;

		offsets[q] = count;
		for (uint32_t e = 0; e < n; e++)
		{
			uint32_t	one = draw(CANDIDATES);
			uint32_t	other = draw(CANDIDATES);
			uint32_t	candidate = one < other ? one : other;

			at += draw(3) > 0;
			if (has(offsets[q], count, candidate))
				continue;
			candidates[count] = candidate;
			times[count++] = at;
		}
	}
	offsets[QUERIES] = count;
	return (tfrs_events) {
		.queries = QUERIES, .count = count, .offsets = offsets, .candidate = candidates,
		.at = times
	};
}

static void
run(tfrs_neighbour_fit *fit, tfrs_neighbours *result)
{
	tfrs_status status;

	while ((status = tfrs_neighbour_fit_step(fit, result, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
}

static tfrs_neighbours
fitted(tfrs_neighbour_fit *fit, tfrs_neighbour_kind kind, const tfrs_events *events, int threads,
	   size_t block)
{
	tfrs_neighbours result;

	tfrs_kernels_choose(true);
	CHECK_OK(tfrs_neighbour_fit_begin(fit, check_arena(), kind, events, CANDIDATES, threads,
									  &check_error));
	fit->block = fit->block_end = block;
	run(fit, &result);
	return result;
}

static float
value_of(const tfrs_neighbours *s, uint32_t j, uint32_t c)
{
	for (uint64_t i = s->offsets[j]; i < s->offsets[j + 1]; i++)
		if (s->candidate[i] == c)
			return (float) s->value[i] * s->scale[c];
	return 0;
}

static double
sum_of(const tfrs_neighbours *s)
{
	double		sum = 0;

	for (size_t i = 0; i < s->count; i++)
		sum += fabs(s->value[i] * (double) s->scale[s->candidate[i]]);
	return sum;
}

typedef struct expected_value
{
	uint32_t	event;
	uint32_t	candidate;
	double		value;
} expected_value;

static void
check_values(const tfrs_neighbours *s, const expected_value *expected, size_t count)
{
	for (size_t i = 0; i < count; i++)
		CHECK_NEAR(value_of(s, expected[i].event, expected[i].candidate), expected[i].value,
				   0.51 * s->scale[expected[i].candidate] + 1e-5);
	for (size_t i = 1; i < s->count; i++)
		CHECK(s->candidate[i] < CANDIDATES && s->value[i] != 0);
}

CHECK_TEST(together_as_the_reference)
{
	static const expected_value expected[] = {
		{0, 1, 0.063775}, {1, 0, 0.077374}, {5, 9, 0.058074}, {9, 5, 0.063220},
		{20, 2, 0.295907}, {2, 20, 0.171657}, {33, 7, 0.137892}, {12, 40, 0}
	};
	tfrs_events events = draw_events();
	tfrs_neighbour_fit fit;
	tfrs_neighbours s = fitted(&fit, TFRS_TOGETHER, &events, 1, CANDIDATES);

	CHECK_EQUAL(events.count, 624);
	check_values(&s, expected, 8);
	CHECK_NEAR(sum_of(&s), 161.82, 0.5);
	tfrs_neighbour_fit_free(&fit);
}

CHECK_TEST(next_as_the_reference)
{
	static const expected_value expected[] = {
		{0, 1, 0.032724}, {1, 0, 0}, {5, 9, 0.047127}, {9, 5, 0.005536}, {20, 2, 0.039171},
		{2, 20, 0.000955}, {33, 7, 0.046778}
	};
	tfrs_events events = draw_events();
	tfrs_neighbour_fit fit;
	tfrs_neighbours s = fitted(&fit, TFRS_NEXT, &events, 1, CANDIDATES);

	check_values(&s, expected, 7);
	CHECK_NEAR(sum_of(&s), 36.695, 0.15);
	tfrs_neighbour_fit_free(&fit);
}

static void
check_same(const tfrs_neighbours *a, const tfrs_neighbours *b)
{
	CHECK_EQUAL(a->count, b->count);
	CHECK(memcmp(a->offsets, b->offsets, (CANDIDATES + 1) * sizeof(uint64_t)) == 0);
	CHECK(memcmp(a->candidate, b->candidate, a->count * sizeof(uint32_t)) == 0);
	CHECK(memcmp(a->value, b->value, a->count) == 0);
	CHECK(memcmp(a->scale, b->scale, CANDIDATES * sizeof(float)) == 0);
}

CHECK_TEST(threads_and_blocks_leave_the_same_bytes)
{
	for (int kind = TFRS_TOGETHER; kind <= TFRS_NEXT; kind++)
	{
		tfrs_events events = draw_events();
		tfrs_neighbour_fit one;
		tfrs_neighbour_fit other;
		tfrs_neighbours a = fitted(&one, (tfrs_neighbour_kind) kind, &events, 1, CANDIDATES);
		tfrs_neighbours b = fitted(&other, (tfrs_neighbour_kind) kind, &events, 3, 9);

		check_same(&a, &b);
		tfrs_neighbour_fit_free(&one);
		tfrs_neighbour_fit_free(&other);
	}
}

/* Of a query with many times some states are kept, which weigh as much as all. */
CHECK_TEST(many_states_are_sampled)
{
	static uint64_t two[] = {0, 400, 402};
	static uint32_t chosen[402];
	static int64_t at[402];
	tfrs_events events = {
		.queries = 2, .count = 402, .offsets = two, .candidate = chosen, .at = at
	};
	tfrs_neighbour_examples examples;

	for (size_t e = 0; e < 402; e++)
	{
		chosen[e] = (uint32_t) (e % CANDIDATES);
		at[e] = (int64_t) e;
	}
	CHECK_OK(tfrs_neighbour_examples_begin(&examples, check_arena(), TFRS_NEXT, &events,
										   CANDIDATES, &check_error));
	while (tfrs_neighbour_examples_step(&examples) == TFRS_MORE)
		;
	CHECK_EQUAL(examples.count, TFRS_QUERY_STATES + 1);
	CHECK_NEAR(examples.mass, 399 / sqrt(400) + 1 / sqrt(2), 1e-3);
	for (size_t x = 0; x < TFRS_QUERY_STATES; x++)
		CHECK(examples.example[x].end - examples.example[x].begin <= TFRS_STATE_EVENTS);
	tfrs_neighbour_examples_free(&examples);
}

/* Nobody has two candidates: there is no neighbour and nothing to fail at. */
CHECK_TEST(no_company_is_no_neighbour)
{
	tfrs_events events = draw_events();
	tfrs_neighbour_fit fit;
	tfrs_neighbours s;

	for (size_t q = 0; q <= QUERIES; q++)
		offsets[q] = q;
	events.count = QUERIES;
	for (int kind = TFRS_TOGETHER; kind <= TFRS_NEXT; kind++)
	{
		s = fitted(&fit, (tfrs_neighbour_kind) kind, &events, 2, CANDIDATES);
		CHECK_EQUAL(s.count, 0);
		tfrs_neighbour_fit_free(&fit);
	}
}

static tfrs_status
fit_with(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_events events = draw_events();
	tfrs_neighbour_fit fit;
	tfrs_neighbours result;
	tfrs_status status = tfrs_neighbour_fit_begin(&fit, arena, TFRS_NEXT, &events, CANDIDATES, 1,
												  error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_neighbour_fit_step(&fit, &result, error)) == TFRS_MORE)
		;
	tfrs_neighbour_fit_free(&fit);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	tfrs_kernels_choose(true);
	check_lack_of_memory(fit_with);
}
