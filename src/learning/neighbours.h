/*
 * neighbours.h: a sparse item-item part beside the towers: what a candidate gains by each event of a
 * query, for its nearest candidates only.
 *
 *     score(query, c) += sum over the events j of the query: h_j S[j, c]
 *
 * A column of S is a ridge regression of c being chosen on having each of its K nearest (examples:
 * neighbour_examples.h), in the manner of SLIM (Ning and Karypis 2011) and EASE (Steck 2019), but with
 * systems of K x K, so that nothing is N x N:
 *
 *     r_j = sum_x g_x z_xj y_xc      near(c): the K largest r_j^2 / sum_x g_x z_xj^2, c left out
 *     S[near, c] = (A + lambda I)^-1 r[near]     A_ij = sum_x g_x z_xi z_xj
 *     lambda = ridge * the mean of sum_x g_x y_xc over the candidates that are chosen
 *
 * A row of all A_i is summed by one walk over the examples that have i, into a row of N floats, and is
 * handed to all systems that want it; systems of a block of candidates are held at once.
 *
 * The result lies by j, the event, as it is served: candidates ascending with values in int8, to be
 * multiplied with the scale of the candidate.  The same bytes with any number of threads.
 */
#ifndef TFRS_NEIGHBOURS_H
#define TFRS_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/neighbour_examples.h"

/* K at most; fewer where there are very many candidates, so that a model stays in bounds. */
#define TFRS_MAX_NEAR 50

/* S of N candidates. */
typedef struct tfrs_neighbours
{
	size_t		candidates;		/* N */
	size_t		count;			/* M values */
	const uint64_t *offsets;	/* (N + 1) */
	const uint32_t *candidate;	/* (M) ascending within a row */
	const int8_t *value;		/* (M) */
	const float *scale;			/* (N) of the candidate that is scored */
} tfrs_neighbours;

typedef struct tfrs_neighbour_fit
{
	tfrs_arena *arena;
	tfrs_neighbour_examples examples;
	size_t		candidates;		/* N */
	size_t		near;			/* K */
	size_t		block;			/* B candidates whose systems are held at once */
	int			threads;
	float		ridge;
	float		lambda;
	int			phase;			/* what the next step does */
	size_t		block_first;	/* the block under way */
	size_t		block_end;
	size_t		done;			/* candidates that the phase has passed */
	size_t		task_first;		/* the first candidate of the step under way */
	/* for each worker */
	float	   *row;			/* (threads, N) zero between candidates */
	uint32_t   *touched;		/* (threads, N + 1) */
	float	   *solution;		/* (threads, K) */
	/* for each candidate of the block */
	float	   *target;			/* (B, K) r of its nearest */
	float	   *system;			/* (B, K (K + 1) / 2) lower triangles of A */
	uint32_t   *want;			/* (N + 1) where the systems that want a row begin in wanted */
	uint32_t   *wanted;			/* (B K) place in the block times K, plus the row's place in near */
	/* for each candidate, by column */
	uint8_t    *near_count;		/* (N) */
	uint32_t   *nearest;		/* (N, K) ascending */
	int8_t	   *column;			/* (N, K) values */
	/* the result, until free */
	uint64_t   *offsets;
	uint32_t   *candidate;
	int8_t	   *value;
	float	   *scale;
} tfrs_neighbour_fit;

/* The events must outlive the fit and have times for TFRS_NEXT.  Error: memory. */
extern tfrs_status tfrs_neighbour_fit_begin(tfrs_neighbour_fit *fit, tfrs_arena *arena,
											tfrs_neighbour_kind kind, const tfrs_events *events,
											size_t candidates, int threads, tfrs_error *error);

/* TFRS_MORE until done; then result points into the fit, which holds nothing else.  Error: memory. */
extern tfrs_status tfrs_neighbour_fit_step(tfrs_neighbour_fit *fit, tfrs_neighbours *result,
										   tfrs_error *error);
extern void tfrs_neighbour_fit_free(tfrs_neighbour_fit *fit);

/* Neighbours of each of so many candidates, so that there are about so many values in all. */
extern size_t tfrs_neighbours_within(size_t values, size_t candidates, size_t least, size_t most);

/* The most values that S of so many candidates has. */
extern double tfrs_neighbours_most(double candidates);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_neighbour_fit_bytes(tfrs_neighbour_kind kind, const tfrs_events *events,
									 size_t candidates, int threads, size_t *bytes);

#endif							/* TFRS_NEIGHBOURS_H */
