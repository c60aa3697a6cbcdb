/*
 * conformance_features.c: what a feature's value is turned into: hashes, words, numbers, buckets.
 *
 * The files are those of README_features.md in the fixtures: values computed by Keras.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "learning/fingerprint.h"
#include "learning/number.h"
#include "learning/words.h"

/* Most bytes of a value in the files. */
#define MOST_BYTES 4096

/* The bytes of a bytea literal \x6162; returns how many. */
static size_t
bytes_of(const char *hex, uint8_t bytes[MOST_BYTES])
{
	size_t		count = 0;
	unsigned	byte;

	if (strncmp(hex, "\\x", 2) == 0)
		hex += 2;
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
	{
		if (count == MOST_BYTES)
			malformed("a value of more than %d bytes", MOST_BYTES);
		bytes[count++] = (uint8_t) byte;
	}
	return count;
}

/* Integers of 64 bits are compared as text: a double cannot hold them. */
static void
same_integer(conformance_case *checked, uint64_t got, const char *expected, size_t row)
{
	char		text[32];

	snprintf(text, sizeof(text), "%" PRIu64, got);
	checked->comparisons++;
	if (strcmp(text, expected) != 0)
		case_problem(checked, "row %zu is %s, not %s", row + 1, text, expected);
}

static void
conform_farmhash(void)
{
	conformance_case checked;
	table		file;

	if (!table_read(&file, "farmhash64"))
		return;
	case_begin(&checked, "hash", "farmhash64");
	for (size_t r = 0; r < file.rows; r++)
	{
		uint8_t		bytes[MOST_BYTES];
		size_t		length = bytes_of(table_text(&file, r, "value_hex"), bytes);

		same_integer(&checked, tfrs_fingerprint(bytes, length),
					 table_text(&file, r, "fingerprint"), r);
	}
	case_end(&checked);
}

static uint64_t
integer_cell(const table *file, size_t row, const char *column)
{
	return (uint64_t) strtoll(table_text(file, row, column), NULL, 10);
}

static void
conform_siphash(void)
{
	conformance_case checked;
	table		file;

	if (!table_read(&file, "siphash64"))
		return;
	case_begin(&checked, "hash", "siphash64");
	for (size_t r = 0; r < file.rows; r++)
	{
		uint8_t		bytes[MOST_BYTES];
		size_t		length = bytes_of(table_text(&file, r, "value_hex"), bytes);
		uint64_t	salt[2] = {integer_cell(&file, r, "k0"), integer_cell(&file, r, "k1")};

		same_integer(&checked, tfrs_fingerprint_salted(bytes, length, salt),
					 table_text(&file, r, "hash"), r);
	}
	case_end(&checked);
}

/* The text that is hashed: of an integer its digits. */
static size_t
hashed_value(const table *file, size_t row, uint8_t bytes[MOST_BYTES])
{
	const char *digits = table_text(file, row, "value_int");

	if (table_null(file, row, "value_int"))
		return bytes_of(table_text(file, row, "value_hex"), bytes);
	memcpy(bytes, digits, strlen(digits));
	return strlen(digits);
}

static void
conform_hashing(void)
{
	conformance_case checked;
	table		file;

	if (!table_read(&file, "hashing_layer"))
		return;
	case_begin(&checked, "hash", "hashing_layer");
	for (size_t r = 0; r < file.rows; r++)
	{
		uint8_t		bytes[MOST_BYTES];
		size_t		length = hashed_value(&file, r, bytes);
		uint64_t	salt[2] = {integer_cell(&file, r, "salt1"), integer_cell(&file, r, "salt2")};
		uint64_t	hash = table_null(&file, r, "salt1") ? tfrs_fingerprint(bytes, length)
			: tfrs_fingerprint_salted(bytes, length, salt);

		/* a mask is Keras's way to pad; here NULL has a category of its own */
		if (table_null(&file, r, "mask_hex") && table_null(&file, r, "mask_int"))
			same_integer(&checked, tfrs_fingerprint_bin(hash, (uint32_t) integer_cell(&file, r, "bins")),
						 table_text(&file, r, "bucket"), r);
	}
	case_end(&checked);
}

static uint64_t
crossed_feature(const table *file, size_t row, size_t n)
{
	char		text[16];
	char		number[16];
	uint8_t		bytes[MOST_BYTES];

	snprintf(text, sizeof(text), "hex%zu", n);
	snprintf(number, sizeof(number), "int%zu", n);
	if (!table_null(file, row, number))
		return integer_cell(file, row, number);
	return tfrs_fingerprint(bytes, bytes_of(table_text(file, row, text), bytes));
}

static void
conform_crossing(void)
{
	conformance_case checked;
	table		file;

	if (!table_read(&file, "hashed_crossing"))
		return;
	case_begin(&checked, "hash", "hashed_crossing");
	for (size_t r = 0; r < file.rows; r++)
	{
		uint64_t	hash = TFRS_CROSS_SEED;

		for (size_t n = 1; n <= table_count(&file, r, "features"); n++)
			hash = tfrs_fingerprint_cat(hash, crossed_feature(&file, r, n));
		same_integer(&checked, hash, table_text(&file, r, "hash"), r);
		same_integer(&checked, tfrs_fingerprint_bin(hash, 1000),
					 table_text(&file, r, "bucket_1000"), r);
	}
	case_end(&checked);
}

/* The words of a row, as those of the file: {6162,63}. */
static void
words_of_row(const table *file, size_t row, conformance_case *checked)
{
	uint8_t		text[MOST_BYTES];
	char		room[MOST_BYTES];
	size_t		count;
	size_t		found = 0;
	char	  **expected = table_texts(file, row, "tokens_hex", &count);
	tfrs_words	words;

	tfrs_words_begin(&words, (char *) text, bytes_of(table_text(file, row, "value_hex"), text),
					 room);
	while (found < count && tfrs_words_next(&words))
	{
		uint8_t		word[MOST_BYTES];
		size_t		length = bytes_of(expected[found++], word);

		checked->comparisons++;
		if (length != words.length || memcmp(word, words.word, length) != 0)
			case_problem(checked, "row %zu: word %zu is \"%.*s\"", row + 1, found,
						 (int) words.length, words.word);
	}
	checked->comparisons++;
	/* a file may keep the first words of a text only */
	if (found < count)
		case_problem(checked, "row %zu has %zu words, not %zu", row + 1, found, count);
}

static void
conform_words(void)
{
	conformance_case checked;
	table		file;

	if (!table_read(&file, "text_values"))
		return;
	case_begin(&checked, "text", "words");
	for (size_t r = 0; r < file.rows; r++)
		words_of_row(&file, r, &checked);
	case_end(&checked);
}

/* The values of one feature (or, with an axis of NULL, of all) of a case. */
static double *
adapted_values(const table *file, const char *id, size_t feature, bool all, size_t *count)
{
	double	   *values = TAKE(file->rows * 64, double);

	*count = 0;
	for (size_t r = 0; r < file->rows; r++)
	{
		size_t		length;
		double	   *row;

		if (!table_is(file, r, "case_id", id))
			continue;
		row = table_vector(file, r, "value", &length);
		for (size_t i = 0; i < length; i++)
			if (all || i == feature)
				values[(*count)++] = row[i];
	}
	return values;
}

static void
normalized_values(const table *values, const char *id, const tfrs_moments *moments, size_t features,
				  conformance_case *checked)
{
	for (size_t r = 0; r < values->rows; r++)
	{
		size_t		length;
		double	   *input;
		double	   *output;

		if (!table_is(values, r, "case_id", id))
			continue;
		input = table_vector(values, r, "input", &length);
		output = table_vector(values, r, "output", &length);
		for (size_t i = 0; i < length; i++)
		{
			double		got = tfrs_moments_standardize(&moments[i % features], input[i]);
			double		scale = fmax(1.0, fabs(output[i]));

			/* each value for itself, as some are near 1e10; NaN and infinity pass through */
			if (!isfinite(output[i]))
				case_near(checked, "not finite", isnan(got) ? 2 : got > 0, isnan(output[i]) ? 2
						  : output[i] > 0, r + 1, i + 1);
			else
				case_near(checked, "output", (got - output[i]) / scale, 0.0, r + 1, i + 1);
		}
	}
}

static void
conform_normalization(void)
{
	table		cases;
	table		adapt;
	table		values;

	if (!table_read(&cases, "normalization_cases") || !table_read(&adapt, "normalization_adapt") ||
		!table_read(&values, "normalization_values"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
	{
		const char *id = table_text(&cases, c, "case_id");
		size_t		length;
		double	   *mean = table_vector(&cases, c, "mean", &length);
		double	   *variance = table_vector(&cases, c, "variance", &length);
		tfrs_moments *moments = TAKE(length, tfrs_moments);
		conformance_case checked;

		case_begin(&checked, "normalization", id);
		for (size_t i = 0; i < length; i++)
		{
			size_t		count;
			double	   *all = adapted_values(&adapt, id, i, length == 1, &count);

			moments[i] = (tfrs_moments) {mean[i], variance[i]};
			if (count > 0)
				moments[i] = tfrs_moments_of(all, count);
			case_near(&checked, "mean", (moments[i].mean - mean[i]) / fmax(1.0, fabs(mean[i])),
					  0.0, i + 1, 0);
			case_near(&checked, "variance",
					  (moments[i].variance - variance[i]) / fmax(1.0, variance[i]), 0.0, i + 1, 0);
		}
		normalized_values(&values, id, moments, length, &checked);
		case_end(&checked);
	}
}

static void
conform_discretization(void)
{
	table		cases;
	table		values;

	if (!table_read(&cases, "discretization_cases") ||
		!table_read(&values, "discretization_values"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
	{
		const char *id = table_text(&cases, c, "case_id");
		size_t		count;
		double	   *boundaries = table_vector(&cases, c, "boundaries", &count);
		conformance_case checked;

		case_begin(&checked, "discretization", id);
		for (size_t r = 0; r < values.rows; r++)
			if (table_is(&values, r, "case_id", id))
				case_near(&checked, "bin",
						  tfrs_bucket(boundaries, count, table_number(&values, r, "input")),
						  table_number(&values, r, "bin"), r + 1, 0);
		case_end(&checked);
	}
}

static int
ascending(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
conform_quantiles(void)
{
	table		cases;

	if (!table_read(&cases, "quantiles"))
		return;
	for (size_t c = 0; c < cases.rows; c++)
	{
		size_t		bins = table_count(&cases, c, "bins");
		size_t		count;
		size_t		expected_count;
		double	   *values = table_vector(&cases, c, "values", &count);
		double	   *expected = table_vector(&cases, c, "boundaries", &expected_count);
		double	   *boundaries = TAKE(bins, double);
		conformance_case checked;

		case_begin(&checked, "quantiles", table_text(&cases, c, "case_id"));
		qsort(values, count, sizeof(double), ascending);
		case_near(&checked, "count", (double) tfrs_quantiles(values, NULL, count, bins, boundaries),
				  (double) expected_count, 0, 0);
		for (size_t i = 0; i < expected_count; i++)
			case_near(&checked, "boundary", boundaries[i], expected[i], i + 1, 0);
		case_end(&checked);
	}
}

static size_t
rows_of(table *file, const char *name)
{
	return table_read(file, name) ? file->rows : 0;
}

/* The examples of Keras's documentation. */
static void
conform_documented(void)
{
	conformance_case checked;
	table		file;

	case_begin(&checked, "feature", "documented");
	for (size_t r = 0, rows = rows_of(&file, "hashing"); r < rows; r++)
	{
		const char *token = table_text(&file, r, "token");

		same_integer(&checked, tfrs_fingerprint(token, strlen(token)) %
					 table_count(&file, r, "bins"), table_text(&file, r, "bucket"), r);
	}
	for (size_t r = 0, rows = rows_of(&file, "normalization"); r < rows; r++)
	{
		tfrs_moments moments = {table_number(&file, r, "mean"), table_number(&file, r, "var")};

		case_near(&checked, "standardized",
				  tfrs_moments_standardize(&moments, table_number(&file, r, "input")),
				  table_number(&file, r, "output"), r + 1, 0);
	}
	for (size_t r = 0, rows = rows_of(&file, "discretization"); r < rows; r++)
	{
		size_t		count;
		double	   *boundaries = table_vector(&file, r, "boundaries", &count);

		case_near(&checked, "bucket", tfrs_bucket(boundaries, count, table_number(&file, r, "input")),
				  table_number(&file, r, "bin"), r + 1, 0);
	}
	if (checked.comparisons > 0)
		case_end(&checked);
}

void
conform_features(void)
{
	conform_documented();
	conform_farmhash();
	conform_siphash();
	conform_hashing();
	conform_crossing();
	conform_words();
	conform_normalization();
	conform_discretization();
	conform_quantiles();
}
