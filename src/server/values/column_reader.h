/*
 * column_reader.h: an SQL value as a column's value.
 *
 * A column that is known takes values of its own type, and others of the same meaning: an integer as a
 * number, a date as a time, and text is read as the column's type reads it.
 */
#ifndef TFRS_COLUMN_READER_H
#define TFRS_COLUMN_READER_H

#include "postgres.h"

#include "learning/feature_options.h"
#include "server/values/column_type.h"
#include "server/values/row_reader.h"

typedef struct tfrs_column_reader
{
	tfrs_id_reader id;			/* of ids, also those in a list */
	tfrs_number_source number;
	Oid			element;		/* of an array */
	int16		element_length;
	bool		element_by_value;
	char		element_align;
} tfrs_column_reader;

/* ERROR, which names the column, where values of the type are none of the column's. */
extern void tfrs_column_reader_init(tfrs_column_reader *reader, const tfrs_column *column,
									Oid type);

/*
 * A value that is not NULL; what it points to lies in the value or in the current memory context.
 * ERROR where it is not finite, or an array of arrays.  count of a vector is its dim, which the
 * caller compares.
 */
extern tfrs_value tfrs_column_read(const tfrs_column_reader *reader, const tfrs_column *column,
								   Datum value);

#endif							/* TFRS_COLUMN_READER_H */
