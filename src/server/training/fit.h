/*
 * fit.h: from collected rows to a model, the second half of tfrs.train.
 *
 * It is apart from the first (train.c: rows to interactions), so that a job can collect under a
 * snapshot and fit without one.
 */
#ifndef TFRS_FIT_H
#define TFRS_FIT_H

#include "postgres.h"

#include "learning/interactions.h"
#include "learning/trainer.h"
#include "server/values/block_type.h"

typedef struct tfrs_fit
{
	const tfrs_train_options *options;
	tfrs_interactions *interactions;	/* finished, at least one row */
	const tfrs_model *model;	/* to go on from, its ids known to the interactions; or NULL */
	uint64		skipped_query;	/* rows left out for a NULL query */
	uint64		skipped_candidate;	/* ... for a NULL candidate, the query not NULL */
	size_t		held;			/* bytes of tfrs.max_memory that are taken already */
} tfrs_fit;

/* ERROR where the model would be too large, or training would take more memory than
 * tfrs.max_memory allows. */
extern void tfrs_fit_check(const tfrs_fit *fit);

/*
 * Trains and returns the model as a value in the current memory context; acts on a cancel at any
 * time.  It checks first, as tfrs_fit_check.  The same interactions may be fitted again.
 */
extern tfrs_block_value *tfrs_fit_run(const tfrs_fit *fit);

#endif							/* TFRS_FIT_H */
