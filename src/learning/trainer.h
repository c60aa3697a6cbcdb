/*
 * trainer.h: the step machine that turns interactions into a model.
 *
 *     tfrs_trainer_begin -> tfrs_trainer_step while it returns TFRS_MORE -> tfrs_trainer_save
 *
 * A step is a bounded amount of work (a share of a batch), so that the host can act on a cancel
 * within 100 ms.  The result depends on the rows, the options and the seed alone, on one kernel
 * family: not on row order, threads or memory budget.
 */
#ifndef TFRS_TRAINER_H
#define TFRS_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/block.h"
#include "learning/content.h"
#include "learning/hyperparameters.h"
#include "learning/interactions.h"
#include "learning/model.h"

typedef struct tfrs_train_progress
{
	uint32_t	epoch;			/* from 1; 0 while a pilot chooses weights */
	uint64_t	batch;			/* within the epoch, from 1 */
	uint64_t	rows_done;		/* within the epoch */
	bool		epoch_finished; /* this step ended the epoch: its losses are complete */
	double		batch_loss;		/* of the last finished batch, before its update */
	double		loss;			/* sum over the epoch so far */
	double		loss_per_row;	/* of the epoch so far; of states per batch */
	uint64_t	rows;			/* of all epochs so far */
	uint64_t	done;			/* of the rows or the steps of all epochs, or of a pilot's work */
	uint64_t	total;			/* 0 until training begins */
} tfrs_train_progress;

typedef struct tfrs_trainer tfrs_trainer;

/*
 * model: NULL, or an earlier model to go on from (warm_start.h), whose ids the interactions know;
 * it must outlive the trainer.  Errors of tfrs_warm_start_check.
 */
extern tfrs_status tfrs_trainer_begin(tfrs_trainer **trainer, tfrs_arena *arena,
									  const tfrs_train_options *options,
									  tfrs_interactions *interactions, const tfrs_model *model,
									  tfrs_error *error);
extern tfrs_status tfrs_trainer_step(tfrs_trainer *trainer, tfrs_train_progress *progress,
									 tfrs_error *error);

/*
 * What candidates consist of, by their numbers among those of the interactions; before the first
 * step.  Candidates without interactions are ranked by it.  What it points to must outlive the
 * trainer.
 */
extern void tfrs_trainer_tell_content(tfrs_trainer *trainer, const tfrs_content_source *source);

/* What the next step does, in words for the user. */
extern const char *tfrs_trainer_phase(const tfrs_trainer *trainer);

/*
 * The options as used, once the training is finished: what they left open is chosen by the counts
 * of the data, and where no query has two candidates a history tower gives way to plain tables.
 */
extern const tfrs_train_options *tfrs_trainer_options(const tfrs_trainer *trainer);

/* Adds the model's parts (all but "about" and "index.*") to the writer; they live in the trainer
 * and the interactions. */
extern tfrs_status tfrs_trainer_save(tfrs_trainer *trainer, uint64_t skipped_query,
									 uint64_t skipped_candidate, tfrs_block_writer *writer,
									 tfrs_error *error);

/* The served candidate vectors (N, D), for the index that the host builds beside. */
extern const float *tfrs_trainer_candidates(const tfrs_trainer *trainer, size_t *count);

extern void tfrs_trainer_destroy(tfrs_trainer *trainer);

#endif							/* TFRS_TRAINER_H */
