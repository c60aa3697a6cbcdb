/*
 * feature_bounds.c: the sizes of features by their options and the distinct values of their columns.
 *
 * A table has one row for each value, its unknown slots, and one more for NULL, as if there were
 * any.  A table that is shared counts as if it were the feature's own.
 */
#include "learning/feature_bounds.h"

#include <string.h>

static bool
has_features(const tfrs_key_rows *keys)
{
	return keys != NULL && keys->arena != NULL;
}

/* Rows of a feature's table at most. */
static size_t
table_rows(const tfrs_feature_options *options, const tfrs_rows_view *view)
{
	switch (options->kind)
	{
		case TFRS_FEATURE_ID:
			return view->value[options->column[0]].count + options->unknown_slots + 1;
		case TFRS_FEATURE_HASH:
		case TFRS_FEATURE_CROSS:
			return (size_t) options->bins + 1;
		case TFRS_FEATURE_BUCKET:
			return (size_t) options->boundaries + options->quantiles + 2;
		default:
			return 0;
	}
}

/* Numbers that a kernel reads at most: a number may have the flag for NULL beside it. */
static uint32_t
kernel_width(const tfrs_feature_options *options, const tfrs_column *columns)
{
	if (options->kind == TFRS_FEATURE_VECTOR)
		return columns[options->column[0]].dim;
	return options->kind == TFRS_FEATURE_NUMBER ? 2 : 0;
}

tfrs_side_features
tfrs_feature_bounds_side(tfrs_feature_bounds *bounds, const tfrs_key_rows *keys)
{
	tfrs_rows_view view;

	memset(bounds, 0, sizeof(*bounds));
	if (!has_features(keys))
		return (tfrs_side_features) {0};
	view = tfrs_feature_rows_view(&keys->rows);
	bounds->features.options = view.options;
	bounds->features.count = view.options->features;
	for (size_t f = 0; f < bounds->features.count; f++)
	{
		const tfrs_feature_options *options = &view.options->feature[f];

		bounds->summary[f].width = kernel_width(options, view.options->column);
		bounds->features.feature[f] = (tfrs_feature) {
			.options = options, .columns = view.options->column, .summary = &bounds->summary[f],
			.rows = table_rows(options, &view), .null_row = TFRS_NO_ROW
		};
	}
	return (tfrs_side_features) {
		.features = &bounds->features, .row_of_key = keys->row_of,
		.null_row = tfrs_feature_rows_null(&keys->rows)
	};
}

tfrs_status
tfrs_feature_bounds_add(const tfrs_key_rows *keys, size_t *bytes, tfrs_error *error)
{
	tfrs_rows_view view;

	if (!has_features(keys))
		return TFRS_OK;
	view = tfrs_feature_rows_view(&keys->rows);
	return tfrs_encoded_rows_estimate(&view, bytes, error);
}
