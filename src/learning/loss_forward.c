/*
 * loss_forward.c: from vectors to the losses of a tile's rows.
 *
 * Cells are float32; sums of exponentials and everything that decides a row's loss are double.  The
 * caller has made sure that no logit overflows, so there is no NaN here.
 */
#include "learning/loss_forward.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"

/* Logits are above it, hidden cells far below. */
#define LEAST_LOG_SUM (-2e30)

/* See the formula in loss_tile.h. */
typedef struct own_column
{
	double		taken;
	double		added;
} own_column;

/* Position of the first key >= value. */
static size_t
lower_bound(const uint64_t *keys, size_t count, uint64_t value)
{
	size_t		low = 0;

	while (count > 0)
	{
		size_t		half = count / 2;

		if (keys[low + half] < value)
		{
			low += half + 1;
			count -= half + 1;
		}
		else
			count = half;
	}
	return low;
}

/*
 * share: in, the logits of each head; out, each head's part of the gradient: 1 / number of heads
 * that reach the maximum, as TensorFlow's reduce_max has it.  best: the maximum.
 */
static void
take_best_head(const tfrs_loss_tile *tile, size_t block, size_t row, size_t width)
{
	size_t		heads = tile->problem->heads;
	float	   *best = tfrs_loss_cells(tile, block, row);
	float		ties[TFRS_LOSS_BLOCK] = {0};

	memcpy(best, tfrs_loss_shares(tile, block, row, 0), width * sizeof(float));
	for (size_t h = 1; h < heads; h++)
	{
		const float *logit = tfrs_loss_shares(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			best[j] = logit[j] > best[j] ? logit[j] : best[j];
	}
	for (size_t h = 0; h < heads; h++)
	{
		const float *logit = tfrs_loss_shares(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			ties[j] += logit[j] == best[j] ? 1.0f : 0.0f;
	}
	for (size_t h = 0; h < heads; h++)
	{
		float	   *logit = tfrs_loss_shares(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			logit[j] = logit[j] == best[j] ? 1.0f / ties[j] : 0.0f;
	}
}

static void
note_targets(const tfrs_loss_tile *tile, size_t block, size_t row)
{
	const tfrs_loss_problem *problem = tile->problem;
	const float *piece = tfrs_loss_cells(tile, block, row);
	size_t		start = block * TFRS_LOSS_BLOCK;
	size_t		width = tfrs_loss_block_width(tile, block);
	size_t		i = tile->first + row;

	for (uint32_t t = problem->target_start[i]; t < problem->target_start[i + 1]; t++)
	{
		size_t		column = problem->target_column[t];

		if (column - start < width)
			problem->target_logit[t] = piece[column - start];
	}
}

/* Hides the columns of the keys base + j with j in the block, but for the column spared. */
static void
hide(const tfrs_loss_tile *tile, size_t block, size_t row, const uint64_t *keys, size_t count,
	 uint64_t base, size_t spared)
{
	float	   *piece = tfrs_loss_cells(tile, block, row);
	uint64_t	start = base + block * TFRS_LOSS_BLOCK;
	uint64_t	end = start + tfrs_loss_block_width(tile, block);

	for (size_t k = lower_bound(keys, count, start); k < count && keys[k] < end; k++)
		if (keys[k] - base != spared)
			piece[keys[k] - start] = TFRS_LOSS_HIDDEN;
}

static void
hide_cells(const tfrs_loss_tile *tile, size_t block, size_t row)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		i = tile->first + row;

	if (problem->twins != NULL)
	{
		size_t		own = problem->target_column[problem->target_start[i]];

		hide(tile, block, row, problem->twins, problem->twin_count,
			 (uint64_t) problem->id[own] << 32, own);
	}
	if (problem->masked != NULL)
		hide(tile, block, row, problem->masked, problem->masked_count,
			 (uint64_t) i * problem->columns, SIZE_MAX);
}

/* Whether something is decided by which of two logits is larger: then equal vectors must tie. */
static bool
compares_logits(const tfrs_loss_problem *problem)
{
	return problem->heads > 1 || problem->hard_negatives > 0 || problem->target_above != NULL;
}

static void
multiply_block(const tfrs_loss_tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		rows = tile->rows * problem->heads;
	size_t		width = tfrs_loss_block_width(tile, block);
	size_t		dim = problem->dim;
	const float *query = tfrs_loss_query(tile, 0, 0);
	const float *candidate = problem->candidate + block * TFRS_LOSS_BLOCK * dim;
	float	   *logits = tfrs_loss_shares(tile, block, 0, 0);

	if (compares_logits(problem))
		tfrs_matmul_nt_alike(rows, width, dim, problem->inverse_temperature, query, dim,
							 candidate, dim, 0.0f, logits, TFRS_LOSS_STRIDE);
	else
		tfrs_matmul_nt(rows, width, dim, problem->inverse_temperature, query, dim, candidate, dim,
					   0.0f, logits, TFRS_LOSS_STRIDE);
}

/* Product, best head, correction of the columns, masks. */
static void
fill_block(const tfrs_loss_tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		start = block * TFRS_LOSS_BLOCK;
	size_t		width = tfrs_loss_block_width(tile, block);

	multiply_block(tile, block);
	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = tfrs_loss_cells(tile, block, r);

		if (problem->heads > 1)
			take_best_head(tile, block, r, width);
		if (problem->adjust != NULL)
			tfrs_kernels.add_scaled(piece, problem->adjust + start, width, 1.0f);
		note_targets(tile, block, r);
		hide_cells(tile, block, r);
		if (problem->logits != NULL)
			memcpy(problem->logits + (tile->first + r) * problem->columns + start, piece,
				   width * sizeof(float));
	}
}

/* How many columns of the batch are above a target. */
static uint32_t
columns_above(const tfrs_loss_tile *tile, size_t row, float logit)
{
	const float *count = tile->problem->count;
	double		above = 0.0;

	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		const float *piece = tfrs_loss_cells(tile, b, row);
		size_t		width = tfrs_loss_block_width(tile, b);

		for (size_t j = 0; j < width; j++)
			if (piece[j] > logit)
				above += count == NULL ? 1.0 : count[b * TFRS_LOSS_BLOCK + j];
	}
	return (uint32_t) above;
}

/* Of the hardest negatives only as many can be above as are kept. */
static void
rank_targets(const tfrs_loss_tile *tile, size_t row)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		i = tile->first + row;

	for (uint32_t t = problem->target_start[i]; t < problem->target_start[i + 1]; t++)
	{
		uint32_t	above = columns_above(tile, row, problem->target_logit[t]);

		problem->target_above[t] = problem->hard_negatives > 0 && above > problem->hard_negatives
			? problem->hard_negatives : above;
	}
}

/* Keeps the positive and the hardest negatives of a row; equal ones by column, as top_k does. */
static void
keep_hardest(const tfrs_loss_tile *tile, size_t row)
{
	const tfrs_loss_problem *problem = tile->problem;
	uint32_t	own = problem->target_column[problem->target_start[tile->first + row]];
	float	   *own_cell = tfrs_loss_cell(tile, row, own);
	float		own_logit = *own_cell;
	tfrs_topk	topk;

	tfrs_topk_init(&topk, tile->hits, problem->hard_negatives);
	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		float	   *piece = tfrs_loss_cells(tile, b, row);
		size_t		width = tfrs_loss_block_width(tile, b);

		for (size_t j = 0; j < width; j++)
		{
			uint32_t	column = (uint32_t) (b * TFRS_LOSS_BLOCK + j);

			if (column != own)
				tfrs_topk_push(&topk, piece[j], column);
			piece[j] = TFRS_LOSS_HIDDEN;
		}
	}
	for (size_t k = 0; k < topk.count; k++)
		*tfrs_loss_cell(tile, row, topk.hits[k].row) = topk.hits[k].score;
	*own_cell = own_logit;
}

static void
add_gains(const tfrs_loss_tile *tile, size_t block)
{
	const float *log_gain = tile->problem->log_gain;

	for (size_t r = 0; log_gain != NULL && r < tile->rows; r++)
		tfrs_kernels.add_scaled(tfrs_loss_cells(tile, block, r),
								log_gain + block * TFRS_LOSS_BLOCK,
								tfrs_loss_block_width(tile, block), 1.0f);
}

/* Cells of ccl: the weight of what is above the margin, and the sum of its excess. */
static void
cut_block(const tfrs_loss_tile *tile, size_t block)
{
	const float *weight = tile->problem->weight + block * TFRS_LOSS_BLOCK;
	float		margin = tile->problem->margin;
	size_t		width = tfrs_loss_block_width(tile, block);

	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = tfrs_loss_cells(tile, block, r);
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

static void
exponentiate_block(const tfrs_loss_tile *tile, size_t block)
{
	size_t		width = tfrs_loss_block_width(tile, block);

	if (tile->problem->kind == TFRS_LOSS_CCL)
	{
		cut_block(tile, block);
		return;
	}
	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = tfrs_loss_cells(tile, block, r);
		size_t		at = r * tile->shape->blocks + block;

		tile->peak[at] = tfrs_kernels.maximum(piece, width);
		tile->sum[at] = tfrs_kernels.exp_sum(piece, width, tile->peak[at]);
	}
}

/* What needs all logits of a row before the first of them is exponentiated. */
static void
look_at_whole_rows(const tfrs_loss_tile *tile)
{
	const tfrs_loss_problem *problem = tile->problem;

	for (size_t r = 0; problem->target_above != NULL && r < tile->rows; r++)
		rank_targets(tile, r);
	for (size_t b = 0; b < tile->shape->blocks; b++)
		add_gains(tile, b);
	for (size_t r = 0; problem->hard_negatives > 0 && r < tile->rows; r++)
		keep_hardest(tile, r);
	for (size_t b = 0; b < tile->shape->blocks; b++)
		exponentiate_block(tile, b);
}

static bool
is_masked(const tfrs_loss_problem *problem, size_t row, size_t column)
{
	uint64_t	key = (uint64_t) row * problem->columns + column;
	size_t		k;

	if (problem->masked == NULL)
		return false;
	k = lower_bound(problem->masked, problem->masked_count, key);
	return k < problem->masked_count && problem->masked[k] == key;
}

/* How a target's own column enters its sum: see the formula in loss_tile.h. */
static own_column
own_column_of(const tfrs_loss_problem *problem, size_t row, size_t column)
{
	double		count = problem->count == NULL ? 1.0 : problem->count[column];
	bool		softmax = problem->kind == TFRS_LOSS_SOFTMAX;
	own_column	own = {0.0, 0.0};

	if (count == 0.0 || is_masked(problem, row, column))
		own.added = softmax ? 1.0 : 0.0;
	else if (!softmax)
		own.taken = problem->own_once ? 1.0 : 1.0 / count;
	else if (problem->leave_target_out)
	{
		own.taken = problem->own_once ? 1.0 : 1.0 / count;
		own.added = 1.0;
	}
	else if (problem->own_once)
		own.taken = 1.0 - 1.0 / count;
	return own;
}

/*
 * ln Z_t, of the row's sum (relative to its peak).  The cell that is taken off is the very number
 * that was added, so a double loses nothing that could be seen beside e_t, which is left.
 */
static double
log_sum_of_target(const tfrs_loss_tile *tile, size_t row, uint32_t target, own_column own,
				  double sum)
{
	size_t		column = tile->problem->target_column[target];
	size_t		block = column / TFRS_LOSS_BLOCK;
	double		shift = tile->peak[row * tile->shape->blocks + block] - tile->row_peak[row];
	double		cell = *tfrs_loss_cell(tile, row, column) * exp(shift);
	double		logit = tile->problem->target_logit[target];
	double		rest;

	sum -= own.taken * cell;
	rest = tile->row_peak[row] + log(sum > 0.0 ? sum : 0.0);
	if (own.added == 0.0)
		return rest;
	return rest > logit ? rest + log1p(exp(logit - rest)) : logit + log1p(exp(rest - logit));
}

static double
target_weight(const tfrs_loss_problem *problem, uint32_t target)
{
	return problem->target_weight == NULL ? 1.0 : problem->target_weight[target];
}

/* The same for ccl, whose cells are relative to no peak. */
static double
hinge_of_target(const tfrs_loss_tile *tile, size_t row, uint32_t target, own_column own,
				double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		column = problem->target_column[target];
	double		cell = tfrs_loss_cells(tile, column / TFRS_LOSS_BLOCK,
									   row)[column % TFRS_LOSS_BLOCK];
	double		excess = problem->target_logit[target] - problem->margin;

	return problem->hinge_weight * fmax(sum - own.taken * cell * excess, 0.0);
}

/* Loss and own part of a target of bsl or ccl. */
static void
finish_other_target(const tfrs_loss_tile *tile, size_t row, uint32_t target, own_column own,
					double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	double		logit = problem->target_logit[target];
	double		log_sum;

	problem->target_own[target] = (float) target_weight(problem, target);
	if (problem->kind == TFRS_LOSS_CCL)
	{
		problem->target_loss[target] = 1.0 - logit + hinge_of_target(tile, row, target, own, sum);
		return;
	}
	log_sum = log_sum_of_target(tile, row, target, own, sum);
	problem->target_loss[target] = problem->power * log_sum - logit;
	if (log_sum > LEAST_LOG_SUM)
		return;
	problem->target_loss[target] = 0.0;
	problem->target_own[target] = 0.0f;
}

/* Loss of a target and its own part of the gradient. */
static void
finish_target(const tfrs_loss_tile *tile, size_t row, uint32_t target, double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	own_column	own = own_column_of(problem, tile->first + row, problem->target_column[target]);
	double		loss;

	if (problem->kind != TFRS_LOSS_SOFTMAX)
	{
		finish_other_target(tile, row, target, own, sum);
		return;
	}
	loss = log_sum_of_target(tile, row, target, own, sum) - problem->target_logit[target];
	problem->target_loss[target] = loss;
	problem->target_own[target] =
		(float) (target_weight(problem, target) * (1.0 - own.added * exp(-loss)));
}

/* w_t / Z_t of a finished target, relative to the row's peak. */
static double
target_factor(const tfrs_loss_tile *tile, size_t row, uint32_t target)
{
	const tfrs_loss_problem *problem = tile->problem;
	double		log_sum = (problem->target_loss[target] + problem->target_logit[target]) /
		problem->power;

	if (problem->kind == TFRS_LOSS_CCL)
		return problem->hinge_weight * target_weight(problem, target);
	if (problem->kind == TFRS_LOSS_BSL && problem->target_own[target] == 0.0f)
		return 0.0;				/* no negatives */
	return problem->power * target_weight(problem, target) *
		exp(tile->row_peak[row] - log_sum);
}

/*
 * Takes the target's own part off its cell: the row's factor is to multiply what the row's other
 * targets make of it.  (Subtracted from the products it could be the difference of two numbers
 * millions of times larger, where a rare positive is left out of a corrected sum.)
 */
static void
take_own_part(const tfrs_loss_tile *tile, size_t row, uint32_t target, double factor)
{
	size_t		column = tile->problem->target_column[target];
	own_column	own = own_column_of(tile->problem, tile->first + row, column);

	if (factor > 0.0 && own.taken > 0.0)
		*tfrs_loss_cell(tile, row, column) *=
			(float) (1.0 - own.taken * target_factor(tile, row, target) / factor);
}

/* The common case: all targets of the row have the row's sum.  Returns sum of w_t / Z_t. */
static double
finish_targets_alike(const tfrs_loss_tile *tile, size_t row, double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		i = tile->first + row;
	double		log_sum = tile->row_peak[row] + log(sum);
	double		weights = 0.0;

	for (uint32_t t = problem->target_start[i]; t < problem->target_start[i + 1]; t++)
	{
		double		weight = target_weight(problem, t);

		problem->target_loss[t] = log_sum - problem->target_logit[t];
		problem->target_own[t] = (float) weight;
		weights += weight;
	}
	return weights / sum;
}

static double
finish_targets(const tfrs_loss_tile *tile, size_t row, double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	uint32_t	first = problem->target_start[tile->first + row];
	uint32_t	end = problem->target_start[tile->first + row + 1];
	double		factor = 0.0;

	if (problem->kind == TFRS_LOSS_SOFTMAX && problem->masked == NULL && !problem->own_once &&
		!problem->leave_target_out && !problem->has_zero_count)
		return finish_targets_alike(tile, row, sum);
	for (uint32_t t = first; t < end; t++)
		finish_target(tile, row, t, sum);
	for (uint32_t t = first; t < end; t++)
		factor += target_factor(tile, row, t);
	for (uint32_t t = first; t < end; t++)
		take_own_part(tile, row, t, factor);
	return factor;
}

/* A block's cells are relative to its own peak; sums and factors of the row to the row's. */
static void
finish_row(const tfrs_loss_tile *tile, size_t row)
{
	size_t		blocks = tile->shape->blocks;
	const float *peak = tile->peak + row * blocks;
	double	   *factor = tile->factor + row * blocks;
	double		sum = 0.0;
	double		scale;

	tile->row_peak[row] = tfrs_kernels.maximum(peak, blocks);
	for (size_t b = 0; b < blocks; b++)
	{
		factor[b] = exp(peak[b] - tile->row_peak[row]);
		sum += tile->sum[row * blocks + b] * factor[b];
	}
	scale = finish_targets(tile, row, sum);
	for (size_t b = 0; b < blocks; b++)
		factor[b] *= scale;
}

void
tfrs_loss_forward(const tfrs_loss_tile *tile)
{
	const tfrs_loss_problem *problem = tile->problem;
	bool		whole_rows = problem->hard_negatives > 0 || problem->target_above != NULL;

	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		fill_block(tile, b);
		if (whole_rows)
			continue;
		add_gains(tile, b);
		exponentiate_block(tile, b);
	}
	if (whole_rows)
		look_at_whole_rows(tile);
	for (size_t r = 0; r < tile->rows; r++)
		finish_row(tile, r);
}
