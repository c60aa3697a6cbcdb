/*
 * block_cache.c: the cache of models and indexes.
 *
 * A session's entries are least recently used first out once they exceed tfrs.cache_size; those
 * that a site has pinned stay.  A block larger than the whole cache serves its statement and is
 * then dropped.  Each entry has a memory context of its own, which hangs under the caller's until
 * the block has been verified: an error or a cancel in between leaves nothing behind.
 *
 * A large stored block lies in a file that all sessions map (shared_file.h). Who comes first writes
 * it, verifies what it has written, and publishes it; the others trust a published file, so that
 * their first call costs no pass over the block.  Where there can be no file, and for everything
 * else, the block lies in the session's memory.
 *
 * Key: TOAST relation, TOAST value id, digest (and database, in a file's name). The identity alone
 * would do as long as value ids are not used twice; the digest covers that case for the price of
 * reading one chunk.  The digest alone would let one role plant content under another's name, or
 * read what another has stored by claiming its digest.  VACUUM FULL and ALTER TABLE either keep
 * both numbers or change them: both are safe.
 */
#include "server/values/block_cache.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/values/block_source.h"
#include "server/host/bridge.h"
#include "server/host/compat.h"
#include "server/values/index_type.h"
#include "server/values/model_type.h"
#include "server/host/settings.h"
#include "server/host/shared_file.h"

/* A smaller block is read into a session's memory in less time than it takes to look at a file. */
#define SHARE_BYTES ((size_t) 256 * 1024)

/* A file in use is marked as used this often. */
#define TOUCH_MILLISECONDS 60000

struct tfrs_cache_entry
{
	tfrs_block_key key;			/* first: dynahash demands it */
	tfrs_cached_block *view;	/* in context */
	MemoryContext context;
	size_t		bytes;
	uint64		hits;
	int			pins;
	bool		listed;			/* counted and in the list of recent use */
	bool		doomed;			/* to be dropped with its last pin */
	bool		shared;			/* lies in a file */
	TimestampTz touched;		/* when the file was marked as used */
	dlist_node	recent;
};

typedef struct session_cache
{
	HTAB	   *entries;
	MemoryContext context;
	dlist_head	recent;			/* most recently used first */
	size_t		bytes;			/* of the listed entries */
} session_cache;

typedef struct file_name
{
	char		text[TFRS_SHARED_NAME_BYTES];
} file_name;

static session_cache cache;

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
	control.keysize = sizeof(tfrs_block_key);
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

/* Begins the names of this database's files. */
static file_name
beginning_of_files(void)
{
	file_name	name;

	snprintf(name.text, sizeof(name.text), "%u_", MyDatabaseId);
	return name;
}

static file_name
file_of(const tfrs_block_key *key, tfrs_block_kind kind)
{
	file_name	name;

	snprintf(name.text, sizeof(name.text), "%u_%u_%u_%d_%s", MyDatabaseId, key->toast_relation,
			 key->value_id, (int) kind, tfrs_block_digest_text(key->digest));
	return name;
}

/* The other way round; false for a name that is none of ours. */
static bool
key_of_file(const char *name, tfrs_block_key *key, tfrs_block_kind *kind)
{
	Oid			database;
	int			number;
	char		digest[2 * TFRS_DIGEST_BYTES + 1];

	memset(key, 0, sizeof(*key));
	if (sscanf(name, "%u_%u_%u_%d_%32[0-9a-f]", &database, &key->toast_relation, &key->value_id,
			   &number, digest) != 5 || strlen(digest) != 2 * TFRS_DIGEST_BYTES)
		return false;
	*kind = (tfrs_block_kind) number;
	hex_decode(digest, 2 * TFRS_DIGEST_BYTES, (char *) key->digest);
	return true;
}

/*
 * Keeps the file of an entry from being the one used longest ago.  An entry whose file has been
 * removed is given up, or its memory would be held as long as the session lives.
 */
static void
touch_file(tfrs_cache_entry *entry)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (!TimestampDifferenceExceeds(entry->touched, now, TOUCH_MILLISECONDS))
		return;
	entry->touched = now;
	entry->doomed = !tfrs_shared_file_touch(file_of(&entry->key, entry->view->kind).text);
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
	if (entry->shared)
		touch_file(entry);
}

static const tfrs_block_type *
type_of_kind(tfrs_block_kind kind)
{
	return kind == TFRS_BLOCK_MODEL ? &tfrs_model_type : &tfrs_index_type;
}

/* The views of a block.  The index of a model lies over its candidate table. */
static tfrs_status
load_views(tfrs_cached_block *view, tfrs_arena *arena, tfrs_error *error)
{
	const tfrs_block *block = &view->block;
	tfrs_status status;

	if (view->kind == TFRS_BLOCK_INDEX)
		return tfrs_index_of_block(block, &view->candidates, &view->index, arena, error);
	status = tfrs_model_and_index(block, &view->model, &view->index, arena, error);
	view->candidates = view->model.candidate_ids;
	return status;
}

/* The views of bytes that have been published, so checked; false where they are not the block. */
static bool
trust(tfrs_cached_block *view, const void *bytes, size_t length, const tfrs_block_key *key,
	  tfrs_arena *arena)
{
	if (tfrs_block_open(&view->block, bytes, length, view->kind, NULL) != TFRS_OK ||
		memcmp(view->block.header->digest, key->digest, TFRS_DIGEST_BYTES) != 0)
		return false;
	view->block.trusted = true;
	return load_views(view, arena, NULL) == TFRS_OK;
}

/* The views of bytes that come from a value, all of them checked.  Raises. */
static void
verify(tfrs_cached_block *view, const void *bytes, size_t length, const tfrs_block_key *key,
	   tfrs_arena *arena)
{
	tfrs_error	error;

	tfrs_check(tfrs_block_open(&view->block, bytes, length, view->kind, &error), &error);
	if (memcmp(view->block.header->digest, key->digest, TFRS_DIGEST_BYTES) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid %s value", type_of_kind(view->kind)->name),
				 errdetail("It changed while it was read.")));
	tfrs_check(tfrs_block_value_verify(&view->block, &error), &error);
	tfrs_check(load_views(view, arena, &error), &error);
}

/* Writes, verifies and publishes the file of a stored block; false where there can be none. */
static bool
share(tfrs_cached_block *view, const tfrs_block_source *source, const tfrs_block_key *key,
	  tfrs_arena *arena, MemoryContext context)
{
	tfrs_shared_file *file = tfrs_shared_file_create(context, source->block_bytes,
													 tfrs_settings_cache_bytes());
	const void *bytes = NULL;

	if (file == NULL)
		return false;
	if (tfrs_block_source_write(source, file))
		bytes = tfrs_shared_file_map_private(file, context);
	if (bytes != NULL)
	{
		verify(view, bytes, source->block_bytes, key, arena);
		tfrs_shared_file_publish(file, file_of(key, view->kind).text);
	}
	tfrs_shared_file_close(file);
	return bytes != NULL;
}

/* Finds or makes the file of a block. */
static bool
load_shared(tfrs_cached_block *view, const tfrs_block_source *source, const tfrs_block_key *key,
			tfrs_arena *arena, MemoryContext context)
{
	const void *bytes;
	size_t		length;

	if (!source->stored || source->block_bytes < SHARE_BYTES ||
		source->block_bytes > tfrs_settings_cache_bytes())
		return false;
	bytes = tfrs_shared_file_map(file_of(key, view->kind).text, context, &length);
	if (bytes != NULL && trust(view, bytes, length, key, arena))
		return true;
	return share(view, source, key, arena, context);
}

/* Once a session: such a block costs every statement what it costs the first. */
static void
warn_of_size(const tfrs_cached_block *view, size_t bytes)
{
	static bool warned = false;

	if (warned)
		return;
	warned = true;
	ereport(WARNING,
			(errmsg("a %s of %zu kB is read anew by each statement",
					type_of_kind(view->kind)->name, bytes >> 10),
			 errdetail("It does not fit into tfrs.cache_size, which is %zu kB.",
					   tfrs_settings_cache_bytes() >> 10),
			 errhint("Have tfrs.cache_size raised.")));
}

/* Enters a verified block. */
static tfrs_cache_entry *
enter(const tfrs_block_key *key, tfrs_cached_block *view, MemoryContext context, size_t bytes)
{
	bool		fits = bytes <= tfrs_settings_cache_bytes();
	tfrs_cache_entry *entry;

	if (fits)
		make_room(bytes);
	else
		warn_of_size(view, bytes);
	entry = hash_search(cache.entries, key, HASH_ENTER, NULL);
	entry->view = view;
	entry->context = context;
	entry->bytes = bytes;
	entry->hits = 0;
	entry->pins = 0;
	entry->listed = fits;
	entry->doomed = !fits;
	entry->shared = false;
	entry->touched = GetCurrentStatementStartTimestamp();
	MemoryContextSetParent(context, cache.context);
	if (fits)
	{
		dlist_push_head(&cache.recent, &entry->recent);
		cache.bytes += bytes;
	}
	return entry;
}

/* Reads, verifies and enters a value that is not in the session's cache. */
static tfrs_cache_entry *
load_entry(const tfrs_block_source *source, const tfrs_block_key *key)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tfrs block",
												  ALLOCSET_SMALL_SIZES);
	tfrs_cached_block *view = MemoryContextAllocZero(context, sizeof(tfrs_cached_block));
	tfrs_arena *arena = MemoryContextAlloc(context, sizeof(tfrs_arena));
	tfrs_cache_entry *entry;
	bool		shared;

	view->kind = source->kind;
	tfrs_bridge_arena(arena, context, SIZE_MAX);
	shared = load_shared(view, source, key, arena, context);
	if (!shared)
		verify(view, tfrs_block_source_read(source, context), source->block_bytes, key, arena);
	entry = enter(key, view, context, source->block_bytes + arena->used);
	entry->shared = shared;
	return entry;
}

/*
 * Whether a cached block serves the value.  One that was found under a digest that the value only
 * claims must have just its bytes.
 */
static bool
entry_serves(const tfrs_cache_entry *entry, const tfrs_block_source *source)
{
	const tfrs_block_header *header = entry->view->block.header;

	if (entry->view->kind != source->kind || header->total_bytes != source->block_bytes)
		return false;
	return source->stored ||
		memcmp(header, tfrs_block_source_bytes(source), source->block_bytes) == 0;
}

/* Whether it is the stored value that the site read last. */
static bool
has_pointer(const tfrs_block_site *site, const struct varlena *datum)
{
	return site->stored && VARATT_IS_EXTERNAL_ONDISK(datum) &&
		memcmp(VARDATA_EXTERNAL(datum), &site->pointer, sizeof(varatt_external)) == 0;
}

const tfrs_cached_block *
tfrs_block_cache_get(tfrs_block_site *site, MemoryContext context, Datum value,
					 tfrs_block_kind kind)
{
	struct varlena *datum = (struct varlena *) DatumGetPointer(value);
	tfrs_cache_entry *entry;
	tfrs_block_source source;
	tfrs_block_key key;

	if (site->entry != NULL && has_pointer(site, datum))
	{
		site->entry->hits++;
		return site->entry->view;
	}
	create_cache();
	source = tfrs_block_source_open(value, type_of_kind(kind));
	key = tfrs_block_source_key(&source);
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
tfrs_block_site_block(const tfrs_block_site *site)
{
	return site->entry == NULL ? NULL : site->entry->view;
}

bool
tfrs_block_site_holds(const tfrs_block_site *site, Datum value)
{
	struct varlena *datum = (struct varlena *) DatumGetPointer(value);
	tfrs_block_source source;
	tfrs_block_key key;

	if (has_pointer(site, datum))
		return true;
	source = tfrs_block_source_open(value, type_of_kind(site->entry->view->kind));
	key = tfrs_block_source_key(&source);
	if (source.datum != datum)
		pfree(source.datum);
	return memcmp(key.digest, site->entry->key.digest, TFRS_DIGEST_BYTES) == 0;
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

static void
put_row(ReturnSetInfo *result, const uint8 *digest, tfrs_block_kind kind, size_t bytes,
		bool shared, uint64 hits)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(tfrs_block_digest_text(digest));
	values[1] = CStringGetTextDatum(kind == TFRS_BLOCK_MODEL ? "model" : "candidate index");
	values[2] = Int64GetDatum((int64) bytes);
	values[3] = BoolGetDatum(shared);
	values[4] = Int64GetDatum((int64) hits);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* A row for a file that this session has not mapped. */
static void
put_file(const char *name, size_t bytes, void *context)
{
	tfrs_block_key key;
	tfrs_block_kind kind;

	if (key_of_file(name, &key, &kind) &&
		hash_search(cache.entries, &key, HASH_FIND, NULL) == NULL)
		put_row(context, key.digest, kind, bytes, true, 0);
}

/*
 * tfrs.cache: what this session holds; to those who may watch the server also what lies ready for
 * all sessions of this database.
 */
Datum
tfrs_cache_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS scan;
	tfrs_cache_entry *entry;

	InitMaterializedSRF(fcinfo, 0);
	create_cache();
	hash_seq_init(&scan, cache.entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		put_row(result, entry->key.digest, entry->view->kind, entry->bytes, entry->shared,
				entry->hits);
	if (has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
		tfrs_shared_file_list(beginning_of_files().text, put_file, result);
	PG_RETURN_VOID();
}

static void
remove_file(const char *name, size_t bytes, void *context)
{
	(void) bytes;
	(void) context;
	tfrs_shared_file_remove(name);
}

/*
 * Drops what this session holds (what a running query uses goes when the query ends) and the files
 * of this database; other sessions keep what they have mapped for a while.
 */
Datum
tfrs_clear_cache(PG_FUNCTION_ARGS)
{
	HASH_SEQ_STATUS scan;
	tfrs_cache_entry *entry;

	tfrs_shared_file_list(beginning_of_files().text, remove_file, NULL);
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
