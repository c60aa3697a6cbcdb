/*
 * feature_keys.c: the keys of a feature, and which kinds they belong to.
 */
#include "server/training/feature_keys.h"

#include <float.h>

#include "utils/builtins.h"
#include "utils/json.h"

#include "base/limits.h"
#include "server/host/options.h"

/* Buckets where neither their number nor boundaries are given. */
#define QUANTILES 16

#define MOST_BINS INT32_MAX

static const tfrs_option_choice kind_choices[] = {
	{"id", TFRS_FEATURE_ID},
	{"hash", TFRS_FEATURE_HASH},
	{"cross", TFRS_FEATURE_CROSS},
	{"number", TFRS_FEATURE_NUMBER},
	{"bucket", TFRS_FEATURE_BUCKET},
	{"text", TFRS_FEATURE_TEXT},
	{"bag", TFRS_FEATURE_BAG},
	{"sequence", TFRS_FEATURE_SEQUENCE},
	{"vector", TFRS_FEATURE_VECTOR},
	{NULL, 0}
};

static const tfrs_option_choice combiner_choices[] = {
	{"mean", TFRS_COMBINER_MEAN},
	{"sum", TFRS_COMBINER_SUM},
	{"sqrtn", TFRS_COMBINER_SQRTN},
	{"idf", TFRS_COMBINER_IDF},
	{NULL, 0}
};

const char *
tfrs_feature_kind_name(uint32 kind)
{
	for (const tfrs_option_choice *choice = kind_choices; choice->name != NULL; choice++)
		if (choice->value == (int) kind)
			return choice->name;
	return "unknown";
}

tfrs_feature_kind
tfrs_feature_kind_of(const tfrs_column *column)
{
	switch ((tfrs_column_type) column->type)
	{
		case TFRS_COLUMN_NUMBER:
			return TFRS_FEATURE_NUMBER;
		case TFRS_COLUMN_LIST:
			return TFRS_FEATURE_BAG;
		case TFRS_COLUMN_VECTOR:
			return TFRS_FEATURE_VECTOR;
		case TFRS_COLUMN_ID:
			break;
	}
	return TFRS_FEATURE_ID;
}

void
tfrs_feature_default(tfrs_feature_options *feature, tfrs_feature_kind kind, bool as_keras)
{
	bool		pooled = kind == TFRS_FEATURE_TEXT || kind == TFRS_FEATURE_BAG;

	feature->kind = kind;
	feature->columns = 1;
	feature->unknown_slots = kind == TFRS_FEATURE_ID || pooled || kind == TFRS_FEATURE_SEQUENCE;
	feature->combiner = pooled && !as_keras ? TFRS_COMBINER_IDF : TFRS_COMBINER_MEAN;
}

/* Bit number k: kind k. */
static bool
is_of_kind(const void *target, uint32 kinds)
{
	uint32		kind = ((const tfrs_feature_request *) target)->feature.kind;

	return kind == 0 || (kinds & (1U << kind)) != 0;
}

#define KIND(name) (1U << TFRS_FEATURE_##name)

static bool
is_id(const void *target)
{
	return is_of_kind(target, KIND(ID));
}

static bool
is_hashed(const void *target)
{
	return is_of_kind(target, KIND(HASH) | KIND(CROSS));
}

static bool
is_cross(const void *target)
{
	return is_of_kind(target, KIND(CROSS));
}

static bool
is_number(const void *target)
{
	return is_of_kind(target, KIND(NUMBER));
}

static bool
is_bucket(const void *target)
{
	return is_of_kind(target, KIND(BUCKET));
}

static bool
is_text(const void *target)
{
	return is_of_kind(target, KIND(TEXT));
}

static bool
is_bag(const void *target)
{
	return is_of_kind(target, KIND(BAG));
}

static bool
is_pooled(const void *target)
{
	return is_of_kind(target, KIND(TEXT) | KIND(BAG));
}

static bool
is_list(const void *target)
{
	return is_of_kind(target, KIND(TEXT) | KIND(BAG) | KIND(SEQUENCE));
}

static bool
has_vocabulary(const void *target)
{
	return is_of_kind(target, KIND(ID) | KIND(TEXT) | KIND(BAG) | KIND(SEQUENCE));
}

static bool
has_ids(const void *target)
{
	return is_of_kind(target, KIND(ID) | KIND(BAG) | KIND(SEQUENCE));
}

static bool
is_no_cross(const void *target)
{
	return is_of_kind(target, ~KIND(CROSS));
}

static bool
read_names(const JsonbValue *value, void *field)
{
	tfrs_column_names *names = field;
	JsonbContainer *array = value->type == jbvBinary ? value->val.binary.data : NULL;

	if (array == NULL || !JsonContainerIsArray(array) || JsonContainerSize(array) < 2 ||
		JsonContainerSize(array) > TFRS_MAX_CROSSED)
		return false;
	names->count = JsonContainerSize(array);
	for (uint32 i = 0; i < names->count; i++)
	{
		const JsonbValue *name = getIthJsonbValueFromContainer(array, i);

		if (name->type != jbvString || name->val.string.len == 0 ||
			name->val.string.len >= TFRS_MAX_NAME)
			return false;
		memcpy(names->name[i], name->val.string.val, (size_t) name->val.string.len);
	}
	return true;
}

static void
write_names(const void *field, StringInfo json)
{
	const tfrs_column_names *names = field;

	for (uint32 i = 0; i < names->count; i++)
	{
		appendStringInfoString(json, i == 0 ? "[" : ", ");
		escape_json(json, names->name[i]);
	}
	appendStringInfoChar(json, ']');
}

static bool
is_salted(const void *field)
{
	return ((const tfrs_feature_options *) field)->salted != 0;
}

/* One number of a salt. */
static bool
read_salt_number(const JsonbValue *value, uint64 *salt)
{
	char	   *text;
	char	   *end;

	if (value->type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	errno = 0;
	*salt = strtoull(text, &end, 10);
	return *end == '\0' && *text != '-' && errno == 0;
}

/* A number stands for two equal ones, as in Keras. */
static bool
read_salt(const JsonbValue *value, void *field)
{
	tfrs_feature_options *feature = field;
	JsonbContainer *array = value->type == jbvBinary ? value->val.binary.data : NULL;

	feature->salted = 1;
	if (array != NULL && JsonContainerIsArray(array) && JsonContainerSize(array) == 2)
		return read_salt_number(getIthJsonbValueFromContainer(array, 0), &feature->salt[0]) &&
			read_salt_number(getIthJsonbValueFromContainer(array, 1), &feature->salt[1]);
	if (!read_salt_number(value, &feature->salt[0]))
		return false;
	feature->salt[1] = feature->salt[0];
	return true;
}

static void
write_salt(const void *field, StringInfo json)
{
	const tfrs_feature_options *feature = field;

	appendStringInfo(json, "[" UINT64_FORMAT ", " UINT64_FORMAT "]", feature->salt[0],
					 feature->salt[1]);
}

static void
apply_kind(void *target, int kind)
{
	tfrs_feature_request *request = target;

	tfrs_feature_default(&request->feature, kind, request->as_keras);
}

#define FIELD(member) TFRS_OPTION_FIELD(tfrs_feature_request, member)
#define OF_FEATURE(member) FIELD(feature.member)
#define INTEGER(key, member, least, most) \
	.name = key, .type = TFRS_OPTION_INTEGER, OF_FEATURE(member), .low = least, .high = most
#define ONLY_FOR(test, words) .applies = test, .applies_to = words

static const tfrs_option_key keys[] = {
	{.name = "kind", .type = TFRS_OPTION_CHOICE, OF_FEATURE(kind), .choices = kind_choices,
	.apply = apply_kind},
	{.name = "name", .type = TFRS_OPTION_TEXT, OF_FEATURE(name), .optional = true},
	{.name = "column", .type = TFRS_OPTION_TEXT, FIELD(columns.name[0]), .optional = true,
	ONLY_FOR(is_no_cross, "all kinds but cross, which has \"columns\"")},
	{.name = "columns", .type = TFRS_OPTION_OTHER, FIELD(columns), .takes =
		"an array of 2 to 8 names of columns", .read = read_names, .write = write_names,
	ONLY_FOR(is_cross, "the kind cross")},
	{INTEGER("bins", bins, 1, MOST_BINS), ONLY_FOR(is_hashed, "the kinds hash and cross")},
	{.name = "salt", .type = TFRS_OPTION_OTHER, FIELD(feature), .takes =
		"an integer of at least 0, or an array of two", .read = read_salt, .write = write_salt,
	.is_given = is_salted,
	ONLY_FOR(is_hashed, "the kinds hash and cross")},
	{INTEGER("unknown_slots", unknown_slots, 0, TFRS_MAX_ROWS / 2), ONLY_FOR(is_id, "the kind id")},
	{INTEGER("min_count", min_count, 1, UINT32_MAX), .optional = true,
	ONLY_FOR(has_vocabulary, "the kinds id, text, bag and sequence")},
	{INTEGER("max_vocabulary", most_values, 2, UINT32_MAX), .optional = true,
	ONLY_FOR(has_ids, "the kinds id, bag and sequence")},
	{INTEGER("max_tokens", most_values, 3, UINT32_MAX), .optional = true,
	ONLY_FOR(is_text, "the kind text")},
	{INTEGER("max_length", most_elements, 1, UINT32_MAX), .optional = true,
	ONLY_FOR(is_list, "the kinds text, bag and sequence")},
	{.name = "combiner", .type = TFRS_OPTION_CHOICE, OF_FEATURE(combiner),
	.choices = combiner_choices, ONLY_FOR(is_pooled, "the kinds text and bag")},
	{.name = "decay", .type = TFRS_OPTION_FLOAT, OF_FEATURE(decay), .high = 1,
		.above_zero = true, .optional = true, ONLY_FOR(is_bag, "the kind bag")},
	{.name = "share", .type = TFRS_OPTION_TEXT, OF_FEATURE(share), .optional = true,
	ONLY_FOR(has_vocabulary, "the kinds id, text, bag and sequence")},
	{.name = "log", .type = TFRS_OPTION_BOOL, OF_FEATURE(logs), ONLY_FOR(is_number, "the kind number")},
	{INTEGER("quantiles", quantiles, 2, TFRS_MAX_BOUNDARIES), .optional = true,
	ONLY_FOR(is_bucket, "the kind bucket")},
	{.name = "boundaries", .type = TFRS_OPTION_DOUBLES, OF_FEATURE(boundary),
		.low = -DBL_MAX, .high = DBL_MAX, .optional = true,
		.count_offset = offsetof(tfrs_feature_request, feature.boundaries),
	ONLY_FOR(is_bucket, "the kind bucket")},
	{INTEGER("dim", dim, 1, TFRS_MAX_DIM), .optional = true}
};

/* What is said of an entry's columns, or what a kind needs and was not said. */
static void
complete(const char *key, tfrs_feature_request *request)
{
	tfrs_feature_options *feature = &request->feature;

	if (request->columns.count == 0 && request->columns.name[0][0] != '\0')
		request->columns.count = 1;
	if ((feature->kind == TFRS_FEATURE_HASH || feature->kind == TFRS_FEATURE_CROSS) &&
		feature->bins == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature \"%s\" needs \"bins\"", key),
				 errhint("Write {\"kind\": \"%s\", \"bins\": 1000}: values fall into so many bins.",
						 tfrs_feature_kind_name(feature->kind))));
	if (feature->kind == TFRS_FEATURE_CROSS && request->columns.count < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature \"%s\" is a cross, which needs \"columns\"", key),
				 errhint("Name 2 to %d columns.", TFRS_MAX_CROSSED)));
	if (feature->kind == TFRS_FEATURE_BUCKET && feature->boundaries == 0 &&
		feature->quantiles == 0)
		feature->quantiles = QUANTILES;
}

static void
report_entry(const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for feature \"%s\"", key),
			 errhint("It is a kind (\"text\"), an object ({\"kind\": \"hash\", \"bins\": 64}), an "
					 "array of these, or false.")));
}

/* The word of a kind. */
static void
read_word(const char *key, const JsonbValue *json, tfrs_feature_request *request)
{
	const tfrs_option_choice *choice = kind_choices;

	while (choice->name != NULL &&
		   !(strlen(choice->name) == (size_t) json->val.string.len &&
			 memcmp(choice->name, json->val.string.val, strlen(choice->name)) == 0))
		choice++;
	if (choice->name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature \"%s\" has no kind \"%.*s\"", key, json->val.string.len,
						json->val.string.val),
				 errhint("Kinds are id, hash, cross, number, bucket, text, bag, sequence and "
						 "vector.")));
	apply_kind(request, choice->value);
}

static bool
is_array(const JsonbValue *json)
{
	return json->type == jbvBinary && JsonContainerIsArray(json->val.binary.data);
}

uint32
tfrs_feature_requests_count(const char *key, const JsonbValue *json)
{
	if (json->type == jbvBool && !json->val.boolean)
		return 0;
	if (is_array(json) && JsonContainerSize(json->val.binary.data) == 0)
		report_entry(key);
	return is_array(json) ? JsonContainerSize(json->val.binary.data) : 1;
}

/* Its name, where JSON does not give it one. */
static void
name_feature(const char *key, bool one_of_many, tfrs_feature_request *request)
{
	int			length = snprintf(request->feature.name, TFRS_MAX_NAME, "%s%s%s", key,
								  one_of_many ? "_" : "",
								  one_of_many ? tfrs_feature_kind_name(request->feature.kind)
								  : "");

	if (length >= TFRS_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name of a feature of \"%s\" is too long", key),
				 errhint("Give the feature a \"name\" of less than %d bytes.", TFRS_MAX_NAME)));
}

void
tfrs_feature_request_read(const char *key, const JsonbValue *json, uint32 i,
						  tfrs_feature_request *request)
{
	tfrs_option_scheme scheme = {
		psprintf("option of feature \"%s\":", key), keys, lengthof(keys)
	};
	const JsonbValue *one = is_array(json) ?
		getIthJsonbValueFromContainer(json->val.binary.data, i) : json;

	if (one->type == jbvString)
		read_word(key, one, request);
	else if (one->type == jbvBinary && JsonContainerIsObject(one->val.binary.data))
		tfrs_options_read(&scheme, JsonbValueToJsonb((JsonbValue *) one), request);
	else
		report_entry(key);
	if (request->feature.kind != 0)
		complete(key, request);
	if (request->feature.name[0] == '\0')
		name_feature(key, tfrs_feature_requests_count(key, json) > 1, request);
}

void
tfrs_feature_write(const tfrs_feature_options *feature, const tfrs_column *columns,
				   StringInfo json)
{
	static const tfrs_option_scheme scheme = {"feature option", keys, lengthof(keys)};
	tfrs_feature_request *request = palloc0(sizeof(*request));

	request->feature = *feature;
	request->feature.name[0] = '\0';	/* its key says it */
	request->columns.count = feature->columns;
	for (uint32 i = 0; i < feature->columns; i++)
		strlcpy(request->columns.name[i], columns[feature->column[i]].name, TFRS_MAX_NAME);
	tfrs_options_write(&scheme, request, json);
	pfree(request);
}
