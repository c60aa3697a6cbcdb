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

/* A tile of scores stays in the second-level cache; it has fewer rows where that is a step's work. */
#define MOST_ROWS 128
#define LEAST_ROWS 8
#define TILE_LEAVES 512

/* Multiply-adds of a step and thread, some 10 ms, and those that take as long as a score's rest. */
#define STEP_PRODUCTS ((size_t) 1 << 28)
#define SCORE_PRODUCTS 32

/* Floats that a step adds up or moves, some 10 ms: sums of rows lie far apart. */
#define STEP_FLOATS ((size_t) 1 << 22)

/* An empty leaf takes half of the largest: two copies of its centroid, moved apart by this much. */
#define SPLIT 0.0009765625f

enum
{
	PURPOSE_SAMPLE = 0x7061,
	PURPOSE_START
};

/* What is done in turn: rows to their nearest centroids, then centroids to the means of theirs. */
enum
{
	ASSIGNING,
	SUMMING,
	DIVIDING,
	SPLITTING,
	MEASURING
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

/* What a row costs to assign. */
static size_t
row_work(const tfrs_partition_builder *builder)
{
	return builder->leaves * (builder->space->width + 1 + SCORE_PRODUCTS);
}

static size_t
choose_tile_rows(const tfrs_partition_builder *builder)
{
	size_t		rows = STEP_PRODUCTS / row_work(builder);

	return rows < LEAST_ROWS ? LEAST_ROWS : rows < MOST_ROWS ? rows : MOST_ROWS;
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
	builder->tile_rows = choose_tile_rows(builder);
	builder->scratch_stride = builder->tile_rows * (width + TILE_LEAVES + 1);
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
	float	   *scores = rows + builder->tile_rows * width;
	float	   *best = scores + builder->tile_rows * TILE_LEAVES;
	size_t		first = builder->done + task * builder->tile_rows;
	size_t		left = rows_to_assign(builder) - first;
	size_t		count = left < builder->tile_rows ? left : builder->tile_rows;
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

/*
 * After a round of the sample, centroids move to the means of their rows.  Their numbers of rows lie
 * in leaf_of, which is not used before the last assignment and has N >= L places.
 */

static void
begin_sums(tfrs_partition_builder *builder)
{
	memset(builder->leaf_of, 0, builder->leaves * sizeof(uint32_t));
	memset(builder->centroids, 0,
		   builder->leaves * (builder->space->width + 1) * sizeof(float));
}

/* What a step may pass of rows or leaves, count altogether, of which each is so many floats. */
static size_t
end_of_piece(const tfrs_partition_builder *builder, size_t count, size_t floats)
{
	size_t		most = STEP_FLOATS / floats + 1;

	return builder->moved + tfrs_size_smaller(count - builder->moved, most);
}

static void
sum_rows(tfrs_partition_builder *builder)
{
	size_t		width = builder->space->width;
	size_t		end = end_of_piece(builder, builder->sample_count, width);
	float	   *row = builder->scratch;

	if (builder->moved == 0)
		begin_sums(builder);
	for (; builder->moved < end; builder->moved++)
	{
		uint32_t	leaf = builder->sample_leaf[builder->moved];

		tfrs_space_row(builder->space, builder->corpus, builder->sample[builder->moved], row);
		tfrs_kernels.add_scaled(builder->centroids + leaf * (width + 1), row, width, 1);
		builder->leaf_of[leaf]++;
	}
}

static void
divide_sums(tfrs_partition_builder *builder)
{
	size_t		width = builder->space->width;
	size_t		end = end_of_piece(builder, builder->leaves, width);

	for (; builder->moved < end; builder->moved++)
	{
		float	   *centroid = builder->centroids + builder->moved * (width + 1);
		uint32_t	count = builder->leaf_of[builder->moved];

		for (size_t d = 0; count > 0 && d < width; d++)
			centroid[d] /= (float) count;
	}
}

static void
split_largest(tfrs_partition_builder *builder, size_t empty)
{
	size_t		width = builder->space->width;
	uint32_t   *counts = builder->leaf_of;
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

/* Each split looks at all leaves. */
static void
fill_empty(tfrs_partition_builder *builder)
{
	size_t		work = 0;

	for (; builder->moved < builder->leaves && work < STEP_FLOATS; builder->moved++)
	{
		work++;
		if (builder->leaf_of[builder->moved] > 0)
			continue;
		split_largest(builder, builder->moved);
		work += builder->leaves + builder->space->width;
	}
}

static void
set_lengths(tfrs_partition_builder *builder)
{
	size_t		end = end_of_piece(builder, builder->leaves, builder->space->width);

	for (; builder->moved < end; builder->moved++)
		set_length(builder, builder->moved);
}

static void
step_moving(tfrs_partition_builder *builder)
{
	size_t		count = builder->leaves;

	switch (builder->phase)
	{
		case SUMMING:
			count = builder->sample_count;
			sum_rows(builder);
			break;
		case DIVIDING:
			divide_sums(builder);
			break;
		case SPLITTING:
			fill_empty(builder);
			break;
		default:
			set_lengths(builder);
			break;
	}
	if (builder->moved < count)
		return;
	builder->moved = 0;
	builder->phase = builder->phase == MEASURING ? ASSIGNING : builder->phase + 1;
	if (builder->phase != ASSIGNING)
		return;
	builder->iteration++;
	builder->done = 0;
}

static tfrs_status
step_assigning(tfrs_partition_builder *builder)
{
	size_t		rows = rows_to_assign(builder);
	size_t		left = rows - builder->done;
	size_t		tiles = (left + builder->tile_rows - 1) / builder->tile_rows;
	size_t		most = STEP_PRODUCTS / (builder->tile_rows * row_work(builder)) + 1;

	tiles = tfrs_size_smaller(tiles, most * builder->threads);
	tfrs_team_run(builder->threads, tiles, assign_tile, builder);
	builder->done += tfrs_size_smaller(left, tiles * builder->tile_rows);
	if (builder->done < rows)
		return TFRS_MORE;
	if (!assigns_sample(builder))
		return TFRS_OK;
	builder->phase = SUMMING;
	return TFRS_MORE;
}

tfrs_status
tfrs_partition_step(tfrs_partition_builder *builder)
{
	if (builder->phase == ASSIGNING)
		return step_assigning(builder);
	step_moving(builder);
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
