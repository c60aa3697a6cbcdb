/*
 * model_type.h: the SQL type tfrs.model, a block of kind TFRS_BLOCK_MODEL as a column value.
 */
#ifndef TFRS_MODEL_TYPE_H
#define TFRS_MODEL_TYPE_H

#include "postgres.h"

#include "learning/model.h"
#include "server/block_type.h"

extern const tfrs_block_type tfrs_model_type;

/*
 * A view of a detoasted tfrs.model, its parts checked (raises).  The digest was verified when the
 * value came in; who caches under it verifies again (tfrs_block_value_verify).
 */
extern void tfrs_model_of_value(tfrs_model *model, const void *value);

#endif							/* TFRS_MODEL_TYPE_H */
