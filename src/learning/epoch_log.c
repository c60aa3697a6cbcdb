/*
 * epoch_log.c: arrays with a place for each epoch that the options allow.
 */
#include "learning/epoch_log.h"

#include <string.h>

static void
arrays(void *object, tfrs_plan *plan)
{
	tfrs_epoch_log *log = object;
	size_t		epochs = log->options->epochs;

	TFRS_PLAN_ZERO(plan, &log->epochs, epochs);
	if (log->options->batch_accuracy.count > 0)
		TFRS_PLAN_ZERO(plan, &log->accuracy, epochs * log->options->batch_accuracy.count);
	if (log->options->validation.on)
		TFRS_PLAN(plan, &log->validation, epochs);
}

void
tfrs_epoch_log_plan(tfrs_plan *plan, const tfrs_train_options *options)
{
	tfrs_epoch_log log = {.options = options};

	arrays(&log, plan);
}

tfrs_status
tfrs_epoch_log_begin(tfrs_epoch_log *log, tfrs_arena *arena, const tfrs_train_options *options,
					 tfrs_error *error)
{
	tfrs_status status;

	*log = (tfrs_epoch_log) {.options = options};
	status = tfrs_plan_take(arena, arrays, log, error);
	log->arena = status == TFRS_OK ? arena : NULL;
	return status;
}

void
tfrs_epoch_log_free(tfrs_epoch_log *log)
{
	tfrs_plan_release(log->arena, arrays, log);
	memset(log, 0, sizeof(*log));
}

void
tfrs_epoch_log_add(tfrs_epoch_log *log, uint32_t epoch, const tfrs_model_epoch *figures,
				   const tfrs_batch_accuracy *measured)
{
	uint32_t	count = log->options->batch_accuracy.count;
	size_t		first = (epoch - 1) * (size_t) count;

	log->epochs[epoch - 1] = *figures;
	log->done = epoch;
	if (log->validation != NULL)
		log->validation[epoch - 1] = -1.0;
	for (uint32_t k = 0; k < count && measured->weight > 0.0; k++)
		log->accuracy[first + k] = (float) (measured->hits[k] / measured->weight);
}

void
tfrs_epoch_log_fill(const tfrs_epoch_log *log, tfrs_model_parts *parts)
{
	parts->epoch_count = log->done;
	parts->epochs = log->epochs;
	parts->cutoffs = &log->options->batch_accuracy;
	parts->accuracy = log->accuracy;
	parts->validation = log->validation;
}
