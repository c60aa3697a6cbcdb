/*
 * similar.c: candidates like another one.
 *
 * Three cases.  Normalized vectors: the product with the bias left out of one side is the cosine,
 * so the index is searched as it is.  No bias: the same vectors under the cosine metric.  A bias
 * beside vectors of any length: a scan of our own, since rows cannot be searched without their last
 * number.
 */
#include "server/host/settings.h"
#include "server/search/similar.h"

#include <math.h>

#include "miscadmin.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "server/host/bridge.h"
#include "server/search/search_arguments.h"

static size_t
search_index(const tfrs_index *index, const float *query, const tfrs_search *search,
			 tfrs_hit *hits)
{
	tfrs_arena	arena;
	tfrs_error	error;
	size_t		count;

	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_search(index, query, search, &arena, hits, &count, &error), &error);
	return count;
}

/* A cosine by rounding above 1 is 1, as in the cosine metric. */
static void
clamp_scores(tfrs_hit *hits, size_t count)
{
	for (size_t i = 0; i < count; i++)
		hits[i].score = fminf(fmaxf(hits[i].score, -1), 1);
}

/* By the first width numbers of each vector. */
static size_t
scan(const tfrs_index *index, const float *query, size_t width, const tfrs_search *search,
	 tfrs_hit *hits)
{
	float		norm = tfrs_vector_norm(query, width);
	tfrs_collector collector;

	tfrs_collector_init(&collector, search, hits, index->count);
	for (size_t row = 0; row < index->count; row++)
	{
		const float *vector = index->vectors + row * index->dim;
		double		product = tfrs_kernels.dot(query, vector, width);

		if (row % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		tfrs_collector_offer(&collector,
							 (float) tfrs_vector_cosine_by_norms(query, norm, vector,
																 tfrs_vector_norm(vector, width),
																 width, product),
							 (uint32_t) row);
	}
	tfrs_topk_finish(&collector.topk);
	return collector.topk.count;
}

size_t
tfrs_similar_candidates(const tfrs_model *model, const tfrs_index *index, uint32_t row,
						const tfrs_search *search, tfrs_hit *hits)
{
	const tfrs_tower_shape *shape = model == NULL ? NULL : model->tower;
	size_t		width = shape == NULL ? index->dim : tfrs_tower_width(shape);
	const float *vector = index->vectors + (size_t) row * index->dim;
	tfrs_search others = *search;
	tfrs_index	by_cosine;
	float	   *query;
	size_t		count;

	tfrs_search_exclude(&others, &row, 1);
	if (shape != NULL && shape->normalize)
	{
		query = palloc0(index->dim * sizeof(float));
		memcpy(query, vector, width * sizeof(float));
		count = search_index(index, query, &others, hits);
	}
	else if (width < index->dim)
		count = scan(index, vector, width, &others, hits);
	else if (index->metric == TFRS_METRIC_COSINE)
		count = search_index(index, vector, &others, hits);
	else
	{
		by_cosine = tfrs_index_over(index->vectors, index->count, index->dim, TFRS_METRIC_COSINE);
		count = search_index(&by_cosine, vector, &others, hits);
	}
	clamp_scores(hits, count);
	return count;
}
