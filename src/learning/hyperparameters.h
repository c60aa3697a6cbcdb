/*
 * hyperparameters.h: what a training is told, its defaults and their check.
 */
#ifndef TFRS_HYPERPARAMETERS_H
#define TFRS_HYPERPARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "learning/feature_options.h"
#include "learning/history.h"
#include "learning/loss_options.h"
#include "learning/optimizer.h"
#include "learning/schedule.h"

typedef enum tfrs_sampling_correction
{
	TFRS_CORRECTION_NONE = 0,
	TFRS_CORRECTION_IN_BATCH,
	TFRS_CORRECTION_CORRECTED	/* in batch, and the positive is no sample (loss.h) */
} tfrs_sampling_correction;

/* As given; none as a rule. */
typedef struct tfrs_cutoffs
{
	uint32_t	count;
	uint32_t	k[TFRS_MAX_CUTOFFS];
} tfrs_cutoffs;

/* Of a batch's losses; a mean is over the rows of a full batch, so that a last short one counts
 * less.  States weigh 1 on the average in a sum. */
typedef enum tfrs_reduction
{
	TFRS_REDUCTION_SUM = 0,
	TFRS_REDUCTION_MEAN
} tfrs_reduction;

/* Which form of the loss: auto is the distinct one but where hard negatives of interactions are
 * wanted as TFRS has them. */
typedef enum tfrs_loss_form
{
	TFRS_FORM_AUTO = 0,
	TFRS_FORM_PLAIN,
	TFRS_FORM_DISTINCT
} tfrs_loss_form;

/*
 * The history tower (history.h, states.h).  What is 0 or negative where the comment says so is
 * chosen by the counts of the data, in tfrs_train_options_resolve.
 */
typedef struct tfrs_history_options
{
	bool		on;				/* false: a plain table of ids */
	bool		interactions;	/* a softmax row is one interaction, not a state (states.h) */
	bool		all;			/* the bag of all events */
	uint32_t	decays;			/* recency bags */
	float		decay[TFRS_MAX_DECAYS];
	uint32_t	length;			/* events that a recency bag sees */
	float		dropout;		/* of elements where the next events are predicted */
	float		hidden_low;		/* where a part is hidden, its share is uniform in [low, high] */
	float		hidden_high;
	float		hide_share;		/* share of steps that hide; others predict the next; no times: 1 */
	uint32_t	steps;			/* 0: chosen */
	int32_t		columns;		/* candidates sampled a step, 0: all, negative: chosen */
	bool		spectral;		/* tables begin with what is chosen together (spectral.h) */
	int8_t		tied;			/* the bag of all uses the candidate table; negative: chosen */
} tfrs_history_options;

typedef enum tfrs_held_out_by
{
	TFRS_HELD_OUT_RANDOM = 0,	/* of all events */
	TFRS_HELD_OUT_LAST,			/* of each query's, one at least */
	TFRS_HELD_OUT_QUERY,		/* whole queries; history towers only */
	TFRS_HELD_OUT_WINDOW		/* those not older than a moment, and the last ones of queries that
								 * have none of these; of pilots only */
} tfrs_held_out_by;

typedef enum tfrs_validation_metric
{
	TFRS_METRIC_NDCG = 0,
	TFRS_METRIC_RECALL
} tfrs_validation_metric;

/* Events that are not trained on (event_split.h) tell which epoch is best, and when to stop. */
typedef struct tfrs_validation_options
{
	bool		on;
	float		fraction;		/* of the events, or of the queries */
	tfrs_held_out_by by;
	tfrs_validation_metric metric;
	uint32_t	k;				/* of the metric */
	uint32_t	patience;		/* measurements without a better one until the end; 0: any number */
	uint32_t	every;			/* epochs */
	int64_t		since;			/* of a window */
} tfrs_validation_options;

/*
 * What stands beside a history tower (score_parts.h) and how much it weighs.  A negative weight is
 * chosen by a pilot (pilot.h), and is 0 (1 of the towers) where there is none.
 */
typedef struct tfrs_part_options
{
	float		weight[3];		/* of the parts together, next and content; 0: none */
	float		towers;
	float		recent;			/* how far recent popularity takes the place of that of all time */
	bool		pilot;			/* false: what is not given is not chosen */
} tfrs_part_options;

typedef struct tfrs_train_options
{
	uint32_t	dim;			/* 0: chosen */
	uint32_t	epochs;
	uint32_t	batch_size;
	tfrs_optimizer optimizer;
	tfrs_loss_options loss;
	bool		store;			/* each query's candidates become part of the model */
	bool		keep_optimizer_state;	/* so that training can go on where it ended */
	tfrs_history_options history;
	tfrs_part_options parts;	/* history towers only */
	tfrs_schedule schedule;
	bool		candidate_bias; /* the last of the dim numbers */
	float		dropout;		/* of the components of the query vector */
	bool		normalize;		/* L2 on both sides before the product (Keras UnitNormalization) */
	tfrs_sampling_correction correction;
	bool		full_softmax;	/* all candidates are columns, exact: nothing is sampled */
	uint32_t	uniform_negatives;	/* columns drawn uniformly beside those of the batch; not for
									 * states, whose history.columns are */
	bool		mask_known;		/* a query's other candidates are no negatives of it */
	float		query_weight;	/* w: a query's rows weigh count(query)^-w (states.h); 0: 1 each */
	tfrs_validation_options validation;
	tfrs_cutoffs batch_accuracy;	/* told of each epoch: is the positive in a batch's first k? */
	float		id_dropout;		/* share of examples whose query is taken for an unknown one */
	tfrs_reduction reduction;
	float		l2;				/* l2 |v|^2 is added to a step's loss for each row v it touches */
	float		clip_norm;		/* most of a step's gradient's norm, 0: any */
	uint64_t	seed;
	bool		input_order;
	bool		average_unknown;	/* unknown slot = count-weighted mean of the trained rows */
	tfrs_loss_form form;		/* for tests and the bench */
	int			threads;		/* not part of the model */
	const tfrs_tower_options *query_tower;	/* and its rows; NULL: an id and nothing else */
	const tfrs_tower_options *candidate_tower;
} tfrs_train_options;

/* Share of a step's rows whose key is left out where a tower has other features and the options leave
 * it open. */
#define TFRS_KEY_DROPOUT 0.3f

/* The largest dim that may be chosen for so many candidates, or the one that is given. */
extern uint32_t tfrs_train_options_most_dim(const tfrs_train_options *options, size_t candidates);

/* The defaults of our own, and those of TFRS's tutorial (preset "tfrs"). */
extern void tfrs_train_options_default(tfrs_train_options *options);
extern void tfrs_train_options_tfrs(tfrs_train_options *options);

/* Plain tables of ids with what is best for them; dim, seed, threads and store stay. */
extern void tfrs_train_options_without_history(tfrs_train_options *options);

/* A history tower whose softmax rows are interactions, with what is best for it. */
extern void tfrs_train_options_interactions(tfrs_train_options *options);

/* What the data tells about itself before training. */
typedef struct tfrs_train_counts
{
	size_t		candidates;		/* N */
	size_t		events;			/* distinct pairs */
	size_t		queries;		/* those with two events or more */
	size_t		next_states;	/* event times that have a history (states.h) */
	double		history_length; /* events of the query of a random event: sum n^2 / sum n */
	double		lift;			/* lift.h; 0: not known */
} tfrs_train_counts;

/*
 * Chooses what the options leave open: dim, steps, columns, tied tables, temperature.  Leaves out what these data
 * can't have: recency bags and next states without times, more epochs than steps.  The rules and
 * their measurements: doc/defaults.md.
 */
extern void tfrs_train_options_resolve(tfrs_train_options *options,
									   const tfrs_train_counts *counts);

/*
 * The optimizer for a loss of this reduction.  Its constants are meant for a sum of losses; for a
 * mean over rows they are divided by what the gradients are divided by, which leaves the trajectory
 * as it is (but for SGD, whose steps shrink).  A history tower's are taken as they are.
 */
extern tfrs_optimizer tfrs_train_options_optimizer(const tfrs_train_options *options,
												   size_t rows);

/* Whether each interaction is a row and a column of its own (plain form), whatever repeats. */
extern bool tfrs_train_options_is_plain(const tfrs_train_options *options);

/* A temperature of 0 passes: it is still open. */
extern const char *tfrs_train_options_check(const tfrs_train_options *options);

#endif							/* TFRS_HYPERPARAMETERS_H */
