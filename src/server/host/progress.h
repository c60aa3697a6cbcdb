/*
 * progress.h: what long work tells about itself while it runs: the view tfrs.progress.
 *
 *     run = tfrs_progress_begin(kind, subject)
 *     tfrs_progress_update(run, &state)        after each step of the work
 *     tfrs_progress_end(run)
 *
 * A run that an error or a cancel breaks off ends with the memory context in which it was begun.
 * A run begun while another is under way is a part of that one: the view shows the phase and the
 * numbers of the innermost under kind and subject of the outermost.
 *
 * An update costs a look at the clock; some of them a second are written.  What lasts less than a
 * fifth of a second is never seen, unless it has a subject: that is seen at once.  Nothing here
 * raises an error: where the file cannot be written there is no row.
 */
#ifndef TFRS_PROGRESS_H
#define TFRS_PROGRESS_H

#include "postgres.h"

#include "fmgr.h"

#define TFRS_PROGRESS_KIND_BYTES 16
#define TFRS_PROGRESS_PHASE_BYTES 32

typedef struct tfrs_progress tfrs_progress;

/* Zero stands for unknown everywhere. */
typedef struct tfrs_progress_state
{
	const char *phase;			/* words for the user, static */
	uint32		epoch;			/* from 1 */
	uint64		batch;			/* of the epoch, from 1 */
	uint64		rows;			/* so far, of all epochs */
	uint64		done;			/* of total: what the time that remains is told from */
	uint64		total;
	bool		has_loss;
	double		loss;			/* a row, of the epoch so far */
} tfrs_progress_state;

/* kind is static; subject is what the work is for (the name of a recommender), or NULL. */
extern tfrs_progress *tfrs_progress_begin(const char *kind, const char *subject);
extern void tfrs_progress_update(tfrs_progress *run, const tfrs_progress_state *state);
extern void tfrs_progress_end(tfrs_progress *run);

/*
 * For aggregates: one for all groups of a call.  Each row is counted; the final function ends it
 * before it tells of what it does itself.
 */
typedef struct tfrs_collecting
{
	const char *kind;
	MemoryContext context;
	tfrs_progress *run;			/* begun with the first rows */
	uint64		rows;
} tfrs_collecting;

#define TFRS_ROWS_BETWEEN_UPDATES 1024

extern void tfrs_collecting_init(tfrs_collecting *collecting, const char *kind,
								 MemoryContext context);
/* The one in fn_extra, where that holds nothing else. */
extern tfrs_collecting *tfrs_collecting_of_call(FmgrInfo *function, const char *kind);
extern void tfrs_collecting_tell(tfrs_collecting *collecting);
extern void tfrs_collecting_end(tfrs_collecting *collecting);

static inline void
tfrs_collecting_count_row(tfrs_collecting *collecting)
{
	if (++collecting->rows % TFRS_ROWS_BETWEEN_UPDATES == 0)
		tfrs_collecting_tell(collecting);
}

#endif							/* TFRS_PROGRESS_H */
