/*
 * train_options.c: the table of the keys of tfrs.train.
 *
 * Names are those of Keras and TensorFlow Recommenders where they have one.  A preset and the
 * choice of an optimizer set other fields too, so they stand first.  Keys that are promised but not
 * built are listed, so that they get another ERROR than a misspelt one.
 */
#include "server/training/train_options.h"

#include <float.h>

#include "base/limits.h"
#include "learning/neighbour_examples.h"
#include "server/values/model_type.h"
#include "server/host/options.h"
#include "server/host/settings.h"
#include "server/training/tower_keys.h"

enum
{
	PRESET_TFRS
};

#define NOT_YET (-1)

/* Where nothing is kept, nothing is learned. */
#define MOST_DROPOUT 0.99

#define MOST_PART_WEIGHT 10000

StaticAssertDecl(sizeof(tfrs_cutoffs) == sizeof(tfrs_option_integers),
				 "an array of integers is read into cutoffs as it is");

static const tfrs_option_choice preset_choices[] = {
	{"tfrs", PRESET_TFRS},
	{NULL, 0}
};

static const tfrs_option_choice optimizer_choices[] = {
	{"adagrad", TFRS_ADAGRAD},
	{"sgd", TFRS_SGD},
	{"adam", TFRS_ADAM},
	{"clippy_adagrad", TFRS_CLIPPY_ADAGRAD},
	{NULL, 0}
};

static const tfrs_option_choice correction_choices[] = {
	{"none", TFRS_CORRECTION_NONE},
	{"in_batch", TFRS_CORRECTION_IN_BATCH},
	{"corrected", TFRS_CORRECTION_CORRECTED},
	{NULL, 0}
};

static const tfrs_option_choice loss_choices[] = {
	{"softmax", TFRS_LOSS_SOFTMAX},
	{"bsl", TFRS_LOSS_BSL},
	{"ccl", TFRS_LOSS_CCL},
	{NULL, 0}
};

static const tfrs_option_choice held_out_choices[] = {
	{"random", TFRS_HELD_OUT_RANDOM},
	{"last", TFRS_HELD_OUT_LAST},
	{"query", TFRS_HELD_OUT_QUERY},
	{NULL, 0}
};

static const tfrs_option_choice metric_choices[] = {
	{"ndcg", TFRS_METRIC_NDCG},
	{"recall", TFRS_METRIC_RECALL},
	{NULL, 0}
};

static const tfrs_option_choice reduction_choices[] = {
	{"sum", TFRS_REDUCTION_SUM},
	{"mean", TFRS_REDUCTION_MEAN},
	{NULL, 0}
};

static const tfrs_option_choice order_choices[] = {
	{"shuffle", false},
	{"input", true},
	{NULL, 0}
};

static const tfrs_option_choice schedule_choices[] = {
	{"constant", TFRS_SCHEDULE_CONSTANT},
	{"linear", TFRS_SCHEDULE_LINEAR},
	{"warmup", TFRS_SCHEDULE_WARMUP},
	{"cosine", TFRS_SCHEDULE_COSINE},
	{NULL, 0}
};

static void
apply_preset(void *target, int value)
{
	tfrs_train_request *request = target;

	(void) value;				/* there is one */
	tfrs_train_options_tfrs(&request->options);
	tfrs_tower_request_default(&request->query, true);
	tfrs_tower_request_default(&request->candidate, true);
}

static void
apply_optimizer(void *target, int value)
{
	tfrs_optimizer_default(&((tfrs_train_options *) target)->optimizer, value);
}

/* false: plain tables with their own defaults; an object: only what it names differs. */
static void
apply_history(void *target, int on)
{
	if (!on)
		tfrs_train_options_without_history(target);
	else if (!((tfrs_train_options *) target)->history.on)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("preset \"tfrs\" has no history tower"),
				 errhint("Leave out the preset or \"history\".")));
}

static void
apply_validation(void *target, int on)
{
	((tfrs_train_options *) target)->validation.on = on;
}

/* false: the towers alone; an object: only what it names is not chosen. */
static void
apply_parts(void *target, int on)
{
	if (!on)
		((tfrs_train_options *) target)->parts = (tfrs_part_options) {{0, 0}, 1, 0, false};
}

enum
{
	ROWS_STATE,
	ROWS_INTERACTION
};

static const tfrs_option_choice rows_choices[] = {
	{"state", ROWS_STATE},
	{"interaction", ROWS_INTERACTION},
	{NULL, 0}
};

static void
apply_rows(void *target, int rows)
{
	if (rows == ROWS_INTERACTION)
		tfrs_train_options_interactions(target);
}

static bool
has_history(const void *target)
{
	return ((const tfrs_train_options *) target)->history.on;
}

static bool
has_states(const void *target)
{
	return !((const tfrs_train_options *) target)->history.interactions;
}

/* Softmax rows are interactions, whose candidates are the columns. */
static bool
is_in_batch(const void *target)
{
	const tfrs_train_options *options = target;

	return (!options->history.on || options->history.interactions) && !options->full_softmax;
}

/* Some column may be there twice. */
static bool
has_interactions(const void *target)
{
	return !has_history(target) || !has_states(target);
}

static bool
has_schedule(const void *target)
{
	return ((const tfrs_train_options *) target)->schedule.kind != TFRS_SCHEDULE_CONSTANT;
}

static bool
has_accumulator(const void *target)
{
	tfrs_optimizer_kind kind = ((const tfrs_train_options *) target)->optimizer.kind;

	return kind == TFRS_ADAGRAD || kind == TFRS_CLIPPY_ADAGRAD;
}

static bool
has_epsilon(const void *target)
{
	return ((const tfrs_train_options *) target)->optimizer.kind != TFRS_SGD;
}

static bool
is_adam(const void *target)
{
	return ((const tfrs_train_options *) target)->optimizer.kind == TFRS_ADAM;
}

static bool
is_clippy(const void *target)
{
	return ((const tfrs_train_options *) target)->optimizer.kind == TFRS_CLIPPY_ADAGRAD;
}

static bool
is_bsl(const void *target)
{
	return ((const tfrs_train_options *) target)->loss.kind == TFRS_LOSS_BSL;
}

static bool
is_ccl(const void *target)
{
	return ((const tfrs_train_options *) target)->loss.kind == TFRS_LOSS_CCL;
}

static bool
is_no_ccl(const void *target)
{
	return !is_ccl(target);
}

static bool
has_correction(const void *target)
{
	return ((const tfrs_train_options *) target)->correction != TFRS_CORRECTION_NONE;
}

static bool
has_tower(const void *field)
{
	return ((const tfrs_tower_request *) field)->tower != NULL;
}

/* What a request has become. */
static void
write_tower(const void *field, StringInfo json)
{
	tfrs_tower_write(((const tfrs_tower_request *) field)->tower, json);
}

#define FIELD(member) TFRS_OPTION_FIELD(tfrs_train_options, member)
#define INTEGER(key, member, least, most) \
	{.name = key, .type = TFRS_OPTION_INTEGER, FIELD(member), .low = least, .high = most}
#define AT_LEAST_0(key, member, most) \
	.name = key, .type = TFRS_OPTION_FLOAT, FIELD(member), .low = 0, .high = most
#define ABOVE_0(key, member, most) AT_LEAST_0(key, member, most), .above_zero = true
#define BOOL(key, member) .name = key, .type = TFRS_OPTION_BOOL, FIELD(member)
#define CHOICE(key, member, words) \
	.name = key, .type = TFRS_OPTION_CHOICE, FIELD(member), .choices = words
#define ONLY_FOR(test, words) .applies = test, .applies_to = words
#define IN_BATCH "a softmax over the candidates of a batch: set \"history\": false or its \"rows\": " \
	"\"interaction\", and leave out \"full_softmax\""
#define INTERACTIONS "interactions: set \"history\": false or its \"rows\": \"interaction\""
#define STATES "\"rows\": \"state\""
#define TOWER(key, member) \
	{.name = key, .type = TFRS_OPTION_OTHER, TFRS_OPTION_FIELD(tfrs_train_request, member), \
		.takes = "an object", .read = tfrs_tower_request_read, .write = write_tower, .is_given = has_tower}

static const tfrs_option_key history_keys[] = {
	{CHOICE("rows", history.interactions, rows_choices), .apply = apply_rows},
	{BOOL("all", history.all)},
	{.name = "decay", .type = TFRS_OPTION_FLOATS, FIELD(history.decay), .high = 1,
		.above_zero = true, .count_offset = offsetof(tfrs_train_options, history.decays)},
	INTEGER("length", history.length, 1, TFRS_MAX_ROWS),
	{AT_LEAST_0("dropout", history.dropout, MOST_DROPOUT)},
	{ABOVE_0("hidden_low", history.hidden_low, 1), ONLY_FOR(has_states, STATES)},
	{ABOVE_0("hidden_high", history.hidden_high, 1), ONLY_FOR(has_states, STATES)},
	{AT_LEAST_0("hide_share", history.hide_share, 1), ONLY_FOR(has_states, STATES)},
	INTEGER("steps", history.steps, 1, TFRS_MAX_STEPS),
	{.name = "columns", .type = TFRS_OPTION_INTEGER, FIELD(history.columns),
	.high = TFRS_MAX_ROWS - 1, ONLY_FOR(has_states, STATES)},
	{BOOL("spectral", history.spectral), ONLY_FOR(has_states, STATES)},
	{BOOL("tied", history.tied)}
};

static const tfrs_option_key part_keys[] = {
	{AT_LEAST_0("together", parts.weight[TFRS_TOGETHER], MOST_PART_WEIGHT)},
	{AT_LEAST_0("next", parts.weight[TFRS_NEXT], MOST_PART_WEIGHT)},
	{ABOVE_0("towers", parts.towers, 1)},
	{AT_LEAST_0("recent", parts.recent, 1)}
};

static const tfrs_option_scheme part_scheme = {
	"option of parts", part_keys, lengthof(part_keys)
};

static const tfrs_option_key validation_keys[] = {
	{ABOVE_0("fraction", validation.fraction, 0.99)},
	{CHOICE("by", validation.by, held_out_choices)},
	{CHOICE("metric", validation.metric, metric_choices)},
	INTEGER("k", validation.k, 1, TFRS_MAX_CUTOFF),
	INTEGER("patience", validation.patience, 0, TFRS_MAX_EPOCHS),
	INTEGER("every", validation.every, 1, TFRS_MAX_EPOCHS)
};

static const tfrs_option_scheme validation_scheme = {
	"validation option", validation_keys, lengthof(validation_keys)
};

static const tfrs_option_scheme history_scheme = {
	"history option", history_keys, lengthof(history_keys)
};

static const tfrs_option_key keys[] = {
	{.name = "preset", .type = TFRS_OPTION_ACTION, .choices = preset_choices,
	.apply = apply_preset},
	{.name = "history", .type = TFRS_OPTION_OBJECT, FIELD(history.on),
	.scheme = &history_scheme, .apply = apply_history},
	{.name = "parts", .type = TFRS_OPTION_OBJECT, FIELD(parts.pilot),
	.scheme = &part_scheme, .apply = apply_parts, ONLY_FOR(has_history, "history towers")},
	{CHOICE("optimizer", optimizer.kind, optimizer_choices), .apply = apply_optimizer},
	{ABOVE_0("learning_rate", optimizer.learning_rate, FLT_MAX)},
	{AT_LEAST_0("initial_accumulator_value", optimizer.initial_accumulator_value, FLT_MAX),
	ONLY_FOR(has_accumulator, "the optimizers adagrad and clippy_adagrad")},
	{ABOVE_0("epsilon", optimizer.epsilon, FLT_MAX),
	ONLY_FOR(has_epsilon, "the optimizers adagrad, adam and clippy_adagrad")},
	{AT_LEAST_0("beta_1", optimizer.beta_1, 1), ONLY_FOR(is_adam, "the optimizer adam")},
	{AT_LEAST_0("beta_2", optimizer.beta_2, 1), ONLY_FOR(is_adam, "the optimizer adam")},
	{BOOL("lazy_adam", optimizer.lazy), ONLY_FOR(is_adam, "the optimizer adam")},
	{AT_LEAST_0("variable_relative_threshold", optimizer.variable_relative_threshold, FLT_MAX),
	ONLY_FOR(is_clippy, "the optimizer clippy_adagrad")},
	{AT_LEAST_0("accumulator_relative_threshold", optimizer.accumulator_relative_threshold,
				FLT_MAX),
	ONLY_FOR(is_clippy, "the optimizer clippy_adagrad")},
	{AT_LEAST_0("absolute_threshold", optimizer.absolute_threshold, FLT_MAX),
	ONLY_FOR(is_clippy, "the optimizer clippy_adagrad")},
	{BOOL("clip_accumulator_update", optimizer.clip_accumulator_update),
	ONLY_FOR(is_clippy, "the optimizer clippy_adagrad")},
	{BOOL("use_standard_accumulator_update", optimizer.use_standard_accumulator_update),
	ONLY_FOR(is_clippy, "the optimizer clippy_adagrad")},
	INTEGER("dim", dim, 1, TFRS_MAX_DIM),
	INTEGER("epochs", epochs, 1, TFRS_MAX_EPOCHS),
	INTEGER("batch_size", batch_size, 1, TFRS_MAX_BATCH),
	{CHOICE("loss", loss.kind, loss_choices)},
	{ABOVE_0("bsl_power", loss.bsl_power, FLT_MAX), ONLY_FOR(is_bsl, "the loss bsl")},
	{.name = "ccl_margin", .type = TFRS_OPTION_FLOAT, FIELD(loss.ccl_margin), .low = -1,
	.high = 1, ONLY_FOR(is_ccl, "the loss ccl")},
	{AT_LEAST_0("ccl_weight", loss.ccl_weight, FLT_MAX), ONLY_FOR(is_ccl, "the loss ccl")},
	{ABOVE_0("temperature", loss.temperature, FLT_MAX),
	ONLY_FOR(is_no_ccl, "the losses softmax and bsl")},
	{BOOL("normalize", normalize)},
	{BOOL("full_softmax", full_softmax)},
	{.name = "uniform_negatives", .type = TFRS_OPTION_INTEGER, FIELD(uniform_negatives),
	.high = TFRS_MAX_BATCH, ONLY_FOR(is_in_batch, IN_BATCH)},
	{CHOICE("sampling_correction", correction, correction_choices),
	ONLY_FOR(is_in_batch, IN_BATCH)},
	{BOOL("mask_known", mask_known)},
	{AT_LEAST_0("query_weight", query_weight, 1)},
	{ABOVE_0("probability_floor", loss.probability_floor, 1),
	ONLY_FOR(has_correction, "sampling_correction")},
	{BOOL("remove_accidental_hits", loss.remove_accidental_hits),
	ONLY_FOR(has_interactions, INTERACTIONS)},
	{.name = "hard_negatives", .type = TFRS_OPTION_INTEGER, FIELD(loss.hard_negatives),
	.high = TFRS_MAX_BATCH},
	{.name = "batch_accuracy", .type = TFRS_OPTION_INTEGERS, FIELD(batch_accuracy),
	.low = 1, .high = TFRS_MAX_BATCH},
	{AT_LEAST_0("id_dropout", id_dropout, MOST_DROPOUT)},
	{CHOICE("reduction", reduction, reduction_choices)},
	{AT_LEAST_0("l2", l2, FLT_MAX)},
	{AT_LEAST_0("clip_norm", clip_norm, FLT_MAX)},
	{CHOICE("schedule", schedule.kind, schedule_choices)},
	{AT_LEAST_0("warmup", schedule.warmup, 0.99), ONLY_FOR(has_schedule, "schedule")},
	{AT_LEAST_0("final_rate", schedule.final, 1), ONLY_FOR(has_schedule, "schedule")},
	{BOOL("candidate_bias", candidate_bias)},
	{AT_LEAST_0("dropout", dropout, MOST_DROPOUT)},
	{.name = "validation", .type = TFRS_OPTION_OBJECT, FIELD(validation.on),
	.scheme = &validation_scheme, .apply = apply_validation},
	{BOOL("store", store)},
	{BOOL("keep_optimizer_state", keep_optimizer_state)},
	{BOOL("average_unknown", average_unknown)},
	INTEGER("seed", seed, 0, TFRS_OPTION_LARGEST),
	{CHOICE("order", input_order, order_choices)},
	TOWER("query", query), TOWER("candidate", candidate)
};

static const tfrs_option_scheme scheme = {"training option", keys, lengthof(keys)};

static void
check(tfrs_train_options *options)
{
	const char *problem;

	options->threads = tfrs_settings_threads();
	problem = tfrs_train_options_check(options);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid training options"),
				 errdetail("%s", problem)));
}

static void
set_defaults(tfrs_train_request *request)
{
	tfrs_train_options_default(&request->options);
	tfrs_tower_request_default(&request->query, false);
	tfrs_tower_request_default(&request->candidate, false);
}

void
tfrs_train_options_read(tfrs_train_request *request, const Jsonb *json)
{
	set_defaults(request);
	tfrs_options_read(&scheme, json, request);
	check(&request->options);
}

/* The options that a model tells of itself. */
static Jsonb *
options_of_model(const tfrs_model *model)
{
	Jsonb	   *about = tfrs_model_about(model);
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(about) ||
		getKeyJsonValueFromContainer(&about->root, "options", 7, &value) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model does not say which options it was trained with")));
	return JsonbValueToJsonb(&value);
}

/* A tower goes on as it is: it is said once, by the first training. */
static void
forget_tower(tfrs_tower_request *request)
{
	tfrs_tower_request_default(request, request->as_keras);
}

static void
check_not_given(const tfrs_tower_request *request, const char *name)
{
	if (request->given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("training option \"%s\" cannot change when a training goes on", name),
				 errhint("Leave it out, or begin anew with tfrs.train.")));
}

void
tfrs_retrain_options_read(tfrs_train_request *request, const tfrs_model *model,
						  const Jsonb *json)
{
	set_defaults(request);
	tfrs_options_read(&scheme, options_of_model(model), request);
	forget_tower(&request->query);
	forget_tower(&request->candidate);
	request->options.history.steps = 0;
	request->options.history.columns = -1;
	tfrs_options_read(&scheme, json, request);
	check_not_given(&request->query, "query");
	check_not_given(&request->candidate, "candidate");
	check(&request->options);
}

void
tfrs_train_options_write(const tfrs_train_options *options, StringInfo json)
{
	tfrs_train_request request = {.options = *options};

	request.query.tower = options->query_tower;
	request.candidate.tower = options->candidate_tower;
	tfrs_options_write(&scheme, &request, json);
}
