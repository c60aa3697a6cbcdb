/*
 * search_arguments.h: the arguments that every search has: k, exclude, among, min_score, search.
 */
#ifndef TFRS_SEARCH_ARGUMENTS_H
#define TFRS_SEARCH_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

#include "base/id_set.h"
#include "retrieval/index.h"
#include "server/host/compat.h"

/* What a query that the model has never seen gets. */
typedef enum tfrs_unknown
{
	TFRS_UNKNOWN_AVERAGE,		/* the answer for the unknown slot's vector */
	TFRS_UNKNOWN_POPULAR,		/* candidates by how often they were chosen */
	TFRS_UNKNOWN_NONE,			/* no rows */
	TFRS_UNKNOWN_ERROR
} tfrs_unknown;

typedef struct tfrs_search_options
{
	bool		by_id;			/* the query is an id: "unknown" makes sense */
	bool		by_query;		/* and one of the model's queries: so does "seen" */
	tfrs_unknown unknown;		/* in: the default */
	bool		seen;			/* keep what the model has stored for the query */
	bool		exact;
	uint32		leaves_to_search;
	uint32		rerank;
} tfrs_search_options;

/*
 * Arguments are bigint and double precision, for these are what drivers send.  k of the argument;
 * raises where it is null, negative or above what an integer rank can count.
 */
extern size_t tfrs_search_k(FunctionCallInfo fcinfo, int argument);

/* The version of a recommender that is asked for; 0 where it is null: the one in use. */
extern int	tfrs_search_version(FunctionCallInfo fcinfo, int argument);

/* Reads k, exclude and among, of which k is number first, into a search that
 * asks for nothing else. */
extern void tfrs_search_rows(FunctionCallInfo fcinfo, int first, const tfrs_id_view *candidates,
							 tfrs_search *search);

/* Adds rows, in any order, to search->excluded, a new list in the current memory context. */
extern void tfrs_search_exclude(tfrs_search *search, const uint32_t *rows, size_t count);

/* min_score of the argument as a float, which scores are: -INFINITY where it is null. */
extern float tfrs_search_min_score(FunctionCallInfo fcinfo, int argument);

/* What the name of TFRS_UNKNOWN_... means; raises for another. */
extern tfrs_unknown tfrs_search_unknown(const char *name);

/*
 * Reads the five arguments, of which k is number first.  options holds the defaults; what is in
 * search for the core is put into *search too.  Row lists lie in the current memory context.
 */
extern void tfrs_search_arguments(FunctionCallInfo fcinfo, int first,
								  const tfrs_id_view *candidates, tfrs_search *search,
								  tfrs_search_options *options);

/* The ERROR of TFRS_UNKNOWN_ERROR; what: "query", "candidate". */
pg_noreturn extern void tfrs_report_unknown(const tfrs_id_view *ids, tfrs_id id, const char *what);

#endif							/* TFRS_SEARCH_ARGUMENTS_H */
