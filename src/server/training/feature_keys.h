/*
 * feature_keys.h: what is said of features in JSON:
 *
 *     "features": {"title": "text", "price": ["number", {"kind": "bucket", "quantiles": 20}],
 *                  "notes": false,
 *                  "city_hour": {"kind": "cross", "columns": ["city", "hour"], "bins": 500}}
 *
 * A key is a column, whose features these are in place of the one that its type makes; false: none.
 * Where it is no column, it is the name of a feature that names its columns.
 */
#ifndef TFRS_FEATURE_KEYS_H
#define TFRS_FEATURE_KEYS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "learning/feature_options.h"

/* Names of columns, as an array of JSON. */
typedef struct tfrs_column_names
{
	uint32		count;
	char		name[TFRS_MAX_CROSSED][TFRS_MAX_NAME];
} tfrs_column_names;

/* A feature whose columns have no numbers yet. */
typedef struct tfrs_feature_request
{
	tfrs_feature_options feature;
	tfrs_column_names columns;	/* none: the one that its key names */
	bool		as_keras;		/* where its kind leaves open what to do */
} tfrs_feature_request;

/* What a feature of that kind is where nothing is said.  as_keras: texts and bags are the mean of their
 * words, which are otherwise weighed by how rare they are. */
extern void tfrs_feature_default(tfrs_feature_options *feature, tfrs_feature_kind kind,
								 bool as_keras);

/* The kind that a type of column makes. */
extern tfrs_feature_kind tfrs_feature_kind_of(const tfrs_column *column);

extern const char *tfrs_feature_kind_name(uint32 kind);

/* How many features a key has: 0 where it is false. */
extern uint32 tfrs_feature_requests_count(const char *key, const JsonbValue *json);

/*
 * Reads feature number i of a key.  It is named after the key, and after its kind too where the key has
 * several.  request holds the kind that it is where JSON does not say it (0: not known, and options of
 * any kind pass), with its defaults, and as_keras.
 */
extern void tfrs_feature_request_read(const char *key, const JsonbValue *json, uint32 i,
									  tfrs_feature_request *request);

/* Appends a feature as an object, which reads back as it is. */
extern void tfrs_feature_write(const tfrs_feature_options *feature, const tfrs_column *columns,
							   StringInfo json);

#endif							/* TFRS_FEATURE_KEYS_H */
