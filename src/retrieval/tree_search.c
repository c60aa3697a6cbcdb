/*
 * tree_search.c: the bounded and the ranked search of a tree.
 *
 * A bounded search is as good as its threshold, so it begins with a short ranked one: the k-th
 * score of that is a score that k rows reach, found for a few dozen rows instead of the thousand of
 * the nearest leaf.
 *
 * Where the lists of a search keep out many of the best rows, the wanted rows lie deeper than those
 * that the effort was tuned on.  A ranked search notices this by the candidates that it had to
 * drop.  Its ranks then tell little, since the scores of deep rows differ by less than the errors
 * of their codes, and a bounded search goes on from its threshold.  That search may pass over the
 * rows that gave the threshold, so whatever has been found is kept.  If there are still fewer than
 * k rows at the end, a bounded search of reach 1 follows, which misses none.
 */
#include "retrieval/tree_search.h"

#include <math.h>
#include <string.h>

#include "retrieval/ranking.h"

/* The search for the first threshold: leaves, and rows scored for each of k. */
#define SEED_LEAVES 4
#define SEED_PER_K 4

/* Leaves that the bounded search takes first, nearest first, to raise the threshold early. */
#define FIRST_LEAVES 16

/* With a reach near 1 more deviations of an error are believed in than TFRS_TREE_LIKELY_ERROR. */
#define GREATEST_ERROR 5.0f

/* Ranks are not tried where the lists keep out more than one row in so many. */
#define SPARSE_SHARE 8

/*
 * The least reach of a search with lists of rows.  A reach of .25 can suffice for the best rows of
 * clustered data and find only nine in ten of deeper ones.
 */
#define DEEP_REACH 0.4f

bool
tfrs_tree_serves(const tfrs_tree *tree, const tfrs_scorer *scorer)
{
	float		length = tfrs_vector_norm(scorer->query, scorer->corpus->dim);

	return length <= TFRS_SPACE_MOST &&
		(length >= TFRS_SPACE_LEAST || tree->space.metric == TFRS_METRIC_L2);
}

/* Bounded search. */

/*
 * Thresholds of a chunk's blocks, rounded down: one too low only costs time.  NaN gives 0.  Without
 * branches, so that compilers make vector code of it.
 */
static void
lay_thresholds(tfrs_probe *probe, size_t first, size_t count, float needed, float per_error)
{
	const float *errors = probe->tree->errors + first;
	uint16_t   *thresholds = probe->scratch->thresholds;

	for (size_t b = 0; b < count; b++)
	{
		float		sum = needed - per_error * errors[b] - 1;

		sum = sum > 0 ? sum : 0;
		sum = sum < UINT16_MAX ? sum : UINT16_MAX;
		thresholds[b] = (uint16_t) (int32_t) sum;
	}
}

/*
 * Puts the hits of a block among the pending that reach the threshold with their own errors;
 * needed is the sum that a row without any error would need.
 */
static void
add_pending(tfrs_probe *probe, size_t block, size_t place, float needed, float per_error)
{
	tfrs_probe_scratch *scratch = probe->scratch;
	const uint8_t *shares = probe->tree->shares + block * TFRS_CODE_ROWS;
	const uint16_t *sums = scratch->sums + place * TFRS_CODE_ROWS;
	float		per_share = per_error * probe->tree->errors[block] / 255;

	for (uint32_t hits = scratch->hits[place]; hits != 0; hits &= hits - 1)
	{
		uint32_t	r = (uint32_t) __builtin_ctz(hits);

		if (sums[r] + 1 >= needed - per_share * shares[r] || !(per_share < INFINITY))
			scratch->pending[probe->pending_count++] = (uint32_t) (block * TFRS_CODE_ROWS) + r;
	}
}

/* Scores every row of a leaf that can reach the threshold, some of them later. */
static void
visit_bounded(tfrs_probe *probe, float error_share, size_t leaf, float product)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_probe_scratch *scratch = probe->scratch;
	float		per_error = error_share * probe->query_norm / probe->tables.step;
	float		needed = (product - scratch->leaf_scores[leaf] - probe->tables.offset) /
		probe->tables.step;
	size_t		end = tree->first_blocks[leaf + 1];

	for (size_t first = tree->first_blocks[leaf]; first < end; first += TFRS_PROBE_BLOCKS)
	{
		size_t		count = end - first < TFRS_PROBE_BLOCKS ? end - first : TFRS_PROBE_BLOCKS;

		lay_thresholds(probe, first, count, needed, per_error);
		tfrs_probe_scan(probe, leaf, first, count);
		for (size_t b = 0; b < count; b++)
			if (scratch->hits[b] != 0)
				add_pending(probe, first + b, b, needed, per_error);
		if (probe->pending_count >= TFRS_PROBE_PENDING)
			tfrs_probe_score_pending(probe);
	}
}

/* Whether the search may read on. */
static bool
may_go_on(const tfrs_probe *probe, double most_bytes)
{
	return (double) (probe->scratch->bytes_read - probe->first_byte) <= most_bytes;
}

/* The share that is believed in of what a row's code leaves over. */
static float
error_share(const tfrs_tree *tree, float reach)
{
	if (reach >= 1)
		return 1;
	return fminf(1, fmaxf(TFRS_TREE_LIKELY_ERROR, GREATEST_ERROR * reach) /
				 sqrtf((float) tree->space.width));
}

/*
 * Leaves count with that share of their radius.  The search ends early where it has read too much.
 */
static void
search_bounded(tfrs_probe *probe, float reach, double most_bytes)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_probe_scratch *scratch = probe->scratch;
	size_t		nearest = tree->leaves < FIRST_LEAVES ? tree->leaves : FIRST_LEAVES;
	float		per_radius = reach * probe->query_norm;
	float		error = error_share(tree, reach);

	tfrs_probe_order_leaves(probe, nearest);
	memset(scratch->visited, 0, tree->leaves * sizeof(bool));
	for (size_t i = 0; i < nearest && may_go_on(probe, most_bytes); i++)
	{
		scratch->visited[scratch->order[i].row] = true;
		visit_bounded(probe, error, scratch->order[i].row, tfrs_probe_least_product(probe));
		tfrs_probe_score_pending(probe);
	}
	for (size_t leaf = 0; leaf < tree->leaves && may_go_on(probe, most_bytes); leaf++)
	{
		float		product = tfrs_probe_least_product(probe);

		if (!scratch->visited[leaf] &&
			!(scratch->leaf_scores[leaf] + per_radius * tree->radii[leaf] < product))
			visit_bounded(probe, error, leaf, product);
	}
	tfrs_probe_score_pending(probe);
}

/* Finds a threshold to begin with, where that takes fewer rows than the nearest leaf has. */
static void
seed_threshold(tfrs_probe *probe)
{
	size_t		leaves = probe->tree->leaves < SEED_LEAVES ? probe->tree->leaves : SEED_LEAVES;
	size_t		k = probe->collector->topk.k;
	tfrs_ranking ranking;

	if (k > TFRS_PROBE_ROWS / SEED_PER_K)
		return;
	ranking = tfrs_ranking_of(probe, SEED_PER_K * k);
	tfrs_probe_order_leaves(probe, leaves);
	for (size_t i = 0; i < leaves; i++)
		tfrs_ranking_visit(&ranking, probe->scratch->order[i].row);
	tfrs_ranking_score(&ranking);
	tfrs_collector_revisit(probe->collector);
}

/* Ranked search. */

/*
 * Leaves to search: as many more as rows were kept out among the wanted, since what the lists leave
 * of a leaf is what counts; and more until there are k rows.
 */
static size_t
leaves_wanted(const tfrs_ranking *ranking, size_t leaves, size_t visited)
{
	size_t		wanted = leaves + leaves * tfrs_ranking_dropped(ranking) / ranking->wanted;

	if (ranking->above < ranking->probe->collector->topk.k && wanted <= visited)
		wanted = 2 * visited;
	return tfrs_size_smaller(wanted, ranking->probe->tree->leaves);
}

/* false: the wanted rows lie deeper than ranks were tuned for; a threshold has been found. */
static bool
search_ranked(tfrs_probe *probe, tfrs_tree_effort effort)
{
	size_t		wanted = tfrs_size_smaller(effort.leaves, probe->tree->leaves);
	size_t		visited = 0;
	bool		deep = false;
	tfrs_ranking ranking = tfrs_ranking_of(probe, effort.rerank);

	while (visited < wanted && !deep)
	{
		tfrs_probe_order_leaves(probe, wanted);
		for (; visited < wanted; visited++)
			tfrs_ranking_visit(&ranking, probe->scratch->order[visited].row);
		deep = tfrs_ranking_best_are_kept_out(&ranking);
		wanted = leaves_wanted(&ranking, effort.leaves, visited);
	}
	tfrs_ranking_score(&ranking);
	tfrs_collector_revisit(probe->collector);
	return !deep;
}

/* Whether the lists keep out so many rows that some of the best are likely to be among them. */
static bool
is_sparse(const tfrs_tree_request *request, const tfrs_search *search)
{
	size_t		count = request->scorer->corpus->count;

	return search->has_among ? search->among_count < count - count / SPARSE_SHARE
		: search->excluded_count > count / SPARSE_SHARE;
}

bool
tfrs_tree_search(const tfrs_tree_request *request, tfrs_collector *collector)
{
	tfrs_tree_effort effort = request->effort;
	tfrs_probe	probe = {request->tree, request->scorer, collector, request->scratch,
		.pending_count = 0};
	bool		ranked = effort.leaves > 0 && !is_sparse(request, collector->search);
	float		reach = effort.reach;

	tfrs_probe_begin(&probe);
	if (probe.filtered)
		reach = fmaxf(reach, DEEP_REACH);
	if (!ranked)
		seed_threshold(&probe);
	if (!ranked || !search_ranked(&probe, effort))
		search_bounded(&probe, reach, request->most_bytes);
	if (tfrs_collector_lacks_rows(collector) && (ranked || reach < 1))
	{
		tfrs_collector_revisit(collector);
		search_bounded(&probe, 1, request->most_bytes);
	}
	return may_go_on(&probe, request->most_bytes);
}
