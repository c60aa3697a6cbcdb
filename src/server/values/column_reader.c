/*
 * column_reader.c: SQL values of columns, as features read them.
 *
 * What can be refused by the type alone is refused when a reader is made, once a statement; reading a
 * value then looks at a small number.
 */
#include "server/values/column_reader.h"

#include <math.h>

#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "server/values/embedding_type.h"

static void
init_array(tfrs_column_reader *reader, Oid element)
{
	reader->element = element;
	get_typlenbyvalalign(element, &reader->element_length, &reader->element_by_value,
						 &reader->element_align);
}

static bool
init_ids(tfrs_column_reader *reader, const tfrs_column *column, Oid base)
{
	if (!OidIsValid(base) || !tfrs_is_id_type(base))
		return false;
	tfrs_id_reader_init(&reader->id, base, "column");
	return tfrs_id_reads_as(&reader->id, column->tag);
}

static bool
init_number(tfrs_column_reader *reader, const tfrs_column *column, Oid base)
{
	const tfrs_number_type *number = tfrs_number_of_type(base);

	if (number == NULL && !tfrs_number_is_written(base))
		return false;
	reader->number = number == NULL ? TFRS_FROM_WRITTEN : number->source;
	if (tfrs_is_id_type(base))
		tfrs_id_reader_init(&reader->id, base, "column");
	return number == NULL || number->tag == (tfrs_number_tag) column->tag;
}

static bool
init_vector(tfrs_column_reader *reader, Oid base, Oid element)
{
	const tfrs_number_type *number = OidIsValid(element) ? tfrs_number_of_type(element) : NULL;

	if (tfrs_is_embedding(base))
		reader->number = TFRS_FROM_EMBEDDING;
	else if (number == NULL || number->tag != TFRS_TAG_NUMBER)
		return false;
	else
	{
		reader->number = number->source;
		if (number->source == TFRS_FROM_WHOLE)
			tfrs_id_reader_init(&reader->id, element, "column");
	}
	return true;
}

void
tfrs_column_reader_init(tfrs_column_reader *reader, const tfrs_column *column, Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = tfrs_element_type(base);
	bool		fits = false;

	memset(reader, 0, sizeof(*reader));
	switch ((tfrs_column_type) column->type)
	{
		case TFRS_COLUMN_ID:
			fits = init_ids(reader, column, base);
			break;
		case TFRS_COLUMN_LIST:
			fits = init_ids(reader, column, element);
			break;
		case TFRS_COLUMN_NUMBER:
			fits = init_number(reader, column, base);
			break;
		case TFRS_COLUMN_VECTOR:
			fits = init_vector(reader, base, element);
			break;
	}
	if (!fits)
		tfrs_column_report_type(column, format_type_be(type));
	if (OidIsValid(element))
		init_array(reader, element);
}

/* May be infinite or NaN. */
static double
read_number(const tfrs_column_reader *reader, const tfrs_column *column, Datum value)
{
	DateADT		date;

	switch (reader->number)
	{
		case TFRS_FROM_FLOAT4:
			return DatumGetFloat4(value);
		case TFRS_FROM_FLOAT8:
			return DatumGetFloat8(value);
		case TFRS_FROM_NUMERIC:
			return tfrs_column_number_of_numeric(value);
		case TFRS_FROM_WHOLE:
			return (double) tfrs_id_read(&reader->id, value).integer;
		case TFRS_FROM_TIMESTAMP:
			return tfrs_seconds_of_timestamp(DatumGetTimestamp(value));
		case TFRS_FROM_DAYS:
			date = DatumGetDateADT(value);
			return DATE_NOT_FINITE(date) ? INFINITY : (double) date * SECS_PER_DAY;
		case TFRS_FROM_INTERVAL:
			return tfrs_seconds_of_interval(DatumGetIntervalP(value));
		case TFRS_FROM_WRITTEN:
			return tfrs_column_number_of_text(column, tfrs_id_to_cstring(TFRS_TAG_TEXT,
															 tfrs_id_read(&reader->id, value)));
		case TFRS_FROM_EMBEDDING:
			break;
	}
	return NAN;
}

/* An id as the column has its ids. */
static tfrs_id
read_id(const tfrs_id_reader *reader, const tfrs_column *column, Datum value)
{
	ErrorContextCallback callback = tfrs_column_name_errors(column);
	tfrs_id		id;

	if (reader->tag == column->tag)
		return tfrs_id_read(reader, value);
	error_context_stack = &callback;
	id = tfrs_id_read_as(reader, column->tag, value, "value");
	error_context_stack = callback.previous;
	return id;
}

/* The elements of an array of at most one dimension. */
static int
elements_of(const tfrs_column_reader *reader, const tfrs_column *column, Datum value,
			Datum **elements, bool **nulls)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			count;

	if (ARR_NDIM(array) > 1)
		tfrs_column_report_dimensions(column);
	deconstruct_array(array, reader->element, reader->element_length, reader->element_by_value,
					  reader->element_align, elements, nulls, &count);
	return count;
}

static tfrs_value
read_list(const tfrs_column_reader *reader, const tfrs_column *column, Datum value)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count = elements_of(reader, column, value, &elements, &nulls);
	tfrs_id    *ids = palloc_extended(Max(count, 1) * sizeof(*ids), MCXT_ALLOC_HUGE);
	tfrs_value	list = {.element = ids};

	for (int i = 0; i < count; i++)
		if (!nulls[i])
			ids[list.count++] = read_id(&reader->id, column, elements[i]);
	return list;
}

static tfrs_value
read_vector(const tfrs_column_reader *reader, const tfrs_column *column, Datum value)
{
	const tfrs_embedding *embedding;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	float	   *vector;

	if (reader->number == TFRS_FROM_EMBEDDING)
	{
		embedding = tfrs_embedding_of_datum(value);
		return tfrs_column_vector(column, embedding->values, (size_t) embedding->dim);
	}
	count = elements_of(reader, column, value, &elements, &nulls);
	vector = palloc_extended(Max(count, 1) * sizeof(*vector), MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			tfrs_column_report_null_element(column);
		vector[i] = (float) read_number(reader, column, elements[i]);
	}
	return tfrs_column_vector(column, vector, (size_t) count);
}

tfrs_value
tfrs_column_read(const tfrs_column_reader *reader, const tfrs_column *column, Datum value)
{
	switch ((tfrs_column_type) column->type)
	{
		case TFRS_COLUMN_NUMBER:
			return tfrs_column_number(column, read_number(reader, column, value));
		case TFRS_COLUMN_LIST:
			return read_list(reader, column, value);
		case TFRS_COLUMN_VECTOR:
			return read_vector(reader, column, value);
		case TFRS_COLUMN_ID:
			break;
	}
	return (tfrs_value) {.id = read_id(&reader->id, column, value)};
}
