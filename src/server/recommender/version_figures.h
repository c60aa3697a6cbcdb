/*
 * version_figures.h: how well models rank what a refresh has held out.
 *
 * Each query ranks the whole catalogue but for what it was trained on, as tfrs.evaluate has it.
 * Models can be compared where they are tested on the same pairs, none of which either was trained
 * on: so the test may leave out what a model has seen that was trained on more than its own share.
 */
#ifndef TFRS_VERSION_FIGURES_H
#define TFRS_VERSION_FIGURES_H

#include "postgres.h"

#include "learning/evaluation.h"
#include "learning/split.h"

/* What the guard compares is NDCG at this k. */
#define TFRS_GUARD_CUTOFF 10

typedef struct tfrs_version_figures
{
	char	   *report;			/* as JSON; NULL: nothing was left to test */
	double		ndcg[TFRS_RANKINGS];	/* and of rankings without training; NaN: not measured */
} tfrs_version_figures;

typedef struct tfrs_version_test
{
	MemoryContext context;
	const tfrs_interactions *all;	/* whose numbers the split's pairs have */
	const tfrs_split *split;
	const tfrs_pair_set *seen;	/* finished: these are no test; NULL: all pairs are one */
} tfrs_version_test;

extern void tfrs_version_figures_init(tfrs_version_figures *figures);

/* Collects what a model that stores events was trained on of the queries that are tested, as the
 * split numbers it, and finishes the set. */
extern void tfrs_version_test_see(const tfrs_version_test *test, const tfrs_model *model,
								  tfrs_pair_set *seen);

/* How many of the pairs are tested. */
extern size_t tfrs_version_test_pairs(const tfrs_version_test *test);

/* Measures a model, in memory of context; open to a cancel. */
extern void tfrs_version_test_run(const tfrs_version_test *test, const tfrs_model *model,
								  tfrs_version_figures *figures);

#endif							/* TFRS_VERSION_FIGURES_H */
