/*
 * kernels_reference.c: the inner loops in plain C.
 *
 * The truth that the accelerated variants are compared with, and what runs where there is none.
 * Sums go over a fixed number of lanes, which the compiler may turn into vector registers without
 * being allowed to reorder anything, and which loses less precision than one running sum.
 */
#include "base/kernels_reference.h"

#include <math.h>
#include <string.h>

#define LANES 8

#define TILE_ROWS 4
#define TILE_COLUMNS 8

static float
sum_lanes(const float *lane)
{
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
		((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static float
dot(const float *x, const float *y, size_t dim)
{
	float		lane[LANES] = {0};
	size_t		i = 0;

	for (; i + LANES <= dim; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			lane[j] += x[i + j] * y[i + j];
	for (size_t j = 0; i + j < dim; j++)
		lane[j] += x[i + j] * y[i + j];
	return sum_lanes(lane);
}

static float
squared_distance(const float *x, const float *y, size_t dim)
{
	float		lane[LANES] = {0};
	size_t		i = 0;

	for (; i + LANES <= dim; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			lane[j] += (x[i + j] - y[i + j]) * (x[i + j] - y[i + j]);
	for (size_t j = 0; i + j < dim; j++)
		lane[j] += (x[i + j] - y[i + j]) * (x[i + j] - y[i + j]);
	return sum_lanes(lane);
}

static void
dot_rows(const float *query, const float *rows_start, size_t rows, size_t dim, float *scores)
{
	for (size_t r = 0; r < rows; r++)
		scores[r] = dot(query, rows_start + r * dim, dim);
}

static float
maximum(const float *values, size_t count)
{
	float		result = -INFINITY;

	for (size_t i = 0; i < count; i++)
		result = values[i] > result ? values[i] : result;
	return result;
}

/* By kernels_reference.h's formula; NaN comes back as NaN. */
static float
exponential(float x)
{
	float		scaled = x * TFRS_EXP_PER_LN2;
	float		r;
	float		p = TFRS_EXP_C5;
	int32_t		n;
	int32_t		bits;

	if (isnan(x))
		return x;
	if (x < TFRS_EXP_LOWEST)
		return 0.0f;
	if (x > TFRS_EXP_HIGHEST)
		return INFINITY;
	n = (int32_t) (scaled + (scaled < 0.0f ? -0.5f : 0.5f));
	r = x - (float) n * TFRS_EXP_LN2_HIGH - (float) n * TFRS_EXP_LN2_LOW;
	p = p * r + TFRS_EXP_C4;
	p = p * r + TFRS_EXP_C3;
	p = p * r + TFRS_EXP_C2;
	p = p * (r * r) + r + 1.0f;
	memcpy(&bits, &p, sizeof(bits));
	bits += n * (1 << 23);
	memcpy(&p, &bits, sizeof(p));
	return p;
}

static double
sum_in_double(const float *values, size_t count)
{
	double		lane[LANES] = {0};

	for (size_t i = 0; i < count; i++)
		lane[i % LANES] += (double) values[i];
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
		((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static double
exp_sum(float *values, size_t count, float shift)
{
	for (size_t i = 0; i < count; i++)
		values[i] = exponential(values[i] - shift);
	return sum_in_double(values, count);
}

static double
weighted_exp_sum(float *values, const float *weights, size_t count, float shift)
{
	for (size_t i = 0; i < count; i++)
		values[i] = weights[i] * exponential(values[i] - shift);
	return sum_in_double(values, count);
}

static void
add_scaled(float *y, const float *x, size_t count, float scale)
{
	for (size_t i = 0; i < count; i++)
		y[i] += scale * x[i];
}

static int32_t
dot_int8(const int8_t *x, const int8_t *y, size_t dim)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < dim; i++)
		sum += (int32_t) x[i] * (int32_t) y[i];
	return sum;
}

_Static_assert(TILE_ROWS <= TFRS_MAX_TILE_ROWS && TILE_COLUMNS <= TFRS_MAX_TILE_COLUMNS,
			   "matmul's buffers must hold the tile");

static void
add_codes(const uint8_t *tables, const uint8_t *bytes, uint16_t *sums)
{
	for (size_t i = 0; i < TFRS_CODE_ROWS; i++)
		sums[i / 2 + i % 2 * 16] += tables[bytes[i] & 15] + tables[16 + (bytes[i] >> 4)];
}

static void
scan_codes(const tfrs_code_scan *scan)
{
	for (size_t b = 0; b < scan->count; b++)
	{
		const uint8_t *block = scan->blocks + b * scan->codes * 16;
		uint16_t   *sums = scan->sums + b * TFRS_CODE_ROWS;

		memset(sums, 0, TFRS_CODE_ROWS * sizeof(*sums));
		for (size_t p = 0; p < scan->codes / 2; p++)
			add_codes(scan->tables + p * 32, block + p * 32, sums);
		scan->hits[b] = 0;
		for (size_t r = 0; r < TFRS_CODE_ROWS; r++)
			scan->hits[b] |= (uint32_t) (sums[r] >= scan->thresholds[b]) << r;
	}
}

static void
matmul_tile(const float *a, const float *b, size_t depth, float *tile)
{
	float		sum[TILE_ROWS][TILE_COLUMNS] = {{0}};

	for (size_t p = 0; p < depth; p++)
		for (size_t i = 0; i < TILE_ROWS; i++)
			for (size_t j = 0; j < TILE_COLUMNS; j++)
				sum[i][j] += a[p * TILE_ROWS + i] * b[p * TILE_COLUMNS + j];
	memcpy(tile, sum, sizeof(sum));
}

const tfrs_kernel_table tfrs_kernels_reference = {
	.name = "reference",
	.dot = dot,
	.squared_distance = squared_distance,
	.dot_rows = dot_rows,
	.maximum = maximum,
	.exp_sum = exp_sum,
	.weighted_exp_sum = weighted_exp_sum,
	.add_scaled = add_scaled,
	.dot_int8 = dot_int8,
	.scan_codes = scan_codes,
	.tile_rows = TILE_ROWS,
	.tile_columns = TILE_COLUMNS,
	.matmul_tile = matmul_tile
};
