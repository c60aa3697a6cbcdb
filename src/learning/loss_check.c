/*
 * loss_check.c: what must hold before a batch is stepped; nothing behind it checks again.
 */
#include "learning/loss_check.h"

#include <float.h>
#include <math.h>

#include "base/kernels.h"
#include "base/limits.h"

/* Largest |logit|: far below what hides a cell, far beyond what a trained model has. */
#define MOST_LOGIT 1e30

static tfrs_status
check_sizes(const tfrs_loss_problem *problem, size_t targets, tfrs_error *error)
{
	size_t		floats;

	if (problem->dim == 0 || problem->heads == 0 || problem->columns == 0)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the batch has no candidates");
	if (problem->rows > TFRS_MAX_ROWS || problem->columns > TFRS_MAX_ROWS ||
		targets > TFRS_MAX_ROWS ||
		!tfrs_size_multiply(problem->rows, problem->heads, &floats) ||
		!tfrs_size_multiply(floats, problem->dim, &floats) ||
		!tfrs_size_multiply(problem->columns, problem->dim * sizeof(float), &floats))
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
check_lengths(const tfrs_loss_problem *problem, tfrs_error *error)
{
	double		square = longest(problem->query, problem->rows * problem->heads, problem->dim) *
		longest(problem->candidate, problem->columns, problem->dim);

	if (sqrt(square) * problem->inverse_temperature <= MOST_LOGIT)
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

/* Keys ascending and below rows * columns; a positive of the plain form among them is an error. */
static tfrs_status
check_mask(const tfrs_loss_problem *problem, bool spare_positives, tfrs_error *error)
{
	for (size_t k = 0; problem->masked != NULL && k < problem->masked_count; k++)
	{
		uint64_t	key = problem->masked[k];

		if (key / problem->columns >= problem->rows || (k > 0 && key <= problem->masked[k - 1]))
			return tfrs_fail(error, TFRS_INVALID_ARGUMENT,
							 "masked cells must be ascending and inside the batch");
		if (spare_positives && key / problem->columns == key % problem->columns)
		{
			tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the score mask hides the positive of row %zu",
					  (size_t) (key / problem->columns) + 1);
			tfrs_error_hint(error, "Leave it out of the mask; a row of weight 0 is not counted.");
			return TFRS_INVALID_ARGUMENT;
		}
	}
	return TFRS_OK;
}

tfrs_status
tfrs_loss_check(const tfrs_loss_problem *problem, size_t targets, const float *probability,
				bool plain, tfrs_error *error)
{
	tfrs_status status = check_sizes(problem, targets, error);

	if (status == TFRS_OK)
		status = check_numbers(problem->target_weight, targets, "sample weights", error);
	if (status == TFRS_OK)
		status = check_numbers(problem->count, problem->columns, "candidate counts", error);
	if (status == TFRS_OK)
		status = check_probabilities(probability, problem->columns, error);
	if (status == TFRS_OK)
		status = check_mask(problem, plain, error);
	if (status == TFRS_OK)
		status = check_lengths(problem, error);
	return status;
}
