/*
 * state_examples.c: drawing the batches of state_examples.h.
 *
 * Random numbers come from streams that are named by the batch and the round, so a batch depends on
 * the seed and its number alone.  A round's order is drawn as it is needed (Fisher and Yates from
 * the front): no step shuffles millions of states.
 */
#include "learning/state_examples.h"

#include <math.h>
#include <string.h>

#include "base/assertion.h"
#include "base/limits.h"
#include "learning/streams.h"

/* Events that a step looks at. */
#define STEP_EVENTS ((size_t) 1 << 20)

static bool
of_interactions(const tfrs_state_examples *states)
{
	return states->options->history.interactions;
}

/* How many states of a kind there can be; 0 where it is not drawn from. */
static size_t
pool_size(const tfrs_state_examples *states, tfrs_state_kind kind)
{
	const tfrs_events *events = states->events;
	float		share = states->options->history.hide_share;

	if (of_interactions(states) || kind == TFRS_STATE_ONE)
		return of_interactions(states) && kind == TFRS_STATE_ONE ? events->count : 0;
	if (kind == TFRS_STATE_HIDE)
		return events->later == 0 || share > 0.0f ? events->several : 0;
	return share < 1.0f ? events->later : 0;
}

/* Rows of a batch: no more than there are states of a kind. */
static size_t
batch_rows(const tfrs_state_examples *states)
{
	size_t		most = 1;		/* an estimate for nobody */

	for (int kind = 0; kind < TFRS_STATE_KINDS; kind++)
		if (states->pool[kind].count > most)
			most = states->pool[kind].count;
	return tfrs_size_smaller(most, states->options->batch_size);
}

void
tfrs_state_examples_size(tfrs_state_examples *states, const tfrs_train_options *options,
						 const tfrs_tower_shape *shape, const tfrs_state_counts *counts)
{
	states->options = options;
	states->shape = shape;
	states->events = counts->events;
	states->candidates = counts->candidates;
	states->longest = counts->longest;
	states->epoch = 1;
	for (int kind = 0; kind < TFRS_STATE_KINDS; kind++)
		states->pool[kind].count = pool_size(states, (tfrs_state_kind) kind);
	states->capacity = batch_rows(states);
}

/* Events of a batch at most, where no query has more than longest. */
static size_t
most_events(const tfrs_state_examples *states, size_t longest)
{
	size_t		most = longest > TFRS_STATES_EVENTS ? longest : TFRS_STATES_EVENTS;

	return most / states->capacity < longest ? most : states->capacity * longest;
}

void
tfrs_state_examples_most(const tfrs_state_examples *states, tfrs_examples_most *most)
{
	size_t		events = most_events(states, states->longest);

	*most = (tfrs_examples_most) {.rows = states->capacity,.known = events};
	most->targets = most->positives = of_interactions(states) ? states->capacity : events;
	for (uint32_t b = 0; b < states->shape->bags; b++)
	{
		tfrs_bag	bag = tfrs_tower_bag(states->shape, b);
		size_t		sized = states->capacity * tfrs_bag_size(bag, states->longest);
		bool		shares = of_interactions(states) && bag.decay == 0;

		most->items[b] = tfrs_size_smaller(sized, events) + (shares ? states->capacity : 0);
		most->shared[b] = shares ? states->capacity : 0;
	}
}

static void
plan_lists(tfrs_plan *plan, tfrs_ragged *lists, size_t rows, size_t items)
{
	lists->row_capacity = rows;
	lists->capacity = items;
	lists->has_weight = true;
	tfrs_ragged_plan(plan, lists);
}

void
tfrs_state_examples_plan(tfrs_plan *plan, tfrs_state_examples *states, tfrs_examples *batch)
{
	size_t		rows = states->capacity;
	tfrs_examples_most most;

	tfrs_state_examples_most(states, &most);
	for (int kind = 0; kind < TFRS_STATE_KINDS; kind++)
		TFRS_PLAN(plan, &states->pool[kind].state, states->pool[kind].count);
	TFRS_PLAN(plan, &states->row_query, rows);
	TFRS_PLAN(plan, &states->row_state, rows);
	if (states->events->row != NULL)
		TFRS_PLAN(plan, &states->row_number, rows);
	TFRS_PLAN(plan, &states->row_group, rows);
	for (uint32_t b = 0; b < states->shape->bags; b++)
		plan_lists(plan, &states->bag[b], rows, most.items[b]);
	plan_lists(plan, &batch->target, rows, most.targets);
	if (!of_interactions(states))
		return;
	plan_lists(plan, &states->shared, rows, most.known);
	TFRS_PLAN_ZERO(plan, &states->count, states->candidates);
	TFRS_PLAN(plan, &states->group_of, states->events->queries);
}

void
tfrs_state_examples_begin(tfrs_state_examples *states, tfrs_examples *batch)
{
	if (states->group_of != NULL)
		memset(states->group_of, 0xff, states->events->queries * sizeof(uint32_t));
	for (uint32_t b = 0; b < states->shape->bags; b++)
	{
		bool		shares = of_interactions(states) && states->shape->decay[b] == 0;

		batch->cells[b] = (tfrs_cells) {
			.list = &states->bag[b], .shared = shares ? &states->shared : NULL,
			.group = states->row_group
		};
	}
	batch->hides_targets = !of_interactions(states);
}

static void
add_state(tfrs_state_pool *pool, uint32_t state)
{
	if (pool->filled < pool->count)
		pool->state[pool->filled++] = state;
}

/* An event whose query has others. */
static void
add_interaction(tfrs_state_examples *states, uint32_t event)
{
	if (states->count == NULL)
		return;
	add_state(&states->pool[TFRS_STATE_ONE], event);
	states->count[states->events->candidate[event]]++;
}

tfrs_status
tfrs_state_examples_prepare(tfrs_state_examples *states)
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
draw_state(tfrs_state_examples *states, tfrs_state_pool *pool)
{
	static const uint64_t purposes[TFRS_STATE_KINDS] = {
		TFRS_STREAM_HIDE_ORDER, TFRS_STREAM_NEXT_ORDER, TFRS_STREAM_ONE_ORDER
	};
	size_t		chosen;
	uint32_t	state;

	if (pool->position == 0)
		tfrs_random_init(&pool->random, states->options->seed, purposes[states->kind],
						 pool->round++);
	chosen = pool->position +
		tfrs_random_below(&pool->random, (uint32_t) (pool->count - pool->position));
	state = pool->state[chosen];
	pool->state[chosen] = pool->state[pool->position];
	pool->state[pool->position] = state;
	return state;
}

/* Draws the batch's rows: fewer than there is room for at a round's end, or for long queries. */
static void
draw_rows(tfrs_state_examples *states)
{
	tfrs_state_pool *pool = &states->pool[states->kind];
	size_t		events = 0;

	for (states->rows = 0; states->rows < states->capacity && pool->position < pool->count;
		 states->rows++)
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
}

/* A target, of that weight before scaling to a sum of 1. */
static void
push_target(tfrs_state_examples *states, tfrs_ragged *target, uint64_t event, float weight)
{
	if (states->events->weight != NULL)
		weight *= states->events->weight[event];
	tfrs_ragged_push(target, states->events->candidate[event], weight);
}

/* The features of a row are those of an event that it is to lead to. */
static void
take_features(tfrs_state_examples *states, size_t row, uint64_t event)
{
	if (states->row_number != NULL)
		states->row_number[row] = states->events->row[event];
}

/* Whether the row is taken for that of an unknown query, of which no events are seen. */
static bool
is_unknown(const tfrs_state_examples *states, tfrs_random *random)
{
	float		share = states->options->id_dropout;

	return share > 0.0f && tfrs_random_float(random) < share;
}

/* Pushes the events that stay into the bag of all, if there is one, and hides the others. */
static void
push_parts(tfrs_state_examples *states, tfrs_ragged *target, size_t row, bool unknown,
		   tfrs_random *random)
{
	const tfrs_history_options *options = &states->options->history;
	uint32_t	query = states->row_query[row];
	uint64_t	first = states->events->offsets[query];
	size_t		count = tfrs_events_of(states->events, query).count;
	float		share = options->hidden_low +
		(options->hidden_high - options->hidden_low) * tfrs_random_float(random);
	size_t		always_hidden = tfrs_random_below(random, (uint32_t) count);
	size_t		always_kept = (always_hidden + 1 +
							   tfrs_random_below(random, (uint32_t) count - 1)) % count;

	take_features(states, row, first + always_hidden);
	for (size_t i = 0; i < count; i++)
	{
		bool		hidden = tfrs_random_float(random) < share;

		if (i == always_hidden || (hidden && i != always_kept))
			push_target(states, target, first + i, 1.0f);
		else if (states->shape->decay[0] == 0 && !unknown)
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
hide_row(tfrs_state_examples *states, tfrs_ragged *target, size_t row, tfrs_random *random)
{
	uint32_t	query = states->row_query[row];
	float		count = (float) tfrs_events_of(states->events, query).count;
	size_t		targets = target->count;
	size_t		kept = states->bag[0].count;

	push_parts(states, target, row, is_unknown(states, random), random);
	scale_from(target, targets, powf(count, 1.0f - states->options->query_weight) /
			   (float) (target->count - targets));
	scale_from(&states->bag[0], kept, 1.0f / sqrtf((float) (states->bag[0].count - kept)));
}

static float
dropout_of(const tfrs_state_examples *states)
{
	return states->options->history.dropout;
}

static void
next_row(tfrs_state_examples *states, tfrs_ragged *target, size_t row, tfrs_random *random)
{
	uint32_t	query = states->row_query[row];
	uint64_t	first = states->events->offsets[query];
	tfrs_event_list list = tfrs_events_of(states->events, query);
	size_t		event = states->row_state[row] - first;
	float		weight = powf((float) list.count, -states->options->query_weight);

	take_features(states, row, states->row_state[row]);
	for (size_t i = event; i < list.count && list.at[i] == list.at[event]; i++)
		push_target(states, target, first + i, weight);
	list.count = is_unknown(states, random) ? 0 : event;
	for (uint32_t b = 0; b < states->shape->bags; b++)
		tfrs_bag_push(tfrs_tower_bag(states->shape, b), &list, dropout_of(states), random,
					  &states->bag[b]);
}

/* Whether dropout leaves the event in its query's bag of all: the same for all rows of a batch. */
static bool
is_kept(const tfrs_state_examples *states, uint64_t event)
{
	float		coin = (float) (tfrs_random_mix(states->kept ^ event) >> 40) * 0x1p-24f;

	return coin >= dropout_of(states);
}

/* The weight of an event in a bag of all that sees all of the query's events but one. */
static float
shared_weight(const tfrs_state_examples *states, size_t events)
{
	return 1.0f / sqrtf((float) events - 1.0f) / (1.0f - dropout_of(states));
}

/* The list of what the rows of a query see together, made for its first row. */
static uint32_t
group_of(tfrs_state_examples *states, uint32_t query)
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

/* One bag of a row of kind one; of the bag of all, what the row does not share. */
static void
push_earlier(tfrs_state_examples *states, size_t row, uint32_t bag, tfrs_random *random)
{
	uint32_t	event = states->row_state[row];
	tfrs_event_list list = tfrs_events_of(states->events, states->row_query[row]);
	tfrs_event_list earlier;

	if (states->shape->decay[bag] == 0)
	{
		if (is_kept(states, event))
			tfrs_ragged_push(&states->bag[bag], states->events->candidate[event],
							 -shared_weight(states, list.count));
		return;
	}
	earlier = earlier_than(&list, event - states->events->offsets[states->row_query[row]]);
	tfrs_bag_push(tfrs_tower_bag(states->shape, bag), &earlier, dropout_of(states), random,
				  &states->bag[bag]);
}

static void
one_row(tfrs_state_examples *states, tfrs_ragged *target, size_t row, tfrs_random *random)
{
	uint32_t	query = states->row_query[row];
	size_t		count = tfrs_events_of(states->events, query).count;

	take_features(states, row, states->row_state[row]);
	push_target(states, target, states->row_state[row],
				powf((float) count, -states->options->query_weight));
	if (is_unknown(states, random))
	{
		states->row_group[row] = (uint32_t) states->shared.rows;
		tfrs_ragged_end_row(&states->shared);	/* which is empty */
		return;
	}
	states->row_group[row] = group_of(states, query);
	for (uint32_t b = 0; b < states->shape->bags; b++)
		push_earlier(states, row, b, random);
}

static void
forget_groups(tfrs_state_examples *states)
{
	for (size_t r = 0; r < states->rows && states->kind == TFRS_STATE_ONE; r++)
		states->group_of[states->row_query[r]] = TFRS_NO_ROW;
}

/* To a sum of 1 over the batch. */
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
choose_kind(const tfrs_state_examples *states, tfrs_random *random)
{
	float		coin = tfrs_random_float(random);

	if (of_interactions(states))
		return TFRS_STATE_ONE;
	if (states->pool[TFRS_STATE_NEXT].count == 0)
		return TFRS_STATE_HIDE;
	return coin < states->options->history.hide_share ? TFRS_STATE_HIDE : TFRS_STATE_NEXT;
}

static void
make_rows(tfrs_state_examples *states, tfrs_ragged *target, tfrs_random *random)
{
	static void (*const makers[TFRS_STATE_KINDS]) (tfrs_state_examples *, tfrs_ragged *, size_t,
												   tfrs_random *) = {
		hide_row, next_row, one_row
	};

	for (uint32_t b = 0; b < states->shape->bags; b++)
		tfrs_ragged_clear(&states->bag[b]);
	tfrs_ragged_clear(target);
	if (of_interactions(states))
		tfrs_ragged_clear(&states->shared);
	for (size_t r = 0; r < states->rows; r++)
	{
		makers[states->kind] (states, target, r, random);
		tfrs_ragged_end_row(target);
		for (uint32_t b = 0; b < states->shape->bags; b++)
			tfrs_ragged_end_row(&states->bag[b]);
	}
	scale_weights(target);
}

void
tfrs_state_examples_draw(tfrs_state_examples *states, tfrs_examples *batch)
{
	uint64_t	steps = states->options->history.steps;
	uint64_t	epochs = states->options->epochs;
	tfrs_random random;

	tfrs_random_init(&random, states->options->seed, TFRS_STREAM_STATES, states->batch++);
	states->kind = choose_kind(states, &random);
	states->kept = states->kind == TFRS_STATE_ONE ? tfrs_random_next(&random) : 0;
	draw_rows(states);
	make_rows(states, &batch->target, &random);
	forget_groups(states);
	batch->rows = batch->items = states->rows;
	batch->query = states->row_query;
	batch->query_row = states->row_number;
	batch->positives = batch->target.count;
	batch->positive = batch->target.item;
	batch->units = states->options->reduction == TFRS_REDUCTION_SUM ? (double) states->rows : 1.0;
	batch->done = states->batch;
	batch->total = steps;
	batch->ends_epoch = states->batch == steps * states->epoch / epochs;
	states->epoch += batch->ends_epoch;
}
