/*
 * loss_options.c: defaults and ranges.
 */
#include "learning/loss_options.h"

#include <float.h>
#include <stddef.h>
#include <string.h>

void
tfrs_loss_options_default(tfrs_loss_options *options)
{
	memset(options, 0, sizeof(*options));
	options->bsl_power = 1.0f;
	options->ccl_margin = 0.5f;
	options->ccl_weight = 100.0f;
	options->temperature = 1.0f;
	options->probability_floor = 1e-6f;
}

const char *
tfrs_loss_options_check(const tfrs_loss_options *options)
{
	if (!(options->temperature >= FLT_MIN && options->temperature <= FLT_MAX))
		return "temperature must be a positive number";
	if (!(options->probability_floor >= FLT_MIN && options->probability_floor <= 1.0f))
		return "probability_floor must be above 0 and at most 1";
	if (options->kind < TFRS_LOSS_SOFTMAX || options->kind > TFRS_LOSS_CCL)
		return "loss must be softmax, bsl or ccl";
	if (!(options->bsl_power > 0.0f && options->bsl_power <= FLT_MAX))
		return "bsl_power must be a positive number";
	if (!(options->ccl_margin >= -1.0f && options->ccl_margin <= 1.0f))
		return "ccl_margin must be between -1 and 1";
	if (!(options->ccl_weight >= 0.0f && options->ccl_weight <= FLT_MAX))
		return "ccl_weight must be finite and not negative";
	return NULL;
}
