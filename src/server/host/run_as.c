/*
 * run_as.c: as the server does it for index functions and materialized views.
 */
#include "server/host/run_as.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"

void
tfrs_run_as_begin(tfrs_run_as *scope, Oid role)
{
	GetUserIdAndSecContext(&scope->user, &scope->context);
	SetUserIdAndSecContext(role, scope->context | SECURITY_RESTRICTED_OPERATION);
	scope->read_only = XactReadOnly;
	scope->settings = NewGUCNestLevel();
	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
}

void
tfrs_run_as_reader(tfrs_run_as *scope, Oid role)
{
	tfrs_run_as_begin(scope, role);
	XactReadOnly = true;
}

void
tfrs_run_as_end(tfrs_run_as *scope)
{
	XactReadOnly = scope->read_only;
	AtEOXact_GUC(false, scope->settings);
	SetUserIdAndSecContext(scope->user, scope->context);
}
