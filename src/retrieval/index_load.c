/*
 * index_load.c: an index out of a block.
 *
 * Parts of an index, under the caller's prefix:
 *     "head"      tfrs_index_head x 1
 *     "vectors"   float x N D, row-major; absent where a model's candidate table is searched
 *     "norms"     float x N, cosine only
 *     "tree.*"    tree_block.h, where there is a structure
 *
 * Opening takes no time that grows with N.  Vectors, norms and the floats of the structure are not
 * looked at: a NaN among them gives a wrong answer to whoever made it up, and nothing worse.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "retrieval/index_structure.h"
#include "retrieval/tree_block.h"

static tfrs_status
load_head(tfrs_index_head *head, const tfrs_block *block, const char *prefix, tfrs_error *error)
{
	const void *data;
	tfrs_status status = tfrs_block_find_exact(block, tfrs_part_name_of(prefix, "head").text,
											   sizeof(*head), 1, &data, error);

	if (status != TFRS_OK)
		return status;
	memcpy(head, data, sizeof(*head));
	if ((head->kind != TFRS_INDEX_EXACT && head->kind != TFRS_INDEX_TREE) ||
		head->metric < TFRS_METRIC_DOT || head->metric > TFRS_METRIC_L2 ||
		head->dim > TFRS_MAX_DIM || head->count > TFRS_MAX_ROWS ||
		(head->leaves_to_search > 0) != (head->rerank > 0) || head->recall_k == 0 ||
		!(head->reach > 0 && head->reach <= 1) ||
		!(head->recall >= 0 && head->recall <= 1) ||
		!(head->bytes >= 0 && head->bytes < INFINITY) ||
		!(head->bounded_bytes >= 0 && head->bounded_bytes < INFINITY))
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
	status = tfrs_block_find_exact(block, tfrs_part_name_of(prefix, "vectors").text, sizeof(float),
								   index->count * index->dim, &data, error);
	if (status == TFRS_OK)
		index->vectors = data;
	return status;
}

static tfrs_status
load_structure(tfrs_index *index, const tfrs_index_head *head, const tfrs_block *block,
			   const char *prefix, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_corpus corpus = tfrs_index_corpus(index);
	tfrs_index_structure *structure;
	tfrs_status status = TFRS_GET(arena, &structure, 1, error);

	if (status != TFRS_OK)
		return status;
	structure->tuned = (tfrs_tuning_result) {{head->leaves_to_search, head->rerank,
		head->reach}, head->recall, head->bytes, head->bounded_bytes};
	structure->tuned_k = head->recall_k;
	status = tfrs_tree_load(&structure->tree, block, prefix, &corpus, error);
	if (status == TFRS_OK)
		index->structure = structure;
	else
		tfrs_arena_release(arena, structure);
	return status;
}

tfrs_status
tfrs_index_load(tfrs_index *index, const tfrs_block *block, const char *prefix,
				const float *vectors, size_t count, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_index_head head;
	const void *norms = NULL;
	tfrs_status status = load_head(&head, block, prefix, error);

	if (status != TFRS_OK)
		return status;
	*index = tfrs_index_over(NULL, head.count, head.dim, (tfrs_metric) head.metric);
	index->kind = (tfrs_index_kind) head.kind;
	status = load_vectors(index, block, prefix, vectors, count, error);
	if (status == TFRS_OK && index->metric == TFRS_METRIC_COSINE)
		status = tfrs_block_find_exact(block, tfrs_part_name_of(prefix, "norms").text,
									   sizeof(float), index->count, &norms, error);
	index->norms = norms;
	if (status == TFRS_OK && tfrs_tree_stored(block, prefix))
		status = load_structure(index, &head, block, prefix, arena, error);
	return status;
}
