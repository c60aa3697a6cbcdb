/*
 * kernels.c: the choice of the kernel table.
 */
#include "base/kernels.h"

#include "base/kernels_arm.h"
#include "base/kernels_x86.h"

tfrs_kernel_table tfrs_kernels;

const tfrs_kernel_table *
tfrs_kernels_variant(int i)
{
	const tfrs_kernel_table *variant;

	if (i == 0)
		return &tfrs_kernels_reference;
	variant = tfrs_kernels_x86(i - 1);
	return variant != NULL ? variant : tfrs_kernels_arm(i - 1);
}

void
tfrs_kernels_choose(bool accelerated)
{
	const tfrs_kernel_table *best = &tfrs_kernels_reference;

	for (int i = 1; accelerated && tfrs_kernels_variant(i) != NULL; i++)
		best = tfrs_kernels_variant(i);
	tfrs_kernels = *best;
}
