/*
 * tensors.c: walks over the tensors, each a bounded piece a step: a table may be 640 MB.
 */
#include "learning/tensors.h"

#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "base/finite.h"
#include "base/kernels.h"

/* Floats that one step passes: a few milliseconds. */
#define STEP_FLOATS ((size_t) 1 << 20)

tfrs_tensor *
tfrs_tensors_declare(tfrs_tensors *parameters, const char *name, size_t ids, size_t room)
{
	tfrs_tensor *tensor = &parameters->tensor[parameters->count++];

	TFRS_ASSERT(parameters->count <= TFRS_MAX_TENSORS);
	*tensor = (tfrs_tensor) {
		.name = name, .rows = ids + 1, .dim = parameters->dim, .slots = parameters->slots,
		.keeps_best = parameters->keeps_best, .room = tfrs_size_smaller(room, ids + 1)
	};
	return tensor;
}

void
tfrs_tensors_plan(tfrs_plan *plan, tfrs_tensors *parameters)
{
	for (size_t i = 0; i < parameters->count; i++)
	{
		tfrs_tensor *tensor = &parameters->tensor[i];

		TFRS_PLAN_VECTORS(plan, &tensor->values, tensor->rows, tensor->dim);
		for (int slot = 0; slot < tensor->slots; slot++)
			TFRS_PLAN_VECTORS(plan, &tensor->slot[slot], tensor->rows, tensor->dim);
		if (tensor->keeps_best)
			TFRS_PLAN_VECTORS(plan, &tensor->best, tensor->rows, tensor->dim);
		TFRS_PLAN(plan, &tensor->row, tensor->room);
		TFRS_PLAN_VECTORS(plan, &tensor->gradient, tensor->room, tensor->dim);
		TFRS_PLAN_ZERO(plan, &tensor->place, tensor->rows);
	}
}

void
tfrs_tensors_piece(tfrs_tensors *parameters, size_t count, size_t *start, size_t *end)
{
	size_t		piece = STEP_FLOATS / parameters->dim + 1;

	*start = parameters->done;
	*end = count - *start < piece ? count : *start + piece;
	parameters->done = *end;
}

tfrs_status
tfrs_tensors_pass(tfrs_tensors *parameters, size_t count)
{
	if (parameters->done < count)
		return TFRS_MORE;
	parameters->done = 0;
	parameters->at++;
	if (parameters->at < parameters->count)
		return TFRS_MORE;
	parameters->at = 0;
	return TFRS_OK;
}

static void
fill_rows(tfrs_tensor *tensor, const tfrs_optimizer *optimizer, tfrs_random *random, size_t start,
		  size_t end)
{
	size_t		dim = tensor->dim;

	tfrs_random_fill(random, tensor->values + start * dim, (end - start) * dim, -0.05f, 0.05f);
	for (size_t row = start; tensor->has_bias && row < end; row++)
		tensor->values[(row + 1) * dim - 1] = 0.0f;
	for (int slot = 0; slot < tensor->slots; slot++)
	{
		float		initial = tfrs_optimizer_initial(optimizer, slot);

		for (size_t i = start * dim; i < end * dim; i++)
			tensor->slot[slot][i] = initial;
	}
}

tfrs_status
tfrs_tensors_fill_step(tfrs_tensors *parameters, const tfrs_optimizer *optimizer,
						  uint64_t seed)
{
	tfrs_tensor *tensor = &parameters->tensor[parameters->at];
	size_t		start;
	size_t		end;

	if (parameters->done == 0)
		tfrs_random_init(&parameters->random, seed, tensor->stream, tensor->index);
	tfrs_tensors_piece(parameters, tensor->rows, &start, &end);
	fill_rows(tensor, optimizer, &parameters->random, start, end);
	return tfrs_tensors_pass(parameters, tensor->rows);
}

void
tfrs_tensors_forget(tfrs_tensors *parameters)
{
	for (size_t i = 0; i < parameters->count; i++)
		parameters->tensor[i].touched = 0;
}

__attribute__((unused)) static bool
is_touched(const tfrs_tensor *tensor, uint32_t row)
{
	uint32_t	place = tensor->place[row];

	return place < tensor->touched && tensor->row[place] == row;
}

void
tfrs_tensor_touch(tfrs_tensor *tensor, uint32_t row)
{
	TFRS_ASSERT(row < tensor->rows && tensor->touched < tensor->room && !is_touched(tensor, row));
	tensor->place[row] = (uint32_t) tensor->touched;
	tensor->row[tensor->touched] = row;
	tensor->touched++;
}

float *
tfrs_tensor_gradient(tfrs_tensor *tensor, uint32_t row)
{
	uint32_t	place = tensor->place[row];
	float	   *gradient = tensor->gradient + place * tensor->dim;

	if (place < tensor->touched && tensor->row[place] == row)
		return gradient;
	gradient = tensor->gradient + tensor->touched * tensor->dim;
	tfrs_tensor_touch(tensor, row);
	return memset(gradient, 0, tensor->dim * sizeof(float));
}

static void
scale_floats(float *values, size_t count, float factor)
{
	for (size_t i = 0; i < count; i++)
		values[i] *= factor;
}

tfrs_status
tfrs_tensors_finish_step(tfrs_tensors *parameters, const tfrs_tensors_move *step)
{
	tfrs_tensor *tensor = &parameters->tensor[parameters->at];
	size_t		dim = tensor->dim;
	size_t		start;
	size_t		end;

	if (parameters->at == 0 && parameters->done == 0)
		parameters->square = 0.0;
	if (step->share == 1.0f && step->l2 == 0.0f && step->clip_norm == 0.0f)
		return TFRS_OK;
	tfrs_tensors_piece(parameters, tensor->touched, &start, &end);
	if (step->share != 1.0f)
		scale_floats(tensor->gradient + start * dim, (end - start) * dim, step->share);
	for (size_t g = start; g < end; g++)
	{
		float	   *gradient = tensor->gradient + g * dim;

		if (step->l2 > 0.0f)
			tfrs_kernels.add_scaled(gradient, tfrs_tensor_row(tensor, tensor->row[g]), dim,
									2.0f * step->l2);
		if (step->clip_norm > 0.0f)
			parameters->square += tfrs_kernels.dot(gradient, gradient, dim);
	}
	return tfrs_tensors_pass(parameters, tensor->touched);
}

/* Rows [start, end) of the gradient, each of another row of the table. */
static tfrs_status
move_rows(tfrs_tensor *tensor, const tfrs_tensors_move *step, size_t start, size_t end)
{
	tfrs_optimizer_table table = {
		.rows = tensor->rows,
		.dim = tensor->dim,
		.values = tensor->values,
		.slot = {tensor->slot[0], tensor->slot[1]},
		.touched = end - start,
		.touched_row = tensor->row + start,
		.gradient = tensor->gradient + start * tensor->dim
	};

	tfrs_optimizer_apply(&step->optimizer, step->number, &table);
	for (size_t g = start; g < end; g++)
		if (!tfrs_all_finite(tfrs_tensor_row(tensor, tensor->row[g]), tensor->dim))
			return TFRS_NOT_FINITE;
	return TFRS_OK;
}

tfrs_status
tfrs_tensors_move_step(tfrs_tensors *parameters, const tfrs_tensors_move *step)
{
	tfrs_tensor *tensor = &parameters->tensor[parameters->at];
	double		most = step->clip_norm;
	size_t		start;
	size_t		end;

	tfrs_tensors_piece(parameters, tensor->touched, &start, &end);
	if (!tfrs_optimizer_is_by_rows(&step->optimizer))
		end = parameters->done = tensor->touched;
	if (parameters->square > most * most)
		scale_floats(tensor->gradient + start * tensor->dim, (end - start) * tensor->dim,
					 (float) (most / sqrt(parameters->square)));
	if (end > start && move_rows(tensor, step, start, end) != TFRS_OK)
		return TFRS_NOT_FINITE;
	return tfrs_tensors_pass(parameters, tensor->touched);
}

void
tfrs_tensors_keep(tfrs_tensors *parameters)
{
	for (size_t i = 0; i < parameters->count; i++)
	{
		tfrs_tensor *tensor = &parameters->tensor[i];

		memcpy(tensor->best, tensor->values, tensor->rows * tensor->dim * sizeof(float));
	}
}

void
tfrs_tensors_restore(tfrs_tensors *parameters)
{
	for (size_t i = 0; i < parameters->count; i++)
	{
		tfrs_tensor *tensor = &parameters->tensor[i];

		memcpy(tensor->values, tensor->best, tensor->rows * tensor->dim * sizeof(float));
	}
}
