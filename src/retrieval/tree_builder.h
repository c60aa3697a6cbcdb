/*
 * tree_builder.h: builds the parts of a tree, step by step.
 */
#ifndef TFRS_TREE_BUILDER_H
#define TFRS_TREE_BUILDER_H

#include <stdbool.h>

#include "base/arena.h"
#include "retrieval/tree.h"

typedef struct tfrs_tree_options
{
	size_t		leaves;			/* L, 1 .. N */
	bool		ranked;			/* codes for the ranked search, else for the bounded one */
	bool		int8;			/* whether rows are kept in bytes too */
	float		eta;			/* weight of errors along the row, >= 1 */
	uint64_t	seed;
	int			threads;
} tfrs_tree_options;

typedef struct tfrs_tree_builder tfrs_tree_builder;

/* corpus (N > 0, finite; norms set where the metric is cosine) stays the caller's. */
extern tfrs_status tfrs_tree_builder_begin(tfrs_tree_builder **builder, tfrs_arena *arena,
										   const tfrs_tree_options *options,
										   const tfrs_corpus *corpus, tfrs_error *error);

/* TFRS_MORE until the tree is complete. */
extern tfrs_status tfrs_tree_builder_step(tfrs_tree_builder *builder, double *share_done,
										  tfrs_error *error);

/* The finished tree; its parts belong to the builder. */
extern const tfrs_tree *tfrs_tree_builder_tree(const tfrs_tree_builder *builder);
extern void tfrs_tree_builder_destroy(tfrs_tree_builder *builder);

#endif							/* TFRS_TREE_BUILDER_H */
