/*
 * store.c: a row of the store by an index scan.
 *
 * The owner may have done anything to the table: a column that is not what it was is an ERROR, a
 * lost index a slower scan.  The scan goes past row security, which is asked afterwards where there
 * is any for the caller.
 */
#include "server/recommender/store.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "server/host/run_as.h"
#include "server/recommender/run_record.h"

static void
report_store(const tfrs_recommender *recommender)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s is not the store of recommender \"%s\" any more",
					recommender->references[TFRS_STORE].name, recommender->name),
			 errdetail("It has no columns version of type integer and model of type tfrs.model.")));
}

/* The columns of a store. */
typedef struct store_columns
{
	AttrNumber	version;
	AttrNumber	model;
} store_columns;

/* The number of a column of that type, InvalidAttrNumber where there is none. */
static AttrNumber
column_of_type(Relation store, const char *name, Oid type)
{
	AttrNumber	number = get_attnum(RelationGetRelid(store), name);

	if (number <= 0 || TupleDescAttr(RelationGetDescr(store), number - 1)->atttypid != type)
		return InvalidAttrNumber;
	return number;
}

/* False where the relation is no store any more. */
static bool
find_columns(Relation store, store_columns *columns)
{
	columns->version = column_of_type(store, "version", INT4OID);
	columns->model = column_of_type(store, "model", tfrs_registry_model_type());
	return store->rd_rel->relkind == RELKIND_RELATION && columns->version > 0 &&
		columns->model > 0;
}

/* The store, locked, and its columns. */
static Relation
open_store(const tfrs_recommender *recommender, store_columns *columns)
{
	Relation	store = try_relation_open(recommender->store, AccessShareLock);

	if (store == NULL)
	{
		tfrs_recommender dropped = *recommender;

		dropped.store = dropped.references[TFRS_STORE].relation = InvalidOid;
		tfrs_recommender_check_store(&dropped);
	}
	if (!find_columns(store, columns))
		report_store(recommender);
	return store;
}

/* Whether it is the index of a primary key over that column alone. */
static bool
is_key_of(Oid index, AttrNumber column)
{
	HeapTuple	row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		result;

	if (!HeapTupleIsValid(row))
		return false;
	form = (Form_pg_index) GETSTRUCT(row);
	result = form->indisprimary && form->indisvalid && form->indnkeyatts == 1 &&
		form->indkey.values[0] == column;
	ReleaseSysCache(row);
	return result;
}

static Oid
index_of_versions(Relation store, AttrNumber version)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(store))
		if (is_key_of(lfirst_oid(cell), version))
			return lfirst_oid(cell);
	return InvalidOid;
}

static void
report_unknown(const tfrs_recommender *recommender, int version)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("recommender \"%s\" has no version %d", recommender->name, version),
			 errhint("Its versions are in %s.", recommender->references[TFRS_STORE].name)));
}

/*
 * Whether row security on the store shows the caller that version.  Its policies are asked as they
 * would be for a query of the caller's, but within a read-only, security-restricted operation.
 */
static bool
is_shown(const tfrs_recommender *recommender, int version)
{
	char	   *sql;
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(version);
	tfrs_run_as scope;
	bool		shown;

	if (check_enable_rls(recommender->store, InvalidOid, true) != RLS_ENABLED)
		return true;
	sql = psprintf("SELECT FROM %s WHERE version = $1", tfrs_relation_text(recommender->store));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the SPI");
	tfrs_run_as_reader(&scope, GetUserId());
	SPI_execute_with_args(sql, 1, &type, &value, NULL, true, 1);
	shown = SPI_processed > 0;
	tfrs_run_as_end(&scope);
	SPI_finish();
	return shown;
}

static void
report_missing(const tfrs_recommender *recommender, int version)
{
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommender \"%s\" has no model in use yet", recommender->name),
				 errhint("CALL tfrs.refresh(name) trains one; CALL tfrs.publish(name, version) "
						 "takes one that was held back.")));
	if (version == recommender->current_version)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model of recommender \"%s\" is missing", recommender->name),
				 errdetail("Version %d is in use, but its store, table %s, does not hold it any "
						   "more.", version, recommender->references[TFRS_STORE].name),
				 errhint("CALL tfrs.refresh(name) trains a new version; CALL "
						 "tfrs.publish(name, version) takes another one that is still there.")));
	report_unknown(recommender, version);
}

/* A copy of the row, its model still where it is stored. */
static HeapTuple
find_version(Relation store, AttrNumber column, int version)
{
	Oid			index = index_of_versions(store, column);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(version));
	scan = systable_beginscan(store, index, OidIsValid(index), GetActiveSnapshot(), 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	return row;
}

/* A version's model, still where it is stored, of a row that is copied; false without one. */
static bool
find_model(Relation store, const store_columns *columns, int version, Datum *model)
{
	HeapTuple	row;
	bool		null = true;

	/* a standby has no file of an unlogged table */
	if (store->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress())
		return false;
	row = find_version(store, columns->version, version);
	if (HeapTupleIsValid(row))
		*model = heap_getattr(row, columns->model, RelationGetDescr(store), &null);
	return !null;
}

bool
tfrs_store_fits(Oid table)
{
	Relation	relation = try_relation_open(table, AccessShareLock);
	store_columns columns;
	bool		fits;

	if (relation == NULL)
		return false;
	fits = relation->rd_rel->relpersistence != RELPERSISTENCE_TEMP &&
		find_columns(relation, &columns) &&
		OidIsValid(index_of_versions(relation, columns.version)) &&
		column_of_type(relation, "created_at", TIMESTAMPTZOID) != InvalidAttrNumber;
	relation_close(relation, NoLock);
	return fits;
}

void
tfrs_store_check_table(Oid table)
{
	if (!tfrs_store_fits(table))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s can't hold the models of a recommender", tfrs_relation_text(table)),
				 errdetail("It takes an ordinary table with the columns version integer PRIMARY "
						   "KEY, model tfrs.model and created_at timestamptz."),
				 errhint("Name another one, or none: then it is created.")));
}

/* Versions and times of all rows of the store. */
static uint64
scan_versions(Relation store, AttrNumber version, Datum **versions, Datum **created)
{
	AttrNumber	at = column_of_type(store, "created_at", TIMESTAMPTZOID);
	SysScanDesc scan = systable_beginscan(store, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	uint64		count = 0;
	uint64		room = 0;
	HeapTuple	row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		null;
		Datum		value = heap_getattr(row, version, RelationGetDescr(store), &null);

		CHECK_FOR_INTERRUPTS();
		if (null || DatumGetInt32(value) <= 0)
			continue;
		if (count == room)
		{
			room = 2 * room + 64;
			*versions = repalloc(*versions, room * sizeof(Datum));
			*created = repalloc(*created, room * sizeof(Datum));
		}
		(*versions)[count] = value;
		null = at == InvalidAttrNumber;
		value = null ? (Datum) 0 : heap_getattr(row, at, RelationGetDescr(store), &null);
		(*created)[count++] = TimestampTzGetDatum(null ? GetCurrentTimestamp()
												  : DatumGetTimestampTz(value));
	}
	systable_endscan(scan);
	return count;
}

void
tfrs_store_read_versions(const tfrs_recommender *recommender, tfrs_store_versions *result)
{
	store_columns columns;
	Relation	store = open_store(recommender, &columns);
	Datum	   *versions = palloc(sizeof(Datum));
	Datum	   *created = palloc(sizeof(Datum));
	uint64		count;

	PushActiveSnapshot(GetTransactionSnapshot());
	count = scan_versions(store, columns.version, &versions, &created);
	PopActiveSnapshot();
	table_close(store, AccessShareLock);
	result->last = 0;
	for (uint64 i = 0; i < count; i++)
		result->last = Max(result->last, DatumGetInt32(versions[i]));
	result->versions = construct_array(versions, (int) count, INT4OID, sizeof(int32), true,
									   TYPALIGN_INT);
	result->created = construct_array(created, (int) count, TIMESTAMPTZOID, sizeof(TimestampTz),
									  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

void
tfrs_store_note_versions(const tfrs_recommender *recommender)
{
	tfrs_store_versions versions;

	tfrs_store_read_versions(recommender, &versions);
	tfrs_run_know_versions(recommender, versions.versions, versions.created);
}

const tfrs_cached_block *
tfrs_store_model(const tfrs_recommender *recommender, int version, tfrs_block_site *site,
				 MemoryContext context)
{
	store_columns columns;
	Relation	store = open_store(recommender, &columns);
	const tfrs_cached_block *block;
	Datum		model = (Datum) 0;

	if (version == 0)
		version = recommender->current_version;
	if (version == 0 || !find_model(store, &columns, version, &model))
		report_missing(recommender, version);
	if (!is_shown(recommender, version))
		report_unknown(recommender, version);
	block = tfrs_block_cache_get(site, context, model, TFRS_BLOCK_MODEL);
	table_close(store, AccessShareLock);
	return block;
}

void
tfrs_store_check_version(const tfrs_recommender *recommender, int version)
{
	store_columns columns;
	Relation	store = open_store(recommender, &columns);
	Datum		model;

	if (!find_model(store, &columns, version, &model))
		report_missing(recommender, version);
	if (!is_shown(recommender, version))
		report_unknown(recommender, version);
	table_close(store, AccessShareLock);
}

bool
tfrs_store_lacks(const tfrs_recommender *recommender, int version)
{
	store_columns columns;
	Relation	store;
	Datum		model;
	bool		lacks;

	if (!OidIsValid(recommender->store))
		return true;
	if (!ConditionalLockRelationOid(recommender->store, AccessShareLock))
		return false;
	store = try_relation_open(recommender->store, NoLock);
	if (store == NULL)
	{
		UnlockRelationOid(recommender->store, AccessShareLock);
		return true;
	}
	lacks = !find_columns(store, &columns) || !find_model(store, &columns, version, &model);
	table_close(store, AccessShareLock);
	return lacks;
}
