/*
 * epoch_log.h: what a training tells of each of its epochs, as the model keeps it.
 */
#ifndef TFRS_EPOCH_LOG_H
#define TFRS_EPOCH_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/descent.h"
#include "learning/hyperparameters.h"
#include "learning/model_writer.h"

typedef struct tfrs_epoch_log
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	uint32_t	done;
	tfrs_model_epoch *epochs;	/* (epochs of the options) */
	float	   *accuracy;		/* (epochs, K) of batches; NULL: not asked for */
	double	   *validation;		/* (epochs) the metric, -1: not measured; NULL: not asked for */
} tfrs_epoch_log;

/* The options must outlive it. */
extern tfrs_status tfrs_epoch_log_begin(tfrs_epoch_log *log, tfrs_arena *arena,
										const tfrs_train_options *options, tfrs_error *error);
extern void tfrs_epoch_log_free(tfrs_epoch_log *log);

/* What is taken, as a part of a list that is counted. */
extern void tfrs_epoch_log_plan(tfrs_plan *plan, const tfrs_train_options *options);

/* epoch: from 1; measured is kept where the options ask for accuracy. */
extern void tfrs_epoch_log_add(tfrs_epoch_log *log, uint32_t epoch, const tfrs_model_epoch *figures,
							   const tfrs_batch_accuracy *measured);

/* Points the parts at it. */
extern void tfrs_epoch_log_fill(const tfrs_epoch_log *log, tfrs_model_parts *parts);

#endif							/* TFRS_EPOCH_LOG_H */
