/*
 * bucket.c: radix sort and shuffle of bucket.h.
 *
 * The sort takes 11 bits a pass, least significant first, and skips a pass in which all rows have
 * the same digit: of the 18 passes that a row with all columns could need, pairs of a small data set
 * take two.  A comparison sort takes five times as long here, and a bucket is sorted each
 * time that it is read.
 */
#include "learning/bucket.h"

#include "base/limits.h"

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)

static bool
has_column(tfrs_row_format format, int column)
{
	switch (column)
	{
		case TFRS_BUCKET_ROW:
			return format.has_row;
		case TFRS_BUCKET_WEIGHT:
			return format.has_weight;
		case TFRS_BUCKET_AT_LOW:
		case TFRS_BUCKET_AT_HIGH:
			return format.has_time;
		default:
			return true;
	}
}

tfrs_status
tfrs_bucket_init(tfrs_bucket *bucket, tfrs_arena *arena, tfrs_row_format format, size_t capacity,
				 tfrs_error *error)
{
	tfrs_status status;

	memset(bucket, 0, sizeof(*bucket));
	bucket->arena = arena;
	bucket->format = format;
	bucket->capacity = capacity;
	status = TFRS_GET(arena, &bucket->sorted, capacity, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &bucket->order, capacity, error);
	for (int i = 0; status == TFRS_OK && i < TFRS_BUCKET_COLUMNS; i++)
	{
		if (has_column(format, i))
			status = TFRS_GET(arena, &bucket->column[i], capacity, error);
	}
	if (status != TFRS_OK)
		tfrs_bucket_free(bucket);
	return status;
}

void
tfrs_bucket_free(tfrs_bucket *bucket)
{
	if (bucket->arena == NULL)
		return;
	for (int i = 0; i < TFRS_BUCKET_COLUMNS; i++)
		tfrs_arena_release(bucket->arena, bucket->column[i]);
	tfrs_arena_release(bucket->arena, bucket->sorted);
	tfrs_arena_release(bucket->arena, bucket->order);
	memset(bucket, 0, sizeof(*bucket));
}

void
tfrs_bucket_put(tfrs_bucket *bucket, const tfrs_interaction *row)
{
	size_t		i = bucket->count++;
	uint64_t	at = (uint64_t) row->at ^ UINT64_C(1) << 63;

	bucket->column[TFRS_BUCKET_QUERY][i] = row->query;
	bucket->column[TFRS_BUCKET_CANDIDATE][i] = row->candidate;
	if (bucket->format.has_row)
		bucket->column[TFRS_BUCKET_ROW][i] = row->row;
	if (bucket->format.has_weight)
		memcpy(&bucket->column[TFRS_BUCKET_WEIGHT][i], &row->weight, sizeof(float));
	if (bucket->format.has_time)
	{
		bucket->column[TFRS_BUCKET_AT_LOW][i] = (uint32_t) at;
		bucket->column[TFRS_BUCKET_AT_HIGH][i] = (uint32_t) (at >> 32);
	}
}

/* One stable pass over the digit at shift: from (count) to to (count).  False
 * where all are equal. */
static bool
sort_digit(const uint32_t *key, int shift, const uint32_t *from, uint32_t *to, size_t count)
{
	uint32_t	start[DIGITS] = {0};
	uint32_t	sum = 0;

	for (size_t i = 0; i < count; i++)
		start[key[i] >> shift & (DIGITS - 1)]++;
	if (start[key[0] >> shift & (DIGITS - 1)] == count)
		return false;
	for (int digit = 0; digit < DIGITS; digit++)
	{
		uint32_t	rows = start[digit];

		start[digit] = sum;
		sum += rows;
	}
	for (size_t i = 0; i < count; i++)
		to[start[key[from[i]] >> shift & (DIGITS - 1)]++] = from[i];
	return true;
}

void
tfrs_bucket_sort(tfrs_bucket *bucket)
{
	for (size_t i = 0; i < bucket->count; i++)
		bucket->sorted[i] = (uint32_t) i;
	if (bucket->count == 0)
		return;
	for (int column = 0; column < TFRS_BUCKET_COLUMNS; column++)
	{
		for (int shift = 0; bucket->column[column] != NULL && shift < 32; shift += DIGIT_BITS)
		{
			uint32_t   *from = bucket->sorted;

			if (!sort_digit(bucket->column[column], shift, from, bucket->order, bucket->count))
				continue;
			bucket->sorted = bucket->order;
			bucket->order = from;
		}
	}
}

void
tfrs_bucket_shuffle(tfrs_bucket *bucket, tfrs_random *random)
{
	memcpy(bucket->order, bucket->sorted, bucket->count * sizeof(uint32_t));
	tfrs_random_shuffle(random, bucket->order, bucket->count);
}

void
tfrs_bucket_get(const tfrs_bucket *bucket, size_t position, tfrs_interaction *row)
{
	uint32_t	i = bucket->order[position];

	row->query = bucket->column[TFRS_BUCKET_QUERY][i];
	row->candidate = bucket->column[TFRS_BUCKET_CANDIDATE][i];
	row->weight = 1.0f;
	row->row = TFRS_NO_ROW;
	row->at = INT64_MIN;
	if (bucket->format.has_row)
		row->row = bucket->column[TFRS_BUCKET_ROW][i];
	if (bucket->format.has_weight)
		memcpy(&row->weight, &bucket->column[TFRS_BUCKET_WEIGHT][i], sizeof(float));
	if (bucket->format.has_time)
		row->at = (int64_t) (((uint64_t) bucket->column[TFRS_BUCKET_AT_HIGH][i] << 32 |
							  bucket->column[TFRS_BUCKET_AT_LOW][i]) ^ UINT64_C(1) << 63);
}
