/*
 * arena.c: the list of allocations behind arena.h.
 *
 * A piece is laid out in what the allocator gave as
 *
 *     | slack up to 63 bytes | tfrs_arena_piece (64 bytes) | the caller's bytes |
 *
 * so that the caller's bytes are aligned whatever the allocator's own alignment is.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct tfrs_arena_piece
{
	tfrs_arena_piece *previous;
	tfrs_arena_piece *next;
	void	   *raw;			/* what the allocator returned */
	size_t		bytes;			/* the caller's bytes */
	size_t		total;			/* counted against the budget */
	char		padding[TFRS_ALIGNMENT - 3 * sizeof(void *) - 2 * sizeof(size_t)];
};

_Static_assert(sizeof(tfrs_arena_piece) == TFRS_ALIGNMENT, "a piece's header must keep alignment");

static tfrs_arena_piece *
piece_of(void *pointer)
{
	return (tfrs_arena_piece *) ((char *) pointer - sizeof(tfrs_arena_piece));
}

static void *
bytes_of(tfrs_arena_piece *piece)
{
	return (char *) piece + sizeof(tfrs_arena_piece);
}

void
tfrs_arena_init(tfrs_arena *arena, tfrs_allocator allocator, size_t budget)
{
	memset(arena, 0, sizeof(*arena));
	arena->allocator = allocator;
	arena->budget = budget;
}

void
tfrs_arena_free(tfrs_arena *arena)
{
	while (arena->pieces != NULL)
		tfrs_arena_release(arena, bytes_of(arena->pieces));
}

static tfrs_status
check_budget(const tfrs_arena *arena, size_t bytes, size_t *total, tfrs_error *error)
{
	if (!tfrs_size_add(bytes, sizeof(tfrs_arena_piece) + TFRS_ALIGNMENT, total))
		return tfrs_fail(error, TFRS_TOO_LARGE, "a size overflows");
	if (*total <= arena->budget && arena->used <= arena->budget - *total)
		return TFRS_OK;
	tfrs_fail(error, TFRS_OVER_BUDGET, "memory budget exceeded");
	tfrs_error_detail(error, "%zu bytes are needed beside the %zu in use, of %zu allowed.",
					  bytes, arena->used, arena->budget);
	return TFRS_OVER_BUDGET;
}

static void
link_piece(tfrs_arena *arena, tfrs_arena_piece *piece)
{
	piece->previous = NULL;
	piece->next = arena->pieces;
	if (arena->pieces != NULL)
		arena->pieces->previous = piece;
	arena->pieces = piece;
	arena->used += piece->total;
	if (arena->used > arena->peak)
		arena->peak = arena->used;
}

tfrs_status
tfrs_arena_get(tfrs_arena *arena, void **result, size_t count, size_t size, tfrs_error *error)
{
	size_t		bytes;
	size_t		total;
	void	   *raw;
	tfrs_arena_piece *piece;
	tfrs_status status;

	*result = NULL;
	if (!tfrs_size_multiply(count, size, &bytes))
		return tfrs_fail(error, TFRS_TOO_LARGE, "a size overflows");
	status = check_budget(arena, bytes, &total, error);
	if (status != TFRS_OK)
		return status;
	raw = arena->allocator.allocate(arena->allocator.context, total);
	if (raw == NULL)
		return tfrs_fail_memory(error, total);
	piece = (tfrs_arena_piece *) (((uintptr_t) raw + TFRS_ALIGNMENT - 1) &
								  ~(uintptr_t) (TFRS_ALIGNMENT - 1));
	piece->raw = raw;
	piece->bytes = bytes;
	piece->total = total;
	link_piece(arena, piece);
	*result = bytes_of(piece);
	return TFRS_OK;
}

tfrs_status
tfrs_arena_get_zero(tfrs_arena *arena, void **result, size_t count, size_t size, tfrs_error *error)
{
	tfrs_status status = tfrs_arena_get(arena, result, count, size, error);

	if (status == TFRS_OK)
		memset(*result, 0, count * size);
	return status;
}

tfrs_status
tfrs_arena_resize(tfrs_arena *arena, void **pointer, size_t count, size_t size, tfrs_error *error)
{
	void	   *larger;
	size_t		keep;
	tfrs_status status = tfrs_arena_get(arena, &larger, count, size, error);

	if (status != TFRS_OK)
		return status;
	if (*pointer != NULL)
	{
		keep = piece_of(*pointer)->bytes;
		memcpy(larger, *pointer, keep < count * size ? keep : count * size);
		tfrs_arena_release(arena, *pointer);
	}
	*pointer = larger;
	return TFRS_OK;
}

void
tfrs_arena_release(tfrs_arena *arena, void *pointer)
{
	tfrs_arena_piece *piece;

	if (pointer == NULL)
		return;
	piece = piece_of(pointer);
	if (piece->previous != NULL)
		piece->previous->next = piece->next;
	else
		arena->pieces = piece->next;
	if (piece->next != NULL)
		piece->next->previous = piece->previous;
	arena->used -= piece->total;
	arena->allocator.release(arena->allocator.context, piece->raw);
}

static void *
malloc_allocate(void *context, size_t bytes)
{
	(void) context;
	return malloc(bytes);
}

static void
malloc_release(void *context, void *pointer)
{
	(void) context;
	free(pointer);
}

tfrs_allocator
tfrs_allocator_malloc(void)
{
	tfrs_allocator allocator = {NULL, malloc_allocate, malloc_release};

	return allocator;
}
