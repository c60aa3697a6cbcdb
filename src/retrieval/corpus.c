/*
 * corpus.c: scores; see corpus.h for the formulas.
 *
 * The products go through tfrs_kernels in float32.  Only where a result is not finite, which takes
 * components around 1e18, or where terms vanished below float32's range, the row is computed again
 * in double, as the SQL operators do; bytes from outside may hold NaN in rows or norms, and such a
 * row scores -infinity.
 */
#include "retrieval/corpus.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "base/kernels.h"

/* Sums of squares below may lack terms that were denormal. */
#define LEAST_SQUARE 1e-30f
#define LEAST_NORM 1e-15f

static double
wide_square(const float *x, size_t dim)
{
	double		sums[8] = {0};
	size_t		d = 0;

	for (; d + 8 <= dim; d += 8)
		for (size_t j = 0; j < 8; j++)
			sums[j] += (double) x[d + j] * x[d + j];
	for (size_t j = 0; d + j < dim; j++)
		sums[j] += (double) x[d + j] * x[d + j];
	return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
		((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/* A norm as it is stored: rounded, at most FLT_MAX. */
static float
norm_of_square(double square)
{
	double		norm = sqrt(square);

	return norm > FLT_MAX ? FLT_MAX : (float) norm;
}

float
tfrs_vector_norm(const float *x, size_t dim)
{
	return norm_of_square(wide_square(x, dim));
}

/* Whether a norm tells the length as closely as a float can. */
static bool
is_close(float norm)
{
	return norm >= LEAST_NORM && norm < FLT_MAX;
}

double
tfrs_vector_length(const float *x, size_t dim, float norm)
{
	return is_close(norm) ? norm : sqrt(wide_square(x, dim));
}

tfrs_status
tfrs_scorer_init(tfrs_scorer *scorer, const tfrs_corpus *corpus, const float *query,
				 tfrs_error *error)
{
	for (size_t d = 0; d < corpus->dim; d++)
	{
		if (!isfinite(query[d]))
			return tfrs_fail(error, TFRS_NOT_FINITE, "query vector must be finite");
	}
	scorer->corpus = corpus;
	scorer->query = query;
	scorer->query_norm = corpus->metric == TFRS_METRIC_COSINE
		? tfrs_vector_norm(query, corpus->dim) : 0;
	return TFRS_OK;
}

static double
wide_dot(const float *x, const float *y, size_t dim)
{
	double		sum = 0;

	for (size_t d = 0; d < dim; d++)
		sum += (double) x[d] * y[d];
	return sum;
}

static double
wide_squared_distance(const float *x, const float *y, size_t dim)
{
	double		sum = 0;

	for (size_t d = 0; d < dim; d++)
		sum += ((double) x[d] - y[d]) * ((double) x[d] - y[d]);
	return sum;
}

double
tfrs_vector_cosine_by_norms(const float *x, float x_norm, const float *y, float y_norm,
							size_t dim, double product)
{
	if (x_norm == 0 || y_norm == 0)
		return 0;
	if (!is_close(x_norm) || !is_close(y_norm))
		product = wide_dot(x, y, dim);
	product /= tfrs_vector_length(x, dim, x_norm) * tfrs_vector_length(y, dim, y_norm);
	return fmin(1, fmax(-1, product));
}

double
tfrs_vector_cosine(const float *x, const float *y, size_t dim, double product)
{
	double		x_square = wide_square(x, dim);
	double		y_square = wide_square(y, dim);
	float		x_norm = norm_of_square(x_square);
	float		y_norm = norm_of_square(y_square);
	float		score = (float) tfrs_vector_cosine_by_norms(x, x_norm, y, y_norm, dim, product);
	double		value;

	if (score == 0 || !is_close(x_norm) || !is_close(y_norm))
		return score;
	value = fmin(1, fmax(-1, product / sqrt(x_square * y_square)));
	return (float) value == score ? value : score;
}

static double
cosine(const tfrs_scorer *scorer, size_t row, double product)
{
	const tfrs_corpus *corpus = scorer->corpus;
	const float *x = corpus->vectors + row * corpus->dim;
	float		norm = corpus->norms != NULL ? corpus->norms[row] : tfrs_vector_norm(x, corpus->dim);

	return tfrs_vector_cosine_by_norms(x, norm, scorer->query, scorer->query_norm, corpus->dim,
									   product);
}

/* From the kernel's result (a product, or a squared distance) to the value of the score. */
static double
finish_value(const tfrs_scorer *scorer, size_t row, float raw)
{
	const tfrs_corpus *corpus = scorer->corpus;
	const float *x = corpus->vectors + row * corpus->dim;
	double		value = raw;

	if (!isfinite(raw) || (corpus->metric == TFRS_METRIC_L2 && raw < LEAST_SQUARE))
	{
		value = corpus->metric == TFRS_METRIC_L2
			? wide_squared_distance(scorer->query, x, corpus->dim)
			: wide_dot(scorer->query, x, corpus->dim);
		if (isnan(value))
			return -INFINITY;
	}
	switch (corpus->metric)
	{
		case TFRS_METRIC_COSINE:
			return cosine(scorer, row, value);
		case TFRS_METRIC_L2:
			return 0 - sqrt(value); /* -sqrt(0) would be shown as -0 */
		default:
			return value;
	}
}

double
tfrs_scorer_value(const tfrs_scorer *scorer, size_t row)
{
	const tfrs_corpus *corpus = scorer->corpus;
	const float *x = corpus->vectors + row * corpus->dim;
	float		raw = corpus->metric == TFRS_METRIC_L2
		? tfrs_kernels.squared_distance(scorer->query, x, corpus->dim)
		: tfrs_kernels.dot(scorer->query, x, corpus->dim);

	return finish_value(scorer, row, raw);
}

float
tfrs_scorer_score(const tfrs_scorer *scorer, size_t row)
{
	return (float) tfrs_scorer_value(scorer, row);
}

void
tfrs_scorer_scores(const tfrs_scorer *scorer, size_t first, size_t rows, float *scores)
{
	const tfrs_corpus *corpus = scorer->corpus;

	if (corpus->metric == TFRS_METRIC_L2)
	{
		for (size_t r = 0; r < rows; r++)
			scores[r] = tfrs_scorer_score(scorer, first + r);
		return;
	}
	tfrs_kernels.dot_rows(scorer->query, corpus->vectors + first * corpus->dim, rows,
						  corpus->dim, scores);
	for (size_t r = 0; r < rows; r++)
	{
		if (corpus->metric != TFRS_METRIC_DOT || !isfinite(scores[r]))
			scores[r] = (float) finish_value(scorer, first + r, scores[r]);
	}
}
