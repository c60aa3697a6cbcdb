/*
 * registry.c: rows of tfrs.recommender by index scans, and statements on the registry.
 *
 * Reading goes past the executor: recommend looks here once a call, and a scan knows no operators
 * that a search path could replace.  Names are compared by bytes (COLLATE "C").
 */
#include "server/registry.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
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

#include "server/run_as.h"

/* Columns of tfrs.recommender and tfrs.recommender_relation, in order. */
enum
{
	RECOMMENDER_ID = 1,
	NAME,
	STORE,
	INTERACTIONS,
	QUERY_COLUMN,
	CANDIDATE_COLUMN,
	WEIGHT_COLUMN,
	AT_COLUMN,
	CANDIDATES,
	CANDIDATE_KEY,
	LABEL_COLUMN,
	AVAILABLE_COLUMN,
	OPTIONS,
	HELD_OUT,
	TOLERANCE,
	KEEP_VERSIONS,
	CURRENT_VERSION
};

enum
{
	RELATION_RECOMMENDER_ID = 1,
	RELATION_ROLE,
	RELATION_OID
};

/* The schema that the extension is in, whatever its name is now; InvalidOid without extension. */
static Oid
extension_schema(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	Oid			schema = InvalidOid;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("tfrs_retrieval"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		schema = ((Form_pg_extension) GETSTRUCT(row))->extnamespace;
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return schema;
}

static void
report_missing(const char *kind, const char *name)
{
	Oid			schema = extension_schema();
	char	   *schema_name = OidIsValid(schema) ? get_namespace_name(schema) : NULL;

	if (schema_name != NULL && strcmp(schema_name, "tfrs") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("the schema of extension tfrs_retrieval must be named \"tfrs\", but it was "
						"renamed to \"%s\"", schema_name),
				 errhint("ALTER SCHEMA %s RENAME TO tfrs.", quote_identifier(schema_name))));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("%s tfrs.%s does not exist", kind, name),
			 errhint("The extension's objects are missing: create or update the extension.")));
}

static Oid
registry_relation(const char *name)
{
	Oid			schema = get_namespace_oid("tfrs", true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relation))
		report_missing("relation", name);
	return relation;
}

static Oid
recommender_table(void)
{
	return registry_relation("recommender");
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
	scan = systable_beginscan(table, registry_relation(index), true, GetActiveSnapshot(), count,
							  keys);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	PopActiveSnapshot();
	return row;
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

/* What a name means: the relation that it meant first, and after a restore the one of that name. */
static Oid
relation_of_role(Relation relations, int32 id, const char *role, const char *text)
{
	ScanKeyData keys[2];
	HeapTuple	row;
	Oid			relation;
	bool		null;

	if (text == NULL)
		return InvalidOid;
	ScanKeyInit(&keys[0], RELATION_RECOMMENDER_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(id));
	ScanKeyInit(&keys[1], RELATION_ROLE, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(role));
	row = find_row(relations, "recommender_relation_pkey", keys, 2, false);
	if (!HeapTupleIsValid(row))
		return tfrs_relation_of_text(text);
	relation = DatumGetObjectId(heap_getattr(row, RELATION_OID, RelationGetDescr(relations),
											 &null));
	return get_rel_name(relation) == NULL ? InvalidOid : relation;
}

/* The owner of a relation, InvalidOid where there is none. */
static Oid
owner_of(Oid relation)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
	ReleaseSysCache(row);
	return owner;
}

static char *
text_column(const Datum *values, const bool *nulls, int column)
{
	return nulls[column - 1] ? NULL : TextDatumGetCString(values[column - 1]);
}

static void
resolve_relations(tfrs_recommender *recommender)
{
	Relation	relations = table_open(registry_relation("recommender_relation"), AccessShareLock);

	recommender->store = relation_of_role(relations, recommender->id, "store",
										  recommender->store_name);
	recommender->interactions = relation_of_role(relations, recommender->id, "interactions",
												 recommender->interactions_name);
	recommender->candidates = relation_of_role(relations, recommender->id, "candidates",
											   recommender->candidates_name);
	recommender->owner = owner_of(recommender->store);
	table_close(relations, AccessShareLock);
}

static tfrs_recommender *
recommender_of_row(HeapTuple row, TupleDesc columns)
{
	tfrs_recommender *recommender = palloc0(sizeof(*recommender));
	Datum	   *values = palloc(columns->natts * sizeof(Datum));
	bool	   *nulls = palloc(columns->natts * sizeof(bool));

	heap_deform_tuple(row, columns, values, nulls);
	recommender->registry = row->t_tableOid;
	recommender->id = DatumGetInt32(values[RECOMMENDER_ID - 1]);
	recommender->name = text_column(values, nulls, NAME);
	recommender->store_name = text_column(values, nulls, STORE);
	recommender->interactions_name = text_column(values, nulls, INTERACTIONS);
	recommender->candidates_name = text_column(values, nulls, CANDIDATES);
	recommender->query_column = text_column(values, nulls, QUERY_COLUMN);
	recommender->candidate_column = text_column(values, nulls, CANDIDATE_COLUMN);
	recommender->weight_column = text_column(values, nulls, WEIGHT_COLUMN);
	recommender->at_column = text_column(values, nulls, AT_COLUMN);
	recommender->candidate_key = text_column(values, nulls, CANDIDATE_KEY);
	recommender->label_column = text_column(values, nulls, LABEL_COLUMN);
	recommender->available_column = text_column(values, nulls, AVAILABLE_COLUMN);
	recommender->options = DatumGetJsonbPCopy(values[OPTIONS - 1]);
	recommender->held_out = DatumGetFloat8(values[HELD_OUT - 1]);
	recommender->tolerance = DatumGetFloat8(values[TOLERANCE - 1]);
	recommender->keep_versions = DatumGetInt32(values[KEEP_VERSIONS - 1]);
	recommender->current_version = nulls[CURRENT_VERSION - 1] ? 0
		: DatumGetInt32(values[CURRENT_VERSION - 1]);
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
	if (recommender != NULL)
		resolve_relations(recommender);
	return recommender;
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
	return superuser() || acts_for(schema_owner(recommender->store_name)) ||
		acts_for(owner_of(recommender->interactions)) || acts_for(database_owner());
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
				 errmsg("recommender \"%s\" is broken: its store, table %s, was dropped",
						recommender->name, recommender->store_name),
				 errhint("CALL tfrs.drop_recommender(name), and create it anew.")));
}

char *
tfrs_relation_text(Oid relation)
{
	char	   *name = get_rel_name(relation);
	char	   *schema = get_namespace_name(get_rel_namespace(relation));

	if (name == NULL || schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u was dropped meanwhile", relation)));
	return quote_qualified_identifier(schema, name);
}

static void
add_parameter(tfrs_parameters *parameters, Oid type, Datum value, bool null)
{
	Assert(parameters->count < TFRS_MOST_PARAMETERS);
	parameters->types[parameters->count] = type;
	parameters->values[parameters->count] = value;
	parameters->nulls[parameters->count] = null ? 'n' : ' ';
	parameters->count++;
}

void
tfrs_parameters_integer(tfrs_parameters *parameters, int64 value)
{
	add_parameter(parameters, INT8OID, Int64GetDatum(value), false);
}

void
tfrs_parameters_version(tfrs_parameters *parameters, int version)
{
	add_parameter(parameters, INT4OID, Int32GetDatum(version), version == 0);
}

void
tfrs_parameters_float(tfrs_parameters *parameters, double value)
{
	add_parameter(parameters, FLOAT8OID, Float8GetDatum(value), isnan(value));
}

void
tfrs_parameters_text(tfrs_parameters *parameters, const char *value)
{
	add_parameter(parameters, TEXTOID, value == NULL ? (Datum) 0 : CStringGetTextDatum(value),
				  value == NULL);
}

void
tfrs_parameters_jsonb(tfrs_parameters *parameters, const Jsonb *value)
{
	add_parameter(parameters, JSONBOID, JsonbPGetDatum(value), value == NULL);
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

bool
tfrs_registry_is_there(const tfrs_recommender *recommender)
{
	AcceptInvalidationMessages();
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(recommender->registry));
}

Oid
tfrs_registry_model_type(void)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("model"),
									   ObjectIdGetDatum(get_namespace_oid("tfrs", true)));

	if (!OidIsValid(type))
		report_missing("type", "model");
	return type;
}

void
tfrs_parameters_model(tfrs_parameters *parameters, const void *value)
{
	add_parameter(parameters, tfrs_registry_model_type(), PointerGetDatum(value), false);
}

void
tfrs_parameters_floats(tfrs_parameters *parameters, ArrayType *value)
{
	add_parameter(parameters, FLOAT8ARRAYOID, PointerGetDatum(value), value == NULL);
}

uint64
tfrs_registry_execute(const char *sql, const tfrs_parameters *parameters)
{
	tfrs_parameters copy = *parameters;
	tfrs_run_as scope;
	int			result;

	tfrs_run_as_begin(&scope, owner_of(recommender_table()));
	result = SPI_execute_with_args(sql, copy.count, copy.types, copy.values, copy.nulls, false,
								   0);
	if (result < 0)
		elog(ERROR, "a statement on the registry of recommenders failed: %s",
			 SPI_result_code_string(result));
	tfrs_run_as_end(&scope);
	return SPI_processed;
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
note_relation(const tfrs_recommender *recommender, const char *role, Oid relation)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_text(&parameters, role);
	if (!OidIsValid(relation))
	{
		tfrs_registry_execute("DELETE FROM tfrs.recommender_relation "
							  "WHERE recommender_id = $1::integer AND role = $2", &parameters);
		return;
	}
	tfrs_parameters_integer(&parameters, relation);
	tfrs_registry_execute("INSERT INTO tfrs.recommender_relation VALUES ($1::integer, $2, $3::oid) "
						  "ON CONFLICT (recommender_id, role) DO UPDATE "
						  "SET relation = EXCLUDED.relation "
						  "WHERE recommender_relation.relation <> EXCLUDED.relation", &parameters);
}

void
tfrs_registry_note_relations(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	note_relation(recommender, "store", recommender->store);
	note_relation(recommender, "interactions", recommender->interactions);
	note_relation(recommender, "candidates", recommender->candidates);
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_text(&parameters, tfrs_relation_text(recommender->store));
	tfrs_parameters_text(&parameters, tfrs_relation_text(recommender->interactions));
	tfrs_parameters_text(&parameters, OidIsValid(recommender->candidates) ?
						 tfrs_relation_text(recommender->candidates) : NULL);
	tfrs_registry_execute("UPDATE tfrs.recommender "
						  "SET store = $2, interactions = $3, candidates = $4 "
						  "WHERE recommender_id = $1::integer AND "
						  "(store, interactions) IS DISTINCT FROM ($2, $3) OR "
						  "recommender_id = $1::integer AND candidates IS DISTINCT FROM $4",
						  &parameters);
}
