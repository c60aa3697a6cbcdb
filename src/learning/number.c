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

/* Floor and fraction of j n / bins are taken in whole numbers: a rounding above a whole position
 * would move the value that equals the boundary one bin down. */
size_t
tfrs_quantiles(const double *sorted, size_t count, size_t bins, double *boundaries)
{
	if (count < bins)
	{
		size_t		kept = count > 0 ? count - 1 : 0;

		for (size_t i = 0; i < kept; i++)
			boundaries[i] = sorted[i];
		return kept;
	}
	for (size_t j = 1; j < bins; j++)
	{
		size_t		whole = j * count / bins;
		double		fraction = (double) (j * count % bins) / (double) bins;

		boundaries[j - 1] = sorted[whole - 1];
		if (fraction > 0.0)
			boundaries[j - 1] += fraction * (sorted[whole] - sorted[whole - 1]);
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
