/*
 * test_team.c: every task runs once, on as many threads as asked for and can be had, with signals
 * blocked in the new ones.  Worth a run with SANITIZE=thread.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/limits.h"
#include "base/team.h"
#include "check.h"

#define TASKS 1000

typedef struct record
{
	atomic_int	runs[TASKS];
	int			tasks_of[TFRS_MAX_THREADS]; /* plain: a worker is one thread, so no race */
	pthread_t	thread_of[TFRS_MAX_THREADS];
	bool		blocked[TFRS_MAX_THREADS];
	atomic_bool failed;			/* checks may jump in the test's own thread only */
	atomic_int	started;
	int			together;		/* a task waits until that many have started, */
	int			patience;		/* for at most so many milliseconds */
} record;

static bool
signals_are_blocked(void)
{
	sigset_t	mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) &&
		sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGALRM);
}

static void
wait_for_others(record *record)
{
	struct timespec pause = {0, 1000000};

	record->started++;
	for (int i = 0; record->started < record->together && i < record->patience; i++)
		nanosleep(&pause, NULL);
}

static void
work(void *context, int worker, size_t task)
{
	record	   *record = context;

	if (worker < 0 || worker >= TFRS_MAX_THREADS || task >= TASKS)
	{
		record->failed = true;
		return;
	}
	if (record->tasks_of[worker] == 0)
	{
		record->thread_of[worker] = pthread_self();
		record->blocked[worker] = signals_are_blocked();
	}
	else if (!pthread_equal(record->thread_of[worker], pthread_self()))
		record->failed = true;
	record->tasks_of[worker]++;
	record->runs[task]++;
	wait_for_others(record);
}

/* Returns the number of workers that had a task. */
static int
run(int threads, size_t tasks, int together, int patience)
{
	static record record;
	int			workers = 0;

	memset(&record, 0, sizeof(record));
	record.together = together;
	record.patience = patience;
	tfrs_team_run(threads, tasks, work, &record);
	CHECK(!record.failed);
	for (size_t i = 0; i < TASKS; i++)
		CHECK_EQUAL(record.runs[i], i < tasks);
	for (int i = 0; i < TFRS_MAX_THREADS; i++)
	{
		if (record.tasks_of[i] == 0)
			continue;
		CHECK(i == 0 || i < threads);
		CHECK_EQUAL(record.blocked[i], i != 0);
		CHECK_EQUAL(pthread_equal(record.thread_of[i], pthread_self()) != 0, i == 0);
		workers++;
	}
	CHECK(!signals_are_blocked());
	return workers;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/* First in the file: later the C library has stacks of ended threads to give out. */
CHECK_TEST(threads_that_cannot_start)
{
	struct rlimit before;
	struct rlimit none;
	int			workers;

	CHECK_EQUAL(getrlimit(RLIMIT_AS, &before), 0);
	none = before;
	none.rlim_cur = 1;
	CHECK_EQUAL(setrlimit(RLIMIT_AS, &none), 0);
	workers = run(8, 100, 2, 100);
	CHECK_EQUAL(setrlimit(RLIMIT_AS, &before), 0);
	CHECK_EQUAL(workers, 1);
}

#endif

CHECK_TEST(every_task_once)
{
	static const int threads[] = {2, 3, 8, TFRS_MAX_THREADS, 1000};
	static const size_t tasks[] = {0, 1, 2, 3, 7, 64, TASKS};

	for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++)
		for (size_t j = 0; j < sizeof(tasks) / sizeof(*tasks); j++)
			run(threads[i], tasks[j], 0, 0);
}

CHECK_TEST(threads_run_together)
{
	CHECK_EQUAL(run(4, 4, 4, 20000), 4);
}

CHECK_TEST(no_thread_without_need)
{
	CHECK_EQUAL(run(-1, 10, 0, 0), 1);
	CHECK_EQUAL(run(0, 10, 0, 0), 1);
	CHECK_EQUAL(run(1, 10, 0, 0), 1);
	CHECK_EQUAL(run(8, 1, 0, 0), 1);
	CHECK_EQUAL(run(8, 0, 0, 0), 0);
}
