/*
 * time_order.c: the latest time, times in seconds, then three times: digits counted, events moved.
 */
#include "learning/time_order.h"

#include <string.h>

#define DIGIT_BITS 11
#define PASSES 3
#define SECOND 1000000

/* Events of a step. */
#define STEP_EVENTS ((size_t) 1 << 20)

enum
{
	FIND_LAST,
	FILL,
	COUNT,
	MOVE,
	SORTED
};

tfrs_status
tfrs_time_order_begin(tfrs_time_order *order, tfrs_arena *arena, const tfrs_events *events,
					  tfrs_error *error)
{
	tfrs_status status;

	memset(order, 0, sizeof(*order));
	order->arena = arena;
	order->events = events;
	order->last = INT64_MIN;
	status = TFRS_GET(arena, &order->order, events->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &order->other, events->count, error);
	if (status != TFRS_OK)
		tfrs_time_order_free(order);
	return status;
}

void
tfrs_time_order_free(tfrs_time_order *order)
{
	if (order->arena == NULL)
		return;
	tfrs_arena_release(order->arena, order->order);
	tfrs_arena_release(order->arena, order->other);
	memset(order, 0, sizeof(*order));
}

/* Neither unknown nor infinite. */
static bool
is_time(int64_t at)
{
	return at > INT64_MIN && at < INT64_MAX;
}

static uint32_t
seconds_of(const tfrs_time_order *order, int64_t at)
{
	uint64_t	before;

	if (at >= order->last)
		return UINT32_MAX;
	before = ((uint64_t) order->last - (uint64_t) at) / SECOND;
	return is_time(at) && before < UINT32_MAX ? UINT32_MAX - (uint32_t) before : 0;
}

static uint32_t
digit_of(const tfrs_time_order *order, uint32_t seconds)
{
	return (seconds >> order->pass * DIGIT_BITS) % TFRS_TIME_DIGITS;
}

/* What a phase does with the events from begin to end. */
static void
visit(tfrs_time_order *order, size_t begin, size_t end)
{
	const int64_t *at = order->events->at;

	for (size_t e = begin; e < end; e++)
	{
		tfrs_timed_event one = order->order[e];

		if (order->phase == FIND_LAST)
			order->last = is_time(at[e]) && at[e] > order->last ? at[e] : order->last;
		else if (order->phase == FILL)
			order->order[e] = (tfrs_timed_event) {seconds_of(order, at[e]), (uint32_t) e};
		else if (order->phase == COUNT)
			order->place[digit_of(order, one.seconds) + 1]++;
		else
			order->other[order->place[digit_of(order, one.seconds)]++] = one;
	}
}

static void
advance(tfrs_time_order *order)
{
	tfrs_timed_event *moved = order->other;

	order->done = 0;
	if (order->phase == MOVE)
	{
		order->other = order->order;
		order->order = moved;
		order->phase = ++order->pass < PASSES ? FILL : MOVE;
	}
	else if (order->phase == COUNT)
		for (size_t d = 0; d < TFRS_TIME_DIGITS; d++)
			order->place[d + 1] += order->place[d];
	order->phase++;
	if (order->phase == COUNT)
		memset(order->place, 0, sizeof(order->place));
}

tfrs_status
tfrs_time_order_step(tfrs_time_order *order)
{
	size_t		left = order->events->count - order->done;
	size_t		end = order->done + tfrs_size_smaller(left, STEP_EVENTS);

	if (order->phase == SORTED)
		return TFRS_OK;
	visit(order, order->done, end);
	order->done = end;
	if (end == order->events->count)
		advance(order);
	return order->phase == SORTED ? TFRS_OK : TFRS_MORE;
}
