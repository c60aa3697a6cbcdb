/*
 * recommender_check.c: what can be known to be wrong is refused when a recommender is created or
 * changed, not at three in the morning by a refresh.
 */
#include "server/recommender/recommender_check.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "server/recommender/recommender_sources.h"
#include "server/values/row_reader.h"
#include "server/training/train_options.h"

static void
check_range(const tfrs_field *field, double value)
{
	if (!(value >= field->low && value <= field->high))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be between %g and %g", field->name, field->low,
						field->high)));
}

/* A relation that rows can be read from, and that another session sees. */
static void
check_relation(Oid relation, const char *name)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Form_pg_class class;

	if (!HeapTupleIsValid(row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no relation for \"%s\"", name)));
	class = (Form_pg_class) GETSTRUCT(row);
	if (strchr("rpvmf", class->relkind) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is no table and no view", NameStr(class->relname)),
				 errdetail("\"%s\" is a relation that rows are read from.", name)));
	if (class->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("\"%s\" is a temporary relation", NameStr(class->relname)),
				 errhint("A refresh may run in another session: use a permanent one.")));
	ReleaseSysCache(row);
}

/* The type of a column that the caller may read; ERROR where there is none. */
static Oid
column_type(Oid relation, const char *column)
{
	AttrNumber	number = get_attnum(relation, column);
	Oid			type;
	int32		modifier;
	Oid			collation;

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation %s does not exist", column,
						tfrs_relation_text(relation)),
				 errhint("Names of columns are given as they are stored, without quotes.")));
	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck(relation, number, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for column \"%s\" of relation %s", column,
						tfrs_relation_text(relation))));
	get_atttypetypmodcoll(relation, number, &type, &modifier, &collation);
	return type;
}

/* ERROR unless the column holds what it must. */
static void
check_kind(Oid relation, const char *column, const tfrs_field *field)
{
	Oid			type = column_type(relation, column);

	if (!tfrs_column_is_of(type, field->kind))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s, not %s", column, format_type_be(type),
						tfrs_column_kind_words(field->kind)),
				 field->kind == TFRS_COLUMN_OF_TIMES
				 ? errhint("\"%s\" is a column of type timestamptz, timestamp or date.",
						   field->name) : 0));
}

/* ERROR unless those that are named are there, and hold what they must. */
static void
check_columns(const tfrs_recommender *recommender, tfrs_role role, Oid relation)
{
	for (int i = 0; i < TFRS_FIELDS; i++)
	{
		const tfrs_field *field = &tfrs_fields[i];
		const char *column = tfrs_field_column(field, recommender, role);
		tfrs_id_reader reader;

		if (column == NULL)
			continue;
		if (field->kind == TFRS_COLUMN_OF_IDS)
			tfrs_id_reader_init(&reader, column_type(relation, column), field->name);
		else
			check_kind(relation, column, field);
	}
}

/* The column that is all of a relation's primary key, or NULL. */
static char *
single_primary_key(Oid relation)
{
	Oid			constraint;
	Bitmapset  *columns = get_primary_key_attnos(relation, false, &constraint);

	if (bms_membership(columns) != BMS_SINGLETON)
		return NULL;
	return get_attname(relation, bms_singleton_member(columns) +
					   FirstLowInvalidHeapAttributeNumber, false);
}

/* The column of the candidates that interactions refer to, where it isn't named: that of the same
 * name, else the primary key. */
static void
choose_candidate_key(tfrs_recommender *recommender)
{
	if (recommender->candidate_key != NULL)
		return;
	recommender->candidate_key = recommender->candidate_column;
	if (get_attnum(recommender->candidates, recommender->candidate_column) <= 0)
		recommender->candidate_key = single_primary_key(recommender->candidates);
	if (recommender->candidate_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("relation %s has no column \"%s\"",
						tfrs_relation_text(recommender->candidates),
						recommender->candidate_column),
				 errhint("Name the column that the interactions refer to: "
						 "candidate_key => '...'.")));
}

static void
check_candidates(tfrs_recommender *recommender)
{
	tfrs_id_reader candidate;
	tfrs_id_reader key;

	check_relation(recommender->candidates, "candidates");
	choose_candidate_key(recommender);
	tfrs_id_reader_init(&candidate, column_type(recommender->interactions,
												recommender->candidate_column), "candidate");
	tfrs_id_reader_init(&key, column_type(recommender->candidates, recommender->candidate_key),
						"candidate");
	if (!tfrs_id_tags_match(key.tag, candidate.tag))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("candidates are of type %s in the interactions, of type %s in %s",
						tfrs_id_tag_name(candidate.tag), tfrs_id_tag_name(key.tag),
						tfrs_relation_text(recommender->candidates)),
				 errhint("Use a view that casts one of them, or name another column: "
						 "candidate_key => '...'.")));
	check_columns(recommender, TFRS_CANDIDATES, recommender->candidates);
}

/* "a", "b" and "c": the arguments that name columns of a role. */
static char *
arguments_of_role(tfrs_role role)
{
	StringInfoData words;
	const char *last = NULL;

	initStringInfo(&words);
	for (int i = 0; i < TFRS_FIELDS; i++)
	{
		if (tfrs_fields[i].type != TFRS_FIELD_COLUMN || tfrs_fields[i].role != role)
			continue;
		if (last != NULL)
			appendStringInfo(&words, words.len == 0 ? "\"%s\"" : ", \"%s\"", last);
		last = tfrs_fields[i].name;
	}
	appendStringInfo(&words, " and \"%s\"", last);
	return words.data;
}

/* Columns that make sense only beside a relation of candidates. */
static void
check_no_candidates(const tfrs_recommender *recommender)
{
	for (int i = 0; i < TFRS_FIELDS; i++)
		if (tfrs_field_column(&tfrs_fields[i], recommender, TFRS_CANDIDATES) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s are columns of \"candidates\", which is not given",
							arguments_of_role(TFRS_CANDIDATES))));
}

static void
check_interactions(const tfrs_recommender *recommender)
{
	check_relation(recommender->interactions, "interactions");
	for (int i = 0; i < TFRS_FIELDS; i++)
		if (tfrs_fields[i].type == TFRS_FIELD_COLUMN && !tfrs_fields[i].optional &&
			tfrs_field_column(&tfrs_fields[i], recommender, tfrs_fields[i].role) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" must name a column", tfrs_fields[i].name)));
	if (strcmp(recommender->query_column, recommender->candidate_column) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"query\" and \"candidate\" are both column \"%s\"",
						recommender->query_column),
				 errhint("\"query\" is who chooses, \"candidate\" what is chosen.")));
	check_columns(recommender, TFRS_INTERACTIONS, recommender->interactions);
}

/* What is neither a relation nor a column. */
static void
check_value(const tfrs_recommender *recommender, const tfrs_field *field)
{
	tfrs_train_request request;

	if (field->type == TFRS_FIELD_OPTIONS)
		tfrs_train_options_read(&request, tfrs_field_options(field, recommender));
	else if (field->type == TFRS_FIELD_REAL || field->type == TFRS_FIELD_INTEGER)
		check_range(field, tfrs_field_number(field, recommender));
}

void
tfrs_recommender_check_definition(tfrs_recommender *recommender)
{
	check_interactions(recommender);
	if (OidIsValid(recommender->candidates))
		check_candidates(recommender);
	else
		check_no_candidates(recommender);
	for (int i = 0; i < TFRS_FIELDS; i++)
		check_value(recommender, &tfrs_fields[i]);
}
