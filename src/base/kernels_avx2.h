/*
 * kernels_avx2.h: the kernel table for AVX2 with FMA.
 */
#ifndef TFRS_KERNELS_AVX2_H
#define TFRS_KERNELS_AVX2_H

#include "base/kernels_reference.h"

/* NULL where processor, operating system or build cannot run it. */
extern const tfrs_kernel_table *tfrs_kernels_avx2(void);

#endif							/* TFRS_KERNELS_AVX2_H */
