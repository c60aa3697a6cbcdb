/*
 * test_pair_set.c: pairs in order and once, lists and their queries.
 */
#include <stdlib.h>

#include "base/random.h"
#include "check.h"
#include "learning/pair_set.h"

static int
compare(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static void
finish(tfrs_pair_set *set)
{
	tfrs_status status;

	while ((status = tfrs_pair_set_finish_step(set, &check_error)) == TFRS_MORE)
		;
	CHECK_STATUS(status, TFRS_OK);
}

static void
check_lists(const tfrs_pair_set *set)
{
	size_t		list;

	CHECK_EQUAL(set->start[0], 0);
	CHECK_EQUAL(set->start[set->lists], set->count);
	for (size_t l = 0; l < set->lists; l++)
	{
		uint32_t	query = tfrs_pair_query(set->pairs[set->start[l]]);

		CHECK(set->start[l] < set->start[l + 1]);
		for (size_t i = set->start[l]; i < set->start[l + 1]; i++)
			CHECK_EQUAL(tfrs_pair_query(set->pairs[i]), query);
		CHECK(l == 0 || tfrs_pair_query(set->pairs[set->start[l] - 1]) < query);
		CHECK(tfrs_pair_set_find(set, query, &list));
		CHECK_EQUAL(list, l);
		if (l + 1 == set->lists || tfrs_pair_query(set->pairs[set->start[l + 1]]) > query + 1)
			CHECK(!tfrs_pair_set_find(set, query + 1, &list) || query == UINT32_MAX);
	}
}

static void
check_pairs(size_t count, uint32_t queries, uint32_t candidates, uint32_t factor)
{
	uint64_t   *expected = malloc((count + 1) * sizeof(uint64_t));
	size_t		distinct = 0;
	tfrs_pair_set set;
	tfrs_random random;

	tfrs_random_init(&random, 1, queries, count);
	tfrs_pair_set_init(&set, check_arena());
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	query = tfrs_random_below(&random, queries) * factor;
		uint32_t	candidate = tfrs_random_below(&random, candidates) * factor;

		expected[i] = (uint64_t) query << 32 | candidate;
		CHECK_OK(tfrs_pair_set_add(&set, query, candidate, &check_error));
	}
	qsort(expected, count, sizeof(*expected), compare);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || expected[i] != expected[i - 1])
			expected[distinct++] = expected[i];
	finish(&set);
	CHECK_EQUAL(set.count, distinct);
	for (size_t i = 0; i < distinct; i++)
		CHECK(set.pairs[i] == expected[i]);
	check_lists(&set);
	tfrs_pair_set_free(&set);
	free(expected);
}

CHECK_TEST(pairs_become_lists)
{
	check_pairs(0, 1, 1, 1);
	check_pairs(1, 1, 1, 1);
	check_pairs(500, 1, 20, 1);
	check_pairs(500, 20, 1, 1);
	check_pairs(5000, 40, 50, 1);
	check_pairs(5000, 400, 500, 8000000);
	check_pairs(5000, 256, 65536, 65536);
}

/* More than a step sorts at once. */
CHECK_TEST(many_pairs)
{
	check_pairs(1300000, 3000, 5000, 1);
}

CHECK_TEST(sets_that_find_nothing)
{
	tfrs_pair_set set;
	size_t		list;

	tfrs_pair_set_init(&set, check_arena());
	finish(&set);
	CHECK(!tfrs_pair_set_find(&set, 0, &list));
	CHECK_OK(tfrs_pair_set_finish_step(&set, &check_error));
	tfrs_pair_set_free(&set);
}

static tfrs_status
collect(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;
	tfrs_pair_set set;

	tfrs_pair_set_init(&set, arena);
	for (uint32_t i = 0; status == TFRS_OK && i < 3000; i++)
		status = tfrs_pair_set_add(&set, i % 7, i, error);
	if (status == TFRS_OK)
		while ((status = tfrs_pair_set_finish_step(&set, error)) == TFRS_MORE)
			;
	tfrs_pair_set_free(&set);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(collect);
}
