/*
 * registry.c: rows of tfrs.recommender by index scans, and statements on the registry.
 *
 * Reading goes past the executor: recommend looks here once a call, and a scan knows no operators
 * that a search path could replace.  Names are compared by bytes (COLLATE "C").
 */
#include "server/recommender/registry.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "server/host/extension_objects.h"
#include "server/host/run_as.h"

/* Columns of tfrs.recommender that rows are found by. */
enum
{
	RECOMMENDER_ID = 1,
	NAME
};

static Oid
recommender_table(void)
{
	return tfrs_extension_relation("recommender");
}

/*
 * The first row that an index finds by its keys, a copy; NULL without one.  as_seen: as the running
 * statement sees the database (so that a version found here is in the store too), else as it is
 * now.
 */
static HeapTuple
find_row(Relation table, const char *index, ScanKey keys, int count, bool as_seen)
{
	SysScanDesc scan;
	HeapTuple	row;

	PushActiveSnapshot(as_seen && ActiveSnapshotSet() ? GetActiveSnapshot()
					   : GetTransactionSnapshot());
	scan = systable_beginscan(table, tfrs_extension_relation(index), true, GetActiveSnapshot(),
							  count, keys);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	PopActiveSnapshot();
	return row;
}

/* By the column's name, as an update of the extension puts new columns behind all others. */
static Datum
column_value(HeapTuple row, TupleDesc columns, const char *name, bool *null)
{
	int			number = SPI_fnumber(columns, name);

	if (number <= 0)
		elog(ERROR, "the registry of recommenders has no column \"%s\"", name);
	return heap_getattr(row, number, columns, null);
}

static tfrs_recommender *
recommender_of_row(HeapTuple row, TupleDesc columns)
{
	tfrs_recommender *recommender = palloc0(sizeof(*recommender));
	bool		null;
	Datum		value;

	recommender->registry = row->t_tableOid;
	recommender->id = DatumGetInt32(heap_getattr(row, RECOMMENDER_ID, columns, &null));
	recommender->name = TextDatumGetCString(heap_getattr(row, NAME, columns, &null));
	value = column_value(row, columns, "current_version", &null);
	recommender->current_version = null ? 0 : DatumGetInt32(value);
	value = column_value(row, columns, "store", &null);
	tfrs_recommender_read_relation(recommender, TFRS_STORE, value, null);
	recommender->owner = tfrs_relation_owner(recommender->store);
	for (int i = 0; i < TFRS_FIELDS; i++)
	{
		value = column_value(row, columns, tfrs_fields[i].column, &null);
		tfrs_field_read(&tfrs_fields[i], recommender, value, null);
	}
	return recommender;
}

/* By the one row that an index of tfrs.recommender has for a key. */
static tfrs_recommender *
look_up(const char *index, ScanKey key, bool as_seen)
{
	Relation	table = table_open(recommender_table(), AccessShareLock);
	tfrs_recommender *recommender = NULL;
	HeapTuple	row = find_row(table, index, key, 1, as_seen);

	if (HeapTupleIsValid(row))
		recommender = recommender_of_row(row, RelationGetDescr(table));
	table_close(table, AccessShareLock);
	return recommender;
}

static uint32
tag_column(HeapTuple row, Relation table, const char *column)
{
	bool		null;
	Datum		value = column_value(row, RelationGetDescr(table), column, &null);

	return null ? 0 : DatumGetUInt32(value);
}

void
tfrs_registry_version_tags(const tfrs_recommender *recommender, uint32 *query, uint32 *candidate)
{
	Relation	table = table_open(tfrs_extension_relation("recommender_version"), AccessShareLock);
	ScanKeyData keys[2];
	HeapTuple	row;

	ScanKeyInit(&keys[0], get_attnum(RelationGetRelid(table), "recommender_id"),
				BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(recommender->id));
	ScanKeyInit(&keys[1], get_attnum(RelationGetRelid(table), "version"),
				BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(recommender->current_version));
	row = find_row(table, "recommender_version_pkey", keys, 2, false);
	*query = HeapTupleIsValid(row) ? tag_column(row, table, "query_tag") : 0;
	*candidate = HeapTupleIsValid(row) ? tag_column(row, table, "candidate_tag") : 0;
	table_close(table, AccessShareLock);
}

static tfrs_recommender *
look_up_name(const char *name, bool as_seen)
{
	ScanKeyData key;

	ScanKeyInit(&key, NAME, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(name));
	return look_up("recommender_name_key", &key, as_seen);
}

tfrs_recommender *
tfrs_recommender_look_up(const char *name)
{
	return look_up_name(name, false);
}

tfrs_recommender *
tfrs_recommender_seen(const char *name)
{
	return look_up_name(name, true);
}

tfrs_recommender *
tfrs_recommender_of_id(int32 id)
{
	ScanKeyData key;

	ScanKeyInit(&key, RECOMMENDER_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
	return look_up("recommender_pkey", &key, false);
}

static tfrs_recommender *
find(const char *name, bool as_seen)
{
	tfrs_recommender *recommender = look_up_name(name, as_seen);

	if (recommender == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("recommender \"%s\" does not exist", name),
				 errhint("tfrs.recommender_status lists the recommenders that you may use; CALL "
						 "tfrs.create_recommender(...) creates one.")));
	return recommender;
}

static void
refuse(const tfrs_recommender *recommender, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for recommender \"%s\"", recommender->name),
			 errhint("%s", hint)));
}

bool
tfrs_recommender_may_read(const tfrs_recommender *recommender)
{
	return OidIsValid(recommender->store) &&
		pg_class_aclcheck(recommender->store, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

bool
tfrs_recommender_may_use(const tfrs_recommender *recommender)
{
	AttrNumber	version;

	if (!OidIsValid(recommender->store))
		return false;
	if (has_privs_of_role(GetUserId(), recommender->owner) ||
		tfrs_recommender_may_read(recommender))
		return true;
	version = get_attnum(recommender->store, "version");
	return version != InvalidAttrNumber &&
		pg_attribute_aclcheck(recommender->store, version, GetUserId(),
							  ACL_SELECT) == ACLCHECK_OK;
}

/* The owner of the schema that a qualified name begins with. */
static Oid
schema_owner(const char *text)
{
	char	   *copy = pstrdup(text);
	List	   *names;
	HeapTuple	row;
	Oid			owner;

	if (!SplitIdentifierString(copy, '.', &names) || names == NIL)
		return InvalidOid;
	row = SearchSysCache1(NAMESPACENAME, CStringGetDatum(linitial(names)));
	if (!HeapTupleIsValid(row))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(row))->nspowner;
	ReleaseSysCache(row);
	return owner;
}

static Oid
database_owner(void)
{
	HeapTuple	row = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		return InvalidOid;
	owner = ((Form_pg_database) GETSTRUCT(row))->datdba;
	ReleaseSysCache(row);
	return owner;
}

static bool
acts_for(Oid role)
{
	return OidIsValid(role) && has_privs_of_role(GetUserId(), role);
}

bool
tfrs_recommender_may_own(const tfrs_recommender *recommender)
{
	if (OidIsValid(recommender->owner))
		return acts_for(recommender->owner);
	return superuser() ||
		acts_for(schema_owner(recommender->references[TFRS_STORE].name)) ||
		acts_for(tfrs_relation_owner(recommender->interactions)) || acts_for(database_owner());
}

tfrs_recommender *
tfrs_recommender_find(const char *name)
{
	tfrs_recommender *recommender = find(name, true);

	if (OidIsValid(recommender->store) && !tfrs_recommender_may_use(recommender))
		refuse(recommender,
			   "Its owner may give it: CALL tfrs.grant_recommender(name, role, 'use').");
	tfrs_recommender_check_store(recommender);
	return recommender;
}

tfrs_recommender *
tfrs_recommender_find_owned(const char *name)
{
	tfrs_recommender *recommender = find(name, false);

	if (!tfrs_recommender_may_own(recommender))
		refuse(recommender, OidIsValid(recommender->owner) ?
			   psprintf("Only %s, the owner of its store, may do that.",
						GetUserNameFromId(recommender->owner, true)) :
			   "Its store was dropped: the owner of the database may do that.");
	return recommender;
}

void
tfrs_recommender_check_store(const tfrs_recommender *recommender)
{
	if (!OidIsValid(recommender->store))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("recommender \"%s\" is broken: %s", recommender->name,
						tfrs_recommender_relation_problem(recommender, TFRS_STORE)),
				 errhint("CALL tfrs.alter_recommender(name, store => 'schema.table') names another "
						 "table of models; CALL tfrs.drop_recommender(name) drops the "
						 "recommender.")));
}

/* What messages call each role, and whether that is a plural. */
static const struct
{
	const char *words;
	bool		plural;
}			roles[TFRS_ROLES] = {
	[TFRS_STORE] = {"store", false},
	[TFRS_INTERACTIONS] = {"interactions", true},
	[TFRS_CANDIDATES] = {"candidates", true}
};

const char *
tfrs_recommender_relation_problem(const tfrs_recommender *recommender, tfrs_role role)
{
	return tfrs_relation_reference_problem(&recommender->references[role], roles[role].words,
										   roles[role].plural);
}

const char *
tfrs_recommender_relation_doubt(const tfrs_recommender *recommender, tfrs_role role)
{
	return tfrs_relation_reference_doubt(&recommender->references[role], roles[role].words,
										 roles[role].plural);
}

static void
lock_tag(LOCKTAG *tag, const tfrs_recommender *recommender)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, recommender->registry, (Oid) recommender->id, 0);
}

bool
tfrs_recommender_lock(const tfrs_recommender *recommender, bool session, bool wait)
{
	LOCKTAG		tag;

	lock_tag(&tag, recommender);
	return LockAcquire(&tag, ExclusiveLock, session, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
tfrs_recommender_unlock_session(const tfrs_recommender *recommender)
{
	LOCKTAG		tag;

	lock_tag(&tag, recommender);
	LockRelease(&tag, ExclusiveLock, true);
}

static void
sequence_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, recommender_table(), 0, 0);
}

void
tfrs_registry_lock_sequence(void)
{
	LOCKTAG		tag;

	sequence_tag(&tag);
	LockAcquire(&tag, ExclusiveLock, false, false);
}

void
tfrs_registry_unlock_sequence(void)
{
	LOCKTAG		tag;

	sequence_tag(&tag);
	LockRelease(&tag, ExclusiveLock, false);
}

bool
tfrs_registry_is_there(const tfrs_recommender *recommender)
{
	AcceptInvalidationMessages();
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(recommender->registry));
}

Oid
tfrs_registry_model_type(void)
{
	return tfrs_extension_type("model");
}

void
tfrs_parameters_model(tfrs_parameters *parameters, const void *value)
{
	tfrs_parameters_add(parameters, tfrs_registry_model_type(), PointerGetDatum(value), false);
}

uint64
tfrs_registry_execute(const char *sql, const tfrs_parameters *parameters)
{
	tfrs_parameters copy = *parameters;
	tfrs_run_as scope;
	int			result;

	tfrs_run_as_begin(&scope, tfrs_relation_owner(recommender_table()));
	result = SPI_execute_with_args(sql, copy.count, copy.types, copy.values, copy.nulls, false,
								   0);
	if (result < 0)
		elog(ERROR, "a statement on the registry of recommenders failed: %s",
			 SPI_result_code_string(result));
	tfrs_run_as_end(&scope);
	return SPI_processed;
}

static bool
is_used(int32 id)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, id);
	return tfrs_registry_execute("SELECT FROM tfrs.recommender WHERE recommender_id = $1 UNION ALL "
								 "SELECT FROM tfrs.recommender_run WHERE recommender_id = $1 "
								 "UNION ALL SELECT FROM tfrs.recommender_version "
								 "WHERE recommender_id = $1", &parameters) > 0;
}

int32
tfrs_registry_new_id(void)
{
	int32		id;

	do
	{
		if (!pg_strong_random(&id, sizeof(id)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate a random number")));
		id &= PG_INT32_MAX;
	} while (id == 0 || is_used(id));
	return id;
}

char *
tfrs_recommender_of_store(Oid store)
{
	tfrs_parameters none = {0};
	uint64		count = tfrs_registry_execute("SELECT name FROM tfrs.recommender", &none);
	SPITupleTable *rows = SPI_tuptable;
	char	   *found = NULL;

	for (uint64 i = 0; i < count && found == NULL; i++)
	{
		char	   *name = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		tfrs_recommender *recommender = tfrs_recommender_look_up(name);

		if (recommender != NULL && recommender->store == store)
			found = name;
	}
	return found;
}

void
tfrs_registry_lock_row(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_registry_execute("SELECT FROM tfrs.recommender WHERE recommender_id = $1::integer "
						  "FOR NO KEY UPDATE", &parameters);
}

static void
tell_swapped(const tfrs_recommender *recommender, tfrs_role role)
{
	const tfrs_relation_reference *reference = &recommender->references[role];

	if (tfrs_relation_reference_swapped(reference))
		ereport(NOTICE,
				(errmsg("recommender \"%s\": %s is another relation than before",
						recommender->name, reference->name),
				 errdetail("The former one is called %s now.",
						   tfrs_relation_text(reference->noted))));
}

static void
tell_doubt(const tfrs_recommender *recommender, tfrs_role role)
{
	const char *doubt = tfrs_recommender_relation_doubt(recommender, role);

	if (doubt != NULL)
		ereport(WARNING,
				(errmsg("recommender \"%s\": %s", recommender->name, doubt)));
}

void
tfrs_registry_note_relations(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};
	bool		changed = false;

	for (int role = 0; role < TFRS_ROLES; role++)
	{
		tell_swapped(recommender, role);
		tell_doubt(recommender, role);
		changed = changed || tfrs_relation_reference_changed(&recommender->references[role]);
	}
	if (!changed)
		return;
	tfrs_parameters_integer(&parameters, recommender->id);
	for (int role = 0; role < TFRS_ROLES; role++)
		tfrs_parameters_relation(&parameters, recommender, role);
	tfrs_registry_execute("UPDATE tfrs.recommender "
						  "SET store = $2, interactions = $3, candidates = $4 "
						  "WHERE recommender_id = $1::integer", &parameters);
}
