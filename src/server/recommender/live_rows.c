/*
 * live_rows.c: the interactions and candidates of a recommender by SPI.
 *
 * Statements are made of names that the catalog gives, quoted, with operators of pg_catalog.
 */
#include "server/recommender/live_rows.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/limits.h"
#include "server/host/bridge.h"
#include "server/recommender/column_condition.h"
#include "server/recommender/live_relation.h"
#include "server/values/row_reader.h"
#include "server/recommender/recommender_sources.h"
#include "server/host/run_as.h"
#include "server/host/settings.h"
#include "server/recommender/statement.h"

/* Half of the least float: a number up to it is rounded to 0. */
#define LARGEST_ZERO_WEIGHT "7.006492321624085e-46"

static void
begin_reading(tfrs_run_as *scope, const tfrs_recommender *recommender)
{
	tfrs_run_as_reader(scope, tfrs_live_reader(recommender));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
}

static void
end_reading(tfrs_run_as *scope)
{
	SPI_finish();
	tfrs_run_as_end(scope);
}

/* The events that the statement has found. */
static void
add_events(tfrs_profile *profile)
{
	TupleDesc	columns = SPI_tuptable->tupdesc;
	bool		has_time = columns->natts > 2;
	Oid			at_type = has_time ? getBaseType(SPI_gettypeid(columns, 3)) : InvalidOid;
	const tfrs_id_view *ids = &profile->model->candidate_ids;
	tfrs_id_reader reader;

	tfrs_id_reader_init(&reader, SPI_gettypeid(columns, 1), "candidate");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int64		at = 0;
		NullableDatum value;
		uint32		candidate;
		double		weight;

		value.value = SPI_getbinval(row, columns, 1, &value.isnull);
		if (value.isnull)
			continue;
		candidate = tfrs_id_view_find(ids, tfrs_id_read_as(&reader, ids->tag, value.value,
														   "candidate"));
		value.value = SPI_getbinval(row, columns, 2, &value.isnull);
		weight = DatumGetFloat8(value.value);
		if (has_time)
		{
			value.value = SPI_getbinval(row, columns, 3, &value.isnull);
			at = tfrs_time_of(at_type, &value);
		}
		tfrs_profile_add(profile, candidate, at, weight);
	}
}

static void
append_column(StringInfo sql, const char *before, const char *column)
{
	if (column != NULL)
		appendStringInfo(sql, "%s%s", before, quote_identifier(column));
}

/* The weight of a row, never NULL. */
static void
append_weight(StringInfo sql, const tfrs_recommender *recommender)
{
	if (recommender->weight_column == NULL)
		appendStringInfoString(sql, ", 1::pg_catalog.float8");
	else
		appendStringInfo(sql, ", COALESCE(%s::pg_catalog.float8, 1)",
						 quote_identifier(recommender->weight_column));
}

/*
 * Only rows that count: those whose weight is 0, also once it is rounded to the float that training
 * takes, do not.
 */
static void
append_weight_condition(StringInfo sql, const tfrs_recommender *recommender)
{
	const char *column;

	if (recommender->weight_column == NULL)
		return;
	column = quote_identifier(recommender->weight_column);
	appendStringInfo(sql, " AND (%s IS NULL OR %s OPERATOR(pg_catalog.>) %s)", column, column,
					 LARGEST_ZERO_WEIGHT);
}

void
tfrs_live_events_read(const tfrs_recommender *recommender, tfrs_profile *profile)
{
	const tfrs_id_view *ids = &profile->model->query_ids;
	MemoryContext caller = CurrentMemoryContext;
	tfrs_id_writer writer = {0};
	StringInfoData sql;
	tfrs_run_as scope;
	tfrs_live_relation live;
	Oid			type;
	Datum		query;

	if (!tfrs_live_relation_open(&live, recommender, TFRS_INTERACTIONS))
		return;
	tfrs_live_relation_check_index(&live);
	tfrs_profile_set_live(profile);
	type = tfrs_live_relation_parameter_type(&live);
	tfrs_id_writer_init(&writer, ids, type, CurrentMemoryContext);
	if (!tfrs_live_relation_value(&live, &writer, ids->tag, profile->id, &query))
		return;
	initStringInfo(&sql);
	append_column(&sql, "SELECT ", recommender->candidate_column);
	append_weight(&sql, recommender);
	append_column(&sql, ", ", recommender->at_column);
	appendStringInfo(&sql, " FROM %s WHERE %s OPERATOR(pg_catalog.=) $1",
					 tfrs_relation_text(live.relation), tfrs_live_relation_id_text(&live));
	begin_reading(&scope, recommender);
	tfrs_live_relation_select(&live, sql.data, type, query);
	MemoryContextSwitchTo(caller);
	add_events(profile);
	end_reading(&scope);
}

/* A candidate that is asked for, and where. */
typedef struct asked_row
{
	uint32		row;
	uint32		place;
} asked_row;

static int
compare_asked(const void *a, const void *b)
{
	uint32		x = ((const asked_row *) a)->row;
	uint32		y = ((const asked_row *) b)->row;

	return x < y ? -1 : x > y;
}

/* The candidates as an array of their column's type. */
static Datum
array_of_ids(const tfrs_live_relation *live, const tfrs_id_view *ids, const uint32 *rows,
			 size_t count)
{
	Oid			type = tfrs_live_relation_parameter_type(live);
	Datum	   *values = palloc_extended(count * sizeof(Datum) + 1, MCXT_ALLOC_HUGE);
	tfrs_id_writer writer = {0};
	size_t		known = 0;
	int16		length;
	bool		by_value;
	char		alignment;

	tfrs_id_writer_init(&writer, ids, type, CurrentMemoryContext);
	for (size_t i = 0; i < count; i++)
		known += tfrs_live_relation_value(live, &writer, ids->tag, tfrs_id_view_get(ids, rows[i]),
							 &values[known]);
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_array(values, (int) known, type, length, by_value, alignment));
}

/* What the statement has found: these may be shown. */
static void
take_candidates(const tfrs_id_view *ids, asked_row *asked, size_t count, tfrs_shown *shown)
{
	TupleDesc	columns = SPI_tuptable->tupdesc;
	int			first = columns->natts - shown->columns + 1;
	tfrs_id_reader reader;

	qsort(asked, count, sizeof(asked_row), compare_asked);
	tfrs_id_reader_init(&reader, SPI_gettypeid(columns, 1), "candidate");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		asked_row  *found;
		asked_row	key;
		bool		null;
		Datum		value = SPI_getbinval(row, columns, 1, &null);

		key.row = tfrs_id_view_find(ids, tfrs_id_read_as(&reader, ids->tag, value, "candidate"));
		found = bsearch(&key, asked, count, sizeof(asked_row), compare_asked);
		if (found == NULL)
			continue;
		shown->available[found->place] = true;
		if (first > 2)
			shown->labels[found->place] = SPI_getvalue(row, columns, 2);
		for (int c = 0; c < shown->columns; c++)
			shown->values[found->place * shown->columns + c] = SPI_getvalue(row, columns, first + c);
	}
}

/* The key and label of candidates that may be shown, and the columns that are asked for. */
static void
append_candidates(StringInfo sql, const tfrs_live_relation *live, const tfrs_shown *shown)
{
	append_column(sql, "SELECT ", live->id_column);
	append_column(sql, ", ", live->recommender->label_column);
	for (int c = 0; c < shown->columns; c++)
		append_column(sql, ", ", shown->column[c]);
	appendStringInfo(sql, " FROM %s WHERE ", tfrs_relation_text(live->relation));
	if (live->recommender->available_column != NULL)
		appendStringInfo(sql, "%s IS NOT FALSE AND ",
						 quote_identifier(live->recommender->available_column));
}

/* Runs a statement about rows (count) of the ids, whose array is its parameter: those that it finds
 * may be shown. */
static void
look_up(const tfrs_live_relation *live, const char *sql, const tfrs_id_view *ids,
		const uint32 *rows, size_t count, tfrs_shown *shown)
{
	asked_row  *asked = palloc_extended(count * sizeof(asked_row), MCXT_ALLOC_HUGE);
	Datum		keys = array_of_ids(live, ids, rows, count);
	MemoryContext caller = CurrentMemoryContext;
	tfrs_run_as scope;

	for (size_t i = 0; i < count; i++)
		asked[i] = (asked_row) {rows[i], (uint32) i};
	begin_reading(&scope, live->recommender);
	tfrs_live_relation_select(live, sql, get_array_type(tfrs_live_relation_parameter_type(live)),
							  keys);
	MemoryContextSwitchTo(caller);
	take_candidates(ids, asked, count, shown);
	end_reading(&scope);
}

/* All may be shown, or none until it is found. */
static void
begin_shown(tfrs_shown *shown, size_t count, bool all)
{
	memset(shown->available, all, count * sizeof(bool));
	memset(shown->labels, 0, count * sizeof(char *));
	if (shown->columns > 0)
		memset(shown->values, 0, count * shown->columns * sizeof(char *));
}

void
tfrs_live_candidates_read(const tfrs_recommender *recommender, const tfrs_id_view *ids,
						  const uint32 *rows, size_t count, tfrs_shown *shown)
{
	StringInfoData sql;
	tfrs_live_relation live;
	bool		read;

	read = tfrs_live_has_candidates(recommender) &&
		tfrs_live_relation_open(&live, recommender, TFRS_CANDIDATES);
	begin_shown(shown, count, !read);
	if (!read || count == 0)
		return;
	tfrs_live_relation_check_index(&live);
	initStringInfo(&sql);
	append_candidates(&sql, &live, shown);
	appendStringInfo(&sql, "%s OPERATOR(pg_catalog.=) ANY ($1)",
					 tfrs_live_relation_id_text(&live));
	look_up(&live, sql.data, ids, rows, count, shown);
}

/* The queries of rows. */
static void
append_queries(StringInfo sql, const tfrs_recommender *recommender)
{
	append_column(sql, "SELECT DISTINCT ", recommender->query_column);
	appendStringInfo(sql, " FROM %s", tfrs_relation_text(recommender->interactions));
	append_column(sql, " WHERE ", recommender->query_column);
	append_column(sql, " IS NOT NULL AND ", recommender->candidate_column);
	appendStringInfoString(sql, " IS NOT NULL");
}

void
tfrs_live_queries_read(const tfrs_recommender *recommender, const tfrs_id_view *ids,
					   const uint32 *rows, size_t count, tfrs_shown *shown)
{
	StringInfoData sql;
	tfrs_live_relation live;
	bool		read = tfrs_live_relation_open(&live, recommender, TFRS_INTERACTIONS);

	begin_shown(shown, count, !read);
	if (!read || count == 0)
		return;
	tfrs_live_relation_check_index(&live);
	initStringInfo(&sql);
	append_queries(&sql, recommender);
	append_weight_condition(&sql, recommender);
	appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.=) ANY ($1)",
					 tfrs_live_relation_id_text(&live));
	look_up(&live, sql.data, ids, rows, count, shown);
}

void
tfrs_live_lock(const tfrs_recommender *recommender)
{
	tfrs_live_relation candidates;
	tfrs_run_as scope;

	LockRelationOid(recommender->store, AccessShareLock);
	tfrs_run_as_reader(&scope, tfrs_live_reader(recommender));
	tfrs_statement_lock(recommender->interactions);
	tfrs_run_as_end(&scope);
	if (!tfrs_live_has_candidates(recommender) ||
		!tfrs_live_relation_open(&candidates, recommender, TFRS_CANDIDATES))
		return;
	tfrs_run_as_reader(&scope, tfrs_live_reader(recommender));
	tfrs_statement_lock(recommender->candidates);
	tfrs_run_as_end(&scope);
}

char *
tfrs_live_events_statement(const tfrs_recommender *recommender, Oid collation)
{
	StringInfoData sql;

	initStringInfo(&sql);
	append_column(&sql, "SELECT ", recommender->query_column);
	append_column(&sql, ", ", recommender->candidate_column);
	append_weight(&sql, recommender);
	append_column(&sql, ", ", recommender->at_column);
	appendStringInfo(&sql, " FROM %s", tfrs_relation_text(recommender->interactions));
	append_column(&sql, " WHERE ", recommender->query_column);
	append_column(&sql, " IS NOT NULL AND ", recommender->candidate_column);
	appendStringInfoString(&sql, " IS NOT NULL");
	append_column(&sql, " ORDER BY ", recommender->query_column);
	if (OidIsValid(collation))
		appendStringInfo(&sql, " COLLATE %s", tfrs_collation_text(collation));
	return sql.data;
}

void
tfrs_live_candidates_read_all(const tfrs_recommender *recommender, const tfrs_id_view *ids,
							  tfrs_shown *shown)
{
	asked_row  *asked = palloc_extended(ids->count * sizeof(asked_row) + 1, MCXT_ALLOC_HUGE);
	MemoryContext caller = CurrentMemoryContext;
	tfrs_run_as scope;
	StringInfoData sql;
	tfrs_live_relation live;
	bool		read;

	read = tfrs_live_has_candidates(recommender) &&
		tfrs_live_relation_open(&live, recommender, TFRS_CANDIDATES);
	begin_shown(shown, ids->count, !read);
	if (!read)
		return;
	for (size_t i = 0; i < ids->count; i++)
		asked[i] = (asked_row) {(uint32) i, (uint32) i};
	initStringInfo(&sql);
	append_candidates(&sql, &live, shown);
	appendStringInfo(&sql, "%s IS NOT NULL", quote_identifier(live.id_column));
	begin_reading(&scope, recommender);
	if (SPI_execute(sql.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the candidates");
	MemoryContextSwitchTo(caller);
	take_candidates(ids, asked, ids->count, shown);
	end_reading(&scope);
}

/* Locks a relation that is to be read as the caller; ERROR where it is gone. */
static void
lock_needed(const tfrs_recommender *recommender, Oid relation, tfrs_role role)
{
	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation %s, which recommender \"%s\" rests on, was dropped",
						recommender->references[role].name, recommender->name)));
	LockRelationOid(relation, AccessShareLock);
	tfrs_recommender_check_columns(recommender, relation);
}

void
tfrs_live_candidates_lock(const tfrs_recommender *recommender)
{
	lock_needed(recommender, recommender->candidates, TFRS_CANDIDATES);
}

static char *
counts_statement(const tfrs_recommender *recommender, const tfrs_span *span)
{
	const char *candidate = quote_identifier(recommender->candidate_column);
	const char *at = span->given ? quote_identifier(recommender->at_column) : NULL;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s, ", candidate);
	if (span->given)
		appendStringInfo(&sql, "count(*) FILTER (WHERE %s OPERATOR(pg_catalog.>) $2), "
						 "count(*) FILTER (WHERE %s OPERATOR(pg_catalog.<=) $2)", at, at);
	else
		appendStringInfoString(&sql, "count(*), 0::bigint");
	appendStringInfo(&sql, " FROM %s WHERE %s IS NOT NULL AND %s IS NOT NULL",
					 tfrs_relation_text(recommender->interactions),
					 quote_identifier(recommender->query_column), candidate);
	append_weight_condition(&sql, recommender);
	if (span->given)
		appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.>) $1"
						 " AND %s OPERATOR(pg_catalog.<=) $3", at, at);
	appendStringInfo(&sql, " GROUP BY 1 ORDER BY 1");
	return sql.data;
}

static int64
count_of(HeapTuple row, int column)
{
	bool		null;

	return DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, column, &null));
}

/* What the statement has found.  Ids that are one to the model, as padded text may be, are one. */
static void
take_counts(tfrs_live_counts *counts)
{
	TupleDesc	columns = SPI_tuptable->tupdesc;
	size_t		room = SPI_processed * sizeof(int64) + 1;
	tfrs_id_reader reader;
	tfrs_error	error;

	tfrs_id_reader_init(&reader, SPI_gettypeid(columns, 1), "candidate");
	tfrs_bridge_arena(&counts->arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	tfrs_check(tfrs_id_set_init(&counts->set, &counts->arena, reader.kind, reader.tag, &error),
			   &error);
	counts->recent = palloc_extended(room, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	counts->before = palloc_extended(room, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		null;
		Datum		value = SPI_getbinval(row, columns, 1, &null);
		uint32		place;

		tfrs_check(tfrs_id_set_add(&counts->set,
								   tfrs_id_read_as(&reader, reader.tag, value, "candidate"),
								   &place, &error), &error);
		counts->recent[place] += count_of(row, 2);
		counts->before[place] += count_of(row, 3);
	}
	counts->ids = tfrs_id_set_view(&counts->set);
}

void
tfrs_live_counts_read(const tfrs_recommender *recommender, const tfrs_span *span,
					  tfrs_live_counts *counts)
{
	Oid			types[3] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3] = {
		TimestampTzGetDatum(span->begin), TimestampTzGetDatum(span->middle),
		TimestampTzGetDatum(span->end)
	};
	MemoryContext caller = CurrentMemoryContext;
	tfrs_run_as scope;
	char	   *sql;

	lock_needed(recommender, recommender->interactions, TFRS_INTERACTIONS);
	sql = counts_statement(recommender, span);
	begin_reading(&scope, recommender);
	if (SPI_execute_with_args(sql, span->given ? 3 : 0, types, values, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not count the interactions");
	MemoryContextSwitchTo(caller);
	take_counts(counts);
	end_reading(&scope);
}

/* Rows of the ids that the statement has found. */
static tfrs_row_list
take_rows(const tfrs_id_view *ids)
{
	tfrs_row_list list = tfrs_row_list_copy(NULL, 0, SPI_processed);
	tfrs_id_reader reader;

	tfrs_id_reader_init(&reader, SPI_gettypeid(SPI_tuptable->tupdesc, 1), "candidate");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		null;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null);
		uint32		row = tfrs_id_view_find(ids, tfrs_id_read_as(&reader, ids->tag, value,
															   "candidate"));

		if (row != TFRS_NO_ROW)
			list.rows[list.count++] = row;
	}
	tfrs_row_list_sort(&list);
	return list;
}

tfrs_row_list
tfrs_live_within_read(const tfrs_recommender *recommender, Jsonb *within, const tfrs_id_view *ids)
{
	MemoryContext caller = CurrentMemoryContext;
	tfrs_row_list list;
	StringInfoData sql;
	tfrs_run_as scope;

	if (!tfrs_live_has_candidates(recommender))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommender \"%s\" has no relation of candidates", recommender->name),
				 errdetail("\"within\" names columns of it."),
				 errhint("CALL tfrs.alter_recommender(name, candidates => ...) names one.")));
	tfrs_live_candidates_lock(recommender);
	initStringInfo(&sql);
	append_column(&sql, "SELECT ", recommender->candidate_key);
	appendStringInfo(&sql, " FROM %s", tfrs_relation_text(recommender->candidates));
	append_column(&sql, " WHERE ", recommender->candidate_key);
	appendStringInfoString(&sql, " IS NOT NULL");
	tfrs_append_within(&sql, recommender->candidates, within);
	begin_reading(&scope, recommender);
	if (SPI_execute(sql.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the candidates");
	MemoryContextSwitchTo(caller);
	list = take_rows(ids);
	end_reading(&scope);
	return list;
}

/* Whether a column of that base type can hold the id. */
static bool
may_hold(Oid type, uint32 tag, tfrs_id id)
{
	bool		limited = type == INT2OID || type == INT4OID || get_typtype(type) == TYPTYPE_ENUM;

	return !limited || tfrs_id_is_of_type(tag, id, type);
}

bool
tfrs_live_holders_read(const tfrs_recommender *recommender, const tfrs_model *model,
					   uint32 candidate, tfrs_row_list *holders)
{
	tfrs_id		id = tfrs_id_view_get(&model->candidate_ids, candidate);
	MemoryContext caller = CurrentMemoryContext;
	tfrs_live_relation live;
	StringInfoData sql;
	tfrs_run_as scope;

	memset(holders, 0, sizeof(*holders));
	if (!tfrs_live_relation_open(&live, recommender, TFRS_INTERACTIONS))
		return false;
	if (!may_hold(tfrs_type_of_column(live.relation, recommender->candidate_column),
				  model->candidate_ids.tag, id))
		return true;
	initStringInfo(&sql);
	append_queries(&sql, recommender);
	tfrs_append_equals(&sql, live.relation, recommender->candidate_column,
					   tfrs_id_to_cstring(model->candidate_ids.tag, id));
	begin_reading(&scope, recommender);
	if (SPI_execute(sql.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the interactions");
	MemoryContextSwitchTo(caller);
	*holders = take_rows(&model->query_ids);
	end_reading(&scope);
	return true;
}
