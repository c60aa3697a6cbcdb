/*
 * recommender.c: the procedures around a recommender, but for the refresh.
 *
 * They work as the caller: a table is created, dropped or given away by whoever may do so.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/recommender_check.h"
#include "server/registry.h"
#include "server/run_record.h"
#include "server/search_arguments.h"
#include "server/statement.h"
#include "server/store.h"
#include "server/store_table.h"

/* Arguments of create and alter, after the name. */
enum
{
	NAME,
	INTERACTIONS,
	QUERY,
	CANDIDATE,
	WEIGHT,
	AT,
	CANDIDATES,
	CANDIDATE_KEY,
	LABEL,
	AVAILABLE,
	OPTIONS,
	HELD_OUT,
	TOLERANCE,
	LEAST_SHARE,
	KEEP_VERSIONS,
	STORE,
	NEW_NAME = STORE,
	ALTERED_STORE
};

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

/* ERROR where an argument is NULL that must be given. */
static void
need_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be NULL", name)));
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

/* Where an argument is given, the text takes the place of *target; nothing that of ''. */
static void
set_text(FunctionCallInfo fcinfo, int argument, char **target)
{
	char	   *text;

	if (PG_ARGISNULL(argument))
		return;
	text = text_argument(fcinfo, argument);
	*target = text[0] == '\0' ? NULL : text;
}

static void
set_float(FunctionCallInfo fcinfo, int argument, double *target)
{
	if (!PG_ARGISNULL(argument))
		*target = PG_GETARG_FLOAT8(argument);
}

/* What is named is meant, whatever was meant before.  Without candidates there are none of their
 * columns. */
static void
set_relation(tfrs_recommender *recommender, tfrs_role role, Oid relation)
{
	memset(&recommender->references[role], 0, sizeof(tfrs_relation_reference));
	if (role == TFRS_INTERACTIONS)
		recommender->interactions = relation;
	else
		recommender->candidates = relation;
	if (role == TFRS_INTERACTIONS || OidIsValid(relation))
		return;
	recommender->candidate_key = NULL;
	recommender->label_column = NULL;
	recommender->available_column = NULL;
}

/* What is given of the arguments that create and alter share. */
static void
set_arguments(FunctionCallInfo fcinfo, tfrs_recommender *recommender)
{
	if (!PG_ARGISNULL(INTERACTIONS))
		set_relation(recommender, TFRS_INTERACTIONS, PG_GETARG_OID(INTERACTIONS));
	set_text(fcinfo, QUERY, &recommender->query_column);
	set_text(fcinfo, CANDIDATE, &recommender->candidate_column);
	set_text(fcinfo, WEIGHT, &recommender->weight_column);
	set_text(fcinfo, AT, &recommender->at_column);
	if (!PG_ARGISNULL(CANDIDATES))
		set_relation(recommender, TFRS_CANDIDATES, PG_GETARG_OID(CANDIDATES));
	set_text(fcinfo, CANDIDATE_KEY, &recommender->candidate_key);
	set_text(fcinfo, LABEL, &recommender->label_column);
	set_text(fcinfo, AVAILABLE, &recommender->available_column);
	if (!PG_ARGISNULL(OPTIONS))
		recommender->options = PG_GETARG_JSONB_P(OPTIONS);
	set_float(fcinfo, HELD_OUT, &recommender->held_out);
	set_float(fcinfo, TOLERANCE, &recommender->tolerance);
	set_float(fcinfo, LEAST_SHARE, &recommender->least_share);
	if (!PG_ARGISNULL(KEEP_VERSIONS))	/* the range is checked with the definition */
		recommender->keep_versions = (int) Max(Min(PG_GETARG_INT64(KEEP_VERSIONS), PG_INT32_MAX),
											   PG_INT32_MIN);
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

/* Columns after the id, in the order of SETTINGS. */
static void
add_settings(tfrs_parameters *parameters, const tfrs_recommender *recommender)
{
	tfrs_parameters_text(parameters, recommender->name);
	tfrs_parameters_relation(parameters, recommender, TFRS_STORE);
	tfrs_parameters_relation(parameters, recommender, TFRS_INTERACTIONS);
	tfrs_parameters_text(parameters, recommender->query_column);
	tfrs_parameters_text(parameters, recommender->candidate_column);
	tfrs_parameters_text(parameters, recommender->weight_column);
	tfrs_parameters_text(parameters, recommender->at_column);
	tfrs_parameters_relation(parameters, recommender, TFRS_CANDIDATES);
	tfrs_parameters_text(parameters, recommender->candidate_key);
	tfrs_parameters_text(parameters, recommender->label_column);
	tfrs_parameters_text(parameters, recommender->available_column);
	tfrs_parameters_jsonb(parameters, recommender->options);
	tfrs_parameters_float(parameters, recommender->held_out);
	tfrs_parameters_float(parameters, recommender->tolerance);
	tfrs_parameters_float(parameters, recommender->least_share);
	tfrs_parameters_integer(parameters, recommender->keep_versions);
}

#define SETTINGS "name, store, interactions, query_column, candidate_column, weight_column, " \
	"at_column, candidates, candidate_key, label_column, available_column, options, held_out, " \
	"tolerance, least_share, keep_versions"
#define SETTINGS_VALUES "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, " \
	"$16::integer"

static void
insert_recommender(tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	recommender->id = tfrs_registry_new_id();
	add_settings(&parameters, recommender);
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_registry_execute("INSERT INTO tfrs.recommender (" SETTINGS ", recommender_id) "
						  "VALUES (" SETTINGS_VALUES ", $17::integer)", &parameters);
}

Datum
tfrs_create_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommender recommender = {0};
	bool		taken;

	need_argument(fcinfo, NAME, "name");
	need_argument(fcinfo, INTERACTIONS, "interactions");
	need_argument(fcinfo, QUERY, "query");
	need_argument(fcinfo, CANDIDATE, "candidate");
	need_argument(fcinfo, OPTIONS, "options");
	need_argument(fcinfo, HELD_OUT, "held_out");
	need_argument(fcinfo, TOLERANCE, "tolerance");
	need_argument(fcinfo, LEAST_SHARE, "least_share");
	need_argument(fcinfo, KEEP_VERSIONS, "keep_versions");
	connect_spi();
	recommender.name = text_argument(fcinfo, NAME);
	check_new_name(recommender.name);
	set_arguments(fcinfo, &recommender);
	tfrs_recommender_check_definition(&recommender);
	taken = tfrs_store_table_make(&recommender, optional_text(fcinfo, STORE));
	insert_recommender(&recommender);
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
need_relation(const tfrs_recommender *recommender, tfrs_role role, const char *argument)
{
	const char *problem = tfrs_recommender_relation_problem(recommender, role);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("recommender \"%s\" is broken: %s", recommender->name, problem),
				 errhint("Name another one: %s => ...", argument)));
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

static void
update_recommender(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	add_settings(&parameters, recommender);
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_registry_execute("UPDATE tfrs.recommender SET (" SETTINGS ") = (" SETTINGS_VALUES ") "
						  "WHERE recommender_id = $17::integer", &parameters);
}

Datum
tfrs_alter_recommender(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender;

	need_argument(fcinfo, NAME, "name");
	connect_spi();
	recommender = find_to_alter(fcinfo);
	if (!PG_ARGISNULL(NEW_NAME))
	{
		recommender->name = text_argument(fcinfo, NEW_NAME);
		check_new_name(recommender->name);
	}
	set_arguments(fcinfo, recommender);
	need_relation(recommender, TFRS_INTERACTIONS, "interactions");
	need_relation(recommender, TFRS_CANDIDATES, "candidates");
	tfrs_recommender_check_definition(recommender);
	update_recommender(recommender);
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

	need_argument(fcinfo, NAME, "name");
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

	need_argument(fcinfo, 0, "name");
	need_argument(fcinfo, 1, "version");
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

	need_argument(fcinfo, 0, "name");
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

	need_argument(fcinfo, 0, "name");
	need_argument(fcinfo, 1, "role");
	need_argument(fcinfo, 2, "privilege");
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
