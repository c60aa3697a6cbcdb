/*
 * client.c: times searches as a client sees them: a prepared statement, the vector as a parameter.
 *
 * usage: client [-n QUERIES] [-b BURST] [-m MOST] [-w] [-f] QUERIES.fbin 'NAME: STATEMENTS' ...
 *
 * Each argument is one way to search, in a connection of its own (libpq's environment says where):
 * its statements are run once, but the last, which is prepared with the vector as text for $1 and
 * gives candidates in its first column; $2 is the query's number in the file.  The odd queries of the file are asked in bursts, one way
 * after the other: so what slows the machine slows all alike, and each finds its own data in the
 * processor's cache as in a loop of its own.  A way that takes longer than MOST seconds in all is
 * not asked further.  Printed for each: the median of wall time with the 10th and 90th percentile,
 * the median over bursts of the server process's own CPU time a query, and the share of the first
 * way's candidates that were found.  With -f each query gets a new connection, and its first search
 * is timed; with -w each burst is asked twice and the second time counts, as libraries are timed.
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MOST_WAYS 32

typedef struct way
{
	char		name[64];
	char	   *settings;
	const char *statement;
	PGconn	   *connection;
	char		schedule[64];	/* path of what the kernel tells of the process's CPU time */
	double	   *wall;			/* (queries) milliseconds */
	double	   *cpu;			/* (bursts) */
	size_t		bursts;
	size_t		asked;
	size_t		rows;
	size_t		found;			/* of the first way's candidates */
	size_t		wanted;
	double		seconds;
} way;

typedef struct setup
{
	size_t		count;
	size_t		dim;
	size_t		burst;
	char	  **queries;		/* (count) vectors as text */
	double		most;
	int			fresh;
	int			warm;
	way			ways[MOST_WAYS];
	size_t		way_count;
} setup;

static double
milliseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec * 1e3 + (double) time.tv_nsec * 1e-6;
}

static void
fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static char *
text_of(const float *vector, size_t dim)
{
	char	   *text = malloc(dim * 16 + 2);
	char	   *end = text;

	for (size_t d = 0; d < dim; d++)
		end += sprintf(end, "%c%.9g", d == 0 ? '[' : ',', (double) vector[d]);
	strcpy(end, "]");
	return text;
}

/* The odd queries: indexes are tuned on the even ones. */
static void
read_queries(setup *setup, const char *path, size_t most)
{
	FILE	   *file = fopen(path, "rb");
	unsigned	head[2];
	float	   *vector;

	if (file == NULL || fread(head, sizeof(head), 1, file) != 1)
		fail("cannot read the queries");
	setup->dim = head[1];
	setup->count = head[0] / 2 < most ? head[0] / 2 : most;
	setup->queries = malloc(setup->count * sizeof(char *));
	vector = malloc(setup->dim * sizeof(float));
	for (size_t i = 0; i < 2 * setup->count; i++)
	{
		if (fread(vector, sizeof(float), setup->dim, file) != setup->dim)
			fail("the queries are too short");
		if (i % 2 == 1)
			setup->queries[i / 2] = text_of(vector, setup->dim);
	}
	free(vector);
	fclose(file);
}

/* NAME: settings; statement */
static void
parse_way(way *way, char *argument, size_t queries)
{
	char	   *colon = strstr(argument, ": ");
	char	   *last;

	if (colon == NULL)
		fail("a way to search is 'NAME: STATEMENTS'");
	snprintf(way->name, sizeof(way->name), "%.*s", (int) (colon - argument), argument);
	way->settings = colon + 2;
	last = strrchr(way->settings, ';');
	way->statement = last == NULL ? way->settings : last + 1;
	if (last == NULL)
		way->settings = NULL;
	else
		*last = '\0';
	way->wall = calloc(queries, sizeof(double));
	way->cpu = calloc(queries, sizeof(double));
}

static void
check(way *way, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return;
	fprintf(stderr, "%s: %s", way->name, PQerrorMessage(way->connection));
	exit(1);
}

static void
run(way *way, const char *statement)
{
	PGresult   *result = PQexec(way->connection, statement);

	check(way, result);
	PQclear(result);
}

static void
connect_way(way *way)
{
	PGresult   *result;

	way->connection = PQconnectdb("");
	if (PQstatus(way->connection) != CONNECTION_OK)
		fail(PQerrorMessage(way->connection));
	if (way->settings != NULL)
		run(way, way->settings);
	result = PQprepare(way->connection, "search", way->statement, 0, NULL);
	check(way, result);
	PQclear(result);
	snprintf(way->schedule, sizeof(way->schedule), "/proc/%d/schedstat",
			 PQbackendPID(way->connection));
}

/* CPU time of the server's process; 0 where it cannot be told. */
static double
cpu_milliseconds(const way *way)
{
	FILE	   *file = fopen(way->schedule, "r");
	double		nanoseconds = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lf", &nanoseconds) != 1)
		nanoseconds = 0;
	fclose(file);
	return nanoseconds * 1e-6;
}

/* Waits until the process sleeps: it answers before it has finished. */
static double
settled_cpu(const way *way)
{
	double		last = cpu_milliseconds(way);

	for (int i = 0; i < 100; i++)
	{
		double		now;

		usleep(100);
		now = cpu_milliseconds(way);
		if (now == last)
			break;
		last = now;
	}
	return last;
}

static PGresult *
search(setup *setup, way *way, size_t query)
{
	char		number[24];
	const char *values[2] = {setup->queries[query], number};
	int			count = strstr(way->statement, "$2") == NULL ? 1 : 2;
	double		start = milliseconds();
	PGresult   *result;

	snprintf(number, sizeof(number), "%zu", 2 * query + 1);
	result = PQexecPrepared(way->connection, "search", count, values, NULL, NULL, 0);
	way->wall[way->asked] = milliseconds() - start;
	check(way, result);
	way->seconds += way->wall[way->asked] * 1e-3;
	way->asked++;
	way->rows += (size_t) PQntuples(result);
	return result;
}

static void
count_found(way *way, const PGresult *truth, const PGresult *result)
{
	for (int i = 0; i < PQntuples(truth); i++)
	{
		way->wanted++;
		for (int j = 0; j < PQntuples(result); j++)
			if (strcmp(PQgetvalue(truth, i, 0), PQgetvalue(result, j, 0)) == 0)
			{
				way->found++;
				break;
			}
	}
}

/* Asks queries first to last without counting them. */
static void
warm_up(setup *setup, way *way, size_t first, size_t last)
{
	size_t		asked = way->asked;
	size_t		rows = way->rows;

	for (size_t i = first; i < last && way->seconds <= setup->most; i++)
	{
		PQclear(search(setup, way, i));
		way->asked = asked;
	}
	way->rows = rows;
}

/* Queries first to last by one way; truth: what the first one answers. */
static void
ask_burst(setup *setup, way *way, size_t first, size_t last, PGresult **truth)
{
	size_t		asked = way->asked;
	double		cpu;

	if (setup->fresh)
	{
		PQfinish(way->connection);
		connect_way(way);
	}
	if (setup->warm)
		warm_up(setup, way, first, last);
	cpu = settled_cpu(way);
	for (size_t i = first; i < last && way->seconds <= setup->most; i++)
	{
		PGresult   *result = search(setup, way, i);

		if (truth[i] == NULL)
			truth[i] = result;
		count_found(way, truth[i], result);
		if (truth[i] != result)
			PQclear(result);
	}
	if (way->asked > asked)
		way->cpu[way->bursts++] = (settled_cpu(way) - cpu) / (double) (way->asked - asked);
}

static void
ask_all(setup *setup, size_t count)
{
	PGresult  **truth = calloc(count, sizeof(PGresult *));

	for (size_t first = 0; first < count; first += setup->burst)
	{
		size_t		last = first + setup->burst < count ? first + setup->burst : count;

		for (size_t i = 0; i < setup->way_count; i++)
			ask_burst(setup, &setup->ways[i], first, last, truth);
		for (size_t i = first; i < last; i++)
			PQclear(truth[i]);
	}
	free(truth);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return left < right ? -1 : left > right;
}

static void
print_way(way *way)
{
	size_t		n = way->asked;

	if (n == 0)
		return;
	qsort(way->wall, n, sizeof(double), compare_doubles);
	qsort(way->cpu, way->bursts, sizeof(double), compare_doubles);
	printf("%-34s %8.3f (%.3f to %.3f) ms  CPU %8.3f  recall %.4f  rows %.1f  n %zu\n", way->name,
		   way->wall[n / 2], way->wall[n / 10], way->wall[n * 9 / 10], way->cpu[way->bursts / 2],
		   way->wanted == 0 ? 1 : (double) way->found / (double) way->wanted,
		   (double) way->rows / (double) n, n);
}

/* What warming up has counted. */
static void
forget(way *way)
{
	way->asked = way->bursts = way->rows = way->found = way->wanted = 0;
	way->seconds = 0;
}

int
main(int argc, char **argv)
{
	static setup setup = {.burst = 50, .most = 20};
	size_t		queries = 500;
	int			option;

	while ((option = getopt(argc, argv, "n:b:m:wf")) != -1)
	{
		if (option == 'n')
			queries = (size_t) atol(optarg);
		else if (option == 'b')
			setup.burst = (size_t) atol(optarg);
		else if (option == 'm')
			setup.most = atof(optarg);
		else if (option == 'w')
			setup.warm = 1;
		else if (option == 'f')
			setup.fresh = 1, setup.burst = 1;
		else
			return 2;
	}
	if (argc - optind < 2 || argc - optind - 1 > MOST_WAYS)
		fail("usage: client [-n QUERIES] [-b BURST] [-m MOST] [-w] [-f] QUERIES.fbin 'NAME: STATEMENTS' ...");
	read_queries(&setup, argv[optind], queries);
	for (int i = optind + 1; i < argc; i++)
	{
		parse_way(&setup.ways[setup.way_count], argv[i], setup.count + 3);
		connect_way(&setup.ways[setup.way_count++]);
	}
	ask_all(&setup, setup.count < 3 ? setup.count : 3);
	for (size_t i = 0; i < setup.way_count; i++)
		forget(&setup.ways[i]);
	ask_all(&setup, setup.count);
	for (size_t i = 0; i < setup.way_count; i++)
		print_way(&setup.ways[i]);
	return 0;
}
