/*
 * random.c: seeding and the longer draws of random.h.
 */
#include "base/random.h"

#include <math.h>

void
tfrs_random_init(tfrs_random *random, uint64_t seed, uint64_t purpose, uint64_t index)
{
	uint64_t	x = tfrs_random_mix(tfrs_random_mix(tfrs_random_mix(seed) ^ purpose) ^ index);

	for (int i = 0; i < 4; i++)
	{
		x = tfrs_random_mix(x);
		random->state[i] = x;
	}
}

float
tfrs_random_normal(tfrs_random *random)
{
	double		u = ((double) (tfrs_random_next(random) >> 11) + 0.5) * 0x1p-53;
	double		v = (double) (tfrs_random_next(random) >> 11) * 0x1p-53;

	return (float) (sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

void
tfrs_random_fill(tfrs_random *random, float *values, size_t count, float low, float high)
{
	for (size_t i = 0; i < count; i++)
		values[i] = low + (high - low) * tfrs_random_float(random);
}

void
tfrs_random_shuffle(tfrs_random *random, uint32_t *rows, size_t count)
{
	for (size_t i = count; i > 1; i--)
	{
		size_t		j = tfrs_random_below(random, (uint32_t) i);
		uint32_t	row = rows[j];

		rows[j] = rows[i - 1];
		rows[i - 1] = row;
	}
}
