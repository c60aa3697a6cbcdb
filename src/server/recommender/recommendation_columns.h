/*
 * recommendation_columns.h: the columns of a table of recommendations, made and checked.
 *
 *     query, rank, candidate, label, score, percentile, source, version, computed_at
 *
 * Queries and candidates have the base types of the columns of the interactions.  A domain's CHECK
 * is code of whoever owns the domain, and it would run with the rights of whoever owns the table.
 * Where a length can be left out it is, so that the table goes on to fit when the ids get longer.
 */
#ifndef TFRS_RECOMMENDATION_COLUMNS_H
#define TFRS_RECOMMENDATION_COLUMNS_H

#include "postgres.h"

/* What a column of ids holds. */
typedef struct tfrs_id_column
{
	Oid			type;			/* a base type */
	int32		modifier;		/* or -1 */
	Oid			collation;		/* InvalidOid: the type has none */
} tfrs_id_column;

/* That of a column, which is there and locked. */
extern tfrs_id_column tfrs_id_column_of(Oid relation, const char *column);

/* The definitions for CREATE TABLE, and the comments of the columns. */
extern char *tfrs_recommendation_columns_text(const tfrs_id_column *query,
											  const tfrs_id_column *candidate);
extern void tfrs_recommendation_columns_comment(Oid relation);

/* ERROR unless a table has these columns; others may stand beside them. */
extern void tfrs_recommendation_columns_check(Oid relation, const tfrs_id_column *query,
											  const tfrs_id_column *candidate);

#endif							/* TFRS_RECOMMENDATION_COLUMNS_H */
