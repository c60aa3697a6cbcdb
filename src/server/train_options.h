/*
 * train_options.h: the options of tfrs.train.
 */
#ifndef TFRS_TRAIN_OPTIONS_H
#define TFRS_TRAIN_OPTIONS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "learning/trainer.h"

/* Defaults, preset and keys of json (NULL: none) into *options, checked.  Raises. */
extern void tfrs_train_options_read(tfrs_train_options *options, const Jsonb *json);

/* Appends all options as used, presets expanded, as a JSON object: no thread count and nothing else
 * that does not shape the model. */
extern void tfrs_train_options_write(const tfrs_train_options *options, StringInfo json);

#endif							/* TFRS_TRAIN_OPTIONS_H */
