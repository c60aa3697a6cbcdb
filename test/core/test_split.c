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

/* Events of many queries, each with the same times; how many are held out of each query. */
#define ALIKE 2000
#define MOST_TIMES 40

static void
split_alike(const int64_t *times, size_t count, size_t held_out[ALIKE])
{
	test_row   *rows = malloc(ALIKE * count * sizeof(rows[0]));
	split_case	made;
	const tfrs_pair_set *set;
	int64_t		earliest[ALIKE];	/* time that is held out */
	size_t		least[ALIKE];

	rows_integer_candidates = true;
	for (size_t i = 0; i < ALIKE * count; i++)
		rows[i] = (test_row) {
			(int64_t) (i / count), (int64_t) (i % count), 1, times[i % count]
		};
	split_rows(&made, rows, ALIKE * count, true, 0.1);
	set = tfrs_split_held_out(made.split);
	memset(held_out, 0, ALIKE * sizeof(held_out[0]));
	for (size_t q = 0; q < ALIKE; q++)
		earliest[q] = INT64_MAX;
	for (size_t i = 0; i < set->count; i++)
	{
		/* candidates are numbered in the order of their ids, so is a query's time found */
		uint32_t	query = tfrs_pair_query(set->pairs[i]);
		int64_t		at = times[tfrs_pair_candidate(set->pairs[i])];

		held_out[query]++;
		if (at < earliest[query])
			earliest[query] = at;
	}
	/* whatever is as late as what is held out is held out too */
	for (size_t q = 0; q < ALIKE; q++)
	{
		least[q] = 0;
		for (size_t i = 0; i < count; i++)
			least[q] += times[i] >= earliest[q];
		CHECK_EQUAL(held_out[q], least[q]);
	}
	end_split(&made);
	free(rows);
}

/* Each query has no or so many events held out, and all of them the share, or what is given. */
static void
check_alike(const int64_t *times, size_t count, size_t of_query, double share)
{
	static size_t held_out[ALIKE];
	size_t		sum = 0;

	split_alike(times, count, held_out);
	for (size_t q = 0; q < ALIKE; q++)
	{
		CHECK(held_out[q] == 0 || held_out[q] == of_query);
		sum += held_out[q];
	}
	CHECK_NEAR((double) sum / (double) (ALIKE * count), share, share * 0.15);
}

CHECK_TEST(the_last_events_of_a_query)
{
	int64_t		times[MOST_TIMES];

	for (int i = 0; i < MOST_TIMES; i++)
		times[i] = (i * 17) % MOST_TIMES;
	check_alike(times, MOST_TIMES, 4, 0.1);
	/* fewer than the share where times go together */
	for (int i = 0; i < MOST_TIMES; i++)
		times[i] = i < 35 ? 1 : i < 39 ? 2 : 3;
	check_alike(times, MOST_TIMES, 1, 1.0 / 40);
	check_alike((int64_t[]) {INT64_MIN, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10, 1, 0.1);
}

CHECK_TEST(few_times_a_query_hold_out_no_more_than_the_share)
{
	int64_t		times[MOST_TIMES];

	for (int i = 0; i < MOST_TIMES; i++)
		times[i] = i % 2;
	check_alike(times, MOST_TIMES, MOST_TIMES / 2, 0.1);
	check_alike((int64_t[]) {9, 2, 9, 4, 9}, 5, 3, 0.1);
	check_alike((int64_t[]) {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, 5}, 5, 1, 0.1);
	check_alike((int64_t[]) {1, 2, 3}, 3, 1, 0.1);
	check_alike((int64_t[]) {1, 2}, 2, 1, 0.1);
}

CHECK_TEST(events_of_one_time_are_all_trained_on)
{
	check_alike((int64_t[]) {3, 3, 3, 3, 3, 3}, 6, 0, 0);
	check_alike((int64_t[]) {INT64_MIN, INT64_MIN}, 2, 0, 0);
	check_alike((int64_t[]) {5}, 1, 0, 0);
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
