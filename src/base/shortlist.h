/*
 * shortlist.h: the best k rows for a query, exactly, out of scores that a matrix product gave.
 *
 * The last bits of a product differ between libraries, processors and places in a tile, so two
 * equal rows may get unequal scores.  A shortlist therefore takes product scores as approximate: it
 * keeps every row that may be among the best k and gives those their score by tfrs_kernels.dot.
 * What comes out is what a search row by row finds (score descending, then row ascending), equal
 * rows tie, and the library and the tiling leave no trace.
 *
 *     |product - dot| <= margin = 2 (D + 4) 2^-24 |q| max |x|
 *
 * (and 2^-22 times the largest addend, where a row's score is its dot product and an addend that is
 * known) since both differ from the true value by at most D 2^-24 sum |q_i x_i|.  A row whose product is
 * below the k-th dot so far by more than one margin, or below the k-th product by more than two,
 * cannot be among the best.
 */
#ifndef TFRS_SHORTLIST_H
#define TFRS_SHORTLIST_H

#include <stddef.h>
#include <stdint.h>

typedef struct tfrs_shortlist
{
	const float *query;			/* (D) */
	const float *rows;			/* (N, D) */
	size_t		dim;			/* D */
	size_t		k;				/* > 0 */
	const float *addend;		/* (N) added to a row's dot product, or NULL */
	float		largest_addend; /* of their magnitudes */
	float		margin;
	float		threshold;		/* products below it have no chance */
	size_t		exact;			/* keys whose score is final; behind them rows only */
	size_t		count;
	size_t		room;			/* of keys */
	uint64_t   *keys;			/* (tfrs_shortlist_room(k)) the caller's */
	uint64_t   *scratch;		/* the same, for the finish; lists may share it */
} tfrs_shortlist;

/* Keys that a list of k needs room for. */
extern size_t tfrs_shortlist_room(size_t k);

/*
 * list->query, rows, dim, k, addends, keys and scratch are set; no score may exceed FLT_MAX / 4 by |q|
 * longest.
 */
extern void tfrs_shortlist_begin(tfrs_shortlist *list, float query_norm, float longest);

/*
 * Products (and addends) of rows first .. first + count; -INFINITY hides a row.  Returns the largest of them.
 */
extern float tfrs_shortlist_add(tfrs_shortlist *list, const float *products, size_t count,
							   uint32_t first);

/* Leaves the best min(k, rows not hidden) in keys, best first. */
extern void tfrs_shortlist_finish(tfrs_shortlist *list);

static inline uint32_t
tfrs_shortlist_row(const tfrs_shortlist *list, size_t place)
{
	return (uint32_t) list->keys[place];
}

#endif							/* TFRS_SHORTLIST_H */
