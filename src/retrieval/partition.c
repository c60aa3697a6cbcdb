/*
 * partition.c: k-means with the distances as matrix products.
 *
 * The nearest centroid has the largest x . c - |c|^2 / 2, so rows get a last component of 1 and
 * centroids one of -|c|^2 / 2, and a tile of rows times a tile of centroids gives what is compared.
 * Rows are read from the corpus each time: a sample of its own would be as large as the scores.
 */
#include "retrieval/partition.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/random.h"
#include "base/team.h"

#define ITERATIONS 8
#define SAMPLE_PER_LEAF 64

/* A tile of scores stays in the second-level cache. */
#define TILE_ROWS 128
#define TILE_LEAVES 512

/* Multiply-adds of a step and thread: some 20 ms. */
#define STEP_PRODUCTS ((size_t) 1 << 30)

/* An empty leaf takes half of the largest: two copies of its centroid, moved apart by this much. */
#define SPLIT 0.0009765625f

enum
{
	PURPOSE_SAMPLE = 0x7061,
	PURPOSE_START
};

static void
draw_sample(tfrs_partition_builder *builder)
{
	size_t		count = builder->corpus->count;
	size_t		drawn = builder->sample_count;
	tfrs_random random;

	tfrs_random_init(&random, builder->seed, PURPOSE_SAMPLE, 0);
	for (size_t i = 0; i < drawn; i++)
		builder->sample[i] = (uint32_t) tfrs_random_stratum(&random, i, drawn, count);
}

static void
set_length(tfrs_partition_builder *builder, size_t leaf)
{
	size_t		width = builder->space->width;
	float	   *centroid = builder->centroids + leaf * (width + 1);

	centroid[width] = -tfrs_kernels.dot(centroid, centroid, width) / 2;
}

/* The first centroids are rows of the sample. */
static void
place_centroids(tfrs_partition_builder *builder)
{
	size_t		width = builder->space->width;
	tfrs_random random;

	tfrs_random_init(&random, builder->seed, PURPOSE_START, 0);
	for (size_t leaf = 0; leaf < builder->leaves; leaf++)
	{
		size_t		i = tfrs_random_stratum(&random, leaf, builder->leaves, builder->sample_count);

		tfrs_space_row(builder->space, builder->corpus, builder->sample[i],
					   builder->centroids + leaf * (width + 1));
		set_length(builder, leaf);
	}
}

tfrs_status
tfrs_partition_begin(tfrs_partition_builder *builder, tfrs_arena *arena, const tfrs_space *space,
					 const tfrs_corpus *corpus, tfrs_error *error)
{
	size_t		width = space->width + 1;
	size_t		wanted = builder->leaves * SAMPLE_PER_LEAF;
	tfrs_status status;

	builder->arena = arena;
	builder->space = space;
	builder->corpus = corpus;
	builder->sample_count = wanted < corpus->count ? wanted : corpus->count;
	builder->scratch_stride = TILE_ROWS * (width + TILE_LEAVES + 1);
	status = TFRS_GET(arena, &builder->centroids, builder->leaves * width, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->leaf_of, corpus->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->sample, builder->sample_count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->sample_leaf, builder->sample_count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->scratch, builder->threads * builder->scratch_stride,
						  error);
	if (status != TFRS_OK)
		return status;
	tfrs_matmul_load();
	draw_sample(builder);
	place_centroids(builder);
	return TFRS_OK;
}

/* Index of the first of count values that equals the largest. */
static size_t
index_of(const float *values, size_t count, float largest)
{
	size_t		i = 0;

	while (i + 32 <= count)
	{
		int			hits = 0;

		for (size_t j = 0; j < 32; j++)
			hits |= values[i + j] == largest;
		if (hits)
			break;
		i += 32;
	}
	while (i + 1 < count && values[i] != largest)
		i++;
	return i;
}

/* rows (count, W + 1) to their nearest centroids. */
static void
find_leaves(const tfrs_partition_builder *builder, const float *rows, size_t count, float *scores,
			float *best, uint32_t *leaf)
{
	size_t		width = builder->space->width + 1;

	for (size_t first = 0; first < builder->leaves; first += TILE_LEAVES)
	{
		size_t		left = builder->leaves - first;
		size_t		leaves = left < TILE_LEAVES ? left : TILE_LEAVES;

		tfrs_matmul_nt(count, leaves, width, 1, rows, width, builder->centroids + first * width,
					   width, 0, scores, leaves);
		for (size_t r = 0; r < count; r++)
		{
			float		largest = tfrs_kernels.maximum(scores + r * leaves, leaves);

			if (first > 0 && largest <= best[r])
				continue;
			best[r] = largest;
			leaf[r] = (uint32_t) (first + index_of(scores + r * leaves, leaves, largest));
		}
	}
}

static bool
assigns_sample(const tfrs_partition_builder *builder)
{
	return builder->iteration < ITERATIONS;
}

static size_t
rows_to_assign(const tfrs_partition_builder *builder)
{
	return assigns_sample(builder) ? builder->sample_count : builder->corpus->count;
}

static void
assign_tile(void *context, int worker, size_t task)
{
	tfrs_partition_builder *builder = context;
	size_t		width = builder->space->width + 1;
	float	   *rows = builder->scratch + worker * builder->scratch_stride;
	float	   *scores = rows + TILE_ROWS * width;
	float	   *best = scores + TILE_ROWS * TILE_LEAVES;
	size_t		first = builder->done + task * TILE_ROWS;
	size_t		left = rows_to_assign(builder) - first;
	size_t		count = left < TILE_ROWS ? left : TILE_ROWS;
	bool		sample = assigns_sample(builder);

	for (size_t r = 0; r < count; r++)
	{
		size_t		row = sample ? builder->sample[first + r] : first + r;

		tfrs_space_row(builder->space, builder->corpus, row, rows + r * width);
		rows[r * width + width - 1] = 1;
	}
	find_leaves(builder, rows, count, scores, best,
				(sample ? builder->sample_leaf : builder->leaf_of) + first);
}

/* Centroids become sums of their rows; counts is their number of rows. */
static void
sum_rows(tfrs_partition_builder *builder, uint32_t *counts)
{
	size_t		width = builder->space->width;
	float	   *row = builder->scratch;

	memset(counts, 0, builder->leaves * sizeof(*counts));
	memset(builder->centroids, 0, builder->leaves * (width + 1) * sizeof(float));
	for (size_t i = 0; i < builder->sample_count; i++)
	{
		uint32_t	leaf = builder->sample_leaf[i];

		tfrs_space_row(builder->space, builder->corpus, builder->sample[i], row);
		tfrs_kernels.add_scaled(builder->centroids + leaf * (width + 1), row, width, 1);
		counts[leaf]++;
	}
}

static void
split_largest(tfrs_partition_builder *builder, uint32_t *counts, size_t empty)
{
	size_t		width = builder->space->width;
	size_t		largest = 0;
	float	   *from;
	float	   *to = builder->centroids + empty * (width + 1);

	for (size_t leaf = 1; leaf < builder->leaves; leaf++)
	{
		if (counts[leaf] > counts[largest])
			largest = leaf;
	}
	from = builder->centroids + largest * (width + 1);
	for (size_t d = 0; d < width; d++)
	{
		float		sign = d % 2 == 0 ? SPLIT : -SPLIT;

		to[d] = from[d] * (1 + sign);
		from[d] *= 1 - sign;
	}
	counts[empty] = counts[largest] / 2;
	counts[largest] -= counts[empty];
}

/* The counts lie in leaf_of, which is not used before the last assignment and has N >= L places. */
static void
move_centroids(tfrs_partition_builder *builder)
{
	size_t		width = builder->space->width;
	uint32_t   *counts = builder->leaf_of;

	sum_rows(builder, counts);
	for (size_t leaf = 0; leaf < builder->leaves; leaf++)
	{
		float	   *centroid = builder->centroids + leaf * (width + 1);

		for (size_t d = 0; counts[leaf] > 0 && d < width; d++)
			centroid[d] /= (float) counts[leaf];
	}
	for (size_t leaf = 0; leaf < builder->leaves; leaf++)
	{
		if (counts[leaf] == 0)
			split_largest(builder, counts, leaf);
	}
	for (size_t leaf = 0; leaf < builder->leaves; leaf++)
		set_length(builder, leaf);
}

tfrs_status
tfrs_partition_step(tfrs_partition_builder *builder)
{
	size_t		rows = rows_to_assign(builder);
	size_t		tile = TILE_ROWS * builder->leaves * (builder->space->width + 1);
	size_t		tiles = (rows - builder->done + TILE_ROWS - 1) / TILE_ROWS;
	size_t		most = (STEP_PRODUCTS / tile + 1) * builder->threads;

	tiles = tiles < most ? tiles : most;
	tfrs_team_run(builder->threads, tiles, assign_tile, builder);
	builder->done += tiles * TILE_ROWS;
	if (builder->done < rows)
		return TFRS_MORE;
	if (!assigns_sample(builder))
		return TFRS_OK;
	move_centroids(builder);
	builder->iteration++;
	builder->done = 0;
	return TFRS_MORE;
}

double
tfrs_partition_share_done(const tfrs_partition_builder *builder)
{
	double		sample = (double) builder->sample_count;
	double		count = (double) builder->corpus->count;
	double		before = builder->iteration * sample;

	return (before + (double) builder->done) / (ITERATIONS * sample + count);
}

void
tfrs_partition_free(tfrs_partition_builder *builder)
{
	tfrs_arena_release(builder->arena, builder->centroids);
	tfrs_arena_release(builder->arena, builder->leaf_of);
	tfrs_arena_release(builder->arena, builder->sample);
	tfrs_arena_release(builder->arena, builder->sample_leaf);
	tfrs_arena_release(builder->arena, builder->scratch);
	builder->centroids = NULL;
	builder->leaf_of = NULL;
	builder->sample = NULL;
	builder->sample_leaf = NULL;
	builder->scratch = NULL;
}
