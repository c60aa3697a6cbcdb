/*
 * index_builder.c: the step machine that makes an index.
 *
 * Phases: rows are checked and measured; where there are enough of them, and their lengths are ones
 * that the bounds can deal with, a tree is built; then the effort of kind tree is tuned, which also
 * decides kind auto.
 */
#include <math.h>
#include <string.h>

#include "base/finite.h"
#include "base/limits.h"
#include "retrieval/index_structure.h"
#include "retrieval/tree_block.h"
#include "retrieval/tree_builder.h"

/* Floats that one step checks: some milliseconds. */
#define STEP_FLOATS ((size_t) 4 * 1024 * 1024)

/* A full scan of fewer floats takes some 10 microseconds: no structure is faster. */
#define LEAST_FLOATS ((size_t) 64 * 1024)
#define LEAST_ROWS 256

/* Score-aware codes: weights for queries whose cosine with the row is above this (as in ScaNN). */
#define COSINE_OF_INTEREST 0.2f

/* Kind auto stays exact where the bounds read less than this, or not many times more than ranks. */
#define AUTO_EXACT_BYTES ((double) 4 * 1024 * 1024)
#define AUTO_EXACT_FACTOR 3

typedef enum phase
{
	CHECKING,
	BUILDING,
	TUNING,
	FINISHED
} phase;

struct tfrs_index_builder
{
	tfrs_arena *arena;
	tfrs_index_options options;
	phase		phase;
	tfrs_corpus corpus;
	float	   *norms;
	size_t		rows_checked;
	float		shortest;		/* of the norms that are not 0 */
	float		longest;
	tfrs_tree_builder *tree_builder;
	tfrs_tuning *tuning;
	const float *queries;		/* (query_count, D), to retune with */
	size_t		query_count;
	bool		structured;
	tfrs_index_structure structure;
	tfrs_index_kind kind;
	tfrs_index_head head;
	tfrs_tree_head tree_head;
};

static tfrs_status
get_builder(tfrs_index_builder **result, tfrs_arena *arena, const tfrs_index_options *options,
			tfrs_error *error)
{
	const char *complaint = tfrs_index_options_check(options);
	tfrs_index_builder *builder;
	tfrs_status status;

	if (complaint != NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "%s", complaint);
	status = TFRS_GET_ZERO(arena, &builder, 1, error);
	if (status != TFRS_OK)
		return status;
	builder->arena = arena;
	builder->options = *options;
	builder->kind = options->kind;
	builder->structure.tuned_k = options->target_k;
	*result = builder;
	return TFRS_OK;
}

tfrs_status
tfrs_index_builder_begin(tfrs_index_builder **result, tfrs_arena *arena,
						 const tfrs_index_options *options, const float *vectors, size_t count,
						 size_t dim, tfrs_error *error)
{
	tfrs_index_builder *builder = NULL;
	tfrs_status status;

	if (count > TFRS_MAX_ROWS || dim > TFRS_MAX_DIM)
		return tfrs_fail(error, TFRS_TOO_LARGE, "index of %zu x %zu is too large", count, dim);
	status = get_builder(&builder, arena, options, error);
	if (status != TFRS_OK)
		return status;
	builder->corpus = (tfrs_corpus) {options->metric, count, dim, vectors, NULL};
	builder->shortest = INFINITY;
	if (options->metric == TFRS_METRIC_COSINE)
		status = TFRS_GET(arena, &builder->norms, count, error);
	if (status == TFRS_OK)
		*result = builder;
	else
		tfrs_index_builder_destroy(builder);
	return status;
}

tfrs_status
tfrs_index_builder_retune(tfrs_index_builder **result, tfrs_arena *arena,
						  const tfrs_index_options *options, const tfrs_index *index,
						  const float *queries, size_t count, tfrs_error *error)
{
	tfrs_index_builder *builder = NULL;
	tfrs_status status;

	if (index->structure == NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "index has nothing to tune");
	if (count == 0)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "tuning needs at least one query");
	status = get_builder(&builder, arena, options, error);
	if (status != TFRS_OK)
		return status;
	builder->phase = TUNING;
	builder->corpus = tfrs_index_corpus(index);
	builder->kind = TFRS_INDEX_TREE;
	builder->structured = true;
	builder->structure.tree = index->structure->tree;
	builder->queries = queries;
	builder->query_count = count;
	*result = builder;
	return TFRS_OK;
}

/* Checking. */

static tfrs_status
check_row(tfrs_index_builder *builder, size_t row, tfrs_error *error)
{
	size_t		dim = builder->corpus.dim;
	const float *x = builder->corpus.vectors + row * dim;
	float		norm;

	if (!tfrs_all_finite(x, dim))
		return tfrs_fail(error, TFRS_NOT_FINITE, "vector of row %zu must be finite", row);
	norm = tfrs_vector_norm(x, dim);
	if (builder->norms != NULL)
		builder->norms[row] = norm;
	if (norm > 0)
	{
		builder->shortest = fminf(builder->shortest, norm);
		builder->longest = fmaxf(builder->longest, norm);
	}
	return TFRS_OK;
}

static bool
wants_tree(const tfrs_index_builder *builder)
{
	const tfrs_corpus *corpus = &builder->corpus;
	float		shortest = corpus->metric == TFRS_METRIC_COSINE
		? builder->shortest : builder->longest;

	return builder->options.quantization != TFRS_QUANTIZATION_NONE &&
		corpus->count >= LEAST_ROWS && corpus->count * corpus->dim >= LEAST_FLOATS &&
		shortest >= TFRS_SPACE_LEAST && builder->longest <= TFRS_SPACE_MOST;
}

/* Whether vectors, bytes, and codes and ids as they usually are, find room in a block. */
static bool
int8_fits(const tfrs_corpus *corpus)
{
	return (double) corpus->count * (5.75 * (double) corpus->dim + 16) <= TFRS_MAX_BLOCK_BYTES;
}

static tfrs_tree_options
choose_tree(const tfrs_index_builder *builder)
{
	const tfrs_corpus *corpus = &builder->corpus;
	size_t		width = corpus->dim;
	double		square = COSINE_OF_INTEREST * COSINE_OF_INTEREST;
	tfrs_tree_options options = {0};

	options.leaves = builder->options.leaves > 0 ? builder->options.leaves
		: (size_t) sqrt((double) corpus->count);
	options.leaves = options.leaves < corpus->count ? options.leaves : corpus->count;
	options.int8 = builder->options.quantization == TFRS_QUANTIZATION_INT8 && int8_fits(corpus);
	options.eta = 1;
	options.seed = builder->options.seed;
	options.threads = builder->options.threads;
	options.ranked = builder->kind != TFRS_INDEX_EXACT;
	if (options.ranked)
		options.eta = (float) fmax(1, (double) (width - 1) * square / (1 - square));
	return options;
}

static tfrs_status
finish_checking(tfrs_index_builder *builder, tfrs_error *error)
{
	tfrs_tree_options options;

	builder->corpus.norms = builder->norms;
	if (!wants_tree(builder))
	{
		builder->phase = FINISHED;
		return TFRS_OK;
	}
	options = choose_tree(builder);
	builder->phase = BUILDING;
	return tfrs_tree_builder_begin(&builder->tree_builder, builder->arena, &options,
								   &builder->corpus, error);
}

static tfrs_status
step_checking(tfrs_index_builder *builder, tfrs_error *error)
{
	size_t		left = builder->corpus.count - builder->rows_checked;
	size_t		most = STEP_FLOATS / (builder->corpus.dim + 1) + 1;
	size_t		end = builder->rows_checked + (left < most ? left : most);
	tfrs_status status = TFRS_OK;

	for (; status == TFRS_OK && builder->rows_checked < end; builder->rows_checked++)
		status = check_row(builder, builder->rows_checked, error);
	if (status != TFRS_OK || builder->rows_checked < builder->corpus.count)
		return status == TFRS_OK ? TFRS_MORE : status;
	status = finish_checking(builder, error);
	return status == TFRS_OK && builder->phase != FINISHED ? TFRS_MORE : status;
}

/* Building and tuning. */

static tfrs_status
begin_tuning(tfrs_index_builder *builder, tfrs_error *error)
{
	tfrs_tuning_options options = {builder->queries, builder->query_count,
		builder->options.target_recall, builder->options.target_k,
		builder->options.leaves_to_search, builder->options.rerank,
		builder->kind == TFRS_INDEX_EXACT, builder->options.seed, builder->options.threads};

	return tfrs_tuning_begin(&builder->tuning, builder->arena, &options,
							 &builder->structure.tree, &builder->corpus, error);
}

static tfrs_status
step_building(tfrs_index_builder *builder, double *share_done, tfrs_error *error)
{
	tfrs_status status = tfrs_tree_builder_step(builder->tree_builder, share_done, error);

	if (status != TFRS_OK)
		return status;
	builder->structure.tree = *tfrs_tree_builder_tree(builder->tree_builder);
	builder->structured = true;
	builder->phase = TUNING;
	return TFRS_MORE;
}

static tfrs_index_kind
decide_kind(const tfrs_tuning_result *result)
{
	return result->effort.reach == 1 || result->bounded_bytes <= AUTO_EXACT_BYTES ||
		result->bounded_bytes <= AUTO_EXACT_FACTOR * result->bytes
		? TFRS_INDEX_EXACT : TFRS_INDEX_TREE;
}

/*
 * A structure is only in the way of kind exact where it reads much more than the full scan (rows
 * near to one another are counted too dearly for a closer comparison).
 */
static void
finish_tuning(tfrs_index_builder *builder)
{
	const tfrs_corpus *corpus = &builder->corpus;

	builder->structure.tuned = tfrs_tuning_get(builder->tuning);
	if (builder->kind == TFRS_INDEX_AUTO)
		builder->kind = decide_kind(&builder->structure.tuned);
	if (builder->kind == TFRS_INDEX_EXACT &&
		builder->structure.tuned.bounded_bytes >=
		2.0 * (double) corpus->count * (double) corpus->dim * sizeof(float))
		builder->structured = false;
	builder->phase = FINISHED;
}

static tfrs_status
step_tuning(tfrs_index_builder *builder, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (builder->tuning == NULL)
		status = begin_tuning(builder, error);
	if (status == TFRS_OK)
		status = tfrs_tuning_step(builder->tuning);
	if (status == TFRS_OK)
		finish_tuning(builder);
	return status;
}

tfrs_status
tfrs_index_builder_step(tfrs_index_builder *builder, double *share_done, tfrs_error *error)
{
	size_t		count = builder->corpus.count;
	tfrs_status status;

	switch (builder->phase)
	{
		case CHECKING:
			status = step_checking(builder, error);
			*share_done = 0.05 * (double) builder->rows_checked / (double) (count > 0 ? count : 1);
			break;
		case BUILDING:
			status = step_building(builder, share_done, error);
			*share_done = 0.05 + 0.75 * *share_done;
			break;
		case TUNING:
			status = step_tuning(builder, error);
			*share_done = 0.8;
			break;
		default:
			status = TFRS_OK;
			break;
	}
	if (status == TFRS_OK)
		*share_done = 1;
	return status;
}

tfrs_index
tfrs_index_builder_index(const tfrs_index_builder *builder)
{
	const tfrs_corpus *corpus = &builder->corpus;
	tfrs_index	index = tfrs_index_over(corpus->vectors, corpus->count, corpus->dim,
										corpus->metric);

	index.kind = builder->kind == TFRS_INDEX_TREE ? TFRS_INDEX_TREE : TFRS_INDEX_EXACT;
	index.norms = corpus->norms;
	if (builder->structured && builder->phase == FINISHED)
		index.structure = &builder->structure;
	return index;
}

static tfrs_index_head
head_of(const tfrs_index *index)
{
	tfrs_index_facts facts = tfrs_index_describe(index);
	tfrs_index_head head = {0};

	head.kind = (uint32_t) index->kind;
	head.metric = (uint32_t) index->metric;
	head.count = index->count;
	head.dim = (uint32_t) index->dim;
	head.leaves_to_search = facts.leaves_to_search;
	head.rerank = facts.rerank;
	head.reach = facts.reach;
	head.recall = facts.recall;
	head.recall_k = facts.recall_k > 0 ? facts.recall_k : 1;
	if (index->structure != NULL)
	{
		head.bytes = (float) index->structure->tuned.bytes;
		head.bounded_bytes = (float) index->structure->tuned.bounded_bytes;
	}
	return head;
}

tfrs_status
tfrs_index_builder_save(tfrs_index_builder *builder, bool with_vectors, tfrs_block_writer *writer,
						tfrs_error *error)
{
	tfrs_index	index = tfrs_index_builder_index(builder);
	tfrs_status status;

	builder->head = head_of(&index);
	status = tfrs_block_writer_add(writer, "head", &builder->head, 1, sizeof(builder->head),
								   error);
	if (status == TFRS_OK && with_vectors)
		status = tfrs_block_writer_add(writer, "vectors", index.vectors, index.count * index.dim,
									   sizeof(float), error);
	if (status == TFRS_OK && index.metric == TFRS_METRIC_COSINE)
		status = tfrs_block_writer_add(writer, "norms", index.norms, index.count, sizeof(float),
									   error);
	if (status == TFRS_OK && index.structure != NULL)
		status = tfrs_tree_save(&builder->structure.tree, &builder->tree_head, writer, error);
	return status;
}

void
tfrs_index_builder_destroy(tfrs_index_builder *builder)
{
	if (builder->tuning != NULL)
		tfrs_tuning_destroy(builder->tuning);
	if (builder->tree_builder != NULL)
		tfrs_tree_builder_destroy(builder->tree_builder);
	tfrs_arena_release(builder->arena, builder->norms);
	tfrs_arena_release(builder->arena, builder);
}
