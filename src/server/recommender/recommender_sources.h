/*
 * recommender_sources.h: whether the relations and columns that a recommender rests on are still
 * there and of the types that it needs, and who may read them.
 */
#ifndef TFRS_RECOMMENDER_SOURCES_H
#define TFRS_RECOMMENDER_SOURCES_H

#include "postgres.h"

#include "base/id_view.h"
#include "server/recommender/registry.h"

/* Whether a column of that type, or of a domain over it, can; and the kind in words: "a time". */
extern bool tfrs_column_is_of(Oid type, tfrs_column_kind kind);
extern const char *tfrs_column_kind_words(tfrs_column_kind kind);

/* What needs the owner's attention, in words, or NULL: what it rests on was dropped, renamed or
 * changed in its type, or may be another relation than it is taken for.  Broken: it can't be refreshed so. */
extern const char *tfrs_recommender_problem(const tfrs_recommender *recommender);
extern bool tfrs_recommender_is_broken(const tfrs_recommender *recommender);

/* The same of the version in use: that its ids are not of the types that columns are of now. */
extern const char *tfrs_recommender_version_problem(const tfrs_recommender *recommender);

/* ERRORs for the same: for all of it, or for the columns of one of its relations. */
extern void tfrs_recommender_check_sources(const tfrs_recommender *recommender);
extern void tfrs_recommender_check_columns(const tfrs_recommender *recommender, Oid relation);

/* The same for all columns that are there, and ERROR where those of ids do not fit the ids of a
 * model. */
extern void tfrs_recommender_check_model(const tfrs_recommender *recommender,
										 const tfrs_id_view *queries,
										 const tfrs_id_view *candidates);

/* Whether a role may read these columns, which are there; NULL: none. */
extern bool tfrs_may_read_columns(Oid role, Oid relation, const char *const *columns, int count);

#endif							/* TFRS_RECOMMENDER_SOURCES_H */
