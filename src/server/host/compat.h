/*
 * compat.h: the only place that asks for the server's version (14 to 18).
 */
#ifndef TFRS_COMPAT_H
#define TFRS_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 140000
#error "tfrs_retrieval needs PostgreSQL 14 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#define tfrs_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define tfrs_backend_status(i) pgstat_fetch_stat_local_beentry(i)
/* Input errors that a caller may ask to get back instead of raised came with 16. */
#define ereturn(context, dummy_value, ...) ereport(ERROR, __VA_ARGS__)
#endif

#if PG_VERSION_NUM < 150000
#define parse_analyze_fixedparams(statement, sql, types, count, environment) \
	parse_analyze(statement, sql, types, count, environment)
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)

/* As in 15: begins a result that is given as a whole; flags must be 0. */
extern void InitMaterializedSRF(FunctionCallInfo fcinfo, bits32 flags);
#endif

#if PG_VERSION_NUM < 160000
#define tfrs_schema_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define tfrs_relation_ownercheck(relation, role) pg_class_ownercheck(relation, role)
#else
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#define tfrs_relation_ownercheck(relation, role) \
	object_ownercheck(RelationRelationId, relation, role)
#define tfrs_schema_aclcheck(schema, role, mode) \
	object_aclcheck(NamespaceRelationId, schema, role, mode)
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn _Noreturn
#define tfrs_executor_run(query) ExecutorRun(query, ForwardScanDirection, 0, true)
#else
#define tfrs_executor_run(query) ExecutorRun(query, ForwardScanDirection, 0)
#endif

#if PG_VERSION_NUM < 170000
#define tfrs_estimate_array_length(root, node) ((double) estimate_array_length(node))
#define tfrs_proc_number() (MyProc->pgprocno)
#else
#define tfrs_proc_number() MyProcNumber
#define tfrs_estimate_array_length(root, node) estimate_array_length(root, node)
#endif

#endif							/* TFRS_COMPAT_H */
