/*
 * tree_block.c: a tree as parts of a block.
 */
#include "retrieval/tree_block.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"

typedef struct part
{
	const char *name;
	size_t		count;
	size_t		element_size;
	const void **data;			/* where the tree points to it */
} part;

#define PARTS 11
#define PARTS_WITHOUT_INT8 9

/* Every array of a tree whose sizes are set; those of the rows in bytes come last. */
static void
list_parts(tfrs_tree *tree, part parts[PARTS])
{
	size_t		leaves = tree->leaves;
	size_t		places = tree->blocks * TFRS_CODE_ROWS;
	const part	all[PARTS] = {
		{"tree.centroids", tree->space.width * leaves, sizeof(float),
		(const void **) &tree->centroids},
		{"tree.radii", leaves, sizeof(float), (const void **) &tree->radii},
		{"tree.sizes", leaves, sizeof(uint32_t), (const void **) &tree->sizes},
		{"tree.first_blocks", leaves + 1, sizeof(uint32_t), (const void **) &tree->first_blocks},
		{"tree.centres", tree->space.width * TFRS_CENTRES, sizeof(float),
		(const void **) &tree->quantizer.centres},
		{"tree.errors", tree->blocks, sizeof(float), (const void **) &tree->errors},
		{"tree.shares", places, sizeof(uint8_t), (const void **) &tree->shares},
		{"tree.codes", tree->blocks * tree->quantizer.codes * 16, sizeof(uint8_t),
		(const void **) &tree->codes},
		{"tree.rows", places, sizeof(uint32_t), (const void **) &tree->rows},
		{"tree.int8_scales", tree->blocks, sizeof(tfrs_int8_scale),
		(const void **) &tree->int8_scales},
		{"tree.int8_codes", places * tree->space.width, sizeof(int8_t),
		(const void **) &tree->int8_codes}
	};

	memcpy(parts, all, sizeof(all));
}

/* Rows in bytes only save time, so they are left out where the block would be too large. */
static size_t
parts_to_save(const tfrs_tree *tree, const part *parts, const tfrs_block_writer *writer)
{
	size_t		bytes = 0;

	if (tree->int8_codes == NULL)
		return PARTS_WITHOUT_INT8;
	for (size_t i = 0; i < PARTS; i++)
		bytes += parts[i].count * parts[i].element_size;
	return bytes <= tfrs_block_writer_room(writer) ? PARTS : PARTS_WITHOUT_INT8;
}

tfrs_status
tfrs_tree_save(const tfrs_tree *tree, tfrs_tree_head *head, tfrs_block_writer *writer,
			   tfrs_error *error)
{
	tfrs_tree	copy = *tree;
	part		parts[PARTS];
	size_t		count;
	tfrs_status status;

	*head = (tfrs_tree_head) {(uint32_t) tree->leaves, (uint32_t) tree->quantizer.codes,
		(uint32_t) tree->blocks, tree->space.scale};
	status = tfrs_block_writer_add(writer, "tree.head", head, 1, sizeof(*head), error);
	if (status == TFRS_OK && tree->space.centre != NULL)
		status = tfrs_block_writer_add(writer, "tree.centre", tree->space.centre, tree->space.dim,
									   sizeof(float), error);
	list_parts(&copy, parts);
	count = parts_to_save(tree, parts, writer);
	for (size_t i = 0; status == TFRS_OK && i < count; i++)
		status = tfrs_block_writer_add(writer, parts[i].name, *parts[i].data, parts[i].count,
									   parts[i].element_size, error);
	return status;
}

bool
tfrs_tree_stored(const tfrs_block *block, const char *prefix)
{
	return tfrs_block_has(block, tfrs_part_name_of(prefix, "tree.head").text);
}

static tfrs_status
load_head(tfrs_tree_head *head, const tfrs_block *block, const char *prefix,
		  const tfrs_corpus *corpus, tfrs_error *error)
{
	const void *data;
	tfrs_status status = tfrs_block_find_exact(block, tfrs_part_name_of(prefix, "tree.head").text,
											   sizeof(*head), 1, &data, error);

	if (status != TFRS_OK)
		return status;
	memcpy(head, data, sizeof(*head));
	if (head->leaves == 0 || head->leaves > corpus->count ||
		head->codes == 0 || head->codes % 4 != 0 || head->codes > TFRS_MAX_CODES ||
		head->blocks > corpus->count / TFRS_CODE_ROWS + head->leaves ||
		!isfinite(head->scale) || (corpus->metric == TFRS_METRIC_L2 && head->scale <= 0))
		return tfrs_fail(error, TFRS_CORRUPT, "index has an invalid tree");
	return TFRS_OK;
}

static tfrs_status
load_space(tfrs_tree *tree, float scale, const tfrs_block *block, const char *prefix,
		   const tfrs_corpus *corpus, tfrs_error *error)
{
	const void *centre = NULL;
	tfrs_status status = TFRS_OK;

	if (corpus->metric == TFRS_METRIC_L2)
		status = tfrs_block_find_exact(block, tfrs_part_name_of(prefix, "tree.centre").text,
									   sizeof(float), corpus->dim, &centre, error);
	if (status == TFRS_OK)
		tree->space = tfrs_space_of(corpus->metric, corpus->dim, centre, scale);
	return status;
}

/* Leaves follow one another, each with the blocks that its rows need. */
static tfrs_status
check_leaves(const tfrs_tree *tree, const tfrs_corpus *corpus, tfrs_error *error)
{
	uint64_t	rows = 0;
	uint64_t	block = 0;

	for (size_t leaf = 0; leaf < tree->leaves; leaf++)
	{
		if (tree->first_blocks[leaf] != block)
			return tfrs_fail(error, TFRS_CORRUPT, "leaf %zu of the index is misplaced", leaf);
		rows += tree->sizes[leaf];
		block += ((uint64_t) tree->sizes[leaf] + TFRS_CODE_ROWS - 1) / TFRS_CODE_ROWS;
	}
	if (rows != corpus->count || block != tree->blocks ||
		tree->first_blocks[tree->leaves] != tree->blocks)
		return tfrs_fail(error, TFRS_CORRUPT, "leaves of the index do not cover its rows");
	return TFRS_OK;
}

tfrs_status
tfrs_tree_load(tfrs_tree *tree, const tfrs_block *block, const char *prefix,
			   const tfrs_corpus *corpus, tfrs_error *error)
{
	tfrs_tree_head head;
	part		parts[PARTS];
	size_t		count = PARTS_WITHOUT_INT8;
	tfrs_status status = load_head(&head, block, prefix, corpus, error);

	if (status == TFRS_OK)
		status = load_space(tree, head.scale, block, prefix, corpus, error);
	if (status != TFRS_OK)
		return status;
	tree->leaves = head.leaves;
	tree->blocks = head.blocks;
	tree->quantizer.width = tree->space.width;
	tree->quantizer.codes = head.codes;
	tree->int8_scales = NULL;
	tree->int8_codes = NULL;
	if (tfrs_block_has(block, tfrs_part_name_of(prefix, "tree.int8_codes").text) ||
		tfrs_block_has(block, tfrs_part_name_of(prefix, "tree.int8_scales").text))
		count = PARTS;
	list_parts(tree, parts);
	for (size_t i = 0; status == TFRS_OK && i < count; i++)
		status = tfrs_block_find_exact(block, tfrs_part_name_of(prefix, parts[i].name).text,
									   parts[i].element_size, parts[i].count, parts[i].data,
									   error);
	return status == TFRS_OK ? check_leaves(tree, corpus, error) : status;
}
