/*
 * kernels_avx512.c: the inner loops for AVX-512 with VNNI (Intel since 2019, AMD since 2022).
 *
 * Older AVX-512 processors are left to kernels_avx2.c: they lack the int8 products, and many of
 * them lower their clock so far for 512-bit registers that little is gained.
 */
#include "base/kernels_avx512.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>

#define TARGET "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
#define KERNEL static __attribute__((target(TARGET)))
#define SIMD static inline __attribute__((target(TARGET), always_inline))

#define VARIANT_NAME "avx512"
#define LANES 16
#define SUMS 2
#define TILE_ROWS 8
#define TILE_VECTORS 2

typedef __m512 vector;

typedef struct wide
{
	__m512d		low;
	__m512d		high;
} wide;

SIMD __mmask16
first_lanes(size_t count)
{
	return (__mmask16) ((1u << count) - 1);
}

SIMD vector
load(const float *from)
{
	return _mm512_loadu_ps(from);
}

SIMD vector
load_part(const float *from, size_t count)
{
	return _mm512_maskz_loadu_ps(first_lanes(count), from);
}

SIMD void
store(float *to, vector x)
{
	_mm512_storeu_ps(to, x);
}

SIMD void
store_part(float *to, vector x, size_t count)
{
	_mm512_mask_storeu_ps(to, first_lanes(count), x);
}

SIMD vector
spread(float x)
{
	return _mm512_set1_ps(x);
}

SIMD vector
add(vector x, vector y)
{
	return _mm512_add_ps(x, y);
}

SIMD vector
subtract(vector x, vector y)
{
	return _mm512_sub_ps(x, y);
}

SIMD vector
multiply(vector x, vector y)
{
	return _mm512_mul_ps(x, y);
}

/* x y + z, rounded once */
SIMD vector
multiply_add(vector x, vector y, vector z)
{
	return _mm512_fmadd_ps(x, y, z);
}

SIMD vector
larger(vector x, vector y)
{
	return _mm512_max_ps(x, y);
}

/* y where either is NaN */
SIMD vector
smaller(vector x, vector y)
{
	return _mm512_min_ps(x, y);
}

SIMD float
largest_lane(vector x)
{
	return _mm512_reduce_max_ps(x);
}

SIMD __m256
add_halves(vector x)
{
	return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

/* The totals of four registers. */
SIMD void
store_four_totals(float *to, const vector *x)
{
	__m256		first = _mm256_hadd_ps(add_halves(x[0]), add_halves(x[1]));
	__m256		second = _mm256_hadd_ps(add_halves(x[2]), add_halves(x[3]));
	__m256		quarters = _mm256_hadd_ps(first, second);

	_mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(quarters),
								 _mm256_extractf128_ps(quarters, 1)));
}

/* In store_four_totals' order. */
SIMD float
total(vector x)
{
	__m256		half = add_halves(x);
	__m256		quarters = _mm256_hadd_ps(_mm256_hadd_ps(half, half), half);

	return _mm_cvtss_f32(_mm_add_ps(_mm256_castps256_ps128(quarters),
									_mm256_extractf128_ps(quarters, 1)));
}

SIMD vector
nearest(vector x)
{
	return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x 2^n */
SIMD vector
multiply_power(vector x, vector n)
{
	return _mm512_scalef_ps(x, n);
}

/* e = exp(x), or 0 or infinity where x is outside the range of exponential. */
SIMD vector
keep_range(vector x, vector e)
{
	__mmask16	not_low = _mm512_cmp_ps_mask(x, spread(TFRS_EXP_LOWEST), _CMP_NLT_UQ);
	__mmask16	high = _mm512_cmp_ps_mask(x, spread(TFRS_EXP_HIGHEST), _CMP_GT_OQ);

	return _mm512_maskz_mov_ps(not_low, _mm512_mask_mov_ps(e, high, spread(INFINITY)));
}

SIMD wide
wide_zero(void)
{
	wide		zero = {_mm512_setzero_pd(), _mm512_setzero_pd()};

	return zero;
}

SIMD wide
wide_add(wide sum, vector x)
{
	sum.low = _mm512_add_pd(sum.low, _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
	sum.high = _mm512_add_pd(sum.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
	return sum;
}

SIMD double
wide_total(wide x)
{
	__m512d		eight = _mm512_add_pd(x.low, x.high);
	__m256d		four = _mm256_add_pd(_mm512_castpd512_pd256(eight),
									 _mm512_extractf64x4_pd(eight, 1));
	__m128d		two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));

	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/*
 * The instruction multiplies unsigned by signed bytes, so it is given x + 128; 128 times the sum of
 * y is taken off again.  Both sums wrap around, which their difference does not feel.
 */
KERNEL int32_t
dot_int8(const int8_t *x, const int8_t *y, size_t dim)
{
	const __m512i half = _mm512_set1_epi8(-128);
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i		shifted = _mm512_setzero_si512();
	__m512i		y_sum = _mm512_setzero_si512();

	for (size_t i = 0; i < dim; i += 64)
	{
		size_t		left = dim - i;
		__mmask64	mask = left >= 64 ? ~(__mmask64) 0 : ((__mmask64) 1 << left) - 1;
		__m512i		x8 = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x + i), half);
		__m512i		y8 = _mm512_maskz_loadu_epi8(mask, y + i);

		shifted = _mm512_dpbusd_epi32(shifted, x8, y8);
		y_sum = _mm512_dpbusd_epi32(y_sum, ones, y8);
	}
	return _mm512_reduce_add_epi32(_mm512_sub_epi32(shifted, _mm512_slli_epi32(y_sum, 7)));
}

/*
 * Four codes of 32 rows lie in one register: codes 0 and 1 in its lower half, 2 and 3 in its upper.
 * The tables are spread to match: lanes [t0 t0 t2 t2] for the low halves of the bytes and
 * [t1 t1 t3 t3] for the high ones.
 */
SIMD void
spread_tables(const tfrs_code_scan *scan, __m512i *low, __m512i *high)
{
	for (size_t g = 0; g < scan->codes / 4; g++)
	{
		__m512i		four = _mm512_loadu_si512(scan->tables + g * 64);

		low[g] = _mm512_shuffle_i64x2(four, four, 0xa0);
		high[g] = _mm512_shuffle_i64x2(four, four, 0xf5);
	}
}

/*
 * Bytes are summed as 16-bit numbers: *all gets the even bytes plus 256 times the odd ones, *odd
 * the odd ones alone, so the even ones are *all - (*odd << 8), whatever overflowed.
 */
SIMD void
add_bytes(__m512i *all, __m512i *odd, __m512i bytes)
{
	*all = _mm512_add_epi16(*all, bytes);
	*odd = _mm512_add_epi16(*odd, _mm512_srli_epi16(bytes, 8));
}

SIMD __m256i
fold_rows(__m512i x)
{
	return _mm256_add_epi16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
}

KERNEL void
scan_codes(const tfrs_code_scan *scan)
{
	const __m512i nibble = _mm512_set1_epi8(15);
	__m512i		low[TFRS_MAX_CODES / 4];
	__m512i		high[TFRS_MAX_CODES / 4];
	size_t		groups = scan->codes / 4;

	spread_tables(scan, low, high);
	for (size_t b = 0; b < scan->count; b++)
	{
		const uint8_t *block = scan->blocks + b * groups * 64;
		__m512i		all = _mm512_setzero_si512();
		__m512i		odd = _mm512_setzero_si512();
		__m512i		sums;
		__m256i		odd_rows;
		__m256i		even_rows;

		for (size_t g = 0; g < groups; g++)
		{
			__m512i		bytes = _mm512_loadu_si512(block + g * 64);
			__m512i		upper = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble);

			add_bytes(&all, &odd, _mm512_shuffle_epi8(low[g], _mm512_and_si512(bytes, nibble)));
			add_bytes(&all, &odd, _mm512_shuffle_epi8(high[g], upper));
		}
		odd_rows = fold_rows(odd);
		even_rows = _mm256_sub_epi16(fold_rows(all), _mm256_slli_epi16(odd_rows, 8));
		sums = _mm512_inserti64x4(_mm512_castsi256_si512(even_rows), odd_rows, 1);
		_mm512_storeu_si512(scan->sums + b * TFRS_CODE_ROWS, sums);
		scan->hits[b] = _mm512_cmpge_epu16_mask(sums,
												_mm512_set1_epi16((short) scan->thresholds[b]));
	}
}

#include "base/kernels_vector.h"

const tfrs_kernel_table *
tfrs_kernels_avx512(void)
{
	/* The builtin looks at the operating system's part too. */
	bool		runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512vnni");

	return runs ? &variant : NULL;
}

#else

const tfrs_kernel_table *
tfrs_kernels_avx512(void)
{
	return NULL;
}

#endif
