/*
 * attached_code.c: what pg_depend knows of a table.
 *
 * What belongs to a table depends on it other than normally (its triggers and defaults go when it
 * goes; a view that reads it does not), and depends in turn on the functions, operators and domains
 * that it uses.  Those of the server itself are pinned and have no entries.
 */
#include "server/recommender/attached_code.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "server/recommender/relation_reference.h"

/* The objects on one side of the dependencies of another one. */
typedef struct neighbours
{
	ObjectAddress *objects;		/* (count) */
	int			count;
} neighbours;

/* Whether an entry of pg_depend is one that counts. */
typedef bool (*is_wanted) (const FormData_pg_depend *entry);

static bool
belongs_to_table(const FormData_pg_depend *entry)
{
	return entry->deptype != DEPENDENCY_NORMAL;
}

static bool
is_code(const FormData_pg_depend *entry)
{
	switch (entry->refclassid)
	{
		case ProcedureRelationId:
		case OperatorRelationId:
		case OperatorClassRelationId:
		case OperatorFamilyRelationId:
			return true;
		case TypeRelationId:
			return get_typtype(entry->refobjid) == TYPTYPE_DOMAIN;
		default:
			return false;
	}
}

/* What depends on an object (dependent), or what it depends on. */
static neighbours
find(const ObjectAddress *object, bool dependent, is_wanted wanted)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	row;
	neighbours	found = {palloc(sizeof(ObjectAddress)), 0};

	ScanKeyInit(&keys[0], dependent ? Anum_pg_depend_refclassid : Anum_pg_depend_classid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object->classId));
	ScanKeyInit(&keys[1], dependent ? Anum_pg_depend_refobjid : Anum_pg_depend_objid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object->objectId));
	scan = systable_beginscan(depend, dependent ? DependReferenceIndexId : DependDependerIndexId,
							  true, NULL, 2, keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		const FormData_pg_depend *entry = (const FormData_pg_depend *) GETSTRUCT(row);

		if (!wanted(entry))
			continue;
		found.objects = repalloc(found.objects, (found.count + 1) * sizeof(ObjectAddress));
		found.objects[found.count++] = dependent
			? (ObjectAddress) {entry->classid, entry->objid, 0}
			: (ObjectAddress) {entry->refclassid, entry->refobjid, 0};
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* InvalidOid where it was dropped. */
static Oid
owner_of(const ObjectAddress *object)
{
	Relation	catalog = table_open(object->classId, AccessShareLock);
	HeapTuple	row = get_catalog_object_by_oid(catalog, get_object_attnum_oid(object->classId),
												object->objectId);
	Oid			owner = InvalidOid;
	bool		null;

	if (HeapTupleIsValid(row))
		owner = DatumGetObjectId(heap_getattr(row, get_object_attnum_owner(object->classId),
											  RelationGetDescr(catalog), &null));
	table_close(catalog, AccessShareLock);
	return owner;
}

static void
check_owner(Oid table, const ObjectAddress *object)
{
	Oid			writer = tfrs_relation_owner(table);
	Oid			owner = owner_of(object);

	if (!OidIsValid(owner) || has_privs_of_role(owner, writer))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%s would run code of %s when it is written to", tfrs_relation_text(table),
					GetUserNameFromId(owner, true)),
			 errdetail("%s belongs to %s, and would have the privileges of %s, the owner of the "
					   "table.", getObjectDescription(object, true),
					   GetUserNameFromId(owner, true), GetUserNameFromId(writer, true)),
			 errhint("Drop the trigger, column, constraint or index that uses it, or change its "
					 "owner.")));
}

/* The code that an object uses. */
static void
check_used(Oid table, const ObjectAddress *object)
{
	neighbours	used = find(object, false, is_code);

	for (int i = 0; i < used.count; i++)
		check_owner(table, &used.objects[i]);
}

/* A rule puts other statements in the place of ours, on tables that are not checked. */
static void
check_rules_and_indexes(Oid table, Oid relation)
{
	Relation	opened = table_open(relation, NoLock);
	ListCell   *cell;

	if (opened->rd_rules != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s has a rule", tfrs_relation_text(relation)),
				 errdetail("A rule would put other statements in the place of those that write."),
				 errhint("Drop the rule; a trigger can do the same.")));
	foreach(cell, RelationGetIndexList(opened))
		check_used(table, &(ObjectAddress) {RelationRelationId, lfirst_oid(cell), 0});
	table_close(opened, NoLock);
}

/* Whoever owns a partition can attach code to it. */
static void
check_partition(Oid table, Oid partition)
{
	Oid			owner = tfrs_relation_owner(partition);

	if (has_privs_of_role(owner, tfrs_relation_owner(table)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%s, a part of %s, belongs to %s", tfrs_relation_text(partition),
					tfrs_relation_text(table), GetUserNameFromId(owner, true)),
			 errdetail("Its owner could attach code to it, which would run with the privileges of "
					   "the owner of %s.", tfrs_relation_text(table)),
			 errhint("Let both have the same owner.")));
}

/* The table, or one of its partitions. */
static void
check_relation(Oid table, Oid relation)
{
	ObjectAddress object = {RelationRelationId, relation, 0};
	neighbours	parts = find(&object, true, belongs_to_table);

	check_partition(table, relation);
	check_used(table, &object);
	for (int i = 0; i < parts.count; i++)
		check_used(table, &parts.objects[i]);
	check_rules_and_indexes(table, relation);
}

void
tfrs_attached_code_check(Oid table)
{
	ListCell   *cell;

	foreach(cell, find_all_inheritors(table, RowExclusiveLock, NULL))
		check_relation(table, lfirst_oid(cell));
}
