/*
 * popularity.c: a walk over the events that foretells some of them, rounds of expectation
 * maximization, a second walk that compares lists, and what is left at its end.
 */
#include "learning/popularity.h"

#include <math.h>
#include <string.h>

#include "base/topk.h"

#define DAY 86400
#define LONGEST (128.0 * DAY)	/* half-life of the last counter but one */
#define LAG DAY					/* an event is foretold from what was known this long before */
#define WARM 10					/* one event of that many comes too early to be foretold */
#define MOST_SAMPLED ((size_t) 100000)
#define ROUNDS 50
#define TOP 10
#define MOST_CHECKS ((size_t) 256)
#define CHECKED_CANDIDATES ((size_t) 1 << 22)	/* of all checks */
#define MORE 1.03
#define LEAST_P 1e-12

/* Where nothing can be foretold: all time, and a little of everything. */
#define UNIFORM 0.05

/* Events of a step. */
#define STEP_EVENTS ((size_t) 1 << 18)

enum
{
	SORT,
	FORETELL,
	MAXIMIZE,
	COMPARE,
	ADD_REST,
	FINISH,
	KNOWN
};

bool
tfrs_popularity_fit_bytes(size_t events, size_t candidates, size_t *bytes)
{
	tfrs_layout layout = {0, true};

	tfrs_layout_place(&layout, events, 2 * sizeof(tfrs_timed_event));
	tfrs_layout_place(&layout, 2 * tfrs_size_smaller(events, MOST_SAMPLED), sizeof(tfrs_foretold));
	tfrs_layout_place(&layout, candidates, (TFRS_HALF_LIVES + 3) * sizeof(float));
	return layout.fits && tfrs_size_add(*bytes, layout.bytes, bytes);
}

void
tfrs_popularity_fit_free(tfrs_popularity_fit *fit)
{
	tfrs_arena *arena = fit->arena;

	if (arena == NULL)
		return;
	tfrs_time_order_free(&fit->order);
	tfrs_arena_release(arena, fit->sample);
	tfrs_arena_release(arena, fit->counters.count);
	tfrs_arena_release(arena, fit->counters.seconds);
	tfrs_arena_release(arena, fit->result.end);
	tfrs_arena_release(arena, fit->result.all);
	memset(fit, 0, sizeof(*fit));
}

static tfrs_status
get_memory(tfrs_popularity_fit *fit, tfrs_error *error)
{
	tfrs_arena *arena = fit->arena;
	size_t		candidates = fit->candidates;
	tfrs_status status = TFRS_GET(arena, &fit->sample, fit->sampled_room, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->counters.count, candidates * TFRS_HALF_LIVES, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->counters.seconds, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->result.end, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->result.all, candidates, error);
	return status;
}

tfrs_status
tfrs_popularity_fit_begin(tfrs_popularity_fit *fit, tfrs_arena *arena, const tfrs_events *events,
						  size_t candidates, tfrs_error *error)
{
	size_t		checks = CHECKED_CANDIDATES / (candidates + 1) + 8;
	tfrs_status status;

	memset(fit, 0, sizeof(*fit));
	fit->arena = arena;
	fit->events = events;
	fit->candidates = candidates;
	fit->result.candidates = candidates;
	fit->stride = (events->count + MOST_SAMPLED - 1) / MOST_SAMPLED;
	fit->stride += fit->stride == 0;
	fit->sampled_room = events->count / fit->stride + 1;
	fit->checks = checks < MOST_CHECKS ? checks : MOST_CHECKS;
	status = tfrs_time_order_begin(&fit->order, arena, events, error);
	if (status == TFRS_OK)
		status = get_memory(fit, error);
	if (status != TFRS_OK)
		tfrs_popularity_fit_free(fit);
	return status;
}

/* decay (TFRS_HALF_LIVES) of an age: a half-life is twice the one before. */
static void
decays(uint32_t seconds, double *decay)
{
	double		d = exp2(-(double) seconds / LONGEST);

	decay[TFRS_HALF_LIVES - 1] = 1;
	for (size_t h = TFRS_HALF_LIVES - 1; h-- > 0;)
	{
		decay[h] = d;
		d *= d;
	}
}

static uint32_t
candidate_of(const tfrs_popularity_fit *fit, size_t place)
{
	return fit->events->candidate[fit->order.order[place].event];
}

/* Adds the next event in the order of time. */
static void
add_event(tfrs_popularity_fit *fit)
{
	tfrs_popularity_counters *counters = &fit->counters;
	uint32_t	now = fit->order.order[counters->added].seconds;
	uint32_t	candidate = candidate_of(fit, counters->added);
	float	   *count = counters->count + (size_t) candidate * TFRS_HALF_LIVES;
	double		decay[TFRS_HALF_LIVES];

	counters->met += count[TFRS_HALF_LIVES - 1] == 0;
	decays(now - counters->seconds[candidate], decay);
	for (size_t h = 0; h < TFRS_HALF_LIVES; h++)
		count[h] = (float) (count[h] * decay[h]) + 1;
	decays(now - counters->last, decay);
	for (size_t h = 0; h < TFRS_HALF_LIVES; h++)
		counters->mass[h] = counters->mass[h] * decay[h] + 1;
	counters->seconds[candidate] = now;
	counters->last = now;
	counters->added++;
}

/* share (TFRS_HALF_LIVES): of each decayed count, that of the candidate, when the last event was added. */
static void
shares_of(const tfrs_popularity_counters *counters, uint32_t candidate, double *share)
{
	const float *count = counters->count + (size_t) candidate * TFRS_HALF_LIVES;

	decays(counters->last - counters->seconds[candidate], share);
	for (size_t h = 0; h < TFRS_HALF_LIVES; h++)
		share[h] *= count[h] / counters->mass[h];
}

static double
weight_of(const tfrs_popularity_fit *fit, uint32_t event)
{
	const uint64_t *offsets = fit->events->offsets;
	size_t		low = 0;
	size_t		high = fit->events->queries;

	while (high - low > 1)
	{
		size_t		middle = low + (high - low) / 2;

		if (offsets[middle] <= event)
			low = middle;
		else
			high = middle;
	}
	return 1 / sqrt((double) (offsets[low + 1] - offsets[low]));
}

/* Whether the next event to be added happened long enough before that second. */
static bool
is_known(const tfrs_popularity_fit *fit, uint32_t seconds)
{
	return fit->counters.added < fit->events->count &&
		(uint64_t) fit->order.order[fit->counters.added].seconds + LAG < seconds;
}

static void
foretell_event(tfrs_popularity_fit *fit, size_t place)
{
	tfrs_foretold *one = &fit->sample[fit->sampled];
	double		share[TFRS_HALF_LIVES];

	one->seconds = fit->order.order[place].seconds;
	one->candidate = candidate_of(fit, place);
	if (fit->counters.count[(size_t) one->candidate * TFRS_HALF_LIVES + TFRS_HALF_LIVES - 1] == 0)
		return;
	shares_of(&fit->counters, one->candidate, share);
	for (size_t h = 0; h < TFRS_HALF_LIVES; h++)
		one->share[h] = (float) share[h];
	one->share[TFRS_HALF_LIVES] = 1 / (float) fit->counters.met;
	one->weight = (float) weight_of(fit, fit->order.order[place].event);
	fit->sampled++;
}

/* Adds what was known before the next event that is foretold, and foretells it. */
static tfrs_status
foretell(tfrs_popularity_fit *fit)
{
	size_t		first = (fit->events->count + WARM - 1) / WARM;
	size_t		work = 0;

	while (work++ < STEP_EVENTS)
	{
		size_t		place = first + fit->done * fit->stride;

		if (place >= fit->events->count)
			return TFRS_OK;
		if (is_known(fit, fit->order.order[place].seconds))
			add_event(fit);
		else
		{
			foretell_event(fit, place);
			fit->done++;
		}
	}
	return TFRS_MORE;
}

static void
begin_mixture(tfrs_popularity_fit *fit)
{
	double	   *w = fit->mixture;

	for (size_t h = 0; h < TFRS_POPULARITY_PARTS; h++)
		w[h] = fit->sampled > 0 ? 1.0 / TFRS_POPULARITY_PARTS : 0;
	if (fit->sampled > 0)
		return;
	w[TFRS_HALF_LIVES] = UNIFORM;
	w[TFRS_HALF_LIVES - 1] = 1 - UNIFORM;
}

/* A round of expectation maximization. */
static tfrs_status
maximize(tfrs_popularity_fit *fit)
{
	double		next[TFRS_POPULARITY_PARTS] = {0};
	double		total = 0;

	for (size_t s = 0; s < fit->sampled; s++)
	{
		const tfrs_foretold *one = &fit->sample[s];
		double		p[TFRS_POPULARITY_PARTS];
		double		sum = 0;

		for (size_t h = 0; h < TFRS_POPULARITY_PARTS; h++)
			sum += p[h] = one->share[h] * fit->mixture[h];
		for (size_t h = 0; h < TFRS_POPULARITY_PARTS && sum > 0; h++)
			next[h] += one->weight / sum * p[h];
		total += one->weight;
	}
	for (size_t h = 0; h < TFRS_POPULARITY_PARTS && total > 0; h++)
		fit->mixture[h] = next[h] / total;
	return ++fit->done < ROUNDS ? TFRS_MORE : TFRS_OK;
}

static void
reset_counters(tfrs_popularity_fit *fit)
{
	tfrs_popularity_counters *counters = &fit->counters;

	memset(counters->count, 0, fit->candidates * TFRS_HALF_LIVES * sizeof(float));
	memset(counters->seconds, 0, fit->candidates * sizeof(uint32_t));
	memset(counters->mass, 0, sizeof(counters->mass));
	counters->last = 0;
	counters->added = counters->met = 0;
}

static double
mixed(const tfrs_popularity_fit *fit, const double *share)
{
	double		p = fit->mixture[TFRS_HALF_LIVES] / (double) fit->candidates;

	for (size_t h = 0; h < TFRS_HALF_LIVES; h++)
		p += fit->mixture[h] * share[h];
	return p;
}

typedef struct popular_lists
{
	tfrs_topk	topk[TFRS_HALF_LIVES + 1];	/* the likeliest mixture's last */
	tfrs_hit	hits[TFRS_HALF_LIVES + 1][TOP];
} popular_lists;

static void
list_popular(const tfrs_popularity_fit *fit, popular_lists *lists)
{
	for (size_t m = 0; m <= TFRS_HALF_LIVES; m++)
		tfrs_topk_init(&lists->topk[m], lists->hits[m], tfrs_size_smaller(TOP, fit->candidates));
	for (uint32_t c = 0; c < fit->candidates; c++)
	{
		double		share[TFRS_HALF_LIVES];
		double		p;

		shares_of(&fit->counters, c, share);
		p = mixed(fit, share);
		for (size_t h = 0; h < TFRS_HALF_LIVES; h++)
			tfrs_topk_push(&lists->topk[h], (float) (p + share[h]), c);
		tfrs_topk_push(&lists->topk[TFRS_HALF_LIVES], (float) p, c);
	}
}

static void
count_hits(tfrs_popularity_fit *fit, const popular_lists *lists, const tfrs_foretold *one)
{
	for (size_t m = 0; m <= TFRS_HALF_LIVES; m++)
		for (size_t i = 0; i < lists->topk[m].count; i++)
			if (lists->hits[m][i].row == one->candidate)
				fit->hit[m] += one->weight;
}

/* The time of a check, of as many as the events are cut into. */
static uint32_t
time_of_check(const tfrs_popularity_fit *fit, size_t check)
{
	return fit->order.order[check * fit->events->count / fit->checks].seconds;
}

/* Counts the events of the sample that a check came a lag before, and no later one. */
static void
look_back(tfrs_popularity_fit *fit, size_t check)
{
	uint64_t	until = check + 1 < fit->checks
		? (uint64_t) time_of_check(fit, check + 1) + LAG : UINT64_MAX;
	popular_lists lists;

	if (fit->counters.added == 0 || fit->looked == fit->sampled ||
		fit->sample[fit->looked].seconds >= until)
		return;
	list_popular(fit, &lists);
	for (; fit->looked < fit->sampled && fit->sample[fit->looked].seconds < until; fit->looked++)
		count_hits(fit, &lists, &fit->sample[fit->looked]);
}

/* Adds the events before the next check, or does it. */
static tfrs_status
compare(tfrs_popularity_fit *fit)
{
	size_t		work = 0;

	if (fit->sampled == 0)
		return TFRS_OK;
	for (; work < STEP_EVENTS && fit->done < fit->checks; work++)
	{
		if (fit->counters.added < fit->events->count &&
			fit->order.order[fit->counters.added].seconds < time_of_check(fit, fit->done))
		{
			add_event(fit);
			continue;
		}
		look_back(fit, fit->done++);
		work += 8 * fit->candidates;
	}
	return fit->done < fit->checks ? TFRS_MORE : TFRS_OK;
}

/* Half of the likeliest mixture may give way to one half-life. */
static void
choose_mixture(tfrs_popularity_fit *fit)
{
	double	   *w = fit->mixture;
	size_t		best = 0;

	for (size_t h = 1; h < TFRS_HALF_LIVES; h++)
		if (fit->hit[h] > fit->hit[best])
			best = h;
	if (fit->hit[best] > MORE * fit->hit[TFRS_HALF_LIVES])
	{
		for (size_t h = 0; h < TFRS_POPULARITY_PARTS; h++)
			w[h] /= 2;
		w[best] += 0.5;
	}
	for (size_t h = 0; h < TFRS_POPULARITY_PARTS; h++)
		fit->result.weight[h] = (float) w[h];
}

static tfrs_status
add_rest(tfrs_popularity_fit *fit)
{
	for (size_t i = 0; i < STEP_EVENTS && fit->counters.added < fit->events->count; i++)
		add_event(fit);
	return fit->counters.added < fit->events->count ? TFRS_MORE : TFRS_OK;
}

/* ln p of some candidates. */
static tfrs_status
finish(tfrs_popularity_fit *fit)
{
	size_t		end = fit->done + tfrs_size_smaller(STEP_EVENTS, fit->candidates - fit->done);
	double		uniform = fit->mixture[TFRS_HALF_LIVES];

	for (size_t c = fit->done; c < end; c++)
	{
		double		share[TFRS_HALF_LIVES];

		shares_of(&fit->counters, (uint32_t) c, share);
		fit->result.end[c] = (float) log(mixed(fit, share) + LEAST_P);
		fit->result.all[c] = (float) log((1 - uniform) * share[TFRS_HALF_LIVES - 1] +
										 uniform / (double) fit->candidates + LEAST_P);
	}
	fit->done = end;
	return end < fit->candidates ? TFRS_MORE : TFRS_OK;
}

static void
advance(tfrs_popularity_fit *fit)
{
	fit->done = 0;
	fit->phase++;
	if (fit->phase == MAXIMIZE)
		begin_mixture(fit);
	else if (fit->phase == COMPARE)
		reset_counters(fit);
	else if (fit->phase == ADD_REST)
		choose_mixture(fit);
}

tfrs_status
tfrs_popularity_fit_step(tfrs_popularity_fit *fit)
{
	tfrs_status status = TFRS_OK;

	switch (fit->phase)
	{
		case SORT:
			status = tfrs_time_order_step(&fit->order);
			break;
		case FORETELL:
			status = foretell(fit);
			break;
		case MAXIMIZE:
			status = maximize(fit);
			break;
		case COMPARE:
			status = compare(fit);
			break;
		case ADD_REST:
			status = add_rest(fit);
			break;
		case FINISH:
			status = finish(fit);
			break;
		default:
			return TFRS_OK;
	}
	if (status == TFRS_OK)
		advance(fit);
	return fit->phase < KNOWN ? TFRS_MORE : TFRS_OK;
}
