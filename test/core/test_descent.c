/*
 * test_descent.c: a step of every kind of training against its loss written out in double precision:
 * the gradient is the loss's difference quotient, and SGD goes its rate of it back.
 */
#include "rows.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/descent.h"
#include "learning/event_collector.h"

#define QUERIES 9
#define CANDIDATES 14
#define COUNT 60
#define DIM 4
#define RATE 0.5

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

typedef enum tower_kind
{
	TABLES,
	STATES,
	INTERACTIONS
} tower_kind;

/* A training: what its tower is, and what is changed of the options. */
typedef struct step_case
{
	const char *name;
	tower_kind	tower;
	bool		has_time;
	void		(*change) (tfrs_train_options *);
} step_case;

/* Everything of a training that is under way. */
typedef struct scene
{
	tfrs_train_options options;
	tfrs_interactions *interactions;
	tfrs_event_collector collector;
	tfrs_events events;
	tfrs_descent descent;
} scene;

static test_row rows[COUNT];

static void
draw_rows(void)
{
	rows_draw(rows, COUNT, QUERIES, CANDIDATES);
	for (int i = 0; i < COUNT; i++)
		rows[i].at = i / 3;
}

static tfrs_train_options
options_of(const step_case *c)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	if (c->tower == TABLES)
		tfrs_train_options_without_history(&options);
	if (c->tower == INTERACTIONS)
		tfrs_train_options_interactions(&options);
	options.dim = DIM;
	options.batch_size = 20;
	options.epochs = 2;
	options.history.steps = 4;
	options.history.spectral = false;
	options.history.columns = 0;
	options.history.tied = false;
	options.history.hide_share = c->has_time ? 0.0f : 1.0f;
	options.loss.temperature = 0.5f;
	options.dropout = 0.3f;
	options.query_weight = 0.3f;
	options.schedule.kind = TFRS_SCHEDULE_CONSTANT;
	options.seed = 21;
	tfrs_optimizer_default(&options.optimizer, TFRS_SGD);
	options.optimizer.learning_rate = (float) RATE;
	if (c->change != NULL)
		c->change(&options);
	return options;
}

static void
collect_events(scene *s, bool has_time)
{
	tfrs_event_options collecting = {
		.has_weight = true, .has_time = has_time, .keep_repeats = false
	};
	tfrs_status status;

	CHECK_OK(tfrs_event_collector_begin(&s->collector, check_arena(), s->interactions, &collecting,
										&check_error));
	while ((status = tfrs_event_collector_step(&s->collector, &s->events,
											   &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
}

static void
begin(scene *s, const step_case *c)
{
	tfrs_interactions_options collecting = {
		.has_weight = true, .has_time = c->has_time, .budget = SIZE_MAX
	};
	tfrs_descent_counts counts = {.rows = COUNT};
	tfrs_train_counts told = {.candidates = CANDIDATES, .history_length = 80};
	tfrs_descent_data data = {0};

	memset(s, 0, sizeof(*s));
	draw_rows();
	s->options = options_of(c);
	CHECK_OK(rows_collect(&s->interactions, check_arena(), &collecting, rows, COUNT, &check_error));
	collect_events(s, c->has_time);
	told.events = s->events.count;
	told.queries = s->events.several;
	told.next_states = s->events.later;
	tfrs_train_options_resolve(&s->options, &told);
	CHECK(tfrs_train_options_check(&s->options) == NULL);
	counts.queries = tfrs_interactions_queries(s->interactions)->count;
	counts.candidates = tfrs_interactions_candidates(s->interactions)->count;
	counts.events = &s->events;
	counts.longest = tfrs_events_longest(&s->events);
	data.interactions = s->interactions;
	CHECK_OK(tfrs_descent_begin(&s->descent, check_arena(), &s->options, &counts, &data,
								&check_error));
}

static void
end(scene *s)
{
	tfrs_descent_free(&s->descent);
	tfrs_event_collector_free(&s->collector);
	tfrs_interactions_destroy(s->interactions);
}

/* The parameters before the step. */
static double parameters[TFRS_MAX_TENSORS][(CANDIDATES + QUERIES + 1) * DIM];

static void
keep_parameters(const tfrs_descent *descent)
{
	for (size_t t = 0; t < descent->parameters.count; t++)
		for (size_t i = 0; i < descent->parameters.tensor[t].rows * DIM; i++)
			parameters[t][i] = (double) descent->parameters.tensor[t].values[i];
}

static void
normalize(const tfrs_tower_shape *shape, double *x)
{
	size_t		width = tfrs_tower_width(shape);
	double		square = 0;

	for (size_t d = 0; d < width && shape->normalize; d++)
		square += x[d] * x[d];
	for (size_t d = 0; d < width && shape->normalize; d++)
		x[d] /= sqrt(fmax(square, 1e-12));
}

static void
add_row(const tfrs_descent *descent, const tfrs_tensor *table, size_t row, double weight,
		double *sum)
{
	size_t		t = (size_t) (table - descent->parameters.tensor);

	for (int d = 0; d < DIM; d++)
		sum[d] += weight * parameters[t][row * DIM + (size_t) d];
}

static void
add_list(const tfrs_descent *descent, const tfrs_encoder *encoder, const tfrs_ragged *lists,
		 size_t list, double *sum)
{
	for (size_t i = lists->start[list]; i < lists->start[list + 1]; i++)
		add_row(descent, encoder->table, lists->item[i], lists->weight[i], sum);
}

static void
vector_of(const tfrs_descent *descent, const tfrs_tower *tower, size_t row, double *vector)
{
	memset(vector, 0, DIM * sizeof(double));
	for (size_t i = 0; i < tower->encoders; i++)
	{
		const tfrs_encoder *encoder = &tower->encoder[i];
		const tfrs_cells *cells = &encoder->cells;

		if (encoder->kind == &tfrs_encoder_embedding)
			add_row(descent, encoder->table, cells->id[row], 1, vector);
		else
			add_list(descent, encoder, cells->list, row, vector);
		if (cells->shared != NULL)
			add_list(descent, encoder, cells->shared, cells->group[row], vector);
	}
	for (size_t d = 0; tower->keep != NULL && d < tfrs_tower_width(tower->shape); d++)
		vector[d] *= tower->keep[row * DIM + d];
	normalize(tower->shape, vector);
	for (size_t d = 0; !tower->of_candidates && d < tfrs_tower_width(tower->shape); d++)
		vector[d] /= tower->shape->temperature;
	if (!tower->of_candidates && tower->shape->bias)
		vector[DIM - 1] = 1;
}

/* The columns of a row: logits, ln of their gains, and whether they are negatives of it. */
typedef struct columns
{
	size_t		count;
	double		logit[COUNT + CANDIDATES];
	double		gain[COUNT + CANDIDATES];
	double		of_mean[COUNT + CANDIDATES];	/* weights of ccl's mean */
	bool		hidden[COUNT + CANDIDATES];
	double		stands[COUNT + CANDIDATES];
} columns;

static double
correction_of(const tfrs_descent *descent, size_t j)
{
	const tfrs_negatives *negatives = &descent->negatives;
	double		floor = descent->options->loss.probability_floor;

	return negatives->probability == NULL ? 0
		: -log(fmin(fmax(negatives->probability[j], floor), 1.0));
}

static void
fill_columns(const tfrs_descent *descent, size_t row, columns *c)
{
	const tfrs_negatives *negatives = &descent->negatives;
	const tfrs_loss_options *loss = &descent->loss_options;
	double		query[DIM];
	double		all = -1;
	double		weights = 0;

	vector_of(descent, &descent->query, row, query);
	c->count = negatives->count;
	for (size_t j = 0; j < c->count; j++)
	{
		c->stands[j] = negatives->weight == NULL ? 1 : negatives->weight[j];
		all += c->stands[j];
		c->of_mean[j] = c->stands[j] * exp(correction_of(descent, j));
		weights += c->of_mean[j];
	}
	for (size_t j = 0; j < c->count; j++)
	{
		double		candidate[DIM];
		bool		ccl = loss->kind == TFRS_LOSS_CCL;
		double		correction = ccl ? 0 : correction_of(descent, j);

		vector_of(descent, &descent->candidate, j, candidate);
		c->logit[j] = loss->leave_positive_out ? 0 : correction;
		for (int d = 0; d < DIM; d++)
			c->logit[j] += query[d] * candidate[d] / (ccl ? 1 : loss->temperature);
		c->gain[j] = log(c->stands[j]) +
			(loss->leave_positive_out ? correction - log(fmax(all, 1)) : 0);
		c->of_mean[j] /= weights;
		c->hidden[j] = c->stands[j] == 0;
	}
	for (size_t i = negatives->hidden.start[row];
		 negatives->hides && i < negatives->hidden.start[row + 1]; i++)
		c->hidden[negatives->hidden.item[i]] = true;
}

/* Of a target's negatives only the hardest are left. */
static void
keep_hardest(const columns *c, uint32_t hardest, size_t own, bool *negative)
{
	for (size_t j = 0; hardest > 0 && j < c->count; j++)
	{
		size_t		above = 0;

		for (size_t i = 0; i < c->count; i++)
		{
			double		difference = c->logit[i] + c->gain[i] - c->logit[j] - c->gain[j];

			above += i != own && !c->hidden[i] &&
				(difference > 1e-12 || (fabs(difference) <= 1e-12 && i < j));
		}
		negative[j] = negative[j] && above < hardest;
	}
}

static double
loss_of_target(const tfrs_descent *descent, const columns *c, size_t own)
{
	const tfrs_loss_options *loss = &descent->loss_options;
	const uint32_t *number = descent->negatives.number;
	bool		visible = !c->hidden[own];
	bool		once = loss->remove_accidental_hits && number == NULL;
	double		copies = visible && !once ? 1 - 1 / c->stands[own] : 0;
	bool		negative[COUNT + CANDIDATES];
	double		others = 0;

	for (size_t j = 0; j < c->count; j++)
		negative[j] = j != own && !c->hidden[j] &&
			!(loss->remove_accidental_hits && number != NULL && number[j] == number[own]);
	keep_hardest(c, loss->hard_negatives, own, negative);
	for (size_t j = 0; j < c->count; j++)
	{
		double		share = j == own ? copies : negative[j];

		if (share > 0 && loss->kind == TFRS_LOSS_CCL)
			others += share * c->of_mean[j] * fmax(c->logit[j] - loss->ccl_margin, 0);
		else if (share > 0)
			others += share * exp(c->logit[j] + c->gain[j]);
	}
	if (loss->kind == TFRS_LOSS_CCL)
		return 1 - c->logit[own] + loss->ccl_weight * others;
	if (loss->kind == TFRS_LOSS_BSL)
		return others > 0 ? loss->bsl_power * log(others) - c->logit[own] : 0;
	return log(others + exp(c->logit[own])) - c->logit[own];
}

static double
loss_of_batch(const tfrs_descent *descent)
{
	const tfrs_ragged *target = &descent->negatives.target;
	double		loss = 0;

	for (size_t row = 0; row < descent->batch.rows; row++)
	{
		columns		c;

		fill_columns(descent, row, &c);
		for (size_t t = target->start[row]; t < target->start[row + 1]; t++)
			loss += target->weight[t] * loss_of_target(descent, &c, target->item[t]);
	}
	if (descent->options->history.on && descent->options->reduction == TFRS_REDUCTION_SUM)
		loss *= (double) descent->batch.rows;
	if (!descent->options->history.on && descent->options->reduction == TFRS_REDUCTION_MEAN)
		loss /= descent->options->batch_size;
	return loss;
}

static bool
is_touched(const tfrs_tensor *tensor, size_t row)
{
	for (size_t g = 0; g < tensor->touched; g++)
		if (tensor->row[g] == row)
			return true;
	return false;
}

/* The gradients by difference quotients, with l2, before they are clipped; returns their norm. */
static double
differentiate(const tfrs_descent *descent, double gradient[][(CANDIDATES + QUERIES + 1) * DIM])
{
	double		square = 0;

	for (size_t t = 0; t < descent->parameters.count; t++)
		for (size_t i = 0; i < descent->parameters.tensor[t].rows * DIM; i++)
		{
			double	   *x = &parameters[t][i];
			double		kept = *x;
			double		up;

			*x = kept + 1e-6;
			up = loss_of_batch(descent);
			*x = kept - 1e-6;
			gradient[t][i] = (up - loss_of_batch(descent)) / 2e-6;
			*x = kept;
			if (is_touched(&descent->parameters.tensor[t], i / DIM))
				gradient[t][i] += 2 * descent->options->l2 * kept;
			square += gradient[t][i] * gradient[t][i];
		}
	return sqrt(square);
}

static void
check_moves(const step_case *c, const tfrs_descent *descent)
{
	static double gradient[TFRS_MAX_TENSORS][(CANDIDATES + QUERIES + 1) * DIM];
	double		norm = differentiate(descent, gradient);
	double		most = descent->options->clip_norm;
	double		scale = most > 0 && norm > most ? most / norm : 1;
	double		tolerance = 2e-4 * fmax(norm, 1);

	CHECK(norm > 1e-3);
	for (size_t t = 0; t < descent->parameters.count; t++)
		for (size_t i = 0; i < descent->parameters.tensor[t].rows * DIM; i++)
		{
			double		moved = (parameters[t][i] -
								 (double) descent->parameters.tensor[t].values[i]) / RATE;

			if (fabs(moved - gradient[t][i] * scale) > tolerance)
				check_fail(__FILE__, __LINE__, "%s: %s[%zu] has gradient %g and not %g", c->name,
						   descent->parameters.tensor[t].name, i, moved, gradient[t][i] * scale);
		}
}

/* Shares of the targets that are among the first k of their columns. */
static void
check_accuracy(const tfrs_descent *descent)
{
	const tfrs_ragged *target = &descent->negatives.target;
	double		weight = 0;
	double		hits = 0;

	for (size_t row = 0; row < descent->batch.rows; row++)
	{
		columns		c;

		fill_columns(descent, row, &c);
		for (size_t t = target->start[row]; t < target->start[row + 1]; t++)
		{
			double		above = 0;

			for (size_t j = 0; j < c.count; j++)
				if ((!c.hidden[j] || c.stands[j] == 0) &&
					c.logit[j] > c.logit[target->item[t]] + 1e-9)
					above += c.stands[j];
			weight += target->weight[t];
			hits += above < descent->options->batch_accuracy.k[0] ? target->weight[t] : 0;
		}
	}
	CHECK_NEAR(descent->accuracy.weight, weight, 1e-4);
	CHECK_NEAR(descent->accuracy.hits[0], hits, 1e-4);
}

static void
check_step(const step_case *c)
{
	scene		s;
	bool		stepped = false;

	begin(&s, c);
	while (s.descent.step == 0)
		CHECK_STATUS(tfrs_descent_step(&s.descent, &stepped, &check_error), TFRS_MORE);
	for (size_t t = 0; t < s.descent.parameters.count; t++)	/* far from 0, where cosines are steep */
		for (size_t i = 0; i < s.descent.parameters.tensor[t].rows * DIM; i++)
			s.descent.parameters.tensor[t].values[i] *= 20.0f;
	keep_parameters(&s.descent);
	while (!stepped)
		CHECK_STATUS(tfrs_descent_step(&s.descent, &stepped, &check_error), TFRS_MORE);
	CHECK(s.descent.batch.rows > 1);
	if (fabs(s.descent.total - loss_of_batch(&s.descent)) > 1e-4 * fmax(1, s.descent.total))
		check_fail(__FILE__, __LINE__, "%s: the loss is %g and not %g", c->name, s.descent.total,
				   loss_of_batch(&s.descent));
	if (s.options.batch_accuracy.count > 0)
		check_accuracy(&s.descent);
	check_moves(c, &s.descent);
	end(&s);
}

static void
no_norm(tfrs_train_options *options)
{
	options->normalize = false;
	options->candidate_bias = false;
}

/* Of a sum of nothing the norm has no slope, so nothing is left out of the bags. */
static void
bias(tfrs_train_options *options)
{
	options->history.dropout = 0.0f;
	options->candidate_bias = true;
	options->normalize = true;
}

static void
tied(tfrs_train_options *options)
{
	options->history.tied = true;
}

static void
sampled(tfrs_train_options *options)
{
	options->history.columns = 5;
}

static void
penalty(tfrs_train_options *options)
{
	options->l2 = 0.03f;
	options->clip_norm = 0.05f;
}

/* Among equal logits there is no hardest one, so nothing is left out of the bags. */
static void
hard(tfrs_train_options *options)
{
	options->history.dropout = options->dropout = 0.0f;
	options->loss.hard_negatives = 3;
}

static void
hard_masked(tfrs_train_options *options)
{
	options->loss.hard_negatives = 3;
	options->loss.remove_accidental_hits = true;
	options->mask_known = true;
}

static void
bsl(tfrs_train_options *options)
{
	options->loss.kind = TFRS_LOSS_BSL;
	options->loss.bsl_power = 1.3f;
}

static void
ccl(tfrs_train_options *options)
{
	options->loss.kind = TFRS_LOSS_CCL;
	options->loss.ccl_margin = 0.1f;
	options->loss.ccl_weight = 7.0f;
	options->normalize = true;
	options->history.dropout = 0.0f;
}

static void
ccl_sampled(tfrs_train_options *options)
{
	ccl(options);
	options->history.columns = 5;
}

static void
uniform(tfrs_train_options *options)
{
	options->uniform_negatives = 6;
	options->correction = TFRS_CORRECTION_IN_BATCH;
}

static void
uncorrected(tfrs_train_options *options)
{
	options->correction = TFRS_CORRECTION_NONE;
	options->mask_known = false;
}

static void
corrected(tfrs_train_options *options)
{
	options->correction = TFRS_CORRECTION_CORRECTED;
	options->mask_known = false;
}

static void
unmasked(tfrs_train_options *options)
{
	options->mask_known = false;
}

static void
full(tfrs_train_options *options)
{
	options->full_softmax = true;
	options->correction = TFRS_CORRECTION_NONE;
}

static void
unknown(tfrs_train_options *options)
{
	options->id_dropout = 0.4f;
}

static void
other_reduction(tfrs_train_options *options)
{
	options->reduction = options->reduction == TFRS_REDUCTION_SUM ? TFRS_REDUCTION_MEAN
		: TFRS_REDUCTION_SUM;
}

static void
accuracy(tfrs_train_options *options)
{
	options->batch_accuracy = (tfrs_cutoffs) {.count = 1,.k = {3}};
}

static void
plain(tfrs_train_options *options)
{
	options->form = TFRS_FORM_PLAIN;
	options->uniform_negatives = 4;
}

#define EVERY_TOWER(change) \
	{#change " of tables", TABLES, true, change}, \
	{#change " of next states", STATES, true, change}, \
	{#change " of hide states", STATES, false, change}, \
	{#change " of interactions", INTERACTIONS, true, change}, \
	{#change " of interactions without times", INTERACTIONS, false, change}

/* What works with one tower works with all. */
CHECK_TEST(a_step_is_its_formula)
{
	static const step_case cases[] = {
		EVERY_TOWER(NULL), EVERY_TOWER(no_norm), EVERY_TOWER(bias), EVERY_TOWER(penalty),
		EVERY_TOWER(bsl), EVERY_TOWER(ccl), EVERY_TOWER(full), EVERY_TOWER(unknown),
		EVERY_TOWER(unmasked), EVERY_TOWER(hard), EVERY_TOWER(other_reduction),
		EVERY_TOWER(accuracy)
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_step(&cases[i]);
}

/* What the mathematics has for some only. */
CHECK_TEST(a_step_of_some_towers_is_its_formula)
{
	static const step_case cases[] = {
		{"tied states", STATES, true, tied},
		{"tied hide states", STATES, false, tied},
		{"tied interactions", INTERACTIONS, true, tied},
		{"sampled states", STATES, true, sampled},
		{"sampled hide states", STATES, false, sampled},
		{"sampled ccl", STATES, true, ccl_sampled},
		{"uniform tables", TABLES, true, uniform},
		{"uniform interactions", INTERACTIONS, true, uniform},
		{"uncorrected tables", TABLES, true, uncorrected},
		{"uncorrected interactions", INTERACTIONS, true, uncorrected},
		{"corrected tables", TABLES, true, corrected},
		{"corrected interactions", INTERACTIONS, true, corrected},
		{"plain tables", TABLES, true, plain},
		{"hard negatives behind masks", TABLES, true, hard_masked}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_step(&cases[i]);
}

/* The loss of all queries' states falls, steps are counted, and the last one is the last. */
CHECK_TEST(steps_lower_the_loss)
{
	step_case	c = {"states", STATES, true, bias};
	scene		s;
	double		first = 0;
	double		last = 0;
	uint64_t	steps = 0;
	tfrs_status status = TFRS_MORE;

	begin(&s, &c);
	s.options.history.steps = 300;
	s.options.dropout = 0.0f;
	tfrs_optimizer_default(&s.options.optimizer, TFRS_SGD);
	s.options.optimizer.learning_rate = 0.5f;
	while (status == TFRS_MORE)
	{
		bool		stepped;

		status = tfrs_descent_step(&s.descent, &stepped, &check_error);
		steps += stepped;
		if (stepped && steps <= 50)
			first += s.descent.total;
		if (stepped && steps > 250)
			last += s.descent.total;
	}
	CHECK_OK(status);
	CHECK_EQUAL(steps, 300);
	CHECK(last < 0.9 * first);
	end(&s);
}

/* Biases begin at 0, everything else within 0.05 of it. */
CHECK_TEST(initial_values)
{
	for (int tower = TABLES; tower <= STATES; tower++)
	{
		step_case	c = {"initial", (tower_kind) tower, true, bias};
		scene		s;
		bool		stepped;

		begin(&s, &c);
		while (s.descent.step == 0)
			CHECK_STATUS(tfrs_descent_step(&s.descent, &stepped, &check_error), TFRS_MORE);
		CHECK_EQUAL(s.descent.parameters.count, tower == TABLES ? 2 : 4);
		for (size_t t = 0; t < s.descent.parameters.count; t++)
			for (size_t i = 0; i < s.descent.parameters.tensor[t].rows * DIM; i++)
			{
				float		value = s.descent.parameters.tensor[t].values[i];

				CHECK(i % DIM == DIM - 1 ? value == 0 : fabsf(value) <= 0.05f && value != 0);
			}
		end(&s);
	}
}

CHECK_TEST(divergence_is_reported)
{
	for (int tower = TABLES; tower <= INTERACTIONS; tower++)
	{
		step_case	c = {"divergence", (tower_kind) tower, false, no_norm};
		scene		s;
		bool		stepped;
		tfrs_status status = TFRS_MORE;

		begin(&s, &c);
		s.options.optimizer.learning_rate = 3e38f;
		while (status == TFRS_MORE)
			status = tfrs_descent_step(&s.descent, &stepped, &check_error);
		CHECK_EQUAL(status, TFRS_NOT_FINITE);
		end(&s);
	}
}
