/*
 * column_json.h: a JSON value as a column's value.
 *
 * A string, number or boolean is an id, read as the column's type reads its text; a number or a string
 * is a number; an array of these is a list, one of numbers a vector (so is the text of an embedding).
 */
#ifndef TFRS_COLUMN_JSON_H
#define TFRS_COLUMN_JSON_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "learning/feature_options.h"

/* What it points to lies in the current memory context.  A JSON null is NULL.  count of a vector is
 * its own.  ERROR, which names the column, for what is no value of it. */
extern tfrs_value tfrs_column_read_json(const tfrs_column *column, const JsonbValue *json);

#endif							/* TFRS_COLUMN_JSON_H */
