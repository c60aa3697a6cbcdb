/*
 * test_baselines.c: popularity and item-item cosine against a table of all pairs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "check.h"
#include "learning/baselines.h"

#define QUERIES 90
#define CANDIDATES 170
#define EVENTS 4000
#define WORDS (CANDIDATES / 64 + 1)

/* Who chose what, each pair once, in an order that is not that of candidates. */
typedef struct data
{
	uint64_t	offsets[QUERIES + 1];
	uint32_t	candidate[EVENTS];
	bool		chose[QUERIES][CANDIDATES];
	tfrs_events events;
} data;

static void
make_data(data *data)
{
	uint32_t	order[CANDIDATES];
	size_t		count = 0;
	tfrs_random random;

	memset(data, 0, sizeof(*data));
	tfrs_random_init(&random, 1, 2, 3);
	for (uint32_t n = 0; n < CANDIDATES; n++)
		order[n] = n;
	for (size_t q = 0; q < QUERIES; q++)
	{
		/* query 7 chose nothing, and nobody candidate 3 */
		size_t		events = q == 7 ? 0 : 1 + tfrs_random_below(&random, 60);

		tfrs_random_shuffle(&random, order, CANDIDATES);
		data->offsets[q] = count;
		for (size_t e = 0; e < events; e++)
		{
			if (order[e] == 3)
				continue;
			data->candidate[count++] = order[e];
			data->chose[q][order[e]] = true;
		}
	}
	CHECK(count <= EVENTS);
	data->offsets[QUERIES] = count;
	data->events = (tfrs_events) {
		.queries = QUERIES, .count = count, .offsets = data->offsets, .candidate = data->candidate
	};
}

static int
compare_hits(const void *a, const void *b)
{
	const tfrs_hit *x = a;
	const tfrs_hit *y = b;

	return tfrs_hit_before(*x, *y) ? -1 : tfrs_hit_before(*y, *x);
}

static uint32_t
count_of(const data *data, size_t candidate)
{
	uint32_t	count = 0;

	for (size_t q = 0; q < QUERIES; q++)
		count += data->chose[q][candidate];
	return count;
}

static void
finish_popularity(tfrs_popularity *popularity)
{
	tfrs_status status;

	while ((status = tfrs_popularity_step(popularity, &check_error)) == TFRS_MORE)
		;
	CHECK_STATUS(status, TFRS_OK);
}

/* All that a ranking gives is what is not marked, in the order of a full sort. */
static void
check_popularity(const tfrs_popularity *popularity, tfrs_hit *hits, const uint64_t *marked)
{
	uint32_t	top[CANDIDATES];
	size_t		count = tfrs_popularity_rank(popularity, marked, CANDIDATES, top);
	size_t		place = 0;

	qsort(hits, CANDIDATES, sizeof(*hits), compare_hits);
	for (size_t n = 0; n < CANDIDATES; n++)
		if (!tfrs_is_marked(marked, hits[n].row))
			CHECK_EQUAL(top[place++], hits[n].row);
	CHECK_EQUAL(count, place);
	CHECK_EQUAL(tfrs_popularity_rank(popularity, marked, 5, top), 5);
}

CHECK_TEST(popularity_by_queries_or_by_given_counts)
{
	static data data;
	uint64_t	marked[WORDS] = {0};
	uint32_t	counts[CANDIDATES];
	tfrs_hit	hits[CANDIDATES];
	tfrs_popularity popularity;

	make_data(&data);
	tfrs_mark(marked, 11);
	tfrs_mark(marked, CANDIDATES - 1);
	for (uint32_t n = 0; n < CANDIDATES; n++)
		hits[n] = (tfrs_hit) {(float) count_of(&data, n), n};
	CHECK_OK(tfrs_popularity_begin(&popularity, check_arena(), &data.events, NULL, CANDIDATES,
								   &check_error));
	finish_popularity(&popularity);
	check_popularity(&popularity, hits, marked);
	for (uint32_t n = 0; n < CANDIDATES; n++)
	{
		counts[n] = n * 7919 % 50;
		hits[n] = (tfrs_hit) {(float) counts[n], n};
	}
	CHECK_OK(tfrs_popularity_begin(&popularity, check_arena(), NULL, counts, CANDIDATES,
								   &check_error));
	finish_popularity(&popularity);
	check_popularity(&popularity, hits, marked);
}

/* near[i][j]: the cosine where i is among the nearest of j, else 0. */
static void
make_table(const data *data, float near[CANDIDATES][CANDIDATES])
{
	for (uint32_t j = 0; j < CANDIDATES; j++)
	{
		tfrs_hit	hits[CANDIDATES];
		size_t		count = 0;

		for (uint32_t i = 0; i < CANDIDATES; i++)
		{
			double		common = 0;

			near[i][j] = 0.0f;
			for (size_t q = 0; q < QUERIES; q++)
				common += data->chose[q][i] && data->chose[q][j];
			if (i != j && common > 0)
				hits[count++] = (tfrs_hit) {
					(float) (common / sqrt((double) count_of(data, j) * count_of(data, i))), i
				};
		}
		qsort(hits, count, sizeof(*hits), compare_hits);
		for (size_t n = 0; n < count && n < TFRS_NEIGHBOURS; n++)
			near[hits[n].row][j] = hits[n].score;
	}
}

static void
check_query(const data *data, float near[CANDIDATES][CANDIDATES], const tfrs_item_item *item_item,
			tfrs_item_item_scratch *scratch, uint32_t query, const uint64_t *marked)
{
	tfrs_hit	hits[CANDIDATES];
	uint32_t	top[CANDIDATES];
	size_t		count = 0;
	size_t		got = tfrs_item_item_rank(item_item, query, marked, CANDIDATES, scratch, top);

	for (uint32_t j = 0; j < CANDIDATES; j++)
	{
		float		score = 0.0f;

		for (uint64_t e = data->offsets[query]; e < data->offsets[query + 1]; e++)
			score += near[data->candidate[e]][j];
		if (score > 0.0f && !tfrs_is_marked(marked, j))
			hits[count++] = (tfrs_hit) {score, j};
	}
	qsort(hits, count, sizeof(*hits), compare_hits);
	CHECK_EQUAL(got, count);
	for (size_t n = 0; n < count; n++)
		CHECK_EQUAL(top[n], hits[n].row);
}

static tfrs_status
build(tfrs_item_item *item_item, tfrs_item_item_scratch *scratch, tfrs_arena *arena,
	  const tfrs_events *events, int threads, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (int w = 0; status == TFRS_OK && w < threads; w++)
		status = tfrs_item_item_scratch_get(&scratch[w], arena, CANDIDATES, CANDIDATES, error);
	if (status == TFRS_OK)
		status = tfrs_item_item_begin(item_item, arena, events, CANDIDATES, threads, scratch,
									  error);
	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_item_item_step(item_item, error)) == TFRS_MORE)
		;
	return status;
}

CHECK_TEST(item_item_against_a_table)
{
	static data data;
	static float near[CANDIDATES][CANDIDATES];
	tfrs_item_item_scratch scratch[3];
	uint64_t	marked[WORDS] = {0};
	uint32_t	top[1];
	tfrs_item_item item_item;

	make_data(&data);
	make_table(&data, near);
	for (int threads = 1; threads <= 3; threads += 2)
	{
		CHECK_OK(build(&item_item, scratch, check_arena(), &data.events, threads, &check_error));
		for (uint32_t q = 0; q < QUERIES; q++)
		{
			tfrs_mark(marked, q);
			check_query(&data, near, &item_item, scratch, q, marked);
			memset(marked, 0, sizeof(marked));
			check_query(&data, near, &item_item, scratch, q, marked);
		}
	}
	CHECK_EQUAL(tfrs_item_item_rank(&item_item, QUERIES, marked, 1, scratch, top), 0);
}

#define MANY_QUERIES 300000
#define GROUPS 40

/* Each query chose candidate 0 and three of the four candidates of a group. */
static tfrs_events
make_groups(void)
{
	static uint64_t offsets[MANY_QUERIES + 1];
	static uint32_t candidate[MANY_QUERIES * 4];
	size_t		count = 0;

	for (uint32_t q = 0; q < MANY_QUERIES; q++)
	{
		candidate[count++] = 0;
		for (uint32_t i = 0; i < 4; i++)
			if (i != q / GROUPS % 4)
				candidate[count++] = 1 + q % GROUPS * 4 + i;
		offsets[q + 1] = count;
	}
	return (tfrs_events) {
		.queries = MANY_QUERIES, .count = count, .offsets = offsets, .candidate = candidate
	};
}

CHECK_TEST(item_item_of_a_candidate_that_takes_several_steps)
{
	tfrs_events events = make_groups();
	tfrs_item_item_scratch scratch[2];
	tfrs_item_item item_item;
	size_t		found = 0;

	CHECK_OK(build(&item_item, scratch, check_arena(), &events, 2, &check_error));
	CHECK_EQUAL(item_item.start[1] - item_item.start[0], GROUPS * 4);
	for (size_t i = item_item.start[5]; i < item_item.start[6]; i++)
	{
		if (item_item.near[i].row != 0)
			continue;
		CHECK_NEAR(item_item.near[i].score, sqrt(0.75 / GROUPS), 1e-6);
		found++;
	}
	CHECK_EQUAL(found, 1);
}

static tfrs_status
build_small(tfrs_arena *arena, tfrs_error *error)
{
	static data data;
	tfrs_item_item_scratch scratch[1];
	tfrs_item_item item_item;
	tfrs_popularity popularity;
	tfrs_status status;

	make_data(&data);
	status = build(&item_item, scratch, arena, &data.events, 1, error);
	if (status == TFRS_OK)
		status = tfrs_popularity_begin(&popularity, arena, &data.events, NULL, CANDIDATES, error);
	if (status == TFRS_OK)
		while ((status = tfrs_popularity_step(&popularity, error)) == TFRS_MORE)
			;
	tfrs_arena_free(arena);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(build_small);
}
