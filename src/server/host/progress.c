/*
 * progress.c: the view tfrs.progress.
 *
 * One file for the cluster beside those of the shared cache, an array of slots; a backend owns the
 * one with its number among the server's processes, so that nobody waits for anybody and the slot
 * of a dead backend falls to its successor.  A slot counts only where pid and start of its backend
 * are those of a backend that lives, and where its checksum is right: a read that met a write is
 * tried again.
 *
 * Slots are written with pwrite(2) and read with pread(2), not by a map: a store to a map is SIGBUS
 * on a full disk, and a load where the file was cut off.  The file is opened for each write (3
 * microseconds, at most five times a second), so there is nothing to close after an error, and one
 * that was removed comes back.
 */
#include "server/host/progress.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/hash.h"
#include "server/host/compat.h"
#include "server/host/shared_file.h"

#define FILE_NAME "progress"

/* Changes with the layout of a slot: another release's slots have the wrong checksum. */
#define LAYOUT 1

/* Microseconds between two writes. */
#define WRITE_INTERVAL 200000

/* A slot is written in some microseconds: this often it is not met in between. */
#define READ_ATTEMPTS 5

/* No server has more processes. */
#define MOST_SLOTS (1 << 18)

/* Slots read at once. */
#define SLOTS_AT_ONCE 64

typedef struct slot
{
	uint64		checksum;		/* of what follows */
	TimestampTz backend_start;
	TimestampTz began;
	TimestampTz measured;		/* when done was last 0, and rows too */
	TimestampTz written;
	uint64		batch;
	uint64		rows;
	uint64		done;
	uint64		total;
	double		loss;
	int32		pid;			/* 0: nothing runs */
	uint32		layout;
	uint32		epoch;
	uint32		has_loss;
	char		kind[TFRS_PROGRESS_KIND_BYTES];
	char		phase[TFRS_PROGRESS_PHASE_BYTES];
	char		subject[NAMEDATALEN];
	char		reserved[256 - 10 * 8 - 4 * 4 - TFRS_PROGRESS_KIND_BYTES -
						 TFRS_PROGRESS_PHASE_BYTES - NAMEDATALEN];
} slot;

StaticAssertDecl(sizeof(slot) == 256, "a slot lies within a page and has no gaps");

struct tfrs_progress
{
	slot		slot;
	tfrs_progress *outer;
	bool		ended;
	MemoryContextCallback cleanup;
};

static tfrs_progress *innermost = NULL;
static TimestampTz last_write = 0;
static bool slot_in_use = false;	/* the file has a row of ours */

static uint64
checksum(const slot *s)
{
	return tfrs_hash_bytes((const char *) s + sizeof(s->checksum),
						   sizeof(*s) - sizeof(s->checksum));
}

static void
put(slot *s)
{
	s->layout = LAYOUT;
	s->checksum = checksum(s);
	if (tfrs_shared_file_put(FILE_NAME, sizeof(slot) * (size_t) tfrs_proc_number(), s,
							 sizeof(slot)))
		slot_in_use = s->pid != 0;
}

static void
write_run(tfrs_progress *run, TimestampTz now)
{
	run->slot.written = now;
	last_write = now;
	put(&run->slot);
}

/* Takes a run out of the list, wherever in it; what is the innermost then is shown again. */
static void
leave(tfrs_progress *run)
{
	tfrs_progress **place = &innermost;

	if (run->ended)
		return;
	run->ended = true;
	while (*place != run)
		place = &(*place)->outer;
	*place = run->outer;
	if (!slot_in_use)
		return;
	if (innermost == NULL)
		put(&(slot) {0});
	else
		write_run(innermost, GetCurrentTimestamp());
}

static void
clean_up(void *argument)
{
	leave(argument);
}

static void
set_subject(slot *s, const char *subject)
{
	size_t		length = strlen(subject);

	memcpy(s->subject, subject, (size_t) pg_mbcliplen(subject, (int) length, NAMEDATALEN - 1));
}

tfrs_progress *
tfrs_progress_begin(const char *kind, const char *subject)
{
	tfrs_progress *run = palloc0(sizeof(tfrs_progress));
	TimestampTz now = GetCurrentTimestamp();

	run->slot.pid = MyProcPid;
	run->slot.backend_start = MyStartTimestamp;
	run->slot.began = now;
	run->slot.measured = now;
	if (innermost == NULL)
	{
		strlcpy(run->slot.kind, kind, sizeof(run->slot.kind));
		if (subject != NULL)
			set_subject(&run->slot, subject);
		last_write = now;
	}
	else
	{
		memcpy(run->slot.kind, innermost->slot.kind, sizeof(run->slot.kind));
		memcpy(run->slot.subject, innermost->slot.subject, sizeof(run->slot.subject));
		run->slot.began = innermost->slot.began;
	}
	run->outer = innermost;
	innermost = run;
	run->cleanup.func = clean_up;
	run->cleanup.arg = run;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &run->cleanup);
	if (run->outer == NULL && subject != NULL)
		write_run(run, now);
	return run;
}

void
tfrs_progress_update(tfrs_progress *run, const tfrs_progress_state *state)
{
	slot	   *s = &run->slot;
	TimestampTz now = GetCurrentTimestamp();
	bool		other_phase = strcmp(s->phase, state->phase) != 0;

	if (state->total != s->total || state->done < s->done)
		s->measured = now;
	s->epoch = state->epoch;
	s->batch = state->batch;
	s->rows = state->rows;
	s->done = state->done;
	s->total = state->total;
	s->has_loss = state->has_loss;
	s->loss = state->loss;
	if (other_phase)
	{
		memset(s->phase, 0, sizeof(s->phase));
		strlcpy(s->phase, state->phase, sizeof(s->phase));
	}
	if (run == innermost &&
		(now - last_write >= WRITE_INTERVAL || now < last_write || (other_phase && slot_in_use)))
		write_run(run, now);
}

void
tfrs_progress_end(tfrs_progress *run)
{
	leave(run);
}

void
tfrs_collecting_init(tfrs_collecting *collecting, const char *kind, MemoryContext context)
{
	*collecting = (tfrs_collecting) {.kind = kind, .context = context};
}

tfrs_collecting *
tfrs_collecting_of_call(FmgrInfo *function, const char *kind)
{
	if (function->fn_extra == NULL)
	{
		function->fn_extra = MemoryContextAlloc(function->fn_mcxt, sizeof(tfrs_collecting));
		tfrs_collecting_init(function->fn_extra, kind, function->fn_mcxt);
	}
	return function->fn_extra;
}

void
tfrs_collecting_tell(tfrs_collecting *collecting)
{
	tfrs_progress_state state = {.phase = "collecting rows"};

	if (collecting->run == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(collecting->context);

		collecting->run = tfrs_progress_begin(collecting->kind, NULL);
		collecting->rows = 0;
		MemoryContextSwitchTo(caller);
	}
	state.rows = collecting->rows;
	tfrs_progress_update(collecting->run, &state);
}

void
tfrs_collecting_end(tfrs_collecting *collecting)
{
	if (collecting->run != NULL)
		tfrs_progress_end(collecting->run);
	collecting->run = NULL;
}

/* Whether the slot is whole and in use; one that is being written is read again. */
static bool
read_again(slot *s, size_t number)
{
	for (int i = 0; i < READ_ATTEMPTS; i++)
	{
		if (s->layout == LAYOUT && s->checksum == checksum(s))
			return s->pid != 0;
		if (tfrs_shared_file_get(FILE_NAME, number * sizeof(slot), s, sizeof(slot)) !=
			sizeof(slot))
			return false;
	}
	return false;
}

/* Whether the caller may see the run: as pg_stat_activity shows what another session does. */
static bool
is_visible(const slot *s)
{
	int			backends = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= backends; i++)
	{
		const PgBackendStatus *backend = &tfrs_backend_status(i)->backendStatus;

		if (backend->st_procpid == s->pid)
			return backend->st_proc_start_timestamp == s->backend_start &&
				backend->st_databaseid == MyDatabaseId &&
				(has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
				 has_privs_of_role(GetUserId(), backend->st_userid));
	}
	return false;
}

/* Of a text that another process has written. */
static Datum
text_of(const char *bytes, size_t room)
{
	return PointerGetDatum(cstring_to_text_with_len(bytes, (int) strnlen(bytes, room)));
}

static void
put_row(ReturnSetInfo *result, const slot *s)
{
	double		seconds = (double) (s->written - s->measured) / USECS_PER_SEC;
	bool		timed = seconds > 0;
	double		rate = timed ? (double) s->done / seconds : 0;
	bool		nulls[12] = {
		[2] = s->subject[0] == '\0', [3] = s->phase[0] == '\0', [4] = s->epoch == 0,
		[5] = s->batch == 0, [6] = s->rows == 0 || !timed, [7] = !s->has_loss,
		[8] = s->total == 0 || !(rate > 0), [9] = s->total == 0, [10] = s->total == 0
	};
	Datum		values[12];

	values[0] = Int32GetDatum(s->pid);
	values[1] = text_of(s->kind, sizeof(s->kind));
	values[2] = text_of(s->subject, sizeof(s->subject));
	values[3] = text_of(s->phase, sizeof(s->phase));
	values[4] = Int32GetDatum((int32) s->epoch);
	values[5] = Int64GetDatum((int64) s->batch);
	values[6] = Float8GetDatum(timed ? (double) s->rows / seconds : 0);
	values[7] = Float8GetDatum(s->loss);
	values[8] = Float8GetDatum(rate > 0 ? ((double) s->total - (double) s->done) / rate : 0);
	values[9] = Int64GetDatum((int64) s->done);
	values[10] = Int64GetDatum((int64) s->total);
	values[11] = TimestampTzGetDatum(s->began);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(tfrs_progress_entries);

Datum
tfrs_progress_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	slot		slots[SLOTS_AT_ONCE];
	size_t		first = 0;
	size_t		count;

	InitMaterializedSRF(fcinfo, 0);
	do
	{
		count = tfrs_shared_file_get(FILE_NAME, first * sizeof(slot), slots, sizeof(slots)) /
			sizeof(slot);
		for (size_t i = 0; i < count; i++)
			if (read_again(&slots[i], first + i) && is_visible(&slots[i]))
				put_row(result, &slots[i]);
		first += count;
	} while (count == SLOTS_AT_ONCE && first < MOST_SLOTS);
	PG_RETURN_VOID();
}
