/*
 * index_info.c: what is in a candidate index, how well it finds, and making it ready.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/values/block_cache.h"
#include "server/values/block_type.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/values/embedding_type.h"
#include "server/values/row_reader.h"
#include "server/search/search_arguments.h"
#include "server/host/settings.h"

/* Of the normal distribution: an interval of 99 %. */
#define QUANTILE 2.5758

PG_FUNCTION_INFO_V1(tfrs_index_info);
PG_FUNCTION_INFO_V1(tfrs_recall);
PG_FUNCTION_INFO_V1(tfrs_prewarm_index);
PG_FUNCTION_INFO_V1(tfrs_prewarm_model);

static const char *
metric_name(tfrs_metric metric)
{
	switch (metric)
	{
		case TFRS_METRIC_DOT:
			return "dot";
		case TFRS_METRIC_COSINE:
			return "cosine";
		case TFRS_METRIC_L2:
			return "l2";
	}
	return "unknown";
}

/* The structure, and what was measured with it; without leaves_to_search a search goes as far as
 * the bounds demand, or for a reach below 1 a share of that. */
static void
append_structure(StringInfo json, const tfrs_index *index)
{
	tfrs_index_facts facts = tfrs_index_describe(index);

	if (facts.leaves == 0)
		return;
	appendStringInfo(json, ", \"quantization\": \"%s\", \"leaves\": %zu, \"codes\": %zu",
					 facts.quantization == TFRS_QUANTIZATION_INT8 ? "int8" : "pq4",
					 facts.leaves, facts.codes);
	if (facts.leaves_to_search > 0)
		appendStringInfo(json, ", \"leaves_to_search\": %u, \"rerank\": %u",
						 facts.leaves_to_search, facts.rerank);
	else if (facts.reach < 1)
		appendStringInfo(json, ", \"reach\": %.4f", facts.reach);
	if (index->kind == TFRS_INDEX_TREE)
		appendStringInfo(json, ", \"recall\": %.4f, \"k\": %u", facts.recall, facts.recall_k);
}

Datum
tfrs_index_info(PG_FUNCTION_ARGS)
{
	const tfrs_cached_block *block = tfrs_block_cache_argument(fcinfo, 0, TFRS_BLOCK_INDEX);
	const tfrs_block_header *header = block->block.header;
	const tfrs_index *index = &block->index;
	const char *type = tfrs_id_tag_name(block->candidates.tag);
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"format\": %u, \"kind\": \"%s\", \"metric\": \"%s\""
					 ", \"candidates\": %zu, \"candidate_type\": \"%s\", \"dim\": %zu"
					 ", \"bytes\": {\"total\": " UINT64_FORMAT ", \"vectors\": %zu"
					 ", \"structure\": %zu}, \"digest\": \"%s\"",
					 header->format, index->kind == TFRS_INDEX_TREE ? "tree" : "exact",
					 metric_name(index->metric), index->count, type == NULL ? "unknown" : type,
					 index->dim, header->total_bytes, index->count * index->dim * sizeof(float),
					 tfrs_index_describe(index).structure_bytes,
					 tfrs_block_digest_text(header->digest));
	append_structure(&json, index);
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* Reads a block into the cache; its bytes. */
static Datum
prewarm(FunctionCallInfo fcinfo, tfrs_block_kind kind)
{
	const tfrs_cached_block *block = tfrs_block_cache_argument(fcinfo, 0, kind);

	PG_RETURN_INT64((int64) block->block.header->total_bytes);
}

Datum
tfrs_prewarm_index(PG_FUNCTION_ARGS)
{
	return prewarm(fcinfo, TFRS_BLOCK_INDEX);
}

Datum
tfrs_prewarm_model(PG_FUNCTION_ARGS)
{
	return prewarm(fcinfo, TFRS_BLOCK_MODEL);
}

/* Equal scores are equally good, as in tuning: what counts is to reach the worst true one. */
static size_t
count_found(const tfrs_hit *truth, size_t truth_count, const tfrs_hit *found, size_t found_count)
{
	size_t		count = 0;

	for (size_t i = 0; i < found_count; i++)
		count += found[i].score >= truth[truth_count - 1].score;
	return count;
}

/* The share of one query's true best k that a search finds. */
static double
recall_of(const tfrs_index *index, const float *query, const tfrs_search *search,
		  tfrs_hit *truth, tfrs_hit *found)
{
	tfrs_search exact = *search;
	size_t		truth_count;
	size_t		found_count;
	tfrs_arena	arena;
	tfrs_error	error;

	exact.exact = true;
	tfrs_bridge_arena(&arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_index_search(index, query, &exact, &arena, truth, &truth_count, &error),
			   &error);
	tfrs_check(tfrs_index_search(index, query, search, &arena, found, &found_count, &error),
			   &error);
	return truth_count == 0 ? 1
		: Min(1, (double) count_found(truth, truth_count, found, found_count) / truth_count);
}

/*
 * The mean recall of n queries and its Wilson interval.  A query's recall varies at most as a coin
 * with that mean does, so the interval is on the safe side, and it is one even where all are 1.
 */
static void
wilson(double mean, size_t n, Datum *values)
{
	double		z = QUANTILE * QUANTILE / n;
	double		centre = (mean + z / 2) / (1 + z);
	double		half = QUANTILE / (1 + z) * sqrt(mean * (1 - mean) / n + z / (4 * n));

	values[0] = Float8GetDatum(mean);
	values[1] = Float8GetDatum(Max(centre - half, 0));
	values[2] = Float8GetDatum(Min(centre + half, 1));
}

/* (index, queries embedding[], k, search) -> (recall, low, high); NULL where there is no query. */
Datum
tfrs_recall(PG_FUNCTION_ARGS)
{
	const tfrs_index *index;
	ArrayType  *queries = PG_GETARG_ARRAYTYPE_P(1);
	tfrs_search search;
	TupleDesc	row;
	ArrayIterator iterator;
	Datum		value;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};
	bool		null;
	size_t		n = 0;
	double		sum = 0;
	tfrs_hit   *truth;
	tfrs_hit   *found;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	index = &tfrs_block_cache_argument(fcinfo, 0, TFRS_BLOCK_INDEX)->index;
	tfrs_search_default(&search);
	search.k = Min(tfrs_search_k(fcinfo, 2), index->count);
	truth = palloc_extended(search.k * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
	found = palloc_extended(search.k * sizeof(tfrs_hit) + 1, MCXT_ALLOC_HUGE);
	iterator = array_create_iterator(queries, 0, NULL);
	while (array_iterate(iterator, &value, &null))
	{
		const tfrs_embedding *query;

		CHECK_FOR_INTERRUPTS();
		if (null)
			continue;
		query = tfrs_embedding_of_datum(value);
		tfrs_embedding_check_same_dim(query->dim, (int) index->dim);
		sum += recall_of(index, query->values, &search, truth, found);
		n++;
	}
	if (n > 0)
	{
		wilson(sum / n, n, values);
		memset(nulls, false, sizeof(nulls));
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls));
}
