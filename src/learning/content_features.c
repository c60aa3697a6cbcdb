/*
 * content_features.c: which rows of a table are words.
 */
#include "learning/content_features.h"

#include "base/limits.h"

/* Words stand behind padding and unknown slots, before the row of NULL, or before an unknown one. */
static void
find_words(const tfrs_feature *feature, tfrs_content_feature *result)
{
	const tfrs_word_table *vocabulary = &feature->vocabulary;

	result->first = 0;
	result->end = feature->null_row != TFRS_NO_ROW ? feature->null_row : (uint32_t) feature->rows;
	if (!tfrs_feature_has_vocabulary(feature->options->kind))
		return;
	if (vocabulary->unknown_last)
		result->end--;
	else
		result->first = vocabulary->head.reserved + vocabulary->head.slots;
}

bool
tfrs_content_take_features(tfrs_content_source *source, const tfrs_features *features,
						   const tfrs_encoded_feature *encoded)
{
	source->features = 0;
	for (size_t f = 0; f < features->count; f++)
	{
		const tfrs_feature *feature = &features->feature[f];
		bool		lists = tfrs_feature_is_list(feature->options->kind);
		tfrs_content_feature result = {
			.start = lists ? encoded[f].items.start : NULL,
			.item = lists ? encoded[f].items.item : encoded[f].id, .entry = encoded[f].entry
		};

		if (!tfrs_feature_has_table(feature->options->kind))
			continue;
		find_words(feature, &result);
		source->feature[source->features++] = result;
	}
	return source->features > 0;
}
