/*
 * feature_rows.h: the rows of one side (queries or candidates), each distinct value held once.
 *
 * The distinct values of a column are numbered in a set of ids; lists and vectors are ids of bytes.
 * A row is a tuple of 32-bit words, one for each column that a feature reads (two for a number, which
 * is its own bits), and distinct tuples are numbered too: an interaction carries one number.  So a
 * title that stands in a million rows is held once, and a row costs 4 bytes.  NULL is all bits set.
 *
 * Finishing sorts values by their content and then tuples by their words, so that no number depends
 * on the order of arrival.  The row of NULLs is always there, and it is the last one.
 *
 *     a list in bytes     integers: 8 bytes each; others: uint32 length and the bytes of each
 *     a vector in bytes   its floats
 *
 * -0 is 0.  A column that no feature reads is not kept at all, and neither is the key unless a
 * feature beside the table of ids reads it.
 */
#ifndef TFRS_FEATURE_ROWS_H
#define TFRS_FEATURE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_set.h"
#include "base/id_sort.h"
#include "learning/feature_options.h"

/* Where the words of a column are in a tuple. */
typedef struct tfrs_row_layout
{
	uint32_t	words;			/* W of a tuple; 0: no column is read */
	uint32_t	first[TFRS_MAX_COLUMNS];	/* TFRS_NO_ROW: no feature reads the column */
} tfrs_row_layout;

extern tfrs_row_layout tfrs_row_layout_of(const tfrs_tower_options *options);

/* Whether values of a column are numbered, as all but numbers are. */
static inline bool
tfrs_column_has_set(const tfrs_column *column)
{
	return column->type != TFRS_COLUMN_NUMBER;
}

/* Rows for reading: those that were collected, or those of a model's keys. */
typedef struct tfrs_rows_view
{
	const tfrs_tower_options *options;
	tfrs_row_layout layout;
	tfrs_id_view value[TFRS_MAX_COLUMNS];	/* distinct values in order, where they are numbered */
	size_t		count;			/* R */
	const uint32_t *words;		/* (R, W) */
} tfrs_rows_view;

/* What values read from a view point to: lists and vectors, one of each column.  Zeros at first. */
typedef struct tfrs_row_room
{
	tfrs_arena *arena;
	tfrs_id    *element[TFRS_MAX_COLUMNS];
	size_t		elements[TFRS_MAX_COLUMNS];
	float	   *vector[TFRS_MAX_COLUMNS];
} tfrs_row_room;

extern void tfrs_row_room_init(tfrs_row_room *room, tfrs_arena *arena);
extern void tfrs_row_room_free(tfrs_row_room *room);

/* The value of that number in a column that has a set; TFRS_NO_ROW: NULL.  Error: memory. */
extern tfrs_status tfrs_rows_value(const tfrs_rows_view *view, uint32_t column, uint32_t number,
								   tfrs_row_room *room, tfrs_value *value, tfrs_error *error);

/* A whole row into value (C); columns that are not kept are NULL, and so is all of TFRS_NO_ROW. */
extern tfrs_status tfrs_rows_read(const tfrs_rows_view *view, uint32_t row, tfrs_row_room *room,
								  tfrs_value *value, tfrs_error *error);

/* The number of a number column in a row; false where it is NULL. */
extern bool tfrs_rows_number(const tfrs_rows_view *view, uint32_t column, uint32_t row,
							 double *number);

/* The number of a row's value in a column that has a set; TFRS_NO_ROW: NULL. */
static inline uint32_t
tfrs_rows_value_number(const tfrs_rows_view *view, uint32_t column, uint32_t row)
{
	return view->words[(size_t) row * view->layout.words + view->layout.first[column]];
}

/* Rows that are being collected. */
typedef struct tfrs_feature_rows
{
	tfrs_arena *arena;
	const tfrs_tower_options *options;
	tfrs_row_layout layout;
	tfrs_id_set value[TFRS_MAX_COLUMNS];
	tfrs_id_set tuples;
	char	   *room;			/* (room_bytes) a list as bytes */
	size_t		room_bytes;
	/* finishing */
	uint32_t	phase;			/* column whose values are being sorted; then the tuples */
	size_t		done;			/* tuples that have the new numbers of the column's values */
	tfrs_id_sort sort;
	uint32_t   *new_value;		/* of the column's values */
	uint32_t   *new_row;		/* (R) of each row of arrival, from the end of finishing */
} tfrs_feature_rows;

/* The options, which have passed tfrs_tower_options_check (feature.h), must outlive the rows. */
extern tfrs_status tfrs_feature_rows_init(tfrs_feature_rows *rows, tfrs_arena *arena,
										  const tfrs_tower_options *options, tfrs_error *error);
extern void tfrs_feature_rows_free(tfrs_feature_rows *rows);

/*
 * The number of arrival of a row of values (C).  Errors name the column: TFRS_TOO_LARGE for a value
 * of more than TFRS_MAX_VALUE_BYTES, TFRS_NOT_FINITE, TFRS_INVALID_ARGUMENT for an id of another
 * kind; and memory, after which the rows can only be freed.
 */
extern tfrs_status tfrs_feature_rows_add(tfrs_feature_rows *rows, const tfrs_value *value,
										 uint32_t *row, tfrs_error *error);

/* Compares two rows of arrival by content, column by column; NULL comes first. */
extern int	tfrs_feature_rows_compare(const tfrs_feature_rows *rows, uint32_t a, uint32_t b);

/* TFRS_MORE until the rows have their final numbers; then new_row tells them. */
extern tfrs_status tfrs_feature_rows_finish_step(tfrs_feature_rows *rows, tfrs_error *error);

/* Bytes held while rows are collected. */
extern size_t tfrs_feature_rows_bytes(const tfrs_feature_rows *rows);

/* For reading, after finishing. */
extern tfrs_rows_view tfrs_feature_rows_view(const tfrs_feature_rows *rows);

/* The row of NULLs, after finishing. */
static inline uint32_t
tfrs_feature_rows_null(const tfrs_feature_rows *rows)
{
	return (uint32_t) rows->tuples.count - 1;
}

#endif							/* TFRS_FEATURE_ROWS_H */
