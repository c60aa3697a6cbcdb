/*
 * ridge.h: weighted ridge regressions on the sparse rows of content, all columns at once.
 *
 *     R (W, D) = argmin over R: sum_i weight_i |target_i - P_i R|^2 + penalty |R + S|^2
 *     (P' w P + penalty I) R = P' w target - penalty S
 *
 * S is 0 as a rule; a Newton step of a penalized regression has its parameters there.  With an
 * intercept there is one more word, the last, that every row has with the value 1 and that is hardly
 * penalized.  Solved by conjugate gradients (Hestenes and Stiefel 1952) until each column's residual is
 * a thousandth of what it was: nothing is W x W.  Columns are cut into slices of a fixed width, so the
 * result is the same with any number of threads.
 */
#ifndef TFRS_RIDGE_H
#define TFRS_RIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "learning/content.h"

typedef struct tfrs_ridge_system
{
	const tfrs_content *content;
	const float *weight;		/* (N); 0: the row is left out */
	const float *target;		/* (N, pitch) */
	size_t		pitch;
	size_t		columns;		/* D of the target that are regressed on */
	float		penalty;
	bool		intercept;
	const float *shift;			/* S (W, D), or NULL */
	int			threads;
} tfrs_ridge_system;

typedef struct tfrs_ridge
{
	tfrs_arena *arena;
	tfrs_ridge_system system;
	size_t		words;			/* W, the intercept included */
	int			phase;			/* what the next step does */
	int			rounds;			/* products so far */
	size_t		done;			/* candidates or words that the phase has passed */
	size_t		first;			/* candidates of the step under way */
	float	   *solution;		/* (W, D) the result, until free */
	float	   *residual;		/* (W, D) */
	float	   *direction;		/* (W, D) */
	float	   *product;		/* (W, D) */
	double	   *square;			/* (D) of the residual */
	double	   *enough;			/* (D) the square that is small enough */
	double	   *change;			/* (D) a sum under way */
	float	   *factor;			/* (D) */
} tfrs_ridge;

/* Sizes of the arrays of a ridge that has its system; a list. */
extern void tfrs_ridge_size(tfrs_ridge *ridge, const tfrs_ridge_system *system);
extern void tfrs_ridge_arrays(void *ridge, tfrs_plan *plan);

/* What the system points to must outlive the ridge.  Error: memory. */
extern tfrs_status tfrs_ridge_begin(tfrs_ridge *ridge, tfrs_arena *arena,
									const tfrs_ridge_system *system, tfrs_error *error);

/* TFRS_MORE until the solution is there. */
extern tfrs_status tfrs_ridge_step(tfrs_ridge *ridge);
extern void tfrs_ridge_free(tfrs_ridge *ridge);

#endif							/* TFRS_RIDGE_H */
