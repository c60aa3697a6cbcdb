/*
 * recommender_sources.h: whether the relations and columns that a recommender rests on are still
 * there, and who may read them.
 */
#ifndef TFRS_RECOMMENDER_SOURCES_H
#define TFRS_RECOMMENDER_SOURCES_H

#include "postgres.h"

#include "server/registry.h"

/* What needs the owner's attention, in words, or NULL: what it rests on was dropped or renamed, or
 * may be another relation than it is taken for.  Broken: it can't be refreshed so. */
extern const char *tfrs_recommender_problem(const tfrs_recommender *recommender);
extern bool tfrs_recommender_is_broken(const tfrs_recommender *recommender);

/* ERRORs for the same: for all of it, or for the columns of one of its relations. */
extern void tfrs_recommender_check_sources(const tfrs_recommender *recommender);
extern void tfrs_recommender_check_columns(const tfrs_recommender *recommender, Oid relation);

/* Whether a role may read these columns, which are there; NULL: none. */
extern bool tfrs_may_read_columns(Oid role, Oid relation, const char *const *columns, int count);

#endif							/* TFRS_RECOMMENDER_SOURCES_H */
