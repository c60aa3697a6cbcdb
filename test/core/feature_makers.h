/*
 * feature_makers.h: towers of the tests: columns, features and values in few words.
 */
#ifndef TFRS_FEATURE_MAKERS_H
#define TFRS_FEATURE_MAKERS_H

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "learning/feature_options.h"

/* Another column; returns its number. */
static inline uint32_t
features_column(tfrs_tower_options *options, const char *name, tfrs_column_type type,
				tfrs_id_kind kind)
{
	tfrs_column *column = &options->column[options->columns];

	snprintf(column->name, sizeof(column->name), "%s", name);
	column->type = type;
	column->kind = type == TFRS_COLUMN_ID || type == TFRS_COLUMN_LIST ? kind : 0;
	column->dim = type == TFRS_COLUMN_VECTOR ? 3 : 0;
	return options->columns++;
}

/* Another feature of one column, with defaults. */
static inline tfrs_feature_options *
features_add(tfrs_tower_options *options, tfrs_feature_kind kind, uint32_t column)
{
	tfrs_feature_options *feature = &options->feature[options->features++];

	snprintf(feature->name, sizeof(feature->name), "%.40s.%u", options->column[column].name,
			 (unsigned) kind);
	feature->kind = kind;
	feature->columns = 1;
	feature->column[0] = column;
	feature->unknown_slots = 1;
	feature->min_count = 1;
	feature->bins = kind == TFRS_FEATURE_HASH || kind == TFRS_FEATURE_CROSS ? 7 : 0;
	feature->quantiles = kind == TFRS_FEATURE_BUCKET ? 4 : 0;
	return feature;
}

static inline tfrs_value
features_null(void)
{
	return (tfrs_value) {.is_null = true};
}

static inline tfrs_value
features_integer(int64_t integer)
{
	return (tfrs_value) {.id = tfrs_id_of_integer(integer)};
}

static inline tfrs_value
features_text(const char *text)
{
	return (tfrs_value) {.id = tfrs_id_of_bytes(text, strlen(text))};
}

static inline tfrs_value
features_number(double number)
{
	return (tfrs_value) {.number = number};
}

static inline tfrs_value
features_list(const tfrs_id *element, size_t count)
{
	return (tfrs_value) {.element = element,.count = count};
}

static inline tfrs_value
features_vector(const float *vector)
{
	return (tfrs_value) {.vector = vector};
}

#endif							/* TFRS_FEATURE_MAKERS_H */
