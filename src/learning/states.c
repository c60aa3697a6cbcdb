/*
 * states.c: drawing the batches of states.h.
 *
 * Random numbers come from streams that are named by the batch and the round, so a batch depends on
 * the seed and its number alone.  A round's order is drawn as it is needed (Fisher and Yates from
 * the front): no step shuffles millions of states.
 */
#include "learning/states.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "learning/streams.h"

/* Events that a step looks at. */
#define STEP_EVENTS ((size_t) 1 << 20)

static bool
uses(const tfrs_states *states, tfrs_state_kind kind)
{
	bool		both = states->events->later > 0;
	float		share = states->options.hide_share;

	if (states->options.interactions || kind == TFRS_STATE_ONE)
		return states->options.interactions && kind == TFRS_STATE_ONE;
	return kind == TFRS_STATE_HIDE ? !both || share > 0.0f : both && share < 1.0f;
}

static tfrs_status
begin_pool(tfrs_states *states, tfrs_state_kind kind, tfrs_error *error)
{
	const tfrs_events *events = states->events;
	const size_t counts[TFRS_STATE_KINDS] = {events->several, events->later, events->count};
	tfrs_state_pool *pool = &states->pool[kind];

	if (uses(states, kind))
		pool->count = counts[kind];
	return TFRS_GET(states->arena, &pool->state, pool->count, error);
}

/* What kind one needs. */
static tfrs_status
begin_groups(tfrs_states *states, tfrs_error *error)
{
	size_t		queries = states->events->queries;
	tfrs_status status = TFRS_GET_ZERO(states->arena, &states->count, states->options.candidates,
									   error);

	if (status == TFRS_OK)
		status = TFRS_GET(states->arena, &states->group_of, queries, error);
	if (status == TFRS_OK)
		memset(states->group_of, 0xff, queries * sizeof(uint32_t));
	return status;
}

tfrs_status
tfrs_states_begin(tfrs_states *states, tfrs_arena *arena, const tfrs_states_options *options,
				  const tfrs_history_shape *shape, const tfrs_events *events, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	memset(states, 0, sizeof(*states));
	states->arena = arena;
	states->options = *options;
	states->shape = shape;
	states->events = events;
	for (int kind = 0; kind < TFRS_STATE_KINDS && status == TFRS_OK; kind++)
		status = begin_pool(states, (tfrs_state_kind) kind, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &states->row_query, options->rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &states->row_state, options->rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &states->row_group, options->rows, error);
	return status == TFRS_OK && options->interactions ? begin_groups(states, error) : status;
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
	tfrs_arena_release(states->arena, states->row_group);
	tfrs_arena_release(states->arena, states->count);
	tfrs_arena_release(states->arena, states->group_of);
	for (int kind = 0; kind < TFRS_STATE_KINDS; kind++)
		tfrs_arena_release(states->arena, states->pool[kind].state);
	tfrs_ragged_release(&states->shared, states->arena);
}

static bool
add_product(size_t a, size_t b, size_t *bytes)
{
	size_t		product;

	return tfrs_size_multiply(a, b, &product) && tfrs_size_add(*bytes, product, bytes);
}

/* The pools and what belongs to each query and candidate. */
static bool
add_pools(const tfrs_states_options *options, const tfrs_events *events, size_t *bytes)
{
	if (!options->interactions)
		return add_product(events->several, sizeof(uint32_t), bytes) &&
			add_product(events->later, sizeof(uint32_t), bytes);
	return add_product(events->count, sizeof(uint32_t), bytes) &&
		add_product(events->queries, sizeof(uint32_t), bytes) &&
		add_product(options->candidates, sizeof(uint32_t), bytes);
}

bool
tfrs_states_bytes(const tfrs_states_options *options, const tfrs_history_shape *shape,
				  const tfrs_events *events, size_t longest, size_t *bytes)
{
	size_t		rows = options->rows;
	size_t		item = sizeof(uint32_t) + sizeof(float);
	size_t		list = sizeof(size_t) * (rows + 1);
	size_t		listed = tfrs_states_most_events(longest, rows);
	bool		fits = add_product(rows, 3 * sizeof(uint32_t), bytes) &&
		add_pools(options, events, bytes) &&
		add_product(2 + options->interactions, tfrs_ragged_room(listed) * item + list, bytes);

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

/* An event whose query has others. */
static void
add_interaction(tfrs_states *states, uint32_t event)
{
	if (states->count == NULL)
		return;
	add_state(&states->pool[TFRS_STATE_ONE], event);
	states->count[states->events->candidate[event]]++;
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
		bool		several;

		while (events->offsets[states->query + 1] <= e)
			states->query++;
		first = e == events->offsets[states->query];
		several = tfrs_events_of(events, states->query).count > 1;
		if (first && several)
			add_state(&states->pool[TFRS_STATE_HIDE], states->query);
		if (several)
			add_interaction(states, (uint32_t) e);
		if (!first && events->at != NULL && events->at[e] != events->at[e - 1])
			add_state(&states->pool[TFRS_STATE_NEXT], (uint32_t) e);
	}
	states->event = end;
	if (end < events->count)
		return TFRS_MORE;
	states->pool[TFRS_STATE_ONE].count = states->pool[TFRS_STATE_ONE].filled;
	return TFRS_OK;
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
	static const uint64_t purposes[TFRS_STATE_KINDS] = {
		TFRS_STREAM_HIDE_ORDER, TFRS_STREAM_NEXT_ORDER, TFRS_STREAM_ONE_ORDER
	};
	size_t		chosen;
	uint32_t	state;

	if (pool->position == 0)
		tfrs_random_init(&pool->random, states->options.seed, purposes[states->kind],
						 pool->round++);
	chosen = pool->position +
		tfrs_random_below(&pool->random, (uint32_t) (pool->count - pool->position));
	state = pool->state[chosen];
	pool->state[chosen] = pool->state[pool->position];
	pool->state[pool->position] = state;
	return state;
}

/* Draws the batch's rows; returns the events that their queries have together. */
static size_t
draw(tfrs_states *states)
{
	tfrs_state_pool *pool = &states->pool[states->kind];
	size_t		rows = states->options.rows;
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
	if (status == TFRS_OK)
		status = tfrs_ragged_reserve(&states->shared, states->arena, states->rows,
									 states->kind == TFRS_STATE_ONE ? events : 0, error);
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

/* Whether dropout leaves the event in its query's bag of all: the same for all rows of a batch. */
static bool
is_kept(const tfrs_states *states, uint64_t event)
{
	float		coin = (float) (tfrs_random_mix(states->kept ^ event) >> 40) * 0x1p-24f;

	return coin >= states->options.dropout;
}

/* The weight of an event in a bag of all that sees all of the query's events but one. */
static float
shared_weight(const tfrs_states *states, size_t events)
{
	return 1.0f / sqrtf((float) events - 1.0f) / (1.0f - states->options.dropout);
}

/* The list of what the rows of a query see together, made for its first row. */
static uint32_t
group_of(tfrs_states *states, uint32_t query)
{
	uint64_t	first = states->events->offsets[query];
	size_t		count = tfrs_events_of(states->events, query).count;

	if (states->group_of[query] != TFRS_NO_ROW)
		return states->group_of[query];
	for (uint64_t e = first; e < first + count && states->shape->decay[0] == 0; e++)
		if (is_kept(states, e))
			tfrs_ragged_push(&states->shared, states->events->candidate[e],
							 shared_weight(states, count));
	states->group_of[query] = (uint32_t) states->shared.rows;
	tfrs_ragged_end_row(&states->shared);
	return states->group_of[query];
}

/* What came strictly before an event of the list. */
static tfrs_event_list
earlier_than(const tfrs_event_list *list, size_t event)
{
	tfrs_event_list earlier = *list;

	while (event > 0 && list->at[event - 1] == list->at[event])
		event--;
	earlier.count = event;
	return earlier;
}

static void
one_row(tfrs_states *states, size_t row, tfrs_random *random)
{
	uint32_t	query = states->row_query[row];
	uint32_t	event = states->row_state[row];
	uint64_t	first = states->events->offsets[query];
	tfrs_event_list list = tfrs_events_of(states->events, query);

	push_target(states, event, powf((float) list.count, -states->options.query_weight));
	for (uint64_t e = first; e < first + list.count; e++)
		if (e != event)
			push_known(states, e);
	states->row_group[row] = group_of(states, query);
	for (uint32_t b = 0; b < states->shape->bags; b++)
	{
		tfrs_event_list earlier;

		if (states->shape->decay[b] == 0)
		{
			if (is_kept(states, event))
				tfrs_ragged_push(&states->bag[b], states->events->candidate[event],
								 -shared_weight(states, list.count));
			continue;
		}
		earlier = earlier_than(&list, event - first);
		tfrs_history_bag(states->shape, b, &earlier, states->options.dropout, random,
						 &states->bag[b]);
	}
	end_row(states);
}

static void
forget_groups(tfrs_states *states)
{
	for (size_t r = 0; r < states->rows && states->kind == TFRS_STATE_ONE; r++)
		states->group_of[states->row_query[r]] = TFRS_NO_ROW;
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

	if (states->options.interactions)
		return TFRS_STATE_ONE;
	if (states->pool[TFRS_STATE_NEXT].count == 0)
		return TFRS_STATE_HIDE;
	return coin < states->options.hide_share ? TFRS_STATE_HIDE : TFRS_STATE_NEXT;
}

tfrs_status
tfrs_states_next(tfrs_states *states, tfrs_error *error)
{
	tfrs_random random;
	tfrs_status status;

	tfrs_random_init(&random, states->options.seed, TFRS_STREAM_STATES, states->batch++);
	states->kind = choose_kind(states, &random);
	states->kept = states->kind == TFRS_STATE_ONE ? tfrs_random_next(&random) : 0;
	status = reserve(states, draw(states), error);
	if (status != TFRS_OK)
		return status;
	for (size_t r = 0; r < states->rows; r++)
	{
		if (states->kind == TFRS_STATE_HIDE)
			hide_row(states, states->row_query[r], &random);
		else if (states->kind == TFRS_STATE_NEXT)
			next_row(states, states->row_query[r], states->row_state[r], &random);
		else
			one_row(states, r, &random);
	}
	forget_groups(states);
	scale_weights(&states->target);
	return TFRS_OK;
}
