/*
 * statement.h: statements on a relation that was looked up, checked and locked by its OID.
 *
 * A name may come to mean another table than the one that was checked: no lock keeps the owner of a
 * schema from renaming it and from putting another one in its place.  So a statement is analyzed
 * once, and it is an ERROR when one of its names means anything but the relation that was checked.
 * From then on only OIDs count, as in the query of a view: a statement that is kept goes on to mean
 * the same table over transactions.
 *
 * The caller has set the role that a statement runs as, and its search path (run_as.h).
 */
#ifndef TFRS_STATEMENT_H
#define TFRS_STATEMENT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

typedef struct tfrs_statement
{
	const char *sql;
	Query	   *query;			/* as analyzed; it is rewritten and planned each time */
	const Oid  *types;			/* (count) of its parameters */
	int			count;
} tfrs_statement;

/* Analyzes a statement in the current memory context; the text and the types are not copied. */
extern tfrs_statement *tfrs_statement_bind(const char *sql, Oid relation, const Oid *types,
										   int count);

/*
 * Runs it with these parameters and returns the number of rows that it has processed.  nulls: 'n'
 * for a NULL, as the SPI has it.  results: (result_count) the bigints of its first row.  ERROR where
 * a rule would put other statements in its place.
 */
extern uint64 tfrs_statement_run(const tfrs_statement *statement, const Datum *values,
								 const char *nulls, int64 *results, int result_count);

/*
 * Locks a relation as a SELECT from all of it would: a view's tables too, and partitions.  What
 * has to wait for another transaction waits here; a snapshot that is taken afterwards sees what
 * that one has written.
 */
extern void tfrs_statement_lock(Oid relation);

/* The table that a CREATE TABLE of the caller's has just made; ERROR where that is not what has the
 * name in the schema. */
extern Oid	tfrs_statement_made_table(const char *name, Oid schema);

/* The qualified, quoted name of a collation. */
extern char *tfrs_collation_text(Oid collation);

/* The ERROR that its name means another relation now. */
extern void tfrs_statement_report_renamed(Oid relation);

#endif							/* TFRS_STATEMENT_H */
