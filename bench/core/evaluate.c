/*
 * evaluate.c: how long an evaluation takes beside its matrix product alone.
 *
 *     evaluate [queries [candidates [dim [threads [repeats]]]]]
 *
 * Random vectors, one relevant candidate a query.  Prints the median CPU seconds of the product of
 * all queries with all candidates, in tiles that are thrown away, and of the evaluation.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/random.h"
#include "learning/evaluation.h"

#define MOST_REPEATS 101

static tfrs_error error;
static tfrs_arena arena;

static void
check(tfrs_status status)
{
	if (status == TFRS_OK || status == TFRS_MORE)
		return;
	fprintf(stderr, "%s\n", error.message);
	exit(1);
}

/* Of the processor, of all threads: what a busy machine tells best. */
static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static float *
random_vectors(size_t count, size_t dim, uint64_t purpose)
{
	tfrs_random random;
	float	   *vectors;

	tfrs_random_init(&random, 1, purpose, 0);
	check(TFRS_GET(&arena, &vectors, count * dim, &error));
	for (size_t i = 0; i < count * dim; i++)
		vectors[i] = tfrs_random_normal(&random);
	return vectors;
}

static double
time_product(const tfrs_model *model, size_t rows, size_t columns)
{
	size_t		dim = model->shape->dim;
	size_t		queries = model->query_ids.count;
	size_t		candidates = model->candidate_ids.count;
	float	   *tile;
	double		start;

	check(TFRS_GET(&arena, &tile, rows * columns, &error));
	start = seconds();
	for (size_t q = 0; q < queries; q += rows)
		for (size_t c = 0; c < candidates; c += columns)
			tfrs_matmul_nt(queries - q < rows ? queries - q : rows,
						   candidates - c < columns ? candidates - c : columns, dim, 1.0f,
						   model->query_table + q * dim, dim, model->candidate_table + c * dim,
						   dim, 0.0f, tile, columns);
	start = seconds() - start;
	tfrs_arena_release(&arena, tile);
	return start;
}

static double
time_evaluation(const tfrs_model *model, int threads, double *ndcg)
{
	tfrs_evaluation_options options;
	tfrs_evaluation_test test = {.model = model};
	tfrs_evaluation *evaluation;
	tfrs_pair_set relevant;
	tfrs_random random;
	double		start = seconds();
	tfrs_status status;

	tfrs_random_init(&random, 1, 3, 0);
	tfrs_pair_set_init(&relevant, &arena);
	for (size_t q = 0; q < model->query_ids.count; q++)
		check(tfrs_pair_set_add(&relevant, (uint32_t) q,
								tfrs_random_below(&random, (uint32_t) model->candidate_ids.count),
								&error));
	while ((status = tfrs_pair_set_finish_step(&relevant, &error)) == TFRS_MORE)
		;
	check(status);
	test.relevant = &relevant;
	tfrs_evaluation_options_default(&options);
	options.baselines = false;
	options.threads = threads;
	check(tfrs_evaluation_begin(&evaluation, &arena, &test, &options, &error));
	while ((status = tfrs_evaluation_step(evaluation, &error)) == TFRS_MORE)
		;
	check(status);
	*ndcg = tfrs_evaluation_result_of(evaluation)->figures[TFRS_RANKING_MODEL].metrics[2].ndcg;
	tfrs_evaluation_destroy(evaluation);
	tfrs_pair_set_free(&relevant);
	return seconds() - start;
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(double *values, int count)
{
	qsort(values, (size_t) count, sizeof(double), compare);
	return values[count / 2];
}

static size_t
argument(int count, char **values, int number, size_t otherwise)
{
	return number < count ? strtoul(values[number], NULL, 10) : otherwise;
}

int
main(int count, char **values)
{
	size_t		queries = argument(count, values, 1, 20000);
	size_t		candidates = argument(count, values, 2, 1682);
	tfrs_model_shape shape = {
		.dim = (uint32_t) argument(count, values, 3, 32), .temperature = 1.0f
	};
	int			threads = (int) argument(count, values, 4, 1);
	int			repeats = (int) argument(count, values, 5, 5);
	tfrs_model	model = {.shape = &shape};
	double		product[MOST_REPEATS];
	double		evaluation[MOST_REPEATS];
	double		ndcg = 0;

	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
	model.query_ids.count = queries;
	model.candidate_ids.count = candidates;
	model.query_table = random_vectors(queries + 1, shape.dim, 1);
	model.tower = &(tfrs_tower_shape) {.dim = shape.dim,.temperature = 1.0f};
	model.candidate_table = random_vectors(candidates + 1, shape.dim, 2);
	for (int i = 0; i < repeats && i < MOST_REPEATS; i++)
	{
		product[i] = time_product(&model, 64, 2048);
		evaluation[i] = time_evaluation(&model, threads, &ndcg);
	}
	printf("%zu x %zu x %u: product %.3f s on one thread, evaluation %.3f s on %d (NDCG@10 %.6f)\n",
		   queries, candidates, shape.dim, median(product, repeats), median(evaluation, repeats),
		   threads, ndcg);
	tfrs_arena_free(&arena);
	return 0;
}
