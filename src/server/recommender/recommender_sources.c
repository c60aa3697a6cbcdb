/*
 * recommender_sources.c: relations are known as relation_reference.h has it; columns by name, as a
 * view that is replaced keeps only these.  A column's type may have been changed since the
 * recommender was created, so it is looked at before each use.
 */
#include "server/recommender/recommender_sources.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/host/compat.h"
#include "server/values/row_reader.h"

/* What a column holds, for "is of type x, not ...". */
static const char *const kind_words[] = {
	[TFRS_COLUMN_OF_ANY] = "of any type",
	[TFRS_COLUMN_OF_IDS] = "an integer, text, uuid or another type of ids",
	[TFRS_COLUMN_OF_NUMBERS] = "a number",
	[TFRS_COLUMN_OF_TIMES] = "a time",
	[TFRS_COLUMN_OF_BOOLEAN] = "boolean"
};

bool
tfrs_column_is_of(Oid type, tfrs_column_kind kind)
{
	static const Oid numbers[] = {
		INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, NUMERICOID
	};
	Oid			base = getBaseType(type);

	switch (kind)
	{
		case TFRS_COLUMN_OF_IDS:
			return tfrs_is_id_type(base);
		case TFRS_COLUMN_OF_NUMBERS:
			for (size_t i = 0; i < lengthof(numbers); i++)
				if (base == numbers[i])
					return true;
			return false;
		case TFRS_COLUMN_OF_TIMES:
			return base == TIMESTAMPTZOID || base == TIMESTAMPOID || base == DATEOID;
		case TFRS_COLUMN_OF_BOOLEAN:
			return base == BOOLOID;
		case TFRS_COLUMN_OF_ANY:
			break;
	}
	return true;
}

const char *
tfrs_column_kind_words(tfrs_column_kind kind)
{
	return kind_words[kind];
}

/* What is wrong with the columns of a role's relation, which has that name. */
static const char *
problem_of_columns(const tfrs_recommender *recommender, tfrs_role role, Oid relation,
				   const char *name, int *sqlstate)
{
	const char *what = role == TFRS_INTERACTIONS ? "interactions" : "candidates";

	for (int i = 0; i < TFRS_FIELDS; i++)
	{
		const char *column = tfrs_field_column(&tfrs_fields[i], recommender, role);
		AttrNumber	number = column == NULL ? 0 : get_attnum(relation, column);

		if (column == NULL)
			continue;
		*sqlstate = number <= 0 ? ERRCODE_UNDEFINED_COLUMN : ERRCODE_DATATYPE_MISMATCH;
		if (number <= 0)
			return psprintf("its %s, %s, have no column \"%s\" any more", what, name, column);
		if (!tfrs_column_is_of(get_atttype(relation, number), tfrs_fields[i].kind))
			return psprintf("in its %s, %s, column \"%s\" is of type %s, not %s", what, name,
							column, format_type_be(get_atttype(relation, number)),
							kind_words[tfrs_fields[i].kind]);
	}
	return NULL;
}

/* What is wrong where a column of ids is not of the type that others have; NULL: nothing. */
static const char *
id_problem(Oid relation, const char *column, uint32 tag, const char *others)
{
	const char *name = tfrs_id_tag_name(tag);
	tfrs_id_reader reader;
	Oid			type;

	if (!OidIsValid(relation) || get_attnum(relation, column) <= 0)
		return NULL;
	type = get_atttype(relation, get_attnum(relation, column));
	if (!tfrs_is_id_type(type))
		return NULL;			/* that is another problem */
	tfrs_id_reader_init(&reader, type, "query");
	if (tfrs_id_tags_match(reader.tag, tag))
		return NULL;
	return psprintf("column \"%s\" of %s is of type %s, but %s of type %s", column,
					tfrs_relation_text(relation), format_type_be(type), others,
					name == NULL ? "unknown" : name);
}

/* The type of the candidates' ids may not differ between the two relations. */
static const char *
key_problem(const tfrs_recommender *recommender, int *sqlstate)
{
	Oid			relation = recommender->interactions;
	tfrs_id_reader reader;
	Oid			type;

	if (!OidIsValid(relation) || recommender->candidate_key == NULL ||
		get_attnum(relation, recommender->candidate_column) <= 0)
		return NULL;
	type = get_atttype(relation, get_attnum(relation, recommender->candidate_column));
	if (!tfrs_is_id_type(type))
		return NULL;			/* that is another problem */
	tfrs_id_reader_init(&reader, type, "candidate");
	*sqlstate = ERRCODE_DATATYPE_MISMATCH;
	return id_problem(recommender->candidates, recommender->candidate_key, reader.tag,
					  "candidates in the interactions are");
}

static const char *
column_problem(const tfrs_recommender *recommender, Oid relation, int *sqlstate)
{
	const char *problem = NULL;
	char	   *name;

	if (!OidIsValid(relation) || get_rel_name(relation) == NULL)
		return NULL;
	name = tfrs_relation_text(relation);	/* it may have been renamed */
	if (relation == recommender->interactions)
		problem = problem_of_columns(recommender, TFRS_INTERACTIONS, relation, name, sqlstate);
	if (problem == NULL && relation == recommender->candidates)
	{
		problem = problem_of_columns(recommender, TFRS_CANDIDATES, relation, name, sqlstate);
		if (problem == NULL)
			problem = key_problem(recommender, sqlstate);
	}
	return problem;
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
	int			sqlstate;

	if (problem == NULL)
		problem = column_problem(recommender, recommender->interactions, &sqlstate);
	if (problem == NULL)
		problem = column_problem(recommender, recommender->candidates, &sqlstate);
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
			 errhint("Bring it back as it was, or name others with CALL "
					 "tfrs.alter_recommender(...).")));
}

void
tfrs_recommender_check_columns(const tfrs_recommender *recommender, Oid relation)
{
	tfrs_role	role = relation == recommender->interactions ? TFRS_INTERACTIONS : TFRS_CANDIDATES;
	const char *problem;
	int			sqlstate;

	if (!OidIsValid(relation))
		return;
	/* ERROR where all of it is gone */
	tfrs_relation_text_now(relation, recommender->references[role].name);
	problem = column_problem(recommender, relation, &sqlstate);
	if (problem != NULL)
		report_problem(recommender, sqlstate, problem);
}

/* id_problem of all columns of ids. */
static const char *
ids_problem(const tfrs_recommender *recommender, uint32 query_tag, uint32 candidate_tag,
			const char *others)
{
	const char *problem = id_problem(recommender->interactions, recommender->query_column,
									 query_tag, others);

	if (problem == NULL)
		problem = id_problem(recommender->interactions, recommender->candidate_column,
							 candidate_tag, others);
	if (problem == NULL && recommender->candidate_key != NULL)
		problem = id_problem(recommender->candidates, recommender->candidate_key, candidate_tag,
							 others);
	return problem;
}

const char *
tfrs_recommender_version_problem(const tfrs_recommender *recommender)
{
	const char *problem;
	uint32		query_tag;
	uint32		candidate_tag;

	if (recommender->current_version == 0)
		return NULL;
	tfrs_registry_version_tags(recommender, &query_tag, &candidate_tag);
	if (query_tag == 0 || candidate_tag == 0)
		return NULL;
	problem = ids_problem(recommender, query_tag, candidate_tag, "the model was trained on ids");
	return problem == NULL ? NULL : psprintf("%s: refresh the recommender", problem);
}

void
tfrs_recommender_check_model(const tfrs_recommender *recommender, const tfrs_id_view *queries,
							 const tfrs_id_view *candidates)
{
	const char *problem;

	tfrs_recommender_check_columns(recommender, recommender->interactions);
	tfrs_recommender_check_columns(recommender, recommender->candidates);
	problem = ids_problem(recommender, queries->tag, candidates->tag,
						  "the model was trained on ids");
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s", problem),
				 errhint("CALL tfrs.refresh(name).")));
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
