/*
 * training_run.h: the work of one refresh, in phases.
 *
 *     begin      the run is recorded                                 (a short transaction)
 *     collect    rows and the version in use are read as the owner   (under a snapshot)
 *     train      it is measured, then trained on all rows            (no snapshot, no write)
 *     write      the new version is stored and put to use            (a short transaction)
 *
 * refresh.c runs them in this order and commits between them where it may.  An error may end any of
 * them; what a run holds beyond memory and locks are temporary files, which tfrs_training_run_end
 * closes.
 */
#ifndef TFRS_TRAINING_RUN_H
#define TFRS_TRAINING_RUN_H

#include "postgres.h"

#include "learning/split.h"
#include "server/values/block_cache.h"
#include "server/training/collection.h"
#include "server/recommender/registry.h"
#include "server/recommender/run_record.h"
#include "server/recommender/version_figures.h"

typedef struct tfrs_training_run
{
	/* set by the caller */
	MemoryContext context;		/* outlives the transactions */
	tfrs_recommender *recommender;	/* its lock is held */
	bool		warm;			/* go on from the version in use */
	bool		publish;
	bool		force;

	int64		run;
	tfrs_block_site site;
	const tfrs_model *current;	/* the version in use, NULL: none that can be read */
	int			current_version;
	tfrs_run_version current_made;
	tfrs_collection all;
	tfrs_collection training;	/* of all, while some is held out */
	tfrs_arena	split_arena;
	tfrs_split *split;			/* or NULL */
	tfrs_run_counts counts;
	int			same_version;	/* made of the same rows; 0: none */
	tfrs_block_value *value;	/* the new version */
	tfrs_model	model;			/* in it */
	tfrs_version_figures figures;	/* of a training like the new version's, on what was held out */
	tfrs_version_figures new_unseen;	/* on what the version in use has not seen either */
	tfrs_version_figures current_unseen;	/* its own on the same */
	int			version;
	char	   *held_back;		/* why it is not published, or NULL */
} tfrs_training_run;

extern void tfrs_training_run_begin(tfrs_training_run *run);

/* False where nothing has changed since the last run: then the run is recorded so, and is over. */
extern bool tfrs_training_run_collect(tfrs_training_run *run);
extern void tfrs_training_run_train(tfrs_training_run *run);
extern void tfrs_training_run_write(tfrs_training_run *run);
extern void tfrs_training_run_end(tfrs_training_run *run);

#endif							/* TFRS_TRAINING_RUN_H */
