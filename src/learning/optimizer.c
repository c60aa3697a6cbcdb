/*
 * optimizer.c: the steps of Keras 2's optimizers (and TFRS's ClippyAdagrad), row by row.
 *
 * The caller has summed the gradients of a row that occurs several times, as Keras does before it
 * squares them.  All loops are elementwise over one row of D floats, so results do not depend on
 * the order of rows.
 *
 * Departure: where a gradient is 0 ClippyAdagrad leaves the parameter alone, even if accumulator
 * and epsilon are 0 and TFRS would make it NaN.
 */
#include "learning/optimizer.h"

#include <float.h>
#include <math.h>
#include <string.h>

void
tfrs_optimizer_default(tfrs_optimizer *optimizer, tfrs_optimizer_kind kind)
{
	memset(optimizer, 0, sizeof(*optimizer));
	optimizer->kind = kind;
	optimizer->learning_rate = kind == TFRS_ADAM ? 0.001f : 0.1f;
	optimizer->initial_accumulator_value = 0.1f;
	optimizer->epsilon = 1e-7f;
	optimizer->beta_1 = 0.9f;
	optimizer->beta_2 = 0.999f;
	optimizer->variable_relative_threshold = 0.1f;
	optimizer->absolute_threshold = 1e-7f;
}

static bool
not_negative(float value)
{
	return value >= 0.0f && value <= FLT_MAX;
}

static bool
is_share(float value)
{
	return value >= 0.0f && value < 1.0f;
}

const char *
tfrs_optimizer_check(const tfrs_optimizer *optimizer)
{
	if (optimizer->kind < TFRS_SGD || optimizer->kind > TFRS_CLIPPY_ADAGRAD)
		return "optimizer is not known";
	if (!not_negative(optimizer->learning_rate))
		return "learning_rate must be finite and not negative";
	if (!not_negative(optimizer->initial_accumulator_value))
		return "initial_accumulator_value must be finite and not negative";
	if (!not_negative(optimizer->epsilon))
		return "epsilon must be finite and not negative";
	if (optimizer->kind != TFRS_SGD && optimizer->epsilon == 0.0f &&
		(optimizer->kind == TFRS_ADAM || optimizer->initial_accumulator_value == 0.0f))
		return "epsilon must be positive, or nothing keeps a first step from dividing by 0";
	if (!is_share(optimizer->beta_1) || !is_share(optimizer->beta_2))
		return "beta_1 and beta_2 must be at least 0 and below 1";
	if (!not_negative(optimizer->variable_relative_threshold) ||
		!not_negative(optimizer->accumulator_relative_threshold) ||
		!not_negative(optimizer->absolute_threshold))
		return "thresholds must be finite and not negative";
	return NULL;
}

int
tfrs_optimizer_slots(const tfrs_optimizer *optimizer)
{
	switch (optimizer->kind)
	{
		case TFRS_SGD:
			return 0;
		case TFRS_ADAM:
			return 2;
		case TFRS_ADAGRAD:
		case TFRS_CLIPPY_ADAGRAD:
			break;
	}
	return 1;
}

bool
tfrs_optimizer_is_by_rows(const tfrs_optimizer *optimizer)
{
	switch (optimizer->kind)
	{
		case TFRS_SGD:
		case TFRS_ADAGRAD:
			return true;
		case TFRS_ADAM:
			return optimizer->lazy;
		default:
			return false;
	}
}

float
tfrs_optimizer_initial(const tfrs_optimizer *optimizer, int slot)
{
	(void) slot;
	return optimizer->kind == TFRS_ADAM ? 0.0f : optimizer->initial_accumulator_value;
}

/* Where row g of the gradient lies in the table, in floats. */
static size_t
offset_of(const tfrs_optimizer_table *table, size_t g)
{
	return (table->touched_row == NULL ? g : table->touched_row[g]) * table->dim;
}

static void
apply_sgd(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table)
{
	float		rate = optimizer->learning_rate;

	for (size_t g = 0; g < table->touched; g++)
	{
		float	   *value = table->values + offset_of(table, g);
		const float *gradient = table->gradient + g * table->dim;

		for (size_t d = 0; d < table->dim; d++)
			value[d] -= rate * gradient[d];
	}
}

static void
apply_adagrad(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table)
{
	float		rate = optimizer->learning_rate;
	float		epsilon = optimizer->epsilon;

	for (size_t g = 0; g < table->touched; g++)
	{
		size_t		offset = offset_of(table, g);
		float	   *restrict value = table->values + offset;
		float	   *restrict accumulator = table->slot[0] + offset;
		const float *restrict gradient = table->gradient + g * table->dim;

		for (size_t d = 0; d < table->dim; d++)
		{
			accumulator[d] += gradient[d] * gradient[d];
			value[d] -= rate * gradient[d] / sqrtf(accumulator[d] + epsilon);
		}
	}
}

static void
decay_moments(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table, size_t offset,
			  size_t count)
{
	float	   *restrict first = table->slot[0] + offset;
	float	   *restrict second = table->slot[1] + offset;

	for (size_t d = 0; d < count; d++)
	{
		first[d] *= optimizer->beta_1;
		second[d] *= optimizer->beta_2;
	}
}

static void
add_to_moments(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table, size_t g)
{
	float	   *restrict first = table->slot[0] + offset_of(table, g);
	float	   *restrict second = table->slot[1] + offset_of(table, g);
	const float *restrict gradient = table->gradient + g * table->dim;
	float		new_1 = 1.0f - optimizer->beta_1;
	float		new_2 = 1.0f - optimizer->beta_2;

	for (size_t d = 0; d < table->dim; d++)
	{
		first[d] += new_1 * gradient[d];
		second[d] += new_2 * gradient[d] * gradient[d];
	}
}

static void
move_by_moments(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table, size_t offset,
				size_t count, float rate)
{
	float	   *restrict value = table->values + offset;
	const float *restrict first = table->slot[0] + offset;
	const float *restrict second = table->slot[1] + offset;

	for (size_t d = 0; d < count; d++)
		value[d] -= rate * first[d] / (sqrtf(second[d]) + optimizer->epsilon);
}

/* Not lazy: the whole table decays and moves, whichever rows have a gradient, as in Keras. */
static void
apply_adam(const tfrs_optimizer *optimizer, uint64_t step, const tfrs_optimizer_table *table)
{
	double		t = (double) step;
	float		rate = (float) (optimizer->learning_rate * sqrt(1.0 - pow(optimizer->beta_2, t)) /
								(1.0 - pow(optimizer->beta_1, t)));
	size_t		all = table->rows * table->dim;

	if (!optimizer->lazy)
	{
		decay_moments(optimizer, table, 0, all);
		for (size_t g = 0; g < table->touched; g++)
			add_to_moments(optimizer, table, g);
		move_by_moments(optimizer, table, 0, all, rate);
		return;
	}
	for (size_t g = 0; g < table->touched; g++)
	{
		decay_moments(optimizer, table, offset_of(table, g), table->dim);
		add_to_moments(optimizer, table, g);
		move_by_moments(optimizer, table, offset_of(table, g), table->dim, rate);
	}
}

/* The factor that keeps delta within limit, if it is smaller than the one so far. */
static float
shrink(float scale, float delta, float limit)
{
	float		size = fabsf(delta);

	return size * scale > limit ? limit / size : scale;
}

float
tfrs_optimizer_shrink(const float *delta, size_t count, const tfrs_optimizer_limit *limit)
{
	float		scale = 1.0f;

	for (size_t i = 0; i < count; i++)
	{
		float		most = limit->absolute;

		for (size_t r = 0; r < limit->references; r++)
			most += limit->factor[r] * fabsf(limit->reference[r][i]);
		scale = shrink(scale, delta[i], most);
	}
	return scale;
}

static void
add_squares(const tfrs_optimizer_table *table, float scale)
{
	for (size_t g = 0; g < table->touched; g++)
	{
		float	   *restrict accumulator = table->slot[0] + offset_of(table, g);
		const float *restrict gradient = table->gradient + g * table->dim;

		for (size_t d = 0; d < table->dim; d++)
			accumulator[d] += (scale * gradient[d]) * (scale * gradient[d]);
	}
}

/* The step of an element before it is shrunk; *root is 1 / sqrt(accumulator + epsilon). */
static float
clippy_delta(const tfrs_optimizer *optimizer, float accumulator, float gradient, float *root)
{
	*root = 1.0f / sqrtf(accumulator + optimizer->epsilon);
	return gradient == 0.0f ? 0.0f : optimizer->learning_rate * gradient * *root;
}

static float
clippy_scale(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table)
{
	float		scale = 1.0f;

	for (size_t g = 0; g < table->touched; g++)
	{
		const float *value = table->values + offset_of(table, g);
		const float *accumulator = table->slot[0] + offset_of(table, g);
		const float *gradient = table->gradient + g * table->dim;

		for (size_t d = 0; d < table->dim; d++)
		{
			float		root;
			float		delta = clippy_delta(optimizer, accumulator[d], gradient[d], &root);

			scale = shrink(scale, delta,
						   optimizer->variable_relative_threshold * fabsf(value[d]) +
						   optimizer->accumulator_relative_threshold * root +
						   optimizer->absolute_threshold);
		}
	}
	return scale;
}

static float
apply_clippy_adagrad(const tfrs_optimizer *optimizer, const tfrs_optimizer_table *table)
{
	float		scale;

	if (optimizer->use_standard_accumulator_update)
		add_squares(table, 1.0f);
	scale = clippy_scale(optimizer, table);
	for (size_t g = 0; g < table->touched; g++)
	{
		float	   *value = table->values + offset_of(table, g);
		const float *accumulator = table->slot[0] + offset_of(table, g);
		const float *gradient = table->gradient + g * table->dim;

		for (size_t d = 0; d < table->dim; d++)
		{
			float		root;

			value[d] -= scale * clippy_delta(optimizer, accumulator[d], gradient[d], &root);
		}
	}
	if (!optimizer->use_standard_accumulator_update)
		add_squares(table, optimizer->clip_accumulator_update ? scale : 1.0f);
	return scale;
}

float
tfrs_optimizer_apply(const tfrs_optimizer *optimizer, uint64_t step,
					 const tfrs_optimizer_table *table)
{
	switch (optimizer->kind)
	{
		case TFRS_SGD:
			apply_sgd(optimizer, table);
			break;
		case TFRS_ADAGRAD:
			apply_adagrad(optimizer, table);
			break;
		case TFRS_ADAM:
			apply_adam(optimizer, step, table);
			break;
		case TFRS_CLIPPY_ADAGRAD:
			return apply_clippy_adagrad(optimizer, table);
	}
	return 1.0f;
}
