/*
 * matmul.c: OpenBLAS at run time, and tiles of our own.
 *
 * Our tiles follow the usual scheme (Goto and van de Geijn 2008): a block of a is packed into
 * panels of tile_rows rows, a panel of tile_columns columns of b beside it, and the kernel of the
 * table in use multiplies panel by panel.  Packing takes any strides, so the three forms are one
 * function.  The panels lie on the stack: no allocation, and each worker has its own.
 *
 * Departure from common practice: libblas.so.3 is not tried.  Where it is not OpenBLAS it is most
 * often the reference BLAS, which our tiles beat many times over.
 */
#define _POSIX_C_SOURCE 200809L	/* signal masks, setenv; the core is compiled as strict C11 */

#include "base/matmul.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/kernels.h"

/* Floats of a packed block of a (half of a common second-level cache) and the depth of a panel. */
#define BLOCK_FLOATS 32768
#define PANEL_DEPTH 256

/* The arguments of CBLAS, whose header need not be installed. */
#define CBLAS_ROW_MAJOR 101
#define CBLAS_NO_TRANSPOSE 111
#define CBLAS_TRANSPOSE 112

typedef void (*sgemm_function) (int order, int transpose_a, int transpose_b, int m, int n, int k,
								float alpha, const float *a, int lda, const float *b, int ldb,
								float beta, float *c, int ldc);

/* A matrix (rows, depth) by its strides: element (i, p) is start[i * row_step + p * depth_step]. */
typedef struct operand
{
	const float *start;
	size_t		row_step;
	size_t		depth_step;
} operand;

/* c (m, n) = alpha * a (m, k) * b (n, k)^T + beta * c */
typedef struct product
{
	size_t		m;
	size_t		n;
	size_t		k;
	float		alpha;
	operand		a;
	operand		b;
	float		beta;
	float	   *c;
	size_t		ldc;
} product;

static struct
{
	bool		tried;
	bool		refused;		/* tfrs_matmul_use_blas(false) */
	sgemm_function sgemm;		/* NULL where there is no library to be trusted */
	char		name[128];
} blas = {.name = "OpenBLAS"};

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * The first rows of x as a panel (depth, width), filled up with zeros so that nothing unset is ever
 * multiplied.  Whichever step is 1 is the inner one: reading stays sequential.
 */
static void
pack_panel(operand x, size_t rows, size_t depth, size_t width, float *panel)
{
	if (rows < width)
		memset(panel, 0, depth * width * sizeof(float));
	if (x.row_step == 1)
		for (size_t p = 0; p < depth; p++)
			memcpy(panel + p * width, x.start + p * x.depth_step, rows * sizeof(float));
	else
		for (size_t i = 0; i < rows; i++)
			for (size_t p = 0; p < depth; p++)
				panel[p * width + i] = x.start[i * x.row_step + p];
}

static void
write_tile(const float *tile, size_t rows, size_t columns, const product *product, float *c)
{
	for (size_t i = 0; i < rows; i++)
	{
		const float *from = tile + i * tfrs_kernels.tile_columns;
		float	   *to = c + i * product->ldc;

		if (product->beta == 0.0f)
			for (size_t j = 0; j < columns; j++)
				to[j] = product->alpha * from[j];
		else
			for (size_t j = 0; j < columns; j++)
				to[j] = product->alpha * from[j] + product->beta * to[j];
	}
}

/* A block (m, k) of a, packed, times a panel of at most tile_columns columns. */
static void
multiply_panel(const product *product, const float *a_panels, size_t columns, float *c)
{
	size_t		height = tfrs_kernels.tile_rows;
	size_t		width = tfrs_kernels.tile_columns;
	_Alignas(TFRS_ALIGNMENT) float b_panel[PANEL_DEPTH * TFRS_MAX_TILE_COLUMNS];
	_Alignas(TFRS_ALIGNMENT) float tile[TFRS_MAX_TILE_ROWS * TFRS_MAX_TILE_COLUMNS];

	pack_panel(product->b, columns, product->k, width, b_panel);
	for (size_t i = 0; i < product->m; i += height)
	{
		tfrs_kernels.matmul_tile(a_panels + i * product->k, b_panel, product->k, tile);
		write_tile(tile, smaller(height, product->m - i), columns, product, c + i * product->ldc);
	}
}

/* k <= PANEL_DEPTH, and the rows fit into a block. */
static void
multiply_block(const product *product)
{
	size_t		height = tfrs_kernels.tile_rows;
	size_t		width = tfrs_kernels.tile_columns;
	_Alignas(TFRS_ALIGNMENT) float a_panels[BLOCK_FLOATS];

	for (size_t i = 0; i < product->m; i += height)
	{
		operand		rows = product->a;

		rows.start += i * rows.row_step;
		pack_panel(rows, smaller(height, product->m - i), product->k, height,
				   a_panels + i * product->k);
	}
	for (size_t j = 0; j < product->n; j += width)
	{
		struct product part = *product;

		part.b.start += j * part.b.row_step;
		multiply_panel(&part, a_panels, smaller(width, product->n - j), product->c + j);
	}
}

static void
multiply(const product *product)
{
	size_t		depth;

	for (size_t p = 0; p < product->k || p == 0; p += depth)
	{
		size_t		rows;

		depth = smaller(PANEL_DEPTH, product->k - p);
		rows = BLOCK_FLOATS / (depth > 0 ? depth : 1);
		rows -= rows % tfrs_kernels.tile_rows;
		for (size_t i = 0; i < product->m; i += rows)
		{
			struct product part = *product;

			part.m = smaller(rows, product->m - i);
			part.k = depth;
			part.a.start += i * part.a.row_step + p * part.a.depth_step;
			part.b.start += p * part.b.depth_step;
			part.beta = p == 0 ? product->beta : 1.0f;
			part.c += i * part.ldc;
			multiply_block(&part);
		}
		if (depth == 0)
			break;
	}
}

/* CBLAS counts in int and wants leading dimensions above 0; what does not fit is ours to do. */
static bool
fits_blas(size_t m, size_t n, size_t k, size_t lda, size_t ldb, size_t ldc)
{
	return blas.sgemm != NULL && !blas.refused && m > 0 && n > 0 && k > 0 &&
		m <= INT_MAX && n <= INT_MAX && k <= INT_MAX &&
		lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX;
}

void
tfrs_matmul_nt(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
			   const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
	product		product = {m, n, k, alpha, {a, lda, 1}, {b, ldb, 1}, beta, c, ldc};

	if (fits_blas(m, n, k, lda, ldb, ldc))
		blas.sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANSPOSE, CBLAS_TRANSPOSE, (int) m, (int) n, (int) k,
				   alpha, a, (int) lda, b, (int) ldb, beta, c, (int) ldc);
	else
		multiply(&product);
}

void
tfrs_matmul_nt_alike(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
					 const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
	product		product = {m, n, k, alpha, {a, lda, 1}, {b, ldb, 1}, beta, c, ldc};

	multiply(&product);
}

void
tfrs_matmul_nn(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
			   const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
	product		product = {m, n, k, alpha, {a, lda, 1}, {b, 1, ldb}, beta, c, ldc};

	if (fits_blas(m, n, k, lda, ldb, ldc))
		blas.sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANSPOSE, CBLAS_NO_TRANSPOSE, (int) m, (int) n,
				   (int) k, alpha, a, (int) lda, b, (int) ldb, beta, c, (int) ldc);
	else
		multiply(&product);
}

void
tfrs_matmul_tn(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
			   const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
	product		product = {m, n, k, alpha, {a, 1, lda}, {b, 1, ldb}, beta, c, ldc};

	if (fits_blas(m, n, k, lda, ldb, ldc))
		blas.sgemm(CBLAS_ROW_MAJOR, CBLAS_TRANSPOSE, CBLAS_NO_TRANSPOSE, (int) m, (int) n, (int) k,
				   alpha, a, (int) lda, b, (int) ldb, beta, c, (int) ldc);
	else
		multiply(&product);
}

/*
 * dlopen with OPENBLAS_NUM_THREADS=1 and all signals blocked (see matmul.h), both as before
 * afterwards.  Which kernels the library takes is left to it and to the user's OPENBLAS_CORETYPE.
 */
static void *
open_library(void)
{
	const char *setting = getenv("OPENBLAS_NUM_THREADS");
	char	   *before = setting != NULL ? strdup(setting) : NULL;
	sigset_t	all;
	sigset_t	mask;
	void	   *library = NULL;

	if (setting != NULL && before == NULL)
		return NULL;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	if (setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0)
	{
		library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
		if (before != NULL)
			setenv("OPENBLAS_NUM_THREADS", before, 1);
		else
			unsetenv("OPENBLAS_NUM_THREADS");
	}
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	free(before);
	return library;
}

/* The address of a symbol; ISO C has no cast from object to function pointers. */
static bool
find_symbol(void *library, const char *name, void *function_pointer)
{
	void	   *symbol = dlsym(library, name);

	memcpy(function_pointer, &symbol, sizeof(symbol));
	return symbol != NULL;
}

/*
 * Sides of the self-check: not multiples of any kernel's tile.  OpenBLAS has kernels of their own
 * for products of up to 10^6 terms and for beta = 0, so there is a depth for each side of that.
 */
#define CHECK_M 37
#define CHECK_N 83
#define CHECK_DEPTH 400

typedef void (*product_form) (size_t m, size_t n, size_t k, float alpha, const float *a,
							  size_t lda, const float *b, size_t ldb, float beta, float *c,
							  size_t ldc);

/* One product by the library and by our tiles; of small integers, so both are exact. */
static bool
agrees(product_form form, size_t k, float beta)
{
	size_t		lda = form == tfrs_matmul_tn ? CHECK_M : k;
	size_t		ldb = form == tfrs_matmul_nt ? k : CHECK_N;
	float		a[CHECK_M * CHECK_DEPTH];
	float		b[CHECK_N * CHECK_DEPTH];
	float		c[2][CHECK_M * CHECK_N];

	for (size_t i = 0; i < CHECK_M * k; i++)
		a[i] = (float) (i * 7 % 23) - 11.0f;
	for (size_t i = 0; i < CHECK_N * k; i++)
		b[i] = (float) (i * 5 % 19) - 9.0f;
	for (int ours = 0; ours < 2; ours++)
	{
		for (size_t i = 0; i < CHECK_M * CHECK_N; i++)
			c[ours][i] = (float) (i % 5);
		blas.refused = ours;
		form(CHECK_M, CHECK_N, k, 1.0f, a, lda, b, ldb, beta, c[ours], CHECK_N);
	}
	return memcmp(c[0], c[1], sizeof(c[0])) == 0;
}

/* Old builds have chosen kernels that compute nonsense on processors newer than they are. */
static bool
library_computes_right(void)
{
	static const product_form forms[] = {tfrs_matmul_nt, tfrs_matmul_nn, tfrs_matmul_tn};
	bool		refused = blas.refused;
	bool		right = true;

	for (int i = 0; i < 3; i++)
		for (int beta = 0; beta < 2; beta++)
			right = right && agrees(forms[i], CHECK_DEPTH / 8, (float) beta) &&
				agrees(forms[i], CHECK_DEPTH, (float) beta);
	blas.refused = refused;
	return right;
}

void
tfrs_matmul_load(void)
{
	void	   *library;
	char	   *(*get_config) (void);
	void		(*set_num_threads) (int);

	if (blas.tried)
		return;
	blas.tried = true;
	library = open_library();
	if (library == NULL || !find_symbol(library, "cblas_sgemm", &blas.sgemm))
		return;
	if (find_symbol(library, "openblas_set_num_threads", &set_num_threads))
		set_num_threads(1);
	if (!library_computes_right())
		blas.sgemm = NULL;
	else if (find_symbol(library, "openblas_get_config", &get_config))
		snprintf(blas.name, sizeof(blas.name), "%s", get_config());
}

void
tfrs_matmul_use_blas(bool use)
{
	blas.refused = !use;
}

const char *
tfrs_matmul_library(void)
{
	return blas.refused || blas.sgemm == NULL ? "portable" : blas.name;
}
