/*
 * test_history_trainer.c: a whole step of the history tower against its formula in double, and how
 * the steps go on.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/history_trainer.h"

#define QUERIES 30
#define CANDIDATES 25
#define MOST 12					/* events of a query */
#define DIM 5

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static uint64_t offsets[QUERIES + 1];
static uint32_t candidates[QUERIES * MOST];
static int64_t times[QUERIES * MOST];
static float weights[QUERIES * MOST];

static tfrs_events
make_events(bool has_time)
{
	tfrs_events events = {
		.queries = QUERIES, .offsets = offsets, .candidate = candidates,
		.at = has_time ? times : NULL, .weight = weights
	};
	tfrs_random random;

	tfrs_random_init(&random, 8, 8, 8);
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		offsets[q] = events.count;
		for (uint32_t i = 0; i < 2 + q % (MOST - 1); i++)
		{
			candidates[events.count] = (q + 3 * i) % CANDIDATES;
			times[events.count] = i / 2;
			weights[events.count] = 0.5f + tfrs_random_float(&random);
			events.later += has_time && i > 0 && i % 2 == 0;
			events.count++;
		}
		events.several++;
	}
	offsets[QUERIES] = events.count;
	return events;
}

/* Every switch that changes the step's arithmetic. */
typedef struct step_case
{
	bool		has_time;
	bool		bias;
	bool		normalize;
	bool		tied;
	int32_t		columns;
	float		dropout;
	bool		interactions;
} step_case;

static tfrs_train_options
options_of(const step_case *c)
{
	tfrs_train_options options;
	tfrs_train_counts counts = {
		.candidates = CANDIDATES, .events = QUERIES * MOST, .queries = QUERIES,
		.next_states = c->has_time ? 100 : 0, .history_length = 80
	};

	tfrs_train_options_default(&options);
	options.dim = DIM;
	options.batch_size = 20;
	options.candidate_bias = c->bias;
	options.normalize = c->normalize;
	options.dropout = c->dropout;
	options.loss.temperature = 0.5f;
	options.history.tied = c->tied;
	options.history.interactions = c->interactions;
	options.history.columns = c->columns;
	options.history.steps = 4;
	options.history.hide_share = c->has_time ? 0.0f : 1.0f;
	options.query_weight = 0.3f;
	options.schedule.kind = TFRS_SCHEDULE_CONSTANT;
	options.seed = 21;
	tfrs_optimizer_default(&options.optimizer, TFRS_SGD);
	options.optimizer.learning_rate = 0.5f;
	tfrs_train_options_resolve(&options, &counts);
	return options;
}

static tfrs_status
begin(tfrs_history_trainer *trainer, const tfrs_train_options *options, const tfrs_events *events)
{
	tfrs_history_training training = {options, events, CANDIDATES, NULL};

	return tfrs_history_trainer_begin(trainer, check_arena(), &training, &check_error);
}

/* The parameters before the step: candidates, then bags. */
static double parameters[1 + TFRS_MAX_BAGS][CANDIDATES * DIM];

static const tfrs_history_table *
table_at(const tfrs_history_trainer *trainer, int t)
{
	return t == 0 ? &trainer->tables.candidate : &trainer->tables.bag[t - 1];
}

static void
keep_parameters(const tfrs_history_trainer *trainer)
{
	for (int t = 0; t <= (int) trainer->shape.bags; t++)
		for (int i = 0; i < CANDIDATES * DIM && table_at(trainer, t)->table.values != NULL; i++)
			parameters[t][i] = (double) table_at(trainer, t)->table.values[i];
}

static void
normalize(const tfrs_history_shape *shape, double *x)
{
	size_t		width = tfrs_history_width(shape);
	double		square = 0;

	for (size_t d = 0; d < width && shape->normalize; d++)
		square += x[d] * x[d];
	for (size_t d = 0; d < width && shape->normalize; d++)
		x[d] /= sqrt(fmax(square, 1e-12));
}

/* Rows of interactions: what those of a query have together. */
static void
add_shared(const tfrs_history_trainer *trainer, size_t row, double query[DIM])
{
	const tfrs_ragged *shared = &trainer->states.shared;
	int			table = tfrs_history_tables_is_tied(&trainer->tables, 0) ? 0 : 1;
	size_t		group = trainer->states.row_group[row];

	if (!trainer->options->history.interactions)
		return;
	for (size_t i = shared->start[group]; i < shared->start[group + 1]; i++)
		for (int d = 0; d < DIM; d++)
			query[d] += (double) shared->weight[i] * parameters[table][shared->item[i] * DIM + d];
}

static void
query_vector(const tfrs_history_trainer *trainer, size_t row, double query[DIM])
{
	const tfrs_history_shape *shape = &trainer->shape;

	memset(query, 0, DIM * sizeof(double));
	for (uint32_t b = 0; b < shape->bags; b++)
	{
		const tfrs_ragged *bag = &trainer->states.bag[b];
		int			table = tfrs_history_tables_is_tied(&trainer->tables, b) ? 0 : (int) b + 1;

		for (size_t i = bag->start[row]; i < bag->start[row + 1]; i++)
			for (int d = 0; d < DIM; d++)
				query[d] += (double) bag->weight[i] * parameters[table][bag->item[i] * DIM + d];
	}
	add_shared(trainer, row, query);
	for (size_t d = 0; d < tfrs_history_width(shape); d++)
		query[d] *= trainer->keep[row * DIM + d];
	normalize(shape, query);
	for (int d = 0; d < DIM; d++)
		query[d] /= shape->temperature;
	if (shape->bias)
		query[DIM - 1] = 1;
}

static bool
has(const tfrs_ragged *lists, size_t row, size_t item)
{
	for (size_t i = lists->start[row]; i < lists->start[row + 1]; i++)
		if (lists->item[i] == item)
			return true;
	return false;
}

static double
loss_of_row(const tfrs_history_trainer *trainer, size_t row)
{
	const tfrs_columns *columns = &trainer->columns;
	const tfrs_ragged *target = &trainer->states.target;
	double		query[DIM];
	double		e[CANDIDATES];
	double		negatives = 0;
	double		loss = 0;

	query_vector(trainer, row, query);
	for (size_t c = 0; c < columns->count; c++)
	{
		double		vector[DIM];
		double		logit = 0;

		memcpy(vector, parameters[0] + columns->candidate[c] * DIM, sizeof(vector));
		normalize(&trainer->shape, vector);
		for (int d = 0; d < DIM; d++)
			logit += query[d] * vector[d];
		e[c] = exp(logit);
		if (c < columns->negatives && !has(target, row, c) && !has(&trainer->states.masked, row, c))
			negatives += e[c] * (columns->weight == NULL ? 1 : columns->weight[c]);
	}
	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
		loss -= target->weight[i] * log(e[target->item[i]] / (e[target->item[i]] + negatives));
	return loss;
}

static double
loss_of_batch(const tfrs_history_trainer *trainer)
{
	double		loss = 0;

	for (size_t row = 0; row < trainer->states.rows; row++)
		loss += loss_of_row(trainer, row);
	return loss;
}

/* The gradient that the step found for a parameter, 0 for a row that it did not touch. */
static double
gradient_of(const tfrs_row_gradient *gradient, uint32_t row, int d)
{
	uint32_t	place = gradient->place[row];

	return place == TFRS_NO_ROW ? 0 : gradient->values[place * DIM + (uint32_t) d];
}

/* The gradient is the loss's difference quotient, and SGD goes half of it back. */
static void
check_table(const tfrs_history_trainer *trainer, int t)
{
	const tfrs_history_table *table = table_at(trainer, t);

	if (table->table.values == NULL)
		return;
	for (uint32_t row = 0; row < CANDIDATES; row++)
		for (int d = 0; d < DIM; d++)
		{
			double	   *x = &parameters[t][row * DIM + (uint32_t) d];
			double		kept = *x;
			double		gradient = gradient_of(&table->gradient, row, d);
			double		up;

			*x = kept + 1e-6;
			up = loss_of_batch(trainer);
			*x = kept - 1e-6;
			CHECK_NEAR(gradient, (up - loss_of_batch(trainer)) / 2e-6, 2e-4);
			CHECK_NEAR(table->table.values[row * DIM + (uint32_t) d], kept - 0.5 * gradient, 1e-5);
			*x = kept;
		}
}

static void
check_step(const step_case *c)
{
	tfrs_events events = make_events(c->has_time);
	tfrs_train_options options = options_of(c);
	tfrs_history_trainer trainer;
	bool		stepped = false;
	double		loss;

	CHECK_OK(begin(&trainer, &options, &events));
	while (trainer.step == 0)
		CHECK_STATUS(tfrs_history_trainer_step(&trainer, &stepped, &loss, &check_error), TFRS_MORE);
	keep_parameters(&trainer);
	while (!stepped)
		CHECK_STATUS(tfrs_history_trainer_step(&trainer, &stepped, &loss, &check_error), TFRS_MORE);
	CHECK(trainer.states.rows > 1);
	CHECK_NEAR(loss, loss_of_batch(&trainer), 1e-5);
	for (int t = 0; t <= (int) trainer.shape.bags; t++)
		check_table(&trainer, t);
	tfrs_history_trainer_free(&trainer);
}

CHECK_TEST(a_step_is_its_formula)
{
	static const step_case cases[] = {
		{.has_time = false, .columns = 0},
		{.has_time = true, .columns = 0},
		{.has_time = false, .bias = true, .columns = 0, .dropout = 0.4f},
		{.has_time = true, .bias = true, .normalize = true, .columns = 0, .dropout = 0.4f},
		{.has_time = true, .normalize = true, .tied = true, .columns = 0},
		{.has_time = true, .bias = true, .normalize = true, .columns = 7, .dropout = 0.4f},
		{.has_time = false, .bias = true, .normalize = true, .tied = true, .columns = 7},
		{.has_time = true, .columns = 1},
		{.has_time = true, .bias = true, .dropout = 0.4f, .interactions = true},
		{.has_time = false, .normalize = true, .interactions = true},
		{.has_time = true, .bias = true, .normalize = true, .tied = true, .interactions = true}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_step(&cases[i]);
}

/* The loss of all queries' states falls, steps are counted, and the last one is the last. */
CHECK_TEST(steps_lower_the_loss)
{
	tfrs_events events = make_events(true);
	step_case	c = {.has_time = true, .bias = true, .normalize = true};
	tfrs_train_options options = options_of(&c);
	tfrs_history_trainer trainer;
	double		first = 0;
	double		last = 0;
	uint64_t	steps = 0;
	tfrs_status status = TFRS_MORE;

	options.history.steps = 300;
	options.history.hide_share = 0.5f;
	tfrs_optimizer_default(&options.optimizer, TFRS_ADAM);
	options.optimizer.learning_rate = 0.02f;
	CHECK_OK(begin(&trainer, &options, &events));
	while (status == TFRS_MORE)
	{
		bool		stepped;
		double		loss;

		status = tfrs_history_trainer_step(&trainer, &stepped, &loss, &check_error);
		steps += stepped;
		if (stepped && steps <= 50)
			first += loss;
		if (stepped && steps > 250)
			last += loss;
	}
	CHECK_OK(status);
	CHECK_EQUAL(steps, 300);
	CHECK(last < 0.8 * first);
	tfrs_history_trainer_free(&trainer);
}

/* Biases begin at 0, everything else within 0.05 of it. */
CHECK_TEST(initial_values)
{
	tfrs_events events = make_events(true);
	step_case	c = {.has_time = true, .bias = true};
	tfrs_train_options options = options_of(&c);
	tfrs_history_trainer trainer;
	bool		stepped;
	double		loss;

	CHECK_OK(begin(&trainer, &options, &events));
	while (trainer.step == 0)
		CHECK_STATUS(tfrs_history_trainer_step(&trainer, &stepped, &loss, &check_error), TFRS_MORE);
	for (int t = 0; t <= (int) trainer.shape.bags; t++)
		for (int i = 0; i < (CANDIDATES + 1) * DIM; i++)
		{
			float		value = table_at(&trainer, t)->table.values[i];

			CHECK(i % DIM == DIM - 1 ? value == 0 : fabsf(value) <= 0.05f && value != 0);
		}
	tfrs_history_trainer_free(&trainer);
}

CHECK_TEST(divergence_is_reported)
{
	tfrs_events events = make_events(false);
	step_case	c = {.bias = true};
	tfrs_train_options options = options_of(&c);
	tfrs_history_trainer trainer;
	tfrs_status status = TFRS_MORE;

	options.optimizer.learning_rate = 3e38f;
	CHECK_OK(begin(&trainer, &options, &events));
	while (status == TFRS_MORE)
	{
		bool		stepped;
		double		loss;

		status = tfrs_history_trainer_step(&trainer, &stepped, &loss, &check_error);
	}
	CHECK_EQUAL(status, TFRS_NOT_FINITE);
	tfrs_history_trainer_free(&trainer);
}
