/*
 * block.c: reading hostile blocks, and writing blocks in one canonical form.
 *
 * There is one layout for a given set of parts: header, table, then the parts in the order of their
 * names, each at the next multiple of 64, the end of the block too.  So a reader need not search
 * for overlaps: it computes where each part must lie and refuses everything else.  Parts without
 * bytes are allowed.
 *
 * The digest takes in the whole block but for its own 16 bytes.
 */
#include "base/block.h"

#include <stdio.h>
#include <string.h>

#define BYTE_ORDER_MARK UINT32_C(0x01020304)
#define BYTE_ORDER_SWAPPED UINT32_C(0x04030201)
#define BYTES_PER_STEP ((size_t) 4 * 1024 * 1024)

_Static_assert(sizeof(tfrs_block_header) == 64, "the header's size is part of the format");
_Static_assert(sizeof(tfrs_block_part) == 64, "a table entry's size is part of the format");
_Static_assert(TFRS_MAX_BLOCK_BYTES <= SIZE_MAX / 2, "sums of two sizes within a block must fit");

static const char magic[8] = {'T', 'F', 'R', 'S', 'B', 'L', 'O', 'K'};

static const char *
kind_name(uint32_t kind)
{
	return kind == TFRS_BLOCK_MODEL ? "model" : kind == TFRS_BLOCK_INDEX ? "index" : "value";
}

/* The one wording for bytes that are not a block; why is a sentence. */
static tfrs_status
fail_corrupt(tfrs_error *error, uint32_t kind, const char *why)
{
	tfrs_fail(error, TFRS_CORRUPT, "invalid %s", kind_name(kind));
	tfrs_error_detail(error, "%s", why);
	return TFRS_CORRUPT;
}

static tfrs_status
fail_part(tfrs_error *error, const tfrs_block *block, const char *name, const char *why)
{
	tfrs_fail(error, TFRS_CORRUPT, "invalid %s", kind_name(block->header->kind));
	tfrs_error_detail(error, "Part \"%s\" %s.", name, why);
	return TFRS_CORRUPT;
}

static tfrs_status
fail_newer(tfrs_error *error, tfrs_block_kind kind, uint32_t format)
{
	tfrs_fail(error, TFRS_NEWER_FORMAT, "%s has format version %u, newer than version %d",
			  kind_name(kind), (unsigned) format, TFRS_BLOCK_FORMAT);
	tfrs_error_hint(error, "Upgrade the extension tfrs_retrieval to a release that reads it.");
	return TFRS_NEWER_FORMAT;
}

static bool
all_zero(const void *bytes, size_t count)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < count; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static size_t
round_up(size_t bytes)
{
	return (bytes + TFRS_ALIGNMENT - 1) / TFRS_ALIGNMENT * TFRS_ALIGNMENT;
}

static size_t
table_end(uint32_t part_count)
{
	return sizeof(tfrs_block_header) + part_count * sizeof(tfrs_block_part);
}

static tfrs_status
check_header(const tfrs_block_header *header, size_t length, tfrs_block_kind kind,
			 tfrs_error *error)
{
	if (length < sizeof(*header) || memcmp(header->magic, magic, sizeof(magic)) != 0)
		return fail_corrupt(error, kind, "It does not start with the header of a block.");
	if (header->byte_order == BYTE_ORDER_SWAPPED)
		return fail_corrupt(error, kind, "It was written on a machine of the other byte order.");
	if (header->byte_order != BYTE_ORDER_MARK)
		return fail_corrupt(error, kind, "Its byte order mark is damaged.");
	if (header->format > TFRS_BLOCK_FORMAT)
		return fail_newer(error, kind, header->format);
	if (header->format != TFRS_BLOCK_FORMAT)
		return fail_corrupt(error, kind, "Its format version does not exist.");
	if (header->kind != (uint32_t) kind)
		return fail_corrupt(error, kind, "It is a block of another kind.");
	if (header->total_bytes != length || length > TFRS_MAX_BLOCK_BYTES)
		return fail_corrupt(error, kind, "Its length is not the one that its header names.");
	if (!all_zero(header->reserved, sizeof(header->reserved)))
		return fail_corrupt(error, kind, "Reserved bytes of its header are not zero.");
	if (header->part_count > TFRS_MAX_BLOCK_PARTS || table_end(header->part_count) > length)
		return fail_corrupt(error, kind, "Its number of parts is impossible.");
	return TFRS_OK;
}

/* Printable, not empty, terminated, and zeros to the end. */
static bool
good_name(const char name[TFRS_MAX_PART_NAME])
{
	size_t		length = 0;

	while (length < TFRS_MAX_PART_NAME && name[length] > ' ' && name[length] <= '~')
		length++;
	return length > 0 && length < TFRS_MAX_PART_NAME &&
		all_zero(name + length, TFRS_MAX_PART_NAME - length);
}

/* A sentence about what is wrong with a part that must start at offset, or NULL. */
static const char *
check_part(const tfrs_block_part *part, size_t offset, size_t length)
{
	if (!good_name(part->name))
		return "A name in its table of parts is damaged.";
	if (part->reserved != 0 || part->element_size == 0 || part->bytes % part->element_size != 0)
		return "An entry of its table of parts is damaged.";
	if (part->offset != offset || part->bytes > length - offset)
		return "A part does not lie where it must.";
	return NULL;
}

/* Walks the parts in the only order and places they may have. */
static const char *
check_parts(const uint8_t *bytes, size_t length, const tfrs_block_part *parts, uint32_t part_count)
{
	size_t		offset = table_end(part_count);

	for (uint32_t i = 0; i < part_count; i++)
	{
		const char *why = check_part(&parts[i], offset, length);
		size_t		end;

		if (why != NULL)
			return why;
		if (i > 0 && strcmp(parts[i - 1].name, parts[i].name) >= 0)
			return "The names of its parts are not in order.";
		end = offset + parts[i].bytes;
		offset = round_up(end);
		if (offset > length || !all_zero(bytes + end, offset - end))
			return "Bytes between its parts are missing or not zero.";
	}
	return offset == length ? NULL : "There are bytes behind its last part.";
}

tfrs_status
tfrs_block_open(tfrs_block *block, const void *bytes, size_t length, tfrs_block_kind kind,
				tfrs_error *error)
{
	const tfrs_block_header *header = bytes;
	const tfrs_block_part *parts;
	const char *why;
	tfrs_status status = check_header(header, length, kind, error);

	if (status != TFRS_OK)
		return status;
	parts = (const tfrs_block_part *) (header + 1);
	why = check_parts(bytes, length, parts, header->part_count);
	if (why != NULL)
		return fail_corrupt(error, kind, why);
	block->header = header;
	block->parts = parts;
	block->trusted = false;
	return TFRS_OK;
}

void
tfrs_block_check_begin(tfrs_block_check *check, const tfrs_block *block)
{
	check->header = block->header;
	check->done = 0;
	tfrs_digest_begin(&check->digest);
}

/* Takes the next bytes into the digest; false when all were. */
static bool
digest_more(tfrs_block_check *check)
{
	const tfrs_block_header *header = check->header;
	size_t		take = header->total_bytes - check->done;

	if (check->done == 0)
	{
		tfrs_digest_add(&check->digest, header, offsetof(tfrs_block_header, digest));
		tfrs_digest_add(&check->digest, header->reserved, sizeof(header->reserved));
		check->done = sizeof(*header);
		return true;
	}
	if (take == 0)
		return false;
	take = take < BYTES_PER_STEP ? take : BYTES_PER_STEP;
	tfrs_digest_add(&check->digest, (const uint8_t *) header + check->done, take);
	check->done += take;
	return true;
}

tfrs_status
tfrs_block_check_step(tfrs_block_check *check, tfrs_error *error)
{
	uint8_t		digest[TFRS_DIGEST_BYTES];

	if (digest_more(check))
		return TFRS_MORE;
	tfrs_digest_end(&check->digest, digest);
	if (memcmp(digest, check->header->digest, sizeof(digest)) != 0)
		return fail_corrupt(error, check->header->kind,
							"Its bytes do not have the digest that its header names.");
	return TFRS_OK;
}

static const tfrs_block_part *
find_part(const tfrs_block *block, const char *name)
{
	for (uint32_t i = 0; i < block->header->part_count; i++)
		if (strcmp(block->parts[i].name, name) == 0)
			return &block->parts[i];
	return NULL;
}

bool
tfrs_block_has(const tfrs_block *block, const char *name)
{
	return find_part(block, name) != NULL;
}

tfrs_status
tfrs_block_find(const tfrs_block *block, const char *name, size_t element_size, const void **data,
				size_t *count, tfrs_error *error)
{
	const tfrs_block_part *part = find_part(block, name);

	if (part == NULL)
		return fail_part(error, block, name, "is missing");
	if (part->element_size != element_size)
		return fail_part(error, block, name, "has elements of another size");
	*data = (const uint8_t *) block->header + part->offset;
	*count = part->bytes / element_size;
	return TFRS_OK;
}

tfrs_status
tfrs_block_find_exact(const tfrs_block *block, const char *name, size_t element_size, size_t count,
					  const void **data, tfrs_error *error)
{
	size_t		found;
	tfrs_status status = tfrs_block_find(block, name, element_size, data, &found, error);

	if (status == TFRS_OK && found != count)
		return fail_part(error, block, name, "has another number of elements than it must");
	return status;
}

tfrs_part_name
tfrs_part_name_of(const char *prefix, const char *name)
{
	tfrs_part_name result;

	snprintf(result.text, sizeof(result.text), "%s%s", prefix, name);
	return result;
}

void
tfrs_block_writer_init(tfrs_block_writer *writer, tfrs_block_kind kind)
{
	memset(writer, 0, sizeof(*writer));
	writer->kind = kind;
	writer->prefix = "";
}

/* Puts the part where its name belongs in the order; false where the name is taken. */
static bool
insert_part(tfrs_block_writer *writer, const tfrs_block_part *part, const void *source)
{
	uint32_t	place = writer->part_count;

	while (place > 0 && strcmp(writer->parts[place - 1].name, part->name) > 0)
		place--;
	if (place > 0 && strcmp(writer->parts[place - 1].name, part->name) == 0)
		return false;
	memmove(writer->parts + place + 1, writer->parts + place,
			(writer->part_count - place) * sizeof(writer->parts[0]));
	memmove(writer->sources + place + 1, writer->sources + place,
			(writer->part_count - place) * sizeof(writer->sources[0]));
	writer->parts[place] = *part;
	writer->sources[place] = source;
	writer->part_count++;
	return true;
}

tfrs_status
tfrs_block_writer_add(tfrs_block_writer *writer, const char *name, const void *data, size_t count,
					  size_t element_size, tfrs_error *error)
{
	tfrs_block_part part = {{0}, 0, 0, 0, 0};
	size_t		bytes;
	int			length;

	length = snprintf(part.name, sizeof(part.name), "%s%s", writer->prefix, name);
	if (length < 0 || (size_t) length >= sizeof(part.name) || !good_name(part.name) ||
		element_size == 0 || element_size > UINT32_MAX)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "part \"%s%s\" cannot be stored",
						 writer->prefix, name);
	if (writer->part_count == TFRS_MAX_BLOCK_PARTS)
		return tfrs_fail(error, TFRS_TOO_LARGE, "too many parts in one %s",
						 kind_name(writer->kind));
	if (!tfrs_size_multiply(count, element_size, &bytes))
		return tfrs_fail(error, TFRS_TOO_LARGE, "a size overflows");
	part.bytes = bytes;
	part.element_size = (uint32_t) element_size;
	if (!insert_part(writer, &part, data))
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "part \"%s\" is there twice", part.name);
	return TFRS_OK;
}

size_t
tfrs_block_writer_room(const tfrs_block_writer *writer)
{
	size_t		room = TFRS_MAX_BLOCK_BYTES - table_end(TFRS_MAX_BLOCK_PARTS) -
		TFRS_MAX_BLOCK_PARTS * TFRS_ALIGNMENT;

	for (uint32_t i = 0; i < writer->part_count; i++)
		room -= writer->parts[i].bytes < room ? writer->parts[i].bytes : room;
	return room;
}

tfrs_status
tfrs_block_writer_size(tfrs_block_writer *writer, size_t *bytes, tfrs_error *error)
{
	size_t		offset = table_end(writer->part_count);

	for (uint32_t i = 0; i < writer->part_count; i++)
	{
		writer->parts[i].offset = offset;
		if (writer->parts[i].bytes > TFRS_MAX_BLOCK_BYTES - offset)
		{
			tfrs_fail(error, TFRS_TOO_LARGE, "%s would be too large", kind_name(writer->kind));
			tfrs_error_detail(error, "At most %zu bytes can be stored.", TFRS_MAX_BLOCK_BYTES);
			return TFRS_TOO_LARGE;
		}
		offset = round_up(offset + writer->parts[i].bytes);
	}
	*bytes = offset;
	return TFRS_OK;
}

void
tfrs_block_writer_begin(tfrs_block_writer *writer, void *target)
{
	tfrs_block_header header = {
		.format = TFRS_BLOCK_FORMAT,
		.byte_order = BYTE_ORDER_MARK,
		.kind = writer->kind,
		.part_count = writer->part_count,
		.total_bytes = table_end(writer->part_count)
	};
	tfrs_block	block = {target, NULL, false};

	if (writer->part_count > 0)
	{
		const tfrs_block_part *last = &writer->parts[writer->part_count - 1];

		header.total_bytes = round_up(last->offset + last->bytes);
	}
	memcpy(header.magic, magic, sizeof(magic));
	memcpy(target, &header, sizeof(header));
	memcpy((uint8_t *) target + sizeof(header), writer->parts,
		   writer->part_count * sizeof(writer->parts[0]));
	writer->target = target;
	writer->part = 0;
	writer->done = 0;
	tfrs_block_check_begin(&writer->check, &block);
}

/* Copies the next piece of the part that is being written, and zeros behind its last byte. */
static void
copy_more(tfrs_block_writer *writer)
{
	const tfrs_block_part *part = &writer->parts[writer->part];
	const uint8_t *source = writer->sources[writer->part];
	uint8_t    *target = writer->target + part->offset;
	size_t		take = part->bytes - writer->done;

	if (take > BYTES_PER_STEP)
		take = BYTES_PER_STEP;
	if (take > 0)
		memcpy(target + writer->done, source + writer->done, take);
	writer->done += take;
	if (writer->done < part->bytes)
		return;
	memset(target + part->bytes, 0, round_up(part->bytes) - part->bytes);
	writer->part++;
	writer->done = 0;
}

tfrs_status
tfrs_block_writer_step(tfrs_block_writer *writer)
{
	tfrs_block_header *header = (tfrs_block_header *) writer->target;

	if (writer->part < writer->part_count)
	{
		copy_more(writer);
		return TFRS_MORE;
	}
	if (digest_more(&writer->check))
		return TFRS_MORE;
	tfrs_digest_end(&writer->check.digest, header->digest);
	return TFRS_OK;
}
