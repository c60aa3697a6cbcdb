/*
 * split.h: interactions that a repeated training holds out at first, so that its models can be
 * compared.
 *
 * With times the last events of queries are held out, without times a share of the pairs, by a hash
 * of both ids; in both ways the fraction is the most that is expected of all rows.  With times:
 *
 *     - no more than the fraction of a query's events, where its last times have so few;
 *     - else all events of its last time or none, by a hash of the query's id, with the chance that
 *       makes the fraction of all such queries' events.  So events of one time (a basket, a day)
 *       are never torn apart, two dates a query do not hold out half of the data, and of queries
 *       with few events the last one is held out of some;
 *     - nothing where all events have one time.
 *
 * With more than 10,000 queries some 10,000 are chosen by a hash of the id, and nothing is held out
 * of the others.
 *
 * The choice depends on the rows alone, and rows that are added, each later than its query's
 * others, take nothing into the test that an earlier split left out of it.
 */
#ifndef TFRS_SPLIT_H
#define TFRS_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/interactions.h"
#include "learning/pair_set.h"

typedef struct tfrs_split tfrs_split;

/*
 * all: finished.  training: made with the same settings, its types set, no rows yet; it receives
 * what is not held out.  fraction: above 0, below 1.  Both must outlive the split.  Errors: memory,
 * those of tfrs_interactions_read and _add.
 */
extern tfrs_status tfrs_split_begin(tfrs_split **split, tfrs_arena *arena,
									tfrs_interactions *all, tfrs_interactions *training,
									double fraction, tfrs_error *error);

/* TFRS_MORE until done; a step handles some thousand rows. */
extern tfrs_status tfrs_split_step(tfrs_split *split, tfrs_error *error);

/* Pairs by the numbers that ids have in all, with repetitions and in any order: those that are held
 * out, and those that the queries which have some are trained on. */
extern const tfrs_pair_set *tfrs_split_held_out(const tfrs_split *split);
extern const tfrs_pair_set *tfrs_split_trained(const tfrs_split *split);

/* NULL is allowed. */
extern void tfrs_split_destroy(tfrs_split *split);

#endif							/* TFRS_SPLIT_H */
