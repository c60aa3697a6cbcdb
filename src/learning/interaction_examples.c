/*
 * interaction_examples.c: reading a batch, then a counting sort of its rows by query.
 *
 * Examples are numbered in the order of first appearance by a sparse set: place[id] is believed
 * where query[place[id]] is the id, so nothing is cleared between batches and a batch costs O(B)
 * whatever the tables' sizes are.
 */
#include "learning/interaction_examples.h"

#include <math.h>
#include <string.h>

#include "learning/streams.h"

/* Queries whose weight one step sums. */
#define STEP_QUERIES ((size_t) 1 << 18)

void
tfrs_interaction_examples_size(tfrs_interaction_examples *source,
							   const tfrs_train_options *options, size_t queries, size_t count)
{
	source->options = options;
	source->queries = queries;
	source->count = count;
	source->capacity = tfrs_size_smaller(count, options->batch_size);
	source->merges = !tfrs_train_options_is_plain(options);
}

void
tfrs_interaction_examples_most(const tfrs_interaction_examples *source, tfrs_examples_most *most)
{
	*most = (tfrs_examples_most) {
		.rows = source->merges && !source->has_rows
		? tfrs_size_smaller(source->capacity, source->queries + 1) : source->capacity,
		.positives = source->capacity, .targets = source->capacity
	};
	most->items[0] = most->rows;
}

void
tfrs_interaction_examples_plan(tfrs_plan *plan, tfrs_interaction_examples *source,
							   tfrs_examples *batch)
{
	size_t		capacity = source->capacity;

	TFRS_PLAN(plan, &source->row, capacity);
	TFRS_PLAN(plan, &source->positive, capacity);
	TFRS_PLAN(plan, &source->query, capacity);
	if (source->has_rows)
		TFRS_PLAN(plan, &source->query_row, capacity);
	TFRS_PLAN(plan, &source->number, capacity);
	TFRS_PLAN_ZERO(plan, &source->place, source->queries + 1);
	TFRS_PLAN(plan, &source->start, capacity + 1);
	TFRS_PLAN(plan, &source->order, capacity);
	batch->target.row_capacity = batch->target.capacity = capacity;
	batch->target.has_weight = true;
	tfrs_ragged_plan(plan, &batch->target);
}

tfrs_status
tfrs_interaction_examples_begin(tfrs_interaction_examples *source,
								tfrs_interactions *interactions, const tfrs_event_split *split,
								tfrs_error *error)
{
	source->interactions = interactions;
	source->split = split;
	source->counts = tfrs_interactions_query_counts(interactions);
	source->epoch = 1;
	return tfrs_interactions_rewind(interactions, 0, error);
}

/* The sum over all rows of count(query)^-w. */
tfrs_status
tfrs_interaction_examples_prepare(tfrs_interaction_examples *source)
{
	size_t		left = source->queries - source->weighed;
	size_t		end = left < STEP_QUERIES ? source->queries : source->weighed + STEP_QUERIES;
	float		power = source->options->query_weight;

	for (size_t q = source->weighed; power > 0.0f && q < end; q++)
		source->weight += source->counts[q] == 0 ? 0 : pow(source->counts[q], 1.0 - power);
	source->weighed = end;
	return end < source->queries ? TFRS_MORE : TFRS_OK;
}

static void
weigh_rows(tfrs_interaction_examples *source)
{
	double		mean = source->weight / (double) source->count;
	float		power = source->options->query_weight;

	for (size_t i = 0; power > 0.0f && i < source->held; i++)
		source->row[i].weight *= (float) (pow(source->counts[source->row[i].query], -power) / mean);
}

static void
drop_ids(tfrs_interaction_examples *source)
{
	float		share = source->options->id_dropout;
	tfrs_random random;

	tfrs_random_init(&random, source->options->seed, TFRS_STREAM_ID_DROPOUT,
					 (uint64_t) source->epoch << 32 | source->batch);
	for (size_t i = 0; share > 0.0f && i < source->held; i++)
		if (tfrs_random_float(&random) < share)
			source->row[i].query = (uint32_t) source->queries;
}

/* Reads on and passes over what is held out; whether the batch is full, or the epoch's last. */
static tfrs_status
read_rows(tfrs_interaction_examples *source, tfrs_error *error)
{
	size_t		room = source->capacity - source->held;
	tfrs_interaction *row = source->row + source->held;
	size_t		more;
	tfrs_status status = tfrs_interactions_read(source->interactions, row, room, &more, error);

	if (status != TFRS_OK)
		return status;
	source->read += more;
	for (size_t i = 0; i < more; i++)
		if (source->split == NULL ||
			!tfrs_event_split_holds(source->split, row[i].query, row[i].candidate))
			source->row[source->held++] = row[i];
	return source->held < source->capacity && source->read < source->count ? TFRS_MORE : TFRS_OK;
}

/* Whether a row of the interactions belongs to an example that there is. */
static bool
is_example(const tfrs_interaction_examples *source, uint32_t example, const tfrs_interaction *row)
{
	return source->query[example] == row->query &&
		(!source->has_rows || source->query_row[example] == row->row);
}

/* The example of a row: that of an earlier one like it, or another one. */
static uint32_t
example_of(tfrs_interaction_examples *source, size_t *examples, const tfrs_interaction *row)
{
	uint32_t	place = source->place[row->query];

	if (source->merges && place < *examples && is_example(source, place, row))
		return place;
	source->place[row->query] = (uint32_t) *examples;
	source->query[*examples] = row->query;
	if (source->has_rows)
		source->query_row[*examples] = row->row;
	return (uint32_t) (*examples)++;
}

/* order: the rows by example, in their own order within one; start: where those of one begin. */
static void
group_rows(tfrs_interaction_examples *source, size_t examples)
{
	uint32_t   *start = source->start;
	uint32_t	sum = 0;

	memset(start, 0, (examples + 1) * sizeof(start[0]));
	for (size_t i = 0; i < source->held; i++)
		start[source->number[i]]++;
	for (size_t u = 0; u <= examples; u++)
	{
		uint32_t	rows = start[u];

		start[u] = sum;
		sum += rows;
	}
	for (size_t i = 0; i < source->held; i++)
		source->order[start[source->number[i]]++] = (uint32_t) i;
}

static void
make_examples(tfrs_interaction_examples *source, tfrs_examples *batch)
{
	size_t		examples = 0;
	size_t		done = 0;

	for (size_t i = 0; i < source->held; i++)
	{
		source->number[i] = example_of(source, &examples, &source->row[i]);
		source->positive[i] = source->row[i].candidate;
	}
	group_rows(source, examples);
	tfrs_ragged_clear(&batch->target);
	for (size_t u = 0; u < examples; u++)
	{
		for (; done < source->start[u]; done++)
		{
			const tfrs_interaction *row = &source->row[source->order[done]];

			tfrs_ragged_push(&batch->target, row->candidate, row->weight);
		}
		tfrs_ragged_end_row(&batch->target);
	}
	batch->rows = examples;
	batch->query = batch->cells[0].id = source->query;
	batch->query_row = source->query_row;
	batch->positives = batch->items = source->held;
	batch->units = (double) source->held;
	batch->positive = source->positive;
}

static tfrs_status
end_epoch(tfrs_interaction_examples *source, tfrs_error *error)
{
	source->read = 0;
	source->batch = 0;
	source->epoch++;
	return tfrs_interactions_rewind(source->interactions, source->epoch - 1, error);
}

tfrs_status
tfrs_interaction_examples_draw(tfrs_interaction_examples *source, tfrs_examples *batch,
							   tfrs_error *error)
{
	tfrs_status status = read_rows(source, error);
	uint64_t	all = source->count;

	if (status != TFRS_OK)
		return status;
	weigh_rows(source);
	drop_ids(source);
	source->batch++;
	make_examples(source, batch);
	source->held = 0;
	batch->done = (source->epoch - 1) * all + source->read;
	batch->total = source->options->epochs * all;
	batch->ends_epoch = source->read == all;
	return batch->ends_epoch && batch->done < batch->total ? end_epoch(source, error) : TFRS_OK;
}
