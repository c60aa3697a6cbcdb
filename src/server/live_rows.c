/*
 * live_rows.c: the interactions and candidates of a recommender by SPI.
 *
 * Statements are made of names that the catalog gives, quoted, with operators of pg_catalog; what a
 * query is goes in as a parameter of the column's own type, so that an index serves.  A generic plan is
 * asked for: planning takes longer than the look-up.
 */
#include "server/live_rows.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/limits.h"
#include "server/candidate_ids.h"
#include "server/compat.h"
#include "server/row_reader.h"

/* Plans of a session; with more all are made anew. */
#define MOST_PLANS 512

typedef enum source_role
{
	INTERACTIONS,
	CANDIDATES
} source_role;

typedef struct source_key
{
	int32		recommender;
	int32		role;
} source_key;

/* What a session keeps of a relation. */
typedef struct source_entry
{
	source_key	key;			/* first: dynahash demands it */
	char	   *sql;			/* of the plan; NULL: there is none */
	Oid			type;			/* of its parameter */
	SPIPlanPtr	plan;
	bool		told;			/* that it is left out */
	bool		told_index;		/* that it has no index for the look-up */
} source_entry;

/* A relation of a recommender, its columns found. */
typedef struct source
{
	const tfrs_recommender *recommender;
	source_role role;
	Oid			relation;
	const char *id_column;		/* that is looked up */
	Oid			id_type;		/* its base type */
	source_entry *entry;
} source;

static HTAB *entries;

static void
forget_plan(source_entry *entry)
{
	if (entry->plan != NULL)
		SPI_freeplan(entry->plan);
	if (entry->sql != NULL)
		pfree(entry->sql);
	entry->plan = NULL;
	entry->sql = NULL;
}

static void
forget_all_plans(void)
{
	HASH_SEQ_STATUS scan;
	source_entry *entry;

	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		forget_plan(entry);
		hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
}

static source_entry *
entry_of(const tfrs_recommender *recommender, source_role role)
{
	source_key	key = {recommender->id, role};
	source_entry *entry;
	bool		found;

	if (entries == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(source_key);
		control.entrysize = sizeof(source_entry);
		entries = hash_create("tfrs live rows of recommenders", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry;
	if (hash_get_num_entries(entries) >= MOST_PLANS)
		forget_all_plans();
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	entry->sql = NULL;
	entry->plan = NULL;
	entry->told = entry->told_index = false;
	return entry;
}

void
tfrs_read_scope_begin(tfrs_read_scope *scope)
{
	tfrs_run_as_begin(&scope->run_as, GetUserId());
	scope->read_only = XactReadOnly;
	XactReadOnly = true;
}

void
tfrs_read_scope_end(tfrs_read_scope *scope)
{
	XactReadOnly = scope->read_only;
	tfrs_run_as_end(&scope->run_as);
}

static void
begin_reading(tfrs_read_scope *scope)
{
	tfrs_read_scope_begin(scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
}

static void
end_reading(tfrs_read_scope *scope)
{
	SPI_finish();
	tfrs_read_scope_end(scope);
}

static AttrNumber
need_column(Oid relation, const char *column)
{
	AttrNumber	number = get_attnum(relation, column);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation %s does not exist", column,
						tfrs_relation_text(relation)),
				 errhint("Name another one: CALL tfrs.alter_recommender(name, ...).")));
	return number;
}

/* Whether the caller may read a column; one that has no name is none. */
static bool
may_read_column(Oid relation, const char *column)
{
	return column == NULL ||
		pg_attribute_aclcheck(relation, need_column(relation, column), GetUserId(),
							  ACL_SELECT) == ACLCHECK_OK;
}

static bool
may_read(Oid relation, const char *const columns[3])
{
	if (tfrs_schema_aclcheck(get_rel_namespace(relation), GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		return false;
	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	return may_read_column(relation, columns[0]) && may_read_column(relation, columns[1]) &&
		may_read_column(relation, columns[2]);
}

static const char *
relation_name(const source *source)
{
	return source->role == INTERACTIONS ? source->recommender->interactions_name
		: source->recommender->candidates_name;
}

/* Once a session, that a relation is left out. */
static void
tell_left_out(const source *source)
{
	const char *what = source->role == INTERACTIONS
		? "What was chosen since the training is not known."
		: "There are no labels, and candidates that are not available are shown.";

	if (source->entry->told)
		return;
	source->entry->told = true;
	if (!OidIsValid(source->relation))
		ereport(NOTICE,
				(errmsg("relation %s was dropped: recommender \"%s\" goes on without it",
						relation_name(source), source->recommender->name),
				 errdetail("%s", what)));
	else
		ereport(NOTICE,
				(errmsg("no privilege to read %s: recommender \"%s\" goes on without it",
						relation_name(source), source->recommender->name),
				 errdetail("%s", what),
				 errhint("GRANT SELECT on it.")));
}

static Oid
type_of_column(Oid relation, const char *column)
{
	return getBaseType(get_atttype(relation, need_column(relation, column)));
}

/* Finds a relation; false where it must be left out. */
static bool
open_source(source *source, const tfrs_recommender *recommender, source_role role)
{
	const char *interactions[3] = {
		recommender->query_column, recommender->candidate_column, recommender->at_column
	};
	const char *candidates[3] = {
		recommender->candidate_key, recommender->label_column, recommender->available_column
	};
	const char *const *columns = role == INTERACTIONS ? interactions : candidates;

	source->recommender = recommender;
	source->role = role;
	source->relation = role == INTERACTIONS ? recommender->interactions : recommender->candidates;
	source->id_column = columns[0];
	source->entry = entry_of(recommender, role);
	if (!OidIsValid(source->relation) || !may_read(source->relation, columns))
	{
		tell_left_out(source);
		return false;
	}
	source->id_type = type_of_column(source->relation, source->id_column);
	return true;
}

/* Whether an index over the relation begins with that column. */
static bool
is_index_over(Oid index, AttrNumber column)
{
	HeapTuple	row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		result;

	if (!HeapTupleIsValid(row))
		return false;
	form = (Form_pg_index) GETSTRUCT(row);
	result = form->indisvalid && form->indkey.values[0] == column &&
		heap_attisnull(row, Anum_pg_index_indpred, NULL);
	ReleaseSysCache(row);
	return result;
}

/* Once a session, that each look-up reads the whole table. */
static void
tell_missing_index(const source *source)
{
	AttrNumber	column = need_column(source->relation, source->id_column);
	char		kind = get_rel_relkind(source->relation);
	Relation	relation;
	ListCell   *cell;
	bool		found = false;

	if (source->entry->told_index || strchr("rpm", kind) == NULL)
		return;
	relation = table_open(source->relation, AccessShareLock);
	foreach(cell, RelationGetIndexList(relation))
		found = found || is_index_over(lfirst_oid(cell), column);
	table_close(relation, AccessShareLock);
	source->entry->told_index = !found;
	if (!found)
		ereport(NOTICE,
				(errmsg("%s has no index that begins with column \"%s\"", relation_name(source),
						source->id_column),
				 errdetail("Each answer of recommender \"%s\" reads all of it.",
						   source->recommender->name),
				 errhint("CREATE INDEX ON %s (%s).", tfrs_relation_text(source->relation),
						 quote_identifier(source->id_column))));
}

/* The type that ids are looked up as: the operator with the column's own type has an index. */
static Oid
parameter_type(Oid id_type)
{
	switch (id_type)
	{
		case INT2OID:
		case INT4OID:
			return INT8OID;
		case VARCHAROID:
			return TEXTOID;
		default:
			return id_type;
	}
}

static void
check_tag(const source *source, const tfrs_id_view *ids)
{
	const char *name = tfrs_id_tag_name(ids->tag);
	tfrs_id_reader reader;

	tfrs_id_reader_init(&reader, source->id_type, "query");
	if (reader.tag != ids->tag)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of %s is of type %s, but the model was trained on type %s",
						source->id_column, relation_name(source), format_type_be(source->id_type),
						name == NULL ? "unknown" : name),
				 errhint("CALL tfrs.refresh(name).")));
}

/* An id as a value to look up; false where the type has no such value. */
static bool
value_of_id(const source *source, tfrs_id_writer *writer, uint32 tag, tfrs_id id, Datum *value)
{
	if (get_typtype(source->id_type) == TYPTYPE_ENUM &&
		!SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(source->id_type),
							   CStringGetDatum(tfrs_id_to_cstring(tag, id))))
		return false;
	*value = tfrs_id_write(writer, id);
	return true;
}

/* The plan of a statement with one parameter, the SPI connected. */
static SPIPlanPtr
plan_of(const source *source, const char *sql, Oid type)
{
	source_entry *entry = source->entry;
	SPIPlanPtr	plan;

	if (entry->plan != NULL && entry->type == type && strcmp(entry->sql, sql) == 0)
		return entry->plan;
	forget_plan(entry);
	plan = SPI_prepare_cursor(sql, 1, &type, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	entry->plan = plan;
	entry->type = type;
	entry->sql = MemoryContextStrdup(TopMemoryContext, sql);
	return plan;
}

static void
execute(const source *source, const char *sql, Oid type, Datum parameter)
{
	int			result = SPI_execute_plan(plan_of(source, sql, type), &parameter, NULL, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "\"%s\" failed: %s", sql, SPI_result_code_string(result));
}

int64
tfrs_live_time(Oid type, Datum value, bool null)
{
	if (null)
		return DT_NOBEGIN;
	if (type == DATEOID)
	{
		DateADT		date = DatumGetDateADT(value);

		return DATE_NOT_FINITE(date) ? DT_NOBEGIN : date * USECS_PER_DAY;
	}
	value = TimestampGetDatum(DatumGetTimestamp(value));
	return TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)) ? DT_NOBEGIN
		: DatumGetTimestamp(value);
}

/* The events that the statement has found. */
static void
add_events(tfrs_profile *profile)
{
	TupleDesc	columns = SPI_tuptable->tupdesc;
	bool		has_time = columns->natts > 1;
	Oid			at_type = has_time ? getBaseType(SPI_gettypeid(columns, 2)) : InvalidOid;
	const tfrs_id_view *ids = &profile->model->candidate_ids;
	tfrs_id_reader reader;

	tfrs_id_reader_init(&reader, SPI_gettypeid(columns, 1), "candidate");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int64		at = PG_INT64_MAX;	/* not known: after what is stored */
		Datum		value;
		uint32		candidate;
		bool		null;

		value = SPI_getbinval(row, columns, 1, &null);
		if (null)
			continue;
		candidate = tfrs_id_view_find(ids, tfrs_id_read_as(&reader, ids->tag, value, "candidate"));
		if (candidate == TFRS_NO_ROW)
			continue;
		if (has_time)
		{
			value = SPI_getbinval(row, columns, 2, &null);
			at = tfrs_live_time(at_type, value, null);
		}
		tfrs_profile_add(profile, candidate, at);
	}
}

static void
append_column(StringInfo sql, const char *before, const char *column)
{
	if (column != NULL)
		appendStringInfo(sql, "%s%s", before, quote_identifier(column));
}

void
tfrs_live_events_read(const tfrs_recommender *recommender, tfrs_profile *profile)
{
	const tfrs_id_view *ids = &profile->model->query_ids;
	MemoryContext caller = CurrentMemoryContext;
	tfrs_id_writer writer = {0};
	StringInfoData sql;
	tfrs_read_scope scope;
	source		source;
	Oid			type;
	Datum		query;

	if (!open_source(&source, recommender, INTERACTIONS))
		return;
	check_tag(&source, ids);
	tell_missing_index(&source);
	type = parameter_type(source.id_type);
	tfrs_id_writer_init(&writer, ids, type, CurrentMemoryContext);
	if (!value_of_id(&source, &writer, ids->tag, profile->id, &query))
		return;
	initStringInfo(&sql);
	append_column(&sql, "SELECT ", recommender->candidate_column);
	append_column(&sql, ", ", recommender->at_column);
	appendStringInfo(&sql, " FROM %s WHERE %s OPERATOR(pg_catalog.=) $1",
					 tfrs_relation_text(source.relation), quote_identifier(source.id_column));
	begin_reading(&scope);
	execute(&source, sql.data, type, query);
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
array_of_ids(const source *source, const tfrs_id_view *ids, const uint32 *rows, size_t count)
{
	Oid			type = parameter_type(source->id_type);
	Datum	   *values = palloc_extended(count * sizeof(Datum) + 1, MCXT_ALLOC_HUGE);
	tfrs_id_writer writer = {0};
	size_t		known = 0;
	int16		length;
	bool		by_value;
	char		alignment;

	tfrs_id_writer_init(&writer, ids, type, CurrentMemoryContext);
	for (size_t i = 0; i < count; i++)
		known += value_of_id(source, &writer, ids->tag, tfrs_id_view_get(ids, rows[i]),
							 &values[known]);
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_array(values, (int) known, type, length, by_value, alignment));
}

/* What the statement has found: these may be shown. */
static void
take_candidates(const tfrs_id_view *ids, asked_row *asked, size_t count, bool *available,
				char **labels)
{
	TupleDesc	columns = SPI_tuptable->tupdesc;
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
		available[found->place] = true;
		if (columns->natts > 1)
			labels[found->place] = SPI_getvalue(row, columns, 2);
	}
}

/* The key and label of candidates that may be shown. */
static void
append_candidates(StringInfo sql, const source *source)
{
	append_column(sql, "SELECT ", source->id_column);
	append_column(sql, ", ", source->recommender->label_column);
	appendStringInfo(sql, " FROM %s WHERE ", tfrs_relation_text(source->relation));
	if (source->recommender->available_column != NULL)
		appendStringInfo(sql, "%s IS NOT FALSE AND ",
						 quote_identifier(source->recommender->available_column));
}

void
tfrs_live_candidates_read(const tfrs_recommender *recommender, const tfrs_id_view *ids,
							 const uint32 *rows, size_t count, bool *available, char **labels)
{
	MemoryContext caller = CurrentMemoryContext;
	asked_row  *asked;
	StringInfoData sql;
	tfrs_read_scope scope;
	source		source;
	Datum		keys;
	bool		look_up;

	look_up = tfrs_live_has_candidates(recommender) &&
		open_source(&source, recommender, CANDIDATES);
	memset(available, !look_up, count * sizeof(bool));
	memset(labels, 0, count * sizeof(char *));
	if (!look_up || count == 0)
		return;
	check_tag(&source, ids);
	tell_missing_index(&source);
	asked = palloc_extended(count * sizeof(asked_row), MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < count; i++)
		asked[i] = (asked_row) {rows[i], (uint32) i};
	keys = array_of_ids(&source, ids, rows, count);
	initStringInfo(&sql);
	append_candidates(&sql, &source);
	appendStringInfo(&sql, "%s OPERATOR(pg_catalog.=) ANY ($1)", quote_identifier(source.id_column));
	begin_reading(&scope);
	execute(&source, sql.data, get_array_type(parameter_type(source.id_type)), keys);
	MemoryContextSwitchTo(caller);
	take_candidates(ids, asked, count, available, labels);
	end_reading(&scope);
}

char *
tfrs_live_events_statement(const tfrs_recommender *recommender)
{
	StringInfoData sql;

	initStringInfo(&sql);
	append_column(&sql, "SELECT ", recommender->query_column);
	append_column(&sql, ", ", recommender->candidate_column);
	append_column(&sql, ", ", recommender->at_column);
	appendStringInfo(&sql, " FROM %s", tfrs_relation_text(recommender->interactions));
	append_column(&sql, " WHERE ", recommender->query_column);
	append_column(&sql, " IS NOT NULL AND ", recommender->candidate_column);
	append_column(&sql, " IS NOT NULL ORDER BY ", recommender->query_column);
	return sql.data;
}

void
tfrs_live_candidates_read_all(const tfrs_recommender *recommender, const tfrs_id_view *ids,
								 bool *available, char **labels)
{
	asked_row  *asked = palloc_extended(ids->count * sizeof(asked_row) + 1, MCXT_ALLOC_HUGE);
	MemoryContext caller = CurrentMemoryContext;
	tfrs_read_scope scope;
	StringInfoData sql;
	source		source;
	bool		look_up;

	look_up = tfrs_live_has_candidates(recommender) &&
		open_source(&source, recommender, CANDIDATES);
	memset(available, !look_up, ids->count * sizeof(bool));
	memset(labels, 0, ids->count * sizeof(char *));
	if (!look_up)
		return;
	check_tag(&source, ids);
	for (size_t i = 0; i < ids->count; i++)
		asked[i] = (asked_row) {(uint32) i, (uint32) i};
	initStringInfo(&sql);
	append_candidates(&sql, &source);
	appendStringInfo(&sql, "%s IS NOT NULL", quote_identifier(source.id_column));
	begin_reading(&scope);
	if (SPI_execute(sql.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the candidates");
	MemoryContextSwitchTo(caller);
	take_candidates(ids, asked, ids->count, available, labels);
	end_reading(&scope);
}
