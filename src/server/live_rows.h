/*
 * live_rows.h: the interactions and candidates of a recommender, read as they are at this moment
 * and as the caller sees them (live_relation.h).
 */
#ifndef TFRS_LIVE_ROWS_H
#define TFRS_LIVE_ROWS_H

#include "postgres.h"

#include "server/profile.h"
#include "server/registry.h"

/* Adds the events of the profile's query; without privilege to read the interactions, or where they
 * were dropped, the profile stays that of the model. */
extern void tfrs_live_events_read(const tfrs_recommender *recommender, tfrs_profile *profile);

/*
 * Of each of the candidates (rows of the model's) whether it may be shown, and its label, palloc'd
 * text or NULL.  available, labels: (count)
 */
extern void tfrs_live_candidates_read(const tfrs_recommender *recommender,
										 const tfrs_id_view *ids, const uint32 *rows,
										 size_t count, bool *available, char **labels);

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
 * All of it, for all queries: a statement.  Its columns are query, candidate and, where there is
 * one, time, none but the time NULL, in the order of the query by that collation; InvalidOid: the
 * query's type has none.
 */
extern char *tfrs_live_events_statement(const tfrs_recommender *recommender, Oid collation);

/* The same of all candidates (N); available and labels, palloc'd, are (N). */
extern void tfrs_live_candidates_read_all(const tfrs_recommender *recommender,
											 const tfrs_id_view *ids, bool *available,
											 char **labels);

#endif							/* TFRS_LIVE_ROWS_H */
