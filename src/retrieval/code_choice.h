/*
 * code_choice.h: how many codes a row should have.
 *
 * Longer codes are more to read for every row, shorter ones let more rows reach the threshold and
 * be fetched.  What is best depends on the corpus and on the search (for the bounded one, which
 * reads the codes of most rows, from an eighth of a row's components to all of them; for the ranked
 * one half of them, or all where rows stand close together) and is measured in bytes: sample rows
 * coded in several lengths against sample queries.
 */
#ifndef TFRS_CODE_CHOICE_H
#define TFRS_CODE_CHOICE_H

#include <stdbool.h>

#include "base/arena.h"
#include "retrieval/partition.h"

typedef struct tfrs_code_choice tfrs_code_choice;

typedef struct tfrs_code_choice_options
{
	bool		ranked;			/* for the ranked search, else for the bounded one */
	bool		int8;			/* rows that reach the threshold are first looked at in bytes */
} tfrs_code_choice_options;

/* The partition must be complete; it and its corpus (N > 1) stay the caller's. */
extern tfrs_status tfrs_code_choice_begin(tfrs_code_choice **choice, tfrs_arena *arena,
										  const tfrs_partition_builder *partition,
										  tfrs_code_choice_options options, tfrs_error *error);

/* TFRS_MORE until the codes are chosen. */
extern tfrs_status tfrs_code_choice_step(tfrs_code_choice *choice);
extern size_t tfrs_code_choice_get(const tfrs_code_choice *choice);
extern void tfrs_code_choice_destroy(tfrs_code_choice *choice);

#endif							/* TFRS_CODE_CHOICE_H */
