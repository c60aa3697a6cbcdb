/*
 * test_pilot.c: what a pilot chooses on data whose answer is known, and what it leaves alone.
 */
#include "trainings.h"

#include "base/kernels.h"

#define QUERIES 400
#define EACH 10
#define COUNT (QUERIES * EACH)
#define CANDIDATES 240

static test_row rows[COUNT];

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static const tfrs_interactions_options timed = {.has_time = true, .budget = SIZE_MAX};
static const tfrs_interactions_options untimed = {.budget = SIZE_MAX};

static tfrs_train_options
few_steps(void)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	options.dim = 8;
	options.history.steps = 12;
	return options;
}

/* Each query chooses pairs of candidates that always go together, out of many. */
static void
draw_pairs(void)
{
	tfrs_random random;

	tfrs_random_init(&random, 3, 4, 5);
	for (size_t i = 0; i < COUNT; i += 2)
	{
		int64_t		pair = tfrs_random_below(&random, CANDIDATES / 2);

		rows[i] = (test_row) {(int64_t) (i / EACH), 2 * pair, 1, 0};
		rows[i + 1] = (test_row) {(int64_t) (i / EACH), 2 * pair + 1, 1, 0};
	}
}

/* Everybody chooses among what is in fashion that week, whatever he chose before. */
static void
draw_fashions(void)
{
	tfrs_random random;

	tfrs_random_init(&random, 3, 4, 6);
	for (size_t i = 0; i < COUNT; i++)
	{
		int64_t		week = tfrs_random_below(&random, 20);

		rows[i] = (test_row) {
			(int64_t) (i / EACH), week * 12 + tfrs_random_below(&random, 12), 1,
			(week * 7 * 86400 + tfrs_random_below(&random, 7 * 86400)) * INT64_C(1000000)
		};
	}
}

static tfrs_part_options
chosen(trained *result, const tfrs_train_options *options,
	   const tfrs_interactions_options *collecting)
{
	training	told = {options, collecting, NULL};
	tfrs_arena *arena = check_arena();
	tfrs_interactions *interactions;
	tfrs_part_options parts;
	tfrs_trainer *trainer;

	CHECK_OK(collect_training(&interactions, arena, &told, rows, COUNT, &check_error));
	CHECK_OK(fit(&trainer, arena, options, interactions, &check_error));
	parts = tfrs_trainer_options(trainer)->parts;
	CHECK_OK(write_model(result, trainer, arena, &check_error));
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
	return parts;
}

CHECK_TEST(what_goes_together_is_found)
{
	tfrs_train_options options = few_steps();
	tfrs_part_options parts;
	trained		result;

	draw_pairs();
	parts = chosen(&result, &options, &untimed);
	CHECK(parts.weight[TFRS_TOGETHER] > 0);
	CHECK(parts.weight[TFRS_NEXT] == 0 && parts.recent == 0);
	CHECK(result.model.scores.neighbours[TFRS_TOGETHER].count > 0);
	CHECK(result.model.score->recent == 0 && !result.model.score->trending);
}

CHECK_TEST(fashions_are_followed)
{
	tfrs_train_options options = few_steps();
	tfrs_part_options parts;
	trained		result;
	double		latest = 0;

	draw_fashions();
	parts = chosen(&result, &options, &timed);
	CHECK(parts.recent == 1);
	CHECK(result.model.score->trending);
	for (uint32_t c = 0; c < result.model.candidate_ids.count; c++)
		if (result.model.recent_end[c] > result.model.recent_all[c] + 1)
			latest += exp(result.model.recent_end[c]);
	CHECK(latest > 0.4);
}

/* A weight that is given stays, and a model is the same as with nothing but towers where none may. */
CHECK_TEST(what_is_given_stays)
{
	tfrs_train_options options = few_steps();
	tfrs_part_options parts;
	trained		result;

	draw_pairs();
	options.parts.weight[TFRS_TOGETHER] = 0;
	options.parts.towers = 0.5f;
	parts = chosen(&result, &options, &untimed);
	CHECK(parts.weight[TFRS_TOGETHER] == 0 && parts.towers == 0.5f);
	CHECK_EQUAL(result.model.scores.candidates, 0);
	CHECK_NEAR(result.model.history->temperature, 2 * result.model.shape->temperature, 1e-6);
}

CHECK_TEST(few_events_choose_nothing)
{
	tfrs_train_options options = few_steps();
	trained		result;

	draw_pairs();
	CHECK_OK(train_rows(&result, check_arena(), &options, &untimed, rows, 900, &check_error));
	CHECK_EQUAL(result.model.scores.candidates, 0);
	CHECK(result.model.score->towers == 1);
}

CHECK_TEST(threads_do_not_change_a_byte)
{
	tfrs_train_options options = few_steps();
	trained		one;
	trained		other;

	draw_fashions();
	chosen(&one, &options, &timed);
	options.threads = 3;
	chosen(&other, &options, &timed);
	CHECK(same_bytes(&one, &other));
}

/* A training that goes on goes on with the weights. */
CHECK_TEST(weights_are_carried)
{
	tfrs_train_options options = few_steps();
	training	told = {&options, &timed, NULL};
	trained		first;
	trained		again;

	draw_fashions();
	options.parts = (tfrs_part_options) {{5, 2.5f}, 0.5f, 0.75f, false};
	CHECK_OK(train_from(&first, check_arena(), &told, rows, COUNT, &check_error));
	told.model = &first.model;
	options.parts = (tfrs_part_options) {{-1, 10}, -1, -1, true};
	CHECK_OK(train_from(&again, check_arena(), &told, rows, COUNT, &check_error));
	CHECK(again.model.scores.shape[TFRS_TOGETHER].weight == 5);
	CHECK(again.model.scores.shape[TFRS_NEXT].weight == 10);
	CHECK(again.model.score->towers == 0.5f && again.model.score->recent == 0.75f);
}

/* Going on from a model, biases begin without the popularity that was folded in. */
CHECK_TEST(popularity_is_folded_in_once)
{
	tfrs_train_options options = few_steps();
	training	told = {&options, &timed, NULL};
	trained		first;
	trained		again;
	size_t		dim = 8;

	draw_fashions();
	options.parts = (tfrs_part_options) {{0, 0}, 0.5f, 1, false};
	options.keep_optimizer_state = true;
	CHECK_OK(train_from(&first, check_arena(), &told, rows, COUNT, &check_error));
	told.model = &first.model;
	options.optimizer.learning_rate = 1e-12f;
	CHECK_OK(train_from(&again, check_arena(), &told, rows, COUNT, &check_error));
	for (size_t c = 0; c < first.model.candidate_ids.count; c++)
		CHECK_NEAR(again.model.candidate_table[c * dim + dim - 1],
				   first.model.candidate_table[c * dim + dim - 1], 1e-4);
}

/* While weights are chosen, the steps of the pilot and the queries that it ranks are counted. */
CHECK_TEST(a_choice_of_weights_tells_how_far_it_is)
{
	tfrs_train_options options = few_steps();
	training	told = {&options, &timed, NULL};
	tfrs_arena *arena = check_arena();
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	tfrs_train_progress progress;
	tfrs_status status;
	uint64_t	steps = 0;
	uint64_t	ranked = 0;

	draw_fashions();
	CHECK_OK(collect_training(&interactions, arena, &told, rows, COUNT, &check_error));
	CHECK_OK(tfrs_trainer_begin(&trainer, arena, &options, interactions, NULL, &check_error));
	do
	{
		status = tfrs_trainer_step(trainer, &progress, &check_error);
		CHECK(status == TFRS_MORE || status == TFRS_OK);
		CHECK(progress.done <= progress.total);
		if (progress.epoch > 0)
			continue;
		CHECK(progress.batch == 0 || isfinite(progress.loss_per_row));
		if (progress.total == 3)
			steps = progress.done;
		else
			ranked = progress.done;
	} while (status == TFRS_MORE);
	CHECK_EQUAL(steps, 3);
	CHECK(ranked > 0);
	CHECK_EQUAL(progress.done, 12);
	CHECK_EQUAL(progress.total, 12);
	CHECK_EQUAL(progress.epoch, options.epochs);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}
