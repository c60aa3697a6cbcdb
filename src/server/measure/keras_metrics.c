/*
 * keras_metrics.c: losses and metrics of Keras over rows of class scores, as aggregates.
 *
 * categorical_crossentropy: y_pred is divided by its sum, clipped to [1e-7, 1 - 1e-7], and the
 * row's loss is -sum y_true ln y_pred; with from_logits it is -sum y_true ln softmax(y_pred).
 * sparse_categorical_crossentropy: y_pred is clipped first and then, as logits ln y_pred, takes the
 * way of from_logits: that is what Keras does over TensorFlow, and differs by some 1e-7. Reduction
 * mean is Keras's SUM_OVER_BATCH_SIZE: the weighted sum over the number of rows, not over the sum
 * of the weights.
 *
 * top_k_categorical_accuracy: a row counts where fewer than k classes have a score above that of
 * its class (the first largest of y_true): classes that tie are all in the top k, as in
 * TensorFlow's in_top_k.  The mean is over the sum of the weights; 0 where that is 0, as in Keras.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/host/options.h"
#include "server/values/row_reader.h"

/* Keras's backend.epsilon() */
#define EPSILON 1e-7

typedef struct keras_options
{
	bool		from_logits;
	bool		sum;
	float		label_smoothing;
} keras_options;

typedef struct keras_state
{
	keras_options options;
	struct varlena *first_options;	/* of the first row, as it came; NULL: it was NULL */
	int32		k;				/* of the first row */
	double		sum;			/* of weighted losses or hits */
	double		weight;
	double		rows;
} keras_state;

typedef struct float_vector
{
	const double *values;
	int			count;
} float_vector;

/* Transition functions differ in what stands before the weight and the options. */
enum
{
	STATE,
	TRUE_VALUE,					/* y_true, or a label */
	PREDICTION,
	THIRD
};

static const tfrs_option_choice reduction_choices[] = {
	{"mean", false},
	{"sum", true},
	{NULL, 0}
};

#define FIELD(member) TFRS_OPTION_FIELD(keras_options, member)

static const tfrs_option_key keras_keys[] = {
	{.name = "from_logits", .type = TFRS_OPTION_BOOL, FIELD(from_logits)},
	{.name = "reduction", .type = TFRS_OPTION_CHOICE, FIELD(sum), .choices = reduction_choices},
	{.name = "label_smoothing", .type = TFRS_OPTION_FLOAT, FIELD(label_smoothing),
	.low = 0, .high = 1},
};

/* Keras has no label smoothing for labels. */
static const tfrs_option_scheme dense_scheme = {
	"crossentropy option", keras_keys, lengthof(keras_keys)
};
static const tfrs_option_scheme sparse_scheme = {
	"crossentropy option", keras_keys, lengthof(keras_keys) - 1
};

PG_FUNCTION_INFO_V1(tfrs_categorical_crossentropy_row);
PG_FUNCTION_INFO_V1(tfrs_sparse_categorical_crossentropy_row);
PG_FUNCTION_INFO_V1(tfrs_crossentropy_finish);
PG_FUNCTION_INFO_V1(tfrs_top_k_accuracy_row);
PG_FUNCTION_INFO_V1(tfrs_accuracy_finish);

/* The vector of one row: one dimension, at least one element, no NULL, all finite. */
static float_vector
read_vector(FunctionCallInfo fcinfo, int argument, const char *name)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argument);
	float_vector vector;

	if (ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be an array of one dimension that is not empty", name),
				 errhint("Each row of the aggregate is one sample.")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", name)));
	vector.values = (const double *) ARR_DATA_PTR(array);
	vector.count = ARR_DIMS(array)[0];
	for (int i = 0; i < vector.count; i++)
		if (!isfinite(vector.values[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s must not contain NaN or infinity", name)));
	return vector;
}

static void
check_same_length(float_vector y_true, float_vector y_pred)
{
	if (y_true.count != y_pred.count)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("y_true and y_pred must have the same length, but have %d and %d",
						y_true.count, y_pred.count)));
}

static int
read_label(FunctionCallInfo fcinfo, int classes)
{
	int64		label = PG_GETARG_INT64(TRUE_VALUE);

	if (label < 0 || label >= classes)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("label %lld is out of range", (long long) label),
				 errdetail("y_pred has %d classes, so a label is from 0 to %d.", classes,
						   classes - 1)));
	return (int) label;
}

static keras_state *
make_state(FunctionCallInfo fcinfo)
{
	MemoryContext context = tfrs_bridge_aggregate(fcinfo, true);

	return PG_ARGISNULL(STATE) ? MemoryContextAllocZero(context, sizeof(keras_state)) : NULL;
}

/* The state of a row of a loss, whose options come last where they are given. */
static keras_state *
loss_state(FunctionCallInfo fcinfo, const tfrs_option_scheme *scheme)
{
	int			options = PG_NARGS() - 1;
	bool		given = options >= THIRD;
	keras_state *state = make_state(fcinfo);
	MemoryContext caller;

	if (state == NULL)
	{
		state = (keras_state *) PG_GETARG_POINTER(STATE);
		if (given)
			tfrs_options_check_same(scheme->what, state->first_options, PG_ARGISNULL(options),
									PG_GETARG_DATUM(options));
		return state;
	}
	if (!given || PG_ARGISNULL(options))
		return state;
	caller = MemoryContextSwitchTo(tfrs_bridge_aggregate(fcinfo, true));
	state->first_options = tfrs_options_keep(PG_GETARG_DATUM(options));
	tfrs_options_read(scheme, PG_GETARG_JSONB_P(options), &state->options);
	MemoryContextSwitchTo(caller);
	return state;
}

/* A row's value, weighted where the form has a weight. */
static void
add(FunctionCallInfo fcinfo, keras_state *state, double value, int weight_argument)
{
	double		weight = weight_argument < 0 ? 1 : tfrs_weight_read(fcinfo, weight_argument);

	state->sum += weight * value;
	state->weight += weight;
	state->rows += 1;
}

/* In the forms (y_true, y_pred, sample_weight, options) the weight is the third. */
static int
weight_argument(FunctionCallInfo fcinfo)
{
	return PG_NARGS() == THIRD + 2 ? THIRD : -1;
}

static double
clip(double probability)
{
	return fmin(fmax(probability, EPSILON), 1 - EPSILON);
}

/* ln sum exp of the logits, or of the logarithms of clipped probabilities. */
static double
log_sum(float_vector y_pred, bool from_logits)
{
	double		peak = -DBL_MAX;
	double		sum = 0;

	for (int i = 0; i < y_pred.count; i++)
		peak = fmax(peak, y_pred.values[i]);
	for (int i = 0; i < y_pred.count; i++)
		sum += from_logits ? exp(y_pred.values[i] - peak) : clip(y_pred.values[i]);
	return from_logits ? peak + log(sum) : log(sum);
}

static double
sum_of(float_vector y_pred)
{
	double		sum = 0;

	for (int i = 0; i < y_pred.count; i++)
		sum += y_pred.values[i];
	if (!(sum > 0 && sum <= DBL_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("y_pred must be probabilities with a positive sum"),
				 errhint("For scores of any sign use the option '{\"from_logits\": true}'.")));
	return sum;
}

/* The target of one class, smoothed. */
static double
smoothed(const keras_options *options, float_vector y_true, int i)
{
	return y_true.values[i] * (1 - options->label_smoothing) +
		options->label_smoothing / y_true.count;
}

static double
dense_loss(const keras_options *options, float_vector y_true, float_vector y_pred)
{
	double		scale = options->from_logits ? log_sum(y_pred, true) : sum_of(y_pred);
	double		loss = 0;

	for (int i = 0; i < y_pred.count; i++)
	{
		double		log_probability = options->from_logits ? y_pred.values[i] - scale
			: log(clip(y_pred.values[i] / scale));

		loss -= smoothed(options, y_true, i) * log_probability;
	}
	return loss;
}

static bool
is_skipped(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(TRUE_VALUE) || PG_ARGISNULL(PREDICTION);
}

/* (internal, y_true float8[], y_pred float8[] [[, sample_weight float8], options jsonb]) */
Datum
tfrs_categorical_crossentropy_row(PG_FUNCTION_ARGS)
{
	keras_state *state = loss_state(fcinfo, &dense_scheme);
	float_vector y_true;
	float_vector y_pred;

	if (is_skipped(fcinfo))
		PG_RETURN_POINTER(state);
	y_true = read_vector(fcinfo, TRUE_VALUE, "y_true");
	y_pred = read_vector(fcinfo, PREDICTION, "y_pred");
	check_same_length(y_true, y_pred);
	add(fcinfo, state, dense_loss(&state->options, y_true, y_pred), weight_argument(fcinfo));
	PG_RETURN_POINTER(state);
}

/* (internal, label int, y_pred float8[] [[, sample_weight float8], options jsonb]) */
Datum
tfrs_sparse_categorical_crossentropy_row(PG_FUNCTION_ARGS)
{
	keras_state *state = loss_state(fcinfo, &sparse_scheme);
	bool		from_logits = state->options.from_logits;
	float_vector y_pred;
	double		own;

	if (is_skipped(fcinfo))
		PG_RETURN_POINTER(state);
	y_pred = read_vector(fcinfo, PREDICTION, "y_pred");
	own = y_pred.values[read_label(fcinfo, y_pred.count)];
	add(fcinfo, state, log_sum(y_pred, from_logits) - (from_logits ? own : log(clip(own))),
		weight_argument(fcinfo));
	PG_RETURN_POINTER(state);
}

Datum
tfrs_crossentropy_finish(PG_FUNCTION_ARGS)
{
	const keras_state *state = PG_ARGISNULL(0) ? NULL : (keras_state *) PG_GETARG_POINTER(0);

	if (state == NULL || state->rows == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(state->options.sum ? state->sum : state->sum / state->rows);
}

static int
read_k(FunctionCallInfo fcinfo)
{
	int64		k;

	if (PG_ARGISNULL(THIRD))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("k must not be null")));
	k = PG_GETARG_INT64(THIRD);
	if (k < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be at least 1, but is %lld", (long long) k)));
	return (int) Min(k, PG_INT32_MAX);	/* an array has no more elements */
}

static keras_state *
accuracy_state(FunctionCallInfo fcinfo)
{
	int			k = read_k(fcinfo);
	keras_state *state = make_state(fcinfo);

	if (state == NULL)
		state = (keras_state *) PG_GETARG_POINTER(STATE);
	else
		state->k = k;
	if (state->k != k)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be the same for all rows of a group")));
	return state;
}

static bool
in_top_k(float_vector y_true, float_vector y_pred, int k)
{
	int			target = 0;
	int			above = 0;

	for (int i = 1; i < y_true.count; i++)
		if (y_true.values[i] > y_true.values[target])
			target = i;
	for (int i = 0; i < y_pred.count; i++)
		above += y_pred.values[i] > y_pred.values[target];
	return above < k;
}

/* (internal, y_true float8[], y_pred float8[], k int [, sample_weight float8]) */
Datum
tfrs_top_k_accuracy_row(PG_FUNCTION_ARGS)
{
	keras_state *state = accuracy_state(fcinfo);
	float_vector y_true;
	float_vector y_pred;

	if (is_skipped(fcinfo))
		PG_RETURN_POINTER(state);
	y_true = read_vector(fcinfo, TRUE_VALUE, "y_true");
	y_pred = read_vector(fcinfo, PREDICTION, "y_pred");
	check_same_length(y_true, y_pred);
	add(fcinfo, state, in_top_k(y_true, y_pred, state->k), PG_NARGS() > THIRD + 1 ? THIRD + 1 : -1);
	PG_RETURN_POINTER(state);
}

Datum
tfrs_accuracy_finish(PG_FUNCTION_ARGS)
{
	const keras_state *state = PG_ARGISNULL(0) ? NULL : (keras_state *) PG_GETARG_POINTER(0);

	if (state == NULL || state->rows == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(state->weight > 0 ? state->sum / state->weight : 0);
}
