/*
 * test_row_gradient.c: sums of gradients by touched row.
 */
#include "check.h"
#include "learning/row_gradient.h"

#define ROWS 20
#define DIM 3

static void
add(tfrs_row_gradient *gradient, uint32_t row, float value)
{
	float	   *values = tfrs_row_gradient_of(gradient, row);

	for (int d = 0; d < DIM; d++)
		values[d] += value * (float) (d + 1);
}

CHECK_TEST(rows_are_summed_in_order_of_first_touch)
{
	tfrs_row_gradient gradient;

	CHECK_OK(tfrs_row_gradient_init(&gradient, check_arena(), ROWS, DIM, &check_error));
	CHECK_OK(tfrs_row_gradient_reset(&gradient, check_arena(), 3, &check_error));
	add(&gradient, 19, 1);
	add(&gradient, 0, 10);
	add(&gradient, 19, 2);
	add(&gradient, 7, -4);
	CHECK_EQUAL(gradient.count, 3);
	CHECK_EQUAL(gradient.row[0], 19);
	CHECK_EQUAL(gradient.row[1], 0);
	CHECK_EQUAL(gradient.row[2], 7);
	for (int d = 0; d < DIM; d++)
	{
		CHECK(gradient.values[d] == 3.0f * (float) (d + 1));
		CHECK(gradient.values[DIM + d] == 10.0f * (float) (d + 1));
		CHECK(gradient.values[2 * DIM + d] == -4.0f * (float) (d + 1));
	}
	tfrs_row_gradient_free(&gradient, check_arena());
}

/* The next batch starts from zero, whether it fits into the memory or not. */
CHECK_TEST(reset_forgets)
{
	tfrs_row_gradient gradient;

	CHECK_OK(tfrs_row_gradient_init(&gradient, check_arena(), ROWS, DIM, &check_error));
	for (size_t batch = 0; batch < 6; batch++)
	{
		size_t		rows = batch % 2 == 0 ? 2 * batch + 1 : batch;

		CHECK_OK(tfrs_row_gradient_reset(&gradient, check_arena(), rows, &check_error));
		CHECK_EQUAL(gradient.count, 0);
		for (uint32_t r = 0; r < ROWS; r++)
			CHECK_EQUAL(gradient.place[r], TFRS_NO_ROW);
		for (uint32_t r = 0; r < rows; r++)
			add(&gradient, ROWS - 1 - r, 1);
		CHECK_EQUAL(gradient.count, rows);
		CHECK(gradient.values[(rows - 1) * DIM] == 1.0f);
	}
	tfrs_row_gradient_free(&gradient, check_arena());
}

static tfrs_status
two_batches(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_row_gradient gradient;
	tfrs_status status = tfrs_row_gradient_init(&gradient, arena, ROWS, DIM, error);

	if (status == TFRS_OK)
		status = tfrs_row_gradient_reset(&gradient, arena, 2, error);
	if (status == TFRS_OK)
		add(&gradient, 5, 1);
	if (status == TFRS_OK)
		status = tfrs_row_gradient_reset(&gradient, arena, 4, error);
	tfrs_row_gradient_free(&gradient, arena);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(two_batches);
}
