/*
 * test_plan.c: one list that is counted, taken, placed and given back.
 */
#include "base/plan.h"
#include "check.h"

#include <string.h>

typedef struct thing
{
	size_t		rows;
	float	   *value;
	int		   *zero;
	double	   *last;
} thing;

static void
arrays(void *object, tfrs_plan *plan)
{
	thing	   *t = object;

	TFRS_PLAN_VECTORS(plan, &t->value, t->rows, 3);
	TFRS_PLAN_ZERO(plan, &t->zero, t->rows);
	TFRS_PLAN(plan, &t->last, 1);
	tfrs_plan_add(plan, 100);
}

/* What is counted is what is taken, but for the arena's administration and what comes later. */
CHECK_TEST(what_is_counted_is_taken)
{
	thing		t = {.rows = 50};
	size_t		before = check_arena()->used;
	size_t		bytes = 0;
	size_t		taken;

	CHECK_OK(tfrs_plan_count(arrays, &t, &bytes, &check_error));
	CHECK_EQUAL(bytes, 640 + 256 + 64 + 128);
	CHECK(t.value == NULL && t.zero == NULL);
	CHECK_OK(tfrs_plan_take(check_arena(), arrays, &t, &check_error));
	taken = check_arena()->used - before;
	CHECK(taken >= 600 + 200 + 8 && taken < bytes + 3 * 128);
	for (int i = 0; i < 50; i++)
		CHECK_EQUAL(t.zero[i], 0);
	tfrs_plan_release(check_arena(), arrays, &t);
	CHECK(t.value == NULL && t.last == NULL);
	CHECK_EQUAL(check_arena()->used, before);
	tfrs_plan_release(NULL, arrays, &t);	/* an object that was never begun */
}

CHECK_TEST(arrays_are_placed_aligned_and_apart)
{
	thing		t = {.rows = 5};
	_Alignas(TFRS_ALIGNMENT) char memory[512];

	memset(memory, 1, sizeof(memory));
	tfrs_plan_place(memory, arrays, &t);
	CHECK((char *) t.value == memory && (char *) t.zero == memory + 64);
	CHECK((char *) t.last == memory + 128);
	CHECK_EQUAL(t.zero[4], 0);
}

CHECK_TEST(sizes_that_overflow)
{
	thing		t = {.rows = SIZE_MAX / 8};
	size_t		bytes = 7;

	CHECK_STATUS(tfrs_plan_count(arrays, &t, &bytes, &check_error), TFRS_TOO_LARGE);
	CHECK_EQUAL(bytes, 7);
	CHECK_STATUS(tfrs_plan_take(check_arena(), arrays, &t, &check_error), TFRS_TOO_LARGE);
	CHECK(t.value == NULL);
}

static tfrs_status
take(tfrs_arena *arena, tfrs_error *error)
{
	thing		t = {.rows = 5};
	tfrs_status status = tfrs_plan_take(arena, arrays, &t, error);

	CHECK(status == TFRS_OK || (t.value == NULL && t.zero == NULL && t.last == NULL));
	tfrs_plan_release(arena, arrays, &t);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(take);
}
