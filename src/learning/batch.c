/*
 * batch.c: assembling a batch: number the ids, then a counting sort by query, then merge pairs.
 */
#include "learning/batch.h"

#include <string.h>

size_t
tfrs_batch_columns(const tfrs_batch_sizes *sizes)
{
	size_t		columns = sizes->rows + sizes->added;

	return sizes->all || columns > sizes->candidates ? sizes->candidates : columns;
}

static tfrs_status
init_side(tfrs_batch_side *side, tfrs_arena *arena, size_t distinct, size_t items, size_t ids,
		  tfrs_error *error)
{
	tfrs_status status = TFRS_GET(arena, &side->distinct, distinct, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &side->number, items, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &side->place, ids, error);
	return status;
}

static tfrs_status
init_rows(tfrs_batch *batch, tfrs_arena *arena, size_t columns, tfrs_error *error)
{
	size_t		capacity = batch->capacity;
	tfrs_status status = TFRS_GET(arena, &batch->weight, capacity, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->candidate_count, columns, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->pair_query, capacity, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->pair_candidate, capacity, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->pair_weight, capacity, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->start, capacity + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->row, capacity, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &batch->pair_of, columns, error);
	return status;
}

/* The columns are the same in every batch. */
static void
number_all(tfrs_batch *batch, size_t candidates)
{
	tfrs_batch_side *side = &batch->candidate;

	side->count = candidates;
	for (size_t i = 0; i < candidates; i++)
	{
		side->distinct[i] = side->place[i] = (uint32_t) i;
		batch->candidate_count[i] = 1.0f;
	}
}

tfrs_status
tfrs_batch_init(tfrs_batch *batch, tfrs_arena *arena, const tfrs_batch_sizes *sizes,
				tfrs_error *error)
{
	size_t		columns = tfrs_batch_columns(sizes);
	tfrs_status status;

	memset(batch, 0, sizeof(*batch));
	batch->arena = arena;
	batch->capacity = sizes->rows;
	batch->all = sizes->all;
	status = init_side(&batch->query, arena, sizes->rows, sizes->rows, sizes->queries, error);
	if (status == TFRS_OK)
		status = init_side(&batch->candidate, arena, columns, sizes->rows + sizes->added,
						   sizes->candidates, error);
	if (status == TFRS_OK)
		status = init_rows(batch, arena, columns, error);
	if (status != TFRS_OK)
		tfrs_batch_free(batch);
	else if (sizes->all)
		number_all(batch, sizes->candidates);
	return status;
}

void
tfrs_batch_free(tfrs_batch *batch)
{
	tfrs_arena *arena = batch->arena;
	void	   *pieces[] = {
		batch->query.distinct, batch->query.number, batch->query.place,
		batch->candidate.distinct, batch->candidate.number, batch->candidate.place,
		batch->weight, batch->candidate_count,
		batch->pair_query, batch->pair_candidate, batch->pair_weight,
		batch->start, batch->row, batch->pair_of
	};

	if (arena == NULL)
		return;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		tfrs_arena_release(arena, pieces[i]);
	memset(batch, 0, sizeof(*batch));
}

bool
tfrs_batch_bytes(const tfrs_batch_sizes *sizes, size_t *bytes)
{
	size_t		terms[] = {
		sizes->added, sizes->queries, sizes->candidates, 3 * tfrs_batch_columns(sizes), 1
	};
	size_t		words;
	bool		fits = tfrs_size_multiply(sizes->rows, 9, &words);

	for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]) && fits; i++)
		fits = tfrs_size_add(words, terms[i], &words);
	return fits && tfrs_size_multiply(words, sizeof(uint32_t), &words) &&
		tfrs_size_add(*bytes, words, bytes);
}

/* The number of an id among the distinct ones, a new one where it is the first time. */
static inline uint32_t
number_of(tfrs_batch_side *side, uint32_t id)
{
	uint32_t	place = side->place[id];

	if (place < side->count && side->distinct[place] == id)
		return place;
	side->place[id] = (uint32_t) side->count;
	side->distinct[side->count] = id;
	return (uint32_t) side->count++;
}

void
tfrs_batch_add_column(tfrs_batch *batch, uint32_t candidate)
{
	tfrs_batch_side *side = &batch->candidate;
	size_t		before = side->count;
	uint32_t	number = number_of(side, candidate);

	if (number == before)
		batch->candidate_count[number] = 0.0f;
	batch->candidate_count[number] += 1.0f;
	side->number[side->items++] = number;
}

static void
number_rows(tfrs_batch *batch, const tfrs_interaction *rows)
{
	tfrs_batch_side *candidate = &batch->candidate;

	batch->query.count = 0;
	batch->query.items = batch->rows;
	candidate->items = 0;
	if (!batch->all)
		candidate->count = 0;
	for (size_t i = 0; i < batch->rows; i++)
	{
		if (batch->all)
			candidate->number[candidate->items++] = rows[i].candidate;
		else
			tfrs_batch_add_column(batch, rows[i].candidate);
		batch->query.number[i] = number_of(&batch->query, rows[i].query);
		batch->weight[i] = rows[i].weight;
	}
}

/* row becomes the rows grouped by query, in their own order within a group. */
static void
group_rows(tfrs_batch *batch)
{
	uint32_t   *start = batch->start;
	uint32_t	sum = 0;

	memset(start, 0, (batch->query.count + 1) * sizeof(start[0]));
	for (size_t i = 0; i < batch->rows; i++)
		start[batch->query.number[i]]++;
	for (size_t u = 0; u <= batch->query.count; u++)
	{
		uint32_t	rows = start[u];

		start[u] = sum;
		sum += rows;
	}
	for (size_t i = 0; i < batch->rows; i++)
		batch->row[start[batch->query.number[i]]++] = (uint32_t) i;
}

/* Rows of one query and candidate become one pair; pair_of is a sparse set as place is. */
static void
merge_pairs(tfrs_batch *batch)
{
	size_t		first = 0;		/* pair of the current query */

	batch->pairs = 0;
	memset(batch->pair_of, 0, batch->candidate.count * sizeof(batch->pair_of[0]));
	for (size_t i = 0; i < batch->rows; i++)
	{
		uint32_t	row = batch->row[i];
		uint32_t	query = batch->query.number[row];
		uint32_t	candidate = batch->candidate.number[row];
		size_t		pair = batch->pair_of[candidate];

		if (batch->pairs > 0 && batch->pair_query[batch->pairs - 1] != query)
			first = batch->pairs;
		if (pair >= first && pair < batch->pairs && batch->pair_candidate[pair] == candidate)
		{
			batch->pair_weight[pair] += batch->weight[row];
			continue;
		}
		pair = batch->pairs++;
		batch->pair_of[candidate] = (uint32_t) pair;
		batch->pair_query[pair] = query;
		batch->pair_candidate[pair] = candidate;
		batch->pair_weight[pair] = batch->weight[row];
	}
}

void
tfrs_batch_assemble(tfrs_batch *batch, const tfrs_interaction *rows, size_t count)
{
	batch->rows = count;
	number_rows(batch, rows);
	group_rows(batch);
	merge_pairs(batch);
}
