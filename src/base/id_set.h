/*
 * id_set.h: collecting distinct ids: the vocabulary of a feature, the rows of an index.
 *
 * While ids are collected an id's row is its number of arrival; id_sort.h then orders them and
 * tells each old row its new one, so that what is stored does not depend on the order of arrival.
 * Looking up, the stored form and the order of ids are id_view.h's.
 */
#ifndef TFRS_ID_SET_H
#define TFRS_ID_SET_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id_view.h"

typedef struct tfrs_id_set
{
	tfrs_arena *arena;
	tfrs_id_kind kind;
	uint32_t	tag;
	size_t		count;
	size_t		capacity;		/* rows that the arrays hold */
	int64_t    *integers;
	uint64_t   *offsets;
	char	   *bytes;
	size_t		bytes_capacity;
	uint32_t   *slots;
	size_t		slot_mask;
	size_t		most_bytes;		/* of an id; TFRS_MAX_ID_BYTES unless it is set after init */
} tfrs_id_set;

extern tfrs_status tfrs_id_set_init(tfrs_id_set *set, tfrs_arena *arena, tfrs_id_kind kind,
									uint32_t tag, tfrs_error *error);
extern void tfrs_id_set_free(tfrs_id_set *set);

/*
 * The id's row, given a new one (the old count) where it is not there yet.  Bytes are copied.
 * Errors: memory; TFRS_TOO_LARGE past TFRS_MAX_ROWS, most_bytes or TFRS_MAX_PROBES;
 * TFRS_INVALID_ARGUMENT for an id of the other kind.  After an error the set is as it was.
 */
extern tfrs_status tfrs_id_set_add(tfrs_id_set *set, tfrs_id id, uint32_t *row, tfrs_error *error);

/* Hot path for integers: no error path when the id is known. */
static inline uint32_t
tfrs_id_set_find_integer(const tfrs_id_set *set, int64_t integer)
{
	size_t		slot = tfrs_hash_integer(integer) & set->slot_mask;

	while (set->slots[slot] != 0)
	{
		uint32_t	row = set->slots[slot] - 1;

		if (set->integers[row] == integer)
			return row;
		slot = (slot + 1) & set->slot_mask;
	}
	return TFRS_NO_ROW;
}

/* The same for many at once: their misses of the processor's caches overlap.  rows (count). */
extern void tfrs_id_set_find_integers(const tfrs_id_set *set, const int64_t *integers, size_t count,
									  uint32_t *rows);

/*
 * Sorts, all steps of id_sort.h at once; new_row (count) receives for each old row its new one.
 * The set stays usable.  Errors as there.
 */
extern tfrs_status tfrs_id_set_sort(tfrs_id_set *set, uint32_t *new_row, tfrs_error *error);

/* A view of the set as it is now; valid until the next add. */
extern tfrs_id_view tfrs_id_set_view(const tfrs_id_set *set);

/* For id_sort: the end of an id's chain of slots receives row; false past TFRS_MAX_PROBES, and the
 * one wording for that. */
extern bool tfrs_id_set_place(uint32_t *slots, size_t slot_mask, uint64_t hash, uint32_t row);
extern tfrs_status tfrs_id_set_fail_probes(tfrs_error *error);

#endif							/* TFRS_ID_SET_H */
