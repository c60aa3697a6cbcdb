/*
 * normalize.c: L2 normalization and its gradient.
 */
#include "learning/normalize.h"

#include <math.h>

#include "base/kernels.h"

#define LEAST_SQUARE 1e-12f

void
tfrs_normalize_forward(float *vectors, size_t count, size_t dim, size_t pitch, float *scale)
{
	for (size_t i = 0; i < count; i++)
	{
		float	   *x = vectors + i * pitch;
		float		square = tfrs_kernels.dot(x, x, dim);
		float		s = square > LEAST_SQUARE ? 1.0f / sqrtf(square) : TFRS_FLOOR_SCALE;

		for (size_t j = 0; j < dim; j++)
			x[j] *= s;
		if (scale != NULL)
			scale[i] = s;
	}
}

void
tfrs_normalize_backward(const float *vectors, const float *scale, size_t count, size_t dim,
						size_t pitch, float *gradient)
{
	for (size_t i = 0; i < count; i++)
	{
		const float *y = vectors + i * pitch;
		float	   *d = gradient + i * pitch;
		float		along = scale[i] < TFRS_FLOOR_SCALE ? tfrs_kernels.dot(y, d, dim) : 0.0f;

		for (size_t j = 0; j < dim; j++)
			d[j] = scale[i] * (d[j] - y[j] * along);
	}
}
