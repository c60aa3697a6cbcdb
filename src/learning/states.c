/*
 * states.c: drawing the batches of states.h.
 *
 * Random numbers come from streams that are named by the batch, so a batch depends on the seed and its
 * number alone.
 */
#include "learning/states.h"

#include <math.h>
#include <string.h>

#include "learning/streams.h"

static size_t
count_hide(const tfrs_events *events, uint32_t *state)
{
	size_t		count = 0;

	for (size_t q = 0; q < events->queries; q++)
		if (events->offsets[q + 1] - events->offsets[q] > 1)
		{
			if (state != NULL)
				state[count] = (uint32_t) q;
			count++;
		}
	return count;
}

/* Events that begin a group of one time and have a group before them. */
static size_t
count_next(const tfrs_events *events, uint32_t *state)
{
	size_t		count = 0;

	for (size_t q = 0; q < events->queries; q++)
		for (uint64_t e = events->offsets[q] + 1; e < events->offsets[q + 1]; e++)
			if (events->at[e] != events->at[e - 1])
			{
				if (state != NULL)
					state[count] = (uint32_t) e;
				count++;
			}
	return count;
}

static tfrs_status
fill_query_of(tfrs_states *states, tfrs_error *error)
{
	const tfrs_events *events = states->events;
	tfrs_status status = TFRS_GET(states->arena, &states->query_of, events->count, error);

	if (status != TFRS_OK)
		return status;
	for (size_t q = 0; q < events->queries; q++)
		for (uint64_t e = events->offsets[q]; e < events->offsets[q + 1]; e++)
			states->query_of[e] = (uint32_t) q;
	return TFRS_OK;
}

static tfrs_status
init_pool(tfrs_states *states, tfrs_state_kind kind, tfrs_error *error)
{
	size_t		(*count) (const tfrs_events *, uint32_t *) =
		kind == TFRS_STATE_HIDE ? count_hide : count_next;
	tfrs_state_pool *pool = &states->pool[kind];
	tfrs_status status;

	pool->count = count(states->events, NULL);
	status = TFRS_GET(states->arena, &pool->state, pool->count, error);
	if (status == TFRS_OK)
		count(states->events, pool->state);
	pool->position = pool->count;	/* the first draw shuffles */
	return status;
}

tfrs_status
tfrs_states_init(tfrs_states *states, tfrs_arena *arena, const tfrs_states_options *options,
				 const tfrs_history_shape *shape, const tfrs_events *events, tfrs_error *error)
{
	tfrs_status status;

	memset(states, 0, sizeof(*states));
	states->arena = arena;
	states->options = *options;
	states->shape = shape;
	states->events = events;
	status = init_pool(states, TFRS_STATE_HIDE, error);
	if (status == TFRS_OK && events->at != NULL)
		status = init_pool(states, TFRS_STATE_NEXT, error);
	if (status == TFRS_OK && states->pool[TFRS_STATE_NEXT].count > 0)
		status = fill_query_of(states, error);
	if (status == TFRS_OK && states->pool[TFRS_STATE_HIDE].count == 0)
		status = tfrs_fail(error, TFRS_INVALID_ARGUMENT, "no query has two candidates");
	return status;
}

void
tfrs_states_free(tfrs_states *states)
{
	for (int b = 0; b < TFRS_MAX_BAGS; b++)
		tfrs_ragged_release(&states->bag[b], states->arena);
	tfrs_ragged_release(&states->target, states->arena);
	tfrs_ragged_release(&states->masked, states->arena);
	tfrs_arena_release(states->arena, states->query_of);
	tfrs_arena_release(states->arena, states->pool[TFRS_STATE_HIDE].state);
	tfrs_arena_release(states->arena, states->pool[TFRS_STATE_NEXT].state);
}

/* The pool's next states, at most rows of them; never across two shuffles. */
static const uint32_t *
draw(tfrs_states *states, size_t *rows)
{
	tfrs_state_pool *pool = &states->pool[states->kind];
	const uint32_t *drawn;
	tfrs_random random;

	if (pool->position == pool->count)
	{
		tfrs_random_init(&random, states->options.seed,
						 states->kind == TFRS_STATE_HIDE ? TFRS_STREAM_HIDE_ORDER
						 : TFRS_STREAM_NEXT_ORDER, pool->round++);
		tfrs_random_shuffle(&random, pool->state, pool->count);
		pool->position = 0;
	}
	if (*rows > pool->count - pool->position)
		*rows = pool->count - pool->position;
	drawn = pool->state + pool->position;
	pool->position += *rows;
	return drawn;
}

static uint32_t
query_of(const tfrs_states *states, uint32_t state)
{
	return states->kind == TFRS_STATE_HIDE ? state : states->query_of[state];
}

static tfrs_status
reserve(tfrs_states *states, const uint32_t *drawn, size_t rows, tfrs_error *error)
{
	size_t		events = 0;
	tfrs_status status;

	for (size_t r = 0; r < rows; r++)
		events += tfrs_events_of(states->events, query_of(states, drawn[r])).count;
	status = tfrs_ragged_reserve(&states->target, states->arena, rows, events, error);
	if (status == TFRS_OK)
		status = tfrs_ragged_reserve(&states->masked, states->arena, rows, events, error);
	for (uint32_t b = 0; b < states->shape->bags && status == TFRS_OK; b++)
		status = tfrs_ragged_reserve(&states->bag[b], states->arena, rows, events, error);
	return status;
}

static float
event_weight(const tfrs_states *states, uint64_t event)
{
	return states->events->weight == NULL ? 1.0f : states->events->weight[event];
}

/* Event i is a target with that weight before scaling to a sum of 1, or else masked. */
static void
push_event(tfrs_states *states, uint32_t query, size_t i, bool target, float weight)
{
	uint64_t	event = states->events->offsets[query] + i;
	uint32_t	candidate = states->events->candidate[event];

	if (target)
		tfrs_ragged_push(&states->target, candidate, weight * event_weight(states, event));
	else
		tfrs_ragged_push(&states->masked, candidate, 0.0f);
}

static void
end_row(tfrs_states *states)
{
	tfrs_ragged_end_row(&states->target);
	tfrs_ragged_end_row(&states->masked);
	for (uint32_t b = 0; b < states->shape->bags; b++)
		tfrs_ragged_end_row(&states->bag[b]);
}

/* Pushes the kept events as a bag in which all count alike, into the bag without decay. */
static void
push_kept(tfrs_states *states, size_t first_kept)
{
	const tfrs_ragged *masked = &states->masked;
	float		weight = 1.0f / sqrtf((float) (masked->count - first_kept));

	for (uint32_t b = 0; b < states->shape->bags; b++)
		for (size_t i = first_kept; i < masked->count && states->shape->decay[b] == 0; i++)
			tfrs_ragged_push(&states->bag[b], masked->item[i], weight);
}

static void
hide_row(tfrs_states *states, uint32_t query, tfrs_random *random)
{
	const tfrs_states_options *options = &states->options;
	size_t		count = tfrs_events_of(states->events, query).count;
	float		share = options->hidden_low +
		(options->hidden_high - options->hidden_low) * tfrs_random_float(random);
	size_t		first_target = states->target.count;
	size_t		first_kept = states->masked.count;
	size_t		always_hidden = tfrs_random_below(random, (uint32_t) count);
	size_t		always_kept = (always_hidden + 1 +
							   tfrs_random_below(random, (uint32_t) count - 1)) % count;
	float		each;

	for (size_t i = 0; i < count; i++)
	{
		bool		hidden = tfrs_random_float(random) < share;

		hidden = i == always_hidden || (hidden && i != always_kept);
		push_event(states, query, i, hidden, 1.0f);
	}
	each = sqrtf((float) count) / (float) (states->target.count - first_target);
	for (size_t i = first_target; i < states->target.count; i++)
		states->target.weight[i] *= each;
	push_kept(states, first_kept);
	end_row(states);
}

static void
next_row(tfrs_states *states, uint32_t event, tfrs_random *random)
{
	uint32_t	query = states->query_of[event];
	tfrs_event_list list = tfrs_events_of(states->events, query);
	tfrs_event_list earlier = list;
	float		weight = 1.0f / sqrtf((float) list.count);
	int64_t		now = states->events->at[event];

	for (size_t i = 0; i < list.count; i++)
		push_event(states, query, i, list.at[i] == now, weight);
	earlier.count = event - states->events->offsets[query];
	for (uint32_t b = 0; b < states->shape->bags; b++)
		tfrs_history_bag(states->shape, b, &earlier, states->options.dropout, random,
						 &states->bag[b]);
	end_row(states);
}

static void
scale_weights(tfrs_ragged *target)
{
	double		sum = 0;

	for (size_t i = 0; i < target->count; i++)
		sum += target->weight[i];
	for (size_t i = 0; i < target->count && sum > 0; i++)
		target->weight[i] = (float) (target->weight[i] / sum);
}

tfrs_status
tfrs_states_next(tfrs_states *states, size_t rows, tfrs_error *error)
{
	const uint32_t *drawn;
	tfrs_random random;
	tfrs_status status;

	tfrs_random_init(&random, states->options.seed, TFRS_STREAM_STATES, states->batch++);
	states->kind = states->pool[TFRS_STATE_NEXT].count > 0 &&
		tfrs_random_float(&random) >= states->options.hide_share ? TFRS_STATE_NEXT : TFRS_STATE_HIDE;
	drawn = draw(states, &rows);
	status = reserve(states, drawn, rows, error);
	if (status != TFRS_OK)
		return status;
	states->rows = rows;
	for (size_t r = 0; r < rows; r++)
	{
		if (states->kind == TFRS_STATE_HIDE)
			hide_row(states, drawn[r], &random);
		else
			next_row(states, drawn[r], &random);
	}
	scale_weights(&states->target);
	return TFRS_OK;
}
