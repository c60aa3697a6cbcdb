/*
 * tree.c: the bounded and the ranked search of a tree.
 *
 * Both scan leaves in chunks of blocks: thresholds for the 16-bit sums are laid out, the kernel
 * gives sums and one bit a row, and the set bits are taken up.  They differ in the thresholds and
 * in what happens to a row that reaches one.
 */
#include "retrieval/tree.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"

/* Blocks scanned at once: their sums stay in the first-level cache. */
#define CHUNK_BLOCKS 64
#define CHUNK_ROWS (CHUNK_BLOCKS * TFRS_CODE_ROWS)

/* Leaves that the bounded search takes first, nearest first, to raise the threshold early. */
#define FIRST_LEAVES 16

/*
 * The part of a leaf's radius that counts for it in the order of leaves: on towers with unequal
 * norms a fifth saves a quarter of the leaves for the same recall, on unit vectors it does no harm.
 */
#define RADIUS_SHARE 0.2f

/*
 * With a reach below 1: errors of codes have no direction, so their products with the query are
 * normal with a deviation of |q| e / sqrt(W).  This many deviations are believed in, and where
 * most of the radius is believed in, that share of the greater number.
 */
#define LIKELY_ERROR 3.0f
#define GREATEST_ERROR 5.0f

/* Rows that wait to be scored: enough to hide the way to memory, few enough to learn from. */
#define PENDING_ROWS 64

/* Classes that the ranked search counts candidates in, to find the rerank-th best. */
#define CLASSES 4096

/* Most candidates are told by one bit that they are not excluded. */
#define EXCLUDED_BITS 65536

/* How far ahead of its use a row number and a row are fetched. */
#define NUMBERS_AHEAD 24
#define ROWS_AHEAD 12

/* The bounds' arithmetic holds for queries of these lengths. */
#define LEAST_QUERY TFRS_SPACE_LEAST
#define MOST_QUERY TFRS_SPACE_MOST

/* A row that the ranked search may score. */
typedef struct candidate
{
	uint32_t	class;
	uint32_t	position;		/* in tree->rows */
} candidate;

struct tfrs_tree_scratch
{
	uint64_t	bytes_read;
	float	   *query;			/* (W) */
	float	   *leaf_scores;	/* (L): q . c */
	float	   *products;		/* (M, 16) */
	uint8_t    *entries;		/* (M, 16) */
	bool	   *visited;		/* (L) */
	tfrs_hit   *order;			/* (L): leaves, nearest first */
	candidate  *candidates;		/* (capacity) */
	size_t		capacity;
	uint16_t	thresholds[CHUNK_BLOCKS];
	uint32_t	hits[CHUNK_BLOCKS];
	uint16_t	sums[CHUNK_ROWS];
	uint32_t	pending[PENDING_ROWS + CHUNK_ROWS];	/* positions in tree->rows */
	uint32_t	kept[CLASSES];	/* candidates of each class */
	uint32_t	dropped[CLASSES];	/* rows that the predicates kept out */
	uint64_t	excluded[EXCLUDED_BITS / 64];	/* a bit is set for each excluded row's hash */
};

/* One search. */
typedef struct probe
{
	const tfrs_tree *tree;
	const tfrs_scorer *scorer;
	tfrs_collector *collector;
	tfrs_tree_scratch *scratch;
	tfrs_quantizer_tables tables;
	float		query_norm;
	float		reach;			/* bounded: share of a leaf's radius that counts */
	float		error_share;	/* and of what a row's code leaves over */
	size_t		pending_count;
} probe;

tfrs_status
tfrs_tree_scratch_get(tfrs_tree_scratch **result, const tfrs_tree *tree, size_t rerank,
					  tfrs_arena *arena, tfrs_error *error)
{
	size_t		table = tree->quantizer.codes * TFRS_CENTRES;
	size_t		capacity = rerank + 2 * CHUNK_ROWS;
	size_t		bytes = sizeof(tfrs_tree_scratch) + capacity * sizeof(candidate) +
		tree->leaves * (sizeof(tfrs_hit) + sizeof(float) + sizeof(bool)) +
		tree->space.width * sizeof(float) + table * (sizeof(float) + 1);
	tfrs_tree_scratch *scratch;
	tfrs_status status = tfrs_arena_get(arena, (void **) &scratch, bytes, 1, error);

	if (status != TFRS_OK)
		return status;
	scratch->bytes_read = 0;
	scratch->capacity = capacity;
	scratch->candidates = (candidate *) (scratch + 1);
	scratch->order = (tfrs_hit *) (scratch->candidates + capacity);
	scratch->query = (float *) (scratch->order + tree->leaves);
	scratch->leaf_scores = scratch->query + tree->space.width;
	scratch->products = scratch->leaf_scores + tree->leaves;
	scratch->entries = (uint8_t *) (scratch->products + table);
	scratch->visited = (bool *) (scratch->entries + table);
	*result = scratch;
	return TFRS_OK;
}

uint64_t
tfrs_tree_take_bytes_read(tfrs_tree_scratch *scratch)
{
	uint64_t	bytes = scratch->bytes_read;

	scratch->bytes_read = 0;
	return bytes;
}

static float
query_length(const tfrs_scorer *scorer)
{
	return tfrs_vector_norm(scorer->query, scorer->corpus->dim);
}

bool
tfrs_tree_serves(const tfrs_tree *tree, const tfrs_scorer *scorer)
{
	float		length = query_length(scorer);

	return length <= TFRS_SPACE_MOST &&
		(length >= TFRS_SPACE_LEAST || tree->space.metric == TFRS_METRIC_L2);
}

/* Query, tables and the product with every centroid. */
static void
begin_probe(probe *probe)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_tree_scratch *scratch = probe->scratch;
	size_t		width = tree->space.width;

	probe->pending_count = 0;
	tfrs_space_query(&tree->space, probe->scorer, scratch->query);
	probe->query_norm = tfrs_vector_norm(scratch->query, width);
	probe->tables.entries = scratch->entries;
	tfrs_quantizer_tabulate(&tree->quantizer, scratch->query, scratch->products, &probe->tables);
	memset(scratch->leaf_scores, 0, tree->leaves * sizeof(float));
	for (size_t w = 0; w < width; w++)
		tfrs_kernels.add_scaled(scratch->leaf_scores, tree->centroids + w * tree->leaves,
								tree->leaves, scratch->query[w]);
	scratch->bytes_read += tree->leaves * width * sizeof(float);
}

/*
 * order[0 .. count) = the most promising leaves, best first: those near the query, and among
 * equally near ones the wide ones.
 */
static void
order_leaves(probe *probe, size_t count)
{
	tfrs_tree_scratch *scratch = probe->scratch;
	const float *radii = probe->tree->radii;
	float		weight = RADIUS_SHARE * probe->query_norm;
	tfrs_topk	nearest;

	tfrs_topk_init(&nearest, scratch->order, count);
	for (size_t leaf = 0; leaf < probe->tree->leaves; leaf++)
		tfrs_topk_push(&nearest, scratch->leaf_scores[leaf] + weight * radii[leaf],
					   (uint32_t) leaf);
	tfrs_topk_finish(&nearest);
}

/* Sums and hits of a chunk against the thresholds laid out before; the padding is no hit. */
static void
scan_chunk(probe *probe, size_t leaf, size_t first, size_t count)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_tree_scratch *scratch = probe->scratch;
	size_t		block_bytes = tree->quantizer.codes * 16;
	uint32_t	last_rows = tree->sizes[leaf] % TFRS_CODE_ROWS;
	tfrs_code_scan scan;

	scan.tables = probe->tables.entries;
	scan.codes = tree->quantizer.codes;
	scan.blocks = tree->codes + first * block_bytes;
	scan.count = count;
	scan.thresholds = scratch->thresholds;
	scan.sums = scratch->sums;
	scan.hits = scratch->hits;
	tfrs_kernels.scan_codes(&scan);
	scratch->bytes_read += count * block_bytes;
	if (first + count == tree->first_blocks[leaf + 1] && last_rows != 0)
		scratch->hits[count - 1] &= (UINT32_C(1) << last_rows) - 1;
}

/* Row numbers from outside are not checked before they are used. */
static void
fetch_row(const probe *probe, uint32_t row)
{
	const tfrs_corpus *corpus = probe->scorer->corpus;

	for (size_t d = 0; row < corpus->count && d < corpus->dim && d < 256; d += 16)
		__builtin_prefetch(corpus->vectors + (size_t) row * corpus->dim + d);
}

/* Scores the rows at the pending positions. */
static void
score_pending(probe *probe)
{
	const tfrs_corpus *corpus = probe->scorer->corpus;
	const uint32_t *rows = probe->tree->rows;
	const uint32_t *pending = probe->scratch->pending;
	size_t		count = probe->pending_count;

	for (size_t i = 0; i < count && i < NUMBERS_AHEAD; i++)
		__builtin_prefetch(&rows[pending[i]]);
	for (size_t i = 0; i < count + ROWS_AHEAD; i++)
	{
		if (i + NUMBERS_AHEAD < count)
			__builtin_prefetch(&rows[pending[i + NUMBERS_AHEAD]]);
		if (i < count)
			fetch_row(probe, rows[pending[i]]);
		if (i >= ROWS_AHEAD && rows[pending[i - ROWS_AHEAD]] < corpus->count)
		{
			uint32_t	row = rows[pending[i - ROWS_AHEAD]];

			tfrs_collector_offer(probe->collector, tfrs_scorer_score(probe->scorer, row), row);
		}
	}
	probe->scratch->bytes_read +=
		count * (TFRS_TREE_ROW_FACTOR * corpus->dim * sizeof(float) + TFRS_TREE_ROW_COST);
	probe->pending_count = 0;
}

/* Bounded search. */

/*
 * Thresholds of a chunk's blocks, rounded down: one too low only costs time.  NaN gives 0.  Without
 * branches, so that compilers make vector code of it.
 */
static void
lay_thresholds(probe *probe, size_t first, size_t count, float needed, float per_error)
{
	const float *errors = probe->tree->errors + first;
	uint16_t   *thresholds = probe->scratch->thresholds;

	for (size_t b = 0; b < count; b++)
	{
		float		sum = needed - per_error * errors[b] - 1;

		sum = sum > 0 ? sum : 0;
		sum = sum < UINT16_MAX ? sum : UINT16_MAX;
		thresholds[b] = (uint16_t) (int32_t) sum;
	}
}

/*
 * Puts the hits of a block among the pending that reach the threshold with their own errors;
 * needed is the sum that a row without any error would need.
 */
static void
add_pending(probe *probe, size_t block, size_t place, float needed, float per_error)
{
	tfrs_tree_scratch *scratch = probe->scratch;
	const uint8_t *shares = probe->tree->shares + block * TFRS_CODE_ROWS;
	const uint16_t *sums = scratch->sums + place * TFRS_CODE_ROWS;
	float		per_share = per_error * probe->tree->errors[block] / 255;

	for (uint32_t hits = scratch->hits[place]; hits != 0; hits &= hits - 1)
	{
		uint32_t	r = (uint32_t) __builtin_ctz(hits);

		if (sums[r] + 1 >= needed - per_share * shares[r] || !(per_share < INFINITY))
			scratch->pending[probe->pending_count++] = (uint32_t) (block * TFRS_CODE_ROWS) + r;
	}
}

static float
least_product(const probe *probe)
{
	return tfrs_space_product_of(&probe->tree->space, probe->scratch->query,
								 probe->collector->threshold);
}

/* Scores every row of a leaf that can reach the threshold, some of them later. */
static void
visit_bounded(probe *probe, size_t leaf, float product)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_tree_scratch *scratch = probe->scratch;
	float		per_error = probe->error_share * probe->query_norm / probe->tables.step;
	float		needed = (product - scratch->leaf_scores[leaf] - probe->tables.offset) /
		probe->tables.step;
	size_t		end = tree->first_blocks[leaf + 1];

	for (size_t first = tree->first_blocks[leaf]; first < end; first += CHUNK_BLOCKS)
	{
		size_t		count = end - first < CHUNK_BLOCKS ? end - first : CHUNK_BLOCKS;

		lay_thresholds(probe, first, count, needed, per_error);
		scan_chunk(probe, leaf, first, count);
		for (size_t b = 0; b < count; b++)
			if (scratch->hits[b] != 0)
				add_pending(probe, first + b, b, needed, per_error);
		if (probe->pending_count >= PENDING_ROWS)
			score_pending(probe);
	}
}

static void
search_bounded(probe *probe)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_tree_scratch *scratch = probe->scratch;
	size_t		nearest = tree->leaves < FIRST_LEAVES ? tree->leaves : FIRST_LEAVES;
	float		per_radius = probe->reach * probe->query_norm;

	order_leaves(probe, nearest);
	memset(scratch->visited, 0, tree->leaves * sizeof(bool));
	for (size_t i = 0; i < nearest; i++)
	{
		scratch->visited[scratch->order[i].row] = true;
		visit_bounded(probe, scratch->order[i].row, least_product(probe));
		score_pending(probe);
	}
	for (size_t leaf = 0; leaf < tree->leaves; leaf++)
	{
		float		product = least_product(probe);

		if (!scratch->visited[leaf] &&
			!(scratch->leaf_scores[leaf] + per_radius * tree->radii[leaf] < product))
			visit_bounded(probe, leaf, product);
	}
	score_pending(probe);
}

/* Ranked search. */

/* Candidates counted by class; the lowest class that is still wanted, and how many reach it. */
typedef struct ranking
{
	size_t		wanted;			/* rerank */
	int			shift;			/* bits of a sum below its class */
	uint32_t	lowest;
	size_t		above;			/* candidates of class lowest and better */
	size_t		count;			/* entries of scratch->candidates, those below lowest included */
	float		best;			/* largest product with a centroid */
	bool		filtered;
} ranking;

static void
raise_lowest(ranking *ranking, const uint32_t *kept)
{
	while (ranking->above - kept[ranking->lowest] >= ranking->wanted)
		ranking->above -= kept[ranking->lowest++];
}

/*
 * Leaves the wanted best: all better than the lowest class and as many of it as there is room for.
 */
static void
compact(probe *probe, ranking *ranking)
{
	tfrs_tree_scratch *scratch = probe->scratch;
	candidate  *candidates = scratch->candidates;
	size_t		room = ranking->wanted - (ranking->above - scratch->kept[ranking->lowest]);
	size_t		count = 0;

	for (size_t i = 0; i < ranking->count; i++)
	{
		candidate	one = candidates[i];

		if (one.class < ranking->lowest || (one.class == ranking->lowest && room == 0))
			continue;
		room -= one.class == ranking->lowest;
		candidates[count++] = one;
	}
	scratch->kept[ranking->lowest] -= (uint32_t) (ranking->above - count);
	ranking->above = ranking->count = count;
}

static uint32_t
excluded_bit(uint32_t row)
{
	return (row * UINT32_C(0x9e3779b1)) >> 16;
}

static void
mark_excluded(probe *probe)
{
	const tfrs_search *search = probe->collector->search;
	uint64_t   *bits = probe->scratch->excluded;

	memset(bits, 0, sizeof(probe->scratch->excluded));
	for (size_t i = 0; i < search->excluded_count; i++)
	{
		uint32_t	bit = excluded_bit(search->excluded[i]);

		bits[bit / 64] |= UINT64_C(1) << bit % 64;
	}
}

static bool
is_kept_out(const probe *probe, size_t position)
{
	const tfrs_search *search = probe->collector->search;
	uint32_t	row = probe->tree->rows[position];
	uint32_t	bit = excluded_bit(row);

	if (!search->has_among && (probe->scratch->excluded[bit / 64] >> bit % 64 & 1) == 0)
		return false;
	return !tfrs_search_allows(search, row);
}

/* Counts the hits of a chunk in; offset is what the leaf adds to their sums. */
static void
add_candidates(probe *probe, ranking *ranking, size_t first, size_t count, int32_t offset)
{
	tfrs_tree_scratch *scratch = probe->scratch;

	for (size_t b = 0; b < count; b++)
	{
		for (uint32_t hits = scratch->hits[b]; hits != 0; hits &= hits - 1)
		{
			uint32_t	r = (uint32_t) __builtin_ctz(hits);
			uint32_t	position = (uint32_t) ((first + b) * TFRS_CODE_ROWS) + r;
			int32_t		sum = scratch->sums[b * TFRS_CODE_ROWS + r] + offset;
			uint32_t	class = sum > 0 ? (uint32_t) sum >> ranking->shift : 0;

			if (ranking->filtered && is_kept_out(probe, position))
			{
				scratch->dropped[class]++;
				continue;
			}
			scratch->kept[class]++;
			scratch->candidates[ranking->count++] = (candidate) {class, position};
			ranking->above++;
		}
	}
	raise_lowest(ranking, scratch->kept);
}

static void
visit_ranked(probe *probe, ranking *ranking, size_t leaf)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_tree_scratch *scratch = probe->scratch;
	float		behind = (ranking->best - scratch->leaf_scores[leaf]) / probe->tables.step;
	int32_t		offset = -(int32_t) fmaxf(0, fminf(behind, 2 * UINT16_MAX));
	size_t		end = tree->first_blocks[leaf + 1];

	for (size_t first = tree->first_blocks[leaf]; first < end; first += CHUNK_BLOCKS)
	{
		size_t		count = end - first < CHUNK_BLOCKS ? end - first : CHUNK_BLOCKS;
		int32_t		needed = ((int32_t) ranking->lowest << ranking->shift) - offset;

		if (needed > UINT16_MAX)
			return;
		for (size_t b = 0; b < count; b++)
			scratch->thresholds[b] = ranking->lowest > 0 ? (uint16_t) needed : 0;
		if (ranking->count + CHUNK_ROWS > scratch->capacity)
			compact(probe, ranking);
		scan_chunk(probe, leaf, first, count);
		add_candidates(probe, ranking, first, count, offset);
	}
}

/*
 * Leaves to search: as many more as rows were kept out among the best, since what the predicates
 * leave of a leaf is what counts; and more until there are k rows.
 */
static size_t
leaves_wanted(const probe *probe, const ranking *ranking, size_t leaves, size_t visited)
{
	size_t		dropped = 0;
	size_t		wanted;

	for (size_t class = ranking->lowest; ranking->filtered && class < CLASSES; class++)
		dropped += probe->scratch->dropped[class];
	wanted = leaves + leaves * dropped / ranking->wanted;
	if (ranking->above < probe->collector->topk.k && wanted <= visited)
		wanted = 2 * visited;
	return wanted < probe->tree->leaves ? wanted : probe->tree->leaves;
}

/* Whether predicates kept out more than half as many rows as are wanted that rank before those. */
static bool
best_are_kept_out(const probe *probe, const ranking *ranking)
{
	const tfrs_tree_scratch *scratch = probe->scratch;
	size_t		k = probe->collector->topk.k;
	size_t		kept = 0;
	size_t		dropped = 0;

	for (size_t class = CLASSES; ranking->filtered && class-- > 0 && kept < k;)
	{
		kept += scratch->kept[class];
		dropped += scratch->dropped[class];
	}
	return 2 * dropped > k;
}

static void
score_candidates(probe *probe, ranking *ranking)
{
	compact(probe, ranking);
	for (size_t i = 0; i < ranking->count; i++)
	{
		probe->scratch->pending[probe->pending_count++] = probe->scratch->candidates[i].position;
		if (probe->pending_count == CHUNK_ROWS)
			score_pending(probe);
	}
	score_pending(probe);
}

static void
search_ranked(probe *probe, tfrs_tree_effort effort)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_tree_scratch *scratch = probe->scratch;
	const tfrs_search *search = probe->collector->search;
	ranking		ranking = {.wanted = effort.rerank};
	size_t		wanted = effort.leaves < tree->leaves ? effort.leaves : tree->leaves;
	size_t		visited = 0;

	ranking.filtered = search->has_among || search->excluded_count > 0;
	ranking.best = tfrs_kernels.maximum(scratch->leaf_scores, tree->leaves);
	while (tree->quantizer.codes * UINT8_MAX >> ranking.shift >= CLASSES)
		ranking.shift++;
	memset(scratch->kept, 0, sizeof(scratch->kept));
	if (ranking.filtered)
	{
		memset(scratch->dropped, 0, sizeof(scratch->dropped));
		mark_excluded(probe);
	}
	while (visited < wanted)
	{
		order_leaves(probe, wanted);
		for (; visited < wanted; visited++)
			visit_ranked(probe, &ranking, scratch->order[visited].row);
		if (best_are_kept_out(probe, &ranking))
		{
			search_bounded(probe);
			return;
		}
		wanted = leaves_wanted(probe, &ranking, effort.leaves, visited);
	}
	score_candidates(probe, &ranking);
}

void
tfrs_tree_search(const tfrs_tree *tree, const tfrs_scorer *scorer, tfrs_tree_effort effort,
				 tfrs_collector *collector, tfrs_tree_scratch *scratch)
{
	probe		probe = {tree, scorer, collector, scratch, .reach = effort.reach};

	begin_probe(&probe);
	probe.error_share = 1;
	if (effort.reach < 1)
		probe.error_share = fminf(1, fmaxf(LIKELY_ERROR, GREATEST_ERROR * effort.reach) /
								  sqrtf((float) tree->space.width));
	if (effort.leaves > 0)
		search_ranked(&probe, effort);
	else
		search_bounded(&probe);
}
