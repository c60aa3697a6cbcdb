/*
 * block_source.c: where the block of an SQL value lies, and reading it.
 *
 * A stored, uncompressed value (the normal case: storage is EXTERNAL) is read from its TOAST table
 * in pieces, straight to where its bytes belong: the server's own functions would read it whole
 * into memory of theirs, of an alignment of theirs, without looking at a cancel.
 */
#include "server/values/block_source.h"

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/arena.h"

/* Bytes of a value's data before the block. */
#define PADDING ((int32) (TFRS_BLOCK_VALUE_HEADER - VARHDRSZ))

/* Bytes read between two looks at pending interrupts: whole chunks, so that none is read twice. */
#define PIECE_BYTES ((int32) (2048 * TOAST_MAX_CHUNK_SIZE))

tfrs_block_source
tfrs_block_source_open(Datum value, const tfrs_block_type *type)
{
	tfrs_block_source source = {0};
	size_t		data_bytes;

	source.datum = (struct varlena *) DatumGetPointer(value);
	source.kind = type->kind;
	if (VARATT_IS_EXTERNAL_ONDISK(source.datum))
	{
		VARATT_EXTERNAL_GET_POINTER(source.pointer, source.datum);
		source.stored = true;
		data_bytes = source.pointer.va_rawsize - VARHDRSZ;
	}
	else
	{
		source.datum = detoast_attr(source.datum);
		data_bytes = VARSIZE_ANY_EXHDR(source.datum);
	}
	if (data_bytes < PADDING + sizeof(tfrs_block_header))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid %s value", type->name),
				 errdetail("It is too short.")));
	source.block_bytes = data_bytes - PADDING;
	return source;
}

const void *
tfrs_block_source_bytes(const tfrs_block_source *source)
{
	return source->stored ? NULL : VARDATA_ANY(source->datum) + PADDING;
}

tfrs_block_key
tfrs_block_source_key(const tfrs_block_source *source)
{
	tfrs_block_key key = {0};
	struct varlena *head = source->datum;

	if (source->stored)
	{
		key.toast_relation = source->pointer.va_toastrelid;
		key.value_id = source->pointer.va_valueid;
		head = detoast_attr_slice(source->datum, 0, PADDING + sizeof(tfrs_block_header));
	}
	memcpy(key.digest, VARDATA_ANY(head) + PADDING + offsetof(tfrs_block_header, digest),
		   TFRS_DIGEST_BYTES);
	if (source->stored)
		pfree(head);
	return key;
}

static bool
is_plain(const tfrs_block_source *source)
{
	return source->stored && !VARATT_EXTERNAL_IS_COMPRESSED(source->pointer);
}

/* Reads count bytes of the data from at on.  The server puts a slice behind a varlena header, into
 * which it writes nothing: target need only have the bytes before it that the header would take. */
static void
read_piece(Relation relation, const varatt_external *pointer, int32 at, int32 count, char *target)
{
	CHECK_FOR_INTERRUPTS();
	table_relation_fetch_toast_slice(relation, pointer->va_valueid,
									 VARATT_EXTERNAL_GET_EXTSIZE(*pointer), at, count,
									 (struct varlena *) (target - VARHDRSZ));
}

static void
read_plain(const varatt_external *pointer, char *target)
{
	Relation	relation = table_open(pointer->va_toastrelid, AccessShareLock);
	int32		bytes = VARATT_EXTERNAL_GET_EXTSIZE(*pointer);

	for (int32 done = 0; done < bytes; done += PIECE_BYTES)
		read_piece(relation, pointer, done, Min(PIECE_BYTES, bytes - done), target + done);
	table_close(relation, AccessShareLock);
}

const void *
tfrs_block_source_read(const tfrs_block_source *source, MemoryContext context)
{
	char	   *memory = MemoryContextAllocHuge(context, source->block_bytes + 2 * TFRS_ALIGNMENT);
	char	   *block = (char *) TYPEALIGN(TFRS_ALIGNMENT, memory + TFRS_BLOCK_VALUE_HEADER);

	if (is_plain(source))
		read_plain(&source->pointer, block - PADDING);
	else
	{
		struct varlena *plain = detoast_attr(source->datum);

		memcpy(block, VARDATA_ANY(plain) + PADDING, source->block_bytes);
		if (plain != source->datum)
			pfree(plain);
	}
	return block;
}

static bool
write_plain(const varatt_external *pointer, tfrs_shared_file *file)
{
	Relation	relation = table_open(pointer->va_toastrelid, AccessShareLock);
	int32		bytes = VARATT_EXTERNAL_GET_EXTSIZE(*pointer);
	char	   *buffer = palloc(VARHDRSZ + PIECE_BYTES);
	char	   *piece = buffer + VARHDRSZ;
	bool		written = true;

	for (int32 done = 0; done < bytes && written; done += PIECE_BYTES)
	{
		int32		count = Min(PIECE_BYTES, bytes - done);
		int32		skip = done == 0 ? PADDING : 0;

		read_piece(relation, pointer, done, count, piece);
		written = tfrs_shared_file_append(file, piece + skip, count - skip);
	}
	pfree(buffer);
	table_close(relation, AccessShareLock);
	return written;
}

bool
tfrs_block_source_write(const tfrs_block_source *source, tfrs_shared_file *file)
{
	struct varlena *plain;
	bool		written;

	if (is_plain(source))
		return write_plain(&source->pointer, file);
	plain = detoast_attr(source->datum);
	written = tfrs_shared_file_append(file, VARDATA_ANY(plain) + PADDING, source->block_bytes);
	if (plain != source->datum)
		pfree(plain);
	return written;
}
