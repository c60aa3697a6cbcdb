/*
 * test_tensors.c: what tensors begin with, and steps of those that all rows are touched of.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/tensors.h"

#define ROWS 24
#define DIM 40

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_tensors_plan(plan, object);
}

static void
fill(tfrs_tensors *parameters, const tfrs_optimizer *optimizer)
{
	tfrs_status status;

	CHECK_OK(tfrs_plan_take(check_arena(), arrays, parameters, &check_error));
	while ((status = tfrs_tensors_fill_step(parameters, optimizer, 5)) == TFRS_MORE)
		;
	CHECK_OK(status);
}

static double
product(const tfrs_tensor *tensor, size_t a, size_t b)
{
	double		sum = 0;

	for (size_t d = 0; d < tensor->dim; d++)
		sum += (double) tfrs_tensor_row(tensor, a)[d] * (double) tfrs_tensor_row(tensor, b)[d];
	return sum;
}

CHECK_TEST(initial_values)
{
	tfrs_tensors parameters = {.dim = 3,.slots = 1};
	tfrs_tensor *table = tfrs_tensors_declare(&parameters, "table", 9, 4);
	tfrs_tensor *turned = tfrs_tensors_declare_dense(&parameters, "turned", ROWS, DIM);
	tfrs_tensor *normal = tfrs_tensors_declare_dense(&parameters, "normal", ROWS, DIM);
	tfrs_tensor *zero = tfrs_tensors_declare_dense(&parameters, "zero", 2, DIM);
	tfrs_optimizer optimizer;
	double		square = 0;

	tfrs_optimizer_default(&optimizer, TFRS_ADAGRAD);
	turned->initial = TFRS_INITIAL_ORTHOGONAL;
	turned->scale = 1.0f;
	normal->initial = TFRS_INITIAL_NORMAL;
	normal->scale = 0.05f;
	fill(&parameters, &optimizer);
	for (size_t a = 0; a < ROWS; a++)
		for (size_t b = 0; b < ROWS; b++)
			CHECK_NEAR(product(turned, a, b), a == b, 1e-5);
	for (size_t i = 0; i < ROWS * DIM; i++)
	{
		CHECK(fabsf(normal->values[i]) <= 0.1f);
		square += (double) normal->values[i] * (double) normal->values[i];
	}
	CHECK_NEAR(sqrt(square / (ROWS * DIM)), 0.044, 0.004);	/* of what is cut at two deviations */
	for (size_t i = 0; i < 9 * 3; i++)
		CHECK(table->values[i] >= -0.05f && table->values[i] < 0.05f && table->values[i] != 0);
	for (size_t i = 0; i < 2 * DIM; i++)
		CHECK(zero->values[i] == 0 && zero->slot[0][i] == 0.1f);
	tfrs_plan_release(check_arena(), arrays, &parameters);
}

/* A dense tensor moves as a table all of whose rows are touched; clipping looks at both. */
static void
check_dense(const tfrs_optimizer *optimizer, float l2, float clip_norm)
{
	tfrs_tensors parameters = {.dim = DIM,.slots = tfrs_optimizer_slots(optimizer)};
	tfrs_tensor *table = tfrs_tensors_declare(&parameters, "table", ROWS, ROWS);
	tfrs_tensor *dense = tfrs_tensors_declare_dense(&parameters, "dense", ROWS, DIM);
	tfrs_tensors_move step = {.optimizer = *optimizer,.share = 0.5f,.l2 = l2,.clip_norm = clip_norm};

	fill(&parameters, optimizer);
	memcpy(dense->values, table->values, ROWS * DIM * sizeof(float));
	for (step.number = 1; step.number < 4; step.number++)
	{
		tfrs_tensors_forget(&parameters);
		for (uint32_t row = 0; row < ROWS; row++)
			for (size_t d = 0; d < DIM; d++)
			{
				float		g = sinf((float) (row * DIM + d + step.number));

				tfrs_tensor_gradient(table, row)[d] = g;
				dense->gradient[row * DIM + d] = g;
			}
		while (tfrs_tensors_finish_step(&parameters, &step) == TFRS_MORE)
			;
		while (tfrs_tensors_move_step(&parameters, &step) == TFRS_MORE)
			;
		CHECK(memcmp(table->values, dense->values, ROWS * DIM * sizeof(float)) == 0);
	}
	CHECK(table->values[0] != 0);
	tfrs_plan_release(check_arena(), arrays, &parameters);
}

CHECK_TEST(dense_tensors_move_as_tables)
{
	for (tfrs_optimizer_kind kind = TFRS_SGD; kind <= TFRS_CLIPPY_ADAGRAD; kind++)
	{
		tfrs_optimizer optimizer;

		tfrs_optimizer_default(&optimizer, kind);
		check_dense(&optimizer, 0, 0);
		check_dense(&optimizer, 0.1f, 1.0f);
	}
}
