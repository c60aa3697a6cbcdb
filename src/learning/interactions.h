/*
 * interactions.h: what training collects: who chose what, as numbers, within a memory budget.
 *
 * Rows come in any order, as ids.  A known pair of ids costs two hash probes and 8 bytes.  When the
 * budget is full, rows go to spools (sequential byte files that the server injects).
 *
 * tfrs_interactions_finish_* gives the rows their canonical form, which does not depend on the
 * order of arrival, the budget or the number of spools: ids are sorted, rows renumbered, rows
 * spread over buckets by a hash of their content, each bucket sorted.  An epoch visits the buckets
 * in random order and shuffles inside each: the two-level shuffle, the same whether a bucket lies
 * in memory or in a spool.  With order input nothing is moved: rows are read as they came.
 *
 * Where a side has columns beside its key (feature_rows.h), an interaction carries the number of its
 * query's row, and each key has one row: of several that of the latest time, of equal times the
 * greatest by content.
 */
#ifndef TFRS_INTERACTIONS_H
#define TFRS_INTERACTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id_set.h"
#include "learning/key_rows.h"
#include "learning/row_store.h"

typedef struct tfrs_interactions tfrs_interactions;

typedef struct tfrs_interactions_options
{
	bool		has_weight;
	bool		has_time;
	bool		input_order;	/* option order: input */
	size_t		budget;			/* bytes for rows and ids; then rows go to spools */
	uint64_t	seed;			/* of the shuffle */
	const tfrs_spool_functions *spools; /* NULL: rows past the budget are an error */
} tfrs_interactions_options;

/*
 * The types of both ids are set before the first row and before finishing.  Ids stay in memory even
 * past the budget, as their tables will; each epoch holds one bucket beside it (some 131,072 rows).
 */
extern tfrs_status tfrs_interactions_create(tfrs_interactions **interactions, tfrs_arena *arena,
											const tfrs_interactions_options *options,
											tfrs_error *error);
extern void tfrs_interactions_destroy(tfrs_interactions *interactions);

extern tfrs_status tfrs_interactions_set_query_type(tfrs_interactions *interactions,
													tfrs_id_kind kind, uint32_t tag,
													tfrs_error *error);
extern tfrs_status tfrs_interactions_set_candidate_type(tfrs_interactions *interactions,
														tfrs_id_kind kind, uint32_t tag,
														tfrs_error *error);

/*
 * Before the first row, after the types: the columns of a side; nothing where no feature reads one.
 * The options have passed tfrs_tower_options_check (feature.h) and must outlive the interactions.
 */
extern tfrs_status tfrs_interactions_set_query_row(tfrs_interactions *interactions,
												   const tfrs_tower_options *options,
												   tfrs_error *error);
extern tfrs_status tfrs_interactions_set_candidate_row(tfrs_interactions *interactions,
													   const tfrs_tower_options *options,
													   tfrs_error *error);

/*
 * The hot path.  weight and at are ignored where the options say there are none.  Errors: memory,
 * TFRS_OVER_BUDGET without spools, TFRS_IO_ERROR, TFRS_TOO_LARGE past TFRS_MAX_INTERACTIONS or for
 * ids beyond TFRS_MAX_BLOCK_BYTES, those of tfrs_id_set_add.
 */
extern tfrs_status tfrs_interactions_add(tfrs_interactions *interactions, tfrs_id query,
										 tfrs_id candidate, float weight, int64_t at,
										 tfrs_error *error);

/* A row with the values of its sides' columns. */
typedef struct tfrs_given_row
{
	tfrs_id		query;
	tfrs_id		candidate;
	const tfrs_value *query_value;	/* (C), or NULL: all are NULL */
	const tfrs_value *candidate_value;	/* likewise */
	float		weight;
	int64_t		at;
} tfrs_given_row;

/* The same with columns.  Errors of tfrs_feature_rows_add too. */
extern tfrs_status tfrs_interactions_add_rows(tfrs_interactions *interactions,
											  const tfrs_given_row *given, tfrs_error *error);

/* A key's row that stands in no interaction. */
extern tfrs_status tfrs_interactions_know_query_row(tfrs_interactions *interactions, tfrs_id query,
													const tfrs_value *value,
													tfrs_row_origin origin, tfrs_error *error);
extern tfrs_status tfrs_interactions_know_candidate_row(tfrs_interactions *interactions,
														tfrs_id candidate,
														const tfrs_value *value,
														tfrs_row_origin origin,
														tfrs_error *error);

/* Ids of an earlier training, which need have no row in this one. */
extern tfrs_status tfrs_interactions_know_query(tfrs_interactions *interactions, tfrs_id query,
												tfrs_error *error);
extern tfrs_status tfrs_interactions_know_candidate(tfrs_interactions *interactions,
													tfrs_id candidate, tfrs_error *error);

/* Call until it does not return TFRS_MORE; then the rest of this interface may be used. */
extern tfrs_status tfrs_interactions_finish_step(tfrs_interactions *interactions,
												 tfrs_error *error);

/* As given to create. */
extern const tfrs_interactions_options *
tfrs_interactions_settings(const tfrs_interactions *interactions);

extern size_t tfrs_interactions_count(const tfrs_interactions *interactions);
extern const tfrs_id_set *tfrs_interactions_queries(const tfrs_interactions *interactions);
extern const tfrs_id_set *tfrs_interactions_candidates(const tfrs_interactions *interactions);

/* (V) rows of each id, after finish; 0 for one that is only known. */
extern const uint32_t *tfrs_interactions_query_counts(const tfrs_interactions *interactions);
extern const uint32_t *tfrs_interactions_candidate_counts(const tfrs_interactions *interactions);

/*
 * After finish: the rows of a side and those of its keys; NULL where no feature reads a column.
 * Statistics are weighed with row_count: the interactions of each query's row, and the candidates of
 * each row that have interactions in this or an earlier training.
 */
extern const tfrs_key_rows *tfrs_interactions_query_rows(const tfrs_interactions *interactions);
extern const tfrs_key_rows *
tfrs_interactions_candidate_rows(const tfrs_interactions *interactions);

/* Starts an epoch (numbered from 0) and reads its rows in order, at most limit at a time; *count
 * is 0 at the epoch's end. */
extern tfrs_status tfrs_interactions_rewind(tfrs_interactions *interactions, uint32_t epoch,
											tfrs_error *error);
extern tfrs_status tfrs_interactions_read(tfrs_interactions *interactions, tfrs_interaction *rows,
										  size_t limit, size_t *count, tfrs_error *error);

#endif							/* TFRS_INTERACTIONS_H */
