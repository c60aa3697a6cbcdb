/*
 * known_cells.c: known pairs among the cells of a batch.
 *
 * A query's events come in the order of their times and the cells are wanted in the order of the
 * columns: they are set as bits and read off, which costs less than sorting them.
 */
#include "learning/known_cells.h"

#include <string.h>

tfrs_status
tfrs_known_cells_init(tfrs_known_cells *known, tfrs_arena *arena, const tfrs_events *events,
					  size_t columns, tfrs_error *error)
{
	memset(known, 0, sizeof(*known));
	known->arena = arena;
	known->events = events;
	return TFRS_GET_ZERO(arena, &known->bits, columns / 64 + 1, error);
}

void
tfrs_known_cells_free(tfrs_known_cells *known)
{
	if (known->arena == NULL)
		return;
	tfrs_arena_release(known->arena, known->bits);
	tfrs_arena_release(known->arena, known->cells);
	memset(known, 0, sizeof(*known));
}

bool
tfrs_known_cells_bytes(size_t rows, size_t columns, size_t queries, size_t events, size_t *bytes)
{
	size_t		cells = rows < queries ? events / queries * rows + rows : events;

	return tfrs_size_add(cells, columns / 64 + 1, &cells) &&
		tfrs_size_multiply(cells, sizeof(uint64_t), &cells) &&
		tfrs_size_add(*bytes, cells, bytes);
}

/* What a query is known with; an unknown one, which training may make of a query, with nothing. */
static tfrs_event_list
events_of(const tfrs_known_cells *known, uint32_t query)
{
	return query < known->events->queries ? tfrs_events_of(known->events, query)
		: (tfrs_event_list) {0};
}

/* Room for all cells of a batch, as many as its columns repeat. */
static tfrs_status
make_room(tfrs_known_cells *known, size_t wanted, tfrs_error *error)
{
	tfrs_status status;

	if (wanted <= known->capacity)
		return TFRS_OK;
	status = TFRS_RESIZE(known->arena, &known->cells, wanted, error);
	if (status == TFRS_OK)
		known->capacity = wanted;
	return status;
}

/* Sets the bits of the columns that query has events with. */
static void
set_bits(tfrs_known_cells *known, const tfrs_batch_side *side, const tfrs_event_list *list)
{
	for (size_t i = 0; i < list->count; i++)
	{
		uint32_t	candidate = list->candidate[i];
		uint32_t	place = side->place[candidate];

		if (place < side->count && side->distinct[place] == candidate)
			known->bits[place / 64] |= (uint64_t) 1 << place % 64;
	}
}

/* Turns the bits into cells of the row whose first cell is base, and clears them. */
static void
take_bits(tfrs_known_cells *known, size_t columns, uint64_t base)
{
	for (size_t word = 0; word <= columns / 64; word++)
	{
		uint64_t	bits = known->bits[word];

		for (; bits != 0; bits &= bits - 1)
			known->cells[known->count++] = base + word * 64 + (uint64_t) __builtin_ctzll(bits);
		known->bits[word] = 0;
	}
}

tfrs_status
tfrs_known_cells_find(tfrs_known_cells *known, const tfrs_batch *batch, tfrs_error *error)
{
	size_t		columns = batch->candidate.count;
	size_t		most = 0;
	tfrs_status status;

	for (size_t u = 0; u < batch->query.count; u++)
		most += events_of(known, batch->query.distinct[u]).count;
	status = make_room(known, most, error);
	known->count = 0;
	for (size_t u = 0; status == TFRS_OK && u < batch->query.count; u++)
	{
		tfrs_event_list list = events_of(known, batch->query.distinct[u]);

		set_bits(known, &batch->candidate, &list);
		take_bits(known, columns, u * columns);
	}
	return status;
}

/* The same for columns that repeat; own is left out. */
static void
take_items(tfrs_known_cells *known, const tfrs_batch_side *side, size_t own)
{
	for (size_t j = 0; j < side->items; j++)
	{
		uint32_t	place = side->number[j];

		if (j != own && (known->bits[place / 64] >> place % 64 & 1) != 0)
			known->cells[known->count++] = own * side->items + j;
	}
	memset(known->bits, 0, (side->count / 64 + 1) * sizeof(known->bits[0]));
}

/* Columns of the batch that a row's query is known with. */
static size_t
count_items(const tfrs_known_cells *known, const tfrs_batch *batch, size_t row)
{
	const tfrs_batch_side *side = &batch->candidate;
	tfrs_event_list list = events_of(known, batch->query.distinct[batch->query.number[row]]);
	size_t		items = 0;

	for (size_t i = 0; i < list.count; i++)
	{
		uint32_t	place = side->place[list.candidate[i]];

		if (place < side->count && side->distinct[place] == list.candidate[i])
			items += (size_t) batch->candidate_count[place];
	}
	return items;
}

tfrs_status
tfrs_known_cells_find_rows(tfrs_known_cells *known, const tfrs_batch *batch, tfrs_error *error)
{
	size_t		most = 0;
	tfrs_status status;

	for (size_t i = 0; i < batch->rows; i++)
		most += count_items(known, batch, i);
	status = make_room(known, most, error);
	known->count = 0;
	for (size_t i = 0; status == TFRS_OK && i < batch->rows; i++)
	{
		tfrs_event_list list = events_of(known,
										 batch->query.distinct[batch->query.number[i]]);

		set_bits(known, &batch->candidate, &list);
		take_items(known, &batch->candidate, i);
	}
	return status;
}
