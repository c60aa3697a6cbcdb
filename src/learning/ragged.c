/*
 * ragged.c: memory of the lists in ragged.h.
 */
#include "learning/ragged.h"

static tfrs_status
reserve_rows(tfrs_ragged *ragged, tfrs_arena *arena, size_t rows, tfrs_error *error)
{
	tfrs_status status;

	if (ragged->start != NULL && rows <= ragged->row_capacity)
		return TFRS_OK;
	status = TFRS_RESIZE(arena, &ragged->start, rows + 1, error);
	if (status == TFRS_OK)
		ragged->row_capacity = rows;
	return status;
}

static tfrs_status
reserve_items(tfrs_ragged *ragged, tfrs_arena *arena, size_t items, tfrs_error *error)
{
	tfrs_status status;

	if (ragged->item != NULL && items <= ragged->capacity)
		return TFRS_OK;
	tfrs_arena_release(arena, ragged->item);
	tfrs_arena_release(arena, ragged->weight);
	ragged->item = NULL;
	ragged->weight = NULL;
	ragged->capacity = 0;
	items = tfrs_ragged_room(items);
	status = TFRS_GET(arena, &ragged->item, items, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &ragged->weight, items, error);
	if (status == TFRS_OK)
		ragged->capacity = items;
	return status;
}

tfrs_status
tfrs_ragged_reserve(tfrs_ragged *ragged, tfrs_arena *arena, size_t rows, size_t items,
					tfrs_error *error)
{
	tfrs_status status = reserve_rows(ragged, arena, rows, error);

	if (status == TFRS_OK)
		status = reserve_items(ragged, arena, items, error);
	if (status != TFRS_OK)
		return status;
	ragged->rows = 0;
	ragged->count = 0;
	ragged->start[0] = 0;
	return TFRS_OK;
}

void
tfrs_ragged_release(tfrs_ragged *ragged, tfrs_arena *arena)
{
	tfrs_arena_release(arena, ragged->start);
	tfrs_arena_release(arena, ragged->item);
	tfrs_arena_release(arena, ragged->weight);
	*ragged = (tfrs_ragged) {0};
}
