/*
 * source.h: the rows that a recommender is trained on, read as its owner.
 */
#ifndef TFRS_SOURCE_H
#define TFRS_SOURCE_H

#include "postgres.h"

#include "server/training/collection.h"
#include "server/recommender/registry.h"

/* What the rows were, whatever their order: sums of two hashes of each. */
typedef struct tfrs_source_sum
{
	uint64		rows;
	uint64		lanes[2];
} tfrs_source_sum;

/*
 * Locks the interactions and what is below them; a snapshot that is taken afterwards sees what
 * others have written that had to be waited for.
 */
extern void tfrs_source_lock(const tfrs_recommender *recommender);

/*
 * Reads the interactions into a collection that has its context, options and budget, but is not
 * begun: begin is called with what is known then, the types of the columns, and begins it.  The SPI
 * is connected and a snapshot is active.
 */
typedef struct tfrs_source
{
	tfrs_collection *collection;
	void		(*begin) (void *argument);
	void	   *argument;
} tfrs_source;

extern tfrs_source_sum tfrs_source_read(const tfrs_recommender *recommender,
										const tfrs_source *source);

#endif							/* TFRS_SOURCE_H */
