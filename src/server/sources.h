/*
 * sources.h: the interactions and candidates of a recommender, read as they are at this moment.
 *
 * All of it is read under the caller's own privileges and policies, within a security-restricted,
 * read-only operation: whatever a view or a policy calls can change nothing.  What the caller
 * may not read, or what was dropped, is left out, with a NOTICE once a session.
 *
 * Plans are kept in the session; where the recommender has changed they are made anew.
 */
#ifndef TFRS_SOURCES_H
#define TFRS_SOURCES_H

#include "postgres.h"

#include "server/profile.h"
#include "server/registry.h"

/* Adds the events of the profile's query, as far as the model knows their candidates. */
extern void tfrs_sources_read_events(const tfrs_recommender *recommender, tfrs_profile *profile);

/*
 * Of each of the candidates (rows of the model's) whether it may be shown, and its label, palloc'd
 * text or NULL.  available, labels: (count)
 */
extern void tfrs_sources_read_candidates(const tfrs_recommender *recommender,
										 const tfrs_id_view *ids, const uint32 *rows,
										 size_t count, bool *available, char **labels);

/* Whether candidates are looked up at all: they have a relation. */
static inline bool
tfrs_sources_has_candidates(const tfrs_recommender *recommender)
{
	return recommender->candidates_name != NULL;
}

/* All of it, for who asks for all queries: a statement of the columns, in this order. */

/* query, candidate and, where has_time, time, in the order of the query; no NULLs but in time. */
extern char *tfrs_sources_all_events(const tfrs_recommender *recommender);

/* key and, where there is one, label of the candidates that may be shown; NULL where the caller
 * may not read them or there are none. */
extern char *tfrs_sources_all_candidates(const tfrs_recommender *recommender);

/* The time of an event from a column of type timestamptz, timestamp or date, as training takes it. */
extern int64 tfrs_sources_time(Oid type, Datum value, bool null);

#endif							/* TFRS_SOURCES_H */
