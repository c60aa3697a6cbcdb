/*
 * row_epochs.c: the two-level shuffle, the same whether a bucket lies in memory or in a spool.
 */
#include "learning/row_epochs.h"

#include "base/limits.h"
#include "learning/streams.h"

tfrs_status
tfrs_row_epochs_begin(tfrs_row_epochs *epochs, tfrs_spread *spread, uint64_t seed,
					  tfrs_error *error)
{
	tfrs_arena *arena = spread->store.arena;
	tfrs_status status;

	memset(epochs, 0, sizeof(*epochs));
	epochs->seed = seed;
	epochs->loaded = TFRS_NO_ROW;
	epochs->spread = spread;
	status = TFRS_GET(arena, &epochs->bucket_order, spread->bucket_count, error);
	if (status == TFRS_OK)
		status = tfrs_bucket_init(&epochs->bucket, arena, spread->store.format,
								  tfrs_spread_largest(spread), error);
	return status;
}

void
tfrs_row_epochs_free(tfrs_row_epochs *epochs)
{
	if (epochs->spread == NULL)
		return;
	tfrs_bucket_free(&epochs->bucket);
	tfrs_arena_release(epochs->spread->store.arena, epochs->bucket_order);
	memset(epochs, 0, sizeof(*epochs));
}

void
tfrs_row_epochs_rewind(tfrs_row_epochs *epochs, uint32_t epoch)
{
	uint32_t	buckets = epochs->spread->bucket_count;
	tfrs_random random;

	for (uint32_t i = 0; i < buckets; i++)
		epochs->bucket_order[i] = i;
	tfrs_random_init(&random, epochs->seed, TFRS_STREAM_BUCKET_ORDER, epoch);
	tfrs_random_shuffle(&random, epochs->bucket_order, buckets);
	epochs->epoch = epoch;
	epochs->next_bucket = 0;
	epochs->position = SIZE_MAX;
}

/* Brings a bucket into memory in canonical order, unless it is there. */
static tfrs_status
load_bucket(tfrs_row_epochs *epochs, uint32_t number, tfrs_error *error)
{
	tfrs_spread *spread = epochs->spread;
	tfrs_row_reader reader;
	const uint8_t *bytes;
	size_t		count;
	tfrs_status status;

	if (epochs->loaded == number)
		return TFRS_OK;
	epochs->loaded = TFRS_NO_ROW;
	tfrs_bucket_clear(&epochs->bucket);
	tfrs_row_reader_begin(&reader, &spread->store, &spread->buckets[number], false);
	while ((status = tfrs_row_reader_next(&reader, &bytes, &count, error)) == TFRS_OK && count > 0)
	{
		for (size_t i = 0; i < count; i++)
		{
			tfrs_interaction row;

			tfrs_row_unpack(spread->store.format, bytes + i * spread->store.width, &row);
			tfrs_bucket_put(&epochs->bucket, &row);
		}
	}
	if (status != TFRS_OK)
		return status;
	tfrs_bucket_sort(&epochs->bucket);
	epochs->loaded = number;
	return TFRS_OK;
}

/* Turns to the next bucket of the epoch's order. */
static tfrs_status
begin_bucket(tfrs_row_epochs *epochs, tfrs_error *error)
{
	uint32_t	number = epochs->bucket_order[epochs->next_bucket++];
	tfrs_status status = load_bucket(epochs, number, error);
	tfrs_random random;

	if (status != TFRS_OK)
		return status;
	tfrs_random_init(&random, epochs->seed, TFRS_STREAM_ROW_ORDER,
					 (uint64_t) epochs->epoch << 32 | number);
	tfrs_bucket_shuffle(&epochs->bucket, &random);
	epochs->position = 0;
	return TFRS_OK;
}

/* Whether the epoch has passed all rows of the bucket at hand. */
static bool
is_passed(const tfrs_row_epochs *epochs)
{
	return epochs->position >= epochs->bucket.count;
}

tfrs_status
tfrs_row_epochs_read(tfrs_row_epochs *epochs, tfrs_interaction *rows, size_t limit, size_t *count,
					 tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	*count = 0;
	while (status == TFRS_OK && is_passed(epochs) &&
		   epochs->next_bucket < epochs->spread->bucket_count)
		status = begin_bucket(epochs, error);
	if (status != TFRS_OK || is_passed(epochs))
		return status;
	*count = tfrs_size_smaller(limit, epochs->bucket.count - epochs->position);
	for (size_t i = 0; i < *count; i++)
		tfrs_bucket_get(&epochs->bucket, epochs->position++, &rows[i]);
	return TFRS_OK;
}
