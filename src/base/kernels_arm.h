/*
 * kernels_arm.h: the kernel tables for NEON (aarch64).
 */
#ifndef TFRS_KERNELS_ARM_H
#define TFRS_KERNELS_ARM_H

#include "base/kernels_reference.h"

/* The i-th table that this processor and system can run, the best one last; NULL past the end. */
extern const tfrs_kernel_table *tfrs_kernels_arm(int i);

#endif							/* TFRS_KERNELS_ARM_H */
