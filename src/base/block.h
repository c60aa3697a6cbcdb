/*
 * block.h: position-independent bytes with named parts; the stored form of a model and an index.
 *
 * What is stored in the column is what is mapped and used: a reader's structs point into it.
 *
 *     header (64 bytes) | table of parts (64 bytes each) | parts, each aligned to 64 bytes
 *
 * Integers and floats are in the writer's byte order, which the header names: a block from a
 * machine of the other order is refused.  The header's digest (BLAKE2b-128 over everything but
 * itself) is the build id: no time and no random number is in a block, so equal content gives equal
 * bytes.  Padding is zero.
 *
 * tfrs_block_open treats the bytes as hostile and checks magic, version, byte order, sizes, every
 * offset, names and their order, and that padding is zero; tfrs_block_check_* recomputes the
 * digest.  What the parts mean is checked by the module that reads them.
 */
#ifndef TFRS_BLOCK_H
#define TFRS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"

#define TFRS_BLOCK_FORMAT 1

typedef enum tfrs_block_kind
{
	TFRS_BLOCK_MODEL = 1,
	TFRS_BLOCK_INDEX = 2
} tfrs_block_kind;

typedef struct tfrs_block_header
{
	char		magic[8];		/* "TFRSBLOK" */
	uint32_t	format;			/* TFRS_BLOCK_FORMAT */
	uint32_t	byte_order;		/* 0x01020304 */
	uint32_t	kind;			/* tfrs_block_kind */
	uint32_t	part_count;
	uint64_t	total_bytes;	/* header, table, parts and padding */
	uint8_t		digest[TFRS_DIGEST_BYTES];
	uint8_t		reserved[16];	/* zero */
} tfrs_block_header;

typedef struct tfrs_block_part
{
	char		name[TFRS_MAX_PART_NAME];	/* zero padded; parts are sorted by name */
	uint64_t	offset;			/* from the start of the block, a multiple of 64 */
	uint64_t	bytes;			/* a multiple of element_size */
	uint32_t	element_size;	/* > 0 */
	uint32_t	reserved;		/* zero */
} tfrs_block_part;

/*
 * A checked block.  The bytes stay the caller's and must stay where they are.  Opened, it is not
 * trusted: who reads parts checks what they hold, which is a pass over all bytes.  The host may set
 * trusted where just these bytes were read before.
 */
typedef struct tfrs_block
{
	const tfrs_block_header *header;
	const tfrs_block_part *parts;
	bool		trusted;
} tfrs_block;

/* bytes must be aligned to 8.  Errors: TFRS_CORRUPT, TFRS_NEWER_FORMAT. */
extern tfrs_status tfrs_block_open(tfrs_block *block, const void *bytes, size_t length,
								   tfrs_block_kind kind, tfrs_error *error);

/* Recomputes the digest, TFRS_MORE until all bytes are read; a step reads at most 4 MB. */
typedef struct tfrs_block_check
{
	const tfrs_block_header *header;
	size_t		done;
	tfrs_digest digest;
} tfrs_block_check;

extern void tfrs_block_check_begin(tfrs_block_check *check, const tfrs_block *block);
extern tfrs_status tfrs_block_check_step(tfrs_block_check *check, tfrs_error *error);

/*
 * Finds a part: *data points into the block and *count is the number of elements.  A missing part
 * or another element size is TFRS_CORRUPT; tfrs_block_has asks first where a part is optional.
 */
extern tfrs_status tfrs_block_find(const tfrs_block *block, const char *name, size_t element_size,
								   const void **data, size_t *count, tfrs_error *error);
extern bool tfrs_block_has(const tfrs_block *block, const char *name);

/* The same with the count known: any other count is TFRS_CORRUPT. */
extern tfrs_status tfrs_block_find_exact(const tfrs_block *block, const char *name,
										 size_t element_size, size_t count, const void **data,
										 tfrs_error *error);

/* A part's name under a prefix; what is too long is cut, and is then not found. */
typedef struct tfrs_part_name
{
	char		text[TFRS_MAX_PART_NAME];
} tfrs_part_name;

extern tfrs_part_name tfrs_part_name_of(const char *prefix, const char *name);

/*
 * Writing: add parts in any order (their bytes stay the caller's until the end), ask for the size,
 * then copy into memory of that size step by step (at most 4 MB a step).  prefix is put before
 * every name that is added while it is set ("query.", "index."); "" at first.
 */
typedef struct tfrs_block_writer
{
	tfrs_block_kind kind;
	uint32_t	part_count;
	const char *prefix;
	tfrs_block_part parts[TFRS_MAX_BLOCK_PARTS];
	const void *sources[TFRS_MAX_BLOCK_PARTS];
	/* state of the copy */
	uint8_t    *target;
	uint32_t	part;
	size_t		done;
	tfrs_block_check check;
} tfrs_block_writer;

extern void tfrs_block_writer_init(tfrs_block_writer *writer, tfrs_block_kind kind);
extern tfrs_status tfrs_block_writer_add(tfrs_block_writer *writer, const char *name,
										 const void *data, size_t count, size_t element_size,
										 tfrs_error *error);

/* Bytes that further parts may have in all, about. */
extern size_t tfrs_block_writer_room(const tfrs_block_writer *writer);

/* Lays the parts out.  Error: TFRS_TOO_LARGE past TFRS_MAX_BLOCK_BYTES. */
extern tfrs_status tfrs_block_writer_size(tfrs_block_writer *writer, size_t *bytes,
										  tfrs_error *error);
extern void tfrs_block_writer_begin(tfrs_block_writer *writer, void *target);
extern tfrs_status tfrs_block_writer_step(tfrs_block_writer *writer);

#endif							/* TFRS_BLOCK_H */
