/*
 * team.c: threads that live inside one call, over pthreads.
 *
 * A worker starts with all signals blocked: the server's handlers must run in the backend's own
 * thread.  Tasks are handed out by one atomic counter, so uneven tasks balance themselves; a pool
 * that outlives the call would save about 20 microseconds a run and cost everything that team.h
 * promises about the time between steps.
 */
#define _POSIX_C_SOURCE 200809L	/* signal masks; the core is compiled as strict C11 */

#include "base/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/limits.h"

/* Six times what our own matrix tiles take (171 kB); OpenBLAS takes 6 kB. */
#define WORKER_STACK_BYTES ((size_t) 1024 * 1024)

typedef struct team
{
	tfrs_team_work work;
	void	   *context;
	size_t		tasks;
	atomic_size_t next;			/* first task that nobody has taken */
} team;

typedef struct member
{
	team	   *team;
	int			worker;
	pthread_t	thread;
} member;

static void
take_tasks(team *team, int worker)
{
	for (;;)
	{
		size_t		task = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);

		if (task >= team->tasks)
			return;
		team->work(team->context, worker, task);
	}
}

static void *
member_main(void *argument)
{
	member	   *self = argument;

	take_tasks(self->team, self->worker);
	return NULL;
}

/* Starts members[1 .. count); returns how many there are, the caller's own place included. */
static int
start_members(team *team, member *members, int count)
{
	pthread_attr_t attributes;
	sigset_t	all;
	sigset_t	before;
	int			started = 1;

	if (pthread_attr_init(&attributes) != 0)
		return started;
	pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; started < count; started++)
	{
		members[started].team = team;
		members[started].worker = started;
		if (pthread_create(&members[started].thread, &attributes, member_main,
						   &members[started]) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return started;
}

void
tfrs_team_run(int threads, size_t tasks, tfrs_team_work work, void *context)
{
	team		team = {work, context, tasks, 0};
	member		members[TFRS_MAX_THREADS];
	int			started = 1;

	if (threads > TFRS_MAX_THREADS)
		threads = TFRS_MAX_THREADS;
	if (threads > 1 && tasks < (size_t) threads)
		threads = (int) tasks;
	if (threads > 1)
		started = start_members(&team, members, threads);
	take_tasks(&team, 0);
	for (int i = 1; i < started; i++)
		pthread_join(members[i].thread, NULL);
}
