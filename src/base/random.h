/*
 * random.h: our own seeded generator, so that neither the server's version nor the C library can
 * change a model.
 *
 * xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64.  A stream is named by up to
 * three numbers (seed, purpose, index), so that workers draw from streams of their own and the
 * numbers do not depend on the number of threads.
 */
#ifndef TFRS_RANDOM_H
#define TFRS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct tfrs_random
{
	uint64_t	state[4];
} tfrs_random;

/* One well-mixed word out of one word (splitmix64's finalizer). */
static inline uint64_t
tfrs_random_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

extern void tfrs_random_init(tfrs_random *random, uint64_t seed, uint64_t purpose, uint64_t index);

static inline uint64_t
tfrs_random_next(tfrs_random *random)
{
	uint64_t   *s = random->state;
	uint64_t	five = s[1] * 5;
	uint64_t	result = ((five << 7) | (five >> 57)) * 9;
	uint64_t	t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = (s[3] << 45) | (s[3] >> 19);
	return result;
}

/* Uniform in [0, 1), 24 bits. */
static inline float
tfrs_random_float(tfrs_random *random)
{
	return (float) (tfrs_random_next(random) >> 40) * 0x1p-24f;
}

/* Uniform in [0, bound), bound > 0; the bias of the multiply-high method is below 2^-32 here. */
static inline uint32_t
tfrs_random_below(tfrs_random *random, uint32_t bound)
{
	return (uint32_t) (((tfrs_random_next(random) >> 32) * bound) >> 32);
}

/*
 * The i-th of count samples of rows (count <= rows < 2^32): one of each of count strata, so that
 * samples are distinct, ascending and spread over all rows.
 */
static inline size_t
tfrs_random_stratum(tfrs_random *random, size_t i, size_t count, size_t rows)
{
	size_t		low = i * rows / count;
	size_t		high = (i + 1) * rows / count;

	return low + tfrs_random_below(random, (uint32_t) (high - low));
}

/* Standard normal (Box-Muller, one of the pair). */
extern float tfrs_random_normal(tfrs_random *random);

/* count values uniform in [low, high). */
extern void tfrs_random_fill(tfrs_random *random, float *values, size_t count, float low,
							 float high);

/* Fisher-Yates over row numbers. */
extern void tfrs_random_shuffle(tfrs_random *random, uint32_t *rows, size_t count);

#endif							/* TFRS_RANDOM_H */
