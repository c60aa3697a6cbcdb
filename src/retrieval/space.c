/*
 * space.c: metrics as inner products; see space.h for the formulas.
 */
#include "retrieval/space.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"

#define FIT_ROWS 8192

/*
 * s as a share of the rows' root mean square distance from the centre.  A larger s makes queries
 * longer and so all bounds wider; a smaller one lets the extra component decide the leaves, and its
 * code's error most of the bound.  Bytes read fall by 5 % (towers) to 45 % (words) against a share
 * of 1 where answers are exact, by up to three quarters where the bounds are believed in by parts.
 */
#define SCALE_SHARE 0.6f

enum
{
	PURPOSE_FIT = 0x7370
};

tfrs_space
tfrs_space_of(tfrs_metric metric, size_t dim, const float *centre, float scale)
{
	tfrs_space	space = {metric, dim, dim, NULL, 0, 0};

	if (metric == TFRS_METRIC_L2)
	{
		space.width = dim + 1;
		space.centre = centre;
		space.scale = scale;
		space.centre_norm = tfrs_vector_norm(centre, dim);
	}
	return space;
}

void
tfrs_space_fit(const tfrs_corpus *corpus, uint64_t seed, float *centre, float *scale)
{
	size_t		count = corpus->count < FIT_ROWS ? corpus->count : FIT_ROWS;
	size_t		dim = corpus->dim;
	double		squares = 0;
	tfrs_random random;

	memset(centre, 0, dim * sizeof(*centre));
	for (int pass = 0; pass < 2; pass++)
	{
		tfrs_random_init(&random, seed, PURPOSE_FIT, 0);
		for (size_t i = 0; i < count; i++)
		{
			const float *row = corpus->vectors +
				tfrs_random_stratum(&random, i, count, corpus->count) * dim;

			if (pass == 0)
				tfrs_kernels.add_scaled(centre, row, dim, 1.0f / (float) count);
			else
				squares += tfrs_kernels.squared_distance(centre, row, dim);
		}
	}
	*scale = fmaxf(SCALE_SHARE * (float) sqrt(squares / (double) count), TFRS_SPACE_LEAST);
}

static void
scale_to_unit(const float *x, size_t dim, float norm, float *vector)
{
	double		length = tfrs_vector_length(x, dim, norm);

	for (size_t d = 0; d < dim; d++)
		vector[d] = norm > 0 ? (float) (x[d] / length) : 0;
}

static void
subtract_centre(const tfrs_space *space, const float *x, float *vector)
{
	for (size_t d = 0; d < space->dim; d++)
		vector[d] = x[d] - space->centre[d];
}

void
tfrs_space_row(const tfrs_space *space, const tfrs_corpus *corpus, size_t row, float *vector)
{
	const float *x = corpus->vectors + row * corpus->dim;
	float		norm;

	switch (space->metric)
	{
		case TFRS_METRIC_COSINE:
			norm = corpus->norms != NULL ? corpus->norms[row] : tfrs_vector_norm(x, space->dim);
			scale_to_unit(x, space->dim, norm, vector);
			break;
		case TFRS_METRIC_L2:
			subtract_centre(space, x, vector);
			norm = tfrs_vector_norm(vector, space->dim);
			vector[space->dim] = -norm * norm / (2 * space->scale);
			break;
		default:
			memcpy(vector, x, space->dim * sizeof(*vector));
	}
}

void
tfrs_space_query(const tfrs_space *space, const tfrs_scorer *scorer, float *vector)
{
	switch (space->metric)
	{
		case TFRS_METRIC_COSINE:
			scale_to_unit(scorer->query, space->dim, scorer->query_norm, vector);
			break;
		case TFRS_METRIC_L2:
			subtract_centre(space, scorer->query, vector);
			vector[space->dim] = space->scale;
			break;
		default:
			memcpy(vector, scorer->query, space->dim * sizeof(*vector));
	}
}

float
tfrs_space_product_of(const tfrs_space *space, const float *query, float score)
{
	double		norm;
	double		product;

	if (space->metric != TFRS_METRIC_L2 || score == -INFINITY)
		return score;
	norm = tfrs_vector_norm(query, space->dim);
	product = (norm * norm - (double) score * score) / 2;
	return (float) (product - tfrs_space_rounding(space) * (norm * norm + (double) score * score));
}

float
tfrs_space_rounding(const tfrs_space *space)
{
	return 0x1p-22f * (float) (space->width + 16);
}

float
tfrs_space_allowance(const tfrs_space *space, float lengths)
{
	return tfrs_space_rounding(space) * lengths + TFRS_SPACE_LEAST_ERROR;
}
