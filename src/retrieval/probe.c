/*
 * probe.c: one search of a tree: what it works with, and what both ways of searching do.
 */
#include "retrieval/probe.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"

/*
 * The part of a leaf's radius that counts for it in the order of leaves: on towers with unequal
 * norms a fifth saves a quarter of the leaves for the same recall, on unit vectors it does no harm.
 */
#define RADIUS_SHARE 0.2f

/* How far ahead of their use codes, a row number and a row are fetched. */
#define CODES_AHEAD 24
#define NUMBERS_AHEAD 24
#define ROWS_AHEAD 12

/* Bits a listed row where bits are shared, and bits at least. */
#define MARKS_PER_ROW 16
#define LEAST_MARKS_LOG2 12

/* What a look at a mark costs, in the bytes of tfrs_probe_take_bytes_read. */
#define LIST_BYTES 16

/* Bytes of a row, or of its codes, that are asked for ahead; the processor goes on by itself. */
#define MOST_AHEAD 1024

/* Bits for a list of that many rows; no more than the rows that there are. */
static int
marks_log2(const tfrs_tree *tree, size_t listed)
{
	int			log2 = LEAST_MARKS_LOG2;

	while ((size_t) 1 << log2 < MARKS_PER_ROW * listed &&
		   (size_t) 1 << log2 < tree->blocks * TFRS_CODE_ROWS)
		log2++;
	return log2;
}

tfrs_status
tfrs_probe_scratch_get(tfrs_probe_scratch **result, const tfrs_tree *tree, tfrs_probe_room room,
					   tfrs_arena *arena, tfrs_error *error)
{
	size_t		table = tree->quantizer.codes * TFRS_CENTRES;
	size_t		capacity = room.rerank + 2 * TFRS_PROBE_ROWS;
	size_t		marks = (size_t) 1 << (marks_log2(tree, room.listed) - 6);
	size_t		bytes = sizeof(tfrs_probe_scratch) + marks * sizeof(uint64_t) +
		capacity * sizeof(tfrs_probe_candidate) +
		tree->leaves * (sizeof(tfrs_hit) + sizeof(float) + sizeof(bool)) +
		tree->space.width * (sizeof(float) + 1) + table * (sizeof(float) + 1);
	tfrs_probe_scratch *scratch;
	tfrs_status status = tfrs_arena_get(arena, (void **) &scratch, bytes, 1, error);

	if (status != TFRS_OK)
		return status;
	scratch->bytes_read = 0;
	scratch->capacity = capacity;
	scratch->marks = (uint64_t *) (scratch + 1);
	scratch->candidates = (tfrs_probe_candidate *) (scratch->marks + marks);
	scratch->order = (tfrs_hit *) (scratch->candidates + capacity);
	scratch->query = (float *) (scratch->order + tree->leaves);
	scratch->leaf_scores = scratch->query + tree->space.width;
	scratch->products = scratch->leaf_scores + tree->leaves;
	scratch->entries = (uint8_t *) (scratch->products + table);
	scratch->int8_query = (int8_t *) (scratch->entries + table);
	scratch->visited = (bool *) (scratch->int8_query + tree->space.width);
	*result = scratch;
	return TFRS_OK;
}

uint64_t
tfrs_probe_take_bytes_read(tfrs_probe_scratch *scratch)
{
	uint64_t	bytes = scratch->bytes_read;

	scratch->bytes_read = 0;
	return bytes;
}

static uint32_t
mark_of(const tfrs_probe *probe, uint32_t row)
{
	if (probe->marks_are_rows)
		return row & (uint32_t) ((UINT64_C(1) << probe->marks_log2) - 1);
	return (row * UINT32_C(0x9e3779b1)) >> (32 - probe->marks_log2);
}

static void
set_marks(tfrs_probe *probe, const uint32_t *rows, size_t count, bool marked)
{
	uint64_t   *marks = probe->scratch->marks;
	size_t		limit = probe->scorer->corpus->count;

	for (size_t i = 0; i < count && rows[i] < limit; i++)
	{
		uint32_t	mark = mark_of(probe, rows[i]);
		uint64_t	bit = UINT64_C(1) << mark % 64;

		marks[mark / 64] = marked ? marks[mark / 64] | bit : marks[mark / 64] & ~bit;
	}
}

static void
mark_rows(tfrs_probe *probe)
{
	const tfrs_search *search = probe->collector->search;
	size_t		count = search->has_among ? search->among_count
		: search->excluded_count + search->adjusted_count;

	probe->marks_log2 = marks_log2(probe->tree, count);
	probe->marks_are_rows = (size_t) 1 << probe->marks_log2 >= probe->scorer->corpus->count;
	memset(probe->scratch->marks, 0, (size_t) 1 << (probe->marks_log2 - 3));
	if (search->has_among)
		set_marks(probe, search->among, search->among_count, true);
	if (search->has_among && !probe->marks_are_rows)
		return;
	set_marks(probe, search->excluded, search->excluded_count, !search->has_among);
	set_marks(probe, search->adjusted, search->adjusted_count, !search->has_among);
}

void
tfrs_probe_begin(tfrs_probe *probe)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_probe_scratch *scratch = probe->scratch;
	size_t		width = tree->space.width;

	probe->pending_count = 0;
	probe->first_byte = scratch->bytes_read;
	tfrs_space_query(&tree->space, probe->scorer, scratch->query);
	probe->query_norm = tfrs_vector_norm(scratch->query, width);
	probe->int8.codes = scratch->int8_query;
	if (tree->int8_codes != NULL)
		tfrs_int8_query_set(&probe->int8, scratch->query, width);
	probe->tables.entries = scratch->entries;
	tfrs_quantizer_tabulate(&tree->quantizer, scratch->query, scratch->products, &probe->tables);
	memset(scratch->leaf_scores, 0, tree->leaves * sizeof(float));
	for (size_t w = 0; w < width; w++)
		tfrs_kernels.add_scaled(scratch->leaf_scores, tree->centroids + w * tree->leaves,
								tree->leaves, scratch->query[w]);
	scratch->bytes_read += tree->leaves * width * sizeof(float);
	probe->filtered = probe->collector->search->has_among ||
		probe->collector->search->excluded_count + probe->collector->search->adjusted_count > 0;
	if (probe->filtered)
		mark_rows(probe);
}

void
tfrs_probe_order_leaves(tfrs_probe *probe, size_t count)
{
	tfrs_probe_scratch *scratch = probe->scratch;
	const float *radii = probe->tree->radii;
	float		weight = RADIUS_SHARE * probe->query_norm;
	tfrs_topk	nearest;

	tfrs_topk_init(&nearest, scratch->order, count);
	for (size_t leaf = 0; leaf < probe->tree->leaves; leaf++)
		tfrs_topk_push(&nearest, scratch->leaf_scores[leaf] + weight * radii[leaf],
					   (uint32_t) leaf);
	tfrs_topk_finish(&nearest);
}

void
tfrs_probe_scan(tfrs_probe *probe, size_t leaf, size_t first, size_t count)
{
	const tfrs_tree *tree = probe->tree;
	tfrs_probe_scratch *scratch = probe->scratch;
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

bool
tfrs_probe_is_kept_out(const tfrs_probe *probe, uint32_t row)
{
	const tfrs_search *search = probe->collector->search;
	uint32_t	mark = mark_of(probe, row);
	bool		marked = (probe->scratch->marks[mark / 64] >> mark % 64 & 1) != 0;

	probe->scratch->bytes_read += LIST_BYTES;
	if (!marked)
		return search->has_among;
	return probe->marks_are_rows ? !search->has_among : !tfrs_search_allows(search, row);
}

float
tfrs_probe_least_product(const tfrs_probe *probe)
{
	return tfrs_space_product_of(&probe->tree->space, probe->scratch->query,
								 probe->collector->threshold);
}

static void
fetch_codes(const tfrs_tree *tree, uint32_t position)
{
	const int8_t *codes = tree->int8_codes + (size_t) position * tree->space.width;

	for (size_t w = 0; w < tree->space.width && w < MOST_AHEAD; w += TFRS_ALIGNMENT)
		__builtin_prefetch(codes + w);
}

/* Leaves those pending whose bytes let them reach the threshold. */
static void
keep_promising(tfrs_probe *probe)
{
	const tfrs_tree *tree = probe->tree;
	size_t		width = tree->space.width;
	uint32_t   *pending = probe->scratch->pending;
	size_t		count = probe->pending_count;
	float		needed = tfrs_probe_least_product(probe);

	for (size_t i = 0; i < count && i < CODES_AHEAD; i++)
		fetch_codes(tree, pending[i]);
	probe->pending_count = 0;
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	position = pending[i];

		if (i + CODES_AHEAD < count)
			fetch_codes(tree, pending[i + CODES_AHEAD]);
		if (!(tfrs_int8_most(&probe->int8, &tree->int8_scales[position / TFRS_CODE_ROWS],
							 tree->int8_codes + (size_t) position * width, width) < needed))
			pending[probe->pending_count++] = position;
	}
	probe->scratch->bytes_read += count * tfrs_tree_look_bytes(width);
}

/*
 * Begins to fetch a row; TFRS_NO_ROW where it is not to be scored.  Row numbers from outside are
 * not checked before they are used.
 */
static uint32_t
fetch_row(const tfrs_probe *probe, uint32_t row)
{
	const tfrs_corpus *corpus = probe->scorer->corpus;

	if (row >= corpus->count || tfrs_probe_keeps_out(probe, row))
		return TFRS_NO_ROW;
	for (size_t d = 0; d < corpus->dim && d < MOST_AHEAD / sizeof(float); d += 16)
		__builtin_prefetch(corpus->vectors + (size_t) row * corpus->dim + d);
	return row;
}

void
tfrs_probe_score_pending(tfrs_probe *probe)
{
	const uint32_t *rows = probe->tree->rows;
	const uint32_t *pending = probe->scratch->pending;
	size_t		count;
	size_t		scored = 0;
	uint32_t	coming[ROWS_AHEAD];

	if (probe->tree->int8_codes != NULL && probe->collector->threshold > -INFINITY)
		keep_promising(probe);
	count = probe->pending_count;
	for (size_t i = 0; i < count && i < NUMBERS_AHEAD; i++)
		__builtin_prefetch(&rows[pending[i]]);
	for (size_t i = 0; i < count + ROWS_AHEAD; i++)
	{
		uint32_t   *place = &coming[i % ROWS_AHEAD];

		if (i + NUMBERS_AHEAD < count)
			__builtin_prefetch(&rows[pending[i + NUMBERS_AHEAD]]);
		if (i >= ROWS_AHEAD && *place != TFRS_NO_ROW)
		{
			tfrs_collector_offer(probe->collector, tfrs_scorer_score(probe->scorer, *place),
								 *place);
			scored++;
		}
		*place = i < count ? fetch_row(probe, rows[pending[i]]) : TFRS_NO_ROW;
	}
	probe->scratch->bytes_read += scored * tfrs_tree_row_bytes(probe->scorer->corpus->dim);
	probe->pending_count = 0;
}
