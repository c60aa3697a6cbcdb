/*
 * hyperparameters.c: defaults and checks of hyperparameters.h.
 *
 * The check is the core's own: the host has read the options from somebody who may have meant
 * something else, and says so in its own words; nothing behind this point looks at ranges again.
 */
#include "learning/hyperparameters.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/limits.h"

/* Columns from which on a sample of them is taken, its size, and how many more steps with times it
 * takes. */
#define MOST_COLUMNS 10000
#define SAMPLED_COLUMNS 2000
#define SAMPLED_STEPS 2.0

/* Steps without times: enough for the first number of events, growing with the root of further
 * ones; and rounds over the queries. */
#define HIDE_STEPS 300.0
#define HIDE_EVENTS 80000.0
#define HIDE_ROUNDS 30.0

/* Of these steps are made where tables begin with what is chosen together, at their rate; with times
 * as many as without such a start, at the usual rate.  Shorter histories begin with random numbers. */
#define SPECTRAL_SHARE 0.25
#define SPECTRAL_LENGTH 40.0
#define SPECTRAL_RATE 0.01f
#define USUAL_RATE 0.02f
#define MOST_SPECTRAL_DIM 256

/* Steps with times: rounds over the next states. */
#define NEXT_ROUNDS 4.0

/* Past that many states there are fewer rounds. */
#define MANY_STATES 65536.0

/* Numbers of an embedding; more where much goes together for a reason (TIED_LIFT), unless that takes
 * too long. */
#define USUAL_DIM 64
#define LARGE_DIM 128
#define LARGE_DIM_EVENTS 2000000
#define LARGE_DIM_CANDIDATES 100000

/* Histories of this length on the average need no warmer softmax. */
#define LONG_HISTORY 80.0

/* What goes together more often than that is learned best by one table for both sides; so are short
 * histories where candidates have few events. */
#define TIED_LIFT 2.0
#define TIED_LENGTH 100.0
#define TIED_EVENTS 40.0

static void
validation_default(tfrs_validation_options *validation)
{
	validation->fraction = 0.1f;
	validation->k = 10;
	validation->patience = 3;
	validation->every = 1;
}

/* Where they come from: doc/defaults.md. */
static void
history_default(tfrs_history_options *history)
{
	history->on = true;
	history->all = true;
	history->decays = 2;
	history->decay[0] = 0.5f;
	history->decay[1] = 0.9f;
	history->length = 100;
	history->dropout = 0.5f;
	history->hidden_low = 0.5f;
	history->hidden_high = 0.5f;
	history->hide_share = 0.5f;
	history->steps = 0;
	history->columns = -1;
	history->tied = -1;
	history->spectral = true;
}

static void
parts_default(tfrs_part_options *parts)
{
	*parts = (tfrs_part_options) {{-1.0f, -1.0f, -1.0f}, -1.0f, -1.0f, true};
}

void
tfrs_train_options_default(tfrs_train_options *options)
{
	memset(options, 0, sizeof(*options));
	validation_default(&options->validation);
	options->dim = 0;
	options->epochs = 10;
	options->batch_size = 256;
	tfrs_optimizer_default(&options->optimizer, TFRS_ADAM);
	options->optimizer.learning_rate = 0.0f;
	options->optimizer.lazy = true;
	tfrs_loss_options_default(&options->loss);
	options->loss.temperature = 0.0f;
	history_default(&options->history);
	parts_default(&options->parts);
	options->schedule.kind = TFRS_SCHEDULE_LINEAR;
	options->schedule.final = 0.02f;
	options->reduction = TFRS_REDUCTION_MEAN;
	options->candidate_bias = true;
	options->dropout = 0.05f;
	options->normalize = true;
	options->mask_known = true;
	options->query_weight = 0.5f;
	options->average_unknown = true;
	options->store = true;
	options->form = TFRS_FORM_AUTO;
	options->threads = 1;
}

void
tfrs_train_options_without_history(tfrs_train_options *options)
{
	options->epochs = 15;
	options->batch_size = 1024;
	tfrs_optimizer_default(&options->optimizer, TFRS_ADAGRAD);
	options->optimizer.learning_rate = 0.1f;
	options->loss.temperature = 0.17f;
	memset(&options->history, 0, sizeof(options->history));
	memset(&options->schedule, 0, sizeof(options->schedule));
	options->reduction = TFRS_REDUCTION_SUM;
	options->candidate_bias = false;
	options->dropout = 0.0f;
	options->normalize = true;
	options->correction = TFRS_CORRECTION_IN_BATCH;
	options->mask_known = true;
	options->query_weight = 0.0f;
	options->average_unknown = true;
}

void
tfrs_train_options_interactions(tfrs_train_options *options)
{
	options->history.interactions = true;
	options->history.tied = false;
	options->history.spectral = false;
	options->history.decay[0] = 0.7f;
	options->history.decay[1] = 0.97f;
	options->epochs = 8;
	options->batch_size = 1024;
	options->optimizer.learning_rate = 0.003f;
	options->loss.temperature = 1.0f;
	options->loss.probability_floor = 1e-10f;	/* of rare ones among many millions */
	options->correction = TFRS_CORRECTION_CORRECTED;
	options->schedule.kind = TFRS_SCHEDULE_CONSTANT;
	options->dropout = 0.3f;
	options->normalize = false;
}

/* Steps that take some rounds over that many states. */
static double
steps_of_rounds(const tfrs_train_options *options, double rounds, double states)
{
	return rounds * fmin(1.0, sqrt(MANY_STATES / states)) * states / options->batch_size;
}

/* Whether what the tables begin with takes the place of most of the steps. */
static bool
starts_near(const tfrs_train_options *options, const tfrs_train_counts *counts)
{
	return options->history.spectral && counts->next_states == 0;
}

static double
choose_steps(const tfrs_train_options *options, const tfrs_train_counts *counts)
{
	double		steps = HIDE_STEPS * sqrt(fmax(1.0, (double) counts->events / HIDE_EVENTS));
	double		states = (double) counts->next_states;

	if (options->history.interactions)
		return fmin(ceil((double) counts->events / options->batch_size * options->epochs *
						 (states > 0 ? 1 : 2)), TFRS_MAX_STEPS);
	if (states > 0)
		steps = fmax(HIDE_STEPS, steps_of_rounds(options, NEXT_ROUNDS, states)) *
			(options->history.columns > 0 ? SAMPLED_STEPS : 1.0);
	else if (counts->queries > 0)
		steps = fmax(steps, steps_of_rounds(options, HIDE_ROUNDS, (double) counts->queries));
	if (starts_near(options, counts))
		steps *= SPECTRAL_SHARE;
	return fmin(ceil(steps * options->epochs / 10.0), TFRS_MAX_STEPS);
}

/* Short histories tell less, unless what goes together does so for a reason, and a colder softmax
 * would make too much of it. */
static double
choose_temperature(const tfrs_train_counts *counts)
{
	double		told = counts->history_length * fmax(1.0, counts->lift);
	double		certainty = pow(fmin(1.0, told / LONG_HISTORY), 0.55);

	return 1.0 / (0.8 * log(fmax((double) counts->candidates, 4.0)) * fmax(certainty, 0.1));
}

/* Whether the bag of all reads the candidates' table. */
static bool
choose_tied(const tfrs_train_counts *counts)
{
	double		each = (double) counts->events / fmax((double) counts->candidates, 1.0);

	return counts->lift > TIED_LIFT ||
		(counts->history_length < TIED_LENGTH && each < TIED_EVENTS);
}

uint32_t
tfrs_train_options_most_dim(const tfrs_train_options *options, size_t candidates)
{
	if (options->dim > 0)
		return options->dim;
	return options->history.on && candidates <= LARGE_DIM_CANDIDATES ? LARGE_DIM : USUAL_DIM;
}

static uint32_t
choose_dim(const tfrs_train_options *options, const tfrs_train_counts *counts)
{
	if (options->history.on && counts->lift > TIED_LIFT && counts->events <= LARGE_DIM_EVENTS)
		return tfrs_train_options_most_dim(options, counts->candidates);
	return USUAL_DIM;
}

/* Whether the events tell enough for so many components, and these are few enough to be found. */
static bool
can_be_spectral(const tfrs_train_options *options, const tfrs_train_counts *counts)
{
	size_t		least = 2 * (size_t) options->dim;

	return options->history.spectral && !options->history.interactions &&
		options->dim <= MOST_SPECTRAL_DIM && counts->history_length >= SPECTRAL_LENGTH &&
		counts->candidates >= least && counts->queries >= least;
}

static void
resolve_history(tfrs_train_options *options, const tfrs_train_counts *counts)
{
	tfrs_history_options *history = &options->history;

	if (counts->next_states == 0)
	{
		history->all = true;
		history->decays = 0;
		history->hide_share = 1.0f;
	}
	if (!history->all)
		history->hide_share = 0.0f; /* nothing would see what is not hidden */
	if (options->full_softmax)
		history->columns = 0;
	if (history->columns < 0)
		history->columns = counts->candidates > MOST_COLUMNS ? SAMPLED_COLUMNS : 0;
	history->spectral = can_be_spectral(options, counts);
	if (history->tied < 0)
		history->tied = choose_tied(counts);
	if (history->steps == 0)
		history->steps = (uint32_t) choose_steps(options, counts);
	if (options->optimizer.learning_rate == 0.0f)
		options->optimizer.learning_rate = starts_near(options, counts) ? SPECTRAL_RATE
			: USUAL_RATE;
	if (options->epochs > history->steps)
		options->epochs = history->steps;
	if (options->loss.temperature == 0.0f)
		options->loss.temperature = options->loss.kind == TFRS_LOSS_CCL ? 1.0f
			: (float) choose_temperature(counts);
}

void
tfrs_train_options_resolve(tfrs_train_options *options, const tfrs_train_counts *counts)
{
	if (options->dim == 0)
		options->dim = choose_dim(options, counts);
	if (options->dim == 1)
		options->candidate_bias = false;	/* it would take the only number */
	if (options->history.on)
		resolve_history(options, counts);
	else if (options->loss.temperature == 0.0f)
		options->loss.temperature = 1.0f;
	if (options->full_softmax)
		options->correction = TFRS_CORRECTION_NONE;
}

tfrs_optimizer
tfrs_train_options_optimizer(const tfrs_train_options *options, size_t rows)
{
	tfrs_optimizer optimizer = options->optimizer;
	float		share = 1.0f / (float) rows;

	if (options->reduction == TFRS_REDUCTION_SUM || options->history.on)
		return optimizer;
	optimizer.epsilon *= optimizer.kind == TFRS_ADAM ? share : share * share;
	optimizer.initial_accumulator_value *= share * share;
	optimizer.accumulator_relative_threshold *= share;
	return optimizer;
}

bool
tfrs_train_options_is_plain(const tfrs_train_options *options)
{
	return !options->history.on &&
		(options->form == TFRS_FORM_PLAIN || options->loss.hard_negatives > 0);
}

/* TFRS's tutorial: sum of losses, Adagrad 0.1, tables of ids, nothing corrected. */
void
tfrs_train_options_tfrs(tfrs_train_options *options)
{
	memset(options, 0, sizeof(*options));
	validation_default(&options->validation);
	options->dim = 32;
	options->epochs = 3;
	options->batch_size = 8192;
	tfrs_optimizer_default(&options->optimizer, TFRS_ADAGRAD);
	options->optimizer.learning_rate = 0.1f;
	options->optimizer.initial_accumulator_value = 0.1f;
	options->optimizer.epsilon = 1e-7f;
	tfrs_loss_options_default(&options->loss);
	options->loss.temperature = 1.0f;
	options->loss.probability_floor = 1e-6f;
	options->form = TFRS_FORM_AUTO;
	options->threads = 1;
}

/* Any share that leaves something, NaN excluded. */
static bool
is_dropout(float share)
{
	return share >= 0.0f && share < 1.0f;
}

static const char *
check_history(const tfrs_train_options *options)
{
	const tfrs_history_options *history = &options->history;

	if (!is_dropout(history->dropout))
		return "dropout must be at least 0 and below 1";
	if (history->decays > TFRS_MAX_DECAYS || (history->decays == 0 && !history->all))
		return "history needs the bag of all events or 1 to 4 decays";
	for (uint32_t i = 0; i < history->decays; i++)
		if (!(history->decay[i] > 0.0f && history->decay[i] <= 1.0f))
			return "decay must be above 0 and at most 1";
	if (!(history->hidden_low > 0.0f && history->hidden_low <= history->hidden_high &&
		  history->hidden_high <= 1.0f))
		return "hidden_low must be above 0, at most hidden_high, and that at most 1";
	if (!(history->hide_share >= 0.0f && history->hide_share <= 1.0f))
		return "hide_share must be between 0 and 1";
	if (history->length < 1 || history->steps > TFRS_MAX_STEPS)
		return "length must be at least 1 and steps at most 100000000";
	return NULL;
}

static const char *
check_query_weight(float weight)
{
	return weight >= 0.0f && weight <= 1.0f ? NULL : "query_weight must be between 0 and 1";
}

/* What the softmax is over. */
static const char *
check_negatives(const tfrs_train_options *options)
{
	bool		plain = tfrs_train_options_is_plain(options);
	bool		states = options->history.on && !options->history.interactions;

	if (options->correction > TFRS_CORRECTION_CORRECTED)
		return "sampling_correction must be none, in_batch or corrected";
	if (options->form == TFRS_FORM_DISTINCT && plain)
		return "hard_negatives need the plain form of the loss";
	if (plain && options->full_softmax)
		return "full_softmax keeps all negatives: hard_negatives must be 0";
	if (options->full_softmax && options->uniform_negatives > 0)
		return "full_softmax samples nothing: uniform_negatives must be 0";
	if (states && options->uniform_negatives > 0)
		return "uniform_negatives stand beside the candidates of a batch of interactions: a softmax "
			"of states has its sample in history.columns";
	if (states && options->full_softmax && options->history.columns > 0)
		return "full_softmax samples nothing: history.columns must be 0";
	return options->uniform_negatives > TFRS_MAX_BATCH
		? "uniform_negatives must be at most 1048576" : NULL;
}

static const char *
check_steps(const tfrs_train_options *options)
{
	if (options->loss.kind == TFRS_LOSS_CCL && !options->normalize)
		return "the loss ccl is one of cosines: it needs normalize";
	if (!is_dropout(options->id_dropout))
		return "id_dropout must be at least 0 and below 1";
	if (!is_dropout(options->dropout))
		return "dropout must be at least 0 and below 1";
	if (options->batch_accuracy.count > TFRS_MAX_CUTOFFS)
		return "batch_accuracy has too many cutoffs";
	for (uint32_t i = 0; i < options->batch_accuracy.count; i++)
		if (options->batch_accuracy.k[i] < 1)
			return "batch_accuracy needs cutoffs of 1 or more";
	if (!(options->l2 >= 0.0f && options->l2 <= FLT_MAX) ||
		!(options->clip_norm >= 0.0f && options->clip_norm <= FLT_MAX))
		return "l2 and clip_norm must be finite and not negative";
	return tfrs_schedule_check(&options->schedule);
}

static const char *
check_validation(const tfrs_validation_options *validation, bool history)
{
	_Static_assert(TFRS_MAX_CUTOFF == 10000, "a sentence below names this limit");
	if (!(validation->fraction > 0.0f && validation->fraction < 1.0f))
		return "fraction must be above 0 and below 1";
	if (validation->k < 1 || validation->k > TFRS_MAX_CUTOFF)
		return "k must be between 1 and 10000";
	if (validation->by == TFRS_HELD_OUT_QUERY && !history)
		return "validation by query needs the history tower: plain tables know nothing of a query "
			"that they are not trained on";
	return validation->every < 1 ? "every must be at least 1" : NULL;
}

static const char *
check_parts(const tfrs_part_options *parts)
{
	for (int p = 0; p < 3; p++)
		if (!(parts->weight[p] <= 10000.0f))
			return "together, next and content must be at most 10000";
	return parts->towers <= 1.0f && parts->recent <= 1.0f ? NULL
		: "towers and recent must be at most 1";
}

static const char *
check_loss(const tfrs_train_options *options)
{
	tfrs_loss_options loss = options->loss;

	if (loss.temperature == 0.0f)
		loss.temperature = 1.0f;
	return tfrs_loss_options_check(&loss);
}

/* The rate of a history tower is chosen by the counts of the data. */
static bool
rate_is_open(const tfrs_train_options *options)
{
	return options->optimizer.learning_rate == 0.0f && options->history.on;
}

const char *
tfrs_train_options_check(const tfrs_train_options *options)
{
	const char *problem = tfrs_optimizer_check(&options->optimizer);

	_Static_assert(TFRS_MAX_DIM == 16000 && TFRS_MAX_EPOCHS == 100000 &&
				   TFRS_MAX_BATCH == 1048576 && TFRS_MAX_THREADS == 64,
				   "the sentences below name these limits");
	if (problem == NULL)
		problem = check_loss(options);
	if (problem != NULL)
		return problem;
	if (!(options->optimizer.learning_rate > 0.0f) && !rate_is_open(options))
		return "learning_rate must be a positive number";
	if (options->dim > TFRS_MAX_DIM)
		return "dim must be between 1 and 16000";
	if (options->epochs < 1 || options->epochs > TFRS_MAX_EPOCHS)
		return "epochs must be between 1 and 100000";
	if (options->batch_size < 1 || options->batch_size > TFRS_MAX_BATCH)
		return "batch_size must be between 1 and 1048576";
	if (options->threads < 1 || options->threads > TFRS_MAX_THREADS)
		return "threads must be between 1 and 64";
	problem = check_negatives(options);
	if (problem == NULL)
		problem = check_steps(options);
	if (problem == NULL && options->validation.on)
		problem = check_validation(&options->validation, options->history.on);
	if (problem == NULL)
		problem = check_query_weight(options->query_weight);
	if (problem == NULL && options->history.on)
		problem = check_parts(&options->parts);
	return problem == NULL && options->history.on ? check_history(options) : problem;
}
