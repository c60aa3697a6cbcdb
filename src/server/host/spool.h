/*
 * spool.h: the core's sequential byte files as the server's temporary files.
 *
 * They lie in temp_tablespaces, count towards temp_file_limit and appear in log_temp_files, and the
 * server removes them at the end of the transaction at the latest, unless they are to last.
 */
#ifndef TFRS_SPOOL_H
#define TFRS_SPOOL_H

#include "postgres.h"

#include "utils/resowner.h"

#include "learning/interactions.h"

typedef struct tfrs_spools
{
	tfrs_spool_functions functions; /* what the core is given; points to this struct */
	MemoryContext context;
	ResourceOwner owner;
	bool		lasting;
} tfrs_spools;

/*
 * Spools live in context and belong to the resource owner of now, whichever is current when one is
 * made: rows of one group may come in while others are (a cursor, a function's query).  Lasting
 * ones belong to none and stay past the end of the transaction: whoever made them closes them, also
 * after an error (the end of the session removes them in any case).
 */
extern void tfrs_spools_init(tfrs_spools *spools, MemoryContext context, bool lasting);

#endif							/* TFRS_SPOOL_H */
