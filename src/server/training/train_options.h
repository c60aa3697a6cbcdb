/*
 * train_options.h: the options of tfrs.train.
 */
#ifndef TFRS_TRAIN_OPTIONS_H
#define TFRS_TRAIN_OPTIONS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "learning/trainer.h"
#include "server/training/tower_keys.h"

/* What is said of a training: towers have their columns only when a row has come. */
typedef struct tfrs_train_request
{
	tfrs_train_options options; /* first: its keys are read and written by it alone */
	tfrs_tower_request query;
	tfrs_tower_request candidate;
} tfrs_train_request;

/* Defaults, preset and keys of json (NULL: none) into *request, checked.  Raises. */
extern void tfrs_train_options_read(tfrs_train_request *request, const Jsonb *json);

/* Those that a model was trained with, and over them the keys of json: for tfrs.retrain.  How long
 * to train is chosen anew by the counts of the data, unless json says it. */
extern void tfrs_retrain_options_read(tfrs_train_request *request, const tfrs_model *model,
									  const Jsonb *json);

/* Appends all options as used, presets expanded, as a JSON object: no thread count and nothing else
 * that does not shape the model. */
extern void tfrs_train_options_write(const tfrs_train_options *options, StringInfo json);

#endif							/* TFRS_TRAIN_OPTIONS_H */
