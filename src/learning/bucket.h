/*
 * bucket.h: one bucket of rows in memory, in canonical order and in a random one.
 *
 * Rows are put in any order, sorted by (query, candidate, at, weight bits, row number), so that equal
 * sets of rows become equal sequences, and shuffled by a stream that the caller names.  Held as columns of
 * 32-bit words; sorting and shuffling move row numbers only.
 */
#ifndef TFRS_BUCKET_H
#define TFRS_BUCKET_H

#include "base/random.h"
#include "learning/row_store.h"

/* Columns in the order of a radix sort: the least significant first. */
enum
{
	TFRS_BUCKET_ROW,
	TFRS_BUCKET_WEIGHT,
	TFRS_BUCKET_AT_LOW,
	TFRS_BUCKET_AT_HIGH,		/* the sign bit flipped: unsigned order is the order of times */
	TFRS_BUCKET_CANDIDATE,
	TFRS_BUCKET_QUERY,
	TFRS_BUCKET_COLUMNS
};

typedef struct tfrs_bucket
{
	tfrs_arena *arena;
	tfrs_row_format format;
	size_t		capacity;		/* rows */
	size_t		count;
	uint32_t   *column[TFRS_BUCKET_COLUMNS];	/* (capacity), or NULL where rows have none */
	uint32_t   *sorted;			/* (capacity) row numbers in canonical order */
	uint32_t   *order;			/* (capacity) row numbers in the order of reading */
} tfrs_bucket;

/* capacity < 2^32 rows. */
extern tfrs_status tfrs_bucket_init(tfrs_bucket *bucket, tfrs_arena *arena,
									tfrs_row_format format, size_t capacity, tfrs_error *error);
extern void tfrs_bucket_free(tfrs_bucket *bucket);

static inline void
tfrs_bucket_clear(tfrs_bucket *bucket)
{
	bucket->count = 0;
}

/* There must be room. */
extern void tfrs_bucket_put(tfrs_bucket *bucket, const tfrs_interaction *row);

extern void tfrs_bucket_sort(tfrs_bucket *bucket);

/* From the canonical order, whatever was shuffled before; the bucket is sorted. */
extern void tfrs_bucket_shuffle(tfrs_bucket *bucket, tfrs_random *random);

/* The row at a position of the shuffled order. */
extern void tfrs_bucket_get(const tfrs_bucket *bucket, size_t position, tfrs_interaction *row);

#endif							/* TFRS_BUCKET_H */
