/*
 * softmax_backward.c: from cells to the gradients of both sides.
 *
 * Two products a block over the cells as they are: their factors go onto the rows of what they are
 * multiplied with.
 */
#include "learning/softmax_tile.h"

#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"

static float
block_factor(const tfrs_softmax_tile *tile, size_t block, size_t row)
{
	return (float) tile->factor[row * tile->shape->blocks + block];
}

/* scaled = factor / T * query, so that the candidates' product needs the cells as they are. */
static void
scale_queries(const tfrs_softmax_tile *tile, size_t block)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;
	size_t		floats = batch->heads * batch->dim;

	for (size_t r = 0; r < tile->rows; r++)
	{
		float		scale = block_factor(tile, block, r) * tile->problem->inverse_temperature;
		const float *from = tfrs_softmax_query(tile, r);
		float	   *to = tile->scaled + r * floats;

		for (size_t d = 0; d < floats; d++)
			to[d] = scale * from[d];
	}
}

/* d_query += factor / T * cells * candidates */
static void
add_query_gradient(const tfrs_softmax_tile *tile, size_t block, size_t width)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;
	size_t		dim = batch->dim;
	size_t		floats = batch->heads * dim;

	tfrs_matmul_nn(tile->rows * batch->heads, dim, width, 1.0f,
				   tfrs_softmax_shares(tile, block, 0, 0), TFRS_SOFTMAX_STRIDE,
				   batch->candidate + block * TFRS_SOFTMAX_BLOCK * dim, dim, 0.0f, tile->partial,
				   dim);
	for (size_t r = 0; r < tile->rows; r++)
		tfrs_kernels.add_scaled(batch->d_query + (tile->first + r) * floats,
								tile->partial + r * floats, floats,
								block_factor(tile, block, r) * tile->problem->inverse_temperature);
}

/* Each head's cells: the row's, times the head's share. */
static void
spread_over_heads(const tfrs_softmax_tile *tile, size_t block, size_t width)
{
	for (size_t r = 0; r < tile->rows; r++)
	{
		const float *cells = tfrs_softmax_cells(tile, block, r);

		for (size_t h = 0; h < tile->problem->batch.heads; h++)
		{
			float	   *share = tfrs_softmax_shares(tile, block, r, h);

			for (size_t j = 0; j < width; j++)
				share[j] *= cells[j];
		}
	}
}

static void
backward_block(const tfrs_softmax_tile *tile, size_t block)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;
	size_t		width = tfrs_softmax_block_width(tile, block);
	size_t		dim = batch->dim;

	if (batch->heads > 1)
		spread_over_heads(tile, block, width);
	if (batch->d_query != NULL)
		add_query_gradient(tile, block, width);
	if (tile->d_candidate == NULL)
		return;
	scale_queries(tile, block);
	tfrs_matmul_tn(width, dim, tile->rows * batch->heads, 1.0f,
				   tfrs_softmax_shares(tile, block, 0, 0), TFRS_SOFTMAX_STRIDE, tile->scaled, dim,
				   tile->is_first ? 0.0f : 1.0f,
				   tile->d_candidate + block * TFRS_SOFTMAX_BLOCK * dim, dim);
}

static void
write_logit_gradient(const tfrs_softmax_tile *tile)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;

	for (size_t r = 0; r < tile->rows; r++)
		for (size_t j = 0; j < batch->columns; j++)
			batch->d_logits[(tile->first + r) * batch->columns + j] =
				*tfrs_softmax_cell(tile, r, j) * block_factor(tile, j / TFRS_SOFTMAX_BLOCK, r);
}

void
tfrs_softmax_backward(const tfrs_softmax_tile *tile)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;
	size_t		floats = batch->heads * batch->dim;

	if (batch->d_query != NULL)
		memset(batch->d_query + tile->first * floats, 0, tile->rows * floats * sizeof(float));
	if (batch->d_logits != NULL)
		write_logit_gradient(tile);
	if (batch->d_query == NULL && tile->d_candidate == NULL)
		return;
	for (size_t b = 0; b < tile->shape->blocks; b++)
		backward_block(tile, b);
}
