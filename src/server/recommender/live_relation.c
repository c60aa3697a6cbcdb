/*
 * live_relation.c: privileges, indexes and plans of the relations that a recommender rests on.
 *
 * Ids go into statements as parameters of the column's own type, so that an index serves.  A
 * generic plan is asked for: planning takes longer than the look-up.
 */
#include "server/recommender/live_relation.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "server/host/compat.h"
#include "server/recommender/recommender_sources.h"
#include "server/values/row_reader.h"

/* Plans of a session; with more all are made anew. */
#define MOST_PLANS 512

typedef struct live_key
{
	int32		recommender;
	int32		role;
} live_key;

/* What a session keeps of a relation. */
typedef struct tfrs_live_entry
{
	live_key	key;			/* first: dynahash demands it */
	char	   *sql;			/* of the plan; NULL: there is none */
	Oid			type;			/* of its parameter */
	SPIPlanPtr	plan;
	int			running;		/* executions of the plan now */
	bool		told;			/* that it is left out */
	bool		told_index;		/* that it has no index for the look-up */
} tfrs_live_entry;

static HTAB *entries;

/* A plan that is being executed is left to the end of the session: that is a rare case. */
static void
forget_plan(tfrs_live_entry *entry)
{
	if (entry->plan != NULL && entry->running == 0)
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
	tfrs_live_entry *entry;

	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->running > 0)
			continue;
		forget_plan(entry);
		hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
}

static tfrs_live_entry *
entry_of(const tfrs_recommender *recommender, tfrs_role role)
{
	live_key	key = {recommender->id, role};
	tfrs_live_entry *entry;
	bool		found;

	if (entries == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(live_key);
		control.entrysize = sizeof(tfrs_live_entry);
		entries = hash_create("tfrs live relations", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry;
	if (hash_get_num_entries(entries) >= MOST_PLANS)
		forget_all_plans();
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	entry->sql = NULL;
	entry->plan = NULL;
	entry->running = 0;
	entry->told = entry->told_index = false;
	return entry;
}

Oid
tfrs_live_reader(const tfrs_recommender *recommender)
{
	return superuser() ? recommender->owner : GetUserId();
}

static const char *
relation_name(const tfrs_live_relation *live)
{
	return live->recommender->references[live->role].name;
}

/* Once a session, that a relation is left out. */
static void
tell_left_out(const tfrs_live_relation *live)
{
	const char *what = live->role == TFRS_INTERACTIONS
		? "What a query has chosen is taken from the model, as it was at the training."
		: "There are no labels, and candidates that are not available are shown.";

	if (live->entry->told)
		return;
	live->entry->told = true;
	if (!OidIsValid(live->relation))
		ereport(NOTICE,
				(errmsg("relation %s was dropped: recommender \"%s\" goes on without it",
						relation_name(live), live->recommender->name),
				 errdetail("%s", what)));
	else
		ereport(NOTICE,
				(errmsg("no privilege to read %s: recommender \"%s\" goes on without it",
						relation_name(live), live->recommender->name),
				 errdetail("%s", what),
				 errhint("GRANT SELECT on it.")));
}

bool
tfrs_live_relation_open(tfrs_live_relation *live, const tfrs_recommender *recommender,
						tfrs_role role)
{
	bool		interactions = role == TFRS_INTERACTIONS;
	const char *columns[TFRS_FIELDS];

	tfrs_recommender_columns(recommender, role, columns);
	live->recommender = recommender;
	live->role = role;
	live->relation = interactions ? recommender->interactions : recommender->candidates;
	live->id_column = interactions ? recommender->query_column : recommender->candidate_key;
	live->entry = entry_of(recommender, role);
	tfrs_recommender_check_columns(recommender, live->relation);
	if (!OidIsValid(live->relation) ||
		!tfrs_may_read_columns(tfrs_live_reader(recommender), live->relation, columns,
							   TFRS_FIELDS))
	{
		tell_left_out(live);
		return false;
	}
	LockRelationOid(live->relation, AccessShareLock);
	tfrs_recommender_check_columns(recommender, live->relation);	/* nothing changes from here */
	live->id_type = getBaseType(get_atttype(live->relation, get_attnum(live->relation,
																	   live->id_column)));
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

void
tfrs_live_relation_check_index(const tfrs_live_relation *live)
{
	AttrNumber	column = get_attnum(live->relation, live->id_column);
	char		kind = get_rel_relkind(live->relation);
	Relation	relation;
	ListCell   *cell;
	bool		found = false;

	if (live->entry->told_index || strchr("rpm", kind) == NULL)
		return;
	relation = table_open(live->relation, AccessShareLock);
	foreach(cell, RelationGetIndexList(relation))
		found = found || is_index_over(lfirst_oid(cell), column);
	table_close(relation, AccessShareLock);
	live->entry->told_index = !found;
	if (!found)
		ereport(NOTICE,
				(errmsg("%s has no index that begins with column \"%s\"", relation_name(live),
						live->id_column),
				 errdetail("Each answer of recommender \"%s\" reads all of it.",
						   live->recommender->name),
				 errhint("CREATE INDEX ON %s (%s).", tfrs_relation_text(live->relation),
						 quote_identifier(live->id_column))));
}

/* An operator over "any enum" takes no domain; the cast changes nothing that an index knows. */
char *
tfrs_live_relation_id_text(const tfrs_live_relation *live)
{
	Oid			type = get_atttype(live->relation, get_attnum(live->relation, live->id_column));

	if (type == live->id_type)
		return pstrdup(quote_identifier(live->id_column));
	return psprintf("%s::%s", quote_identifier(live->id_column),
					format_type_extended(live->id_type, -1,
										 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
}

/* The operator with the column's own type has an index. */
Oid
tfrs_live_relation_parameter_type(const tfrs_live_relation *live)
{
	switch (live->id_type)
	{
		case INT2OID:
		case INT4OID:
			return INT8OID;
		case VARCHAROID:
			return TEXTOID;
		default:
			return live->id_type;
	}
}

bool
tfrs_live_relation_value(const tfrs_live_relation *live, tfrs_id_writer *writer, uint32 tag,
						 tfrs_id id, Datum *value)
{
	if (get_typtype(live->id_type) == TYPTYPE_ENUM && !tfrs_id_is_of_type(tag, id, live->id_type))
		return false;
	*value = tfrs_id_write(writer, id);
	return true;
}

/* The entry's plan becomes that of a statement with one parameter. */
static void
make_plan(const tfrs_live_relation *live, const char *sql, Oid type)
{
	tfrs_live_entry *entry = live->entry;
	SPIPlanPtr	plan;

	if (entry->plan != NULL && entry->type == type && strcmp(entry->sql, sql) == 0)
		return;
	forget_plan(entry);
	plan = SPI_prepare_cursor(sql, 1, &type, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	entry->plan = plan;
	entry->type = type;
	entry->sql = MemoryContextStrdup(TopMemoryContext, sql);
}

/* Meanwhile the plan stays: what it calls may ask for recommendations itself. */
static int
execute(tfrs_live_entry *entry, Datum parameter)
{
	int			result = 0;

	entry->running++;
	PG_TRY();
	{
		result = SPI_execute_plan(entry->plan, &parameter, NULL, true, 0);
	}
	PG_FINALLY();
	{
		entry->running--;
	}
	PG_END_TRY();
	return result;
}

void
tfrs_live_relation_select(const tfrs_live_relation *live, const char *sql, Oid type,
						  Datum parameter)
{
	int			result;

	make_plan(live, sql, type);
	result = execute(live->entry, parameter);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "\"%s\" failed: %s", sql, SPI_result_code_string(result));
}
