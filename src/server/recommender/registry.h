/*
 * registry.h: the recommenders of the database: what is configured, found by name.
 *
 * The rows lie in tables of the extension that nobody has privileges on.  They are read here
 * without SQL, and written by fixed statements with parameters that run as the tables' owner.
 *
 * The owner of a recommender is the owner of its store, the table that holds its models.  May use:
 * has SELECT on the store's column version; may read (weights and vocabulary): SELECT on the store.
 */
#ifndef TFRS_REGISTRY_H
#define TFRS_REGISTRY_H

#include "postgres.h"

#include "executor/spi.h"

#include "server/recommender/parameters.h"
#include "server/recommender/recommender_fields.h"

/*
 * The recommender of that name, palloc'd.  ERROR undefined_object where there is none,
 * insufficient_privilege where the caller may neither use nor own it.
 */
extern tfrs_recommender *tfrs_recommender_find(const char *name);

/* For the administration: ERROR unless the caller has the owner's privileges.  Where the store
 * is gone so is its owner: then those of the store's schema, of the interactions or of the
 * database. */
extern tfrs_recommender *tfrs_recommender_find_owned(const char *name);

/* Without these checks; NULL where there is none. */
extern tfrs_recommender *tfrs_recommender_look_up(const char *name);
extern tfrs_recommender *tfrs_recommender_of_id(int32 id);

/* As the running statement sees the registry, for what it joins with rows of its own: a version
 * that is published meanwhile is in neither. */
extern tfrs_recommender *tfrs_recommender_seen(const char *name);

/* Whether the current user has that privilege, or may do everything as its owner. */
extern bool tfrs_recommender_may_own(const tfrs_recommender *recommender);
extern bool tfrs_recommender_may_use(const tfrs_recommender *recommender);
extern bool tfrs_recommender_may_read(const tfrs_recommender *recommender);

/* ERROR where its store was dropped. */
extern void tfrs_recommender_check_store(const tfrs_recommender *recommender);

/* Why there is no relation, or which other one might be meant, in words; or NULL. */
extern const char *tfrs_recommender_relation_problem(const tfrs_recommender *recommender,
													 tfrs_role role);
extern const char *tfrs_recommender_relation_doubt(const tfrs_recommender *recommender,
												   tfrs_role role);

/*
 * The lock on a recommender that its refresh holds, of a kind that no SQL command can take: until
 * the end of the transaction or, over transactions, until it is released or the session ends.
 * False where it should not wait and another session has it.
 */
extern bool tfrs_recommender_lock(const tfrs_recommender *recommender, bool session, bool wait);
extern void tfrs_recommender_unlock_session(const tfrs_recommender *recommender);

extern void tfrs_parameters_model(tfrs_parameters *parameters, const void *value);

/*
 * One fixed statement on the registry, as its owner; the SPI is connected.  Returns the number of
 * rows that it processed; those that it returns are in SPI_tuptable.
 */
extern uint64 tfrs_registry_execute(const char *sql, const tfrs_parameters *parameters);

/* Whether the registry that the recommender was found in is still there: its extension may be
 * dropped at any time. */
extern bool tfrs_registry_is_there(const tfrs_recommender *recommender);

/* The type tfrs.model. */
extern Oid	tfrs_registry_model_type(void);

/* A number for a new recommender.  It is a random one: where rows of another database are restored
 * beside those that are there, they belong to nobody else. */
extern int32 tfrs_registry_new_id(void);

/* The name of the recommender whose models are in that table, or NULL. */
extern char *tfrs_recommender_of_store(Oid store);

/* The lock under which the registry's sequence is set, until it is released. */
extern void tfrs_registry_lock_sequence(void);
extern void tfrs_registry_unlock_sequence(void);

/* Locks the recommender's row until the end of the transaction: settings and the version in use
 * that are read after it can't change before that. */
extern void tfrs_registry_lock_row(const tfrs_recommender *recommender);

/* The types of ids (row_reader.h) that the version in use was trained on; 0 where that is not known. */
extern void tfrs_registry_version_tags(const tfrs_recommender *recommender, uint32 *query,
									   uint32 *candidate);

/* Notes what the recommender's relations are now, and what they are called; tells which of them are
 * others than before, or might be. */
extern void tfrs_registry_note_relations(const tfrs_recommender *recommender);

#endif							/* TFRS_REGISTRY_H */
