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
#include "learning/tensors.h"
#include "learning/model.h"
#include "learning/tower.h"

/* One side's ids and what belongs to them. */
typedef struct tfrs_model_side_parts
{
	const tfrs_id_set *ids;
	const uint32_t *counts;		/* (V) */
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
	tfrs_feature_store *query_features;	/* whose rows are ready */
	tfrs_feature_store *candidate_features;
	const tfrs_events *events;
	const tfrs_tower_shape *tower;
	const tfrs_tensors *parameters;	/* as they are served */
	const float *bag[TFRS_MAX_BAGS];	/* (N, D) what each bag reads */
	const float *unknown;		/* (D) beside bags, or with features */
	const float *served;		/* (N + 1, D) candidates of a tower with features; NULL: their table */
	const tfrs_score_parts *scores;
	const tfrs_model_score *score;
	const float *recent_end;	/* (N) */
	const float *recent_all;	/* (N) */
	const float *length;		/* (N + 1) of the candidates before they were normalized, or NULL */
	const tfrs_model_optimizer *optimizer;	/* where its state is kept: that of the parameters */
} tfrs_model_parts;

/* Adds all parts but "about" and "index.*". */
extern tfrs_status tfrs_model_parts_add(tfrs_model_parts *parts, tfrs_block_writer *writer,
										tfrs_error *error);

#endif							/* TFRS_MODEL_WRITER_H */
