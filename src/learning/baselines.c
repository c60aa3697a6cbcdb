/*
 * baselines.c: counting what candidates have in common.
 *
 * Item-item is built from the sparse lists: a candidate's row of common counts is the sum of the
 * lists of the queries that chose it.  Each candidate keeps its nearest; the table is then turned
 * round, so that ranking a query touches only what its own candidates are near to.
 */
#include "learning/baselines.h"

#include <math.h>
#include <string.h>

#include "base/team.h"

/* Events, or entries of the table, of a step that moves them. */
#define STEP_ENTRIES ((size_t) 1 << 20)

/* Counts of a step that adds them up, for each thread. */
#define STEP_COUNTS ((size_t) 1 << 20)

enum
{
	COUNTING,					/* how often each candidate was chosen */
	PLACING,					/* queries by candidate */
	LINKING,					/* the nearest of each candidate */
	TURNING,					/* how many have a candidate among their nearest */
	FILLING,
	BUILT
};

static tfrs_status
order_by_counts(tfrs_popularity *popularity, const uint32_t *counts, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (size_t n = 0; status == TFRS_OK && n < popularity->candidates; n++)
		status = tfrs_pair_set_add(&popularity->order, UINT32_MAX - counts[n], (uint32_t) n,
								   error);
	return status;
}

tfrs_status
tfrs_popularity_begin(tfrs_popularity *popularity, tfrs_arena *arena, const tfrs_events *events,
					  const uint32_t *counts, size_t candidates, tfrs_error *error)
{
	memset(popularity, 0, sizeof(*popularity));
	tfrs_pair_set_init(&popularity->order, arena);
	popularity->events = events;
	popularity->candidates = candidates;
	if (events == NULL)
		return order_by_counts(popularity, counts, error);
	return TFRS_GET_ZERO(arena, &popularity->counts, candidates, error);
}

/* The end of a step that begins at position. */
static size_t
step_end(size_t position, size_t count)
{
	return count - position < STEP_ENTRIES ? count : position + STEP_ENTRIES;
}

tfrs_status
tfrs_popularity_step(tfrs_popularity *popularity, tfrs_error *error)
{
	const tfrs_events *events = popularity->events;
	tfrs_status status;

	if (popularity->order.count > 0)
		return tfrs_pair_set_finish_step(&popularity->order, error);
	for (size_t end = step_end(popularity->position, events->count); popularity->position < end;
		 popularity->position++)
		popularity->counts[events->candidate[popularity->position]]++;
	if (popularity->position < events->count)
		return TFRS_MORE;
	status = order_by_counts(popularity, popularity->counts, error);
	return status == TFRS_OK ? TFRS_MORE : status;
}

size_t
tfrs_popularity_rank(const tfrs_popularity *popularity, const uint64_t *marked, size_t k,
					 uint32_t *top)
{
	const tfrs_pair_set *order = &popularity->order;
	size_t		found = 0;

	for (size_t i = 0; i < order->count && found < k; i++)
	{
		top[found] = tfrs_pair_candidate(order->pairs[i]);
		found += !tfrs_is_marked(marked, top[found]);
	}
	return found;
}

tfrs_status
tfrs_item_item_scratch_get(tfrs_item_item_scratch *scratch, tfrs_arena *arena, size_t candidates,
						   size_t k, tfrs_error *error)
{
	size_t		most = k > TFRS_NEIGHBOURS ? k : TFRS_NEIGHBOURS;
	tfrs_status status = TFRS_GET_ZERO(arena, &scratch->common, candidates, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &scratch->score, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &scratch->touched, candidates + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &scratch->hits, most, error);
	return status;
}

tfrs_status
tfrs_item_item_begin(tfrs_item_item *item_item, tfrs_arena *arena, const tfrs_events *events,
					 size_t candidates, int threads, tfrs_item_item_scratch *scratch,
					 tfrs_error *error)
{
	tfrs_status status;

	memset(item_item, 0, sizeof(*item_item));
	item_item->arena = arena;
	item_item->events = events;
	item_item->candidates = candidates;
	item_item->threads = threads;
	item_item->scratch = scratch;
	status = TFRS_GET_ZERO(arena, &item_item->chosen_start, candidates + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &item_item->chosen, events->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &item_item->nearest, candidates * TFRS_NEIGHBOURS, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &item_item->nearest_count, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &item_item->start, candidates + 1, error);
	return status;
}

/* Counts in [0, count) to the places where runs of that length begin; start[count] is the sum. */
static void
counts_to_starts(size_t *start, size_t count)
{
	size_t		sum = 0;

	for (size_t i = 0; i <= count; i++)
	{
		size_t		run = start[i];

		start[i] = sum;
		sum += run;
	}
}

/* Filling runs has moved each start to the next run's: moves them back. */
static void
move_starts_back(size_t *start, size_t count)
{
	memmove(start + 1, start, count * sizeof(*start));
	start[0] = 0;
}

static void
next_phase(tfrs_item_item *item_item)
{
	item_item->phase++;
	item_item->position = 0;
}

static void
count_events(tfrs_item_item *item_item)
{
	size_t		end = step_end(item_item->position, item_item->events->count);

	for (; item_item->position < end; item_item->position++)
		item_item->chosen_start[item_item->events->candidate[item_item->position]]++;
	if (end < item_item->events->count)
		return;
	counts_to_starts(item_item->chosen_start, item_item->candidates);
	next_phase(item_item);
}

static void
place_events(tfrs_item_item *item_item)
{
	const tfrs_events *events = item_item->events;
	size_t		left = STEP_ENTRIES;

	for (; item_item->position < events->queries && left > 0; item_item->position++)
	{
		size_t		query = item_item->position;
		size_t		count = events->offsets[query + 1] - events->offsets[query];

		for (uint64_t e = events->offsets[query]; e < events->offsets[query + 1]; e++)
			item_item->chosen[item_item->chosen_start[events->candidate[e]]++] = (uint32_t) query;
		left -= left < count + 1 ? left : count + 1;
	}
	if (item_item->position < events->queries)
		return;
	move_starts_back(item_item->chosen_start, item_item->candidates);
	next_phase(item_item);
}

static double
times_chosen(const tfrs_item_item *item_item, size_t candidate)
{
	return (double) (item_item->chosen_start[candidate + 1] - item_item->chosen_start[candidate]);
}

/* What the choices of candidates have to add up: an event each of a query that chose one. */
static size_t
events_of_choice(const tfrs_item_item *item_item, size_t choice)
{
	const uint64_t *offsets = item_item->events->offsets + item_item->chosen[choice];

	return 1 + (size_t) (offsets[1] - offsets[0]);
}

/*
 * Adds up what other candidates have in common with one by some of its choices.  Of those touched,
 * the first ones are listed already; returns how many are then.
 */
static size_t
count_common(const tfrs_item_item *item_item, size_t choice, size_t end,
			 tfrs_item_item_scratch *scratch, size_t touched)
{
	const tfrs_events *events = item_item->events;

	for (; choice < end; choice++)
	{
		uint32_t	query = item_item->chosen[choice];

		for (uint64_t e = events->offsets[query]; e < events->offsets[query + 1]; e++)
		{
			uint32_t	other = events->candidate[e];

			scratch->touched[touched] = other;
			touched += scratch->common[other]++ == 0;
		}
	}
	return touched;
}

/* Of those that have something in common with the candidate, the nearest; clears the counts. */
static void
take_nearest(tfrs_item_item *item_item, size_t candidate, tfrs_item_item_scratch *scratch,
			 size_t touched)
{
	double		own = times_chosen(item_item, candidate);
	tfrs_topk	topk;

	tfrs_topk_init(&topk, item_item->nearest + candidate * TFRS_NEIGHBOURS, TFRS_NEIGHBOURS);
	for (size_t t = 0; t < touched; t++)
	{
		uint32_t	other = scratch->touched[t];
		double		common = scratch->common[other];

		scratch->common[other] = 0;
		if (other != candidate)
			tfrs_topk_push(&topk, (float) (common / sqrt(own * times_chosen(item_item, other))),
						   other);
	}
	item_item->nearest_count[candidate] = (uint32_t) topk.count;
}

/* A task: the nearest of one candidate. */
static void
link_candidate(void *context, int worker, size_t task)
{
	tfrs_item_item *item_item = context;
	tfrs_item_item_scratch *scratch = &item_item->scratch[worker];
	size_t		candidate = item_item->position + task;

	take_nearest(item_item, candidate, scratch,
				 count_common(item_item, item_item->chosen_start[candidate],
							  item_item->chosen_start[candidate + 1], scratch, 0));
}

/* A candidate that is too much for a step: some of its choices, and its nearest after the last. */
static void
link_by_pieces(tfrs_item_item *item_item)
{
	size_t		candidate = item_item->position;
	size_t		first = item_item->chosen_start[candidate] + item_item->choices_done;
	size_t		last = item_item->chosen_start[candidate + 1];
	size_t		end = first;

	for (size_t work = 0; end < last && work < STEP_COUNTS; end++)
		work += events_of_choice(item_item, end);
	item_item->touched = count_common(item_item, first, end, item_item->scratch,
									  item_item->touched);
	item_item->choices_done += end - first;
	if (end < last)
		return;
	take_nearest(item_item, candidate, item_item->scratch, item_item->touched);
	item_item->choices_done = 0;
	item_item->touched = 0;
	item_item->position++;
}

/* As many candidates as add up about STEP_COUNTS a thread. */
static void
link_candidates(tfrs_item_item *item_item)
{
	size_t		most = STEP_COUNTS * (size_t) item_item->threads;
	size_t		end = item_item->position;
	size_t		work = 0;
	size_t		last = 0;		/* work of the last candidate */

	for (; end < item_item->candidates && work < most; end++, work += last)
	{
		last = 0;
		for (size_t c = item_item->chosen_start[end];
			 c < item_item->chosen_start[end + 1] && last <= STEP_COUNTS; c++)
			last += events_of_choice(item_item, c);
	}
	if (last > STEP_COUNTS)
		end--;
	if (end == item_item->position && end < item_item->candidates)
		link_by_pieces(item_item);
	else
	{
		tfrs_team_run(item_item->threads, end - item_item->position, link_candidate, item_item);
		item_item->position = end;
	}
	if (item_item->position == item_item->candidates)
		next_phase(item_item);
}

/* Candidates of a step over the table of the nearest. */
static size_t
end_of_turn(const tfrs_item_item *item_item)
{
	size_t		left = item_item->candidates - item_item->position;
	size_t		most = STEP_ENTRIES / TFRS_NEIGHBOURS;

	return item_item->position + (left < most ? left : most);
}

static tfrs_status
count_turned(tfrs_item_item *item_item, tfrs_error *error)
{
	for (size_t end = end_of_turn(item_item); item_item->position < end; item_item->position++)
	{
		const tfrs_hit *nearest = item_item->nearest + item_item->position * TFRS_NEIGHBOURS;

		for (uint32_t n = 0; n < item_item->nearest_count[item_item->position]; n++)
			item_item->start[nearest[n].row]++;
	}
	if (item_item->position < item_item->candidates)
		return TFRS_MORE;
	counts_to_starts(item_item->start, item_item->candidates);
	next_phase(item_item);
	tfrs_arena_release(item_item->arena, item_item->chosen);
	return TFRS_GET(item_item->arena, &item_item->near, item_item->start[item_item->candidates],
					error);
}

static void
fill_turned(tfrs_item_item *item_item)
{
	for (size_t end = end_of_turn(item_item); item_item->position < end; item_item->position++)
	{
		const tfrs_hit *nearest = item_item->nearest + item_item->position * TFRS_NEIGHBOURS;

		for (uint32_t n = 0; n < item_item->nearest_count[item_item->position]; n++)
			item_item->near[item_item->start[nearest[n].row]++] = (tfrs_hit) {
				nearest[n].score, (uint32_t) item_item->position
			};
	}
	if (item_item->position < item_item->candidates)
		return;
	move_starts_back(item_item->start, item_item->candidates);
	next_phase(item_item);
	tfrs_arena_release(item_item->arena, item_item->nearest);
	tfrs_arena_release(item_item->arena, item_item->nearest_count);
	tfrs_arena_release(item_item->arena, item_item->chosen_start);
}

tfrs_status
tfrs_item_item_step(tfrs_item_item *item_item, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	switch (item_item->phase)
	{
		case COUNTING:
			count_events(item_item);
			break;
		case PLACING:
			place_events(item_item);
			break;
		case LINKING:
			link_candidates(item_item);
			break;
		case TURNING:
			status = count_turned(item_item, error);
			break;
		case FILLING:
			fill_turned(item_item);
			break;
		default:
			return TFRS_OK;
	}
	return status == TFRS_OK ? TFRS_MORE : status;
}

size_t
tfrs_item_item_sums(const tfrs_item_item *item_item, uint32_t query)
{
	const tfrs_events *events = item_item->events;
	size_t		sums = 0;

	if (query >= events->queries)
		return 0;
	for (uint64_t e = events->offsets[query]; e < events->offsets[query + 1]; e++)
		sums += item_item->start[events->candidate[e] + 1] -
			item_item->start[events->candidate[e]];
	return sums;
}

size_t
tfrs_item_item_rank(const tfrs_item_item *item_item, uint32_t query, const uint64_t *marked,
					size_t k, tfrs_item_item_scratch *scratch, uint32_t *top)
{
	const tfrs_events *events = item_item->events;
	size_t		touched = 0;
	tfrs_topk	topk;

	if (query >= events->queries)
		return 0;
	for (uint64_t e = events->offsets[query]; e < events->offsets[query + 1]; e++)
	{
		uint32_t	own = events->candidate[e];

		for (size_t n = item_item->start[own]; n < item_item->start[own + 1]; n++)
		{
			tfrs_hit	near = item_item->near[n];

			scratch->touched[touched] = near.row;
			touched += scratch->score[near.row] == 0.0f;
			scratch->score[near.row] += near.score;
		}
	}
	tfrs_topk_init(&topk, scratch->hits, k);
	for (size_t t = 0; t < touched; t++)
	{
		uint32_t	row = scratch->touched[t];

		if (!tfrs_is_marked(marked, row))
			tfrs_topk_push(&topk, scratch->score[row], row);
		scratch->score[row] = 0.0f;
	}
	tfrs_topk_finish(&topk);
	for (size_t place = 0; place < topk.count; place++)
		top[place] = topk.hits[place].row;
	return topk.count;
}
