/*
 * relation_reference.h: a relation that a recommender means, by its name and by its OID.
 *
 * The type tfrs.relation_reference holds what was noted last: the name, the OID and its owner, and
 * the columns that are used.  Its text is the name that the relation has now, so a dump needs no
 * refresh before it.  A restored reference has a name and nothing else until it is noted again.
 *
 * The rule: the name tells which relation is meant, and the OID tells that it was renamed.
 * - A relation that was renamed or moved is still meant.
 * - Another relation that took over the name is meant from then on, where it had been made before
 *   the former one gave the name away (a swap), or where the former one is gone.
 * - It must have the columns, and its owner must have the privileges of the former one's owner:
 *   nobody else can put a relation, and code in it, in another's place.  Where rights follow from
 *   owning it, as for a store, it must be the same owner: a superuser who restores a table does not
 *   take over what others defined.
 * - Where another relation with the columns has the name all the same, both may be meant.  The
 *   renamed one is used, `other` is the new one, and the recommender's owner decides.
 */
#ifndef TFRS_RELATION_REFERENCE_H
#define TFRS_RELATION_REFERENCE_H

#include "postgres.h"

/* The most columns that a reference remembers. */
#define TFRS_REFERENCE_COLUMNS 32

typedef struct tfrs_relation_reference
{
	/* as it was noted */
	Oid			noted;			/* InvalidOid: nothing but the name is known */
	Oid			noted_owner;
	bool		same_owner;		/* nothing else takes its place */
	Oid			refused;		/* what had the noted name and was not meant; or InvalidOid */
	char	   *noted_name;		/* qualified and quoted; NULL: there is no relation */
	char	   *columns[TFRS_REFERENCE_COLUMNS];	/* NULL at the end */

	/* what it means now */
	Oid			relation;		/* InvalidOid: it is gone */
	char	   *name;			/* what it is called; where it is gone, was called */
	Oid			other;			/* what has the noted name and is not meant; or InvalidOid */
} tfrs_relation_reference;

/* A value of the type, read and resolved.  NULL is a reference without a name. */
extern void tfrs_relation_reference_read(tfrs_relation_reference *reference, Datum value,
										 bool null);

/*
 * A value for a relation and the columns of it that are used; some of them may be NULL.  before:
 * what was meant until now; a relation whose name another one has now stays known by that name, and
 * the other one is remembered, so that the answer stays the same until the owner gives another.
 */
extern Datum tfrs_relation_reference_note(const tfrs_relation_reference *before, Oid relation,
										  bool same_owner, const char *const *columns,
										  int count);

/* Why the relation can't be used, or which other one might be meant, in words; or NULL.
 * what: e.g. "interactions". */
extern const char *tfrs_relation_reference_problem(const tfrs_relation_reference *reference,
												   const char *what, bool plural);
extern const char *tfrs_relation_reference_doubt(const tfrs_relation_reference *reference,
												 const char *what, bool plural);

/* Whether another relation has taken the place of the one that was noted, which is still there. */
extern bool tfrs_relation_reference_swapped(const tfrs_relation_reference *reference);

/* Whether what it means is to be noted again. */
extern bool tfrs_relation_reference_changed(const tfrs_relation_reference *reference);

/* The qualified, quoted name of a relation, ERROR where it was dropped, which tells the name that it
 * had where that is known; and the relation of such a name, whoever may see its schema, InvalidOid
 * without one. */
extern char *tfrs_relation_text(Oid relation);
extern char *tfrs_relation_text_now(Oid relation, const char *before);
extern Oid	tfrs_relation_of_text(const char *text);

/* The owner of a relation, InvalidOid where there is none. */
extern Oid	tfrs_relation_owner(Oid relation);

#endif							/* TFRS_RELATION_REFERENCE_H */
