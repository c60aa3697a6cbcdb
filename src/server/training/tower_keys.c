/*
 * tower_keys.c: the keys of a tower, and its features for rows of a type.
 */
#include "server/training/tower_keys.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/limits.h"
#include "learning/hyperparameters.h"
#include "server/training/feature_keys.h"
#include "server/values/column_type.h"
#include "server/values/record_reader.h"

/* Where nothing is kept, nothing is learned. */
#define MOST_DROPOUT 0.99

/* What id_dropout is where it is chosen by what is in the data. */
#define CHOSEN (-1)

static const tfrs_option_choice activation_choices[] = {
	{"linear", TFRS_LINEAR},
	{"relu", TFRS_RELU},
	{"tanh", TFRS_TANH},
	{"sigmoid", TFRS_SIGMOID},
	{"elu", TFRS_ELU},
	{"selu", TFRS_SELU},
	{"silu", TFRS_SILU},
	{"gelu", TFRS_GELU},
	{"gelu_tanh", TFRS_GELU_TANH},
	{"softplus", TFRS_SOFTPLUS},
	{NULL, 0}
};

static bool
read_features(const JsonbValue *value, void *field)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return false;
	*(Jsonb **) field = JsonbValueToJsonb((JsonbValue *) value);
	return true;
}

static void
write_features(const void *field, StringInfo json)
{
	Jsonb	   *features = *(Jsonb *const *) field;

	(void) JsonbToCString(json, &features->root, VARSIZE(features));
}

static bool
has_layers(const void *target)
{
	const tfrs_tower_request *request = target;

	return request->layers.count > 0 || request->cross_layers > 0;
}

#define FIELD(member) TFRS_OPTION_FIELD(tfrs_tower_request, member)
#define ONLY_FOR(test, words) .applies = test, .applies_to = words

static const tfrs_option_key keys[] = {
	{.name = "key", .type = TFRS_OPTION_TEXT, FIELD(key)},
	{.name = "features", .type = TFRS_OPTION_OTHER, FIELD(features), .takes =
	"an object with a key for each feature", .read = read_features, .write = write_features},
	{.name = "id", .type = TFRS_OPTION_BOOL, FIELD(id)},
	{.name = "layers", .type = TFRS_OPTION_INTEGERS, FIELD(layers), .low = 1, .high = TFRS_MAX_DIM},
	{.name = "joined", .type = TFRS_OPTION_BOOL, FIELD(joined)},
	{.name = "cross_layers", .type = TFRS_OPTION_INTEGER, FIELD(cross_layers),
	.high = TFRS_MAX_LAYERS},
	{.name = "activation", .type = TFRS_OPTION_CHOICE, FIELD(activation),
	.choices = activation_choices, ONLY_FOR(has_layers, "towers with \"layers\"")},
	{.name = "layer_dropout", .type = TFRS_OPTION_FLOAT, FIELD(layer_dropout),
	.high = MOST_DROPOUT, ONLY_FOR(has_layers, "towers with \"layers\"")},
	{.name = "id_dropout", .type = TFRS_OPTION_FLOAT, FIELD(id_dropout),
	.high = MOST_DROPOUT}
};

static const tfrs_option_scheme scheme = {"tower option", keys, lengthof(keys)};

void
tfrs_tower_request_default(tfrs_tower_request *request, bool as_keras)
{
	*request = (tfrs_tower_request) {
		.as_keras = as_keras, .id = true, .activation = TFRS_RELU,
		.id_dropout = as_keras ? 0 : CHOSEN
	};
}

/* The next feature of an object of them; false at the end. */
static bool
next_feature(JsonbIterator **iterator, char **key, JsonbValue *value)
{
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(iterator, value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			*key = pnstrdup(value->val.string.val, value->val.string.len);
		else if (token == WJB_VALUE)
			return true;
	}
	return false;
}

/* What is wrong with features whatever the columns are. */
static void
check_features(const tfrs_tower_request *request)
{
	JsonbIterator *iterator = JsonbIteratorInit(&request->features->root);
	tfrs_feature_request *one = palloc(sizeof(*one));
	JsonbValue	value;
	char	   *key = NULL;

	while (next_feature(&iterator, &key, &value))
	{
		uint32		count = tfrs_feature_requests_count(key, &value);

		for (uint32 i = 0; i < count; i++)
		{
			memset(one, 0, sizeof(*one));
			tfrs_feature_request_read(key, &value, i, one);
		}
	}
	pfree(one);
}

static void
check_layers(const tfrs_tower_request *request)
{
	if (request->layers.count <= TFRS_MAX_LAYERS)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a tower has at most %d \"layers\"", TFRS_MAX_LAYERS),
			 errdetail("There are %u.", request->layers.count)));
}

bool
tfrs_tower_request_read(const JsonbValue *value, void *field)
{
	tfrs_tower_request *request = field;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return false;
	request->given = true;
	tfrs_options_read(&scheme, JsonbValueToJsonb((JsonbValue *) value), request);
	check_layers(request);
	if (request->features != NULL)
		check_features(request);
	return true;
}

/* A tower that is being put together. */
typedef struct tower_plan
{
	const tfrs_tower_request *request;
	const char *role;
	tfrs_tower_options *options;
	tfrs_feature_request *one;	/* room */
} tower_plan;

static char *
list_columns(const tfrs_tower_options *options)
{
	StringInfoData list;

	initStringInfo(&list);
	for (uint32 c = 0; c < options->columns; c++)
		appendStringInfo(&list, "%s%s", c == 0 ? "" : ", ", options->column[c].name);
	return list.data;
}

static uint32
find_column(const tower_plan *plan, const char *name, const char *feature)
{
	uint32		column = tfrs_tower_column(plan->options, name, strlen(name));

	if (column == plan->options->columns)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 feature == NULL
				 ? errmsg("a %s row has no column \"%s\"", plan->role, name)
				 : errmsg("a %s row has no column \"%s\" for feature \"%s\"", plan->role, name,
						  feature),
				 errhint("Its columns are %s.", list_columns(plan->options))));
	return column;
}

static void
check_count(const tower_plan *plan, uint32 count, const char *what, int most)
{
	if (count < (uint32) most)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_COLUMNS),
			 errmsg("a %s row has more than %d %s", plan->role, most, what),
			 errhint("Pass only those that tell something of the %s.", plan->role)));
}

/* What JSON says of a key, or NULL. */
static JsonbValue *
said_of(const tower_plan *plan, const char *key, JsonbValue *room)
{
	return plan->request->features == NULL ? NULL :
		getKeyJsonValueFromContainer(&plan->request->features->root, key, (int) strlen(key), room);
}

/* Whether JSON says that a column is not to be read. */
static bool
is_off(const JsonbValue *said)
{
	return said != NULL && said->type == jbvBool && !said->val.boolean;
}

static void
add_column(tower_plan *plan, Form_pg_attribute attribute)
{
	tfrs_tower_options *options = plan->options;
	tfrs_column *column = &options->column[options->columns];
	const char *name = NameStr(attribute->attname);
	JsonbValue	room;

	check_count(plan, options->columns, "columns", TFRS_MAX_COLUMNS);
	strlcpy(column->name, name, TFRS_MAX_NAME);
	if (!tfrs_column_of_type(attribute->atttypid, attribute->atttypmod, column))
	{
		if (!is_off(said_of(plan, name, &room)))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of a %s row is of type %s, which no feature reads", name,
							plan->role, format_type_be(attribute->atttypid)),
					 errhint("Leave it out, cast it, or say \"%s\": false in the features of the "
							 "%s.", name, plan->role)));
		/* never read */
		*column = (tfrs_column) {.type = TFRS_COLUMN_ID, .kind = TFRS_ID_BYTES,
		.tag = TFRS_TAG_TEXT};
		strlcpy(column->name, name, TFRS_MAX_NAME);
	}
	options->columns++;
}

/* The columns of a request get their numbers. */
static void
add_feature(tower_plan *plan, const char *key)
{
	tfrs_tower_options *options = plan->options;
	tfrs_feature_request *one = plan->one;

	check_count(plan, options->features, "features", TFRS_MAX_FEATURES);
	if (one->columns.count == 0)
	{
		one->columns.count = 1;
		strlcpy(one->columns.name[0], key, TFRS_MAX_NAME);
	}
	one->feature.columns = one->columns.count;
	for (uint32 i = 0; i < one->columns.count; i++)
		one->feature.column[i] = find_column(plan, one->columns.name[i], one->feature.name);
	options->feature[options->features++] = one->feature;
}

/* The kind of the feature that JSON says nothing of, by the column that it names. */
static uint32
default_kind(const tower_plan *plan, const char *key)
{
	const char *name = plan->one->columns.count == 0 && plan->one->columns.name[0][0] == '\0'
		? key : plan->one->columns.name[0];
	uint32		column = find_column(plan, name, plan->one->feature.name);

	return tfrs_feature_kind_of(&plan->options->column[column]);
}

static void
add_said(tower_plan *plan, const char *key, const JsonbValue *said)
{
	uint32		count = tfrs_feature_requests_count(key, said);
	tfrs_feature_request *one = plan->one;

	for (uint32 i = 0; i < count; i++)
	{
		*one = (tfrs_feature_request) {.as_keras = plan->request->as_keras};
		tfrs_feature_request_read(key, said, i, one);
		if (one->feature.kind == 0)
		{
			uint32		kind = default_kind(plan, key);

			*one = (tfrs_feature_request) {.as_keras = plan->request->as_keras};
			tfrs_feature_default(&one->feature, kind, one->as_keras);
			tfrs_feature_request_read(key, said, i, one);
		}
		add_feature(plan, key);
	}
}

/* The feature that a column makes where nothing is said of it. */
static void
add_default(tower_plan *plan, uint32 column)
{
	tfrs_feature_request *one = plan->one;
	const char *name = plan->options->column[column].name;

	*one = (tfrs_feature_request) {.as_keras = plan->request->as_keras};
	tfrs_feature_default(&one->feature, tfrs_feature_kind_of(&plan->options->column[column]),
						 one->as_keras);
	strlcpy(one->feature.name, name, TFRS_MAX_NAME);
	add_feature(plan, name);
}

/* In the order of the columns, then of the other names in JSON. */
static void
add_features(tower_plan *plan)
{
	const tfrs_tower_options *options = plan->options;
	JsonbIterator *iterator;
	JsonbValue	value;
	char	   *key = NULL;

	for (uint32 c = 0; c < options->columns; c++)
	{
		JsonbValue *said = said_of(plan, options->column[c].name, &value);

		if (said != NULL)
			add_said(plan, options->column[c].name, said);
		else if (c != options->key)
			add_default(plan, c);
	}
	if (plan->request->features == NULL)
		return;
	iterator = JsonbIteratorInit(&plan->request->features->root);
	while (next_feature(&iterator, &key, &value))
		if (tfrs_tower_column(options, key, strlen(key)) == options->columns)
			add_said(plan, key, &value);
}

static void
set_layers(tower_plan *plan)
{
	const tfrs_tower_request *request = plan->request;
	tfrs_tower_options *options = plan->options;

	options->no_id = !request->id;
	options->layers = request->layers.count;
	for (uint32 i = 0; i < request->layers.count; i++)
		options->layer[i] = request->layers.values[i];
	options->activation = request->activation;
	options->joined = request->joined;
	options->cross_layers = request->cross_layers;
	options->layer_dropout = request->layer_dropout;
	options->id_dropout = options->features == 0 || options->no_id ? 0 : request->id_dropout;
	if (options->no_id && options->features == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a %s without \"id\" needs features", plan->role),
				 errhint("Pass a row with more columns, or leave out \"id\": false.")));
}

static void
check_key(const tower_plan *plan, Oid type)
{
	tfrs_id_reader reader;

	tfrs_id_reader_init(&reader, type, plan->role);
}

static void
report_no_columns(const char *role)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a %s row has no columns", role),
			 errhint("Its first column is the key that identifies the %s.", role)));
}

tfrs_tower_options *
tfrs_tower_of_rows(const tfrs_tower_request *request, TupleDesc desc, const char *role)
{
	tower_plan	plan = {
		request, role, palloc0(sizeof(tfrs_tower_options)), palloc(sizeof(tfrs_feature_request))
	};
	Oid			types[TFRS_MAX_COLUMNS];

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		add_column(&plan, attribute);
		types[plan.options->columns - 1] = attribute->atttypid;
	}
	if (plan.options->columns == 0)
		report_no_columns(role);
	plan.options->key = request->key[0] == '\0' ? 0 : find_column(&plan, request->key, NULL);
	check_key(&plan, types[plan.options->key]);
	add_features(&plan);
	set_layers(&plan);
	pfree(plan.one);
	return plan.options;
}

/* Whether a tower of scalars is a table of ids and nothing else. */
static bool
is_plain(const tfrs_tower_options *options)
{
	return options->features == 0 && !tfrs_tower_is_joined(options);
}

tfrs_tower_options *
tfrs_tower_of_scalars(const tfrs_tower_request *request, const tfrs_id_reader *reader,
					  const char *role)
{
	tower_plan	plan = {request, role, NULL, NULL};

	if (!request->given)
		return NULL;
	plan.options = palloc0(sizeof(tfrs_tower_options));
	plan.one = palloc(sizeof(tfrs_feature_request));
	plan.options->columns = 1;
	plan.options->column[0] = (tfrs_column) {
		.name = "id", .type = TFRS_COLUMN_ID, .kind = reader->kind, .tag = reader->tag
	};
	if (request->key[0] != '\0')
		find_column(&plan, request->key, NULL);
	add_features(&plan);
	set_layers(&plan);
	pfree(plan.one);
	return is_plain(plan.options) ? NULL : plan.options;
}

/* All of them as an object by their names. */
static Jsonb *
features_of(const tfrs_tower_options *options)
{
	StringInfoData json;

	initStringInfo(&json);
	for (uint32 f = 0; f < options->features; f++)
	{
		appendStringInfoString(&json, f == 0 ? "{" : ", ");
		escape_json(&json, options->feature[f].name);
		appendStringInfoString(&json, ": ");
		tfrs_feature_write(&options->feature[f], options->column, &json);
	}
	appendStringInfoString(&json, options->features == 0 ? "{}" : "}");
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

void
tfrs_tower_write(const tfrs_tower_options *options, StringInfo json)
{
	tfrs_tower_request request = {
		.id = !options->no_id, .joined = options->joined != 0, .cross_layers = options->cross_layers,
		.activation = options->activation, .layer_dropout = options->layer_dropout,
		.id_dropout = options->id_dropout < 0 ? TFRS_KEY_DROPOUT : options->id_dropout,
		.features = features_of(options)
	};

	strlcpy(request.key, options->column[options->key].name, TFRS_MAX_NAME);
	request.layers.count = options->layers;
	for (uint32 i = 0; i < options->layers; i++)
		request.layers.values[i] = options->layer[i];
	tfrs_options_write(&scheme, &request, json);
}
