/*
 * tree.h: rows in leaves, coded in 4 bits a group of components, and two ways to search them.
 *
 * A row x of leaf c is stored as the code of x - c.  For a query q, with x' the coded row,
 *
 *     q . x  =  q . c + q . (x' - c) + q . (x - x'),     |q . (x - x')| <= |q| e
 *
 * The first two terms are cheap (one product a leaf, M table entries a row).  e is the length of
 * what the code leaves over, allowance for rounding included.  Rows of a leaf are ordered by it,
 * and the largest of each block of 32 is what the scan works with; a row that reaches that bound is
 * looked at with its own e, a share of the block's, before it is fetched.
 *
 *     bounded   Every leaf and row whose bound reaches the threshold is scored, so the answer is
 *               that of the full scan, ties included, while a fraction of the bytes is read.
 *               With a reach below 1 only that share of a leaf's radius is believed in: how much
 *               is searched then depends on how hard the query is, which pays where that differs.
 *     ranked    The leaves nearest to the query are searched, the best rows by the first two terms
 *               are scored (the recipe of ScaNN): the same work for every query.
 *
 * Either way results carry the corpus's float32 scores.
 */
#ifndef TFRS_TREE_H
#define TFRS_TREE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/block.h"
#include "retrieval/collector.h"
#include "retrieval/quantizer.h"
#include "retrieval/space.h"

#define TFRS_TREE_ROW_FACTOR 3
#define TFRS_TREE_ROW_COST 640

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
	const uint32_t *rows;		/* (blocks, 32): row numbers; past a leaf's size TFRS_NO_ROW */
} tfrs_tree;

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

/* Work memory of one search at a time, which re-ranks at most that many rows; one arena piece. */
typedef struct tfrs_tree_scratch tfrs_tree_scratch;

extern tfrs_status tfrs_tree_scratch_get(tfrs_tree_scratch **scratch, const tfrs_tree *tree,
										 size_t rerank, tfrs_arena *arena, tfrs_error *error);

/*
 * Bytes of codes, centroids and rows that searches with this scratch have read since the last call:
 * what they cost, in a measure that is the same on every machine.  Fetching a row from anywhere
 * counts TFRS_TREE_ROW_FACTOR times its bytes and TFRS_TREE_ROW_COST more (fitted to measurements
 * at 128 and 400 bytes a row).
 */
extern uint64_t tfrs_tree_take_bytes_read(tfrs_tree_scratch *scratch);

/* Whether the bounds hold for the query: float32 has no surprises at its length. */
extern bool tfrs_tree_serves(const tfrs_tree *tree, const tfrs_scorer *scorer);

/* The scratch must have room for effort.rerank. */
extern void tfrs_tree_search(const tfrs_tree *tree, const tfrs_scorer *scorer,
							 tfrs_tree_effort effort, tfrs_collector *collector,
							 tfrs_tree_scratch *scratch);

#endif							/* TFRS_TREE_H */
