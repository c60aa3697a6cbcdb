/*
 * relation_reference.c: which relation is meant, by the catalogs as they are now.
 *
 * When a relation was made and when it was given its name are told by the transactions, and the
 * commands in them, that wrote its rows in the catalogs: the row of a system column is written
 * once, that of its row type whenever it is renamed, moved or given away.  The order of two such
 * moments is all that is asked.  Recovery forgets the order of commands in one transaction; what
 * was in doubt is therefore noted by a refresh.
 */
#include "server/recommender/relation_reference.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "server/host/compat.h"

PG_FUNCTION_INFO_V1(tfrs_relation_reference_in);
PG_FUNCTION_INFO_V1(tfrs_relation_reference_out);

/* The name, then the columns, each ended by a zero byte. */
typedef struct stored_reference
{
	int32		vl_len_;		/* of the server's */
	Oid			relation;
	Oid			owner;
	Oid			refused;
	int32		same_owner;
	char		words[FLEXIBLE_ARRAY_MEMBER];
} stored_reference;

/* The qualified, quoted name of a relation; NULL where it is gone. */
static char *
name_of(Oid relation)
{
	char	   *name = get_rel_name(relation);
	char	   *schema = name == NULL ? NULL : get_namespace_name(get_rel_namespace(relation));

	return schema == NULL ? NULL : quote_qualified_identifier(schema, name);
}

char *
tfrs_relation_text(Oid relation)
{
	return tfrs_relation_text_now(relation, psprintf("relation with OID %u", relation));
}

char *
tfrs_relation_text_now(Oid relation, const char *before)
{
	char	   *name = name_of(relation);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("%s was dropped meanwhile", before)));
	return name;
}

Oid
tfrs_relation_of_text(const char *text)
{
	char	   *copy = pstrdup(text);
	List	   *names;
	Oid			schema;

	if (!SplitIdentifierString(copy, '.', &names) || list_length(names) != 2)
		return InvalidOid;
	schema = get_namespace_oid(linitial(names), true);
	return OidIsValid(schema) ? get_relname_relid(lsecond(names), schema) : InvalidOid;
}

Oid
tfrs_relation_owner(Oid relation)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
	ReleaseSysCache(row);
	return owner;
}

/* The first column that a relation does not have, or NULL. */
static const char *
missing_column(const tfrs_relation_reference *reference, Oid relation)
{
	for (int i = 0; i < TFRS_REFERENCE_COLUMNS && reference->columns[i] != NULL; i++)
		if (get_attnum(relation, reference->columns[i]) <= 0)
			return reference->columns[i];
	return NULL;
}

/* Whether rows can be read from it: a table or view of any kind. */
static bool
has_rows(Oid relation)
{
	char		kind = get_rel_relkind(relation);

	return kind != '\0' && strchr("rpvmf", kind) != NULL;
}

static bool
has_owner(const tfrs_relation_reference *reference, Oid relation)
{
	Oid			owner = tfrs_relation_owner(relation);

	return owner == reference->noted_owner ||
		(!reference->same_owner && has_privs_of_role(owner, reference->noted_owner));
}

/* When a row of a catalog was written. */
typedef struct moment
{
	TransactionId transaction;	/* InvalidTransactionId: there is no row */
	CommandId	command;
} moment;

static moment
moment_of(HeapTuple row)
{
	moment		written = {InvalidTransactionId, 0};

	if (!HeapTupleIsValid(row))
		return written;
	written.transaction = HeapTupleHeaderGetRawXmin(row->t_data);
	written.command = HeapTupleHeaderGetRawCommandId(row->t_data);
	ReleaseSysCache(row);
	return written;
}

/* When a relation was made.  Views have no system columns. */
static moment
made(Oid relation)
{
	AttrNumber	column = get_rel_relkind(relation) == RELKIND_VIEW ? 1
		: SelfItemPointerAttributeNumber;

	return moment_of(SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation), Int16GetDatum(column)));
}

/* When a relation was given its name. */
static moment
named(Oid relation)
{
	return moment_of(SearchSysCache1(TYPEOID, ObjectIdGetDatum(get_rel_type_id(relation))));
}

/* Whether a relation was there before another one gave its name away. */
static bool
was_made_before(Oid relation, Oid renamed)
{
	moment		first = made(relation);
	moment		second = named(renamed);

	if (!TransactionIdIsValid(first.transaction) || !TransactionIdIsValid(second.transaction))
		return false;
	if (first.transaction == second.transaction)
		return first.command <= second.command;
	return TransactionIdPrecedes(first.transaction, second.transaction);
}

/* Whether what has the noted name takes the place of the relation that was noted. */
static bool
takes_place(const tfrs_relation_reference *reference, Oid other)
{
	if (missing_column(reference, other) != NULL || !has_owner(reference, other))
		return false;
	return !OidIsValid(reference->relation) ||
		(other != reference->refused && was_made_before(other, reference->relation));
}

/* What the reference means where the relation that was noted has not the noted name.  What has that
 * name and is not meant is told, but for what can't be meant beside a relation that was renamed. */
static void
resolve_name(tfrs_relation_reference *reference)
{
	Oid			other = tfrs_relation_of_text(reference->noted_name);

	if (!OidIsValid(other) || other == reference->relation || !has_rows(other))
		return;
	if (!OidIsValid(reference->noted) || takes_place(reference, other))
		reference->relation = other;
	else if (!OidIsValid(reference->relation) || missing_column(reference, other) == NULL)
		reference->other = other;
}

static void
resolve(tfrs_relation_reference *reference)
{
	char	   *name = OidIsValid(reference->noted) ? name_of(reference->noted) : NULL;

	if (name != NULL)
		reference->relation = reference->noted;
	if (name == NULL || strcmp(name, reference->noted_name) != 0)
		resolve_name(reference);
	if (reference->relation != reference->noted)
		name = name_of(reference->relation);
	reference->name = name == NULL ? reference->noted_name : name;
}

void
tfrs_relation_reference_read(tfrs_relation_reference *reference, Datum value, bool null)
{
	const stored_reference *stored;
	const char *word;
	const char *end;

	memset(reference, 0, sizeof(*reference));
	if (null)
		return;
	stored = (const stored_reference *) DatumGetPointer(value);
	end = (const char *) stored + VARSIZE(stored);
	reference->noted = stored->relation;
	reference->noted_owner = stored->owner;
	reference->same_owner = stored->same_owner != 0;
	reference->refused = stored->refused;
	reference->noted_name = pstrdup(stored->words);
	word = stored->words + strlen(stored->words) + 1;
	for (int i = 0; i < TFRS_REFERENCE_COLUMNS && word < end; i++)
	{
		reference->columns[i] = pstrdup(word);
		word += strlen(word) + 1;
	}
	resolve(reference);
}

static stored_reference *
make_stored(Oid relation, const char *const *words, int count)
{
	size_t		size = offsetof(stored_reference, words);
	stored_reference *stored;
	char	   *at;

	for (int i = 0; i < count; i++)
		size += strlen(words[i]) + 1;
	stored = palloc0(size);
	SET_VARSIZE(stored, size);
	stored->relation = relation;
	stored->owner = tfrs_relation_owner(relation);
	at = stored->words;
	for (int i = 0; i < count; i++)
	{
		strcpy(at, words[i]);
		at += strlen(words[i]) + 1;
	}
	return stored;
}

/* What a relation is called now; ERROR, by the name that it had, where it was dropped. */
static char *
name_to_note(const tfrs_relation_reference *before, Oid relation)
{
	if (before->relation == relation && before->name != NULL)
		return tfrs_relation_text_now(relation, before->name);
	return tfrs_relation_text(relation);
}

Datum
tfrs_relation_reference_note(const tfrs_relation_reference *before, Oid relation,
							 bool same_owner, const char *const *columns, int count)
{
	const char *words[1 + TFRS_REFERENCE_COLUMNS];
	bool		doubtful = OidIsValid(before->other) && before->relation == relation;
	stored_reference *stored;
	int			used = 0;

	Assert(count <= TFRS_REFERENCE_COLUMNS);
	words[used++] = doubtful ? before->noted_name : name_to_note(before, relation);
	for (int i = 0; i < count; i++)
		if (columns[i] != NULL)
			words[used++] = columns[i];
	stored = make_stored(relation, words, used);
	stored->same_owner = same_owner;
	stored->refused = doubtful ? before->other : InvalidOid;
	return PointerGetDatum(stored);
}

static char *
owner_name(Oid relation)
{
	return GetUserNameFromId(tfrs_relation_owner(relation), true);
}

/* Why what has the name is not taken. */
static const char *
objection(const tfrs_relation_reference *reference)
{
	const char *column = missing_column(reference, reference->other);

	if (column != NULL)
		return psprintf("has no column \"%s\"", column);
	return psprintf("belongs to %s", owner_name(reference->other));
}

const char *
tfrs_relation_reference_problem(const tfrs_relation_reference *reference, const char *what,
								bool plural)
{
	const char *state;

	if (reference->noted_name == NULL || OidIsValid(reference->relation))
		return NULL;
	state = OidIsValid(reference->noted) ? plural ? "were dropped" : "was dropped"
		: plural ? "are missing" : "is missing";
	if (!OidIsValid(reference->other))
		return psprintf("its %s, %s, %s", what, reference->name, state);
	return psprintf("its %s, %s, %s, and what has that name now %s", what, reference->name, state,
					objection(reference));
}

const char *
tfrs_relation_reference_doubt(const tfrs_relation_reference *reference, const char *what,
							  bool plural)
{
	if (!OidIsValid(reference->relation) || !OidIsValid(reference->other))
		return NULL;
	return psprintf("its %s %s renamed to %s, and another relation, which belongs to %s, is called "
					"%s now: tell by tfrs.alter_recommender which one is meant", what,
					plural ? "were" : "was", reference->name, owner_name(reference->other),
					reference->noted_name);
}

bool
tfrs_relation_reference_swapped(const tfrs_relation_reference *reference)
{
	return OidIsValid(reference->noted) && OidIsValid(reference->relation) &&
		reference->relation != reference->noted && get_rel_name(reference->noted) != NULL;
}

bool
tfrs_relation_reference_changed(const tfrs_relation_reference *reference)
{
	if (!OidIsValid(reference->relation))
		return false;
	if (OidIsValid(reference->other))
		return reference->other != reference->refused;
	return reference->noted != reference->relation ||
		reference->noted_owner != tfrs_relation_owner(reference->relation) ||
		strcmp(reference->noted_name, reference->name) != 0;
}

Datum
tfrs_relation_reference_in(PG_FUNCTION_ARGS)
{
	const char *name = PG_GETARG_CSTRING(0);

	PG_RETURN_POINTER(make_stored(InvalidOid, &name, 1));
}

Datum
tfrs_relation_reference_out(PG_FUNCTION_ARGS)
{
	tfrs_relation_reference reference;

	tfrs_relation_reference_read(&reference, PG_GETARG_DATUM(0), false);
	PG_RETURN_CSTRING(reference.name);
}
