/*
 * block_type.h: what tfrs.model and tfrs.candidate_index have in common: a block as a column value.
 *
 *     4 bytes varlena header | 4 zero bytes | block (base/block.h)
 *
 * The types are declared with ALIGNMENT = double, so that a detoasted value's block is aligned to 8
 * bytes, as tfrs_block_open wants it.  Text form: base64 of the block; binary form: the block.
 */
#ifndef TFRS_BLOCK_TYPE_H
#define TFRS_BLOCK_TYPE_H

#include "postgres.h"

#include "fmgr.h"

#include "base/block.h"
#include "base/status.h"
#include "server/host/compat.h"

typedef struct tfrs_block_value
{
	int32		vl_len_;		/* never touched but by SET_VARSIZE */
	uint32		zero;
	uint64		block[FLEXIBLE_ARRAY_MEMBER];
} tfrs_block_value;

#define TFRS_BLOCK_VALUE_HEADER offsetof(tfrs_block_value, block)

/* A type made of blocks. */
typedef struct tfrs_block_type
{
	const char *name;			/* for errors: "tfrs.model" */
	tfrs_block_kind kind;

	/* Checks that the parts mean what they should; the header, the table of parts and the digest
	 * are checked before.  May raise, for lack of memory. */
	tfrs_status (*check) (const tfrs_block *block, tfrs_error *error);
	const char *hint;			/* for a value that is refused, or NULL */
} tfrs_block_type;

/* The bodies of the input and output functions.  Bytes that come in are treated as hostile; what is
 * wrong with them is an ERROR "invalid NAME value", soft where the caller asked for that. */
extern Datum tfrs_block_type_in(FunctionCallInfo fcinfo, const tfrs_block_type *type);
extern Datum tfrs_block_type_out(FunctionCallInfo fcinfo);
extern Datum tfrs_block_type_recv(FunctionCallInfo fcinfo, const tfrs_block_type *type);
extern Datum tfrs_block_type_send(FunctionCallInfo fcinfo);

/* Room for a block of that many bytes (at most TFRS_MAX_BLOCK_BYTES), header set, bytes not. */
extern tfrs_block_value *tfrs_block_value_make(size_t bytes);

/* Recomputes the digest of an opened block, open to a cancel. */
extern tfrs_status tfrs_block_value_verify(const tfrs_block *block, tfrs_error *error);

/* A digest as hexadecimal text. */
extern char *tfrs_block_digest_text(const uint8_t digest[TFRS_DIGEST_BYTES]);

/* The block's bytes in a detoasted value. */
static inline const void *
tfrs_block_value_bytes(const void *value, size_t *length)
{
	size_t		size = VARSIZE(value);

	*length = size < TFRS_BLOCK_VALUE_HEADER ? 0 : size - TFRS_BLOCK_VALUE_HEADER;
	return ((const tfrs_block_value *) value)->block;
}

#endif							/* TFRS_BLOCK_TYPE_H */
