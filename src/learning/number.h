/*
 * number.h: what a column of numbers is turned into: a standardized number, or a bucket.
 *
 *     standardized   (x - mean) / max(deviation, 1e-7), the deviation being that of the population
 *                    (Keras's Normalization)
 *     bucket         how many boundaries are <= x; NaN is in the last (Keras's Discretization)
 *     boundaries     by quantiles: j = 1 .. bins - 1, position j n / bins - 1 in the sorted values,
 *                    linear between neighbours.  Keras approximates these; they are exact here.
 *
 * All of it is computed in double precision: a timestamp in float32 has lost its minutes.
 */
#ifndef TFRS_NUMBER_H
#define TFRS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The smallest deviation that is divided by. */
#define TFRS_LEAST_DEVIATION 1e-7

typedef struct tfrs_moments
{
	double		mean;
	double		variance;		/* of the population */
} tfrs_moments;

/* Over count values, each finite; no values: mean 0, variance 1. */
extern tfrs_moments tfrs_moments_of(const double *values, size_t count);

extern double tfrs_moments_standardize(const tfrs_moments *moments, double value);

/*
 * Boundaries of so many bins (> 0) over count values in ascending order, none of them NaN, into
 * room for bins - 1.  through (count): how many values there are up to each, where a value stands
 * for several equal ones; NULL: each for one.  Returns how many boundaries there are: bins - 1, or
 * one fewer than the values where there are fewer values than bins.
 */
extern size_t tfrs_quantiles(const double *sorted, const uint64_t *through, size_t count,
							 size_t bins, double *boundaries);

/* The bucket of a value: 0 .. count; boundaries are in ascending order. */
extern uint32_t tfrs_bucket(const double *boundaries, size_t count, double value);

#endif							/* TFRS_NUMBER_H */
