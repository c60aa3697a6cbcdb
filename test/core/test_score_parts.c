/*
 * test_score_parts.c: the sums of the sparse parts against their definition, and their stored form.
 */
#include "check.h"

#include <string.h>

#include "learning/score_parts.h"

#define CANDIDATES 40
#define VALUES 12				/* of a row */

static uint64_t offsets[CANDIDATES + 1];
static uint32_t candidates[CANDIDATES * VALUES];
static int8_t values[CANDIDATES * VALUES];
static float scales[CANDIDATES];

static tfrs_score_parts
make_parts(void)
{
	tfrs_score_parts parts = {.candidates = CANDIDATES};
	tfrs_neighbours s = {
		CANDIDATES, CANDIDATES * VALUES, offsets, candidates, values, scales
	};

	for (size_t j = 0; j <= CANDIDATES; j++)
		offsets[j] = j * VALUES;
	for (size_t i = 0; i < CANDIDATES * VALUES; i++)
	{
		candidates[i] = (uint32_t) (i % VALUES * 3 + i / VALUES % 3);
		values[i] = (int8_t) (i * 37 % 251 - 125);
		values[i] = values[i] == 0 ? 1 : values[i];
	}
	for (size_t c = 0; c < CANDIDATES; c++)
		scales[c] = 0.001f * (float) (c + 1);
	parts.shape[TFRS_TOGETHER] = tfrs_score_part_of(TFRS_TOGETHER, 5);
	parts.shape[TFRS_NEXT] = tfrs_score_part_of(TFRS_NEXT, 2);
	parts.neighbours[0] = parts.neighbours[1] = s;
	return parts;
}

/* 30 events, three at each time. */
static tfrs_event_list
make_list(bool timed)
{
	static uint32_t chosen[30];
	static int64_t at[30];

	for (size_t e = 0; e < 30; e++)
	{
		chosen[e] = (uint32_t) (e * 7 % CANDIDATES);
		at[e] = (int64_t) (e / 3);
	}
	return (tfrs_event_list) {30, chosen, timed ? at : NULL};
}

static double
sum_of(const tfrs_event_list *list, uint32_t candidate, bool timed)
{
	double		sum = 0;

	for (size_t e = 0; e < list->count; e++)
	{
		size_t		age = timed ? 9 - e / 3 : 29 - e;
		double		h = 5 + (e >= 10 ? 2 * pow(0.5, (double) age) : 0);

		for (size_t i = list->candidate[e] * VALUES; i < (list->candidate[e] + 1) * VALUES; i++)
			if (candidates[i] == candidate)
				sum += h * values[i] * scales[candidate];
	}
	return sum;
}

static void
check_sums(bool timed, size_t sorted_from)
{
	tfrs_score_parts parts = make_parts();
	tfrs_event_list list = make_list(timed);
	tfrs_part_sums sums;
	uint32_t	rows[CANDIDATES];
	float		added[CANDIDATES];
	size_t		count;

	list.count = sorted_from == 0 ? list.count : 1;
	CHECK_OK(tfrs_part_sums_get(&sums, check_arena(), CANDIDATES, &check_error));
	tfrs_score_parts_add(&parts, TFRS_SCORE_PARTS, &list, &sums);
	count = tfrs_part_sums_take(&sums, rows, added);
	CHECK(count > 0);
	for (size_t i = 0; i < count && sorted_from == 0; i++)
		CHECK_NEAR(added[i], sum_of(&list, rows[i], timed), 5e-4);
	for (size_t i = 1; i < count; i++)
		CHECK(rows[i] > rows[i - 1]);
	for (size_t c = 0; c < CANDIDATES; c++)
		CHECK(sums.sum[c] == 0);
	CHECK_EQUAL(sums.count, 0);
	tfrs_part_sums_release(&sums, check_arena());
}

CHECK_TEST(sums_by_their_definition)
{
	check_sums(true, 0);
	check_sums(false, 0);
	check_sums(true, 1);
}

/* What the events give to a candidate adds up to its sum. */
CHECK_TEST(contributions_add_up)
{
	tfrs_score_parts parts = make_parts();
	tfrs_event_list list = make_list(true);

	for (uint32_t c = 0; c < 36; c++)
	{
		double		contribution[30] = {0};
		double		sum = 0;

		tfrs_score_parts_contributions(&parts, &list, c, contribution);
		for (size_t e = 0; e < 30; e++)
			sum += contribution[e];
		CHECK_NEAR(sum, sum_of(&list, c, true), 1e-4);
	}
}

/* Two values that cancel each other: the candidate was touched, and once. */
CHECK_TEST(a_sum_of_nothing_is_listed_once)
{
	static const uint64_t begin[] = {0, 1, 2, 3};
	static const uint32_t scored[] = {2, 2, 2};
	static const int8_t value[] = {7, -7, 3};
	static const float scale[] = {1, 1, 1};
	tfrs_score_parts parts = {.candidates = 3};
	tfrs_event_list list = {3, (const uint32_t[]) {2, 1, 0}, NULL};
	tfrs_part_sums sums;
	uint32_t	row;
	float		added;

	parts.shape[TFRS_TOGETHER] = tfrs_score_part_of(TFRS_TOGETHER, 1);
	parts.neighbours[TFRS_TOGETHER] = (tfrs_neighbours) {3, 3, begin, scored, value, scale};
	CHECK_OK(tfrs_part_sums_get(&sums, check_arena(), 3, &check_error));
	tfrs_score_parts_add(&parts, TFRS_TOGETHER, &list, &sums);
	CHECK_EQUAL(tfrs_part_sums_take(&sums, &row, &added), 1);
	CHECK_EQUAL(row, 2);
	CHECK_NEAR(added, 3, 1e-6);
	tfrs_part_sums_release(&sums, check_arena());
}

static tfrs_status
store_and_load(const tfrs_score_parts *parts, tfrs_score_parts *loaded)
{
	static tfrs_block_writer writer;
	tfrs_block	block;
	void	   *bytes;
	size_t		length;

	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	CHECK_OK(tfrs_score_parts_save(parts, &writer, &check_error));
	CHECK_OK(tfrs_block_writer_size(&writer, &length, &check_error));
	CHECK_OK(tfrs_arena_get(check_arena(), &bytes, length, 1, &check_error));
	tfrs_block_writer_begin(&writer, bytes);
	while (tfrs_block_writer_step(&writer) == TFRS_MORE)
		;
	CHECK_OK(tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, &check_error));
	return tfrs_score_parts_load(loaded, &block, CANDIDATES, &check_error);
}

CHECK_TEST(stored_and_loaded)
{
	tfrs_score_parts parts = make_parts();
	tfrs_score_parts loaded;

	parts.shape[TFRS_NEXT].weight = 0;
	CHECK_OK(store_and_load(&parts, &loaded));
	CHECK_EQUAL(loaded.candidates, CANDIDATES);
	CHECK(loaded.shape[TFRS_NEXT].weight == 0 && loaded.shape[TFRS_TOGETHER].weight == 5);
	CHECK(memcmp(loaded.neighbours[0].value, values, sizeof(values)) == 0);
}

/* Each kind of number that would lead astray. */
CHECK_TEST(hostile_parts_are_refused)
{
	tfrs_score_parts parts = make_parts();
	tfrs_score_parts loaded;

	candidates[17] = CANDIDATES;
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
	parts = make_parts();
	candidates[17] = candidates[16];
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
	parts = make_parts();
	offsets[5] = offsets[6] + 1;
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
	parts = make_parts();
	offsets[CANDIDATES]--;
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
	parts = make_parts();
	scales[3] = NAN;
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
	parts = make_parts();
	parts.shape[1].weight = INFINITY;
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
	parts = make_parts();
	parts.shape[0].decay = 0;
	CHECK_STATUS(store_and_load(&parts, &loaded), TFRS_CORRUPT);
}
