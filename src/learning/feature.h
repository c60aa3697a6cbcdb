/*
 * feature.h: features whose statistics are known, and what they make of a row's values.
 *
 * What a feature is told (feature_options.h) becomes a feature when its vocabulary, moments and
 * boundaries are settled (feature_settling.h) or read from a model.  One function encodes a value,
 * in training and in serving:
 *
 *     id, hash, cross, bucket   a row of the feature's table
 *     text, bag                 rows of the table with weights (the combiner's); none: zero vector
 *     sequence                  rows of the table, in order
 *     number, vector            width floats
 *
 * Tables have Keras's layout: unknown slots first, then the words; of a text one row for padding
 * before them.  NULL is a row of its own behind all others for id, hash, bucket and cross (where any
 * of its columns is NULL), no items for text, bag and sequence, zeros for a vector; a number is 0
 * then, and where NULLs occurred in training a second float is 1 for NULL and 0 otherwise.
 * Rows of a table that training never reads (unknown slots as a rule; the NULL row where there were
 * no NULLs) mean nothing: who trains a table makes them zero.
 */
#ifndef TFRS_FEATURE_H
#define TFRS_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/feature_rows.h"
#include "learning/number.h"
#include "learning/ragged.h"
#include "learning/vocabulary.h"

/* What is stored of a feature beside its vocabulary and boundaries. */
typedef struct tfrs_feature_summary
{
	uint64_t	rows;			/* that statistics are made of: interactions, or candidates */
	uint64_t	nulls;			/* of them with NULL */
	tfrs_moments moments;		/* number: after the logarithm where there is one */
	double		least;			/* number, bucket: of the values */
	double		most;
	uint32_t	width;			/* number: 1, or 2 with the flag for NULL; vector: its dim; else 0 */
	uint32_t	boundaries;		/* bucket */
} tfrs_feature_summary;

typedef struct tfrs_feature
{
	const tfrs_feature_options *options;
	const tfrs_column *columns; /* (C) of the row */
	const tfrs_feature_summary *summary;
	const double *boundary;		/* (summary->boundaries) ascending */
	tfrs_word_table vocabulary; /* id, text, bag, sequence; that of the feature whose table it shares */
	size_t		rows;			/* of the table that it reads; 0: number, vector */
	uint32_t	null_row;		/* of the table; TFRS_NO_ROW: NULL has none */
	/* whose table it reads, where it shares one */
	bool		shares;
	bool		shares_query;	/* a query's, else a candidate's */
	uint32_t	shares_feature; /* TFRS_NO_ROW: the table of ids, whose last row is unknown */
} tfrs_feature;

/* All features of one side. */
typedef struct tfrs_features
{
	const tfrs_tower_options *options;	/* NULL: a scalar, without features */
	size_t		count;
	tfrs_feature feature[TFRS_MAX_FEATURES];
} tfrs_features;

/* What follows from the options, the summary and the vocabulary: rows and null_row. */
extern void tfrs_feature_size(tfrs_feature *feature);

/*
 * Once all other features are known: those that share a table find it.  The views are the ids of both
 * sides.  TFRS_INVALID_ARGUMENT where there is no such table or it has other values.
 */
extern tfrs_status tfrs_features_link(tfrs_features *query, tfrs_features *candidate,
									  const tfrs_id_view *queries, const tfrs_id_view *candidates,
									  tfrs_error *error);

/* What a feature makes of some values.  One of id, items and number, as the kind says. */
typedef struct tfrs_encoded_feature
{
	const tfrs_feature *feature;
	tfrs_arena *arena;
	size_t		capacity;
	size_t		entries;		/* E */
	uint32_t   *id;				/* (E) rows of the table; TFRS_NO_ROW: none, a zero vector */
	tfrs_ragged items;			/* (E) rows of the table */
	float	   *number;			/* (E, width) */
	const uint32_t *entry;		/* (R) the entry of each row; NULL: row r has entry r */
	char	   *room;			/* (room_bytes) a word */
	size_t		room_bytes;
} tfrs_encoded_feature;

/* No entries; room for them, and for so many items in all. */
extern tfrs_status tfrs_encoded_feature_init(tfrs_encoded_feature *encoded, tfrs_arena *arena,
											 const tfrs_feature *feature, size_t entries,
											 size_t items, tfrs_error *error);
extern void tfrs_encoded_feature_free(tfrs_encoded_feature *encoded);

/*
 * One more entry: what the feature makes of a row of values (C), of which it reads its own columns.
 * Room for entries and items grows as needed.  Error: memory.
 */
extern tfrs_status tfrs_encoded_feature_add(tfrs_encoded_feature *encoded, const tfrs_value *value,
											tfrs_error *error);

/* Forgets all entries: for a row that is served, before tfrs_encoded_feature_add. */
extern void tfrs_encoded_feature_clear(tfrs_encoded_feature *encoded);

/* A number as statistics see it; the value is not NULL. */
extern double tfrs_feature_number(const tfrs_feature_options *options, const tfrs_column *column,
								  const tfrs_value *value);

/* Entries that a feature has over all rows: one for each value of its column and one for NULL, or one
 * for each row; and the values (C) that an entry is made of. */
extern size_t tfrs_feature_entries(const tfrs_rows_view *view,
								   const tfrs_feature_options *options);
extern tfrs_status tfrs_feature_entry(const tfrs_rows_view *view,
									  const tfrs_feature_options *options, size_t entry,
									  tfrs_row_room *room, tfrs_value *value, tfrs_error *error);

/*
 * All features of a side, for all rows of a training.  A step encodes some thousand values.
 */
typedef struct tfrs_encoded_rows
{
	tfrs_arena *arena;
	const tfrs_features *features;
	tfrs_rows_view view;
	tfrs_row_room room;
	size_t		at;				/* the feature that is being encoded */
	size_t		done;			/* its entries */
	uint32_t   *entry[TFRS_MAX_COLUMNS];	/* (R) of each row, or NULL */
	tfrs_encoded_feature feature[TFRS_MAX_FEATURES];
} tfrs_encoded_rows;

extern tfrs_status tfrs_encoded_rows_begin(tfrs_encoded_rows *encoded, tfrs_arena *arena,
										   const tfrs_features *features,
										   const tfrs_rows_view *view, tfrs_error *error);
extern tfrs_status tfrs_encoded_rows_step(tfrs_encoded_rows *encoded, tfrs_error *error);
extern void tfrs_encoded_rows_free(tfrs_encoded_rows *encoded);

/*
 * Bytes that encoding takes, about, added to *bytes before it has begun: how many words texts have is
 * not known then, and the budget of the arena is what bounds it.
 */
extern tfrs_status tfrs_encoded_rows_estimate(const tfrs_rows_view *view, size_t *bytes,
											  tfrs_error *error);

/* Where rows of an earlier table are in that of the same feature now: place (earlier->rows);
 * TFRS_NO_ROW for a row that is gone. */
extern void tfrs_feature_map(const tfrs_feature *earlier, const tfrs_feature *now,
							 uint32_t *place);

#endif							/* TFRS_FEATURE_H */
