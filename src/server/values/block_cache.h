/*
 * block_cache.h: from a model or index in an SQL value to checked memory that is ready to use.
 *
 * A value is read from its table once: afterwards it is found under its TOAST identity and the
 * digest in its first bytes.  Values without such an identity are found under their digest and
 * compared byte by byte.  What is in the cache has been verified; a claimed digest is never
 * believed.
 *
 * A site is one argument of one function call in a query.  It keeps its block pinned until the
 * query ends, however it ends, and answers for a value that it saw last without any look-up: zeroed
 * memory in fn_extra is its beginning.
 */
#ifndef TFRS_BLOCK_CACHE_H
#define TFRS_BLOCK_CACHE_H

#include "postgres.h"

#include "fmgr.h"

#include "base/block.h"
#include "base/id_set.h"
#include "learning/model.h"
#include "retrieval/index.h"
#include "server/host/compat.h"

/* What a block offers, all of it read only. */
typedef struct tfrs_cached_block
{
	tfrs_block_kind kind;
	tfrs_block	block;
	tfrs_model	model;			/* of kind TFRS_BLOCK_MODEL only */
	tfrs_id_view candidates;	/* (N) ids */
	tfrs_index	index;			/* over the same N rows */
} tfrs_cached_block;

typedef struct tfrs_cache_entry tfrs_cache_entry;

typedef struct tfrs_block_site
{
	tfrs_cache_entry *entry;	/* pinned; NULL at first */
	bool		stored;			/* pointer is valid: the entry was read through it */
	varatt_external pointer;
	MemoryContextCallback release;
	bool		registered;
} tfrs_block_site;

/*
 * The block of a value of tfrs.model or tfrs.candidate_index, good until the site's next call or
 * until context (where the site lives) is reset.  Raises an error for a value that is corrupt.
 */
extern const tfrs_cached_block *tfrs_block_cache_get(tfrs_block_site *site, MemoryContext context,
													 Datum value, tfrs_block_kind kind);

/* The block that the site holds, NULL for none yet. */
extern const tfrs_cached_block *tfrs_block_site_block(const tfrs_block_site *site);

/*
 * Whether a value is the one whose block the site holds: by its pointer where it is stored, else by
 * the digest that it claims, so at no cost a row.  For aggregates over one model or index: whoever
 * claims another's digest gets the other's block.
 */
extern bool tfrs_block_site_holds(const tfrs_block_site *site, Datum value);

/* tfrs_block_cache_get for an argument of a function that needs fn_extra for nothing else. */
extern const tfrs_cached_block *tfrs_block_cache_argument(FunctionCallInfo fcinfo, int argument,
														  tfrs_block_kind kind);

#endif							/* TFRS_BLOCK_CACHE_H */
