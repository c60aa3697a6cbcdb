/*
 * key_rows.c: which of a key's rows speaks for it.
 */
#include "learning/key_rows.h"

#include <string.h>

tfrs_status
tfrs_key_rows_init(tfrs_key_rows *keys, tfrs_arena *arena, const tfrs_tower_options *options,
				   tfrs_error *error)
{
	tfrs_status status;

	memset(keys, 0, sizeof(*keys));
	if (tfrs_row_layout_of(options).words == 0)
		return TFRS_OK;
	status = tfrs_feature_rows_init(&keys->rows, arena, options, error);
	keys->arena = status == TFRS_OK ? arena : NULL;
	return status;
}

void
tfrs_key_rows_free(tfrs_key_rows *keys)
{
	if (keys->arena == NULL)
		return;
	tfrs_feature_rows_free(&keys->rows);
	tfrs_arena_release(keys->arena, keys->key);
	tfrs_arena_release(keys->arena, keys->row_of);
	tfrs_arena_release(keys->arena, keys->row_count);
	memset(keys, 0, sizeof(*keys));
}

/* Room for the key of that number. */
static tfrs_status
make_room(tfrs_key_rows *keys, uint32_t key, tfrs_error *error)
{
	size_t		capacity = keys->capacity == 0 ? 64 : 2 * keys->capacity;
	tfrs_status status;

	if (key < keys->capacity)
		return TFRS_OK;
	if (capacity <= key)
		capacity = (size_t) key + 1;
	status = TFRS_RESIZE(keys->arena, &keys->key, capacity, error);
	if (status != TFRS_OK)
		return status;
	memset(keys->key + keys->capacity, 0,
		   (capacity - keys->capacity) * sizeof(keys->key[0]));
	keys->capacity = capacity;
	return TFRS_OK;
}

/* Whether a row counts more than the one that the key has. */
static bool
counts_more(const tfrs_key_rows *keys, const tfrs_key_row *has, const tfrs_key_given *given,
			uint32_t row)
{
	if (has->origin != (uint8_t) given->origin)
		return (uint8_t) given->origin > has->origin;
	if (has->at != given->at)
		return given->at > has->at;
	return row != has->row && tfrs_feature_rows_compare(&keys->rows, row, has->row) > 0;
}

tfrs_status
tfrs_key_rows_add(tfrs_key_rows *keys, uint32_t key, const tfrs_key_given *given, uint32_t *row,
				  tfrs_error *error)
{
	bool		of_interaction = given->origin == TFRS_ROW_OF_INTERACTION;
	tfrs_status status = tfrs_feature_rows_add(&keys->rows, given->value, row, error);
	tfrs_key_row *has;

	if (status == TFRS_OK)
		status = make_room(keys, key, error);
	if (status != TFRS_OK)
		return status;
	has = &keys->key[key];
	has->of_model |= given->origin == TFRS_ROW_OF_MODEL;
	has->differs |= of_interaction && has->origin == TFRS_ROW_OF_INTERACTION && has->row != *row;
	if (!counts_more(keys, has, given, *row))
		return TFRS_OK;
	has->row = *row;
	has->origin = (uint8_t) given->origin;
	has->at = given->at;
	return TFRS_OK;
}

/* The rows of keys by their final numbers. */
static tfrs_status
place_keys(tfrs_key_rows *keys, const uint32_t *new_key, size_t count, tfrs_error *error)
{
	uint32_t	null = tfrs_feature_rows_null(&keys->rows);
	tfrs_status status = TFRS_GET(keys->arena, &keys->row_of, count, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(keys->arena, &keys->row_count, (size_t) null + 1, error);
	for (size_t k = 0; k < count && status == TFRS_OK; k++)
	{
		const tfrs_key_row *has = k < keys->capacity ? &keys->key[k] : NULL;
		bool		known = has != NULL && has->origin > 0;

		keys->row_of[new_key[k]] = known ? keys->rows.new_row[has->row] : null;
		keys->differ += known && has->differs;
	}
	return status;
}

tfrs_status
tfrs_key_rows_finish_step(tfrs_key_rows *keys, const uint32_t *new_key, size_t count,
						  tfrs_error *error)
{
	tfrs_status status;

	if (keys->arena == NULL || keys->row_of != NULL)
		return TFRS_OK;
	status = tfrs_feature_rows_finish_step(&keys->rows, error);
	return status == TFRS_OK ? place_keys(keys, new_key, count, error) : status;
}

void
tfrs_key_rows_count_keys(tfrs_key_rows *keys, const uint32_t *new_key,
						 const uint32_t *interactions)
{
	for (size_t k = 0; keys->arena != NULL && k < keys->capacity; k++)
	{
		const tfrs_key_row *has = &keys->key[k];

		if (has->origin > 0 && (has->of_model || interactions[new_key[k]] > 0))
			keys->row_count[keys->row_of[new_key[k]]]++;
	}
}

void
tfrs_key_rows_forget_arrival(tfrs_key_rows *keys)
{
	if (keys->arena == NULL)
		return;
	tfrs_arena_release(keys->arena, keys->key);
	tfrs_arena_release(keys->arena, keys->rows.new_row);
	keys->key = NULL;
	keys->rows.new_row = NULL;
	keys->capacity = 0;
}

size_t
tfrs_key_rows_bytes(const tfrs_key_rows *keys)
{
	return keys->arena == NULL ? 0
		: tfrs_feature_rows_bytes(&keys->rows) + keys->capacity * sizeof(keys->key[0]);
}
