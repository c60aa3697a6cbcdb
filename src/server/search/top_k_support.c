/*
 * top_k_support.c: what the planner is told about top_k and its kin: rows and cost.
 *
 * Rows are k, where it is known, for each query that is asked.  What a search costs cannot be known
 * when planning, for the index is a column of a table: it is taken for a medium one, half a
 * millisecond, and charged before the first row, since LIMIT makes no search cheaper.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "server/host/compat.h"

/* In units of cpu_operator_cost, each some ten nanoseconds. */
#define SEARCH_OPERATORS 20000.0
#define ROW_OPERATORS 10.0

#define DEFAULT_K 10.0

PG_FUNCTION_INFO_V1(tfrs_top_k_support);

/* In all forms k is the first argument that is declared as bigint. */
static Node *
argument_k(const FuncExpr *call)
{
	Oid		   *types;
	int			count;

	get_func_signature(call->funcid, &types, &count);
	for (int i = 0; i < count; i++)
		if (types[i] == INT8OID)
			return list_nth(call->args, i);
	return NULL;
}

static double
estimate_k(PlannerInfo *root, const FuncExpr *call)
{
	Node	   *node = argument_k(call);

	if (node != NULL)
		node = estimate_expression_value(root, node);
	if (node == NULL || !IsA(node, Const) || ((Const *) node)->constisnull)
		return DEFAULT_K;
	return (double) Max(DatumGetInt64(((Const *) node)->constvalue), 0);
}

/* Only top_k_many has ids of queries second, declared as an array of any type. */
static double
estimate_queries(PlannerInfo *root, const FuncExpr *call)
{
	Oid		   *types;
	int			count;

	get_func_signature(call->funcid, &types, &count);
	if (types[1] != ANYCOMPATIBLEARRAYOID)
		return 1;
	return Max(tfrs_estimate_array_length(root, lsecond(call->args)), 1);
}

Datum
tfrs_top_k_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestRows))
	{
		SupportRequestRows *rows = (SupportRequestRows *) request;
		FuncExpr   *call = (FuncExpr *) rows->node;

		if (!IsA(call, FuncExpr))
			PG_RETURN_POINTER(NULL);
		rows->rows = estimate_k(rows->root, call) * estimate_queries(rows->root, call);
		PG_RETURN_POINTER(rows);
	}
	if (IsA(request, SupportRequestCost))
	{
		SupportRequestCost *cost = (SupportRequestCost *) request;
		double		k = DEFAULT_K;
		double		queries = 1;

		if (cost->node != NULL && IsA(cost->node, FuncExpr))
		{
			FuncExpr   *call = (FuncExpr *) cost->node;

			k = estimate_k(cost->root, call);
			queries = estimate_queries(cost->root, call);
		}
		cost->startup = 0;
		cost->per_tuple = queries * (SEARCH_OPERATORS + k * ROW_OPERATORS) * cpu_operator_cost;
		PG_RETURN_POINTER(cost);
	}
	PG_RETURN_POINTER(NULL);
}
