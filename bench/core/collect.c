/*
 * collect.c: how fast pairs of known integer ids are collected, by the core alone.
 *
 *     collect [million pairs [queries [candidates [budget in MB]]]]
 *
 * With a budget rows go to temporary files (tmpfile).  Prints pairs a second of collecting, of
 * finishing and of one epoch's reading, and the longest single finish step.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "learning/interactions.h"

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static void
check(tfrs_status status, const tfrs_error *error)
{
	if (status != TFRS_OK && status != TFRS_MORE)
	{
		fprintf(stderr, "%s\n", error->message);
		exit(1);
	}
}

static void *
spool_create(void *context)
{
	(void) context;
	return tmpfile();
}

static bool
spool_append(void *spool, const void *bytes, size_t count)
{
	return fseek(spool, 0, SEEK_END) == 0 && fwrite(bytes, 1, count, spool) == count;
}

static bool
spool_read(void *spool, size_t offset, void *bytes, size_t count)
{
	return fseek(spool, (long) offset, SEEK_SET) == 0 && fread(bytes, 1, count, spool) == count;
}

static void
spool_close(void *spool)
{
	fclose(spool);
}

static void
report(const char *what, size_t pairs, double start)
{
	double		took = seconds() - start;

	printf("%-8s %.3f s, %.1f million pairs a second\n", what, took, 1e-6 * pairs / took);
}

static void
collect(tfrs_interactions *interactions, size_t pairs, uint32_t queries, uint32_t candidates,
		tfrs_error *error)
{
	tfrs_random random;
	double		start = seconds();
	uint64_t	sum = 0;

	tfrs_random_init(&random, 1, 0, 0);
	for (size_t i = 0; i < pairs; i++)
		sum += tfrs_random_below(&random, queries) + tfrs_random_below(&random, candidates);
	report(sum == 1 ? "" : "(draw)", pairs, start);
	start = seconds();
	for (size_t i = 0; i < pairs; i++)
	{
		int64_t		query = tfrs_random_below(&random, queries);
		int64_t		candidate = tfrs_random_below(&random, candidates);

		check(tfrs_interactions_add(interactions, tfrs_id_of_integer(query),
									tfrs_id_of_integer(candidate), 1.0f, INT64_MIN, error),
			  error);
	}
	report("collect", pairs, start);
}

static void
finish(tfrs_interactions *interactions, size_t pairs, tfrs_error *error)
{
	double		start = seconds();
	double		longest = 0;
	tfrs_status status;

	do
	{
		double		step = seconds();

		status = tfrs_interactions_finish_step(interactions, error);
		check(status, error);
		step = seconds() - step;
		longest = step > longest ? step : longest;
	} while (status == TFRS_MORE);
	report("finish", pairs, start);
	printf("longest finish step %.1f ms\n", 1e3 * longest);
}

static void
read_epoch(tfrs_interactions *interactions, size_t pairs, tfrs_error *error)
{
	static tfrs_interaction rows[8192];
	double		start = seconds();
	size_t		count;

	check(tfrs_interactions_rewind(interactions, 0, error), error);
	do
		check(tfrs_interactions_read(interactions, rows, 8192, &count, error), error);
	while (count > 0);
	report("read", pairs, start);
}

int
main(int argc, char **argv)
{
	size_t		pairs = (argc > 1 ? strtoul(argv[1], NULL, 10) : 20) * 1000000;
	uint32_t	queries = argc > 2 ? (uint32_t) strtoul(argv[2], NULL, 10) : 100000;
	uint32_t	candidates = argc > 3 ? (uint32_t) strtoul(argv[3], NULL, 10) : 10000;
	static const tfrs_spool_functions spools = {
		NULL, spool_create, spool_append, spool_read, spool_close
	};
	tfrs_interactions_options options = {.budget = SIZE_MAX, .seed = 1, .spools = &spools};
	tfrs_interactions *interactions;
	tfrs_arena	arena;
	tfrs_error	error;

	if (argc > 4)
		options.budget = strtoul(argv[4], NULL, 10) << 20;
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	check(tfrs_interactions_create(&interactions, &arena, &options, &error), &error);
	check(tfrs_interactions_set_query_type(interactions, TFRS_ID_INTEGER, 0, &error), &error);
	check(tfrs_interactions_set_candidate_type(interactions, TFRS_ID_INTEGER, 0, &error), &error);
	collect(interactions, pairs, queries, candidates, &error);
	finish(interactions, pairs, &error);
	read_epoch(interactions, pairs, &error);
	printf("memory at most %.1f MB\n", 1e-6 * (double) arena.peak);
	tfrs_interactions_destroy(interactions);
	tfrs_arena_free(&arena);
	return 0;
}
