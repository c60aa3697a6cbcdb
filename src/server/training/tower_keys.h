/*
 * tower_keys.h: what is said of a tower in JSON, and what it means for rows of a type.
 *
 *     {"key": "user_id", "features": {...}, "id": true, "layers": [64, 32], "cross_layers": 1,
 *      "activation": "relu", "layer_dropout": 0.1, "id_dropout": 0.3}
 *
 * It is read in two steps: first by itself, so that what is wrong in any case is said before any row;
 * then with the columns of the first row, whose types choose the kinds that JSON leaves open.
 */
#ifndef TFRS_TOWER_KEYS_H
#define TFRS_TOWER_KEYS_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "learning/feature_options.h"
#include "server/host/options.h"
#include "server/values/row_reader.h"

typedef struct tfrs_tower_request
{
	bool		given;
	bool		as_keras;		/* by preset "tfrs" */
	char		key[TFRS_MAX_NAME]; /* "": the first column */
	Jsonb	   *features;		/* as given, or NULL */
	bool		id;
	tfrs_option_integers layers;
	bool		joined;			/* one linear layer over all features, without others */
	uint32		cross_layers;
	uint32		activation;
	float		layer_dropout;
	float		id_dropout;		/* negative: chosen */
	const tfrs_tower_options *tower;	/* for writing: what it has become, or NULL */
} tfrs_tower_request;

extern void tfrs_tower_request_default(tfrs_tower_request *request, bool as_keras);

/* Functions of a key of options.h whose field is a request. */
extern bool tfrs_tower_request_read(const JsonbValue *value, void *request);

/* The tower of rows with these columns, palloc'd; role: "query", "candidate".  ERROR where the request
 * does not fit them. */
extern tfrs_tower_options *tfrs_tower_of_rows(const tfrs_tower_request *request, TupleDesc desc,
											  const char *role);

/* The tower of scalars, which are a row of one column that is named id; NULL: a plain one. */
extern tfrs_tower_options *tfrs_tower_of_scalars(const tfrs_tower_request *request,
												 const tfrs_id_reader *reader, const char *role);

/* Appends a tower as it is used, as a JSON object. */
extern void tfrs_tower_write(const tfrs_tower_options *options, StringInfo json);

#endif							/* TFRS_TOWER_KEYS_H */
