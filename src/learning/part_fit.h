/*
 * part_fit.h: what stands beside the towers, fitted on the events that they are trained on: the
 * sparse parts (neighbours.h, content_neighbours.h) and, where events have times, the popularity
 * that knows them (popularity.h).
 */
#ifndef TFRS_PART_FIT_H
#define TFRS_PART_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/content_neighbours.h"
#include "learning/neighbours.h"
#include "learning/popularity.h"
#include "learning/score_parts.h"

typedef struct tfrs_part_fit_data
{
	const tfrs_events *events;
	const tfrs_content *content;	/* NULL: nothing is known of what candidates consist of */
	size_t		candidates;		/* N */
	bool		wanted[TFRS_SCORE_PARTS];
	int			threads;
} tfrs_part_fit_data;

typedef struct tfrs_part_fit
{
	tfrs_arena *arena;
	tfrs_part_fit_data data;
	int			phase;			/* a part, or the popularity after them */
	bool		begun;
	tfrs_neighbour_fit fit[TFRS_LIKE_CONTENT];
	tfrs_content_fit content;
	tfrs_popularity_fit popularity;
	/* the result, until free */
	tfrs_neighbours neighbours[TFRS_SCORE_PARTS];
	const tfrs_recent_popularity *recent;	/* NULL: without times */
} tfrs_part_fit;

/* What is wanted and cannot be had (TFRS_NEXT without times, TFRS_LIKE_CONTENT without content) is
 * not fitted.  What the data point to must outlive the fit. */
extern void tfrs_part_fit_begin(tfrs_part_fit *fit, tfrs_arena *arena,
								const tfrs_part_fit_data *data);

/* TFRS_MORE until all is fitted.  Error: memory. */
extern tfrs_status tfrs_part_fit_step(tfrs_part_fit *fit, tfrs_error *error);
extern void tfrs_part_fit_free(tfrs_part_fit *fit);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_part_fit_bytes(const tfrs_events *events, size_t candidates, int threads,
								size_t *bytes);

#endif							/* TFRS_PART_FIT_H */
