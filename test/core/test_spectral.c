/*
 * test_spectral.c: what tables begin with: candidates of one taste are neighbours, rows have one
 * length, and what the events do not tell of stays as it was.
 */
#include "check.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "learning/spectral.h"
#include "learning/streams.h"

#define QUERIES 600
#define EACH 20
#define CANDIDATES 400
#define TASTES 8
#define WIDTH 8
#define DIM (WIDTH + 1)

static uint64_t offsets[QUERIES + 1];
static uint32_t chosen[QUERIES * EACH];

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

/* A query chooses candidates of its taste four times of five, which are those of equal remainder;
 * the last candidate is chosen by nobody. */
static tfrs_events
draw_events(void)
{
	tfrs_events events = {
		.queries = QUERIES, .count = QUERIES * EACH, .offsets = offsets, .candidate = chosen,
		.several = QUERIES
	};
	tfrs_random random;

	tfrs_random_init(&random, 1, 2, 3);
	for (uint32_t q = 0; q < QUERIES; q++)
	{
		uint32_t	taste = tfrs_random_below(&random, TASTES);

		offsets[q + 1] = (q + 1) * EACH;
		for (size_t i = 0; i < EACH; i++)
		{
			uint32_t	any = tfrs_random_below(&random, CANDIDATES - 1);
			uint32_t	of_taste = taste +
				TASTES * tfrs_random_below(&random, CANDIDATES / TASTES - 1);

			chosen[q * EACH + i] = tfrs_random_float(&random) < 0.8f ? of_taste : any;
		}
	}
	return events;
}

/* Two tables of random numbers: candidates with a bias, and a bag. */
static void
get_tensors(tfrs_tensors *tensors)
{
	memset(tensors, 0, sizeof(*tensors));
	tensors->dim = DIM;
	tfrs_tensors_declare(tensors, "candidate", CANDIDATES, 1)->stream = TFRS_STREAM_CANDIDATE_TABLE;
	tfrs_tensors_declare(tensors, "bag0", CANDIDATES, 1)->stream = TFRS_STREAM_BAG_TABLE;
	tensors->tensor[0].has_bias = tensors->tensor[1].has_bias = true;
	for (size_t t = 0; t < tensors->count; t++)
	{
		tfrs_tensor *tensor = &tensors->tensor[t];
		tfrs_random random;

		CHECK_OK(TFRS_GET(check_arena(), &tensor->values, tensor->rows * DIM, &check_error));
		tfrs_random_init(&random, 7, t, 0);
		tfrs_random_fill(&random, tensor->values, tensor->rows * DIM, -0.05f, 0.05f);
		for (size_t r = 0; r < tensor->rows; r++)
			tensor->values[r * DIM + WIDTH] = 0;
	}
}

static void
fill(tfrs_tensors *tensors, const tfrs_events *events, bool popular)
{
	tfrs_spectral spectral;
	tfrs_status status;

	tfrs_spectral_size(&spectral, events, CANDIDATES, WIDTH);
	spectral.popular = popular;
	CHECK_OK(tfrs_spectral_begin(&spectral, check_arena(), 5, &check_error));
	do
		status = tfrs_spectral_step(&spectral, tensors);
	while (status == TFRS_MORE);
	CHECK_OK(status);
	tfrs_spectral_free(&spectral);
}

/* Share of the ten nearest rows of a candidate's that are of its taste, over all candidates. */
static double
same_taste(const tfrs_tensor *tensor)
{
	size_t		same = 0;

	for (size_t c = 0; c < CANDIDATES - TASTES; c++)
		for (size_t k = 0; k < 10; k++)
		{
			static float score[CANDIDATES];
			size_t		best = 0;

			for (size_t o = 0; k == 0 && o < CANDIDATES; o++)
				score[o] = o == c ? -INFINITY : tfrs_kernels.dot(tensor->values + c * DIM,
																 tensor->values + o * DIM, WIDTH);
			for (size_t o = 1; o < CANDIDATES; o++)
				if (score[o] > score[best])
					best = o;
			score[best] = -INFINITY;
			same += best % TASTES == c % TASTES;
		}
	return (double) same / (10.0 * (CANDIDATES - TASTES));
}

CHECK_TEST(what_is_chosen_together_begins_together)
{
	tfrs_events events = draw_events();
	tfrs_tensors tensors;

	get_tensors(&tensors);
	CHECK(same_taste(&tensors.tensor[0]) < 0.3);
	fill(&tensors, &events, false);
	CHECK(same_taste(&tensors.tensor[0]) > 0.9);
	CHECK(same_taste(&tensors.tensor[1]) > 0.8);
}

CHECK_TEST(rows_have_one_length)
{
	tfrs_events events = draw_events();
	tfrs_tensors tensors;

	get_tensors(&tensors);
	fill(&tensors, &events, false);
	for (size_t t = 0; t < 2; t++)
		for (size_t c = 0; c < CANDIDATES; c++)
		{
			const float *row = tensors.tensor[t].values + c * DIM;

			CHECK_NEAR(tfrs_kernels.dot(row, row, WIDTH), 0.01 * WIDTH, 1e-5);
			CHECK(row[WIDTH] == 0);
		}
}

/* Nobody chose the last candidate: its row only changes its length. */
CHECK_TEST(what_nobody_chose_stays_random)
{
	tfrs_events events = draw_events();
	tfrs_tensors before;
	tfrs_tensors after;
	const float *one;
	const float *other;

	get_tensors(&before);
	get_tensors(&after);
	fill(&after, &events, false);
	one = before.tensor[0].values + (CANDIDATES - 1) * DIM;
	other = after.tensor[0].values + (CANDIDATES - 1) * DIM;
	for (size_t d = 1; d < WIDTH; d++)
		CHECK_NEAR(one[d] / one[0], other[d] / other[0], 1e-4 * fabsf(one[d] / one[0]) + 1e-6);
}

CHECK_TEST(biases_begin_with_popularity)
{
	tfrs_events events = draw_events();
	tfrs_tensors tensors;
	size_t		count[CANDIDATES] = {0};
	size_t		most = 0;

	get_tensors(&tensors);
	fill(&tensors, &events, true);
	for (size_t e = 0; e < events.count; e++)
		count[chosen[e]]++;
	for (size_t c = 0; c < CANDIDATES; c++)
		most = count[c] > most ? count[c] : most;
	for (size_t c = 0; c < CANDIDATES; c++)
		CHECK_NEAR(tensors.tensor[0].values[c * DIM + WIDTH],
				   log((count[c] + 0.5) / (most + 0.5)), 1e-5);
}

/* One and the same list for all: there is one direction, and the others stay random. */
CHECK_TEST(events_that_tell_one_thing_leave_the_rest_alone)
{
	tfrs_events events = draw_events();
	tfrs_tensors tensors;

	for (size_t e = 0; e < events.count; e++)
		chosen[e] = (uint32_t) (e % EACH);
	get_tensors(&tensors);
	fill(&tensors, &events, true);
	for (size_t i = 0; i < CANDIDATES * DIM; i++)
		CHECK(isfinite(tensors.tensor[0].values[i]) && isfinite(tensors.tensor[1].values[i]));
	for (size_t d = 0; d < WIDTH; d++)
		CHECK(tensors.tensor[0].values[d] != 0);
}

CHECK_TEST(a_seed_means_one_start)
{
	tfrs_events events = draw_events();
	tfrs_tensors one;
	tfrs_tensors other;

	get_tensors(&one);
	get_tensors(&other);
	fill(&one, &events, true);
	fill(&other, &events, true);
	CHECK(memcmp(one.tensor[0].values, other.tensor[0].values, CANDIDATES * DIM * 4) == 0);
	CHECK(memcmp(one.tensor[1].values, other.tensor[1].values, CANDIDATES * DIM * 4) == 0);
}
