/*
 * fuzz_block.c: hostile bytes as a block, and as the ids within one (libFuzzer).
 *
 * A block has one canonical layout, which random bytes hardly ever have.  So the first byte of the
 * input chooses what the rest is: the block itself, patches to a good block, or the contents of the
 * parts of an id set.  What loads is then used, under the sanitizers: looking up and reading ids
 * must stay inside, and ids must be what loading promises.
 */
#include <stdlib.h>
#include <string.h>

#include "base/id_set.h"

#define REQUIRE(condition) ((condition) ? (void) 0 : abort())

static tfrs_error error;

/* Everything that a loaded view promises. */
static void
use_ids(const tfrs_id_view *view)
{
	for (uint32_t row = 0; row < view->count; row++)
	{
		tfrs_id		id = tfrs_id_view_get(view, row);

		REQUIRE(tfrs_id_view_find(view, id) == row);
		REQUIRE(row == 0 || tfrs_id_compare(tfrs_id_view_get(view, row - 1), id) < 0);
	}
	(void) tfrs_id_view_find(view, tfrs_id_of_integer(1));
	(void) tfrs_id_view_find(view, tfrs_id_of_bytes("a", 1));
}

static void
use_block(const tfrs_block *block)
{
	static const char *const prefixes[] = {"", "query.", "candidate."};
	tfrs_block_check check;

	for (uint32_t i = 0; i < block->header->part_count; i++)
	{
		const tfrs_block_part *part = &block->parts[i];
		const void *data;
		size_t		count;
		volatile uint8_t last;

		REQUIRE(tfrs_block_find(block, part->name, part->element_size, &data, &count,
								&error) == TFRS_OK);
		if (part->bytes > 0)
			last = ((const uint8_t *) data)[part->bytes - 1];
		(void) last;
	}
	for (int i = 0; i < 3; i++)
	{
		tfrs_id_view view;

		if (tfrs_id_view_load(&view, block, prefixes[i], &error) == TFRS_OK)
			use_ids(&view);
	}
	tfrs_block_check_begin(&check, block);
	while (tfrs_block_check_step(&check, &error) == TFRS_MORE)
		;
}

/* Opens a copy of exactly the length, so that reading behind it is noticed. */
static void
try_bytes(const void *bytes, size_t length)
{
	void	   *copy = malloc(length + (length == 0));
	tfrs_block	block;

	if (length > 0)
		memcpy(copy, bytes, length);
	if (tfrs_block_open(&block, copy, length, TFRS_BLOCK_MODEL, &error) == TFRS_OK)
		use_block(&block);
	free(copy);
}

static void *
write_block(tfrs_block_writer *writer, tfrs_arena *arena, size_t *length)
{
	void	   *bytes;

	REQUIRE(tfrs_block_writer_size(writer, length, &error) == TFRS_OK);
	REQUIRE(tfrs_arena_get(arena, &bytes, *length, 1, &error) == TFRS_OK);
	tfrs_block_writer_begin(writer, bytes);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		;
	return bytes;
}

/* A good block with a few ids of both kinds, then a byte replaced for every 3 bytes of input. */
static void
try_patches(tfrs_block_writer *writer, tfrs_arena *arena, const uint8_t *input, size_t size)
{
	tfrs_id_set sets[2];
	tfrs_id_view views[2];
	uint32_t	heads[2][2];
	uint32_t	row;
	uint32_t	new_row[16];
	size_t		length;
	uint8_t    *bytes;

	for (int kind = TFRS_ID_INTEGER; kind <= TFRS_ID_BYTES; kind++)
	{
		tfrs_id_set *set = &sets[kind - 1];

		REQUIRE(tfrs_id_set_init(set, arena, kind, 0, &error) == TFRS_OK);
		for (int64_t i = 0; i < 5; i++)
			REQUIRE(tfrs_id_set_add(set, kind == TFRS_ID_INTEGER ? tfrs_id_of_integer(i * i - 3)
									: tfrs_id_of_bytes("abcdefgh", (size_t) i), &row,
									&error) == TFRS_OK);
		REQUIRE(tfrs_id_set_sort(set, new_row, &error) == TFRS_OK);
		views[kind - 1] = tfrs_id_set_view(set);
		REQUIRE(tfrs_id_view_save(&views[kind - 1], heads[kind - 1], writer,
								  kind == TFRS_ID_INTEGER ? "query." : "candidate.",
								  &error) == TFRS_OK);
	}
	bytes = write_block(writer, arena, &length);
	for (; size >= 3; size -= 3, input += 3)
		bytes[(input[0] | (size_t) input[1] << 8) % length] = input[2];
	try_bytes(bytes, length);
}

/* The parts of an id set: for each a length in elements, then its bytes. */
static void
try_parts(tfrs_block_writer *writer, tfrs_arena *arena, const uint8_t *input, size_t size)
{
	static const struct
	{
		const char *name;
		size_t		element_size;
	}			parts[] = {{"kind", 4}, {"ids", 8}, {"offsets", 8}, {"bytes", 1}, {"slots", 4}};
	size_t		length;
	void	   *bytes;

	for (int i = 0; i < 5 && size > 0; i++)
	{
		size_t		count = input[0];

		input++;
		size--;
		if (count > size / parts[i].element_size)
			count = size / parts[i].element_size;
		if (count > 0)
			REQUIRE(tfrs_block_writer_add(writer, parts[i].name, input, count,
										  parts[i].element_size, &error) == TFRS_OK);
		input += count * parts[i].element_size;
		size -= count * parts[i].element_size;
	}
	bytes = write_block(writer, arena, &length);
	try_bytes(bytes, length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static tfrs_block_writer writer;
	tfrs_arena	arena;

	if (size == 0)
		return 0;
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	if (input[0] == 'b')
		try_bytes(input + 1, size - 1);
	else if (input[0] == 'p')
		try_patches(&writer, &arena, input + 1, size - 1);
	else
		try_parts(&writer, &arena, input + 1, size - 1);
	tfrs_arena_free(&arena);
	return 0;
}
