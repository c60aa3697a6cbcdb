/*
 * content_training.c: the two ends of it.
 */
#include "learning/content_training.h"

#include <string.h>

void
tfrs_content_training_init(tfrs_content_training *training, tfrs_arena *arena,
						   const tfrs_content_source *source)
{
	memset(training, 0, sizeof(*training));
	training->arena = arena;
	training->source = *source;
}

tfrs_status
tfrs_content_training_build_step(tfrs_content_training *training, const uint32_t *counts,
								 tfrs_error *error)
{
	tfrs_status status;

	if (training->arena == NULL || training->built)
		return TFRS_OK;
	if (!training->begun)
	{
		training->source.counts = counts;
		status = tfrs_content_build_begin(&training->build, training->arena, &training->source,
										  error);
		training->begun = status == TFRS_OK;
		return status == TFRS_OK ? TFRS_MORE : status;
	}
	status = tfrs_content_build_step(&training->build, &training->content, error);
	training->built = status == TFRS_OK;
	return status;
}

const tfrs_content *
tfrs_content_training_rows(const tfrs_content_training *training)
{
	return training->built ? &training->content : NULL;
}

tfrs_status
tfrs_content_training_fill_begin(tfrs_content_training *training, tfrs_serving *serving,
								 tfrs_error *error)
{
	tfrs_descent *descent = serving->descent;
	tfrs_new_items_data data = {
		.content = &training->content, .dim = descent->shape.dim,
		.bias = descent->shape.bias != 0, .normalize = descent->shape.normalize != 0,
		.tower = tfrs_side_feature_count(&descent->counts.candidate) > 0,
		.candidates = tfrs_serving_candidates(serving), .tables = descent->shape.bags,
		.threads = descent->options->threads
	};

	if (!training->built)
		return TFRS_OK;
	for (uint32_t b = 0; b < descent->shape.bags; b++)
		data.table[b] = tfrs_serving_bag(serving, b);
	return tfrs_new_items_begin(&training->items, training->arena, &data, error);
}

tfrs_status
tfrs_content_training_fill_step(tfrs_content_training *training, tfrs_error *error)
{
	return training->built ? tfrs_new_items_step(&training->items, &training->map, error)
		: TFRS_OK;
}

void
tfrs_content_training_free(tfrs_content_training *training)
{
	if (training->arena == NULL)
		return;
	tfrs_new_items_free(&training->items);
	tfrs_content_build_free(&training->build);
	memset(training, 0, sizeof(*training));
}
