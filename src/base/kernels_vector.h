/*
 * kernels_vector.h: the inner loops over vector registers, written once for all instruction sets.
 *
 * Not a usual header: kernels_avx2.c, kernels_avx512.c and kernels_neon.c each include it once, at
 * their end, to get a tfrs_kernel_table named variant.  Before that they define
 *
 *     vector, LANES               a register of floats, and how many it holds
 *     wide                        as many doubles
 *     SIMD, KERNEL                storage class and target of an inlined and of a whole function
 *     SUMS                        running sums of a row: a sum waits only for its own last term
 *     TILE_ROWS, TILE_VECTORS     the tile of matmul_tile, in rows and in registers a row
 *     VARIANT_NAME, dot_int8, scan_codes  the rest of the table
 *
 * and the operations on a register that are used below, each one or two instructions.  Nothing
 * here touches memory past count: the end of an array goes through load_part and store_part, which
 * take 1 .. LANES - 1 floats (the other lanes are 0).
 */
#ifndef TFRS_KERNELS_VECTOR_H
#define TFRS_KERNELS_VECTOR_H

#include <stdbool.h>

/* Rows that dot_rows takes at once: they hide each other's latency and share the query's loads. */
#define ROWS_AT_ONCE 4

/* Floats of a cache line, and how far ahead of its use memory is asked for. */
#define LINE 16
#define PREFETCH_BYTES 4096

SIMD vector
add_term(vector sum, vector x, vector y, bool distance)
{
	vector		left = distance ? subtract(x, y) : x;

	return multiply_add(left, distance ? left : y, sum);
}

/* Asks for what a scan reads next; the processor's own prefetching stops at each page's end. */
SIMD void
prefetch_ahead(const float *at)
{
	for (size_t i = 0; i < SUMS * LANES; i += LINE)
		__builtin_prefetch((const char *) ((uintptr_t) (at + i) + PREFETCH_BYTES));
}

/*
 * sum[r] = lanes whose total is x . y_r, or |x - y_r|^2, for rows consecutive vectors y_r.  What is
 * added to what does not depend on rows, so one row alone gives the same bits.
 */
SIMD void
sum_terms(const float *x, const float *y, size_t dim, size_t rows, bool distance, vector *sum)
{
	vector		part[ROWS_AT_ONCE][SUMS];
	size_t		i = 0;

	for (size_t r = 0; r < rows; r++)
		for (size_t s = 0; s < SUMS; s++)
			part[r][s] = spread(0.0f);
	for (; i + SUMS * LANES <= dim; i += SUMS * LANES)
		for (size_t r = 0; r < rows; r++)
		{
			const float *at = y + r * dim + i;

			if (rows > 1)
				prefetch_ahead(at);
			for (size_t s = 0; s < SUMS; s++)
				part[r][s] = add_term(part[r][s], load(x + i + s * LANES), load(at + s * LANES),
									  distance);
		}
	for (size_t s = 0; s < SUMS - 1; s++)
		if (i + LANES <= dim)
		{
			for (size_t r = 0; r < rows; r++)
				part[r][s] = add_term(part[r][s], load(x + i), load(y + r * dim + i), distance);
			i += LANES;
		}
	if (i < dim)
		for (size_t r = 0; r < rows; r++)
			part[r][SUMS - 1] = add_term(part[r][SUMS - 1], load_part(x + i, dim - i),
										 load_part(y + r * dim + i, dim - i), distance);
	for (size_t r = 0; r < rows; r++)
	{
		sum[r] = part[r][0];
		for (size_t s = 1; s < SUMS; s++)
			sum[r] = add(sum[r], part[r][s]);
	}
}

KERNEL float
dot(const float *x, const float *y, size_t dim)
{
	vector		sum;

	sum_terms(x, y, dim, 1, false, &sum);
	return total(sum);
}

KERNEL float
squared_distance(const float *x, const float *y, size_t dim)
{
	vector		sum;

	sum_terms(x, y, dim, 1, true, &sum);
	return total(sum);
}

KERNEL void
dot_rows(const float *query, const float *rows_start, size_t rows, size_t dim, float *scores)
{
	vector		sum[ROWS_AT_ONCE];
	size_t		r = 0;

	for (; r + ROWS_AT_ONCE <= rows; r += ROWS_AT_ONCE)
	{
		sum_terms(query, rows_start + r * dim, dim, ROWS_AT_ONCE, false, sum);
		store_four_totals(scores + r, sum);
	}
	for (; r < rows; r++)
		scores[r] = dot(query, rows_start + r * dim, dim);
}

KERNEL float
maximum(const float *values, size_t count)
{
	float		result = -INFINITY;

	if (count >= LANES)
	{
		vector		largest = load(values + count - LANES);

		for (size_t i = 0; i + LANES <= count; i += LANES)
			largest = larger(largest, load(values + i));
		return largest_lane(largest);
	}
	for (size_t i = 0; i < count; i++)
		result = values[i] > result ? values[i] : result;
	return result;
}

/* As exponential in kernels_reference.c. */
SIMD vector
exponential(vector x)
{
	vector		inside = smaller(spread(TFRS_EXP_HIGHEST), x);
	vector		n = nearest(multiply(inside, spread(TFRS_EXP_PER_LN2)));
	vector		r = multiply_add(n, spread(-TFRS_EXP_LN2_HIGH), inside);
	vector		p = spread(TFRS_EXP_C5);

	r = multiply_add(n, spread(-TFRS_EXP_LN2_LOW), r);
	p = multiply_add(p, r, spread(TFRS_EXP_C4));
	p = multiply_add(p, r, spread(TFRS_EXP_C3));
	p = multiply_add(p, r, spread(TFRS_EXP_C2));
	p = multiply_add(p, multiply(r, r), r);
	return keep_range(x, multiply_power(add(p, spread(1.0f)), n));
}

SIMD double
sum_exponentials(float *values, const float *weights, size_t count, float shift)
{
	wide		sum = wide_zero();
	vector		e;
	size_t		i = 0;

	for (; i + LANES <= count; i += LANES)
	{
		e = exponential(subtract(load(values + i), spread(shift)));
		if (weights != NULL)
			e = multiply(load(weights + i), e);
		store(values + i, e);
		sum = wide_add(sum, e);
	}
	if (i < count)
	{
		e = exponential(subtract(load_part(values + i, count - i), spread(shift)));
		if (weights != NULL)
			e = multiply(load_part(weights + i, count - i), e);
		store_part(values + i, e, count - i);
		sum = wide_add(sum, load_part(values + i, count - i));	/* without the unused lanes */
	}
	return wide_total(sum);
}

KERNEL double
exp_sum(float *values, size_t count, float shift)
{
	return sum_exponentials(values, NULL, count, shift);
}

KERNEL double
weighted_exp_sum(float *values, const float *weights, size_t count, float shift)
{
	return sum_exponentials(values, weights, count, shift);
}

KERNEL void
add_scaled(float *y, const float *x, size_t count, float scale)
{
	size_t		i = 0;

	for (; i + LANES <= count; i += LANES)
		store(y + i, multiply_add(spread(scale), load(x + i), load(y + i)));
	if (i < count)
		store_part(y + i, multiply_add(spread(scale), load_part(x + i, count - i),
									   load_part(y + i, count - i)), count - i);
}

_Static_assert(TILE_ROWS <= TFRS_MAX_TILE_ROWS && TILE_VECTORS * LANES <= TFRS_MAX_TILE_COLUMNS,
			   "matmul's buffers must hold the tile");

KERNEL void
matmul_tile(const float *a, const float *b, size_t depth, float *tile)
{
	vector		sum[TILE_ROWS][TILE_VECTORS];

	for (size_t i = 0; i < TILE_ROWS; i++)
		for (size_t j = 0; j < TILE_VECTORS; j++)
			sum[i][j] = spread(0.0f);
	for (size_t p = 0; p < depth; p++)
	{
		for (size_t i = 0; i < TILE_ROWS; i++)
			for (size_t j = 0; j < TILE_VECTORS; j++)
				sum[i][j] = multiply_add(spread(a[i]), load(b + j * LANES), sum[i][j]);
		a += TILE_ROWS;
		b += TILE_VECTORS * LANES;
	}
	for (size_t i = 0; i < TILE_ROWS; i++)
		for (size_t j = 0; j < TILE_VECTORS; j++)
			store(tile + (i * TILE_VECTORS + j) * LANES, sum[i][j]);
}

static const tfrs_kernel_table variant = {
	.name = VARIANT_NAME,
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
	.tile_columns = TILE_VECTORS * LANES,
	.matmul_tile = matmul_tile
};

#endif							/* TFRS_KERNELS_VECTOR_H */
