/*
 * store.c: a row of the store by an index scan.
 *
 * The owner may have done anything to the table: a column that is not what it was is an ERROR, a
 * lost index a slower scan.
 */
#include "server/store.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static void
report_store(const tfrs_recommender *recommender)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s is not the store of recommender \"%s\" any more",
					recommender->store_name, recommender->name),
			 errdetail("It has no columns version of type integer and model of type tfrs.model.")));
}

/* The number of a column of that type. */
static AttrNumber
need_column(const tfrs_recommender *recommender, Relation store, const char *name, Oid type)
{
	AttrNumber	number = get_attnum(recommender->store, name);

	if (number <= 0 || TupleDescAttr(RelationGetDescr(store), number - 1)->atttypid != type)
		report_store(recommender);
	return number;
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
report_missing(const tfrs_recommender *recommender, int version)
{
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommender \"%s\" has no model in use yet", recommender->name),
				 errhint("CALL tfrs.refresh(name) trains one; CALL tfrs.publish(name, version) "
						 "takes one that was held back.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("recommender \"%s\" has no version %d", recommender->name, version),
			 errhint("Its versions are in %s.", recommender->store_name)));
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

const tfrs_cached_block *
tfrs_store_model(const tfrs_recommender *recommender, int version, tfrs_block_site *site,
				 MemoryContext context)
{
	Relation	store = table_open(recommender->store, AccessShareLock);
	const tfrs_cached_block *block;
	AttrNumber	model;
	HeapTuple	row;
	Datum		value;
	bool		null;

	if (version == 0)
		version = recommender->current_version;
	if (version == 0)
		report_missing(recommender, 0);
	if (store->rd_rel->relkind != RELKIND_RELATION)
		report_store(recommender);
	model = need_column(recommender, store, "model", tfrs_registry_model_type());
	row = find_version(store, need_column(recommender, store, "version", INT4OID), version);
	if (!HeapTupleIsValid(row))
		report_missing(recommender, version);
	value = heap_getattr(row, model, RelationGetDescr(store), &null);
	if (null)
		report_missing(recommender, version);
	block = tfrs_block_cache_get(site, context, value, TFRS_BLOCK_MODEL);
	table_close(store, AccessShareLock);
	return block;
}

void
tfrs_store_check_version(const tfrs_recommender *recommender, int version)
{
	Relation	store = table_open(recommender->store, AccessShareLock);

	if (find_version(store, need_column(recommender, store, "version", INT4OID), version) == NULL)
		report_missing(recommender, version);
	table_close(store, AccessShareLock);
}
