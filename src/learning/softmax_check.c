/*
 * softmax_check.c: what must hold before a batch is stepped; nothing behind it checks again.
 */
#include "learning/softmax_tile.h"

#include <float.h>
#include <math.h>

#include "base/assertion.h"
#include "base/kernels.h"
#include "base/limits.h"

/* Largest |logit|: far below what hides a cell, far beyond what a trained model has. */
#define MOST_LOGIT 1e30

static tfrs_status
check_sizes(const tfrs_softmax_batch *batch, tfrs_error *error)
{
	size_t		targets = batch->target->count;
	size_t		floats;

	if (batch->dim == 0 || batch->heads == 0 || batch->columns == 0)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the batch has no candidates");
	if (batch->rows > TFRS_MAX_ROWS || batch->columns > TFRS_MAX_ROWS ||
		targets > TFRS_MAX_ROWS ||
		!tfrs_size_multiply(batch->rows, batch->heads, &floats) ||
		!tfrs_size_multiply(floats, batch->dim, &floats) ||
		!tfrs_size_multiply(batch->columns, batch->dim * sizeof(float), &floats))
		return tfrs_fail(error, TFRS_TOO_LARGE, "the batch is too large");
	return TFRS_OK;
}

/* Squared length of the longest of count vectors; infinity where one is not finite. */
static double
longest(const float *vectors, size_t count, size_t dim)
{
	double		result = 0.0;

	for (size_t i = 0; i < count; i++)
	{
		double		square = tfrs_kernels.dot(vectors + i * dim, vectors + i * dim, dim);

		if (!(square <= FLT_MAX))
			return INFINITY;
		result = square > result ? square : result;
	}
	return result;
}

/*
 * |q . x| <= |q| |x| holds for every partial sum too, so behind this check no cell can become
 * infinite or NaN, in whatever order a product is summed.
 */
static tfrs_status
check_lengths(const tfrs_softmax_batch *batch, float inverse_temperature, tfrs_error *error)
{
	double		square = longest(batch->query, batch->rows * batch->heads, batch->dim) *
		longest(batch->candidate, batch->columns, batch->dim);

	if (sqrt(square) * inverse_temperature <= MOST_LOGIT)
		return TFRS_OK;
	tfrs_fail(error, TFRS_NOT_FINITE, "the loss is not finite");
	tfrs_error_detail(error, "An embedding holds NaN or infinity, or is so long that its logits "
					  "overflow.");
	tfrs_error_hint(error, "Lower the learning rate, or normalize the embeddings.");
	return TFRS_NOT_FINITE;
}

static tfrs_status
check_numbers(const float *numbers, size_t count, const char *name, tfrs_error *error)
{
	for (size_t i = 0; numbers != NULL && i < count; i++)
		if (!(numbers[i] >= 0.0f && numbers[i] <= FLT_MAX))
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
							 "%s must be finite and not negative", name);
	return TFRS_OK;
}

/* Probabilities may be anything that can be clipped. */
static tfrs_status
check_probabilities(const float *probability, size_t count, tfrs_error *error)
{
	for (size_t j = 0; probability != NULL && j < count; j++)
		if (isnan(probability[j]))
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
							 "sampling probabilities must be numbers");
	return TFRS_OK;
}

/* What the caller promises: lists of ascending columns of the batch.  Asked by assertions alone. */
__attribute__((unused)) static bool
are_ascending(const tfrs_softmax_batch *batch, const tfrs_ragged *lists)
{
	for (size_t r = 0; lists != NULL && r < batch->rows; r++)
		for (size_t i = lists->start[r]; i < lists->start[r + 1]; i++)
			if (lists->item[i] >= batch->columns ||
				(i > lists->start[r] && lists->item[i] < lists->item[i - 1]))
				return false;
	return true;
}

/* With several targets a row's hardest negatives can be those of all only where no target is one. */
static tfrs_status
check_hardest(const tfrs_softmax_problem *problem, tfrs_error *error)
{
	const tfrs_softmax_batch *batch = &problem->batch;

	if (problem->hard_negatives == 0 || batch->hidden != NULL)
		return TFRS_OK;
	for (size_t r = 0; r < batch->rows; r++)
		if (tfrs_ragged_length(batch->target, r) > 1)
			return tfrs_fail(error, TFRS_UNSUPPORTED, "hard negatives need rows of one target");
	return TFRS_OK;
}

tfrs_status
tfrs_softmax_check(const tfrs_softmax_problem *problem, tfrs_error *error)
{
	const tfrs_softmax_batch *batch = &problem->batch;
	tfrs_status status = check_sizes(batch, error);

	TFRS_ASSERT(are_ascending(batch, batch->target) && are_ascending(batch, batch->hidden));
	if (status == TFRS_OK)
		status = check_numbers(batch->target->weight, batch->target->count, "sample weights", error);
	if (status == TFRS_OK)
		status = check_numbers(batch->count, batch->columns, "candidate counts", error);
	if (status == TFRS_OK)
		status = check_probabilities(batch->probability, batch->columns, error);
	if (status == TFRS_OK)
		status = check_hardest(problem, error);
	if (status == TFRS_OK)
		status = check_lengths(batch, problem->inverse_temperature, error);
	return status;
}
