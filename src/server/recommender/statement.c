/*
 * statement.c: from text to an analyzed query, and from there to the executor.
 *
 * The SPI would analyze the text of a plan again whenever something has changed, and look up its
 * names again.
 */
#include "server/recommender/statement.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/params.h"
#include "parser/analyze.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "server/host/compat.h"
#include "server/recommender/registry.h"

/* Takes the numbers of the first row. */
typedef struct receiver
{
	DestReceiver functions;
	int64	   *results;		/* (count) */
	int			count;
} receiver;

static void
start_rows(DestReceiver *self, int operation, TupleDesc columns)
{
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	receiver   *to = (receiver *) self;

	slot_getallattrs(slot);
	for (int i = 0; i < to->count; i++)
		to->results[i] = DatumGetInt64(slot->tts_values[i]);
	to->count = 0;
	return true;
}

static void
end_rows(DestReceiver *self)
{
}

void
tfrs_statement_report_renamed(Oid relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the name of %s has come to mean another relation",
					tfrs_relation_text(relation)),
			 errdetail("A schema or a relation was renamed meanwhile."),
			 errhint("Repeat the command.")));
}

/* ERROR where a name of the query means another relation than the one that was checked. */
static bool
check_names(Node *node, void *relation)
{
	const RangeTblEntry *entry = (const RangeTblEntry *) node;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, check_names, relation, QTW_EXAMINE_RTES_BEFORE);
	if (!IsA(node, RangeTblEntry))
		return expression_tree_walker(node, check_names, relation);
	if (entry->rtekind == RTE_RELATION && entry->relid != *(Oid *) relation)
		tfrs_statement_report_renamed(*(Oid *) relation);
	return false;
}

/* An error's place is one in this text, not in that of the client's command. */
static void
place_error(void *sql)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(sql);
}

static Query *
analyze(const char *sql, Oid relation, const Oid *types, int count)
{
	ErrorContextCallback callback = {error_context_stack, place_error, unconstify(char *, sql)};
	RawStmt    *statement = linitial_node(RawStmt, pg_parse_query(sql));
	Query	   *query;

	error_context_stack = &callback;
	PushActiveSnapshot(GetTransactionSnapshot());
	query = parse_analyze_fixedparams(statement, sql, types, count, NULL);
	PopActiveSnapshot();
	error_context_stack = callback.previous;
	check_names((Node *) query, &relation);
	return query;
}

tfrs_statement *
tfrs_statement_bind(const char *sql, Oid relation, const Oid *types, int count)
{
	tfrs_statement *statement = palloc(sizeof(*statement));

	statement->sql = sql;
	statement->query = analyze(sql, relation, types, count);
	statement->types = types;
	statement->count = count;
	return statement;
}

/* The one query that is run for it. */
static Query *
rewrite(const tfrs_statement *statement)
{
	Query	   *query = copyObjectImpl(statement->query);	/* copyObject is no C11 */
	List	   *queries;

	AcquireRewriteLocks(query, true, false);
	queries = QueryRewrite(query);
	if (list_length(queries) != 1 || linitial_node(Query, queries)->commandType == CMD_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a rule keeps rows out of the table that they are written to"),
				 errhint("Drop the rule.")));
	return linitial_node(Query, queries);
}

static ParamListInfo
parameters_of(const tfrs_statement *statement, const Datum *values, const char *nulls)
{
	ParamListInfo parameters = makeParamList(statement->count);

	for (int i = 0; i < statement->count; i++)
	{
		parameters->params[i].value = values[i];
		parameters->params[i].isnull = nulls[i] == 'n';
		parameters->params[i].pflags = PARAM_FLAG_CONST;
		parameters->params[i].ptype = statement->types[i];
	}
	return parameters;
}

static uint64
execute(QueryDesc *query)
{
	uint64		processed;

	ExecutorStart(query, 0);
	tfrs_executor_run(query);
	processed = query->estate->es_processed;
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	return processed;
}

uint64
tfrs_statement_run(const tfrs_statement *statement, const Datum *values, const char *nulls,
				   int64 *results, int result_count)
{
	receiver	to = {
		.functions = {
			.receiveSlot = receive_row, .rStartup = start_rows, .rShutdown = end_rows,
			.rDestroy = end_rows, .mydest = DestNone
		},
		.results = results,
		.count = result_count
	};
	ParamListInfo parameters = parameters_of(statement, values, nulls);
	PlannedStmt *plan;
	uint64		processed;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	plan = pg_plan_query(rewrite(statement), statement->sql, 0, parameters);
	processed = execute(CreateQueryDesc(plan, statement->sql, GetActiveSnapshot(),
										InvalidSnapshot, &to.functions, parameters, NULL, 0));
	PopActiveSnapshot();
	CommandCounterIncrement();
	return processed;
}

Oid
tfrs_statement_made_table(const char *name, Oid schema)
{
	Oid			relation = get_relname_relid(name, schema);
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool		made;

	made = HeapTupleIsValid(row) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->t_data)) &&
		((Form_pg_class) GETSTRUCT(row))->relowner == GetUserId();
	if (!made)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the schema of \"%s\" was renamed meanwhile", name),
				 errhint("Repeat the command.")));
	ReleaseSysCache(row);
	return relation;
}

char *
tfrs_collation_text(Oid collation)
{
	HeapTuple	row = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *text;

	if (!HeapTupleIsValid(row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("collation with OID %u was dropped meanwhile", collation)));
	form = (Form_pg_collation) GETSTRUCT(row);
	text = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(row);
	return text;
}

/* Rewriting locks what is below views, planning what is below partitioned tables. */
void
tfrs_statement_lock(Oid relation)
{
	tfrs_statement statement = {0};

	LockRelationOid(relation, AccessShareLock);
	statement.sql = psprintf("SELECT * FROM %s", tfrs_relation_text(relation));
	statement.query = analyze(statement.sql, relation, NULL, 0);
	PushActiveSnapshot(GetTransactionSnapshot());
	pg_plan_query(rewrite(&statement), statement.sql, 0, NULL);
	PopActiveSnapshot();
}
