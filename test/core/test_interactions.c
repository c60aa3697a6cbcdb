/*
 * test_interactions.c: collecting, the canonical sequence of rows, spools and their failures.
 */
#include "rows.h"

#include <string.h>

#define MANY 300000				/* four buckets */

static test_row rows[1300000];

/* The whole epoch; returns the number of rows.  sequence has room for one more than expected. */
static size_t
read_epoch(tfrs_interactions *interactions, uint32_t epoch, tfrs_interaction *sequence,
		   size_t room)
{
	size_t		total = 0;
	size_t		count;

	CHECK_OK(tfrs_interactions_rewind(interactions, epoch, &check_error));
	do
	{
		size_t		limit = 1 + (total * 7919) % 5000;

		if (limit > room - total)
			limit = room - total;
		CHECK_OK(tfrs_interactions_read(interactions, sequence + total, limit, &count,
										&check_error));
		CHECK(count <= limit);
		total += count;
	} while (count > 0 && total < room);
	return total;
}

static tfrs_interaction *
sequence_of(const tfrs_interactions_options *options, size_t count, uint32_t epoch)
{
	tfrs_interactions *interactions;
	tfrs_interaction *sequence;

	CHECK_OK(TFRS_GET(check_arena(), &sequence, count + 1, &check_error));
	CHECK_OK(rows_collect(&interactions, check_arena(), options, rows, count, &check_error));
	CHECK_EQUAL(tfrs_interactions_count(interactions), count);
	if (epoch == 1)				/* what an earlier epoch left behind must not show */
		read_epoch(interactions, 0, sequence, count + 1);
	CHECK_EQUAL(read_epoch(interactions, epoch, sequence, count + 1), count);
	tfrs_interactions_destroy(interactions);
	return sequence;
}

static bool
same_row(const tfrs_interaction *a, const tfrs_interaction *b)
{
	return a->query == b->query && a->candidate == b->candidate && a->weight == b->weight &&
		a->at == b->at;
}

static size_t
differences(const tfrs_interaction *a, const tfrs_interaction *b, size_t count)
{
	size_t		different = 0;

	for (size_t i = 0; i < count; i++)
		different += !same_row(&a[i], &b[i]);
	return different;
}

static int
compare_rows(const void *left, const void *right)
{
	const tfrs_interaction *a = left;
	const tfrs_interaction *b = right;

	if (a->query != b->query)
		return a->query < b->query ? -1 : 1;
	if (a->candidate != b->candidate)
		return a->candidate < b->candidate ? -1 : 1;
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->weight < b->weight ? -1 : a->weight > b->weight;
}

static void
check_order_does_not_show(bool has_weight, bool has_time)
{
	tfrs_interactions_options options = {
		.has_weight = has_weight, .has_time = has_time, .seed = 5, .spools = &rows_spools
	};
	static const size_t budgets[] = {0, 30000, 400000, 2000000, SIZE_MAX};
	tfrs_interaction *expected[2];

	rows_draw(rows, MANY, 5000, 3000);
	options.budget = SIZE_MAX;
	for (uint32_t epoch = 0; epoch < 2; epoch++)
		expected[epoch] = sequence_of(&options, MANY, epoch);
	CHECK(differences(expected[0], expected[1], MANY) > MANY * 9 / 10);
	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++)
	{
		options.budget = budgets[i];
		rows_permute(rows, MANY, i);
		rows_spool.calls = 0;
		for (uint32_t epoch = 0; epoch < 2; epoch++)
		{
			tfrs_interaction *got = sequence_of(&options, MANY, epoch);

			CHECK_EQUAL(differences(got, expected[epoch], MANY), 0);
			tfrs_arena_release(check_arena(), got);
		}
		CHECK((rows_spool.calls > 0) == (budgets[i] < SIZE_MAX));
		CHECK_EQUAL(rows_spool.open, 0);
	}
}

CHECK_TEST(order_and_budget_do_not_show_for_pairs)
{
	check_order_does_not_show(false, false);
}

CHECK_TEST(order_and_budget_do_not_show_for_integers)
{
	rows_integer_candidates = true;
	check_order_does_not_show(true, true);
	rows_integer_candidates = false;
}

CHECK_TEST(order_and_budget_do_not_show_for_weights)
{
	check_order_does_not_show(true, false);
}

CHECK_TEST(order_and_budget_do_not_show_for_times)
{
	check_order_does_not_show(true, true);
}

/* What is read is what was put, under the ids' new numbers. */
static void
check_every_row_once(void)
{
	tfrs_interactions_options options = {
		.has_weight = true, .has_time = true, .seed = 1, .budget = 100000, .spools = &rows_spools
	};
	tfrs_interactions *interactions;
	tfrs_interaction *got;
	tfrs_interaction *expected;
	tfrs_id_view queries;
	tfrs_id_view candidates;

	rows_draw(rows, MANY, 700, 900);
	CHECK_OK(rows_collect(&interactions, check_arena(), &options, rows, MANY, &check_error));
	queries = tfrs_id_set_view(tfrs_interactions_queries(interactions));
	candidates = tfrs_id_set_view(tfrs_interactions_candidates(interactions));
	CHECK_OK(TFRS_GET(check_arena(), &got, MANY + 1, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &expected, MANY, &check_error));
	CHECK_EQUAL(read_epoch(interactions, 3, got, MANY + 1), MANY);
	for (size_t i = 0; i < MANY; i++)
	{
		char		text[32];

		expected[i].query = tfrs_id_view_find(&queries, tfrs_id_of_integer(rows[i].query));
		expected[i].candidate = tfrs_id_view_find(&candidates, rows_candidate(&rows[i], text));
		expected[i].weight = rows[i].weight;
		expected[i].at = rows[i].at;
	}
	qsort(got, MANY, sizeof(got[0]), compare_rows);
	qsort(expected, MANY, sizeof(expected[0]), compare_rows);
	CHECK_EQUAL(differences(got, expected, MANY), 0);
	tfrs_interactions_destroy(interactions);
}

CHECK_TEST(an_epoch_has_every_row_once)
{
	for (int integers = 0; integers < 2; integers++)
	{
		rows_integer_candidates = integers == 1;
		check_every_row_once();
	}
	rows_integer_candidates = false;
}

CHECK_TEST(counts_are_those_of_the_sorted_ids)
{
	tfrs_interactions_options options = {.budget = SIZE_MAX};
	static const test_row few[] = {
		{9, 2, 1, 0}, {-4, 10, 1, 0}, {9, 10, 1, 0}, {9, 2, 1, 0}
	};
	tfrs_interactions *interactions;
	const uint32_t *counts;

	CHECK_OK(rows_collect(&interactions, check_arena(), &options, few, 4, &check_error));
	CHECK_EQUAL(tfrs_interactions_queries(interactions)->count, 2);
	CHECK_EQUAL(tfrs_interactions_queries(interactions)->integers[0], -4);
	counts = tfrs_interactions_query_counts(interactions);
	CHECK(counts[0] == 1 && counts[1] == 3);
	counts = tfrs_interactions_candidate_counts(interactions);	/* "c10" < "c2" */
	CHECK(counts[0] == 2 && counts[1] == 2);
	tfrs_interactions_destroy(interactions);
}

/* A row that comes a million times neither fills stretches of an epoch nor takes its memory. */
CHECK_TEST(repeated_rows_are_spread)
{
	enum
	{
		REPEATED = 1000000, OTHERS = 300000, WINDOW = 10000
	};
	tfrs_interactions_options options = {
		.seed = 3, .budget = 3000000, .spools = &rows_spools
	};
	tfrs_interactions *interactions;
	tfrs_interaction *expected;
	tfrs_interaction *got;

	rows_draw(rows, REPEATED + OTHERS, 5000, 3000);
	for (size_t i = 0; i < REPEATED; i++)
		rows[i] = rows[0];
	CHECK_OK(rows_collect(&interactions, check_arena(), &options, rows, REPEATED + OTHERS,
						  &check_error));
	CHECK(check_arena()->peak < 20000000);
	tfrs_interactions_destroy(interactions);
	expected = sequence_of(&options, REPEATED + OTHERS, 0);
	for (size_t i = 0; i + WINDOW < REPEATED + OTHERS; i += WINDOW)
	{
		size_t		equal = 0;

		for (size_t j = 1; j < WINDOW; j++)
			equal += same_row(&expected[i + j], &expected[i + j - 1]);
		CHECK(equal < WINDOW * 9 / 10);
	}
	rows_permute(rows, REPEATED + OTHERS, 1);
	options.budget = SIZE_MAX;
	got = sequence_of(&options, REPEATED + OTHERS, 0);
	CHECK_EQUAL(differences(got, expected, REPEATED + OTHERS), 0);
}

CHECK_TEST(one_row_a_million_times)
{
	enum
	{
		COUNT = 1000000
	};
	tfrs_interactions_options options = {.budget = 1000000, .spools = &rows_spools};

	for (size_t i = 0; i < COUNT; i++)
		rows[i] = (test_row) {1, 2, 1.0f, 0};
	sequence_of(&options, COUNT, 1);
}

CHECK_TEST(input_order_is_the_order_of_arrival)
{
	static const size_t budgets[] = {0, 1000000, SIZE_MAX};
	tfrs_interactions_options options = {
		.has_weight = true, .has_time = true, .input_order = true, .spools = &rows_spools
	};

	rows_draw(rows, MANY, 500, 300);
	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++)
	{
		tfrs_interaction *first;
		tfrs_interaction *second;

		options.budget = budgets[i];
		first = sequence_of(&options, MANY, 0);
		second = sequence_of(&options, MANY, 1);
		CHECK_EQUAL(differences(first, second, MANY), 0);
		for (size_t j = 0; j < MANY; j++)
			CHECK(first[j].at == rows[j].at && first[j].weight == rows[j].weight);
		tfrs_arena_release(check_arena(), first);
		tfrs_arena_release(check_arena(), second);
	}
}

CHECK_TEST(a_seed_and_an_epoch_are_an_order)
{
	tfrs_interactions_options options = {.budget = SIZE_MAX, .seed = 1};
	tfrs_interaction *one;
	tfrs_interaction *other;

	rows_draw(rows, 1000, 500, 300);
	one = sequence_of(&options, 1000, 0);
	other = sequence_of(&options, 1000, 1);
	CHECK(differences(one, other, 1000) > 900);
	options.seed = 2;
	other = sequence_of(&options, 1000, 0);
	CHECK(differences(one, other, 1000) > 900);
}

CHECK_TEST(no_rows_are_an_empty_epoch)
{
	tfrs_interactions_options options = {.budget = SIZE_MAX};
	tfrs_interactions *interactions;
	tfrs_interaction row;

	for (int order = 0; order < 2; order++)
	{
		options.input_order = order == 1;
		CHECK_OK(rows_collect(&interactions, check_arena(), &options, NULL, 0, &check_error));
		CHECK_EQUAL(tfrs_interactions_count(interactions), 0);
		CHECK_EQUAL(read_epoch(interactions, 0, &row, 1), 0);
		tfrs_interactions_destroy(interactions);
	}
}

/* After the last row reading goes on saying so. */
CHECK_TEST(the_end_of_an_epoch_stays)
{
	tfrs_interactions_options options = {.budget = 0, .spools = &rows_spools};
	tfrs_interactions *interactions;
	tfrs_interaction sequence[101];
	size_t		count;

	rows_draw(rows, 100, 10, 10);
	for (int order = 0; order < 2; order++)
	{
		options.input_order = order == 1;
		CHECK_OK(rows_collect(&interactions, check_arena(), &options, rows, 100, &check_error));
		CHECK_EQUAL(read_epoch(interactions, 0, sequence, 101), 100);
		for (int i = 0; i < 3; i++)
		{
			CHECK_OK(tfrs_interactions_read(interactions, sequence, 1, &count, &check_error));
			CHECK_EQUAL(count, 0);
		}
		tfrs_interactions_destroy(interactions);
	}
}

CHECK_TEST(without_spools_the_budget_is_an_error)
{
	tfrs_interactions_options options = {.budget = 300000};
	tfrs_interactions *interactions;

	rows_draw(rows, MANY, 100, 100);
	CHECK_STATUS(rows_collect(&interactions, check_arena(), &options, rows, MANY, &check_error),
				 TFRS_OVER_BUDGET);
	tfrs_interactions_destroy(interactions);
	options.budget = 3000000;
	CHECK_OK(rows_collect(&interactions, check_arena(), &options, rows, MANY, &check_error));
	tfrs_interactions_destroy(interactions);
}

CHECK_TEST(rows_stay_within_the_budget)
{
	tfrs_interactions_options options = {.budget = 1000000, .spools = &rows_spools};
	tfrs_interactions *interactions;

	rows_draw(rows, MANY, 100, 100);
	CHECK_OK(tfrs_interactions_create(&interactions, check_arena(), &options, &check_error));
	CHECK_OK(tfrs_interactions_set_query_type(interactions, TFRS_ID_INTEGER, 0, &check_error));
	CHECK_OK(tfrs_interactions_set_candidate_type(interactions, TFRS_ID_BYTES, 0, &check_error));
	CHECK_OK(rows_add(interactions, rows, MANY, &check_error));
	CHECK(check_arena()->peak < options.budget + 50000);
	CHECK(check_arena()->used > options.budget / 2);
	tfrs_interactions_destroy(interactions);
}

CHECK_TEST(a_failing_spool_is_an_io_error)
{
	tfrs_interactions_options options = {.budget = 20000, .spools = &rows_spools};
	tfrs_interactions *interactions;
	tfrs_interaction row;
	tfrs_status status;
	int			fail_at = 0;

	rows_draw(rows, 20000, 50, 50);
	rows_integer_candidates = true;
	do
	{
		size_t		count = 1;

		rows_spool.calls = 0;
		rows_spool.fail_at = ++fail_at;
		status = rows_collect(&interactions, check_arena(), &options, rows, 20000, &check_error);
		if (status == TFRS_OK)
			status = tfrs_interactions_rewind(interactions, 0, &check_error);
		while (status == TFRS_OK && count > 0)
			status = tfrs_interactions_read(interactions, &row, 1, &count, &check_error);
		CHECK_STATUS(status, rows_spool.calls < fail_at ? TFRS_OK : TFRS_IO_ERROR);
		tfrs_interactions_destroy(interactions);
		CHECK_EQUAL(rows_spool.open, 0);
	} while (status != TFRS_OK);
	rows_spool.fail_at = 0;
	rows_integer_candidates = false;
	CHECK(fail_at > 10);
}

CHECK_TEST(an_id_of_the_other_kind_is_refused)
{
	tfrs_interactions_options options = {.budget = SIZE_MAX};
	tfrs_interactions *interactions;

	CHECK_OK(rows_collect(&interactions, check_arena(), &options, NULL, 0, &check_error));
	CHECK_STATUS(tfrs_interactions_add(interactions, tfrs_id_of_bytes("x", 1),
									   tfrs_id_of_bytes("x", 1), 1.0f, 0, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_interactions_add(interactions, tfrs_id_of_integer(1),
									   tfrs_id_of_integer(1), 1.0f, 0, &check_error),
				 TFRS_INVALID_ARGUMENT);
	tfrs_interactions_destroy(interactions);
}

CHECK_TEST(reading_before_the_end_of_collecting_is_refused)
{
	tfrs_interactions_options options = {.budget = SIZE_MAX};
	tfrs_interactions *interactions;

	CHECK_OK(tfrs_interactions_create(&interactions, check_arena(), &options, &check_error));
	CHECK_STATUS(tfrs_interactions_rewind(interactions, 0, &check_error), TFRS_INVALID_ARGUMENT);
	tfrs_interactions_destroy(interactions);
}

static bool sweep_spills;

static tfrs_status
collect_and_read(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_interactions_options options = {
		.has_weight = true, .has_time = true, .budget = sweep_spills ? 0 : SIZE_MAX,
		.spools = &rows_spools
	};
	tfrs_interactions *interactions;
	tfrs_interaction row;
	size_t		count = 1;
	tfrs_status status = rows_collect(&interactions, arena, &options, rows, 2000, error);

	if (status == TFRS_OK)
		status = tfrs_interactions_rewind(interactions, 0, error);
	while (status == TFRS_OK && count > 0)
		status = tfrs_interactions_read(interactions, &row, 1, &count, error);
	tfrs_interactions_destroy(interactions);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	rows_draw(rows, 2000, 300, 200);
	for (int round = 0; round < 4; round++)
	{
		sweep_spills = round & 1;
		rows_integer_candidates = round & 2;
		check_lack_of_memory(collect_and_read);
		CHECK_EQUAL(rows_spool.open, 0);
	}
	rows_integer_candidates = false;
}
