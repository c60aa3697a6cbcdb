/*
 * index_type.h: the SQL type tfrs.candidate_index and the aggregate tfrs.build_index.
 *
 * A block of kind TFRS_BLOCK_INDEX: the ids under "candidate." (base/id_set.h), the vectors and
 * their search structure under "index." (retrieval/index.h), row by row the same.
 */
#ifndef TFRS_INDEX_TYPE_H
#define TFRS_INDEX_TYPE_H

#include "postgres.h"

#include "base/id_view.h"
#include "retrieval/index.h"
#include "server/values/block_type.h"
#include "server/host/progress.h"

extern const tfrs_block_type tfrs_index_type;

/* Views of an index's block, all parts checked; the arena holds what the index adds. */
extern tfrs_status tfrs_index_of_block(const tfrs_block *block, tfrs_id_view *candidates,
									   tfrs_index *index, tfrs_arena *arena, tfrs_error *error);

/* Takes a builder of that many rows to its end, open to a cancel; run tells about it. */
extern void tfrs_index_run_builder(tfrs_index_builder *builder, size_t rows, tfrs_progress *run);

/*
 * Writes what a builder has made over these ids (row by row those of its vectors) as a value in the
 * current memory context.
 */
extern tfrs_block_value *tfrs_index_value_of(const tfrs_id_view *ids, tfrs_index_builder *builder);

/* Raises an error for options that don't go together. */
extern void tfrs_index_check_options(const tfrs_index_options *options);

#endif							/* TFRS_INDEX_TYPE_H */
