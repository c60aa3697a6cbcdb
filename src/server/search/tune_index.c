/*
 * tune_index.c: an index whose effort is tuned on real queries.
 *
 * A build only has the rows to tune on, and rows are no queries under inner product.  Ids, vectors
 * and structure are those of the index that is given; only how far a search goes is new.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "server/values/block_cache.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/values/index_type.h"
#include "server/search/search_arguments.h"
#include "server/host/settings.h"

PG_FUNCTION_INFO_V1(tfrs_tune_index);

/* The queries as (count, D), without those that are NULL. */
static float *
read_queries(ArrayType *array, size_t dim, size_t *count)
{
	size_t		room = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	float	   *queries = palloc_extended(room * dim * sizeof(float) + 1, MCXT_ALLOC_HUGE);
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	Datum		value;
	bool		null;

	*count = 0;
	while (array_iterate(iterator, &value, &null))
	{
		const tfrs_embedding *query;

		if (null)
			continue;
		query = tfrs_embedding_of_datum(value);
		tfrs_embedding_check_same_dim(query->dim, (int) dim);
		memcpy(queries + (*count)++ * dim, query->values, dim * sizeof(float));
	}
	array_free_iterator(iterator);
	return queries;
}

/* The options that an index would be built with, but for its recall. */
static tfrs_index_options
tuning_options(FunctionCallInfo fcinfo, const tfrs_index *index)
{
	tfrs_index_options options;

	tfrs_index_options_default(&options);
	options.kind = TFRS_INDEX_TREE;
	options.metric = index->metric;
	options.target_recall = (float) PG_GETARG_FLOAT8(2);
	options.target_k = (uint32_t) tfrs_search_k(fcinfo, 3);
	options.threads = tfrs_settings_threads();
	tfrs_index_check_options(&options);
	return options;
}

/* (index, queries embedding[], target_recall, k) -> index; one without a structure as it is. */
Datum
tfrs_tune_index(PG_FUNCTION_ARGS)
{
	const tfrs_cached_block *block = tfrs_block_cache_argument(fcinfo, 0, TFRS_BLOCK_INDEX);
	const tfrs_index *index = &block->index;
	tfrs_index_options options = tuning_options(fcinfo, index);
	tfrs_index_builder *builder;
	tfrs_block_value *value;
	tfrs_arena	arena;
	tfrs_error	error;
	tfrs_progress *run;
	size_t		count;
	float	   *queries = read_queries(PG_GETARG_ARRAYTYPE_P(1), index->dim, &count);

	if (index->structure == NULL)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_builder_retune(&builder, &arena, &options, index, queries, count,
										 &error), &error);
	run = tfrs_progress_begin("tune_index", NULL);
	tfrs_index_run_builder(builder, index->count, run);
	value = tfrs_index_value_of(&block->candidates, builder);
	tfrs_index_builder_destroy(builder);
	tfrs_progress_end(run);
	PG_RETURN_POINTER(value);
}
