/*
 * store_table.h: the table of a recommender's models: created, or taken over with what is in it.
 *
 * A table comes without the registry's rows where a dump was restored by a role that may not write
 * these, or where the table alone was restored.  Everything happens as the caller, with the SPI
 * connected.
 */
#ifndef TFRS_STORE_TABLE_H
#define TFRS_STORE_TABLE_H

#include "postgres.h"

#include "server/recommender/registry.h"

/*
 * Makes the table that the recommender's models will be in its store.  name: as the caller gave it,
 * or NULL.  A table of a name that was given is taken where it can be a store and belongs to the
 * caller; then the result is true.
 */
extern bool tfrs_store_table_make(tfrs_recommender *recommender, const char *name);

/* An existing table of the same owner becomes the recommender's store. */
extern void tfrs_store_table_take(tfrs_recommender *recommender, const char *name);

/* The registry, which has the recommender, learns what versions are in a store that was taken. */
extern void tfrs_store_table_adopt(const tfrs_recommender *recommender);

/* A statement on the table, that takes no parameters. */
extern void tfrs_store_table_execute(const char *sql);

#endif							/* TFRS_STORE_TABLE_H */
