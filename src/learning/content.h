/*
 * content.h: what candidates consist of (words, genres, tags, years), as sparse rows of unit length.
 *
 *     P_if = ln(known / known with f) where candidate i has element f;  |P_i| = 1
 *
 * Known candidates are those that somebody has chosen.  They alone decide which elements count and how
 * much; an element that few of them have tells nothing of a new candidate and is left out, like one
 * that all of them have.  An element is counted once a candidate.
 *
 * Elements come as lists of numbers, a list of lists for each feature.  The vocabulary is all that is
 * needed to make the row of a candidate that comes later.
 */
#ifndef TFRS_CONTENT_H
#define TFRS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/feature_options.h"

/* Elements of one feature.  Entry e has item[start[e]] .. item[start[e + 1] - 1]. */
typedef struct tfrs_content_feature
{
	const size_t *start;		/* (E + 1); NULL: one item an entry */
	const uint32_t *item;		/* numbers outside of [first, end) are no elements */
	const uint32_t *entry;		/* (R) which entry a row has; NULL: row r has entry r */
	uint32_t	first;
	uint32_t	end;
} tfrs_content_feature;

typedef struct tfrs_content_source
{
	size_t		candidates;		/* N */
	const uint32_t *row_of;		/* (N) row of each candidate; NULL: candidate i has row i */
	const uint32_t *counts;		/* (N) how often each was chosen; 0: new */
	size_t		features;
	tfrs_content_feature feature[TFRS_MAX_FEATURES];
} tfrs_content_source;

/* Elements by number, those of the first feature first. */
typedef struct tfrs_content_vocabulary
{
	size_t		elements;		/* those that are left out too */
	size_t		words;			/* W: those that count */
	const uint32_t *word;		/* (elements) number below W, or TFRS_NO_ROW */
	const float *idf;			/* (W) */
} tfrs_content_vocabulary;

/* P. */
typedef struct tfrs_content
{
	size_t		candidates;		/* N */
	const uint32_t *counts;		/* (N) of the source */
	tfrs_content_vocabulary vocabulary;
	const uint64_t *offsets;	/* (N + 1) */
	const uint32_t *word;		/* (offsets[N]) ascending within a row */
	const float *value;
} tfrs_content;

/* Items that the longest row of the source has, repetitions included: room for one. */
extern size_t tfrs_content_longest(const tfrs_content_source *source, size_t candidate);

/*
 * The row of a candidate by a vocabulary: words (ascending) and values with room for its items;
 * returns how many there are.
 */
extern size_t tfrs_content_row(const tfrs_content_vocabulary *vocabulary,
							   const tfrs_content_source *source, size_t candidate,
							   uint32_t *word, float *value);

/* A step machine that makes P. */
typedef struct tfrs_content_build
{
	tfrs_arena *arena;
	tfrs_content_source source;
	int			phase;
	size_t		done;			/* candidates of the phase */
	size_t		known;
	size_t		longest;		/* items of a row */
	size_t		elements;
	size_t		words;
	uint32_t   *list;			/* (longest) elements of a row */
	uint32_t   *count;			/* (elements) known candidates that have it, then its word */
	float	   *idf;			/* (W) */
	uint64_t   *offsets;		/* (N + 1) */
	uint32_t   *word;
	float	   *value;
} tfrs_content_build;

/* The source is copied; what it points to must outlive the building.  Error: memory. */
extern tfrs_status tfrs_content_build_begin(tfrs_content_build *build, tfrs_arena *arena,
											const tfrs_content_source *source,
											tfrs_error *error);

/* TFRS_MORE until done; then the content points into the build.  Error: memory. */
extern tfrs_status tfrs_content_build_step(tfrs_content_build *build, tfrs_content *content,
										   tfrs_error *error);
extern void tfrs_content_build_free(tfrs_content_build *build);

/* Adds to *bytes what is taken for so many items in all; false where that overflows. */
extern bool tfrs_content_build_bytes(size_t candidates, size_t items, size_t elements,
									 size_t *bytes);

/* How often a known candidate was chosen; 1 where there is none. */
extern double tfrs_content_mean_count(const tfrs_content *content);

static inline bool
tfrs_content_is_known(const tfrs_content *content, size_t candidate)
{
	return content->counts[candidate] > 0;
}

#endif							/* TFRS_CONTENT_H */
