/*
 * recommendation_table.c: one statement writes the difference of a slice.
 *
 * A swap by renaming would be faster the first time and wrong ever after: views would go on showing
 * the old table, and grants would be lost.  ON CONFLICT DO UPDATE would lock, and so write, the
 * rows that stay as they are.
 */
#include "server/recommender/recommendation_table.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/vacuum.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "server/recommender/attached_code.h"
#include "server/host/compat.h"
#include "server/recommender/recommendation_columns.h"
#include "server/host/run_as.h"

/* Only one session at a time may write; reading and vacuuming by hand are not held up. */
#define LOCK ShareUpdateExclusiveLock

/* Rows of a query where nothing else is known. */
#define DEFAULT_K 10

/* The comment of a table ends so; the recommender's name is between quotes before it. */
#define MARK_END "\", by tfrs.materialize"
#define MARK_FORMAT ", k = %d, recommender %d"

/* What a comment says. */
typedef struct mark
{
	bool		named;			/* the recommender, by the name that it has now */
	int			k;				/* -1: it says none, as the owner may write what he likes */
	int			recommender;	/* its number, 0: none */
} mark;

static void
execute(const char *sql, int expected)
{
	int			result = SPI_execute(sql, false, 0);

	if (result != expected)
		elog(ERROR, "\"%s\" failed: %s", sql, SPI_result_code_string(result));
}

/* What the comment of such a table is, but for k and the recommender's number behind it. */
static char *
mark_of(const tfrs_recommender *recommender)
{
	return psprintf("recommendations of \"%s" MARK_END, recommender->name);
}

/* Keeps k for the next time, and the number of the recommender, which may be renamed. */
static void
comment_table(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	CreateComments(table->relation, RelationRelationId, 0,
				   psprintf("%s" MARK_FORMAT, mark_of(recommender), table->k, recommender->id));
}

/*
 * Reads a comment.  True where it is the mark of the recommender: by its number or, where that is
 * missing or no recommender's, by its name.
 */
static bool
read_mark(const char *comment, const tfrs_recommender *recommender, mark *found)
{
	const char *name = mark_of(recommender);
	const char *end = NULL;

	*found = (mark) {.k = -1};
	if (comment == NULL)
		return false;
	found->named = strncmp(comment, name, strlen(name)) == 0;
	if (found->named)
		end = comment + strlen(name) - strlen(MARK_END);
	else
		for (const char *next = comment; (next = strstr(next, MARK_END)) != NULL; next++)
			end = next;
	if (end == NULL)
		return false;
	if (sscanf(end + strlen(MARK_END), MARK_FORMAT, &found->k, &found->recommender) < 1 ||
		found->k < 0)
		found->k = -1;
	return found->recommender == recommender->id ||
		(found->named && (found->recommender == 0 ||
						  tfrs_recommender_of_id(found->recommender) == NULL));
}

static void
report_other(const tfrs_recommendation_table *table, const tfrs_recommender *recommender,
			 const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("%s is not a table of recommendations of \"%s\"", table->name,
					recommender->name),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* ERROR where others would read what only the caller, or the recommender's owner, may know. */
static void
check_owner(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	if (!tfrs_relation_ownercheck(table->relation, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of %s", table->name)));
	if (table->owner != GetUserId() && table->owner != recommender->owner)
		report_other(table, recommender,
					 psprintf("It belongs to %s, neither to you nor to the owner of the "
							  "recommender.", GetUserNameFromId(table->owner, true)),
					 "Take another name for the target, or change the owner of the table.");
}

/* ERROR unless the table is the recommender's; returns what its comment says. */
static mark
check_mark(const tfrs_recommendation_table *table, const tfrs_recommender *recommender)
{
	mark		found;

	if (!read_mark(GetComment(table->relation, RelationRelationId, 0), recommender, &found))
		report_other(table, recommender,
					 "Its comment does not say so, and all of its rows would be replaced.",
					 psprintf("Take another name for the target: a table is created.  Or, if this "
							  "one has lost its comment: COMMENT ON TABLE %s IS %s.",
							  table->name, quote_literal_cstr(mark_of(recommender))));
	return found;
}

/*
 * A table that is there.  A mark that the owner has put something else behind is left as it is.
 */
static void
use_table(tfrs_recommendation_table *table, const tfrs_recommender *recommender, int k)
{
	mark		before;

	if (strchr("rp", get_rel_relkind(table->relation)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", table->name)));
	check_owner(table, recommender);
	before = check_mark(table, recommender);
	table->k = k >= 0 ? k : before.k >= 0 ? before.k : DEFAULT_K;
	if (before.k >= 0 && (table->k != before.k || !before.named ||
						  before.recommender != recommender->id))
		comment_table(table, recommender);
}

static void
add_index(const tfrs_recommendation_table *table)
{
	Relation	relation;

	execute(psprintf("CREATE INDEX ON %s (candidate)", table->name), SPI_OK_UTILITY);
	relation = table_open(table->relation, NoLock);
	if (list_length(RelationGetIndexList(relation)) != 2)
		tfrs_statement_report_renamed(table->relation);
	table_close(relation, NoLock);
}

/* The schema that the table is to be made in; ERROR where the caller may not. */
static Oid
creation_schema(RangeVar *name)
{
	Oid			schema = RangeVarGetCreationNamespace(name);

	if (tfrs_schema_aclcheck(schema, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", get_namespace_name(schema)),
				 errhint("Name a target in a schema where you may create a table: "
						 "'schema.table'.")));
	return schema;
}

static void
create(tfrs_recommendation_table *table, const tfrs_recommender *recommender, RangeVar *name,
	   const char *column_text)
{
	Oid			schema = creation_schema(name);

	table->name = quote_qualified_identifier(get_namespace_name(schema), name->relname);
	execute(psprintf("CREATE TABLE %s (%s, PRIMARY KEY (query, candidate))", table->name,
					 column_text), SPI_OK_UTILITY);
	table->relation = tfrs_statement_made_table(name->relname, schema);
	add_index(table);
	comment_table(table, recommender);
	tfrs_recommendation_columns_comment(table->relation);
}

/* Before the table is locked: nobody may lock what is not his. */
static void
check_name(const RangeVar *name, Oid relation, Oid before, void *argument)
{
	if (OidIsValid(relation) && !tfrs_relation_ownercheck(relation, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of %s", name->relname)));
}

static void
lock_over_transactions(tfrs_recommendation_table *table)
{
	LockRelId	lock = {.relId = table->relation, .dbId = MyDatabaseId};

	if (table->over_transactions)
		LockRelationIdForSession(&lock, LOCK);
}

static RangeVar *
range_of(text *name)
{
	return makeRangeVarFromNameList(textToQualifiedNameList(name));
}

void
tfrs_recommendation_table_lock(tfrs_recommendation_table *table, text *name,
							   bool over_transactions)
{
	memset(table, 0, sizeof(*table));
	table->context = CurrentMemoryContext;
	table->over_transactions = over_transactions;
	table->relation = RangeVarGetRelidExtended(range_of(name), LOCK, RVR_MISSING_OK, check_name,
											   NULL);
	if (OidIsValid(table->relation))
		lock_over_transactions(table);
	else
		creation_schema(range_of(name));
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

/* Their types, but for those of ids. */
static const Oid parameter_types[PARAMETERS] = {
	[RANKS] = INT4ARRAYOID, [LABELS] = TEXTARRAYOID, [SCORES] = FLOAT8ARRAYOID,
	[PERCENTILES] = FLOAT8ARRAYOID, [SOURCES] = TEXTARRAYOID, [VERSION] = INT4OID,
	[TOLERANCE] = FLOAT8OID, [HAS_FIRST] = BOOLOID, [HAS_LAST] = BOOLOID
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

/* It is planned anew for each slice, which costs little beside it, so that the bounds find their
 * index. */
static void
bind_writing(tfrs_recommendation_table *table)
{
	MemoryContext caller = MemoryContextSwitchTo(table->context);
	Oid		   *types = palloc(PARAMETERS * sizeof(Oid));
	tfrs_run_as scope;

	for (int i = 0; i < PARAMETERS; i++)
		types[i] = parameter_types[i];
	types[QUERIES] = get_array_type(table->query_type);
	types[CANDIDATES] = get_array_type(table->candidate_type);
	types[FIRST] = types[LAST] = table->query_type;
	tfrs_run_as_begin(&scope, table->owner);
	table->writing = tfrs_statement_bind(psprintf(statement, table->name), table->relation, types,
										 PARAMETERS);
	tfrs_run_as_end(&scope);
	MemoryContextSwitchTo(caller);
}

void
tfrs_recommendation_table_open(tfrs_recommendation_table *table,
							   const tfrs_recommender *recommender, text *name, int k)
{
	tfrs_id_column query = tfrs_id_column_of(recommender->interactions,
											 recommender->query_column);
	tfrs_id_column candidate = tfrs_id_column_of(recommender->interactions,
												 recommender->candidate_column);

	table->query_type = query.type;
	table->candidate_type = candidate.type;
	if (!OidIsValid(table->relation))
	{
		table->k = k < 0 ? DEFAULT_K : k;
		create(table, recommender, range_of(name),
			   tfrs_recommendation_columns_text(&query, &candidate));
		table->owner = tfrs_relation_owner(table->relation);
		lock_over_transactions(table);
	}
	else
	{
		table->name = tfrs_relation_text(table->relation);
		table->owner = tfrs_relation_owner(table->relation);
		use_table(table, recommender, k);
	}
	tfrs_recommendation_columns_check(table->relation, &query, &candidate);
	table->collation = tfrs_id_column_of(table->relation, "query").collation;
	tfrs_attached_code_check(table->relation);
	bind_writing(table);
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

void
tfrs_recommendation_table_write(tfrs_recommendation_table *table,
								const tfrs_recommendation_rows *rows, int version,
								double tolerance)
{
	Datum		values[PARAMETERS];
	char		nulls[PARAMETERS];
	int64		counts[3] = {0};	/* added, changed, removed */
	tfrs_run_as scope;

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
	tfrs_attached_code_check(table->relation);
	tfrs_run_as_begin(&scope, table->owner);
	tfrs_statement_run(table->writing, values, nulls, counts, lengthof(counts));
	tfrs_run_as_end(&scope);
	table->added += (uint64) counts[0];
	table->changed += (uint64) counts[1];
	table->removed += (uint64) counts[2];
}

/* By its OID. */
static void
analyze(const tfrs_recommendation_table *table)
{
	VacuumStmt *statement = makeNode(VacuumStmt);
	tfrs_run_as scope;

	statement->rels = list_make1(makeVacuumRelation(NULL, table->relation, NIL));
	tfrs_run_as_begin(&scope, table->owner);
	PushActiveSnapshot(GetTransactionSnapshot());
	ExecVacuum(make_parsestate(NULL), statement, false);
	PopActiveSnapshot();
	tfrs_run_as_end(&scope);
}

void
tfrs_recommendation_table_close(tfrs_recommendation_table *table)
{
	LockRelId	lock = {.relId = table->relation, .dbId = MyDatabaseId};

	if (table->added + table->changed + table->removed > 0)
		analyze(table);
	if (table->over_transactions)
		UnlockRelationIdForSession(&lock, LOCK);
}
