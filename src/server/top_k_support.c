/*
 * top_k_support.c: what the planner is told about top_k and its kin: rows and cost.
 *
 * Rows are k, where it is known.  What a search costs cannot be known when planning,
 * for the index is a column of a table: it is taken for a medium one, half a millisecond, and
 * charged before the first row, since LIMIT makes no search cheaper.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

/* In units of cpu_operator_cost, each some ten nanoseconds. */
#define SEARCH_OPERATORS 20000.0
#define ROW_OPERATORS 10.0

#define DEFAULT_K 10.0

PG_FUNCTION_INFO_V1(tfrs_top_k_support);

/*
 * All forms end in k, exclude, among, min_score, search, and those over a model in index after it;
 * index is the only last argument that is no jsonb.
 */
static int
place_of_k(const List *arguments)
{
	int			count = list_length(arguments);

	return exprType(llast(arguments)) == JSONBOID ? count - 5 : count - 6;
}

static double
estimate_k(PlannerInfo *root, const List *arguments)
{
	Node	   *node = list_nth(arguments, place_of_k(arguments));

	node = estimate_expression_value(root, node);
	if (!IsA(node, Const) || ((Const *) node)->constisnull)
		return DEFAULT_K;
	return Max(DatumGetInt32(((Const *) node)->constvalue), 0);
}

Datum
tfrs_top_k_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *rows = (SupportRequestRows *) request;

		if (!IsA(rows->node, FuncExpr))
			PG_RETURN_POINTER(NULL);
		rows->rows = estimate_k(rows->root, ((FuncExpr *) rows->node)->args);
		PG_RETURN_POINTER(rows);
	}
	if (IsA(request, SupportRequestCost))
	{
		SupportRequestCost *cost = (SupportRequestCost *) request;
		double		k = DEFAULT_K;

		if (cost->node != NULL && IsA(cost->node, FuncExpr))
			k = estimate_k(cost->root, ((FuncExpr *) cost->node)->args);
		cost->startup = 0;
		cost->per_tuple = (SEARCH_OPERATORS + k * ROW_OPERATORS) * cpu_operator_cost;
		PG_RETURN_POINTER(cost);
	}
	PG_RETURN_POINTER(NULL);
}
