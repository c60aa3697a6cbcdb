/*
 * team.h: worker threads that live inside one step.
 *
 * tfrs_team_run starts its workers with all signals blocked and joins them before it returns, so
 * between steps there is no thread, no lock and nothing to clean up when the server jumps out.  A
 * worker never allocates and never touches anything of the server.
 *
 * Which worker does which task is left to chance: a task writes only to places of its own, and
 * sums are reduced over tasks in task order, so results do not depend on the thread count.
 */
#ifndef TFRS_TEAM_H
#define TFRS_TEAM_H

#include <stddef.h>

/* worker: 0 .. threads - 1, for scratch memory; task: 0 .. tasks - 1. */
typedef void (*tfrs_team_work) (void *context, int worker, size_t task);

/*
 * Calls work(context, worker, task) once for every task on at most threads threads, the calling
 * one among them, and returns when all are done.  Where a thread cannot be started the others do
 * its share.
 */
extern void tfrs_team_run(int threads, size_t tasks, tfrs_team_work work, void *context);

#endif							/* TFRS_TEAM_H */
