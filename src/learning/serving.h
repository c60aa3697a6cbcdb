/*
 * serving.h: puts a trained history tower into the form in which it is stored.
 *
 *     copy what a tied bag reads -> average the candidates -> normalize them -> average the queries
 *
 * Candidates become the vectors that are searched; their unknown slot is the mean of all, weighted
 * by their rows, and the unknown query is that of the queries' vectors.
 */
#ifndef TFRS_SERVING_H
#define TFRS_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/history.h"
#include "learning/history_trainer.h"

typedef struct tfrs_serving
{
	tfrs_arena *arena;
	tfrs_history_trainer *history;
	const tfrs_events *events;	/* that query vectors are made of: all, held-out ones too */
	const uint32_t *query_counts;	/* (V) */
	const uint32_t *candidate_counts;	/* (N) */
	int			phase;
	size_t		done;			/* floats copied, or queries averaged */
	double		rows;			/* of the queries averaged so far */
	float	   *tied;			/* (N, D) what a tied bag reads, or NULL */
	float	   *unknown;		/* (D) the unknown query */
	float	   *vector;			/* (D) */
	double	   *sum;			/* (D) */
} tfrs_serving;

/* The history trainer has done its last step; its candidate table is changed. */
extern void tfrs_serving_begin(tfrs_serving *serving, tfrs_arena *arena,
							   tfrs_history_trainer *history, const tfrs_events *events,
							   const uint32_t *query_counts, const uint32_t *candidate_counts);
extern void tfrs_serving_free(tfrs_serving *serving);

/* TFRS_MORE until done.  Errors: memory. */
extern tfrs_status tfrs_serving_step(tfrs_serving *serving, tfrs_error *error);

/* The tables that the bags read, as they are stored. */
extern void tfrs_serving_bags(const tfrs_serving *serving, const float *tables[TFRS_MAX_BAGS]);

/* Adds to *bytes what is taken; false where that overflows. */
extern bool tfrs_serving_bytes(const tfrs_train_options *options, size_t candidates,
							   size_t *bytes);

#endif							/* TFRS_SERVING_H */
