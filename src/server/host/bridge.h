/*
 * bridge.h: between the core's statuses and arenas and the server's errors and memory contexts.
 */
#ifndef TFRS_BRIDGE_H
#define TFRS_BRIDGE_H

#include "postgres.h"

#include "fmgr.h"

#include "base/arena.h"
#include "base/status.h"

/* Raises the error: SQLSTATE by status, the message, DETAIL and HINT where they are set. */
extern _Noreturn void tfrs_report(const tfrs_error *error);

/* Raises unless status is TFRS_OK or TFRS_MORE. */
static inline void
tfrs_check(tfrs_status status, const tfrs_error *error)
{
	if (status != TFRS_OK && status != TFRS_MORE)
		tfrs_report(error);
}

/*
 * An arena over a memory context: what is not given back goes with the context, also when the
 * statement is cancelled.  budget in bytes, SIZE_MAX for none.
 */
extern void tfrs_bridge_arena(tfrs_arena *arena, MemoryContext context, size_t budget);

/* maintenance_work_mem and work_mem in bytes. */
extern size_t tfrs_bridge_maintenance_memory(void);
extern size_t tfrs_bridge_work_memory(void);

/* ERROR where an argument is NULL that must be given. */
extern void tfrs_bridge_need_argument(FunctionCallInfo fcinfo, int argument, const char *name);

/*
 * The memory context of the aggregate that is being called, ERROR outside of one.  window: it may
 * be called for a window, too.
 */
extern MemoryContext tfrs_bridge_aggregate(FunctionCallInfo fcinfo, bool window);

/*
 * Whether the planner hashes the groups of the aggregate that is being called: then many states are
 * alive, and each may be asked for its result again.
 */
extern bool tfrs_bridge_groups_are_hashed(FunctionCallInfo fcinfo);

/*
 * Whether the final function of an aggregate is about to give the notice of that number (from 0 to
 * 31) for the first time in the statement: of thousands of groups one is told.  fcinfo: NULL
 * outside of an aggregate, where each notice is given.
 */
extern bool tfrs_bridge_first_notice(FunctionCallInfo fcinfo, int number);

#endif							/* TFRS_BRIDGE_H */
