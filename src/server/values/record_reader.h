/*
 * record_reader.h: rows (composite values) and JSON objects as values of a tower's columns, by name.
 *
 * What a row type means for the columns is found once and kept until a row of another type comes.
 * Dropped columns are passed over.  A column that no feature reads may be there and is not looked at.
 */
#ifndef TFRS_RECORD_READER_H
#define TFRS_RECORD_READER_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/jsonb.h"

#include "learning/feature_options.h"
#include "server/values/column_reader.h"

typedef struct tfrs_record_reader
{
	/* set by the caller */
	MemoryContext context;		/* of what it keeps */
	const char *role;			/* "query", "candidate" */
	const tfrs_tower_options *options;
	bool		all;			/* each column that is read must be there */
	bool		is_json;		/* for who reads both kinds */
	tfrs_tower_options *open;	/* the same, where the first row says how long vectors are; or NULL */

	/* of the row type at hand; desc NULL: none yet */
	TupleDesc	desc;
	int			attribute[TFRS_MAX_COLUMNS];	/* of each column, from 0; -1: not in the row */
	tfrs_column_reader reader[TFRS_MAX_COLUMNS];
	Datum	   *datum;			/* (desc->natts) */
	bool	   *null;			/* (desc->natts) */

	/* the row that was read last */
	tfrs_value	value[TFRS_MAX_COLUMNS];
	bool		given[TFRS_MAX_COLUMNS];
} tfrs_record_reader;

/* Whether values of the type are rows. */
extern bool tfrs_is_record_type(Oid type);

/* The type of a row, a copy in the current memory context.  ERROR where its columns have no names of
 * their own, as in ROW(a, b), or one name is there twice. */
extern TupleDesc tfrs_record_type_of(Datum record, const char *role);

/* Whether a feature reads the column, or it is the key. */
extern bool tfrs_tower_reads(const tfrs_tower_options *options, uint32 column);

/* The number of the column of that name, or options->columns. */
extern uint32 tfrs_tower_column(const tfrs_tower_options *options, const char *name,
								size_t length);

/*
 * Reads a row that is not NULL, or a JSON object, into value and given; what the values point to lies
 * in the row or in the current memory context.  ERROR for a column that the tower does not have, and
 * for values that are none of their columns.
 */
extern void tfrs_record_read(tfrs_record_reader *reader, Datum record);
extern void tfrs_record_read_json(tfrs_record_reader *reader, const Jsonb *json);

/* The key of the row that was read; false where it is NULL or not there. */
extern bool tfrs_record_key(const tfrs_record_reader *reader, tfrs_id *id);

#endif							/* TFRS_RECORD_READER_H */
