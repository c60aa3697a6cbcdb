/*
 * row_reader.h: SQL values to ids and back; the only module that looks into Datums of users' types.
 *
 * An id is a 64-bit integer or bytes (base/id_set.h).  The tag, which an id set stores, says how an
 * id is written and read as text, so that every type has one form everywhere:
 *
 *     integer     smallint, integer, bigint           int64
 *     boolean     boolean                             int64 0, 1
 *     date        date                                int64 days since 2000-01-01, as in the server
 *     text        text, varchar, enums by label,      UTF-8 bytes, whatever the database's encoding
 *                 untyped literals
 *     bpchar      char(n)                             the same, without the blanks at the end
 *     uuid        uuid                                its 16 bytes
 *
 * Domains count as their base type.  Types of one tag are one and the same: a model trained on
 * integer is asked by bigint.  text and bpchar are both text; the difference is that blanks at the
 * end of what is looked up among ids of char(n) do not count, as in the server's comparisons.
 *
 * A database whose encoding is SQL_ASCII does not know its text's encoding: bytes stay as they are.
 */
#ifndef TFRS_ROW_READER_H
#define TFRS_ROW_READER_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "base/id_set.h"
#include "base/limits.h"

/* Stored in blocks: numbers may not change within format 1. */
typedef enum tfrs_id_tag
{
	TFRS_TAG_INTEGER = 1,
	TFRS_TAG_BOOLEAN = 2,
	TFRS_TAG_DATE = 3,
	TFRS_TAG_TEXT = 4,
	TFRS_TAG_UUID = 5,
	TFRS_TAG_PADDED_TEXT = 6	/* char(n) */
} tfrs_id_tag;

/* How a Datum becomes an id. */
typedef enum tfrs_id_source
{
	TFRS_FROM_INT16,
	TFRS_FROM_INT32,			/* integer, date */
	TFRS_FROM_INT64,
	TFRS_FROM_BOOL,
	TFRS_FROM_TEXT,
	TFRS_FROM_PADDED_TEXT,		/* char(n) */
	TFRS_FROM_CSTRING,			/* an untyped literal */
	TFRS_FROM_ENUM,
	TFRS_FROM_UUID
} tfrs_id_source;

typedef struct tfrs_id_reader
{
	tfrs_id_tag tag;
	tfrs_id_kind kind;
	tfrs_id_source source;
} tfrs_id_reader;

/* Prepares for values of that type; role ("query", "candidate") is for the ERROR that a type gets
 * which is no id. */
extern void tfrs_id_reader_init(tfrs_id_reader *reader, Oid type, const char *role);

/* Whether values of that type are ids. */
extern bool tfrs_is_id_type(Oid type);

/* Whether ids of the two tags can be equal: they are of one tag, or both are text. */
extern bool tfrs_id_tags_match(uint32 a, uint32 b);

/* Makes the reader read ids as a set with that tag has them; false where the types don't match. */
extern bool tfrs_id_reader_adopt(tfrs_id_reader *reader, uint32 tag);

extern tfrs_id tfrs_id_read_slow(const tfrs_id_reader *reader, Datum value);

/* The id of a value that is not NULL.  Bytes lie in the value or in the current memory context. */
static inline tfrs_id
tfrs_id_read(const tfrs_id_reader *reader, Datum value)
{
	if (reader->source == TFRS_FROM_INT64)
		return tfrs_id_of_integer(DatumGetInt64(value));
	if (reader->source == TFRS_FROM_INT32)
		return tfrs_id_of_integer(DatumGetInt32(value));
	return tfrs_id_read_slow(reader, value);
}

/* ERROR where an id is longer than a model or an index holds; column: named then, or NULL. */
extern void tfrs_id_report_length(tfrs_id id, const char *role, const char *column);

static inline void
tfrs_id_check_length(tfrs_id id, const char *role, const char *column)
{
	if (id.kind == TFRS_ID_BYTES && id.length > TFRS_MAX_ID_BYTES)
		tfrs_id_report_length(id, role, column);
}

/* Whether values can be looked up among ids with that tag: text is read as any type is. */
extern bool tfrs_id_reads_as(const tfrs_id_reader *reader, uint32 tag);

/*
 * The id as a set with that tag has it: a value of another type is an ERROR, except that text is
 * read as the set's type reads it ('42' asks for 42).
 */
extern tfrs_id tfrs_id_read_as(const tfrs_id_reader *reader, uint32 tag, Datum value,
							   const char *role);

/* Heavier rows are refused: sums of their products would overflow a float. */
#define TFRS_MOST_WEIGHT 1e25

/* A sample weight, 1 where it is NULL.  Raises unless it is between 0 and TFRS_MOST_WEIGHT; column:
 * named then, or NULL. */
extern double tfrs_weight_of(const NullableDatum *value, const char *column);
extern double tfrs_weight_read(FunctionCallInfo fcinfo, int argument);

/*
 * The time of an event, of the base type timestamptz, timestamp or date, in microseconds since 2000:
 * one without a zone counts as UTC.  The earliest where it is NULL or infinite, the latest where it is a
 * date that no timestamp can hold.
 */
extern int64 tfrs_time_of(Oid type, const NullableDatum *value);

/* The name of a tag's type, for messages and model_info; NULL for a tag that is none. */
extern const char *tfrs_id_tag_name(uint32 tag);

/* Text of an id in the database's encoding, palloc'd; it does not depend on DateStyle.  Raises
 * where the id is none of its tag (bytes that came from outside). */
extern char *tfrs_id_to_cstring(uint32 tag, tfrs_id id);

/* The id that text stands for, as the type's input function reads it. */
extern tfrs_id tfrs_id_from_text(uint32 tag, const char *bytes, size_t length, const char *role);

/* The id that a JSON string, number or boolean stands for, for clients that can bind neither a
 * value of its type nor a row; false for a JSON null.  Raises on an object or array. */
extern bool tfrs_id_from_json(uint32 tag, const Jsonb *json, const char *role, tfrs_id *id);

#endif							/* TFRS_ROW_READER_H */
