/*
 * feature_rows.c: values and tuples as ids, and their final numbers.
 *
 * Finishing goes column by column: the values are sorted, then the words of that column are rewritten
 * in all tuples, in place.  Tuples are ids of bytes of one length, so the sort of ids takes them as
 * they lie and makes their hash table anew.
 */
#include "learning/feature_rows.h"

#include <math.h>
#include <string.h>

#include "base/finite.h"

/* Tuples rewritten by one step. */
#define STEP_TUPLES ((size_t) 1 << 17)

/* Most words of a tuple: every column a number. */
#define MOST_WORDS (2 * TFRS_MAX_COLUMNS)

static size_t
words_of(const tfrs_column *column)
{
	return tfrs_column_has_set(column) ? 1 : 2;
}

static bool
is_read(const tfrs_tower_options *options, uint32_t column)
{
	for (uint32_t f = 0; f < options->features; f++)
		for (uint32_t i = 0; i < options->feature[f].columns; i++)
			if (options->feature[f].column[i] == column)
				return true;
	return false;
}

tfrs_row_layout
tfrs_row_layout_of(const tfrs_tower_options *options)
{
	tfrs_row_layout layout = {0};

	for (uint32_t c = 0; c < options->columns; c++)
	{
		layout.first[c] = TFRS_NO_ROW;
		if (!is_read(options, c))
			continue;
		layout.first[c] = layout.words;
		layout.words += (uint32_t) words_of(&options->column[c]);
	}
	return layout;
}

void
tfrs_row_room_init(tfrs_row_room *room, tfrs_arena *arena)
{
	memset(room, 0, sizeof(*room));
	room->arena = arena;
}

void
tfrs_row_room_free(tfrs_row_room *room)
{
	for (uint32_t c = 0; c < TFRS_MAX_COLUMNS && room->arena != NULL; c++)
	{
		tfrs_arena_release(room->arena, room->element[c]);
		tfrs_arena_release(room->arena, room->vector[c]);
	}
	memset(room, 0, sizeof(*room));
}

/* Elements of a list as bytes, which were checked where they came from. */
static size_t
count_elements(tfrs_id_kind kind, tfrs_id list)
{
	size_t		count = 0;
	uint32_t	length;

	if (kind == TFRS_ID_INTEGER)
		return list.length / sizeof(int64_t);
	for (size_t at = 0; at < list.length; at += sizeof(length) + length)
	{
		memcpy(&length, list.bytes + at, sizeof(length));
		count++;
	}
	return count;
}

static void
read_elements(tfrs_id_kind kind, tfrs_id list, tfrs_id *element)
{
	const char *at = list.bytes;
	uint32_t	length;
	int64_t		integer;

	while (at < list.bytes + list.length)
	{
		if (kind == TFRS_ID_INTEGER)
		{
			memcpy(&integer, at, sizeof(integer));
			*element++ = tfrs_id_of_integer(integer);
			at += sizeof(integer);
			continue;
		}
		memcpy(&length, at, sizeof(length));
		*element++ = tfrs_id_of_bytes(at + sizeof(length), length);
		at += sizeof(length) + length;
	}
}

static tfrs_status
read_list(const tfrs_column *column, tfrs_id list, tfrs_row_room *room, uint32_t c,
		  tfrs_value *value, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	value->count = count_elements((tfrs_id_kind) column->kind, list);
	if (value->count > room->elements[c] || room->element[c] == NULL)
	{
		tfrs_arena_release(room->arena, room->element[c]);
		room->element[c] = NULL;
		room->elements[c] = 2 * value->count;
		status = TFRS_GET(room->arena, &room->element[c], room->elements[c], error);
	}
	if (status != TFRS_OK)
		return status;
	read_elements((tfrs_id_kind) column->kind, list, room->element[c]);
	value->element = room->element[c];
	return TFRS_OK;
}

/* A copy, since the bytes may lie at any address. */
static tfrs_status
read_vector(const tfrs_column *column, tfrs_id bytes, tfrs_row_room *room, uint32_t c,
			tfrs_value *value, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (room->vector[c] == NULL)
		status = TFRS_GET(room->arena, &room->vector[c], column->dim, error);
	if (status != TFRS_OK)
		return status;
	memcpy(room->vector[c], bytes.bytes, column->dim * sizeof(float));
	value->vector = room->vector[c];
	return TFRS_OK;
}

tfrs_status
tfrs_rows_value(const tfrs_rows_view *view, uint32_t column, uint32_t number, tfrs_row_room *room,
				tfrs_value *value, tfrs_error *error)
{
	const tfrs_column *about = &view->options->column[column];

	*value = (tfrs_value) {.is_null = number == TFRS_NO_ROW};
	if (value->is_null)
		return TFRS_OK;
	value->id = tfrs_id_view_get(&view->value[column], number);
	if (about->type == TFRS_COLUMN_LIST)
		return read_list(about, value->id, room, column, value, error);
	if (about->type == TFRS_COLUMN_VECTOR)
		return read_vector(about, value->id, room, column, value, error);
	return TFRS_OK;
}

bool
tfrs_rows_number(const tfrs_rows_view *view, uint32_t column, uint32_t row, double *number)
{
	const uint32_t *words = view->words + (size_t) row * view->layout.words +
		view->layout.first[column];

	if (words[0] == TFRS_NO_ROW && words[1] == TFRS_NO_ROW)
		return false;
	memcpy(number, words, sizeof(*number));
	return true;
}

tfrs_status
tfrs_rows_read(const tfrs_rows_view *view, uint32_t row, tfrs_row_room *room, tfrs_value *value,
			   tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (uint32_t c = 0; c < view->options->columns && status == TFRS_OK; c++)
	{
		value[c] = (tfrs_value) {.is_null = true};
		if (row == TFRS_NO_ROW || view->layout.first[c] == TFRS_NO_ROW)
			continue;
		if (tfrs_column_has_set(&view->options->column[c]))
			status = tfrs_rows_value(view, c, tfrs_rows_value_number(view, c, row), room,
									 &value[c], error);
		else
			value[c].is_null = !tfrs_rows_number(view, c, row, &value[c].number);
	}
	return status;
}

static tfrs_status
add_null_row(tfrs_feature_rows *rows, tfrs_error *error)
{
	tfrs_value	null[TFRS_MAX_COLUMNS];
	uint32_t	row;

	for (uint32_t c = 0; c < rows->options->columns; c++)
		null[c] = (tfrs_value) {.is_null = true};
	return tfrs_feature_rows_add(rows, null, &row, error);
}

tfrs_status
tfrs_feature_rows_init(tfrs_feature_rows *rows, tfrs_arena *arena,
					   const tfrs_tower_options *options, tfrs_error *error)
{
	tfrs_status status;

	memset(rows, 0, sizeof(*rows));
	rows->arena = arena;
	rows->options = options;
	rows->layout = tfrs_row_layout_of(options);
	status = tfrs_id_set_init(&rows->tuples, arena, TFRS_ID_BYTES, 0, error);
	for (uint32_t c = 0; c < options->columns && status == TFRS_OK; c++)
	{
		const tfrs_column *column = &options->column[c];
		bool		is_id = column->type == TFRS_COLUMN_ID;

		if (rows->layout.first[c] == TFRS_NO_ROW || !tfrs_column_has_set(column))
			continue;
		status = tfrs_id_set_init(&rows->value[c], arena,
								  is_id ? (tfrs_id_kind) column->kind : TFRS_ID_BYTES,
								  column->tag, error);
		rows->value[c].most_bytes = TFRS_MAX_VALUE_BYTES;
	}
	if (status == TFRS_OK)
		status = add_null_row(rows, error);
	if (status != TFRS_OK)
		tfrs_feature_rows_free(rows);
	return status;
}

void
tfrs_feature_rows_free(tfrs_feature_rows *rows)
{
	if (rows->arena == NULL)
		return;
	tfrs_id_sort_end(&rows->sort);
	for (uint32_t c = 0; c < TFRS_MAX_COLUMNS; c++)
		if (rows->value[c].arena != NULL)
			tfrs_id_set_free(&rows->value[c]);
	if (rows->tuples.arena != NULL)
		tfrs_id_set_free(&rows->tuples);
	tfrs_arena_release(rows->arena, rows->room);
	tfrs_arena_release(rows->arena, rows->new_value);
	tfrs_arena_release(rows->arena, rows->new_row);
	memset(rows, 0, sizeof(*rows));
}

static tfrs_status
fail_long(const tfrs_column *column, tfrs_error *error)
{
	tfrs_fail(error, TFRS_TOO_LARGE, "a value of column \"%s\" is too long", column->name);
	tfrs_error_detail(error, "A value may have at most %zu bytes.", TFRS_MAX_VALUE_BYTES);
	tfrs_error_hint(error, "Give a part of it, such as left(%s, 10000).", column->name);
	return TFRS_TOO_LARGE;
}

static tfrs_status
fail_kind(const tfrs_column *column, tfrs_error *error)
{
	return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
					 "a value of column \"%s\" is of another type than those before",
					 column->name);
}

/* Room for a list of so many bytes. */
static tfrs_status
make_room(tfrs_feature_rows *rows, size_t bytes, tfrs_error *error)
{
	tfrs_status status;

	if (bytes <= rows->room_bytes && rows->room != NULL)
		return TFRS_OK;
	tfrs_arena_release(rows->arena, rows->room);
	rows->room = NULL;
	rows->room_bytes = tfrs_size_smaller(2 * bytes + 64, TFRS_MAX_VALUE_BYTES);
	status = TFRS_GET(rows->arena, &rows->room, rows->room_bytes, error);
	return status;
}

/* Bytes of an element of a list. */
static size_t
element_bytes(tfrs_id element)
{
	return element.kind == TFRS_ID_INTEGER ? sizeof(int64_t) : sizeof(uint32_t) + element.length;
}

static char *
write_element(char *to, tfrs_id element)
{
	if (element.kind == TFRS_ID_INTEGER)
	{
		memcpy(to, &element.integer, sizeof(int64_t));
		return to + sizeof(int64_t);
	}
	memcpy(to, &element.length, sizeof(uint32_t));
	if (element.length > 0)
		memcpy(to + sizeof(uint32_t), element.bytes, element.length);
	return to + sizeof(uint32_t) + element.length;
}

/* A list as an id of bytes, in the room. */
static tfrs_status
pack_list(tfrs_feature_rows *rows, const tfrs_column *column, const tfrs_value *value, tfrs_id *id,
		  tfrs_error *error)
{
	size_t		bytes = 0;
	char	   *to;
	tfrs_status status;

	for (size_t i = 0; i < value->count; i++)
	{
		if (value->element[i].kind != (tfrs_id_kind) column->kind)
			return fail_kind(column, error);
		bytes += element_bytes(value->element[i]);
		if (bytes > TFRS_MAX_VALUE_BYTES)
			return fail_long(column, error);
	}
	status = make_room(rows, bytes, error);
	if (status != TFRS_OK)
		return status;
	to = rows->room;
	for (size_t i = 0; i < value->count; i++)
		to = write_element(to, value->element[i]);
	*id = tfrs_id_of_bytes(rows->room, bytes);
	return TFRS_OK;
}

static tfrs_status
fail_not_finite(const tfrs_column *column, tfrs_error *error)
{
	tfrs_fail(error, TFRS_NOT_FINITE, "a value of column \"%s\" is not a finite number",
			  column->name);
	tfrs_error_hint(error, "Give NULL where a number is unknown.");
	return TFRS_NOT_FINITE;
}

/* The number of a value in its column's set. */
static tfrs_status
number_value(tfrs_feature_rows *rows, uint32_t c, const tfrs_value *value, uint32_t *word,
			 tfrs_error *error)
{
	const tfrs_column *column = &rows->options->column[c];
	tfrs_id		id = value->id;
	tfrs_status status = TFRS_OK;

	if (column->type == TFRS_COLUMN_LIST)
		status = pack_list(rows, column, value, &id, error);
	else if (column->type == TFRS_COLUMN_VECTOR)
	{
		if (!tfrs_all_finite(value->vector, column->dim))
			return fail_not_finite(column, error);
		id = tfrs_id_of_bytes((const char *) value->vector, column->dim * sizeof(float));
	}
	else if (id.kind != (tfrs_id_kind) column->kind)
		return fail_kind(column, error);
	if (status != TFRS_OK)
		return status;
	if (id.kind == TFRS_ID_BYTES && id.length > TFRS_MAX_VALUE_BYTES)
		return fail_long(column, error);
	return tfrs_id_set_add(&rows->value[c], id, word, error);
}

/* The words of a column's value. */
static tfrs_status
pack_value(tfrs_feature_rows *rows, uint32_t c, const tfrs_value *value, uint32_t *words,
		   tfrs_error *error)
{
	const tfrs_column *column = &rows->options->column[c];
	double		number = value->number + 0.0;	/* no -0 */

	if (value->is_null)
	{
		memset(words, 0xFF, words_of(column) * sizeof(uint32_t));
		return TFRS_OK;
	}
	if (tfrs_column_has_set(column))
		return number_value(rows, c, value, words, error);
	if (!isfinite(number))
		return fail_not_finite(column, error);
	memcpy(words, &number, sizeof(number));
	return TFRS_OK;
}

tfrs_status
tfrs_feature_rows_add(tfrs_feature_rows *rows, const tfrs_value *value, uint32_t *row,
					  tfrs_error *error)
{
	uint32_t	words[MOST_WORDS];
	tfrs_status status = TFRS_OK;

	for (uint32_t c = 0; c < rows->options->columns && status == TFRS_OK; c++)
		if (rows->layout.first[c] != TFRS_NO_ROW)
			status = pack_value(rows, c, &value[c], words + rows->layout.first[c], error);
	if (status != TFRS_OK)
		return status;
	return tfrs_id_set_add(&rows->tuples,
						   tfrs_id_of_bytes((const char *) words,
											rows->layout.words * sizeof(uint32_t)), row, error);
}

tfrs_rows_view
tfrs_feature_rows_view(const tfrs_feature_rows *rows)
{
	tfrs_rows_view view = {
		.options = rows->options, .layout = rows->layout, .count = rows->tuples.count,
		.words = (const uint32_t *) (const void *) rows->tuples.bytes
	};

	for (uint32_t c = 0; c < rows->options->columns; c++)
		if (rows->value[c].arena != NULL)
			view.value[c] = tfrs_id_set_view(&rows->value[c]);
	return view;
}

/* Below, at or above 0; NULL is below all numbers. */
static int
compare_numbers(const tfrs_rows_view *view, uint32_t c, uint32_t a, uint32_t b)
{
	double		x = -INFINITY;
	double		y = -INFINITY;

	tfrs_rows_number(view, c, a, &x);
	tfrs_rows_number(view, c, b, &y);
	return (x > y) - (x < y);
}

static int
compare_values(const tfrs_rows_view *view, uint32_t c, uint32_t a, uint32_t b)
{
	uint32_t	x = tfrs_rows_value_number(view, c, a);
	uint32_t	y = tfrs_rows_value_number(view, c, b);

	if (x == y)
		return 0;
	if (x == TFRS_NO_ROW || y == TFRS_NO_ROW)
		return x == TFRS_NO_ROW ? -1 : 1;
	return tfrs_id_compare(tfrs_id_view_get(&view->value[c], x),
						   tfrs_id_view_get(&view->value[c], y));
}

int
tfrs_feature_rows_compare(const tfrs_feature_rows *rows, uint32_t a, uint32_t b)
{
	tfrs_rows_view view = tfrs_feature_rows_view(rows);
	int			order = 0;

	for (uint32_t c = 0; c < rows->options->columns && order == 0; c++)
	{
		if (rows->layout.first[c] == TFRS_NO_ROW)
			continue;
		order = tfrs_column_has_set(&rows->options->column[c])
			? compare_values(&view, c, a, b) : compare_numbers(&view, c, a, b);
	}
	return order;
}

/* Turns to the next column that has a set; its sort, or that of the tuples, begins. */
static tfrs_status
begin_sort(tfrs_feature_rows *rows, tfrs_error *error)
{
	tfrs_id_set *set = &rows->tuples;
	uint32_t  **numbers = &rows->new_row;
	tfrs_status status;

	while (rows->phase < rows->options->columns && rows->value[rows->phase].arena == NULL)
		rows->phase++;
	if (rows->phase < rows->options->columns)
	{
		set = &rows->value[rows->phase];
		numbers = &rows->new_value;
	}
	status = TFRS_GET(rows->arena, numbers, set->count, error);
	if (status == TFRS_OK)
		status = tfrs_id_sort_begin(&rows->sort, set, *numbers, error);
	return status == TFRS_OK ? TFRS_MORE : status;
}

/* The words of the column become its values' new numbers.  Nothing is looked up until the tuples
 * are sorted, which makes their table anew. */
static void
renumber(tfrs_feature_rows *rows)
{
	uint32_t	words = rows->layout.words;
	uint32_t   *word = (uint32_t *) (void *) rows->tuples.bytes + rows->layout.first[rows->phase];
	size_t		left = rows->tuples.count - rows->done;
	size_t		end = rows->done + tfrs_size_smaller(left, STEP_TUPLES);

	for (; rows->done < end; rows->done++)
		if (word[rows->done * words] != TFRS_NO_ROW)
			word[rows->done * words] = rows->new_value[word[rows->done * words]];
	if (end < rows->tuples.count)
		return;
	tfrs_arena_release(rows->arena, rows->new_value);
	rows->new_value = NULL;
	rows->done = 0;
	rows->phase++;
}

tfrs_status
tfrs_feature_rows_finish_step(tfrs_feature_rows *rows, tfrs_error *error)
{
	tfrs_status status;

	if (rows->phase > rows->options->columns)
		return TFRS_OK;
	if (rows->sort.set == NULL && rows->new_value == NULL)
		return begin_sort(rows, error);
	if (rows->sort.set == NULL)
	{
		renumber(rows);
		return TFRS_MORE;
	}
	status = tfrs_id_sort_step(&rows->sort, error);
	if (status != TFRS_OK)
		return status;
	tfrs_id_sort_end(&rows->sort);
	if (rows->phase < rows->options->columns)
		return TFRS_MORE;
	rows->phase++;
	return TFRS_OK;
}

static size_t
set_bytes(const tfrs_id_set *set)
{
	return set->capacity * sizeof(uint64_t) + (set->slot_mask + 1) * sizeof(set->slots[0]) +
		set->bytes_capacity;
}

size_t
tfrs_feature_rows_bytes(const tfrs_feature_rows *rows)
{
	size_t		bytes = set_bytes(&rows->tuples) + rows->room_bytes;

	for (uint32_t c = 0; c < rows->options->columns; c++)
		if (rows->value[c].arena != NULL)
			bytes += set_bytes(&rows->value[c]);
	return bytes;
}
