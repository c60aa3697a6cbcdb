/*
 * model_writer.h: the parts of a model (model.h) out of what a training has made.
 */
#ifndef TFRS_MODEL_WRITER_H
#define TFRS_MODEL_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/block.h"
#include "base/id_set.h"
#include "learning/history.h"
#include "learning/hyperparameters.h"
#include "learning/model.h"
#include "learning/table.h"

/* One side's ids and what belongs to them. */
typedef struct tfrs_model_side_parts
{
	const tfrs_id_set *ids;
	const uint32_t *counts;		/* (V) */
	const tfrs_table *table;	/* as it is served; NULL: the query side of a history tower */
	uint32_t	head[2];		/* for the writer */
} tfrs_model_side_parts;

/* What is NULL has no part.  All of it must stay until the writer has copied it. */
typedef struct tfrs_model_parts
{
	tfrs_model_shape shape;
	size_t		epoch_count;
	const tfrs_model_epoch *epochs;
	const tfrs_cutoffs *cutoffs;
	const float *accuracy;		/* (epochs, K) where there are cutoffs */
	const double *validation;	/* (epochs) */
	tfrs_model_side_parts query;
	tfrs_model_side_parts candidate;
	const tfrs_events *events;
	const tfrs_history_shape *history;
	const float *bag[TFRS_MAX_BAGS];	/* (N, D) */
	const float *unknown;		/* (D) beside history */
	/* where the state of the optimizer is kept: that of the tables above and of these */
	const tfrs_model_optimizer *optimizer;
	const tfrs_table *bag_table[TFRS_MAX_BAGS]; /* NULL: a bag that is tied */
} tfrs_model_parts;

/* Adds all parts but "about" and "index.*". */
extern tfrs_status tfrs_model_parts_add(tfrs_model_parts *parts, tfrs_block_writer *writer,
										tfrs_error *error);

#endif							/* TFRS_MODEL_WRITER_H */
