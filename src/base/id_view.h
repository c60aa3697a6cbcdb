/*
 * id_view.h: ids and the row number of each, for reading: in a stored block or a set being made.
 *
 * Ids are 64-bit integers (SQL integers, booleans, dates) or byte strings (text, enums, uuids).
 * Equality is that of bytes.  Stored ids are in order, so rows are in the order of their ids.
 *
 * Stored as parts (with the caller's prefix):
 *     "kind"    uint32 x 2: tfrs_id_kind, and the SQL type's tag that the caller gives
 *     "ids"     int64 x N, or "offsets" uint64 x (N + 1) and "bytes"
 *     "slots"   uint32 x the least power of two >= max(2 N, 2): open addressing with linear
 *               probing, row + 1, 0 empty; an id is found within TFRS_MAX_PROBES slots
 */
#ifndef TFRS_ID_VIEW_H
#define TFRS_ID_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/block.h"
#include "base/hash.h"

typedef enum tfrs_id_kind
{
	TFRS_ID_INTEGER = 1,
	TFRS_ID_BYTES = 2
} tfrs_id_kind;

/*
 * One id as a value; bytes are the owner's.  16 bytes travel in two registers: passed on the stack,
 * an id costs a failed store forwarding, which is several times the look-up itself.
 */
typedef struct tfrs_id
{
	union
	{
		int64_t		integer;	/* TFRS_ID_INTEGER */
		const char *bytes;		/* TFRS_ID_BYTES, not terminated */
	};
	uint32_t	length;			/* of bytes */
	tfrs_id_kind kind;
} tfrs_id;

_Static_assert(sizeof(tfrs_id) <= 16, "an id must be passed in registers");

static inline tfrs_id
tfrs_id_of_integer(int64_t integer)
{
	tfrs_id		id = {.integer = integer, .length = 0, .kind = TFRS_ID_INTEGER};

	return id;
}

/* A length that is not allowed anyway (TFRS_MAX_ID_BYTES) may be cut, but not to an allowed one. */
static inline tfrs_id
tfrs_id_of_bytes(const char *bytes, size_t length)
{
	tfrs_id		id = {
		.bytes = bytes,
		.length = length < UINT32_MAX ? (uint32_t) length : UINT32_MAX,
		.kind = TFRS_ID_BYTES
	};

	return id;
}

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

/* A number below, at or above 0: integers by value, bytes as memcmp with the shorter first. */
extern int	tfrs_id_compare(tfrs_id a, tfrs_id b);

static inline uint64_t
tfrs_id_hash(tfrs_id id)
{
	return id.kind == TFRS_ID_INTEGER ? tfrs_hash_integer(id.integer)
		: tfrs_hash_bytes(id.bytes, id.length);
}

/* The number of slots for count ids. */
extern size_t tfrs_id_slot_count(size_t count);

/*
 * The slot that holds an id of the view's kind, or the empty one where it belongs; false where
 * neither is met within TFRS_MAX_PROBES slots.
 */
extern bool tfrs_id_view_find_slot(const tfrs_id_view *view, tfrs_id id, size_t *slot);

/* The id's row, or TFRS_NO_ROW.  An id of the other kind is found nowhere. */
extern uint32_t tfrs_id_view_find(const tfrs_id_view *view, tfrs_id id);

/* The rows of many ids: a look-up is two or three cache misses, which here overlap. */
extern void tfrs_id_view_find_many(const tfrs_id_view *view, const tfrs_id *ids, size_t count,
								   uint32_t *rows);

extern tfrs_id tfrs_id_view_get(const tfrs_id_view *view, uint32_t row);

/* Checks everything: kinds, counts, offsets ascending, strict id order, every slot (where the block
 * is trusted, that the parts are there and fit together). */
extern tfrs_status tfrs_id_view_load(tfrs_id_view *view, const tfrs_block *block,
									 const char *prefix, tfrs_error *error);

/*
 * Adds the parts under prefix (of ids in order, or they cannot be loaded again).  What the view
 * points to and head, which the caller provides, must outlive the writer.
 */
extern tfrs_status tfrs_id_view_save(const tfrs_id_view *view, uint32_t head[2],
									 tfrs_block_writer *writer, const char *prefix,
									 tfrs_error *error);

#endif							/* TFRS_ID_VIEW_H */
