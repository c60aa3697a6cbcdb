/*
 * tree.h: rows in leaves, coded in 4 bits a group of components.
 *
 * A row x of leaf c is stored as the code of x - c.  For a query q, with x' the coded row,
 *
 *     q . x  =  q . c + q . (x' - c) + q . (x - x'),     |q . (x - x')| <= |q| e
 *
 * The first two terms are cheap (one product a leaf, M table entries a row).  e is the length of
 * what the code leaves over, allowance for rounding included.  Rows of a leaf are ordered by it,
 * and the largest of each block of 32 is what the scan works with; a row that reaches that bound is
 * looked at with its own e, a share of the block's.  What is left is looked at in bytes
 * (int8_rows.h), where there are such, before it is fetched.  tree_search.h says how it is all
 * searched.
 */
#ifndef TFRS_TREE_H
#define TFRS_TREE_H

#include <stdint.h>

#include "retrieval/int8_rows.h"
#include "retrieval/quantizer.h"
#include "retrieval/space.h"

/*
 * What fetching a row from anywhere costs, in bytes read one after another: so many times its own,
 * and so many more (fitted to measurements at 128 and 400 bytes a row).  The same for a look at its
 * int8 codes.
 */
#define TFRS_TREE_ROW_FACTOR 3
#define TFRS_TREE_ROW_COST 640
#define TFRS_TREE_LOOK_COST 400

static inline size_t
tfrs_tree_row_bytes(size_t dim)
{
	return TFRS_TREE_ROW_FACTOR * dim * sizeof(float) + TFRS_TREE_ROW_COST;
}

static inline size_t
tfrs_tree_look_bytes(size_t width)
{
	return width + TFRS_TREE_LOOK_COST;
}

/*
 * Errors of codes have no direction, so their products with a query are normal with a deviation of
 * |q| e / sqrt(W).  So many deviations are believed in by searches that may miss.
 */
#define TFRS_TREE_LIKELY_ERROR 3.0f

/* A checked view. */
typedef struct tfrs_tree
{
	tfrs_space	space;
	tfrs_quantizer quantizer;
	size_t		leaves;			/* L */
	size_t		blocks;			/* sum over leaves of rows / 32, rounded up */
	const float *centroids;		/* (W, L) */
	const float *radii;			/* (L): largest |x - c|, allowance for rounding included */
	const uint32_t *sizes;		/* (L): rows */
	const uint32_t *first_blocks;	/* (L + 1) */
	const float *errors;		/* (blocks): the largest e */
	const uint8_t *shares;		/* (blocks, 32): a row's e in 255ths of that, rounded up */
	const uint8_t *codes;		/* (blocks, 16 M) */
	const tfrs_int8_scale *int8_scales; /* (blocks), or NULL */
	const int8_t *int8_codes;	/* (blocks, 32, W), or NULL */
	const uint32_t *rows;		/* (blocks, 32): row numbers; past a leaf's size TFRS_NO_ROW */
} tfrs_tree;

#endif							/* TFRS_TREE_H */
