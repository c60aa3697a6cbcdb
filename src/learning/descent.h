/*
 * descent.h: the steps of a training, whatever its towers, examples and negatives are.
 *
 *     initial values [-> earlier parameters] -> prepare the examples
 *     -> per step: draw -> columns and rows through their towers -> loss -> back -> move
 *
 * Each arrow is a phase of the step machine; a call does one bounded piece of one phase.
 */
#ifndef TFRS_DESCENT_H
#define TFRS_DESCENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/feature_tower.h"
#include "learning/hyperparameters.h"
#include "learning/interaction_examples.h"
#include "learning/negatives.h"
#include "learning/tensors.h"
#include "learning/softmax.h"
#include "learning/spectral.h"
#include "learning/state_examples.h"
#include "learning/tower.h"
#include "learning/warm_start.h"

typedef enum tfrs_descent_phase
{
	TFRS_DESCENT_FILL = 0,
	TFRS_DESCENT_SPECTRAL,
	TFRS_DESCENT_WARM,
	TFRS_DESCENT_PREPARE,
	TFRS_DESCENT_DRAW,
	TFRS_DESCENT_COLUMNS,
	TFRS_DESCENT_ROWS,
	TFRS_DESCENT_BEGIN_LOSS,
	TFRS_DESCENT_RUN_LOSS,
	TFRS_DESCENT_COLUMNS_BACK,
	TFRS_DESCENT_ROWS_BACK,
	TFRS_DESCENT_FINISH,
	TFRS_DESCENT_MOVE
} tfrs_descent_phase;

/* Rows whose positive was among the first k of its columns, for each k of the options. */
typedef struct tfrs_batch_accuracy
{
	double		weight;			/* of all rows */
	double		hits[TFRS_MAX_CUTOFFS];	/* weight of those rows */
} tfrs_batch_accuracy;

/* What is trained on; counts may be upper bounds where only sizes are asked for. */
typedef struct tfrs_descent_counts
{
	size_t		queries;		/* V */
	size_t		candidates;		/* N */
	const uint32_t *chosen;		/* (N) how often each was, where some never were; or NULL */
	size_t		rows;			/* of the interactions */
	const tfrs_events *events;	/* that are trained on; no queries where none are known */
	size_t		longest;		/* events of the query that has most */
	tfrs_side_features query;	/* what is known of queries and candidates beside their ids */
	tfrs_side_features candidate;
} tfrs_descent_counts;

typedef struct tfrs_descent
{
	tfrs_arena *arena;
	const tfrs_train_options *options;	/* nothing left open */
	tfrs_descent_counts counts;
	tfrs_descent_phase phase;	/* what the next call does */
	tfrs_tower_shape shape;		/* of the query tower */
	tfrs_loss_options loss_options;
	tfrs_tensors parameters;
	tfrs_spectral spectral;		/* what they begin with; no candidates where that is random */
	tfrs_tower	query;
	tfrs_tower	candidate;
	tfrs_examples batch;
	tfrs_interaction_examples interactions;
	tfrs_state_examples states;
	tfrs_negatives negatives;
	tfrs_softmax *softmax;
	tfrs_softmax_batch loss;	/* of the batch; before the first one its sizes at most */
	uint32_t   *above;			/* (targets) columns above each, where accuracy is asked for */
	uint32_t   *column_row;		/* (columns) the row of each column's candidate, with features */
	uint32_t   *query_row;		/* (B) that of each row's query, with features */
	const tfrs_warm_start *warm;	/* or NULL */
	tfrs_random random;			/* of the step's columns and dropout */
	uint64_t	step;			/* the step under way, from 1 */
	double		total;			/* its loss */
	tfrs_batch_accuracy accuracy;	/* of the epoch so far */
} tfrs_descent;

/* What a training has beside its options and counts; all of it must outlive the descent. */
typedef struct tfrs_descent_data
{
	tfrs_interactions *interactions;
	const tfrs_event_split *split;	/* what is held out, or NULL */
	const tfrs_warm_start *warm;	/* NULL: from the beginning */
} tfrs_descent_data;

/* Sizes of all arrays, which follow as a list: an estimate counts it, begin takes it. */
extern void tfrs_descent_size(tfrs_descent *descent, const tfrs_train_options *options,
							  const tfrs_descent_counts *counts);
extern void tfrs_descent_arrays(void *descent, tfrs_plan *plan);

/* Whether examples are states of queries, and whether tables begin with what is chosen together. */
static inline bool
tfrs_descent_has_states(const tfrs_descent *descent)
{
	return descent->options->history.on;
}

static inline bool
tfrs_descent_is_spectral(const tfrs_descent *descent)
{
	return tfrs_descent_has_states(descent) && descent->options->history.spectral &&
		descent->warm == NULL;
}

/* Both towers as their features see them. */
extern tfrs_feature_towers tfrs_descent_feature_towers(tfrs_descent *descent);

/* The query tower that the options ask for. */
extern tfrs_tower_shape tfrs_descent_shape(const tfrs_train_options *options);

extern tfrs_status tfrs_descent_begin(tfrs_descent *descent, tfrs_arena *arena,
									  const tfrs_train_options *options,
									  const tfrs_descent_counts *counts,
									  const tfrs_descent_data *data, tfrs_error *error);
extern void tfrs_descent_free(tfrs_descent *descent);

/*
 * TFRS_MORE until the last step is done; *stepped tells that this call ended one, or an epoch that
 * had nothing left to train on, and batch tells of it.  TFRS_NOT_FINITE: the loss or a parameter
 * overflowed; the message is the caller's to complete.
 */
extern tfrs_status tfrs_descent_step(tfrs_descent *descent, bool *stepped, tfrs_error *error);

/*
 * Vectors (count, D) of candidates as they are served, those of [first, first + count), where
 * candidate N is one that nothing is known of; at most TFRS_ENCODER_ROWS at a time, between steps.
 */
extern void tfrs_descent_serve_candidates(tfrs_descent *descent, size_t first, size_t count,
										  float *vectors);

/* The vector (D) of a query with the features of a row, as it is served: of its id, where V is one that
 * is not known, or where the tower is one of events of its bags, each of one list.  Between steps. */
extern void tfrs_descent_serve_query(tfrs_descent *descent, uint32_t query, uint32_t row,
									 const tfrs_ragged *bags, float *vector);

/* The tensor of candidates' ids, that of queries (NULL where they have none), and what a bag reads. */
extern tfrs_tensor *tfrs_descent_candidates(tfrs_descent *descent);
extern tfrs_tensor *tfrs_descent_queries(tfrs_descent *descent);
extern const tfrs_tensor *tfrs_descent_bag(const tfrs_descent *descent, uint32_t bag);

/* Steps of the optimizer so far, earlier ones too. */
extern uint64_t tfrs_descent_steps(const tfrs_descent *descent);

#endif							/* TFRS_DESCENT_H */
