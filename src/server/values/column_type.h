/*
 * column_type.h: which column of a row an SQL type makes, and what is refused of its values.
 *
 *     integers, text, char(n), uuid, boolean, enum, date    an id
 *     real, double precision, numeric                       a number
 *     timestamp, timestamptz                                a number: seconds since 2000-01-01
 *     interval                                              a number: seconds; a month has 30 days
 *     arrays of the types of ids                            a list of ids; NULL elements are left out
 *     real[], double precision[], numeric[], tfrs.embedding a vector
 *
 * A domain counts as its base type, and no cast and no check of anybody's is run.  The functions
 * that report hold the one wording of each mistake, for SQL values and for those of JSON.
 */
#ifndef TFRS_COLUMN_TYPE_H
#define TFRS_COLUMN_TYPE_H

#include "postgres.h"

#include "utils/elog.h"
#include "utils/timestamp.h"

#include "learning/feature_options.h"
#include "server/host/compat.h"

/* Tags of columns of numbers, which a model stores; those of ids and lists are tfrs_id_tag. */
typedef enum tfrs_number_tag
{
	TFRS_TAG_NUMBER = 1,
	TFRS_TAG_TIME,
	TFRS_TAG_INTERVAL
} tfrs_number_tag;

/* How a Datum becomes a number, or the elements of an array do. */
typedef enum tfrs_number_source
{
	TFRS_FROM_FLOAT4,
	TFRS_FROM_FLOAT8,
	TFRS_FROM_NUMERIC,
	TFRS_FROM_WHOLE,			/* an integer, by the reader of ids */
	TFRS_FROM_TIMESTAMP,
	TFRS_FROM_DAYS,				/* a date, as a time */
	TFRS_FROM_INTERVAL,
	TFRS_FROM_WRITTEN,			/* text */
	TFRS_FROM_EMBEDDING			/* of vectors */
} tfrs_number_source;

/* A type whose values are read as numbers. */
typedef struct tfrs_number_type
{
	Oid			type;
	tfrs_number_tag tag;
	tfrs_number_source source;
} tfrs_number_type;

/* Puts the column that values of the type make into all of *column but its name; false: no feature
 * reads such values.  A vector's dim is 0 where the type does not say it. */
extern bool tfrs_column_of_type(Oid type, int32 typmod, tfrs_column *column);

/* What a column holds, for messages: "integer", "number", "array of text", "vector". */
extern const char *tfrs_column_type_name(const tfrs_column *column);

/* Of a base type: as a number, or NULL; whether it is text, which numbers are read from; the base type
 * of an array's elements, or InvalidOid; whether it is tfrs.embedding. */
extern const tfrs_number_type *tfrs_number_of_type(Oid base);
extern bool tfrs_number_is_written(Oid base);
extern Oid	tfrs_element_type(Oid base);
extern bool tfrs_is_embedding(Oid base);

/* Seconds, or an infinite number. */
extern double tfrs_seconds_of_timestamp(Timestamp time);
extern double tfrs_seconds_of_interval(const Interval *interval);

/* The number of a column that a text stands for, and that of a numeric; they may be infinite. */
extern double tfrs_column_number_of_text(const tfrs_column *column, const char *text);
extern double tfrs_column_number_of_numeric(Datum value);

/* Values, checked to be finite; count of a vector is its own. */
extern tfrs_value tfrs_column_number(const tfrs_column *column, double number);
extern tfrs_value tfrs_column_vector(const tfrs_column *column, const float *vector, size_t count);

/* So many, which must be one of an embedding. */
extern uint32 tfrs_column_first_dim(const tfrs_column *column, size_t count);

/* ERROR where a vector is not as long as those of the column. */
extern void tfrs_column_check_dim(const tfrs_column *column, const tfrs_value *value);

/* ERRORs, which name the column; came: the type that came. */
pg_noreturn extern void tfrs_column_report_type(const tfrs_column *column, const char *came);
pg_noreturn extern void tfrs_column_report_not_finite(const tfrs_column *column);
pg_noreturn extern void tfrs_column_report_dimensions(const tfrs_column *column);
pg_noreturn extern void tfrs_column_report_null_element(const tfrs_column *column);

/* An entry for error_context_stack: names the column where an input function refuses a text. */
extern ErrorContextCallback tfrs_column_name_errors(const tfrs_column *column);

#endif							/* TFRS_COLUMN_TYPE_H */
