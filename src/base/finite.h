/*
 * finite.h: are all of many floats finite?
 *
 * By the exponent's bits, without a branch a value: isfinite in a loop that stops at the first hit
 * does not become vector code, and model bytes from outside hold up to 160 million floats.
 */
#ifndef TFRS_FINITE_H
#define TFRS_FINITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool
tfrs_all_finite(const float *values, size_t count)
{
	uint32_t	hits = 0;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t	bits;

		memcpy(&bits, &values[i], sizeof(bits));
		hits |= (bits & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
	}
	return hits == 0;
}

#endif							/* TFRS_FINITE_H */
