/*
 * epoch_log.c: arrays with a place for each epoch that the options allow.
 */
#include "learning/epoch_log.h"

#include <string.h>

tfrs_status
tfrs_epoch_log_begin(tfrs_epoch_log *log, tfrs_arena *arena, const tfrs_train_options *options,
					 tfrs_error *error)
{
	size_t		accuracies = (size_t) options->epochs * options->batch_accuracy.count;
	tfrs_status status;

	*log = (tfrs_epoch_log) {.arena = arena,.cutoffs = &options->batch_accuracy};
	status = TFRS_GET_ZERO(arena, &log->epochs, options->epochs, error);
	if (status == TFRS_OK && accuracies > 0)
		status = TFRS_GET_ZERO(arena, &log->accuracy, accuracies, error);
	if (status == TFRS_OK && options->validation.on)
		status = TFRS_GET(arena, &log->validation, options->epochs, error);
	return status;
}

void
tfrs_epoch_log_free(tfrs_epoch_log *log)
{
	if (log->arena == NULL)
		return;
	tfrs_arena_release(log->arena, log->epochs);
	tfrs_arena_release(log->arena, log->accuracy);
	tfrs_arena_release(log->arena, log->validation);
	memset(log, 0, sizeof(*log));
}

void
tfrs_epoch_log_add(tfrs_epoch_log *log, uint32_t epoch, double loss, double loss_per_row)
{
	log->epochs[epoch - 1] = (tfrs_model_epoch) {loss, loss_per_row};
	log->done = epoch;
	if (log->validation != NULL)
		log->validation[epoch - 1] = -1.0;
}

void
tfrs_epoch_log_add_accuracy(tfrs_epoch_log *log, uint32_t epoch,
							const tfrs_batch_accuracy *measured)
{
	uint32_t	count = log->cutoffs->count;
	float	   *accuracy = log->accuracy + (epoch - 1) * (size_t) count;

	for (uint32_t k = 0; k < count && measured->weight > 0.0; k++)
		accuracy[k] = (float) (measured->hits[k] / measured->weight);
}

void
tfrs_epoch_log_fill(const tfrs_epoch_log *log, tfrs_model_parts *parts)
{
	parts->epoch_count = log->done;
	parts->epochs = log->epochs;
	parts->cutoffs = log->cutoffs;
	parts->accuracy = log->accuracy;
	parts->validation = log->validation;
}
