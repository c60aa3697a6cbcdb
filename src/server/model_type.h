/*
 * model_type.h: the SQL type tfrs.model, a block of kind TFRS_BLOCK_MODEL as a column value.
 */
#ifndef TFRS_MODEL_TYPE_H
#define TFRS_MODEL_TYPE_H

#include "postgres.h"

#include "server/block_type.h"

extern const tfrs_block_type tfrs_model_type;

#endif							/* TFRS_MODEL_TYPE_H */
