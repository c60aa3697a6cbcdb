/*
 * test_block.c: a block round trip, its canonical form, and damage of every kind.
 */
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "check.h"

/* A block under test: bytes in the test's arena. */
typedef struct sample
{
	uint8_t    *bytes;
	size_t		length;
	tfrs_block	block;
} sample;

static const uint32_t numbers[5] = {10, 20, 30, 40, 50};
static const double reals[3] = {0.5, 1.5, -2.5};

static tfrs_block_writer *
new_writer(void)
{
	tfrs_block_writer *writer;

	CHECK_OK(TFRS_GET(check_arena(), &writer, 1, &check_error));
	tfrs_block_writer_init(writer, TFRS_BLOCK_MODEL);
	return writer;
}

static void
add(tfrs_block_writer *writer, const char *name, const void *data, size_t count, size_t size)
{
	CHECK_OK(tfrs_block_writer_add(writer, name, data, count, size, &check_error));
}

/* Writes into memory full of other bytes, so that each byte must be set. */
static sample
write_sample(tfrs_block_writer *writer)
{
	sample		sample;

	CHECK_OK(tfrs_block_writer_size(writer, &sample.length, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &sample.bytes, sample.length, &check_error));
	memset(sample.bytes, 0xee, sample.length);
	tfrs_block_writer_begin(writer, sample.bytes);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		;
	return sample;
}

static tfrs_status
open_sample(sample *sample)
{
	return tfrs_block_open(&sample->block, sample->bytes, sample->length, TFRS_BLOCK_MODEL,
						   &check_error);
}

static tfrs_status
check_sample(const sample *sample)
{
	tfrs_block_check check;
	tfrs_status status;

	tfrs_block_check_begin(&check, &sample->block);
	while ((status = tfrs_block_check_step(&check, &check_error)) == TFRS_MORE)
		;
	return status;
}

/* header 64 | table 3 * 64 | "numbers" 20 of 64 | "query.none" 0 | "query.reals" 24 of 64 */
static sample
small_sample(void)
{
	tfrs_block_writer *writer = new_writer();

	writer->prefix = "query.";
	add(writer, "reals", reals, 3, sizeof(double));
	add(writer, "none", NULL, 0, 4);
	writer->prefix = "";
	add(writer, "numbers", numbers, 5, sizeof(uint32_t));
	return write_sample(writer);
}

static tfrs_block_header *
header_of(sample *sample)
{
	return (tfrs_block_header *) sample->bytes;
}

static tfrs_block_part *
part_of(sample *sample, int i)
{
	return (tfrs_block_part *) (sample->bytes + sizeof(tfrs_block_header)) + i;
}

CHECK_TEST(round_trip)
{
	sample		sample = small_sample();
	const void *data;
	size_t		count;

	CHECK_EQUAL(sample.length, 64 + 3 * 64 + 64 + 0 + 64);
	CHECK_OK(open_sample(&sample));
	CHECK_OK(check_sample(&sample));
	CHECK_OK(tfrs_block_find(&sample.block, "numbers", 4, &data, &count, &check_error));
	CHECK_EQUAL(count, 5);
	CHECK(memcmp(data, numbers, sizeof(numbers)) == 0);
	CHECK_OK(tfrs_block_find(&sample.block, "query.none", 4, &data, &count, &check_error));
	CHECK_EQUAL(count, 0);
	CHECK_OK(tfrs_block_find_exact(&sample.block, "query.reals", 8, 3, &data, &check_error));
	CHECK(memcmp(data, reals, sizeof(reals)) == 0);
	CHECK_EQUAL((uintptr_t) data % 64, 0);
}

CHECK_TEST(finding_what_is_not_there)
{
	sample		sample = small_sample();
	const void *data;
	size_t		count;

	CHECK_OK(open_sample(&sample));
	CHECK(tfrs_block_has(&sample.block, "numbers"));
	CHECK(!tfrs_block_has(&sample.block, "number"));
	CHECK(!tfrs_block_has(&sample.block, ""));
	CHECK_STATUS(tfrs_block_find(&sample.block, "reals", 8, &data, &count, &check_error),
				 TFRS_CORRUPT);
	CHECK(strcmp(check_error.detail, "Part \"reals\" is missing.") == 0);
	CHECK_STATUS(tfrs_block_find(&sample.block, "numbers", 8, &data, &count, &check_error),
				 TFRS_CORRUPT);
	CHECK_STATUS(tfrs_block_find_exact(&sample.block, "numbers", 4, 4, &data, &check_error),
				 TFRS_CORRUPT);
}

CHECK_TEST(block_without_parts)
{
	sample		sample = write_sample(new_writer());

	CHECK_EQUAL(sample.length, sizeof(tfrs_block_header));
	CHECK_OK(open_sample(&sample));
	CHECK_OK(check_sample(&sample));
	CHECK(!tfrs_block_has(&sample.block, "numbers"));
}

CHECK_TEST(part_without_padding)
{
	static const uint8_t bytes[64] = {1, 2, 3};
	tfrs_block_writer *writer = new_writer();
	sample		sample;
	const void *data;

	writer->kind = TFRS_BLOCK_INDEX;
	add(writer, "!~", bytes, 64, 1);
	sample = write_sample(writer);
	CHECK_EQUAL(sample.length, 64 + 64 + 64);
	CHECK_STATUS(open_sample(&sample), TFRS_CORRUPT);
	CHECK_OK(tfrs_block_open(&sample.block, sample.bytes, sample.length, TFRS_BLOCK_INDEX,
							 &check_error));
	CHECK_OK(tfrs_block_find_exact(&sample.block, "!~", 1, 64, &data, &check_error));
	CHECK(memcmp(data, bytes, 64) == 0);
	CHECK_STATUS(tfrs_block_find_exact(&sample.block, "x", 1, 64, &data, &check_error),
				 TFRS_CORRUPT);
	CHECK(strcmp(check_error.message, "invalid index") == 0);
}

CHECK_TEST(bytes_do_not_depend_on_the_order_of_adding)
{
	sample		first = small_sample();
	tfrs_block_writer *writer = new_writer();
	sample		second;

	add(writer, "numbers", numbers, 5, sizeof(uint32_t));
	add(writer, "query.none", NULL, 0, 4);
	add(writer, "query.reals", reals, 3, sizeof(double));
	second = write_sample(writer);
	CHECK_EQUAL(second.length, first.length);
	CHECK(memcmp(first.bytes, second.bytes, first.length) == 0);
}

CHECK_TEST(any_flipped_bit_is_noticed)
{
	sample		sample = small_sample();

	for (size_t bit = 0; bit < 8 * sample.length; bit++)
	{
		sample.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		CHECK(open_sample(&sample) != TFRS_OK || check_sample(&sample) == TFRS_CORRUPT);
		sample.bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	CHECK_OK(open_sample(&sample));
	CHECK_OK(check_sample(&sample));
}

/* Copies of exactly the length, so that the address sanitizer sees a read behind the end. */
CHECK_TEST(any_other_length_is_refused)
{
	sample		whole = small_sample();

	for (size_t length = 0; length < whole.length + 130; length++)
	{
		sample		part = {calloc(1, length + (length == 0)), length, {NULL, NULL, false}};
		tfrs_status status;

		memcpy(part.bytes, whole.bytes, length < whole.length ? length : whole.length);
		status = open_sample(&part);
		if (status != TFRS_OK && length >= sizeof(tfrs_block_header))
		{
			header_of(&part)->total_bytes = length;
			status = open_sample(&part);
		}
		free(part.bytes);
		CHECK_EQUAL(status, length == whole.length ? TFRS_OK : TFRS_CORRUPT);
	}
}

#define CHECK_DAMAGE(lvalue, value) \
	do { \
		memcpy(sample.bytes, good.bytes, good.length); \
		(lvalue) = (value); \
		CHECK_STATUS(open_sample(&sample), TFRS_CORRUPT); \
		CHECK(check_error.detail[0] != '\0'); \
	} while (0)

CHECK_TEST(damaged_headers)
{
	sample		good = small_sample();
	sample		sample = small_sample();
	tfrs_block_header *header = header_of(&sample);

	CHECK_DAMAGE(header->magic[7], 'C');
	CHECK_DAMAGE(header->format, 0);
	CHECK_DAMAGE(header->byte_order, 0);
	CHECK_DAMAGE(header->byte_order, UINT32_C(0x04030201));
	CHECK(strstr(check_error.detail, "byte order") != NULL);
	CHECK_DAMAGE(header->kind, TFRS_BLOCK_INDEX);
	CHECK(strcmp(check_error.message, "invalid model") == 0);
	CHECK_DAMAGE(header->kind, 77);
	CHECK_DAMAGE(header->total_bytes, sample.length - 64);
	CHECK_DAMAGE(header->total_bytes, UINT64_MAX);
	CHECK_DAMAGE(header->part_count, 2);
	CHECK_DAMAGE(header->part_count, 4);
	CHECK_DAMAGE(header->part_count, 100);
	CHECK_DAMAGE(header->part_count, TFRS_MAX_BLOCK_PARTS);
	CHECK_DAMAGE(header->part_count, UINT32_MAX);
	CHECK_DAMAGE(header->reserved[15], 1);
}

CHECK_TEST(damaged_tables)
{
	sample		good = small_sample();
	sample		sample = small_sample();
	tfrs_block_part *first = part_of(&sample, 0);
	tfrs_block_part *last = part_of(&sample, 2);

	CHECK_DAMAGE(first->name[0], '\0');
	CHECK_DAMAGE(first->name[3], '\0');
	CHECK_DAMAGE(first->name[3], ' ');
	CHECK_DAMAGE(first->name[3], '\n');
	CHECK_DAMAGE(first->name[3], (char) 0xc3);
	CHECK_DAMAGE(first->name[TFRS_MAX_PART_NAME - 1], 'x');
	CHECK_DAMAGE(first->name[0], 'z');
	CHECK_DAMAGE(*last, *part_of(&sample, 1));
	CHECK_DAMAGE(first->offset, first->offset + 64);
	CHECK_DAMAGE(first->offset, first->offset - 64);
	CHECK_DAMAGE(last->offset, first->offset);
	CHECK_DAMAGE(last->offset, 0);
	CHECK_DAMAGE(last->offset, UINT64_MAX - 63);
	CHECK_DAMAGE(first->bytes, 128);
	CHECK_DAMAGE(first->bytes, 22);
	CHECK_DAMAGE(last->bytes, 72);
	CHECK_DAMAGE(last->bytes, UINT64_MAX - 7);
	CHECK_DAMAGE(last->bytes, 0);
	CHECK_DAMAGE(first->element_size, 0);
	CHECK_DAMAGE(first->element_size, 3);
	CHECK_DAMAGE(first->reserved, 1);
}

CHECK_TEST(damaged_names)
{
	sample		sample = small_sample();

	memcpy(part_of(&sample, 2)->name, part_of(&sample, 1)->name, TFRS_MAX_PART_NAME);
	CHECK_STATUS(open_sample(&sample), TFRS_CORRUPT);
	sample = small_sample();
	memset(part_of(&sample, 0)->name, 'a', TFRS_MAX_PART_NAME);
	CHECK_STATUS(open_sample(&sample), TFRS_CORRUPT);
}

CHECK_TEST(padding_must_be_zero)
{
	sample		sample = small_sample();

	for (size_t i = 256; i < sample.length; i++)
	{
		bool		is_padding = (i >= 256 + 20 && i < 320) || i >= 320 + 24;

		sample.bytes[i] ^= 1;
		CHECK_STATUS(open_sample(&sample), is_padding ? TFRS_CORRUPT : TFRS_OK);
		sample.bytes[i] ^= 1;
	}
}

CHECK_TEST(newer_format_names_both_versions)
{
	sample		sample = small_sample();

	header_of(&sample)->format = 12;
	CHECK_STATUS(open_sample(&sample), TFRS_NEWER_FORMAT);
	CHECK(strstr(check_error.message, "12") != NULL);
	CHECK(strstr(check_error.message, "version 1") != NULL);
	CHECK(check_error.hint[0] != '\0');
}

CHECK_TEST(large_blocks_take_steps)
{
	size_t		count = 10 << 20;
	uint8_t    *data;
	tfrs_block_writer *writer = new_writer();
	sample		sample;
	tfrs_block_check check;
	int			steps[2] = {1, 1};

	CHECK_OK(TFRS_GET(check_arena(), &data, count, &check_error));
	for (size_t i = 0; i < count; i++)
		data[i] = (uint8_t) (i * i >> 8);
	add(writer, "large", data, count - 1, 1);
	add(writer, "numbers", numbers, 5, sizeof(uint32_t));
	CHECK_OK(tfrs_block_writer_size(writer, &sample.length, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &sample.bytes, sample.length, &check_error));
	tfrs_block_writer_begin(writer, sample.bytes);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		steps[0]++;
	CHECK_OK(open_sample(&sample));
	tfrs_block_check_begin(&check, &sample.block);
	while (tfrs_block_check_step(&check, &check_error) == TFRS_MORE)
		steps[1]++;
	CHECK_OK(check_sample(&sample));
	CHECK(steps[0] >= 6 && steps[1] >= 3);
	CHECK(memcmp(sample.bytes + 64 + 2 * 64, data, count - 1) == 0);
}

CHECK_TEST(what_the_writer_refuses)
{
	tfrs_block_writer *writer = new_writer();
	char		name[TFRS_MAX_PART_NAME + 1];
	size_t		bytes;

	memset(name, 'n', sizeof(name));
	name[TFRS_MAX_PART_NAME] = '\0';
	CHECK_STATUS(tfrs_block_writer_add(writer, name, numbers, 1, 4, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_block_writer_add(writer, "", numbers, 1, 4, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_block_writer_add(writer, "a b", numbers, 1, 4, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_block_writer_add(writer, "a", numbers, 1, 0, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_block_writer_add(writer, "a", numbers, SIZE_MAX, 4, &check_error),
				 TFRS_TOO_LARGE);
	name[TFRS_MAX_PART_NAME - 1] = '\0';
	add(writer, name, numbers, 5, 4);
	CHECK_STATUS(tfrs_block_writer_add(writer, name, numbers, 1, 4, &check_error),
				 TFRS_INVALID_ARGUMENT);
	add(writer, "large", numbers, TFRS_MAX_BLOCK_BYTES / 4, 4);
	CHECK_STATUS(tfrs_block_writer_size(writer, &bytes, &check_error), TFRS_TOO_LARGE);
}

CHECK_TEST(as_many_parts_as_allowed)
{
	tfrs_block_writer *writer = new_writer();
	sample		sample;

	for (int i = 0; i < TFRS_MAX_BLOCK_PARTS; i++)
	{
		char		name[4] = {
			(char) ('a' + i * 7 % 16), (char) ('a' + i / 16 % 16), (char) ('a' + i / 256), 0
		};

		add(writer, name, numbers, (size_t) i % 5, 4);
	}
	CHECK_STATUS(tfrs_block_writer_add(writer, "zz", numbers, 1, 4, &check_error),
				 TFRS_TOO_LARGE);
	sample = write_sample(writer);
	CHECK_OK(open_sample(&sample));
	CHECK_OK(check_sample(&sample));
}

/* The largest block by its header: sizes are computed without touching the bytes. */
CHECK_TEST(largest_block)
{
	tfrs_block_writer *writer = new_writer();
	size_t		room = TFRS_MAX_BLOCK_BYTES - 2 * 64;
	size_t		bytes;

	add(writer, "large", numbers, room, 1);
	CHECK_OK(tfrs_block_writer_size(writer, &bytes, &check_error));
	CHECK_EQUAL(bytes, TFRS_MAX_BLOCK_BYTES);
	writer = new_writer();
	add(writer, "large", numbers, room + 1, 1);
	CHECK_STATUS(tfrs_block_writer_size(writer, &bytes, &check_error), TFRS_TOO_LARGE);
}
