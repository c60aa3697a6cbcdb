/*
 * selection.c: the greedy choice.
 *
 * What a rule rejects once it rejects from then on: limits only fill up, and places that are kept
 * free are never given back.  So one pass over the candidates suffices, and a second one where fewer
 * than "at least" exist: then the places that were kept free are given to any.
 */
#include "retrieval/selection.h"

#include <math.h>

#include "base/kernels.h"

/* Shares of k are numbers like 0.3, whose products with k miss the integer by a hair. */
#define ROUNDING 1e-9

typedef struct choice
{
	const tfrs_selection *rules;
	size_t		pool_room;		/* candidates that compete: 1 without diversity */
	bool		keeps_free;		/* "at least" is minded */
	uint32_t   *used;			/* (limits, count) rows with a value */
	size_t	   *trues;			/* (shares) */
	bool	   *taken;			/* (count) */
	uint32_t   *pool;			/* (pool_room) places in hits, ascending */
	float	   *nearest;		/* (pool_room) largest cosine with what was picked; 0: nothing yet */
	size_t		pool_count;
	size_t		next;			/* hit that is looked at next */
	size_t		picks;
} choice;

static bool
is_within_limits(const choice *choice, size_t i)
{
	const tfrs_selection *rules = choice->rules;

	for (size_t l = 0; l < rules->limits; l++)
	{
		uint32_t	value = rules->value[i * rules->limits + l];

		if (value != TFRS_NO_VALUE && choice->used[l * rules->count + value] >= rules->most[l])
			return false;
	}
	return true;
}

static bool
is_within_shares(const choice *choice, size_t i)
{
	const tfrs_selection *rules = choice->rules;
	double		k = (double) rules->k;
	double		left = k - (double) choice->picks - 1;

	for (size_t s = 0; s < rules->shares; s++)
	{
		double		trues = (double) choice->trues[s] + rules->is_true[i * rules->shares + s];
		double		most = floor(rules->share[s].most * k + ROUNDING);
		double		least = ceil(rules->share[s].least * k - ROUNDING);

		if (rules->is_true[i * rules->shares + s] && trues > most)
			return false;
		if (choice->keeps_free && least - trues > left)
			return false;
	}
	return true;
}

static bool
is_let_through(const choice *choice, size_t i)
{
	return !choice->taken[i] && is_within_limits(choice, i) && is_within_shares(choice, i);
}

static float
cosine(const tfrs_selection *rules, size_t a, size_t b)
{
	const float *x = rules->vectors + (size_t) rules->hits[a].row * rules->dim;
	const float *y = rules->vectors + (size_t) rules->hits[b].row * rules->dim;
	float		norms = sqrtf(tfrs_kernels.dot(x, x, rules->width)) *
		sqrtf(tfrs_kernels.dot(y, y, rules->width));

	return norms > 0 ? tfrs_kernels.dot(x, y, rules->width) / norms : 0;
}

/* Drops what is not let through any more, and adds what is looked at next. */
static void
fill_pool(choice *choice, const uint32_t *picked)
{
	const tfrs_selection *rules = choice->rules;
	size_t		kept = 0;

	for (size_t p = 0; p < choice->pool_count; p++)
	{
		if (!is_let_through(choice, choice->pool[p]))
			continue;
		choice->pool[kept] = choice->pool[p];
		choice->nearest[kept++] = choice->nearest[p];
	}
	for (; kept < choice->pool_room && choice->next < rules->count; choice->next++)
	{
		if (!is_let_through(choice, choice->next))
			continue;
		choice->pool[kept] = (uint32_t) choice->next;
		choice->nearest[kept] = 0;
		for (size_t i = 0; rules->diversity > 0 && i < choice->picks; i++)
		{
			float		near = cosine(rules, choice->next, picked[i]);

			choice->nearest[kept] = i == 0 ? near : fmaxf(choice->nearest[kept], near);
		}
		kept++;
	}
	choice->pool_count = kept;
}

/* How good a score is: 1 for the best, 0 for the one of rank k. */
static double
relevance(const tfrs_selection *rules, size_t i)
{
	size_t		last = (rules->k < rules->count ? rules->k : rules->count) - 1;
	double		spread = (double) rules->hits[0].score - rules->hits[last].score;
	double		relevance = ((double) rules->hits[i].score - rules->hits[last].score) / spread;

	return isfinite(relevance) ? relevance : 0;
}

/* The place in the pool of the best. */
static size_t
best_of_pool(const choice *choice)
{
	const tfrs_selection *rules = choice->rules;
	size_t		best = 0;
	double		most = -INFINITY;

	for (size_t p = 0; rules->diversity > 0 && p < choice->pool_count; p++)
	{
		double		value = (1 - rules->diversity) * relevance(rules, choice->pool[p]) -
			rules->diversity * choice->nearest[p];

		if (value > most)
		{
			most = value;
			best = p;
		}
	}
	return best;
}

static void
take(choice *choice, size_t i)
{
	const tfrs_selection *rules = choice->rules;

	choice->taken[i] = true;
	for (size_t l = 0; l < rules->limits; l++)
		if (rules->value[i * rules->limits + l] != TFRS_NO_VALUE)
			choice->used[l * rules->count + rules->value[i * rules->limits + l]]++;
	for (size_t s = 0; s < rules->shares; s++)
		choice->trues[s] += rules->is_true[i * rules->shares + s];
	for (size_t p = 0; rules->diversity > 0 && p < choice->pool_count; p++)
	{
		float		near = cosine(rules, choice->pool[p], i);

		choice->nearest[p] = choice->picks == 0 ? near : fmaxf(choice->nearest[p], near);
	}
	choice->picks++;
}

/* TFRS_MORE: other candidates could have had a place. */
static tfrs_status
choose(choice *choice, uint32_t *picked)
{
	const tfrs_selection *rules = choice->rules;

	while (choice->picks < rules->k)
	{
		uint32_t	place;

		fill_pool(choice, picked);
		if (choice->pool_count < choice->pool_room && !rules->is_all)
			return TFRS_MORE;
		if (choice->pool_count == 0 && !choice->keeps_free)
			break;
		if (choice->pool_count == 0)
		{
			choice->keeps_free = false;
			choice->next = 0;
			continue;
		}
		place = choice->pool[best_of_pool(choice)];
		take(choice, place);
		picked[choice->picks - 1] = place;
	}
	return TFRS_OK;
}

/* By insertion: only what came in the second pass is out of order. */
static void
sort_places(uint32_t *places, size_t count)
{
	for (size_t i = 1; i < count; i++)
	{
		uint32_t	place = places[i];
		size_t		j = i;

		for (; j > 0 && places[j - 1] > place; j--)
			places[j] = places[j - 1];
		places[j] = place;
	}
}

static tfrs_status
get(choice *choice, tfrs_arena *arena, tfrs_error *error)
{
	const tfrs_selection *rules = choice->rules;
	tfrs_status status = TFRS_GET_ZERO(arena, &choice->used, rules->limits * rules->count, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &choice->trues, rules->shares, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &choice->taken, rules->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->pool, choice->pool_room, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->nearest, choice->pool_room, error);
	return status;
}

static void
release(choice *choice, tfrs_arena *arena)
{
	tfrs_arena_release(arena, choice->used);
	tfrs_arena_release(arena, choice->trues);
	tfrs_arena_release(arena, choice->taken);
	tfrs_arena_release(arena, choice->pool);
	tfrs_arena_release(arena, choice->nearest);
}

size_t
tfrs_selection_ask(const tfrs_selection *rules)
{
	if (rules->diversity > 0)
		return (TFRS_SELECTION_POOL + 1) * rules->k;
	return rules->limits + rules->shares > 0 ? 2 * rules->k + 8 : rules->k;
}

tfrs_status
tfrs_selection_run(const tfrs_selection *selection, tfrs_arena *arena, uint32_t *picked,
				   size_t *picked_count, tfrs_error *error)
{
	choice		choice = {.rules = selection, .keeps_free = selection->shares > 0};
	tfrs_status status;

	*picked_count = 0;
	choice.pool_room = selection->diversity > 0 ? TFRS_SELECTION_POOL * selection->k : 1;
	status = get(&choice, arena, error);
	if (status == TFRS_OK)
		status = choose(&choice, picked);
	if (status == TFRS_OK && selection->diversity == 0)
		sort_places(picked, choice.picks);
	*picked_count = choice.picks;
	release(&choice, arena);
	return status;
}
