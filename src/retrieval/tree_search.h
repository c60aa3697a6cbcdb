/*
 * tree_search.h: two ways to search a tree.
 *
 *     bounded   Every leaf and row whose bound reaches the threshold is scored, so the answer is
 *               that of the full scan, ties included, while a fraction of the bytes is read.
 *               With a reach below 1 only that share of a leaf's radius is believed in: how much
 *               is searched then depends on how hard the query is, which pays where that differs.
 *     ranked    The leaves nearest to the query are searched, the best rows by the first two terms
 *               of tree.h are scored (the recipe of ScaNN): the same work for every query.
 *
 * Either way results carry the corpus's float32 scores.
 */
#ifndef TFRS_TREE_SEARCH_H
#define TFRS_TREE_SEARCH_H

#include "retrieval/probe.h"

/*
 * How far a search goes, as tuned for searches without predicates.  Where the best rows are kept
 * out, the wanted ones lie deeper, and the search goes as much further: see tree_search.c.
 */
typedef struct tfrs_tree_effort
{
	uint32_t	leaves;			/* ranked; 0: bounded */
	uint32_t	rerank;			/* ranked: at least k */
	float		reach;			/* bounded: above 0; at 1 the full scan's answer */
} tfrs_tree_effort;

/* Whether the bounds hold for the query: float32 has no surprises at its length. */
extern bool tfrs_tree_serves(const tfrs_tree *tree, const tfrs_scorer *scorer);

typedef struct tfrs_tree_request
{
	const tfrs_tree *tree;
	const tfrs_scorer *scorer;
	tfrs_tree_effort effort;
	double		most_bytes;		/* what it may read, as the scratch counts; INFINITY: anything */
	tfrs_probe_scratch *scratch;	/* with room for effort.rerank and the lists of rows */
} tfrs_tree_request;

/*
 * Fewer than k rows are found only where fewer are allowed.  false: it was given up, since it took
 * more than most_bytes, and any row may be missing.
 */
extern bool tfrs_tree_search(const tfrs_tree_request *request, tfrs_collector *collector);

#endif							/* TFRS_TREE_SEARCH_H */
