/*
 * content.c: three passes over the candidates: the longest row, who has which element, rows.
 */
#include "learning/content.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* Items of a step: some milliseconds, with the sorting of each row. */
#define STEP_ITEMS ((size_t) 1 << 17)

/* An element counts where so many known candidates have it: more of them where there are more. */
#define FEW_CANDIDATES 3000
#define SOME_CANDIDATES 10000

enum
{
	MEASURE,
	COUNT,
	FILL,
	BUILT
};

static uint32_t
least_of(size_t candidates)
{
	return candidates < FEW_CANDIDATES ? 2 : candidates < SOME_CANDIDATES ? 3 : 5;
}

/* The items of one feature of a candidate: *item and how many. */
static size_t
items_of(const tfrs_content_source *source, const tfrs_content_feature *feature, size_t candidate,
		 const uint32_t **item)
{
	size_t		row = source->row_of == NULL ? candidate : source->row_of[candidate];
	size_t		entry = feature->entry == NULL ? row : feature->entry[row];

	if (feature->start == NULL)
	{
		*item = feature->item + entry;
		return 1;
	}
	*item = feature->item + feature->start[entry];
	return feature->start[entry + 1] - feature->start[entry];
}

size_t
tfrs_content_longest(const tfrs_content_source *source, size_t candidate)
{
	size_t		items = 0;

	for (size_t f = 0; f < source->features; f++)
	{
		const uint32_t *item;

		items += items_of(source, &source->feature[f], candidate, &item);
	}
	return items;
}

static int
compare(const void *one, const void *two)
{
	uint32_t	a = *(const uint32_t *) one;
	uint32_t	b = *(const uint32_t *) two;

	return (a > b) - (a < b);
}

/* Sorts a list and leaves each number once; returns how many there are. */
static size_t
distinct(uint32_t *list, size_t count)
{
	size_t		kept = 0;

	qsort(list, count, sizeof(uint32_t), compare);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || list[i] != list[kept - 1])
			list[kept++] = list[i];
	return kept;
}

/* The elements of a candidate, each once and ascending. */
static size_t
elements_of(const tfrs_content_source *source, size_t candidate, uint32_t *list)
{
	uint32_t	base = 0;
	size_t		count = 0;

	for (size_t f = 0; f < source->features; f++)
	{
		const tfrs_content_feature *feature = &source->feature[f];
		const uint32_t *item;
		size_t		items = items_of(source, feature, candidate, &item);

		for (size_t i = 0; i < items; i++)
			if (item[i] >= feature->first && item[i] < feature->end)
				list[count++] = base + item[i] - feature->first;
		base += feature->end - feature->first;
	}
	return distinct(list, count);
}

/* Elements become words with the values of a row of unit length; returns how many count. */
static size_t
words_of(const tfrs_content_vocabulary *vocabulary, size_t elements, uint32_t *list, float *value)
{
	size_t		count = 0;
	double		square = 0;

	for (size_t i = 0; i < elements; i++)
	{
		uint32_t	word = list[i] < vocabulary->elements ? vocabulary->word[list[i]] : TFRS_NO_ROW;

		if (word == TFRS_NO_ROW)
			continue;
		list[count] = word;
		value[count] = vocabulary->idf[word];
		square += (double) value[count] * value[count];
		count++;
	}
	for (size_t i = 0; i < count; i++)
		value[i] /= (float) sqrt(square);
	return count;
}

size_t
tfrs_content_row(const tfrs_content_vocabulary *vocabulary, const tfrs_content_source *source,
				 size_t candidate, uint32_t *word, float *value)
{
	return words_of(vocabulary, elements_of(source, candidate, word), word, value);
}

bool
tfrs_content_build_bytes(size_t candidates, size_t items, size_t elements, size_t *bytes)
{
	tfrs_layout layout = {*bytes, true};

	tfrs_layout_place(&layout, items, 2 * sizeof(uint32_t) + sizeof(float));
	tfrs_layout_place(&layout, elements, sizeof(uint32_t) + sizeof(float));
	tfrs_layout_place(&layout, candidates + 1, sizeof(uint64_t));
	*bytes = layout.bytes;
	return layout.fits;
}

tfrs_status
tfrs_content_build_begin(tfrs_content_build *build, tfrs_arena *arena,
						 const tfrs_content_source *source, tfrs_error *error)
{
	tfrs_status status;

	memset(build, 0, sizeof(*build));
	build->arena = arena;
	build->source = *source;
	for (size_t f = 0; f < source->features; f++)
		build->elements += source->feature[f].end - source->feature[f].first;
	status = TFRS_GET_ZERO(arena, &build->count, build->elements, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &build->offsets, source->candidates + 1, error);
	if (status != TFRS_OK)
		tfrs_content_build_free(build);
	return status;
}

void
tfrs_content_build_free(tfrs_content_build *build)
{
	if (build->arena == NULL)
		return;
	tfrs_arena_release(build->arena, build->list);
	tfrs_arena_release(build->arena, build->count);
	tfrs_arena_release(build->arena, build->idf);
	tfrs_arena_release(build->arena, build->offsets);
	tfrs_arena_release(build->arena, build->word);
	tfrs_arena_release(build->arena, build->value);
	memset(build, 0, sizeof(*build));
}

/* offsets[i + 1] becomes the items of candidate i. */
static size_t
measure(tfrs_content_build *build, size_t candidate)
{
	size_t		items = tfrs_content_longest(&build->source, candidate);

	build->known += build->source.counts[candidate] > 0;
	build->longest = items > build->longest ? items : build->longest;
	build->offsets[candidate + 1] = items;
	return items;
}

static size_t
count_elements(tfrs_content_build *build, size_t candidate)
{
	size_t		elements;

	if (build->source.counts[candidate] == 0)
		return 0;
	elements = elements_of(&build->source, candidate, build->list);
	for (size_t i = 0; i < elements; i++)
		build->count[build->list[i]]++;
	return elements;
}

static tfrs_content_vocabulary
vocabulary_of(const tfrs_content_build *build)
{
	return (tfrs_content_vocabulary) {build->elements, build->words, build->count, build->idf};
}

/* Rows lie one behind the other, closer than their items were counted. */
static size_t
fill(tfrs_content_build *build, size_t candidate)
{
	tfrs_content_vocabulary vocabulary = vocabulary_of(build);
	uint64_t	at = build->offsets[candidate];
	size_t		elements = elements_of(&build->source, candidate, build->list);
	size_t		words = words_of(&vocabulary, elements, build->list, build->value + at);

	memcpy(build->word + at, build->list, words * sizeof(uint32_t));
	build->offsets[candidate + 1] = at + words;
	return elements;
}

/* Which elements count: the counts become their words, in order. */
static tfrs_status
settle(tfrs_content_build *build, tfrs_error *error)
{
	uint32_t	least = least_of(build->source.candidates);
	size_t		words = 0;
	tfrs_status status;

	for (size_t e = 0; e < build->elements; e++)
		words += build->count[e] >= least && build->count[e] < build->known;
	build->words = words;
	status = TFRS_GET(build->arena, &build->idf, words, error);
	words = 0;
	for (size_t e = 0; e < build->elements && status == TFRS_OK; e++)
	{
		bool		counts = build->count[e] >= least && build->count[e] < build->known;

		if (counts)
			build->idf[words] = (float) log((double) build->known / build->count[e]);
		build->count[e] = counts ? (uint32_t) words++ : TFRS_NO_ROW;
	}
	return status;
}

/* Room for all items, which is a little more than there are words. */
static tfrs_status
get_rows(tfrs_content_build *build, tfrs_error *error)
{
	uint64_t	items = 0;
	tfrs_status status;

	for (size_t i = 0; i < build->source.candidates; i++)
		items += build->offsets[i + 1];
	status = TFRS_GET(build->arena, &build->word, items, error);
	if (status == TFRS_OK)
		status = TFRS_GET(build->arena, &build->value, items, error);
	return status;
}

/* A phase is over. */
static tfrs_status
advance(tfrs_content_build *build, tfrs_error *error)
{
	tfrs_status status;

	build->done = 0;
	switch (build->phase++)
	{
		case MEASURE:
			return TFRS_GET(build->arena, &build->list, build->longest, error);
		case COUNT:
			status = settle(build, error);
			return status == TFRS_OK ? get_rows(build, error) : status;
		default:
			tfrs_arena_release(build->arena, build->list);
			build->list = NULL;
			return TFRS_OK;
	}
}

tfrs_status
tfrs_content_build_step(tfrs_content_build *build, tfrs_content *content, tfrs_error *error)
{
	static size_t (*const pass[]) (tfrs_content_build *, size_t) = {measure, count_elements, fill};
	size_t		work = 0;

	if (build->phase < BUILT)
	{
		for (; build->done < build->source.candidates && work < STEP_ITEMS; build->done++)
			work += pass[build->phase] (build, build->done) + 8;
		if (build->done < build->source.candidates)
			return TFRS_MORE;
		if (advance(build, error) != TFRS_OK)
			return error->status;
		if (build->phase < BUILT)
			return TFRS_MORE;
	}
	*content = (tfrs_content) {
		build->source.candidates, build->source.counts, vocabulary_of(build), build->offsets,
		build->word, build->value
	};
	return TFRS_OK;
}

double
tfrs_content_mean_count(const tfrs_content *content)
{
	double		sum = 0;
	double		known = 0;

	for (size_t i = 0; i < content->candidates; i++)
	{
		sum += content->counts[i];
		known += content->counts[i] > 0;
	}
	return known > 0 ? sum / known : 1;
}
