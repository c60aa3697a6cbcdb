/*
 * kernels_avx512.h: the kernel table for AVX-512 with VNNI.
 */
#ifndef TFRS_KERNELS_AVX512_H
#define TFRS_KERNELS_AVX512_H

#include "base/kernels_reference.h"

/* NULL where processor, operating system or build cannot run it. */
extern const tfrs_kernel_table *tfrs_kernels_avx512(void);

#endif							/* TFRS_KERNELS_AVX512_H */
