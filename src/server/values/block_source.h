/*
 * block_source.h: where the block of an SQL value lies, what identifies it, and reading it.
 */
#ifndef TFRS_BLOCK_SOURCE_H
#define TFRS_BLOCK_SOURCE_H

#include "postgres.h"

#include "base/block.h"
#include "base/hash.h"
#include "server/values/block_type.h"
#include "server/host/compat.h"
#include "server/host/shared_file.h"

/* A value before its block is read. */
typedef struct tfrs_block_source
{
	struct varlena *datum;		/* the TOAST pointer where stored, else the plain value */
	bool		stored;			/* pointer tells where */
	varatt_external pointer;
	size_t		block_bytes;
	tfrs_block_kind kind;
} tfrs_block_source;

/* What a block is found under. */
typedef struct tfrs_block_key
{
	Oid			toast_relation; /* InvalidOid: a value without identity */
	Oid			value_id;
	uint8		digest[TFRS_DIGEST_BYTES];	/* as the value claims */
} tfrs_block_key;

/* Raises for a value that is too short to hold a block. */
extern tfrs_block_source tfrs_block_source_open(Datum value, const tfrs_block_type *type);
extern tfrs_block_key tfrs_block_source_key(const tfrs_block_source *source);

/* The bytes of the block where they already are in memory; NULL for a stored value. */
extern const void *tfrs_block_source_bytes(const tfrs_block_source *source);

/* A copy of the block in memory of context, aligned to TFRS_ALIGNMENT. */
extern const void *tfrs_block_source_read(const tfrs_block_source *source, MemoryContext context);

/* Appends the block of a stored value to a file; false where the file does not take it. */
extern bool tfrs_block_source_write(const tfrs_block_source *source, tfrs_shared_file *file);

#endif							/* TFRS_BLOCK_SOURCE_H */
