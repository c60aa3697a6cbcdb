/*
 * record_reader.c: rows by the names of their columns.
 *
 * A row carries the number of its type, so a scan compares two numbers a row.  Types of rows without a
 * name of their own (a subquery's) are registered by the server for the session.
 */
#include "server/values/record_reader.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "server/values/column_json.h"

bool
tfrs_is_record_type(Oid type)
{
	Oid			base = OidIsValid(type) ? getBaseType(type) : InvalidOid;

	return base == RECORDOID ||
		(OidIsValid(base) && get_typtype(base) == TYPTYPE_COMPOSITE);
}

static const char *
name_of(TupleDesc desc, int attribute)
{
	return NameStr(TupleDescAttr(desc, attribute)->attname);
}

static bool
is_dropped(TupleDesc desc, int attribute)
{
	return TupleDescAttr(desc, attribute)->attisdropped;
}

/* Whether the names are f1, f2, ..., which the server gives where there are none. */
static bool
has_no_names(TupleDesc desc)
{
	if (desc->tdtypeid != RECORDOID || desc->natts == 0)
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		char		name[NAMEDATALEN];

		snprintf(name, sizeof(name), "f%d", i + 1);
		if (strcmp(name, name_of(desc, i)) != 0)
			return false;
	}
	return true;
}

static void
check_names(TupleDesc desc, const char *role)
{
	if (has_no_names(desc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the columns of a %s row have no names", role),
				 errdetail("ROW(...) names its columns f1, f2, ..."),
				 errhint("Name them by a subquery: CROSS JOIN LATERAL (SELECT r.user_id, r.device) "
						 "q, and pass q.")));
	for (int i = 0; i < desc->natts; i++)
		for (int j = 0; j < i && !is_dropped(desc, i); j++)
			if (!is_dropped(desc, j) && strcmp(name_of(desc, i), name_of(desc, j)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" stands twice in a %s row", name_of(desc, i), role),
						 errhint("Give each column a name of its own.")));
}

TupleDesc
tfrs_record_type_of(Datum record, const char *role)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(record);
	TupleDesc	shared = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
												HeapTupleHeaderGetTypMod(row));
	TupleDesc	desc = CreateTupleDescCopy(shared);

	ReleaseTupleDesc(shared);
	check_names(desc, role);
	return desc;
}

uint32
tfrs_tower_column(const tfrs_tower_options *options, const char *name, size_t length)
{
	uint32		column = 0;

	while (column < options->columns &&
		   !(strlen(options->column[column].name) == length &&
			 memcmp(options->column[column].name, name, length) == 0))
		column++;
	return column;
}

bool
tfrs_tower_reads(const tfrs_tower_options *options, uint32 column)
{
	if (column == options->key)
		return true;
	for (uint32 f = 0; f < options->features; f++)
		for (uint32 i = 0; i < options->feature[f].columns; i++)
			if (options->feature[f].column[i] == column)
				return true;
	return false;
}

/* The columns of a row of the tower, for a HINT. */
static char *
list_columns(const tfrs_tower_options *options)
{
	StringInfoData list;

	initStringInfo(&list);
	for (uint32 c = 0; c < options->columns; c++)
		appendStringInfo(&list, "%s%s", c == 0 ? "" : ", ", options->column[c].name);
	return list.data;
}

static void
report_unknown_column(const tfrs_record_reader *reader, const char *name, size_t length)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("a %s has no column \"%.*s\"", reader->role, (int) length, name),
			 errhint("Its columns are %s.", list_columns(reader->options))));
}

static void
report_missing_column(const tfrs_record_reader *reader, uint32 column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("a %s row has no column \"%s\"", reader->role,
					reader->options->column[column].name),
			 errhint("Its columns are %s.", list_columns(reader->options))));
}

/* Which attribute each column is. */
static void
match_columns(tfrs_record_reader *reader, TupleDesc desc)
{
	const tfrs_tower_options *options = reader->options;

	for (uint32 c = 0; c < options->columns; c++)
		reader->attribute[c] = -1;
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = name_of(desc, i);
		uint32		c = tfrs_tower_column(options, name, strlen(name));

		if (is_dropped(desc, i))
			continue;
		if (c == options->columns)
			report_unknown_column(reader, name, strlen(name));
		if (!tfrs_tower_reads(options, c))
			continue;
		reader->attribute[c] = i;
		tfrs_column_reader_init(&reader->reader[c], &options->column[c],
								TupleDescAttr(desc, i)->atttypid);
	}
	for (uint32 c = 0; c < options->columns && reader->all; c++)
		if (reader->attribute[c] < 0 && tfrs_tower_reads(options, c))
			report_missing_column(reader, c);
}

/* A row of another type than those before, or the first one. */
static void
learn_type(tfrs_record_reader *reader, Datum record)
{
	MemoryContext old_context;
	TupleDesc	desc;

	reader->desc = NULL;
	old_context = MemoryContextSwitchTo(reader->context);
	desc = tfrs_record_type_of(record, reader->role);
	match_columns(reader, desc);
	reader->datum = palloc(Max(desc->natts, 1) * sizeof(Datum));
	reader->null = palloc(Max(desc->natts, 1) * sizeof(bool));
	MemoryContextSwitchTo(old_context);
	reader->desc = desc;
}

/* The first vector says how long all are. */
static tfrs_value
checked(const tfrs_record_reader *reader, uint32 c, tfrs_value value)
{
	const tfrs_column *column = &reader->options->column[c];

	if (column->type != TFRS_COLUMN_VECTOR || value.is_null)
		return value;
	if (column->dim == 0 && reader->open != NULL)
		reader->open->column[c].dim = tfrs_column_first_dim(column, value.count);
	tfrs_column_check_dim(column, &value);
	return value;
}

/* The attributes of a row as Datums. */
static void
deform(tfrs_record_reader *reader, Datum record)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(record);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};

	if (reader->desc == NULL || reader->desc->tdtypeid != HeapTupleHeaderGetTypeId(row) ||
		reader->desc->tdtypmod != HeapTupleHeaderGetTypMod(row))
		learn_type(reader, record);
	ItemPointerSetInvalid(&tuple.t_self);
	heap_deform_tuple(&tuple, reader->desc, reader->datum, reader->null);
}

void
tfrs_record_read(tfrs_record_reader *reader, Datum record)
{
	const tfrs_tower_options *options = reader->options;

	deform(reader, PointerGetDatum(DatumGetHeapTupleHeader(record)));
	for (uint32 c = 0; c < options->columns; c++)
	{
		int			attribute = reader->attribute[c];

		reader->given[c] = attribute >= 0;
		if (attribute < 0 || reader->null[attribute])
			reader->value[c] = (tfrs_value) {.is_null = true};
		else
			reader->value[c] = checked(reader, c,
									   tfrs_column_read(&reader->reader[c], &options->column[c],
														reader->datum[attribute]));
	}
}

/* Nothing is given; columns that must be given are looked for at the end. */
static void
clear(tfrs_record_reader *reader)
{
	for (uint32 c = 0; c < reader->options->columns; c++)
	{
		reader->given[c] = false;
		reader->value[c] = (tfrs_value) {.is_null = true};
	}
}

static void
check_object(const tfrs_record_reader *reader, const Jsonb *json)
{
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a %s must be a JSON object with the values of its columns", reader->role),
				 errhint("Its columns are %s.", list_columns(reader->options))));
}

void
tfrs_record_read_json(tfrs_record_reader *reader, const Jsonb *json)
{
	const tfrs_tower_options *options = reader->options;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	uint32		c = 0;

	check_object(reader, json);
	clear(reader);
	iterator = JsonbIteratorInit((JsonbContainer *) &json->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			c = tfrs_tower_column(options, value.val.string.val,
								  (size_t) value.val.string.len);
			if (c == options->columns)
				report_unknown_column(reader, value.val.string.val,
									  (size_t) value.val.string.len);
		}
		else if (token == WJB_VALUE && tfrs_tower_reads(options, c))
		{
			reader->given[c] = true;
			reader->value[c] = checked(reader, c,
									   tfrs_column_read_json(&options->column[c], &value));
		}
	}
	for (c = 0; c < options->columns && reader->all; c++)
		if (!reader->given[c] && tfrs_tower_reads(options, c))
			report_missing_column(reader, c);
}

bool
tfrs_record_key(const tfrs_record_reader *reader, tfrs_id *id)
{
	const tfrs_value *key = &reader->value[reader->options->key];

	*id = key->id;
	return !key->is_null;
}
