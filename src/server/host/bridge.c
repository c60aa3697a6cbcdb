/*
 * bridge.c: the only table from the core's status to an SQLSTATE.
 */
#include "server/host/bridge.h"

#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"

static int
sqlstate_of(tfrs_status status)
{
	switch (status)
	{
		case TFRS_OUT_OF_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case TFRS_OVER_BUDGET:
			return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		case TFRS_INVALID_ARGUMENT:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case TFRS_OUT_OF_RANGE:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		case TFRS_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case TFRS_NOT_FINITE:
			return ERRCODE_FLOATING_POINT_EXCEPTION;
		case TFRS_CORRUPT:
			return ERRCODE_DATA_CORRUPTED;
		case TFRS_NEWER_FORMAT:
		case TFRS_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case TFRS_IO_ERROR:
			return ERRCODE_IO_ERROR;
		case TFRS_OK:
		case TFRS_MORE:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

/* What a budget is made of is not the core's to know. */
static const char *
hint_of(const tfrs_error *error)
{
	if (error->status == TFRS_OVER_BUDGET && error->hint[0] == '\0')
		return "Have tfrs.max_memory raised.";
	return error->hint;
}

static const char *
message_of(const tfrs_error *error)
{
	if (error->status == TFRS_OVER_BUDGET && error->hint[0] == '\0')
		return "more memory is needed than tfrs.max_memory allows";
	return error->message;
}

void
tfrs_report(const tfrs_error *error)
{
	const char *hint = hint_of(error);

	ereport(ERROR,
			(errcode(sqlstate_of(error->status)),
			 errmsg("%s", message_of(error)),
			 error->detail[0] != '\0' ? errdetail("%s", error->detail) : 0,
			 hint[0] != '\0' ? errhint("%s", hint) : 0));
	pg_unreachable();
}

static void *
context_allocate(void *context, size_t bytes)
{
	return MemoryContextAllocExtended(context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
context_release(void *context, void *pointer)
{
	(void) context;
	pfree(pointer);
}

void
tfrs_bridge_arena(tfrs_arena *arena, MemoryContext context, size_t budget)
{
	tfrs_allocator allocator = {context, context_allocate, context_release};

	tfrs_arena_init(arena, allocator, budget);
}

size_t
tfrs_bridge_maintenance_memory(void)
{
	return (size_t) maintenance_work_mem * 1024;
}

size_t
tfrs_bridge_work_memory(void)
{
	return (size_t) work_mem * 1024;
}

void
tfrs_bridge_need_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be NULL", name)));
}

MemoryContext
tfrs_bridge_aggregate(FunctionCallInfo fcinfo, bool window)
{
	MemoryContext context;
	int			kind = AggCheckCallContext(fcinfo, &context);

	if (kind != AGG_CONTEXT_AGGREGATE && !(window && kind == AGG_CONTEXT_WINDOW))
		elog(ERROR, "function %u of an aggregate was called outside of one",
			 fcinfo->flinfo->fn_oid);
	return context;
}

bool
tfrs_bridge_groups_are_hashed(FunctionCallInfo fcinfo)
{
	AggStrategy strategy;

	if (fcinfo->context == NULL || !IsA(fcinfo->context, AggState))
		return false;
	strategy = ((AggState *) fcinfo->context)->aggstrategy;
	return strategy == AGG_HASHED || strategy == AGG_MIXED;
}

bool
tfrs_bridge_first_notice(FunctionCallInfo fcinfo, int number)
{
	uint32	   *given;
	bool		first;

	if (fcinfo == NULL)
		return true;
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
														  sizeof(uint32));
	given = fcinfo->flinfo->fn_extra;
	first = (*given >> number & 1) == 0;
	*given |= (uint32) 1 << number;
	return first;
}
