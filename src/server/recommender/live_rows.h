/*
 * live_rows.h: the interactions and candidates of a recommender, read as they are at this moment
 * and as the caller sees them (live_relation.h).
 */
#ifndef TFRS_LIVE_ROWS_H
#define TFRS_LIVE_ROWS_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/id_set.h"
#include "server/values/candidate_ids.h"
#include "server/recommender/profile.h"
#include "server/recommender/registry.h"

/* Adds the events of the profile's query; without privilege to read the interactions, or where they
 * were dropped, the profile stays that of the model. */
extern void tfrs_live_events_read(const tfrs_recommender *recommender, tfrs_profile *profile);

/* What is read of rows (count): the caller gives the arrays. */
typedef struct tfrs_shown
{
	bool	   *available;		/* (count) may be shown */
	char	  **labels;			/* (count) palloc'd text or NULL */
	int			columns;		/* other columns that are asked for, of candidates only */
	char	  **column;			/* (columns) their names */
	char	  **values;			/* (count, columns) palloc'd text or NULL */
} tfrs_shown;

/* Of each of the candidates (rows of the model's) whether it may be shown, its label, and what else is
 * asked for. */
extern void tfrs_live_candidates_read(const tfrs_recommender *recommender,
									  const tfrs_id_view *ids, const uint32 *rows, size_t count,
									  tfrs_shown *shown);

/* The same of queries (rows of the model's): those may be shown that the caller sees in rows that
 * count.  They have no labels.  Where the interactions cannot be read all may. */
extern void tfrs_live_queries_read(const tfrs_recommender *recommender, const tfrs_id_view *ids,
								   const uint32 *rows, size_t count, tfrs_shown *shown);

/* The model's queries that have a row of a candidate (a row of the model's), whatever its weight; false
 * where the interactions cannot be read. */
extern bool tfrs_live_holders_read(const tfrs_recommender *recommender, const tfrs_model *model,
								   uint32 candidate, tfrs_row_list *holders);

/* Times that rows are counted by: after begin up to middle, and after middle up to end. */
typedef struct tfrs_span
{
	bool		given;			/* false: rows of all times count, all of them as after middle */
	TimestampTz begin;
	TimestampTz middle;
	TimestampTz end;
} tfrs_span;

/* The candidates of the interactions, whether or not a model knows them; palloc'd. */
typedef struct tfrs_live_counts
{
	tfrs_id_set set;
	tfrs_arena	arena;
	tfrs_id_view ids;			/* N, in the order of their column's type */
	int64	   *recent;			/* (N) rows after middle */
	int64	   *before;			/* (N) and up to it */
} tfrs_live_counts;

/* Counts the rows that count for training.  There is no answer without them: ERROR where the caller
 * may not read them, or they were dropped. */
extern void tfrs_live_counts_read(const tfrs_recommender *recommender, const tfrs_span *span,
								  tfrs_live_counts *counts);

/* The candidates whose columns have the values of a JSON object, as rows of ids; ERROR as above. */
extern tfrs_row_list tfrs_live_within_read(const tfrs_recommender *recommender, Jsonb *within,
										   const tfrs_id_view *ids);

/* Locks the candidates' relation for reading as the caller; ERROR where it is gone. */
extern void tfrs_live_candidates_lock(const tfrs_recommender *recommender);

/* Whether candidates are looked up at all: they have a relation. */
static inline bool
tfrs_live_has_candidates(const tfrs_recommender *recommender)
{
	return recommender->references[TFRS_CANDIDATES].name != NULL;
}

/*
 * Waits for the locks of all that is read here and below, so that a snapshot that is taken
 * afterwards sees what a load has written that was waited for.
 */
extern void tfrs_live_lock(const tfrs_recommender *recommender);

/*
 * All of it, for all queries: a statement.  Its columns are query, candidate, weight and, where there is
 * one, time, none but the time NULL, in the order of the query by that collation; InvalidOid: the
 * query's type has none.
 */
extern char *tfrs_live_events_statement(const tfrs_recommender *recommender, Oid collation);

/* What tfrs_live_candidates_read finds, of all candidates (N). */
extern void tfrs_live_candidates_read_all(const tfrs_recommender *recommender,
										  const tfrs_id_view *ids, tfrs_shown *shown);

#endif							/* TFRS_LIVE_ROWS_H */
