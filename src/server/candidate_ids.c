/*
 * candidate_ids.c: ids of candidates between SQL values and the rows of an index.
 *
 * Lists of ids come with a query and may be long (what a customer has seen): the array is walked
 * once, each id is two probes, and only rows are sorted.
 */
#include "server/candidate_ids.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/compat.h"
#include "server/row_reader.h"

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE uint32_t
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Elements between two looks at pending interrupts. */
#define INTERRUPT_STEP 4096

/* The array and its element type.  A literal without a type comes as a C string. */
static ArrayType *
open_array(Oid type, Datum array, const char *argument)
{
	Oid			base = getBaseType(type);

	if (type == UNKNOWNOID)
	{
		Oid			input;
		Oid			parameter;

		getTypeInputInfo(TEXTARRAYOID, &input, &parameter);
		array = OidInputFunctionCall(input, DatumGetCString(array), parameter, -1);
	}
	else if (!OidIsValid(get_element_type(base)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s must be an array of candidates, not %s", argument,
						format_type_be(type)),
				 errhint("Write ARRAY[...] or ARRAY(SELECT ...).")));
	return DatumGetArrayTypeP(array);
}

static size_t
distinct_rows(uint32_t *rows, size_t count)
{
	size_t		kept = 0;

	if (count == 0)
		return 0;
	sort_rows(rows, count);
	for (size_t i = 1; i < count; i++)
		if (rows[i] != rows[kept])
			rows[++kept] = rows[i];
	return kept + 1;
}

tfrs_row_list
tfrs_candidate_rows(const tfrs_id_view *candidates, Oid type, Datum array, const char *argument)
{
	ArrayType  *ids = open_array(type, array, argument);
	tfrs_id_reader reader;
	tfrs_row_list list = {NULL, 0};
	ArrayIterator iterator;
	Datum		value;
	bool		null;
	size_t		done = 0;

	tfrs_id_reader_init(&reader, ARR_ELEMTYPE(ids), "candidate");
	list.rows = palloc(ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids)) * sizeof(uint32_t) + 1);
	iterator = array_create_iterator(ids, 0, NULL);
	while (array_iterate(iterator, &value, &null))
	{
		uint32_t	row;

		if (++done % INTERRUPT_STEP == 0)
			CHECK_FOR_INTERRUPTS();
		if (null)
			continue;
		row = tfrs_id_view_find(candidates,
								tfrs_id_read_as(&reader, candidates->tag, value,
												"candidate"));
		if (row != TFRS_NO_ROW)
			list.rows[list.count++] = row;
	}
	array_free_iterator(iterator);
	list.count = distinct_rows(list.rows, list.count);
	return list;
}

tfrs_row_list
tfrs_row_list_with(const uint32_t *rows, size_t count, uint32_t row)
{
	tfrs_row_list list = {palloc((count + 1) * sizeof(uint32_t)), count + 1};

	if (count > 0)
		memcpy(list.rows, rows, count * sizeof(uint32_t));
	list.rows[count] = row;
	list.count = distinct_rows(list.rows, list.count);
	return list;
}

void
tfrs_id_writer_init(tfrs_id_writer *writer, const tfrs_id_view *view, Oid type,
					MemoryContext context)
{
	tfrs_id_reader reader;
	Oid			input;

	tfrs_id_reader_init(&reader, type, "candidate");
	if (reader.tag != view->tag && type != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("candidates are of type %s, not %s", tfrs_id_tag_name(view->tag),
						format_type_be(type)),
				 errhint("Write NULL::%s as the first argument.", tfrs_id_tag_name(view->tag))));
	writer->tag = view->tag;
	writer->type = type;
	writer->direct = type == INT2OID || type == INT4OID || type == INT8OID || type == TEXTOID;
	if (writer->direct)
		return;
	getTypeInputInfo(type, &input, &writer->input_parameter);
	fmgr_info_cxt(input, &writer->input, context);
}

static Datum
write_integer(Oid type, int64 value)
{
	bool		fits = type == INT8OID || (type == INT4OID && value == (int32) value) ||
		(type == INT2OID && value == (int16) value);

	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("candidate %lld is out of range for type %s", (long long) value,
						format_type_be(type))));
	if (type == INT8OID)
		return Int64GetDatum(value);
	return type == INT4OID ? Int32GetDatum((int32) value) : Int16GetDatum((int16) value);
}

Datum
tfrs_id_write(tfrs_id_writer *writer, tfrs_id id)
{
	if (writer->direct && writer->type != TEXTOID)
		return write_integer(writer->type, id.integer);
	if (writer->direct)
		return CStringGetTextDatum(tfrs_id_to_cstring(writer->tag, id));
	return InputFunctionCall(&writer->input, tfrs_id_to_cstring(writer->tag, id),
							 writer->input_parameter, -1);
}
