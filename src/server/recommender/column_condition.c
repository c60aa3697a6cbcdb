/*
 * column_condition.c: conditions on columns of a relation, for statements.
 *
 * Values are compared as the column's own type, so that an index serves; names and values are
 * quoted, and the operator is that of pg_catalog.
 */
#include "server/recommender/column_condition.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "server/recommender/relation_reference.h"

Oid
tfrs_type_of_column(Oid relation, const char *column)
{
	AttrNumber	number = get_attnum(relation, column);

	return number > 0 ? getBaseType(get_atttype(relation, number)) : InvalidOid;
}

void
tfrs_append_equals(StringInfo sql, Oid relation, const char *column, const char *value)
{
	appendStringInfo(sql, " AND %s OPERATOR(pg_catalog.=) CAST(%s AS %s)", quote_identifier(column),
					 quote_literal_cstr(value),
					 format_type_extended(tfrs_type_of_column(relation, column), -1,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
}

/* The condition that a column has a value of a JSON object. */
static void
append_value_condition(StringInfo sql, Oid relation, const char *column, JsonbValue *value)
{
	if (!OidIsValid(tfrs_type_of_column(relation, column)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column \"%s\"", tfrs_relation_text(relation), column),
				 errhint("\"within\" names columns of the candidates.")));
	if (value->type == jbvNull)
		appendStringInfo(sql, " AND %s IS NULL", quote_identifier(column));
	else if (value->type == jbvString)
		tfrs_append_equals(sql, relation, column,
					  pnstrdup(value->val.string.val, value->val.string.len));
	else if (value->type == jbvBool)
		tfrs_append_equals(sql, relation, column, value->val.boolean ? "true" : "false");
	else
		tfrs_append_equals(sql, relation, column,
					  DatumGetCString(DirectFunctionCall1(numeric_out,
														  NumericGetDatum(value->val.numeric))));
}

void
tfrs_append_within(StringInfo sql, Oid relation, Jsonb *within)
{
	JsonbIterator *iterator = JsonbIteratorInit(&within->root);
	JsonbValue	value;
	char	   *column = NULL;
	JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, true);

	if (token != WJB_BEGIN_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("within must be a JSON object of columns and values"),
				 errhint("For example '{\"category\": 3}'.")));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			column = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvBinary)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("within: the value of \"%s\" must be a string, a number, a boolean or "
							"null", column)));
		else if (token == WJB_VALUE)
			append_value_condition(sql, relation, column, &value);
	}
}
