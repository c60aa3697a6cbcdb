/*
 * states.c: drawing the batches of states.h.
 *
 * Random numbers come from streams that are named by the batch and the round, so a batch depends on
 * the seed and its number alone.  A round's order is drawn as it is needed (Fisher and Yates from the
 * front): no step shuffles millions of states.
 */
#include "learning/states.h"

#include <math.h>
#include <string.h>

#include "learning/streams.h"

/* Events that a step looks at. */
#define STEP_EVENTS ((size_t) 1 << 20)

static bool
uses(const tfrs_states *states, tfrs_state_kind kind)
{
	bool		both = states->events->later > 0;
	float		share = states->options.hide_share;

	return kind == TFRS_STATE_HIDE ? !both || share > 0.0f : both && share < 1.0f;
}

static tfrs_status
begin_pool(tfrs_states *states, tfrs_state_kind kind, tfrs_error *error)
{
	tfrs_state_pool *pool = &states->pool[kind];

	if (uses(states, kind))
		pool->count = kind == TFRS_STATE_HIDE ? states->events->several : states->events->later;
	return TFRS_GET(states->arena, &pool->state, pool->count, error);
}

tfrs_status
tfrs_states_begin(tfrs_states *states, tfrs_arena *arena, const tfrs_states_options *options,
				  const tfrs_history_shape *shape, const tfrs_events *events, size_t rows,
				  tfrs_error *error)
{
	tfrs_status status;

	memset(states, 0, sizeof(*states));
	states->arena = arena;
	states->options = *options;
	states->shape = shape;
	states->events = events;
	status = begin_pool(states, TFRS_STATE_HIDE, error);
	if (status == TFRS_OK)
		status = begin_pool(states, TFRS_STATE_NEXT, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &states->row_query, rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &states->row_state, rows, error);
	return status;
}

void
tfrs_states_free(tfrs_states *states)
{
	for (int b = 0; b < TFRS_MAX_BAGS; b++)
		tfrs_ragged_release(&states->bag[b], states->arena);
	tfrs_ragged_release(&states->target, states->arena);
	tfrs_ragged_release(&states->masked, states->arena);
	tfrs_arena_release(states->arena, states->row_query);
	tfrs_arena_release(states->arena, states->row_state);
	tfrs_arena_release(states->arena, states->pool[TFRS_STATE_HIDE].state);
	tfrs_arena_release(states->arena, states->pool[TFRS_STATE_NEXT].state);
}

static bool
add_product(size_t a, size_t b, size_t *bytes)
{
	size_t		product;

	return tfrs_size_multiply(a, b, &product) && tfrs_size_add(*bytes, product, bytes);
}

bool
tfrs_states_bytes(const tfrs_history_shape *shape, const tfrs_events *events, size_t longest,
				  size_t rows, size_t *bytes)
{
	size_t		item = sizeof(uint32_t) + sizeof(float);
	size_t		list = sizeof(size_t) * (rows + 1);
	size_t		listed = tfrs_states_most_events(longest, rows);
	bool		fits = add_product(rows, 2 * sizeof(uint32_t), bytes) &&
		add_product(events->several, sizeof(uint32_t), bytes) &&
		add_product(events->later, sizeof(uint32_t), bytes) &&
		add_product(2, tfrs_ragged_room(listed) * item + list, bytes);

	for (uint32_t b = 0; b < shape->bags && fits; b++)
	{
		size_t		sized = rows * tfrs_history_bag_size(shape, b, longest);

		fits = add_product(tfrs_ragged_room(sized < listed ? sized : listed), item, bytes) &&
			tfrs_size_add(*bytes, list, bytes);
	}
	return fits;
}

static void
add_state(tfrs_state_pool *pool, uint32_t state)
{
	if (pool->filled < pool->count)
		pool->state[pool->filled++] = state;
}

tfrs_status
tfrs_states_find_step(tfrs_states *states)
{
	const tfrs_events *events = states->events;
	size_t		left = events->count - states->event;
	uint64_t	end = states->event + (left < STEP_EVENTS ? left : STEP_EVENTS);

	for (uint64_t e = states->event; e < end; e++)
	{
		bool		first;

		while (events->offsets[states->query + 1] <= e)
			states->query++;
		first = e == events->offsets[states->query];
		if (first && events->offsets[states->query + 1] - e > 1)
			add_state(&states->pool[TFRS_STATE_HIDE], states->query);
		if (!first && events->at != NULL && events->at[e] != events->at[e - 1])
			add_state(&states->pool[TFRS_STATE_NEXT], (uint32_t) e);
	}
	states->event = end;
	return end < events->count ? TFRS_MORE : TFRS_OK;
}

/* The query of an event: the last one that does not begin behind it. */
static uint32_t
query_of_event(const tfrs_events *events, uint64_t event)
{
	size_t		low = 0;
	size_t		high = events->queries;

	while (high - low > 1)
	{
		size_t		middle = low + (high - low) / 2;

		if (events->offsets[middle] <= event)
			low = middle;
		else
			high = middle;
	}
	return (uint32_t) low;
}

/* The state that is next in the round's order; it stays next until the position moves. */
static uint32_t
draw_state(tfrs_states *states, tfrs_state_pool *pool)
{
	uint64_t	purpose = states->kind == TFRS_STATE_HIDE ? TFRS_STREAM_HIDE_ORDER
		: TFRS_STREAM_NEXT_ORDER;
	size_t		chosen;
	uint32_t	state;

	if (pool->position == 0)
		tfrs_random_init(&pool->random, states->options.seed, purpose, pool->round++);
	chosen = pool->position +
		tfrs_random_below(&pool->random, (uint32_t) (pool->count - pool->position));
	state = pool->state[chosen];
	pool->state[chosen] = pool->state[pool->position];
	pool->state[pool->position] = state;
	return state;
}

/* Draws the batch's rows; returns the events that their queries have together. */
static size_t
draw(tfrs_states *states, size_t rows)
{
	tfrs_state_pool *pool = &states->pool[states->kind];
	size_t		events = 0;

	for (states->rows = 0; states->rows < rows && pool->position < pool->count; states->rows++)
	{
		uint32_t	state = draw_state(states, pool);
		uint32_t	query = states->kind == TFRS_STATE_HIDE ? state
			: query_of_event(states->events, state);
		size_t		count = tfrs_events_of(states->events, query).count;

		if (states->rows > 0 && events + count > TFRS_STATES_EVENTS)
			break;
		events += count;
		states->row_query[states->rows] = query;
		states->row_state[states->rows] = state;
		pool->position++;
	}
	if (pool->position == pool->count)
		pool->position = 0;
	return events;
}

/* Room for lists of the drawn rows, whose queries have that many events. */
static tfrs_status
reserve(tfrs_states *states, size_t events, tfrs_error *error)
{
	tfrs_status status = tfrs_ragged_reserve(&states->target, states->arena, states->rows, events,
											 error);

	if (status == TFRS_OK)
		status = tfrs_ragged_reserve(&states->masked, states->arena, states->rows, events, error);
	for (uint32_t b = 0; b < states->shape->bags && status == TFRS_OK; b++)
	{
		size_t		items = 0;

		for (size_t r = 0; r < states->rows; r++)
			items += tfrs_history_bag_size(states->shape, b,
										   tfrs_events_of(states->events,
														  states->row_query[r]).count);
		status = tfrs_ragged_reserve(&states->bag[b], states->arena, states->rows, items, error);
	}
	return status;
}

/* A target, of that weight before scaling to a sum of 1. */
static void
push_target(tfrs_states *states, uint64_t event, float weight)
{
	if (states->events->weight != NULL)
		weight *= states->events->weight[event];
	tfrs_ragged_push(&states->target, states->events->candidate[event], weight);
}

/* What the query is known to have chosen beside the targets. */
static void
push_known(tfrs_states *states, uint64_t event)
{
	if (states->options.mask_known)
		tfrs_ragged_push(&states->masked, states->events->candidate[event], 0.0f);
}

static void
end_row(tfrs_states *states)
{
	tfrs_ragged_end_row(&states->target);
	tfrs_ragged_end_row(&states->masked);
	for (uint32_t b = 0; b < states->shape->bags; b++)
		tfrs_ragged_end_row(&states->bag[b]);
}

/* Pushes the events that stay into the bag of all, if there is one, and hides the others. */
static void
push_parts(tfrs_states *states, uint32_t query, tfrs_random *random)
{
	const tfrs_states_options *options = &states->options;
	uint64_t	first = states->events->offsets[query];
	size_t		count = tfrs_events_of(states->events, query).count;
	float		share = options->hidden_low +
		(options->hidden_high - options->hidden_low) * tfrs_random_float(random);
	size_t		always_hidden = tfrs_random_below(random, (uint32_t) count);
	size_t		always_kept = (always_hidden + 1 +
							   tfrs_random_below(random, (uint32_t) count - 1)) % count;

	for (size_t i = 0; i < count; i++)
	{
		bool		hidden = tfrs_random_float(random) < share;

		if (i == always_hidden || (hidden && i != always_kept))
		{
			push_target(states, first + i, 1.0f);
			continue;
		}
		push_known(states, first + i);
		if (states->shape->decay[0] == 0)
			tfrs_ragged_push(&states->bag[0], states->events->candidate[first + i], 1.0f);
	}
}

static void
scale_from(tfrs_ragged *lists, size_t first, float factor)
{
	for (size_t i = first; i < lists->count; i++)
		lists->weight[i] *= factor;
}

static void
hide_row(tfrs_states *states, uint32_t query, tfrs_random *random)
{
	float		count = (float) tfrs_events_of(states->events, query).count;
	size_t		target = states->target.count;
	size_t		kept = states->bag[0].count;

	push_parts(states, query, random);
	scale_from(&states->target, target, powf(count, 1.0f - states->options.query_weight) /
			   (float) (states->target.count - target));
	scale_from(&states->bag[0], kept, 1.0f / sqrtf((float) (states->bag[0].count - kept)));
	end_row(states);
}

static void
next_row(tfrs_states *states, uint32_t query, uint32_t event, tfrs_random *random)
{
	uint64_t	first = states->events->offsets[query];
	tfrs_event_list list = tfrs_events_of(states->events, query);
	tfrs_event_list earlier = list;
	float		weight = powf((float) list.count, -states->options.query_weight);
	int64_t		now = states->events->at[event];

	for (size_t i = 0; i < list.count; i++)
	{
		if (list.at[i] == now)
			push_target(states, first + i, weight);
		else
			push_known(states, first + i);
	}
	earlier.count = event - first;
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

static tfrs_state_kind
choose_kind(const tfrs_states *states, tfrs_random *random)
{
	float		coin = tfrs_random_float(random);

	if (states->pool[TFRS_STATE_NEXT].count == 0)
		return TFRS_STATE_HIDE;
	return coin < states->options.hide_share ? TFRS_STATE_HIDE : TFRS_STATE_NEXT;
}

tfrs_status
tfrs_states_next(tfrs_states *states, size_t rows, tfrs_error *error)
{
	tfrs_random random;
	tfrs_status status;

	tfrs_random_init(&random, states->options.seed, TFRS_STREAM_STATES, states->batch++);
	states->kind = choose_kind(states, &random);
	status = reserve(states, draw(states, rows), error);
	if (status != TFRS_OK)
		return status;
	for (size_t r = 0; r < states->rows; r++)
	{
		if (states->kind == TFRS_STATE_HIDE)
			hide_row(states, states->row_query[r], &random);
		else
			next_row(states, states->row_query[r], states->row_state[r], &random);
	}
	scale_weights(&states->target);
	return TFRS_OK;
}
