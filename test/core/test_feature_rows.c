/*
 * test_feature_rows.c: distinct values and rows, in an order that does not depend on that of arrival.
 */
#include "feature_makers.h"

#include "base/random.h"
#include "learning/feature_rows.h"

enum
{
	KEY,
	AGE,
	CITY,
	PRICE,
	TAGS,
	CODES,
	EMBEDDING,
	COLUMNS
};

/* A column of each type; the key is read by no feature. */
static tfrs_tower_options *
options_of_all(void)
{
	static tfrs_tower_options options;

	memset(&options, 0, sizeof(options));
	features_column(&options, "key", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(&options, "age", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(&options, "city", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	features_column(&options, "price", TFRS_COLUMN_NUMBER, 0);
	features_column(&options, "tags", TFRS_COLUMN_LIST, TFRS_ID_BYTES);
	features_column(&options, "codes", TFRS_COLUMN_LIST, TFRS_ID_INTEGER);
	features_column(&options, "embedding", TFRS_COLUMN_VECTOR, 0);
	features_add(&options, TFRS_FEATURE_ID, AGE);
	features_add(&options, TFRS_FEATURE_ID, CITY);
	features_add(&options, TFRS_FEATURE_NUMBER, PRICE);
	features_add(&options, TFRS_FEATURE_BAG, TAGS);
	features_add(&options, TFRS_FEATURE_BAG, CODES);
	features_add(&options, TFRS_FEATURE_VECTOR, EMBEDDING);
	return &options;
}

static const char *const cities[] = {"", "Bonn", "Bern", "Köln"};
static const float vectors[][3] = {{0, 1, 2}, {0, 1, -2}};

/* The values of one of 3,000 rows; a third has NULLs. */
static void
fill_row(uint32_t n, tfrs_id elements[2][2], tfrs_value value[COLUMNS])
{
	for (int i = 0; i < 2; i++)
	{
		elements[0][i] = tfrs_id_of_bytes(cities[(n + (uint32_t) i) % 4],
										  strlen(cities[(n + (uint32_t) i) % 4]));
		elements[1][i] = tfrs_id_of_integer((int64_t) (n % 5) - 2 * i);
	}
	value[KEY] = features_integer(n);
	value[AGE] = features_integer((int64_t) (n % 7) - 3);
	value[CITY] = n % 3 == 0 ? features_null() : features_text(cities[n % 4]);
	value[PRICE] = n % 3 == 1 ? features_null() : features_number(n % 11 * 0.25 - 1);
	value[TAGS] = n % 6 == 2 ? features_null() : features_list(elements[0], n % 3);
	value[CODES] = features_list(elements[1], (n + 1) % 3);
	value[EMBEDDING] = n % 12 == 0 ? features_null() : features_vector(vectors[n % 2]);
}

static tfrs_status
finish(tfrs_feature_rows *rows, tfrs_error *error)
{
	tfrs_status status;

	do
		status = tfrs_feature_rows_finish_step(rows, error);
	while (status == TFRS_MORE);
	return status;
}

#define MANY 3000

/* Rows (n * step) % MANY of fill_row for all n, and the number of each. */
static tfrs_status
collect(tfrs_feature_rows *rows, tfrs_arena *arena, uint32_t step, uint32_t *number,
		tfrs_error *error)
{
	tfrs_status status = tfrs_feature_rows_init(rows, arena, options_of_all(), error);

	for (uint32_t i = 0; i < MANY && status == TFRS_OK; i++)
	{
		uint32_t	n = (uint32_t) ((uint64_t) i * step % MANY);
		tfrs_id		elements[2][2];
		tfrs_value	value[COLUMNS];

		fill_row(n, elements, value);
		status = tfrs_feature_rows_add(rows, value, &number[n], error);
	}
	if (status == TFRS_OK)
		status = finish(rows, error);
	for (uint32_t n = 0; n < MANY && status == TFRS_OK; n++)
		number[n] = rows->new_row[number[n]];
	return status;
}

CHECK_TEST(rows_do_not_depend_on_the_order_of_arrival)
{
	static uint32_t number[2][MANY];
	tfrs_feature_rows rows[2];
	tfrs_rows_view view[2];

	CHECK_OK(collect(&rows[0], check_arena(), 1, number[0], &check_error));
	CHECK_OK(collect(&rows[1], check_arena(), 1777, number[1], &check_error));
	view[0] = tfrs_feature_rows_view(&rows[0]);
	view[1] = tfrs_feature_rows_view(&rows[1]);
	CHECK(memcmp(number[0], number[1], sizeof(number[0])) == 0);
	CHECK_EQUAL(view[0].count, view[1].count);
	CHECK(view[0].count > 300);
	CHECK(memcmp(view[0].words, view[1].words,
				 view[0].count * view[0].layout.words * sizeof(uint32_t)) == 0);
	for (uint32_t c = 0; c < COLUMNS; c++)
		CHECK_EQUAL(view[0].value[c].count, view[1].value[c].count);
	CHECK_EQUAL(view[0].value[AGE].count, 7);
	CHECK_EQUAL(view[0].value[EMBEDDING].count, 2);
	tfrs_feature_rows_free(&rows[0]);
	tfrs_feature_rows_free(&rows[1]);
}

static bool
same_id(tfrs_id a, tfrs_id b)
{
	return a.kind == b.kind && tfrs_id_compare(a, b) == 0;
}

static void
check_value(const tfrs_column *column, const tfrs_value *got, const tfrs_value *expected)
{
	CHECK_EQUAL(got->is_null, expected->is_null);
	if (expected->is_null)
		return;
	if (column->type == TFRS_COLUMN_ID)
		CHECK(same_id(got->id, expected->id));
	else if (column->type == TFRS_COLUMN_NUMBER)
		CHECK(got->number == expected->number);
	else if (column->type == TFRS_COLUMN_VECTOR)
		CHECK(memcmp(got->vector, expected->vector, 3 * sizeof(float)) == 0);
	else
	{
		CHECK_EQUAL(got->count, expected->count);
		for (size_t i = 0; i < expected->count; i++)
			CHECK(same_id(got->element[i], expected->element[i]));
	}
}

CHECK_TEST(a_row_is_read_as_it_was_given)
{
	static uint32_t number[MANY];
	tfrs_feature_rows rows;
	tfrs_row_room room;
	tfrs_rows_view view;

	CHECK_OK(collect(&rows, check_arena(), 7, number, &check_error));
	view = tfrs_feature_rows_view(&rows);
	tfrs_row_room_init(&room, check_arena());
	for (uint32_t n = 0; n < MANY; n++)
	{
		tfrs_id		elements[2][2];
		tfrs_value	expected[COLUMNS];
		tfrs_value	got[COLUMNS];

		fill_row(n, elements, expected);
		expected[KEY] = features_null();	/* no feature reads it */
		CHECK_OK(tfrs_rows_read(&view, number[n], &room, got, &check_error));
		for (uint32_t c = 0; c < COLUMNS; c++)
			check_value(&view.options->column[c], &got[c], &expected[c]);
	}
	tfrs_row_room_free(&room);
	tfrs_feature_rows_free(&rows);
}

CHECK_TEST(the_row_of_nulls_is_the_last_one)
{
	static uint32_t number[MANY];
	tfrs_feature_rows rows;
	tfrs_row_room room;
	tfrs_rows_view view;
	tfrs_value	value[COLUMNS];

	CHECK_OK(collect(&rows, check_arena(), 1, number, &check_error));
	view = tfrs_feature_rows_view(&rows);
	tfrs_row_room_init(&room, check_arena());
	CHECK_EQUAL(tfrs_feature_rows_null(&rows), view.count - 1);
	for (int known = 0; known < 2; known++)
	{
		CHECK_OK(tfrs_rows_read(&view, known ? tfrs_feature_rows_null(&rows) : TFRS_NO_ROW, &room,
								value, &check_error));
		for (uint32_t c = 0; c < COLUMNS; c++)
			CHECK(value[c].is_null);
	}
	tfrs_row_room_free(&room);
	tfrs_feature_rows_free(&rows);
}

/* Adds a row whose column has the value and all others are NULL. */
static tfrs_status
add_one(tfrs_feature_rows *rows, uint32_t column, tfrs_value value, uint32_t *row)
{
	tfrs_value	values[COLUMNS];

	for (uint32_t c = 0; c < COLUMNS; c++)
		values[c] = features_null();
	values[column] = value;
	return tfrs_feature_rows_add(rows, values, row, &check_error);
}

CHECK_TEST(a_text_may_have_a_megabyte)
{
	static char text[TFRS_MAX_VALUE_BYTES + 1];
	tfrs_feature_rows rows;
	tfrs_row_room room;
	tfrs_rows_view view;
	tfrs_value	value;
	uint32_t	row;
	tfrs_id		long_element = tfrs_id_of_bytes(text, TFRS_MAX_VALUE_BYTES - 4);

	memset(text, 'x', sizeof(text));
	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), options_of_all(), &check_error));
	value.id = tfrs_id_of_bytes(text, TFRS_MAX_VALUE_BYTES);
	value.is_null = false;
	CHECK_OK(add_one(&rows, CITY, value, &row));
	CHECK_OK(add_one(&rows, TAGS, features_list(&long_element, 1), &row));
	value.id = tfrs_id_of_bytes(text, TFRS_MAX_VALUE_BYTES + 1);
	CHECK_STATUS(add_one(&rows, CITY, value, &row), TFRS_TOO_LARGE);
	CHECK(strstr(check_error.message, "\"city\"") != NULL);
	long_element.length++;
	CHECK_STATUS(add_one(&rows, TAGS, features_list(&long_element, 1), &row), TFRS_TOO_LARGE);
	CHECK(strstr(check_error.message, "\"tags\"") != NULL);
	CHECK_OK(finish(&rows, &check_error));
	view = tfrs_feature_rows_view(&rows);
	tfrs_row_room_init(&room, check_arena());
	CHECK_OK(tfrs_rows_value(&view, CITY, 0, &room, &value, &check_error));
	CHECK_EQUAL(value.id.length, TFRS_MAX_VALUE_BYTES);
	CHECK_OK(tfrs_rows_value(&view, TAGS, 0, &room, &value, &check_error));
	CHECK_EQUAL(value.count, 1);
	CHECK_EQUAL(value.element[0].length, TFRS_MAX_VALUE_BYTES - 4);
	tfrs_row_room_free(&room);
	tfrs_feature_rows_free(&rows);
}

CHECK_TEST(what_is_not_finite_is_refused_by_the_name_of_its_column)
{
	static const float nan_vector[3] = {0, NAN, 0};
	static const double numbers[] = {NAN, INFINITY, -INFINITY};
	tfrs_feature_rows rows;
	uint32_t	row;

	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), options_of_all(), &check_error));
	for (int i = 0; i < 3; i++)
	{
		CHECK_STATUS(add_one(&rows, PRICE, features_number(numbers[i]), &row), TFRS_NOT_FINITE);
		CHECK(strstr(check_error.message, "\"price\"") != NULL);
	}
	CHECK_STATUS(add_one(&rows, EMBEDDING, features_vector(nan_vector), &row), TFRS_NOT_FINITE);
	CHECK(strstr(check_error.message, "\"embedding\"") != NULL);
	tfrs_feature_rows_free(&rows);
}

CHECK_TEST(an_id_of_another_kind_is_refused_by_the_name_of_its_column)
{
	tfrs_feature_rows rows;
	uint32_t	row;
	tfrs_id		element = tfrs_id_of_integer(1);

	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), options_of_all(), &check_error));
	CHECK_STATUS(add_one(&rows, AGE, features_text("old"), &row), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, "\"age\"") != NULL);
	CHECK_STATUS(add_one(&rows, TAGS, features_list(&element, 1), &row), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, "\"tags\"") != NULL);
	tfrs_feature_rows_free(&rows);
}

CHECK_TEST(zero_has_no_sign)
{
	tfrs_feature_rows rows;
	uint32_t	a;
	uint32_t	b;

	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), options_of_all(), &check_error));
	CHECK_OK(add_one(&rows, PRICE, features_number(0.0), &a));
	CHECK_OK(add_one(&rows, PRICE, features_number(-0.0), &b));
	CHECK_EQUAL(a, b);
	tfrs_feature_rows_free(&rows);
}

CHECK_TEST(an_empty_list_is_not_null)
{
	tfrs_feature_rows rows;
	uint32_t	null;
	uint32_t	empty;

	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), options_of_all(), &check_error));
	CHECK_OK(add_one(&rows, TAGS, features_null(), &null));
	CHECK_OK(add_one(&rows, TAGS, features_list(NULL, 0), &empty));
	CHECK(null != empty);
	CHECK_EQUAL(tfrs_feature_rows_compare(&rows, null, empty), -1);
	tfrs_feature_rows_free(&rows);
}

/* The bytes of a value that stands in many rows are held once. */
CHECK_TEST(a_value_is_held_once)
{
	static char text[100000];
	tfrs_feature_rows rows;
	uint32_t	row;

	memset(text, 'y', sizeof(text) - 1);
	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), options_of_all(), &check_error));
	for (int i = 0; i < 1000; i++)
	{
		tfrs_value	value[COLUMNS];

		for (uint32_t c = 0; c < COLUMNS; c++)
			value[c] = features_null();
		value[CITY] = features_text(text);
		value[PRICE] = features_number(i);
		CHECK_OK(tfrs_feature_rows_add(&rows, value, &row, &check_error));
	}
	CHECK_EQUAL(row, 1000);
	CHECK(tfrs_feature_rows_bytes(&rows) < 400000);
	CHECK(tfrs_feature_rows_bytes(&rows) >= sizeof(text));
	CHECK(check_arena()->used < 450000);
	tfrs_feature_rows_free(&rows);
}

CHECK_TEST(many_columns)
{
	static tfrs_tower_options options;
	tfrs_feature_rows rows;
	tfrs_row_room room;
	tfrs_rows_view view;
	tfrs_value	value[TFRS_MAX_COLUMNS];
	uint32_t	row;

	for (uint32_t c = 0; c < TFRS_MAX_COLUMNS; c++)
	{
		char		name[TFRS_MAX_NAME];

		snprintf(name, sizeof(name), "c%u", c);
		features_column(&options, name, TFRS_COLUMN_NUMBER, 0);
		features_add(&options, TFRS_FEATURE_NUMBER, c);
		value[c] = features_number(c * 0.5);
	}
	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), &options, &check_error));
	CHECK_OK(tfrs_feature_rows_add(&rows, value, &row, &check_error));
	CHECK_OK(finish(&rows, &check_error));
	view = tfrs_feature_rows_view(&rows);
	tfrs_row_room_init(&room, check_arena());
	CHECK_OK(tfrs_rows_read(&view, rows.new_row[row], &room, value, &check_error));
	for (uint32_t c = 0; c < TFRS_MAX_COLUMNS; c++)
		CHECK(value[c].number == c * 0.5);
	tfrs_row_room_free(&room);
	tfrs_feature_rows_free(&rows);
}

static tfrs_status
collect_and_read(tfrs_arena *arena, tfrs_error *error)
{
	static uint32_t number[MANY];
	tfrs_feature_rows rows;
	tfrs_row_room room;
	tfrs_value	value[COLUMNS];
	tfrs_status status = collect(&rows, arena, 1, number, error);

	tfrs_row_room_init(&room, arena);
	for (uint32_t n = 0; n < 20 && status == TFRS_OK; n++)
	{
		tfrs_rows_view view = tfrs_feature_rows_view(&rows);

		status = tfrs_rows_read(&view, number[n], &room, value, error);
	}
	tfrs_row_room_free(&room);
	tfrs_feature_rows_free(&rows);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(collect_and_read);
}
