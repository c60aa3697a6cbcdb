/*
 * conformance_two_tower.h: a training of two towers with features, as the files have it.
 */
#ifndef TFRS_CONFORMANCE_TWO_TOWER_H
#define TFRS_CONFORMANCE_TWO_TOWER_H

#include "conformance.h"
#include "learning/descent.h"

/* Probabilities are shares of so many. */
#define WHOLE 1e9

typedef struct two_tower_tables
{
	table		variants;
	table		features;
	table		encoded;
	table		queries;
	table		candidates;
	table		interactions;
	table		batches;
	table		losses;
	table		vectors;
	table		params;			/* of the variant at hand */
} two_tower_tables;

/* One tower: its keys, features and what these make of the keys' rows. */
typedef struct two_tower_side
{
	const char *tower;			/* query, candidate */
	size_t		count;			/* V keys, each of which has the row of its own number */
	const char **keys;			/* (V) */
	uint32_t   *rows;			/* (V) 0, 1, ... */
	tfrs_tower_options options;
	tfrs_features features;
	size_t		line[TFRS_MAX_FEATURES];	/* of the table of features */
	tfrs_feature_summary summary[TFRS_MAX_FEATURES];
	tfrs_encoded_feature encoded[TFRS_MAX_FEATURES];
} two_tower_side;

typedef struct two_tower
{
	two_tower_tables *tables;
	size_t		variant;		/* row of variants */
	const char *name;
	const char *data;
	const char *encoded_by;		/* the variant whose encoded values hold for this one */
	bool		context;
	tfrs_train_options options;
	two_tower_side query;
	two_tower_side candidate;
	uint32_t   *frequency;		/* (candidates) probabilities, of WHOLE */
	tfrs_descent descent;
	conformance_case checked;
} two_tower;

/* Fills in what stands in the files; variant, names and context are there. */
extern void two_tower_read(two_tower *run, tfrs_loss_form form);

/* The number of a key. */
extern size_t two_tower_key(const two_tower_side *side, const char *key);

#endif							/* TFRS_CONFORMANCE_TWO_TOWER_H */
