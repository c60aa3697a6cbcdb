/*
 * index.c: the one face of retrieval.
 *
 * Parts of an index, under the caller's prefix:
 *     "head"      index_head x 1
 *     "vectors"   float x N D, row-major; absent where a model's candidate table is searched
 *     "norms"     float x N, cosine only
 */
#include "retrieval/index.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "retrieval/exact.h"

/* Rows that one build step checks: a few milliseconds at any dimension. */
#define STEP_FLOATS ((size_t) 4 * 1024 * 1024)

typedef struct index_head
{
	uint32_t	kind;
	uint32_t	metric;
	uint32_t	dim;
	uint32_t	reserved;		/* zero */
	uint64_t	count;
} index_head;

struct tfrs_index_builder
{
	tfrs_arena *arena;
	tfrs_index_options options;
	tfrs_corpus corpus;
	float	   *norms;
	size_t		rows_checked;
	index_head	head;
};

void
tfrs_index_options_default(tfrs_index_options *options)
{
	memset(options, 0, sizeof(*options));
	options->kind = TFRS_INDEX_AUTO;
	options->metric = TFRS_METRIC_DOT;
	options->target_recall = 0.97f;
	options->target_k = 10;
	options->threads = 1;
}

const char *
tfrs_index_options_check(const tfrs_index_options *options)
{
	if (options->kind < TFRS_INDEX_EXACT || options->kind > TFRS_INDEX_AUTO)
		return "kind must be auto, exact or tree";
	if (options->metric < TFRS_METRIC_DOT || options->metric > TFRS_METRIC_L2)
		return "metric must be dot, cosine or l2";
	if (!(options->target_recall > 0 && options->target_recall <= 1))
		return "target_recall must be greater than 0 and at most 1";
	if (options->target_k < 1 || options->target_k > 10000)
		return "k must be between 1 and 10000";
	if (options->threads < 1 || options->threads > TFRS_MAX_THREADS)
		return "threads must be between 1 and 64";
	return NULL;
}

tfrs_index
tfrs_index_over(const float *vectors, size_t count, size_t dim, tfrs_metric metric)
{
	tfrs_index	index = {TFRS_INDEX_EXACT, metric, count, dim, vectors, NULL, NULL};

	return index;
}

static tfrs_corpus
corpus_of(const tfrs_index *index)
{
	tfrs_corpus corpus = {index->metric, index->count, index->dim, index->vectors, index->norms};

	return corpus;
}

/* Searching. */

static tfrs_status
check_rows(const uint32_t *rows, size_t count, size_t limit, tfrs_error *error)
{
	if (count > 0 && rows[count - 1] >= limit)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "row %u is not in the index",
						 rows[count - 1]);
	return TFRS_OK;
}

tfrs_status
tfrs_index_search(const tfrs_index *index, const float *query, const tfrs_search *search,
				  tfrs_arena *arena, tfrs_hit *hits, size_t *count, tfrs_error *error)
{
	tfrs_corpus corpus = corpus_of(index);
	tfrs_scorer scorer;
	tfrs_collector collector;
	tfrs_status status;

	(void) arena;
	*count = 0;
	status = tfrs_scorer_init(&scorer, &corpus, query, error);
	if (status == TFRS_OK && search->has_among)
		status = check_rows(search->among, search->among_count, index->count, error);
	if (status == TFRS_OK && isnan(search->min_score))
		status = tfrs_fail(error, TFRS_NOT_FINITE, "minimum score must not be NaN");
	if (status != TFRS_OK || search->k == 0)
		return status;
	tfrs_collector_init(&collector, search, hits, index->count);
	tfrs_exact_scan(&scorer, &collector);
	tfrs_topk_finish(&collector.topk);
	*count = collector.topk.count;
	return TFRS_OK;
}

/* Building. */

tfrs_status
tfrs_index_builder_begin(tfrs_index_builder **result, tfrs_arena *arena,
						 const tfrs_index_options *options, const float *vectors, size_t count,
						 size_t dim, tfrs_error *error)
{
	const char *complaint = tfrs_index_options_check(options);
	tfrs_index_builder *builder;
	tfrs_status status;

	if (complaint != NULL)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "%s", complaint);
	if (count > TFRS_MAX_ROWS || dim > TFRS_MAX_DIM)
		return tfrs_fail(error, TFRS_TOO_LARGE, "index of %zu x %zu is too large", count, dim);
	status = TFRS_GET_ZERO(arena, &builder, 1, error);
	if (status != TFRS_OK)
		return status;
	builder->arena = arena;
	builder->options = *options;
	builder->corpus = (tfrs_corpus) {options->metric, count, dim, vectors, NULL};
	builder->head = (index_head) {TFRS_INDEX_EXACT, options->metric, dim, 0, count};
	if (options->metric == TFRS_METRIC_COSINE)
		status = TFRS_GET(arena, &builder->norms, count, error);
	if (status != TFRS_OK)
	{
		tfrs_index_builder_destroy(builder);
		return status;
	}
	*result = builder;
	return TFRS_OK;
}

static tfrs_status
check_row(tfrs_index_builder *builder, size_t row, tfrs_error *error)
{
	size_t		dim = builder->corpus.dim;
	const float *x = builder->corpus.vectors + row * dim;

	for (size_t d = 0; d < dim; d++)
	{
		if (!isfinite(x[d]))
			return tfrs_fail(error, TFRS_NOT_FINITE, "vector of row %zu must be finite", row);
	}
	if (builder->norms != NULL)
		builder->norms[row] = tfrs_vector_norm(x, dim);
	return TFRS_OK;
}

tfrs_status
tfrs_index_builder_step(tfrs_index_builder *builder, double *share_done, tfrs_error *error)
{
	size_t		count = builder->corpus.count;
	size_t		step = STEP_FLOATS / (builder->corpus.dim + 1) + 1;
	size_t		end = count - builder->rows_checked < step ? count : builder->rows_checked + step;

	for (; builder->rows_checked < end; builder->rows_checked++)
	{
		tfrs_status status = check_row(builder, builder->rows_checked, error);

		if (status != TFRS_OK)
			return status;
	}
	*share_done = count == 0 ? 1 : (double) builder->rows_checked / count;
	return builder->rows_checked < count ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_index_builder_save(tfrs_index_builder *builder, bool with_vectors, tfrs_block_writer *writer,
						tfrs_error *error)
{
	size_t		count = builder->corpus.count;
	tfrs_status status;

	status = tfrs_block_writer_add(writer, "head", &builder->head, 1, sizeof(index_head), error);
	if (status == TFRS_OK && with_vectors)
		status = tfrs_block_writer_add(writer, "vectors", builder->corpus.vectors,
									   count * builder->corpus.dim, sizeof(float), error);
	if (status == TFRS_OK && builder->norms != NULL)
		status = tfrs_block_writer_add(writer, "norms", builder->norms, count, sizeof(float),
									   error);
	return status;
}

void
tfrs_index_builder_destroy(tfrs_index_builder *builder)
{
	tfrs_arena_release(builder->arena, builder->norms);
	tfrs_arena_release(builder->arena, builder);
}

/* Loading. */

typedef struct part_name
{
	char		text[TFRS_MAX_PART_NAME];
} part_name;

/* Too long a prefix is cut, and the part is then not found. */
static part_name
name_of(const char *prefix, const char *name)
{
	part_name	result;

	snprintf(result.text, sizeof(result.text), "%s%s", prefix, name);
	return result;
}

static tfrs_status
load_head(index_head *head, const tfrs_block *block, const char *prefix, tfrs_error *error)
{
	const void *data;
	tfrs_status status = tfrs_block_find_exact(block, name_of(prefix, "head").text,
											   sizeof(index_head), 1, &data, error);

	if (status != TFRS_OK)
		return status;
	memcpy(head, data, sizeof(*head));
	if (head->kind != TFRS_INDEX_EXACT ||
		head->metric < TFRS_METRIC_DOT || head->metric > TFRS_METRIC_L2 ||
		head->dim > TFRS_MAX_DIM || head->count > TFRS_MAX_ROWS || head->reserved != 0)
		return tfrs_fail(error, TFRS_CORRUPT, "index has an invalid head");
	return TFRS_OK;
}

static tfrs_status
load_vectors(tfrs_index *index, const tfrs_block *block, const char *prefix,
			 const float *vectors, size_t count, tfrs_error *error)
{
	const void *data;
	tfrs_status status;

	if (vectors != NULL)
	{
		if (count != index->count)
			return tfrs_fail(error, TFRS_CORRUPT, "index is over %zu rows instead of %zu",
							 index->count, count);
		index->vectors = vectors;
		return TFRS_OK;
	}
	status = tfrs_block_find_exact(block, name_of(prefix, "vectors").text, sizeof(float),
								   index->count * index->dim, &data, error);
	if (status == TFRS_OK)
		index->vectors = data;
	return status;
}

tfrs_status
tfrs_index_load(tfrs_index *index, const tfrs_block *block, const char *prefix,
				const float *vectors, size_t count, tfrs_arena *arena, tfrs_error *error)
{
	index_head	head;
	const void *norms = NULL;
	tfrs_status status = load_head(&head, block, prefix, error);

	(void) arena;
	if (status != TFRS_OK)
		return status;
	*index = tfrs_index_over(NULL, head.count, head.dim, (tfrs_metric) head.metric);
	status = load_vectors(index, block, prefix, vectors, count, error);
	if (status == TFRS_OK && index->metric == TFRS_METRIC_COSINE)
		status = tfrs_block_find_exact(block, name_of(prefix, "norms").text, sizeof(float),
									   index->count, &norms, error);
	index->norms = norms;
	return status;
}
