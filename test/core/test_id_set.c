/*
 * test_id_set.c: collecting, sorting, storing and loading ids of both kinds, and hostile ones.
 */
#include <stdio.h>
#include <string.h>

#include "base/id_set.h"
#include "base/random.h"
#include "check.h"

#define PREFIX "query."

/* A stored set in the test's arena. */
typedef struct stored
{
	uint8_t    *bytes;
	size_t		length;
	tfrs_block	block;
	tfrs_id_view view;
} stored;

static tfrs_id
text(const char *string)
{
	return tfrs_id_of_bytes(string, strlen(string));
}

static tfrs_id_set
new_set(tfrs_id_kind kind)
{
	tfrs_id_set set;

	CHECK_OK(tfrs_id_set_init(&set, check_arena(), kind, 7, &check_error));
	return set;
}

static uint32_t
add(tfrs_id_set *set, tfrs_id id)
{
	uint32_t	row;

	CHECK_OK(tfrs_id_set_add(set, id, &row, &check_error));
	return row;
}

static uint32_t *
sort(tfrs_id_set *set)
{
	uint32_t   *new_row;

	CHECK_OK(TFRS_GET(check_arena(), &new_row, set->count, &check_error));
	CHECK_OK(tfrs_id_set_sort(set, new_row, &check_error));
	return new_row;
}

static tfrs_status
load(stored *stored)
{
	CHECK_OK(tfrs_block_open(&stored->block, stored->bytes, stored->length, TFRS_BLOCK_MODEL,
							 &check_error));
	return tfrs_id_view_load(&stored->view, &stored->block, PREFIX, &check_error);
}

static stored
store(const tfrs_id_set *set)
{
	tfrs_block_writer *writer;
	tfrs_id_view view = tfrs_id_set_view(set);
	uint32_t	head[2];
	stored		stored;

	CHECK_OK(TFRS_GET(check_arena(), &writer, 1, &check_error));
	tfrs_block_writer_init(writer, TFRS_BLOCK_MODEL);
	CHECK_OK(tfrs_id_view_save(&view, head, writer, PREFIX, &check_error));
	CHECK_OK(tfrs_block_writer_size(writer, &stored.length, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &stored.bytes, stored.length, &check_error));
	tfrs_block_writer_begin(writer, stored.bytes);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		;
	return stored;
}

/* The i-th of many different ids of a kind; the bytes live in buffer. */
static tfrs_id
make_id(tfrs_id_kind kind, uint64_t i, char buffer[40])
{
	uint64_t	mixed = tfrs_random_mix(i);

	if (kind == TFRS_ID_INTEGER)
		return tfrs_id_of_integer((int64_t) mixed);
	snprintf(buffer, 40, "customer-%.*llu", (int) (mixed % 9), (unsigned long long) i);
	return text(buffer);
}

CHECK_TEST(rows_are_numbers_of_arrival)
{
	tfrs_id_set set = new_set(TFRS_ID_INTEGER);
	static const int64_t ids[] = {5, INT64_MIN, -1, INT64_MAX, 0};

	CHECK_EQUAL(tfrs_id_set_find_integer(&set, 5), TFRS_NO_ROW);
	for (uint32_t i = 0; i < 5; i++)
		CHECK_EQUAL(add(&set, tfrs_id_of_integer(ids[i])), i);
	for (uint32_t i = 0; i < 5; i++)
	{
		CHECK_EQUAL(add(&set, tfrs_id_of_integer(ids[i])), i);
		CHECK_EQUAL(tfrs_id_set_find_integer(&set, ids[i]), i);
	}
	CHECK_EQUAL(set.count, 5);
	CHECK_EQUAL(tfrs_id_set_find_integer(&set, 6), TFRS_NO_ROW);
}

CHECK_TEST(integers_sort_by_value)
{
	tfrs_id_set set = new_set(TFRS_ID_INTEGER);
	static const int64_t ids[] = {5, INT64_MIN, -1, INT64_MAX, 0};
	static const uint32_t expected[] = {3, 0, 1, 4, 2};
	uint32_t   *new_row;

	for (int i = 0; i < 5; i++)
		add(&set, tfrs_id_of_integer(ids[i]));
	new_row = sort(&set);
	for (int i = 0; i < 5; i++)
	{
		CHECK_EQUAL(new_row[i], expected[i]);
		CHECK_EQUAL(tfrs_id_set_find_integer(&set, ids[i]), expected[i]);
	}
	CHECK_EQUAL(add(&set, tfrs_id_of_integer(77)), 5);
	CHECK_EQUAL(add(&set, tfrs_id_of_integer(-1)), 1);
}

/* In order: shorter first, unsigned bytes, zeros within. */
CHECK_TEST(bytes_sort_as_memcmp)
{
	tfrs_id_set set = new_set(TFRS_ID_BYTES);
	tfrs_id		ids[] = {
		tfrs_id_of_bytes(NULL, 0), tfrs_id_of_bytes("\0", 1), tfrs_id_of_bytes("\0\0", 2),
		text("a"), tfrs_id_of_bytes("a\0", 2), tfrs_id_of_bytes("a\0b", 3), text("aaaaaaaa"),
		text("aaaaaaaaa"), text("aaaaaaaab"), text("b"), text("\x7f"), text("\x80"), text("\xff")
	};
	uint32_t	count = sizeof(ids) / sizeof(ids[0]);
	uint32_t   *new_row;
	tfrs_id_view view;

	for (uint32_t i = 0; i < count; i++)
		CHECK_EQUAL(add(&set, ids[i * 5 % count]), i);
	new_row = sort(&set);
	view = tfrs_id_set_view(&set);
	for (uint32_t i = 0; i < count; i++)
	{
		CHECK_EQUAL(new_row[i], i * 5 % count);
		CHECK_EQUAL(tfrs_id_view_find(&view, ids[i]), i);
		CHECK_EQUAL(tfrs_id_compare(tfrs_id_view_get(&view, i), ids[i]), 0);
	}
	CHECK_EQUAL(tfrs_id_view_find(&view, text("aa")), TFRS_NO_ROW);
	CHECK_EQUAL(add(&set, text("aa")), count);
	CHECK_EQUAL(add(&set, text("\xff")), count - 1);
}

CHECK_TEST(ids_that_are_refused)
{
	tfrs_id_set integers = new_set(TFRS_ID_INTEGER);
	tfrs_id_set texts = new_set(TFRS_ID_BYTES);
	static char longest[TFRS_MAX_ID_BYTES + 1];
	tfrs_id_view view;
	uint32_t	row;

	memset(longest, 'x', sizeof(longest));
	CHECK_STATUS(tfrs_id_set_add(&integers, text("1"), &row, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_id_set_add(&texts, tfrs_id_of_integer(1), &row, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK_EQUAL(add(&texts, tfrs_id_of_bytes(longest, TFRS_MAX_ID_BYTES)), 0);
	CHECK_STATUS(tfrs_id_set_add(&texts, tfrs_id_of_bytes(longest, TFRS_MAX_ID_BYTES + 1), &row,
								 &check_error), TFRS_TOO_LARGE);
	CHECK_STATUS(tfrs_id_set_add(&texts, tfrs_id_of_bytes(longest, ((size_t) 1 << 32) + 1), &row,
								 &check_error), TFRS_TOO_LARGE);
	view = tfrs_id_set_view(&texts);
	CHECK_EQUAL(view.count, 1);
	CHECK_EQUAL(tfrs_id_view_find(&view, tfrs_id_of_integer(0)), TFRS_NO_ROW);
	view = tfrs_id_set_view(&integers);
	CHECK_EQUAL(tfrs_id_view_find(&view, text("1")), TFRS_NO_ROW);
}

/* Stored in two orders of arrival, loaded, and each id found under its rank. */
static void
check_stored_form(tfrs_id_kind kind, uint32_t count)
{
	tfrs_id_set sets[2] = {new_set(kind), new_set(kind)};
	stored		stored[2];
	char		buffer[40];

	for (uint32_t i = 0; i < count; i++)
	{
		add(&sets[0], make_id(kind, i, buffer));
		add(&sets[1], make_id(kind, count - 1 - i, buffer));
	}
	for (int i = 0; i < 2; i++)
	{
		sort(&sets[i]);
		stored[i] = store(&sets[i]);
		CHECK_OK(load(&stored[i]));
	}
	CHECK_EQUAL(stored[0].length, stored[1].length);
	CHECK(memcmp(stored[0].bytes, stored[1].bytes, stored[0].length) == 0);
	CHECK_EQUAL(stored[0].view.count, sets[0].count);
	CHECK_EQUAL(stored[0].view.tag, 7);
	for (uint32_t row = 0; row < stored[0].view.count; row++)
		CHECK_EQUAL(tfrs_id_view_find(&stored[0].view, tfrs_id_view_get(&stored[0].view, row)),
					row);
	for (uint32_t i = 0; i < count; i++)
		CHECK(tfrs_id_view_find(&stored[0].view, make_id(kind, i, buffer)) != TFRS_NO_ROW);
	CHECK_EQUAL(tfrs_id_view_find(&stored[0].view, kind == TFRS_ID_INTEGER
								  ? tfrs_id_of_integer(3) : text("nobody")), TFRS_NO_ROW);
}

CHECK_TEST(stored_form_does_not_depend_on_arrival)
{
	static const uint32_t counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 1000, 1024, 1025, 30000};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		check_stored_form(TFRS_ID_INTEGER, counts[i]);
		check_stored_form(TFRS_ID_BYTES, counts[i]);
	}
}

/* x for which tfrs_random_mix(x) is y. */
static uint64_t
unmix(uint64_t y)
{
	y ^= y >> 31 ^ y >> 62;
	y *= UINT64_C(0x319642b2d24d8ec3);
	y ^= y >> 27 ^ y >> 54;
	y *= UINT64_C(0x96de1b173f119089);
	y ^= y >> 30 ^ y >> 60;
	return y - UINT64_C(0x9e3779b97f4a7c15);
}

/* Different ids for different i, all with their home in one slot of any table. */
static tfrs_id
id_at_home(uint64_t home, uint64_t i)
{
	return tfrs_id_of_integer((int64_t) unmix(i << 40 | home));
}

static tfrs_id
colliding_id(uint64_t i)
{
	return id_at_home(0, i);
}

CHECK_TEST(ids_made_to_collide_are_refused)
{
	tfrs_id_set set = new_set(TFRS_ID_INTEGER);
	stored		stored;
	uint32_t	row;

	for (uint32_t i = 0; i < TFRS_MAX_PROBES; i++)
	{
		CHECK_EQUAL(tfrs_hash_integer(colliding_id(i).integer) & 0xffffffff, 0);
		CHECK_EQUAL(add(&set, colliding_id(i)), i);
	}
	CHECK_STATUS(tfrs_id_set_add(&set, colliding_id(TFRS_MAX_PROBES), &row, &check_error),
				 TFRS_TOO_LARGE);
	CHECK_EQUAL(set.count, TFRS_MAX_PROBES);
	CHECK_EQUAL(add(&set, colliding_id(TFRS_MAX_PROBES - 1)), TFRS_MAX_PROBES - 1);
	sort(&set);
	stored = store(&set);
	CHECK_OK(load(&stored));
	CHECK_EQUAL(tfrs_id_view_find(&stored.view, colliding_id(TFRS_MAX_PROBES)), TFRS_NO_ROW);
}

/* The i-th id of those at the home that are negative, or of the others. */
static tfrs_id
id_of_sign(uint64_t home, bool negative, int i)
{
	for (uint64_t candidate = 0;; candidate++)
	{
		tfrs_id		id = id_at_home(home, candidate);

		if ((id.integer < 0) == negative && i-- == 0)
			return id;
	}
}

/*
 * 200 ids at home 0 and then 200 at home 150 are within reach; the other way round, which is the
 * order of their values, the last of them lies 399 slots from its home.
 */
CHECK_TEST(ids_made_to_collide_once_sorted)
{
	tfrs_id_set set = new_set(TFRS_ID_INTEGER);
	uint32_t	new_row[400];

	for (int i = 0; i < 200; i++)
		add(&set, id_of_sign(0, false, i));
	for (int i = 0; i < 200; i++)
		add(&set, id_of_sign(150, true, i));
	CHECK_STATUS(tfrs_id_set_sort(&set, new_row, &check_error), TFRS_TOO_LARGE);
	tfrs_id_set_free(&set);
	CHECK_EQUAL(check_arena()->used, 0);
}

static tfrs_status
collect_and_sort(tfrs_id_kind kind, tfrs_arena *arena, tfrs_error *error)
{
	uint32_t	new_row[300];
	tfrs_id_set set;
	tfrs_status status = tfrs_id_set_init(&set, arena, kind, 0, error);

	for (uint32_t i = 0; i < 300 && status == TFRS_OK; i++)
	{
		char		buffer[40];
		uint32_t	row;
		size_t		before = set.count;

		status = tfrs_id_set_add(&set, make_id(kind, i, buffer), &row, error);
		CHECK_EQUAL(set.count, before + (status == TFRS_OK && row == before));
	}
	if (status == TFRS_OK)
		status = tfrs_id_set_sort(&set, new_row, error);
	if (status == TFRS_OK)
	{
		tfrs_id_set_free(&set);
		CHECK_EQUAL(arena->used, 0);
	}
	return status;
}

static tfrs_status
integers_of(tfrs_arena *arena, tfrs_error *error)
{
	return collect_and_sort(TFRS_ID_INTEGER, arena, error);
}

static tfrs_status
texts_of(tfrs_arena *arena, tfrs_error *error)
{
	return collect_and_sort(TFRS_ID_BYTES, arena, error);
}

CHECK_TEST(id_sets_without_memory)
{
	check_lack_of_memory(integers_of);
	check_lack_of_memory(texts_of);
}

/* A failed sort leaves the set as it was. */
CHECK_TEST(sort_over_budget)
{
	tfrs_id_set set = new_set(TFRS_ID_BYTES);
	uint32_t	new_row[100];
	char		buffer[40];

	for (uint32_t i = 0; i < 100; i++)
		add(&set, make_id(TFRS_ID_BYTES, i, buffer));
	check_arena()->budget = check_arena()->used + 100 * 16 * 2 + 400;
	CHECK_STATUS(tfrs_id_set_sort(&set, new_row, &check_error), TFRS_OVER_BUDGET);
	check_arena()->budget = SIZE_MAX;
	for (uint32_t i = 0; i < 100; i++)
		add(&set, make_id(TFRS_ID_BYTES, i, buffer));
}
