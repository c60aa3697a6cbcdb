/*
 * held_out.h: the test of an evaluation, query by query.
 *
 * What a query was trained on, and what the caller excludes, is left out of its ranking.  A
 * relevant candidate that is left out is taken out of the test; one that the model does not know
 * stays in it as a miss.
 */
#ifndef TFRS_HELD_OUT_H
#define TFRS_HELD_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/history.h"
#include "learning/pair_set.h"

/*
 * What has been left of a query's relevant candidates; the known ones are at the front of its list.
 */
typedef struct tfrs_held_out_query
{
	uint32_t	known;
	uint32_t	unknown;
} tfrs_held_out_query;

/*
 * Query numbers from queries (V) on and candidate numbers from candidates (N) on stand for what the
 * model does not know.  The sets are finished.
 */
typedef struct tfrs_held_out
{
	size_t		queries;		/* V */
	size_t		candidates;		/* N */
	const tfrs_events *events;	/* what each query was trained on, NULL: not known */
	bool		keep_seen;		/* only what is excluded is left out */
	tfrs_pair_set *relevant;	/* used up */
	const tfrs_pair_set *excluded;	/* candidates below N; or NULL */
	tfrs_held_out_query *left;	/* (relevant->lists) set by tfrs_held_out_take */
} tfrs_held_out;

/* Candidates that are left out of one query's ranking: either list may be empty. */
typedef struct tfrs_left_out
{
	const uint32_t *seen;
	size_t		seen_count;
	const uint64_t *excluded;	/* pairs */
	size_t		excluded_count;
} tfrs_left_out;

/* A set of candidates as bits (N / 64 + 1). */
static inline void
tfrs_mark(uint64_t *marked, uint32_t candidate)
{
	marked[candidate / 64] |= UINT64_C(1) << candidate % 64;
}

static inline void
tfrs_unmark(uint64_t *marked, uint32_t candidate)
{
	marked[candidate / 64] &= ~(UINT64_C(1) << candidate % 64);
}

static inline bool
tfrs_is_marked(const uint64_t *marked, uint32_t candidate)
{
	return (marked[candidate / 64] >> candidate % 64 & 1) != 0;
}

/* The relevant candidates of a list, as pairs, and its query. */
static inline uint64_t *
tfrs_held_out_relevant(const tfrs_held_out *test, size_t list)
{
	return test->relevant->pairs + test->relevant->start[list];
}

static inline uint32_t
tfrs_held_out_query_of(const tfrs_held_out *test, size_t list)
{
	return tfrs_pair_query(*tfrs_held_out_relevant(test, list));
}

/* Whether anything is left to test. */
static inline bool
tfrs_held_out_has(const tfrs_held_out *test, size_t list)
{
	return test->left[list].known + test->left[list].unknown > 0;
}

extern tfrs_left_out tfrs_held_out_left_out(const tfrs_held_out *test, uint32_t query);

extern void tfrs_left_out_mark(const tfrs_left_out *out, uint64_t *marked);
extern void tfrs_left_out_unmark(const tfrs_left_out *out, uint64_t *marked);

/*
 * Puts -INFINITY where the scores of candidates first .. first + count hold one that is left out.
 */
extern void tfrs_left_out_hide(const tfrs_left_out *out, float *scores, size_t first,
							   size_t count);

/*
 * Sorts out what is left of a list's relevant candidates; returns how many were taken out.  marked
 * is all zero before and after.  Lists are independent of each other.
 */
extern size_t tfrs_held_out_take(tfrs_held_out *test, size_t list, uint64_t *marked);

#endif							/* TFRS_HELD_OUT_H */
