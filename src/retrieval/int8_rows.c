/*
 * int8_rows.c: rows in bytes, to look at before they are fetched.
 */
#include "retrieval/int8_rows.h"

#include <math.h>
#include <string.h>

#include "retrieval/corpus.h"

/* Shorter steps lose digits to underflow; such rows are all error. */
#define LEAST_STEP 1e-30f

/* The step by which the largest of the components is 127. */
static float
step_of(const float *values, size_t count)
{
	float		largest = 0;

	for (size_t i = 0; i < count; i++)
	{
		float		size = fabsf(values[i]);

		largest = size > largest ? size : largest;
	}
	return largest / INT8_MAX < LEAST_STEP ? 0 : largest / INT8_MAX;
}

/* Codes of a vector, and the length of what they leave over. */
static float
encode(const float *vector, size_t width, float step, int8_t *codes)
{
	double		squares = 0;

	for (size_t w = 0; w < width; w++)
	{
		float		multiple = step > 0 ? vector[w] / step : 0;
		float		left;

		/* False for NaN, which bytes from outside may have led to and the length keeps. */
		codes[w] = fabsf(multiple) < 128 ? (int8_t) (multiple + (multiple < 0 ? -0.5f : 0.5f)) : 0;
		left = vector[w] - step * codes[w];
		squares += (double) left * left;
	}
	return (float) sqrt(squares);
}

tfrs_int8_scale
tfrs_int8_encode(const float *rows, size_t count, const tfrs_space *space, int8_t *codes)
{
	size_t		width = space->width;
	tfrs_int8_scale scale = {step_of(rows, count * width), 0, 0};

	for (size_t i = 0; i < count; i++)
	{
		float		error = encode(rows + i * width, width, scale.step, codes + i * width);
		float		norm = tfrs_vector_norm(rows + i * width, width);

		scale.error = error > scale.error ? error : scale.error;
		scale.norm = norm > scale.norm ? norm : scale.norm;
	}
	memset(codes + count * width, 0, (TFRS_CODE_ROWS - count) * width);
	scale.error += tfrs_space_allowance(space, 2 * scale.norm + space->centre_norm);
	return scale;
}

void
tfrs_int8_query_set(tfrs_int8_query *query, const float *vector, size_t width)
{
	query->step = step_of(vector, width);
	query->error = encode(vector, width, query->step, query->codes) +
		TFRS_SPACE_LEAST_ERROR;
	query->length = tfrs_vector_norm(vector, width) + query->error;
}
