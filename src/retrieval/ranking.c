/*
 * ranking.c: the best rows of some leaves, as far as their codes tell.
 */
#include "retrieval/ranking.h"

#include <math.h>
#include <string.h>

/* Two or more rows that were kept out before the k-th are many if they exceed this part of k. */
#define PARTS_OF_K 4

tfrs_ranking
tfrs_ranking_of(tfrs_probe *probe, size_t wanted)
{
	tfrs_ranking ranking = {.probe = probe, .wanted = wanted};

	ranking.best = tfrs_kernels.maximum(probe->scratch->leaf_scores, probe->tree->leaves);
	while (probe->tree->quantizer.codes * UINT8_MAX >> ranking.shift >= TFRS_PROBE_CLASSES)
		ranking.shift++;
	memset(probe->scratch->kept, 0, sizeof(probe->scratch->kept));
	if (probe->filtered)
		memset(probe->scratch->dropped, 0, sizeof(probe->scratch->dropped));
	return ranking;
}

static void
raise_lowest(tfrs_ranking *ranking, const uint32_t *kept)
{
	while (ranking->above - kept[ranking->lowest] >= ranking->wanted)
		ranking->above -= kept[ranking->lowest++];
}

/*
 * Leaves the wanted best: all better than the lowest class and as many of it as there is room for.
 */
static void
compact(tfrs_ranking *ranking)
{
	tfrs_probe_scratch *scratch = ranking->probe->scratch;
	tfrs_probe_candidate *candidates = scratch->candidates;
	size_t		room = ranking->wanted - (ranking->above - scratch->kept[ranking->lowest]);
	size_t		count = 0;

	for (size_t i = 0; i < ranking->count; i++)
	{
		tfrs_probe_candidate one = candidates[i];

		if (one.class < ranking->lowest || (one.class == ranking->lowest && room == 0))
			continue;
		room -= one.class == ranking->lowest;
		candidates[count++] = one;
	}
	scratch->kept[ranking->lowest] -= (uint32_t) (ranking->above - count);
	ranking->above = ranking->count = count;
}

/* Counts the hits of a chunk in; offset is what the leaf adds to their sums. */
static void
add_candidates(tfrs_ranking *ranking, size_t first, size_t count, int32_t offset)
{
	const tfrs_probe *probe = ranking->probe;
	tfrs_probe_scratch *scratch = probe->scratch;

	for (size_t b = 0; b < count; b++)
	{
		for (uint32_t hits = scratch->hits[b]; hits != 0; hits &= hits - 1)
		{
			uint32_t	r = (uint32_t) __builtin_ctz(hits);
			uint32_t	position = (uint32_t) ((first + b) * TFRS_CODE_ROWS) + r;
			int32_t		sum = scratch->sums[b * TFRS_CODE_ROWS + r] + offset;
			uint32_t	class = sum > 0 ? (uint32_t) sum >> ranking->shift : 0;

			if (tfrs_probe_keeps_out(probe, probe->tree->rows[position]))
			{
				scratch->dropped[class]++;
				continue;
			}
			scratch->kept[class]++;
			scratch->candidates[ranking->count++] = (tfrs_probe_candidate) {class, position};
			ranking->above++;
		}
	}
	raise_lowest(ranking, scratch->kept);
}

void
tfrs_ranking_visit(tfrs_ranking *ranking, size_t leaf)
{
	tfrs_probe *probe = ranking->probe;
	const tfrs_tree *tree = probe->tree;
	tfrs_probe_scratch *scratch = probe->scratch;
	float		behind = (ranking->best - scratch->leaf_scores[leaf]) / probe->tables.step;
	int32_t		offset = -(int32_t) fmaxf(0, fminf(behind, 2 * UINT16_MAX));
	size_t		end = tree->first_blocks[leaf + 1];

	for (size_t first = tree->first_blocks[leaf]; first < end; first += TFRS_PROBE_BLOCKS)
	{
		size_t		count = end - first < TFRS_PROBE_BLOCKS ? end - first : TFRS_PROBE_BLOCKS;
		int32_t		needed = ((int32_t) ranking->lowest << ranking->shift) - offset;

		if (ranking->lowest > 0 && needed > UINT16_MAX)
			return;
		for (size_t b = 0; b < count; b++)
			scratch->thresholds[b] = ranking->lowest > 0 ? (uint16_t) needed : 0;
		if (ranking->count + TFRS_PROBE_ROWS > scratch->capacity)
			compact(ranking);
		tfrs_probe_scan(probe, leaf, first, count);
		add_candidates(ranking, first, count, offset);
	}
}

size_t
tfrs_ranking_dropped(const tfrs_ranking *ranking)
{
	const tfrs_probe *probe = ranking->probe;
	size_t		dropped = 0;

	for (size_t class = ranking->lowest; probe->filtered && class < TFRS_PROBE_CLASSES; class++)
		dropped += probe->scratch->dropped[class];
	return dropped;
}

bool
tfrs_ranking_best_are_kept_out(const tfrs_ranking *ranking)
{
	const tfrs_probe *probe = ranking->probe;
	size_t		k = probe->collector->topk.k;
	size_t		kept = 0;
	size_t		dropped = 0;

	for (size_t class = TFRS_PROBE_CLASSES; probe->filtered && class-- > 0 && kept < k;)
	{
		kept += probe->scratch->kept[class];
		dropped += probe->scratch->dropped[class];
	}
	return (dropped > 1 && PARTS_OF_K * dropped > k) || tfrs_ranking_dropped(ranking) > k;
}

void
tfrs_ranking_score(tfrs_ranking *ranking)
{
	tfrs_probe *probe = ranking->probe;

	compact(ranking);
	for (size_t i = 0; i < ranking->count; i++)
	{
		probe->scratch->pending[probe->pending_count++] = probe->scratch->candidates[i].position;
		if (probe->pending_count == TFRS_PROBE_PENDING)
			tfrs_probe_score_pending(probe);
	}
	tfrs_probe_score_pending(probe);
}
