/*
 * bench.c: measures the index alone, without a server.
 *
 * usage: bench ROWS.fbin QUERIES.fbin dot|cosine|l2 [-k K] [-t THREADS] [-n QUERIES] [-m MANY]
 *              [-x EXCLUDED] [-X EXCLUDED]
 *
 * Prints one line for the full scan, the exact index and the tree tuned to several recalls on the
 * even queries and measured on the odd ones; with -m also many queries at once, with -x each query
 * leaves out that many rows, with -X its own best ones.  Times are medians of a thread's own CPU
 * time, so that other work on the machine shows less.
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/kernels.h"
#include "retrieval/index.h"

typedef struct matrix
{
	size_t		count;
	size_t		dim;
	float	   *values;
} matrix;

typedef struct setup
{
	matrix		rows;
	matrix		tuning;			/* queries to tune on */
	matrix		queries;		/* queries to measure with */
	tfrs_metric metric;
	size_t		k;
	int			threads;
	bool		excludes_best;
	tfrs_search *searches;		/* (queries) */
	tfrs_hit   *truth;			/* (queries, k) */
	tfrs_arena	arena;
} setup;

static tfrs_error error;

static void
check(tfrs_status status)
{
	if (status == TFRS_OK)
		return;
	fprintf(stderr, "%s\n", error.message);
	exit(1);
}

static double
milliseconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double) time.tv_sec * 1e3 + (double) time.tv_nsec * 1e-6;
}

static matrix
read_matrix(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	uint32_t	head[2];
	matrix		result;

	if (file == NULL || fread(head, sizeof(head), 1, file) != 1)
	{
		perror(path);
		exit(1);
	}
	result = (matrix) {head[0], head[1], NULL};
	result.values = aligned_alloc(64, (result.count * result.dim * sizeof(float) + 63) / 64 * 64);
	if (fread(result.values, result.dim * sizeof(float), result.count, file) != result.count)
	{
		fprintf(stderr, "%s is too short\n", path);
		exit(1);
	}
	fclose(file);
	return result;
}

/* Even queries for tuning, odd ones for measuring. */
static void
split_queries(setup *setup, matrix all, size_t most)
{
	size_t		dim = all.dim;
	size_t		half = (all.count < 2 * most ? all.count : 2 * most) / 2;
	float	   *values = malloc(2 * half * dim * sizeof(float));

	for (size_t i = 0; i < 2 * half; i++)
		memcpy(values + (i % 2 * half + i / 2) * dim, all.values + i * dim, dim * sizeof(float));
	setup->tuning = (matrix) {half, dim, values};
	setup->queries = (matrix) {half, dim, values + half * dim};
}

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return left < right ? -1 : left > right;
}

static size_t
count_found(const tfrs_hit *hits, size_t count, const tfrs_hit *truth, size_t k)
{
	size_t		found = 0;

	for (size_t i = 0; i < count; i++)
		found += hits[i].score >= truth[k - 1].score;
	return found;
}

/* One query after another; the first round warms up. */
static void
measure(setup *setup, const char *name, const tfrs_index *index)
{
	size_t		count = setup->queries.count;
	double	   *times = malloc(count * sizeof(double));
	tfrs_hit   *hits = malloc(setup->k * sizeof(tfrs_hit));
	tfrs_index_facts facts = tfrs_index_describe(index);
	size_t		found = 0;
	size_t		hit_count;

	for (int round = 0; round < 2; round++)
	{
		found = 0;
		for (size_t i = 0; i < count; i++)
		{
			double		start = milliseconds(CLOCK_THREAD_CPUTIME_ID);

			check(tfrs_index_search(index, setup->queries.values + i * index->dim,
									&setup->searches[i], &setup->arena, hits, &hit_count, &error));
			times[i] = milliseconds(CLOCK_THREAD_CPUTIME_ID) - start;
			found += count_found(hits, hit_count, setup->truth + i * setup->k, setup->k);
		}
	}
	qsort(times, count, sizeof(double), compare_doubles);
	printf("%-22s %8.4f %8.4f %8.4f   recall %.4f", name, times[count / 2],
		   times[count / 10], times[count * 9 / 10], (double) found / (double) (count * setup->k));
	if (facts.leaves > 0)
		printf("   leaves %u of %zu, re-ranked %u, reach %.2f, codes %zu", facts.leaves_to_search,
			   facts.leaves, facts.rerank, (double) facts.reach, facts.codes);
	printf("\n");
	free(times);
	free(hits);
}

static int
compare_rows(const void *a, const void *b)
{
	uint32_t	left = *(const uint32_t *) a;
	uint32_t	right = *(const uint32_t *) b;

	return left < right ? -1 : left > right;
}

static size_t
keep_distinct(uint32_t *rows, size_t count)
{
	size_t		kept = 0;

	for (size_t i = 0; i < count; i++)
	{
		if (kept == 0 || rows[i] != rows[kept - 1])
			rows[kept++] = rows[i];
	}
	return kept;
}

/* What each query asks for, and what is true then. */
static void
find_truth(setup *setup, const tfrs_index *plain, size_t excluded)
{
	size_t		count = setup->queries.count;
	tfrs_hit   *best = malloc((excluded + 1) * sizeof(tfrs_hit));
	size_t		found;

	setup->truth = malloc(count * setup->k * sizeof(tfrs_hit));
	setup->searches = malloc(count * sizeof(tfrs_search));
	for (size_t i = 0; i < count; i++)
	{
		const float *query = setup->queries.values + i * plain->dim;
		tfrs_search *search = &setup->searches[i];
		uint32_t   *rows = malloc((excluded + 1) * sizeof(uint32_t));

		tfrs_search_default(search);
		search->k = excluded;
		check(tfrs_index_search(plain, query, search, &setup->arena, best, &found, &error));
		for (size_t j = 0; j < found; j++)
			rows[j] = setup->excludes_best ? best[j].row
				: (uint32_t) ((i * 7919 + j) * 2654435761u % plain->count);
		qsort(rows, found, sizeof(uint32_t), compare_rows);
		search->k = setup->k;
		search->excluded = rows;
		search->excluded_count = keep_distinct(rows, found);
		check(tfrs_index_search(plain, query, search, &setup->arena,
								setup->truth + i * setup->k, &found, &error));
	}
	free(best);
}

static tfrs_index_builder *
run(setup *setup, tfrs_index_builder *builder, const char *name)
{
	double		start = milliseconds(CLOCK_MONOTONIC);
	double		cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
	double		longest = 0;
	double		last = start;
	double		share;
	tfrs_index	built;
	tfrs_status status;

	do
	{
		double		now;

		status = tfrs_index_builder_step(builder, &share, &error);
		now = milliseconds(CLOCK_MONOTONIC);
		longest = now - last > longest ? now - last : longest;
		last = now;
	} while (status == TFRS_MORE);
	check(status);
	built = tfrs_index_builder_index(builder);
	printf("%-22s %.2f s, %.2f s of CPU, longest step %.0f ms, peak %.0f MB, structure %.0f MB\n",
		   name, (last - start) / 1e3, (milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3,
		   longest, (double) setup->arena.peak / 1e6,
		   (double) tfrs_index_describe(&built).structure_bytes / 1e6);
	return builder;
}

static void
measure_many(setup *setup, const char *name, const tfrs_index *index, size_t count)
{
	size_t		dim = index->dim;
	float	   *queries = malloc(count * dim * sizeof(float));
	tfrs_search *searches = malloc(count * sizeof(tfrs_search));
	tfrs_hit   *hits = malloc(count * setup->k * sizeof(tfrs_hit));
	size_t	   *counts = malloc(count * sizeof(size_t));
	tfrs_index_queries many_queries = {count, queries, searches, setup->threads, setup->k, hits,
		counts};
	tfrs_index_many *many;
	double		start = milliseconds(CLOCK_MONOTONIC);
	double		cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID);

	for (size_t i = 0; i < count; i++)
	{
		memcpy(queries + i * dim, setup->queries.values + i % setup->queries.count * dim,
			   dim * sizeof(float));
		searches[i] = setup->searches[i % setup->queries.count];
	}
	check(tfrs_index_many_begin(&many, index, &many_queries, &setup->arena, &error));
	while (tfrs_index_many_step(many) == TFRS_MORE)
		;
	tfrs_index_many_destroy(many);
	printf("%-22s %.2f s, %.2f s of CPU for %zu queries on %d threads\n", name,
		   (milliseconds(CLOCK_MONOTONIC) - start) / 1e3,
		   (milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3, count, setup->threads);
	free(queries);
	free(searches);
	free(hits);
	free(counts);
}

static void
measure_trees(setup *setup, size_t many)
{
	static const float targets[] = {0.9f, 0.95f, 0.99f, 0.999f};
	tfrs_index_options options;
	tfrs_index_builder *builder;
	tfrs_index_builder *tuned;
	tfrs_index	index;
	char		name[40];

	tfrs_index_options_default(&options);
	options.kind = TFRS_INDEX_TREE;
	options.metric = setup->metric;
	options.threads = setup->threads;
	options.target_k = (uint32_t) setup->k;
	check(tfrs_index_builder_begin(&builder, &setup->arena, &options, setup->rows.values,
								   setup->rows.count, setup->rows.dim, &error));
	index = tfrs_index_builder_index(run(setup, builder, "build tree"));
	measure(setup, "tree, tuned on rows", &index);
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
	{
		tfrs_index	better;

		options.target_recall = targets[i];
		check(tfrs_index_builder_retune(&tuned, &setup->arena, &options, &index,
										setup->tuning.values, setup->tuning.count, &error));
		snprintf(name, sizeof(name), "tune tree to %.3f", (double) targets[i]);
		better = tfrs_index_builder_index(run(setup, tuned, name));
		snprintf(name, sizeof(name), "tree %.3f", (double) targets[i]);
		measure(setup, name, &better);
		if (many > 0)
			measure_many(setup, "  many", &better, many);
		tfrs_index_builder_destroy(tuned);
	}
	tfrs_index_builder_destroy(builder);
}

static void
measure_all(setup *setup, size_t many, size_t excluded)
{
	tfrs_index	plain = tfrs_index_over(setup->rows.values, setup->rows.count, setup->rows.dim,
										setup->metric);
	tfrs_index_options options;
	tfrs_index_builder *builder;
	tfrs_index	index;

	find_truth(setup, &plain, excluded);
	printf("%-22s   median      p10      p90 ms\n", "");
	measure(setup, "full scan", &plain);
	if (many > 0)
		measure_many(setup, "  many", &plain, many);
	tfrs_index_options_default(&options);
	options.kind = TFRS_INDEX_EXACT;
	options.metric = setup->metric;
	options.threads = setup->threads;
	check(tfrs_index_builder_begin(&builder, &setup->arena, &options, setup->rows.values,
								   setup->rows.count, setup->rows.dim, &error));
	index = tfrs_index_builder_index(run(setup, builder, "build exact"));
	measure(setup, "exact", &index);
	if (many > 0)
		measure_many(setup, "  many", &index, many);
	tfrs_index_builder_destroy(builder);
	measure_trees(setup, many);
}

static tfrs_metric
metric_of(const char *name)
{
	return strcmp(name, "cosine") == 0 ? TFRS_METRIC_COSINE
		: strcmp(name, "l2") == 0 ? TFRS_METRIC_L2 : TFRS_METRIC_DOT;
}

int
main(int argc, char **argv)
{
	static setup setup = {.k = 10, .threads = 2};
	size_t		most = 500;
	size_t		many = 0;
	size_t		excluded = 0;
	int			option;

	while ((option = getopt(argc, argv, "k:t:n:m:x:X:")) != -1)
	{
		switch (option)
		{
			case 'k':
				setup.k = (size_t) atol(optarg);
				break;
			case 't':
				setup.threads = atoi(optarg);
				break;
			case 'n':
				most = (size_t) atol(optarg);
				break;
			case 'm':
				many = (size_t) atol(optarg);
				break;
			case 'x':
			case 'X':
				setup.excludes_best = option == 'X';
				excluded = (size_t) atol(optarg);
				break;
			default:
				return 2;
		}
	}
	if (argc - optind != 3)
	{
		fprintf(stderr, "usage: bench ROWS.fbin QUERIES.fbin dot|cosine|l2 [-k K] [-t THREADS]"
				" [-n QUERIES] [-m MANY] [-x EXCLUDED] [-X EXCLUDED]\n");
		return 2;
	}
	tfrs_kernels_choose(true);
	setup.rows = read_matrix(argv[optind]);
	split_queries(&setup, read_matrix(argv[optind + 1]), most);
	setup.metric = metric_of(argv[optind + 2]);
	tfrs_arena_init(&setup.arena, tfrs_allocator_malloc(), SIZE_MAX);
	printf("%s: %zu x %zu, %s, k %zu, kernels %s\n", argv[optind], setup.rows.count,
		   setup.rows.dim, argv[optind + 2], setup.k, tfrs_kernels.name);
	measure_all(&setup, many, excluded);
	return 0;
}
