/*
 * serving.h: puts what was trained into the form in which it is stored.
 *
 *     copy what a tied bag reads -> average the unknown slots -> finish the candidates
 *     -> average the queries
 *
 * Candidates become the vectors that are searched: those of ids in their table, those of a tower with
 * features beside it, since the table is read again for new candidates.  The unknown slot of a table is the mean of its
 * rows, weighted by their counts, and the unknown query of a tower of events that of the queries'
 * vectors; where the options say so these stay what they were trained to be.  With features an unknown
 * key is one of which nothing is known.
 */
#ifndef TFRS_SERVING_H
#define TFRS_SERVING_H

#include "learning/descent.h"

typedef enum tfrs_serving_phase
{
	TFRS_SERVING_COPY = 0,
	TFRS_SERVING_AVERAGE_CANDIDATES,
	TFRS_SERVING_AVERAGE_QUERIES,
	TFRS_SERVING_FINISH_CANDIDATES,
	TFRS_SERVING_ENCODE_QUERIES,
	TFRS_SERVING_DONE
} tfrs_serving_phase;

/* Of the training; all must outlive the serving. */
typedef struct tfrs_serving_data
{
	const tfrs_events *events;	/* that query vectors are made of: all, held-out ones too */
	const uint32_t *query_counts;	/* (V) rows of all trainings */
	const uint32_t *candidate_counts;	/* (N) */
} tfrs_serving_data;

typedef struct tfrs_serving
{
	tfrs_arena *arena;
	tfrs_descent *descent;
	tfrs_serving_data data;
	tfrs_serving_phase phase;
	size_t		done;			/* of what the phase walks over */
	double		weight;			/* of the rows averaged so far */
	float	   *tied;			/* (N, D) what a tied bag reads, or NULL */
	float	   *served;			/* (N + 1, D) candidates of a tower with features, or NULL */
	float	   *length;			/* (N + 1) of the candidates before they were finished, or NULL */
	float	   *unknown;		/* (D) the unknown query of a tower of events or with features */
	float	   *vector;			/* (D) */
	double	   *sum;			/* (D) */
} tfrs_serving;

/* Sizes of the arrays of a descent that has its own; a list. */
extern void tfrs_serving_size(tfrs_serving *serving, tfrs_descent *descent);
extern void tfrs_serving_arrays(void *serving, tfrs_plan *plan);

/* The descent has done its last step; its candidates are changed. */
extern tfrs_status tfrs_serving_begin(tfrs_serving *serving, tfrs_arena *arena,
									  tfrs_descent *descent, const tfrs_serving_data *data,
									  tfrs_error *error);
extern void tfrs_serving_free(tfrs_serving *serving);

/* TFRS_MORE until done. */
extern tfrs_status tfrs_serving_step(tfrs_serving *serving);

/* The candidates (N + 1, D) as they are served. */
extern float *tfrs_serving_candidates(const tfrs_serving *serving);

/* The table that a bag reads, as it is stored. */
extern float *tfrs_serving_bag(const tfrs_serving *serving, uint32_t bag);

#endif							/* TFRS_SERVING_H */
