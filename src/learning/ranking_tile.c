/*
 * ranking_tile.c: products, shortlists and sums of exponentials of ranking_tile.h.
 */
#include "learning/ranking_tile.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/topk.h"

/*
 * A block of MOST_ROWS queries and BLOCK candidates takes half of a common second-level cache.
 * Fewer than ALL candidates are one block: a shortlist's first threshold is better then.
 */
#define MOST_ROWS 128
#define LEAST_ROWS 8
#define BLOCK 1024
#define ALL 2048

/* Multiply-adds of a tile, where the bounds on its rows allow: some 10 ms. */
#define TILE_WORK ((size_t) 1 << 28)

/* Multiply-adds that take as long as a candidate, or a value, of the sparse parts of a score. */
#define PART_CANDIDATE_WORK 128
#define PART_VALUE_WORK 64

/* Scores stay finite below it, however they are summed. */
#define MOST_SCORE (FLT_MAX / 4)

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* max |x|, infinity where one is too long. */
static float
longest(const tfrs_model *model)
{
	size_t		dim = model->shape->dim;
	float		square = 0.0f;

	for (size_t n = 0; n < model->candidate_ids.count; n++)
	{
		const float *vector = model->candidate_table + n * dim;

		square = fmaxf(square, tfrs_kernels.dot(vector, vector, dim));
	}
	return sqrtf(square);
}

/*
 * What the ranking of a query costs beside its products: those that enter the shortlist get their
 * exact score, a row at a time, which takes four times as long as by matrix product.
 */
static double
list_cost(size_t depth, size_t candidates, size_t dim)
{
	size_t		entering = smaller(2 * depth, candidates);

	return tfrs_topk_cost(depth, candidates) + 4.0 * (double) entering * (double) dim;
}

/* What the sparse parts of a query's scores cost, for a query with as many events as the others. */
static double
part_cost(const tfrs_model *model)
{
	double		candidates = (double) model->scores.candidates;
	double		values = 0;

	if (candidates == 0)
		return 0;
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		values += (double) model->scores.neighbours[p].count / candidates;
	values *= (double) model->events.count / (double) (model->events.queries + 1);
	return PART_CANDIDATE_WORK * candidates + PART_VALUE_WORK * values;
}

void
tfrs_ranking_shape_choose(tfrs_ranking_shape *shape, const tfrs_model *model, size_t depth)
{
	size_t		candidates = model->candidate_ids.count;
	size_t		dim = model->shape->dim;
	size_t		blocks = candidates < ALL ? 1 : (candidates + BLOCK - 1) / BLOCK;
	size_t		beside = (size_t) (list_cost(depth, candidates, dim) + part_cost(model));
	size_t		rows = TILE_WORK / (candidates * dim + 2 * beside + 1);

	shape->row_work = candidates * dim + beside;
	shape->model = model;
	shape->candidates = candidates;
	shape->dim = dim;
	shape->depth = depth;
	shape->rows = smaller(rows < LEAST_ROWS ? LEAST_ROWS : rows, MOST_ROWS);
	shape->width = (candidates + blocks - 1) / blocks;
	/* whole cache lines, and not a power of two of them, which would crowd a few cache sets */
	shape->stride = (shape->width + 15) / 16 * 16 + 16;
	shape->longest = longest(model);
	shape->inverse_temperature = model->history != NULL ? 1.0f : 1.0f / model->shape->temperature;
}

tfrs_status
tfrs_ranking_tile_get(tfrs_ranking_tile *tile, tfrs_arena *arena, const tfrs_ranking_shape *shape,
					  tfrs_error *error)
{
	size_t		keys = (shape->rows + 1) * tfrs_shortlist_room(shape->depth);
	tfrs_status status = TFRS_GET(arena, &tile->vector, shape->rows * shape->dim, error);

	tile->shape = shape;
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tile->cell, shape->rows * shape->stride, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tile->list, shape->rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tile->keys, keys, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tile->peak, shape->rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tile->total, shape->rows, error);
	if (status == TFRS_OK && shape->model->scores.candidates > 0)
		status = TFRS_GET(arena, &tile->addend, shape->rows * shape->candidates, error);
	if (status == TFRS_OK && tile->addend != NULL)
		status = tfrs_part_sums_get(&tile->sums, arena, shape->candidates, error);
	return status;
}

/* Sums the sparse parts of the scores of a row; returns the largest magnitude. */
static float
add_parts(tfrs_ranking_tile *tile, size_t r, uint32_t query)
{
	const tfrs_model *model = tile->shape->model;
	float	   *addend = tile->addend + r * tile->shape->candidates;
	tfrs_part_sums *sums = &tile->sums;
	float		largest = 0;

	memset(addend, 0, tile->shape->candidates * sizeof(float));
	if (query >= model->events.queries)
		return 0;
	tfrs_model_add_parts(model, query, sums);
	for (size_t i = 0; i < sums->count; i++)
	{
		uint32_t	c = sums->touched[i];

		addend[c] = sums->sum[c];
		largest = fmaxf(largest, fabsf(addend[c]));
		sums->sum[c] = 0;
	}
	sums->count = 0;
	return largest;
}

/* The vector of a row, and its empty shortlist; false where a score might overflow. */
static bool
begin_row(tfrs_ranking_tile *tile, size_t r, uint32_t query)
{
	const tfrs_ranking_shape *shape = tile->shape;
	const tfrs_model *model = shape->model;
	float	   *vector = tile->vector + r * shape->dim;
	float		norm;

	tfrs_model_query(model, query < model->query_ids.count ? query : TFRS_NO_ROW, vector);
	norm = sqrtf(tfrs_kernels.dot(vector, vector, shape->dim));
	tile->list[r] = (tfrs_shortlist) {
		.query = vector,
		.rows = model->candidate_table,
		.dim = shape->dim,
		.k = shape->depth,
		.keys = tile->keys + r * tfrs_shortlist_room(shape->depth),
		.scratch = tile->keys + shape->rows * tfrs_shortlist_room(shape->depth)
	};
	if (tile->addend != NULL)
	{
		tile->list[r].largest_addend = add_parts(tile, r, query);
		tile->list[r].addend = tile->addend + r * shape->candidates;
	}
	tfrs_shortlist_begin(&tile->list[r], norm, shape->longest);
	tile->peak[r] = -INFINITY;
	tile->total[r] = 0;
	return norm * shape->longest <= MOST_SCORE;
}

/* Adds the exponentials of a block's cells, which are used up; largest: of the cells. */
static void
add_exponentials(tfrs_ranking_tile *tile, size_t r, float *cells, size_t width, float largest)
{
	float		scale = tile->shape->inverse_temperature;
	float		peak = largest * scale;

	if (scale != 1.0f)
		for (size_t j = 0; j < width; j++)
			cells[j] *= scale;
	if (peak > tile->peak[r])
	{
		tile->total[r] *= exp((double) tile->peak[r] - peak);
		tile->peak[r] = peak;
	}
	if (peak > -FLT_MAX)
		tile->total[r] += tfrs_kernels.exp_sum(cells, width, tile->peak[r]);
}

/* One row's cells of the block of candidates that begins at from. */
static void
add_cells(tfrs_ranking_tile *tile, const tfrs_held_out *test, size_t list, size_t r, size_t from,
		  size_t width)
{
	float	   *cells = tile->cell + r * tile->shape->stride;
	tfrs_left_out out = tfrs_held_out_left_out(test, tfrs_held_out_query_of(test, list));
	float		largest;

	for (size_t j = 0; tile->addend != NULL && j < width; j++)
		cells[j] += tile->list[r].addend[from + j];
	tfrs_left_out_hide(&out, cells, from, width);
	largest = tfrs_shortlist_add(&tile->list[r], cells, width, (uint32_t) from);
	if (test->left[list].known > 0)
		add_exponentials(tile, r, cells, width, largest);
}

bool
tfrs_ranking_tile_run(tfrs_ranking_tile *tile, const tfrs_held_out *test, size_t first, size_t rows)
{
	const tfrs_ranking_shape *shape = tile->shape;
	size_t		dim = shape->dim;
	bool		fits = true;

	for (size_t r = 0; r < rows; r++)
		fits = begin_row(tile, r, tfrs_held_out_query_of(test, first + r)) && fits;
	for (size_t from = 0; fits && from < shape->candidates; from += shape->width)
	{
		size_t		width = smaller(shape->width, shape->candidates - from);

		tfrs_matmul_nt(rows, width, dim, 1.0f, tile->vector, dim,
					   shape->model->candidate_table + from * dim, dim, 0.0f, tile->cell,
					   shape->stride);
		for (size_t r = 0; r < rows; r++)
			if (tfrs_held_out_has(test, first + r))
				add_cells(tile, test, first + r, r, from, width);
	}
	return fits;
}

size_t
tfrs_ranking_tile_top(tfrs_ranking_tile *tile, size_t r, uint32_t *top)
{
	tfrs_shortlist *list = &tile->list[r];

	tfrs_shortlist_finish(list);
	for (size_t place = 0; place < list->count; place++)
		top[place] = tfrs_shortlist_row(list, place);
	return list->count;
}

double
tfrs_ranking_tile_loss(const tfrs_ranking_tile *tile, size_t r, const uint64_t *pairs,
					   size_t count)
{
	const tfrs_ranking_shape *shape = tile->shape;
	double		log_total = tile->peak[r] + log(tile->total[r]);
	double		loss = 0;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t	c = tfrs_pair_candidate(pairs[i]);
		const float *vector = shape->model->candidate_table + c * shape->dim;
		float		score = tfrs_kernels.dot(tile->list[r].query, vector, shape->dim);

		if (tile->addend != NULL)
			score += tile->list[r].addend[c];
		loss += log_total - (double) score * shape->inverse_temperature;
	}
	return loss;
}
