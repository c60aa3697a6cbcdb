/*
 * refresh.c: the procedures tfrs.refresh and tfrs.refresh_all: phases, transactions and errors.
 *
 * A phase runs in a subtransaction, so that an error leaves the transaction whole: then the failure
 * is recorded and committed, and the error goes on to the caller.  The commit between two phases
 * ends the snapshot, and the training begins none, so that the server may remove dead rows
 * meanwhile.
 *
 * The lock that keeps two refreshes apart belongs to the session, over all transactions.  It is
 * released at the end; an error that aborts the whole transaction releases it too, and so does the
 * end of the session.  A run that is "running" without that lock is abandoned.
 *
 * A refresh has memory of its own, which ends with it.  Its error goes out after that, so nothing
 * that is sent may lie there: errors are copied into memory of the statement.
 *
 * Where the caller has a transaction open, all phases happen in it, in no subtransaction, and
 * nothing is left of them after an error.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "server/host/progress.h"
#include "server/recommender/training_run.h"

typedef enum on_running
{
	WAIT,
	SKIP,
	FAIL
} on_running;

/* What the caller asked for. */
typedef struct refresh_request
{
	bool		warm;
	bool		publish;
	bool		force;
	on_running	on_running;
	bool		atomic;			/* within the caller's transaction */
} refresh_request;

/* One refresh; in memory of run.context. */
typedef struct refresh
{
	tfrs_training_run run;
	const refresh_request *request;
	char	   *name;
	bool		locked;			/* session-wide */
	bool		busy;			/* another session has the lock */
	bool		unchanged;
	MemoryContext statement;	/* memory that outlives the refresh and the sending of its error */
	MemoryContextCallback end;
	ErrorContextCallback error_context;
} refresh;

PG_FUNCTION_INFO_V1(tfrs_refresh);
PG_FUNCTION_INFO_V1(tfrs_refresh_all);

static void
find(refresh *refresh)
{
	tfrs_training_run *run = &refresh->run;

	run->recommender = tfrs_recommender_find_owned(refresh->name);
}

/* Finds the recommender and takes its lock where it is free. */
static void
find_and_lock(refresh *refresh)
{
	bool		session = !refresh->request->atomic;

	find(refresh);
	refresh->busy = !tfrs_recommender_lock(refresh->run.recommender, session, false);
	refresh->locked = session && !refresh->busy;
	if (refresh->busy && refresh->request->on_running == FAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("recommender \"%s\" is being refreshed by another session",
						refresh->name)));
}

static void
wait_for_lock(refresh *refresh)
{
	bool		session = !refresh->request->atomic;
	int32		id = refresh->run.recommender->id;

	tfrs_recommender_lock(refresh->run.recommender, session, true);
	refresh->locked = session;
	find(refresh);
	if (refresh->run.recommender->id != id)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("recommender \"%s\" was dropped meanwhile", refresh->name)));
}

static void
begin(refresh *refresh)
{
	tfrs_training_run_begin(&refresh->run);
}

static void
collect(refresh *refresh)
{
	/* whatever the default is: to see what a load writes that is waited for */
	if (!refresh->request->atomic)
		XactIsoLevel = XACT_READ_COMMITTED;
	refresh->unchanged = !tfrs_training_run_collect(&refresh->run);
}

static void
train(refresh *refresh)
{
	tfrs_training_run_train(&refresh->run);
}

static void
store(refresh *refresh)
{
	tfrs_training_run_write(&refresh->run);
}

static void
unlock(refresh *refresh)
{
	if (refresh->locked)
		tfrs_recommender_unlock_session(refresh->run.recommender);
	refresh->locked = false;
}

/*
 * A copy of the error that is being handled, which is over.  ReThrowError copies the words of an
 * error, but not the names of its source file and function: these are sent from here.
 */
static ErrorData *
take_error(const refresh *refresh)
{
	ErrorData  *error;

	MemoryContextSwitchTo(refresh->statement);
	error = CopyErrorData();
	FlushErrorState();
	return error;
}

static void
write_failure(const tfrs_training_run *run, const ErrorData *error)
{
	const char *state = error->sqlerrcode == ERRCODE_QUERY_CANCELED ? "cancelled" : "failed";

	tfrs_run_failed(run->run, state, error);
	tfrs_run_notify(run->recommender, run->run, state, 0);
}

/*
 * Records what ended the run, in the transaction that is open.  A second cancel waits: it would
 * leave a run that seems to go on.  Where it can't be recorded the run is abandoned, and the
 * transaction is whole all the same: refresh_all goes on in it.
 */
static void
record_failure(refresh *refresh, const ErrorData *error)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext context = refresh->run.context;

	if (refresh->run.run == 0 || !tfrs_registry_is_there(refresh->run.recommender))
		return;
	HOLD_CANCEL_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		write_failure(&refresh->run, error);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		HOLD_CANCEL_INTERRUPTS();	/* the error has ended it */
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(refresh->statement);	/* of the error of a commit */
	CurrentResourceOwner = owner;
	SPI_commit();
	RESUME_CANCEL_INTERRUPTS();
}

/* Runs a phase; where that may commit, so that its error is recorded before it goes on. */
static void
run_phase(refresh *refresh, void (*phase) (struct refresh *))
{
	MemoryContext context = refresh->run.context;
	ResourceOwner owner = CurrentResourceOwner;

	MemoryContextSwitchTo(context);
	if (refresh->request->atomic)
	{
		phase(refresh);
		return;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		phase(refresh);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error = take_error(refresh);

		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		record_failure(refresh, error);
		unlock(refresh);
		ReThrowError(error);
	}
	PG_END_TRY();
}

/* Ends the transaction and begins the next one, where that is allowed. */
static void
commit(refresh *refresh)
{
	if (refresh->request->atomic)
		return;
	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		/* the transaction is aborted, and with it the lock is gone; a new one has begun */
		ErrorData  *error = take_error(refresh);

		refresh->locked = false;
		record_failure(refresh, error);
		ReThrowError(error);
	}
	PG_END_TRY();
}

/* Takes the lock as the caller wants it; false: there is nothing to do, another refresh runs. */
static bool
lock(refresh *refresh)
{
	run_phase(refresh, find_and_lock);
	if (!refresh->busy)
		return true;
	if (refresh->request->on_running == SKIP)
	{
		ereport(NOTICE,
				(errmsg("recommender \"%s\" is being refreshed by another session: skipped",
						refresh->name)));
		return false;
	}
	commit(refresh);
	run_phase(refresh, wait_for_lock);
	return true;
}

/* What the new version is worth, beside rankings that need no training; "" where that is not
 * known. */
static char *
worth(const tfrs_training_run *run)
{
	const double *ndcg = run->figures.ndcg;
	char	   *others;

	if (run->figures.report == NULL)
		return "";
	others = psprintf("popular %.3f", ndcg[TFRS_RANKING_POPULARITY]);
	if (!isnan(ndcg[TFRS_RANKING_ITEM_ITEM]))
		others = psprintf("%s, item-item %.3f", others, ndcg[TFRS_RANKING_ITEM_ITEM]);
	return psprintf(": NDCG@10 is %.3f (%s)", ndcg[TFRS_RANKING_MODEL], others);
}

static void
report(const refresh *refresh)
{
	const tfrs_training_run *run = &refresh->run;
	uint64		skipped = run->all.skipped_query + run->all.skipped_candidate +
		run->all.skipped_weight;

	if (refresh->unchanged)
		ereport(NOTICE,
				(errmsg("recommender \"%s\": nothing has changed since version %d was made",
						refresh->name, run->same_version),
				 run->same_version == run->current_version ?
				 errhint("force => true trains all the same.") :
				 errhint("CALL tfrs.publish(name, version) puts that version to use; "
						 "force => true trains all the same.")));
	else if (run->held_back != NULL)
		ereport(NOTICE,
				(errmsg("recommender \"%s\": version %d is held back: %s", refresh->name,
						run->version, run->held_back),
				 errhint("CALL tfrs.publish(name, version) puts it to use.")));
	else
		ereport(NOTICE,
				(errmsg("recommender \"%s\": version %d is in use%s", refresh->name,
						run->version, worth(run)),
				 skipped == 0 ? 0 : errdetail(UINT64_FORMAT " rows without a query or a candidate, "
											  "or of a weight of 0 or below, were left out.", skipped)));
}

static void
tell(tfrs_progress *progress, const char *phase)
{
	tfrs_progress_update(progress, &(tfrs_progress_state) {.phase = phase});
}

static void
run_phases(refresh *refresh)
{
	tfrs_progress *progress;

	MemoryContextSwitchTo(refresh->run.context);
	progress = tfrs_progress_begin("refresh", refresh->name);
	run_phase(refresh, begin);
	commit(refresh);
	tell(progress, "collecting rows");
	run_phase(refresh, collect);
	commit(refresh);
	if (!refresh->unchanged)
	{
		tell(progress, "training");
		run_phase(refresh, train);
		commit(refresh);
		tell(progress, "storing");
		run_phase(refresh, store);
		commit(refresh);
	}
	tfrs_progress_end(progress);
	unlock(refresh);
	report(refresh);
}

static void
close_files(void *argument)
{
	tfrs_training_run_end(&((refresh *) argument)->run);
}

static void
describe_error(void *argument)
{
	errcontext("refresh of recommender \"%s\"", ((refresh *) argument)->name);
}

/* In memory that is left when the transaction ends: of the statement or, within the caller's
 * transaction, of that one. */
static refresh *
make_refresh(const refresh_request *request, const char *name)
{
	MemoryContext statement = request->atomic ? CurTransactionContext : PortalContext;
	MemoryContext context = AllocSetContextCreate(statement, "tfrs refresh",
												  ALLOCSET_DEFAULT_SIZES);
	refresh    *made = MemoryContextAllocZero(context, sizeof(*made));

	made->statement = statement;
	made->run.context = context;
	made->run.warm = request->warm;
	made->run.publish = request->publish;
	made->run.force = request->force;
	made->request = request;
	made->name = MemoryContextStrdup(context, name);
	made->end.func = close_files;
	made->end.arg = made;
	MemoryContextRegisterResetCallback(context, &made->end);
	made->error_context.callback = describe_error;
	made->error_context.arg = made;
	return made;
}

static void
refresh_one(const refresh_request *request, const char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	refresh    *refresh = make_refresh(request, name);

	refresh->error_context.previous = error_context_stack;
	error_context_stack = &refresh->error_context;
	PG_TRY();
	{
		if (lock(refresh))
			run_phases(refresh);
	}
	PG_FINALLY();
	{
		error_context_stack = refresh->error_context.previous;
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(refresh->run.context);
	}
	PG_END_TRY();
}

static void
report_word(const char *argument, const char *word, const char *words)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" can't be \"%s\"", argument, word),
			 errhint("It is %s.", words)));
}

static on_running
read_on_running(const char *word)
{
	if (strcmp(word, "wait") == 0)
		return WAIT;
	if (strcmp(word, "skip") == 0)
		return SKIP;
	if (strcmp(word, "error") != 0)
		report_word("on_running", word, "\"wait\", \"skip\" or \"error\"");
	return FAIL;
}

static bool
read_warm(const char *word)
{
	bool		warm = strcmp(word, "warm") == 0;

	if (!warm && strcmp(word, "full") != 0)
		report_word("mode", word, "\"full\" or \"warm\"");
	return warm;
}

/* ERROR where one of the arguments is NULL. */
static void
need_arguments(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("no argument of a refresh may be NULL")));
}

/* The arguments from mode on. */
static refresh_request
read_request(FunctionCallInfo fcinfo, int first)
{
	refresh_request request;

	PreventCommandDuringRecovery("a refresh");
	PreventCommandIfReadOnly("a refresh");
	need_arguments(fcinfo);
	request.warm = read_warm(text_to_cstring(PG_GETARG_TEXT_PP(first)));
	request.publish = PG_GETARG_BOOL(first + 1);
	request.force = PG_GETARG_BOOL(first + 2);
	request.on_running = read_on_running(text_to_cstring(PG_GETARG_TEXT_PP(first + 3)));
	request.atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction();
	return request;
}

static void
connect_spi(const refresh_request *request)
{
	if (SPI_connect_ext(request->atomic ? 0 : SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
	if (request->atomic)
		ereport(NOTICE,
				(errmsg("the refresh is part of the transaction that is open"),
				 errdetail("It holds back vacuum until it is committed, and a failed one leaves no "
						   "run in tfrs.training_run."),
				 errhint("CALL it outside of a transaction block.")));
}

Datum
tfrs_refresh(PG_FUNCTION_ARGS)
{
	refresh_request request = read_request(fcinfo, 1);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	connect_spi(&request);
	refresh_one(&request, name);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Names of the recommenders that the caller owns, in memory of the statement. */
static List *
owned_names(void)
{
	tfrs_parameters none = {0};
	uint64		count = tfrs_registry_execute("SELECT name FROM tfrs.recommender ORDER BY name",
											  &none);
	SPITupleTable *rows = SPI_tuptable;
	List	   *names = NIL;

	for (uint64 i = 0; i < count; i++)
	{
		char	   *name = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		tfrs_recommender *recommender = tfrs_recommender_look_up(name);

		if (recommender != NULL && tfrs_recommender_may_own(recommender))
			names = lappend(names, name);
	}
	return names;
}

/* A refresh whose error becomes a WARNING; false then.  A cancel ends all. */
static bool
try_refresh(const refresh_request *request, const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool succeeded = false;

	PG_TRY();
	{
		refresh_one(request, name);
		succeeded = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (request->atomic || error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("recommender \"%s\" was not refreshed: %s", name, error->message),
				 error->hint != NULL ? errhint("%s", error->hint) : 0));
	}
	PG_END_TRY();
	return succeeded;
}

Datum
tfrs_refresh_all(PG_FUNCTION_ARGS)
{
	refresh_request request = read_request(fcinfo, 0);
	int			failed = 0;
	List	   *names;
	ListCell   *cell;

	connect_spi(&request);
	names = owned_names();
	if (names == NIL)
		ereport(NOTICE,
				(errmsg("there is no recommender that you own"),
				 errhint("CALL tfrs.create_recommender(...) creates one.")));
	foreach(cell, names)
		failed += !try_refresh(&request, lfirst(cell));
	if (failed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%d of %d recommenders were not refreshed", failed, list_length(names)),
				 errhint("tfrs.training_run tells why.")));
	SPI_finish();
	PG_RETURN_VOID();
}
