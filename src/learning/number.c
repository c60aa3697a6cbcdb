/*
 * number.c: moments, quantiles and buckets.
 */
#include "learning/number.h"

#include <math.h>

/* Two passes over scaled values, so that squares neither overflow nor lose the small differences
 * of large numbers. */
tfrs_moments
tfrs_moments_of(const double *values, size_t count)
{
	tfrs_moments moments = {0.0, count == 0};
	double		largest = 0.0;
	double		sum = 0.0;

	for (size_t i = 0; i < count; i++)
		moments.mean += (values[i] - moments.mean) / (double) (i + 1);
	for (size_t i = 0; i < count; i++)
		largest = fmax(largest, fabs(values[i] - moments.mean));
	if (largest == 0.0)
		return moments;
	for (size_t i = 0; i < count; i++)
	{
		double		share = (values[i] - moments.mean) / largest;

		sum += share * share;
	}
	moments.variance = sum / (double) count * largest * largest;
	return moments;
}

double
tfrs_moments_standardize(const tfrs_moments *moments, double value)
{
	return (value - moments->mean) / fmax(sqrt(moments->variance), TFRS_LEAST_DEVIATION);
}

/* The value at a position (from 0) among all, equal ones side by side. */
static double
value_at(const double *sorted, const uint64_t *through, size_t count, uint64_t position)
{
	size_t		low = 0;
	size_t		high = count;

	if (through == NULL)
		return sorted[position];
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (through[middle] <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return sorted[low];
}

/* Floor and fraction of j n / bins are taken in whole numbers: a rounding above a whole position
 * would move the value that equals the boundary one bin down. */
size_t
tfrs_quantiles(const double *sorted, const uint64_t *through, size_t count, size_t bins,
			   double *boundaries)
{
	uint64_t	all = through == NULL || count == 0 ? count : through[count - 1];

	if (all < bins)
	{
		size_t		kept = all > 0 ? (size_t) all - 1 : 0;

		for (size_t i = 0; i < kept; i++)
			boundaries[i] = value_at(sorted, through, count, i);
		return kept;
	}
	for (size_t j = 1; j < bins; j++)
	{
		uint64_t	whole = j * all / bins;
		double		fraction = (double) (j * all % bins) / (double) bins;
		double		below = value_at(sorted, through, count, whole - 1);

		boundaries[j - 1] = below;
		if (fraction > 0.0)
			boundaries[j - 1] += fraction * (value_at(sorted, through, count, whole) - below);
	}
	return bins - 1;
}

uint32_t
tfrs_bucket(const double *boundaries, size_t count, double value)
{
	size_t		low = 0;
	size_t		high = count;

	if (isnan(value))
		return (uint32_t) count;
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (boundaries[middle] <= value)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t) low;
}
