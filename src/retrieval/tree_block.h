/*
 * tree_block.h: a tree as parts of a block.
 *
 * Parts, under the caller's prefix:
 *     "tree.head"          tfrs_tree_head x 1
 *     "tree.centre"        float x D, l2 only
 *     "tree.centroids"     float x W L
 *     "tree.radii"         float x L
 *     "tree.sizes"         uint32 x L
 *     "tree.first_blocks"  uint32 x L + 1
 *     "tree.centres"       float x 16 W
 *     "tree.errors"        float x blocks
 *     "tree.shares"        uint8 x 32 blocks
 *     "tree.codes"         uint8 x 16 M blocks
 *     "tree.rows"          uint32 x 32 blocks
 *     "tree.int8_scales"   float x 3 blocks, both or none
 *     "tree.int8_codes"    int8 x 32 W blocks
 */
#ifndef TFRS_TREE_BLOCK_H
#define TFRS_TREE_BLOCK_H

#include "base/block.h"
#include "retrieval/tree.h"

typedef struct tfrs_tree_head
{
	uint32_t	leaves;
	uint32_t	codes;
	uint32_t	blocks;
	float		scale;			/* of the space; 0 where it has none */
} tfrs_tree_head;

/*
 * head is filled and, like the tree, must outlive the writer, to which everything else has been
 * added: rows in bytes are left out where they find no room.
 */
extern tfrs_status tfrs_tree_save(const tfrs_tree *tree, tfrs_tree_head *head,
								  tfrs_block_writer *writer, tfrs_error *error);

extern bool tfrs_tree_stored(const tfrs_block *block, const char *prefix);

/*
 * Checks sizes, counts and every offset.  Row numbers are compared with the corpus's count where
 * they are used, and whatever the floats are, a search reads nothing outside the parts; so opening
 * an index takes no time that grows with its rows.
 */
extern tfrs_status tfrs_tree_load(tfrs_tree *tree, const tfrs_block *block, const char *prefix,
								  const tfrs_corpus *corpus, tfrs_error *error);

#endif							/* TFRS_TREE_BLOCK_H */
