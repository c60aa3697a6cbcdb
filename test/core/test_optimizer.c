/*
 * test_optimizer.c: what the numbers of the fixtures do not show: which rows move, that neither
 * their order nor the way they are named matters, bounds, defaults and checks.
 */
#include <string.h>

#include "base/random.h"
#include "check.h"
#include "learning/optimizer.h"

enum
{
	ROWS = 7, DIM = 5, TOUCHED = 3
};

static const tfrs_optimizer_kind kinds[] = {TFRS_SGD, TFRS_ADAGRAD, TFRS_ADAM, TFRS_CLIPPY_ADAGRAD};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

typedef struct state
{
	float		values[ROWS * DIM];
	float		slot[2][ROWS * DIM];
} state;

static state
make_state(const tfrs_optimizer *optimizer)
{
	state		s;
	tfrs_random random;

	tfrs_random_init(&random, 1, 0, 0);
	tfrs_random_fill(&random, s.values, ROWS * DIM, -1.0f, 1.0f);
	for (int slot = 0; slot < 2; slot++)
		for (int i = 0; i < ROWS * DIM; i++)
			s.slot[slot][i] = tfrs_optimizer_initial(optimizer, slot);
	return s;
}

static float
apply(const tfrs_optimizer *optimizer, state *s, uint64_t step, size_t touched,
	  const uint32_t *rows, const float *gradient)
{
	tfrs_optimizer_table table = {ROWS, DIM, s->values, {s->slot[0], s->slot[1]}, touched, rows,
	gradient};

	return tfrs_optimizer_apply(optimizer, step, &table);
}

static void
random_gradient(float *gradient, size_t rows, uint64_t seed)
{
	tfrs_random random;

	tfrs_random_init(&random, seed, 1, 0);
	tfrs_random_fill(&random, gradient, rows * DIM, -1.0f, 1.0f);
}

/* One element, three steps, against the formulas in double precision. */
CHECK_TEST(formulas)
{
	const float gradients[3] = {0.5f, -0.25f, 0.125f};

	for (size_t k = 0; k < KINDS; k++)
	{
		tfrs_optimizer optimizer;
		float		value = 0.75f;
		float		slot[2];
		double		v = value;
		double		a;
		double		b = 0.0;

		tfrs_optimizer_default(&optimizer, kinds[k]);
		a = slot[0] = tfrs_optimizer_initial(&optimizer, 0);
		slot[1] = 0.0f;
		for (int t = 1; t <= 3; t++)
		{
			double		g = gradients[t - 1];
			double		rate = optimizer.learning_rate;
			double		delta;
			double		scale;
			tfrs_optimizer_table table = {1, 1, &value, {&slot[0], &slot[1]}, 1, NULL,
			&gradients[t - 1]};
			float		got = tfrs_optimizer_apply(&optimizer, (uint64_t) t, &table);

			switch (kinds[k])
			{
				case TFRS_SGD:
					v -= rate * g;
					break;
				case TFRS_ADAGRAD:
					a += g * g;
					v -= rate * g / sqrt(a + 1e-7);
					break;
				case TFRS_ADAM:
					a = 0.9 * a + 0.1 * g;
					b = 0.999 * b + 0.001 * g * g;
					v -= rate * sqrt(1.0 - pow(0.999, t)) / (1.0 - pow(0.9, t)) * a /
						(sqrt(b) + 1e-7);
					break;
				case TFRS_CLIPPY_ADAGRAD:
					delta = rate * g / sqrt(a + 1e-7);
					scale = fmin(1.0, (0.1 * fabs(v) + 1e-7) / fabs(delta));
					CHECK_NEAR(got, scale, 1e-5);
					CHECK(scale < 1.0 || t > 1);
					v -= scale * delta;
					a += g * g;
					break;
			}
			CHECK_NEAR(value, v, 1e-5);
		}
	}
}

/* A row without a gradient keeps all it has; only Adam, unless lazy, decays and moves every row. */
CHECK_TEST(rows_that_are_not_touched)
{
	const uint32_t rows[TOUCHED] = {5, 0, 3};
	float		gradient[TOUCHED * DIM];

	random_gradient(gradient, TOUCHED, 2);
	for (size_t k = 0; k <= KINDS; k++)
	{
		tfrs_optimizer optimizer;
		state		before;
		state		after;
		const uint32_t all[ROWS] = {0, 1, 2, 3, 4, 5, 6};
		float		first[ROWS * DIM];

		tfrs_optimizer_default(&optimizer, k < KINDS ? kinds[k] : TFRS_ADAM);
		optimizer.lazy = k == KINDS;
		before = make_state(&optimizer);
		random_gradient(first, ROWS, 3);
		apply(&optimizer, &before, 1, ROWS, all, first);
		after = before;
		apply(&optimizer, &after, 2, TOUCHED, rows, gradient);
		for (int i = 0; i < ROWS * DIM; i++)
		{
			int			row = i / DIM;
			bool		touched = row == 5 || row == 0 || row == 3;
			bool		moves = touched || k == 2;

			CHECK_EQUAL(after.values[i] != before.values[i], moves);
			if (tfrs_optimizer_slots(&optimizer) > 0)
				CHECK_EQUAL(after.slot[0][i] != before.slot[0][i], moves);
		}
	}
}

/* Order of rows, and rows named or not: the same bits. */
CHECK_TEST(order_of_rows_does_not_matter)
{
	const uint32_t up[ROWS] = {0, 1, 2, 3, 4, 5, 6};
	const uint32_t down[ROWS] = {6, 5, 4, 3, 2, 1, 0};
	float		gradient[ROWS * DIM];
	float		backward[ROWS * DIM];

	random_gradient(gradient, ROWS, 4);
	for (int r = 0; r < ROWS; r++)
		memcpy(backward + r * DIM, gradient + (ROWS - 1 - r) * DIM, DIM * sizeof(float));
	for (size_t k = 0; k < KINDS; k++)
	{
		tfrs_optimizer optimizer;
		state		a;
		state		b;
		state		c;

		tfrs_optimizer_default(&optimizer, kinds[k]);
		a = b = c = make_state(&optimizer);
		for (uint64_t step = 1; step <= 3; step++)
		{
			apply(&optimizer, &a, step, ROWS, up, gradient);
			apply(&optimizer, &b, step, ROWS, down, backward);
			apply(&optimizer, &c, step, ROWS, NULL, gradient);
		}
		CHECK(memcmp(&a, &b, sizeof(a)) == 0);
		CHECK(memcmp(&a, &c, sizeof(a)) == 0);
	}
}

CHECK_TEST(clippy_keeps_every_parameter_within_its_bound)
{
	for (uint64_t seed = 0; seed < 50; seed++)
	{
		tfrs_optimizer optimizer;
		state		before;
		state		after;
		float		gradient[ROWS * DIM];
		float		scale;
		double		closest = 0.0;

		tfrs_optimizer_default(&optimizer, TFRS_CLIPPY_ADAGRAD);
		optimizer.accumulator_relative_threshold = 0.001f * (float) (seed % 3);
		optimizer.absolute_threshold = seed % 5 == 0 ? 100.0f : 0.01f;
		before = make_state(&optimizer);
		after = before;
		random_gradient(gradient, ROWS, 100 + seed);
		scale = apply(&optimizer, &after, 1, ROWS, NULL, gradient);
		CHECK(scale > 0.0f && scale <= 1.0f);
		for (int i = 0; i < ROWS * DIM; i++)
		{
			double		bound = 0.1 * fabs(before.values[i]) +
				optimizer.accumulator_relative_threshold / sqrt(0.1 + 1e-7) +
				optimizer.absolute_threshold;
			double		moved = fabs((double) after.values[i] - before.values[i]);

			CHECK(moved <= bound * (1.0 + 1e-5) + 1e-6);
			closest = fmax(closest, moved / bound);
		}
		if (scale < 1.0f)
			CHECK_NEAR(closest, 1.0, 1e-3);
		else
			CHECK(seed % 5 == 0);
	}
}

/* The gradient of 0 with an accumulator of 0: TFRS divides 0 by 0, here nothing moves. */
CHECK_TEST(no_gradient_no_step)
{
	const float gradient[2] = {0.0f, 1.0f};
	float		values[2] = {0.5f, 0.5f};
	float		slot[2] = {0.0f, 0.0f};
	tfrs_optimizer optimizer;
	tfrs_optimizer_table table = {2, 1, values, {slot, NULL}, 1, NULL, gradient};

	tfrs_optimizer_default(&optimizer, TFRS_CLIPPY_ADAGRAD);
	optimizer.initial_accumulator_value = 0.0f;
	CHECK(tfrs_optimizer_apply(&optimizer, 1, &table) == 1.0f);
	CHECK(values[0] == 0.5f && slot[0] == 0.0f);
}

CHECK_TEST(shrink_without_references)
{
	const float delta[3] = {0.0f, -4.0f, 2.0f};
	tfrs_optimizer_limit limit = {0, NULL, NULL, 1.0f};

	CHECK_NEAR(tfrs_optimizer_shrink(delta, 3, &limit), 0.25, 0.0);
	CHECK_NEAR(tfrs_optimizer_shrink(delta, 0, &limit), 1.0, 0.0);
	limit.absolute = 0.0f;
	CHECK_NEAR(tfrs_optimizer_shrink(delta, 1, &limit), 1.0, 0.0);
	CHECK_NEAR(tfrs_optimizer_shrink(delta, 3, &limit), 0.0, 0.0);
}

CHECK_TEST(slots)
{
	static const int expected[KINDS] = {0, 1, 2, 1};
	static const float initial[KINDS] = {0.1f, 0.1f, 0.0f, 0.1f};

	for (size_t k = 0; k < KINDS; k++)
	{
		tfrs_optimizer optimizer;

		tfrs_optimizer_default(&optimizer, kinds[k]);
		CHECK_EQUAL(tfrs_optimizer_slots(&optimizer), expected[k]);
		if (expected[k] > 0)
			CHECK(tfrs_optimizer_initial(&optimizer, 0) == initial[k]);
		CHECK(tfrs_optimizer_check(&optimizer) == NULL);
	}
}

static void
check_refused(const tfrs_optimizer *optimizer, const char *word)
{
	const char *sentence = tfrs_optimizer_check(optimizer);

	CHECK(sentence != NULL);
	CHECK(strstr(sentence, word) != NULL);
}

CHECK_TEST(wrong_parameters)
{
	tfrs_optimizer good;
	tfrs_optimizer bad;

	tfrs_optimizer_default(&good, TFRS_ADAGRAD);
	bad = good;
	bad.kind = (tfrs_optimizer_kind) 9;
	check_refused(&bad, "optimizer");
	bad = good;
	bad.learning_rate = NAN;
	check_refused(&bad, "learning_rate");
	bad.learning_rate = -1.0f;
	check_refused(&bad, "learning_rate");
	bad = good;
	bad.initial_accumulator_value = INFINITY;
	check_refused(&bad, "initial_accumulator_value");
	bad = good;
	bad.epsilon = -1e-7f;
	check_refused(&bad, "epsilon");
	bad.epsilon = 0.0f;
	CHECK(tfrs_optimizer_check(&bad) == NULL);
	bad.initial_accumulator_value = 0.0f;
	check_refused(&bad, "epsilon");
	bad.kind = TFRS_SGD;
	CHECK(tfrs_optimizer_check(&bad) == NULL);
	bad = good;
	bad.beta_1 = 1.0f;
	check_refused(&bad, "beta_1");
	bad = good;
	bad.beta_2 = -0.1f;
	check_refused(&bad, "beta_2");
	bad = good;
	bad.absolute_threshold = NAN;
	check_refused(&bad, "threshold");
}
