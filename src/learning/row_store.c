/*
 * row_store.c: blocks, spooling and reading of row_store.h.
 *
 * A list's first block is small and the next ones double, so that thousands of small groups cost
 * little and a large one soon works in blocks of tens of kilobytes.  Rows are copied field by
 * field: a stored row has no padding and no alignment.
 */
#include "learning/row_store.h"

#include "base/limits.h"

void
tfrs_row_pack(tfrs_row_format format, uint8_t *bytes, const tfrs_interaction *row)
{
	memcpy(bytes, &row->query, sizeof(uint32_t));
	memcpy(bytes + 4, &row->candidate, sizeof(uint32_t));
	bytes += 8;
	if (format.has_row)
	{
		memcpy(bytes, &row->row, sizeof(uint32_t));
		bytes += sizeof(uint32_t);
	}
	if (format.has_weight)
	{
		memcpy(bytes, &row->weight, sizeof(float));
		bytes += sizeof(float);
	}
	if (format.has_time)
		memcpy(bytes, &row->at, sizeof(int64_t));
}

void
tfrs_row_unpack(tfrs_row_format format, const uint8_t *bytes, tfrs_interaction *row)
{
	memcpy(&row->query, bytes, sizeof(uint32_t));
	memcpy(&row->candidate, bytes + 4, sizeof(uint32_t));
	bytes += 8;
	row->weight = 1.0f;
	row->row = TFRS_NO_ROW;
	row->at = INT64_MIN;
	if (format.has_row)
	{
		memcpy(&row->row, bytes, sizeof(uint32_t));
		bytes += sizeof(uint32_t);
	}
	if (format.has_weight)
	{
		memcpy(&row->weight, bytes, sizeof(float));
		bytes += sizeof(float);
	}
	if (format.has_time)
		memcpy(&row->at, bytes, sizeof(int64_t));
}

void
tfrs_row_store_init(tfrs_row_store *store, tfrs_arena *arena, tfrs_row_format format,
					const tfrs_spool_functions *spools)
{
	memset(store, 0, sizeof(*store));
	store->arena = arena;
	store->spools = spools;
	store->format = format;
	store->width = tfrs_row_width(format);
	store->first_rows = 64;
	store->most_rows = 8192;
	store->limit = SIZE_MAX;
}

void
tfrs_row_store_free(tfrs_row_store *store)
{
	if (store->spool != NULL)
		store->spools->close(store->spool);
	store->spool = NULL;
	if (store->arena != NULL)
		tfrs_arena_release(store->arena, store->scratch);
	store->scratch = NULL;
}

static size_t
block_bytes(const tfrs_row_store *store, size_t capacity)
{
	return sizeof(tfrs_row_block) + capacity * store->width;
}

static void
release_first(tfrs_row_store *store, tfrs_row_queue *list)
{
	tfrs_row_block *block = list->first;

	list->first = block->next;
	if (list->first == NULL)
	{
		list->last = NULL;
		list->cursor = list->end = NULL;
	}
	store->held -= block_bytes(store, block->capacity);
	tfrs_arena_release(store->arena, block);
}

void
tfrs_row_queue_free(tfrs_row_store *store, tfrs_row_queue *list)
{
	while (list->first != NULL)
		release_first(store, list);
	tfrs_arena_release(store->arena, list->places);
	memset(list, 0, sizeof(*list));
}

static size_t
rows_in(const tfrs_row_store *store, const tfrs_row_queue *list, const tfrs_row_block *block)
{
	return block == list->last ? (size_t) (list->cursor - block->bytes) / store->width
		: block->capacity;
}

static tfrs_status
append_to_spool(tfrs_row_store *store, const void *bytes, size_t count, tfrs_error *error)
{
	if (store->spool == NULL)
		store->spool = store->spools->create(store->spools->context);
	if (store->spool == NULL || !store->spools->append(store->spool, bytes, count))
		return tfrs_fail(error, TFRS_IO_ERROR, "could not write to a temporary file");
	store->spool_bytes += count;
	return TFRS_OK;
}

/* Moves the oldest block in memory to the spool. */
static tfrs_status
spool_first(tfrs_row_store *store, tfrs_row_queue *list, tfrs_error *error)
{
	tfrs_row_place place = {store->spool_bytes, rows_in(store, list, list->first)};
	tfrs_status status;

	if (list->place_count == list->place_capacity)
	{
		size_t		capacity = list->place_capacity == 0 ? 16 : 2 * list->place_capacity;

		status = TFRS_RESIZE(store->arena, &list->places, capacity, error);
		if (status != TFRS_OK)
			return status;
		list->place_capacity = capacity;
	}
	status = append_to_spool(store, list->first->bytes, place.rows * store->width, error);
	if (status != TFRS_OK)
		return status;
	list->places[list->place_count++] = place;
	release_first(store, list);
	return TFRS_OK;
}

static tfrs_status
keep_to_limit(tfrs_row_store *store, tfrs_row_queue *list, size_t more, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (store->spools == NULL)
	{
		if (more <= store->limit && store->held <= store->limit - more)
			return TFRS_OK;
		tfrs_fail(error, TFRS_OVER_BUDGET, "memory budget exceeded");
		tfrs_error_detail(error, "The rows collected need more than %zu bytes.", store->limit);
		return TFRS_OVER_BUDGET;
	}
	while (status == TFRS_OK && list->first != NULL &&
		   (more > store->limit || store->held > store->limit - more))
		status = spool_first(store, list, error);
	return status;
}

tfrs_status
tfrs_row_queue_grow(tfrs_row_store *store, tfrs_row_queue *list, tfrs_error *error)
{
	size_t		capacity = store->first_rows;
	tfrs_row_block *block;
	tfrs_status status;

	if (list->rows > 0)
		capacity = list->rows < store->most_rows ? list->rows : store->most_rows;
	status = keep_to_limit(store, list, block_bytes(store, capacity), error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(store->arena, (void **) &block, 1, block_bytes(store, capacity),
								error);
	if (status != TFRS_OK)
		return status;
	block->next = NULL;
	block->capacity = capacity;
	if (list->last != NULL)
		list->last->next = block;
	else
		list->first = block;
	list->last = block;
	list->cursor = block->bytes;
	list->end = block->bytes + capacity * store->width;
	store->held += block_bytes(store, capacity);
	return TFRS_OK;
}

tfrs_status
tfrs_row_queue_spool(tfrs_row_store *store, tfrs_row_queue *list, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	while (status == TFRS_OK && list->first != list->last)
		status = spool_first(store, list, error);
	return status;
}

void
tfrs_row_reader_begin(tfrs_row_reader *reader, tfrs_row_store *store, tfrs_row_queue *list,
					  bool consume)
{
	reader->store = store;
	reader->list = list;
	reader->consume = consume;
	reader->place = 0;
	reader->given = NULL;
	reader->next = list->first;
}

static tfrs_status
read_spooled(tfrs_row_store *store, const tfrs_row_place *place, tfrs_error *error)
{
	if (store->scratch == NULL)
	{
		size_t		largest = store->first_rows > store->most_rows ? store->first_rows
			: store->most_rows;
		tfrs_status status = tfrs_arena_get(store->arena, (void **) &store->scratch, largest,
											store->width, error);

		if (status != TFRS_OK)
			return status;
	}
	if (!store->spools->read(store->spool, place->offset, store->scratch,
							 place->rows * store->width))
		return tfrs_fail(error, TFRS_IO_ERROR, "could not read from a temporary file");
	return TFRS_OK;
}

tfrs_status
tfrs_row_reader_next(tfrs_row_reader *reader, const uint8_t **bytes, size_t *count,
					 tfrs_error *error)
{
	tfrs_row_queue *list = reader->list;

	*count = 0;
	if (reader->place < list->place_count)
	{
		const tfrs_row_place *place = &list->places[reader->place++];
		tfrs_status status = read_spooled(reader->store, place, error);

		*bytes = reader->store->scratch;
		*count = status == TFRS_OK ? place->rows : 0;
		return status;
	}
	if (reader->consume && reader->given != NULL)
		release_first(reader->store, list);
	reader->given = reader->next;
	if (reader->given == NULL)
		return TFRS_OK;
	reader->next = reader->given->next;
	*bytes = reader->given->bytes;
	*count = rows_in(reader->store, list, reader->given);
	return TFRS_OK;
}
