/*
 * softmax_targets.c: the losses of a row's targets, and what they make of its cells.
 *
 * Each loss is a function from a target's logit and the sum of the others to the target's loss, its
 * own part of dL/dS and its share of the row's factor; formulas in softmax_tile.h.
 */
#include "learning/softmax_tile.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"

/* Where the others' part of a gradient is that much smaller than the targets' own, it is left out. */
#define LEAST_FACTOR 1e-30

/* How a target's own column enters its sum. */
typedef struct own_column
{
	double		taken;
	bool		added;
} own_column;

/* The sum of a row's cells, relative to exp(peak); of ccl to nothing. */
typedef struct row_sum
{
	double		value;
	double		log;
} row_sum;

/* loss and own part for a weight of 1, and factor 1 / Z relative to exp(peak). */
typedef struct target_terms
{
	double		loss;
	double		own;
	double		factor;
} target_terms;

/* The target's logit relative to the row's peak, the sum without what is taken from it. */
static target_terms
softmax_terms(double logit, row_sum rest, bool added)
{
	double		x = logit - rest.log;
	double		e;
	double		share;

	if (!added)
		return (target_terms) {-x, 1.0, 1.0 / rest.value};
	e = exp(-fabs(x));
	share = (x > 0 ? e : 1.0) / (1.0 + e);
	return (target_terms) {
		(x > 0 ? 0.0 : -x) + log1p(e), share, rest.value > 0 ? share / rest.value : 0.0
	};
}

/* power is that of the loss, by which the row's factor is multiplied; the logit is the whole one. */
static target_terms
bsl_terms(double logit, double peak, row_sum rest, double power)
{
	if (!(rest.value > 0))
		return (target_terms) {0.0, 0.0, 0.0};
	return (target_terms) {power * (peak + rest.log) - logit, 1.0, power / rest.value};
}

static target_terms
ccl_terms(double logit, double excess, double weight)
{
	return (target_terms) {1.0 - logit + weight * fmax(excess, 0.0), 1.0, weight};
}

static own_column
own_column_of(const tfrs_softmax_problem *problem, size_t column, float cell)
{
	double		count = problem->batch.count == NULL ? 1.0 : problem->batch.count[column];
	bool		softmax = problem->kind == TFRS_LOSS_SOFTMAX;

	if (cell == 0.0f)
		return (own_column) {0.0, softmax};
	if (!softmax || problem->leave_target_out)
		return (own_column) {problem->own_once ? 1.0 : 1.0 / count, softmax};
	return (own_column) {problem->own_once ? 1.0 - 1.0 / count : 0.0, false};
}

/* A target's cell, relative to the row's peak where cells are exponentials. */
static double
cell_of(const tfrs_softmax_tile *tile, size_t row, size_t column)
{
	size_t		blocks = tile->shape->blocks;
	double		cell = *tfrs_softmax_cell(tile, row, column);

	if (cell == 0.0 || tile->problem->kind == TFRS_LOSS_CCL)
		return cell;
	return cell * exp(tile->peak[row * blocks + column / TFRS_SOFTMAX_BLOCK] - tile->row_peak[row]);
}

/*
 * The sum without a part of a cell.  What is taken off is the very number that was added, so a
 * double loses nothing that could be seen beside e_t, which is left.
 */
static row_sum
take_off(row_sum sum, double part)
{
	if (part == 0.0)
		return sum;
	sum.value = fmax(sum.value - part, 0.0);
	sum.log = log(sum.value);
	return sum;
}

static target_terms
terms_of(const tfrs_softmax_tile *tile, size_t row, size_t target, row_sum sum)
{
	const tfrs_softmax_problem *problem = tile->problem;
	size_t		column = problem->batch.target->item[target];
	own_column	own = own_column_of(problem, column, *tfrs_softmax_cell(tile, row, column));
	double		part = own.taken > 0.0 ? own.taken * cell_of(tile, row, column) : 0.0;
	double		logit = problem->target_logit[target];

	switch (problem->kind)
	{
		case TFRS_LOSS_BSL:
			return bsl_terms(logit, tile->row_peak[row], take_off(sum, part), problem->power);
		case TFRS_LOSS_CCL:
			return ccl_terms(logit, sum.value - part * (logit - problem->margin),
							 problem->hinge_weight);
		default:
			return softmax_terms(logit - tile->row_peak[row], take_off(sum, part), own.added);
	}
}

static double
weight_of(const tfrs_softmax_problem *problem, size_t target)
{
	const float *weight = problem->batch.target->weight;

	return weight == NULL ? 1.0 : weight[target];
}

/* Returns the factor of the row's cells. */
static double
finish_targets(const tfrs_softmax_tile *tile, size_t row, row_sum sum)
{
	const tfrs_softmax_problem *problem = tile->problem;
	double		factor = 0.0;

	for (size_t t = tfrs_softmax_first_target(tile, row); t < tfrs_softmax_end_target(tile, row); t++)
	{
		target_terms terms = terms_of(tile, row, t, sum);
		double		weight = weight_of(problem, t);

		problem->target_loss[t] = terms.loss;
		problem->target_own[t] = (float) (weight * terms.own);
		problem->target_factor[t] = weight * terms.factor;
		factor += weight * terms.factor;
	}
	return factor;
}

/*
 * Takes the target's own part off its cell: the row's factor is to multiply what the row's other
 * targets make of it.  (Subtracted from the products it could be the difference of two numbers
 * millions of times larger, where a rare positive is left out of a corrected sum.)
 */
static void
leave_own_out(const tfrs_softmax_tile *tile, size_t row, double factor)
{
	const tfrs_softmax_problem *problem = tile->problem;

	for (size_t t = tfrs_softmax_first_target(tile, row); t < tfrs_softmax_end_target(tile, row); t++)
	{
		size_t		column = problem->batch.target->item[t];
		float	   *cell = tfrs_softmax_cell(tile, row, column);
		own_column	own = own_column_of(problem, column, *cell);

		if (own.taken > 0.0)
			*cell *= (float) (1.0 - own.taken * problem->target_factor[t] / factor);
	}
}

/* A block whose cells are nothing beside the row's, or all of them, become 0 with the factor. */
static void
clear_block(const tfrs_softmax_tile *tile, size_t row, size_t block, double factor)
{
	memset(tfrs_softmax_cells(tile, block, row), 0,
		   tfrs_softmax_block_width(tile, block) * sizeof(float));
	tile->factor[row * tile->shape->blocks + block] = factor;
}

/* The blocks' factors, and on each target's cell what is subtracted from dL/dS, in their units. */
static void
finish_cells(const tfrs_softmax_tile *tile, size_t row, double scale)
{
	const tfrs_softmax_problem *problem = tile->problem;
	size_t		blocks = tile->shape->blocks;
	double	   *factor = tile->factor + row * blocks;
	double		own = 0.0;

	for (size_t t = tfrs_softmax_first_target(tile, row); t < tfrs_softmax_end_target(tile, row); t++)
		own += problem->target_own[t];
	for (size_t b = 0; b < blocks; b++)
	{
		factor[b] *= scale;
		if (factor[b] <= LEAST_FACTOR * own)
			clear_block(tile, row, b, own);
	}
	for (size_t t = tfrs_softmax_first_target(tile, row); t < tfrs_softmax_end_target(tile, row); t++)
	{
		size_t		column = problem->batch.target->item[t];

		if (problem->target_own[t] > 0.0f)
			*tfrs_softmax_cell(tile, row, column) -=
				(float) (problem->target_own[t] / factor[column / TFRS_SOFTMAX_BLOCK]);
	}
}

/* A block's cells are relative to its own peak; sums and factors of the row to the row's. */
void
tfrs_softmax_finish_row(const tfrs_softmax_tile *tile, size_t row)
{
	size_t		blocks = tile->shape->blocks;
	const float *peak = tile->peak + row * blocks;
	row_sum		sum = {0.0, 0.0};
	double		factor;

	tile->row_peak[row] = tfrs_kernels.maximum(peak, blocks);
	for (size_t b = 0; b < blocks; b++)
	{
		tile->factor[row * blocks + b] = exp(peak[b] - tile->row_peak[row]);
		sum.value += tile->sum[row * blocks + b] * tile->factor[row * blocks + b];
	}
	sum.log = log(sum.value);
	factor = finish_targets(tile, row, sum);
	if (factor > 0.0)
		leave_own_out(tile, row, factor);
	finish_cells(tile, row, factor);
}
