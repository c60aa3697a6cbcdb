/*
 * loss_tile.c: the inner part of the loss; see loss_tile.h for the method.
 *
 * Cells are float32, sums of exponentials and everything that decides a row's loss are double.  The
 * inputs are known to be finite and small enough that no logit overflows (checked by loss.c).
 */
#include "learning/loss_tile.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/topk.h"

/* Columns of a block: with 128 rows 270 kB, which leaves room for both sides of its products. */
#define BLOCK 512

/* Distance of a block's rows: not a power of two, which would crowd a few cache sets. */
#define STRIDE (BLOCK + 16)

/* A tile holds about that many cells (4 MB), within these bounds on its rows. */
#define TILE_CELLS ((size_t) 1 << 20)
#define LEAST_ROWS 16
#define MOST_ROWS 128

typedef struct tile
{
	const tfrs_loss_problem *problem;
	const tfrs_loss_shape *shape;
	size_t		first;			/* row of the problem */
	size_t		rows;
	float	   *d_candidate;	/* (V, D) or NULL */
	/* scratch */
	double	   *sum;			/* (tile_rows, blocks) of exponentials */
	double	   *factor;			/* (tile_rows, blocks) of the cells in the gradient */
	double	   *row_peak;		/* (tile_rows) */
	float	   *peak;			/* (tile_rows, blocks) */
	tfrs_hit   *hits;			/* (hard_negatives) */
	float	   *scaled;			/* (tile_rows * H, D) */
	float	   *partial;		/* (tile_rows * H, D) */
	float	   *score;			/* (blocks, tile_rows, STRIDE) */
	float	   *share;			/* (blocks, tile_rows * H, STRIDE), score itself for H = 1 */
} tile;

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
block_width(const tile *tile, size_t block)
{
	return smaller(BLOCK, tile->problem->columns - block * BLOCK);
}

/* The cells of one row in one block. */
static float *
score_piece(const tile *tile, size_t block, size_t row)
{
	return tile->score + (block * tile->shape->tile_rows + row) * STRIDE;
}

static float *
share_piece(const tile *tile, size_t block, size_t row, size_t head)
{
	size_t		heads = tile->problem->heads;

	return tile->share + ((block * tile->shape->tile_rows + row) * heads + head) * STRIDE;
}

static const float *
query_vector(const tile *tile, size_t row, size_t head)
{
	const tfrs_loss_problem *problem = tile->problem;

	return problem->query + ((tile->first + row) * problem->heads + head) * problem->dim;
}

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
take_best_head(const tile *tile, size_t block, size_t row, size_t width)
{
	size_t		heads = tile->problem->heads;
	float	   *best = score_piece(tile, block, row);
	float		ties[BLOCK] = {0};

	memcpy(best, share_piece(tile, block, row, 0), width * sizeof(float));
	for (size_t h = 1; h < heads; h++)
	{
		const float *logit = share_piece(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			best[j] = logit[j] > best[j] ? logit[j] : best[j];
	}
	for (size_t h = 0; h < heads; h++)
	{
		const float *logit = share_piece(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			ties[j] += logit[j] == best[j] ? 1.0f : 0.0f;
	}
	for (size_t h = 0; h < heads; h++)
	{
		float	   *logit = share_piece(tile, block, row, h);

		for (size_t j = 0; j < width; j++)
			logit[j] = logit[j] == best[j] ? 1.0f / ties[j] : 0.0f;
	}
}

static void
note_targets(const tile *tile, size_t block, size_t row)
{
	const tfrs_loss_problem *problem = tile->problem;
	const float *piece = score_piece(tile, block, row);
	size_t		start = block * BLOCK;
	size_t		width = block_width(tile, block);
	size_t		i = tile->first + row;

	for (uint32_t t = problem->target_start[i]; t < problem->target_start[i + 1]; t++)
	{
		size_t		column = problem->target_column[t];

		if (column - start >= width)
			continue;
		problem->target_logit[t] = piece[column - start];
		if (problem->count != NULL)
			problem->target_logit[t] -= logf(problem->count[column]);
	}
}

/* Hides the columns of the keys base + j with j in the block, but for the column spared. */
static void
hide(const tile *tile, size_t block, size_t row, const uint64_t *keys, size_t count, uint64_t base,
	 size_t spared)
{
	float	   *piece = score_piece(tile, block, row);
	uint64_t	start = base + block * BLOCK;
	uint64_t	end = start + block_width(tile, block);

	for (size_t k = lower_bound(keys, count, start); k < count && keys[k] < end; k++)
		if (keys[k] - base != spared)
			piece[keys[k] - start] = TFRS_LOSS_HIDDEN;
}

static void
hide_cells(const tile *tile, size_t block, size_t row)
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

/* Product, best head, correction of the columns, masks. */
static void
fill_block(const tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		start = block * BLOCK;
	size_t		width = block_width(tile, block);
	size_t		dim = problem->dim;

	tfrs_matmul_nt(tile->rows * problem->heads, width, dim, problem->inverse_temperature,
				   query_vector(tile, 0, 0), dim, problem->candidate + start * dim, dim, 0.0f,
				   share_piece(tile, block, 0, 0), STRIDE);
	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = score_piece(tile, block, r);

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

/* Keeps the positive and the hardest negatives of a row; equal ones by column, as top_k does. */
static void
keep_hardest(const tile *tile, size_t row)
{
	const tfrs_loss_problem *problem = tile->problem;
	uint32_t	target = problem->target_start[tile->first + row];
	uint32_t	own = problem->target_column[target];
	tfrs_topk	topk;

	tfrs_topk_init(&topk, tile->hits, problem->hard_negatives);
	for (size_t b = 0; b < tile->shape->blocks; b++)
	{
		float	   *piece = score_piece(tile, b, row);
		size_t		width = block_width(tile, b);

		for (size_t j = 0; j < width; j++)
		{
			uint32_t	column = (uint32_t) (b * BLOCK + j);

			if (column != own)
				tfrs_topk_push(&topk, piece[j], column);
			piece[j] = TFRS_LOSS_HIDDEN;
		}
	}
	for (size_t k = 0; k < topk.count; k++)
		score_piece(tile, topk.hits[k].row / BLOCK, row)[topk.hits[k].row % BLOCK] =
			topk.hits[k].score;
	score_piece(tile, own / BLOCK, row)[own % BLOCK] = problem->target_logit[target];
}

static void
exponentiate_block(const tile *tile, size_t block)
{
	size_t		width = block_width(tile, block);

	for (size_t r = 0; r < tile->rows; r++)
	{
		float	   *piece = score_piece(tile, block, r);
		size_t		at = r * tile->shape->blocks + block;

		tile->peak[at] = tfrs_kernels.maximum(piece, width);
		tile->sum[at] = tfrs_kernels.exp_sum(piece, width, tile->peak[at]);
	}
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

/* What column's cell adds to the row's sum, relative to the row's peak. */
static double
cell(const tile *tile, size_t row, size_t column)
{
	size_t		block = column / BLOCK;
	double		peak = tile->peak[row * tile->shape->blocks + block];

	return score_piece(tile, block, row)[column % BLOCK] * exp(peak - tile->row_peak[row]);
}

/*
 * ln Z_t of a target whose own column counts once: as a twin its other copies are taken off the
 * sum (the cell is the very number that was added, so a double loses nothing), as a masked cell it
 * is added to it.
 */
static double
log_sum_of_target(const tile *tile, size_t row, uint32_t target, double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		column = problem->target_column[target];
	double		own = problem->target_logit[target];
	double		rest;

	if (is_masked(problem, tile->first + row, column))
	{
		rest = tile->row_peak[row] + log(sum);
		return rest > own ? rest + log1p(exp(own - rest)) : own + log1p(exp(rest - own));
	}
	if (problem->own_once && problem->count != NULL)
		sum -= cell(tile, row, column) * (1.0 - 1.0 / problem->count[column]);
	return tile->row_peak[row] + log(sum);
}

static double
target_weight(const tfrs_loss_problem *problem, uint32_t target)
{
	return problem->target_weight == NULL ? 1.0 : problem->target_weight[target];
}

/* Losses of a row's targets; returns sum of w_t / Z_t, relative to the row's peak. */
static double
finish_targets(const tile *tile, size_t row, double sum)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		i = tile->first + row;
	bool		alike = problem->masked == NULL && !problem->own_once;
	double		log_sum = tile->row_peak[row] + log(sum);
	double		factor = 0.0;

	for (uint32_t t = problem->target_start[i]; t < problem->target_start[i + 1]; t++)
	{
		double		own = alike ? log_sum : log_sum_of_target(tile, row, t, sum);
		double		scale = alike ? 1.0 / sum : exp(tile->row_peak[row] - own);

		problem->target_loss[t] = fmax(own - problem->target_logit[t], 0.0);
		factor += target_weight(problem, t) * scale;
		if (problem->row_top1 != NULL)
			problem->row_top1[i] = problem->target_logit[t] >= tile->row_peak[row] ? 1.0 : 0.0;
	}
	return factor;
}

/* A block's cells are relative to its own peak; sums and factors of the row to the row's. */
static void
finish_row(const tile *tile, size_t row)
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

static float
block_factor(const tile *tile, size_t block, size_t row)
{
	return (float) tile->factor[row * tile->shape->blocks + block];
}

/*
 * What is taken off dL/dS at the target's own column, where the row's factor has counted it as any
 * other column: w in the plain case; w (1 + (count - 1) e / Z) where it counts once; w (1 - e / Z)
 * where it is masked and was not counted at all.
 */
static double
own_gradient(const tile *tile, size_t row, uint32_t target)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		column = problem->target_column[target];
	double		weight = target_weight(problem, target);
	double		loss = problem->target_loss[target];

	if (is_masked(problem, tile->first + row, column))
		return weight * -expm1(-loss);
	if (problem->own_once && problem->count != NULL)
		return weight * (1.0 + (problem->count[column] - 1.0) * exp(-loss));
	return weight;
}

static void
subtract_target(const tile *tile, size_t row, uint32_t target)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		column = problem->target_column[target];
	size_t		dim = problem->dim;
	double		own = own_gradient(tile, row, target);

	for (size_t h = 0; h < problem->heads; h++)
	{
		float		scale = (float) -own * problem->inverse_temperature;

		if (problem->heads > 1)
			scale *= share_piece(tile, column / BLOCK, row, h)[column % BLOCK];
		if (problem->d_query != NULL)
			tfrs_kernels.add_scaled(problem->d_query +
									((tile->first + row) * problem->heads + h) * dim,
									problem->candidate + column * dim, dim, scale);
		if (tile->d_candidate != NULL)
			tfrs_kernels.add_scaled(tile->d_candidate + column * dim, query_vector(tile, row, h),
									dim, scale);
	}
	if (problem->d_logits != NULL)
		problem->d_logits[(tile->first + row) * problem->columns + column] -= (float) own;
}

/* scaled = factor / T * query, so that the candidates' product needs the cells as they are. */
static void
scale_queries(const tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		floats = problem->heads * problem->dim;

	for (size_t r = 0; r < tile->rows; r++)
	{
		float		scale = block_factor(tile, block, r) * problem->inverse_temperature;
		const float *from = query_vector(tile, r, 0);
		float	   *to = tile->scaled + r * floats;

		for (size_t d = 0; d < floats; d++)
			to[d] = scale * from[d];
	}
}

/* d_query += factor / T * cells * candidates */
static void
add_query_gradient(const tile *tile, size_t block, size_t width)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		dim = problem->dim;
	size_t		floats = problem->heads * dim;

	tfrs_matmul_nn(tile->rows * problem->heads, dim, width, 1.0f, share_piece(tile, block, 0, 0),
				   STRIDE, problem->candidate + block * BLOCK * dim, dim, 0.0f, tile->partial,
				   dim);
	for (size_t r = 0; r < tile->rows; r++)
		tfrs_kernels.add_scaled(problem->d_query + (tile->first + r) * floats,
								tile->partial + r * floats, floats,
								block_factor(tile, block, r) * problem->inverse_temperature);
}

/* Each head's cells: the row's, times the head's share. */
static void
spread_over_heads(const tile *tile, size_t block, size_t width)
{
	for (size_t r = 0; r < tile->rows; r++)
	{
		const float *cells = score_piece(tile, block, r);

		for (size_t h = 0; h < tile->problem->heads; h++)
		{
			float	   *share = share_piece(tile, block, r, h);

			for (size_t j = 0; j < width; j++)
				share[j] *= cells[j];
		}
	}
}

static void
backward_block(const tile *tile, size_t block)
{
	const tfrs_loss_problem *problem = tile->problem;
	size_t		width = block_width(tile, block);
	size_t		dim = problem->dim;

	if (problem->heads > 1)
		spread_over_heads(tile, block, width);
	if (problem->d_query != NULL)
		add_query_gradient(tile, block, width);
	if (tile->d_candidate == NULL)
		return;
	scale_queries(tile, block);
	tfrs_matmul_tn(width, dim, tile->rows * problem->heads, 1.0f, share_piece(tile, block, 0, 0),
				   STRIDE, tile->scaled, dim, 1.0f, tile->d_candidate + block * BLOCK * dim, dim);
}

static void
write_logit_gradient(const tile *tile)
{
	const tfrs_loss_problem *problem = tile->problem;

	for (size_t r = 0; r < tile->rows; r++)
		for (size_t j = 0; j < problem->columns; j++)
			problem->d_logits[(tile->first + r) * problem->columns + j] =
				score_piece(tile, j / BLOCK, r)[j % BLOCK] * block_factor(tile, j / BLOCK, r);
}

static void
backward(const tile *tile)
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

void
tfrs_loss_shape_choose(tfrs_loss_shape *shape, const tfrs_loss_problem *problem)
{
	size_t		head_tiles = problem->heads > 1 ? problem->heads : 0;
	size_t		rows = TILE_CELLS / problem->columns / (head_tiles + 1) / LEAST_ROWS * LEAST_ROWS;
	size_t		vectors;
	size_t		pieces;

	rows = rows < LEAST_ROWS ? LEAST_ROWS : smaller(rows, MOST_ROWS);
	memset(shape, 0, sizeof(*shape));
	shape->tile_rows = rows;
	shape->tiles = (problem->rows + rows - 1) / rows;
	shape->blocks = (problem->columns + BLOCK - 1) / BLOCK;
	shape->scratch.fits = tfrs_size_multiply(rows * problem->dim, problem->heads, &vectors);
	pieces = rows * shape->blocks;
	shape->sum = tfrs_layout_place(&shape->scratch, pieces, sizeof(double));
	shape->factor = tfrs_layout_place(&shape->scratch, pieces, sizeof(double));
	shape->row_peak = tfrs_layout_place(&shape->scratch, rows, sizeof(double));
	shape->peak = tfrs_layout_place(&shape->scratch, pieces, sizeof(float));
	shape->hits = tfrs_layout_place(&shape->scratch, problem->hard_negatives, sizeof(tfrs_hit));
	shape->scaled = tfrs_layout_place(&shape->scratch, vectors, sizeof(float));
	shape->partial = tfrs_layout_place(&shape->scratch, vectors, sizeof(float));
	shape->score = tfrs_layout_place(&shape->scratch, pieces, STRIDE * sizeof(float));
	shape->share = shape->score;
	if (problem->heads > 1)
		shape->share = tfrs_layout_place(&shape->scratch, pieces * head_tiles,
										 STRIDE * sizeof(float));
}

static void
lay_out(tile *tile, char *scratch)
{
	const tfrs_loss_shape *shape = tile->shape;

	tile->sum = (double *) (scratch + shape->sum);
	tile->factor = (double *) (scratch + shape->factor);
	tile->row_peak = (double *) (scratch + shape->row_peak);
	tile->peak = (float *) (scratch + shape->peak);
	tile->hits = (tfrs_hit *) (scratch + shape->hits);
	tile->scaled = (float *) (scratch + shape->scaled);
	tile->partial = (float *) (scratch + shape->partial);
	tile->score = (float *) (scratch + shape->score);
	tile->share = (float *) (scratch + shape->share);
}

void
tfrs_loss_tile_run(const tfrs_loss_problem *problem, const tfrs_loss_shape *shape, size_t number,
				   void *scratch, float *d_candidate)
{
	tile		tile = {.problem = problem,.shape = shape,.d_candidate = d_candidate};

	tile.first = number * shape->tile_rows;
	tile.rows = smaller(shape->tile_rows, problem->rows - tile.first);
	lay_out(&tile, scratch);
	for (size_t b = 0; b < shape->blocks; b++)
	{
		fill_block(&tile, b);
		if (problem->hard_negatives == 0)
			exponentiate_block(&tile, b);
	}
	if (problem->hard_negatives > 0)
	{
		for (size_t r = 0; r < tile.rows; r++)
			keep_hardest(&tile, r);
		for (size_t b = 0; b < shape->blocks; b++)
			exponentiate_block(&tile, b);
	}
	for (size_t r = 0; r < tile.rows; r++)
		finish_row(&tile, r);
	if (problem->d_query != NULL || d_candidate != NULL || problem->d_logits != NULL)
		backward(&tile);
}
