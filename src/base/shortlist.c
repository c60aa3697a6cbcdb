/*
 * shortlist.c: selection behind shortlist.h.
 *
 * A key is (score, row) as one integer whose ascending order is the order of results, so selecting
 * and sorting compare integers.  Rows that pass the threshold are appended; when the room is used
 * up they get their scores, the best k stay, and the threshold rises.  So each row costs O(1)
 * whatever the scores are: where all are equal it is a search row by row.
 *
 * Rejected: a heap (base/topk.h).  It pays for a few results of many rows; here k is 100 of some
 * thousand, most rows enter it at first, and counting cells above a guessed threshold is cheaper.
 */
#include "base/shortlist.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/kernels.h"

/* Cells that are compared with the threshold at once, and appended at most between two checks. */
#define BLOCK 64

/* Guesses of a first threshold, and cells that the first guess is made of. */
#define GUESSES 10
#define SAMPLE 64

/* Keys that are sorted by insertion before runs are merged. */
#define RUN 8

static uint64_t
key_of(float score, uint32_t row)
{
	uint32_t	bits;

	score += 0.0f;				/* -0 is 0 */
	memcpy(&bits, &score, sizeof(bits));
	bits ^= bits >> 31 != 0 ? UINT32_MAX : UINT32_C(0x80000000);
	return (uint64_t) ~bits << 32 | row;
}

static float
score_of(uint64_t key)
{
	uint32_t	bits = ~(uint32_t) (key >> 32);
	float		score;

	bits ^= bits >> 31 != 0 ? UINT32_C(0x80000000) : UINT32_MAX;
	memcpy(&score, &bits, sizeof(score));
	return score;
}

size_t
tfrs_shortlist_room(size_t k)
{
	return 2 * k + 2 * BLOCK;
}

void
tfrs_shortlist_begin(tfrs_shortlist *list, float query_norm, float longest)
{
	double		rounding = 2.0 * ((double) list->dim + 4.0) / (1 << 24);

	list->margin = (float) (1.01 * rounding * query_norm * longest) + FLT_MIN;
	if (list->addend != NULL)
		list->margin += 0x1p-22f * (query_norm * longest + list->largest_addend);
	list->threshold = -FLT_MAX;
	list->room = tfrs_shortlist_room(list->k);
	list->exact = 0;
	list->count = 0;
}

/* Brings the k smallest of the keys, which are distinct, to the front (Hoare's FIND). */
static void
select_smallest(uint64_t *keys, size_t count, size_t k)
{
	ptrdiff_t	wanted = (ptrdiff_t) k - 1;
	ptrdiff_t	low = 0;
	ptrdiff_t	high = (ptrdiff_t) count - 1;

	while (low < high)
	{
		uint64_t	pivot = keys[low + (high - low) / 2];
		ptrdiff_t	i = low;
		ptrdiff_t	j = high;

		while (i <= j)
		{
			uint64_t	key;

			while (keys[i] < pivot)
				i++;
			while (keys[j] > pivot)
				j--;
			if (i > j)
				break;
			key = keys[i];
			keys[i++] = keys[j];
			keys[j--] = key;
		}
		if (wanted <= j)
			high = j;
		else if (wanted >= i)
			low = i;
		else
			return;
	}
}

/* Sorts runs of RUN keys by insertion. */
static void
sort_runs(uint64_t *keys, size_t count)
{
	for (size_t first = 0; first < count; first += RUN)
	{
		size_t		end = count - first < RUN ? count : first + RUN;

		for (size_t i = first + 1; i < end; i++)
		{
			uint64_t	key = keys[i];
			size_t		place = i;

			for (; place > first && keys[place - 1] > key; place--)
				keys[place] = keys[place - 1];
			keys[place] = key;
		}
	}
}

/* Merges from [first, middle) and [middle, end); which key comes next is no branch. */
static void
merge(const uint64_t *from, size_t first, size_t middle, size_t end, uint64_t *to)
{
	size_t		left = first;
	size_t		right = middle;
	size_t		place = first;

	while (left < middle && right < end)
	{
		bool		takes_right = from[right] < from[left];

		to[place++] = takes_right ? from[right] : from[left];
		right += takes_right;
		left += !takes_right;
	}
	memcpy(to + place, from + left, (middle - left) * sizeof(*to));
	memcpy(to + place + (middle - left), from + right, (end - right) * sizeof(*to));
}

static void
sort_keys(uint64_t *keys, size_t count, uint64_t *scratch)
{
	uint64_t   *from = keys;
	uint64_t   *to = scratch;

	sort_runs(keys, count);
	for (size_t width = RUN; width < count; width *= 2)
	{
		uint64_t   *sorted = to;

		for (size_t first = 0; first < count; first += 2 * width)
		{
			size_t		middle = count - first < width ? count : first + width;
			size_t		end = count - first < 2 * width ? count : first + 2 * width;

			merge(from, first, middle, end, to);
		}
		to = from;
		from = sorted;
	}
	if (from != keys)
		memcpy(keys, from, count * sizeof(*keys));
}

/* Gives all keys their scores. */
static void
score_keys(tfrs_shortlist *list)
{
	for (; list->exact < list->count; list->exact++)
	{
		uint32_t	row = tfrs_shortlist_row(list, list->exact);
		float		score = tfrs_kernels.dot(list->query, list->rows + row * list->dim, list->dim);

		if (list->addend != NULL)
			score += list->addend[row];
		list->keys[list->exact] = key_of(score, row);
	}
}

/*
 * Keeps the best k of more.  No row whose product is a margin below the k-th score can enter then.
 */
static void
make_room(tfrs_shortlist *list)
{
	float		threshold;

	score_keys(list);
	select_smallest(list->keys, list->count, list->k);
	list->count = list->exact = list->k;
	threshold = score_of(list->keys[list->k - 1]) - list->margin;
	if (threshold > list->threshold)
		list->threshold = threshold;
}

static size_t
count_from(const float *products, size_t count, float threshold)
{
	uint32_t	found = 0;

	for (size_t j = 0; j < count; j++)
		found += products[j] >= threshold;
	return found;
}

/* Mean of some of the cells that are not hidden. */
static float
sample_mean(const float *products, size_t count)
{
	size_t		step = count / SAMPLE + 1;
	float		sum = 0.0f;
	float		seen = 0.0f;

	for (size_t j = 0; j < count; j += step)
	{
		if (products[j] < -FLT_MAX)
			continue;
		sum += products[j];
		seen += 1.0f;
	}
	return seen > 0.0f ? sum / seen : 0.0f;
}

/*
 * The first threshold: a product that at least k cells reach and not many more, by bisection
 * between mean and maximum.
 */
static void
guess_threshold(tfrs_shortlist *list, const float *products, size_t count)
{
	float		low = sample_mean(products, count);
	float		high = tfrs_kernels.maximum(products, count);
	float		guess = low;

	for (int i = 0; i < GUESSES && guess < high; i++)
	{
		size_t		found = count_from(products, count, guess);

		if (found < list->k)
			high = guess;
		else
		{
			low = guess;
			if (guess - 2.0f * list->margin > list->threshold)
				list->threshold = guess - 2.0f * list->margin;
			if (found <= list->k + list->k / 2)
				return;
		}
		guess = low + (high - low) / 2;
	}
}

/* Appends the rows of a block that reach the threshold; there is room for all. */
static void
append(tfrs_shortlist *list, const float *products, size_t count, uint32_t first)
{
	uint64_t   *keys = list->keys + list->count;
	float		threshold = list->threshold;
	size_t		taken = 0;

	for (size_t i = 0; i < count; i++)
	{
		keys[taken] = first + i;
		taken += products[i] >= threshold;
	}
	list->count += taken;
}

float
tfrs_shortlist_add(tfrs_shortlist *list, const float *products, size_t count, uint32_t first)
{
	float		largest = -INFINITY;

	if (list->threshold == -FLT_MAX && count > 2 * list->k)
		guess_threshold(list, products, count);
	for (size_t j = 0; j < count; j += BLOCK)
	{
		size_t		width = count - j < BLOCK ? count - j : BLOCK;
		float		peak = tfrs_kernels.maximum(products + j, width);

		largest = peak > largest ? peak : largest;
		if (peak < list->threshold)
			continue;
		if (list->count + width > list->room)
			make_room(list);
		append(list, products + j, width, first + (uint32_t) j);
	}
	return largest;
}

void
tfrs_shortlist_finish(tfrs_shortlist *list)
{
	score_keys(list);
	sort_keys(list->keys, list->count, list->scratch);
	if (list->count > list->k)
		list->count = list->k;
}
