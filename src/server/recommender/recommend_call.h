/*
 * recommend_call.h: what functions of a recommender by its name share: the call, its model, and the
 * candidates that may be shown.
 *
 *     begin -> open -> read the arguments -> find -> put
 *
 * The model is read as its owner, the candidates' rows as the caller, all of it as the running
 * statement sees the database.  Rows are given as a whole: they are few.  The recommender and its
 * pinned model lie in fn_extra, so that a join over many queries looks them up once.
 */
#ifndef TFRS_RECOMMEND_CALL_H
#define TFRS_RECOMMEND_CALL_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "server/values/block_cache.h"
#include "server/values/candidate_ids.h"
#include "server/recommender/pick_rules.h"
#include "server/recommender/profile.h"
#include "server/recommender/registry.h"

/* The call that is being answered. */
typedef struct tfrs_recommend_call
{
	FunctionCallInfo fcinfo;
	ReturnSetInfo *result;
	const tfrs_recommender *recommender;
	const tfrs_cached_block *block;
	const tfrs_model *model;
	const tfrs_id_view *candidates; /* that are ranked and shown: queries, where of_queries */
	bool		of_queries;
	tfrs_id_writer writer;
	tfrs_search search;
	const tfrs_pick_rules *rules;	/* NULL: none */
	tfrs_answer answer;			/* where it comes from */
	const float *query;			/* (D) */
	const float *scores;		/* (N) that candidates have without a search, or NULL */
	uint32		like;			/* the candidate that others are compared with, or TFRS_NO_ROW */
} tfrs_recommend_call;

/* Candidates in the order of their ranks. */
typedef struct tfrs_shown_list
{
	tfrs_hit   *hits;
	char	  **labels;
	char	  **values;			/* (count, columns of the rules) */
	size_t		count;
} tfrs_shown_list;

/* The query's events as the caller sees them, or as they are stored. */
extern void tfrs_call_profile(const tfrs_recommend_call *call, tfrs_id id, tfrs_profile *profile);

/* Begins the result; false where it stays empty, since one of the count arguments from number first
 * on is null. */
extern bool tfrs_call_begin(FunctionCallInfo fcinfo, tfrs_recommend_call *call, int first,
							int count);

/* Finds the recommender and the model that the arguments name; version 0: the one in use. */
extern void tfrs_call_open(tfrs_recommend_call *call, Datum name, int version);

/* True the first time in a statement: for a NOTICE that a join need not repeat. */
extern bool tfrs_call_first_time(const tfrs_recommend_call *call);

/* An id of one of the model's sides, given in any of the ways; false for a JSON null. */
extern bool tfrs_call_id(FunctionCallInfo fcinfo, int argument, const tfrs_id_view *ids,
						 const char *role, tfrs_id *id);

/* Keeps of the list what may be shown, up to k. */
extern void tfrs_call_keep_available(const tfrs_recommend_call *call, tfrs_shown_list *list,
									 size_t k);

/*
 * The best k candidates that may be shown and that the rules choose.  More are searched for than are wanted, four times as
 * many in each round: so the last round costs most, and k means k unless there are fewer.
 */
extern tfrs_shown_list tfrs_call_find(const tfrs_recommend_call *call);

/* Rows of rank, candidate, label, score and, where it has a name, the source. */
extern void tfrs_call_put(tfrs_recommend_call *call, const tfrs_shown_list *list,
						  const char *source);

#endif							/* TFRS_RECOMMEND_CALL_H */
