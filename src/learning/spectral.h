/*
 * spectral.h: tables to begin with: the leading singular vectors of who chose what.
 *
 *     X_uc = (n_u + 5)^-1/2 (c_c + 5)^-1/4 where u chose c, n_u and c_c counts of events
 *     X ~ U diag(s) V^T by a random subspace that two power iterations turn (Halko, Martinsson and
 *     Tropp 2011, arXiv 0909.4061); only products with X^T X are needed, a pass over the events each
 *
 * Candidates begin with the rows of V diag(s), all bags with those of V.  Every row is scaled to one
 * length: else what is chosen often is long, and steps of one size hardly turn it.  Rows and
 * directions of which the events say nothing keep their random numbers.
 */
#ifndef TFRS_SPECTRAL_H
#define TFRS_SPECTRAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "learning/history.h"
#include "learning/tensors.h"

typedef struct tfrs_spectral
{
	tfrs_arena *arena;
	const tfrs_events *events;
	size_t		candidates;		/* N */
	size_t		width;			/* components that are filled */
	size_t		rank;			/* K, of the subspace: some more */
	bool		popular;		/* biases begin with the logarithm of the counts */
	int			phase;
	int			pass;			/* products so far */
	int			round;			/* of making the basis orthonormal */
	size_t		done;			/* of the phase: queries or rows */
	uint32_t   *count;			/* (N) events of each candidate */
	float	   *share;			/* (N) (c + 5)^-1/4 */
	float	   *basis;			/* (N, K) */
	float	   *image;			/* (N, K) X^T X basis */
	float	   *sum;			/* (K) of a query */
	float	   *product;		/* (K, K) of a block of rows */
	double	   *gram;			/* (K, K) */
	double	   *vector;			/* (K, K) in rows */
	float	   *turn;			/* (K, K) what rows are multiplied by */
	float	   *singular;		/* (K) s, descending */
} tfrs_spectral;

/* Sizes, for no more components than candidates, and its arrays as a list. */
extern void tfrs_spectral_size(tfrs_spectral *spectral, const tfrs_events *events,
							   size_t candidates, size_t width);
extern void tfrs_spectral_arrays(void *spectral, tfrs_plan *plan);

/* The events must outlive it.  Error: memory. */
extern tfrs_status tfrs_spectral_begin(tfrs_spectral *spectral, tfrs_arena *arena, uint64_t seed,
									   tfrs_error *error);

/* TFRS_MORE until the tables of candidates and bags, which hold random numbers, are filled. */
extern tfrs_status tfrs_spectral_step(tfrs_spectral *spectral, tfrs_tensors *tensors);
extern void tfrs_spectral_free(tfrs_spectral *spectral);

#endif							/* TFRS_SPECTRAL_H */
