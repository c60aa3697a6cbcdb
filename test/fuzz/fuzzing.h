/*
 * fuzzing.h: what the fuzz targets for blocks share: a harness for the tests' helpers that aborts,
 * and good blocks that the input damages.
 *
 * Random bytes hardly ever form a block, so the input is a list of patches to one of a few good
 * blocks.  Each patch names a part of the block (or its header and table), a place within it and a
 * new byte: small parts, where counts and offsets are, are hit as often as large ones.  The core
 * does not look at the digest (its caller does), so nothing has to be sealed again.
 */
#ifndef TFRS_FUZZING_H
#define TFRS_FUZZING_H

#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/kernels.h"
#include "check.h"

#define REQUIRE(condition) ((condition) ? (void) 0 : abort())

/* Input bytes of a patch: part, place (2), value. */
#define PATCH_BYTES 4

tfrs_error	check_error;

/* Makes the target's good blocks. */
static void prepare(void);

/* Preparing may take longer than an input may. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	tfrs_kernels_choose(true);
	prepare();
	return 0;
}

void
check_fail(const char *file, int line, const char *format,...)
{
	(void) file;
	(void) line;
	(void) format;
	abort();
}

void
check_status(const char *file, int line, const char *text, tfrs_status got, tfrs_status expected)
{
	(void) file;
	(void) line;
	(void) text;
	REQUIRE(got == expected);
}

/* A good block; its bytes live until the program ends. */
typedef struct good_block
{
	tfrs_block_kind kind;
	void	   *bytes;
	size_t		length;
} good_block;

static inline void
good_block_write(good_block *good, tfrs_block_writer *writer)
{
	REQUIRE(tfrs_block_writer_size(writer, &good->length, &check_error) == TFRS_OK);
	good->kind = writer->kind;
	good->bytes = malloc(good->length);
	REQUIRE(good->bytes != NULL);
	tfrs_block_writer_begin(writer, good->bytes);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		;
}

/* The bytes that a patch may change: one of the parts, or header and table. */
static inline uint8_t *
patched_bytes(uint8_t *bytes, const tfrs_block *block, uint8_t choice, size_t *length)
{
	uint32_t	part = choice % (block->header->part_count + 1);

	*length = sizeof(tfrs_block_header) + block->header->part_count * sizeof(tfrs_block_part);
	if (part == block->header->part_count)
		return bytes;
	*length = block->parts[part].bytes;
	return bytes + block->parts[part].offset;
}

/* A copy of the good block with the input's patches, of just its length; the caller frees it. */
static inline void *
good_block_patched(const good_block *good, const uint8_t *input, size_t size)
{
	uint8_t    *copy = malloc(good->length);
	tfrs_block	block;

	REQUIRE(copy != NULL &&
			tfrs_block_open(&block, good->bytes, good->length, good->kind,
							&check_error) == TFRS_OK);
	memcpy(copy, good->bytes, good->length);
	for (; size >= PATCH_BYTES; size -= PATCH_BYTES, input += PATCH_BYTES)
	{
		size_t		length;
		uint8_t    *target = patched_bytes(copy, &block, input[0], &length);

		if (length > 0)
			target[(input[1] | (size_t) input[2] << 8) % length] = input[3];
	}
	return copy;
}

#endif							/* TFRS_FUZZING_H */
