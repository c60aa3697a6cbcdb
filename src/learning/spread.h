/*
 * spread.h: spreads rows over buckets by a hash of their content.
 *
 * The number of buckets follows from the number of rows alone (the smallest power of two with at
 * most 131,072 rows a bucket on average), and a row's bucket from its content and a seed: so which
 * rows a bucket holds depends neither on their order nor on the memory at hand.
 *
 * Equal rows fall into one bucket, and one row may be there a million times.  A bucket of more
 * than four times the average therefore deals its repeated rows out again: the k-th repetition
 * goes where the hash of the row and k says.  That bounds the memory that a bucket takes, and
 * keeps such rows from filling whole batches.
 */
#ifndef TFRS_SPREAD_H
#define TFRS_SPREAD_H

#include "learning/row_store.h"

/* Rows of a bucket on average, at most. */
#define TFRS_BUCKET_ROWS ((size_t) 131072)

typedef struct tfrs_spread
{
	tfrs_row_store store;
	uint64_t	seed;
	uint32_t	bucket_count;	/* a power of two */
	tfrs_row_queue *buckets;		/* (bucket_count) */
	/* dealing out again */
	uint32_t	bucket;			/* the next one to look at */
	bool		dealing;
	tfrs_row_queue crowded;		/* what the bucket held */
	tfrs_row_reader reader;
	uint64_t   *seen;			/* (seen_mask + 1) hashes of rows met, 0 empty */
	uint32_t   *repetitions;	/* (seen_mask + 1) */
	size_t		seen_mask;
	size_t		seen_count;
} tfrs_spread;

typedef struct tfrs_spread_options
{
	tfrs_row_format format;
	const tfrs_spool_functions *spools; /* NULL: all rows stay in memory */
	size_t		limit;			/* with spools: bytes of rows to keep in memory */
	size_t		rows;			/* how many will be added, < 2^32 */
	uint64_t	seed;
} tfrs_spread_options;

extern tfrs_status tfrs_spread_init(tfrs_spread *spread, tfrs_arena *arena,
									const tfrs_spread_options *options, tfrs_error *error);
extern void tfrs_spread_free(tfrs_spread *spread);

extern tfrs_status tfrs_spread_add(tfrs_spread *spread, const tfrs_interaction *row,
								   tfrs_error *error);

/* After the last row; a step handles a block of rows.  TFRS_MORE until all is done. */
extern tfrs_status tfrs_spread_deal_step(tfrs_spread *spread, tfrs_error *error);

/* Rows of the largest bucket. */
extern size_t tfrs_spread_largest(const tfrs_spread *spread);

#endif							/* TFRS_SPREAD_H */
