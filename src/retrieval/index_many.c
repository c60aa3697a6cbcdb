/*
 * index_many.c: many queries at once.
 *
 * With a structure each worker answers whole queries: one after another they read far less than a
 * matrix product over all rows would.  Without one, blocks of queries are multiplied with tiles of
 * rows; a row whose product could reach the query's threshold, rounding allowed for, is scored by
 * the one scorer, so ranks and scores are those of single searches.  Where the score is the product,
 * what a query adjusts is added to its products; for other metrics adjusted rows are offered first.
 */
#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/team.h"
#include "retrieval/exact.h"
#include "retrieval/index_structure.h"
#include "retrieval/space.h"

/* Whole queries that a step gives to each thread at most, and what they may read: some 10 ms. */
#define STEP_QUERIES 128
#define STEP_BYTES ((double) ((size_t) 1 << 28))

/* Bytes that are read while the best are kept: of a unit of tfrs_topk_cost. */
#define TOPK_BYTES 4

/* A tile of products stays in the second-level cache. */
#define TILE_QUERIES 256
#define TILE_ROWS 1024

/* Products of a row looked at together. */
#define STRIP 64

/* Multiply-adds of a step and thread, or what takes as long: some 10 ms. */
#define STEP_PRODUCTS ((size_t) 1 << 28)

/* |query| |row| above this could overflow in the product: such tiles are scored row by row. */
#define MOST_PRODUCT 1e30f

/* Relative rounding of a sum of two numbers, made twice, and that of lengths. */
#define SUM_ROUNDING 0x1p-21f

/* Least allowance for rounding, where products underflow. */
#define LEAST_ALLOWANCE 1e-30f

struct tfrs_index_many
{
	tfrs_arena *arena;
	const tfrs_index *index;
	tfrs_index_queries queries;
	tfrs_corpus corpus;
	tfrs_scorer *scorers;		/* (count) */
	size_t		queries_done;
	/* with a structure */
	tfrs_probe_scratch **scratch;	/* (threads) */
	/* without */
	tfrs_space	space;
	float	   *centre;			/* (D), l2 only */
	tfrs_collector *collectors; /* (count) */
	float	   *places;			/* (threads, TILE_QUERIES + TILE_ROWS, W) and products */
	size_t		places_stride;
	size_t		rows_done;
	size_t		to_sort;		/* queries that have met all rows */
};

static tfrs_status
check_queries(tfrs_index_many *many, tfrs_error *error)
{
	const tfrs_index_queries *queries = &many->queries;
	tfrs_status status = TFRS_GET(many->arena, &many->scorers, queries->count, error);

	for (size_t i = 0; status == TFRS_OK && i < queries->count; i++)
	{
		queries->counts[i] = 0;
		status = tfrs_index_check_search(&many->corpus, queries->queries + i * many->corpus.dim,
										 &queries->searches[i], &many->scorers[i], error);
	}
	return status;
}

static tfrs_status
prepare_structure(tfrs_index_many *many, tfrs_error *error)
{
	tfrs_probe_room room = {0};
	tfrs_status status;

	for (size_t i = 0; i < many->queries.count; i++)
	{
		tfrs_probe_room own = tfrs_index_room(many->index, &many->queries.searches[i]);

		room.rerank = own.rerank > room.rerank ? own.rerank : room.rerank;
		room.listed = own.listed > room.listed ? own.listed : room.listed;
	}
	status = TFRS_GET_ZERO(many->arena, &many->scratch, many->queries.threads, error);
	for (int i = 0; status == TFRS_OK && i < many->queries.threads; i++)
		status = tfrs_probe_scratch_get(&many->scratch[i], &many->index->structure->tree, room,
									   many->arena, error);
	return status;
}

static tfrs_status
prepare_products(tfrs_index_many *many, tfrs_error *error)
{
	const tfrs_index_queries *queries = &many->queries;
	const tfrs_corpus *corpus = &many->corpus;
	float		scale = 0;
	tfrs_status status = TFRS_OK;

	if (corpus->metric == TFRS_METRIC_L2)
	{
		status = TFRS_GET(many->arena, &many->centre, corpus->dim, error);
		if (status == TFRS_OK)
			tfrs_space_fit(corpus, 0, many->centre, &scale);
	}
	if (status != TFRS_OK)
		return status;
	many->space = tfrs_space_of(corpus->metric, corpus->dim, many->centre, scale);
	many->places_stride = (TILE_QUERIES + TILE_ROWS) * many->space.width + TILE_QUERIES * TILE_ROWS;
	status = TFRS_GET(many->arena, &many->collectors, queries->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(many->arena, &many->places, queries->threads * many->places_stride,
						  error);
	for (size_t i = 0; status == TFRS_OK && i < queries->count; i++)
		tfrs_collector_init(&many->collectors[i], &queries->searches[i],
							queries->hits + i * queries->stride, corpus->count);
	tfrs_matmul_load();
	return status;
}

tfrs_status
tfrs_index_many_begin(tfrs_index_many **result, const tfrs_index *index,
					  const tfrs_index_queries *queries, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_index_many *many;
	tfrs_status status = TFRS_GET_ZERO(arena, &many, 1, error);

	if (status != TFRS_OK)
		return status;
	many->arena = arena;
	many->index = index;
	many->queries = *queries;
	many->corpus = tfrs_index_corpus(index);
	status = check_queries(many, error);
	if (status == TFRS_OK && index->count > 0)
		status = index->structure != NULL ? prepare_structure(many, error)
			: prepare_products(many, error);
	if (status == TFRS_OK)
		*result = many;
	else
		tfrs_index_many_destroy(many);
	return status;
}

static void
answer_query(void *context, int worker, size_t task)
{
	tfrs_index_many *many = context;
	const tfrs_index_queries *queries = &many->queries;
	size_t		i = many->queries_done + task;

	queries->counts[i] = tfrs_index_answer(many->index, &many->scorers[i], &queries->searches[i],
										   many->scratch[worker],
										   queries->hits + i * queries->stride);
}

static size_t
queries_of_step(const tfrs_index_many *many)
{
	size_t		threads = (size_t) many->queries.threads;
	size_t		most = tfrs_size_smaller(many->queries.count - many->queries_done,
										 STEP_QUERIES * threads);
	size_t		count = 0;
	double		bytes = 0;

	while (count < most && (count < threads || bytes < STEP_BYTES * (double) threads))
	{
		const tfrs_search *search = &many->queries.searches[many->queries_done + count++];

		bytes += tfrs_index_cost(many->index, search) +
			TOPK_BYTES * tfrs_topk_cost(search->k, many->corpus.count);
	}
	return count;
}

static tfrs_status
step_queries(tfrs_index_many *many)
{
	size_t		tasks = queries_of_step(many);

	tfrs_team_run(many->queries.threads, tasks, answer_query, many);
	many->queries_done += tasks;
	return many->queries_done < many->queries.count ? TFRS_MORE : TFRS_OK;
}

/* A tile: its rows in the space, the longest of them, and products with some queries. */
typedef struct tile
{
	size_t		first_query;
	size_t		query_count;
	size_t		first_row;
	size_t		row_count;
	float	   *queries;		/* (query_count, W) */
	float	   *copies;			/* (row_count, W): room for rows that are not stored like that */
	const float *rows;			/* (row_count, W) */
	float	   *products;		/* (query_count, row_count) */
	float		longest;
} tile;

static void
fill_rows(const tfrs_index_many *many, tile *tile)
{
	size_t		width = many->space.width;
	float		square = 0;

	tile->rows = tile->copies;
	if (many->corpus.metric == TFRS_METRIC_DOT)
		tile->rows = many->corpus.vectors + tile->first_row * width;
	for (size_t r = 0; r < tile->row_count; r++)
	{
		const float *row = tile->rows + r * width;

		if (many->corpus.metric != TFRS_METRIC_DOT)
			tfrs_space_row(&many->space, &many->corpus, tile->first_row + r,
						   tile->copies + r * width);
		square = fmaxf(square, tfrs_kernels.dot(row, row, width));
	}
	tile->longest = sqrtf(square);
}

/* Offers a row with its own score. */
static void
offer_row(tfrs_index_many *many, size_t query, uint32_t row)
{
	const tfrs_search *search = &many->queries.searches[query];
	float		score = tfrs_scorer_score(&many->scorers[query], row);
	size_t		place = tfrs_place_of_row(search->adjusted, search->adjusted_count, row);

	if (place == search->adjusted_count || search->adjusted[place] != row)
		tfrs_collector_offer(&many->collectors[query], score, row);
	else if (many->corpus.metric == TFRS_METRIC_DOT)
		tfrs_collector_offer_adjusted(&many->collectors[query],
									  score + search->adjustment[place], row);
}

static void
offer_strip(tfrs_index_many *many, size_t query, size_t first_row, size_t count,
			const float *products, float least)
{
	for (size_t r = 0; r < count; r++)
		if (!(products[r] < least))
			offer_row(many, query, (uint32_t) (first_row + r));
}

/* The adjustments of all rows of the tile; returns a bound on their magnitudes. */
static float
add_adjustments(float *products, const float *adjustment, size_t count)
{
	tfrs_kernels.add_scaled(products, adjustment, count, 1);
	return sqrtf(tfrs_kernels.dot(adjustment, adjustment, count));
}

/* Adds to the products of a query what it adjusts; returns a bound on the magnitudes of that. */
static float
adjust_products(const tfrs_index_many *many, const tile *tile, size_t q)
{
	const tfrs_search *search = &many->queries.searches[tile->first_query + q];
	float	   *products = tile->products + q * tile->row_count;
	uint32_t	first = (uint32_t) tile->first_row;
	size_t		end = tile->first_row + tile->row_count;
	float		largest = 0;

	if (many->corpus.metric != TFRS_METRIC_DOT)
		return 0;
	if (search->adjusted_count == many->corpus.count)
		return add_adjustments(products, search->adjustment + first, tile->row_count);
	for (size_t i = tfrs_place_of_row(search->adjusted, search->adjusted_count, first);
		 i < search->adjusted_count && search->adjusted[i] < end; i++)
	{
		float		size = fabsf(search->adjustment[i]);

		products[search->adjusted[i] - first] += search->adjustment[i];
		largest = size > largest ? size : largest;
	}
	return largest;
}

/*
 * The product below which a row of the tile can't enter the query's best.  adjusted: a bound on what
 * was added to products, whose sums are rounded once more.
 */
static float
least_product(const tfrs_index_many *many, const tile *tile, size_t q, float adjusted)
{
	const float *place = tile->queries + q * many->space.width;
	float		length = tfrs_vector_norm(place, many->space.width);
	float		allowance = tfrs_space_rounding(&many->space) *
		length * (tile->longest + many->space.centre_norm) +
		SUM_ROUNDING * (adjusted + length * tile->longest) + LEAST_ALLOWANCE;
	float		threshold = many->collectors[tile->first_query + q].threshold;

	if (!(length * tile->longest + adjusted < MOST_PRODUCT))
		return -INFINITY;
	return tfrs_space_product_of(&many->space, place, threshold) - allowance;
}

/*
 * Rows that are left out get no product that could be among the best: what a query has chosen often
 * has the largest ones, and would be scored for nothing.
 */
static void
hide_excluded(const tfrs_search *search, const tile *tile, float *products)
{
	size_t		end = tile->first_row + tile->row_count;

	for (size_t i = tfrs_place_of_row(search->excluded, search->excluded_count,
								   (uint32_t) tile->first_row);
		 i < search->excluded_count && search->excluded[i] < end; i++)
		products[search->excluded[i] - tile->first_row] = -INFINITY;
}

static void
offer_products(tfrs_index_many *many, const tile *tile, size_t q)
{
	float		adjusted = adjust_products(many, tile, q);
	float	   *products = tile->products + q * tile->row_count;
	float		least = least_product(many, tile, q, adjusted);

	hide_excluded(&many->queries.searches[tile->first_query + q], tile, products);
	for (size_t first = 0; first < tile->row_count; first += STRIP)
	{
		size_t		count = tfrs_size_smaller(tile->row_count - first, STRIP);

		if (tfrs_kernels.maximum(products + first, count) < least)
			continue;
		offer_strip(many, tile->first_query + q, tile->first_row + first, count,
					products + first, least);
		least = least_product(many, tile, q, adjusted);
	}
}

/*
 * What a row costs for each query, in multiply-adds or what takes as long: the product, and a share
 * of keeping the best, which get a score of their own.
 */
static double
row_cost(const tfrs_index_many *many)
{
	size_t		k = many->queries.stride;
	double		width = (double) many->space.width;
	double		offered = (double) tfrs_size_smaller(4 * k, many->corpus.count);

	return width + (4 * width * offered + tfrs_topk_cost(k, many->corpus.count)) /
		(double) many->corpus.count;
}

static size_t
rows_of_step(const tfrs_index_many *many)
{
	size_t		tiles = (size_t) (STEP_PRODUCTS / (TILE_QUERIES * TILE_ROWS * row_cost(many))) + 1;

	return tfrs_size_smaller(many->corpus.count - many->rows_done, tiles * TILE_ROWS);
}

/* The place of a query.  What can't be added to products is offered before its first tile. */
static void
begin_query(tfrs_index_many *many, size_t query, float *place)
{
	tfrs_space_query(&many->space, &many->scorers[query], place);
	if (many->rows_done == 0 && many->corpus.metric != TFRS_METRIC_DOT)
		tfrs_exact_offer_adjusted(&many->scorers[query], &many->collectors[query]);
}

/* One block of queries against the rows of the step. */
static void
multiply_block(void *context, int worker, size_t task)
{
	tfrs_index_many *many = context;
	size_t		width = many->space.width;
	size_t		end = many->rows_done + rows_of_step(many);
	tile		tile;

	tile.first_query = many->queries_done + task * TILE_QUERIES;
	tile.query_count = tfrs_size_smaller(many->queries.count - tile.first_query, TILE_QUERIES);
	tile.queries = many->places + worker * many->places_stride;
	tile.copies = tile.queries + TILE_QUERIES * width;
	tile.products = tile.copies + TILE_ROWS * width;
	for (size_t q = 0; q < tile.query_count; q++)
		begin_query(many, tile.first_query + q, tile.queries + q * width);
	for (tile.first_row = many->rows_done; tile.first_row < end; tile.first_row += TILE_ROWS)
	{
		tile.row_count = tfrs_size_smaller(end - tile.first_row, TILE_ROWS);
		fill_rows(many, &tile);
		tfrs_matmul_nt(tile.query_count, tile.row_count, width, 1, tile.queries, width,
					   tile.rows, width, 0, tile.products, tile.row_count);
		for (size_t q = 0; q < tile.query_count; q++)
			offer_products(many, &tile, q);
	}
}

static void
finish_query(tfrs_index_many *many, size_t query)
{
	tfrs_topk  *topk = &many->collectors[query].topk;

	tfrs_topk_finish(topk);
	tfrs_exact_order_infinite(&many->scorers[query], &many->queries.searches[query], topk->hits,
							  topk->count);
	many->queries.counts[query] = topk->count;
}

static tfrs_status
step_products(tfrs_index_many *many)
{
	size_t		left = many->queries.count - many->queries_done;
	size_t		count = tfrs_size_smaller(left, (size_t) TILE_QUERIES * many->queries.threads);

	tfrs_team_run(many->queries.threads, (count + TILE_QUERIES - 1) / TILE_QUERIES,
				  multiply_block, many);
	many->rows_done += rows_of_step(many);
	many->to_sort = many->rows_done < many->corpus.count ? 0 : count;
	return TFRS_MORE;
}

static void
sort_hits(void *context, int worker, size_t task)
{
	tfrs_index_many *many = context;

	(void) worker;
	finish_query(many, many->queries_done + task);
}

/* Sorts the hits of queries that have met all rows. */
static tfrs_status
step_sorting(tfrs_index_many *many)
{
	size_t		k = many->queries.stride;
	size_t		threads = (size_t) many->queries.threads;
	size_t		most = (size_t) ((double) STEP_PRODUCTS / (1 + tfrs_topk_cost(k, k))) + 1;
	size_t		count = tfrs_size_smaller(many->to_sort, most * threads);

	tfrs_team_run(many->queries.threads, count, sort_hits, many);
	many->queries_done += count;
	many->to_sort -= count;
	if (many->to_sort == 0)
		many->rows_done = 0;
	return many->queries_done < many->queries.count ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_index_many_step(tfrs_index_many *many)
{
	if (many->queries_done == many->queries.count || many->corpus.count == 0)
		return TFRS_OK;
	if (many->index->structure != NULL)
		return step_queries(many);
	return many->to_sort > 0 ? step_sorting(many) : step_products(many);
}

void
tfrs_index_many_destroy(tfrs_index_many *many)
{
	tfrs_arena *arena = many->arena;

	for (int i = 0; many->scratch != NULL && i < many->queries.threads; i++)
		tfrs_arena_release(arena, many->scratch[i]);
	tfrs_arena_release(arena, many->scratch);
	tfrs_arena_release(arena, many->scorers);
	tfrs_arena_release(arena, many->centre);
	tfrs_arena_release(arena, many->collectors);
	tfrs_arena_release(arena, many->places);
	tfrs_arena_release(arena, many);
}
