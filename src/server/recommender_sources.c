/*
 * recommender_sources.c: relations are known as relation_reference.h has it; columns by name, as a
 * view that is replaced keeps only these.
 */
#include "server/recommender_sources.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "server/compat.h"

static const char *
missing_column(Oid relation, const char *const *columns, int count)
{
	for (int i = 0; i < count; i++)
		if (columns[i] != NULL && get_attnum(relation, columns[i]) <= 0)
			return columns[i];
	return NULL;
}

/* The first column that one of its relations does not have, or NULL. */
static const char *
missing_column_of(const tfrs_recommender *recommender, Oid relation)
{
	const char *interactions[] = {
		recommender->query_column, recommender->candidate_column, recommender->weight_column,
		recommender->at_column
	};
	const char *candidates[] = {
		recommender->candidate_key, recommender->label_column, recommender->available_column
	};
	const char *column = NULL;

	if (relation == recommender->interactions)
		column = missing_column(relation, interactions, lengthof(interactions));
	if (column == NULL && relation == recommender->candidates)
		column = missing_column(relation, candidates, lengthof(candidates));
	return column;
}

/* The same in words. */
static const char *
column_problem(const tfrs_recommender *recommender, Oid relation)
{
	const char *column = OidIsValid(relation) ? missing_column_of(recommender, relation) : NULL;
	bool		interactions = relation == recommender->interactions;
	const char *name = interactions ? recommender->interactions_name
		: recommender->candidates_name;

	if (column == NULL)
		return NULL;
	return psprintf("its %s, %s, have no column \"%s\" any more",
					interactions ? "interactions" : "candidates", name, column);
}

/* The first relation that is gone, in words, or NULL. */
static const char *
relation_problem(const tfrs_recommender *recommender)
{
	const char *problem = NULL;

	for (int role = 0; role < TFRS_ROLES && problem == NULL; role++)
		problem = tfrs_recommender_relation_problem(recommender, role);
	return problem;
}

/* What a refresh can't do without, in words, or NULL. */
static const char *
broken_by(const tfrs_recommender *recommender)
{
	const char *problem = relation_problem(recommender);

	if (problem == NULL)
		problem = column_problem(recommender, recommender->interactions);
	if (problem == NULL)
		problem = column_problem(recommender, recommender->candidates);
	return problem;
}

const char *
tfrs_recommender_problem(const tfrs_recommender *recommender)
{
	const char *problem = broken_by(recommender);

	for (int role = 0; role < TFRS_ROLES && problem == NULL; role++)
		problem = tfrs_recommender_relation_doubt(recommender, role);
	return problem;
}

bool
tfrs_recommender_is_broken(const tfrs_recommender *recommender)
{
	return broken_by(recommender) != NULL;
}

static void
report_problem(const tfrs_recommender *recommender, int sqlstate, const char *problem)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("recommender \"%s\" is broken: %s", recommender->name, problem),
			 errhint("Name others with CALL tfrs.alter_recommender(...).")));
}

void
tfrs_recommender_check_columns(const tfrs_recommender *recommender, Oid relation)
{
	const char *problem = column_problem(recommender, relation);

	if (problem == NULL)
		return;
	tfrs_relation_text(relation);	/* ERROR where all of it is gone */
	report_problem(recommender, ERRCODE_UNDEFINED_COLUMN, problem);
}

void
tfrs_recommender_check_sources(const tfrs_recommender *recommender)
{
	const char *problem = relation_problem(recommender);

	tfrs_recommender_check_store(recommender);
	if (problem != NULL)
		report_problem(recommender, ERRCODE_UNDEFINED_TABLE, problem);
	tfrs_recommender_check_columns(recommender, recommender->interactions);
	tfrs_recommender_check_columns(recommender, recommender->candidates);
}

bool
tfrs_may_read_columns(Oid role, Oid relation, const char *const *columns, int count)
{
	if (tfrs_schema_aclcheck(get_rel_namespace(relation), role, ACL_USAGE) != ACLCHECK_OK)
		return false;
	if (pg_class_aclcheck(relation, role, ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < count; i++)
		if (columns[i] != NULL &&
			pg_attribute_aclcheck(relation, get_attnum(relation, columns[i]), role,
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	return true;
}
