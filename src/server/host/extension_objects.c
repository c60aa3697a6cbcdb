/*
 * extension_objects.c: the schema is always named tfrs, as statements and views have it so.
 */
#include "server/host/extension_objects.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

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

Oid
tfrs_extension_relation(const char *name)
{
	Oid			schema = get_namespace_oid("tfrs", true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relation))
		report_missing("relation", name);
	return relation;
}

Oid
tfrs_extension_type(const char *name)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									   ObjectIdGetDatum(get_namespace_oid("tfrs", true)));

	if (!OidIsValid(type))
		report_missing("type", name);
	return type;
}
