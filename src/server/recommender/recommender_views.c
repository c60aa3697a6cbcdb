/*
 * recommender_views.c: what the views of recommenders can't say in SQL: who may do what, and which
 * relations the names in the registry mean now.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/recommender/recommender_sources.h"
#include "server/recommender/store.h"

PG_FUNCTION_INFO_V1(tfrs_recommender_about);
PG_FUNCTION_INFO_V1(tfrs_recommender_lacks);

/* Columns of recommender_about. */
enum
{
	PRIVILEGE,
	OWNER,
	STORE,
	INTERACTIONS,
	CANDIDATES,
	SOURCE,
	PROBLEM,
	COLUMNS
};

typedef struct about_row
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
} about_row;

static void
set_text(about_row *row, int column, const char *text)
{
	row->nulls[column] = text == NULL;
	if (text != NULL)
		row->values[column] = CStringGetTextDatum(text);
}

/* What the caller may do, the most of it; NULL: nothing. */
static const char *
privilege_on(const tfrs_recommender *recommender)
{
	if (tfrs_recommender_may_own(recommender))
		return "own";
	if (tfrs_recommender_may_read(recommender))
		return "read";
	return tfrs_recommender_may_use(recommender) ? "use" : NULL;
}

/* Whether the server counts its rows. */
static bool
has_row_count(Oid relation)
{
	char		kind = OidIsValid(relation) ? get_rel_relkind(relation) : RELKIND_VIEW;

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_MATVIEW;
}

/* What keeps the recommender from answering or being refreshed, in words, or NULL. */
static const char *
problem_of(const tfrs_recommender *recommender)
{
	const char *problem = tfrs_recommender_problem(recommender);
	int			version = recommender->current_version;

	if (problem != NULL || version == 0)
		return problem;
	if (!tfrs_store_lacks(recommender, version))
		return tfrs_recommender_version_problem(recommender);
	return psprintf("the model of version %d, which is in use, is missing in its store, table %s: "
					"the next refresh trains a new version", version,
					recommender->references[TFRS_STORE].name);
}

static void
describe(about_row *row, const tfrs_recommender *recommender)
{
	const char *privilege = privilege_on(recommender);

	set_text(row, PRIVILEGE, privilege);
	if (privilege == NULL)
		return;
	set_text(row, OWNER, OidIsValid(recommender->owner) ?
			 GetUserNameFromId(recommender->owner, true) : NULL);
	set_text(row, STORE, recommender->references[TFRS_STORE].name);
	set_text(row, INTERACTIONS, recommender->references[TFRS_INTERACTIONS].name);
	set_text(row, CANDIDATES, recommender->references[TFRS_CANDIDATES].name);
	row->nulls[SOURCE] = !has_row_count(recommender->interactions);
	row->values[SOURCE] = ObjectIdGetDatum(recommender->interactions);
	set_text(row, PROBLEM, problem_of(recommender));
}

/* (name text) -> record, of NULLs where the caller may do nothing */
Datum
tfrs_recommender_about(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender =
		tfrs_recommender_seen(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	about_row	row;
	TupleDesc	columns;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(row.nulls, true, sizeof(row.nulls));
	if (recommender != NULL)
		describe(&row, recommender);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), row.values,
													  row.nulls)));
}

/* (name text, version integer) -> boolean; nothing is known of a recommender that is gone */
Datum
tfrs_recommender_lacks(PG_FUNCTION_ARGS)
{
	tfrs_recommender *recommender =
		tfrs_recommender_seen(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	PG_RETURN_BOOL(recommender != NULL && privilege_on(recommender) != NULL &&
				   tfrs_store_lacks(recommender, PG_GETARG_INT32(1)));
}
