/*
 * probe.h: one search of a tree: what it works with, and what both ways of searching do.
 *
 * Leaves are scanned in chunks of blocks: thresholds for the 16-bit sums are laid out, the kernel
 * gives sums and one bit a row, and the set bits are taken up.  The ways differ in the thresholds
 * and in what happens to a row that reaches one; those that are to be scored wait as positions.
 */
#ifndef TFRS_PROBE_H
#define TFRS_PROBE_H

#include "base/arena.h"
#include "retrieval/collector.h"
#include "retrieval/tree.h"

/* Blocks scanned at once: their sums stay in the first-level cache. */
#define TFRS_PROBE_BLOCKS 64
#define TFRS_PROBE_ROWS (TFRS_PROBE_BLOCKS * TFRS_CODE_ROWS)

/* Rows that wait to be scored: enough to hide the way to memory, few enough to learn from. */
#define TFRS_PROBE_PENDING 64

/* Classes that the ranked search counts candidates in, to find the rerank-th best. */
#define TFRS_PROBE_CLASSES 4096

/* A row that the ranked search may score. */
typedef struct tfrs_probe_candidate
{
	uint32_t	class;
	uint32_t	position;		/* in tree->rows */
} tfrs_probe_candidate;

/* Work memory of one search at a time; one arena piece. */
typedef struct tfrs_probe_scratch
{
	uint64_t	bytes_read;
	float	   *query;			/* (W) */
	int8_t	   *int8_query;		/* (W) */
	float	   *leaf_scores;	/* (L): q . c */
	float	   *products;		/* (M, 16) */
	uint8_t    *entries;		/* (M, 16) */
	bool	   *visited;		/* (L) */
	tfrs_hit   *order;			/* (L): leaves, nearest first */
	tfrs_probe_candidate *candidates;	/* (capacity) */
	size_t		capacity;
	uint16_t	thresholds[TFRS_PROBE_BLOCKS];
	uint32_t	hits[TFRS_PROBE_BLOCKS];
	uint16_t	sums[TFRS_PROBE_ROWS];
	uint32_t	pending[TFRS_PROBE_PENDING + TFRS_PROBE_ROWS];	/* positions in tree->rows */
	uint32_t	kept[TFRS_PROBE_CLASSES];	/* candidates of each class */
	uint32_t	dropped[TFRS_PROBE_CLASSES];	/* rows that the predicates kept out */
	uint64_t   *marks;			/* for the lists of a search: see tfrs_probe_keeps_out */
} tfrs_probe_scratch;

/* What the searches with a scratch need at most. */
typedef struct tfrs_probe_room
{
	size_t		rerank;			/* rows re-ranked */
	size_t		listed;			/* rows in the lists of a search */
} tfrs_probe_room;

extern tfrs_status tfrs_probe_scratch_get(tfrs_probe_scratch **scratch, const tfrs_tree *tree,
										  tfrs_probe_room room, tfrs_arena *arena,
										  tfrs_error *error);

/*
 * Bytes of codes, centroids and rows that searches with this scratch have read since the last call,
 * looks and rows at tfrs_tree_*_bytes: what they cost, in a measure that is the same on every
 * machine.
 */
extern uint64_t tfrs_probe_take_bytes_read(tfrs_probe_scratch *scratch);

/* One search; the caller sets the first four. */
typedef struct tfrs_probe
{
	const tfrs_tree *tree;
	const tfrs_scorer *scorer;
	tfrs_collector *collector;
	tfrs_probe_scratch *scratch;
	tfrs_quantizer_tables tables;
	tfrs_int8_query int8;
	float		query_norm;
	size_t		pending_count;
	bool		filtered;		/* the search has lists of rows */
	int			marks_log2;		/* bits among the marks */
	bool		marks_are_rows;	/* each row has a bit of its own */
	uint64_t	first_byte;		/* scratch->bytes_read at the beginning */
} tfrs_probe;

/* Query, tables, the product with every centroid, and the marks of the listed rows. */
extern void tfrs_probe_begin(tfrs_probe *probe);

/*
 * scratch->order[0 .. count) = the most promising leaves, best first: those near the query, and
 * among equally near ones the wide ones.
 */
extern void tfrs_probe_order_leaves(tfrs_probe *probe, size_t count);

/* Sums and hits of a chunk against the thresholds laid out before; the padding is no hit. */
extern void tfrs_probe_scan(tfrs_probe *probe, size_t leaf, size_t first, size_t count);

/*
 * Whether the lists keep a row out.  A bit tells: each row of the list "among", or else of the
 * excluded and adjusted ones, has marked one.  In a large corpus rows share bits, so that marking a short list
 * takes no time that grows with the corpus, and a marked row is looked up in the lists.
 */
extern bool tfrs_probe_is_kept_out(const tfrs_probe *probe, uint32_t row);

static inline bool
tfrs_probe_keeps_out(const tfrs_probe *probe, uint32_t row)
{
	return probe->filtered && tfrs_probe_is_kept_out(probe, row);
}

/* The product that a row must have to reach the collector's threshold. */
extern float tfrs_probe_least_product(const tfrs_probe *probe);

/*
 * Scores the rows at the pending positions, but for those that are kept out and those whose bytes
 * say that they can't reach the threshold.
 */
extern void tfrs_probe_score_pending(tfrs_probe *probe);

#endif							/* TFRS_PROBE_H */
