/*
 * test_matmul.c: the three products with the library and with the tiles of every kernel table.
 *
 * Operands are small integers, so every product is exact and must be equal.
 */
#define _DEFAULT_SOURCE

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/random.h"
#include "base/team.h"
#include "guarded.h"

#define MAX_SIDE 70
#define MAX_DEPTH 600
#define PADDING 3

typedef void (*product_form) (size_t m, size_t n, size_t k, float alpha, const float *a,
							  size_t lda, const float *b, size_t ldb, float beta, float *c,
							  size_t ldc);

typedef struct form
{
	product_form multiply;
	bool		a_transposed;	/* stored as (k, m) */
	bool		b_transposed;	/* stored as (n, k) */
} form;

static const form forms[] = {
	{tfrs_matmul_nt, false, true},
	{tfrs_matmul_nt_alike, false, true},
	{tfrs_matmul_nn, false, false},
	{tfrs_matmul_tn, true, false}
};

static tfrs_random random_source;

static void
fill(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (float) tfrs_random_below(&random_source, 9) - 4.0f;
}

/* A matrix that ends at end, its rows pitch apart; the last row has no padding behind it. */
static float *
matrix(char *end, size_t rows, size_t columns, size_t pitch)
{
	size_t		count = rows == 0 || columns == 0 ? 0 : (rows - 1) * pitch + columns;
	float	   *start = (float *) end - count;

	fill(start, count);
	return start;
}

typedef struct sides
{
	size_t		m;
	size_t		n;
	size_t		k;
	size_t		padding;
} sides;

static char *ends[3];

static void
check_product(const form *form, sides s, float alpha, float beta)
{
	static float expected[MAX_SIDE * (MAX_SIDE + PADDING)];
	size_t		lda = (form->a_transposed ? s.m : s.k) + s.padding;
	size_t		ldb = (form->b_transposed ? s.k : s.n) + s.padding;
	size_t		ldc = s.n + s.padding;
	size_t		count = s.m == 0 || s.n == 0 ? 0 : (s.m - 1) * ldc + s.n;
	const float *a = matrix(ends[0], form->a_transposed ? s.k : s.m, lda - s.padding, lda);
	const float *b = matrix(ends[1], form->b_transposed ? s.n : s.k, ldb - s.padding, ldb);
	float	   *c = matrix(ends[2], s.m, s.n, ldc);

	memcpy(expected, c, count * sizeof(float));
	for (size_t i = 0; i < s.m; i++)
		for (size_t j = 0; j < s.n; j++)
		{
			float		sum = 0.0f;

			for (size_t p = 0; p < s.k; p++)
				sum += (form->a_transposed ? a[p * lda + i] : a[i * lda + p]) *
					(form->b_transposed ? b[j * ldb + p] : b[p * ldb + j]);
			expected[i * ldc + j] = alpha * sum + beta * expected[i * ldc + j];
			if (beta == 0.0f)
				c[i * ldc + j] = NAN;
		}
	form->multiply(s.m, s.n, s.k, alpha, a, lda, b, ldb, beta, c, ldc);
	for (size_t i = 0; i < count; i++)
		CHECK(c[i] == expected[i]);
}

static void
check_all_products(void)
{
	static const size_t short_sides[] = {0, 1, 2, 5, 16, 33, MAX_SIDE};
	static const size_t depths[] = {0, 1, 3, 32, 100, 255, 256, 257, MAX_DEPTH};

	tfrs_random_init(&random_source, 8, 9, 10);
	for (size_t f = 0; f < 3; f++)
		for (size_t i = 0; i < 7; i++)
			for (size_t j = 0; j < 7; j++)
				for (size_t p = 0; p < 9; p++)
				{
					sides		s = {short_sides[i], short_sides[j], depths[p], PADDING};

					check_product(&forms[f], s, 1.0f, 0.0f);
					check_product(&forms[f], s, -0.5f, 1.0f);
					s.padding = 0;
					check_product(&forms[f], s, 2.0f, 0.25f);
				}
}

static void
prepare(void)
{
	for (int i = 0; i < 3; i++)
		ends[i] = guarded_end(sizeof(float) * (MAX_SIDE + PADDING) * (MAX_DEPTH + PADDING));
	tfrs_kernels_choose(true);
}

static int
threads_of_process(void)
{
	DIR		   *tasks = opendir("/proc/self/task");
	int			count = -2;		/* . and .. */

	CHECK(tasks != NULL);
	while (readdir(tasks) != NULL)
		count++;
	closedir(tasks);
	return count;
}

/* First in the file, since a library is loaded once. */
CHECK_TEST(loading_leaves_no_trace)
{
	sigset_t	before;
	sigset_t	after;
	int			threads = threads_of_process();

	setenv("OPENBLAS_NUM_THREADS", "7", 1);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	tfrs_kernels_choose(true);
	CHECK(strcmp(tfrs_matmul_library(), "portable") == 0);
	tfrs_matmul_load();
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	CHECK_EQUAL(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
	CHECK(strcmp(getenv("OPENBLAS_NUM_THREADS"), "7") == 0);
	CHECK_EQUAL(threads_of_process(), threads);
	tfrs_matmul_load();			/* nothing, the second time */
}

CHECK_TEST(products_by_the_library)
{
	prepare();
	tfrs_matmul_load();
	check_all_products();
}

CHECK_TEST(products_by_tiles)
{
	prepare();
	tfrs_matmul_use_blas(false);
	CHECK(strcmp(tfrs_matmul_library(), "portable") == 0);
	for (int i = 0; tfrs_kernels_variant(i) != NULL; i++)
	{
		tfrs_kernels = *tfrs_kernels_variant(i);
		check_all_products();
	}
	tfrs_matmul_use_blas(true);
}

#define TALL_ROWS 2000
#define TALL_DEPTH 100

/* More rows than a packed block holds, and a block that no whole number of tiles fills. */
CHECK_TEST(tall_product_by_tiles)
{
	static float a[TALL_ROWS * TALL_DEPTH];
	static float c[TALL_ROWS];
	float		b[TALL_DEPTH];

	prepare();
	tfrs_random_init(&random_source, 8, 9, 10);
	fill(a, TALL_ROWS * TALL_DEPTH);
	fill(b, TALL_DEPTH);
	tfrs_matmul_use_blas(false);
	tfrs_matmul_nt(TALL_ROWS, 1, TALL_DEPTH, 1.0f, a, TALL_DEPTH, b, TALL_DEPTH, 0.0f, c, 1);
	tfrs_matmul_use_blas(true);
	for (size_t i = 0; i < TALL_ROWS; i++)
		CHECK(c[i] == tfrs_kernels.dot(a + i * TALL_DEPTH, b, TALL_DEPTH));
}

/* Every row of a is the same, and every row of b: so must be every element of c. */
CHECK_TEST(equal_vectors_tie)
{
	static const size_t sides[] = {1, 2, 3, 7, 8, 13, 31, 64, 70};
	const size_t count = sizeof(sides) / sizeof(sides[0]);
	static float a[MAX_SIDE * MAX_SIDE];
	static float b[MAX_SIDE * MAX_SIDE];
	static float c[MAX_SIDE * MAX_SIDE];
	tfrs_random random;

	tfrs_random_init(&random, 3, 0, 0);
	for (size_t k = 1; k <= MAX_SIDE; k++)
	{
		tfrs_random_fill(&random, a, k, -1.0f, 1.0f);
		tfrs_random_fill(&random, b, k, -1.0f, 1.0f);
		for (size_t i = 1; i < MAX_SIDE; i++)
		{
			memcpy(a + i * k, a, k * sizeof(float));
			memcpy(b + i * k, b, k * sizeof(float));
		}
		for (size_t shape = 0; shape < count * count; shape++)
		{
			size_t		m = sides[shape / count];
			size_t		n = sides[shape % count];

			tfrs_matmul_nt_alike(m, n, k, 0.3f, a, k, b, k, 0.0f, c, n);
			for (size_t i = 1; i < m * n; i++)
				CHECK(c[i] == c[0]);
		}
	}
}

/* CBLAS counts in int. */
CHECK_TEST(pitch_beyond_int)
{
	const size_t large = (size_t) 1 << 33;
	const size_t pitches[3][3] = {{large, 3, 1}, {3, large, 1}, {3, 3, large}};
	float		a[3] = {1.0f, 2.0f, 3.0f};
	float		b[3] = {4.0f, 5.0f, 6.0f};

	prepare();
	tfrs_matmul_load();
	for (int i = 0; i < 3; i++)
	{
		float		c = 0.0f;

		tfrs_matmul_nt(1, 1, 3, 1.0f, a, pitches[i][0], b, pitches[i][1], 0.0f, &c, pitches[i][2]);
		CHECK(c == 32.0f);
	}
}

#define TEAM_SIDE 64
#define TEAM_TASKS 40

typedef struct shared_product
{
	float		a[TEAM_TASKS][TEAM_SIDE * TEAM_SIDE];
	float		b[TEAM_SIDE * TEAM_SIDE];
	float		c[TEAM_TASKS][TEAM_SIDE * TEAM_SIDE];
} shared_product;

static void
multiply_task(void *context, int worker, size_t task)
{
	shared_product *shared = context;

	(void) worker;
	tfrs_matmul_nt(TEAM_SIDE, TEAM_SIDE, TEAM_SIDE, 1.0f, shared->a[task], TEAM_SIDE, shared->b,
				   TEAM_SIDE, 0.0f, shared->c[task], TEAM_SIDE);
}

CHECK_TEST(workers_at_the_same_time)
{
	static shared_product shared;
	static float alone[TEAM_TASKS][TEAM_SIDE * TEAM_SIDE];

	prepare();
	tfrs_matmul_load();
	tfrs_random_init(&random_source, 1, 1, 1);
	for (int blas = 0; blas < 2; blas++)
	{
		tfrs_matmul_use_blas(blas);
		tfrs_random_fill(&random_source, &shared.a[0][0], sizeof(shared.a) / sizeof(float), -1.0f,
						 1.0f);
		tfrs_random_fill(&random_source, shared.b, TEAM_SIDE * TEAM_SIDE, -1.0f, 1.0f);
		tfrs_team_run(1, TEAM_TASKS, multiply_task, &shared);
		memcpy(alone, shared.c, sizeof(alone));
		for (int i = 0; i < 20; i++)
		{
			memset(shared.c, 0, sizeof(shared.c));
			tfrs_team_run(4, TEAM_TASKS, multiply_task, &shared);
			CHECK(memcmp(alone, shared.c, sizeof(alone)) == 0);
		}
	}
}
