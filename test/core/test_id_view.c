/*
 * test_id_view.c: damaged and hostile stored ids.  (test_id_set.c loads good ones.)
 */
#include <stdio.h>
#include <string.h>

#include "base/id_set.h"
#include "check.h"

/* The parts of one stored set, as plain arrays that a test changes before they are written. */
typedef struct parts
{
	uint32_t	kind[2];
	size_t		kind_count;
	int64_t		integers[4];
	size_t		integer_count;
	uint64_t	offsets[5];
	size_t		offset_count;
	char		bytes[8];
	size_t		byte_count;
	uint32_t	slots[16];
	size_t		slot_count;
} parts;

static void
add(tfrs_block_writer *writer, const char *name, const void *data, size_t count, size_t size)
{
	if (count > 0)
		CHECK_OK(tfrs_block_writer_add(writer, name, data, count, size, &check_error));
}

static tfrs_block_writer *
new_writer(void)
{
	tfrs_block_writer *writer;

	CHECK_OK(TFRS_GET(check_arena(), &writer, 1, &check_error));
	tfrs_block_writer_init(writer, TFRS_BLOCK_INDEX);
	return writer;
}

/* Writes the block and loads its ids. */
static tfrs_status
write_and_load(tfrs_block_writer *writer)
{
	tfrs_block	block;
	tfrs_id_view view;
	size_t		length;
	void	   *bytes;

	CHECK_OK(tfrs_block_writer_size(writer, &length, &check_error));
	CHECK_OK(tfrs_arena_get(check_arena(), &bytes, length, 1, &check_error));
	tfrs_block_writer_begin(writer, bytes);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		;
	CHECK_OK(tfrs_block_open(&block, bytes, length, TFRS_BLOCK_INDEX, &check_error));
	return tfrs_id_view_load(&view, &block, "", &check_error);
}

static tfrs_status
load(const parts *parts)
{
	tfrs_block_writer *writer = new_writer();

	add(writer, "kind", parts->kind, parts->kind_count, sizeof(parts->kind[0]));
	add(writer, "ids", parts->integers, parts->integer_count, sizeof(parts->integers[0]));
	add(writer, "offsets", parts->offsets, parts->offset_count, sizeof(parts->offsets[0]));
	add(writer, "bytes", parts->bytes, parts->byte_count, 1);
	add(writer, "slots", parts->slots, parts->slot_count, sizeof(parts->slots[0]));
	return write_and_load(writer);
}

/* What a sorted set of the kind looks like: -3, 1, 2, 9 or "a", "ab", "b", "cd". */
static parts
good_parts(tfrs_id_kind kind)
{
	static const int64_t integers[4] = {-3, 1, 2, 9};
	static const char *const texts[4] = {"a", "ab", "b", "cd"};
	parts		parts = {.kind = {kind, 5}, .kind_count = 2, .slot_count = 8};
	uint32_t	new_row[4];
	uint32_t	row;
	tfrs_id_set set;

	CHECK_OK(tfrs_id_set_init(&set, check_arena(), kind, 5, &check_error));
	for (int i = 0; i < 4; i++)
		CHECK_OK(tfrs_id_set_add(&set, kind == TFRS_ID_INTEGER ? tfrs_id_of_integer(integers[i])
								 : tfrs_id_of_bytes(texts[i], strlen(texts[i])), &row,
								 &check_error));
	CHECK_OK(tfrs_id_set_sort(&set, new_row, &check_error));
	memcpy(parts.slots, set.slots, 8 * sizeof(set.slots[0]));
	if (kind == TFRS_ID_INTEGER)
	{
		parts.integer_count = 4;
		memcpy(parts.integers, set.integers, sizeof(integers));
		return parts;
	}
	parts.offset_count = 5;
	parts.byte_count = set.offsets[4];
	memcpy(parts.offsets, set.offsets, sizeof(parts.offsets));
	memcpy(parts.bytes, set.bytes, set.offsets[4]);
	return parts;
}

#define CHECK_DAMAGE(lvalue, value) \
	do { \
		parts		parts = good; \
		parts.lvalue = (value); \
		CHECK_STATUS(load(&parts), TFRS_CORRUPT); \
		CHECK(check_error.detail[0] != '\0'); \
	} while (0)

static size_t
slot_of(const parts *parts, uint32_t value)
{
	size_t		slot = 0;

	while (parts->slots[slot] != value)
		slot++;
	return slot;
}

static void
check_damaged_slots(parts good)
{
	size_t		empty = slot_of(&good, 0);
	size_t		first = slot_of(&good, 1);
	parts		moved = good;

	CHECK_DAMAGE(slot_count, 0);
	CHECK_DAMAGE(slot_count, 4);
	CHECK_DAMAGE(slot_count, 7);
	CHECK_DAMAGE(slot_count, 16);
	CHECK_DAMAGE(slots[empty], 1);
	CHECK_DAMAGE(slots[empty], 5);
	CHECK_DAMAGE(slots[first], 0);
	CHECK_DAMAGE(slots[first], 2);
	CHECK_DAMAGE(slots[first], 5);
	CHECK_DAMAGE(slots[first], UINT32_MAX);
	memset(moved.slots, 0, sizeof(moved.slots));
	for (size_t i = 0; i < 8; i++)
		moved.slots[(i + 1) % 8] = good.slots[i];
	CHECK_STATUS(load(&moved), TFRS_CORRUPT);
	for (size_t i = 0; i < 8; i++)
		moved.slots[i] = (uint32_t) i % 4 + 1;
	CHECK_STATUS(load(&moved), TFRS_CORRUPT);
}

CHECK_TEST(damaged_integers)
{
	parts		good = good_parts(TFRS_ID_INTEGER);

	CHECK_OK(load(&good));
	CHECK_DAMAGE(kind_count, 0);
	CHECK_DAMAGE(kind_count, 1);
	CHECK_DAMAGE(kind[0], 0);
	CHECK_DAMAGE(kind[0], 3);
	CHECK_DAMAGE(kind[0], TFRS_ID_BYTES);
	CHECK_DAMAGE(integer_count, 0);
	CHECK_DAMAGE(integer_count, 3);
	CHECK_DAMAGE(integers[1], -3);
	CHECK_DAMAGE(integers[1], INT64_MAX);
	CHECK_DAMAGE(integers[3], 10);
	check_damaged_slots(good);
}

CHECK_TEST(damaged_bytes)
{
	parts		good = good_parts(TFRS_ID_BYTES);

	CHECK_OK(load(&good));
	CHECK_DAMAGE(kind[0], TFRS_ID_INTEGER);
	CHECK_DAMAGE(offset_count, 0);
	CHECK_DAMAGE(offset_count, 4);
	CHECK_DAMAGE(offsets[0], 1);
	CHECK_DAMAGE(offsets[1], 7);
	CHECK_DAMAGE(offsets[1], UINT64_MAX);
	CHECK_DAMAGE(offsets[2], 0);
	CHECK_DAMAGE(offsets[4], 5);
	CHECK_DAMAGE(offsets[4], 7);
	CHECK_DAMAGE(offsets[4], (uint64_t) 1 << 40);
	CHECK_DAMAGE(byte_count, 0);
	CHECK_DAMAGE(byte_count, 5);
	CHECK_DAMAGE(byte_count, 7);
	CHECK_DAMAGE(bytes[0], 'b');
	CHECK_DAMAGE(bytes[3], 'a');
	CHECK_DAMAGE(bytes[5], 'e');
	check_damaged_slots(good);
}

CHECK_TEST(order_of_ids)
{
	static const int64_t integers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};

	for (int i = 0; i < 5; i++)
		for (int j = 0; j < 5; j++)
			CHECK_EQUAL(tfrs_id_compare(tfrs_id_of_integer(integers[i]),
										tfrs_id_of_integer(integers[j])), (i > j) - (i < j));
	CHECK_EQUAL(tfrs_id_compare(tfrs_id_of_bytes(NULL, 0), tfrs_id_of_bytes(NULL, 0)), 0);
	CHECK(tfrs_id_compare(tfrs_id_of_bytes("ab", 2), tfrs_id_of_bytes("abc", 3)) < 0);
	CHECK(tfrs_id_compare(tfrs_id_of_bytes("b", 1), tfrs_id_of_bytes("abc", 3)) > 0);
}

/* An empty id and the longest one are good, a longer one is not. */
CHECK_TEST(shortest_and_longest_stored_id)
{
	static const char long_id[TFRS_MAX_ID_BYTES + 1];

	for (size_t length = TFRS_MAX_ID_BYTES; length <= sizeof(long_id); length++)
	{
		uint64_t	offsets[3] = {0, 0, length};
		uint32_t	slots[4] = {0, 0, 0, 0};
		uint32_t	head[2];
		size_t		slot = tfrs_hash_bytes(long_id, length) & 3;
		tfrs_id_view view = {
			.kind = TFRS_ID_BYTES, .count = 2, .offsets = offsets, .bytes = long_id,
			.slots = slots, .slot_mask = 3
		};
		tfrs_block_writer *writer = new_writer();

		slots[tfrs_hash_bytes(NULL, 0) & 3] = 1;
		slots[slots[slot] == 0 ? slot : (slot + 1) & 3] = 2;
		CHECK_OK(tfrs_id_view_save(&view, head, writer, "", &check_error));
		CHECK_STATUS(write_and_load(writer), length > TFRS_MAX_ID_BYTES ? TFRS_CORRUPT : TFRS_OK);
	}
}

/* Looked up together or one by one: known ids, unknown ones, and ids of the other kind. */
CHECK_TEST(many_ids_at_once)
{
	tfrs_id_set set;
	tfrs_id_view view;
	tfrs_id		ids[1000];
	char		names[1000][8];
	uint32_t	rows[1000];
	uint32_t	row;

	for (int kind = TFRS_ID_INTEGER; kind <= TFRS_ID_BYTES; kind++)
	{
		CHECK_OK(tfrs_id_set_init(&set, check_arena(), (tfrs_id_kind) kind, 0, &check_error));
		for (int i = 0; i < 1000; i++)
		{
			snprintf(names[i], sizeof(names[i]), "%d", i);
			ids[i] = (kind == TFRS_ID_INTEGER) == (i != 500) ? tfrs_id_of_integer(i)
				: tfrs_id_of_bytes(names[i], strlen(names[i]));
			if (i % 3 == 0 && i != 500)
				CHECK_OK(tfrs_id_set_add(&set, ids[i], &row, &check_error));
		}
		view = tfrs_id_set_view(&set);
		for (size_t count = 0; count <= 1000; count = count * 2 + 1)
		{
			memset(rows, 0, sizeof(rows));
			tfrs_id_view_find_many(&view, ids, count, rows);
			for (size_t i = 0; i < count; i++)
				CHECK(rows[i] == tfrs_id_view_find(&view, ids[i]));
		}
		CHECK(rows[3] == 1 && rows[4] == TFRS_NO_ROW && rows[500] == TFRS_NO_ROW);
	}
}
