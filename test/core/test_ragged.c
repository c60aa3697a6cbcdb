/*
 * test_ragged.c: lists in the order of their rows.
 */
#include "check.h"
#include "learning/ragged.h"

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_ragged_plan(plan, object);
}

CHECK_TEST(lists_keep_their_order)
{
	for (int weighted = 0; weighted < 2; weighted++)
	{
		tfrs_ragged lists = {.row_capacity = 3,.capacity = 3,.has_weight = weighted};

		CHECK_OK(tfrs_plan_take(check_arena(), arrays, &lists, &check_error));
		CHECK((lists.weight != NULL) == weighted);
		for (int round = 0; round < 2; round++)
		{
			tfrs_ragged_clear(&lists);
			tfrs_ragged_push(&lists, 7, 0.5f);
			tfrs_ragged_push(&lists, 3, 0.25f);
			tfrs_ragged_end_row(&lists);
			tfrs_ragged_end_row(&lists);
			tfrs_ragged_push(&lists, 9, 1.0f);
			tfrs_ragged_end_row(&lists);
			CHECK_EQUAL(lists.rows, 3);
			CHECK_EQUAL(lists.count, 3);
			CHECK_EQUAL(tfrs_ragged_length(&lists, 0), 2);
			CHECK_EQUAL(tfrs_ragged_length(&lists, 1), 0);
			CHECK_EQUAL(lists.item[lists.start[2]], 9);
			CHECK(!weighted || lists.weight[1] == 0.25f);
		}
		tfrs_plan_release(check_arena(), arrays, &lists);
	}
}
