/*
 * feature_options.h: what is said of the rows of a tower: their columns, and the features made of them.
 *
 * A row has columns, as in SQL; one of them is the key, the id that is searched for and returned.  A
 * feature is what a tower reads of a column; one column may have several, and a cross reads several
 * columns.  The kinds are Keras's preprocessing layers:
 *
 *     id        a vocabulary from the data, an embedding row each (StringLookup, IntegerLookup)
 *     hash      a bin of FarmHash64, an embedding row each (Hashing)
 *     cross     a bin of the hash of several columns (HashedCrossing)
 *     number    (x - mean) / deviation through a linear map, and a flag for NULL (Normalization)
 *     bucket    a bucket between boundaries, an embedding row each (Discretization)
 *     text      words, pooled (TextVectorization)
 *     bag       the elements of an array, pooled
 *     sequence  the elements of an array, in order through a GRU
 *     vector    numbers as they are, through a linear map
 *
 * All of these structures are stored in a model as they are: what is not used is zero.
 */
#ifndef TFRS_FEATURE_OPTIONS_H
#define TFRS_FEATURE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_view.h"
#include "base/status.h"
#include "learning/activation.h"

/* Of a row, of a tower, of a cross, of a tower; bytes of a name with its end (NAMEDATALEN). */
#define TFRS_MAX_COLUMNS 64
#define TFRS_MAX_FEATURES 64
#define TFRS_MAX_CROSSED 8
#define TFRS_MAX_LAYERS 8
#define TFRS_MAX_NAME 64
#define TFRS_MAX_BOUNDARIES 256

/* What the values of a column are to the core. */
typedef enum tfrs_column_type
{
	TFRS_COLUMN_ID = 1,			/* integers or bytes: one id each */
	TFRS_COLUMN_NUMBER,			/* double precision; a timestamp or interval in seconds */
	TFRS_COLUMN_LIST,			/* ids, in order */
	TFRS_COLUMN_VECTOR			/* so many floats, the same number in each row */
} tfrs_column_type;

typedef struct tfrs_column
{
	char		name[TFRS_MAX_NAME];
	uint32_t	type;			/* tfrs_column_type */
	uint32_t	kind;			/* tfrs_id_kind of the ids of ID and LIST */
	uint32_t	tag;			/* the caller's name of the SQL type (of an element) */
	uint32_t	dim;			/* of VECTOR */
} tfrs_column;

/* One value of a row; what it points to is the caller's. */
typedef struct tfrs_value
{
	bool		is_null;
	double		number;			/* NUMBER: finite */
	tfrs_id		id;				/* ID */
	size_t		count;			/* LIST: elements, NULL ones left out */
	const tfrs_id *element;		/* LIST (count) */
	const float *vector;		/* VECTOR (dim), finite */
} tfrs_value;

typedef enum tfrs_feature_kind
{
	TFRS_FEATURE_ID = 1,
	TFRS_FEATURE_HASH,
	TFRS_FEATURE_CROSS,
	TFRS_FEATURE_NUMBER,
	TFRS_FEATURE_BUCKET,
	TFRS_FEATURE_TEXT,
	TFRS_FEATURE_BAG,
	TFRS_FEATURE_SEQUENCE,
	TFRS_FEATURE_VECTOR
} tfrs_feature_kind;

/* How the embeddings of several elements become one (TensorFlow's names); idf weighs an element by
 * ln(rows / rows with it), all weights of a row by 1 / sqrt(their sum of squares). */
typedef enum tfrs_combiner
{
	TFRS_COMBINER_MEAN = 0,
	TFRS_COMBINER_SUM,
	TFRS_COMBINER_SQRTN,
	TFRS_COMBINER_IDF
} tfrs_combiner;

typedef struct tfrs_feature_options
{
	char		name[TFRS_MAX_NAME];	/* of its column, or its own where there are several */
	uint32_t	kind;			/* tfrs_feature_kind */
	uint32_t	columns;		/* 1, of a cross more */
	uint32_t	column[TFRS_MAX_CROSSED];	/* of the row */
	uint32_t	unknown_slots;	/* id: rows for values that training never saw */
	uint32_t	min_count;		/* id, text, bag, sequence: rarer values are unknown */
	uint32_t	most_values;	/* max_vocabulary, max_tokens, Keras's way of counting; 0: any number */
	uint32_t	bins;			/* hash, cross */
	uint32_t	salted;			/* 1: by salt */
	uint32_t	combiner;		/* tfrs_combiner; text, bag */
	uint32_t	most_elements;	/* max_length: the last so many of a list, the first of a text; 0: all */
	uint32_t	logs;			/* number: 1: sign(x) ln(1 + |x|) first */
	uint32_t	dim;			/* numbers that it gives to the layers; 0: as many as the tower has */
	uint32_t	quantiles;		/* bucket: buckets of equal size, or */
	uint32_t	boundaries;
	float		decay;			/* bag: weight decay^age, the last element being 0 old; 0: all alike */
	uint64_t	salt[2];
	double		boundary[TFRS_MAX_BOUNDARIES];
	char		share[TFRS_MAX_NAME];	/* "query.NAME", "candidate.NAME": its table is read; "": its own */
} tfrs_feature_options;

/* One side: the columns of its rows, and its tower.  No columns: a scalar, which is its key. */
typedef struct tfrs_tower_options
{
	uint32_t	columns;
	tfrs_column column[TFRS_MAX_COLUMNS];
	uint32_t	key;			/* its column */
	uint32_t	features;		/* beside the key, which has the table of ids (and the history) */
	tfrs_feature_options feature[TFRS_MAX_FEATURES];
	uint32_t	no_id;			/* 1: the key is no feature */
	uint32_t	layers;			/* dense layers before the one of dim */
	uint32_t	layer[TFRS_MAX_LAYERS];
	uint32_t	activation;		/* tfrs_activation, of all but the last layer */
	uint32_t	cross_layers;	/* before the dense ones */
	float		layer_dropout;
	float		id_dropout;		/* share of a step's rows whose key is left out; negative: chosen */
	uint32_t	joined;			/* 1: a dense layer of dim takes what features give side by side, as
								 * with layers of any kind; 0: it is summed */
} tfrs_tower_options;

/* Whether features stand side by side before layers, instead of being summed. */
static inline bool
tfrs_tower_is_joined(const tfrs_tower_options *options)
{
	return options->joined || options->layers > 0 || options->cross_layers > 0;
}

/* Whether a value becomes several rows of the table. */
static inline bool
tfrs_feature_is_list(uint32_t kind)
{
	return kind == TFRS_FEATURE_TEXT || kind == TFRS_FEATURE_BAG || kind == TFRS_FEATURE_SEQUENCE;
}

static inline bool
tfrs_feature_has_vocabulary(uint32_t kind)
{
	return kind == TFRS_FEATURE_ID || tfrs_feature_is_list(kind);
}

/* number and vector go through a kernel, all others read a table. */
static inline bool
tfrs_feature_has_table(uint32_t kind)
{
	return kind != TFRS_FEATURE_NUMBER && kind != TFRS_FEATURE_VECTOR;
}

/*
 * Whether options, which may be bytes from outside, make sense: counts, names, ranges, and kinds that
 * fit the types of their columns.  TFRS_INVALID_ARGUMENT names the feature or the column.
 *
 *     id, hash, cross   ID        text       ID of bytes      bag, sequence   LIST
 *     number, bucket    NUMBER, or ID of integers             vector          VECTOR
 */
extern tfrs_status tfrs_tower_options_check(const tfrs_tower_options *options, tfrs_error *error);

/* Whose table a feature with "share" reads. */
typedef struct tfrs_share
{
	bool		of_queries;
	uint32_t	feature;		/* TFRS_NO_ROW: the table of ids */
} tfrs_share;

/* Both sides together; a side of NULL is a scalar, whose table of ids is called "id". */
typedef struct tfrs_both_options
{
	const tfrs_tower_options *query;
	const tfrs_tower_options *candidate;
} tfrs_both_options;

/* TFRS_INVALID_ARGUMENT where there is no such table, or one of other values. */
extern tfrs_status tfrs_share_find(const tfrs_both_options *both, bool of_queries,
								   uint32_t feature, tfrs_share *share, tfrs_error *error);

/* Checks each side and what their features share. */
extern tfrs_status tfrs_tower_options_check_both(const tfrs_both_options *both, tfrs_error *error);

#endif							/* TFRS_FEATURE_OPTIONS_H */
