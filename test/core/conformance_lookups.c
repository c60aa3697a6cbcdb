/*
 * conformance_lookups.c: vocabularies, texts and bags, from values to what a tower adds up.
 *
 * The files are those of README.md in fixtures/features: values computed by Keras and TensorFlow.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "feature_makers.h"
#include "learning/feature_settling.h"

#define MOST_BYTES 4096

/* What a file of lookups has: strings as bytea literals, or integers. */
typedef struct lookup_files
{
	const char *suite;
	const char *value;			/* names of columns */
	const char *mask;
	table		cases;
	table		adapt;
	table		vocabulary;
	table		values;
} lookup_files;

/* The value of a cell, whose bytes live until the program ends. */
static tfrs_id
id_of(const lookup_files *files, const char *cell)
{
	uint8_t    *bytes;
	size_t		count = 0;
	unsigned	byte;

	if (strcmp(files->value, "value") == 0)
		return tfrs_id_of_integer(strtoll(cell, NULL, 10));
	bytes = TAKE(strlen(cell) + 1, uint8_t);
	for (cell += 2; sscanf(cell, "%2x", &byte) == 1; cell += 2)
		bytes[count++] = (uint8_t) byte;
	return tfrs_id_of_bytes((char *) bytes, count);
}

static void
check_tfrs(tfrs_status status, const tfrs_error *error)
{
	if (status != TFRS_OK && status != TFRS_MORE)
		malformed("%s", error->message);
}

/* A mask is a value that stands for padding: row 0, and no word. */
static bool
is_mask(const lookup_files *files, size_t c, tfrs_id value)
{
	return !table_null(&files->cases, c, files->mask) &&
		tfrs_id_compare(value, id_of(files, table_text(&files->cases, c, files->mask))) == 0;
}

static tfrs_word_table
learn_vocabulary(const lookup_files *files, size_t c, tfrs_word_count *words)
{
	const char *id = table_text(&files->cases, c, "case_id");
	bool		integers = strcmp(files->value, "value") == 0;
	tfrs_vocabulary_options options = {
		.kind = integers ? TFRS_ID_INTEGER : TFRS_ID_BYTES,
		.reserved = !table_null(&files->cases, c, files->mask),
		.slots = (uint32_t) table_count(&files->cases, c, "num_oov_indices"),
		.most_rows = (uint64_t) table_number_or(&files->cases, c, "max_tokens", 0)
	};
	tfrs_id    *given = TAKE(files->adapt.rows, tfrs_id);
	size_t		count = 0;
	tfrs_word_table vocabulary;
	tfrs_status status;
	tfrs_error	error;

	check_tfrs(tfrs_word_count_begin(words, arena(), &options, &error), &error);
	for (size_t r = 0; r < files->adapt.rows; r++)
		if (table_is(&files->adapt, r, "case_id", id))
			given[count++] = id_of(files, table_text(&files->adapt, r, files->value));
	if (!table_flag(&files->cases, c, "adapted"))
	{
		check_tfrs(tfrs_word_count_give(words, given, count, &vocabulary, &error), &error);
		return vocabulary;
	}
	for (size_t i = 0; i < count; i++)
		if (!is_mask(files, c, given[i]))
			check_tfrs(tfrs_word_count_add(words, given[i], &error), &error);
	while ((status = tfrs_word_count_step(words, &vocabulary, &error)) == TFRS_MORE)
		continue;
	check_tfrs(status, &error);
	return vocabulary;
}

static void
check_lookup(const lookup_files *files, size_t c)
{
	const char *id = table_text(&files->cases, c, "case_id");
	conformance_case checked;
	tfrs_word_count words;
	tfrs_word_table vocabulary = learn_vocabulary(files, c, &words);

	case_begin(&checked, files->suite, id);
	case_near(&checked, "rows", (double) tfrs_vocabulary_rows(&vocabulary),
			  table_number(&files->cases, c, "rows"), 0, 0);
	for (size_t r = 0; r < files->vocabulary.rows; r++)
	{
		uint32_t	word;

		if (!table_is(&files->vocabulary, r, "case_id", id))
			continue;
		case_near(&checked, "word",
				  tfrs_vocabulary_find(&vocabulary,
									   id_of(files, table_text(&files->vocabulary, r,
															   files->value)), &word),
				  table_number(&files->vocabulary, r, "index"), r + 1, 0);
		if (word != TFRS_NO_ROW && !table_null(&files->vocabulary, r, "count") &&
			table_flag(&files->cases, c, "adapted"))
			case_near(&checked, "count", (double) vocabulary.count[word],
					  table_number(&files->vocabulary, r, "count"), r + 1, 0);
	}
	for (size_t r = 0; r < files->values.rows; r++)
	{
		tfrs_id		value;

		if (!table_is(&files->values, r, "case_id", id))
			continue;
		value = id_of(files, table_text(&files->values, r, files->value));
		case_near(&checked, "index", is_mask(files, c, value) ? 0
				  : tfrs_vocabulary_find(&vocabulary, value, NULL),
				  table_number(&files->values, r, "index"), r + 1, 0);
	}
	case_end(&checked);
	tfrs_word_count_free(&words);
}

static bool
read_lookup(lookup_files *files, const char *prefix)
{
	static const char *const names[] = {"cases", "adapt", "vocabulary", "values"};
	table	   *tables[] = {&files->cases, &files->adapt, &files->vocabulary, &files->values};
	bool		found = true;

	for (int i = 0; i < 4; i++)
	{
		char		name[64];

		snprintf(name, sizeof(name), "%s_%s", prefix, names[i]);
		found = table_read(tables[i], name) && found;
	}
	return found;
}

static void
conform_lookup(const char *prefix, const char *value, const char *mask)
{
	lookup_files files = {.suite = prefix,.value = value,.mask = mask};

	if (!read_lookup(&files, prefix))
		return;
	for (size_t c = 0; c < files.cases.rows; c++)
	{
		const char *id = table_text(&files.cases, c, "case_id");
		bool		integers = strcmp(value, "value") == 0;

		if (strncmp(table_text(&files.cases, c, "note"), "RESERVED", 8) == 0)
			case_skip(prefix, id, "SQL has no reserved values");
		else if (integers && !table_is(&files.cases, c, "oov_method", "floormod"))
			case_skip(prefix, id, "unknown integers are taken modulo the slots");
		else
			check_lookup(&files, c);
	}
}

/* The texts of a case as candidates: title is the only feature. */
typedef struct text_training
{
	tfrs_tower_options *options;
	tfrs_feature_rows rows;
	uint32_t   *row;			/* (T) of each text */
	uint32_t   *count;			/* (R) */
	tfrs_settling *settling;
	tfrs_encoded_rows encoded;
} text_training;

static tfrs_tower_options *
text_options(const table *cases, size_t c)
{
	tfrs_tower_options *options = TAKE(1, tfrs_tower_options);
	tfrs_feature_options *feature;

	features_column(options, "key", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(options, "title", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	feature = features_add(options, TFRS_FEATURE_TEXT, 1);
	feature->most_values = (uint32_t) table_number_or(cases, c, "max_tokens", 0);
	feature->most_elements = (uint32_t) table_number_or(cases, c, "output_sequence_length", 0);
	return options;
}

/* Rows of the texts; only those the vocabulary was learned from count. */
static void
collect_texts(text_training *training, const table *values, const char *id)
{
	lookup_files files = {.value = "value_hex"};
	uint32_t   *arrival = TAKE(values->rows, uint32_t);
	tfrs_status status;
	tfrs_error	error;

	check_tfrs(tfrs_feature_rows_init(&training->rows, arena(), training->options, &error),
			   &error);
	for (size_t r = 0; r < values->rows; r++)
	{
		tfrs_value	value[2] = {features_null(), {0}};

		if (!table_is(values, r, "case_id", id))
			continue;
		value[1].id = id_of(&files, table_text(values, r, "value_hex"));
		check_tfrs(tfrs_feature_rows_add(&training->rows, value, &arrival[r], &error), &error);
	}
	while ((status = tfrs_feature_rows_finish_step(&training->rows, &error)) == TFRS_MORE)
		continue;
	check_tfrs(status, &error);
	training->row = TAKE(values->rows, uint32_t);
	training->count = TAKE(training->rows.tuples.count, uint32_t);
	for (size_t r = 0; r < values->rows; r++)
	{
		if (!table_is(values, r, "case_id", id))
			continue;
		training->row[r] = training->rows.new_row[arrival[r]];
		training->count[training->row[r]] += table_flag(values, r, "adapted");
	}
}

static void
settle_texts(text_training *training)
{
	tfrs_settling_side query = {0};
	tfrs_settling_side candidate = {
		.options = training->options, .view = tfrs_feature_rows_view(&training->rows),
		.row_count = training->count
	};
	const tfrs_features *features;
	tfrs_status status;
	tfrs_error	error;

	check_tfrs(tfrs_settling_begin(&training->settling, arena(), &query, &candidate, &error),
			   &error);
	while ((status = tfrs_settling_step(training->settling, &error)) == TFRS_MORE)
		continue;
	check_tfrs(status, &error);
	features = tfrs_settling_features(training->settling, false);
	check_tfrs(tfrs_encoded_rows_begin(&training->encoded, arena(), features, &candidate.view,
									   &error), &error);
	while ((status = tfrs_encoded_rows_step(&training->encoded, &error)) == TFRS_MORE)
		continue;
	check_tfrs(status, &error);
}

/* sum (dim) = the items of an entry, each its weight times its row of the table (rows, dim). */
static void
pool(const tfrs_encoded_feature *encoded, size_t entry, const float *rows, size_t dim, double *sum)
{
	const tfrs_ragged *items = &encoded->items;

	memset(sum, 0, dim * sizeof(double));
	for (size_t i = items->start[entry]; i < items->start[entry + 1]; i++)
		for (size_t d = 0; d < dim; d++)
			sum[d] += (double) items->weight[i] * rows[items->item[i] * dim + d];
}

/* The table of a case, (rows, dim). */
static float *
table_of(const table *file, const char *id, size_t dim)
{
	float	   *rows = TAKE((file->rows + 1) * dim, float);

	for (size_t r = 0; r < file->rows; r++)
		if (table_is(file, r, "case_id", id))
			table_floats(file, r, "value", rows + table_count(file, r, "row") * dim, dim);
	return rows;
}

static void
check_text(const text_training *training, const table *values, size_t r, const float *rows,
		   conformance_case *checked)
{
	const tfrs_encoded_feature *encoded = &training->encoded.feature[0];
	size_t		entry = encoded->entry[training->row[r]];
	size_t		count;
	double	   *ids = table_vector(values, r, "ids", &count);
	size_t		dim;
	double	   *mean = table_vector(values, r, "mean", &dim);
	double	   *got = TAKE(dim, double);

	case_near(checked, "words", (double) tfrs_ragged_length(&encoded->items, entry),
			  (double) count, r + 1, 0);
	for (size_t i = 0; i < count && i < tfrs_ragged_length(&encoded->items, entry); i++)
		case_near(checked, "id", encoded->items.item[encoded->items.start[entry] + i], ids[i],
				  r + 1, i + 1);
	pool(encoded, entry, rows, dim, got);
	for (size_t d = 0; d < dim; d++)
		case_near(checked, "mean", got[d], mean[d], r + 1, d + 1);
}

static void
conform_texts(void)
{
	lookup_files files = {.value = "value_hex"};
	table		cases;
	table		vocabulary;
	table		values;
	table		tables;

	if (!table_read(&cases, "text_cases") || !table_read(&vocabulary, "text_vocabulary") ||
		!table_read(&values, "text_values") || !table_read(&tables, "text_table"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
	{
		const char *id = table_text(&cases, c, "case_id");
		const float *rows = table_of(&tables, id, table_count(&cases, c, "dim"));
		text_training training = {.options = text_options(&cases, c)};
		const tfrs_feature *feature;
		conformance_case checked;

		collect_texts(&training, &values, id);
		settle_texts(&training);
		feature = &tfrs_settling_features(training.settling, false)->feature[0];
		case_begin(&checked, "text", id);
		case_near(&checked, "rows", (double) feature->rows, table_number(&cases, c, "rows"), 0, 0);
		for (size_t r = 0; r < vocabulary.rows; r++)
			if (table_is(&vocabulary, r, "case_id", id))
				case_near(&checked, "word",
						  tfrs_vocabulary_find(&feature->vocabulary,
											   id_of(&files, table_text(&vocabulary, r, "value_hex")),
											   NULL),
						  table_number(&vocabulary, r, "index"), r + 1, 0);
		for (size_t r = 0; r < values.rows; r++)
			if (table_is(&values, r, "case_id", id))
				check_text(&training, &values, r, rows, &checked);
		case_end(&checked);
		tfrs_encoded_rows_free(&training.encoded);
		tfrs_settling_destroy(training.settling);
		tfrs_feature_rows_free(&training.rows);
	}
}

static uint32_t
combiner_of(const char *name)
{
	return strcmp(name, "sum") == 0 ? TFRS_COMBINER_SUM
		: strcmp(name, "sqrtn") == 0 ? TFRS_COMBINER_SQRTN : TFRS_COMBINER_MEAN;
}

/* What a weight is multiplied by for each place further from the end, in the first bag of two. */
static float
decay_of(const table *bags, const char *id)
{
	for (size_t r = 0; r < bags->rows; r++)
	{
		size_t		count;
		double	   *weight;

		if (!table_is(bags, r, "case_id", id))
			continue;
		weight = table_vector(bags, r, "weights", &count);
		if (count > 1)
			return (float) (weight[count - 2] / weight[count - 1]);
	}
	return 1.0f;
}

/* A bag whose vocabulary is the numbers of the rows, as they are. */
static tfrs_feature
bag_feature(const table *cases, size_t c, const table *bags, tfrs_word_count *words)
{
	const char *id = table_text(cases, c, "case_id");
	tfrs_tower_options *options = TAKE(1, tfrs_tower_options);
	tfrs_vocabulary_options vocabulary = {.kind = TFRS_ID_INTEGER};
	size_t		rows = table_count(cases, c, "rows");
	tfrs_id    *given = TAKE(rows, tfrs_id);
	tfrs_feature feature = {0};
	tfrs_feature_options *made;
	tfrs_error	error;

	features_column(options, "items", TFRS_COLUMN_LIST, TFRS_ID_INTEGER);
	made = features_add(options, TFRS_FEATURE_BAG, 0);
	made->combiner = combiner_of(table_text(cases, c, "combiner"));
	made->most_elements = (uint32_t) table_number_or(cases, c, "max_length", 0);
	made->decay = strstr(id, "decay") != NULL ? decay_of(bags, id) : 0;
	for (size_t i = 0; i < rows; i++)
		given[i] = tfrs_id_of_integer((int64_t) i);
	check_tfrs(tfrs_word_count_begin(words, arena(), &vocabulary, &error), &error);
	check_tfrs(tfrs_word_count_give(words, given, rows, &feature.vocabulary, &error), &error);
	feature.options = made;
	feature.columns = options->column;
	tfrs_feature_size(&feature);
	return feature;
}

static void
encode_bag(tfrs_encoded_feature *encoded, const table *bags, size_t r)
{
	size_t		count;
	double	   *numbers = table_vector(bags, r, "elements", &count);
	tfrs_id    *element = TAKE(count + 1, tfrs_id);
	tfrs_value	value = features_list(element, count);
	tfrs_error	error;

	for (size_t i = 0; i < count; i++)
		element[i] = tfrs_id_of_integer((int64_t) numbers[i]);
	tfrs_encoded_feature_clear(encoded);
	check_tfrs(tfrs_encoded_feature_add(encoded, &value, &error), &error);
}

static void
check_bags(const table *cases, size_t c, const table *bags, const table *tables)
{
	const char *id = table_text(cases, c, "case_id");
	size_t		dim = table_count(cases, c, "dim");
	const float *rows = table_of(tables, id, dim);
	double	   *got = TAKE(dim, double);
	tfrs_word_count words;
	tfrs_feature feature = bag_feature(cases, c, bags, &words);
	tfrs_encoded_feature encoded;
	conformance_case checked;
	tfrs_error	error;

	check_tfrs(tfrs_encoded_feature_init(&encoded, arena(), &feature, 1, 0, &error), &error);
	case_begin(&checked, "pooling", id);
	for (size_t r = 0; r < bags->rows; r++)
	{
		size_t		length;
		double	   *output;

		if (!table_is(bags, r, "case_id", id))
			continue;
		output = table_vector(bags, r, "output", &length);
		encode_bag(&encoded, bags, r);
		pool(&encoded, 0, rows, dim, got);
		for (size_t d = 0; d < dim; d++)
			case_near(&checked, "output", got[d], output[d], r + 1, d + 1);
	}
	case_end(&checked);
	tfrs_encoded_feature_free(&encoded);
	tfrs_word_count_free(&words);
}

static void
conform_pooling(void)
{
	table		cases;
	table		bags;
	table		tables;

	if (!table_read(&cases, "pooling_cases") || !table_read(&bags, "pooling_bags") ||
		!table_read(&tables, "pooling_table"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
	{
		const char *id = table_text(&cases, c, "case_id");

		if (table_flag(&cases, c, "weighted") && strstr(id, "decay") == NULL)
			case_skip("pooling", id, "elements of an array have no weights of their own");
		else
			check_bags(&cases, c, &bags, &tables);
	}
}

void
conform_lookups(void)
{
	conform_lookup("string_lookup", "value_hex", "mask_hex");
	conform_lookup("integer_lookup", "value", "mask");
	conform_texts();
	conform_pooling();
}
