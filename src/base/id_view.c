/*
 * id_view.c: looking ids up, and checking ids that come from outside.
 *
 * A loaded view is as good as one that was made here: ids strictly ascending, each row in exactly
 * one slot and found from its id's hash, at least half of the slots empty.  The check takes time
 * linear in the bytes whatever they are, since no chain may be longer than TFRS_MAX_PROBES.
 */
#include "base/id_view.h"

#include <stdio.h>
#include <string.h>

int
tfrs_id_compare(tfrs_id a, tfrs_id b)
{
	size_t		shorter = a.length < b.length ? a.length : b.length;
	int			order;

	if (a.kind == TFRS_ID_INTEGER)
		return (a.integer > b.integer) - (a.integer < b.integer);
	order = shorter == 0 ? 0 : memcmp(a.bytes, b.bytes, shorter);
	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool
is_id(const tfrs_id_view *view, uint32_t row, tfrs_id id)
{
	uint64_t	start;

	if (view->kind == TFRS_ID_INTEGER)
		return view->integers[row] == id.integer;
	start = view->offsets[row];
	return view->offsets[row + 1] - start == id.length &&
		(id.length == 0 || memcmp(view->bytes + start, id.bytes, id.length) == 0);
}

bool
tfrs_id_view_find_slot(const tfrs_id_view *view, tfrs_id id, size_t *slot)
{
	*slot = tfrs_id_hash(id) & view->slot_mask;
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

	if (id.kind != view->kind || !tfrs_id_view_find_slot(view, id, &slot))
		return TFRS_NO_ROW;
	/* an empty slot's 0 becomes UINT32_MAX, which is TFRS_NO_ROW */
	return view->slots[slot] - 1;
}

/* Ids that are looked up side by side: as many misses as a core keeps in flight. */
#define GROUP 16

static void
find_group(const tfrs_id_view *view, const tfrs_id *ids, size_t count, uint32_t *rows)
{
	size_t		slots[GROUP];

	for (size_t i = 0; i < count; i++)
	{
		slots[i] = tfrs_id_hash(ids[i]) & view->slot_mask;
		__builtin_prefetch(&view->slots[slots[i]]);
	}
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	held = view->slots[slots[i]];

		if (held != 0 && view->kind == TFRS_ID_INTEGER)
			__builtin_prefetch(&view->integers[held - 1]);
		else if (held != 0)
			__builtin_prefetch(view->bytes + view->offsets[held - 1]);
	}
	for (size_t i = 0; i < count; i++)
		rows[i] = tfrs_id_view_find(view, ids[i]);
}

void
tfrs_id_view_find_many(const tfrs_id_view *view, const tfrs_id *ids, size_t count, uint32_t *rows)
{
	for (size_t start = 0; start < count; start += GROUP)
		find_group(view, ids + start, count - start < GROUP ? count - start : GROUP,
				   rows + start);
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

size_t
tfrs_id_slot_count(size_t count)
{
	size_t		slots = 2;

	while (slots < 2 * count)
		slots *= 2;
	return slots;
}

/* What the functions of tfrs_id_view_load share. */
typedef struct id_loader
{
	tfrs_id_view *view;
	const tfrs_block *block;
	const char *prefix;
	tfrs_error *error;
} id_loader;

/* prefix and suffix as one name; cut where too long, as the name of no part that was written. */
static const char *
part_name(char name[TFRS_MAX_PART_NAME], const char *prefix, const char *suffix)
{
	snprintf(name, TFRS_MAX_PART_NAME, "%s%s", prefix, suffix);
	return name;
}

static tfrs_status
fail_ids(const id_loader *loader, const char *why)
{
	tfrs_fail(loader->error, TFRS_CORRUPT, "invalid ids in a stored value");
	tfrs_error_detail(loader->error, "The ids of \"%s\" %s.", loader->prefix, why);
	return TFRS_CORRUPT;
}

static tfrs_status
load_part(const id_loader *loader, const char *suffix, size_t element_size, const void **data,
		  size_t *count)
{
	char		name[TFRS_MAX_PART_NAME];

	return tfrs_block_find(loader->block, part_name(name, loader->prefix, suffix), element_size,
						   data, count, loader->error);
}

static tfrs_status
load_kind(const id_loader *loader)
{
	const void *data;
	size_t		count;
	const uint32_t *head;
	tfrs_status status = load_part(loader, "kind", sizeof(uint32_t), &data, &count);

	if (status != TFRS_OK)
		return status;
	head = data;
	if (count != 2 || (head[0] != TFRS_ID_INTEGER && head[0] != TFRS_ID_BYTES))
		return fail_ids(loader, "are of no known kind");
	loader->view->kind = (tfrs_id_kind) head[0];
	loader->view->tag = head[1];
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
load_bytes(const id_loader *loader)
{
	const void *offsets;
	const void *bytes;
	size_t		offset_count;
	size_t		total;
	tfrs_status status = load_part(loader, "offsets", sizeof(uint64_t), &offsets, &offset_count);

	if (status == TFRS_OK)
		status = load_part(loader, "bytes", 1, &bytes, &total);
	if (status != TFRS_OK)
		return status;
	if (offset_count == 0 ||
		(!loader->block->trusted && !good_offsets(offsets, offset_count - 1, total)))
		return fail_ids(loader, "do not lie where they must");
	loader->view->count = offset_count - 1;
	loader->view->offsets = offsets;
	loader->view->bytes = bytes;
	return TFRS_OK;
}

static tfrs_status
load_ids(const id_loader *loader)
{
	tfrs_id_view *view = loader->view;
	const void *integers;
	tfrs_status status;

	if (view->kind == TFRS_ID_BYTES)
		return load_bytes(loader);
	status = load_part(loader, "ids", sizeof(int64_t), &integers, &view->count);
	if (status == TFRS_OK)
		view->integers = integers;
	return status;
}

static bool
ascending(const tfrs_id_view *view)
{
	for (size_t row = 1; row < view->count; row++)
		if (tfrs_id_compare(tfrs_id_view_get(view, (uint32_t) row - 1),
							tfrs_id_view_get(view, (uint32_t) row)) >= 0)
			return false;
	return true;
}

/* Whether probing for the row's id meets the row within TFRS_MAX_PROBES slots. */
static bool
row_is_reachable(const tfrs_id_view *view, uint32_t row)
{
	size_t		slot = tfrs_id_hash(tfrs_id_view_get(view, row)) & view->slot_mask;

	for (int i = 0; i < TFRS_MAX_PROBES && view->slots[slot] != 0; i++)
	{
		if (view->slots[slot] == row + 1)
			return true;
		slot = (slot + 1) & view->slot_mask;
	}
	return false;
}

/* N slots are used and each of N rows is in one: so no row is there twice, and nothing else is. */
static bool
good_slots(const tfrs_id_view *view)
{
	size_t		used = 0;

	for (size_t slot = 0; slot <= view->slot_mask; slot++)
		used += view->slots[slot] != 0;
	if (used != view->count)
		return false;
	for (size_t row = 0; row < view->count; row++)
		if (!row_is_reachable(view, (uint32_t) row))
			return false;
	return true;
}

static tfrs_status
load_slots(const id_loader *loader)
{
	const void *slots;
	size_t		slot_count;
	tfrs_status status = load_part(loader, "slots", sizeof(uint32_t), &slots, &slot_count);

	if (status != TFRS_OK)
		return status;
	loader->view->slots = slots;
	loader->view->slot_mask = slot_count - 1;
	if (slot_count != tfrs_id_slot_count(loader->view->count) ||
		(!loader->block->trusted && !good_slots(loader->view)))
		return fail_ids(loader, "have a damaged hash table");
	return TFRS_OK;
}

tfrs_status
tfrs_id_view_load(tfrs_id_view *view, const tfrs_block *block, const char *prefix,
				  tfrs_error *error)
{
	id_loader	loader = {view, block, prefix, error};
	tfrs_status status;

	memset(view, 0, sizeof(*view));
	status = load_kind(&loader);
	if (status == TFRS_OK)
		status = load_ids(&loader);
	if (status == TFRS_OK && !block->trusted && !ascending(view))
		status = fail_ids(&loader, "are not in order");
	if (status == TFRS_OK)
		status = load_slots(&loader);
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
