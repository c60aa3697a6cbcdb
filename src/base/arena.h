/*
 * arena.h: aligned, budgeted memory over an injected allocator.
 *
 * Every allocation of the core comes from an arena, so that a test can make the n-th one fail and
 * the server can lay an arena over a memory context (which frees everything when a statement is
 * cancelled in the middle of a step).  Not thread safe: workers get their scratch memory before
 * they start.
 *
 * An arena keeps a list of its allocations rather than bumping a pointer: tables grow, and growing
 * must give the old memory back.
 */
#ifndef TFRS_ARENA_H
#define TFRS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Alignment of every allocation, in bytes: a cache line and the widest vector register. */
#define TFRS_ALIGNMENT 64

typedef struct tfrs_allocator
{
	void	   *context;
	void	   *(*allocate) (void *context, size_t bytes);	/* NULL when memory is out */
	void		(*release) (void *context, void *pointer);
} tfrs_allocator;

typedef struct tfrs_arena_piece tfrs_arena_piece;

typedef struct tfrs_arena
{
	tfrs_allocator allocator;
	size_t		budget;			/* bytes; SIZE_MAX: no bound of our own */
	size_t		used;			/* bytes held now, administration included */
	size_t		peak;			/* largest used so far */
	tfrs_arena_piece *pieces;
} tfrs_arena;

extern void tfrs_arena_init(tfrs_arena *arena, tfrs_allocator allocator, size_t budget);
extern void tfrs_arena_free(tfrs_arena *arena);	/* gives back everything */

/*
 * count * size bytes, aligned to TFRS_ALIGNMENT.  *result is NULL only after a failure
 * (TFRS_OUT_OF_MEMORY, TFRS_OVER_BUDGET, TFRS_TOO_LARGE for a product that overflows); a request
 * of 0 bytes gives a valid pointer.  The first form leaves the bytes as they are.
 */
extern tfrs_status tfrs_arena_get(tfrs_arena *arena, void **result, size_t count, size_t size,
								  tfrs_error *error);
extern tfrs_status tfrs_arena_get_zero(tfrs_arena *arena, void **result, size_t count, size_t size,
									   tfrs_error *error);

/* Like realloc: on failure the old piece stays valid and *pointer unchanged. */
extern tfrs_status tfrs_arena_resize(tfrs_arena *arena, void **pointer, size_t count, size_t size,
									 tfrs_error *error);

/* Gives one piece back; NULL is allowed. */
extern void tfrs_arena_release(tfrs_arena *arena, void *pointer);

/* Typed forms: TFRS_GET(arena, &rows, count, error) takes the element size from the pointer. */
#define TFRS_GET(arena, pointer, count, error) \
	tfrs_arena_get((arena), (void **) (pointer), (count), sizeof(**(pointer)), (error))
#define TFRS_GET_ZERO(arena, pointer, count, error) \
	tfrs_arena_get_zero((arena), (void **) (pointer), (count), sizeof(**(pointer)), (error))
#define TFRS_RESIZE(arena, pointer, count, error) \
	tfrs_arena_resize((arena), (void **) (pointer), (count), sizeof(**(pointer)), (error))

/* Size arithmetic; the checked forms are false when the result would not fit. */
static inline bool
tfrs_size_multiply(size_t a, size_t b, size_t *result)
{
	return !__builtin_mul_overflow(a, b, result);
}

static inline size_t
tfrs_size_smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline bool
tfrs_size_add(size_t a, size_t b, size_t *result)
{
	return !__builtin_add_overflow(a, b, result);
}

/*
 * Several arrays in one piece: place them one after the other, get layout.bytes once, and add each
 * offset.  fits turns false when a size overflows.  Start with {0, true}.
 */
typedef struct tfrs_layout
{
	size_t		bytes;
	bool		fits;
} tfrs_layout;

static inline size_t
tfrs_layout_place(tfrs_layout *layout, size_t count, size_t size)
{
	size_t		offset = layout->bytes;
	size_t		bytes;

	layout->fits = layout->fits && tfrs_size_multiply(count, size, &bytes) &&
		tfrs_size_add(bytes, (0 - bytes) % TFRS_ALIGNMENT, &bytes) &&
		tfrs_size_add(offset, bytes, &layout->bytes);
	return offset;
}

/* An allocator over malloc, for the C tests and tools. */
extern tfrs_allocator tfrs_allocator_malloc(void);

#endif							/* TFRS_ARENA_H */
