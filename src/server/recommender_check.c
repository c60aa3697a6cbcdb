/*
 * recommender_check.c: what can be known to be wrong is refused when a recommender is created or
 * changed, not at three in the morning by a refresh.
 */
#include "server/recommender_check.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "server/recommender_sources.h"
#include "server/row_reader.h"
#include "server/train_options.h"

#define MOST_HELD_OUT 0.5
#define MOST_VERSIONS 1000

static void
check_range(const char *name, double value, double low, double high)
{
	if (!(value >= low && value <= high))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be between %g and %g", name, low, high)));
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
check_kind(Oid relation, const char *column, tfrs_column_kind kind)
{
	Oid			type;

	if (column == NULL)
		return;
	type = column_type(relation, column);
	if (!tfrs_column_is_of(type, kind))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s, not %s", column, format_type_be(type),
						tfrs_column_kind_words(kind)),
				 kind == TFRS_COLUMN_TIME
				 ? errhint("\"at\" is a column of type timestamptz, timestamp or date.") : 0));
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
check_candidates(tfrs_recommender *recommender, const tfrs_id_reader *candidate)
{
	tfrs_id_reader key;

	check_relation(recommender->candidates, "candidates");
	choose_candidate_key(recommender);
	tfrs_id_reader_init(&key, column_type(recommender->candidates, recommender->candidate_key),
						"candidate");
	if (!tfrs_id_tags_match(key.tag, candidate->tag))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("candidates are of type %s in the interactions, of type %s in %s",
						tfrs_id_tag_name(candidate->tag), tfrs_id_tag_name(key.tag),
						tfrs_relation_text(recommender->candidates)),
				 errhint("Use a view that casts one of them, or name another column: "
						 "candidate_key => '...'.")));
	if (recommender->label_column != NULL)
		column_type(recommender->candidates, recommender->label_column);
	check_kind(recommender->candidates, recommender->available_column, TFRS_COLUMN_BOOLEAN);
}

/* Columns that make sense only beside a relation of candidates. */
static void
check_no_candidates(const tfrs_recommender *recommender)
{
	if (recommender->candidate_key != NULL || recommender->label_column != NULL ||
		recommender->available_column != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"candidate_key\", \"label\" and \"available\" are columns of "
						"\"candidates\", which is not given")));
}

static void
need_column(const char *column, const char *name)
{
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must name a column", name)));
}

void
tfrs_recommender_check_definition(tfrs_recommender *recommender)
{
	tfrs_train_options options;
	tfrs_id_reader query;
	tfrs_id_reader candidate;

	check_relation(recommender->interactions, "interactions");
	need_column(recommender->query_column, "query");
	need_column(recommender->candidate_column, "candidate");
	if (strcmp(recommender->query_column, recommender->candidate_column) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"query\" and \"candidate\" are both column \"%s\"",
						recommender->query_column),
				 errhint("\"query\" is who chooses, \"candidate\" what is chosen.")));
	tfrs_id_reader_init(&query, column_type(recommender->interactions,
											recommender->query_column), "query");
	tfrs_id_reader_init(&candidate, column_type(recommender->interactions,
												recommender->candidate_column), "candidate");
	check_kind(recommender->interactions, recommender->weight_column, TFRS_COLUMN_NUMBER);
	check_kind(recommender->interactions, recommender->at_column, TFRS_COLUMN_TIME);
	if (OidIsValid(recommender->candidates))
		check_candidates(recommender, &candidate);
	else
		check_no_candidates(recommender);
	tfrs_train_options_read(&options, recommender->options);
	check_range("held_out", recommender->held_out, 0, MOST_HELD_OUT);
	check_range("tolerance", recommender->tolerance, 0, 1);
	check_range("least_share", recommender->least_share, 0, 1);
	check_range("keep_versions", recommender->keep_versions, 1, MOST_VERSIONS);
}
