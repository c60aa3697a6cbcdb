/*
 * store_table.c: whose table it is, and what it must look like, is checked under a lock that two
 * sessions can't both have: a table is the store of one recommender.
 */
#include "server/recommender/store_table.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/comment.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "server/host/compat.h"
#include "server/recommender/run_record.h"
#include "server/recommender/statement.h"
#include "server/recommender/store.h"

void
tfrs_store_table_execute(const char *sql)
{
	int			result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "\"%s\" failed: %s", sql, SPI_result_code_string(result));
}

/* Beside the interactions where the caller may create a table there, else where tables go. */
static Oid
default_schema(Oid interactions)
{
	Oid			schema = get_rel_namespace(interactions);

	if (tfrs_schema_aclcheck(schema, GetUserId(), ACL_CREATE) == ACLCHECK_OK)
		return schema;
	return RangeVarGetCreationNamespace(makeRangeVar(NULL, "store", -1));
}

static RangeVar *
range_of_name(const char *name)
{
	return makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
}

/* The table to create or to take, its schema filled in. */
static RangeVar *
choose(const tfrs_recommender *recommender, const char *name)
{
	RangeVar   *store;
	Oid			schema;

	if (name == NULL)
	{
		char	   *table = psprintf("%s_recommender", recommender->name);

		schema = default_schema(recommender->interactions);
		truncate_identifier(table, (int) strlen(table), true);
		store = makeRangeVar(NULL, table, -1);
	}
	else
	{
		store = range_of_name(name);
		schema = RangeVarGetCreationNamespace(store);
	}
	if (isAnyTempNamespace(schema))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("the table of a recommender's models can't be temporary")));
	store->schemaname = get_namespace_name(schema);
	return store;
}

/* The table of the models, which belongs to the caller. */
static void
create(tfrs_recommender *recommender, const RangeVar *store)
{
	Oid			schema = get_namespace_oid(store->schemaname, false);
	char	   *name = quote_qualified_identifier(store->schemaname, store->relname);
	Oid			there = get_relname_relid(store->relname, schema);

	if (tfrs_schema_aclcheck(schema, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", store->schemaname),
				 errhint("Name the table of the models in a schema where you may create one: "
						 "store => 'schema.table'.")));
	if (OidIsValid(there))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("the table to create for the models, %s, already exists", name),
				 tfrs_store_fits(there) ?
				 errhint("store => %s takes it over, with the models in it; or name another one.",
						 quote_literal_cstr(name)) :
				 errhint("Name another one: store => 'schema.table'.")));
	tfrs_store_table_execute(psprintf("CREATE TABLE %s (version pg_catalog.int4 PRIMARY KEY, "
									  "model tfrs.model NOT NULL, "
									  "created_at pg_catalog.timestamptz NOT NULL "
									  "DEFAULT pg_catalog.now())", name));
	recommender->store = tfrs_statement_made_table(store->relname, schema);
	CreateComments(recommender->store, RelationRelationId, 0,
				   psprintf("models of the recommender %s", recommender->name));
}

static void
take(tfrs_recommender *recommender, Oid table)
{
	char	   *other;

	tfrs_store_check_table(table);
	other = tfrs_recommender_of_store(table);
	if (other != NULL && strcmp(other, recommender->name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("table %s holds the models of recommender \"%s\"",
						tfrs_relation_text(table), other)));
	recommender->store = table;
}

bool
tfrs_store_table_make(tfrs_recommender *recommender, const char *name)
{
	RangeVar   *store = choose(recommender, name);
	Oid			table = InvalidOid;

	if (name != NULL)
		table = RangeVarGetRelidExtended(store, ShareUpdateExclusiveLock, RVR_MISSING_OK,
										 RangeVarCallbackOwnsRelation, NULL);
	if (OidIsValid(table))
		take(recommender, table);
	else
		create(recommender, store);
	return OidIsValid(table);
}

/* ERROR where the table's owner is another one than the former table's, who has defined what the
 * recommender reads, and is still there. */
static void
check_owner(const tfrs_recommender *recommender, Oid table)
{
	Oid			former = recommender->references[TFRS_STORE].noted_owner;
	Oid			owner = tfrs_relation_owner(table);
	char	   *former_name = OidIsValid(former) ? GetUserNameFromId(former, true) : NULL;

	if (owner != former && former_name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s belongs to %s, and recommender \"%s\" to %s",
						tfrs_relation_text(table), GetUserNameFromId(owner, true),
						recommender->name, former_name),
				 errhint("ALTER TABLE %s OWNER TO %s.", tfrs_relation_text(table),
						 quote_identifier(former_name))));
}

void
tfrs_store_table_take(tfrs_recommender *recommender, const char *name)
{
	Oid			table = RangeVarGetRelidExtended(range_of_name(name), ShareUpdateExclusiveLock, 0,
												 RangeVarCallbackOwnsRelation, NULL);

	check_owner(recommender, table);
	take(recommender, table);
	memset(&recommender->references[TFRS_STORE], 0, sizeof(tfrs_relation_reference));
}

void
tfrs_store_table_adopt(const tfrs_recommender *recommender)
{
	tfrs_store_versions versions;
	int			current;

	tfrs_store_read_versions(recommender, &versions);
	current = tfrs_run_take_versions(recommender, versions.versions, versions.created);
	if (current == 0)
		ereport(NOTICE,
				(errmsg("recommender \"%s\" takes over table %s, which holds no model",
						recommender->name, tfrs_relation_text(recommender->store))));
	else
		ereport(NOTICE,
				(errmsg("recommender \"%s\" takes over table %s and uses version %d of it",
						recommender->name, tfrs_relation_text(recommender->store), current),
				 errhint("CALL tfrs.publish(name, version) puts another one to use.")));
}
