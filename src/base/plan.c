/*
 * plan.c: the uses of a list of arrays.
 *
 * Rejected: an arena that only counts.  The code that begins an object fills what it has taken, so
 * counting would need memory, or a test in front of every loop.
 */
#include "base/plan.h"

#include <string.h>

/* Adds the array's bytes, up to a multiple of the alignment. */
static void
count_array(tfrs_plan *plan, size_t count, size_t size)
{
	size_t		bytes;

	if (!tfrs_size_multiply(count, size, &bytes) ||
		!tfrs_size_add(bytes, (0 - bytes) % TFRS_ALIGNMENT, &bytes) ||
		!tfrs_size_add(plan->bytes, bytes, &plan->bytes))
		plan->status = tfrs_fail(plan->error, TFRS_TOO_LARGE, "a size overflows");
}

void
tfrs_plan_array(tfrs_plan *plan, void **place, size_t count, size_t size)
{
	if (plan->status != TFRS_OK)
		return;
	switch (plan->use)
	{
		case TFRS_PLAN_COUNT:
			count_array(plan, count, size);
			break;
		case TFRS_PLAN_TAKE:
			plan->status = tfrs_arena_get(plan->arena, place, count, size, plan->error);
			break;
		case TFRS_PLAN_PLACE:
			*place = plan->memory + plan->bytes;
			count_array(plan, count, size);
			break;
		case TFRS_PLAN_RELEASE:
			tfrs_arena_release(plan->arena, *place);
			*place = NULL;
			break;
	}
}

void
tfrs_plan_array_zero(tfrs_plan *plan, void **place, size_t count, size_t size)
{
	tfrs_plan_array(plan, place, count, size);
	if ((plan->use == TFRS_PLAN_TAKE || plan->use == TFRS_PLAN_PLACE) && plan->status == TFRS_OK)
		memset(*place, 0, count * size);
}

void
tfrs_plan_add(tfrs_plan *plan, size_t bytes)
{
	if (plan->use == TFRS_PLAN_COUNT && plan->status == TFRS_OK)
		count_array(plan, bytes, 1);
}

tfrs_status
tfrs_plan_take(tfrs_arena *arena, tfrs_plan_list list, void *object, tfrs_error *error)
{
	tfrs_plan	plan = {.use = TFRS_PLAN_TAKE, .arena = arena, .error = error};

	list(object, &plan);
	if (plan.status != TFRS_OK)
		tfrs_plan_release(arena, list, object);
	return plan.status;
}

void
tfrs_plan_release(tfrs_arena *arena, tfrs_plan_list list, void *object)
{
	tfrs_plan	plan = {.use = TFRS_PLAN_RELEASE, .arena = arena};

	if (arena != NULL)
		list(object, &plan);
}

void
tfrs_plan_place(void *memory, tfrs_plan_list list, void *object)
{
	tfrs_plan	plan = {.use = TFRS_PLAN_PLACE, .memory = memory};

	list(object, &plan);
}

tfrs_status
tfrs_plan_count(tfrs_plan_list list, void *object, size_t *bytes, tfrs_error *error)
{
	tfrs_plan	plan = {.use = TFRS_PLAN_COUNT, .error = error, .bytes = *bytes};

	list(object, &plan);
	if (plan.status == TFRS_OK)
		*bytes = plan.bytes;
	return plan.status;
}
