/*
 * split.h: interactions that a repeated training holds out, so that its models can be compared.
 *
 * With times the last share of each query's events is held out, of queries with five or more
 * events: no more than the share, except that events of one time (a basket) go together, and the
 * last of them go in any case, unless all events have one time.  Without times a share of the pairs
 * is held out, by a hash of both ids.  With more than 10,000 queries some 10,000 are chosen by a
 * hash of the id, and the others are trained on whole.
 *
 * Nothing that is held out was trained on by an earlier model that was split in the same way, as
 * long as events are only added, each later than the query's others (and queries don't go away):
 * then a query's trained events are the first of them, and what is chosen by a hash stays or goes,
 * but never comes.
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
