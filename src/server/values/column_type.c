/*
 * column_type.c: columns of SQL types, and what is refused of their values.
 */
#include "server/values/column_type.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/finite.h"
#include "server/host/extension_objects.h"
#include "server/values/row_reader.h"

/* Days of a month of an interval, as in its comparisons. */
#define DAYS_OF_MONTH 30

/* The types that make a number by themselves stand first. */
static const tfrs_number_type number_types[] = {
	{FLOAT4OID, TFRS_TAG_NUMBER, TFRS_FROM_FLOAT4},
	{FLOAT8OID, TFRS_TAG_NUMBER, TFRS_FROM_FLOAT8},
	{NUMERICOID, TFRS_TAG_NUMBER, TFRS_FROM_NUMERIC},
	{TIMESTAMPTZOID, TFRS_TAG_TIME, TFRS_FROM_TIMESTAMP},
	{TIMESTAMPOID, TFRS_TAG_TIME, TFRS_FROM_TIMESTAMP},
	{INTERVALOID, TFRS_TAG_INTERVAL, TFRS_FROM_INTERVAL},
	{INT2OID, TFRS_TAG_NUMBER, TFRS_FROM_WHOLE},
	{INT4OID, TFRS_TAG_NUMBER, TFRS_FROM_WHOLE},
	{INT8OID, TFRS_TAG_NUMBER, TFRS_FROM_WHOLE},
	{DATEOID, TFRS_TAG_TIME, TFRS_FROM_DAYS}
};

#define NUMBERS_BY_THEMSELVES 6

const tfrs_number_type *
tfrs_number_of_type(Oid base)
{
	for (size_t i = 0; i < lengthof(number_types); i++)
		if (number_types[i].type == base)
			return &number_types[i];
	return NULL;
}

/* InvalidOid is none. */
static bool
is_number_by_itself(Oid base)
{
	const tfrs_number_type *number = tfrs_number_of_type(base);

	return number != NULL && number < number_types + NUMBERS_BY_THEMSELVES;
}

bool
tfrs_number_is_written(Oid base)
{
	return base == TEXTOID || base == VARCHAROID || base == BPCHAROID || base == UNKNOWNOID;
}

bool
tfrs_is_embedding(Oid base)
{
	return base == tfrs_extension_type("embedding");
}

/* Vectors are arrays of numbers, not of times. */
static bool
is_vector(Oid base, Oid element)
{
	return tfrs_is_embedding(base) ||
		(is_number_by_itself(element) &&
		 tfrs_number_of_type(element)->tag == TFRS_TAG_NUMBER);
}

/* The base type of an array's elements, or InvalidOid. */
Oid
tfrs_element_type(Oid base)
{
	Oid			element = get_base_element_type(base);

	return OidIsValid(element) ? getBaseType(element) : InvalidOid;
}

bool
tfrs_column_of_type(Oid type, int32 typmod, tfrs_column *column)
{
	Oid			base = getBaseTypeAndTypmod(type, &typmod);
	Oid			element = tfrs_element_type(base);
	Oid			id = OidIsValid(element) ? element : base;
	tfrs_id_reader reader;

	column->kind = column->tag = column->dim = 0;
	if (is_vector(base, element))
	{
		column->type = TFRS_COLUMN_VECTOR;
		column->dim = tfrs_is_embedding(base) && typmod > 0 ? (uint32) typmod : 0;
		return true;
	}
	if (is_number_by_itself(base))
	{
		column->type = TFRS_COLUMN_NUMBER;
		column->tag = tfrs_number_of_type(base)->tag;
		return true;
	}
	if (!tfrs_is_id_type(id))
		return false;
	tfrs_id_reader_init(&reader, id, "column");
	column->type = OidIsValid(element) ? TFRS_COLUMN_LIST : TFRS_COLUMN_ID;
	column->kind = reader.kind;
	column->tag = reader.tag;
	return true;
}

const char *
tfrs_column_type_name(const tfrs_column *column)
{
	const char *tag = tfrs_id_tag_name(column->tag);

	switch ((tfrs_column_type) column->type)
	{
		case TFRS_COLUMN_NUMBER:
			return column->tag == TFRS_TAG_TIME ? "timestamp"
				: column->tag == TFRS_TAG_INTERVAL ? "interval" : "number";
		case TFRS_COLUMN_LIST:
			return psprintf("array of %s", tag == NULL ? "ids" : tag);
		case TFRS_COLUMN_VECTOR:
			return column->dim == 0 ? "vector" : psprintf("vector of %u numbers", column->dim);
		case TFRS_COLUMN_ID:
			break;
	}
	return tag == NULL ? "id" : tag;
}

void
tfrs_column_report_type(const tfrs_column *column, const char *came)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is of type %s, but %s is needed", column->name, came,
					tfrs_column_type_name(column)),
			 errhint("Cast it in the query that makes the row.")));
}

void
tfrs_column_report_not_finite(const tfrs_column *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("column \"%s\" has %s", column->name,
					column->type == TFRS_COLUMN_VECTOR
					? "a vector with a number that is not finite or too large for real"
					: column->tag == TFRS_TAG_NUMBER
					? "a number that is not finite or too large for double precision"
					: "a value that is not finite"),
			 errhint("NULL stands for a value that is not known.")));
}

void
tfrs_column_report_dimensions(const tfrs_column *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
			 errmsg("column \"%s\" has an array of arrays", column->name),
			 errhint("A feature reads arrays of one dimension.")));
}

/* Names the column where the input function of its type refuses a text. */
static void
describe_column(void *argument)
{
	const tfrs_column *column = argument;

	errhint("Column \"%s\" takes values of type %s.", column->name,
			tfrs_column_type_name(column));
}

ErrorContextCallback
tfrs_column_name_errors(const tfrs_column *column)
{
	return (ErrorContextCallback) {error_context_stack, describe_column, (void *) column};
}

/* Seconds, or infinity. */
double
tfrs_seconds_of_timestamp(Timestamp time)
{
	return TIMESTAMP_NOT_FINITE(time) ? INFINITY : (double) time / USECS_PER_SEC;
}

double
tfrs_seconds_of_interval(const Interval *interval)
{
	double		days = (double) interval->month * DAYS_OF_MONTH + interval->day;

	/* 'infinity' of 17 and later */
	if ((interval->month == PG_INT32_MAX && interval->day == PG_INT32_MAX) ||
		(interval->month == PG_INT32_MIN && interval->day == PG_INT32_MIN))
		return INFINITY;
	return days * SECS_PER_DAY + (double) interval->time / USECS_PER_SEC;
}

/* The number that a text stands for. */
double
tfrs_column_number_of_text(const tfrs_column *column, const char *text)
{
	ErrorContextCallback callback = tfrs_column_name_errors(column);
	Datum		string = CStringGetDatum(text);
	Datum		no_type = ObjectIdGetDatum(InvalidOid);
	double		number;

	error_context_stack = &callback;
	if (column->tag == TFRS_TAG_TIME)
		number = tfrs_seconds_of_timestamp(DatumGetTimestampTz(
			DirectFunctionCall3(timestamptz_in, string, no_type, Int32GetDatum(-1))));
	else if (column->tag == TFRS_TAG_INTERVAL)
		number = tfrs_seconds_of_interval(DatumGetIntervalP(
			DirectFunctionCall3(interval_in, string, no_type, Int32GetDatum(-1))));
	else
		number = DatumGetFloat8(DirectFunctionCall1(float8in, string));
	error_context_stack = callback.previous;
	return number;
}

double
tfrs_column_number_of_numeric(Datum value)
{
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
}

tfrs_value
tfrs_column_number(const tfrs_column *column, double number)
{
	if (!isfinite(number))
		tfrs_column_report_not_finite(column);
	return (tfrs_value) {.number = number};
}

void
tfrs_column_report_null_element(const tfrs_column *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("column \"%s\" has a vector with a NULL in it", column->name),
			 errhint("Make the whole vector NULL where it is not known.")));
}

tfrs_value
tfrs_column_vector(const tfrs_column *column, const float *vector, size_t count)
{
	if (!tfrs_all_finite(vector, count))
		tfrs_column_report_not_finite(column);
	return (tfrs_value) {.count = count, .vector = vector};
}

uint32
tfrs_column_first_dim(const tfrs_column *column, size_t count)
{
	if (count < 1 || count > TFRS_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" has a vector of %zu numbers", column->name, count),
				 errhint("A vector has 1 to %d numbers.", TFRS_MAX_DIM)));
	return (uint32) count;
}

void
tfrs_column_check_dim(const tfrs_column *column, const tfrs_value *value)
{
	if (value->count == column->dim)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("column \"%s\" has vectors of different lengths: %u and %zu", column->name,
					column->dim, value->count),
			 errhint("The vectors of a column have the same number of elements in every row.")));
}
