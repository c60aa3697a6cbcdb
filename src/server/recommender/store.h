/*
 * store.h: the table that holds the models of a recommender, one a version.
 *
 * It belongs to the recommender's owner and is read as him, without SQL: whoever may use the
 * recommender may have its model looked at by our code, whatever he may do with the table.
 */
#ifndef TFRS_STORE_H
#define TFRS_STORE_H

#include "postgres.h"

#include "server/values/block_cache.h"
#include "server/recommender/registry.h"

/*
 * The model of a version as the running statement sees it; 0: of the one in use.  It stays pinned
 * as tfrs_block_cache_get says.  ERROR where there is no such version, or no version at all yet.
 */
extern const tfrs_cached_block *tfrs_store_model(const tfrs_recommender *recommender, int version,
												 tfrs_block_site *site, MemoryContext context);

/* Whether a relation can hold models: an ordinary, permanent table with the columns of a store; the
 * same as an ERROR. */
extern bool tfrs_store_fits(Oid table);
extern void tfrs_store_check_table(Oid table);

/* The versions that are in the store now. */
typedef struct tfrs_store_versions
{
	ArrayType  *versions;		/* integer */
	ArrayType  *created;		/* timestamptz: when each was made */
	int			last;			/* 0: there is none */
} tfrs_store_versions;

extern void tfrs_store_read_versions(const tfrs_recommender *recommender,
									 tfrs_store_versions *versions);

/* Makes the registry know of versions that are in the store; the SPI is connected.  A restore may
 * have brought the one without the other. */
extern void tfrs_store_note_versions(const tfrs_recommender *recommender);

/* ERROR where the store has no row of that version. */
extern void tfrs_store_check_version(const tfrs_recommender *recommender, int version);

/* Whether the model of a version is known to be gone from the store.  It raises nothing and waits
 * for nobody: while another session has the whole table locked, nothing is known. */
extern bool tfrs_store_lacks(const tfrs_recommender *recommender, int version);

#endif							/* TFRS_STORE_H */
