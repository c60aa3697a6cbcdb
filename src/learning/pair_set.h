/*
 * pair_set.h: distinct (query, candidate) pairs, collected in any order and brought into one.
 *
 * What is done with them afterwards depends on the pairs alone, not on the order or number of the
 * rows they came from.
 */
#ifndef TFRS_PAIR_SET_H
#define TFRS_PAIR_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"

#define TFRS_PAIR_DIGITS 8		/* bytes of a pair */

typedef struct tfrs_pair_set
{
	tfrs_arena *arena;
	uint64_t   *pairs;			/* (count) query << 32 | candidate */
	size_t		count;
	size_t		capacity;
	/* once finished: pairs ascending and distinct, those of list q from start[q] to start[q + 1] */
	size_t		lists;
	size_t	   *start;			/* (lists + 1); NULL until then */
	/* state of the sort */
	int			phase;
	size_t		position;
	size_t		kept;			/* distinct pairs, or lists noted, so far */
	size_t	   *noted;			/* (lists + 1) becomes start */
	uint64_t   *spare;			/* (count) */
	size_t		(*places)[256]; /* (TFRS_PAIR_DIGITS) */
} tfrs_pair_set;

extern void tfrs_pair_set_init(tfrs_pair_set *set, tfrs_arena *arena);
extern void tfrs_pair_set_free(tfrs_pair_set *set);

/* The rare part of tfrs_pair_set_add. */
extern tfrs_status tfrs_pair_set_grow(tfrs_pair_set *set, tfrs_error *error);

static inline tfrs_status
tfrs_pair_set_add(tfrs_pair_set *set, uint32_t query, uint32_t candidate, tfrs_error *error)
{
	if (set->count == set->capacity)
	{
		tfrs_status status = tfrs_pair_set_grow(set, error);

		if (status != TFRS_OK)
			return status;
	}
	set->pairs[set->count++] = (uint64_t) query << 32 | candidate;
	return TFRS_OK;
}

/* Sorts, TFRS_MORE until done; a step handles about a million pairs.  Nothing is added after. */
extern tfrs_status tfrs_pair_set_finish_step(tfrs_pair_set *set, tfrs_error *error);

static inline uint32_t
tfrs_pair_query(uint64_t pair)
{
	return (uint32_t) (pair >> 32);
}

static inline uint32_t
tfrs_pair_candidate(uint64_t pair)
{
	return (uint32_t) pair;
}

/* What a set takes at most, while it grows or is sorted, as a part of a list that is counted. */
extern void tfrs_pair_set_plan(tfrs_plan *plan, size_t pairs, size_t lists);

/* The list of a query; false where it has none. */
extern bool tfrs_pair_set_find(const tfrs_pair_set *set, uint32_t query, size_t *list);

#endif							/* TFRS_PAIR_SET_H */
