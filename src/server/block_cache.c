/*
 * block_cache.c: the session's cache of models and indexes.
 *
 * Entries are least recently used first out once they exceed tfrs.cache_size; those that a site has
 * pinned stay.  A block larger than the whole cache serves its statement and is then dropped.  Each
 * entry has a memory context of its own, which hangs under the caller's until the block has been
 * verified: an error or a cancel in between leaves nothing behind.
 *
 * Key: TOAST relation, TOAST value id, digest.  The identity alone would do as long as value ids
 * are not used twice; the digest covers that case for the price of reading one chunk.  The digest
 * alone would let one role plant content under another's name.  VACUUM FULL and ALTER TABLE either
 * keep both numbers or change them: both are safe.
 */
#include "server/compat.h"

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "server/block_cache.h"
#include "server/bridge.h"
#include "server/index_type.h"
#include "server/model_type.h"
#include "server/settings.h"

/* Bytes of a value's data before the block. */
#define VALUE_PADDING (TFRS_BLOCK_VALUE_HEADER - VARHDRSZ)

/* Bytes read between two looks at pending interrupts: whole chunks, so that none is read twice. */
#define READ_STEP ((int32) (2048 * TOAST_MAX_CHUNK_SIZE))

typedef struct cache_key
{
	Oid			toast_relation; /* InvalidOid: a value without identity */
	Oid			value_id;
	uint8		digest[TFRS_DIGEST_BYTES];
} cache_key;

struct tfrs_cache_entry
{
	cache_key	key;			/* first: dynahash demands it */
	tfrs_cached_block *view;	/* in context */
	MemoryContext context;
	size_t		bytes;
	uint64		hits;
	int			pins;
	bool		listed;			/* counted and in the list of recent use */
	bool		doomed;			/* to be dropped with its last pin */
	dlist_node	recent;
};

typedef struct session_cache
{
	HTAB	   *entries;
	MemoryContext context;
	dlist_head	recent;			/* most recently used first */
	size_t		bytes;			/* of the listed entries */
} session_cache;

static session_cache cache;

/* A value before its block is found: what the key needs, and where the bytes are. */
typedef struct value_source
{
	struct varlena *datum;
	bool		stored;			/* pointer tells where */
	varatt_external pointer;
	size_t		block_bytes;
	tfrs_block_kind kind;
} value_source;

PG_FUNCTION_INFO_V1(tfrs_cache_entries);
PG_FUNCTION_INFO_V1(tfrs_clear_cache);

static void
create_cache(void)
{
	HASHCTL		control = {0};

	if (cache.entries != NULL)
		return;
	if (cache.context == NULL)
	{
		cache.context = AllocSetContextCreate(TopMemoryContext, "tfrs block cache",
											  ALLOCSET_SMALL_SIZES);
		dlist_init(&cache.recent);
	}
	control.keysize = sizeof(cache_key);
	control.entrysize = sizeof(tfrs_cache_entry);
	control.hcxt = cache.context;
	cache.entries = hash_create("tfrs block cache", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
drop_entry(tfrs_cache_entry *entry)
{
	MemoryContext context = entry->context;

	Assert(entry->pins == 0);
	if (entry->listed)
	{
		dlist_delete(&entry->recent);
		cache.bytes -= entry->bytes;
	}
	hash_search(cache.entries, &entry->key, HASH_REMOVE, NULL);
	MemoryContextDelete(context);
}

/* Drops what was used longest ago until bytes more fit. */
static void
make_room(size_t bytes)
{
	size_t		limit = tfrs_settings_cache_bytes();
	dlist_node *node = dlist_is_empty(&cache.recent) ? NULL : dlist_tail_node(&cache.recent);

	while (node != NULL && cache.bytes + bytes > limit)
	{
		tfrs_cache_entry *entry = dlist_container(tfrs_cache_entry, recent, node);

		node = dlist_has_prev(&cache.recent, node) ? dlist_prev_node(&cache.recent, node) : NULL;
		if (entry->pins == 0)
			drop_entry(entry);
	}
}

static void
unpin(tfrs_cache_entry *entry)
{
	Assert(entry->pins > 0);
	if (--entry->pins > 0)
		return;
	if (entry->doomed)
		drop_entry(entry);
	else
		make_room(0);
}

static void
release_site(void *argument)
{
	tfrs_block_site *site = argument;

	if (site->entry != NULL)
		unpin(site->entry);
	site->entry = NULL;
	site->registered = false;
}

static void
pin(tfrs_block_site *site, MemoryContext context, tfrs_cache_entry *entry)
{
	if (!site->registered)
	{
		site->release.func = release_site;
		site->release.arg = site;
		MemoryContextRegisterResetCallback(context, &site->release);
		site->registered = true;
	}
	entry->pins++;
	if (site->entry != NULL)
		unpin(site->entry);
	site->entry = entry;
	entry->hits++;
	if (entry->listed)
		dlist_move_head(&cache.recent, &entry->recent);
}

static const tfrs_block_type *
type_of_kind(tfrs_block_kind kind)
{
	return kind == TFRS_BLOCK_MODEL ? &tfrs_model_type : &tfrs_index_type;
}

/* Where the bytes of a value are and how many the block has. */
static value_source
locate_value(Datum value, tfrs_block_kind kind)
{
	value_source source = {0};
	size_t		data_bytes;

	source.datum = (struct varlena *) DatumGetPointer(value);
	source.kind = kind;
	if (VARATT_IS_EXTERNAL_ONDISK(source.datum))
	{
		VARATT_EXTERNAL_GET_POINTER(source.pointer, source.datum);
		source.stored = true;
		data_bytes = source.pointer.va_rawsize - VARHDRSZ;
	}
	else
	{
		source.datum = detoast_attr(source.datum);
		data_bytes = VARSIZE_ANY_EXHDR(source.datum);
	}
	if (data_bytes < VALUE_PADDING + sizeof(tfrs_block_header))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid %s value", type_of_kind(kind)->name),
				 errdetail("It is too short.")));
	source.block_bytes = data_bytes - VALUE_PADDING;
	return source;
}

/* The key under which the value would be found, by the digest it claims. */
static cache_key
key_of(const value_source *source)
{
	cache_key	key = {0};
	size_t		digest_at = VALUE_PADDING + offsetof(tfrs_block_header, digest);
	struct varlena *head = source->datum;

	if (source->stored)
	{
		key.toast_relation = source->pointer.va_toastrelid;
		key.value_id = source->pointer.va_valueid;
		head = detoast_attr_slice(source->datum, 0, VALUE_PADDING + sizeof(tfrs_block_header));
	}
	memcpy(key.digest, VARDATA_ANY(head) + digest_at, TFRS_DIGEST_BYTES);
	if (source->stored)
		pfree(head);
	return key;
}

/*
 * Reads a stored, uncompressed value to target without a second copy in memory.  The server writes
 * a slice behind a varlena header; nothing is written into the header itself.
 */
static void
read_stored(const varatt_external *pointer, char *target)
{
	Relation	relation = table_open(pointer->va_toastrelid, AccessShareLock);
	int32		bytes = VARATT_EXTERNAL_GET_EXTSIZE(*pointer);

	for (int32 done = 0; done < bytes; done += READ_STEP)
	{
		CHECK_FOR_INTERRUPTS();
		table_relation_fetch_toast_slice(relation, pointer->va_valueid, bytes, done,
										 Min(READ_STEP, bytes - done),
										 (struct varlena *) (target + done - VARHDRSZ));
	}
	table_close(relation, AccessShareLock);
}

/* Copies the value to memory of context in such a way that the block is aligned. */
static const void *
copy_block(const value_source *source, MemoryContext context)
{
	char	   *memory = MemoryContextAllocHuge(context, source->block_bytes + 2 * TFRS_ALIGNMENT);
	char	   *block = (char *) TYPEALIGN(TFRS_ALIGNMENT, memory + VARHDRSZ + VALUE_PADDING);

	if (source->stored && !VARATT_EXTERNAL_IS_COMPRESSED(source->pointer))
		read_stored(&source->pointer, block - VALUE_PADDING);
	else
	{
		struct varlena *plain = detoast_attr(source->datum);

		memcpy(block, VARDATA_ANY(plain) + VALUE_PADDING, source->block_bytes);
		if (plain != source->datum)
			pfree(plain);
	}
	return block;
}

/* The views of a block.  The index of a model lies over its candidate table. */
static tfrs_status
load_views(tfrs_cached_block *view, tfrs_arena *arena, tfrs_error *error)
{
	const tfrs_block *block = &view->block;
	const tfrs_model *model = &view->model;
	tfrs_status status;

	if (view->kind == TFRS_BLOCK_INDEX)
		return tfrs_index_of_block(block, &view->candidates, &view->index, arena, error);
	status = tfrs_model_load(&view->model, block->header, block->header->total_bytes, error);
	if (status != TFRS_OK)
		return status;
	view->candidates = model->candidate_ids;
	if (tfrs_block_has(block, "index.head"))
		return tfrs_index_load(&view->index, block, "index.", model->candidate_table,
							   view->candidates.count, arena, error);
	view->index = tfrs_index_over(model->candidate_table, view->candidates.count,
								  model->shape->dim, TFRS_METRIC_DOT);
	return TFRS_OK;
}

/* The views of a value's bytes once all of them have been checked.  Raises. */
static tfrs_cached_block *
open_block(const value_source *source, const cache_key *key, tfrs_arena *arena,
		   MemoryContext context)
{
	tfrs_cached_block *view = MemoryContextAllocZero(context, sizeof(tfrs_cached_block));
	const void *bytes = copy_block(source, context);
	tfrs_error	error;

	view->kind = source->kind;
	tfrs_check(tfrs_block_open(&view->block, bytes, source->block_bytes, source->kind, &error),
			   &error);
	if (memcmp(view->block.header->digest, key->digest, TFRS_DIGEST_BYTES) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid %s value", type_of_kind(source->kind)->name),
				 errdetail("It changed while it was read.")));
	tfrs_check(tfrs_block_value_verify(&view->block, &error), &error);
	tfrs_check(load_views(view, arena, &error), &error);
	return view;
}

/* Reads, verifies and enters a value that is not in the cache. */
static tfrs_cache_entry *
load_entry(const value_source *source, const cache_key *key)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tfrs block",
												  ALLOCSET_SMALL_SIZES);
	tfrs_arena *arena = MemoryContextAlloc(context, sizeof(tfrs_arena));
	tfrs_cached_block *view;
	tfrs_cache_entry *entry;
	size_t		total;

	tfrs_bridge_arena(arena, context, SIZE_MAX);
	view = open_block(source, key, arena, context);
	total = source->block_bytes + arena->used;
	if (total <= tfrs_settings_cache_bytes())
		make_room(total);
	entry = hash_search(cache.entries, key, HASH_ENTER, NULL);
	entry->view = view;
	entry->context = context;
	entry->bytes = total;
	entry->hits = 0;
	entry->pins = 0;
	entry->listed = total <= tfrs_settings_cache_bytes();
	entry->doomed = !entry->listed;
	MemoryContextSetParent(context, cache.context);
	if (entry->listed)
	{
		dlist_push_head(&cache.recent, &entry->recent);
		cache.bytes += total;
	}
	return entry;
}

/*
 * Whether a cached block serves the value.  One that was found under a digest that the value only
 * claims must have just its bytes.
 */
static bool
entry_serves(const tfrs_cache_entry *entry, const value_source *source)
{
	const tfrs_block_header *header = entry->view->block.header;

	if (entry->view->kind != source->kind || header->total_bytes != source->block_bytes)
		return false;
	return source->stored ||
		memcmp(header, VARDATA_ANY(source->datum) + VALUE_PADDING, source->block_bytes) == 0;
}

const tfrs_cached_block *
tfrs_block_cache_get(tfrs_block_site *site, MemoryContext context, Datum value,
					 tfrs_block_kind kind)
{
	struct varlena *datum = (struct varlena *) DatumGetPointer(value);
	tfrs_cache_entry *entry;
	value_source source;
	cache_key	key;

	if (site->entry != NULL && site->stored && VARATT_IS_EXTERNAL_ONDISK(datum) &&
		memcmp(VARDATA_EXTERNAL(datum), &site->pointer, sizeof(varatt_external)) == 0)
	{
		site->entry->hits++;
		return site->entry->view;
	}
	create_cache();
	source = locate_value(value, kind);
	key = key_of(&source);
	entry = hash_search(cache.entries, &key, HASH_FIND, NULL);
	if (entry == NULL || !entry_serves(entry, &source))
		entry = load_entry(&source, &key);
	pin(site, context, entry);
	site->stored = source.stored;
	site->pointer = source.pointer;
	if (source.datum != datum)
		pfree(source.datum);
	return entry->view;
}

const tfrs_cached_block *
tfrs_block_cache_argument(FunctionCallInfo fcinfo, int argument, tfrs_block_kind kind)
{
	FmgrInfo   *function = fcinfo->flinfo;

	if (function->fn_extra == NULL)
		function->fn_extra = MemoryContextAllocZero(function->fn_mcxt, sizeof(tfrs_block_site));
	return tfrs_block_cache_get(function->fn_extra, function->fn_mcxt,
								PG_GETARG_DATUM(argument), kind);
}

/* tfrs.cache: what this session holds. */
Datum
tfrs_cache_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS scan;
	tfrs_cache_entry *entry;

	InitMaterializedSRF(fcinfo, 0);
	if (cache.entries == NULL)
		PG_RETURN_VOID();
	hash_seq_init(&scan, cache.entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(tfrs_block_digest_text(entry->view->block.header));
		values[1] = CStringGetTextDatum(entry->view->kind == TFRS_BLOCK_MODEL ? "model" : "candidate index");
		values[2] = Int64GetDatum((int64) entry->bytes);
		values[3] = BoolGetDatum(false);
		values[4] = Int64GetDatum((int64) entry->hits);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_VOID();
}

/* Drops what this session holds; what a running query uses goes when the query ends. */
Datum
tfrs_clear_cache(PG_FUNCTION_ARGS)
{
	HASH_SEQ_STATUS scan;
	tfrs_cache_entry *entry;

	if (cache.entries == NULL)
		PG_RETURN_VOID();
	hash_seq_init(&scan, cache.entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		entry->doomed = true;
		if (entry->pins == 0)
			drop_entry(entry);
	}
	PG_RETURN_VOID();
}
