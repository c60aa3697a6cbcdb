/*
 * id_set.c: open addressing over row numbers, and the order that makes stored ids reproducible.
 *
 * The ids lie in arrays by row; the table holds row + 1 in 4 bytes a slot, at a load between 1/4
 * and 1/2.  Capacity doubles from 1, so the number of slots is a function of the count alone.
 * Hashes are not kept: growing reads the ids in sequence, which is cheaper than carrying 8 bytes
 * an id.
 *
 * Sorting is a bottom-up merge sort of (prefix, row) pairs: no recursion, never quadratic, and one
 * code for both kinds.  The prefix is the whole of an integer id, and of the other kind the first 8
 * bytes behind what all ids begin with ("customer-"), so that few comparisons touch the ids.
 */
#include "base/id_set.h"

#include <string.h>

/* Turns the order of integers into that of unsigned numbers. */
#define SIGN_BIT (UINT64_C(1) << 63)

typedef struct sort_entry
{
	uint64_t	prefix;			/* unsigned order is the order of the ids, but for equal prefixes */
	uint32_t	row;
} sort_entry;

/* The end of an id's chain of slots, which a new id takes; false past TFRS_MAX_PROBES. */
static bool
place_row(uint32_t *slots, size_t slot_mask, uint64_t hash, uint32_t row)
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

static tfrs_status
fail_probes(tfrs_error *error)
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
		if (!place_row(slots, slot_mask, tfrs_id_hash(tfrs_id_view_get(view, (uint32_t) row)),
					   (uint32_t) row))
			return fail_probes(error);
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
	if (id.kind == TFRS_ID_BYTES && id.length > TFRS_MAX_ID_BYTES)
	{
		tfrs_fail(error, TFRS_TOO_LARGE, "id is too long");
		tfrs_error_detail(error, "It has %u bytes; at most %zu are allowed.",
						  (unsigned) id.length, TFRS_MAX_ID_BYTES);
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
		return fail_probes(error);
	if (set->slots[slot] == 0)
	{
		status = make_room(set, id, error);
		if (status != TFRS_OK)
			return status;
		if (!place_row(set->slots, set->slot_mask, tfrs_id_hash(id), (uint32_t) set->count))
			return fail_probes(error);
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

/* How many bytes all ids begin with. */
static size_t
common_bytes(const tfrs_id_view *view)
{
	tfrs_id		first;
	size_t		common;

	if (view->kind == TFRS_ID_INTEGER || view->count == 0)
		return 0;
	first = tfrs_id_view_get(view, 0);
	common = first.length;
	for (size_t row = 1; row < view->count; row++)
	{
		tfrs_id		id = tfrs_id_view_get(view, (uint32_t) row);

		common = common < id.length ? common : id.length;
		while (common > 0 && memcmp(first.bytes, id.bytes, common) != 0)
			common--;
	}
	return common;
}

/* Zeros stand for missing bytes, so unequal prefixes order as the ids do. */
static uint64_t
prefix_of(tfrs_id id, size_t start)
{
	uint64_t	prefix = 0;

	if (id.kind == TFRS_ID_INTEGER)
		return (uint64_t) id.integer ^ SIGN_BIT;
	for (size_t i = start; i < start + 8; i++)
		prefix = prefix << 8 | (i < id.length ? (unsigned char) id.bytes[i] : 0);
	return prefix;
}

static bool
entry_before(const tfrs_id_view *view, const sort_entry *a, const sort_entry *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	return tfrs_id_compare(tfrs_id_view_get(view, a->row), tfrs_id_view_get(view, b->row)) < 0;
}

/* Merges the sorted runs from[start .. middle) and from[middle .. end) into to[start .. end). */
static void
merge_runs(const tfrs_id_view *view, const sort_entry *from, sort_entry *to, size_t start,
		   size_t middle, size_t end)
{
	size_t		left = start;
	size_t		right = middle;

	for (size_t i = start; i < end; i++)
	{
		bool		take_right = left == middle ||
			(right < end && entry_before(view, &from[right], &from[left]));

		to[i] = take_right ? from[right++] : from[left++];
	}
}

/* Sorts entries (count), with scratch (count); returns where the result lies. */
static sort_entry *
sort_entries(const tfrs_id_view *view, sort_entry *entries, sort_entry *scratch)
{
	size_t		count = view->count;

	for (size_t width = 1; width < count; width *= 2)
	{
		sort_entry *swap = entries;

		for (size_t start = 0; start < count; start += 2 * width)
		{
			size_t		middle = start + width < count ? start + width : count;
			size_t		end = middle + width < count ? middle + width : count;

			merge_runs(view, entries, scratch, start, middle, end);
		}
		entries = scratch;
		scratch = swap;
	}
	return entries;
}

/* Copies the byte ids into new arrays in the order of the entries. */
static tfrs_status
reorder_bytes(tfrs_id_set *set, const sort_entry *entries, tfrs_error *error)
{
	tfrs_id_view view = tfrs_id_set_view(set);
	uint64_t   *offsets;
	char	   *bytes;
	tfrs_status status = TFRS_GET(set->arena, &offsets, set->capacity + 1, error);

	if (status != TFRS_OK)
		return status;
	status = TFRS_GET(set->arena, &bytes, set->bytes_capacity, error);
	if (status != TFRS_OK)
	{
		tfrs_arena_release(set->arena, offsets);
		return status;
	}
	offsets[0] = 0;
	for (size_t i = 0; i < set->count; i++)
	{
		tfrs_id		id = tfrs_id_view_get(&view, entries[i].row);

		memcpy(bytes + offsets[i], id.bytes, id.length);
		offsets[i + 1] = offsets[i] + id.length;
	}
	tfrs_arena_release(set->arena, set->offsets);
	tfrs_arena_release(set->arena, set->bytes);
	set->offsets = offsets;
	set->bytes = bytes;
	return TFRS_OK;
}

static tfrs_status
reorder(tfrs_id_set *set, const sort_entry *entries, uint32_t *new_row, tfrs_error *error)
{
	tfrs_id_view view;

	if (set->kind == TFRS_ID_BYTES)
	{
		tfrs_status status = reorder_bytes(set, entries, error);

		if (status != TFRS_OK)
			return status;
	}
	for (size_t i = 0; i < set->count; i++)
	{
		if (set->kind == TFRS_ID_INTEGER)
			set->integers[i] = (int64_t) (entries[i].prefix ^ SIGN_BIT);
		new_row[entries[i].row] = (uint32_t) i;
	}
	memset(set->slots, 0, (set->slot_mask + 1) * sizeof(set->slots[0]));
	view = tfrs_id_set_view(set);
	return fill_slots(&view, set->slots, set->slot_mask, error);
}

tfrs_status
tfrs_id_set_sort(tfrs_id_set *set, uint32_t *new_row, tfrs_error *error)
{
	tfrs_id_view view = tfrs_id_set_view(set);
	sort_entry *entries;
	sort_entry *scratch;
	tfrs_status status = TFRS_GET(set->arena, &entries, set->count, error);

	if (status != TFRS_OK)
		return status;
	status = TFRS_GET(set->arena, &scratch, set->count, error);
	if (status == TFRS_OK)
	{
		size_t		start = common_bytes(&view);

		for (size_t i = 0; i < set->count; i++)
		{
			entries[i].prefix = prefix_of(tfrs_id_view_get(&view, (uint32_t) i), start);
			entries[i].row = (uint32_t) i;
		}
		status = reorder(set, sort_entries(&view, entries, scratch), new_row, error);
		tfrs_arena_release(set->arena, scratch);
	}
	tfrs_arena_release(set->arena, entries);
	return status;
}

