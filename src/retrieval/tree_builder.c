/*
 * tree_builder.c: partition, order, codes.
 *
 * Phases: k-means and assignment (partition), rows sorted by leaf (placing), centres of the codes
 * from a sample of residuals (training), codes chunk by chunk (encoding).  Within a chunk rows are
 * ordered by the length of what their codes leave over, longest first, so that one bound for 32
 * rows is close to each one's own.  Every task writes places of its own, so bytes do not depend on
 * the number of threads.
 */
#include "retrieval/tree_builder.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/random.h"
#include "base/team.h"
#include "base/topk.h"
#include "retrieval/code_choice.h"
#include "retrieval/partition.h"

/* Residuals that centres are trained on; fewer where vectors are long. */
#define TRAINING_ROWS 8192
#define TRAINING_FLOATS ((size_t) 4 * 1024 * 1024)

/* Rows ordered together and coded by one task. */
#define CHUNK_BLOCKS 128
#define CHUNK_ROWS (CHUNK_BLOCKS * TFRS_CODE_ROWS)

/* Components coded by a step and thread: some 20 ms. */
#define STEP_COMPONENTS ((size_t) 1 << 20)

enum
{
	PURPOSE_RESIDUALS = 0x7472
};

typedef enum phase
{
	PARTITIONING,
	CHOOSING,
	PLACING,
	TRAINING,
	ENCODING,
	FINISHED
} phase;

/* Consecutive blocks of one leaf. */
typedef struct chunk
{
	uint32_t	leaf;
	uint32_t	first_block;
	uint32_t	rows;
	float		radius;			/* largest |x - c| */
} chunk;

/* One worker's memory while it encodes. */
typedef struct workplace
{
	tfrs_hit	order[CHUNK_ROWS];	/* error and number in the chunk */
	uint32_t	rows[CHUNK_ROWS];
	float	   *row;			/* (W) */
	float	   *residual;		/* (W) */
	float	   *measures;		/* (32 M) */
	float	   *block;			/* (TFRS_CODE_ROWS, W) */
	uint8_t    *codes;			/* (CHUNK_ROWS, M) */
} workplace;

struct tfrs_tree_builder
{
	tfrs_arena *arena;
	tfrs_tree_options options;
	const tfrs_corpus *corpus;
	phase		phase;
	tfrs_tree	tree;
	tfrs_partition_builder partition;
	tfrs_code_choice *choice;
	size_t		code_count;		/* M, once it is chosen */
	float	   *centre;			/* (D), l2 only */
	/* the tree's parts, where they may be written */
	float	   *centroids;
	float	   *radii;
	uint32_t   *sizes;
	uint32_t   *first_blocks;
	float	   *centres;
	float	   *errors;
	uint8_t    *shares;
	uint8_t    *codes;
	tfrs_int8_scale *int8_scales;
	int8_t	   *int8_codes;
	uint32_t   *rows;
	/* training */
	float	   *sample;			/* residuals */
	tfrs_quantizer_training training;
	/* encoding */
	chunk	   *chunks;
	size_t		chunk_count;
	size_t		chunks_done;
	workplace **workplaces;		/* (threads) */
};

static tfrs_status
place_space(tfrs_tree_builder *builder, tfrs_error *error)
{
	const tfrs_corpus *corpus = builder->corpus;
	float		scale = 0;
	tfrs_status status = TFRS_OK;

	if (corpus->metric == TFRS_METRIC_L2)
		status = TFRS_GET(builder->arena, &builder->centre, corpus->dim, error);
	if (status != TFRS_OK)
		return status;
	if (corpus->metric == TFRS_METRIC_L2)
		tfrs_space_fit(corpus, builder->options.seed, builder->centre, &scale);
	builder->tree.space = tfrs_space_of(corpus->metric, corpus->dim, builder->centre, scale);
	return TFRS_OK;
}

static tfrs_status
begin_partition(tfrs_tree_builder *builder, tfrs_error *error)
{
	builder->partition.leaves = builder->options.leaves;
	builder->partition.threads = builder->options.threads;
	builder->partition.seed = builder->options.seed;
	return tfrs_partition_begin(&builder->partition, builder->arena, &builder->tree.space,
								builder->corpus, error);
}

tfrs_status
tfrs_tree_builder_begin(tfrs_tree_builder **result, tfrs_arena *arena,
						const tfrs_tree_options *options, const tfrs_corpus *corpus,
						tfrs_error *error)
{
	tfrs_tree_builder *builder;
	tfrs_status status = TFRS_GET_ZERO(arena, &builder, 1, error);

	if (status != TFRS_OK)
		return status;
	builder->arena = arena;
	builder->options = *options;
	builder->corpus = corpus;
	builder->partition.arena = arena;
	status = place_space(builder, error);
	if (status == TFRS_OK)
		status = begin_partition(builder, error);
	if (status == TFRS_OK)
		*result = builder;
	else
		tfrs_tree_builder_destroy(builder);
	return status;
}

/* Placing: rows into the blocks of their leaves, ascending within a leaf. */

static void
count_blocks(tfrs_tree_builder *builder)
{
	size_t		leaves = builder->options.leaves;

	for (size_t row = 0; row < builder->corpus->count; row++)
		builder->sizes[builder->partition.leaf_of[row]]++;
	builder->first_blocks[0] = 0;
	for (size_t leaf = 0; leaf < leaves; leaf++)
	{
		uint32_t	size = builder->sizes[leaf];
		uint32_t	blocks = size / TFRS_CODE_ROWS + (size % TFRS_CODE_ROWS != 0);

		builder->first_blocks[leaf + 1] = builder->first_blocks[leaf] + blocks;
		builder->chunk_count += (blocks + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;
	}
}

static void
place_rows(tfrs_tree_builder *builder)
{
	size_t		places = (size_t) builder->first_blocks[builder->options.leaves] * TFRS_CODE_ROWS;

	memset(builder->rows, 0xff, places * sizeof(uint32_t));	/* TFRS_NO_ROW */
	memset(builder->sizes, 0, builder->options.leaves * sizeof(uint32_t));
	for (size_t row = 0; row < builder->corpus->count; row++)
	{
		uint32_t	leaf = builder->partition.leaf_of[row];
		size_t		first = (size_t) builder->first_blocks[leaf] * TFRS_CODE_ROWS;

		builder->rows[first + builder->sizes[leaf]++] = (uint32_t) row;
	}
}

static void
cut_chunks(tfrs_tree_builder *builder)
{
	chunk	   *next = builder->chunks;

	for (size_t leaf = 0; leaf < builder->options.leaves; leaf++)
	{
		for (uint32_t at = 0; at < builder->sizes[leaf]; at += CHUNK_ROWS)
			*next++ = (chunk) {(uint32_t) leaf,
				builder->first_blocks[leaf] + at / TFRS_CODE_ROWS,
				(uint32_t) tfrs_size_smaller(builder->sizes[leaf] - at, CHUNK_ROWS), 0};
	}
}

static tfrs_status
place(tfrs_tree_builder *builder, tfrs_error *error)
{
	tfrs_arena *arena = builder->arena;
	size_t		leaves = builder->options.leaves;
	size_t		blocks;
	tfrs_status status;

	status = TFRS_GET_ZERO(arena, &builder->sizes, leaves, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->first_blocks, leaves + 1, error);
	if (status != TFRS_OK)
		return status;
	count_blocks(builder);
	blocks = builder->first_blocks[leaves];
	status = TFRS_GET(arena, &builder->rows, blocks * TFRS_CODE_ROWS, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->errors, blocks, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &builder->shares, blocks * TFRS_CODE_ROWS, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get_zero(arena, (void **) &builder->codes, blocks,
									 builder->code_count * 16, error);
	if (status == TFRS_OK && builder->options.int8)
		status = TFRS_GET(arena, &builder->int8_scales, blocks, error);
	if (status == TFRS_OK && builder->options.int8)
		status = tfrs_arena_get(arena, (void **) &builder->int8_codes, blocks * TFRS_CODE_ROWS,
								builder->tree.space.width, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->chunks, builder->chunk_count, error);
	if (status != TFRS_OK)
		return status;
	builder->tree.blocks = blocks;
	place_rows(builder);
	cut_chunks(builder);
	return TFRS_OK;
}

/* Training. */

static const float *
centroid_of(const tfrs_tree_builder *builder, size_t leaf)
{
	return builder->partition.centroids + leaf * (builder->tree.space.width + 1);
}

/* vector (W) = row - centroid; row (W) is written too. */
static void
subtract_centroid(const tfrs_tree_builder *builder, size_t number, size_t leaf, float *row,
				  float *vector)
{
	const float *centroid = centroid_of(builder, leaf);

	tfrs_space_row(&builder->tree.space, builder->corpus, number, row);
	for (size_t w = 0; w < builder->tree.space.width; w++)
		vector[w] = row[w] - centroid[w];
}

static void
draw_residuals(tfrs_tree_builder *builder, float *sample, size_t count)
{
	size_t		width = builder->tree.space.width;
	tfrs_random random;

	tfrs_random_init(&random, builder->options.seed, PURPOSE_RESIDUALS, 0);
	for (size_t i = 0; i < count; i++)
	{
		size_t		row = tfrs_random_stratum(&random, i, count, builder->corpus->count);
		float	   *residual = sample + i * width;

		subtract_centroid(builder, row, builder->partition.leaf_of[row], residual, residual);
	}
}

static tfrs_status
begin_training(tfrs_tree_builder *builder, tfrs_error *error)
{
	tfrs_arena *arena = builder->arena;
	tfrs_quantizer *quantizer = &builder->tree.quantizer;
	size_t		width = builder->tree.space.width;
	size_t		most = tfrs_size_smaller(TRAINING_ROWS, TRAINING_FLOATS / width + 1);
	size_t		count = tfrs_size_smaller(builder->corpus->count, most);
	int			threads = builder->options.threads;
	float	   *scratch = NULL;
	tfrs_status status;

	status = TFRS_GET_ZERO(arena, &builder->centres, width * TFRS_CENTRES, error);
	*quantizer = (tfrs_quantizer) {width, builder->code_count, builder->centres};
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &builder->sample, count * width, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &scratch, threads *
						  tfrs_quantizer_training_scratch(quantizer, count), error);
	builder->training = (tfrs_quantizer_training) {quantizer, builder->sample, count,
		builder->options.seed, threads, builder->centres, scratch, 0};
	if (status == TFRS_OK)
		draw_residuals(builder, builder->sample, count);
	return status;
}

static void
end_training(tfrs_tree_builder *builder)
{
	tfrs_arena_release(builder->arena, builder->training.scratch);
	tfrs_arena_release(builder->arena, builder->sample);
	builder->training.scratch = NULL;
	builder->sample = NULL;
}

/* Encoding. */

static tfrs_status
get_workplaces(tfrs_tree_builder *builder, tfrs_error *error)
{
	size_t		width = builder->tree.space.width;
	size_t		codes = builder->code_count;
	size_t		floats = (2 + TFRS_CODE_ROWS) * width + 2 * codes * TFRS_CENTRES;
	size_t		bytes = sizeof(workplace) + floats * sizeof(float) + CHUNK_ROWS * codes;
	tfrs_status status;

	status = TFRS_GET_ZERO(builder->arena, &builder->workplaces, builder->options.threads, error);
	for (int i = 0; status == TFRS_OK && i < builder->options.threads; i++)
	{
		workplace  *place;

		status = tfrs_arena_get(builder->arena, (void **) &place, bytes, 1, error);
		if (status != TFRS_OK)
			return status;
		place->row = (float *) (place + 1);
		place->residual = place->row + width;
		place->measures = place->residual + width;
		place->block = place->measures + 2 * codes * TFRS_CENTRES;
		place->codes = (uint8_t *) (place->block + TFRS_CODE_ROWS * width);
		builder->workplaces[i] = place;
	}
	return status;
}

/* Codes of the chunk's rows, and their order by error, the largest first. */
static void
encode_rows(tfrs_tree_builder *builder, chunk *chunk, workplace *place)
{
	const tfrs_quantizer *quantizer = &builder->tree.quantizer;
	const uint32_t *rows = builder->rows + (size_t) chunk->first_block * TFRS_CODE_ROWS;
	tfrs_topk	order;

	tfrs_topk_init(&order, place->order, chunk->rows);
	for (uint32_t i = 0; i < chunk->rows; i++)
	{
		float		error;
		float		length;

		subtract_centroid(builder, rows[i], chunk->leaf, place->row, place->residual);
		error = tfrs_quantizer_encode(quantizer, place->residual, place->row,
									  builder->options.eta, place->measures,
									  place->codes + i * quantizer->codes);
		length = tfrs_vector_norm(place->residual, quantizer->width);
		chunk->radius = length > chunk->radius ? length : chunk->radius;
		tfrs_topk_push(&order, error, i);
	}
	tfrs_topk_finish(&order);
}

/* What rounding may add to any product in the chunk, per length of the query. */
static float
allowance(const tfrs_tree_builder *builder, const chunk *chunk)
{
	const tfrs_space *space = &builder->tree.space;
	float		lengths = tfrs_vector_norm(centroid_of(builder, chunk->leaf), space->width) +
		2 * chunk->radius + space->centre_norm;

	return tfrs_space_allowance(space, lengths);
}

/* The chunk's rows in their final order, as bytes. */
static void
encode_int8(tfrs_tree_builder *builder, const chunk *chunk, workplace *place)
{
	const tfrs_space *space = &builder->tree.space;

	for (size_t first = 0; first < chunk->rows; first += TFRS_CODE_ROWS)
	{
		size_t		block = chunk->first_block + first / TFRS_CODE_ROWS;
		size_t		count = tfrs_size_smaller(chunk->rows - first, TFRS_CODE_ROWS);
		const uint32_t *rows = builder->rows + block * TFRS_CODE_ROWS;

		for (size_t i = 0; i < count; i++)
			tfrs_space_row(space, builder->corpus, rows[i], place->block + i * space->width);
		builder->int8_scales[block] =
			tfrs_int8_encode(place->block, count, space,
							 builder->int8_codes + block * TFRS_CODE_ROWS * space->width);
	}
}

static void
encode_chunk(void *context, int worker, size_t task)
{
	tfrs_tree_builder *builder = context;
	const tfrs_quantizer *quantizer = &builder->tree.quantizer;
	workplace  *place = builder->workplaces[worker];
	chunk	   *chunk = &builder->chunks[builder->chunks_done + task];
	uint32_t   *rows = builder->rows + (size_t) chunk->first_block * TFRS_CODE_ROWS;
	float		rounding;

	encode_rows(builder, chunk, place);
	rounding = allowance(builder, chunk);
	memcpy(place->rows, rows, chunk->rows * sizeof(*rows));
	for (uint32_t i = 0; i < chunk->rows; i++)
	{
		size_t		block = chunk->first_block + i / TFRS_CODE_ROWS;
		uint32_t	from = place->order[i].row;
		float		error = place->order[i].score + rounding;

		rows[i] = place->rows[from];
		if (i % TFRS_CODE_ROWS == 0)
			builder->errors[block] = error;
		builder->shares[block * TFRS_CODE_ROWS + i % TFRS_CODE_ROWS] =
			(uint8_t) ceilf(255 * (error / builder->errors[block]));
		tfrs_quantizer_store(quantizer, place->codes + from * quantizer->codes,
							 i % TFRS_CODE_ROWS, builder->codes + block * quantizer->codes * 16);
	}
	chunk->radius += rounding;
	if (builder->options.int8)
		encode_int8(builder, chunk, place);
}

/* Radii of the leaves from those of their chunks, and centroids component by component. */
static tfrs_status
finish(tfrs_tree_builder *builder, tfrs_error *error)
{
	size_t		width = builder->tree.space.width;
	size_t		leaves = builder->options.leaves;
	tfrs_tree  *tree = &builder->tree;
	tfrs_status status = TFRS_GET_ZERO(builder->arena, &builder->radii, leaves, error);

	if (status == TFRS_OK)
		status = TFRS_GET(builder->arena, &builder->centroids, leaves * width, error);
	if (status != TFRS_OK)
		return status;
	for (size_t i = 0; i < builder->chunk_count; i++)
	{
		float	   *radius = &builder->radii[builder->chunks[i].leaf];

		*radius = builder->chunks[i].radius > *radius ? builder->chunks[i].radius : *radius;
	}
	for (size_t leaf = 0; leaf < leaves; leaf++)
	{
		for (size_t w = 0; w < width; w++)
			builder->centroids[w * leaves + leaf] = centroid_of(builder, leaf)[w];
	}
	tree->leaves = leaves;
	tree->centroids = builder->centroids;
	tree->radii = builder->radii;
	tree->sizes = builder->sizes;
	tree->first_blocks = builder->first_blocks;
	tree->errors = builder->errors;
	tree->shares = builder->shares;
	tree->codes = builder->codes;
	tree->int8_scales = builder->int8_scales;
	tree->int8_codes = builder->int8_codes;
	tree->rows = builder->rows;
	tfrs_partition_free(&builder->partition);
	return TFRS_OK;
}

/* Steps. */

static tfrs_status
step_partition(tfrs_tree_builder *builder, tfrs_error *error)
{
	tfrs_status status = tfrs_partition_step(&builder->partition);

	if (status == TFRS_OK)
		status = tfrs_code_choice_begin(&builder->choice, builder->arena, &builder->partition,
										(tfrs_code_choice_options) {builder->options.ranked,
										builder->options.int8}, error);
	if (status != TFRS_OK)
		return status;
	builder->phase = CHOOSING;
	return TFRS_MORE;
}

static tfrs_status
step_choice(tfrs_tree_builder *builder)
{
	if (tfrs_code_choice_step(builder->choice) == TFRS_OK)
	{
		builder->code_count = tfrs_code_choice_get(builder->choice);
		builder->phase = PLACING;
		tfrs_code_choice_destroy(builder->choice);
		builder->choice = NULL;
	}
	return TFRS_MORE;
}

static tfrs_status
step_placing(tfrs_tree_builder *builder, tfrs_error *error)
{
	tfrs_status status = place(builder, error);

	if (status == TFRS_OK)
		status = begin_training(builder, error);
	builder->phase = TRAINING;
	return status == TFRS_OK ? TFRS_MORE : status;
}

static tfrs_status
step_training(tfrs_tree_builder *builder, tfrs_error *error)
{
	tfrs_status status = tfrs_quantizer_training_step(&builder->training);

	if (status != TFRS_OK)
		return status;
	end_training(builder);
	status = get_workplaces(builder, error);
	builder->phase = ENCODING;
	return status == TFRS_OK ? TFRS_MORE : status;
}

static tfrs_status
step_encoding(tfrs_tree_builder *builder, tfrs_error *error)
{
	size_t		most = STEP_COMPONENTS / (CHUNK_ROWS * builder->tree.space.width) + 1;
	size_t		tasks = tfrs_size_smaller(builder->chunk_count - builder->chunks_done,
								most * builder->options.threads);
	tfrs_status status;

	tfrs_team_run(builder->options.threads, tasks, encode_chunk, builder);
	builder->chunks_done += tasks;
	if (builder->chunks_done < builder->chunk_count)
		return TFRS_MORE;
	status = finish(builder, error);
	builder->phase = FINISHED;
	return status;
}

tfrs_status
tfrs_tree_builder_step(tfrs_tree_builder *builder, double *share_done, tfrs_error *error)
{
	switch (builder->phase)
	{
		case PARTITIONING:
			*share_done = 0.5 * tfrs_partition_share_done(&builder->partition);
			return step_partition(builder, error);
		case CHOOSING:
			*share_done = 0.5;
			return step_choice(builder);
		case PLACING:
			*share_done = 0.5;
			return step_placing(builder, error);
		case TRAINING:
			*share_done = 0.5;
			return step_training(builder, error);
		case ENCODING:
			*share_done = 0.5 + 0.5 * (double) builder->chunks_done / (double) builder->chunk_count;
			return step_encoding(builder, error);
		default:
			*share_done = 1;
			return TFRS_OK;
	}
}

const tfrs_tree *
tfrs_tree_builder_tree(const tfrs_tree_builder *builder)
{
	return &builder->tree;
}

void
tfrs_tree_builder_destroy(tfrs_tree_builder *builder)
{
	tfrs_arena *arena = builder->arena;

	tfrs_partition_free(&builder->partition);
	end_training(builder);
	if (builder->choice != NULL)
		tfrs_code_choice_destroy(builder->choice);
	for (int i = 0; builder->workplaces != NULL && i < builder->options.threads; i++)
		tfrs_arena_release(arena, builder->workplaces[i]);
	tfrs_arena_release(arena, builder->workplaces);
	tfrs_arena_release(arena, builder->centre);
	tfrs_arena_release(arena, builder->centroids);
	tfrs_arena_release(arena, builder->radii);
	tfrs_arena_release(arena, builder->sizes);
	tfrs_arena_release(arena, builder->first_blocks);
	tfrs_arena_release(arena, builder->centres);
	tfrs_arena_release(arena, builder->errors);
	tfrs_arena_release(arena, builder->shares);
	tfrs_arena_release(arena, builder->codes);
	tfrs_arena_release(arena, builder->int8_scales);
	tfrs_arena_release(arena, builder->int8_codes);
	tfrs_arena_release(arena, builder->rows);
	tfrs_arena_release(arena, builder->chunks);
	tfrs_arena_release(arena, builder);
}
