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
#include <string.h>

#include "base/kernels.h"

/* Cells that are compared with the threshold at once, and appended at most between two checks. */
#define BLOCK 64

/* Guesses of a first threshold, and cells that the first guess is made of. */
#define GUESSES 10
#define SAMPLE 64

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

/* Shell's sort with Ciura's gaps: some hundred keys, already mostly selected. */
static void
sort_keys(uint64_t *keys, size_t count)
{
	static const size_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};

	for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++)
	{
		size_t		gap = gaps[g];

		for (size_t i = gap; i < count; i++)
		{
			uint64_t	key = keys[i];
			size_t		place = i;

			for (; place >= gap && keys[place - gap] > key; place -= gap)
				keys[place] = keys[place - gap];
			keys[place] = key;
		}
	}
}

/* Gives all keys their scores and keeps the best k. */
static void
settle(tfrs_shortlist *list)
{
	for (; list->exact < list->count; list->exact++)
	{
		uint32_t	row = tfrs_shortlist_row(list, list->exact);
		float		score = tfrs_kernels.dot(list->query, list->rows + row * list->dim, list->dim);

		list->keys[list->exact] = key_of(score, row);
	}
	if (list->count > list->k)
	{
		select_smallest(list->keys, list->count, list->k);
		list->count = list->exact = list->k;
	}
}

/* After settle: no row whose product is a margin below the k-th score can enter. */
static void
raise_threshold(tfrs_shortlist *list)
{
	float		threshold = score_of(list->keys[list->k - 1]) - list->margin;

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
		{
			settle(list);
			raise_threshold(list);
		}
		append(list, products + j, width, first + (uint32_t) j);
	}
	return largest;
}

void
tfrs_shortlist_finish(tfrs_shortlist *list)
{
	settle(list);
	sort_keys(list->keys, list->count);
}
