/*
 * loss_backward.c: from cells to the gradients of both sides.
 *
 * Two products a block over the cells as they are: their factors go onto the rows of what they are
 * multiplied with.  The targets' own part is one vector each, added beside the products.
 */
#include "learning/loss_backward.h"

#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"

static float
block_factor(const tfrs_loss_tile *tile, size_t block, size_t row)
{
	return (float) tile->factor[row * tile->shape->blocks + block];
}

static void
subtract_target(const tfrs_loss_tile *tile, size_t row, uint32_t target)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		column = problem->target_column[target];
	size_t		dim = problem->dim;

	for (size_t h = 0; h < problem->heads; h++)
	{
		float		scale = -problem->target_own[target] * problem->inverse_temperature;

		if (problem->heads > 1)
			scale *= tfrs_loss_shares(tile, column / TFRS_LOSS_BLOCK, row,
									  h)[column % TFRS_LOSS_BLOCK];
		if (problem->d_query != NULL)
			tfrs_kernels.add_scaled(problem->d_query +
									((tile->first + row) * problem->heads + h) * dim,
									problem->candidate + column * dim, dim, scale);
		if (tile->d_candidate != NULL)
			tfrs_kernels.add_scaled(tile->d_candidate + column * dim, tfrs_loss_query(tile, row, h),
									dim, scale);
	}
	if (problem->d_logits != NULL)
		problem->d_logits[(tile->first + row) * problem->columns + column] -=
			problem->target_own[target];
}

/* scaled = factor / T * query, so that the candidates' product needs the cells as they are. */
static void
scale_queries(const tfrs_loss_tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		floats = problem->heads * problem->dim;

	for (size_t r = 0; r < tile->rows; r++)
	{
		float		scale = block_factor(tile, block, r) * problem->inverse_temperature;
		const float *from = tfrs_loss_query(tile, r, 0);
		float	   *to = tile->scaled + r * floats;

		for (size_t d = 0; d < floats; d++)
			to[d] = scale * from[d];
	}
}

/* d_query += factor / T * cells * candidates */
static void
add_query_gradient(const tfrs_loss_tile *tile, size_t block, size_t width)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		dim = problem->dim;
	size_t		floats = problem->heads * dim;

	tfrs_matmul_nn(tile->rows * problem->heads, dim, width, 1.0f,
				   tfrs_loss_shares(tile, block, 0, 0), TFRS_LOSS_STRIDE,
				   problem->candidate + block * TFRS_LOSS_BLOCK * dim, dim, 0.0f, tile->partial,
				   dim);
	for (size_t r = 0; r < tile->rows; r++)
		tfrs_kernels.add_scaled(problem->d_query + (tile->first + r) * floats,
								tile->partial + r * floats, floats,
								block_factor(tile, block, r) * problem->inverse_temperature);
}

/* Each head's cells: the row's, times the head's share. */
static void
spread_over_heads(const tfrs_loss_tile *tile, size_t block, size_t width)
{
	for (size_t r = 0; r < tile->rows; r++)
	{
		const float *cells = tfrs_loss_cells(tile, block, r);

		for (size_t h = 0; h < tile->problem->heads; h++)
		{
			float	   *share = tfrs_loss_shares(tile, block, r, h);

			for (size_t j = 0; j < width; j++)
				share[j] *= cells[j];
		}
	}
}

static void
backward_block(const tfrs_loss_tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		width = tfrs_loss_block_width(tile, block);
	size_t		dim = problem->dim;

	if (problem->heads > 1)
		spread_over_heads(tile, block, width);
	if (problem->d_query != NULL)
		add_query_gradient(tile, block, width);
	if (tile->d_candidate == NULL)
		return;
	scale_queries(tile, block);
	tfrs_matmul_tn(width, dim, tile->rows * problem->heads, 1.0f,
				   tfrs_loss_shares(tile, block, 0, 0), TFRS_LOSS_STRIDE, tile->scaled, dim, 1.0f,
				   tile->d_candidate + block * TFRS_LOSS_BLOCK * dim, dim);
}

static void
write_logit_gradient(const tfrs_loss_tile *tile)
{
	const tfrs_loss_problem *problem = tile->problem;

	for (size_t r = 0; r < tile->rows; r++)
		for (size_t j = 0; j < problem->columns; j++)
			problem->d_logits[(tile->first + r) * problem->columns + j] =
				*tfrs_loss_cell(tile, r, j) * block_factor(tile, j / TFRS_LOSS_BLOCK, r);
}

void
tfrs_loss_backward(const tfrs_loss_tile *tile)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		floats = problem->heads * problem->dim;

	if (problem->d_query != NULL)
		memset(problem->d_query + tile->first * floats, 0, tile->rows * floats * sizeof(float));
	if (problem->d_logits != NULL)
		write_logit_gradient(tile);
	for (size_t r = 0; r < tile->rows; r++)
		for (uint32_t t = problem->target_start[tile->first + r];
			 t < problem->target_start[tile->first + r + 1]; t++)
			subtract_target(tile, r, t);
	if (problem->d_query == NULL && tile->d_candidate == NULL)
		return;
	for (size_t b = 0; b < tile->shape->blocks; b++)
		backward_block(tile, b);
}
