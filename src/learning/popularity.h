/*
 * popularity.h: a popularity that knows the time: how likely each candidate is to be chosen next,
 * whoever the query is.
 *
 *     d_h(c, t) = sum over the events of c before t of 2^-(age / half-life h)
 *     p_t(c)    = sum_h w_h d_h(c, t) / sum_c' d_h(c', t) + w_uniform / N
 *     p_all(c)  = (1 - w_uniform) count(c) / E + w_uniform / N
 *
 * Half-lives are 6 hours to 128 days in steps of two, and for ever.  The weights are those of a
 * mixture by expectation maximization over at most 100,000 events, evenly spaced, each foretold from
 * what was known a day before it; an event weighs (events of its query)^-1/2.  Then that mixture, or
 * half of it and half a single half-life where that had 3 % more of the events among its ten largest:
 * likelihood looks at the tail, a list at its head.
 *
 * Times are in seconds (time_order.h).  Counters are decayed when they are touched, so they are
 * relative to the last event and do not underflow in a silence of years.
 */
#ifndef TFRS_POPULARITY_H
#define TFRS_POPULARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/history.h"
#include "learning/time_order.h"

/* Counters of a candidate: ten half-lives, and one for ever; a mixture has the uniform one beside. */
#define TFRS_HALF_LIVES 11
#define TFRS_POPULARITY_PARTS (TFRS_HALF_LIVES + 1)

typedef struct tfrs_recent_popularity
{
	size_t		candidates;		/* N */
	float		weight[TFRS_POPULARITY_PARTS];	/* from 6 hours to for ever, then uniform */
	float	   *end;			/* (N) ln p after the last event */
	float	   *all;			/* (N) ln p of all time */
} tfrs_recent_popularity;

/* An event that is foretold: what each part of the mixture gave to its candidate. */
typedef struct tfrs_foretold
{
	uint32_t	seconds;
	uint32_t	candidate;
	float		weight;
	float		share[TFRS_POPULARITY_PARTS];
} tfrs_foretold;

typedef struct tfrs_popularity_counters
{
	float	   *count;			/* (N, TFRS_HALF_LIVES) as they were at the candidate's time */
	uint32_t   *seconds;		/* (N) */
	double		mass[TFRS_HALF_LIVES];	/* their sums at the time of the last event added */
	uint32_t	last;
	size_t		added;			/* events */
	size_t		met;			/* candidates that have one */
} tfrs_popularity_counters;

typedef struct tfrs_popularity_fit
{
	tfrs_arena *arena;
	const tfrs_events *events;
	size_t		candidates;		/* N */
	tfrs_time_order order;
	int			phase;			/* what the next step does */
	size_t		done;			/* events, rounds or checks that the phase has passed */
	size_t		stride;			/* between events that are foretold */
	size_t		sampled;		/* S */
	size_t		sampled_room;
	tfrs_foretold *sample;		/* (S) */
	tfrs_popularity_counters counters;
	double		mixture[TFRS_POPULARITY_PARTS];
	/* which mixture has more of the events among its largest: the likeliest, or half a half-life */
	size_t		checks;
	size_t		looked;			/* events of the sample that are counted */
	double		hit[TFRS_HALF_LIVES + 1];
	tfrs_recent_popularity result;		/* until free */
} tfrs_popularity_fit;

/* The events have times and must outlive the fit.  Error: memory. */
extern tfrs_status tfrs_popularity_fit_begin(tfrs_popularity_fit *fit, tfrs_arena *arena,
											 const tfrs_events *events, size_t candidates,
											 tfrs_error *error);

/* TFRS_MORE until result is known. */
extern tfrs_status tfrs_popularity_fit_step(tfrs_popularity_fit *fit);
extern void tfrs_popularity_fit_free(tfrs_popularity_fit *fit);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_popularity_fit_bytes(size_t events, size_t candidates, size_t *bytes);

#endif							/* TFRS_POPULARITY_H */
