/*
 * kernels_neon.c: the inner loops for aarch64, whose every processor has NEON.
 */
#include "base/kernels_neon.h"

#if defined(__aarch64__)

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define KERNEL static
#define SIMD static inline __attribute__((always_inline))

#define VARIANT_NAME "neon"
#define LANES 4
#define SUMS 4
#define TILE_ROWS 6
#define TILE_VECTORS 4

typedef float32x4_t vector;

typedef struct wide
{
	float64x2_t low;
	float64x2_t high;
} wide;

SIMD vector
load(const float *from)
{
	return vld1q_f32(from);
}

SIMD vector
load_part(const float *from, size_t count)
{
	float		lane[LANES] = {0};

	memcpy(lane, from, count * sizeof(float));
	return vld1q_f32(lane);
}

SIMD void
store(float *to, vector x)
{
	vst1q_f32(to, x);
}

SIMD void
store_part(float *to, vector x, size_t count)
{
	float		lane[LANES];

	vst1q_f32(lane, x);
	memcpy(to, lane, count * sizeof(float));
}

SIMD vector
spread(float x)
{
	return vdupq_n_f32(x);
}

SIMD vector
add(vector x, vector y)
{
	return vaddq_f32(x, y);
}

SIMD vector
subtract(vector x, vector y)
{
	return vsubq_f32(x, y);
}

SIMD vector
multiply(vector x, vector y)
{
	return vmulq_f32(x, y);
}

/* x y + z, rounded once */
SIMD vector
multiply_add(vector x, vector y, vector z)
{
	return vfmaq_f32(z, x, y);
}

SIMD vector
larger(vector x, vector y)
{
	return vmaxq_f32(x, y);
}

/* NaN where either is */
SIMD vector
smaller(vector x, vector y)
{
	return vminq_f32(x, y);
}

SIMD float
largest_lane(vector x)
{
	return vmaxvq_f32(x);
}

SIMD float
total(vector x)
{
	return vaddvq_f32(x);
}

/* The totals of four registers, pairwise as total. */
SIMD void
store_four_totals(float *to, const vector *x)
{
	vst1q_f32(to, vpaddq_f32(vpaddq_f32(x[0], x[1]), vpaddq_f32(x[2], x[3])));
}

SIMD vector
nearest(vector x)
{
	return vrndnq_f32(x);
}

/* x 2^n, where both are normal numbers; NaN stays NaN */
SIMD vector
multiply_power(vector x, vector n)
{
	int32x4_t	exponent = vshlq_n_s32(vcvtq_s32_f32(n), 23);

	return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), exponent));
}

/* e = exp(x), or 0 or infinity where x is outside the range of exponential. */
SIMD vector
keep_range(vector x, vector e)
{
	uint32x4_t	low = vcltq_f32(x, spread(TFRS_EXP_LOWEST));
	uint32x4_t	high = vcgtq_f32(x, spread(TFRS_EXP_HIGHEST));

	return vbslq_f32(low, spread(0.0f), vbslq_f32(high, spread(INFINITY), e));
}

SIMD wide
wide_zero(void)
{
	wide		zero = {vdupq_n_f64(0.0), vdupq_n_f64(0.0)};

	return zero;
}

SIMD wide
wide_add(wide sum, vector x)
{
	sum.low = vaddq_f64(sum.low, vcvt_f64_f32(vget_low_f32(x)));
	sum.high = vaddq_f64(sum.high, vcvt_high_f64_f32(x));
	return sum;
}

SIMD double
wide_total(wide x)
{
	return vaddvq_f64(vaddq_f64(x.low, x.high));
}

KERNEL int32_t
dot_int8(const int8_t *x, const int8_t *y, size_t dim)
{
	int32x4_t	lanes = vdupq_n_s32(0);
	int32_t		sum;
	size_t		i = 0;

	for (; i + 16 <= dim; i += 16)
	{
		int8x16_t	x8 = vld1q_s8(x + i);
		int8x16_t	y8 = vld1q_s8(y + i);

		lanes = vpadalq_s16(lanes, vmull_s8(vget_low_s8(x8), vget_low_s8(y8)));
		lanes = vpadalq_s16(lanes, vmull_high_s8(x8, y8));
	}
	sum = vaddvq_s32(lanes);
	for (; i < dim; i++)
		sum += (int32_t) x[i] * (int32_t) y[i];
	return sum;
}

/* 16 bytes of a pair of codes: adds what they are worth to the sums of 8 even and 8 odd rows. */
SIMD void
add_codes(uint16x8_t *even, uint16x8_t *odd, const uint8_t *tables, const uint8_t *bytes)
{
	uint8x16_t	both = vld1q_u8(bytes);
	uint8x16_t	low = vqtbl1q_u8(vld1q_u8(tables), vandq_u8(both, vdupq_n_u8(15)));
	uint8x16_t	high = vqtbl1q_u8(vld1q_u8(tables + 16), vshrq_n_u8(both, 4));
	uint16x8_t	even_bytes = vdupq_n_u16(255);

	*even = vaddq_u16(*even, vandq_u16(vreinterpretq_u16_u8(low), even_bytes));
	*even = vaddq_u16(*even, vandq_u16(vreinterpretq_u16_u8(high), even_bytes));
	*odd = vsraq_n_u16(*odd, vreinterpretq_u16_u8(low), 8);
	*odd = vsraq_n_u16(*odd, vreinterpretq_u16_u8(high), 8);
}

SIMD uint32_t
find_hits(uint16x8_t sums, uint16_t threshold)
{
	static const uint16_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};

	return vaddvq_u16(vandq_u16(vcgeq_u16(sums, vdupq_n_u16(threshold)), vld1q_u16(bits)));
}

KERNEL void
scan_codes(const tfrs_code_scan *scan)
{
	size_t		pairs = scan->codes / 2;

	for (size_t b = 0; b < scan->count; b++)
	{
		const uint8_t *block = scan->blocks + b * pairs * 32;
		uint16x8_t	sums[4];	/* even rows 0 .. 7 and 8 .. 15, odd rows 16 .. 23 and 24 .. 31 */

		for (int i = 0; i < 4; i++)
			sums[i] = vdupq_n_u16(0);
		for (size_t p = 0; p < pairs; p++)
		{
			add_codes(&sums[0], &sums[2], scan->tables + p * 32, block + p * 32);
			add_codes(&sums[1], &sums[3], scan->tables + p * 32, block + p * 32 + 16);
		}
		scan->hits[b] = 0;
		for (int i = 0; i < 4; i++)
		{
			vst1q_u16(scan->sums + b * TFRS_CODE_ROWS + i * 8, sums[i]);
			scan->hits[b] |= find_hits(sums[i], scan->thresholds[b]) << (i * 8);
		}
	}
}

#include "base/kernels_vector.h"

const tfrs_kernel_table *
tfrs_kernels_neon(void)
{
	return &variant;
}

#else

const tfrs_kernel_table *
tfrs_kernels_neon(void)
{
	return NULL;
}

#endif
