/*
 * recommendation_table.c: one statement writes the difference of a slice.
 *
 * A swap by renaming would be faster the first time and wrong ever after: views would go on showing
 * the old table, and grants would be lost.  ON CONFLICT DO UPDATE would lock, and so write, the
 * rows that stay as they are.
 */
#include "server/recommendation_table.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "server/compat.h"
#include "server/run_as.h"

/* Only one session at a time may write; reading and vacuuming by hand are not held up. */
#define LOCK ShareUpdateExclusiveLock

/* Rows of a query where nothing else is known. */
#define DEFAULT_K 10

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

static void
execute(const char *sql, int expected)
{
	int			result = SPI_execute(sql, false, 0);

	if (result != expected)
		elog(ERROR, "\"%s\" failed: %s", sql, SPI_result_code_string(result));
}

/* The comment that says whose table it is. */
static char *
mark_of(const tfrs_recommender *recommender)
{
	return psprintf("recommendations of \"%s\", by tfrs.materialize", recommender->name);
}

/*
 * The type of a column of the interactions as SQL, with its collation where that is not the
 * type's.
 */
static char *
type_text(Oid relation, const char *column)
{
	Oid			type;
	int32		modifier;
	Oid			collation;
	char	   *text;

	get_atttypetypmodcoll(relation, get_attnum(relation, column), &type, &modifier, &collation);
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of %s has a nondeterministic collation", column,
						tfrs_relation_text(relation)),
				 errdetail("Ids that are equal by it are not one id to a model."),
				 errhint("Let the recommender use a view with %s COLLATE \"C\".",
						 quote_identifier(column))));
	text = format_type_extended(type, modifier,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	if (!OidIsValid(collation) || collation == DEFAULT_COLLATION_OID)
		return text;
	return psprintf("%s COLLATE %s", text, generate_collation_name(collation));
}

#define K_TEXT ", k = %d"

/* Keeps k for the next time, behind the mark. */
static void
comment_table(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	char	   *text = psprintf("%s" K_TEXT, mark_of(recommender), table->k);

	execute(psprintf("COMMENT ON TABLE %s IS %s", table->name, quote_literal_cstr(text)),
			SPI_OK_UTILITY);
}

static void
comment(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	comment_table(table, recommender);
	for (size_t i = 0; i < lengthof(columns); i++)
		execute(psprintf("COMMENT ON COLUMN %s.%s IS %s", table->name, columns[i].name,
						 quote_literal_cstr(columns[i].comment)), SPI_OK_UTILITY);
}

static void
create(tfrs_recommendation_table *table, const tfrs_recommender *recommender, RangeVar *name)
{
	Oid			schema = RangeVarGetCreationNamespace(name);

	if (tfrs_schema_aclcheck(schema, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", get_namespace_name(schema)),
				 errhint("Name a target in a schema where you may create a table: "
						 "'schema.table'.")));
	table->name = quote_qualified_identifier(get_namespace_name(schema), name->relname);
	execute(psprintf("CREATE TABLE %s (query %s, rank pg_catalog.int4 NOT NULL, candidate %s, "
					 "label pg_catalog.text, score pg_catalog.float8 NOT NULL, "
					 "percentile pg_catalog.float8 NOT NULL, source pg_catalog.text NOT NULL, "
					 "version pg_catalog.int4 NOT NULL, "
					 "computed_at pg_catalog.timestamptz NOT NULL, "
					 "PRIMARY KEY (query, candidate))", table->name,
					 type_text(recommender->interactions, recommender->query_column),
					 type_text(recommender->interactions, recommender->candidate_column)),
			SPI_OK_UTILITY);
	execute(psprintf("CREATE INDEX ON %s (candidate)", table->name), SPI_OK_UTILITY);
	comment(table, recommender);
	table->relation = get_relname_relid(name->relname, schema);
}

/* Raises where the table is not the recommender's.  Else returns k as its comment has it; -1: not
 * at all, since the owner may write there what he likes. */
static int
check_mark(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	int			k;
	char	   *mark = mark_of(recommender);
	char	   *found = GetComment(table->relation, RelationRelationId, 0);

	if (found == NULL || strncmp(found, mark, strlen(mark)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("%s is not a table of recommendations of \"%s\"", table->name,
						recommender->name),
				 errdetail("Its comment does not say so, and all of its rows would be replaced."),
				 errhint("Take another name for the target: a table is created.")));
	return sscanf(found + strlen(mark), K_TEXT, &k) == 1 && k >= 0 ? k : -1;
}

static void
check_column(const tfrs_recommendation_table *table, const table_column *column, Oid type)
{
	AttrNumber	number = get_attnum(table->relation, column->name);

	if (number <= 0 || getBaseType(get_atttype(table->relation, number)) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s has no column \"%s\" of type %s", table->name, column->name,
						format_type_be(type)),
				 errhint("Drop the table, or take another name.")));
}

/* Raises unless the caller may write to the table and it is as we made it; returns k. */
static int
check_table(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	int			k;

	if (strchr("rp", get_rel_relkind(table->relation)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", table->name)));
	k = check_mark(table, recommender);
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		Oid			type = columns[i].type;

		if (!OidIsValid(type))
			type = i == 0 ? table->query_type : table->candidate_type;
		check_column(table, &columns[i], type);
	}
	return k;
}

/* A table that is there. */
static void
use_table(tfrs_recommendation_table *table, const tfrs_recommender *recommender, int k)
{
	int			before = check_table(table, recommender);

	table->k = k >= 0 ? k : before >= 0 ? before : DEFAULT_K;
	if (k >= 0 && before >= 0 && k != before)
		comment_table(table, recommender);
}

static Oid
column_base_type(Oid relation, const char *column)
{
	return getBaseType(get_atttype(relation, get_attnum(relation, column)));
}

/* Before the table is locked. */
static void
check_owner(const RangeVar *name, Oid relation, Oid before, void *argument)
{
	if (OidIsValid(relation) && !tfrs_relation_ownercheck(relation, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of %s", name->relname)));
}

static LockRelId
lock_id(const tfrs_recommendation_table *table)
{
	LockRelId	id = {.relId = table->relation, .dbId = MyDatabaseId};

	return id;
}

static Oid
owner_of(Oid relation)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
	ReleaseSysCache(row);
	return owner;
}

void
tfrs_recommendation_table_open(tfrs_recommendation_table *table,
							   const tfrs_recommender *recommender, text *name, int k,
							   bool over_transactions)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(name));
	LockRelId	lock;

	memset(table, 0, sizeof(*table));
	table->query_type = column_base_type(recommender->interactions, recommender->query_column);
	table->candidate_type = column_base_type(recommender->interactions,
											 recommender->candidate_column);
	table->relation = RangeVarGetRelidExtended(range, LOCK, RVR_MISSING_OK, check_owner, NULL);
	if (!OidIsValid(table->relation))
	{
		table->k = k < 0 ? DEFAULT_K : k;
		create(table, recommender, range);
	}
	else
	{
		table->name = tfrs_relation_text(table->relation);
		use_table(table, recommender, k);
	}
	table->owner = owner_of(table->relation);
	lock = lock_id(table);
	if (over_transactions)
		LockRelationIdForSession(&lock, LOCK);
}

/* Parameters of the statement. */
enum
{
	QUERIES,
	RANKS,
	CANDIDATES,
	LABELS,
	SCORES,
	PERCENTILES,
	SOURCES,
	VERSION,
	TOLERANCE,
	HAS_FIRST,
	HAS_LAST,
	FIRST,
	LAST,
	PARAMETERS
};

/* The bounds stand three times, so that no part of the statement reads the whole table. */
#define WITHIN_BOUNDS " (NOT $10 OR t.query > $12) AND (NOT $11 OR t.query <= $13)"

static const char statement[] =
	"WITH new AS MATERIALIZED ("
	"    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)"
	"        AS n (query, rank, candidate, label, score, percentile, source)),"
	" removed AS ("
	"    DELETE FROM %1$s AS t WHERE" WITHIN_BOUNDS
	"        AND NOT EXISTS (SELECT FROM new AS n"
	"            WHERE n.query = t.query AND n.candidate = t.candidate)"
	"    RETURNING 1),"
	" changed AS ("
	"    UPDATE %1$s AS t SET rank = n.rank, label = n.label, score = n.score,"
	"        percentile = n.percentile, source = n.source, version = $8, computed_at = now()"
	"    FROM new AS n WHERE n.query = t.query AND n.candidate = t.candidate"
	"        AND" WITHIN_BOUNDS
	"        AND (t.rank <> n.rank OR t.label IS DISTINCT FROM n.label OR t.source <> n.source"
	"            OR NOT (abs(t.score - n.score) <= $9)"
	"            OR NOT (abs(t.percentile - n.percentile) <= $9))"
	"    RETURNING 1),"
	" added AS ("
	"    INSERT INTO %1$s AS t (query, rank, candidate, label, score, percentile, source, version,"
	"        computed_at)"
	"    SELECT n.query, n.rank, n.candidate, n.label, n.score, n.percentile, n.source, $8, now()"
	"    FROM new AS n WHERE NOT EXISTS (SELECT FROM %1$s AS t WHERE" WITHIN_BOUNDS
	"        AND n.query = t.query AND n.candidate = t.candidate)"
	"    RETURNING 1)"
	" SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM changed),"
	"    (SELECT count(*) FROM removed)";

/*
 * Planned anew for each slice, which costs little beside it, so that the bounds find their
 * index.
 */
static void
prepare(tfrs_recommendation_table *table)
{
	Oid			types[PARAMETERS] = {
		get_array_type(table->query_type), INT4ARRAYOID, get_array_type(table->candidate_type),
		TEXTARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, TEXTARRAYOID, INT4OID, FLOAT8OID, BOOLOID,
		BOOLOID, table->query_type, table->query_type
	};

	table->plan = SPI_prepare_cursor(psprintf(statement, table->name), PARAMETERS, types,
									 CURSOR_OPT_CUSTOM_PLAN);
	if (table->plan == NULL || SPI_keepplan(table->plan) != 0)
		elog(ERROR, "could not prepare the writing of %s: %s", table->name,
			 SPI_result_code_string(SPI_result));
}

static Datum
array_of(const Datum *values, const bool *nulls, size_t count, Oid type)
{
	int			sizes[1] = {(int) count};
	int			lowest[1] = {1};
	int16		length;
	bool		by_value;
	char		alignment;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(unconstify(Datum *, values),
											  unconstify(bool *, nulls), 1, sizes, lowest, type,
											  length, by_value, alignment));
}

static Datum
array_of_texts(const char *const *values, size_t count)
{
	Datum	   *texts = palloc(count * sizeof(Datum) + 1);
	bool	   *nulls = palloc(count + 1);

	for (size_t i = 0; i < count; i++)
	{
		nulls[i] = values[i] == NULL;
		texts[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(values[i]);
	}
	return array_of(texts, nulls, count, TEXTOID);
}

/* The rows' columns as arrays. */
static void
fill_arrays(const tfrs_recommendation_table *table, const tfrs_recommendation_rows *rows,
			Datum values[PARAMETERS])
{
	size_t		count = rows->count;
	Datum	   *column = palloc(count * sizeof(Datum) + 1);

	values[QUERIES] = array_of(rows->queries, NULL, count, table->query_type);
	values[CANDIDATES] = array_of(rows->candidates, NULL, count, table->candidate_type);
	values[LABELS] = array_of_texts(rows->labels, count);
	values[SOURCES] = array_of_texts(rows->sources, count);
	for (size_t i = 0; i < count; i++)
		column[i] = Int32GetDatum(rows->ranks[i]);
	values[RANKS] = array_of(column, NULL, count, INT4OID);
	for (size_t i = 0; i < count; i++)
		column[i] = Float8GetDatum(rows->scores[i]);
	values[SCORES] = array_of(column, NULL, count, FLOAT8OID);
	for (size_t i = 0; i < count; i++)
		column[i] = Float8GetDatum(rows->percentiles[i]);
	values[PERCENTILES] = array_of(column, NULL, count, FLOAT8OID);
}

static uint64
count_of_column(int column)
{
	bool		null;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column,
									   &null));
}

void
tfrs_recommendation_table_write(tfrs_recommendation_table *table,
								const tfrs_recommendation_rows *rows, int version,
								double tolerance)
{
	Datum		values[PARAMETERS];
	char		nulls[PARAMETERS + 1];
	tfrs_run_as scope;
	int			result;

	memset(nulls, ' ', PARAMETERS);
	fill_arrays(table, rows, values);
	values[VERSION] = Int32GetDatum(version);
	values[TOLERANCE] = Float8GetDatum(tolerance);
	values[HAS_FIRST] = BoolGetDatum(rows->has_first);
	values[HAS_LAST] = BoolGetDatum(rows->has_last);
	values[FIRST] = rows->first;
	values[LAST] = rows->last;
	nulls[FIRST] = rows->has_first ? ' ' : 'n';
	nulls[LAST] = rows->has_last ? ' ' : 'n';
	tfrs_run_as_begin(&scope, table->owner);
	if (table->plan == NULL)
		prepare(table);
	result = SPI_execute_plan(table->plan, values, nulls, false, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not write %s: %s", table->name, SPI_result_code_string(result));
	table->added += count_of_column(1);
	table->changed += count_of_column(2);
	table->removed += count_of_column(3);
	SPI_freetuptable(SPI_tuptable);
	tfrs_run_as_end(&scope);
}

void
tfrs_recommendation_table_close(tfrs_recommendation_table *table, bool over_transactions)
{
	LockRelId	lock = lock_id(table);
	tfrs_run_as scope;

	if (table->added + table->changed + table->removed > 0)
	{
		tfrs_run_as_begin(&scope, table->owner);
		execute(psprintf("ANALYZE %s", table->name), SPI_OK_UTILITY);
		tfrs_run_as_end(&scope);
	}
	if (over_transactions)
		UnlockRelationIdForSession(&lock, LOCK);
}

void
tfrs_recommendation_table_forget_plan(tfrs_recommendation_table *table)
{
	if (table->plan != NULL)
		SPI_freeplan(table->plan);
	table->plan = NULL;
}
