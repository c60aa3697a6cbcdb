/*
 * loss_bench.c: time of the loss alone, beside the matrix products that it cannot do without.
 *
 *     loss_bench plain [B C D threads]          random vectors
 *     loss_bench distinct [B D threads] < rows  lines "query candidate" of numbers, as they come
 *
 * TILES in the environment: products by our own tiles instead of OpenBLAS.
 *
 * Prints medians of several runs in milliseconds.  The three products of the plain form are timed
 * on whole B x C matrices in the library that matmul uses, the distinct form over all full batches
 * of the input.
 */
#define _POSIX_C_SOURCE 200809L	/* clock_gettime */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/random.h"
#include "learning/loss.h"
#include "learning/softmax.h"

#define RUNS 11

static tfrs_arena arena;

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return 1e3 * time.tv_sec + 1e-6 * time.tv_nsec;
}

static void
demand(tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OK)
		return;
	fprintf(stderr, "loss_bench: %s\n", error->message);
	exit(1);
}

static void *
take(size_t count, size_t size)
{
	void	   *result;
	tfrs_error	error;

	demand(tfrs_arena_get_zero(&arena, &result, count, size, &error), &error);
	return result;
}

static float *
random_vectors(size_t count, size_t dim, uint64_t seed)
{
	float	   *vectors = take(count * dim, sizeof(float));
	tfrs_random random;

	tfrs_random_init(&random, seed, 0, 0);
	tfrs_random_fill(&random, vectors, count * dim, -0.5f, 0.5f);
	return vectors;
}

static int
compare_times(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* The median is then times[RUNS / 2], the fastest times[0]. */
static void
sort_times(double *times)
{
	qsort(times, RUNS, sizeof(*times), compare_times);
}

static double
finish(tfrs_loss *loss)
{
	tfrs_error	error;
	tfrs_status status;
	double		total;

	while ((status = tfrs_loss_step(loss, &total)) == TFRS_MORE)
		;
	demand(status, &error);
	return total;
}

/* Three products over whole matrices of logits (B, C), as a framework makes them. */
static double
time_products(const tfrs_loss_batch *batch, float *logits)
{
	size_t		b = batch->queries;
	size_t		c = batch->candidates;
	size_t		d = batch->dim;
	double		start = now();

	tfrs_matmul_nt(b, c, d, 1.0f, batch->query, d, batch->candidate, d, 0.0f, logits, c);
	tfrs_matmul_nn(b, d, c, 1.0f, logits, c, batch->candidate, d, 0.0f, batch->d_query, d);
	tfrs_matmul_tn(c, d, b, 1.0f, logits, c, batch->query, d, 0.0f, batch->d_candidate, d);
	return now() - start;
}

static double
time_plain(tfrs_loss *loss, const tfrs_loss_batch *batch)
{
	tfrs_loss_options options;
	tfrs_error	error;
	double		start = now();

	tfrs_loss_options_default(&options);
	demand(tfrs_loss_begin(loss, batch, &options, &error), &error);
	finish(loss);
	return now() - start;
}

/* The runs alternate, so that a busy machine slows both. */
static void
bench_plain(size_t b, size_t c, size_t d, int threads)
{
	tfrs_loss_batch batch = {.queries = b,.candidates = c,.dim = d,.heads = 1};
	float	   *logits = take(b * c, sizeof(float));
	tfrs_loss  *loss;
	tfrs_error	error;
	double		products[RUNS];
	double		plain[RUNS];

	batch.query = random_vectors(b, d, 1);
	batch.candidate = random_vectors(c, d, 2);
	batch.d_query = take(b * d, sizeof(float));
	batch.d_candidate = take(c * d, sizeof(float));
	demand(tfrs_loss_create(&loss, &arena, threads, &error), &error);
	for (int r = 0; r < RUNS; r++)
	{
		products[r] = time_products(&batch, logits);
		plain[r] = time_plain(loss, &batch);
	}
	sort_times(products);
	sort_times(plain);
	printf("B %zu, C %zu, D %zu, kernels %s, products by %s\n", b, c, d, tfrs_kernels.name,
		   tfrs_matmul_library());
	printf("three products %.1f ms on 1 thread; plain form %.1f ms on %d: %.2f times "
		   "(fastest %.1f and %.1f)\n", products[RUNS / 2], plain[RUNS / 2], threads,
		   plain[RUNS / 2] / products[RUNS / 2], products[0], plain[0]);
}

typedef struct pair
{
	uint32_t	query;
	uint32_t	candidate;
} pair;

static pair *
read_pairs(size_t *count)
{
	pair	   *pairs = take((size_t) 1 << 22, sizeof(pair));

	while (*count < (size_t) 1 << 22 &&
		   scanf("%u %u", &pairs[*count].query, &pairs[*count].candidate) == 2)
		(*count)++;
	return pairs;
}

static int
compare_pairs(const void *a, const void *b)
{
	const pair *x = a;
	const pair *y = b;

	if (x->query != y->query)
		return x->query < y->query ? -1 : 1;
	return (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

/* A batch of distinct queries and candidates, and the list that it points to. */
typedef struct grouped
{
	tfrs_softmax_batch batch;
	tfrs_ragged target;
} grouped;

#define MOST_CANDIDATES ((size_t) 1 << 22)

/* Numbers the distinct queries and candidates of rows rows; equal rows become one target. */
static void
group(grouped *g, pair *pairs, size_t rows)
{
	float	   *count = take(rows, sizeof(float));
	uint32_t   *place = take(MOST_CANDIDATES, sizeof(uint32_t));

	g->target = (tfrs_ragged) {
		.row_capacity = rows, .capacity = rows, .has_weight = true,
		.start = take(rows + 1, sizeof(size_t)), .item = take(rows, sizeof(uint32_t)),
		.weight = take(rows, sizeof(float))
	};
	qsort(pairs, rows, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < rows; i++)
		place[pairs[i].candidate & (MOST_CANDIDATES - 1)] = 1;
	for (size_t c = 0; c < MOST_CANDIDATES; c++)
		if (place[c] != 0)
			place[c] = (uint32_t) ++g->batch.columns;
	for (size_t i = 0; i < rows; i++)
	{
		uint32_t	column = place[pairs[i].candidate & (MOST_CANDIDATES - 1)] - 1;

		if (i > 0 && pairs[i].query != pairs[i - 1].query)
			tfrs_ragged_end_row(&g->target);
		if (i == 0 || compare_pairs(&pairs[i], &pairs[i - 1]) != 0)
			tfrs_ragged_push(&g->target, column, 0.0f);
		g->target.weight[g->target.count - 1] += 1.0f;
		count[column] += 1.0f;
	}
	tfrs_ragged_end_row(&g->target);
	g->batch.rows = g->target.rows;
	g->batch.count = count;
	tfrs_arena_release(&arena, place);
}

static void
bench_distinct(size_t b, size_t d, int threads)
{
	size_t		rows = 0;
	pair	   *pairs = read_pairs(&rows);
	size_t		batches = rows / b;
	grouped    *group_of = take(batches, sizeof(*group_of));
	tfrs_loss_options options;
	tfrs_softmax *softmax;
	tfrs_error	error;
	double		times[RUNS];
	tfrs_random random;
	double		total = 0.0;

	tfrs_random_init(&random, 5, 0, 0);
	for (size_t i = rows; i > 1; i--)
	{
		size_t		other = tfrs_random_below(&random, (uint32_t) i);
		pair		swap = pairs[i - 1];

		pairs[i - 1] = pairs[other];
		pairs[other] = swap;
	}
	for (size_t i = 0; i < batches; i++)
	{
		tfrs_softmax_batch *batch = &group_of[i].batch;

		batch->dim = d;
		group(&group_of[i], pairs + i * b, b);
		batch->target = &group_of[i].target;
		batch->query = random_vectors(batch->rows, d, 2 * i);
		batch->candidate = random_vectors(batch->columns, d, 2 * i + 1);
		batch->d_query = take(batch->rows * d, sizeof(float));
		batch->d_candidate = take(batch->columns * d, sizeof(float));
	}
	tfrs_loss_options_default(&options);
	demand(tfrs_softmax_create(&softmax, &arena, threads, &error), &error);
	for (int r = 0; r < RUNS; r++)
	{
		double		start = now();

		for (size_t i = 0; i < batches; i++)
		{
			demand(tfrs_softmax_begin(softmax, &group_of[i].batch, &options, &error), &error);
			while (tfrs_softmax_step(softmax, &total) == TFRS_MORE)
				;
		}
		times[r] = now() - start;
	}
	sort_times(times);
	printf("%zu batches of %zu rows (last: %zu queries, %zu candidates, %zu pairs, loss %.1f)\n",
		   batches, b, group_of[batches - 1].batch.rows,
		   group_of[batches - 1].batch.columns, group_of[batches - 1].target.count, total);
	printf("distinct form %.2f ms a batch (fastest %.2f) on %d, products by %s\n",
		   times[RUNS / 2] / (double) batches, times[0] / (double) batches, threads,
		   tfrs_matmul_library());
}

static size_t
argument(int count, char **arguments, int i, size_t other)
{
	return i < count ? strtoul(arguments[i], NULL, 10) : other;
}

int
main(int count, char **arguments)
{
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
	tfrs_matmul_use_blas(getenv("TILES") == NULL);
	if (count > 1 && strcmp(arguments[1], "plain") == 0)
		bench_plain(argument(count, arguments, 2, 8192), argument(count, arguments, 3, 8192),
					argument(count, arguments, 4, 32), (int) argument(count, arguments, 5, 1));
	else if (count > 1 && strcmp(arguments[1], "distinct") == 0)
		bench_distinct(argument(count, arguments, 2, 8192), argument(count, arguments, 3, 32),
					   (int) argument(count, arguments, 4, 1));
	else
	{
		fprintf(stderr, "usage: loss_bench plain [B C D threads] | distinct [B D threads]\n");
		return 2;
	}
	tfrs_arena_free(&arena);
	return 0;
}
