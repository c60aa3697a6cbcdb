/*
 * test_ragged.c: lists of weighted items.
 */
#include "check.h"
#include "learning/ragged.h"

/* Row r gets r items: r * 10, r * 10 + 1, ... with weight r / 2. */
static void
push_rows(tfrs_ragged *ragged, size_t rows)
{
	for (size_t r = 0; r < rows; r++)
	{
		for (size_t i = 0; i < r; i++)
			tfrs_ragged_push(ragged, (uint32_t) (r * 10 + i), 0.5f * (float) r);
		tfrs_ragged_end_row(ragged);
	}
}

static void
check_rows(const tfrs_ragged *ragged, size_t rows)
{
	CHECK_EQUAL(ragged->rows, rows);
	CHECK_EQUAL(ragged->count, rows * (rows - 1) / 2);
	for (size_t r = 0; r < rows; r++)
	{
		CHECK_EQUAL(ragged->start[r + 1] - ragged->start[r], r);
		for (size_t i = ragged->start[r]; i < ragged->start[r + 1]; i++)
		{
			CHECK_EQUAL(ragged->item[i], r * 10 + i - ragged->start[r]);
			CHECK(ragged->weight[i] == 0.5f * (float) r);
		}
	}
}

CHECK_TEST(lists_keep_their_order)
{
	tfrs_ragged ragged = {0};

	CHECK_OK(tfrs_ragged_reserve(&ragged, check_arena(), 5, 10, &check_error));
	push_rows(&ragged, 5);
	check_rows(&ragged, 5);
	tfrs_ragged_release(&ragged, check_arena());
	CHECK(ragged.item == NULL && ragged.rows == 0);
}

CHECK_TEST(reserving_empties_and_grows)
{
	tfrs_ragged ragged = {0};

	CHECK_OK(tfrs_ragged_reserve(&ragged, check_arena(), 0, 0, &check_error));
	CHECK_EQUAL(ragged.start[0], 0);
	for (size_t rows = 1; rows < 200; rows += 13)
	{
		CHECK_OK(tfrs_ragged_reserve(&ragged, check_arena(), rows, rows * (rows - 1) / 2,
									 &check_error));
		CHECK_EQUAL(ragged.count, 0);
		CHECK_EQUAL(ragged.rows, 0);
		push_rows(&ragged, rows);
		check_rows(&ragged, rows);
	}
	tfrs_ragged_release(&ragged, check_arena());
}

CHECK_TEST(smaller_batches_keep_the_memory)
{
	tfrs_ragged ragged = {0};
	const uint32_t *item;
	const size_t *start;

	CHECK_OK(tfrs_ragged_reserve(&ragged, check_arena(), 50, 1000, &check_error));
	item = ragged.item;
	start = ragged.start;
	CHECK_OK(tfrs_ragged_reserve(&ragged, check_arena(), 49, 1000, &check_error));
	CHECK(ragged.item == item && ragged.start == start);
	tfrs_ragged_release(&ragged, check_arena());
}

static tfrs_status
reserve_twice(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_ragged ragged = {0};
	tfrs_status status = tfrs_ragged_reserve(&ragged, arena, 5, 10, error);

	if (status == TFRS_OK)
		status = tfrs_ragged_reserve(&ragged, arena, 50, 1000, error);
	tfrs_ragged_release(&ragged, arena);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(reserve_twice);
}
