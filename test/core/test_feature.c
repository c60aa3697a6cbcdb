/*
 * test_feature.c: features of every kind: settled over rows, encoding them, in a model and again.
 */
#include "settled.h"

#include <stdlib.h>

#include "learning/feature_store.h"

#define CANDIDATES 60

static const tfrs_feature *
feature_of(const settled *s, uint32_t number)
{
	return &tfrs_settling_features(s->settling, false)->feature[number];
}

static uint32_t
word_row(const tfrs_feature *feature, const char *word)
{
	return tfrs_vocabulary_find(&feature->vocabulary, tfrs_id_of_bytes(word, strlen(word)), NULL);
}

/* 60 candidates: acme 17, bolt 17, core 18; "bolt" has the greater value of the tie. */
CHECK_TEST(words_are_in_the_order_of_keras)
{
	settled		s;
	const tfrs_feature *id;

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	id = feature_of(&s, SETTLED_ID);
	CHECK_EQUAL(id->vocabulary.words.count, 3);
	CHECK_EQUAL(id->vocabulary.count[0] + id->vocabulary.count[1] + id->vocabulary.count[2], 52);
	for (uint32_t w = 1; w < 3; w++)
	{
		uint32_t	a = id->vocabulary.order[w - 1];
		uint32_t	b = id->vocabulary.order[w];

		CHECK(id->vocabulary.count[a] > id->vocabulary.count[b] ||
			  (id->vocabulary.count[a] == id->vocabulary.count[b] && a > b));
	}
	CHECK_EQUAL(id->rows, 5);	/* an unknown slot, three words, NULL */
	CHECK_EQUAL(id->null_row, 4);
	CHECK_EQUAL(id->summary->rows, 60);
	CHECK_EQUAL(id->summary->nulls, 8);
	CHECK_EQUAL(word_row(id, "none"), 0);
	settled_free(&s);
}

CHECK_TEST(statistics_by_hand)
{
	settled		s;
	const tfrs_feature_summary *price;
	const tfrs_feature *bucket;
	double		sum = 0;
	double		squares = 0;
	size_t		count = 0;

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	for (uint32_t n = 0; n < CANDIDATES; n++)
	{
		tfrs_id		element[2];
		tfrs_value	value[SETTLED_COLUMNS];

		settled_values(n, element, value);
		if (value[SETTLED_PRICE].is_null)
			continue;
		sum += value[SETTLED_PRICE].number;
		squares += value[SETTLED_PRICE].number * value[SETTLED_PRICE].number;
		count++;
	}
	price = feature_of(&s, SETTLED_NUMBER)->summary;
	CHECK_EQUAL(price->nulls, CANDIDATES - count);
	CHECK_EQUAL(price->width, 2);
	CHECK_NEAR(price->moments.mean, sum / count, 1e-12);
	CHECK_NEAR(price->moments.variance, squares / count - sum / count * (sum / count), 1e-9);
	CHECK_NEAR(price->least, 0, 0);
	CHECK_NEAR(price->most, 70, 0);
	CHECK_EQUAL(feature_of(&s, SETTLED_YEAR)->summary->width, 1);
	CHECK_NEAR(feature_of(&s, SETTLED_YEAR)->summary->moments.mean, 1991.5, 1e-9);
	bucket = feature_of(&s, SETTLED_BUCKET);
	CHECK_EQUAL(bucket->summary->boundaries, 3);
	CHECK_EQUAL(bucket->rows, 5);
	CHECK(bucket->boundary[0] >= 10 && bucket->boundary[2] <= 60);
	settled_free(&s);
}

CHECK_TEST(quantiles_of_weighted_values_are_those_of_all)
{
	static const double distinct[] = {-2, 0.5, 3, 10};
	static const uint64_t through[] = {3, 4, 9, 11};
	static const double all[] = {-2, -2, -2, 0.5, 3, 3, 3, 3, 3, 10, 10};

	for (size_t bins = 2; bins <= 14; bins++)
	{
		double		a[16];
		double		b[16];
		size_t		count = tfrs_quantiles(all, NULL, 11, bins, a);

		CHECK_EQUAL(tfrs_quantiles(distinct, through, 4, bins, b), count);
		for (size_t i = 0; i < count; i++)
			CHECK(a[i] == b[i]);
	}
	CHECK_EQUAL(tfrs_quantiles(distinct, through, 0, 4, NULL), 0);
}

/* Encodes all rows of the candidates, and each of them by itself as serving does. */
static bool
same_entry(const tfrs_encoded_feature *all, size_t entry, const tfrs_encoded_feature *one)
{
	uint32_t	width = all->feature->summary->width;

	if (all->number != NULL)
		return memcmp(all->number + entry * width, one->number, width * sizeof(float)) == 0;
	if (all->id != NULL)
		return all->id[entry] == one->id[0] && all->id[entry] < all->feature->rows;
	if (tfrs_ragged_length(&all->items, entry) != tfrs_ragged_length(&one->items, 0))
		return false;
	for (size_t i = 0; i < tfrs_ragged_length(&one->items, 0); i++)
	{
		size_t		at = all->items.start[entry] + i;

		if (all->items.item[at] != one->items.item[i] ||
			all->items.item[at] >= all->feature->rows ||
			(all->items.has_weight && all->items.weight[at] != one->items.weight[i]))
			return false;
	}
	return true;
}

static tfrs_status
encode_all(tfrs_encoded_rows *encoded, tfrs_arena *arena, const tfrs_features *features,
		   const tfrs_rows_view *view, tfrs_error *error)
{
	tfrs_status status = tfrs_encoded_rows_begin(encoded, arena, features, view, error);

	while (status == TFRS_OK)
	{
		status = tfrs_encoded_rows_step(encoded, error);
		if (status == TFRS_OK)
			break;
		status = status == TFRS_MORE ? TFRS_OK : status;
	}
	return status;
}

CHECK_TEST(training_and_serving_encode_alike)
{
	settled		s;
	tfrs_encoded_rows encoded;
	tfrs_rows_view view;
	size_t		bytes = 0;

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	view = tfrs_feature_rows_view(&s.rows[0]);
	CHECK_OK(encode_all(&encoded, check_arena(), tfrs_settling_features(s.settling, false), &view,
						&check_error));
	CHECK_OK(tfrs_encoded_rows_estimate(&view, &bytes, &check_error));
	CHECK(bytes > 1000 && bytes < 1000000);
	for (uint32_t n = 0; n < CANDIDATES; n++)
		for (uint32_t f = 0; f < encoded.features->count; f++)
		{
			const tfrs_encoded_feature *all = &encoded.feature[f];
			tfrs_encoded_feature one;
			tfrs_id		element[2];
			tfrs_value	value[SETTLED_COLUMNS];

			settled_values(n, element, value);
			CHECK_OK(tfrs_encoded_feature_init(&one, check_arena(), all->feature, 1, 0,
											   &check_error));
			for (int again = 0; again < 2; again++)
			{
				tfrs_encoded_feature_clear(&one);
				CHECK_OK(tfrs_encoded_feature_add(&one, value, &check_error));
				CHECK(same_entry(all, all->entry == NULL ? s.row[n] : all->entry[s.row[n]], &one));
			}
			tfrs_encoded_feature_free(&one);
		}
	tfrs_encoded_rows_free(&encoded);
	settled_free(&s);
}

/* What one row of values becomes. */
static tfrs_encoded_feature
encode_one(const tfrs_feature *feature, const tfrs_value *value)
{
	tfrs_encoded_feature one;

	CHECK_OK(tfrs_encoded_feature_init(&one, check_arena(), feature, 1, 0, &check_error));
	CHECK_OK(tfrs_encoded_feature_add(&one, value, &check_error));
	return one;
}

CHECK_TEST(null_is_a_row_or_nothing)
{
	settled		s;
	tfrs_value	value[SETTLED_COLUMNS];

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	for (int c = 0; c < SETTLED_COLUMNS; c++)
		value[c] = features_null();
	for (uint32_t f = 0; f <= SETTLED_YEAR; f++)
	{
		const tfrs_feature *feature = feature_of(&s, f);
		tfrs_encoded_feature one = encode_one(feature, value);

		if (one.id != NULL)
			CHECK_EQUAL(one.id[0], feature->rows - 1);
		else if (one.number == NULL)
			CHECK_EQUAL(one.items.count, 0);
		else
			CHECK(one.number[0] == 0);
		if (f == SETTLED_NUMBER)
			CHECK(one.number[1] == 1);
		tfrs_encoded_feature_free(&one);
	}
	settled_free(&s);
}

CHECK_TEST(weights_of_a_bag)
{
	settled		s;
	tfrs_value	value[SETTLED_COLUMNS];
	tfrs_id		element[3] = {
		tfrs_id_of_bytes("new", 3), tfrs_id_of_bytes("hot", 3), tfrs_id_of_bytes("odd", 3)
	};
	const tfrs_feature *bag;
	tfrs_encoded_feature one;
	double		idf[2];

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	bag = feature_of(&s, SETTLED_BAG);
	value[SETTLED_TAGS] = features_list(element, 3);
	one = encode_one(bag, value);
	CHECK_EQUAL(one.items.count, 2);	/* an unknown element says nothing of how rare it is */
	CHECK_EQUAL(one.items.item[0], word_row(bag, "new"));
	for (int i = 0; i < 2; i++)
	{
		uint32_t	word;

		tfrs_vocabulary_find(&bag->vocabulary, element[i], &word);
		idf[i] = log((double) bag->vocabulary.head.documents / bag->vocabulary.with[word]);
	}
	for (int i = 0; i < 2; i++)
		CHECK_NEAR(one.items.weight[i], idf[i] / hypot(idf[0], idf[1]), 1e-6);
	tfrs_encoded_feature_free(&one);
	one = encode_one(feature_of(&s, SETTLED_SEQUENCE), value);
	CHECK_EQUAL(one.items.count, 3);
	CHECK(one.items.weight == NULL);
	CHECK_EQUAL(one.items.item[2], 0);
	tfrs_encoded_feature_free(&one);
	settled_free(&s);
}

/* Unknown is the last row of a table of ids; a shared feature has that feature's rows. */
CHECK_TEST(a_shared_table_is_found)
{
	settled		s;
	const tfrs_features *queries;
	tfrs_id		seen[2] = {tfrs_id_of_integer(5), tfrs_id_of_integer(1000)};
	tfrs_id		likes[2] = {tfrs_id_of_bytes("bolt", 4), tfrs_id_of_bytes("none", 4)};
	tfrs_value	value[3] = {features_null(), features_list(seen, 2), features_list(likes, 2)};
	tfrs_encoded_feature one;

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	queries = tfrs_settling_features(s.settling, true);
	CHECK(queries->feature[0].shares && !queries->feature[0].shares_query);
	CHECK_EQUAL(queries->feature[0].shares_feature, TFRS_NO_ROW);
	CHECK_EQUAL(queries->feature[0].rows, CANDIDATES + 1);
	one = encode_one(&queries->feature[0], value);
	CHECK_EQUAL(one.items.item[0], 5);
	CHECK_EQUAL(one.items.item[1], CANDIDATES);
	CHECK_NEAR(one.items.weight[0], 0.5, 1e-7);
	tfrs_encoded_feature_free(&one);
	CHECK_EQUAL(queries->feature[1].shares_feature, SETTLED_ID);
	one = encode_one(&queries->feature[1], value);
	CHECK_EQUAL(one.items.item[0], word_row(feature_of(&s, SETTLED_ID), "bolt"));
	CHECK_EQUAL(one.items.item[1], 0);
	tfrs_encoded_feature_free(&one);
	settled_free(&s);
}

/* A training that goes on keeps words, moments and boundaries, and says where rows are now. */
CHECK_TEST(a_later_training_keeps_what_is_known)
{
	settled		first;
	settled		later;
	uint32_t	place[100];
	uint32_t	null_before;

	CHECK_OK(settled_make(&first, check_arena(), 0, 2, NULL, &check_error));	/* acme and bolt */
	CHECK_OK(settled_make(&later, check_arena(), 2, CANDIDATES, &first, &check_error));
	for (uint32_t f = 0; f <= SETTLED_YEAR; f++)
	{
		const tfrs_feature *before = feature_of(&first, f);
		const tfrs_feature *now = feature_of(&later, f);

		CHECK(now->rows >= before->rows);
		CHECK_EQUAL(now->summary->width, before->summary->width);
		CHECK(now->summary->moments.mean == before->summary->moments.mean);
		CHECK(now->summary->moments.variance == before->summary->moments.variance);
		CHECK_EQUAL(now->summary->boundaries, before->summary->boundaries);
		tfrs_feature_map(before, now, place);
		for (size_t i = 0; i < before->rows; i++)
		{
			CHECK(place[i] < now->rows);
			for (size_t j = 0; j < i; j++)
				CHECK(place[i] != place[j]);
		}
		if (tfrs_feature_has_vocabulary(before->options->kind))
			for (uint32_t w = 0; w < before->vocabulary.words.count; w++)
			{
				tfrs_id		word = tfrs_id_view_get(&before->vocabulary.words, w);

				CHECK_EQUAL(place[tfrs_vocabulary_find(&before->vocabulary, word, NULL)],
							tfrs_vocabulary_find(&now->vocabulary, word, NULL));
			}
		null_before = before->null_row;
		CHECK(null_before == TFRS_NO_ROW || place[null_before] == now->null_row);
	}
	CHECK_EQUAL(feature_of(&first, SETTLED_ID)->vocabulary.words.count, 2);
	CHECK_EQUAL(feature_of(&later, SETTLED_ID)->vocabulary.words.count, 3);
	settled_free(&later);
	settled_free(&first);
}

/* A column of numbers alone, for what is refused. */
static tfrs_status
settle_numbers(const double *numbers, size_t count, tfrs_feature_kind kind)
{
	static tfrs_tower_options options;
	tfrs_feature_rows rows;
	tfrs_settling_side query = {0};
	tfrs_settling_side candidate = {.options = &options};
	tfrs_settling *settling;
	uint32_t	row_count[8] = {0};
	tfrs_status status;

	memset(&options, 0, sizeof(options));
	features_column(&options, "item", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(&options, "weight", TFRS_COLUMN_NUMBER, 0);
	features_add(&options, kind, 1);
	CHECK_OK(tfrs_feature_rows_init(&rows, check_arena(), &options, &check_error));
	for (size_t i = 0; i < count; i++)
	{
		tfrs_value	value[2] = {features_null(), features_number(numbers[i])};
		uint32_t	row;

		CHECK_OK(tfrs_feature_rows_add(&rows, value, &row, &check_error));
	}
	CHECK_OK(settled_finish_rows(&rows, &check_error));
	candidate.view = tfrs_feature_rows_view(&rows);
	for (size_t r = 0; r + 1 < candidate.view.count; r++)
		row_count[r] = 1;
	row_count[candidate.view.count - 1] = count == 0;	/* NULL */
	candidate.row_count = row_count;
	CHECK_OK(tfrs_settling_begin(&settling, check_arena(), &query, &candidate, &check_error));
	do
		status = tfrs_settling_step(settling, &check_error);
	while (status == TFRS_MORE);
	tfrs_settling_destroy(settling);
	tfrs_feature_rows_free(&rows);
	return status;
}

CHECK_TEST(numbers_that_overflow_are_refused_by_the_name_of_their_column)
{
	static const double numbers[] = {-1.7e308, 1.7e308, 3};
	static const double good[] = {-1e150, 1e150};

	CHECK_STATUS(settle_numbers(numbers, 3, TFRS_FEATURE_NUMBER), TFRS_OUT_OF_RANGE);
	CHECK(strstr(check_error.message, "\"weight\"") != NULL);
	CHECK_STATUS(settle_numbers(numbers, 3, TFRS_FEATURE_BUCKET), TFRS_OK);
	CHECK_OK(settle_numbers(good, 2, TFRS_FEATURE_NUMBER));
}

CHECK_TEST(a_column_of_nulls_alone_is_refused_by_its_name)
{
	CHECK_STATUS(settle_numbers(NULL, 0, TFRS_FEATURE_NUMBER), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, "\"weight\"") != NULL);
	CHECK_STATUS(settle_numbers(NULL, 0, TFRS_FEATURE_BUCKET), TFRS_INVALID_ARGUMENT);
}

/* Both sides as parts of a block. */
static uint64_t *
store(const settled *s, size_t *length, tfrs_arena *arena, tfrs_error *error)
{
	static tfrs_block_writer writer;
	static tfrs_feature_store stores[2];
	static const uint32_t query_row[2] = {0, 1};
	tfrs_rows_view views[2];
	uint64_t   *bytes = NULL;
	tfrs_status status = TFRS_OK;

	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	memset(stores, 0, sizeof(stores));
	for (int q = 0; q < 2 && status == TFRS_OK; q++)
	{
		views[q] = tfrs_feature_rows_view(&s->rows[q]);
		status = tfrs_feature_store_begin(&stores[q], arena,
										  tfrs_settling_features(s->settling, q), &views[q],
										  q ? query_row : s->row, q ? 2 : s->candidates, error);
		while (status == TFRS_OK &&
			   (status = tfrs_feature_store_step(&stores[q], error)) == TFRS_MORE)
			status = TFRS_OK;
		if (status == TFRS_OK)
			status = tfrs_feature_store_add(&stores[q], q, &writer, error);
	}
	if (status == TFRS_OK)
		status = tfrs_block_writer_size(&writer, length, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &bytes, *length / 8 + 1, error);
	if (status == TFRS_OK)
	{
		tfrs_block_writer_begin(&writer, bytes);
		while (tfrs_block_writer_step(&writer) == TFRS_MORE)
			;
	}
	for (int q = 0; q < 2; q++)
		tfrs_feature_store_free(&stores[q]);
	return bytes;
}

/* A model's features of both sides; the ids are those of s. */
static tfrs_status
load(tfrs_stored_features stored[2], const settled *s, const void *bytes, size_t length)
{
	tfrs_block	block;
	tfrs_status status = tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, &check_error);

	if (status == TFRS_OK)
		status = tfrs_stored_features_load(&stored[0], &block, false, s->candidates, &check_error);
	if (status == TFRS_OK)
		status = tfrs_stored_features_load(&stored[1], &block, true, 2, &check_error);
	if (status == TFRS_OK)
		status = tfrs_features_link(&stored[1].features, &stored[0].features, NULL, &s->id_view,
									&check_error);
	return status;
}

/* Every feature encodes every row that is stored. */
static void
use_stored(const tfrs_stored_features *stored)
{
	tfrs_row_room room;

	if (stored->features.options == NULL || !stored->has_rows)
		return;
	tfrs_row_room_init(&room, check_arena());
	for (uint32_t row = 0; row < stored->rows.count; row++)
	{
		tfrs_value	value[TFRS_MAX_COLUMNS];

		CHECK_OK(tfrs_rows_read(&stored->rows, row, &room, value, &check_error));
		for (uint32_t f = 0; f < stored->features.count; f++)
		{
			const tfrs_feature *feature = &stored->features.feature[f];
			tfrs_encoded_feature one;

			/* a table that hostile bytes make huge is not taken here */
			CHECK_OK(tfrs_encoded_feature_init(&one, check_arena(), feature, 1, 0, &check_error));
			CHECK_OK(tfrs_encoded_feature_add(&one, value, &check_error));
			CHECK(one.id == NULL || one.id[0] == TFRS_NO_ROW || one.id[0] < feature->rows);
			for (size_t i = 0; i < one.items.count; i++)
				CHECK(one.items.item[i] < feature->rows);
			tfrs_encoded_feature_free(&one);
		}
	}
	tfrs_row_room_free(&room);
}

CHECK_TEST(what_is_stored_encodes_as_what_was_settled)
{
	settled		s;
	tfrs_stored_features *stored;
	size_t		length;
	uint64_t   *bytes;
	tfrs_row_room room;

	CHECK_OK(settled_make(&s, check_arena(), 0, CANDIDATES, NULL, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &stored, 2, &check_error));
	bytes = store(&s, &length, check_arena(), &check_error);
	CHECK(bytes != NULL);
	CHECK_OK(load(stored, &s, bytes, length));
	use_stored(&stored[0]);
	use_stored(&stored[1]);
	tfrs_row_room_init(&room, check_arena());
	for (uint32_t n = 0; n < CANDIDATES; n++)
	{
		tfrs_id		element[2];
		tfrs_value	given[SETTLED_COLUMNS];
		tfrs_value	read[SETTLED_COLUMNS];

		settled_values(n, element, given);
		CHECK_OK(tfrs_rows_read(&stored[0].rows, n, &room, read, &check_error));
		for (uint32_t f = 0; f <= SETTLED_YEAR; f++)
		{
			tfrs_encoded_feature a = encode_one(feature_of(&s, f), given);
			tfrs_encoded_feature b = encode_one(&stored[0].features.feature[f], read);

			CHECK(same_entry(&a, 0, &b));
			tfrs_encoded_feature_free(&a);
			tfrs_encoded_feature_free(&b);
		}
	}
	CHECK_OK(tfrs_stored_features_check(&stored[0], settled_candidate_options(), "candidates",
										&check_error));
	CHECK_STATUS(tfrs_stored_features_check(&stored[0], settled_query_options(), "candidates",
											&check_error), TFRS_INVALID_ARGUMENT);
	CHECK_STATUS(tfrs_stored_features_check(&stored[0], NULL, "candidates", &check_error),
				 TFRS_INVALID_ARGUMENT);
	tfrs_row_room_free(&room);
	settled_free(&s);
}

/* Bytes of a part that are flipped in turn; of the options, which are mostly empty, the beginnings. */
static void
flip_part(uint8_t *copy, const settled *s, const uint64_t *bytes, size_t length,
		  const tfrs_block_part *part)
{
	tfrs_stored_features *stored;
	size_t		step = part->bytes > 20000 ? 1 + part->bytes / 3000 : 1;

	CHECK_OK(TFRS_GET(check_arena(), &stored, 2, &check_error));
	for (size_t at = 0; at < part->bytes; at += at < 400 ? 1 : step)
		for (int bit = 0; bit < 8; bit += 7)
		{
			copy[part->offset + at] ^= (uint8_t) (1 << bit);
			if (load(stored, s, copy, length) == TFRS_OK)
			{
				use_stored(&stored[0]);
				use_stored(&stored[1]);
			}
			copy[part->offset + at] = ((const uint8_t *) bytes)[part->offset + at];
		}
	tfrs_arena_release(check_arena(), stored);
}

CHECK_TEST(hostile_bytes_are_an_error_or_harmless)
{
	settled		s;
	size_t		length;
	uint64_t   *bytes;
	uint8_t    *copy;
	tfrs_block	block;

	CHECK_OK(settled_make(&s, check_arena(), 0, 14, NULL, &check_error));
	bytes = store(&s, &length, check_arena(), &check_error);
	copy = aligned_alloc(64, (length + 63) / 64 * 64);
	memcpy(copy, bytes, length);
	CHECK_OK(tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, &check_error));
	for (uint32_t p = 0; p < block.header->part_count; p++)
		flip_part(copy, &s, bytes, length, &block.parts[p]);
	free(copy);
	settled_free(&s);
}

static tfrs_status
settle_encode_and_store(tfrs_arena *arena, tfrs_error *error)
{
	settled		s;
	tfrs_encoded_rows encoded = {0};
	size_t		length;
	uint64_t   *bytes = NULL;
	tfrs_status status = settled_make(&s, arena, 0, 20, NULL, error);

	if (status == TFRS_OK)
	{
		tfrs_rows_view view = tfrs_feature_rows_view(&s.rows[0]);

		status = encode_all(&encoded, arena, tfrs_settling_features(s.settling, false), &view,
							error);
	}
	if (status == TFRS_OK)
	{
		bytes = store(&s, &length, arena, error);
		status = bytes == NULL ? error->status : TFRS_OK;
	}
	tfrs_arena_release(arena, bytes);
	tfrs_encoded_rows_free(&encoded);
	settled_free(&s);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(settle_encode_and_store);
}

static void
refuse_candidate(tfrs_tower_options *options, const char *named)
{
	CHECK_STATUS(tfrs_tower_options_check(options, &check_error), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, named) != NULL);
}

CHECK_TEST(options_that_make_no_sense_are_refused)
{
	tfrs_tower_options *options = settled_candidate_options();

	CHECK_OK(tfrs_tower_options_check(options, &check_error));
	options->columns = TFRS_MAX_COLUMNS + 1;
	refuse_candidate(options, "64 columns");
	options->columns = 1600;
	refuse_candidate(options, "64 columns");
	options = settled_candidate_options();
	options->key = SETTLED_PRICE;
	refuse_candidate(options, "key");
	options = settled_candidate_options();
	options->feature[SETTLED_TEXT].column[0] = SETTLED_PRICE;
	refuse_candidate(options, "\"price\"");
	options = settled_candidate_options();
	options->feature[SETTLED_HASH].bins = 0;
	refuse_candidate(options, "brand.2");
	options = settled_candidate_options();
	options->feature[SETTLED_BUCKET].boundaries = 2;
	refuse_candidate(options, "price.5");
	options->feature[SETTLED_BUCKET].quantiles = 0;
	options->feature[SETTLED_BUCKET].boundary[0] = 2;
	refuse_candidate(options, "ascending");
	options = settled_candidate_options();
	options->feature[SETTLED_BAG].decay = NAN;
	refuse_candidate(options, "tags.7");
	options = settled_candidate_options();
	memcpy(options->feature[1].name, options->feature[0].name, TFRS_MAX_NAME);
	refuse_candidate(options, "twice");
	options = settled_candidate_options();
	options->layers = 1;
	refuse_candidate(options, "layer");
}

CHECK_TEST(a_table_that_cannot_be_shared_is_refused)
{
	tfrs_tower_options *query = settled_query_options();
	tfrs_both_options both = {query, settled_candidate_options()};
	static const char *const names[] = {
		"candidate.none", "item", "candidate.price.4", "query.seen.7", "candidate.brand.1"
	};

	CHECK_OK(tfrs_tower_options_check_both(&both, &check_error));
	for (int i = 0; i < 5; i++)
	{
		snprintf(query->feature[0].share, TFRS_MAX_NAME, "%s", names[i]);
		CHECK_STATUS(tfrs_tower_options_check_both(&both, &check_error), TFRS_INVALID_ARGUMENT);
		CHECK(strstr(check_error.message, names[i]) != NULL);
	}
	snprintf(query->feature[0].share, TFRS_MAX_NAME, "candidate.id");
	query->features = 1;
	both.candidate = NULL;
	CHECK_OK(tfrs_tower_options_check_both(&both, &check_error));
}
