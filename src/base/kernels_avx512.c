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
