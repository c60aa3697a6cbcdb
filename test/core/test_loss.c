/*
 * test_loss.c: the loss against its formula in double precision, the two forms against each other,
 * gradients against finite differences, and independence of threads and steps.
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/matmul.h"
#include "base/random.h"
#include "check.h"
#include "learning/loss.h"
#include "learning/softmax.h"

#define TOLERANCE 2e-5

static void *
take(size_t count, size_t size)
{
	void	   *result;

	CHECK_OK(tfrs_arena_get_zero(check_arena(), &result, count, size, &check_error));
	return result;
}

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

#define TAKE(count, type) ((type *) take((count), sizeof(type)))

/*
 * A batch as it comes from a table: rows (user, item), extra columns of items.  Both forms are made
 * of it.  Vectors belong to users (H heads in the plain form) and items.
 */
typedef struct scene
{
	size_t		users;			/* U */
	size_t		items;			/* V */
	size_t		rows;			/* B */
	size_t		columns;		/* C = B + extra columns */
	size_t		dim;			/* D */
	size_t		heads;			/* H */
	float	   *user;			/* (U, H, D) */
	float	   *item;			/* (V, D) */
	uint32_t   *row_user;		/* (B) */
	uint32_t   *column_item;	/* (C) */
	float	   *weight;			/* (B) or NULL */
	float	   *item_probability;	/* (V) or NULL */
	bool	   *hidden;			/* (U, V) or NULL: user u never sees item v as a negative */
	tfrs_loss_options options;
} scene;

/* Loss and gradients by user and item, whatever form they come from. */
typedef struct outcome
{
	double		total;
	double	   *d_user;			/* (U, H, D) */
	double	   *d_item;			/* (V, D) */
} outcome;

typedef struct features
{
	size_t		users;
	size_t		items;
	size_t		rows;
	size_t		extra;
	size_t		dim;
	size_t		heads;
	bool		weight;
	bool		probability;
	bool		hidden;
	bool		hits;
	bool		leave_out;
	uint32_t	hard;
	tfrs_loss_kind kind;
	float		temperature;
	float		scale;			/* of the vectors; 0: 1 */
} features;

static scene
make_scene(const features *f, uint64_t seed)
{
	scene		s = {.users = f->users,.items = f->items,.rows = f->rows,.dim = f->dim};
	float		scale = f->scale > 0.0f ? f->scale : 1.0f;
	tfrs_random random;

	tfrs_random_init(&random, seed, 0, 0);
	s.columns = f->rows + f->extra;
	s.heads = f->heads == 0 ? 1 : f->heads;
	s.user = TAKE(s.users * s.heads * s.dim, float);
	s.item = TAKE(s.items * s.dim, float);
	s.row_user = TAKE(s.rows, uint32_t);
	s.column_item = TAKE(s.columns, uint32_t);
	tfrs_random_fill(&random, s.user, s.users * s.heads * s.dim, -scale, scale);
	tfrs_random_fill(&random, s.item, s.items * s.dim, -scale, scale);
	for (size_t i = 0; i < s.rows; i++)
		s.row_user[i] = tfrs_random_below(&random, (uint32_t) s.users);
	for (size_t j = 0; j < s.columns; j++)
		s.column_item[j] = tfrs_random_below(&random, (uint32_t) s.items);
	if (f->weight)
		s.weight = TAKE(s.rows, float);
	for (size_t i = 0; f->weight && i < s.rows; i++)
		s.weight[i] = tfrs_random_float(&random) * 2.0f;
	if (f->probability)
		s.item_probability = TAKE(s.items, float);
	for (size_t v = 0; f->probability && v < s.items; v++)
		s.item_probability[v] = v % 7 == 0 ? 0.0f : tfrs_random_float(&random) * 0.2f;
	if (f->hidden)
		s.hidden = TAKE(s.users * s.items, bool);
	for (size_t c = 0; f->hidden && c < s.users * s.items; c++)
		s.hidden[c] = tfrs_random_below(&random, 4) == 0;
	tfrs_loss_options_default(&s.options);
	s.options.temperature = f->temperature > 0.0f ? f->temperature : 1.0f;
	s.options.remove_accidental_hits = f->hits;
	s.options.hard_negatives = f->hard;
	s.options.kind = f->kind;
	s.options.bsl_power = 1.3f;
	s.options.ccl_margin = 0.1f;
	s.options.ccl_weight = 7.0f;
	s.options.leave_positive_out = f->leave_out;
	return s;
}

static outcome
make_outcome(const scene *s)
{
	outcome		o = {0.0, NULL, NULL};

	o.d_user = TAKE(s->users * s->heads * s->dim, double);
	o.d_item = TAKE(s->items * s->dim, double);
	return o;
}

static double
best_score(const scene *s, size_t user, size_t item)
{
	double		best = -INFINITY;

	for (size_t h = 0; h < s->heads; h++)
	{
		double		score = 0.0;

		for (size_t d = 0; d < s->dim; d++)
			score += (double) s->user[(user * s->heads + h) * s->dim + d] *
				s->item[item * s->dim + d];
		best = fmax(best, score);
	}
	return best;
}

static double
log_probability(const scene *s, size_t item)
{
	if (s->item_probability == NULL)
		return 0.0;
	return log(fmin(fmax(s->item_probability[item], s->options.probability_floor), 1.0));
}

/* Whether column j is among what row i's positive is compared with (its own is added besides). */
static bool
is_negative(const scene *s, size_t i, size_t j)
{
	size_t		item = s->column_item[j];

	if (j == i || (s->options.remove_accidental_hits && item == s->column_item[i]))
		return false;
	return s->hidden == NULL || !s->hidden[s->row_user[i] * s->items + item];
}

static int
descending(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x < y) - (x > y);
}

/* The loss ccl of a row by the book. */
static double
hinge_by_formula(const scene *s, size_t i)
{
	double		weights = 0.0;
	double		sum = 0.0;

	for (size_t j = 0; j < s->columns; j++)
	{
		double		weight = exp(-log_probability(s, s->column_item[j]));
		double		excess = best_score(s, s->row_user[i], s->column_item[j]) -
			s->options.ccl_margin;

		weights += weight;
		sum += is_negative(s, i, j) ? weight * fmax(excess, 0.0) : 0.0;
	}
	return 1.0 - best_score(s, s->row_user[i], s->column_item[i]) +
		s->options.ccl_weight * sum / weights;
}

/* A row's loss by the book, and how many of its negatives are above its positive. */
static double
row_loss_by_formula(const scene *s, size_t i, size_t *above)
{
	double	   *negative = TAKE(s->columns, double);
	size_t		count = 0;
	double		positive = best_score(s, s->row_user[i], s->column_item[i]) /
		s->options.temperature;
	double		sum = 0.0;

	*above = 0;
	if (s->options.kind == TFRS_LOSS_CCL)
		return hinge_by_formula(s, i);
	if (!s->options.leave_positive_out)
		positive -= log_probability(s, s->column_item[i]);
	for (size_t j = 0; j < s->columns; j++)
	{
		if (!is_negative(s, i, j))
			continue;
		negative[count] = best_score(s, s->row_user[i], s->column_item[j]) /
			s->options.temperature - log_probability(s, s->column_item[j]);
		if (s->options.leave_positive_out)
			negative[count] -= log(fmax((double) s->columns - 1.0, 1.0));
		count++;
	}
	qsort(negative, count, sizeof(*negative), descending);
	if (s->options.hard_negatives > 0 && s->options.hard_negatives < count)
		count = s->options.hard_negatives;
	for (size_t n = 0; n < count; n++)
	{
		sum += exp(negative[n] - positive);
		*above += negative[n] > positive;
	}
	tfrs_arena_release(check_arena(), negative);
	if (s->options.kind == TFRS_LOSS_BSL)
		return sum > 0.0 ? s->options.bsl_power * (log(sum) + positive) - positive : 0.0;
	return log1p(sum);
}

static double
loss_by_formula(const scene *s)
{
	double		total = 0.0;
	size_t		above;

	for (size_t i = 0; i < s->rows; i++)
		total += (s->weight == NULL ? 1.0 : s->weight[i]) * row_loss_by_formula(s, i, &above);
	return total;
}

static double
finish(tfrs_loss *loss)
{
	tfrs_status status;
	double		total = -1.0;

	while ((status = tfrs_loss_step(loss, &total)) == TFRS_MORE)
		;
	CHECK_OK(status);
	return total;
}

/* The memory of a plain batch, made of a scene. */
typedef struct plain
{
	tfrs_loss_batch batch;
	float	   *query;
	float	   *candidate;
	float	   *probability;
	uint64_t   *masked;
} plain;

static void
mask_cells(const scene *s, plain *p)
{
	p->masked = TAKE(s->rows * s->columns, uint64_t);
	for (size_t i = 0; i < s->rows; i++)
		for (size_t j = 0; j < s->columns; j++)
			if (i != j && s->hidden[s->row_user[i] * s->items + s->column_item[j]])
				p->masked[p->batch.masked_count++] = i * s->columns + j;
	p->batch.masked = p->masked;
}

static plain
make_plain(const scene *s)
{
	plain		p = {.query = NULL};
	size_t		floats = s->heads * s->dim;

	p.batch.queries = s->rows;
	p.batch.candidates = s->columns;
	p.batch.dim = s->dim;
	p.batch.heads = s->heads;
	p.query = TAKE(s->rows * floats, float);
	p.candidate = TAKE(s->columns * s->dim, float);
	for (size_t i = 0; i < s->rows; i++)
		memcpy(p.query + i * floats, s->user + s->row_user[i] * floats, floats * sizeof(float));
	for (size_t j = 0; j < s->columns; j++)
		memcpy(p.candidate + j * s->dim, s->item + s->column_item[j] * s->dim,
			   s->dim * sizeof(float));
	p.batch.query = p.query;
	p.batch.candidate = p.candidate;
	p.batch.weight = s->weight;
	if (s->item_probability != NULL)
	{
		p.probability = TAKE(s->columns, float);
		for (size_t j = 0; j < s->columns; j++)
			p.probability[j] = s->item_probability[s->column_item[j]];
		p.batch.probability = p.probability;
	}
	if (s->options.remove_accidental_hits)
		p.batch.candidate_id = s->column_item;
	if (s->hidden != NULL)
		mask_cells(s, &p);
	p.batch.d_query = TAKE(s->rows * floats, float);
	p.batch.d_candidate = TAKE(s->columns * s->dim, float);
	p.batch.row_loss = TAKE(s->rows, double);
	p.batch.row_above = TAKE(s->rows, uint32_t);
	return p;
}

static void
run_plain(plain *p, const scene *s, int threads, double *total)
{
	tfrs_loss  *loss;

	CHECK_OK(tfrs_loss_create(&loss, check_arena(), threads, &check_error));
	CHECK_OK(tfrs_loss_begin(loss, &p->batch, &s->options, &check_error));
	*total = finish(loss);
	tfrs_loss_destroy(loss);
}

static outcome
plain_outcome(const scene *s)
{
	plain		p = make_plain(s);
	outcome		o = make_outcome(s);
	size_t		floats = s->heads * s->dim;

	run_plain(&p, s, 1, &o.total);
	for (size_t i = 0; i < s->rows; i++)
		for (size_t d = 0; d < floats; d++)
			o.d_user[s->row_user[i] * floats + d] += p.batch.d_query[i * floats + d];
	for (size_t j = 0; j < s->columns; j++)
		for (size_t d = 0; d < s->dim; d++)
			o.d_item[s->column_item[j] * s->dim + d] += p.batch.d_candidate[j * s->dim + d];
	return o;
}

/* A distinct batch of a scene: all users and all items, whether they occur or not. */
typedef struct distinct
{
	tfrs_softmax_batch batch;
	float	   *count;			/* (V) */
	tfrs_ragged target;
	tfrs_ragged hidden;
} distinct;

static tfrs_ragged
make_lists(size_t rows, size_t items, bool has_weight)
{
	tfrs_ragged lists = {.row_capacity = rows,.capacity = items,.has_weight = has_weight};

	lists.start = TAKE(rows + 1, size_t);
	lists.item = TAKE(items, uint32_t);
	if (has_weight)
		lists.weight = TAKE(items, float);
	return lists;
}

/* The targets of user u: distinct items with the sum of their rows' weights. */
static void
push_targets(const scene *s, distinct *d, size_t u)
{
	for (size_t v = 0; v < s->items; v++)
	{
		size_t		rows = 0;
		float		weight = 0.0f;

		for (size_t i = 0; i < s->rows; i++)
		{
			if (s->row_user[i] != u || s->column_item[i] != v)
				continue;
			weight += s->weight == NULL ? 1.0f : s->weight[i];
			rows++;
		}
		if (rows > 0)
			tfrs_ragged_push(&d->target, (uint32_t) v, weight);
	}
	tfrs_ragged_end_row(&d->target);
}

static distinct
make_distinct(const scene *s)
{
	distinct	d = {.count = TAKE(s->items, float)};

	d.target = make_lists(s->users, s->rows, true);
	d.hidden = make_lists(s->users, s->users * s->items, false);
	for (size_t j = 0; j < s->columns; j++)
		d.count[s->column_item[j]] += 1.0f;
	for (size_t u = 0; u < s->users; u++)
	{
		push_targets(s, &d, u);
		for (size_t v = 0; s->hidden != NULL && v < s->items; v++)
			if (s->hidden[u * s->items + v])
				tfrs_ragged_push(&d.hidden, (uint32_t) v, 0.0f);
		tfrs_ragged_end_row(&d.hidden);
	}
	d.batch = (tfrs_softmax_batch) {
		.rows = s->users, .columns = s->items, .dim = s->dim, .query = s->user,
		.candidate = s->item, .count = d.count, .probability = s->item_probability,
		.d_query = TAKE(s->users * s->dim, float),
		.d_candidate = TAKE(s->items * s->dim, float),
		.target_loss = TAKE(d.target.count, double)
	};
	return d;
}

/* Points the batch at the lists, which may have moved. */
static const tfrs_softmax_batch *
batch_of(distinct *d, const scene *s)
{
	d->batch.target = &d->target;
	d->batch.hidden = s->hidden == NULL && d->hidden.count == 0 ? NULL : &d->hidden;
	return &d->batch;
}

static double
finish_softmax(tfrs_softmax *softmax)
{
	double		total;

	while (tfrs_softmax_step(softmax, &total) == TFRS_MORE)
		;
	return total;
}

static void
run_distinct(distinct *d, const scene *s, int threads, double *total)
{
	tfrs_softmax *softmax;

	CHECK_OK(tfrs_softmax_create(&softmax, check_arena(), threads, &check_error));
	CHECK_OK(tfrs_softmax_begin(softmax, batch_of(d, s), &s->options, &check_error));
	*total = finish_softmax(softmax);
	tfrs_softmax_destroy(softmax);
}

static outcome
distinct_outcome(const scene *s)
{
	distinct	d = make_distinct(s);
	outcome		o = make_outcome(s);

	run_distinct(&d, s, 1, &o.total);
	for (size_t i = 0; i < s->users * s->dim; i++)
		o.d_user[i] = d.batch.d_query[i];
	for (size_t i = 0; i < s->items * s->dim; i++)
		o.d_item[i] = d.batch.d_candidate[i];
	return o;
}

static double
largest(const double *values, size_t count)
{
	double		result = 1.0;

	for (size_t i = 0; i < count; i++)
		result = fmax(result, fabs(values[i]));
	return result;
}

static void
check_equal_arrays(const double *got, const double *expected, size_t count)
{
	double		tolerance = TOLERANCE * largest(expected, count);

	for (size_t i = 0; i < count; i++)
		CHECK_NEAR(got[i], expected[i], tolerance);
}

static void
check_outcomes(const scene *s, const outcome *got, const outcome *expected)
{
	CHECK_NEAR(got->total, expected->total, TOLERANCE * fmax(1.0, fabs(expected->total)));
	check_equal_arrays(got->d_user, expected->d_user, s->users * s->heads * s->dim);
	check_equal_arrays(got->d_item, expected->d_item, s->items * s->dim);
}

/* Gradients by central differences of the formula, at some of the parameters. */
static void
check_gradient(scene *s, float *parameters, const double *gradient, size_t count)
{
	double		tolerance = 2e-4 * largest(gradient, count);
	size_t		stride = count / 23 + 1;

	for (size_t i = 0; i < count; i += stride)
	{
		float		kept = parameters[i];
		float		high = kept + 1e-4f;
		float		low = kept - 1e-4f;
		double		above;

		parameters[i] = high;
		above = loss_by_formula(s);
		parameters[i] = low;
		above -= loss_by_formula(s);
		parameters[i] = kept;
		CHECK_NEAR(gradient[i], above / ((double) high - low), tolerance);
	}
}

static void
check_formula(const features *f, uint64_t seed)
{
	scene		s = make_scene(f, seed);
	outcome		o = plain_outcome(&s);
	double		expected = loss_by_formula(&s);

	CHECK_NEAR(o.total, expected, TOLERANCE * fmax(1.0, fabs(expected)));
	check_gradient(&s, s.user, o.d_user, s.users * s.heads * s.dim);
	check_gradient(&s, s.item, o.d_item, s.items * s.dim);
}

CHECK_TEST(plain_form_is_the_formula)
{
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.dim = 5}, 1);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.extra = 6,.dim = 5,
							   .temperature = 0.5f}, 2);
	check_formula(&(features) {.users = 3,.items = 4,.rows = 1,.dim = 1}, 3);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.extra = 3,.dim = 4,
							   .weight = true,.probability = true}, 4);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.extra = 3,.dim = 4,
							   .hits = true,.probability = true,.temperature = 2.0f}, 5);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.extra = 3,.dim = 4,
							   .hidden = true,.hits = true,.weight = true}, 6);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.dim = 4,.leave_out = true}, 7);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.dim = 4,.leave_out = true,
							   .hits = true,.probability = true,.weight = true}, 8);
	check_formula(&(features) {.users = 30,.items = 40,.rows = 30,.extra = 9,.dim = 4,
							   .heads = 3,.probability = true}, 9);
}

CHECK_TEST(other_losses_are_the_formula)
{
	for (int kind = TFRS_LOSS_BSL; kind <= TFRS_LOSS_CCL; kind++)
	{
		features	f = {.users = 9,.items = 7,.rows = 20,.dim = 5,.kind = (tfrs_loss_kind) kind};

		check_formula(&f, 20);
		f.extra = 6;
		f.weight = f.probability = true;
		check_formula(&f, 21);
		f.hidden = f.hits = true;
		check_formula(&f, 22);
		f.leave_out = kind == TFRS_LOSS_BSL;
		f.temperature = 0.5f;
		check_formula(&f, 23);
	}
}

CHECK_TEST(reference_kernels_are_the_formula)
{
	tfrs_kernels_choose(false);
	tfrs_matmul_use_blas(false);
	check_formula(&(features) {.users = 9,.items = 7,.rows = 20,.extra = 3,.dim = 4,
							   .weight = true,.probability = true,.hits = true}, 10);
	check_formula(&(features) {.users = 30,.items = 40,.rows = 30,.extra = 9,.dim = 4,
							   .heads = 3,.leave_out = true}, 11);
	tfrs_kernels_choose(true);
	tfrs_matmul_use_blas(true);
}

CHECK_TEST(hard_negatives_are_the_formula)
{
	/* distinct items: among equal ones the formula's choice would be arbitrary */
	for (uint32_t hard = 1; hard < 14; hard += 3)
	{
		features	f = {.users = 12,.items = 9000,.rows = 12,.dim = 6,.hard = hard,
		.probability = true};

		check_formula(&f, 20 + hard);
		f.heads = 2;
		f.leave_out = true;
		check_formula(&f, 40 + hard);
	}
}

/* Each cell of what the core tells of its logits and their gradient. */
static void
check_cells(const scene *s, const plain *p, size_t i)
{
	const float *logits = p->batch.logits + i * s->columns;
	const float *d_logits = p->batch.d_logits + i * s->columns;

	for (size_t j = 0; j < s->columns; j++)
	{
		double		logit = best_score(s, s->row_user[i], s->column_item[j]) /
			s->options.temperature - log_probability(s, s->column_item[j]);
		double		share = exp(logit - logits[i] - p->batch.row_loss[i]) - (i == j);

		if (i != j && !is_negative(s, i, j))
		{
			CHECK(logits[j] < -1e36f);
			CHECK(d_logits[j] == 0.0f);
			continue;
		}
		CHECK_NEAR(logits[j], logit, TOLERANCE * fmax(1.0, fabs(logit)));
		CHECK_NEAR(d_logits[j], (s->weight == NULL ? 1.0 : s->weight[i]) * share, 1e-4);
	}
}

static void
check_rows(const features *f, uint64_t seed)
{
	scene		s = make_scene(f, seed);
	plain		p = make_plain(&s);
	double		total;

	p.batch.logits = TAKE(s.rows * s.columns, float);
	p.batch.d_logits = TAKE(s.rows * s.columns, float);
	run_plain(&p, &s, 1, &total);
	CHECK_NEAR(total, loss_by_formula(&s), TOLERANCE * total);
	for (size_t i = 0; i < s.rows; i++)
	{
		size_t		above;
		double		expected = row_loss_by_formula(&s, i, &above);

		CHECK_NEAR(p.batch.row_loss[i], expected, TOLERANCE * fmax(1.0, expected));
		CHECK_EQUAL(p.batch.row_above[i], above);
		check_cells(&s, &p, i);
	}
}

/* More columns than a block has, more rows than a tile: no multiple of either, and multiples. */
CHECK_TEST(plain_form_over_several_blocks_and_tiles)
{
	check_rows(&(features) {.users = 90,.items = 400,.rows = 301,.extra = 800,.dim = 19,
							.probability = true,.hits = true,.weight = true,.hidden = true,
							.temperature = 0.3f}, 31);
	check_rows(&(features) {.users = 90,.items = 400,.rows = 256,.extra = 768,.dim = 8}, 32);
	check_rows(&(features) {.users = 90,.items = 400,.rows = 128,.extra = 384,.dim = 8}, 33);
}

CHECK_TEST(forms_agree)
{
	/* every combination of what both forms can do, on batches in which rows repeat */
	for (unsigned bits = 0; bits < 64; bits++)
	{
		features	f = {.users = 13,.items = 11,.rows = 50,.dim = 6};
		scene		s;
		outcome		a;
		outcome		b;

		f.extra = bits & 1 ? 17 : 0;
		f.weight = bits & 2;
		f.probability = bits & 4;
		f.hits = bits & 8;
		f.leave_out = bits & 16;
		f.temperature = bits & 32 ? 0.25f : 1.0f;
		s = make_scene(&f, 100 + bits);
		a = distinct_outcome(&s);
		b = plain_outcome(&s);
		check_outcomes(&s, &a, &b);
	}
}

CHECK_TEST(forms_agree_on_other_losses)
{
	for (unsigned bits = 0; bits < 64; bits++)
	{
		features	f = {.users = 13,.items = 11,.rows = 50,.extra = 9,.dim = 6};
		scene		s;
		outcome		a;
		outcome		b;

		f.kind = bits & 1 ? TFRS_LOSS_BSL : TFRS_LOSS_CCL;
		f.weight = bits & 2;
		f.probability = bits & 4;
		f.hits = bits & 8;
		f.leave_out = bits & 16;
		f.hidden = bits & 32;
		s = make_scene(&f, 200 + bits);
		a = distinct_outcome(&s);
		b = plain_outcome(&s);
		check_outcomes(&s, &a, &b);
	}
}

CHECK_TEST(forms_agree_over_several_blocks_and_tiles)
{
	for (int hits = 0; hits < 2; hits++)
	{
		features	f = {.users = 280,.items = 700,.rows = 900,.extra = 300,.dim = 24,
		.probability = true,.weight = true,.hits = hits,.scale = 0.5f};
		scene		s = make_scene(&f, 7);
		outcome		a = distinct_outcome(&s);
		outcome		b = plain_outcome(&s);

		check_outcomes(&s, &a, &b);
	}
}

CHECK_TEST(forms_agree_on_masks)
{
	for (unsigned bits = 0; bits < 16; bits++)
	{
		features	f = {.users = 13,.items = 21,.rows = 40,.extra = 5,.dim = 6,.hidden = true};
		scene		s;
		outcome		a;
		outcome		b;

		f.probability = bits & 1;
		f.weight = bits & 2;
		f.leave_out = bits & 4;
		f.hits = bits & 8;
		s = make_scene(&f, 300 + bits);
		a = distinct_outcome(&s);
		b = plain_outcome(&s);
		check_outcomes(&s, &a, &b);
	}
}

/* With everything hidden but its own target a pair has no loss and no gradient. */
CHECK_TEST(no_negatives_no_loss)
{
	features	f = {.users = 5,.items = 6,.rows = 12,.dim = 3,.hidden = true,.hits = true};
	scene		s = make_scene(&f, 9);
	outcome		o;

	memset(s.hidden, true, s.users * s.items);
	for (int form = 0; form < 4; form++)
	{
		s.options.kind = form < 2 ? TFRS_LOSS_SOFTMAX : TFRS_LOSS_BSL;
		o = form % 2 == 0 ? plain_outcome(&s) : distinct_outcome(&s);
		CHECK_NEAR(o.total, 0.0, 1e-12);
		for (size_t i = 0; i < s.users * s.dim; i++)
			CHECK_NEAR(o.d_user[i], 0.0, 1e-6);
		for (size_t i = 0; i < s.items * s.dim; i++)
			CHECK_NEAR(o.d_item[i], 0.0, 1e-6);
	}
}

/* A column of count 0 counts in its own pairs alone, as one that is masked in every row does. */
CHECK_TEST(count_zero_is_no_negative)
{
	for (unsigned bits = 0; bits < 4; bits++)
	{
		features	f = {.users = 6,.items = 8,.rows = 20,.dim = 4};
		scene		s;
		distinct	counted;
		distinct	masked;
		double		total_counted;
		double		total_masked;

		f.hits = bits & 1;
		f.leave_out = bits & 2;
		s = make_scene(&f, 10);
		counted = make_distinct(&s);
		masked = make_distinct(&s);
		CHECK(counted.count[2] > 0.0f);
		masked.hidden.rows = 0;
		for (size_t u = 0; u < s.users; u++)
		{
			tfrs_ragged_push(&masked.hidden, 2, 0.0f);
			tfrs_ragged_end_row(&masked.hidden);
		}
		/* in the corrected sum the number of columns matters, so there both count 0 */
		masked.count[2] = f.leave_out ? 0.0f : 1.0f;
		counted.count[2] = 0.0f;
		run_distinct(&counted, &s, 1, &total_counted);
		run_distinct(&masked, &s, 1, &total_masked);
		CHECK_NEAR(total_counted, total_masked, 1e-6);
		for (size_t i = 0; i < s.users * s.dim; i++)
			CHECK_NEAR(counted.batch.d_query[i], masked.batch.d_query[i], 1e-5);
		for (size_t i = 0; i < s.items * s.dim; i++)
			CHECK_NEAR(counted.batch.d_candidate[i], masked.batch.d_candidate[i], 1e-5);
	}
}

CHECK_TEST(pair_losses_and_ranks)
{
	features	f = {.users = 9,.items = 30,.rows = 60,.extra = 10,.dim = 4,.probability = true};
	scene		s = make_scene(&f, 11);
	distinct	d = make_distinct(&s);
	double		total;

	d.batch.target_above = TAKE(d.target.count, uint32_t);
	run_distinct(&d, &s, 1, &total);
	for (size_t u = 0; u < s.users; u++)
		for (size_t t = d.target.start[u]; t < d.target.start[u + 1]; t++)
			for (size_t i = 0; i < s.rows; i++)
			{
				size_t		above;
				double		expected = row_loss_by_formula(&s, i, &above);

				if (s.row_user[i] != u || s.column_item[i] != d.target.item[t])
					continue;
				CHECK_NEAR(d.batch.target_loss[t], expected, TOLERANCE * fmax(1.0, expected));
				CHECK_EQUAL(d.batch.target_above[t], above);
			}
}

/* Offsets of a row are as good as a component of the vectors that is its own. */
CHECK_TEST(offsets_are_added_to_logits)
{
	features	f = {.users = 7,.items = 1200,.rows = 30,.dim = 4,.probability = true};
	scene		s = make_scene(&f, 23);
	distinct	d = make_distinct(&s);
	distinct	e = make_distinct(&s);
	float	   *offset = TAKE(s.items, float);
	const float *of_row[7];
	double		total;
	double		same;
	double		shifted;
	tfrs_random random;

	run_distinct(&d, &s, 1, &total);
	tfrs_random_init(&random, 1, 0, 0);
	for (size_t u = 0; u < s.users; u++)
		of_row[u] = offset;
	for (size_t v = 0; v < s.items; v++)
		offset[v] = 3.0f;
	e.batch.offset = of_row;
	run_distinct(&e, &s, 1, &same);
	CHECK_NEAR(same, total, 1e-4);	/* a constant changes nothing */
	tfrs_random_fill(&random, offset, s.items, -1.0f, 1.0f);
	run_distinct(&e, &s, 1, &shifted);
	s.options.probability_floor = 1e-30f;
	for (size_t v = 0; v < s.items; v++)
		s.item_probability[v] = fminf(fmaxf(s.item_probability[v], 1e-6f), 1.0f) *
			expf(-offset[v] - 2.0f);
	d.batch.probability = s.item_probability;
	run_distinct(&d, &s, 1, &total);
	CHECK_NEAR(shifted, total, 1e-4);
	for (size_t i = 0; i < s.items * s.dim; i++)
		CHECK_NEAR(e.batch.d_candidate[i], d.batch.d_candidate[i], 1e-4);
}

/* Equal heads are tied everywhere and share the gradient equally. */
CHECK_TEST(tied_heads_share)
{
	features	f = {.users = 6,.items = 40,.rows = 6,.extra = 30,.dim = 3,.heads = 2};
	scene		two = make_scene(&f, 12);
	scene		one = two;
	plain		p;
	plain		q;
	double		total_two;
	double		total_one;

	one.heads = 1;
	one.user = TAKE(one.users * one.dim, float);
	for (size_t u = 0; u < two.users; u++)
	{
		memcpy(two.user + (2 * u + 1) * two.dim, two.user + 2 * u * two.dim,
			   two.dim * sizeof(float));
		memcpy(one.user + u * one.dim, two.user + 2 * u * two.dim, two.dim * sizeof(float));
	}
	p = make_plain(&two);
	q = make_plain(&one);
	run_plain(&p, &two, 1, &total_two);
	run_plain(&q, &one, 1, &total_one);
	CHECK_NEAR(total_two, total_one, 1e-6 * total_one);
	for (size_t i = 0; i < two.rows * 2; i++)
		for (size_t d = 0; d < two.dim; d++)
			CHECK_NEAR(p.batch.d_query[i * two.dim + d],
					   0.5 * q.batch.d_query[i / 2 * two.dim + d], 1e-5);
}

/* Among equal negatives the earlier columns are kept. */
CHECK_TEST(hard_negatives_take_earlier_of_equal)
{
	const float query[2] = {1.0f, 1.0f};
	const float candidate[6] = {0.5f, 0.25f, 1.0f, 1.0f, 1.0f, 0.0f};
	float		d_logits[12];
	tfrs_loss_batch batch = {.queries = 2,.candidates = 6,.dim = 1,.heads = 1,.query = query,
	.candidate = candidate,.d_logits = d_logits};
	tfrs_loss_options options;
	tfrs_loss  *loss;

	tfrs_loss_options_default(&options);
	options.hard_negatives = 2;
	CHECK_OK(tfrs_loss_create(&loss, check_arena(), 1, &check_error));
	CHECK_OK(tfrs_loss_begin(loss, &batch, &options, &check_error));
	finish(loss);
	for (int i = 0; i < 2; i++)
	{
		CHECK(d_logits[6 * i + i] < 0.0f);
		CHECK(d_logits[6 * i + 1 - i] == 0.0f);
		CHECK(d_logits[6 * i + 2] > 0.0f && d_logits[6 * i + 3] > 0.0f);
		CHECK(d_logits[6 * i + 4] == 0.0f && d_logits[6 * i + 5] == 0.0f);
	}
}

CHECK_TEST(threads_and_gradients_left_out_change_nothing)
{
	features	f = {.users = 700,.items = 900,.rows = 1500,.extra = 400,.dim = 80,.scale = 0.3f,
	.probability = true,.weight = true,.hits = true};
	scene		s = make_scene(&f, 13);
	plain		a = make_plain(&s);
	distinct	c = make_distinct(&s);
	double		total_plain;
	double		total_distinct;

	run_plain(&a, &s, 1, &total_plain);
	run_distinct(&c, &s, 1, &total_distinct);
	for (int threads = 2; threads < 20; threads += 5)
	{
		plain		b = make_plain(&s);
		distinct	d = make_distinct(&s);
		double		total;

		run_plain(&b, &s, threads, &total);
		CHECK(total == total_plain);
		CHECK(memcmp(a.batch.d_query, b.batch.d_query, s.rows * s.dim * sizeof(float)) == 0);
		CHECK(memcmp(a.batch.d_candidate, b.batch.d_candidate,
					 s.columns * s.dim * sizeof(float)) == 0);
		run_distinct(&d, &s, threads, &total);
		CHECK(total == total_distinct);
		CHECK(memcmp(c.batch.d_query, d.batch.d_query, s.users * s.dim * sizeof(float)) == 0);
		CHECK(memcmp(c.batch.d_candidate, d.batch.d_candidate,
					 s.items * s.dim * sizeof(float)) == 0);
		b.batch.d_query = NULL;
		b.batch.d_candidate = NULL;
		b.batch.row_loss = NULL;
		run_plain(&b, &s, threads, &total);
		CHECK(total == total_plain);
	}
}

/* A loss is used again: for smaller and larger batches, and after one that was given up. */
CHECK_TEST(memory_is_used_again)
{
	tfrs_loss  *loss;

	CHECK_OK(tfrs_loss_create(&loss, check_arena(), 2, &check_error));
	for (int round = 0; round < 6; round++)
	{
		features	f = {.users = 30,.items = 50,.rows = round % 2 ? 400 : 20,.extra = 4,.dim = 8};
		scene		s = make_scene(&f, (uint64_t) round);
		plain		p = make_plain(&s);
		double		expected;

		run_plain(&p, &s, 1, &expected);
		CHECK_OK(tfrs_loss_begin(loss, &p.batch, &s.options, &check_error));
		CHECK_OK(tfrs_loss_begin(loss, &p.batch, &s.options, &check_error));
		CHECK_NEAR(finish(loss), expected, 0.0);
	}
	tfrs_loss_destroy(loss);
}

CHECK_TEST(steps_are_bounded)
{
	features	f = {.users = 2000,.items = 4000,.rows = 2000,.extra = 6000,.dim = 48,
	.scale = 0.1f};
	scene		s = make_scene(&f, 14);
	plain		p = make_plain(&s);
	tfrs_loss  *loss;
	double		total;
	int			steps = 1;

	CHECK_OK(tfrs_loss_create(&loss, check_arena(), 1, &check_error));
	CHECK_OK(tfrs_loss_begin(loss, &p.batch, &s.options, &check_error));
	while (tfrs_loss_step(loss, &total) == TFRS_MORE)
		steps++;
	CHECK(steps >= 3);
}

/* What the estimate says is what is taken; 16 lanes of d_candidate only while they are small. */
CHECK_TEST(bytes_are_those_taken)
{
	features	f = {.users = 700,.items = 900,.rows = 1500,.dim = 80};
	scene		s = make_scene(&f, 18);
	distinct	d = make_distinct(&s);
	tfrs_softmax_batch large = {.rows = 1000,.columns = 1000000,.dim = 64};
	tfrs_softmax *softmax;
	size_t		before = check_arena()->used;
	size_t		bytes = tfrs_softmax_bytes(&d.batch, d.target.count, &s.options, 3);

	CHECK_OK(tfrs_softmax_create(&softmax, check_arena(), 3, &check_error));
	CHECK_OK(tfrs_softmax_begin(softmax, batch_of(&d, &s), &s.options, &check_error));
	CHECK(check_arena()->used - before >= bytes);
	CHECK(check_arena()->used - before <= bytes + 2048);
	tfrs_softmax_destroy(softmax);
	CHECK_EQUAL(check_arena()->used, before);
	CHECK(tfrs_softmax_bytes(&large, 1000, &s.options, 1) < (size_t) 160 << 20);
	large.columns = SIZE_MAX / 8;
	CHECK(tfrs_softmax_bytes(&large, 1000, &s.options, 1) == SIZE_MAX);
}

CHECK_TEST(batch_without_rows)
{
	const float candidate[2] = {1.0f, 2.0f};
	float		d_candidate[2] = {5.0f, 5.0f};
	tfrs_loss_batch batch = {.queries = 0,.candidates = 1,.dim = 2,.heads = 1,.query = candidate,
	.candidate = candidate,.d_candidate = d_candidate};
	tfrs_loss_options options;
	tfrs_loss  *loss;

	tfrs_loss_options_default(&options);
	CHECK_OK(tfrs_loss_create(&loss, check_arena(), 3, &check_error));
	CHECK_OK(tfrs_loss_begin(loss, &batch, &options, &check_error));
	CHECK_NEAR(finish(loss), 0.0, 0.0);
	CHECK(d_candidate[0] == 0.0f && d_candidate[1] == 0.0f);
}

/* Logits of +-1e6: one candidate has all the mass, or two have half of it. */
CHECK_TEST(large_logits_stay_exact)
{
	const float query[2] = {1000.0f, -1000.0f};
	const float candidate[3] = {1000.0f, -1000.0f, 1000.0f};
	double		row_loss[2];
	float		d_query[2];
	tfrs_loss_batch batch = {.queries = 2,.candidates = 3,.dim = 1,.heads = 1,.query = query,
	.candidate = candidate,.row_loss = row_loss,.d_query = d_query};
	tfrs_loss_options options;
	tfrs_loss  *loss;

	tfrs_loss_options_default(&options);
	CHECK_OK(tfrs_loss_create(&loss, check_arena(), 1, &check_error));
	CHECK_OK(tfrs_loss_begin(loss, &batch, &options, &check_error));
	CHECK_NEAR(finish(loss), log(2.0), 1e-6);
	CHECK_NEAR(row_loss[1], 0.0, 1e-9);
	CHECK_NEAR(d_query[0], 0.0, 1e-3);
}

static tfrs_status
begin_plain(const scene *s, plain *p)
{
	tfrs_loss  *loss;

	CHECK_OK(tfrs_loss_create(&loss, check_arena(), 1, &check_error));
	return tfrs_loss_begin(loss, &p->batch, &s->options, &check_error);
}

CHECK_TEST(wrong_plain_batches)
{
	features	f = {.users = 4,.items = 5,.rows = 6,.extra = 2,.dim = 3,.weight = true,
	.probability = true,.hidden = true};
	scene		s = make_scene(&f, 15);
	plain		good = make_plain(&s);
	plain		p = good;
	uint64_t	positive[2] = {1, 2 * 8 + 2};
	uint64_t	unsorted[2] = {9, 1};
	uint64_t	outside[1] = {6 * 8};

	CHECK_OK(begin_plain(&s, &p));
	p.batch.candidates = 5;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, "more queries than candidates") != NULL);
	CHECK(strlen(check_error.detail) > 0 && strlen(check_error.hint) > 0);
	p = good;
	s.options.remove_accidental_hits = true;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, "needs candidate ids") != NULL);
	CHECK(strlen(check_error.hint) > 0);
	s.options.remove_accidental_hits = false;
	p.batch.masked = positive;
	p.batch.masked_count = 2;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, "hides the positive of row 3") != NULL);
	CHECK(strlen(check_error.hint) > 0);
	p.batch.masked = unsorted;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	p.batch.masked = outside;
	p.batch.masked_count = 1;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	p = good;
	s.weight[3] = -1.0f;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	s.weight[3] = NAN;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	s.weight[3] = 0.0f;
	CHECK_OK(begin_plain(&s, &p));
	p.probability[7] = NAN;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
	p.probability[7] = 0.5f;
	p.batch.candidates = TFRS_MAX_ROWS + 1;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_TOO_LARGE);
	p.batch.candidates = 0;
	p.batch.queries = 0;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_INVALID_ARGUMENT);
}

CHECK_TEST(embeddings_that_overflow)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY, FLT_MAX, 1e19f};
	features	f = {.users = 4,.items = 5,.rows = 6,.dim = 3};
	scene		s = make_scene(&f, 16);
	plain		p = make_plain(&s);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		float		kept = p.query[4];

		p.query[4] = bad[i];
		p.candidate[2] = 1e15f;
		CHECK_STATUS(begin_plain(&s, &p), TFRS_NOT_FINITE);
		p.candidate[2] = 1.0f;
		p.query[4] = kept;
		p.candidate[2] = bad[i];
		CHECK_STATUS(begin_plain(&s, &p), i < 4 ? TFRS_NOT_FINITE : TFRS_OK);
		p.candidate[2] = 1.0f;
	}
	s.options.temperature = 1e-37f;
	CHECK_STATUS(begin_plain(&s, &p), TFRS_NOT_FINITE);
}

static tfrs_status
begin_distinct(const scene *s, distinct *d)
{
	tfrs_softmax *softmax;

	CHECK_OK(tfrs_softmax_create(&softmax, check_arena(), 1, &check_error));
	return tfrs_softmax_begin(softmax, batch_of(d, s), &s->options, &check_error);
}

CHECK_TEST(wrong_distinct_batches)
{
	features	f = {.users = 4,.items = 5,.rows = 9,.dim = 3};
	scene		s = make_scene(&f, 17);
	distinct	d = make_distinct(&s);

	CHECK_OK(begin_distinct(&s, &d));
	s.options.hard_negatives = 3;
	CHECK_STATUS(begin_distinct(&s, &d), TFRS_UNSUPPORTED);
	s.options.hard_negatives = 0;
	d.count[1] = -1.0f;
	CHECK_STATUS(begin_distinct(&s, &d), TFRS_INVALID_ARGUMENT);
	d.count[1] = 1.0f;
}

CHECK_TEST(options_are_checked)
{
	tfrs_loss_options options;

	tfrs_loss_options_default(&options);
	CHECK(tfrs_loss_options_check(&options) == NULL);
	options.temperature = 0.0f;
	CHECK(strstr(tfrs_loss_options_check(&options), "temperature") != NULL);
	options.temperature = NAN;
	CHECK(strstr(tfrs_loss_options_check(&options), "temperature") != NULL);
	tfrs_loss_options_default(&options);
	options.probability_floor = 0.0f;
	CHECK(strstr(tfrs_loss_options_check(&options), "probability_floor") != NULL);
	options.probability_floor = 1.5f;
	CHECK(strstr(tfrs_loss_options_check(&options), "probability_floor") != NULL);
	tfrs_loss_options_default(&options);
	options.kind = (tfrs_loss_kind) 3;
	CHECK(strstr(tfrs_loss_options_check(&options), "softmax") != NULL);
	tfrs_loss_options_default(&options);
	options.bsl_power = 0.0f;
	CHECK(strstr(tfrs_loss_options_check(&options), "bsl_power") != NULL);
	tfrs_loss_options_default(&options);
	options.ccl_margin = -1.5f;
	CHECK(strstr(tfrs_loss_options_check(&options), "ccl_margin") != NULL);
	tfrs_loss_options_default(&options);
	options.ccl_weight = NAN;
	CHECK(strstr(tfrs_loss_options_check(&options), "ccl_weight") != NULL);
}

static tfrs_status
create_and_step(tfrs_arena *arena, tfrs_error *error)
{
	static const float vectors[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	static const uint32_t ids[4] = {1, 2, 1, 2};
	tfrs_loss_batch batch = {.queries = 4,.candidates = 4,.dim = 2,.heads = 1,.query = vectors,
	.candidate = vectors,.candidate_id = ids};
	tfrs_loss_options options;
	tfrs_loss  *loss;
	double		total;
	tfrs_status status = tfrs_loss_create(&loss, arena, 2, error);

	tfrs_loss_options_default(&options);
	options.remove_accidental_hits = true;
	if (status == TFRS_OK)
		status = tfrs_loss_begin(loss, &batch, &options, error);
	return status == TFRS_OK ? tfrs_loss_step(loss, &total) : status;
}

static tfrs_status
create_and_step_reporting(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = create_and_step(arena, error);

	if (status == TFRS_OK)
		error->status = TFRS_OK;
	return status;
}

CHECK_TEST(memory_that_runs_out)
{
	check_lack_of_memory(create_and_step_reporting);
}
