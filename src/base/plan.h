/*
 * plan.h: one list of arrays that is walked to add up their bytes, to take them or to place them in
 * one piece of memory, and to give them back.
 *
 *     static void
 *     arrays(void *object, tfrs_plan *plan)
 *     {
 *         tfrs_thing *thing = object;
 *
 *         TFRS_PLAN(plan, &thing->row, thing->rows);
 *         TFRS_PLAN_ZERO(plan, &thing->count, thing->ids);
 *     }
 *
 * The sizes stand in the object before the list is walked, so an estimate is the list of an object
 * that has only sizes.  What the list names is NULL before it is taken and after it is given back;
 * a list may call other lists.  Nothing is done behind the first failure, so a list has no checks.
 */
#ifndef TFRS_PLAN_H
#define TFRS_PLAN_H

#include <stddef.h>

#include "base/arena.h"

typedef enum tfrs_plan_use
{
	TFRS_PLAN_COUNT,
	TFRS_PLAN_TAKE,
	TFRS_PLAN_PLACE,			/* one behind the other in memory that is there */
	TFRS_PLAN_RELEASE
} tfrs_plan_use;

typedef struct tfrs_plan
{
	tfrs_plan_use use;
	tfrs_arena *arena;
	tfrs_error *error;
	tfrs_status status;			/* of the first array that could not be had */
	size_t		bytes;			/* counted or placed so far */
	char	   *memory;			/* where they are placed */
} tfrs_plan;

typedef void (*tfrs_plan_list) (void *object, tfrs_plan *plan);

/* One array of the list: count elements of that size at *place. */
extern void tfrs_plan_array(tfrs_plan *plan, void **place, size_t count, size_t size);
extern void tfrs_plan_array_zero(tfrs_plan *plan, void **place, size_t count, size_t size);

/* Bytes that are taken later, by what works beside the list: they are counted only. */
extern void tfrs_plan_add(tfrs_plan *plan, size_t bytes);

#define TFRS_PLAN(plan, place, count) \
	tfrs_plan_array((plan), (void **) (place), (count), sizeof(**(place)))
#define TFRS_PLAN_ZERO(plan, place, count) \
	tfrs_plan_array_zero((plan), (void **) (place), (count), sizeof(**(place)))

/* An array of rows of dim floats. */
#define TFRS_PLAN_VECTORS(plan, place, count, dim) \
	tfrs_plan_array((plan), (void **) (place), (count), (dim) * sizeof(float))

/* Takes all arrays; on failure none is held. */
extern tfrs_status tfrs_plan_take(tfrs_arena *arena, tfrs_plan_list list, void *object,
								  tfrs_error *error);

/* Gives back what is held, and nothing where the arena is NULL: a zeroed object has no arena. */
extern void tfrs_plan_release(tfrs_arena *arena, tfrs_plan_list list, void *object);

/* Places the arrays in memory that holds what tfrs_plan_count says, aligned to TFRS_ALIGNMENT. */
extern void tfrs_plan_place(void *memory, tfrs_plan_list list, void *object);

/* Adds to *bytes what the arrays take, each aligned.  TFRS_TOO_LARGE where that overflows. */
extern tfrs_status tfrs_plan_count(tfrs_plan_list list, void *object, size_t *bytes,
								   tfrs_error *error);

#endif							/* TFRS_PLAN_H */
