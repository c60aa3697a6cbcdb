/*
 * conformance_table.c: reading the fixtures.
 */
#define _POSIX_C_SOURCE 200809L	/* getline */

#include "conformance.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
folder(void)
{
	const char *name = getenv("TFRS_FIXTURES");

	return name == NULL || name[0] == '\0' ? "test/fixtures" : name;
}

/* Cuts text at every delimiter; returns the number of pieces. */
static size_t
cut(char *text, char delimiter, char **pieces, size_t most)
{
	size_t		count = 0;

	for (;;)
	{
		char	   *end = strchr(text, delimiter);

		if (count < most)
			pieces[count] = text;
		count++;
		if (end == NULL)
			return count;
		*end = '\0';
		text = end + 1;
	}
}

static size_t
occurrences(const char *text, char character)
{
	size_t		count = 0;

	for (; *text != '\0'; text++)
		count += *text == character;
	return count;
}

static char *
copy_text(const char *text)
{
	return strcpy(TAKE(strlen(text) + 1, char), text);
}

static void
add_line(table *table, const char *name, char *line, size_t *capacity)
{
	char	  **grown;

	line[strcspn(line, "\r\n")] = '\0';
	if (table->names == NULL)
	{
		table->columns = occurrences(line, '\t') + 1;
		table->names = TAKE(table->columns, char *);
		cut(copy_text(line), '\t', table->names, table->columns);
		return;
	}
	if (table->rows == *capacity)
	{
		*capacity = 2 * *capacity + 64;
		grown = TAKE(*capacity * table->columns, char *);
		if (table->rows > 0)
			memcpy(grown, table->cells, table->rows * table->columns * sizeof(*grown));
		table->cells = grown;
	}
	if (cut(copy_text(line), '\t', table->cells + table->rows * table->columns,
			table->columns) != table->columns)
		malformed("%s: row %zu has not %zu cells", name, table->rows + 1, table->columns);
	table->rows++;
}

bool
table_read(table *table, const char *name)
{
	char		path[4096];
	FILE	   *file;
	char	   *line = NULL;
	size_t		room = 0;
	size_t		capacity = 0;

	memset(table, 0, sizeof(*table));
	snprintf(path, sizeof(path), "%s/%s.tsv", folder(), name);
	file = fopen(path, "r");
	if (file == NULL)
	{
		snprintf(path, sizeof(path), "%s/features/%s.tsv", folder(), name);
		file = fopen(path, "r");
	}
	if (file == NULL)
	{
		case_skip("file", name, strerror(errno));
		return false;
	}
	while (getline(&line, &room, file) >= 0)
		add_line(table, path, line, &capacity);
	free(line);
	fclose(file);
	if (table->names == NULL)
		malformed("%s: there is no header line", path);
	return true;
}

const char *
table_text(const table *table, size_t row, const char *column)
{
	for (size_t c = 0; c < table->columns; c++)
		if (strcmp(table->names[c], column) == 0)
			return table->cells[row * table->columns + c];
	malformed("there is no column %s beside %s", column, table->names[0]);
}

bool
table_null(const table *table, size_t row, const char *column)
{
	return table_text(table, row, column)[0] == '\0';
}

bool
table_is(const table *table, size_t row, const char *column, const char *text)
{
	return strcmp(table_text(table, row, column), text) == 0;
}

bool
table_flag(const table *table, size_t row, const char *column)
{
	if (!table_is(table, row, column, "t") && !table_is(table, row, column, "f"))
		malformed("%s is neither t nor f", column);
	return table_is(table, row, column, "t");
}

double
table_number(const table *table, size_t row, const char *column)
{
	const char *text = table_text(table, row, column);
	char	   *end;
	double		number = strtod(text, &end);

	if (end == text || *end != '\0')
		malformed("%s is no number: \"%s\"", column, text);
	return number;
}

size_t
table_count(const table *table, size_t row, const char *column)
{
	double		number = table_number(table, row, column);

	if (!(number >= 0.0 && number < 1e9 && number == floor(number)))
		malformed("%s is no count: \"%s\"", column, table_text(table, row, column));
	return (size_t) number;
}

double
table_number_or(const table *table, size_t row, const char *column, double other)
{
	return table_null(table, row, column) ? other : table_number(table, row, column);
}

/* The elements of {a,b}; {} has none. */
static char **
elements(const char *text, size_t *length)
{
	char	   *inner;
	char	  **pieces;

	if (text[0] != '{' || text[strlen(text) - 1] != '}')
		malformed("no array: \"%s\"", text);
	inner = copy_text(text + 1);
	inner[strlen(inner) - 1] = '\0';
	*length = inner[0] == '\0' ? 0 : occurrences(inner, ',') + 1;
	pieces = TAKE(*length, char *);
	if (*length > 0)
		cut(inner, ',', pieces, *length);
	return pieces;
}

double *
vector_parse(const char *text, size_t *length)
{
	char	  **pieces = elements(text, length);
	double	   *vector = TAKE(*length, double);

	for (size_t i = 0; i < *length; i++)
	{
		char	   *end;

		vector[i] = strtod(pieces[i], &end);
		if (end == pieces[i] || *end != '\0')
			malformed("no number in an array: \"%s\"", pieces[i]);
	}
	return vector;
}

double *
table_vector(const table *table, size_t row, const char *column, size_t *length)
{
	return vector_parse(table_text(table, row, column), length);
}

char **
table_texts(const table *table, size_t row, const char *column, size_t *length)
{
	return elements(table_text(table, row, column), length);
}

void
table_floats(const table *table, size_t row, const char *column, float *target, size_t length)
{
	size_t		found;
	double	   *vector = table_vector(table, row, column, &found);

	if (found != length)
		malformed("%s has %zu elements, not %zu", column, found, length);
	for (size_t i = 0; i < length; i++)
		target[i] = (float) vector[i];
}
