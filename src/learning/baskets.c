/*
 * baskets.c: one pass over the stored events, basket by basket.
 */
#include "learning/baskets.h"

#include <math.h>

/* Queries that are asked whether times tell baskets. */
#define ASKED_QUERIES 128

/* Baskets of this many articles that say nothing, by which counts are shrunk. */
#define SHRINKAGE 5.0

/* A list from so many candidates on is scored by the cosine. */
#define LONG_LIST 3

/* The end of the basket that begins with an event. */
static uint64_t
end_of_basket(const tfrs_events *events, bool by_time, uint64_t first, uint64_t end)
{
	uint64_t	next = first + 1;

	if (!by_time)
		return end;
	while (next < end && events->at[next] == events->at[first])
		next++;
	return next;
}

bool
tfrs_baskets_share_times(const tfrs_events *events)
{
	size_t		queries = events->queries < ASKED_QUERIES ? events->queries : ASKED_QUERIES;
	uint64_t	count = queries == 0 ? 0 : events->offsets[queries];
	uint64_t	shared = 0;

	if (events->at == NULL)
		return false;
	for (size_t q = 0; q < queries; q++)
		for (uint64_t e = events->offsets[q], end; e < events->offsets[q + 1]; e = end)
		{
			end = end_of_basket(events, true, e, events->offsets[q + 1]);
			shared += end - e > 1 ? end - e : 0;
		}
	return 2 * shared >= count;
}

tfrs_status
tfrs_baskets_begin(tfrs_baskets *baskets, tfrs_arena *arena, tfrs_error *error)
{
	size_t		candidates = baskets->candidates;
	tfrs_status status = TFRS_GET_ZERO(arena, &baskets->member, candidates, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &baskets->both, candidates * baskets->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &baskets->any, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &baskets->each, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &baskets->last, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &baskets->basket, candidates, error);
	for (size_t j = 0; status == TFRS_OK && j < baskets->count; j++)
		baskets->member[baskets->list[j]] = (uint8_t) (j + 1);
	return status;
}

/* The different candidates of a basket, events from first up to end; returns how many there are. */
static size_t
distinct_of_basket(tfrs_baskets *baskets, uint64_t first, uint64_t end)
{
	size_t		count = 0;

	baskets->number++;
	for (uint64_t e = first; e < end; e++)
	{
		uint32_t	c = baskets->events->candidate[e];

		if (baskets->last[c] == baskets->number)
			continue;
		baskets->last[c] = baskets->number;
		baskets->basket[count++] = c;
	}
	return count;
}

/* Events from first up to end are one basket, in which there are some of the list. */
static void
count_basket(tfrs_baskets *baskets, uint64_t first, uint64_t end)
{
	size_t		count = distinct_of_basket(baskets, first, end);
	bool		has[TFRS_MOST_TOGETHER] = {false};

	for (size_t i = 0; i < count; i++)
	{
		uint8_t		member = baskets->member[baskets->basket[i]];

		baskets->any[baskets->basket[i]]++;
		if (member > 0)
			has[member - 1] = true;
	}
	for (size_t j = 0; j < baskets->count; j++)
		for (size_t i = 0; has[j] && i < count; i++)
			baskets->both[j * baskets->candidates + baskets->basket[i]]++;
}

/* Adds the baskets of a query to n(c).  Events of one time differ. */
static void
count_each(tfrs_baskets *baskets, size_t query)
{
	const tfrs_events *events = baskets->events;

	baskets->number++;
	for (uint64_t e = events->offsets[query]; e < events->offsets[query + 1]; e++)
	{
		uint32_t	c = events->candidate[e];

		baskets->each[c] += baskets->by_time || baskets->last[c] != baskets->number;
		baskets->last[c] = baskets->number;
	}
}

void
tfrs_baskets_count(tfrs_baskets *baskets, size_t first, size_t end)
{
	const tfrs_events *events = baskets->events;
	const uint32_t *candidate = events->candidate;

	for (size_t q = first; q < end; q++)
	{
		uint64_t	begin = events->offsets[q];
		uint64_t	stop = events->offsets[q + 1];
		uint64_t	e = begin;

		if (baskets->count >= LONG_LIST)
			count_each(baskets, q);
		while (e < stop)
		{
			uint64_t	start = e;

			if (baskets->member[candidate[e]] == 0)
			{
				e++;
				continue;
			}
			while (start > begin && (!baskets->by_time || events->at[start - 1] == events->at[e]))
				start--;
			e = end_of_basket(events, baskets->by_time, e, stop);
			count_basket(baskets, start, e);
		}
	}
}

static double
association(const tfrs_baskets *baskets, size_t j, size_t c)
{
	double		both = baskets->both[j * baskets->candidates + c];
	double		with_j = baskets->both[j * baskets->candidates + baskets->list[j]];

	if (baskets->count < LONG_LIST)
		return with_j > 0 ? both / with_j : 0;
	return both / sqrt((with_j + SHRINKAGE) * (baskets->each[c] + SHRINKAGE));
}

void
tfrs_baskets_score(const tfrs_baskets *baskets, uint64_t min_count, float *score)
{
	for (size_t c = 0; c < baskets->candidates; c++)
	{
		double		sum = 0;

		score[c] = 0;
		if (baskets->member[c] > 0 || baskets->any[c] < min_count)
			continue;
		for (size_t j = 0; j < baskets->count; j++)
			sum += association(baskets, j, c);
		score[c] = (float) (sum / (double) baskets->count);
	}
}
