/*
 * recommendation_columns.c: a table of names and types.
 *
 * The types of an existing table are compared by OID: with another type a value would be cast, and
 * casts may be anybody's code.
 */
#include "server/recommender/recommendation_columns.h"

#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "server/recommender/registry.h"
#include "server/recommender/statement.h"

enum
{
	QUERY = 0,
	CANDIDATE = 2
};

typedef struct table_column
{
	const char *name;
	Oid			type;			/* InvalidOid: as in the interactions */
	const char *comment;
} table_column;

static const table_column columns[] = {
	{"query", InvalidOid, "who the recommendations are for"},
	{"rank", INT4OID, "1 is the best"},
	{"candidate", InvalidOid, "what is recommended"},
	{"label", TEXTOID, "what the candidate is called"},
	{"score", FLOAT8OID, "inner product with the query; of popular ones the number of rows"},
	{"percentile", FLOAT8OID, "share of the query's rows that are not better: 1 is the best"},
	{"source", TEXTOID,
	"personal: the model knows the query; history: its events are known; popular: nothing is"},
	{"version", INT4OID, "of the model that the row was computed with"},
	{"computed_at", TIMESTAMPTZOID, "when the row last changed"}
};

tfrs_id_column
tfrs_id_column_of(Oid relation, const char *column)
{
	tfrs_id_column result;
	Oid			type;

	get_atttypetypmodcoll(relation, get_attnum(relation, column), &type, &result.modifier,
						  &result.collation);
	result.type = getBaseTypeAndTypmod(type, &result.modifier);
	return result;
}

/*
 * The type as SQL.  Ids that are equal by a nondeterministic collation are not one id to a model,
 * so the column gets the database's collation then.
 */
static char *
type_text(const tfrs_id_column *column)
{
	int32		modifier = column->type == VARCHAROID ? -1 : column->modifier;
	char	   *text = format_type_extended(column->type, modifier, FORMAT_TYPE_TYPEMOD_GIVEN |
											FORMAT_TYPE_FORCE_QUALIFY);

	if (!OidIsValid(column->collation) || column->collation == DEFAULT_COLLATION_OID ||
		!get_collation_isdeterministic(column->collation))
		return text;
	return psprintf("%s COLLATE %s", text, tfrs_collation_text(column->collation));
}

char *
tfrs_recommendation_columns_text(const tfrs_id_column *query, const tfrs_id_column *candidate)
{
	return psprintf("query %s, rank pg_catalog.int4 NOT NULL, candidate %s, "
					"label pg_catalog.text, score pg_catalog.float8 NOT NULL, "
					"percentile pg_catalog.float8 NOT NULL, source pg_catalog.text NOT NULL, "
					"version pg_catalog.int4 NOT NULL, "
					"computed_at pg_catalog.timestamptz NOT NULL",
					type_text(query), type_text(candidate));
}

void
tfrs_recommendation_columns_comment(Oid relation)
{
	for (size_t i = 0; i < lengthof(columns); i++)
		CreateComments(relation, RelationRelationId, get_attnum(relation, columns[i].name),
					   columns[i].comment);
}

static void
report_column(Oid relation, const char *name, const char *found, const char *wanted)
{
	char	   *table = tfrs_relation_text(relation);

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of %s is of type %s, not %s", name, table, found, wanted),
			 errhint("ALTER TABLE %s ALTER COLUMN %s TYPE %s, or drop the table, which is made "
					 "anew then.", table, name, wanted)));
}

static void
check_type(Oid relation, const char *name, Oid type)
{
	AttrNumber	number = get_attnum(relation, name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s has no column \"%s\" of type %s", tfrs_relation_text(relation), name,
						format_type_be(type)),
				 errhint("Drop the table, or take another name.")));
	if (get_atttype(relation, number) != type)
		report_column(relation, name, format_type_be(get_atttype(relation, number)),
					  format_type_be(type));
}

/* Whether ids of that length may be too long for the column. */
static bool
is_shorter(int32 modifier, const tfrs_id_column *wanted)
{
	return (wanted->type == VARCHAROID || wanted->type == BPCHAROID) && modifier >= 0 &&
		(wanted->modifier < 0 || modifier < wanted->modifier);
}

static void
check_ids(Oid relation, const char *name, const tfrs_id_column *wanted)
{
	tfrs_id_column found;

	check_type(relation, name, wanted->type);
	found = tfrs_id_column_of(relation, name);
	if (is_shorter(found.modifier, wanted))
		report_column(relation, name, format_type_with_typemod(found.type, found.modifier),
					  format_type_with_typemod(wanted->type, wanted->modifier));
	if (OidIsValid(found.collation) && !get_collation_isdeterministic(found.collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of %s has the nondeterministic collation %s", name,
						tfrs_relation_text(relation), tfrs_collation_text(found.collation)),
				 errdetail("Ids that are equal by it are not one id to a model."),
				 errhint("ALTER TABLE %s ALTER COLUMN %s TYPE %s COLLATE \"default\".",
						 tfrs_relation_text(relation), name,
						 format_type_with_typemod(found.type, found.modifier))));
}

void
tfrs_recommendation_columns_check(Oid relation, const tfrs_id_column *query,
								  const tfrs_id_column *candidate)
{
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		if (i == QUERY || i == CANDIDATE)
			check_ids(relation, columns[i].name, i == QUERY ? query : candidate);
		else
			check_type(relation, columns[i].name, columns[i].type);
	}
}
