/*
 * rows.h: interactions for the tests of learning: a spool over a temporary file that can be told
 * to fail, and filling and reading of interactions.
 */
#ifndef TFRS_TEST_ROWS_H
#define TFRS_TEST_ROWS_H

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "check.h"
#include "learning/interactions.h"

/* Counts of calls so far, and the call that is to fail (0: none). */
typedef struct rows_spool_state
{
	int			open;
	int			calls;
	int			fail_at;
} rows_spool_state;

static rows_spool_state rows_spool;

static inline bool
rows_spool_call(void)
{
	return ++rows_spool.calls != rows_spool.fail_at;
}

static inline void *
rows_spool_create(void *context)
{
	FILE	   *file = rows_spool_call() ? tmpfile() : NULL;

	(void) context;
	rows_spool.open += file != NULL;
	return file;
}

static inline bool
rows_spool_append(void *spool, const void *bytes, size_t count)
{
	return rows_spool_call() && fseek(spool, 0, SEEK_END) == 0 &&
		fwrite(bytes, 1, count, spool) == count;
}

static inline bool
rows_spool_read(void *spool, size_t offset, void *bytes, size_t count)
{
	return rows_spool_call() && fseek(spool, (long) offset, SEEK_SET) == 0 &&
		fread(bytes, 1, count, spool) == count;
}

static inline void
rows_spool_close(void *spool)
{
	fclose(spool);
	rows_spool.open--;
}

static const tfrs_spool_functions rows_spools = {
	NULL, rows_spool_create, rows_spool_append, rows_spool_read, rows_spool_close
};

/* A row as SQL would give it: the ids are numbers of the test's own. */
typedef struct test_row
{
	int64_t		query;
	int64_t		candidate;
	float		weight;
	int64_t		at;
} test_row;

/* Drawn from queries x candidates, skewed towards low candidates; few weights, some equal times. */
static inline void
rows_draw(test_row *rows, size_t count, uint32_t queries, uint32_t candidates)
{
	tfrs_random random;

	tfrs_random_init(&random, 7, 1001, 0);
	for (size_t i = 0; i < count; i++)
	{
		float		share = tfrs_random_float(&random);

		rows[i].query = 1000 - 3 * (int64_t) tfrs_random_below(&random, queries);
		rows[i].candidate = (int64_t) (share * share * (float) candidates);
		rows[i].weight = 0.5f * (float) (1 + tfrs_random_below(&random, 3));
		rows[i].at = (int64_t) tfrs_random_below(&random, 100000) * 1000000 - 50000000000;
	}
}

static inline void
rows_permute(test_row *rows, size_t count, uint64_t seed)
{
	tfrs_random random;

	tfrs_random_init(&random, seed, 1002, 0);
	for (size_t i = count; i > 1; i--)
	{
		size_t		j = tfrs_random_below(&random, (uint32_t) i);
		test_row	row = rows[j];

		rows[j] = rows[i - 1];
		rows[i - 1] = row;
	}
}

/* Candidates are text such as "c17" unless this says that they are numbers. */
static bool rows_integer_candidates;

/* text is where the bytes of a text id lie. */
static inline tfrs_id
rows_candidate(const test_row *row, char text[32])
{
	if (rows_integer_candidates)
		return tfrs_id_of_integer(row->candidate);
	return tfrs_id_of_bytes(text, (size_t) snprintf(text, 32, "c%lld",
													(long long) row->candidate));
}

static inline tfrs_status
rows_add(tfrs_interactions *interactions, const test_row *rows, size_t count, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (size_t i = 0; status == TFRS_OK && i < count; i++)
	{
		char		text[32];

		status = tfrs_interactions_add(interactions, tfrs_id_of_integer(rows[i].query),
									   rows_candidate(&rows[i], text), rows[i].weight,
									   rows[i].at, error);
	}
	return status;
}

static inline tfrs_status
rows_finish(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_status status;

	do
		status = tfrs_interactions_finish_step(interactions, error);
	while (status == TFRS_MORE);
	return status;
}

/* Created, the ids' types set. */
static inline tfrs_status
rows_begin(tfrs_interactions **interactions, tfrs_arena *arena,
		   const tfrs_interactions_options *options, tfrs_error *error)
{
	tfrs_status status = tfrs_interactions_create(interactions, arena, options, error);

	if (status == TFRS_OK)
		status = tfrs_interactions_set_query_type(*interactions, TFRS_ID_INTEGER, 20, error);
	if (status == TFRS_OK)
		status = tfrs_interactions_set_candidate_type(*interactions,
													  rows_integer_candidates ? TFRS_ID_INTEGER
													  : TFRS_ID_BYTES, 25, error);
	return status;
}

/* Created, filled and finished; *interactions is valid (or NULL) also after an error. */
static inline tfrs_status
rows_collect(tfrs_interactions **interactions, tfrs_arena *arena,
			 const tfrs_interactions_options *options, const test_row *rows, size_t count,
			 tfrs_error *error)
{
	tfrs_status status = rows_begin(interactions, arena, options, error);

	if (status == TFRS_OK)
		status = rows_add(*interactions, rows, count, error);
	if (status == TFRS_OK)
		status = rows_finish(*interactions, error);
	return status;
}

#endif							/* TFRS_TEST_ROWS_H */
