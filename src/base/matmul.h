/*
 * matmul.h: single-precision matrix products; the only module that sees BLAS.
 *
 * OpenBLAS is loaded with dlopen at first use (tfrs_matmul_load), all signals blocked and
 * OPENBLAS_NUM_THREADS=1 meanwhile: Debian's library starts a worker thread, with no signal
 * blocked, in every process that merely loads it, and loading costs milliseconds that a process
 * which only searches need not pay.  Without the library, portable tiles of our own do the same.
 * Each worker of a team calls BLAS on a tile of its own; BLAS itself runs on one thread.
 *
 * Matrices are row-major.  ld* is the distance between rows in floats.  With the same library on
 * the same processor equal calls give equal bits; across versions the last bits differ.
 */
#ifndef TFRS_MATMUL_H
#define TFRS_MATMUL_H

#include <stdbool.h>
#include <stddef.h>

/* Loads BLAS unless that was tried before.  Not thread safe: call it before a team starts. */
extern void tfrs_matmul_load(void);

/* Takes our own tiles even where BLAS is there (tests, setting tfrs.kernels = reference). */
extern void tfrs_matmul_use_blas(bool use);

/* "OpenBLAS 0.3.21 ..." or "portable": for model_info's environment and bug reports. */
extern const char *tfrs_matmul_library(void);

/* c (m, n) = alpha * a (m, k) * b (n, k)^T + beta * c */
extern void tfrs_matmul_nt(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
						   const float *b, size_t ldb, float beta, float *c, size_t ldc);

/*
 * The same with our own tiles: an element's bits depend on its two vectors and k alone, not on
 * where they stand, so equal vectors tie.  (OpenBLAS's kernels for the edges of a matrix round
 * differently.)
 */
extern void tfrs_matmul_nt_alike(size_t m, size_t n, size_t k, float alpha, const float *a,
								 size_t lda, const float *b, size_t ldb, float beta, float *c,
								 size_t ldc);

/* c (m, n) = alpha * a (m, k) * b (k, n) + beta * c */
extern void tfrs_matmul_nn(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
						   const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* c (m, n) = alpha * a (k, m)^T * b (k, n) + beta * c */
extern void tfrs_matmul_tn(size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda,
						   const float *b, size_t ldb, float beta, float *c, size_t ldc);

#endif							/* TFRS_MATMUL_H */
