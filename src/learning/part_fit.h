/*
 * part_fit.h: what stands beside the towers, fitted on the events that they are trained on: the sparse
 * parts (neighbours.h) and, where events have times, the popularity that knows them (popularity.h).
 */
#ifndef TFRS_PART_FIT_H
#define TFRS_PART_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/neighbours.h"
#include "learning/popularity.h"
#include "learning/score_parts.h"

typedef struct tfrs_part_fit
{
	tfrs_arena *arena;
	const tfrs_events *events;
	size_t		candidates;		/* N */
	int			threads;
	bool		wanted[TFRS_SCORE_PARTS];
	int			phase;			/* a part, or the popularity after them */
	bool		begun;
	tfrs_neighbour_fit fit[TFRS_SCORE_PARTS];
	tfrs_popularity_fit popularity;
	/* the result, until free */
	tfrs_neighbours neighbours[TFRS_SCORE_PARTS];
	const tfrs_recent_popularity *recent;	/* NULL: without times */
} tfrs_part_fit;

/* wanted: which of TFRS_TOGETHER and TFRS_NEXT, which is not fitted without times.  The events must
 * outlive the fit. */
extern void tfrs_part_fit_begin(tfrs_part_fit *fit, tfrs_arena *arena, const tfrs_events *events,
								size_t candidates, const bool wanted[TFRS_SCORE_PARTS],
								int threads);

/* TFRS_MORE until all is fitted.  Error: memory. */
extern tfrs_status tfrs_part_fit_step(tfrs_part_fit *fit, tfrs_error *error);
extern void tfrs_part_fit_free(tfrs_part_fit *fit);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_part_fit_bytes(const tfrs_events *events, size_t candidates, int threads,
								size_t *bytes);

#endif							/* TFRS_PART_FIT_H */
