/*
 * test_id_sort.c: ids of both kinds, in numbers around the pieces that a step handles.
 */
#include <stdio.h>
#include <string.h>

#include "base/id_sort.h"
#include "base/random.h"
#include "check.h"

#define MOST 140000

/* Distinct ids in no order, some of them beginning alike. */
static tfrs_id
make_id(tfrs_id_kind kind, uint32_t i, char text[64])
{
	uint64_t	mixed = tfrs_random_mix(i);

	if (kind == TFRS_ID_INTEGER)
		return tfrs_id_of_integer((int64_t) (i % 3 == 0 ? mixed : i));
	return tfrs_id_of_bytes(text, (size_t) snprintf(text, 64, i % 2 == 0 ? "customer-%u"
													: "customer-00000000-%u", i));
}

static void
fill(tfrs_id_set *set, tfrs_arena *arena, tfrs_id_kind kind, uint32_t count)
{
	char		text[64];
	uint32_t	row;

	CHECK_OK(tfrs_id_set_init(set, arena, kind, 20, &check_error));
	for (uint32_t i = 0; i < count; i++)
	{
		CHECK_OK(tfrs_id_set_add(set, make_id(kind, i, text), &row, &check_error));
		CHECK_EQUAL(row, i);
	}
}

static void
check_sorted(const tfrs_id_set *set, const uint32_t *new_row, uint32_t count)
{
	tfrs_id_view view = tfrs_id_set_view(set);
	char		text[64];

	CHECK_EQUAL(view.count, count);
	for (uint32_t i = 1; i < count; i++)
		CHECK(tfrs_id_compare(tfrs_id_view_get(&view, i - 1), tfrs_id_view_get(&view, i)) < 0);
	for (uint32_t i = 0; i < count; i++)
	{
		tfrs_id		id = make_id(set->kind, i, text);

		CHECK_EQUAL(tfrs_id_view_find(&view, id), new_row[i]);
		CHECK_EQUAL(tfrs_id_compare(tfrs_id_view_get(&view, new_row[i]), id), 0);
	}
}

CHECK_TEST(ids_come_into_order_step_by_step)
{
	static const uint32_t counts[] = {0, 1, 2, 3, 1000, 32767, 32768, 32769, 65536, 98305, MOST};
	static uint32_t new_row[MOST];

	for (int kind = TFRS_ID_INTEGER; kind <= TFRS_ID_BYTES; kind++)
	{
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		{
			tfrs_id_set set;
			tfrs_id_sort sort;
			tfrs_status status;
			uint32_t	steps = 0;
			uint32_t	row;

			fill(&set, check_arena(), (tfrs_id_kind) kind, counts[i]);
			CHECK_OK(tfrs_id_sort_begin(&sort, &set, new_row, &check_error));
			while ((status = tfrs_id_sort_step(&sort, &check_error)) == TFRS_MORE)
				steps++;
			CHECK_OK(status);
			CHECK(steps >= counts[i] / 32768 * 3);
			tfrs_id_sort_end(&sort);
			check_sorted(&set, new_row, counts[i]);
			CHECK_OK(tfrs_id_set_add(&set, kind == TFRS_ID_INTEGER ? tfrs_id_of_integer(-7)
									 : tfrs_id_of_bytes("new", 3), &row, &check_error));
			CHECK_EQUAL(row, counts[i]);
			tfrs_id_set_free(&set);
			CHECK_EQUAL(check_arena()->used, 0);
		}
	}
}

/* A sort that is given up holds nothing, wherever it stood; the set can be freed. */
CHECK_TEST(a_sort_can_be_given_up)
{
	static uint32_t new_row[MOST];

	for (int steps = 0; steps < 40; steps++)
	{
		tfrs_id_set set;
		tfrs_id_sort sort;

		fill(&set, check_arena(), TFRS_ID_BYTES, 70000);
		CHECK_OK(tfrs_id_sort_begin(&sort, &set, new_row, &check_error));
		for (int i = 0; i < steps; i++)
			tfrs_id_sort_step(&sort, &check_error);
		tfrs_id_sort_end(&sort);
		tfrs_id_set_free(&set);
		CHECK_EQUAL(check_arena()->used, 0);
	}
}

static tfrs_status
sort_in(tfrs_arena *arena, tfrs_error *error)
{
	uint32_t	new_row[3];
	tfrs_id_set set;
	uint32_t	row;
	tfrs_status status = tfrs_id_set_init(&set, arena, TFRS_ID_BYTES, 25, error);

	if (status != TFRS_OK)
		return status;
	for (uint32_t i = 0; status == TFRS_OK && i < 3; i++)
		status = tfrs_id_set_add(&set, tfrs_id_of_bytes("cba" + i, 1), &row, error);
	if (status == TFRS_OK)
		status = tfrs_id_set_sort(&set, new_row, error);
	if (status == TFRS_OK)
		CHECK(new_row[0] == 2 && new_row[1] == 1 && new_row[2] == 0);
	tfrs_id_set_free(&set);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(sort_in);
}
