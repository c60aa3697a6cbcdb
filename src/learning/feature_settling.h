/*
 * feature_settling.h: from the rows of a training to features whose statistics are known.
 *
 * A query feature is settled over the interactions, a candidate feature over the candidates that
 * have interactions, each once (TensorFlow Recommenders' tutorials adapt on ratings and on movies).
 * Values are weighed with how often they occur, so a distinct value is looked at once.  Candidates
 * that are known without an interaction do not count: a word of theirs alone would never be trained.
 *
 * Where a training goes on from an earlier one, moments and boundaries stay as they were, and the
 * words of a vocabulary stay words; new ones join them.
 */
#ifndef TFRS_FEATURE_SETTLING_H
#define TFRS_FEATURE_SETTLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_sort.h"
#include "learning/feature.h"

/* One side, as it is settled; all of it must outlive the settling. */
typedef struct tfrs_settling_side
{
	const tfrs_tower_options *options;	/* NULL: a scalar */
	tfrs_rows_view view;
	const uint32_t *row_count;	/* (R) how often each row counts */
	const tfrs_id_view *keys;	/* ids of the side, for a table that is shared */
	const tfrs_features *earlier;	/* NULL: none */
	bool		counts_anew;	/* earlier rows are among these: counts of words begin at 0 */
} tfrs_settling_side;

/* What a settled feature points to. */
typedef struct tfrs_settled_feature
{
	tfrs_feature_summary summary;
	double		boundary[TFRS_MAX_BOUNDARIES];
	tfrs_word_count words;
} tfrs_settled_feature;

typedef struct tfrs_settling tfrs_settling;

/* Begins with the queries' features, then those of the candidates. */
extern tfrs_status tfrs_settling_begin(tfrs_settling **settling, tfrs_arena *arena,
									   const tfrs_settling_side *query,
									   const tfrs_settling_side *candidate, tfrs_error *error);

/*
 * TFRS_MORE until all is settled.  Errors: memory; TFRS_OUT_OF_RANGE: the numbers of a column are so
 * far apart that their variance overflows; TFRS_INVALID_ARGUMENT: a column is NULL in every row.
 */
extern tfrs_status tfrs_settling_step(tfrs_settling *settling, tfrs_error *error);

/* The features, which point into the settling. */
extern const tfrs_features *tfrs_settling_features(const tfrs_settling *settling, bool of_queries);

extern void tfrs_settling_destroy(tfrs_settling *settling);

#endif							/* TFRS_FEATURE_SETTLING_H */
