/*
 * kernels_avx2.c: the inner loops for AVX2 with FMA (Intel since 2013, AMD since 2015).
 */
#include "base/kernels_avx2.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>

#define KERNEL static __attribute__((target("avx2,fma")))
#define SIMD static inline __attribute__((target("avx2,fma"), always_inline))

#define VARIANT_NAME "avx2"
#define LANES 8
#define SUMS 2
#define TILE_ROWS 6
#define TILE_VECTORS 2

typedef __m256 vector;

typedef struct wide
{
	__m256d		low;
	__m256d		high;
} wide;

/* All bits set in the first count lanes. */
SIMD __m256i
first_lanes(size_t count)
{
	static const int32_t ones_and_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

	return _mm256_loadu_si256((const __m256i *) (ones_and_zeros + 8 - count));
}

SIMD vector
load(const float *from)
{
	return _mm256_loadu_ps(from);
}

SIMD vector
load_part(const float *from, size_t count)
{
	return _mm256_maskload_ps(from, first_lanes(count));
}

SIMD void
store(float *to, vector x)
{
	_mm256_storeu_ps(to, x);
}

SIMD void
store_part(float *to, vector x, size_t count)
{
	_mm256_maskstore_ps(to, first_lanes(count), x);
}

SIMD vector
spread(float x)
{
	return _mm256_set1_ps(x);
}

SIMD vector
add(vector x, vector y)
{
	return _mm256_add_ps(x, y);
}

SIMD vector
subtract(vector x, vector y)
{
	return _mm256_sub_ps(x, y);
}

SIMD vector
multiply(vector x, vector y)
{
	return _mm256_mul_ps(x, y);
}

/* x y + z, rounded once */
SIMD vector
multiply_add(vector x, vector y, vector z)
{
	return _mm256_fmadd_ps(x, y, z);
}

SIMD vector
larger(vector x, vector y)
{
	return _mm256_max_ps(x, y);
}

/* y where either is NaN */
SIMD vector
smaller(vector x, vector y)
{
	return _mm256_min_ps(x, y);
}

SIMD float
largest_lane(vector x)
{
	__m128		four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
	__m128		two = _mm_max_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* The totals of four registers. */
SIMD void
store_four_totals(float *to, const vector *x)
{
	__m256		quarters = _mm256_hadd_ps(_mm256_hadd_ps(x[0], x[1]), _mm256_hadd_ps(x[2], x[3]));

	_mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(quarters),
								 _mm256_extractf128_ps(quarters, 1)));
}

/* In store_four_totals' order. */
SIMD float
total(vector x)
{
	__m256		quarters = _mm256_hadd_ps(_mm256_hadd_ps(x, x), x);

	return _mm_cvtss_f32(_mm_add_ps(_mm256_castps256_ps128(quarters),
									_mm256_extractf128_ps(quarters, 1)));
}

SIMD vector
nearest(vector x)
{
	return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x 2^n, where both are normal numbers; NaN stays NaN */
SIMD vector
multiply_power(vector x, vector n)
{
	__m256i		exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);

	return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
}

/* e = exp(x), or 0 or infinity where x is outside the range of exponential. */
SIMD vector
keep_range(vector x, vector e)
{
	__m256		low = _mm256_cmp_ps(x, spread(TFRS_EXP_LOWEST), _CMP_LT_OQ);
	__m256		high = _mm256_cmp_ps(x, spread(TFRS_EXP_HIGHEST), _CMP_GT_OQ);

	return _mm256_andnot_ps(low, _mm256_blendv_ps(e, spread(INFINITY), high));
}

SIMD wide
wide_zero(void)
{
	wide		zero = {_mm256_setzero_pd(), _mm256_setzero_pd()};

	return zero;
}

SIMD wide
wide_add(wide sum, vector x)
{
	sum.low = _mm256_add_pd(sum.low, _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
	sum.high = _mm256_add_pd(sum.high, _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
	return sum;
}

SIMD double
wide_total(wide x)
{
	__m256d		four = _mm256_add_pd(x.low, x.high);
	__m128d		two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Widened to int16: the shorter way over maddubs would saturate. */
SIMD __m256i
add_int8_products(__m256i sum, const int8_t *x, const int8_t *y)
{
	__m256i		x16 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) x));
	__m256i		y16 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) y));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(x16, y16));
}

KERNEL int32_t
dot_int8(const int8_t *x, const int8_t *y, size_t dim)
{
	__m256i		even = _mm256_setzero_si256();
	__m256i		odd = _mm256_setzero_si256();
	int32_t		lane[LANES];
	int32_t		sum = 0;
	size_t		i = 0;

	for (; i + 32 <= dim; i += 32)
	{
		even = add_int8_products(even, x + i, y + i);
		odd = add_int8_products(odd, x + i + 16, y + i + 16);
	}
	if (i + 16 <= dim)
	{
		even = add_int8_products(even, x + i, y + i);
		i += 16;
	}
	_mm256_storeu_si256((__m256i *) lane, _mm256_add_epi32(even, odd));
	for (size_t j = 0; j < LANES; j++)
		sum += lane[j];
	for (; i < dim; i++)
		sum += (int32_t) x[i] * (int32_t) y[i];
	return sum;
}

/*
 * Bytes are summed as 16-bit numbers: *all gets the even bytes plus 256 times the odd ones, *odd
 * the odd ones alone, so the even ones are *all - (*odd << 8), whatever overflowed.
 */
SIMD void
add_bytes(__m256i *all, __m256i *odd, __m256i bytes)
{
	*all = _mm256_add_epi16(*all, bytes);
	*odd = _mm256_add_epi16(*odd, _mm256_srli_epi16(bytes, 8));
}

SIMD __m256i
look_up(const uint8_t *table, __m256i codes)
{
	__m256i		both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) table));

	return _mm256_shuffle_epi8(both, codes);
}

/* x >= y for unsigned numbers: the larger one is x. */
SIMD __m256i
at_least(__m256i x, __m256i y)
{
	return _mm256_cmpeq_epi16(_mm256_max_epu16(x, y), x);
}

/* One bit for each of 32 sums; packing swaps the middle quarters, permuting puts them back. */
SIMD uint32_t
find_hits(__m256i first, __m256i second, uint16_t threshold)
{
	__m256i		bound = _mm256_set1_epi16((short) threshold);
	__m256i		bytes = _mm256_packs_epi16(at_least(first, bound), at_least(second, bound));

	return (uint32_t) _mm256_movemask_epi8(_mm256_permute4x64_epi64(bytes, 0xd8));
}

KERNEL void
scan_codes(const tfrs_code_scan *scan)
{
	const __m256i nibble = _mm256_set1_epi8(15);
	size_t		pairs = scan->codes / 2;

	for (size_t b = 0; b < scan->count; b++)
	{
		const uint8_t *block = scan->blocks + b * pairs * 32;
		uint16_t   *sums = scan->sums + b * TFRS_CODE_ROWS;
		__m256i		all = _mm256_setzero_si256();
		__m256i		odd = _mm256_setzero_si256();
		__m256i		even;

		for (size_t p = 0; p < pairs; p++)
		{
			__m256i		bytes = _mm256_loadu_si256((const __m256i *) (block + p * 32));
			__m256i		upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);

			add_bytes(&all, &odd, look_up(scan->tables + p * 32, _mm256_and_si256(bytes, nibble)));
			add_bytes(&all, &odd, look_up(scan->tables + p * 32 + 16, upper));
		}
		even = _mm256_sub_epi16(all, _mm256_slli_epi16(odd, 8));
		_mm256_storeu_si256((__m256i *) sums, even);
		_mm256_storeu_si256((__m256i *) (sums + 16), odd);
		scan->hits[b] = find_hits(even, odd, scan->thresholds[b]);
	}
}

#include "base/kernels_vector.h"

const tfrs_kernel_table *
tfrs_kernels_avx2(void)
{
	/* The builtin looks at the operating system's part too. */
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &variant : NULL;
}

#else

const tfrs_kernel_table *
tfrs_kernels_avx2(void)
{
	return NULL;
}

#endif
