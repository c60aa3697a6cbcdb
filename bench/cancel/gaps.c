/*
 * gaps.c: the CPU time that a session takes between two looks for interrupts.
 *
 * A cancel waits until the server looks for one (CHECK_FOR_INTERRUPTS).  The module raises the flag
 * InterruptPending again and again, by a timer over the CPU time of the session's main thread; the
 * server lowers it wherever it looks, and there is nothing to do then.  So a flag that stays up is
 * a gap, its length does not depend on what else the machine does, and the stack at that moment
 * says what took so long.  When the session ends, its gaps go to the file GAPS_FILE.
 */
#define _GNU_SOURCE
#include "postgres.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"

PG_MODULE_MAGIC;

/* Timers look at ticks of the kernel: finer is in vain. */
#define TICK_NANOSECONDS 1000000
#define FRAMES 24
#define STACKS 8
#define MOST_GAPS 2000

typedef struct gap
{
	double		milliseconds;
	int			stacks;
	int			depth[STACKS];
	void	   *frames[STACKS][FRAMES];
	double		at[STACKS];
} gap;

static gap	gaps[MOST_GAPS];
static int	gap_count;
static gap	current;
static double raised;
static double least = 10;
static double longest;

static double
cpu_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
}

static void
raise_flag(double now)
{
	raised = now;
	current.stacks = 0;
	InterruptPending = true;
}

static void
look_at_flag(int signal)
{
	int			saved = errno;
	double		now = cpu_milliseconds();

	if (!InterruptPending)
	{
		current.milliseconds = now - raised;
		if (current.milliseconds > longest)
			longest = current.milliseconds;
		if (current.stacks > 0 && gap_count < MOST_GAPS)
			gaps[gap_count++] = current;
		raise_flag(now);
	}
	else if (now - raised >= least * (current.stacks + 1) && current.stacks < STACKS)
	{
		current.at[current.stacks] = now - raised;
		current.depth[current.stacks] = backtrace(current.frames[current.stacks], FRAMES);
		current.stacks++;
	}
	errno = saved;
}

static void
write_stack(FILE *file, const gap *gap, int stack)
{
	fprintf(file, "\t%.0f", gap->at[stack]);
	for (int i = 2; i < gap->depth[stack]; i++)
	{
		Dl_info		info;

		if (dladdr(gap->frames[stack][i], &info) == 0)
			continue;
		fprintf(file, "\t%s+%lx", info.dli_fname,
				(unsigned long) ((char *) gap->frames[stack][i] - (char *) info.dli_fbase) - 1);
	}
	fputc('\n', file);
}

static void
write_gaps(int code, Datum argument)
{
	FILE	   *file = fopen(getenv("GAPS_FILE"), "a");

	if (file == NULL)
		return;
	fprintf(file, "session %d cpu %.0f longest %.1f gaps %d\n", MyProcPid, cpu_milliseconds(), longest,
			gap_count);
	for (int i = 0; i < gap_count; i++)
	{
		fprintf(file, "gap %.1f\n", gaps[i].milliseconds);
		for (int s = 0; s < gaps[i].stacks; s++)
			write_stack(file, &gaps[i], s);
	}
	fprintf(file, "end\n");
	fclose(file);
}

PGDLLEXPORT void
_PG_init(void)
{
	struct sigevent event = {0};
	struct sigaction action = {0};
	struct itimerspec interval = {{0, TICK_NANOSECONDS}, {0, TICK_NANOSECONDS}};
	void	   *frames[2];
	timer_t		timer;

	if (getenv("GAPS_FILE") == NULL || !IsUnderPostmaster)
		return;
	backtrace(frames, 2);
	action.sa_handler = look_at_flag;
	action.sa_flags = SA_RESTART;
	sigaction(SIGPROF, &action, NULL);
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = SIGPROF;
	event._sigev_un._tid = syscall(SYS_gettid);
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
		elog(ERROR, "no timer: %m");
	raise_flag(cpu_milliseconds());
	before_shmem_exit(write_gaps, 0);
	timer_settime(timer, 0, &interval, NULL);
}
