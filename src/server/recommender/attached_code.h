/*
 * attached_code.h: whose code runs when a table is written to.
 *
 * Triggers, rules, defaults, generated columns, constraints, policies, indexes, domains and
 * operators of a table, and of its partitions, run as whoever writes, which is the table's owner
 * here.  The owner need not have chosen them: a grant of TRIGGER lets others attach a function, and
 * a partition may belong to another role.  So a table is only written to where all that code belongs
 * to roles that have its owner's privileges anyway.
 */
#ifndef TFRS_ATTACHED_CODE_H
#define TFRS_ATTACHED_CODE_H

#include "postgres.h"

/*
 * ERROR where other roles' code would run.  The table and its partitions are locked as for writing,
 * so that nothing can be attached before the transaction ends.
 */
extern void tfrs_attached_code_check(Oid table);

#endif							/* TFRS_ATTACHED_CODE_H */
