/*
 * model_type.h: the SQL type tfrs.model, a block of kind TFRS_BLOCK_MODEL as a column value.
 */
#ifndef TFRS_MODEL_TYPE_H
#define TFRS_MODEL_TYPE_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "learning/model.h"
#include "retrieval/index.h"
#include "server/values/block_type.h"

extern const tfrs_block_type tfrs_model_type;

/*
 * Views of a model's block, all parts checked, and of the index over its candidate table: the one
 * that it carries, or a plain one.  The arena holds what the index adds.
 */
extern tfrs_status tfrs_model_and_index(const tfrs_block *block, tfrs_model *model,
										tfrs_index *index, tfrs_arena *arena, tfrs_error *error);

/* The model's own description, which may come from outside: verified by conversion and parsing. */
extern Jsonb *tfrs_model_about(const tfrs_model *model);

#endif							/* TFRS_MODEL_TYPE_H */
