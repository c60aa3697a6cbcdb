/*
 * content_neighbours.h: what a candidate gains by each event of a query whose content is like its own.
 *
 *     C_ji = k1 s + k2 s^2 + k3 s^4    s = P_i . P_j, j in near(i)
 *
 * near(i) are the 20 known candidates that are most similar to i, i left out, ties to the smaller one.
 * The curve is one for all: the least squares of known candidates being chosen on what their queries
 * have, a query weighing 1 / sqrt(its events):
 *
 *     k = argmin sum_u n_u^-1/2 sum_i (x_ui - sum_j x_uj C_ji)^2
 *
 * So new candidates have rows as well as known ones; twice as large, for no other part says anything of
 * them.  Words that very many candidates share are passed over, and of many events some queries are
 * looked at.  The result has the form of the other sparse parts (neighbours.h).  The same bytes with any
 * number of threads.
 */
#ifndef TFRS_CONTENT_NEIGHBOURS_H
#define TFRS_CONTENT_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/plan.h"
#include "learning/content.h"
#include "learning/history.h"
#include "learning/neighbours.h"

#define TFRS_CONTENT_NEAR 20
#define TFRS_CONTENT_POWERS 3

typedef struct tfrs_content_fit
{
	tfrs_arena *arena;
	const tfrs_content *content;
	const tfrs_events *events;	/* known are those that have one */
	size_t		candidates;		/* N */
	size_t		near;			/* K */
	int			threads;
	int			phase;			/* what the next step does */
	size_t		done;
	size_t		first;			/* candidates of the step under way */
	size_t		stride;			/* every so many queries are looked at */
	double		matrix[TFRS_CONTENT_POWERS][TFRS_CONTENT_POWERS];
	double		right[TFRS_CONTENT_POWERS];
	double		curve[TFRS_CONTENT_POWERS]; /* k */
	/* known candidates of each word, and queries of each candidate */
	uint64_t   *word_start;		/* (W + 1) */
	uint32_t   *word_candidate;	/* (words of P) */
	float	   *word_value;
	uint64_t   *query_start;	/* (N + 1) */
	uint32_t   *query;			/* (E) */
	/* for each worker */
	float	   *row;			/* (threads, N) zero between candidates */
	uint32_t   *touched;		/* (threads, N + 1) */
	/* by column */
	uint8_t    *near_count;		/* (N) */
	uint32_t   *nearest;		/* (N, K) ascending */
	float	   *similarity;		/* (N, K) then values of the curve */
	uint32_t   *place;			/* (M) where the value of a row is in its column */
	/* the result, until free */
	uint64_t   *offsets;		/* (N + 1) */
	uint32_t   *candidate;		/* (M) */
	int8_t	   *value;			/* (M) */
	float	   *scale;			/* (N) */
	float	   *level;			/* (N) what a candidate gains on an average over the queries */
} tfrs_content_fit;

/* The content and the events must outlive the fit.  Error: memory. */
extern tfrs_status tfrs_content_fit_begin(tfrs_content_fit *fit, tfrs_arena *arena,
										  const tfrs_content *content, const tfrs_events *events,
										  int threads, tfrs_error *error);

/* TFRS_MORE until done; then result points into the fit, which holds nothing else.  Error: memory. */
extern tfrs_status tfrs_content_fit_step(tfrs_content_fit *fit, tfrs_neighbours *result,
										 tfrs_error *error);

/* Multiplies the values of known candidates by that share, once the fit is done. */
extern void tfrs_content_fit_weigh_known(tfrs_content_fit *fit, float share);
extern void tfrs_content_fit_free(tfrs_content_fit *fit);

/* Adds to *bytes what is taken for so many words of P in all; false where that overflows. */
extern bool tfrs_content_fit_bytes(const tfrs_events *events, size_t candidates, size_t words,
								   int threads, size_t *bytes);

#endif							/* TFRS_CONTENT_NEIGHBOURS_H */
