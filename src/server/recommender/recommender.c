/*
 * recommender.c: the procedures around a recommender, but for the refresh.
 *
 * They work as the caller: a table is created, dropped or given away by whoever may do so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/host/bridge.h"
#include "server/recommender/recommender_check.h"
#include "server/recommender/registry.h"
#include "server/recommender/run_record.h"
#include "server/search/search_arguments.h"
#include "server/recommender/statement.h"
#include "server/recommender/store.h"
#include "server/recommender/store_table.h"

/* Arguments of create and alter: the fields lie between these. */
enum
{
	NAME,
	FIRST_FIELD,
	STORE = FIRST_FIELD + TFRS_FIELDS,
	NEW_NAME = STORE,
	ALTERED_STORE
};

StaticAssertDecl(TFRS_FIELDS + 3 <= TFRS_MOST_PARAMETERS,
				 "one statement writes all fields, the name, the store and the id");

/* So that a NOTIFY can tell it, even where all of it must be escaped. */
#define MOST_NAME_BYTES 255

PG_FUNCTION_INFO_V1(tfrs_create_recommender);
PG_FUNCTION_INFO_V1(tfrs_alter_recommender);
PG_FUNCTION_INFO_V1(tfrs_drop_recommender);
PG_FUNCTION_INFO_V1(tfrs_publish);
PG_FUNCTION_INFO_V1(tfrs_revert);
PG_FUNCTION_INFO_V1(tfrs_grant_recommender);

static void
connect_spi(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
}

static char *
text_argument(FunctionCallInfo fcinfo, int argument)
{
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

static char *
optional_text(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_argument(fcinfo, argument);
}

/* What is given of the arguments that create and alter share; the rest is as it was. */
static void
set_fields(FunctionCallInfo fcinfo, tfrs_recommender *recommender)
{
	for (int i = 0; i < TFRS_FIELDS; i++)
		if (!PG_ARGISNULL(FIRST_FIELD + i))
			tfrs_field_set(&tfrs_fields[i], recommender, PG_GETARG_DATUM(FIRST_FIELD + i));
}

static bool
recommender_exists(const char *name)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_text(&parameters, name);
	return tfrs_registry_execute("SELECT FROM tfrs.recommender WHERE name = $1", &parameters) > 0;
}

static void
check_new_name(const char *name)
{
	if (name[0] == '\0' || strlen(name) > MOST_NAME_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("a recommender's name has from 1 to %d bytes", MOST_NAME_BYTES)));
	if (recommender_exists(name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("recommender \"%s\" already exists", name),
				 errhint("CALL tfrs.alter_recommender(...) changes it; or take another name.")));
}

/* Runs a statement that is given the names of the columns, "$1, $2, ..." for their values, and the
 * number of the parameter that is the recommender's id. */
static void
write_fields(const tfrs_recommender *recommender, const char *sql)
{
	tfrs_parameters parameters = {0};
	StringInfoData columns;
	StringInfoData numbers;

	initStringInfo(&columns);
	initStringInfo(&numbers);
	tfrs_parameters_text(&parameters, recommender->name);
	tfrs_parameters_relation(&parameters, recommender, TFRS_STORE);
	appendStringInfoString(&columns, "name, store");
	appendStringInfoString(&numbers, "$1, $2");
	for (int i = 0; i < TFRS_FIELDS; i++)
	{
		tfrs_field_write(&tfrs_fields[i], recommender, &parameters);
		appendStringInfo(&columns, ", %s", tfrs_fields[i].column);
		appendStringInfo(&numbers, ", $%d", parameters.count);
	}
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_registry_execute(psprintf(sql, columns.data, numbers.data, parameters.count),
						  &parameters);
}

/* ERROR where one is NULL that a recommender can't do without. */
static void
need_fields(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < TFRS_FIELDS; i++)
		if (!tfrs_fields[i].optional)
			tfrs_bridge_need_argument(fcinfo, FIRST_FIELD + i, tfrs_fields[i].name);
}

Datum
tfrs_create_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommender recommender = {0};
	bool		taken;

	Assert(PG_NARGS() == STORE + 1);
	tfrs_bridge_need_argument(fcinfo, NAME, "name");
	need_fields(fcinfo);
	connect_spi();
	recommender.name = text_argument(fcinfo, NAME);
	check_new_name(recommender.name);
	set_fields(fcinfo, &recommender);
	tfrs_recommender_check_definition(&recommender);
	taken = tfrs_store_table_make(&recommender, optional_text(fcinfo, STORE));
	recommender.id = tfrs_registry_new_id();
	write_fields(&recommender, "INSERT INTO tfrs.recommender (%s, recommender_id) "
				 "VALUES (%s, $%d::integer)");
	if (taken)
		tfrs_store_table_adopt(&recommender);
	SPI_finish();
	PG_RETURN_VOID();
}

/* The recommender, that no other session changes before the transaction's end. */
static tfrs_recommender *
find_to_change(const char *name)
{
	tfrs_registry_lock_row(tfrs_recommender_find_owned(name));
	return tfrs_recommender_find_owned(name);
}

/*
 * Locks the store of a recommender that the caller owns, so that it is dropped neither meanwhile nor
 * by somebody who waits for the row: the store comes first everywhere.  ERROR where it was dropped.
 */
static tfrs_recommender *
find_and_lock_store(const char *name, LOCKMODE mode)
{
	tfrs_recommender *recommender = tfrs_recommender_find_owned(name);

	tfrs_recommender_check_store(recommender);
	LockRelationOid(recommender->store, mode);
	recommender = tfrs_recommender_find_owned(name);
	tfrs_recommender_check_store(recommender);
	return recommender;
}

/* The same for what decides about versions: those in the store are known. */
static tfrs_recommender *
find_to_choose(const char *name)
{
	tfrs_recommender *recommender;

	find_and_lock_store(name, AccessShareLock);
	recommender = find_to_change(name);
	tfrs_recommender_check_store(recommender);
	tfrs_store_note_versions(recommender);
	return recommender;
}

/* ERROR where a relation is gone, and no other one was named. */
static void
need_relation(const tfrs_recommender *recommender, const tfrs_field *field)
{
	const char *problem = tfrs_recommender_relation_problem(recommender, field->role);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("recommender \"%s\" is broken: %s", recommender->name, problem),
				 errhint("Name another one: %s => ...", field->name)));
}

static void
need_relations(const tfrs_recommender *recommender)
{
	for (int i = 0; i < TFRS_FIELDS; i++)
		if (tfrs_fields[i].type == TFRS_FIELD_RELATION)
			need_relation(recommender, &tfrs_fields[i]);
}

/* Another table becomes the store, while no refresh writes to the one that was. */
static tfrs_recommender *
find_to_alter(FunctionCallInfo fcinfo)
{
	char	   *name = text_argument(fcinfo, NAME);
	tfrs_recommender *recommender;

	if (PG_ARGISNULL(ALTERED_STORE))
	{
		recommender = find_to_change(name);
		tfrs_recommender_check_store(recommender);
		return recommender;
	}
	tfrs_recommender_lock(tfrs_recommender_find_owned(name), false, true);
	recommender = find_to_change(name);
	tfrs_store_table_take(recommender, text_argument(fcinfo, ALTERED_STORE));
	return recommender;
}

Datum
tfrs_alter_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender;

	Assert(PG_NARGS() == ALTERED_STORE + 1);
	tfrs_bridge_need_argument(fcinfo, NAME, "name");
	connect_spi();
	recommender = find_to_alter(fcinfo);
	if (!PG_ARGISNULL(NEW_NAME))
	{
		recommender->name = text_argument(fcinfo, NEW_NAME);
		check_new_name(recommender->name);
	}
	set_fields(fcinfo, recommender);
	need_relations(recommender);
	tfrs_recommender_check_definition(recommender);
	write_fields(recommender, "UPDATE tfrs.recommender SET (%s) = (%s) "
				 "WHERE recommender_id = $%d::integer");
	if (!PG_ARGISNULL(ALTERED_STORE))
		tfrs_store_table_adopt(recommender);
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
tfrs_drop_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender;
	char	   *name;

	tfrs_bridge_need_argument(fcinfo, NAME, "name");
	connect_spi();
	name = text_argument(fcinfo, NAME);
	tfrs_recommender_lock(tfrs_recommender_find_owned(name), false, true);
	recommender = tfrs_recommender_find_owned(name);	/* as it is after the wait */
	if (OidIsValid(recommender->store))
	{
		tfrs_store_table_execute(psprintf("DROP TABLE %s", tfrs_relation_text(recommender->store)));
		if (get_rel_name(recommender->store) != NULL)	/* another table had the name */
			tfrs_statement_report_renamed(recommender->store);
	}
	tfrs_run_forget(recommender);
	SPI_finish();
	PG_RETURN_VOID();
}

static void
set_current_version(const tfrs_recommender *recommender, int version)
{
	tfrs_parameters parameters = {0};

	tfrs_store_check_version(recommender, version);
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_version(&parameters, version);
	tfrs_registry_execute("UPDATE tfrs.recommender SET current_version = $2 "
						  "WHERE recommender_id = $1::integer", &parameters);
}

/* Makes a version the one in use, whatever was held against it. */
static void
publish(const tfrs_recommender *recommender, int version)
{
	tfrs_parameters parameters = {0};

	set_current_version(recommender, version);
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_version(&parameters, version);
	tfrs_registry_execute("UPDATE tfrs.recommender_version SET published_at = clock_timestamp(), "
						  "held_back = NULL, deliberate = false "
						  "WHERE recommender_id = $1 AND version = $2", &parameters);
}

/* The version in use is not the one to come back to when a later one is reverted. */
static void
take_back(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_version(&parameters, recommender->current_version);
	tfrs_registry_execute("UPDATE tfrs.recommender_version "
						  "SET held_back = 'tfrs.revert took it back', deliberate = true "
						  "WHERE recommender_id = $1 AND version = $2", &parameters);
}

Datum
tfrs_publish(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender;
	tfrs_parameters parameters = {0};
	int			version;

	tfrs_bridge_need_argument(fcinfo, 0, "name");
	tfrs_bridge_need_argument(fcinfo, 1, "version");
	connect_spi();
	version = tfrs_search_version(fcinfo, 1);
	recommender = find_to_choose(text_argument(fcinfo, 0));
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_integer(&parameters, version);
	if (tfrs_registry_execute("SELECT FROM tfrs.recommender_version "
							  "WHERE recommender_id = $1 AND version = $2 "
							  "AND pruned_at IS NULL", &parameters) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("recommender \"%s\" has no version %d", recommender->name, version),
				 errhint("Its versions are in %s.", tfrs_relation_text(recommender->store))));
	publish(recommender, version);
	ereport(NOTICE,
			(errmsg("recommender \"%s\" uses version %d", recommender->name, version)));
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
tfrs_revert(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender;
	int			version;

	tfrs_bridge_need_argument(fcinfo, 0, "name");
	connect_spi();
	recommender = find_to_choose(text_argument(fcinfo, 0));
	version = tfrs_run_version_before(recommender);
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommender \"%s\" has no earlier version that was published",
						recommender->name),
				 errhint("CALL tfrs.publish(name, version) takes any version that is kept.")));
	take_back(recommender);
	set_current_version(recommender, version);
	ereport(NOTICE,
			(errmsg("recommender \"%s\" uses version %d again", recommender->name, version)));
	SPI_finish();
	PG_RETURN_VOID();
}

/* The quoted name of a role, or PUBLIC. */
static const char *
role_text(const char *role)
{
	if (strcmp(role, "public") == 0)
		return "PUBLIC";
	get_role_oid(role, false);
	return quote_identifier(role);
}

Datum
tfrs_grant_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender;
	const char *store;
	const char *role;
	char	   *privilege;

	tfrs_bridge_need_argument(fcinfo, 0, "name");
	tfrs_bridge_need_argument(fcinfo, 1, "role");
	tfrs_bridge_need_argument(fcinfo, 2, "privilege");
	connect_spi();
	/* one that others who grant wait for, too */
	recommender = find_and_lock_store(text_argument(fcinfo, 0), ShareUpdateExclusiveLock);
	store = tfrs_relation_text(recommender->store);
	role = role_text(text_argument(fcinfo, 1));
	privilege = text_argument(fcinfo, 2);
	if (strcmp(privilege, "use") != 0 && strcmp(privilege, "read") != 0 &&
		strcmp(privilege, "none") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no privilege \"%s\" on a recommender", privilege),
				 errhint("It is \"use\", \"read\" or \"none\".")));
	/* revoking SELECT on the table revokes it on all columns */
	tfrs_store_table_execute(psprintf("REVOKE SELECT ON %s FROM %s", store, role));
	if (strcmp(privilege, "use") == 0)
		tfrs_store_table_execute(psprintf("GRANT SELECT (version) ON %s TO %s", store, role));
	else if (strcmp(privilege, "read") == 0)
		tfrs_store_table_execute(psprintf("GRANT SELECT ON %s TO %s", store, role));
	if (tfrs_relation_of_text(store) != recommender->store)
		tfrs_statement_report_renamed(recommender->store);
	SPI_finish();
	PG_RETURN_VOID();
}
