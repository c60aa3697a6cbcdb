/*
 * test_split.c: what is held out: how much, which, the same whatever the order of the rows, and
 * never what an earlier split gave to the training.
 */
#include <stdlib.h>

#include "check.h"
#include "learning/split.h"
#include "rows.h"

#define QUERIES 200
#define CANDIDATES 300

/* A split of rows, finished. */
typedef struct split_case
{
	tfrs_interactions *all;
	tfrs_interactions *training;
	tfrs_split *split;
} split_case;

static tfrs_status
try_split(split_case *made, tfrs_arena *arena, const test_row *rows, size_t count, bool has_time,
		  double fraction, tfrs_error *error)
{
	tfrs_interactions_options options = {.has_time = has_time, .budget = SIZE_MAX};
	tfrs_status status = rows_collect(&made->all, arena, &options, rows, count, error);

	if (status == TFRS_OK)
		status = rows_begin(&made->training, arena, &options, error);
	if (status == TFRS_OK)
		status = tfrs_split_begin(&made->split, arena, made->all, made->training, fraction, error);
	while (status == TFRS_OK || status == TFRS_MORE)
		if ((status = tfrs_split_step(made->split, error)) != TFRS_MORE)
			break;
	return status == TFRS_OK ? rows_finish(made->training, error) : status;
}

static void
end_split(split_case *made)
{
	tfrs_split_destroy(made->split);
	tfrs_interactions_destroy(made->training);
	tfrs_interactions_destroy(made->all);
}

static void
split_rows(split_case *made, const test_row *rows, size_t count, bool has_time, double fraction)
{
	*made = (split_case) {0};
	CHECK_OK(try_split(made, check_arena(), rows, count, has_time, fraction, &check_error));
	CHECK_EQUAL(tfrs_interactions_count(made->training) + tfrs_split_held_out(made->split)->count,
				count);
}

/* (QUERIES, CANDIDATES) how often each pair is in a set; ids are integers. */
static uint32_t *
count_pairs(const split_case *made, const tfrs_pair_set *set)
{
	tfrs_id_view queries = tfrs_id_set_view(tfrs_interactions_queries(made->all));
	tfrs_id_view candidates = tfrs_id_set_view(tfrs_interactions_candidates(made->all));
	uint32_t   *counts = calloc(QUERIES * CANDIDATES, sizeof(counts[0]));

	for (size_t i = 0; i < set->count; i++)
	{
		int64_t		query = tfrs_id_view_get(&queries, tfrs_pair_query(set->pairs[i])).integer;
		int64_t		candidate = tfrs_id_view_get(&candidates,
												 tfrs_pair_candidate(set->pairs[i])).integer;

		counts[query * CANDIDATES + candidate]++;
	}
	return counts;
}

static test_row *
draw_rows(size_t count)
{
	test_row   *rows = malloc(count * sizeof(rows[0]));
	tfrs_random random;

	tfrs_random_init(&random, 3, 1, 0);
	for (size_t i = 0; i < count; i++)
		rows[i] = (test_row) {
			(int64_t) tfrs_random_below(&random, QUERIES),
			(int64_t) tfrs_random_below(&random, CANDIDATES), 1, (int64_t) i
		};
	return rows;
}

/* Nothing that the first split trained on is held out by the second; rows of pairs that repeat are
 * both, so pairs are drawn rarely enough. */
static void
check_disjoint(const split_case *first, const split_case *second)
{
	uint32_t   *trained = count_pairs(first, tfrs_split_trained(first->split));
	uint32_t   *held_out = count_pairs(second, tfrs_split_held_out(second->split));
	uint32_t   *all = count_pairs(second, tfrs_split_trained(second->split));
	size_t		both = 0;

	for (size_t i = 0; i < QUERIES * CANDIDATES; i++)
		both += trained[i] > 0 && held_out[i] > 0 && all[i] == 0;
	CHECK_EQUAL(both, 0);
	free(trained);
	free(held_out);
	free(all);
}

static void
check_growth(bool has_time)
{
	const size_t count = 6000;
	test_row   *rows = draw_rows(count);
	split_case	before;

	rows_integer_candidates = true;
	split_rows(&before, rows, 700, has_time, 0.1);
	for (size_t rows_now = 701; rows_now <= count; rows_now += 331)
	{
		split_case	now;

		split_rows(&now, rows, rows_now, has_time, 0.1);
		check_disjoint(&before, &now);
		end_split(&before);
		before = now;
	}
	CHECK(tfrs_split_held_out(before.split)->count > count / 20);
	CHECK(tfrs_split_held_out(before.split)->count < count / 8);
	end_split(&before);
	free(rows);
}

CHECK_TEST(trained_rows_are_never_held_out_later)
{
	check_growth(true);
	check_growth(false);
}

CHECK_TEST(order_of_rows)
{
	const size_t count = 3000;
	test_row   *rows = draw_rows(count);

	rows_integer_candidates = true;
	for (int has_time = 0; has_time <= 1; has_time++)
	{
		split_case	first;
		split_case	second;
		uint32_t   *a;
		uint32_t   *b;

		split_rows(&first, rows, count, has_time, 0.2);
		rows_permute(rows, count, 9);
		split_rows(&second, rows, count, has_time, 0.2);
		a = count_pairs(&first, tfrs_split_held_out(first.split));
		b = count_pairs(&second, tfrs_split_held_out(second.split));
		CHECK(memcmp(a, b, QUERIES * CANDIDATES * sizeof(a[0])) == 0);
		free(a);
		free(b);
		end_split(&first);
		end_split(&second);
	}
	free(rows);
}

/* One query with events at the given times; how many are held out. */
static size_t
held_out_of(const int64_t *times, size_t count)
{
	test_row	rows[100];
	split_case	made;
	size_t		result;

	rows_integer_candidates = true;
	for (size_t i = 0; i < count; i++)
		rows[i] = (test_row) {
			7, (int64_t) i, 1, times[i]
		};
	split_rows(&made, rows, count, true, 0.1);
	result = tfrs_split_held_out(made.split)->count;
	for (size_t i = 0; i < result; i++)
	{
		/* candidates are numbered in the order of their ids, so by i */
		uint32_t	event = tfrs_pair_candidate(tfrs_split_held_out(made.split)->pairs[i]);

		for (size_t other = 0; other < count; other++)
			if (times[other] >= times[event])
			{
				bool		found = false;

				for (size_t j = 0; j < result; j++)
				{
					uint64_t	pair = tfrs_split_held_out(made.split)->pairs[j];

					found |= tfrs_pair_candidate(pair) == other;
				}
				CHECK(found);
			}
	}
	end_split(&made);
	return result;
}

CHECK_TEST(events_of_one_query)
{
	int64_t		times[40];

	for (int i = 0; i < 40; i++)
		times[i] = (i * 17) % 40;
	CHECK_EQUAL(held_out_of(times, 40), 4);
	CHECK_EQUAL(held_out_of(times, 4), 0);
	CHECK_EQUAL(held_out_of((int64_t[]) {1, 2, 3, 4, 5}, 5), 1);
	/* a basket goes together, be it more than the share */
	CHECK_EQUAL(held_out_of((int64_t[]) {9, 2, 9, 4, 9}, 5), 3);
	/* ... and one that would be more than the share stays where there are later events */
	CHECK_EQUAL(held_out_of((int64_t[]) {9, 8, 8, 8, 8}, 5), 1);
	/* all at once: nothing to learn from would be left */
	CHECK_EQUAL(held_out_of((int64_t[]) {3, 3, 3, 3, 3, 3}, 6), 0);
	CHECK_EQUAL(held_out_of((int64_t[]) {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, 5}, 5), 1);
}

CHECK_TEST(many_queries)
{
	const size_t count = 200000;
	test_row   *rows = malloc(count * sizeof(rows[0]));
	split_case	made;
	double		held_out;

	rows_integer_candidates = true;
	for (size_t i = 0; i < count; i++)
		rows[i] = (test_row) {
			(int64_t) (i / 10), (int64_t) (i % 10), 1, (int64_t) i
		};
	split_rows(&made, rows, count, true, 0.1);
	held_out = (double) tfrs_split_held_out(made.split)->count;
	CHECK_NEAR(held_out, 10000, 400);	/* one of ten events of half of the queries */
	end_split(&made);
	free(rows);
}

static tfrs_status
collect_and_split(tfrs_arena *arena, tfrs_error *error)
{
	test_row	rows[60];
	split_case	made = {0};
	tfrs_status status;

	rows_integer_candidates = true;
	for (int i = 0; i < 60; i++)
		rows[i] = (test_row) {
			i % 5, i, 1, i
		};
	status = try_split(&made, arena, rows, 60, true, 0.3, error);
	end_split(&made);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(collect_and_split);
}
