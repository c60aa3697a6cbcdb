/*
 * column_json.c: JSON values of columns, by the column alone.
 */
#include "server/values/column_json.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/host/extension_objects.h"
#include "server/values/column_type.h"
#include "server/values/embedding_type.h"
#include "server/values/row_reader.h"

/* What to say of a JSON value. */
static const char *
json_type_name(const JsonbValue *json)
{
	switch (json->type)
	{
		case jbvNumeric:
			return "number";
		case jbvBool:
			return "boolean";
		case jbvString:
			return "string";
		case jbvBinary:
			return JsonContainerIsArray(json->val.binary.data) ? "array" : "object";
		default:
			return "null";
	}
}

static void
report_json(const tfrs_column *column, const JsonbValue *json)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is a JSON %s, but %s is needed", column->name,
					json_type_name(json), tfrs_column_type_name(column))));
}

/* The text of a JSON string, number or boolean. */
static char *
text_of_json(const tfrs_column *column, const JsonbValue *json)
{
	if (json->type == jbvString)
		return pnstrdup(json->val.string.val, json->val.string.len);
	if (json->type == jbvBool)
		return pstrdup(json->val.boolean ? "true" : "false");
	if (json->type != jbvNumeric)
		report_json(column, json);
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(json->val.numeric)));
}

static tfrs_id
id_of_json(const tfrs_column *column, const JsonbValue *json)
{
	ErrorContextCallback callback = tfrs_column_name_errors(column);
	char	   *text = text_of_json(column, json);
	tfrs_id		id;

	error_context_stack = &callback;
	id = tfrs_id_from_text(column->tag, text, strlen(text), "value");
	error_context_stack = callback.previous;
	return id;
}

static double
number_of_json(const tfrs_column *column, const JsonbValue *json)
{
	if (json->type == jbvNumeric && column->tag == TFRS_TAG_NUMBER)
		return tfrs_column_number_of_numeric(NumericGetDatum(json->val.numeric));
	if (json->type != jbvString)
		report_json(column, json);
	return tfrs_column_number_of_text(column, text_of_json(column, json));
}

/* Its elements; an array of arrays is an ERROR. */
static JsonbContainer *
array_of_json(const tfrs_column *column, const JsonbValue *json)
{
	if (json->type != jbvBinary || !JsonContainerIsArray(json->val.binary.data))
		report_json(column, json);
	return json->val.binary.data;
}

static bool
next_element(const tfrs_column *column, JsonbIterator **iterator, JsonbValue *element)
{
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(iterator, element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element->type == jbvBinary && JsonContainerIsArray(element->val.binary.data))
			tfrs_column_report_dimensions(column);
		return true;
	}
	return false;
}

static tfrs_value
list_of_json(const tfrs_column *column, const JsonbValue *json)
{
	JsonbContainer *array = array_of_json(column, json);
	JsonbIterator *iterator = JsonbIteratorInit(array);
	tfrs_id    *ids = palloc_extended((JsonContainerSize(array) + 1) * sizeof(*ids),
									  MCXT_ALLOC_HUGE);
	tfrs_value	list = {.element = ids};
	JsonbValue	element;

	while (next_element(column, &iterator, &element))
		if (element.type != jbvNull)
			ids[list.count++] = id_of_json(column, &element);
	return list;
}

/* The text form of an embedding, as to_jsonb writes it. */
static tfrs_value
vector_of_text(const tfrs_column *column, char *text)
{
	ErrorContextCallback callback = tfrs_column_name_errors(column);
	Oid			input;
	Oid			parameter;
	const tfrs_embedding *embedding;

	getTypeInputInfo(tfrs_extension_type("embedding"), &input, &parameter);
	error_context_stack = &callback;
	embedding = tfrs_embedding_of_datum(OidInputFunctionCall(input, text, parameter, -1));
	error_context_stack = callback.previous;
	return tfrs_column_vector(column, embedding->values, (size_t) embedding->dim);
}

static tfrs_value
vector_of_json(const tfrs_column *column, const JsonbValue *json)
{
	JsonbContainer *array;
	JsonbIterator *iterator;
	JsonbValue	element;
	float	   *vector;
	size_t		count = 0;

	if (json->type == jbvString)
		return vector_of_text(column, text_of_json(column, json));
	array = array_of_json(column, json);
	iterator = JsonbIteratorInit(array);
	vector = palloc_extended((JsonContainerSize(array) + 1) * sizeof(*vector), MCXT_ALLOC_HUGE);
	while (next_element(column, &iterator, &element))
	{
		if (element.type == jbvNull)
			tfrs_column_report_null_element(column);
		if (element.type != jbvNumeric)
			report_json(column, &element);
		vector[count++] = (float) tfrs_column_number_of_numeric(NumericGetDatum(element.val.numeric));
	}
	return tfrs_column_vector(column, vector, count);
}

tfrs_value
tfrs_column_read_json(const tfrs_column *column, const JsonbValue *json)
{
	if (json->type == jbvNull)
		return (tfrs_value) {.is_null = true};
	switch ((tfrs_column_type) column->type)
	{
		case TFRS_COLUMN_NUMBER:
			return tfrs_column_number(column, number_of_json(column, json));
		case TFRS_COLUMN_LIST:
			return list_of_json(column, json);
		case TFRS_COLUMN_VECTOR:
			return vector_of_json(column, json);
		case TFRS_COLUMN_ID:
			break;
	}
	return (tfrs_value) {.id = id_of_json(column, json)};
}
