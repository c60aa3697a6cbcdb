/*
 * test_arena.c: alignment, budget, growth, and what a failed request leaves behind.
 */
#include <string.h>

#include "base/arena.h"
#include "check.h"

CHECK_TEST(every_piece_is_aligned_and_its_own)
{
	uint8_t    *pieces[200];

	for (size_t i = 0; i < 200; i++)
	{
		CHECK_OK(TFRS_GET(check_arena(), &pieces[i], i, &check_error));
		CHECK(pieces[i] != NULL);
		CHECK_EQUAL((uintptr_t) pieces[i] % TFRS_ALIGNMENT, 0);
		memset(pieces[i], (int) i, i);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t j = 0; j < i; j++)
			CHECK_EQUAL(pieces[i][j], i);
}

CHECK_TEST(zeroed_memory_is_zero)
{
	uint64_t   *words;

	for (int round = 0; round < 2; round++)
	{
		CHECK_OK(TFRS_GET_ZERO(check_arena(), &words, 1000, &check_error));
		for (int i = 0; i < 1000; i++)
			CHECK_EQUAL(words[i], 0);
		memset(words, 255, 1000 * sizeof(*words));
		tfrs_arena_release(check_arena(), words);
	}
}

CHECK_TEST(resize_keeps_what_fits)
{
	uint32_t   *numbers = NULL;

	CHECK_OK(TFRS_RESIZE(check_arena(), &numbers, 10, &check_error));
	for (uint32_t i = 0; i < 10; i++)
		numbers[i] = i;
	CHECK_OK(TFRS_RESIZE(check_arena(), &numbers, 1000, &check_error));
	for (uint32_t i = 0; i < 10; i++)
		CHECK_EQUAL(numbers[i], i);
	CHECK_OK(TFRS_RESIZE(check_arena(), &numbers, 3, &check_error));
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQUAL(numbers[i], i);
}

CHECK_TEST(release_in_any_order_gives_everything_back)
{
	void	   *pieces[5];

	for (int i = 0; i < 5; i++)
		CHECK_OK(tfrs_arena_get(check_arena(), &pieces[i], 100, 1, &check_error));
	tfrs_arena_release(check_arena(), pieces[2]);
	tfrs_arena_release(check_arena(), pieces[4]);
	tfrs_arena_release(check_arena(), pieces[0]);
	tfrs_arena_release(check_arena(), NULL);
	CHECK(check_arena()->used > 0 && check_arena()->used < check_arena()->peak);
	tfrs_arena_release(check_arena(), pieces[1]);
	tfrs_arena_release(check_arena(), pieces[3]);
	CHECK_EQUAL(check_arena()->used, 0);
	CHECK(check_arena()->pieces == NULL);
}

CHECK_TEST(budget_counts_what_is_held_now)
{
	tfrs_arena	arena;
	void	   *first;
	void	   *second;

	tfrs_arena_init(&arena, tfrs_allocator_malloc(), 4096);
	CHECK_OK(tfrs_arena_get(&arena, &first, 3000, 1, &check_error));
	CHECK_STATUS(tfrs_arena_get(&arena, &second, 3000, 1, &check_error), TFRS_OVER_BUDGET);
	CHECK(second == NULL);
	CHECK(strstr(check_error.detail, "3000 bytes") != NULL);
	CHECK_STATUS(tfrs_arena_resize(&arena, &first, 3100, 1, &check_error), TFRS_OVER_BUDGET);
	CHECK(first != NULL);
	memset(first, 1, 3000);
	tfrs_arena_release(&arena, first);
	CHECK_OK(tfrs_arena_get(&arena, &second, 3000, 1, &check_error));
	CHECK(arena.used <= arena.budget && arena.peak <= arena.budget);
	tfrs_arena_free(&arena);
	CHECK_EQUAL(arena.used, 0);
}

CHECK_TEST(budget_may_be_used_up)
{
	tfrs_arena	arena;
	void	   *piece;
	size_t		needed;

	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	CHECK_OK(tfrs_arena_get(&arena, &piece, 1000, 1, &check_error));
	needed = arena.used;
	arena.budget = 2 * needed;
	CHECK_OK(tfrs_arena_get(&arena, &piece, 1000, 1, &check_error));
	tfrs_arena_free(&arena);
	arena.budget = needed;
	CHECK_OK(tfrs_arena_get(&arena, &piece, 1000, 1, &check_error));
	tfrs_arena_free(&arena);
	arena.budget = needed - 1;
	CHECK_STATUS(tfrs_arena_get(&arena, &piece, 1000, 1, &check_error), TFRS_OVER_BUDGET);
}

CHECK_TEST(overflowing_sizes_are_refused)
{
	void	   *piece;

	CHECK_STATUS(tfrs_arena_get(check_arena(), &piece, SIZE_MAX / 2, 3, &check_error),
				 TFRS_TOO_LARGE);
	CHECK_STATUS(tfrs_arena_get_zero(check_arena(), &piece, SIZE_MAX, 1, &check_error),
				 TFRS_TOO_LARGE);
	CHECK(piece == NULL);
	CHECK_EQUAL(check_arena()->used, 0);
}

static tfrs_status
get_grow_and_fill(tfrs_arena *arena, tfrs_error *error)
{
	uint8_t    *bytes = NULL;
	tfrs_status status = TFRS_GET_ZERO(arena, &bytes, 10, error);

	for (size_t count = 20; status == TFRS_OK && count < 100; count *= 2)
	{
		uint8_t    *before = bytes;

		status = TFRS_RESIZE(arena, &bytes, count, error);
		CHECK(status == TFRS_OK || bytes == before);
	}
	if (bytes != NULL)
		CHECK_EQUAL(bytes[9], 0);
	return status;
}

CHECK_TEST(arena_without_memory)
{
	check_lack_of_memory(get_grow_and_fill);
}
