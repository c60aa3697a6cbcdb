/*
 * source.c: one SELECT over the interactions, whose rows go straight into a collection.
 *
 * Its result goes to a receiver of our own, not through a cursor: rows are not copied, and the plan
 * may be a parallel one.  Everything that the query reaches (a view, a function in it) runs as the
 * owner, who can only read then (run_as.h).  Times come as they are, so that a run does not depend
 * on the session's time zone.
 */
#include "server/recommender/source.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "server/host/compat.h"
#include "server/host/progress.h"
#include "server/recommender/recommender_sources.h"
#include "server/host/run_as.h"
#include "server/recommender/statement.h"

enum
{
	QUERY,
	CANDIDATE,
	WEIGHT
};

#define LANE_SALT UINT64_C(0x9e3779b97f4a7c15)

typedef struct receiver
{
	DestReceiver functions;
	const tfrs_source *source;
	MemoryContext row_context;
	const char *weight_column;
	Oid			at_type;
	tfrs_source_sum sum;
	tfrs_collecting collecting;
} receiver;

static void
start_rows(DestReceiver *self, int operation, TupleDesc columns)
{
	receiver   *to = (receiver *) self;
	tfrs_collection *collection = to->source->collection;

	tfrs_id_reader_init(&collection->query, TupleDescAttr(columns, QUERY)->atttypid, "query");
	tfrs_id_reader_init(&collection->candidate, TupleDescAttr(columns, CANDIDATE)->atttypid,
						"candidate");
	/* of the time, where there is one */
	to->at_type = getBaseType(TupleDescAttr(columns, columns->natts - 1)->atttypid);
	to->source->begin(to->source->argument);
}

/* Two hashes of a row, which are added up. */
static void
add_to_sum(tfrs_source_sum *sum, const tfrs_row_ids *ids, float weight, int64 at)
{
	union
	{
		float		number;
		uint32		bits;
	}			weight_bits = {weight};
	uint64		hash = tfrs_random_mix(tfrs_id_hash(ids->query) + LANE_SALT);

	hash = tfrs_random_mix(hash + tfrs_id_hash(ids->candidate));
	hash = tfrs_random_mix(hash ^ (uint64) at);
	hash = tfrs_random_mix(hash + weight_bits.bits);
	sum->rows++;
	sum->lanes[0] += hash;
	sum->lanes[1] += tfrs_random_mix(hash ^ LANE_SALT);
}

/* A dislike, whose weight is negative, is nothing that training learns from. */
static float
weight_of(const NullableDatum *value, const char *column)
{
	double		weight = value->isnull ? 1 : DatumGetFloat8(value->value);

	if (weight < 0 && weight >= -TFRS_MOST_WEIGHT)
		return 0;
	return (float) tfrs_weight_of(value, column);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	receiver   *to = (receiver *) self;
	tfrs_collection *collection = to->source->collection;
	int			column = WEIGHT;
	MemoryContext caller = MemoryContextSwitchTo(to->row_context);
	NullableDatum values[4];
	tfrs_row_ids ids;

	tfrs_collecting_count_row(&to->collecting);
	slot_getallattrs(slot);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
		values[i] = (NullableDatum) {
			slot->tts_values[i], slot->tts_isnull[i]
		};
	if (tfrs_collection_ids(collection, &values[QUERY], &values[CANDIDATE], &ids))
	{
		float		weight = collection->has_weight ?
			weight_of(&values[column++], to->weight_column) : 1;
		int64		at = collection->has_time ? tfrs_time_of(to->at_type, &values[column]) : 0;

		if (tfrs_collection_counts(collection, weight))
		{
			add_to_sum(&to->sum, &ids, weight, at);
			tfrs_collection_add(collection, &ids, weight, at);
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(to->row_context);
	return true;
}

static void
end_rows(DestReceiver *self)
{
}

/* ERROR where the owner, as who they are read, may not read the interactions. */
static void
check_privilege(const tfrs_recommender *recommender)
{
	char	   *name = tfrs_relation_text(recommender->interactions);
	char	   *owner = GetUserNameFromId(recommender->owner, false);
	const char *columns[TFRS_FIELDS];

	tfrs_recommender_columns(recommender, TFRS_INTERACTIONS, columns);
	if (!tfrs_may_read_columns(recommender->owner, recommender->interactions, columns,
							   lengthof(columns)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for relation %s", name),
				 errdetail("It is read as %s, the owner of recommender \"%s\".", owner,
						   recommender->name),
				 errhint("GRANT SELECT ON %s TO %s, and USAGE of its schema.", name,
						 quote_identifier(owner))));
}

static char *
select_statement(const tfrs_recommender *recommender)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", quote_identifier(recommender->query_column));
	appendStringInfo(&sql, ", %s", quote_identifier(recommender->candidate_column));
	if (recommender->weight_column != NULL)
		appendStringInfo(&sql, ", %s::pg_catalog.float8",
						 quote_identifier(recommender->weight_column));
	if (recommender->at_column != NULL)
		appendStringInfo(&sql, ", %s", quote_identifier(recommender->at_column));
	appendStringInfo(&sql, " FROM %s", tfrs_relation_text(recommender->interactions));
	return sql.data;
}

static void
execute(const tfrs_recommender *recommender, receiver *to)
{
	SPIExecuteOptions options = {.read_only = true, .dest = &to->functions};
	SPIPlanPtr	plan = SPI_prepare_cursor(select_statement(recommender), 0, NULL,
										  CURSOR_OPT_PARALLEL_OK);
	int			result;

	if (plan == NULL)
		elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
	result = SPI_execute_plan_extended(plan, &options);
	if (result < 0)
		elog(ERROR, "could not read the interactions: %s", SPI_result_code_string(result));
	SPI_freeplan(plan);
}

void
tfrs_source_lock(const tfrs_recommender *recommender)
{
	tfrs_run_as scope;

	tfrs_recommender_check_sources(recommender);
	check_privilege(recommender);
	tfrs_run_as_reader(&scope, recommender->owner);
	tfrs_statement_lock(recommender->interactions);
	tfrs_run_as_end(&scope);
}

tfrs_source_sum
tfrs_source_read(const tfrs_recommender *recommender, const tfrs_source *source)
{
	receiver	to = {
		.functions = {
			.receiveSlot = receive_row, .rStartup = start_rows, .rShutdown = end_rows,
			.rDestroy = end_rows, .mydest = DestNone
		},
		.source = source,
		.weight_column = recommender->weight_column
	};
	tfrs_run_as scope;

	tfrs_recommender_check_sources(recommender);
	LockRelationOid(recommender->interactions, AccessShareLock);
	tfrs_recommender_check_columns(recommender, recommender->interactions);
	check_privilege(recommender);
	source->collection->has_weight = recommender->weight_column != NULL;
	source->collection->has_time = recommender->at_column != NULL;
	to.row_context = AllocSetContextCreate(CurrentMemoryContext, "tfrs source row",
										   ALLOCSET_DEFAULT_SIZES);
	tfrs_collecting_init(&to.collecting, "refresh", source->collection->context);
	tfrs_run_as_reader(&scope, recommender->owner);
	execute(recommender, &to);
	tfrs_collecting_end(&to.collecting);
	tfrs_run_as_end(&scope);
	MemoryContextDelete(to.row_context);
	return to.sum;
}
