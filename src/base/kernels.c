/*
 * kernels.c: the choice of the kernel table.
 */
#include "base/kernels.h"

#include <stddef.h>

#include "base/kernels_avx2.h"
#include "base/kernels_avx512.h"
#include "base/kernels_neon.h"

tfrs_kernel_table tfrs_kernels;

/* A processor has NEON, or nothing, or AVX2, or that and AVX-512: the best one stands last. */
const tfrs_kernel_table *
tfrs_kernels_variant(int i)
{
	switch (i)
	{
		case 0:
			return &tfrs_kernels_reference;
		case 1:
			return tfrs_kernels_neon() != NULL ? tfrs_kernels_neon() : tfrs_kernels_avx2();
		case 2:
			return tfrs_kernels_avx512();
		default:
			return NULL;
	}
}

void
tfrs_kernels_choose(bool accelerated)
{
	const tfrs_kernel_table *best = &tfrs_kernels_reference;

	for (int i = 1; accelerated && tfrs_kernels_variant(i) != NULL; i++)
		best = tfrs_kernels_variant(i);
	tfrs_kernels = *best;
}
