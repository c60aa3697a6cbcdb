/*
 * id_set.h: distinct ids with a row number each: the vocabulary of a feature, the rows of an index.
 *
 * Ids are 64-bit integers (SQL integers, booleans, dates) or byte strings (text, enums, uuids).
 * While they are collected an id's row is its number of arrival; tfrs_id_set_sort then orders
 * them (integers by value, bytes as memcmp with the shorter first) and tells each old row its new
 * one, so that what is stored does not depend on the order of arrival.  Equality is that of bytes.
 *
 * Stored as parts (with the caller's prefix):
 *     "kind"    uint32 x 2: tfrs_id_kind, and the SQL type's tag that the caller gives
 *     "ids"     int64 x N, or "offsets" uint64 x (N + 1) and "bytes"
 *     "slots"   uint32 x the least power of two >= max(2 N, 2): open addressing with linear probing,
 *               row + 1, 0 empty; no id further than TFRS_MAX_PROBES slots from its home
 */
#ifndef TFRS_ID_SET_H
#define TFRS_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/block.h"

typedef enum tfrs_id_kind
{
	TFRS_ID_INTEGER = 1,
	TFRS_ID_BYTES = 2
} tfrs_id_kind;

/* One id as a value; bytes are the owner's. */
typedef struct tfrs_id
{
	tfrs_id_kind kind;
	int64_t		integer;		/* TFRS_ID_INTEGER */
	const char *bytes;			/* TFRS_ID_BYTES, not terminated */
	size_t		length;
} tfrs_id;

static inline tfrs_id
tfrs_id_of_integer(int64_t integer)
{
	tfrs_id		id = {TFRS_ID_INTEGER, integer, NULL, 0};

	return id;
}

static inline tfrs_id
tfrs_id_of_bytes(const char *bytes, size_t length)
{
	tfrs_id		id = {TFRS_ID_BYTES, 0, bytes, length};

	return id;
}

/* Reading: what lookups need, whether the ids lie in a block or in a set being collected. */
typedef struct tfrs_id_view
{
	tfrs_id_kind kind;
	uint32_t	tag;			/* the caller's name of the SQL type */
	size_t		count;			/* N */
	const int64_t *integers;	/* (N), TFRS_ID_INTEGER */
	const uint64_t *offsets;	/* (N + 1), TFRS_ID_BYTES */
	const char *bytes;
	const uint32_t *slots;		/* (slot_mask + 1) */
	size_t		slot_mask;
} tfrs_id_view;

/* The id's row, or TFRS_NO_ROW.  An id of the other kind is found nowhere. */
extern uint32_t tfrs_id_view_find(const tfrs_id_view *view, tfrs_id id);
extern tfrs_id tfrs_id_view_get(const tfrs_id_view *view, uint32_t row);

/* Checks everything: kinds, counts, offsets ascending, strict id order, every slot. */
extern tfrs_status tfrs_id_view_load(tfrs_id_view *view, const tfrs_block *block,
									 const char *prefix, tfrs_error *error);

/* Collecting. */
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
} tfrs_id_set;

extern tfrs_status tfrs_id_set_init(tfrs_id_set *set, tfrs_arena *arena, tfrs_id_kind kind,
									uint32_t tag, tfrs_error *error);
extern void tfrs_id_set_free(tfrs_id_set *set);

/*
 * The id's row, given a new one (the old count) where it is not there yet.  Bytes are copied.
 * Errors: memory; TFRS_TOO_LARGE past TFRS_MAX_ROWS, TFRS_MAX_ID_BYTES or TFRS_MAX_PROBES;
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

/*
 * Sorts; new_row (count) receives for each old row its new one.  The set stays usable.  Errors:
 * memory (32 bytes an id, given back), and then the set is as it was; TFRS_TOO_LARGE past
 * TFRS_MAX_PROBES, and then the set can only be freed.
 */
extern tfrs_status tfrs_id_set_sort(tfrs_id_set *set, uint32_t *new_row, tfrs_error *error);

/* A view of the set as it is now; valid until the next add. */
extern tfrs_id_view tfrs_id_set_view(const tfrs_id_set *set);

/* Adds the parts under prefix; the set (and head, which the caller keeps) must outlive the writer. */
extern tfrs_status tfrs_id_view_save(const tfrs_id_view *view, uint32_t head[2],
									 tfrs_block_writer *writer, const char *prefix,
									 tfrs_error *error);

#endif							/* TFRS_ID_SET_H */
