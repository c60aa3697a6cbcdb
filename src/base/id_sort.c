/*
 * id_sort.c: merge sort of (prefix, row) entries, then the set's arrays anew.
 *
 * No recursion, never quadratic, and one code for both kinds.  The prefix is the whole of an
 * integer id, and of the other kind the first 8 bytes behind what all ids begin with
 * ("customer-"), so that few comparisons touch the ids.  Runs of 32,768 entries are sorted in one
 * step, in the cache; longer ones are merged piece by piece.
 */
#include "base/id_sort.h"

#include <string.h>

/* Entries of a run that one step sorts, and of a piece of every other phase. */
#define RUN ((size_t) 32768)

/* Slots that one step clears. */
#define CLEAR ((size_t) 4 << 20)

/* Turns the order of integers into that of unsigned numbers. */
#define SIGN_BIT (UINT64_C(1) << 63)

struct tfrs_id_sort_entry
{
	uint64_t	prefix;			/* unsigned order is the order of the ids, but for equal prefixes */
	uint32_t	row;
};

enum
{
	FIND_COMMON,
	SORT_RUNS,
	MERGE_RUNS,
	WRITE_IDS,
	CLEAR_SLOTS,
	FILL_SLOTS,
	SORTED
};

tfrs_status
tfrs_id_sort_begin(tfrs_id_sort *sort, tfrs_id_set *set, uint32_t *new_row, tfrs_error *error)
{
	tfrs_status status;

	memset(sort, 0, sizeof(*sort));
	sort->set = set;
	sort->new_row = new_row;
	sort->phase = set->kind == TFRS_ID_BYTES ? FIND_COMMON : SORT_RUNS;
	sort->common = set->kind == TFRS_ID_BYTES && set->count > 0 ? set->offsets[1] : 0;
	status = TFRS_GET(set->arena, &sort->entries, set->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(set->arena, &sort->scratch, set->count, error);
	if (status == TFRS_OK && set->kind == TFRS_ID_BYTES)
		status = TFRS_GET(set->arena, &sort->offsets, set->capacity + 1, error);
	if (status == TFRS_OK && set->kind == TFRS_ID_BYTES)
		status = TFRS_GET(set->arena, &sort->bytes, set->bytes_capacity, error);
	if (status != TFRS_OK)
		tfrs_id_sort_end(sort);
	else if (set->kind == TFRS_ID_BYTES)
		sort->offsets[0] = 0;
	return status;
}

void
tfrs_id_sort_end(tfrs_id_sort *sort)
{
	if (sort->set == NULL)
		return;
	tfrs_arena_release(sort->set->arena, sort->entries);
	tfrs_arena_release(sort->set->arena, sort->scratch);
	tfrs_arena_release(sort->set->arena, sort->offsets);
	tfrs_arena_release(sort->set->arena, sort->bytes);
	memset(sort, 0, sizeof(*sort));
}

/* The piece [start, *end) of count that comes next; moves to the next phase behind the last one. */
static size_t
next_piece(tfrs_id_sort *sort, size_t count, size_t size, size_t *end)
{
	size_t		start = sort->position;

	*end = count - start < size ? count : start + size;
	sort->position = *end;
	if (*end == count)
	{
		sort->phase++;
		sort->position = 0;
	}
	return start;
}

static void
find_common(tfrs_id_sort *sort)
{
	tfrs_id_view view = tfrs_id_set_view(sort->set);
	size_t		end;

	for (size_t row = next_piece(sort, view.count, RUN, &end); row < end; row++)
	{
		tfrs_id		first = tfrs_id_view_get(&view, 0);
		tfrs_id		id = tfrs_id_view_get(&view, (uint32_t) row);

		if (sort->common > id.length)
			sort->common = id.length;
		while (sort->common > 0 && memcmp(first.bytes, id.bytes, sort->common) != 0)
			sort->common--;
	}
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
entry_before(const tfrs_id_view *view, const tfrs_id_sort_entry *a, const tfrs_id_sort_entry *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	return tfrs_id_compare(tfrs_id_view_get(view, a->row), tfrs_id_view_get(view, b->row)) < 0;
}

static void
begin_merge(tfrs_id_sort *sort, size_t start, size_t count)
{
	sort->left = start;
	sort->middle = count - start < sort->width ? count : start + sort->width;
	sort->right = sort->middle;
	sort->end = count - sort->middle < sort->width ? count : sort->middle + sort->width;
}

/* Merges the two runs that merging is at into scratch [position, limit). */
static void
merge(tfrs_id_sort *sort, const tfrs_id_view *view, size_t limit)
{
	const tfrs_id_sort_entry *from = sort->entries;
	size_t		left = sort->left;
	size_t		right = sort->right;

	for (size_t i = sort->position; i < limit; i++)
	{
		bool		take_right = left == sort->middle ||
			(right < sort->end && entry_before(view, &from[right], &from[left]));

		sort->scratch[i] = take_right ? from[right++] : from[left++];
	}
	sort->left = left;
	sort->right = right;
	sort->position = limit;
}

static void
swap_arrays(tfrs_id_sort *sort)
{
	tfrs_id_sort_entry *swap = sort->entries;

	sort->entries = sort->scratch;
	sort->scratch = swap;
}

/* Sorts the entries [start, end) by merging runs of 1, 2, 4, ...; they end up where they were. */
static void
sort_run(tfrs_id_sort *sort, const tfrs_id_view *view, size_t start, size_t end)
{
	bool		swapped = false;

	for (sort->width = 1; sort->width < end - start; sort->width *= 2)
	{
		sort->position = start;
		while (sort->position < end)
		{
			begin_merge(sort, sort->position, end);
			merge(sort, view, sort->end);
		}
		swap_arrays(sort);
		swapped = !swapped;
	}
	if (!swapped)
		return;
	memcpy(sort->scratch + start, sort->entries + start,
		   (end - start) * sizeof(sort->entries[0]));
	swap_arrays(sort);
}

static void
sort_runs(tfrs_id_sort *sort)
{
	tfrs_id_view view = tfrs_id_set_view(sort->set);
	size_t		end;
	size_t		start = next_piece(sort, view.count, RUN, &end);
	size_t		next = sort->position;

	for (size_t row = start; row < end; row++)
	{
		sort->entries[row].prefix = prefix_of(tfrs_id_view_get(&view, (uint32_t) row),
											  sort->common);
		sort->entries[row].row = (uint32_t) row;
	}
	sort_run(sort, &view, start, end);
	sort->position = next;
	if (sort->phase == MERGE_RUNS)
	{
		sort->width = RUN;
		begin_merge(sort, 0, view.count);
	}
}

/* One piece of a pass over all runs; after the last pass the sorted entries are in entries. */
static void
merge_runs(tfrs_id_sort *sort)
{
	tfrs_id_view view = tfrs_id_set_view(sort->set);
	size_t		room = sort->end - sort->position;

	if (sort->width >= view.count)
	{
		sort->phase = WRITE_IDS;
		sort->position = 0;
		return;
	}
	merge(sort, &view, sort->position + (room < RUN ? room : RUN));
	if (sort->position < sort->end)
		return;
	if (sort->end == view.count)
	{
		swap_arrays(sort);
		sort->width *= 2;
		sort->position = 0;
	}
	begin_merge(sort, sort->position, view.count);
}

static void
write_ids(tfrs_id_sort *sort)
{
	tfrs_id_set *set = sort->set;
	tfrs_id_view view = tfrs_id_set_view(set);
	size_t		end;

	for (size_t i = next_piece(sort, set->count, RUN, &end); i < end; i++)
	{
		uint32_t	row = sort->entries[i].row;

		sort->new_row[row] = (uint32_t) i;
		if (set->kind == TFRS_ID_INTEGER)
			set->integers[i] = (int64_t) (sort->entries[i].prefix ^ SIGN_BIT);
		else
		{
			tfrs_id		id = tfrs_id_view_get(&view, row);

			memcpy(sort->bytes + sort->offsets[i], id.bytes, id.length);
			sort->offsets[i + 1] = sort->offsets[i] + id.length;
		}
	}
	if (sort->phase == WRITE_IDS || set->kind == TFRS_ID_INTEGER)
		return;
	tfrs_arena_release(set->arena, set->offsets);
	tfrs_arena_release(set->arena, set->bytes);
	set->offsets = sort->offsets;
	set->bytes = sort->bytes;
	sort->offsets = NULL;
	sort->bytes = NULL;
}

static void
clear_slots(tfrs_id_sort *sort)
{
	tfrs_id_set *set = sort->set;
	size_t		end;
	size_t		start = next_piece(sort, set->slot_mask + 1, CLEAR, &end);

	memset(set->slots + start, 0, (end - start) * sizeof(set->slots[0]));
}

static tfrs_status
fill_slots(tfrs_id_sort *sort, tfrs_error *error)
{
	tfrs_id_set *set = sort->set;
	tfrs_id_view view = tfrs_id_set_view(set);
	size_t		end;

	for (size_t row = next_piece(sort, set->count, RUN, &end); row < end; row++)
	{
		uint64_t	hash = tfrs_id_hash(tfrs_id_view_get(&view, (uint32_t) row));

		if (!tfrs_id_set_place(set->slots, set->slot_mask, hash, (uint32_t) row))
			return tfrs_id_set_fail_probes(error);
	}
	return TFRS_OK;
}

tfrs_status
tfrs_id_sort_step(tfrs_id_sort *sort, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	switch (sort->phase)
	{
		case FIND_COMMON:
			find_common(sort);
			break;
		case SORT_RUNS:
			sort_runs(sort);
			break;
		case MERGE_RUNS:
			merge_runs(sort);
			break;
		case WRITE_IDS:
			write_ids(sort);
			break;
		case CLEAR_SLOTS:
			clear_slots(sort);
			break;
		case FILL_SLOTS:
			status = fill_slots(sort, error);
			break;
		default:
			return TFRS_OK;
	}
	return status == TFRS_OK ? TFRS_MORE : status;
}

tfrs_status
tfrs_id_set_sort(tfrs_id_set *set, uint32_t *new_row, tfrs_error *error)
{
	tfrs_id_sort sort;
	tfrs_status status = tfrs_id_sort_begin(&sort, set, new_row, error);

	if (status != TFRS_OK)
		return status;
	do
		status = tfrs_id_sort_step(&sort, error);
	while (status == TFRS_MORE);
	tfrs_id_sort_end(&sort);
	return status;
}
