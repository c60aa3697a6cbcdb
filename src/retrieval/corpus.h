/*
 * corpus.h: the rows that are searched, and the score of one of them.
 *
 * There is one definition of a score, and every path ends in it: the plain scan, the pruned scan,
 * the re-ranking of the tree and the survivors of a batch.  Equal inputs give equal bits.
 *
 *     dot      x . q                         by tfrs_kernels.dot
 *     cosine   x . q / (|x| |q|)             0 where a norm is 0; within [-1, 1]
 *     l2       -sqrt(|x - q|^2)              by tfrs_kernels.squared_distance
 *
 * Norms are summed in double and kept as float.  A float32 product that overflows is computed again
 * in double, so a score is never NaN: it is finite, or an infinity where float32 ends.
 */
#ifndef TFRS_CORPUS_H
#define TFRS_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum tfrs_metric
{
	TFRS_METRIC_DOT = 1,		/* inner product */
	TFRS_METRIC_COSINE,			/* cosine similarity; a zero vector has similarity 0 to all */
	TFRS_METRIC_L2				/* negative Euclidean distance */
} tfrs_metric;

typedef struct tfrs_corpus
{
	tfrs_metric metric;
	size_t		count;			/* N */
	size_t		dim;			/* D */
	const float *vectors;		/* (N, D) */
	const float *norms;			/* (N), cosine only; NULL: computed with each score */
} tfrs_corpus;

/* A query against a corpus; both stay the caller's. */
typedef struct tfrs_scorer
{
	const tfrs_corpus *corpus;
	const float *query;			/* (D) */
	float		query_norm;		/* cosine only */
} tfrs_scorer;

/* |x| as it is stored: at most FLT_MAX. */
extern float tfrs_vector_norm(const float *x, size_t dim);

/*
 * The cosine of x and y (D), whose product is known, in double: but rounded to float it is the score
 * of a search, whose norms are floats, so that both have one order.  0 where one of them is 0.
 */
extern double tfrs_vector_cosine(const float *x, const float *y, size_t dim, double product);

/* The score of a search, of two vectors whose norms are known, too. */
extern double tfrs_vector_cosine_by_norms(const float *x, float x_norm, const float *y,
										  float y_norm, size_t dim, double product);

/* |x| where that is its norm, also where a float can't hold it closely. */
extern double tfrs_vector_length(const float *x, size_t dim, float norm);

/* Error: TFRS_NOT_FINITE for a query that holds NaN or infinity. */
extern tfrs_status tfrs_scorer_init(tfrs_scorer *scorer, const tfrs_corpus *corpus,
									const float *query, tfrs_error *error);

extern float tfrs_scorer_score(const tfrs_scorer *scorer, size_t row);

/* What the score is rounded from, which is finite where the row is. */
extern double tfrs_scorer_value(const tfrs_scorer *scorer, size_t row);

/* scores[r] = score of row first + r, with the bits that tfrs_scorer_score gives. */
extern void tfrs_scorer_scores(const tfrs_scorer *scorer, size_t first, size_t rows,
							   float *scores);

#endif							/* TFRS_CORPUS_H */
