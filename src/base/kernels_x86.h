/*
 * kernels_x86.h: the kernel tables for AVX2 with FMA, and AVX-512.
 */
#ifndef TFRS_KERNELS_X86_H
#define TFRS_KERNELS_X86_H

#include "base/kernels_reference.h"

/* The i-th table that this processor and system can run, the best one last; NULL past the end. */
extern const tfrs_kernel_table *tfrs_kernels_x86(int i);

#endif							/* TFRS_KERNELS_X86_H */
