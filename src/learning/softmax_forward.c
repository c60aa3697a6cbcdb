/*
 * softmax_forward.c: from vectors to the cells of a tile's rows.
 *
 * Cells are float32; sums of exponentials and everything that decides a row's loss are double.  The
 * caller has made sure that no logit overflows, so there is no NaN here.
 */
#include "learning/softmax_tile.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"

/* Logits are above it, hidden cells far below: relative to it they are 0. */
#define LEAST_PEAK (-1e30f)

/*
 * share: in, the logits of each head; out, each head's part of the gradient: 1 / number of heads
 * that reach the maximum, as TensorFlow's reduce_max has it.  best: the maximum.
 */
static void
take_best_head(const tfrs_softmax_tile *tile, size_t block, size_t row, size_t width)
{
	size_t		heads = tile->problem->batch.heads;
	float	   *best = tfrs_softmax_cells(tile, block, row);
	float		ties[TFRS_SOFTMAX_BLOCK] = {0};

	memcpy(best, tfrs_softmax_shares(tile, block, row, 0), width * sizeof(float));
	for (size_t h = 1; h < heads; h++)
	{
		const float *logit = tfrs_softmax_shares(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			best[j] = logit[j] > best[j] ? logit[j] : best[j];
	}
	for (size_t h = 0; h < heads; h++)
	{
		const float *logit = tfrs_softmax_shares(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			ties[j] += logit[j] == best[j] ? 1.0f : 0.0f;
	}
	for (size_t h = 0; h < heads; h++)
	{
		float	   *logit = tfrs_softmax_shares(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			logit[j] = logit[j] == best[j] ? 1.0f / ties[j] : 0.0f;
	}
}

/* The targets of the block: their logits, before they may be hidden. */
static void
note_targets(const tfrs_softmax_tile *tile, size_t block, size_t row)
{
	const tfrs_softmax_problem *problem = tile->problem;
	const uint32_t *column = problem->batch.target->item;
	const float *piece = tfrs_softmax_cells(tile, block, row);
	size_t		start = block * TFRS_SOFTMAX_BLOCK;
	size_t		end = tfrs_softmax_end_target(tile, row);
	size_t		t = block == 0 ? tfrs_softmax_first_target(tile, row) : tile->target_at[row];

	for (; t < end && column[t] - start < TFRS_SOFTMAX_BLOCK; t++)
		problem->target_logit[t] = piece[column[t] - start];
	tile->target_at[row] = t;
}

static void
hide_listed(const tfrs_softmax_tile *tile, size_t block, size_t row)
{
	const tfrs_ragged *hidden = tile->problem->batch.hidden;
	float	   *piece = tfrs_softmax_cells(tile, block, row);
	size_t		start = block * TFRS_SOFTMAX_BLOCK;
	size_t		i = tile->first + row;
	size_t		h = block == 0 ? hidden->start[i] : tile->hidden_at[row];

	for (; h < hidden->start[i + 1] && hidden->item[h] - start < TFRS_SOFTMAX_BLOCK; h++)
		piece[hidden->item[h] - start] = TFRS_SOFTMAX_HIDDEN;
	tile->hidden_at[row] = h;
}

/* Position of the first twin >= key. */
static size_t
find_twin(const tfrs_softmax_problem *problem, uint64_t key)
{
	size_t		low = 0;
	size_t		high = problem->batch.columns;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (problem->twins[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Columns of the candidate that the row's (only) target has, but for the target's own. */
static void
hide_twins(const tfrs_softmax_tile *tile, size_t block, size_t row)
{
	const tfrs_softmax_problem *problem = tile->problem;
	float	   *piece = tfrs_softmax_cells(tile, block, row);
	size_t		own = problem->batch.target->item[tfrs_softmax_first_target(tile, row)];
	uint64_t	base = (uint64_t) problem->batch.id[own] << 32;
	uint64_t	start = base + block * TFRS_SOFTMAX_BLOCK;
	uint64_t	end = start + tfrs_softmax_block_width(tile, block);

	for (size_t k = find_twin(problem, start);
		 k < problem->batch.columns && problem->twins[k] < end; k++)
		if (problem->twins[k] - base != own)
			piece[problem->twins[k] - start] = TFRS_SOFTMAX_HIDDEN;
}

/* Whether something is decided by which of two logits is larger: then equal vectors must tie. */
static bool
compares_logits(const tfrs_softmax_problem *problem)
{
	return problem->batch.heads > 1 || problem->hard_negatives > 0 || problem->batch.target_above != NULL;
}

static void
multiply_block(const tfrs_softmax_tile *tile, size_t block)
{
	const tfrs_softmax_problem *problem = tile->problem;
	size_t		rows = tile->rows * problem->batch.heads;
	size_t		width = tfrs_softmax_block_width(tile, block);
	size_t		dim = problem->batch.dim;
	const float *query = tfrs_softmax_query(tile, 0);
	const float *candidate = problem->batch.candidate + block * TFRS_SOFTMAX_BLOCK * dim;
	float	   *logits = tfrs_softmax_shares(tile, block, 0, 0);

	if (compares_logits(problem))
		tfrs_matmul_nt_alike(rows, width, dim, problem->inverse_temperature, query, dim,
							 candidate, dim, 0.0f, logits, TFRS_SOFTMAX_STRIDE);
	else
		tfrs_matmul_nt(rows, width, dim, problem->inverse_temperature, query, dim, candidate, dim,
					   0.0f, logits, TFRS_SOFTMAX_STRIDE);
}

/* What is added to the logits of a row's block. */
static void
add_offsets(const tfrs_softmax_tile *tile, size_t block, size_t row)
{
	const tfrs_softmax_problem *problem = tile->problem;
	float	   *piece = tfrs_softmax_cells(tile, block, row);
	size_t		start = block * TFRS_SOFTMAX_BLOCK;
	size_t		width = tfrs_softmax_block_width(tile, block);

	if (problem->adjust != NULL)
		tfrs_kernels.add_scaled(piece, problem->adjust + start, width, 1.0f);
	if (problem->batch.offset != NULL)
		tfrs_kernels.add_scaled(piece, problem->batch.offset[tile->first + row] + start, width,
								1.0f);
}

/* Product, best head, offsets, masks. */
static void
fill_block(const tfrs_softmax_tile *tile, size_t block)
{
	const tfrs_softmax_batch *batch = &tile->problem->batch;
	size_t		width = tfrs_softmax_block_width(tile, block);

	multiply_block(tile, block);
	for (size_t r = 0; r < tile->rows; r++)
	{
		if (batch->heads > 1)
			take_best_head(tile, block, r, width);
		add_offsets(tile, block, r);
		note_targets(tile, block, r);
		if (tile->problem->twins != NULL)
			hide_twins(tile, block, r);
		if (batch->hidden != NULL)
			hide_listed(tile, block, r);
		if (batch->logits != NULL)
			memcpy(batch->logits + (tile->first + r) * batch->columns + block * TFRS_SOFTMAX_BLOCK,
				   tfrs_softmax_cells(tile, block, r), width * sizeof(float));
	}
}

/* How many columns of the batch are above a target. */
static uint32_t
columns_above(const tfrs_softmax_tile *tile, size_t row, float logit)
{
	const float *count = tile->problem->batch.count;
	double		above = 0.0;

	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		const float *piece = tfrs_softmax_cells(tile, b, row);
		size_t		width = tfrs_softmax_block_width(tile, b);

		for (size_t j = 0; j < width; j++)
			if (piece[j] > logit)
				above += count == NULL ? 1.0 : count[b * TFRS_SOFTMAX_BLOCK + j];
	}
	return (uint32_t) above;
}

/* Of the hardest negatives only as many can be above as are kept. */
static void
rank_targets(const tfrs_softmax_tile *tile, size_t row)
{
	const tfrs_softmax_problem *problem = tile->problem;
	uint32_t	most = problem->hard_negatives > 0 ? problem->hard_negatives : UINT32_MAX;

	for (size_t t = tfrs_softmax_first_target(tile, row); t < tfrs_softmax_end_target(tile, row); t++)
	{
		uint32_t	above = columns_above(tile, row, problem->target_logit[t]);

		problem->batch.target_above[t] = above < most ? above : most;
	}
}

/*
 * Keeps the hardest negatives of a row and, where it is not hidden, its own target; equal ones by
 * column, as top_k does.
 */
static void
keep_hardest(const tfrs_softmax_tile *tile, size_t row)
{
	const tfrs_softmax_problem *problem = tile->problem;
	uint32_t	own = problem->batch.target->item[tfrs_softmax_first_target(tile, row)];
	float	   *own_cell = tfrs_softmax_cell(tile, row, own);
	float		own_logit = *own_cell;
	tfrs_topk	topk;

	tfrs_topk_init(&topk, tile->hits, problem->hard_negatives);
	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		float	   *piece = tfrs_softmax_cells(tile, b, row);
		size_t		width = tfrs_softmax_block_width(tile, b);

		for (size_t j = 0; j < width; j++)
		{
			uint32_t	column = (uint32_t) (b * TFRS_SOFTMAX_BLOCK + j);

			if (column != own)
				tfrs_topk_push(&topk, piece[j], column);
			piece[j] = TFRS_SOFTMAX_HIDDEN;
		}
	}
	for (size_t k = 0; k < topk.count; k++)
		*tfrs_softmax_cell(tile, row, topk.hits[k].row) = topk.hits[k].score;
	*own_cell = own_logit;
}

static void
add_gains(const tfrs_softmax_tile *tile, size_t block)
{
	const float *log_gain = tile->problem->log_gain;

	for (size_t r = 0; log_gain != NULL && r < tile->rows; r++)
		tfrs_kernels.add_scaled(tfrs_softmax_cells(tile, block, r),
								log_gain + block * TFRS_SOFTMAX_BLOCK,
								tfrs_softmax_block_width(tile, block), 1.0f);
}

/* Cells of ccl: the weight of what is above the margin, and the sum of its excess. */
static void
cut_block(const tfrs_softmax_tile *tile, size_t block)
{
	const float *weight = tile->problem->weight + block * TFRS_SOFTMAX_BLOCK;
	float		margin = tile->problem->margin;
	size_t		width = tfrs_softmax_block_width(tile, block);

	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = tfrs_softmax_cells(tile, block, r);
		size_t		at = r * tile->shape->blocks + block;
		double		sum = 0.0;

		for (size_t j = 0; j < width; j++)
		{
			float		excess = piece[j] - margin;

			piece[j] = excess > 0.0f ? weight[j] : 0.0f;
			sum += excess > 0.0f ? (double) weight[j] * excess : 0.0;
		}
		tile->peak[at] = 0.0f;
		tile->sum[at] = sum;
	}
}

/* Cells of softmax and bsl: exponentials, relative to the largest of the block. */
static void
exponentiate_block(const tfrs_softmax_tile *tile, size_t block)
{
	size_t		width = tfrs_softmax_block_width(tile, block);

	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = tfrs_softmax_cells(tile, block, r);
		size_t		at = r * tile->shape->blocks + block;

		tile->peak[at] = fmaxf(tfrs_kernels.maximum(piece, width), LEAST_PEAK);
		tile->sum[at] = tfrs_kernels.exp_sum(piece, width, tile->peak[at]);
	}
}

static void
fill_cells(const tfrs_softmax_tile *tile, size_t block)
{
	if (tile->problem->kind == TFRS_LOSS_CCL)
		cut_block(tile, block);
	else
		exponentiate_block(tile, block);
}

/* What needs all logits of a row before the first of them is exponentiated. */
static void
look_at_whole_rows(const tfrs_softmax_tile *tile)
{
	const tfrs_softmax_problem *problem = tile->problem;

	for (size_t r = 0; problem->batch.target_above != NULL && r < tile->rows; r++)
		rank_targets(tile, r);
	for (size_t b = 0; b < tile->shape->blocks; b++)
		add_gains(tile, b);
	for (size_t r = 0; problem->hard_negatives > 0 && r < tile->rows; r++)
		if (tfrs_ragged_length(problem->batch.target, tile->first + r) > 0)
			keep_hardest(tile, r);
	for (size_t b = 0; b < tile->shape->blocks; b++)
		fill_cells(tile, b);
}

void
tfrs_softmax_forward(const tfrs_softmax_tile *tile)
{
	const tfrs_softmax_problem *problem = tile->problem;
	bool		whole_rows = problem->hard_negatives > 0 || problem->batch.target_above != NULL;

	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		fill_block(tile, b);
		if (whole_rows)
			continue;
		add_gains(tile, b);
		fill_cells(tile, b);
	}
	if (whole_rows)
		look_at_whole_rows(tile);
	for (size_t r = 0; r < tile->rows; r++)
		tfrs_softmax_finish_row(tile, r);
}
