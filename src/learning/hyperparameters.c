/*
 * hyperparameters.c: defaults and checks of hyperparameters.h.
 *
 * The check is the core's own: the host has read the options from somebody who may have meant
 * something else, and says so in its own words; nothing behind this point looks at ranges again.
 */
#include "learning/hyperparameters.h"

#include <stddef.h>
#include <string.h>

#include "base/limits.h"

/* What the README calls our defaults for plain tables of ids. */
void
tfrs_train_options_default(tfrs_train_options *options)
{
	memset(options, 0, sizeof(*options));
	options->dim = 32;
	options->epochs = 20;
	options->batch_size = 1024;
	tfrs_optimizer_default(&options->optimizer, TFRS_ADAGRAD);
	options->optimizer.learning_rate = 0.1f;
	tfrs_loss_options_default(&options->loss);
	options->loss.temperature = 0.2f;
	options->normalize = true;
	options->correction = TFRS_CORRECTION_IN_BATCH;
	options->average_unknown = true;
	options->form = TFRS_FORM_AUTO;
	options->threads = 1;
}

/* TFRS's tutorial: sum of losses, Adagrad 0.1, tables of ids, nothing corrected. */
void
tfrs_train_options_tfrs(tfrs_train_options *options)
{
	memset(options, 0, sizeof(*options));
	options->dim = 32;
	options->epochs = 3;
	options->batch_size = 8192;
	tfrs_optimizer_default(&options->optimizer, TFRS_ADAGRAD);
	options->optimizer.learning_rate = 0.1f;
	options->optimizer.initial_accumulator_value = 0.1f;
	options->optimizer.epsilon = 1e-7f;
	tfrs_loss_options_default(&options->loss);
	options->loss.temperature = 1.0f;
	options->loss.probability_floor = 1e-6f;
	options->form = TFRS_FORM_AUTO;
	options->threads = 1;
}

const char *
tfrs_train_options_check(const tfrs_train_options *options)
{
	const char *problem = tfrs_optimizer_check(&options->optimizer);

	_Static_assert(TFRS_MAX_DIM == 16000 && TFRS_MAX_EPOCHS == 100000 &&
				   TFRS_MAX_BATCH == 1048576 && TFRS_MAX_THREADS == 64,
				   "the sentences below name these limits");
	if (problem == NULL)
		problem = tfrs_loss_options_check(&options->loss);
	if (problem != NULL)
		return problem;
	if (!(options->optimizer.learning_rate > 0.0f))
		return "learning_rate must be a positive number";
	if (options->dim < 1 || options->dim > TFRS_MAX_DIM)
		return "dim must be between 1 and 16000";
	if (options->epochs < 1 || options->epochs > TFRS_MAX_EPOCHS)
		return "epochs must be between 1 and 100000";
	if (options->batch_size < 1 || options->batch_size > TFRS_MAX_BATCH)
		return "batch_size must be between 1 and 1048576";
	if (options->correction != TFRS_CORRECTION_NONE &&
		options->correction != TFRS_CORRECTION_IN_BATCH)
		return "sampling_correction must be none or in_batch";
	if (options->form == TFRS_FORM_DISTINCT && options->loss.hard_negatives > 0)
		return "hard_negatives need the plain form of the loss";
	if (options->threads < 1 || options->threads > TFRS_MAX_THREADS)
		return "threads must be between 1 and 64";
	return NULL;
}
