/*
 * options.c: a jsonb object to a C struct and back, by a table of keys.
 */
#include "server/host/options.h"

#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/varlena.h"

#include "server/host/compat.h"

/* Edits between a key and the one that was meant ("epoch" and "epochs",
 * "bach_size"), fewer than its length. */
#define NEAR_ENOUGH 2

static void
store_integer(void *target, const tfrs_option_key *key, uint64 value)
{
	void	   *field = (char *) target + key->offset;

	if (key->size == sizeof(uint64))
		*(uint64 *) field = value;
	else if (key->size == sizeof(uint32))
		*(uint32 *) field = (uint32) value;
	else
		*(bool *) field = value != 0;
}

static uint64
fetch_integer(const void *target, const tfrs_option_key *key)
{
	const void *field = (const char *) target + key->offset;

	return key->size == sizeof(uint64) ? *(const uint64 *) field :
		key->size == sizeof(uint32) ? *(const uint32 *) field : *(const bool *) field;
}

static const tfrs_option_key *
find_key(const tfrs_option_scheme *scheme, const char *name, size_t length)
{
	for (size_t i = 0; i < scheme->count; i++)
	{
		if (strlen(scheme->keys[i].name) == length &&
			memcmp(scheme->keys[i].name, name, length) == 0)
			return &scheme->keys[i];
	}
	return NULL;
}

/* The supported key that is spelled most alike, or NULL. */
static const char *
nearest_key(const tfrs_option_scheme *scheme, const char *name, size_t length)
{
	const char *nearest = NULL;
	int			least = length < NAMEDATALEN ? Min(NEAR_ENOUGH, (int) length - 1) : -1;

	for (size_t i = 0; i < scheme->count; i++)
	{
		const char *known = scheme->keys[i].name;
		int			edits;

		if (scheme->keys[i].type == TFRS_OPTION_LATER || least < 0)
			continue;
		edits = varstr_levenshtein_less_equal(name, (int) length, known, (int) strlen(known),
											  1, 1, 1, least, false);
		if (edits <= least)
		{
			nearest = known;
			least = edits - 1;
		}
	}
	return nearest;
}

static void
report_unknown_key(const tfrs_option_scheme *scheme, const char *name, size_t length)
{
	const char *nearest = nearest_key(scheme, name, length);
	StringInfoData hint;

	initStringInfo(&hint);
	if (nearest != NULL)
		appendStringInfo(&hint, "Perhaps you meant \"%s\". ", nearest);
	appendStringInfoString(&hint, "Allowed are ");
	for (size_t i = 0, listed = 0; i < scheme->count; i++)
	{
		if (scheme->keys[i].type != TFRS_OPTION_LATER)
			appendStringInfo(&hint, "%s%s", listed++ > 0 ? ", " : "", scheme->keys[i].name);
	}
	appendStringInfoChar(&hint, '.');
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized %s \"%.*s\"", scheme->what, (int) length, name),
			 errhint("%s", hint.data)));
}

/* "a", "b" or "c": the words that are supported. */
static void
describe_choices(const tfrs_option_choice *choices, StringInfo text)
{
	const tfrs_option_choice *last = choices;

	for (const tfrs_option_choice *choice = choices; choice->name != NULL; choice++)
		if (choice->value >= 0)
			last = choice;
	for (const tfrs_option_choice *choice = choices; choice <= last; choice++)
	{
		if (choice->value >= 0)
			appendStringInfo(text, "%s\"%s\"",
							 text->len == 0 ? "" : choice == last ? " or " : ", ", choice->name);
	}
}

/* Whether the elements of an array go into the field itself. */
static bool
is_array(const tfrs_option_key *key)
{
	return key->type == TFRS_OPTION_FLOATS || key->type == TFRS_OPTION_DOUBLES;
}

static size_t
most_elements(const tfrs_option_key *key)
{
	return key->size / (key->type == TFRS_OPTION_FLOATS ? sizeof(float) : sizeof(double));
}

/* What a key takes, for "It must be ...". */
static char *
describe(const tfrs_option_key *key)
{
	StringInfoData text;

	initStringInfo(&text);
	if (key->type == TFRS_OPTION_BOOL)
		appendStringInfoString(&text, "true or false");
	else if (key->type == TFRS_OPTION_INTEGER)
		appendStringInfo(&text, "an integer from %.0f to %.0f", key->low, key->high);
	else if (key->type == TFRS_OPTION_INTEGERS)
		appendStringInfo(&text, "an array of 1 to %d integers from %.0f to %.0f",
						 TFRS_OPTION_MOST_INTEGERS, key->low, key->high);
	else if (key->type == TFRS_OPTION_FLOAT)
		appendStringInfo(&text, "a number %s %g and at most %.6g",
						 key->above_zero ? "above" : "of at least", key->low, key->high);
	else if (is_array(key))
		appendStringInfo(&text, "an array of at most %zu numbers %s %g and at most %.6g",
						 most_elements(key), key->above_zero ? "above" : "of at least",
						 key->low, key->high);
	else if (key->type == TFRS_OPTION_TEXT)
		appendStringInfo(&text, "a string of 1 to %zu bytes", key->size - 1);
	else if (key->type == TFRS_OPTION_OBJECT)
		appendStringInfoString(&text, "an object, or false");
	else if (key->type == TFRS_OPTION_OTHER)
		appendStringInfoString(&text, key->takes);
	else
		describe_choices(key->choices, &text);
	return text.data;
}

static void
report_bad_value(const tfrs_option_scheme *scheme, const tfrs_option_key *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s \"%s\"", scheme->what, key->name),
			 errdetail("It must be %s.", describe(key))));
}

static void
report_later(const tfrs_option_scheme *scheme, const char *name, const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 value == NULL
			 ? errmsg("%s \"%s\" is not supported yet", scheme->what, name)
			 : errmsg("\"%s\" for %s \"%s\" is not supported yet", value, scheme->what, name)));
}

/* The number, or false where the value is none or out of the key's range. */
static bool
read_number(const tfrs_option_key *key, const JsonbValue *value, double *number)
{
	char	   *text;

	if (value->type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	*number = strtod(text, NULL);
	pfree(text);
	if (key->type == TFRS_OPTION_FLOAT || key->type == TFRS_OPTION_FLOATS)
		*number = (float) *number;
	else if (key->type != TFRS_OPTION_DOUBLES && *number != floor(*number))
		return false;
	return *number >= key->low && *number <= key->high && !(key->above_zero && *number <= 0);
}

/* false where the value is no array of such integers, or one too long. */
static bool
read_integers(const tfrs_option_key *key, const JsonbValue *value, tfrs_option_integers *integers)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;
	double		number;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return false;
	integers->count = 0;
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (integers->count == TFRS_OPTION_MOST_INTEGERS || !read_number(key, &element, &number))
			return false;
		integers->values[integers->count++] = (uint32) number;
	}
	return integers->count > 0;
}

static void
read_choice(const tfrs_option_scheme *scheme, const tfrs_option_key *key, const JsonbValue *value,
			void *target)
{
	const tfrs_option_choice *choice = key->choices;

	if (value->type != jbvString)
		report_bad_value(scheme, key);
	while (choice->name != NULL &&
		   !(strlen(choice->name) == (size_t) value->val.string.len &&
			 memcmp(choice->name, value->val.string.val, (size_t) value->val.string.len) == 0))
		choice++;
	if (choice->name == NULL)
		report_bad_value(scheme, key);
	if (choice->value < 0)
		report_later(scheme, key->name, choice->name);
	if (key->apply != NULL)
		key->apply(target, choice->value);
	else
		store_integer(target, key, (uint64) choice->value);
}

static void
read_numbers(const tfrs_option_scheme *scheme, const tfrs_option_key *key, const JsonbValue *value,
			void *target)
{
	JsonbContainer *array = value->type == jbvBinary ? value->val.binary.data : NULL;
	uint32		count = array != NULL && JsonContainerIsArray(array) ? JsonContainerSize(array) : 0;

	if (array == NULL || !JsonContainerIsArray(array) || count > most_elements(key))
		report_bad_value(scheme, key);
	for (uint32 i = 0; i < count; i++)
	{
		double		number;

		if (!read_number(key, getIthJsonbValueFromContainer(array, i), &number))
			report_bad_value(scheme, key);
		if (key->type == TFRS_OPTION_FLOATS)
			((float *) ((char *) target + key->offset))[i] = (float) number;
		else
			((double *) ((char *) target + key->offset))[i] = number;
	}
	*(uint32 *) ((char *) target + key->count_offset) = count;
}

static void
read_text(const tfrs_option_scheme *scheme, const tfrs_option_key *key, const JsonbValue *value,
		  char *field)
{
	if (value->type != jbvString || value->val.string.len == 0 ||
		(size_t) value->val.string.len >= key->size)
		report_bad_value(scheme, key);
	memset(field, 0, key->size);
	memcpy(field, value->val.string.val, (size_t) value->val.string.len);
}

static void
read_object(const tfrs_option_scheme *scheme, const tfrs_option_key *key, const JsonbValue *value,
			void *target)
{
	if (value->type == jbvBool && !value->val.boolean)
	{
		key->apply(target, false);
		return;
	}
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		report_bad_value(scheme, key);
	key->apply(target, true);
	tfrs_options_read(key->scheme, JsonbValueToJsonb((JsonbValue *) value), target);
}

static void
read_value(const tfrs_option_scheme *scheme, const tfrs_option_key *key, const JsonbValue *value,
		   void *target)
{
	char	   *field = (char *) target + key->offset;
	double		number = 0;

	switch (key->type)
	{
		case TFRS_OPTION_INTEGER:
			if (!read_number(key, value, &number))
				report_bad_value(scheme, key);
			store_integer(target, key, (uint64) number);
			break;
		case TFRS_OPTION_INTEGERS:
			if (!read_integers(key, value, (void *) field))
				report_bad_value(scheme, key);
			break;
		case TFRS_OPTION_FLOAT:
			if (!read_number(key, value, &number))
				report_bad_value(scheme, key);
			*(float *) field = (float) number;
			break;
		case TFRS_OPTION_BOOL:
			if (value->type != jbvBool)
				report_bad_value(scheme, key);
			store_integer(target, key, value->val.boolean);
			break;
		case TFRS_OPTION_CHOICE:
		case TFRS_OPTION_ACTION:
			read_choice(scheme, key, value, target);
			break;
		case TFRS_OPTION_FLOATS:
		case TFRS_OPTION_DOUBLES:
			read_numbers(scheme, key, value, target);
			break;
		case TFRS_OPTION_TEXT:
			read_text(scheme, key, value, field);
			break;
		case TFRS_OPTION_OTHER:
			if (!key->read(value, field))
				report_bad_value(scheme, key);
			break;
		case TFRS_OPTION_OBJECT:
			read_object(scheme, key, value, target);
			break;
		case TFRS_OPTION_LATER:
			report_later(scheme, key->name, NULL);
			break;
	}
}

static void
check_keys(const tfrs_option_scheme *scheme, const Jsonb *options)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%ss must be a JSON object", scheme->what),
				 errhint("Write them as '{\"key\": value}'.")));
	iterator = JsonbIteratorInit((JsonbContainer *) &options->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY &&
			find_key(scheme, value.val.string.val, (size_t) value.val.string.len) == NULL)
			report_unknown_key(scheme, value.val.string.val, (size_t) value.val.string.len);
	}
}

void
tfrs_options_read(const tfrs_option_scheme *scheme, const Jsonb *options, void *target)
{
	if (options == NULL)
		return;
	check_keys(scheme, options);
	for (size_t i = 0; i < scheme->count; i++)
	{
		const tfrs_option_key *key = &scheme->keys[i];
		JsonbValue	room;
		JsonbValue *value = getKeyJsonValueFromContainer((JsonbContainer *) &options->root,
														 key->name, (int) strlen(key->name),
														 &room);

		if (value == NULL)
			continue;
		if (key->applies != NULL && !key->applies(target))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s \"%s\" has no effect here", scheme->what, key->name),
					 errdetail("It belongs to %s.", key->applies_to)));
		read_value(scheme, key, value, target);
	}
}

struct varlena *
tfrs_options_keep(Datum argument)
{
	const struct varlena *options = (const struct varlena *) DatumGetPointer(argument);
	struct varlena *copy = palloc(VARSIZE_ANY(options));

	memcpy(copy, options, VARSIZE_ANY(options));
	return copy;
}

/* Equal objects may be stored differently: compressed, or out of line. */
static bool
same_options(const struct varlena *first, Datum argument)
{
	const struct varlena *options = (const struct varlena *) DatumGetPointer(argument);
	Size		size = VARSIZE_ANY(options);

	if (size == VARSIZE_ANY(first) && memcmp(options, first, size) == 0)
		return true;
	return compareJsonbContainers(&DatumGetJsonbP(argument)->root,
								  &DatumGetJsonbP(PointerGetDatum(first))->root) == 0;
}

void
tfrs_options_check_same(const char *what, const struct varlena *first, bool is_null, Datum argument)
{
	if (is_null ? first == NULL : first != NULL && same_options(first, argument))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%ss must be the same for all rows of a group", what)));
}

void
tfrs_options_write_float(StringInfo json, float value)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(value, text);
	appendStringInfoString(json, text);
}

void
tfrs_options_write_double(StringInfo json, double value)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(value, text);
	appendStringInfoString(json, text);
}

static void
write_numbers(const tfrs_option_key *key, const void *target, StringInfo json)
{
	const void *values = (const char *) target + key->offset;
	uint32		count = *(const uint32 *) ((const char *) target + key->count_offset);

	appendStringInfoChar(json, '[');
	for (uint32 i = 0; i < count; i++)
	{
		appendStringInfoString(json, i > 0 ? ", " : "");
		if (key->type == TFRS_OPTION_FLOATS)
			tfrs_options_write_float(json, ((const float *) values)[i]);
		else
			tfrs_options_write_double(json, ((const double *) values)[i]);
	}
	appendStringInfoChar(json, ']');
}

static void
write_integers(const tfrs_option_integers *integers, StringInfo json)
{
	for (uint32 i = 0; i < integers->count; i++)
		appendStringInfo(json, "%s%u", i == 0 ? "[" : ", ", integers->values[i]);
	appendStringInfoChar(json, ']');
}

static void
write_word(const tfrs_option_key *key, int value, StringInfo json)
{
	const tfrs_option_choice *choice = key->choices;

	while (choice->name != NULL && choice->value != value)
		choice++;
	Assert(choice->name != NULL);
	appendStringInfo(json, "\"%s\"", choice->name);
}

static void
write_value(const tfrs_option_key *key, const void *target, StringInfo json)
{
	const void *field = (const char *) target + key->offset;

	switch (key->type)
	{
		case TFRS_OPTION_FLOAT:
			tfrs_options_write_float(json, *(const float *) field);
			break;
		case TFRS_OPTION_FLOATS:
		case TFRS_OPTION_DOUBLES:
			write_numbers(key, target, json);
			break;
		case TFRS_OPTION_TEXT:
			escape_json(json, field);
			break;
		case TFRS_OPTION_OTHER:
			key->write(field, json);
			break;
		case TFRS_OPTION_OBJECT:
			if (fetch_integer(target, key) != 0)
				tfrs_options_write(key->scheme, target, json);
			else
				appendStringInfoString(json, "false");
			break;
		case TFRS_OPTION_INTEGERS:
			write_integers(field, json);
			break;
		case TFRS_OPTION_INTEGER:
			appendStringInfo(json, UINT64_FORMAT, fetch_integer(target, key));
			break;
		case TFRS_OPTION_BOOL:
			appendStringInfoString(json, fetch_integer(target, key) != 0 ? "true" : "false");
			break;
		case TFRS_OPTION_CHOICE:
			write_word(key, (int) fetch_integer(target, key), json);
			break;
		case TFRS_OPTION_ACTION:
		case TFRS_OPTION_LATER:
			break;				/* not written */
	}
}

/* Whether it was not given and has no value that could be given. */
static bool
is_empty(const tfrs_option_key *key, const void *target)
{
	const void *field = (const char *) target + key->offset;

	if (key->type == TFRS_OPTION_INTEGERS)
		return ((const tfrs_option_integers *) field)->count == 0;
	if (key->type == TFRS_OPTION_OTHER)
		return key->is_given != NULL && !key->is_given(field);
	if (!key->optional)
		return false;
	if (is_array(key))
		return *(const uint32 *) ((const char *) target + key->count_offset) == 0;
	if (key->type == TFRS_OPTION_TEXT)
		return *(const char *) field == '\0';
	return key->type == TFRS_OPTION_FLOAT ? *(const float *) field == 0
		: fetch_integer(target, key) == 0;
}

void
tfrs_options_write(const tfrs_option_scheme *scheme, const void *target, StringInfo json)
{
	const char *separator = "";

	appendStringInfoChar(json, '{');
	for (size_t i = 0; i < scheme->count; i++)
	{
		const tfrs_option_key *key = &scheme->keys[i];

		if (key->type == TFRS_OPTION_LATER || key->type == TFRS_OPTION_ACTION ||
			(key->applies != NULL && !key->applies(target)) || is_empty(key, target))
			continue;
		appendStringInfo(json, "%s\"%s\": ", separator, key->name);
		write_value(key, target, json);
		separator = ", ";
	}
	appendStringInfoChar(json, '}');
}

static int
compare_integers(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return (x > y) - (x < y);
}

uint32
tfrs_options_distinct(uint32 *values, uint32 count)
{
	uint32		distinct = 0;

	qsort(values, count, sizeof(values[0]), compare_integers);
	for (uint32 i = 0; i < count; i++)
		if (i == 0 || values[i] != values[distinct - 1])
			values[distinct++] = values[i];
	return distinct;
}
