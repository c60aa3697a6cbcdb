/*
 * feature.c: from values to rows of tables and numbers.
 */
#include "learning/feature.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "learning/fingerprint.h"
#include "learning/words.h"

/* Values that one step encodes, and words of texts about. */
#define STEP_VALUES ((size_t) 1 << 13)
#define STEP_ITEMS ((size_t) 1 << 16)

/* Standardized numbers are no larger, so that products of them stay finite. */
#define MOST_NUMBER 1e15

void
tfrs_feature_size(tfrs_feature *feature)
{
	const tfrs_feature_options *options = feature->options;

	feature->null_row = TFRS_NO_ROW;
	feature->rows = 0;
	if (tfrs_feature_has_vocabulary(options->kind))
		feature->rows = tfrs_vocabulary_rows(&feature->vocabulary);
	else if (options->kind == TFRS_FEATURE_HASH || options->kind == TFRS_FEATURE_CROSS)
		feature->rows = options->bins;
	else if (options->kind == TFRS_FEATURE_BUCKET)
		feature->rows = (size_t) feature->summary->boundaries + 1;
	if (!tfrs_feature_has_table(options->kind) || tfrs_feature_is_list(options->kind) ||
		feature->shares)
		return;
	feature->null_row = (uint32_t) feature->rows;
	feature->rows++;
}

/* The vocabulary of another feature, or the ids of a side. */
static tfrs_status
link_feature(tfrs_feature *feature, const tfrs_share *share, const tfrs_features *side,
			 const tfrs_id_view *keys, tfrs_error *error)
{
	const tfrs_column *column = &feature->columns[feature->options->column[0]];

	feature->shares = true;
	feature->shares_query = share->of_queries;
	feature->shares_feature = share->feature;
	if (share->feature != TFRS_NO_ROW)
		feature->vocabulary = side->feature[share->feature].vocabulary;
	else
		feature->vocabulary = (tfrs_word_table) {.words = *keys,.unknown_last = true};
	if (feature->vocabulary.words.kind != (tfrs_id_kind) column->kind)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "feature \"%s\" shares the table of \"%s\", "
						 "whose values are of another type", feature->options->name,
						 feature->options->share);
	tfrs_feature_size(feature);
	return TFRS_OK;
}

static tfrs_status
link_side(tfrs_features *sides[2], const tfrs_id_view *keys[2], bool of_queries, tfrs_error *error)
{
	tfrs_both_options both = {sides[1]->options, sides[0]->options};
	tfrs_features *side = sides[of_queries];
	tfrs_status status = TFRS_OK;

	for (uint32_t f = 0; f < side->count && status == TFRS_OK; f++)
	{
		tfrs_share	share;

		if (side->feature[f].options->share[0] == '\0')
			continue;
		status = tfrs_share_find(&both, of_queries, f, &share, error);
		if (status == TFRS_OK)
			status = link_feature(&side->feature[f], &share, sides[share.of_queries],
								  keys[share.of_queries], error);
	}
	return status;
}

tfrs_status
tfrs_features_link(tfrs_features *query, tfrs_features *candidate, const tfrs_id_view *queries,
				   const tfrs_id_view *candidates, tfrs_error *error)
{
	tfrs_features *sides[2] = {candidate, query};
	const tfrs_id_view *keys[2] = {candidates, queries};
	tfrs_status status = link_side(sides, keys, true, error);

	return status == TFRS_OK ? link_side(sides, keys, false, error) : status;
}

tfrs_status
tfrs_encoded_feature_init(tfrs_encoded_feature *encoded, tfrs_arena *arena,
						  const tfrs_feature *feature, size_t entries, size_t items,
						  tfrs_error *error)
{
	uint32_t	kind = feature->options->kind;
	tfrs_status status = TFRS_OK;

	memset(encoded, 0, sizeof(*encoded));
	encoded->feature = feature;
	encoded->arena = arena;
	encoded->capacity = entries;
	encoded->items.row_capacity = entries;
	encoded->items.capacity = items;
	encoded->items.has_weight = kind != TFRS_FEATURE_SEQUENCE;
	if (!tfrs_feature_has_table(kind))
		status = TFRS_GET(arena, &encoded->number, entries * feature->summary->width, error);
	else if (!tfrs_feature_is_list(kind))
		status = TFRS_GET(arena, &encoded->id, entries, error);
	else
	{
		status = TFRS_GET_ZERO(arena, &encoded->items.start, entries + 1, error);
		if (status == TFRS_OK)
			status = TFRS_GET(arena, &encoded->items.item, items, error);
		if (status == TFRS_OK && encoded->items.has_weight)
			status = TFRS_GET(arena, &encoded->items.weight, items, error);
	}
	if (status != TFRS_OK)
		tfrs_encoded_feature_free(encoded);
	return status;
}

void
tfrs_encoded_feature_free(tfrs_encoded_feature *encoded)
{
	if (encoded->arena == NULL)
		return;
	tfrs_arena_release(encoded->arena, encoded->id);
	tfrs_arena_release(encoded->arena, encoded->number);
	tfrs_arena_release(encoded->arena, encoded->items.start);
	tfrs_arena_release(encoded->arena, encoded->items.item);
	tfrs_arena_release(encoded->arena, encoded->items.weight);
	tfrs_arena_release(encoded->arena, encoded->room);
	memset(encoded, 0, sizeof(*encoded));
}

void
tfrs_encoded_feature_clear(tfrs_encoded_feature *encoded)
{
	encoded->entries = 0;
	encoded->items.rows = 0;
	encoded->items.count = 0;
}

/* Room for so many more items. */
static tfrs_status
make_items(tfrs_encoded_feature *encoded, size_t more, tfrs_error *error)
{
	tfrs_ragged *items = &encoded->items;
	size_t		capacity = 2 * (items->count + more) + 16;
	tfrs_status status;

	if (more <= items->capacity - items->count)
		return TFRS_OK;
	status = TFRS_RESIZE(encoded->arena, &items->item, capacity, error);
	if (status == TFRS_OK && items->has_weight)
		status = TFRS_RESIZE(encoded->arena, &items->weight, capacity, error);
	if (status == TFRS_OK)
		items->capacity = capacity;
	return status;
}

/* Room for one more entry, and for the longest word of a text. */
static tfrs_status
make_entry(tfrs_encoded_feature *encoded, size_t word, tfrs_error *error)
{
	size_t		capacity = 2 * encoded->capacity + 1;
	tfrs_status status = TFRS_OK;

	if (word > encoded->room_bytes)
	{
		tfrs_arena_release(encoded->arena, encoded->room);
		encoded->room = NULL;
		encoded->room_bytes = 0;
		status = TFRS_GET(encoded->arena, &encoded->room, 2 * word, error);
		encoded->room_bytes = status == TFRS_OK ? 2 * word : 0;
	}
	if (status != TFRS_OK || encoded->entries < encoded->capacity)
		return status;
	if (encoded->id != NULL)
		status = TFRS_RESIZE(encoded->arena, &encoded->id, capacity, error);
	else if (encoded->number != NULL)
		status = TFRS_RESIZE(encoded->arena, &encoded->number,
							 capacity * encoded->feature->summary->width, error);
	else
		status = TFRS_RESIZE(encoded->arena, &encoded->items.start, capacity + 1, error);
	if (status != TFRS_OK)
		return status;
	encoded->capacity = capacity;
	encoded->items.row_capacity = capacity;
	return TFRS_OK;
}

/* What is hashed: of an integer its digits, in room. */
static tfrs_id
hashed_bytes(tfrs_id id, char room[32])
{
	if (id.kind == TFRS_ID_BYTES)
		return id;
	return tfrs_id_of_bytes(room, (size_t) snprintf(room, 32, "%" PRId64, id.integer));
}

static uint32_t
hash_value(const tfrs_feature_options *options, const tfrs_value *value)
{
	char		room[32];
	tfrs_id		bytes = hashed_bytes(value->id, room);
	uint64_t	hash = options->salted ? tfrs_fingerprint_salted(bytes.bytes, bytes.length,
																  options->salt)
		: tfrs_fingerprint(bytes.bytes, bytes.length);

	return tfrs_fingerprint_bin(hash, options->bins);
}

/* Columns of the row; one that is NULL makes it the row of NULLs. */
static uint32_t
cross_values(const tfrs_feature *feature, const tfrs_value *value)
{
	const tfrs_feature_options *options = feature->options;
	uint64_t	cross = TFRS_CROSS_SEED;

	for (uint32_t i = 0; i < options->columns; i++)
	{
		const tfrs_value *one = &value[options->column[i]];

		if (one->is_null)
			return feature->null_row;
		cross = tfrs_fingerprint_cat(cross, one->id.kind == TFRS_ID_INTEGER
									 ? (uint64_t) one->id.integer
									 : tfrs_fingerprint(one->id.bytes, one->id.length));
	}
	return tfrs_fingerprint_bin(cross, options->bins);
}

double
tfrs_feature_number(const tfrs_feature_options *options, const tfrs_column *column,
					const tfrs_value *value)
{
	double		x = column->type == TFRS_COLUMN_ID ? (double) value->id.integer : value->number;

	return options->logs && options->kind == TFRS_FEATURE_NUMBER
		? copysign(log1p(fabs(x)), x) : x;
}

static double
number_of(const tfrs_feature *feature, const tfrs_value *value)
{
	return tfrs_feature_number(feature->options, &feature->columns[feature->options->column[0]],
							   value);
}

/* The row of the table for a kind that has one. */
static uint32_t
row_of(const tfrs_feature *feature, const tfrs_value *value)
{
	const tfrs_feature_options *options = feature->options;
	const tfrs_value *one = &value[options->column[0]];

	if (options->kind == TFRS_FEATURE_CROSS)
		return cross_values(feature, value);
	if (one->is_null)
		return feature->null_row;
	if (options->kind == TFRS_FEATURE_HASH)
		return hash_value(options, one);
	if (options->kind == TFRS_FEATURE_BUCKET)
		return tfrs_bucket(feature->boundary, feature->summary->boundaries,
						   number_of(feature, one));
	return tfrs_vocabulary_find(&feature->vocabulary, one->id, NULL);
}

/* number (width) */
static void
fill_numbers(const tfrs_feature *feature, const tfrs_value *value, float *number)
{
	const tfrs_value *one = &value[feature->options->column[0]];
	uint32_t	width = feature->summary->width;
	double		x;

	memset(number, 0, width * sizeof(float));
	if (feature->options->kind == TFRS_FEATURE_VECTOR)
	{
		if (!one->is_null)
			memcpy(number, one->vector, width * sizeof(float));
		return;
	}
	if (width > 1)
		number[1] = one->is_null;
	if (one->is_null)
		return;
	x = tfrs_moments_standardize(&feature->summary->moments, number_of(feature, one));
	number[0] = (float) fmax(-MOST_NUMBER, fmin(MOST_NUMBER, x));
}

/* One more item, with its weight before the combiner; without a row or a weight there is none. */
static void
push_item(tfrs_encoded_feature *encoded, tfrs_id value, float weight)
{
	const tfrs_feature *feature = encoded->feature;
	uint32_t	word;
	uint32_t	row = tfrs_vocabulary_find(&feature->vocabulary, value, &word);

	if (feature->options->combiner == TFRS_COMBINER_IDF)
		weight *= tfrs_vocabulary_idf(&feature->vocabulary, word);
	if (row != TFRS_NO_ROW && weight > 0)
		tfrs_ragged_push(&encoded->items, row, weight);
}

/* The first words of a text. */
static void
push_words(tfrs_encoded_feature *encoded, const tfrs_value *text)
{
	uint32_t	most = encoded->feature->options->most_elements;
	tfrs_words	words;

	tfrs_words_begin(&words, text->id.bytes, text->id.length, encoded->room);
	for (uint32_t n = 0; (most == 0 || n < most) && tfrs_words_next(&words); n++)
		push_item(encoded, tfrs_id_of_bytes(words.word, words.length), 1.0f);
}

/* The last elements of a list, the last one being 0 old. */
static void
push_elements(tfrs_encoded_feature *encoded, const tfrs_value *list)
{
	const tfrs_feature_options *options = encoded->feature->options;
	size_t		most = options->most_elements;
	size_t		first = most > 0 && list->count > most ? list->count - most : 0;

	for (size_t i = first; i < list->count; i++)
	{
		double		age = (double) (list->count - 1 - i);
		float		weight = options->decay > 0 ? (float) pow(options->decay, age) : 1.0f;

		push_item(encoded, list->element[i], weight);
	}
}

/* What weights of a row (from start on) are divided by. */
static void
combine(tfrs_encoded_feature *encoded, size_t start)
{
	const tfrs_ragged *items = &encoded->items;
	uint32_t	combiner = encoded->feature->options->combiner;
	double		sum = 0;
	double		squares = 0;
	double		divisor;

	for (size_t i = start; i < items->count; i++)
	{
		sum += items->weight[i];
		squares += (double) items->weight[i] * items->weight[i];
	}
	divisor = combiner == TFRS_COMBINER_MEAN ? sum : sqrt(squares);
	for (size_t i = start; i < items->count && combiner != TFRS_COMBINER_SUM; i++)
		items->weight[i] = (float) (items->weight[i] / divisor);
}

/* Most items that a value can become. */
static size_t
most_items(const tfrs_feature_options *options, const tfrs_value *value)
{
	size_t		items = options->kind == TFRS_FEATURE_TEXT ? ((size_t) value->id.length + 1) / 2
		: value->count;

	if (value->is_null)
		return 0;
	return options->most_elements > 0 ? tfrs_size_smaller(items, options->most_elements) : items;
}

static tfrs_status
add_items(tfrs_encoded_feature *encoded, const tfrs_value *value, tfrs_error *error)
{
	const tfrs_feature_options *options = encoded->feature->options;
	const tfrs_value *one = &value[options->column[0]];
	size_t		start = encoded->items.count;
	tfrs_status status = make_items(encoded, most_items(options, one), error);

	if (status != TFRS_OK)
		return status;
	if (!one->is_null && options->kind == TFRS_FEATURE_TEXT)
		push_words(encoded, one);
	else if (!one->is_null)
		push_elements(encoded, one);
	if (encoded->items.has_weight)
		combine(encoded, start);
	tfrs_ragged_end_row(&encoded->items);
	encoded->entries++;
	return TFRS_OK;
}

tfrs_status
tfrs_encoded_feature_add(tfrs_encoded_feature *encoded, const tfrs_value *value, tfrs_error *error)
{
	const tfrs_feature *feature = encoded->feature;
	const tfrs_value *one = &value[feature->options->column[0]];
	bool		is_text = feature->options->kind == TFRS_FEATURE_TEXT && !one->is_null;
	tfrs_status status = make_entry(encoded, is_text ? one->id.length : 0, error);

	if (status != TFRS_OK)
		return status;
	if (tfrs_feature_is_list(feature->options->kind))
		return add_items(encoded, value, error);
	if (encoded->number != NULL)
		fill_numbers(feature, value, encoded->number + encoded->entries * feature->summary->width);
	else
		encoded->id[encoded->entries] = row_of(feature, value);
	encoded->entries++;
	return TFRS_OK;
}

/* Whether the feature has an entry for each value of its column, not for each row. */
static bool
is_by_value(const tfrs_feature_options *options, const tfrs_column *columns)
{
	return options->columns == 1 && tfrs_column_has_set(&columns[options->column[0]]);
}

size_t
tfrs_feature_entries(const tfrs_rows_view *view, const tfrs_feature_options *options)
{
	return is_by_value(options, view->options->column)
		? view->value[options->column[0]].count + 1 : view->count;
}

tfrs_status
tfrs_feature_entry(const tfrs_rows_view *view, const tfrs_feature_options *options, size_t entry,
				   tfrs_row_room *room, tfrs_value *value, tfrs_error *error)
{
	uint32_t	column = options->column[0];

	if (!is_by_value(options, view->options->column))
		return tfrs_rows_read(view, (uint32_t) entry, room, value, error);
	return tfrs_rows_value(view, column, entry == view->value[column].count ? TFRS_NO_ROW
						   : (uint32_t) entry, room, &value[column], error);
}

tfrs_status
tfrs_encoded_rows_begin(tfrs_encoded_rows *encoded, tfrs_arena *arena,
						const tfrs_features *features, const tfrs_rows_view *view,
						tfrs_error *error)
{
	(void) error;
	memset(encoded, 0, sizeof(*encoded));
	encoded->arena = arena;
	encoded->features = features;
	encoded->view = *view;
	tfrs_row_room_init(&encoded->room, arena);
	return TFRS_OK;
}

void
tfrs_encoded_rows_free(tfrs_encoded_rows *encoded)
{
	if (encoded->arena == NULL)
		return;
	tfrs_row_room_free(&encoded->room);
	for (size_t f = 0; f < TFRS_MAX_FEATURES; f++)
		tfrs_encoded_feature_free(&encoded->feature[f]);
	for (size_t c = 0; c < TFRS_MAX_COLUMNS; c++)
		tfrs_arena_release(encoded->arena, encoded->entry[c]);
	memset(encoded, 0, sizeof(*encoded));
}

/* Which entry each row has of a column whose values are numbered. */
static tfrs_status
fill_entries(tfrs_encoded_rows *encoded, uint32_t column, tfrs_error *error)
{
	const tfrs_rows_view *view = &encoded->view;
	uint32_t	null = (uint32_t) view->value[column].count;
	tfrs_status status = TFRS_OK;

	if (encoded->entry[column] == NULL)
		status = TFRS_GET(encoded->arena, &encoded->entry[column], view->count, error);
	for (size_t row = 0; row < view->count && status == TFRS_OK; row++)
	{
		uint32_t	number = tfrs_rows_value_number(view, column, (uint32_t) row);

		encoded->entry[column][row] = number == TFRS_NO_ROW ? null : number;
	}
	return status;
}

static tfrs_status
begin_feature(tfrs_encoded_rows *encoded, tfrs_error *error)
{
	const tfrs_feature *feature = &encoded->features->feature[encoded->at];
	tfrs_encoded_feature *to = &encoded->feature[encoded->at];
	size_t		entries = tfrs_feature_entries(&encoded->view, feature->options);
	tfrs_status status = tfrs_encoded_feature_init(to, encoded->arena, feature, entries, entries,
												   error);

	if (status != TFRS_OK || !is_by_value(feature->options, encoded->view.options->column))
		return status;
	status = fill_entries(encoded, feature->options->column[0], error);
	to->entry = encoded->entry[feature->options->column[0]];
	return status;
}

tfrs_status
tfrs_encoded_rows_step(tfrs_encoded_rows *encoded, tfrs_error *error)
{
	tfrs_encoded_feature *to = &encoded->feature[encoded->at];
	tfrs_value	value[TFRS_MAX_COLUMNS];
	size_t		items = 0;
	tfrs_status status = TFRS_OK;

	if (encoded->at == encoded->features->count)
		return TFRS_OK;
	if (to->arena == NULL)
		status = begin_feature(encoded, error);
	for (size_t n = 0; n < STEP_VALUES && items < STEP_ITEMS && status == TFRS_OK &&
		 encoded->done < to->capacity; n++)
	{
		size_t		before = to->items.count;

		status = tfrs_feature_entry(&encoded->view, to->feature->options, encoded->done,
									&encoded->room, value, error);
		if (status == TFRS_OK)
			status = tfrs_encoded_feature_add(to, value, error);
		items += to->items.count - before;
		encoded->done++;
	}
	if (status != TFRS_OK)
		return status;
	if (encoded->done < to->capacity)
		return TFRS_MORE;
	encoded->done = 0;
	encoded->at++;
	return encoded->at == encoded->features->count ? TFRS_OK : TFRS_MORE;
}

/* Bytes of a feature's entries and items. */
static size_t
entry_bytes(const tfrs_rows_view *view, const tfrs_feature_options *options)
{
	const tfrs_column *column = &view->options->column[options->column[0]];
	const tfrs_id_view *values = &view->value[options->column[0]];
	size_t		entries = tfrs_feature_entries(view, options);
	size_t		items = 0;

	if (tfrs_feature_is_list(options->kind) && values->count > 0)
		items = values->offsets[values->count] / sizeof(uint32_t) + values->count;
	if (options->kind == TFRS_FEATURE_VECTOR)
		return entries * column->dim * sizeof(float);
	return entries * (sizeof(size_t) + sizeof(uint32_t)) + items * 2 * 2 * sizeof(uint32_t);
}

tfrs_status
tfrs_encoded_rows_estimate(const tfrs_rows_view *view, size_t *bytes, tfrs_error *error)
{
	bool		fits = true;

	for (uint32_t f = 0; view->options != NULL && f < view->options->features; f++)
	{
		size_t		rows = view->count * sizeof(uint32_t);	/* which entry each has */

		fits = fits && tfrs_size_add(*bytes, entry_bytes(view, &view->options->feature[f]),
									 bytes) && tfrs_size_add(*bytes, rows, bytes);
	}
	return fits ? TFRS_OK : tfrs_fail(error, TFRS_TOO_LARGE, "a size overflows");
}

void
tfrs_feature_map(const tfrs_feature *earlier, const tfrs_feature *now, uint32_t *place)
{
	const tfrs_word_table *words = &earlier->vocabulary;

	for (size_t row = 0; row < earlier->rows; row++)
		place[row] = row < now->rows ? (uint32_t) row : TFRS_NO_ROW;
	if (!tfrs_feature_has_vocabulary(earlier->options->kind))
		return;
	for (uint32_t word = 0; word < words->words.count; word++)
	{
		tfrs_id		value = tfrs_id_view_get(&words->words, word);
		uint32_t	found;
		uint32_t	row = tfrs_vocabulary_find(&now->vocabulary, value, &found);

		place[tfrs_vocabulary_find(words, value, NULL)] = found == TFRS_NO_ROW ? TFRS_NO_ROW : row;
	}
	if (earlier->null_row != TFRS_NO_ROW)
		place[earlier->null_row] = now->null_row;
}
