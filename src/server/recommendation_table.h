/*
 * recommendation_table.h: the plain table that tfrs.materialize keeps recommendations in.
 *
 *     query, rank, candidate, label, score, percentile, source, version, computed_at
 *
 * It is made when it is missing and known by its comment: a table that isn't ours is never written
 * to.  What is written is the difference, in place, by whole queries, as the table's owner within a
 * security-restricted operation, so that its triggers can do no more than he may.
 */
#ifndef TFRS_RECOMMENDATION_TABLE_H
#define TFRS_RECOMMENDATION_TABLE_H

#include "postgres.h"

#include "executor/spi.h"

#include "server/registry.h"

typedef struct tfrs_recommendation_table
{
	Oid			relation;
	Oid			owner;
	char	   *name;			/* qualified, quoted */
	Oid			query_type;		/* base types of the columns */
	Oid			candidate_type;
	int			k;				/* rows of a query */
	SPIPlanPtr	plan;			/* of the statement that writes, kept */
	uint64		added;			/* rows, all slices together */
	uint64		changed;
	uint64		removed;
} tfrs_recommendation_table;

/* The rows of some queries that follow one another in the order of their type. */
typedef struct tfrs_recommendation_rows
{
	size_t		count;
	Datum	   *queries;		/* (count) of the column's base type */
	int32	   *ranks;
	Datum	   *candidates;
	const char **labels;		/* or NULL */
	float	   *scores;
	double	   *percentiles;
	const char **sources;

	/*
	 * Rows of the table after the first and up to the last of these queries, but for the ones
	 * above, are gone; without a bound those to the end.
	 */
	bool		has_first;
	bool		has_last;
	Datum		first;
	Datum		last;
} tfrs_recommendation_rows;

/*
 * Finds or makes the table, and locks it against another that would write to it: until the end of
 * the transaction or, over transactions, until it is closed or fails.  The SPI is connected.
 * ERROR where it is not the caller's, or something else.  k: rows of a query, -1: as the last time.
 */
extern void tfrs_recommendation_table_open(tfrs_recommendation_table *table,
										   const tfrs_recommender *recommender, text *name,
										   int k, bool over_transactions);

/* A score that differs by at most the tolerance is the same. */
extern void tfrs_recommendation_table_write(tfrs_recommendation_table *table,
											const tfrs_recommendation_rows *rows, int version,
											double tolerance);

/* Brings the planner's statistics up to date where something was written. */
extern void tfrs_recommendation_table_close(tfrs_recommendation_table *table,
											bool over_transactions);

/* At the end, and after an error. */
extern void tfrs_recommendation_table_forget_plan(tfrs_recommendation_table *table);

#endif							/* TFRS_RECOMMENDATION_TABLE_H */
