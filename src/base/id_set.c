/*
 * id_set.c: open addressing over row numbers.
 *
 * The ids lie in arrays by row; the table holds row + 1 in 4 bytes a slot, at a load between 1/4
 * and 1/2.  Capacity doubles from 1, so the number of slots is a function of the count alone.
 * Hashes are not kept: growing reads the ids in sequence, which is cheaper than carrying 8 bytes
 * an id.
 */
#include "base/id_set.h"

#include <string.h>

bool
tfrs_id_set_place(uint32_t *slots, size_t slot_mask, uint64_t hash, uint32_t row)
{
	for (int i = 0; i < TFRS_MAX_PROBES; i++)
	{
		size_t		slot = (hash + (size_t) i) & slot_mask;

		if (slots[slot] == 0)
		{
			slots[slot] = row + 1;
			return true;
		}
	}
	return false;
}

tfrs_status
tfrs_id_set_fail_probes(tfrs_error *error)
{
	tfrs_fail(error, TFRS_TOO_LARGE, "too many ids with the same hash value");
	tfrs_error_hint(error, "Such ids do not occur by chance: they were made to slow this down.");
	return TFRS_TOO_LARGE;
}

/* Fills empty slots with the rows of the view in ascending order. */
static tfrs_status
fill_slots(const tfrs_id_view *view, uint32_t *slots, size_t slot_mask, tfrs_error *error)
{
	for (size_t row = 0; row < view->count; row++)
	{
		uint64_t	hash = tfrs_id_hash(tfrs_id_view_get(view, (uint32_t) row));

		if (!tfrs_id_set_place(slots, slot_mask, hash, (uint32_t) row))
			return tfrs_id_set_fail_probes(error);
	}
	return TFRS_OK;
}

tfrs_status
tfrs_id_set_init(tfrs_id_set *set, tfrs_arena *arena, tfrs_id_kind kind, uint32_t tag,
				 tfrs_error *error)
{
	tfrs_status status;

	memset(set, 0, sizeof(*set));
	set->arena = arena;
	set->kind = kind;
	set->tag = tag;
	set->most_bytes = TFRS_MAX_ID_BYTES;
	set->capacity = 1;
	set->bytes_capacity = 1;
	set->slot_mask = tfrs_id_slot_count(set->capacity) - 1;
	status = TFRS_GET_ZERO(arena, &set->slots, set->slot_mask + 1, error);
	if (status == TFRS_OK && kind == TFRS_ID_INTEGER)
		status = TFRS_GET(arena, &set->integers, set->capacity, error);
	if (status == TFRS_OK && kind == TFRS_ID_BYTES)
		status = TFRS_GET_ZERO(arena, &set->offsets, set->capacity + 1, error);
	if (status == TFRS_OK && kind == TFRS_ID_BYTES)
		status = TFRS_GET(arena, &set->bytes, set->bytes_capacity, error);
	if (status != TFRS_OK)
		tfrs_id_set_free(set);
	return status;
}

void
tfrs_id_set_free(tfrs_id_set *set)
{
	tfrs_arena_release(set->arena, set->slots);
	tfrs_arena_release(set->arena, set->integers);
	tfrs_arena_release(set->arena, set->offsets);
	tfrs_arena_release(set->arena, set->bytes);
	memset(set, 0, sizeof(*set));
}

tfrs_id_view
tfrs_id_set_view(const tfrs_id_set *set)
{
	tfrs_id_view view = {
		.kind = set->kind,
		.tag = set->tag,
		.count = set->count,
		.integers = set->integers,
		.offsets = set->offsets,
		.bytes = set->bytes,
		.slots = set->slots,
		.slot_mask = set->slot_mask
	};

	return view;
}

/* Doubles what is full.  An array that grew before a failure only has room to spare. */
static tfrs_status
grow_rows(tfrs_id_set *set, tfrs_error *error)
{
	size_t		capacity = 2 * set->capacity;
	size_t		slot_count = tfrs_id_slot_count(capacity);
	uint32_t   *slots;
	tfrs_id_view view;
	tfrs_status status;

	if (set->kind == TFRS_ID_INTEGER)
		status = TFRS_RESIZE(set->arena, &set->integers, capacity, error);
	else
		status = TFRS_RESIZE(set->arena, &set->offsets, capacity + 1, error);
	if (status != TFRS_OK)
		return status;
	status = TFRS_GET_ZERO(set->arena, &slots, slot_count, error);
	if (status != TFRS_OK)
		return status;
	view = tfrs_id_set_view(set);
	status = fill_slots(&view, slots, slot_count - 1, error);
	if (status != TFRS_OK)
	{
		tfrs_arena_release(set->arena, slots);
		return status;
	}
	tfrs_arena_release(set->arena, set->slots);
	set->slots = slots;
	set->slot_mask = slot_count - 1;
	set->capacity = capacity;
	return TFRS_OK;
}

static tfrs_status
grow_bytes(tfrs_id_set *set, size_t needed, tfrs_error *error)
{
	size_t		capacity = 2 * set->bytes_capacity;
	tfrs_status status;

	if (capacity < needed)
		capacity = needed;
	status = TFRS_RESIZE(set->arena, &set->bytes, capacity, error);
	if (status == TFRS_OK)
		set->bytes_capacity = capacity;
	return status;
}

/* Room for one more id; afterwards appending cannot fail. */
static tfrs_status
make_room(tfrs_id_set *set, tfrs_id id, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (set->count >= TFRS_MAX_ROWS)
		return tfrs_fail(error, TFRS_TOO_LARGE, "more than %zu distinct ids", TFRS_MAX_ROWS);
	if (id.kind == TFRS_ID_BYTES && id.length > set->bytes_capacity - set->offsets[set->count])
		status = grow_bytes(set, set->offsets[set->count] + id.length, error);
	if (status == TFRS_OK && set->count == set->capacity)
		status = grow_rows(set, error);
	return status;
}

static void
append(tfrs_id_set *set, tfrs_id id)
{
	if (set->kind == TFRS_ID_INTEGER)
		set->integers[set->count] = id.integer;
	else
	{
		uint64_t	start = set->offsets[set->count];

		if (id.length > 0)
			memcpy(set->bytes + start, id.bytes, id.length);
		set->offsets[set->count + 1] = start + id.length;
	}
	set->count++;
}

static tfrs_status
check_id(const tfrs_id_set *set, tfrs_id id, tfrs_error *error)
{
	if (id.kind != set->kind)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "an id of another type than those before");
	if (id.kind == TFRS_ID_BYTES && id.length > set->most_bytes)
	{
		tfrs_fail(error, TFRS_TOO_LARGE, "id is too long");
		tfrs_error_detail(error, "It has %u bytes; at most %zu are allowed.",
						  (unsigned) id.length, set->most_bytes);
		return TFRS_TOO_LARGE;
	}
	return TFRS_OK;
}

tfrs_status
tfrs_id_set_add(tfrs_id_set *set, tfrs_id id, uint32_t *row, tfrs_error *error)
{
	tfrs_id_view view = tfrs_id_set_view(set);
	tfrs_status status = check_id(set, id, error);
	size_t		slot;

	if (status != TFRS_OK)
		return status;
	if (!tfrs_id_view_find_slot(&view, id, &slot))
		return tfrs_id_set_fail_probes(error);
	if (set->slots[slot] == 0)
	{
		status = make_room(set, id, error);
		if (status != TFRS_OK)
			return status;
		if (!tfrs_id_set_place(set->slots, set->slot_mask, tfrs_id_hash(id), (uint32_t) set->count))
			return tfrs_id_set_fail_probes(error);
		append(set, id);
		*row = (uint32_t) (set->count - 1);
		return TFRS_OK;
	}
	*row = set->slots[slot] - 1;
	return TFRS_OK;
}

/* A large table answers from memory, not from a cache: first the slots are called for, then the ids
 * that they name, then they are compared. */
void
tfrs_id_set_find_integers(const tfrs_id_set *set, const int64_t *integers, size_t count,
						  uint32_t *rows)
{
	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(&set->slots[tfrs_hash_integer(integers[i]) & set->slot_mask]);
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	held = set->slots[tfrs_hash_integer(integers[i]) & set->slot_mask];

		if (held != 0)
			__builtin_prefetch(&set->integers[held - 1]);
	}
	for (size_t i = 0; i < count; i++)
		rows[i] = tfrs_id_set_find_integer(set, integers[i]);
}
