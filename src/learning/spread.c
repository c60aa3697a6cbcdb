/*
 * spread.c: buckets of spread.h.
 *
 * Which of several equal rows counts as the k-th makes no difference, so the order in which a
 * crowded bucket is read does not show.  (Rows with a weight, a time or a row number are told apart by 64-bit
 * hashes here; that two of the some hundred thousand of a bucket agree has a chance of 1e-9.)
 */
#include "learning/spread.h"

#include "base/random.h"

/* Bytes of the buckets' blocks: all last blocks together stay below a quarter of the limit. */
#define LEAST_BLOCK_BYTES ((size_t) 1024)
#define MOST_BLOCK_BYTES ((size_t) 65536)

/* A bucket of more rows deals its repetitions out again. */
#define CROWDED_ROWS (4 * TFRS_BUCKET_ROWS)

static uint64_t
hash_row(const tfrs_spread *spread, const tfrs_interaction *row)
{
	uint64_t	hash = tfrs_random_mix(spread->seed);
	uint32_t	weight_bits;

	hash = tfrs_random_mix(hash ^ ((uint64_t) row->query << 32 | row->candidate));
	if (spread->store.format.has_row)
		hash = tfrs_random_mix(hash ^ row->row);
	if (spread->store.format.has_weight)
	{
		memcpy(&weight_bits, &row->weight, sizeof(weight_bits));
		hash = tfrs_random_mix(hash ^ weight_bits);
	}
	if (spread->store.format.has_time)
		hash = tfrs_random_mix(hash ^ (uint64_t) row->at);
	return hash;
}

tfrs_status
tfrs_spread_init(tfrs_spread *spread, tfrs_arena *arena, const tfrs_spread_options *options,
				 tfrs_error *error)
{
	size_t		bytes;

	memset(spread, 0, sizeof(*spread));
	tfrs_row_store_init(&spread->store, arena, options->format, options->spools);
	spread->seed = options->seed;
	spread->bucket_count = 1;
	while (options->rows / spread->bucket_count > TFRS_BUCKET_ROWS)
		spread->bucket_count *= 2;
	bytes = MOST_BLOCK_BYTES;
	if (options->spools != NULL)
	{
		spread->store.limit = options->limit;
		while (bytes > LEAST_BLOCK_BYTES && bytes > options->limit / 4 / spread->bucket_count)
			bytes /= 2;
	}
	spread->store.first_rows = spread->store.most_rows = bytes / spread->store.width;
	return TFRS_GET_ZERO(arena, &spread->buckets, spread->bucket_count, error);
}

void
tfrs_spread_free(tfrs_spread *spread)
{
	tfrs_arena *arena = spread->store.arena;

	if (arena == NULL)
		return;
	for (uint32_t i = 0; spread->buckets != NULL && i < spread->bucket_count; i++)
		tfrs_row_queue_free(&spread->store, &spread->buckets[i]);
	tfrs_row_queue_free(&spread->store, &spread->crowded);
	tfrs_arena_release(arena, spread->buckets);
	tfrs_arena_release(arena, spread->seen);
	tfrs_arena_release(arena, spread->repetitions);
	tfrs_row_store_free(&spread->store);
	memset(spread, 0, sizeof(*spread));
}

static tfrs_status
put(tfrs_spread *spread, uint64_t hash, const tfrs_interaction *row, tfrs_error *error)
{
	return tfrs_row_queue_put(&spread->store, &spread->buckets[hash & (spread->bucket_count - 1)],
							 row, error);
}

tfrs_status
tfrs_spread_add(tfrs_spread *spread, const tfrs_interaction *row, tfrs_error *error)
{
	return put(spread, hash_row(spread, row), row, error);
}

static size_t
find_seen(const uint64_t *seen, size_t mask, uint64_t hash)
{
	size_t		slot = (hash >> 32) & mask; /* the low bits are equal within a bucket */

	while (seen[slot] != 0 && seen[slot] != hash)
		slot = (slot + 1) & mask;
	return slot;
}

static tfrs_status
grow_seen(tfrs_spread *spread, tfrs_error *error)
{
	tfrs_arena *arena = spread->store.arena;
	size_t		mask = spread->seen == NULL ? 2 * TFRS_BUCKET_ROWS - 1 : 2 * spread->seen_mask + 1;
	uint64_t   *seen;
	uint32_t   *repetitions;
	tfrs_status status = TFRS_GET_ZERO(arena, &seen, mask + 1, error);

	if (status != TFRS_OK)
		return status;
	status = TFRS_GET_ZERO(arena, &repetitions, mask + 1, error);
	if (status != TFRS_OK)
	{
		tfrs_arena_release(arena, seen);
		return status;
	}
	for (size_t i = 0; spread->seen != NULL && i <= spread->seen_mask; i++)
	{
		size_t		slot;

		if (spread->seen[i] == 0)
			continue;
		slot = find_seen(seen, mask, spread->seen[i]);
		seen[slot] = spread->seen[i];
		repetitions[slot] = spread->repetitions[i];
	}
	tfrs_arena_release(arena, spread->seen);
	tfrs_arena_release(arena, spread->repetitions);
	spread->seen = seen;
	spread->repetitions = repetitions;
	spread->seen_mask = mask;
	return TFRS_OK;
}

/* How many rows of this hash were met before. */
static tfrs_status
count_repetition(tfrs_spread *spread, uint64_t hash, uint32_t *before, tfrs_error *error)
{
	size_t		slot;

	if (spread->seen == NULL || 2 * spread->seen_count > spread->seen_mask)
	{
		tfrs_status status = grow_seen(spread, error);

		if (status != TFRS_OK)
			return status;
	}
	hash += hash == 0;
	slot = find_seen(spread->seen, spread->seen_mask, hash);
	if (spread->seen[slot] == 0)
	{
		spread->seen[slot] = hash;
		spread->seen_count++;
	}
	*before = spread->repetitions[slot]++;
	return TFRS_OK;
}

/* Deals out one block of the crowded bucket. */
static tfrs_status
deal_block(tfrs_spread *spread, tfrs_error *error)
{
	const uint8_t *bytes;
	size_t		count;
	tfrs_status status = tfrs_row_reader_next(&spread->reader, &bytes, &count, error);

	spread->dealing = count > 0;
	for (size_t i = 0; status == TFRS_OK && i < count; i++)
	{
		tfrs_interaction row;
		uint64_t	hash;
		uint32_t	before;

		tfrs_row_unpack(spread->store.format, bytes + i * spread->store.width, &row);
		hash = hash_row(spread, &row);
		status = count_repetition(spread, hash, &before, error);
		if (status == TFRS_OK)
			status = put(spread, before == 0 ? hash : tfrs_random_mix(hash ^ before), &row, error);
	}
	return status;
}

static void
begin_dealing(tfrs_spread *spread)
{
	spread->crowded = spread->buckets[spread->bucket];
	memset(&spread->buckets[spread->bucket], 0, sizeof(tfrs_row_queue));
	tfrs_row_reader_begin(&spread->reader, &spread->store, &spread->crowded, true);
	spread->dealing = true;
	spread->seen_count = 0;
	for (size_t i = 0; spread->seen != NULL && i <= spread->seen_mask; i++)
		spread->seen[i] = spread->repetitions[i] = 0;
}

tfrs_status
tfrs_spread_deal_step(tfrs_spread *spread, tfrs_error *error)
{
	if (spread->dealing)
	{
		tfrs_status status = deal_block(spread, error);

		if (status != TFRS_OK)
			return status;
		if (spread->dealing)
			return TFRS_MORE;
		tfrs_row_queue_free(&spread->store, &spread->crowded);
		spread->bucket++;
	}
	while (spread->bucket_count > 1 && spread->bucket < spread->bucket_count)
	{
		if (spread->buckets[spread->bucket].rows > CROWDED_ROWS)
		{
			begin_dealing(spread);
			return TFRS_MORE;
		}
		spread->bucket++;
	}
	tfrs_arena_release(spread->store.arena, spread->seen);
	tfrs_arena_release(spread->store.arena, spread->repetitions);
	spread->seen = NULL;
	spread->repetitions = NULL;
	return TFRS_OK;
}

size_t
tfrs_spread_largest(const tfrs_spread *spread)
{
	size_t		largest = 0;

	for (uint32_t i = 0; i < spread->bucket_count; i++)
		largest = spread->buckets[i].rows > largest ? spread->buckets[i].rows : largest;
	return largest;
}
