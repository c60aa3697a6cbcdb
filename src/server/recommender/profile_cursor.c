/*
 * profile_cursor.c: rows of the interactions to profiles.
 */
#include "server/recommender/profile_cursor.h"

#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "server/recommender/live_relation.h"
#include "server/recommender/live_rows.h"
#include "server/host/run_as.h"
#include "server/recommender/statement.h"

/* Interactions fetched at once. */
#define FETCH_ROWS 10000

/*
 * ERROR where the cursor delivers other types than those that were looked up: a value would be
 * taken for what it is not.
 */
static void
prepare_readers(tfrs_profile_cursor *cursor)
{
	TupleDesc	columns = cursor->portal->tupDesc;
	Oid			query = getBaseType(TupleDescAttr(columns, 0)->atttypid);
	Oid			candidate = getBaseType(TupleDescAttr(columns, 1)->atttypid);

	if (query != cursor->query_type || candidate != cursor->candidate_type)
		tfrs_statement_report_renamed(cursor->recommender->interactions);
	tfrs_id_reader_init(&cursor->query_reader, query, "query");
	tfrs_id_reader_init(&cursor->candidate_reader, candidate, "candidate");
	cursor->at_type = columns->natts < 4 ? InvalidOid
		: getBaseType(TupleDescAttr(columns, 3)->atttypid);
	get_typlenbyval(query, &cursor->length, &cursor->by_value);
}

void
tfrs_profile_cursor_open(tfrs_profile_cursor *cursor)
{
	char	   *sql = tfrs_live_events_statement(cursor->recommender, cursor->collation);
	tfrs_run_as scope;
	SPIPlanPtr	plan;

	fmgr_info_copy(&cursor->compare,
				   &lookup_type_cache(cursor->query_type,
									  TYPECACHE_CMP_PROC_FINFO)->cmp_proc_finfo,
				   CurrentMemoryContext);
	tfrs_run_as_reader(&scope, tfrs_live_reader(cursor->recommender));
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	cursor->portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	prepare_readers(cursor);
	if (cursor->held)
	{
		PinPortal(cursor->portal);
		HoldPinnedPortals();
	}
	tfrs_run_as_end(&scope);
}

void
tfrs_profile_cursor_close(tfrs_profile_cursor *cursor)
{
	if (cursor->held)
		UnpinPortal(cursor->portal);
	SPI_cursor_close(cursor->portal);
}

/* The next rows; false at the end. */
static bool
fetch(tfrs_profile_cursor *cursor)
{
	tfrs_run_as scope;

	if (cursor->rows != NULL)
		SPI_freetuptable(cursor->rows);
	tfrs_run_as_reader(&scope, tfrs_live_reader(cursor->recommender));
	SPI_cursor_fetch(cursor->portal, true, FETCH_ROWS);
	tfrs_run_as_end(&scope);
	cursor->rows = SPI_tuptable;
	cursor->fetched = SPI_processed;
	cursor->next = 0;
	return cursor->fetched > 0;
}

bool
tfrs_profile_cursor_begin(tfrs_profile_cursor *cursor)
{
	return fetch(cursor);
}

static Datum
column_value(const tfrs_profile_cursor *cursor, int column, bool *null)
{
	return SPI_getbinval(cursor->rows->vals[cursor->next], cursor->rows->tupdesc, column, null);
}

/* ERROR unless a query follows the last one: else rows would be lost where they are written. */
static void
check_order(tfrs_profile_cursor *cursor, Datum last, Datum query)
{
	if (DatumGetInt32(FunctionCall2Coll(&cursor->compare, cursor->collation, last, query)) < 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the rows of %s do not come in the order of column \"%s\"",
					tfrs_relation_text(cursor->recommender->interactions),
					cursor->recommender->query_column),
			 errhint("An index may be damaged, or older than the version of its collation: REINDEX "
					 "it.")));
}

Datum
tfrs_profile_cursor_copy(const tfrs_profile_cursor *cursor, Datum query)
{
	return datumCopy(query, cursor->by_value, cursor->length);
}

Datum
tfrs_profile_cursor_query(tfrs_profile_cursor *cursor, const Datum *last)
{
	bool		null;
	Datum		query = column_value(cursor, 1, &null);

	if (last != NULL)
		check_order(cursor, *last, query);
	return tfrs_profile_cursor_copy(cursor, query);
}

static tfrs_id
query_id(const tfrs_profile_cursor *cursor, const tfrs_model *model, Datum query)
{
	return tfrs_id_read_as(&cursor->query_reader, model->query_ids.tag, query, "query");
}

static void
add_event(const tfrs_profile_cursor *cursor, tfrs_profile *profile)
{
	const tfrs_id_view *ids = &profile->model->candidate_ids;
	int64		at = 0;
	bool		null;
	Datum		value = column_value(cursor, 2, &null);
	tfrs_id		id = tfrs_id_read_as(&cursor->candidate_reader, ids->tag, value, "candidate");
	uint32		row = tfrs_id_view_find(ids, id);

	if (OidIsValid(cursor->at_type))
	{
		NullableDatum time;

		time.value = column_value(cursor, 4, &time.isnull);
		at = tfrs_time_of(cursor->at_type, &time);
	}
	tfrs_profile_add(profile, row, at, DatumGetFloat8(column_value(cursor, 3, &null)));
}

bool
tfrs_profile_cursor_read(tfrs_profile_cursor *cursor, const tfrs_model *model, Datum query,
						 tfrs_profile *profile)
{
	tfrs_id		id = query_id(cursor, model, query);

	tfrs_profile_begin(profile, model, id, OidIsValid(cursor->at_type));
	tfrs_profile_set_live(profile);
	for (;; cursor->next++)
	{
		bool		null;

		if (cursor->next == cursor->fetched)
		{
			CHECK_FOR_INTERRUPTS();
			if (!fetch(cursor))
				break;
		}
		if (tfrs_id_compare(query_id(cursor, model, column_value(cursor, 1, &null)), id) != 0)
			break;
		add_event(cursor, profile);
	}
	tfrs_profile_finish(profile);
	return cursor->fetched > 0;
}
