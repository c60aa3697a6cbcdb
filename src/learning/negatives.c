/*
 * negatives.c: columns of negatives.h, and lists of them.
 *
 * A row's candidates come in any order and its columns are wanted in theirs: they are set as bits
 * and read off, which costs less than sorting them and makes one of what is there twice.
 */
#include "learning/negatives.h"

#include <string.h>

#include "base/assertion.h"
#include "base/limits.h"

static bool
repeats(const tfrs_negatives *negatives)
{
	return negatives->kind == TFRS_NEGATIVES_REPEATED;
}

/* Columns that hold more than one's own count, or less. */
static bool
has_weights(const tfrs_negatives *negatives)
{
	return negatives->kind == TFRS_NEGATIVES_SAMPLED ||
		negatives->kind == TFRS_NEGATIVES_IN_BATCH ||
		(negatives->kind == TFRS_NEGATIVES_ALL && negatives->chosen != NULL);
}

/* Nobody has chosen it. */
static bool
is_new(const tfrs_negatives *negatives, uint32_t candidate)
{
	return negatives->chosen != NULL && negatives->chosen[candidate] == 0;
}

static size_t
most_columns(const tfrs_negatives *negatives)
{
	size_t		columns = negatives->positives + negatives->drawn;

	if (negatives->kind == TFRS_NEGATIVES_ALL)
		return negatives->candidates;
	return repeats(negatives) ? columns : tfrs_size_smaller(columns, negatives->candidates);
}

void
tfrs_negatives_size(tfrs_negatives *negatives, const tfrs_examples_most *most, bool hides)
{
	size_t		cells;

	negatives->positives = most->positives;
	negatives->room = most_columns(negatives);
	negatives->hides = hides;
	negatives->target.row_capacity = negatives->hidden.row_capacity = most->rows;
	negatives->target.capacity = most->targets;
	negatives->target.has_weight = true;
	if (!tfrs_size_multiply(most->rows, negatives->room, &cells) || cells > most->known)
		cells = most->known;
	negatives->hidden.capacity = hides ? cells : 0;
}

static void
hidden_arrays(void *object, tfrs_plan *plan)
{
	tfrs_ragged_plan(plan, object);
}

void
tfrs_negatives_plan(tfrs_plan *plan, tfrs_negatives *negatives)
{
	TFRS_PLAN(plan, &negatives->candidate, negatives->room);
	if (has_weights(negatives))
		TFRS_PLAN(plan, &negatives->weight, negatives->room);
	if (negatives->corrects)
		TFRS_PLAN(plan, &negatives->probability, negatives->room);
	if (negatives->kind != TFRS_NEGATIVES_ALL)
		TFRS_PLAN_ZERO(plan, &negatives->place, negatives->candidates);
	if (repeats(negatives))
	{
		TFRS_PLAN(plan, &negatives->differing, negatives->room);
		TFRS_PLAN(plan, &negatives->number, negatives->room);
	}
	tfrs_ragged_plan(plan, &negatives->target);
	hidden_arrays(&negatives->hidden, plan);
	TFRS_PLAN_ZERO(plan, &negatives->bits, negatives->room / 64 + 1);
	TFRS_PLAN(plan, &negatives->sum, negatives->room);
}

void
tfrs_negatives_begin(tfrs_negatives *negatives)
{
	if (negatives->kind != TFRS_NEGATIVES_ALL)
		return;
	negatives->count = negatives->candidates;
	for (size_t i = 0; i < negatives->count; i++)
		negatives->candidate[i] = (uint32_t) i;
	for (size_t i = 0; has_weights(negatives) && i < negatives->count; i++)
		negatives->weight[i] = is_new(negatives, (uint32_t) i) ? 0 : 1;
}

/* The number of a candidate among those that differ, which are the columns unless these repeat. */
static size_t
number_of(const tfrs_negatives *negatives, uint32_t candidate)
{
	const uint32_t *known = repeats(negatives) ? negatives->differing : negatives->candidate;
	size_t		count = repeats(negatives) ? negatives->distinct : negatives->count;
	uint32_t	place;

	if (negatives->kind == TFRS_NEGATIVES_ALL)
		return candidate;
	place = negatives->place[candidate];
	return place < count && known[place] == candidate ? place : TFRS_NO_ROW;
}

/* The column of a candidate, another one where it has none. */
static size_t
column_of(tfrs_negatives *negatives, uint32_t candidate)
{
	size_t		column = number_of(negatives, candidate);

	if (column != TFRS_NO_ROW)
		return column;
	TFRS_ASSERT(negatives->count < negatives->room);
	column = negatives->count++;
	negatives->place[candidate] = (uint32_t) column;
	negatives->candidate[column] = candidate;
	negatives->weight[column] = 0.0f;
	return column;
}

/* Floyd's sample: as many draws as columns, however many of the candidates are wanted. */
static void
sample(tfrs_negatives *negatives, const tfrs_examples *batch, tfrs_random *random)
{
	float		weight = (float) negatives->candidates / (float) negatives->drawn;

	for (size_t last = negatives->candidates - negatives->drawn; last < negatives->candidates;
		 last++)
	{
		uint32_t	candidate = tfrs_random_below(random, (uint32_t) last + 1);

		if (number_of(negatives, candidate) != TFRS_NO_ROW)
			candidate = (uint32_t) last;
		negatives->weight[column_of(negatives, candidate)] = is_new(negatives, candidate) ? 0
			: weight;
	}
	for (size_t i = 0; i < batch->positives; i++)
		column_of(negatives, batch->positive[i]);
}

/* One more column that repeats. */
static void
repeat(tfrs_negatives *negatives, uint32_t candidate)
{
	size_t		number = number_of(negatives, candidate);

	if (number == TFRS_NO_ROW)
	{
		number = negatives->distinct++;
		negatives->place[candidate] = (uint32_t) number;
		negatives->differing[number] = candidate;
	}
	negatives->number[negatives->count] = (uint32_t) number;
	negatives->candidate[negatives->count++] = candidate;
}

static void
add_column(tfrs_negatives *negatives, uint32_t candidate)
{
	if (repeats(negatives))
		repeat(negatives, candidate);
	else
		negatives->weight[column_of(negatives, candidate)] += 1.0f;
}

static void
take_batch(tfrs_negatives *negatives, const tfrs_examples *batch, tfrs_random *random)
{
	for (size_t i = 0; i < batch->positives; i++)
		add_column(negatives, batch->positive[i]);
	for (size_t i = 0; i < negatives->drawn; i++)
	{
		uint32_t	candidate = tfrs_random_below(random, (uint32_t) negatives->candidates);

		if (!is_new(negatives, candidate))
			add_column(negatives, candidate);
	}
}

static void
fill_probability(tfrs_negatives *negatives, const tfrs_examples *batch)
{
	double		rows = (double) batch->positives;
	double		drawn = (double) negatives->drawn;
	double		all = (double) negatives->candidates;

	for (size_t j = 0; j < negatives->count; j++)
	{
		double		p = (float) (negatives->frequency[negatives->candidate[j]] / negatives->total);

		negatives->probability[j] = (float) ((rows * p + drawn / all) / (rows + drawn));
	}
}

static void
set_bit(tfrs_negatives *negatives, size_t column)
{
	negatives->bits[column / 64] |= UINT64_C(1) << column % 64;
}

static bool
is_set(const tfrs_negatives *negatives, size_t column)
{
	return (negatives->bits[column / 64] >> column % 64 & 1) != 0;
}

/* Ends a row of the list with the columns whose bits are set, and clears them. */
static void
take_bits(tfrs_negatives *negatives, tfrs_ragged *list)
{
	uint32_t   *item = list->item + list->count;
	size_t		count = 0;

	for (size_t word = 0; word <= negatives->count / 64; word++)
	{
		uint64_t	bits = negatives->bits[word];

		if (bits == 0)
			continue;
		negatives->bits[word] = 0;
		for (; bits != 0; bits &= bits - 1)
			item[count++] = (uint32_t) (word * 64) + (uint32_t) __builtin_ctzll(bits);
	}
	TFRS_ASSERT(list->count + count <= list->capacity);
	for (size_t i = 0; list->has_weight && i < count; i++)
		list->weight[list->count + i] = negatives->sum[item[i]];
	list->count += count;
	tfrs_ragged_end_row(list);
}

static void
list_targets(tfrs_negatives *negatives, const tfrs_examples *batch, size_t row)
{
	const tfrs_ragged *target = &batch->target;

	for (size_t i = target->start[row]; i < target->start[row + 1]; i++)
	{
		size_t		column = repeats(negatives) ? row : number_of(negatives, target->item[i]);

		TFRS_ASSERT(column < negatives->count);
		if (!is_set(negatives, column))
			negatives->sum[column] = 0.0f;
		set_bit(negatives, column);
		negatives->sum[column] += target->weight[i];
	}
	take_bits(negatives, &negatives->target);
}

/* Sets the bits of what the row's query is known with. */
static void
mark_known(tfrs_negatives *negatives, uint32_t query)
{
	tfrs_event_list list = {0};

	if (negatives->known != NULL)
		list = tfrs_events_of(negatives->known, query);
	for (size_t i = 0; i < list.count; i++)
	{
		size_t		number = number_of(negatives, list.candidate[i]);

		if (number != TFRS_NO_ROW)
			set_bit(negatives, number);
	}
}

/* The row's targets are listed already. */
static void
list_hidden(tfrs_negatives *negatives, const tfrs_examples *batch, size_t row)
{
	const tfrs_ragged *target = &negatives->target;

	mark_known(negatives, batch->query[row]);
	for (size_t i = target->start[row]; batch->hides_targets && i < target->start[row + 1]; i++)
		set_bit(negatives, target->item[i]);
	take_bits(negatives, &negatives->hidden);
}

/* Of repeated columns those whose candidate is marked, but for the row's own; or their number. */
static size_t
list_repeated(tfrs_negatives *negatives, size_t row, bool push)
{
	size_t		found = 0;

	for (size_t j = 0; j < negatives->count; j++)
		if (j != row && is_set(negatives, negatives->number[j]))
		{
			found++;
			if (push)
				tfrs_ragged_push(&negatives->hidden, (uint32_t) j, 0.0f);
		}
	memset(negatives->bits, 0, (negatives->distinct / 64 + 1) * sizeof(negatives->bits[0]));
	return found;
}

/* How many hidden cells of repeated columns there are shows in the batch alone: room for them. */
static tfrs_status
hide_repeated(tfrs_negatives *negatives, const tfrs_examples *batch, tfrs_error *error)
{
	tfrs_ragged *hidden = &negatives->hidden;
	size_t		cells = 0;
	tfrs_status status = TFRS_OK;

	for (size_t r = 0; r < batch->rows; r++)
	{
		mark_known(negatives, batch->query[r]);
		cells += list_repeated(negatives, r, false);
	}
	if (cells > hidden->capacity)
	{
		tfrs_plan_release(negatives->arena, hidden_arrays, hidden);
		hidden->capacity = cells;
		status = tfrs_plan_take(negatives->arena, hidden_arrays, hidden, error);
	}
	if (status != TFRS_OK)
		return status;
	tfrs_ragged_clear(hidden);
	for (size_t r = 0; r < batch->rows; r++)
	{
		mark_known(negatives, batch->query[r]);
		list_repeated(negatives, r, true);
		tfrs_ragged_end_row(hidden);
	}
	return TFRS_OK;
}

static void
choose_columns(tfrs_negatives *negatives, const tfrs_examples *batch, tfrs_random *random)
{
	if (negatives->kind == TFRS_NEGATIVES_ALL)
		return;
	negatives->count = negatives->distinct = 0;
	if (negatives->kind == TFRS_NEGATIVES_SAMPLED)
		sample(negatives, batch, random);
	else
		take_batch(negatives, batch, random);
}

tfrs_status
tfrs_negatives_choose(tfrs_negatives *negatives, const tfrs_examples *batch, tfrs_random *random,
					  tfrs_error *error)
{
	choose_columns(negatives, batch, random);
	if (negatives->corrects)
		fill_probability(negatives, batch);
	tfrs_ragged_clear(&negatives->target);
	tfrs_ragged_clear(&negatives->hidden);
	for (size_t r = 0; r < batch->rows; r++)
	{
		list_targets(negatives, batch, r);
		if (negatives->hides && !repeats(negatives))
			list_hidden(negatives, batch, r);
	}
	if (negatives->hides && repeats(negatives))
		return hide_repeated(negatives, batch, error);
	return TFRS_OK;
}
