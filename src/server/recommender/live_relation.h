/*
 * live_relation.h: a relation that a recommender rests on, read as the caller (but see
 * tfrs_live_reader) and as it is now.
 *
 * The interactions, or the candidates.  What the caller may not read, or what was dropped, is left
 * out, with a NOTICE once a session.  All is read as run_as.h has it for
 * readers: whatever a view or a policy calls can change nothing in the database.
 *
 * A statement's plan is kept in the session; another statement takes its place.
 */
#ifndef TFRS_LIVE_RELATION_H
#define TFRS_LIVE_RELATION_H

#include "postgres.h"

#include "base/id_set.h"
#include "server/values/candidate_ids.h"
#include "server/recommender/registry.h"

typedef struct tfrs_live_relation
{
	const tfrs_recommender *recommender;
	tfrs_role	role;			/* no store */
	Oid			relation;
	const char *id_column;		/* that is looked up: of queries, or of candidates */
	Oid			id_type;		/* its base type */
	struct tfrs_live_entry *entry;	/* what the session keeps of it */
} tfrs_live_relation;

/* Whose privileges it is read with: the caller's, but a superuser's only where he is the owner, so
 * that a view of others' can't run their code as him. */
extern Oid	tfrs_live_reader(const tfrs_recommender *recommender);

/* Finds a relation; false where it must be left out. */
extern bool tfrs_live_relation_open(tfrs_live_relation *live, const tfrs_recommender *recommender,
									tfrs_role role);

/* Says once a session where each look-up reads the whole table. */
extern void tfrs_live_relation_check_index(const tfrs_live_relation *live);

/* The column that is looked up, for a statement: of its base type, so that operators take it. */
extern char *tfrs_live_relation_id_text(const tfrs_live_relation *live);

/* The type that ids are looked up as, and an id as such a value; false where the type has none. */
extern Oid	tfrs_live_relation_parameter_type(const tfrs_live_relation *live);
extern bool tfrs_live_relation_value(const tfrs_live_relation *live, tfrs_id_writer *writer,
									 uint32 tag, tfrs_id id, Datum *value);

/* Runs a SELECT with one parameter; the SPI is connected, as a reader.  The rows are in
 * SPI_tuptable. */
extern void tfrs_live_relation_select(const tfrs_live_relation *live, const char *sql, Oid type,
									  Datum parameter);

#endif							/* TFRS_LIVE_RELATION_H */
