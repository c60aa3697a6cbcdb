/*
 * row_reader.c: SQL values to ids and back.
 *
 * Which types are ids is a table.  Numbers with a fraction and times are not: two of them are
 * rarely equal, so a table of embeddings over them learns nothing, and whoever means it can cast.
 *
 * Text is kept as UTF-8, so that a dump can be restored into a database of another encoding; where
 * the database is UTF-8 that costs a comparison, and where it is SQL_ASCII nothing is converted, for
 * nobody knows from what.  Bytes that come out of a block may come from
 * outside: they are verified by the conversion back.
 */
#include "server/values/row_reader.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

typedef struct type_entry
{
	Oid			type;
	tfrs_id_tag tag;
	tfrs_id_source source;
} type_entry;

static const type_entry type_table[] = {
	{INT8OID, TFRS_TAG_INTEGER, TFRS_FROM_INT64},
	{INT4OID, TFRS_TAG_INTEGER, TFRS_FROM_INT32},
	{INT2OID, TFRS_TAG_INTEGER, TFRS_FROM_INT16},
	{TEXTOID, TFRS_TAG_TEXT, TFRS_FROM_TEXT},
	{VARCHAROID, TFRS_TAG_TEXT, TFRS_FROM_TEXT},
	{BPCHAROID, TFRS_TAG_PADDED_TEXT, TFRS_FROM_PADDED_TEXT},
	{UNKNOWNOID, TFRS_TAG_TEXT, TFRS_FROM_CSTRING},
	{UUIDOID, TFRS_TAG_UUID, TFRS_FROM_UUID},
	{BOOLOID, TFRS_TAG_BOOLEAN, TFRS_FROM_BOOL},
	{DATEOID, TFRS_TAG_DATE, TFRS_FROM_INT32},
};

static bool
is_text(uint32 tag)
{
	return tag == TFRS_TAG_TEXT || tag == TFRS_TAG_PADDED_TEXT;
}

static tfrs_id_kind
kind_of_tag(uint32 tag)
{
	return is_text(tag) || tag == TFRS_TAG_UUID ? TFRS_ID_BYTES : TFRS_ID_INTEGER;
}

bool
tfrs_id_tags_match(uint32 a, uint32 b)
{
	return a == b || (is_text(a) && is_text(b));
}

bool
tfrs_id_reader_adopt(tfrs_id_reader *reader, uint32 tag)
{
	if (!tfrs_id_tags_match(reader->tag, tag))
		return false;
	reader->tag = (tfrs_id_tag) tag;
	return true;
}

static void
report_weight(const char *problem, double weight, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("%s", problem),
			 column == NULL ? errdetail("It is %g.", weight)
			 : errdetail("Column \"%s\" has a row with %g.", column, weight),
			 errhint("A weight is at most %g.  A row of weight 0 counts for nothing; null counts "
					 "as 1.", TFRS_MOST_WEIGHT)));
}

double
tfrs_weight_of(const NullableDatum *value, const char *column)
{
	double		weight = value->isnull ? 1 : DatumGetFloat8(value->value);

	if (!(weight >= 0 && weight < INFINITY))
		report_weight("a sample weight must be a finite number of at least 0", weight, column);
	if (weight > TFRS_MOST_WEIGHT)
		report_weight("a sample weight is too large", weight, column);
	return weight;
}

double
tfrs_weight_read(FunctionCallInfo fcinfo, int argument)
{
	return tfrs_weight_of(&fcinfo->args[argument], NULL);
}

int64
tfrs_time_of(Oid type, const NullableDatum *value)
{
	int64		at;

	if (value->isnull)
		return DT_NOBEGIN;
	if (type != DATEOID)
		return TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value->value)) ? DT_NOBEGIN
			: DatumGetTimestamp(value->value);
	if (DATE_NOT_FINITE(DatumGetDateADT(value->value)))
		return DT_NOBEGIN;
	if (pg_mul_s64_overflow(DatumGetDateADT(value->value), USECS_PER_DAY, &at))
		return PG_INT64_MAX;
	return at;
}

const char *
tfrs_id_tag_name(uint32 tag)
{
	switch ((tfrs_id_tag) tag)
	{
		case TFRS_TAG_INTEGER:
			return "integer";
		case TFRS_TAG_BOOLEAN:
			return "boolean";
		case TFRS_TAG_DATE:
			return "date";
		case TFRS_TAG_TEXT:
			return "text";
		case TFRS_TAG_UUID:
			return "uuid";
		case TFRS_TAG_PADDED_TEXT:
			return "bpchar";
	}
	return NULL;
}

/* ERROR: the type is no id. */
static void
report_type(Oid type, Oid base, const char *role)
{
	char		category;
	bool		preferred;

	if (base == RECORDOID || get_typtype(base) == TYPTYPE_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a row as %s is not supported yet", role),
				 errhint("Pass one column that identifies the %s.", role)));
	get_type_category_preferred(base, &category, &preferred);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("a value of type %s cannot identify a %s", format_type_be(type), role),
			 errdetail("An id is of type smallint, integer, bigint, text, varchar, char, uuid, "
					   "boolean, date or an enum."),
			 category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_DATETIME
			 ? errhint("Cast it, for example to %s.",
					   category == TYPCATEGORY_NUMERIC ? "bigint or text" : "date or text")
			 : 0));
}

/* What values of a base type are, or NULL. */
static const type_entry *
entry_of_type(Oid base)
{
	static const type_entry of_enums = {InvalidOid, TFRS_TAG_TEXT, TFRS_FROM_ENUM};

	for (size_t i = 0; i < lengthof(type_table); i++)
		if (type_table[i].type == base)
			return &type_table[i];
	return get_typtype(base) == TYPTYPE_ENUM ? &of_enums : NULL;
}

bool
tfrs_is_id_type(Oid type)
{
	return entry_of_type(getBaseType(type)) != NULL;
}

void
tfrs_id_reader_init(tfrs_id_reader *reader, Oid type, const char *role)
{
	Oid			base = OidIsValid(type) ? getBaseType(type) : InvalidOid;
	const type_entry *entry;

	if (!OidIsValid(base))
		elog(ERROR, "could not determine the type of a %s", role);
	entry = entry_of_type(base);
	if (entry == NULL)
		report_type(type, base, role);
	else
		*reader = (tfrs_id_reader) {
			entry->tag, kind_of_tag(entry->tag), entry->source
		};
}

/* Text as the ids with that tag have it. */
static tfrs_id
id_of_string(uint32 tag, const char *bytes, size_t length)
{
	const char *utf8;

	if (tag == TFRS_TAG_PADDED_TEXT)
		length = (size_t) bpchartruelen((char *) bytes, (int) length);
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return tfrs_id_of_bytes(bytes, length);
	utf8 = pg_server_to_any(bytes, (int) length, PG_UTF8);
	return tfrs_id_of_bytes(utf8, utf8 == bytes ? length : strlen(utf8));
}

/* Bytes of a text value without the padding of char(n). */
static void
string_of_value(const tfrs_id_reader *reader, Datum value, const char **bytes, size_t *length)
{
	if (reader->source == TFRS_FROM_CSTRING || reader->source == TFRS_FROM_ENUM)
	{
		if (reader->source == TFRS_FROM_ENUM)
			value = DirectFunctionCall1(enum_out, value);
		*bytes = DatumGetCString(value);
		*length = strlen(*bytes);
		return;
	}
	value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	*bytes = VARDATA_ANY(DatumGetPointer(value));
	*length = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	if (reader->source == TFRS_FROM_PADDED_TEXT)
		*length = (size_t) bpchartruelen((char *) *bytes, (int) *length);
}

tfrs_id
tfrs_id_read_slow(const tfrs_id_reader *reader, Datum value)
{
	const char *bytes;
	size_t		length;

	switch (reader->source)
	{
		case TFRS_FROM_INT16:
			return tfrs_id_of_integer(DatumGetInt16(value));
		case TFRS_FROM_INT32:
			return tfrs_id_of_integer(DatumGetInt32(value));
		case TFRS_FROM_INT64:
			return tfrs_id_of_integer(DatumGetInt64(value));
		case TFRS_FROM_BOOL:
			return tfrs_id_of_integer(DatumGetBool(value));
		case TFRS_FROM_UUID:
			return tfrs_id_of_bytes((const char *) DatumGetUUIDP(value)->data, UUID_LEN);
		case TFRS_FROM_TEXT:
		case TFRS_FROM_PADDED_TEXT:
		case TFRS_FROM_CSTRING:
		case TFRS_FROM_ENUM:
			break;
	}
	string_of_value(reader, value, &bytes, &length);
	return id_of_string(reader->tag, bytes, length);
}

bool
tfrs_id_reads_as(const tfrs_id_reader *reader, uint32 tag)
{
	if (tfrs_id_tags_match(reader->tag, tag))
		return true;
	return is_text(reader->tag) && reader->source != TFRS_FROM_ENUM &&
		tfrs_id_tag_name(tag) != NULL;
}

tfrs_id
tfrs_id_read_as(const tfrs_id_reader *reader, uint32 tag, Datum value, const char *role)
{
	const char *bytes;
	size_t		length;
	const char *name = tfrs_id_tag_name(tag);

	if (reader->tag == tag)
		return tfrs_id_read(reader, value);
	if (!tfrs_id_reads_as(reader, tag))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of type %s cannot be looked up among ids of type %s", role,
						tfrs_id_tag_name(reader->tag), name == NULL ? "unknown" : name),
				 is_text(tag) || name == NULL ? errhint("Cast it to text.")
				 : errhint("Cast it to %s, or to text.", name)));
	string_of_value(reader, value, &bytes, &length);
	return tfrs_id_from_text(tag, bytes, length, role);
}

/* Of an id that is read from text: for the message where that fails. */
typedef struct reading
{
	const char *type;
	const char *role;
} reading;

static void
describe_reading(void *argument)
{
	const reading *what = argument;

	errhint("The %s is looked up among ids of type %s.", what->role, what->type);
}

static tfrs_id
id_of_text(uint32 tag, Datum string)
{
	switch ((tfrs_id_tag) tag)
	{
		case TFRS_TAG_BOOLEAN:
			return tfrs_id_of_integer(DatumGetBool(DirectFunctionCall1(boolin, string)));
		case TFRS_TAG_DATE:
			return tfrs_id_of_integer(DatumGetDateADT(DirectFunctionCall1(date_in, string)));
		case TFRS_TAG_UUID:
			string = DirectFunctionCall1(uuid_in, string);
			return tfrs_id_of_bytes((const char *) DatumGetUUIDP(string)->data, UUID_LEN);
		case TFRS_TAG_INTEGER:
		case TFRS_TAG_TEXT:
		case TFRS_TAG_PADDED_TEXT:
			break;
	}
	return tfrs_id_of_integer(DatumGetInt64(DirectFunctionCall1(int8in, string)));
}

tfrs_id
tfrs_id_from_text(uint32 tag, const char *bytes, size_t length, const char *role)
{
	reading		what = {tfrs_id_tag_name(tag), role};
	ErrorContextCallback callback = {error_context_stack, describe_reading, &what};
	tfrs_id		id;

	if (is_text(tag))
		return id_of_string(tag, bytes, length);
	error_context_stack = &callback;
	id = id_of_text(tag, CStringGetDatum(pnstrdup(bytes, length)));
	error_context_stack = callback.previous;
	return id;
}

bool
tfrs_id_from_json(uint32 tag, const Jsonb *json, const char *role, tfrs_id *id)
{
	JsonbValue	value;
	const char *text;

	if (!JsonbExtractScalar((JsonbContainer *) &json->root, &value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a %s is a single value", role),
				 errhint("Pass the value itself, not a JSON object or array.")));
	if (value.type == jbvNull)
		return false;
	if (value.type == jbvString)
	{
		*id = tfrs_id_from_text(tag, value.val.string.val, (size_t) value.val.string.len,
								role);
		return true;
	}
	if (value.type == jbvBool)
		text = value.val.boolean ? "true" : "false";
	else
		text = DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value.val.numeric)));
	*id = tfrs_id_from_text(tag, text, strlen(text), role);
	return true;
}

/* Bytes of a long id that a message shows. */
#define SHOWN_BYTES 40

void
tfrs_id_report_length(tfrs_id id, const char *role, const char *column)
{
	int			encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_SQL_ASCII : PG_UTF8;
	tfrs_id		shown = {
		.kind = id.kind, .bytes = id.bytes,
		.length = (uint32_t) pg_encoding_mbcliplen(encoding, id.bytes, (int) id.length,
												   SHOWN_BYTES)
	};
	char	   *begin = tfrs_id_to_cstring(TFRS_TAG_TEXT, shown);

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the id of a %s is too long", role),
			 column == NULL
			 ? errdetail("It has %u bytes, at most %zu are allowed, and begins with \"%s\".",
						 (unsigned) id.length, TFRS_MAX_ID_BYTES, begin)
			 : errdetail("An id in column \"%s\" has %u bytes, at most %zu are allowed, and begins "
						 "with \"%s\".", column, (unsigned) id.length, TFRS_MAX_ID_BYTES, begin),
			 errhint("Leave such rows out with a view or a condition, or use a shorter id.")));
}

static void
report_damaged_id(uint32 tag)
{
	const char *name = tfrs_id_tag_name(tag);

	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the model or index holds an id that is no %s", name == NULL ? "id" : name)));
}

/* ISO, whatever DateStyle says. */
static char *
date_to_cstring(int64 days)
{
	char		text[MAXDATELEN + 1];
	struct pg_tm parts = {0};

	if (days != (DateADT) days ||
		!(DATE_NOT_FINITE((DateADT) days) || IS_VALID_DATE((DateADT) days)))
		report_damaged_id(TFRS_TAG_DATE);
	if (DATE_NOT_FINITE((DateADT) days))
		EncodeSpecialDate((DateADT) days, text);
	else
	{
		j2date((int) days + POSTGRES_EPOCH_JDATE, &parts.tm_year, &parts.tm_mon, &parts.tm_mday);
		EncodeDateOnly(&parts, USE_ISO_DATES, text);
	}
	return pstrdup(text);
}

static char *
text_to_cstring_verified(tfrs_id id)
{
	char	   *string;

	if (GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		pg_verify_mbstr(PG_SQL_ASCII, id.bytes, (int) id.length, false);
		return pnstrdup(id.bytes, id.length);
	}
	string = pg_any_to_server(id.bytes, (int) id.length, PG_UTF8);
	return string == id.bytes ? pnstrdup(string, id.length) : string;
}

char *
tfrs_id_to_cstring(uint32 tag, tfrs_id id)
{
	if (tfrs_id_tag_name(tag) == NULL || id.kind != kind_of_tag(tag))
		report_damaged_id(tag);
	switch ((tfrs_id_tag) tag)
	{
		case TFRS_TAG_BOOLEAN:
			return pstrdup(id.integer != 0 ? "true" : "false");
		case TFRS_TAG_DATE:
			return date_to_cstring(id.integer);
		case TFRS_TAG_TEXT:
		case TFRS_TAG_PADDED_TEXT:
			return text_to_cstring_verified(id);
		case TFRS_TAG_UUID:
			if (id.length != UUID_LEN)
				report_damaged_id(tag);
			return DatumGetCString(DirectFunctionCall1(uuid_out, PointerGetDatum(id.bytes)));
		case TFRS_TAG_INTEGER:
			break;
	}
	return psprintf(INT64_FORMAT, id.integer);
}
