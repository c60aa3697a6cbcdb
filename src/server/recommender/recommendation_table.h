/*
 * recommendation_table.h: the plain table that tfrs.materialize keeps recommendations in.
 *
 *     query, rank, candidate, label, score, percentile, source, version, computed_at
 *
 * The table is made when it is missing.  Its columns are of base types: the CHECK of a domain would
 * run as the table's owner.  It is known by its comment, and it must belong to the caller or to the
 * recommender's owner, since anybody may write such a comment on a table of his own; another table
 * is never written to.
 *
 * What is written is the difference, in place, by whole queries, as the table's owner within a
 * security-restricted operation.  The queries are in the order of the table's own column, whose
 * collation may differ from that of the interactions.
 */
#ifndef TFRS_RECOMMENDATION_TABLE_H
#define TFRS_RECOMMENDATION_TABLE_H

#include "postgres.h"

#include "server/recommender/registry.h"
#include "server/recommender/statement.h"

typedef struct tfrs_recommendation_table
{
	MemoryContext context;		/* the current one when it was locked */
	Oid			relation;		/* InvalidOid: it is still to be made */
	Oid			owner;
	char	   *name;			/* qualified, quoted */
	Oid			query_type;		/* base types of the columns */
	Oid			candidate_type;
	Oid			collation;		/* that orders the queries; InvalidOid: their type has none */
	int			k;				/* rows of a query */
	bool		over_transactions;	/* it stays locked over commits */
	tfrs_statement *writing;
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
 * Finds the table and locks it against another that would write to it: until the end of the
 * transaction or, over transactions, until it is closed or fails.  ERROR where the caller does not
 * own it.
 */
extern void tfrs_recommendation_table_lock(tfrs_recommendation_table *table, text *name,
										   bool over_transactions);

/*
 * Checks or makes the table, when the interactions are locked and their types can't change any
 * more.  The SPI is connected.  ERROR where the table is not the recommender's, or has other
 * columns.  k: rows of a query, -1: as the last time.
 */
extern void tfrs_recommendation_table_open(tfrs_recommendation_table *table,
										   const tfrs_recommender *recommender, text *name, int k);

/* A score that differs by at most the tolerance is the same. */
extern void tfrs_recommendation_table_write(tfrs_recommendation_table *table,
											const tfrs_recommendation_rows *rows, int version,
											double tolerance);

/* Brings the planner's statistics up to date where something was written. */
extern void tfrs_recommendation_table_close(tfrs_recommendation_table *table);

#endif							/* TFRS_RECOMMENDATION_TABLE_H */
