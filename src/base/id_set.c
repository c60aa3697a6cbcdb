/*
 * id_set.c: open addressing over row numbers, and the order that makes stored ids reproducible.
 *
 * The ids lie in arrays by row; the table holds row + 1 in 4 bytes a slot, at a load between 1/4
 * and 1/2.  Capacity doubles from 1, so the number of slots is a function of the count alone.  Hashes
 * are not kept: growing reads the ids in sequence, which is cheaper than carrying 8 bytes an id.
 *
 * Sorting is a bottom-up merge sort of (prefix, row) pairs: no recursion, never quadratic, and one
 * code for both kinds.  The prefix is the whole of an integer id and the first 8 bytes of the other
 * kind, so that few comparisons touch the ids.
 */
#include "base/id_set.h"

#include <stdio.h>
#include <string.h>

typedef struct sort_entry
{
	uint64_t	prefix;			/* unsigned order is the order of the ids, but for equal prefixes */
	uint32_t	row;
} sort_entry;

static uint64_t
hash_id(tfrs_id id)
{
	return id.kind == TFRS_ID_INTEGER ? tfrs_hash_integer(id.integer)
		: tfrs_hash_bytes(id.bytes, id.length);
}

static bool
same_bytes(const char *a, const char *b, size_t length)
{
	return length == 0 || memcmp(a, b, length) == 0;
}

static bool
is_id(const tfrs_id_view *view, uint32_t row, tfrs_id id)
{
	uint64_t	start;

	if (view->kind == TFRS_ID_INTEGER)
		return view->integers[row] == id.integer;
	start = view->offsets[row];
	return view->offsets[row + 1] - start == id.length &&
		same_bytes(view->bytes + start, id.bytes, id.length);
}

/* The slot that holds the id, or the empty one where it belongs; false past TFRS_MAX_PROBES. */
static bool
find_slot(const tfrs_id_view *view, tfrs_id id, size_t *slot)
{
	*slot = hash_id(id) & view->slot_mask;
	for (int i = 0; i < TFRS_MAX_PROBES; i++)
	{
		uint32_t	held = view->slots[*slot];

		if (held == 0 || is_id(view, held - 1, id))
			return true;
		*slot = (*slot + 1) & view->slot_mask;
	}
	return false;
}

uint32_t
tfrs_id_view_find(const tfrs_id_view *view, tfrs_id id)
{
	size_t		slot;

	if (id.kind != view->kind || !find_slot(view, id, &slot))
		return TFRS_NO_ROW;
	/* an empty slot's 0 becomes UINT32_MAX, which is TFRS_NO_ROW */
	return view->slots[slot] - 1;
}

tfrs_id
tfrs_id_view_get(const tfrs_id_view *view, uint32_t row)
{
	uint64_t	start;

	if (view->kind == TFRS_ID_INTEGER)
		return tfrs_id_of_integer(view->integers[row]);
	start = view->offsets[row];
	return tfrs_id_of_bytes(view->bytes + start, view->offsets[row + 1] - start);
}

/* The number of slots for count ids: the least power of two >= max(2 count, 2). */
static size_t
slots_for(size_t count)
{
	size_t		slots = 2;

	while (slots < 2 * count)
		slots *= 2;
	return slots;
}

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
		if (!place_row(slots, slot_mask, hash_id(tfrs_id_view_get(view, (uint32_t) row)),
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
	set->slot_mask = slots_for(set->capacity) - 1;
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
	size_t		slot_count = slots_for(capacity);
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
		tfrs_error_detail(error, "It has %zu bytes; at most %zu are allowed.", id.length,
						  TFRS_MAX_ID_BYTES);
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
	if (!find_slot(&view, id, &slot))
		return fail_probes(error);
	if (set->slots[slot] == 0)
	{
		status = make_room(set, id, error);
		if (status != TFRS_OK)
			return status;
		if (!place_row(set->slots, set->slot_mask, hash_id(id), (uint32_t) set->count))
			return fail_probes(error);
		append(set, id);
		*row = (uint32_t) (set->count - 1);
		return TFRS_OK;
	}
	*row = set->slots[slot] - 1;
	return TFRS_OK;
}

/* memcmp with the shorter first, as a number below, at or above 0. */
static int
compare_bytes(tfrs_id a, tfrs_id b)
{
	size_t		shorter = a.length < b.length ? a.length : b.length;
	int			order = shorter == 0 ? 0 : memcmp(a.bytes, b.bytes, shorter);

	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* Zeros stand for missing bytes, so unequal prefixes order as the ids do. */
static uint64_t
prefix_of(tfrs_id id)
{
	uint64_t	prefix = 0;

	if (id.kind == TFRS_ID_INTEGER)
		return (uint64_t) id.integer ^ UINT64_C(1) << 63;
	for (size_t i = 0; i < 8; i++)
		prefix = prefix << 8 | (i < id.length ? (unsigned char) id.bytes[i] : 0);
	return prefix;
}

static bool
entry_before(const tfrs_id_view *view, const sort_entry *a, const sort_entry *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	return view->kind == TFRS_ID_BYTES &&
		compare_bytes(tfrs_id_view_get(view, a->row), tfrs_id_view_get(view, b->row)) < 0;
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
			set->integers[i] = (int64_t) (entries[i].prefix ^ UINT64_C(1) << 63);
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
		for (size_t i = 0; i < set->count; i++)
		{
			entries[i].prefix = prefix_of(tfrs_id_view_get(&view, (uint32_t) i));
			entries[i].row = (uint32_t) i;
		}
		status = reorder(set, sort_entries(&view, entries, scratch), new_row, error);
		tfrs_arena_release(set->arena, scratch);
	}
	tfrs_arena_release(set->arena, entries);
	return status;
}

static tfrs_status
fail_ids(tfrs_error *error, const char *prefix, const char *why)
{
	tfrs_fail(error, TFRS_CORRUPT, "invalid ids in a stored value");
	tfrs_error_detail(error, "The ids of \"%s\" %s.", prefix, why);
	return TFRS_CORRUPT;
}

/* prefix and name as one part name; cut where too long, and then no part has it. */
static const char *
part_name(char name[TFRS_MAX_PART_NAME], const char *prefix, const char *suffix)
{
	snprintf(name, TFRS_MAX_PART_NAME, "%s%s", prefix, suffix);
	return name;
}

static tfrs_status
load_kind(tfrs_id_view *view, const tfrs_block *block, const char *prefix, tfrs_error *error)
{
	char		name[TFRS_MAX_PART_NAME];
	const void *data;
	const uint32_t *head;
	tfrs_status status = tfrs_block_find_exact(block, part_name(name, prefix, "kind"),
											   sizeof(uint32_t), 2, &data, error);

	if (status != TFRS_OK)
		return status;
	head = data;
	if (head[0] != TFRS_ID_INTEGER && head[0] != TFRS_ID_BYTES)
		return fail_ids(error, prefix, "are of no known kind");
	view->kind = (tfrs_id_kind) head[0];
	view->tag = head[1];
	return TFRS_OK;
}

static tfrs_status
load_integers(tfrs_id_view *view, const tfrs_block *block, const char *prefix, tfrs_error *error)
{
	char		name[TFRS_MAX_PART_NAME];
	const void *data;
	tfrs_status status = tfrs_block_find(block, part_name(name, prefix, "ids"), sizeof(int64_t),
										 &data, &view->count, error);

	if (status != TFRS_OK)
		return status;
	view->integers = data;
	for (size_t row = 1; row < view->count; row++)
		if (view->integers[row - 1] >= view->integers[row])
			return fail_ids(error, prefix, "are not in order");
	return TFRS_OK;
}

/* offsets (count + 1) from 0 to total in steps of at most TFRS_MAX_ID_BYTES. */
static bool
good_offsets(const uint64_t *offsets, size_t count, size_t total)
{
	if (offsets[0] != 0 || offsets[count] != total)
		return false;
	for (size_t row = 0; row < count; row++)
		if (offsets[row + 1] < offsets[row] ||
			offsets[row + 1] - offsets[row] > TFRS_MAX_ID_BYTES)
			return false;
	return true;
}

static tfrs_status
load_bytes(tfrs_id_view *view, const tfrs_block *block, const char *prefix, tfrs_error *error)
{
	char		name[TFRS_MAX_PART_NAME];
	const void *offsets;
	const void *bytes;
	size_t		offset_count;
	size_t		total;
	tfrs_status status = tfrs_block_find(block, part_name(name, prefix, "offsets"),
										 sizeof(uint64_t), &offsets, &offset_count, error);

	if (status == TFRS_OK)
		status = tfrs_block_find(block, part_name(name, prefix, "bytes"), 1, &bytes, &total, error);
	if (status != TFRS_OK)
		return status;
	if (offset_count == 0 || !good_offsets(offsets, offset_count - 1, total))
		return fail_ids(error, prefix, "do not lie where they must");
	view->count = offset_count - 1;
	view->offsets = offsets;
	view->bytes = bytes;
	for (size_t row = 1; row < view->count; row++)
		if (compare_bytes(tfrs_id_view_get(view, (uint32_t) (row - 1)),
						  tfrs_id_view_get(view, (uint32_t) row)) >= 0)
			return fail_ids(error, prefix, "are not in order");
	return TFRS_OK;
}

/* Whether probing for the row's id meets the row within TFRS_MAX_PROBES slots. */
static bool
row_is_reachable(const tfrs_id_view *view, uint32_t row)
{
	size_t		slot = hash_id(tfrs_id_view_get(view, row)) & view->slot_mask;

	for (int i = 0; i < TFRS_MAX_PROBES && view->slots[slot] != 0; i++)
	{
		if (view->slots[slot] == row + 1)
			return true;
		slot = (slot + 1) & view->slot_mask;
	}
	return false;
}

/*
 * N slots are used and each of N rows is reached in one: so no row stands twice, and no slot holds
 * anything but a row.
 */
static tfrs_status
load_slots(tfrs_id_view *view, const tfrs_block *block, const char *prefix, tfrs_error *error)
{
	char		name[TFRS_MAX_PART_NAME];
	const void *data;
	size_t		slot_count = slots_for(view->count);
	size_t		used = 0;
	tfrs_status status = tfrs_block_find_exact(block, part_name(name, prefix, "slots"),
											   sizeof(uint32_t), slot_count, &data, error);

	if (status != TFRS_OK)
		return status;
	view->slots = data;
	view->slot_mask = slot_count - 1;
	for (size_t slot = 0; slot < slot_count; slot++)
		used += view->slots[slot] != 0;
	if (used != view->count)
		return fail_ids(error, prefix, "have a damaged hash table");
	for (size_t row = 0; row < view->count; row++)
		if (!row_is_reachable(view, (uint32_t) row))
			return fail_ids(error, prefix, "have a damaged hash table");
	return TFRS_OK;
}

tfrs_status
tfrs_id_view_load(tfrs_id_view *view, const tfrs_block *block, const char *prefix,
				  tfrs_error *error)
{
	tfrs_status status;

	memset(view, 0, sizeof(*view));
	status = load_kind(view, block, prefix, error);
	if (status == TFRS_OK && view->kind == TFRS_ID_INTEGER)
		status = load_integers(view, block, prefix, error);
	if (status == TFRS_OK && view->kind == TFRS_ID_BYTES)
		status = load_bytes(view, block, prefix, error);
	if (status == TFRS_OK)
		status = load_slots(view, block, prefix, error);
	return status;
}

tfrs_status
tfrs_id_view_save(const tfrs_id_view *view, uint32_t head[2], tfrs_block_writer *writer,
				  const char *prefix, tfrs_error *error)
{
	char		name[TFRS_MAX_PART_NAME];
	size_t		count = view->count;
	tfrs_status status;

	head[0] = (uint32_t) view->kind;
	head[1] = view->tag;
	status = tfrs_block_writer_add(writer, part_name(name, prefix, "kind"), head, 2,
								   sizeof(uint32_t), error);
	if (status == TFRS_OK && view->kind == TFRS_ID_INTEGER)
		status = tfrs_block_writer_add(writer, part_name(name, prefix, "ids"), view->integers,
									   count, sizeof(int64_t), error);
	if (status == TFRS_OK && view->kind == TFRS_ID_BYTES)
		status = tfrs_block_writer_add(writer, part_name(name, prefix, "offsets"), view->offsets,
									   count + 1, sizeof(uint64_t), error);
	if (status == TFRS_OK && view->kind == TFRS_ID_BYTES)
		status = tfrs_block_writer_add(writer, part_name(name, prefix, "bytes"), view->bytes,
									   view->offsets[count], 1, error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_add(writer, part_name(name, prefix, "slots"), view->slots,
									   view->slot_mask + 1, sizeof(uint32_t), error);
	return status;
}
