/*
 * key_rows.h: one row for each key of a side, out of those that were read.
 *
 * Rows of a key may differ: a price that changed, a context that is another one each time.  The row
 * that speaks for the key is the one of the greatest origin, then of the latest time, then the
 * greatest by content: never the one that was read last.  A key of which nothing is known has the row
 * of NULLs.
 */
#ifndef TFRS_KEY_ROWS_H
#define TFRS_KEY_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/feature_rows.h"

/* Where a row of a key comes from; of two of them the greater one counts, whatever their times. */
typedef enum tfrs_row_origin
{
	TFRS_ROW_OF_MODEL = 1,		/* an earlier training, before this one */
	TFRS_ROW_OF_INTERACTION,
	TFRS_ROW_OF_CATALOGUE		/* what is there now, with or without interactions */
} tfrs_row_origin;

/* A row of a key as it is read. */
typedef struct tfrs_key_given
{
	const tfrs_value *value;	/* (C) */
	tfrs_row_origin origin;
	int64_t		at;
} tfrs_key_given;

/* The row of one key so far. */
typedef struct tfrs_key_row
{
	int64_t		at;
	uint32_t	row;			/* of arrival */
	uint8_t		origin;			/* tfrs_row_origin; 0: nothing is known */
	bool		of_model;		/* an earlier training knew the key */
	bool		differs;		/* interactions had different rows */
} tfrs_key_row;

typedef struct tfrs_key_rows
{
	tfrs_arena *arena;			/* NULL: no feature reads a column */
	tfrs_feature_rows rows;
	size_t		capacity;
	tfrs_key_row *key;			/* (capacity) by number of arrival */
	/* after finishing */
	uint32_t   *row_of;			/* (V) */
	uint32_t   *row_count;		/* (R) what statistics are weighed with: the caller counts */
	size_t		differ;			/* keys whose interactions had different rows */
} tfrs_key_rows;

/* Nothing where no feature reads a column.  The options must outlive it. */
extern tfrs_status tfrs_key_rows_init(tfrs_key_rows *keys, tfrs_arena *arena,
									  const tfrs_tower_options *options, tfrs_error *error);
extern void tfrs_key_rows_free(tfrs_key_rows *keys);

/* The row's number of arrival, which becomes that of its key where it counts more. */
extern tfrs_status tfrs_key_rows_add(tfrs_key_rows *keys, uint32_t key,
									 const tfrs_key_given *given, uint32_t *row,
									 tfrs_error *error);

/* TFRS_MORE until rows have their final numbers, and keys (count) the numbers new_key. */
extern tfrs_status tfrs_key_rows_finish_step(tfrs_key_rows *keys, const uint32_t *new_key,
											 size_t count, tfrs_error *error);

/* Counts keys (V) with interactions, or of an earlier training, for the statistics. */
extern void tfrs_key_rows_count_keys(tfrs_key_rows *keys, const uint32_t *new_key,
									 const uint32_t *interactions);

/* Numbers of arrival are not asked for any more. */
extern void tfrs_key_rows_forget_arrival(tfrs_key_rows *keys);

extern size_t tfrs_key_rows_bytes(const tfrs_key_rows *keys);

#endif							/* TFRS_KEY_ROWS_H */
