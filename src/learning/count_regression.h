/*
 * count_regression.h: how often a candidate is chosen, told by its content: a Poisson regression.
 *
 *     ln E[c_i / mean c] = P_i g + g0,  penalty 5 |g|^2
 *
 * over the known candidates, c_i being how often each was chosen.  Newton steps, each solved by
 * ridge.h: the weights are what is expected, mu_i, and the target (c_i / mean c - mu_i) / mu_i.  A step
 * moves no parameter by more than 2.
 */
#ifndef TFRS_COUNT_REGRESSION_H
#define TFRS_COUNT_REGRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "learning/ridge.h"

typedef struct tfrs_count_regression
{
	tfrs_arena *arena;
	const tfrs_content *content;
	int			threads;
	int			rounds;			/* Newton steps so far */
	bool		expects;		/* what is expected is being computed */
	bool		finished;
	size_t		done;
	double		mean;			/* of the known candidates' counts */
	float	   *expected;		/* (N) mu; 0: a new candidate */
	float	   *target;			/* (N) */
	float	   *parameter;		/* (W + 1) g and g0: the result, until free */
	tfrs_ridge	ridge;
} tfrs_count_regression;

/* Sizes of the arrays; a list, without those of the ridge. */
extern void tfrs_count_regression_size(tfrs_count_regression *regression,
									   const tfrs_content *content, int threads);
extern void tfrs_count_regression_arrays(void *regression, tfrs_plan *plan);

/* The content must outlive it.  Error: memory. */
extern tfrs_status tfrs_count_regression_begin(tfrs_count_regression *regression,
											   tfrs_arena *arena, const tfrs_content *content,
											   int threads, tfrs_error *error);

/* TFRS_MORE until the parameters are there.  Error: memory. */
extern tfrs_status tfrs_count_regression_step(tfrs_count_regression *regression,
											  tfrs_error *error);
extern void tfrs_count_regression_free(tfrs_count_regression *regression);

#endif							/* TFRS_COUNT_REGRESSION_H */
