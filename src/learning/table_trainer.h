/*
 * table_trainer.h: fits two plain tables of ids by epochs over the interactions (TFRS's tutorial).
 */
#ifndef TFRS_TABLE_TRAINER_H
#define TFRS_TABLE_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/event_split.h"
#include "learning/hyperparameters.h"
#include "learning/interactions.h"
#include "learning/table.h"
#include "learning/update.h"
#include "learning/warm_start.h"

typedef struct tfrs_train_progress
{
	uint32_t	epoch;			/* from 1 */
	uint64_t	batch;			/* within the epoch, from 1 */
	uint64_t	rows_done;		/* within the epoch */
	bool		epoch_finished; /* this step ended the epoch: its losses are complete */
	double		batch_loss;		/* of the last finished batch, before its update */
	double		loss;			/* sum over the epoch so far */
	double		loss_per_row;	/* of the epoch so far */
	uint64_t	rows;			/* of all epochs so far */
	uint64_t	done;			/* of the rows or the steps of all epochs */
	uint64_t	total;			/* 0 until training begins */
} tfrs_train_progress;

typedef struct tfrs_table_trainer tfrs_table_trainer;

/* Adds to *bytes what begin takes; false where that overflows.  rows: of all interactions. */
extern bool tfrs_table_trainer_bytes(const tfrs_train_options *options, size_t queries,
									 size_t candidates, size_t rows, size_t *bytes);

/* What a training is made of; all of it must outlive the trainer. */
typedef struct tfrs_table_training
{
	const tfrs_train_options *options;	/* checked */
	tfrs_interactions *interactions;	/* a row at least */
	const tfrs_events *events;	/* the interactions as known pairs, with mask_known */
	const tfrs_warm_start *warm;	/* NULL: from the beginning */
} tfrs_table_training;

extern tfrs_status tfrs_table_trainer_begin(tfrs_table_trainer **trainer, tfrs_arena *arena,
											const tfrs_table_training *training,
											tfrs_error *error);

/* Rows of what is tested are not trained on; it must outlive the trainer. */
extern void tfrs_table_trainer_hold_out(tfrs_table_trainer *trainer,
										const tfrs_event_split *split);

/* The tables' values, unfinished; and to what follows the last epoch, where it
 * has not come to it. */
extern tfrs_table *tfrs_table_trainer_table(tfrs_table_trainer *trainer, bool candidates);
extern void tfrs_table_trainer_stop(tfrs_table_trainer *trainer);

/* TFRS_MORE until done; TFRS_NOT_FINITE: the loss or a parameter overflowed. */
extern tfrs_status tfrs_table_trainer_step(tfrs_table_trainer *trainer,
										   tfrs_train_progress *progress, tfrs_error *error);

/* Of the epoch that the last step finished. */
extern const tfrs_batch_accuracy *tfrs_table_trainer_accuracy(const tfrs_table_trainer *trainer);

/* The tables as they are served, once all is done; row V (N) is the unknown slot. */
extern const tfrs_table *tfrs_table_trainer_queries(const tfrs_table_trainer *trainer);
extern const tfrs_table *tfrs_table_trainer_candidates(const tfrs_table_trainer *trainer);

/* Steps of the optimizer so far. */
extern uint64_t tfrs_table_trainer_steps(const tfrs_table_trainer *trainer);

extern void tfrs_table_trainer_destroy(tfrs_table_trainer *trainer);

#endif							/* TFRS_TABLE_TRAINER_H */
