/*
 * kernels.h: the inner loops, behind one table of pointers that is chosen once at load.
 *
 * kernels_reference.c is plain C and always built; kernels_avx2.c, kernels_avx512.c and
 * kernels_neon.c hold variants behind target attributes.  tfrs_kernels_choose picks by what the
 * processor and the operating system can do, so the portable default build is also the fast one.
 * Outside kernels* nobody names a variant.  The entries and their contracts are in
 * kernels_reference.h.
 *
 * One dot product: operator, exact search, re-ranking, the survivors of top_k_many and ground truth
 * all call tfrs_kernels.dot, so equal inputs give equal bits whatever path they came by.
 */
#ifndef TFRS_KERNELS_H
#define TFRS_KERNELS_H

#include <stdbool.h>

#include "base/kernels_reference.h"

/* The table in use.  Set by tfrs_kernels_choose before the first worker thread starts. */
extern tfrs_kernel_table tfrs_kernels;

/* true: the best this machine has; false: the reference kernels (setting tfrs.kernels). */
extern void tfrs_kernels_choose(bool accelerated);

/* For tests: the i-th table that this machine can run, 0 the reference, or NULL past the end. */
extern const tfrs_kernel_table *tfrs_kernels_variant(int i);

#endif							/* TFRS_KERNELS_H */
