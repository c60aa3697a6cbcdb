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

/* Rows that one step turns away from all those before. */
#define TURNED_ROWS 16

/* Keras's Embedding. */
#define TABLE_SCALE 0.05f

static tfrs_tensor *
declare(tfrs_tensors *parameters, const char *name, size_t rows, size_t dim)
{
	tfrs_tensor *tensor = &parameters->tensor[parameters->count++];

	TFRS_ASSERT(parameters->count <= TFRS_MAX_TENSORS && strlen(name) < TFRS_MAX_TENSOR_NAME);
	*tensor = (tfrs_tensor) {
		.rows = rows, .dim = dim, .slots = parameters->slots,
		.keeps_best = parameters->keeps_best, .room = rows
	};
	memcpy(tensor->name, name, strlen(name));
	return tensor;
}

tfrs_tensor *
tfrs_tensors_declare(tfrs_tensors *parameters, const char *name, size_t rows, size_t room)
{
	tfrs_tensor *tensor = declare(parameters, name, rows, parameters->dim);

	tensor->scale = TABLE_SCALE;
	tensor->room = tfrs_size_smaller(room, rows);
	return tensor;
}

tfrs_tensor *
tfrs_tensors_declare_dense(tfrs_tensors *parameters, const char *name, size_t rows, size_t dim)
{
	tfrs_tensor *tensor = declare(parameters, name, rows, dim);

	tensor->dense = true;
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
		TFRS_PLAN_VECTORS(plan, &tensor->gradient, tensor->room, tensor->dim);
		if (tensor->dense)
			continue;
		TFRS_PLAN(plan, &tensor->row, tensor->room);
		TFRS_PLAN_ZERO(plan, &tensor->place, tensor->rows);
	}
}

void
tfrs_tensors_piece(tfrs_tensors *parameters, size_t count, size_t *start, size_t *end)
{
	size_t		piece = STEP_FLOATS / parameters->tensor[parameters->at].dim + 1;

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
scale_floats(float *values, size_t count, float factor)
{
	for (size_t i = 0; i < count; i++)
		values[i] *= factor;
}

static void
draw_normal(float scale, tfrs_random *random, float *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		do
			values[i] = scale * tfrs_random_normal(random);
		while (fabsf(values[i]) > 2.0f * scale);
}

/* Gram and Schmidt, twice: once leaves rounding errors of rows that nearly agree.  Beyond dim rows
 * there is no other direction left, and a row stays as it was drawn but for its length. */
static void
turn_row(tfrs_tensor *tensor, size_t row)
{
	size_t		dim = tensor->dim;
	float	   *x = tensor->values + row * dim;

	for (size_t other = 0; row < dim && other < 2 * row; other++)
	{
		const float *y = tfrs_tensor_row(tensor, other % row);

		tfrs_kernels.add_scaled(x, y, dim, -tfrs_kernels.dot(x, y, dim));
	}
	scale_floats(x, dim, 1.0f / sqrtf(tfrs_kernels.dot(x, x, dim)));
}

static void
draw_rows(tfrs_tensor *tensor, tfrs_random *random, size_t start, size_t end)
{
	float	   *values = tensor->values + start * tensor->dim;
	size_t		count = (end - start) * tensor->dim;

	if (tensor->initial == TFRS_INITIAL_UNIFORM)
		tfrs_random_fill(random, values, count, -tensor->scale, tensor->scale);
	else
		draw_normal(tensor->scale, random, values, count);
	for (size_t row = start; tensor->initial == TFRS_INITIAL_ORTHOGONAL && row < end; row++)
		turn_row(tensor, row);
}

static void
fill_rows(tfrs_tensor *tensor, const tfrs_optimizer *optimizer, tfrs_random *random, size_t start,
		  size_t end)
{
	size_t		dim = tensor->dim;

	draw_rows(tensor, random, start, end);
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
	if (tensor->initial == TFRS_INITIAL_ORTHOGONAL)
		parameters->done = end = tfrs_size_smaller(end, start + TURNED_ROWS);
	fill_rows(tensor, optimizer, &parameters->random, start, end);
	return tfrs_tensors_pass(parameters, tensor->rows);
}

void
tfrs_tensors_forget(tfrs_tensors *parameters)
{
	for (size_t i = 0; i < parameters->count; i++)
	{
		tfrs_tensor *tensor = &parameters->tensor[i];

		tensor->touched = tensor->dense ? tensor->rows : 0;
		if (tensor->dense)
			memset(tensor->gradient, 0, tensor->rows * tensor->dim * sizeof(float));
	}
}

/* The row of the values that row g of the gradient belongs to. */
static size_t
row_of(const tfrs_tensor *tensor, size_t g)
{
	return tensor->dense ? g : tensor->row[g];
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
			tfrs_kernels.add_scaled(gradient, tfrs_tensor_row(tensor, row_of(tensor, g)), dim,
									2.0f * step->l2);
		if (step->clip_norm > 0.0f)
			parameters->square += tfrs_kernels.dot(gradient, gradient, dim);
	}
	return tfrs_tensors_pass(parameters, tensor->touched);
}

/* Rows [start, end) of the gradient as a table of their own, of which all rows are touched. */
static tfrs_optimizer_table
dense_piece(const tfrs_tensor *tensor, size_t start, size_t end)
{
	size_t		offset = start * tensor->dim;
	tfrs_optimizer_table table = {
		.rows = end - start, .dim = tensor->dim, .values = tensor->values + offset,
		.touched = end - start, .gradient = tensor->gradient + offset
	};

	for (int i = 0; i < tensor->slots; i++)
		table.slot[i] = tensor->slot[i] + offset;
	return table;
}

/* Rows [start, end) of the gradient, each of another row of the table. */
static tfrs_optimizer_table
sparse_piece(const tfrs_tensor *tensor, size_t start, size_t end)
{
	return (tfrs_optimizer_table) {
		.rows = tensor->rows,
		.dim = tensor->dim,
		.values = tensor->values,
		.slot = {tensor->slot[0], tensor->slot[1]},
		.touched = end - start,
		.touched_row = tensor->row + start,
		.gradient = tensor->gradient + start * tensor->dim
	};
}

static tfrs_status
move_rows(tfrs_tensor *tensor, const tfrs_tensors_move *step, size_t start, size_t end)
{
	tfrs_optimizer_table table = tensor->dense ? dense_piece(tensor, start, end)
		: sparse_piece(tensor, start, end);

	tfrs_optimizer_apply(&step->optimizer, step->number, &table);
	for (size_t g = start; g < end; g++)
		if (!tfrs_all_finite(tfrs_tensor_row(tensor, row_of(tensor, g)), tensor->dim))
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
