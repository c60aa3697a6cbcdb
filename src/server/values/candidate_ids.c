/*
 * candidate_ids.c: ids of candidates between SQL values and the rows of an index.
 *
 * Lists of ids come with a query and may be long (what a customer has seen): the array is walked
 * once, each id is two probes, and only rows are sorted.
 */
#include "server/values/candidate_ids.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "server/host/compat.h"
#include "server/values/row_reader.h"

/* Ids looked up together, between two looks at pending interrupts. */
#define BATCH 256

static Datum
array_of_literal(char *literal)
{
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(TEXTARRAYOID, &input, &parameter);
	return OidInputFunctionCall(input, literal, parameter, -1);
}

/* A literal without a type comes as a C string. */
ArrayType *
tfrs_candidate_array(Oid type, Datum array, const char *argument)
{
	Oid			base = getBaseType(type);

	if (type == UNKNOWNOID)
		array = array_of_literal(DatumGetCString(array));
	else if (base == TEXTOID)
		array = array_of_literal(TextDatumGetCString(array));
	else if (!OidIsValid(get_element_type(base)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s must be an array of candidates, not %s", argument,
						format_type_be(type)),
				 errhint("Write ARRAY[...] or ARRAY(SELECT ...).")));
	return DatumGetArrayTypeP(array);
}

static uint32_t *
allocate_rows(size_t count)
{
	return palloc_extended(count * sizeof(uint32_t) + 1, MCXT_ALLOC_HUGE);
}

/* One pass of a radix sort, by the byte of the row at shift. */
static void
sort_by_byte(const uint32_t *rows, size_t count, int shift, uint32_t *sorted)
{
	size_t		starts[257] = {0};

	for (size_t i = 0; i < count; i++)
		starts[(rows[i] >> shift & 255) + 1]++;
	for (int byte = 0; byte < 255; byte++)
		starts[byte + 1] += starts[byte];
	for (size_t i = 0; i < count; i++)
		sorted[starts[rows[i] >> shift & 255]++] = rows[i];
}

/* By radix: a comparing sort takes longer than the look-up of the ids. */
void
tfrs_row_list_sort(tfrs_row_list *list)
{
	size_t		count = list->count;
	uint32_t   *rows = list->rows;
	uint32_t   *spare = allocate_rows(count);
	uint32_t	all = 0;

	for (size_t i = 0; i < count; i++)
		all |= rows[i];
	for (int shift = 0; shift < 32 && all >> shift != 0; shift += 8)
	{
		uint32_t   *sorted = spare;

		CHECK_FOR_INTERRUPTS();
		sort_by_byte(rows, count, shift, sorted);
		spare = rows;
		rows = sorted;
	}
	list->count = 0;
	for (size_t i = 0; i < count; i++)
		if (i == 0 || rows[i] != rows[i - 1])
			rows[list->count++] = rows[i];
	list->rows = rows;
	pfree(spare);
}

/* Adds the rows of the ids that are known. */
static void
add_rows(const tfrs_id_view *candidates, const tfrs_id *ids, size_t count, tfrs_row_list *list)
{
	uint32_t   *rows = list->rows + list->count;

	tfrs_id_view_find_many(candidates, ids, count, rows);
	for (size_t i = 0; i < count; i++)
	{
		if (rows[i] != TFRS_NO_ROW)
			list->rows[list->count++] = rows[i];
		else
			list->unknown++;
	}
}

tfrs_row_list
tfrs_candidate_sequence(const tfrs_id_view *candidates, Oid type, Datum array, const char *argument)
{
	ArrayType  *elements = tfrs_candidate_array(type, array, argument);
	size_t		room = ArrayGetNItems(ARR_NDIM(elements), ARR_DIMS(elements));
	tfrs_row_list list = {.rows = allocate_rows(room)};
	tfrs_id		ids[BATCH];
	tfrs_id_reader reader;
	ArrayIterator iterator = array_create_iterator(elements, 0, NULL);
	size_t		waiting = 0;
	Datum		value;
	bool		null;

	tfrs_id_reader_init(&reader, ARR_ELEMTYPE(elements), "candidate");
	while (array_iterate(iterator, &value, &null))
	{
		if (null)
			continue;
		ids[waiting++] = tfrs_id_read_as(&reader, candidates->tag, value, "candidate");
		if (waiting == BATCH)
		{
			CHECK_FOR_INTERRUPTS();
			add_rows(candidates, ids, waiting, &list);
			waiting = 0;
		}
	}
	add_rows(candidates, ids, waiting, &list);
	array_free_iterator(iterator);
	return list;
}

tfrs_row_list
tfrs_candidate_rows(const tfrs_id_view *candidates, Oid type, Datum array, const char *argument)
{
	tfrs_row_list list = tfrs_candidate_sequence(candidates, type, array, argument);

	tfrs_row_list_sort(&list);
	return list;
}

tfrs_row_list
tfrs_row_list_copy(const uint32_t *rows, size_t count, size_t more)
{
	tfrs_row_list list = {.rows = allocate_rows(count + more), .count = count};

	if (count > 0)
		memcpy(list.rows, rows, count * sizeof(uint32_t));
	return list;
}

void
tfrs_id_writer_init(tfrs_id_writer *writer, const tfrs_id_view *view, Oid type,
					MemoryContext context)
{
	const char *name = tfrs_id_tag_name(view->tag);
	tfrs_id_reader reader;
	Oid			input;

	tfrs_id_reader_init(&reader, type, "candidate");
	if (!tfrs_id_tags_match(reader.tag, view->tag) && type != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("candidates are of type %s, not %s", name == NULL ? "unknown" : name,
						format_type_be(type)),
				 errhint("Write NULL::%s as the first argument.", name == NULL ? "text" : name)));
	writer->ready = true;
	writer->tag = view->tag;
	writer->type = type;
	writer->direct = view->kind == TFRS_ID_INTEGER &&
		(type == INT2OID || type == INT4OID || type == INT8OID);
	if (writer->direct || type == TEXTOID)
		return;
	getTypeInputInfo(type, &input, &writer->input_parameter);
	fmgr_info_cxt(input, &writer->input, context);
}

static bool
fits(Oid type, int64 value)
{
	return type == INT8OID || (type == INT4OID && value == (int32) value) ||
		(type == INT2OID && value == (int16) value);
}

bool
tfrs_id_is_of_type(uint32 tag, tfrs_id id, Oid type)
{
	if (tag == TFRS_TAG_INTEGER)
		return fits(type, id.integer);
	return get_typtype(type) != TYPTYPE_ENUM ||
		SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
							  CStringGetDatum(tfrs_id_to_cstring(tag, id)));
}

static Datum
write_integer(Oid type, int64 value)
{
	if (!fits(type, value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("candidate %lld is out of range for type %s", (long long) value,
						format_type_be(type))));
	if (type == INT8OID)
		return Int64GetDatum(value);
	return type == INT4OID ? Int32GetDatum((int32) value) : Int16GetDatum((int16) value);
}

/* By way of its text an id that is none of its tag is found out; a direct one may be any number. */
Datum
tfrs_id_write(tfrs_id_writer *writer, tfrs_id id)
{
	if (writer->direct)
		return write_integer(writer->type, id.integer);
	if (writer->type == TEXTOID)
		return CStringGetTextDatum(tfrs_id_to_cstring(writer->tag, id));
	return InputFunctionCall(&writer->input, tfrs_id_to_cstring(writer->tag, id),
							 writer->input_parameter, -1);
}

uint32_t
tfrs_row_in_index(const tfrs_id_view *candidates, const tfrs_id_view *own, uint32_t row)
{
	tfrs_id		id = tfrs_id_view_get(own, row);
	char	   *text;

	if (candidates->tag == own->tag)
		return tfrs_id_view_find(candidates, id);
	if (!tfrs_id_tags_match(candidates->tag, TFRS_TAG_TEXT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the index has candidates of type %s, but the model of type %s",
						tfrs_id_tag_name(candidates->tag), tfrs_id_tag_name(own->tag)),
				 errhint("Build the index over ids of the model's type or their text, or keep what "
						 "the query has seen: search => '{\"seen\": true}'.")));
	text = tfrs_id_to_cstring(own->tag, id);
	row = tfrs_id_view_find(candidates, tfrs_id_from_text(candidates->tag, text, strlen(text),
														  "candidate"));
	pfree(text);
	return row;
}
