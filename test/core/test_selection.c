/*
 * test_selection.c: rules by hand, and when a choice asks for more candidates.
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "retrieval/selection.h"

#define COUNT 8
#define DIM 2

/* Scores 8, 7, ..., 1; the first four have value 0, the others one of their own; every fourth is true. */
static tfrs_hit hits[COUNT];
static uint32_t values[COUNT] = {0, 0, 0, 0, 4, 5, TFRS_NO_VALUE, TFRS_NO_VALUE};
static const bool trues[COUNT] = {false, false, false, true, false, false, false, true};
static const float vectors[COUNT * DIM] = {1, 0, 1, 0, 1, 0, 0, 1, 0, 2, 1, 0, 1, 0, -1, 0};
static const uint32_t most[1] = {2};

static tfrs_selection
selection_of(size_t k)
{
	for (uint32_t i = 0; i < COUNT; i++)
		hits[i] = (tfrs_hit) {(float) (COUNT - i), i};
	return (tfrs_selection) {
		.k = k, .hits = hits, .count = COUNT, .is_all = true, .value = values, .is_true = trues,
		.vectors = vectors, .dim = DIM, .width = DIM
	};
}

static void
check_picks(const tfrs_selection *selection, const char *expected)
{
	uint32_t	picked[COUNT + 1];
	size_t		count;
	char		found[COUNT + 2] = "";

	CHECK_OK(tfrs_selection_run(selection, check_arena(), picked, &count, &check_error));
	for (size_t i = 0; i < count; i++)
		found[i] = (char) ('0' + picked[i]);
	CHECK(strcmp(found, expected) == 0);
}

CHECK_TEST(without_rules_the_best)
{
	tfrs_selection selection = selection_of(3);

	check_picks(&selection, "012");
	selection = selection_of(9);
	check_picks(&selection, "01234567");
}

CHECK_TEST(at_most_so_many_of_a_value)
{
	tfrs_selection selection = selection_of(5);

	selection.limits = 1;
	selection.most = most;
	check_picks(&selection, "01456");
	selection.k = 8;
	check_picks(&selection, "014567");
}

CHECK_TEST(places_are_kept_free_while_there_may_be_some)
{
	tfrs_share_rule share = {0.5, 1};
	tfrs_selection selection = selection_of(4);

	selection.shares = 1;
	selection.share = &share;
	check_picks(&selection, "0137");
	selection.k = 6;			/* three are wanted, and two exist */
	check_picks(&selection, "012347");
	share = (tfrs_share_rule) {0, 0.2};
	check_picks(&selection, "012345");
}

CHECK_TEST(diversity_prefers_what_is_far_from_the_chosen)
{
	tfrs_selection selection = selection_of(3);

	tfrs_kernels_choose(true);
	selection.diversity = 0.6;
	check_picks(&selection, "031");
	selection.diversity = 1;
	check_picks(&selection, "073");
}

CHECK_TEST(more_is_asked_for_where_others_could_have_a_place)
{
	tfrs_share_rule share = {0.5, 1};
	tfrs_selection selection = selection_of(3);
	uint32_t	picked[COUNT];
	size_t		count;

	tfrs_kernels_choose(true);
	selection.is_all = false;
	CHECK_EQUAL(tfrs_selection_run(&selection, check_arena(), picked, &count, &check_error),
				TFRS_OK);
	selection.diversity = 0.5;
	CHECK_EQUAL(tfrs_selection_run(&selection, check_arena(), picked, &count, &check_error),
				TFRS_MORE);
	selection = selection_of(6);
	selection.is_all = false;
	selection.shares = 1;
	selection.share = &share;
	CHECK_EQUAL(tfrs_selection_run(&selection, check_arena(), picked, &count, &check_error),
				TFRS_MORE);
}
