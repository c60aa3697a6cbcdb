/*
 * index_search.c: which way a search goes, and what there is to know about an index.
 */
#include <math.h>

#include "base/limits.h"
#include "retrieval/exact.h"
#include "retrieval/index_structure.h"

/* Where only one of leaves_to_search and rerank is given and nothing was tuned. */
#define UNTUNED_LEAVES_SHARE 16
#define UNTUNED_RERANK_PER_K 16

/* What an excluded row may cost, if all are a query's best: more of the others are looked at. */
#define EXCLUDED_BYTES 5000.0

/* A ranked search serves k up to this many times the one it was tuned for; bounds serve any. */
#define MOST_GROWTH 4

tfrs_corpus
tfrs_index_corpus(const tfrs_index *index)
{
	tfrs_corpus corpus = {index->metric, index->count, index->dim, index->vectors, index->norms};

	return corpus;
}

tfrs_index_facts
tfrs_index_describe(const tfrs_index *index)
{
	const tfrs_index_structure *structure = index->structure;
	tfrs_index_facts facts = {0};

	facts.quantization = TFRS_QUANTIZATION_NONE;
	facts.recall = 1;
	facts.reach = 1;
	if (structure == NULL)
		return facts;
	facts.leaves = structure->tree.leaves;
	facts.codes = structure->tree.quantizer.codes;
	facts.quantization = structure->tree.int8_codes != NULL
		? TFRS_QUANTIZATION_INT8 : TFRS_QUANTIZATION_PQ4;
	facts.structure_bytes = structure->tree.blocks *
		(sizeof(float) + TFRS_CODE_ROWS * (sizeof(uint32_t) + 1) + facts.codes * 16) +
		facts.leaves * (structure->tree.space.width + 3) * sizeof(float);
	if (facts.quantization == TFRS_QUANTIZATION_INT8)
		facts.structure_bytes += structure->tree.blocks *
			(sizeof(tfrs_int8_scale) + TFRS_CODE_ROWS * structure->tree.space.width);
	if (index->kind == TFRS_INDEX_EXACT)
		return facts;
	facts.leaves_to_search = structure->tuned.effort.leaves;
	facts.rerank = structure->tuned.effort.rerank;
	facts.reach = structure->tuned.effort.reach;
	facts.recall = (float) structure->tuned.recall;
	facts.recall_k = structure->tuned_k;
	return facts;
}

/* What fetching and scoring that many rows costs, in the bytes of tfrs_probe_take_bytes_read. */
static double
cost_of_rows(const tfrs_index *index, double rows)
{
	return rows * (double) tfrs_tree_row_bytes(index->dim);
}

/*
 * A ranked effort for k.  What was tuned at tuned_k grows with k: re-ranking in proportion, leaves
 * by the square root, since the rows of rank k lie in more leaves but not in k times as many.
 */
static tfrs_tree_effort
ranked_effort(const tfrs_index *index, const tfrs_search *search)
{
	const tfrs_index_structure *structure = index->structure;
	tfrs_tree_effort effort = structure->tuned.effort;
	double		growth = fmax(1, (double) search->k / structure->tuned_k);
	double		leaves = ceil(effort.leaves * sqrt(growth));
	double		rerank = ceil(effort.rerank * growth);

	if (effort.leaves == 0)
	{
		leaves = (double) (structure->tree.leaves / UNTUNED_LEAVES_SHARE + 1);
		rerank = UNTUNED_RERANK_PER_K * (double) search->k;
	}
	if (search->leaves_to_search > 0)
		leaves = search->leaves_to_search;
	if (search->rerank > 0)
		rerank = search->rerank;
	rerank = fmax(rerank, (double) search->k);
	effort.leaves = (uint32_t) fmin(leaves, (double) structure->tree.leaves);
	effort.rerank = (uint32_t) fmin(rerank, (double) index->count);
	return effort;
}

/* Kind exact is bounded.  Kind tree goes as far as asked or as tuned. */
static tfrs_tree_effort
choose_effort(const tfrs_index *index, const tfrs_search *search)
{
	const tfrs_index_structure *structure = index->structure;
	const tfrs_tree_effort exact = {0, 0, 1};
	tfrs_tree_effort effort = structure->tuned.effort;

	if (index->kind != TFRS_INDEX_TREE || search->exact)
		return exact;
	if (search->leaves_to_search > 0 || search->rerank > 0)
		return ranked_effort(index, search);
	if (effort.leaves > 0 && search->k <= MOST_GROWTH * (size_t) structure->tuned_k)
		return ranked_effort(index, search);
	effort.leaves = 0;
	effort.rerank = 0;
	return effort;
}

/* The most rows that the lists of the search allow with the score of their vectors. */
static size_t
allowed_rows(const tfrs_index *index, const tfrs_search *search)
{
	if (search->has_among)
		return search->among_count;
	return index->count - tfrs_size_smaller(index->count,
										   search->excluded_count + search->adjusted_count);
}

/* What scoring each allowed row reads: all of them in a row, or where they are few each alone. */
static double
cost_of_scan(const tfrs_index *index, const tfrs_search *search)
{
	return fmin(cost_of_rows(index, (double) allowed_rows(index, search)),
				(double) (index->count * index->dim * sizeof(float)));
}

/*
 * Whether every allowed row is to be scored: there is no structure, or few rows are allowed.  If
 * allowed rows were drawn at random, the tree would read more by about the square root of how rare
 * they are.
 */
static bool
scans(const tfrs_index *index, const tfrs_search *search, const tfrs_scorer *scorer,
	  tfrs_tree_effort effort)
{
	const tfrs_index_structure *structure = index->structure;
	size_t		allowed = allowed_rows(index, search);
	double		cost;

	if (structure == NULL || !tfrs_tree_serves(&structure->tree, scorer))
		return true;
	if (allowed == index->count)
		return false;
	cost = structure->tuned.bounded_bytes;
	if (effort.reach < 1 && allowed > 0)
		cost = fmin(cost, structure->tuned.bytes * sqrt((double) index->count / (double) allowed));
	return allowed <= search->k || cost_of_scan(index, search) <= cost;
}

static bool
has_predicates(const tfrs_search *search)
{
	return search->has_among || search->excluded_count > 0 || search->adjusted_count > 0 ||
		search->min_score > -INFINITY;
}

tfrs_probe_room
tfrs_index_room(const tfrs_index *index, const tfrs_search *search)
{
	return (tfrs_probe_room) {choose_effort(index, search).rerank,
		search->has_among ? search->among_count
		: search->excluded_count + search->adjusted_count};
}

double
tfrs_index_cost(const tfrs_index *index, const tfrs_search *search)
{
	const tfrs_index_structure *structure = index->structure;
	double		all = (double) (index->count * index->dim * sizeof(float));
	double		bytes = all;

	if (structure != NULL)
		bytes = choose_effort(index, search).reach < 1 ? structure->tuned.bytes
			: structure->tuned.bounded_bytes;
	bytes += cost_of_rows(index, (double) (search->k + search->adjusted_count)) +
		EXCLUDED_BYTES * (double) search->excluded_count;
	return fmin(bytes, 2 * all);
}

static tfrs_status
check_rows(const uint32_t *rows, size_t count, size_t limit, tfrs_error *error)
{
	if (count > 0 && rows[count - 1] >= limit)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "row %u is not in the index",
						 rows[count - 1]);
	return TFRS_OK;
}

tfrs_status
tfrs_index_check_search(const tfrs_corpus *corpus, const float *query, const tfrs_search *search,
						tfrs_scorer *scorer, tfrs_error *error)
{
	tfrs_status status = tfrs_scorer_init(scorer, corpus, query, error);

	if (status == TFRS_OK && search->has_among)
		status = check_rows(search->among, search->among_count, corpus->count, error);
	if (status == TFRS_OK)
		status = check_rows(search->adjusted, search->adjusted_count, corpus->count, error);
	if (status == TFRS_OK && isnan(search->min_score))
		status = tfrs_fail(error, TFRS_NOT_FINITE, "minimum score must not be NaN");
	return status;
}

/*
 * With predicates a search of the tree may come to read more than a scan of the allowed rows would;
 * it is then given up for the scan.  What it reads without predicates has been measured.
 */
static void
search_tree(const tfrs_index *index, const tfrs_scorer *scorer, tfrs_tree_effort effort,
			tfrs_collector *collector, tfrs_probe_scratch *scratch)
{
	tfrs_tree_request request = {&index->structure->tree, scorer, effort, INFINITY, scratch};

	if (has_predicates(collector->search))
		request.most_bytes = cost_of_scan(index, collector->search);
	if (tfrs_tree_search(&request, collector))
		return;
	tfrs_collector_revisit(collector);
	tfrs_exact_scan(scorer, collector);
}

size_t
tfrs_index_answer(const tfrs_index *index, const tfrs_scorer *scorer, const tfrs_search *search,
				  tfrs_probe_scratch *scratch, tfrs_hit *hits)
{
	tfrs_tree_effort effort = {0};
	tfrs_collector collector;

	if (search->k == 0 || index->count == 0)
		return 0;
	if (index->structure != NULL)
		effort = choose_effort(index, search);
	tfrs_collector_init(&collector, search, hits, index->count);
	if (scans(index, search, scorer, effort))
		tfrs_exact_scan(scorer, &collector);
	else
	{
		tfrs_exact_offer_adjusted(scorer, &collector);
		search_tree(index, scorer, effort, &collector, scratch);
	}
	tfrs_topk_finish(&collector.topk);
	tfrs_exact_order_infinite(scorer, search, hits, collector.topk.count);
	return collector.topk.count;
}

tfrs_status
tfrs_index_search(const tfrs_index *index, const float *query, const tfrs_search *search,
				  tfrs_arena *arena, tfrs_hit *hits, size_t *count, tfrs_error *error)
{
	tfrs_corpus corpus = tfrs_index_corpus(index);
	tfrs_probe_scratch *scratch = NULL;
	tfrs_scorer scorer;
	tfrs_status status = tfrs_index_check_search(&corpus, query, search, &scorer, error);

	*count = 0;
	if (status == TFRS_OK && index->structure != NULL)
		status = tfrs_probe_scratch_get(&scratch, &index->structure->tree,
									   tfrs_index_room(index, search), arena, error);
	if (status != TFRS_OK)
		return status;
	*count = tfrs_index_answer(index, &scorer, search, scratch, hits);
	tfrs_arena_release(arena, scratch);
	return TFRS_OK;
}
