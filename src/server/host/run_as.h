/*
 * run_as.h: SQL that runs as another role than the caller's.
 *
 * Between begin and end SQL runs with that role's privileges, within a security-restricted
 * operation, and with a search path that holds nothing but pg_catalog: whoever owns a view,
 * a trigger or a function that is reached from there can do no more than that role may, and the
 * caller's search path can't put anything into it.  What settings it changes are put back.
 *
 * An error needs no end: the transaction's abort restores all of it.  A commit does not: end first.
 */
#ifndef TFRS_RUN_AS_H
#define TFRS_RUN_AS_H

#include "postgres.h"

typedef struct tfrs_run_as
{
	Oid			user;			/* the caller's */
	int			context;
	int			settings;		/* nest level */
	bool		read_only;
} tfrs_run_as;

extern void tfrs_run_as_begin(tfrs_run_as *scope, Oid role);

/* As in a read-only transaction, too: for what rests on relations of others. */
extern void tfrs_run_as_reader(tfrs_run_as *scope, Oid role);
extern void tfrs_run_as_end(tfrs_run_as *scope);

#endif							/* TFRS_RUN_AS_H */
