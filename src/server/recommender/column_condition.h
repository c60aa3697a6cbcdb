/*
 * column_condition.h: conditions on columns of a relation, for statements.
 */
#ifndef TFRS_COLUMN_CONDITION_H
#define TFRS_COLUMN_CONDITION_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* The base type of a column; InvalidOid where there is none. */
extern Oid	tfrs_type_of_column(Oid relation, const char *column);

/* Appends " AND column = value"; the value is read as the column's type. */
extern void tfrs_append_equals(StringInfo sql, Oid relation, const char *column,
							   const char *value);

/* The same for each column and value of a JSON object; raises where it is something else. */
extern void tfrs_append_within(StringInfo sql, Oid relation, Jsonb *within);

#endif							/* TFRS_COLUMN_CONDITION_H */
