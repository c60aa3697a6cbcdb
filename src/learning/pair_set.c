/*
 * pair_set.c: a radix sort of pairs, the least significant byte first, in bounded steps.
 *
 * The bytes are counted in one pass; a byte that is the same in all pairs (most are) costs no pass
 * of its own.
 */
#include "learning/pair_set.h"

#include <string.h>

#include "base/assertion.h"

#define STEP_PAIRS ((size_t) 1 << 19)

#define LEAST_CAPACITY 1024

enum
{
	COUNTING,
	SCATTERING,					/* by byte phase - SCATTERING */
	UNITING = SCATTERING + TFRS_PAIR_DIGITS,
	LISTING,
	FINISHED
};

void
tfrs_pair_set_init(tfrs_pair_set *set, tfrs_arena *arena)
{
	memset(set, 0, sizeof(*set));
	set->arena = arena;
}

static void
free_scratch(tfrs_pair_set *set)
{
	tfrs_arena_release(set->arena, set->spare);
	tfrs_arena_release(set->arena, set->places);
	set->spare = NULL;
	set->places = NULL;
}

void
tfrs_pair_set_free(tfrs_pair_set *set)
{
	free_scratch(set);
	tfrs_arena_release(set->arena, set->pairs);
	tfrs_arena_release(set->arena, set->noted);
	tfrs_pair_set_init(set, set->arena);
}

tfrs_status
tfrs_pair_set_grow(tfrs_pair_set *set, tfrs_error *error)
{
	size_t		capacity = set->capacity + set->capacity / 2 + LEAST_CAPACITY;
	tfrs_status status = TFRS_RESIZE(set->arena, &set->pairs, capacity, error);

	if (status == TFRS_OK)
		set->capacity = capacity;
	return status;
}

static size_t
step_end(const tfrs_pair_set *set)
{
	return set->count - set->position < STEP_PAIRS ? set->count : set->position + STEP_PAIRS;
}

static void
count_bytes(tfrs_pair_set *set)
{
	for (size_t end = step_end(set); set->position < end; set->position++)
		for (int digit = 0; digit < TFRS_PAIR_DIGITS; digit++)
			set->places[digit][set->pairs[set->position] >> 8 * digit & 255]++;
}

/* Numbers to first places; false where one byte has all pairs. */
static bool
make_places(size_t places[256], size_t count)
{
	size_t		sum = 0;
	bool		moves = true;

	for (int byte = 0; byte < 256; byte++)
	{
		size_t		pairs = places[byte];

		moves = moves && pairs < count;
		places[byte] = sum;
		sum += pairs;
	}
	return moves;
}

static void
scatter(tfrs_pair_set *set, int digit)
{
	size_t	   *places = set->places[digit];

	for (size_t end = step_end(set); set->position < end; set->position++)
	{
		uint64_t	pair = set->pairs[set->position];

		set->spare[places[pair >> 8 * digit & 255]++] = pair;
	}
}

static void
swap_spare(tfrs_pair_set *set)
{
	uint64_t   *sorted = set->spare;

	set->spare = set->pairs;
	set->pairs = sorted;
}

/* To the next byte that needs a pass. */
static void
next_digit(tfrs_pair_set *set)
{
	set->position = 0;
	set->phase++;
	while (set->phase < UNITING && !make_places(set->places[set->phase - SCATTERING], set->count))
		set->phase++;
}

static bool
begins_list(const tfrs_pair_set *set, size_t i)
{
	return i == 0 || tfrs_pair_query(set->pairs[i - 1]) != tfrs_pair_query(set->pairs[i]);
}

/* Moves distinct pairs together and counts lists. */
static tfrs_status
unite(tfrs_pair_set *set, tfrs_error *error)
{
	for (size_t end = step_end(set); set->position < end; set->position++)
	{
		uint64_t	pair = set->pairs[set->position];

		if (set->kept > 0 && set->pairs[set->kept - 1] == pair)
			continue;
		set->pairs[set->kept] = pair;
		set->lists += begins_list(set, set->kept++);
	}
	if (set->position < set->count)
		return TFRS_MORE;
	set->count = set->kept;
	set->position = set->kept = 0;
	set->phase = LISTING;
	free_scratch(set);
	return TFRS_GET(set->arena, &set->noted, set->lists + 1, error);
}

/* Notes where lists begin. */
static tfrs_status
note_lists(tfrs_pair_set *set)
{
	for (size_t end = step_end(set); set->position < end; set->position++)
		if (begins_list(set, set->position))
			set->noted[set->kept++] = set->position;
	if (set->position < set->count)
		return TFRS_MORE;
	set->noted[set->lists] = set->count;
	set->start = set->noted;
	set->phase = FINISHED;
	return TFRS_OK;
}

tfrs_status
tfrs_pair_set_finish_step(tfrs_pair_set *set, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (set->phase == FINISHED)
		return TFRS_OK;
	if (set->phase == LISTING)
		return note_lists(set);
	if (set->phase == UNITING)
	{
		status = unite(set, error);
		return status == TFRS_OK ? TFRS_MORE : status;
	}
	if (set->phase == COUNTING && set->places == NULL)
		status = TFRS_GET_ZERO(set->arena, &set->places, TFRS_PAIR_DIGITS, error);
	if (status == TFRS_OK && set->spare == NULL)
		status = TFRS_GET(set->arena, &set->spare, set->count, error);
	if (status != TFRS_OK)
		return status;
	if (set->phase == COUNTING)
		count_bytes(set);
	else
		scatter(set, set->phase - SCATTERING);
	if (set->position == set->count)
	{
		if (set->phase > COUNTING)
			swap_spare(set);
		next_digit(set);
	}
	return TFRS_MORE;
}

bool
tfrs_pair_set_find(const tfrs_pair_set *set, uint32_t query, size_t *list)
{
	size_t		low = 0;
	size_t		high = set->lists;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (tfrs_pair_query(set->pairs[set->start[middle]]) < query)
			low = middle + 1;
		else
			high = middle;
	}
	*list = low;
	return low < set->lists && tfrs_pair_query(set->pairs[set->start[low]]) == query;
}

/* While it grows the old place and the new one, half as large again; else pairs and spare. */
void
tfrs_pair_set_plan(tfrs_plan *plan, size_t pairs, size_t lists)
{
	uint64_t   *none = NULL;

	TFRS_ASSERT(plan->use == TFRS_PLAN_COUNT);
	TFRS_PLAN(plan, &none, pairs);
	TFRS_PLAN(plan, &none, pairs);
	TFRS_PLAN(plan, &none, pairs / 2);
	TFRS_PLAN(plan, &none, lists + 1);
	TFRS_PLAN(plan, &none, TFRS_PAIR_DIGITS * 256);
}
