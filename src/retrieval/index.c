/*
 * index.c: options, and the index without a structure.
 */
#include "retrieval/index.h"

#include <string.h>

#include "base/limits.h"

void
tfrs_index_options_default(tfrs_index_options *options)
{
	memset(options, 0, sizeof(*options));
	options->kind = TFRS_INDEX_AUTO;
	options->quantization = TFRS_QUANTIZATION_INT8;
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
	if (options->quantization < TFRS_QUANTIZATION_NONE ||
		options->quantization > TFRS_QUANTIZATION_INT8)
		return "quantization must be none, pq4 or int8";
	if (options->kind == TFRS_INDEX_TREE && options->quantization == TFRS_QUANTIZATION_NONE)
		return "kind tree needs quantization pq4 or int8";
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
