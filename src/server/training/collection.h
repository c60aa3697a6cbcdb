/*
 * collection.h: rows of (query, candidate, weight, time) as SQL values become interactions.
 *
 * What tfrs.train, tfrs.retrain and tfrs.refresh have in common, up to the interactions that fit.h
 * trains on.
 */
#ifndef TFRS_COLLECTION_H
#define TFRS_COLLECTION_H

#include "postgres.h"

#include "learning/interactions.h"
#include "learning/trainer.h"
#include "server/training/fit.h"
#include "server/training/train_options.h"
#include "server/values/record_reader.h"
#include "server/values/row_reader.h"
#include "server/host/spool.h"

typedef struct tfrs_collection
{
	/* set by the caller */
	MemoryContext context;		/* of all its memory */
	tfrs_train_request request;
	tfrs_record_reader *query_record;	/* NULL: scalars, as the next */
	tfrs_record_reader *candidate_record;
	tfrs_id_reader query;
	tfrs_id_reader candidate;
	const char *query_column;	/* for messages, or NULL, as the next */
	const char *candidate_column;
	bool		has_weight;
	bool		has_time;
	bool		lasting;		/* past the end of the transaction */
	size_t		budget;			/* bytes for rows and ids */

	tfrs_arena	arena;
	tfrs_spools spools;
	tfrs_interactions *interactions;
	uint64		skipped_query;
	uint64		skipped_candidate;
	uint64		skipped_weight;	/* of weight 0 */
} tfrs_collection;

/* Before it begins: reads ids as a model has them that the training will go on from.  ERROR where
 * they are of other types. */
extern void tfrs_collection_adopt_types(tfrs_collection *collection, const tfrs_model *model);

/*
 * Rows are spooled when their budget is used up, but ids stay in memory.  What they take beyond the
 * budget counts against tfrs.max_memory; taken: bytes of it that others hold.
 */
extern size_t tfrs_collection_excess(const tfrs_collection *collection);
extern void tfrs_collection_bound(tfrs_collection *collection, size_t taken);

/* Begins to collect; tfrs_collection_end closes temporary files, before the context goes. */
extern void tfrs_collection_begin(tfrs_collection *collection);
extern void tfrs_collection_end(tfrs_collection *collection);

/* Lets the interactions know the ids of a model that the training will go on from.  What can be
 * refused for its sake is refused here, before all rows are read. */
extern void tfrs_collection_know_model(tfrs_collection *collection, const tfrs_model *model);

/* The hot path.  A row's ids; false where one is NULL: such a row is skipped, and counted. */
typedef struct tfrs_row_ids
{
	tfrs_id		query;
	tfrs_id		candidate;
} tfrs_row_ids;

/* Whether a row of that weight counts: one of 0 is as if it were not there, but for its number. */
static inline bool
tfrs_collection_counts(tfrs_collection *collection, float weight)
{
	collection->skipped_weight += !(weight > 0);
	return weight > 0;
}

extern bool tfrs_collection_ids(tfrs_collection *collection, const NullableDatum *query,
								const NullableDatum *candidate, tfrs_row_ids *ids);
extern void tfrs_collection_add(tfrs_collection *collection, const tfrs_row_ids *ids,
								float weight, int64 at);

/* The same of rows with columns on one side or both, which stay read until they are added. */
extern bool tfrs_collection_records(tfrs_collection *collection, const NullableDatum *query,
									const NullableDatum *candidate, tfrs_row_ids *ids);
extern void tfrs_collection_add_records(tfrs_collection *collection, const tfrs_row_ids *ids,
										float weight, int64 at);

/* Brings the rows into their final order. */
extern void tfrs_collection_finish(tfrs_collection *collection);

/* NOTICEs about what a training on the finished rows can't learn; fcinfo: of the aggregate's final
 * function, or NULL. */
extern void tfrs_collection_warn(const tfrs_collection *collection, FunctionCallInfo fcinfo);

/* The number of its own notices, for tfrs_bridge_first_notice. */
#define TFRS_COLLECTION_NOTICES 3

/* The training of the finished rows, going on from model (NULL: from nothing). */
extern tfrs_fit tfrs_collection_fit(const tfrs_collection *collection, const tfrs_model *model);

#endif							/* TFRS_COLLECTION_H */
