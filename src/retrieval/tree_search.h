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
 * How far a search goes.  A ranked one turns into a bounded one of that reach where predicates keep
 * out many of the best rows: what is left among equals can't be ranked by codes.
 */
typedef struct tfrs_tree_effort
{
	uint32_t	leaves;			/* ranked; 0: bounded */
	uint32_t	rerank;			/* ranked: at least k */
	float		reach;			/* bounded: above 0; at 1 the full scan's answer */
} tfrs_tree_effort;

/* Whether the bounds hold for the query: float32 has no surprises at its length. */
extern bool tfrs_tree_serves(const tfrs_tree *tree, const tfrs_scorer *scorer);

/* The scratch must have room for effort.rerank. */
extern void tfrs_tree_search(const tfrs_tree *tree, const tfrs_scorer *scorer,
							 tfrs_tree_effort effort, tfrs_collector *collector,
							 tfrs_probe_scratch *scratch);

#endif							/* TFRS_TREE_SEARCH_H */
