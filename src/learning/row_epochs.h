/*
 * row_epochs.h: the rows of a spread, epoch by epoch: buckets in random order, each shuffled.
 *
 * One bucket lies in memory, in canonical order; it is loaded and sorted when its turn comes, which
 * takes below 50 ms for the largest one.  What an epoch gives depends on its number, the seed and the
 * rows alone.
 */
#ifndef TFRS_ROW_EPOCHS_H
#define TFRS_ROW_EPOCHS_H

#include "learning/bucket.h"
#include "learning/spread.h"

typedef struct tfrs_row_epochs
{
	tfrs_spread *spread;
	uint64_t	seed;
	uint32_t	epoch;
	uint32_t   *bucket_order;	/* (spread->bucket_count) */
	uint32_t	next_bucket;	/* position in bucket_order */
	uint32_t	loaded;			/* bucket number in bucket, TFRS_NO_ROW: none */
	tfrs_bucket bucket;
	size_t		position;		/* within the bucket */
} tfrs_row_epochs;

/* All rows are spread; the spread must outlive the epochs. */
extern tfrs_status tfrs_row_epochs_begin(tfrs_row_epochs *epochs, tfrs_spread *spread,
										 uint64_t seed, tfrs_error *error);
extern void tfrs_row_epochs_free(tfrs_row_epochs *epochs);

extern void tfrs_row_epochs_rewind(tfrs_row_epochs *epochs, uint32_t epoch);

/* At most limit rows; *count is 0 at the epoch's end. */
extern tfrs_status tfrs_row_epochs_read(tfrs_row_epochs *epochs, tfrs_interaction *rows,
										size_t limit, size_t *count, tfrs_error *error);

#endif							/* TFRS_ROW_EPOCHS_H */
