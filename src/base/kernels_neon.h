/*
 * kernels_neon.h: the kernel table for NEON (aarch64).
 */
#ifndef TFRS_KERNELS_NEON_H
#define TFRS_KERNELS_NEON_H

#include "base/kernels_reference.h"

/* NULL where processor, operating system or build cannot run it. */
extern const tfrs_kernel_table *tfrs_kernels_neon(void);

#endif							/* TFRS_KERNELS_NEON_H */
