/*
 * test_trainer_history.c: whole trainings of history towers: same bytes, data that have no history,
 * queries of any length, memory.
 */
#include "trainings.h"

#include <float.h>

#include "base/kernels.h"

#define COUNT 4000
#define MANY 140000				/* two buckets */

static test_row rows[MANY];

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static tfrs_train_options
small_options(void)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	options.dim = 8;
	options.epochs = 3;
	options.batch_size = 150;
	options.seed = 5;
	options.history.steps = 9;
	options.parts = (tfrs_part_options) {{5, 5}, 0.5f, 1, false};
	return options;
}

static const tfrs_interactions_options timed = {
	.has_weight = true, .has_time = true, .budget = SIZE_MAX
};

static void
check_trains(trained *result, const tfrs_train_options *options,
			 const tfrs_interactions_options *collecting, size_t count)
{
	CHECK_OK(train_rows(result, check_arena(), options, collecting, rows, count, &check_error));
}

static void
check_same_bytes(const tfrs_train_options *given, const tfrs_interactions_options *collecting)
{
	static const size_t budgets[] = {SIZE_MAX, 500000, 0};
	static const int threads[] = {2, 4, 3};
	tfrs_train_options options = *given;
	trained		expected;

	check_trains(&expected, &options, collecting, MANY);
	for (int i = 0; i < 3; i++)
	{
		tfrs_interactions_options other = *collecting;
		trained		got;

		other.budget = budgets[i];
		other.spools = &rows_spools;
		options.threads = threads[i];
		rows_permute(rows, MANY, (uint64_t) i);
		check_trains(&got, &options, &other, MANY);
		CHECK(same_bytes(&got, &expected));
	}
}

CHECK_TEST(order_threads_and_budget_do_not_show)
{
	for (int given = 0; given < 4; given++)
	{
		tfrs_interactions_options collecting = {
			.has_weight = given & 1, .has_time = given >> 1, .budget = SIZE_MAX
		};
		tfrs_train_options options = small_options();

		options.history.columns = given == 1 ? 40 : 0;
		options.history.tied = given == 1;
		rows_draw(rows, MANY, 3000, 300);
		check_same_bytes(&options, &collecting);
		options.history.interactions = true;
		check_same_bytes(&options, &collecting);
	}
}

CHECK_TEST(a_seed_makes_a_model)
{
	tfrs_train_options options = small_options();
	trained		one;
	trained		other;

	rows_draw(rows, COUNT, 300, 100);
	check_trains(&one, &options, &timed, COUNT);
	options.seed++;
	check_trains(&other, &options, &timed, COUNT);
	CHECK(!same_bytes(&one, &other));
}

/* What is read again is what the shape says, and queries are the bags of their stored events. */
CHECK_TEST(a_model_serves_its_events)
{
	tfrs_train_options options = small_options();
	trained		result;
	const tfrs_model *model = &result.model;
	float		vector[8];
	float		again[8];

	rows_draw(rows, COUNT, 300, 100);
	check_trains(&result, &options, &timed, COUNT);
	CHECK(model->history != NULL && model->query_table == NULL && model->has_events);
	CHECK_EQUAL(model->history->bags, 3);
	CHECK_EQUAL(model->epoch_count, 3);
	for (uint32_t q = 0; q < model->query_ids.count; q++)
	{
		tfrs_event_list list = tfrs_events_of(&model->events, q);

		CHECK(list.count >= 1);
		tfrs_model_query(model, q, vector);
		tfrs_model_history(model, &list, again);
		CHECK(memcmp(vector, again, sizeof(vector)) == 0);
		CHECK(vector[7] == 1);	/* the bias */
	}
	tfrs_model_query(model, TFRS_NO_ROW, vector);
	CHECK(memcmp(vector, model->unknown_query, sizeof(vector)) == 0);
	CHECK_NEAR(vector[7], 1, 1e-5);
}

/* The mean of the queries' vectors, by their rows. */
CHECK_TEST(the_unknown_query_is_the_mean)
{
	tfrs_train_options options = small_options();
	trained		result;
	double		sum[8] = {0};
	float		vector[8];

	rows_draw(rows, COUNT, 300, 100);
	check_trains(&result, &options, &timed, COUNT);
	for (uint32_t q = 0; q < result.model.query_ids.count; q++)
	{
		tfrs_model_query(&result.model, q, vector);
		for (int d = 0; d < 8; d++)
			sum[d] += (double) vector[d] * result.model.query_counts[q];
	}
	for (int d = 0; d < 8; d++)
		CHECK_NEAR(result.model.unknown_query[d], sum[d] / COUNT, 1e-5);
}

/* What is chosen again is another event where known candidates may be negatives. */
CHECK_TEST(repeats_are_events_without_masks)
{
	tfrs_train_options options = small_options();
	trained		masked;
	trained		repeated;

	for (int i = 0; i < COUNT; i++)
		rows[i] = (test_row) {i % 20, i / 20 % 10, 1.0f, i};
	check_trains(&masked, &options, &timed, COUNT);
	CHECK_EQUAL(masked.model.events.count, 200);
	options.mask_known = false;
	check_trains(&repeated, &options, &timed, COUNT);
	CHECK_EQUAL(repeated.model.events.count, COUNT);
}

/* Nothing is stored where that is not wanted, and queries are unknown ones. */
CHECK_TEST(nothing_stored)
{
	tfrs_train_options options = small_options();
	trained		result;
	float		vector[8];

	options.store = false;
	rows_draw(rows, COUNT, 300, 100);
	check_trains(&result, &options, &timed, COUNT);
	CHECK(!result.model.has_events);
	tfrs_model_query(&result.model, 3, vector);
	CHECK(memcmp(vector, result.model.unknown_query, sizeof(vector)) == 0);
}

/* No query has two candidates: plain tables take over, with all their epochs. */
CHECK_TEST(queries_with_one_candidate)
{
	tfrs_train_options options = small_options();
	trained		result;

	for (int i = 0; i < COUNT; i++)
		rows[i] = (test_row) {i / 2, i / 2 % 50, 1.0f, i};
	check_trains(&result, &options, &timed, COUNT);
	CHECK(result.model.history == NULL && result.model.query_table != NULL);
	CHECK(result.model.has_events);
	CHECK_EQUAL(result.model.events.count, COUNT / 2);
	tfrs_train_options_without_history(&options);
	CHECK_EQUAL(result.model.epoch_count, options.epochs);
	CHECK(result.model.epochs[options.epochs - 1].loss_per_row <
		  result.model.epochs[0].loss_per_row);
}

static void
check_all_alone(const tfrs_train_options *options, const tfrs_interactions_options *collecting)
{
	trained		result;

	check_trains(&result, options, collecting, COUNT);
	CHECK_EQUAL(result.model.history->bags, 1);
	CHECK(result.model.history->decay[0] == 0);
}

/* Times that never differ, or none: the bag of all, asked for or not. */
CHECK_TEST(times_that_tell_nothing)
{
	tfrs_interactions_options untimed = {.budget = SIZE_MAX};
	tfrs_train_options options = small_options();

	rows_draw(rows, COUNT, 300, 100);
	for (int i = 0; i < COUNT; i++)
		rows[i].at = INT64_MIN;
	check_all_alone(&options, &timed);
	check_all_alone(&options, &untimed);
	options.history.all = false;
	check_all_alone(&options, &timed);
	check_all_alone(&options, &untimed);
}

CHECK_TEST(recency_alone)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.history.all = false;
	rows_draw(rows, COUNT, 300, 100);
	check_trains(&result, &options, &timed, COUNT);
	CHECK_EQUAL(result.model.history->bags, 2);
	CHECK(result.model.history->decay[0] > 0 && result.model.history->decay[1] > 0);
}

CHECK_TEST(fewer_steps_than_epochs)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.epochs = 10;
	options.history.steps = 2;
	rows_draw(rows, COUNT, 300, 100);
	check_trains(&result, &options, &timed, COUNT);
	CHECK_EQUAL(result.model.epoch_count, 2);
	CHECK(result.model.epochs[0].loss > 0 && result.model.epochs[1].loss > 0);
}

/* 10 steps in 3 epochs: 3, 3 and 4, each told of once. */
CHECK_TEST(epochs_share_the_steps)
{
	tfrs_train_options options = small_options();
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	tfrs_train_progress progress;
	tfrs_status status;
	uint64_t	batches = 0;
	uint32_t	epochs = 0;

	options.history.steps = 10;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(rows_collect(&interactions, check_arena(), &timed, rows, COUNT, &check_error));
	CHECK_OK(tfrs_trainer_begin(&trainer, check_arena(), &options, interactions, NULL,
								&check_error));
	do
	{
		status = tfrs_trainer_step(trainer, &progress, &check_error);
		epochs += progress.epoch_finished;
		batches += progress.epoch_finished ? progress.batch : 0;
		CHECK(!progress.epoch_finished || progress.epoch == epochs);
	} while (status == TFRS_MORE);
	CHECK_OK(status);
	CHECK_EQUAL(epochs, 3);
	CHECK_EQUAL(batches, 10);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

/* As many steps as can be asked for, by counts that no data have. */
CHECK_TEST(chosen_steps_are_bounded)
{
	tfrs_train_options options;
	tfrs_train_counts counts = {
		.candidates = 1000, .events = UINT32_MAX, .queries = UINT32_MAX,
		.next_states = UINT32_MAX, .history_length = 1000
	};

	tfrs_train_options_default(&options);
	options.epochs = 100000;
	options.batch_size = 1;
	tfrs_train_options_resolve(&options, &counts);
	CHECK_EQUAL(options.history.steps, 100000000);
	CHECK(tfrs_train_options_check(&options) == NULL);
}

/* Short histories, of which the lift tells how far they can be trusted. */
CHECK_TEST(the_lift_chooses)
{
	tfrs_train_counts counts = {
		.candidates = 5000, .events = 250000, .queries = 25000, .history_length = 15
	};
	tfrs_train_options chance;
	tfrs_train_options reason;
	tfrs_train_options given;

	tfrs_train_options_default(&chance);
	reason = chance;
	given = chance;
	given.dim = 10;
	given.history.tied = false;
	counts.lift = 1;
	tfrs_train_options_resolve(&chance, &counts);
	counts.lift = 6;
	tfrs_train_options_resolve(&reason, &counts);
	tfrs_train_options_resolve(&given, &counts);
	CHECK_EQUAL(chance.dim, 64);
	CHECK_EQUAL(reason.dim, 128);
	CHECK_EQUAL(given.dim, 10);
	CHECK(!chance.history.tied && reason.history.tied && !given.history.tied);
	CHECK_NEAR(reason.loss.temperature, 1 / (0.8 * log(5000)), 1e-6);
	CHECK(chance.loss.temperature > 2 * reason.loss.temperature);
	CHECK_EQUAL(reason.history.steps, 30 * 25000 / 256 + 1);
	counts.candidates = 200000;
	tfrs_train_options_default(&reason);
	tfrs_train_options_resolve(&reason, &counts);
	CHECK_EQUAL(reason.dim, 64);
	CHECK_EQUAL(reason.history.columns, 2000);
}

/* One query has 100,000 candidates at times of their own. */
CHECK_TEST(a_query_of_100000_events)
{
	tfrs_train_options options = small_options();
	trained		result;

	for (int i = 0; i < 100000; i++)
		rows[i] = (test_row) {1, i, 1.0f, i};
	for (int i = 100000; i < 100100; i++)
		rows[i] = (test_row) {2 + i % 7, i % 13, 1.0f, i};
	options.dim = 4;
	options.history.steps = 4;
	check_trains(&result, &options, &timed, 100100);
	CHECK_EQUAL(result.model.candidate_ids.count, 100000);
	CHECK(isfinite(result.model.epochs[0].loss));
}

CHECK_TEST(weights_of_zero)
{
	tfrs_train_options options = small_options();
	trained		result;

	rows_draw(rows, COUNT, 300, 100);
	for (int i = 0; i < COUNT; i++)
		rows[i].weight = 0;
	check_trains(&result, &options, &timed, COUNT);	/* reading it checks that it is finite */
	CHECK(result.model.epochs[0].loss == 0);
}

/* The largest weights that a float holds, thrice a pair. */
CHECK_TEST(enormous_weights)
{
	tfrs_train_options options = small_options();
	trained		result;

	rows_draw(rows, COUNT, 300, 20);
	for (int i = 0; i < COUNT; i++)
		rows[i].weight = FLT_MAX;
	check_trains(&result, &options, &timed, COUNT);
	CHECK(result.model.epochs[0].loss > 0);
}

CHECK_TEST(hardly_any_candidates)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.dim = 1;
	for (int i = 0; i < 6; i++)
		rows[i] = (test_row) {i / 2, i % 2, 1.0f, i};
	check_trains(&result, &options, &timed, 6);	/* all are targets or known: no negatives */
	CHECK(result.model.history->bias == 0);
	rows[5].candidate = 2;
	check_trains(&result, &options, &timed, 6);
	CHECK_EQUAL(result.model.candidate_ids.count, 3);
}

/* What training holds at its peak is not above the estimate, and not far below. */
CHECK_TEST(the_estimate_holds)
{
	for (int switches = 0; switches < 32; switches++)
	{
		tfrs_train_options options = small_options();
		tfrs_interactions_options collecting = {
			.has_time = switches & 1, .has_weight = switches & 2, .budget = SIZE_MAX
		};
		tfrs_interactions *interactions;
		tfrs_trainer *trainer;
		tfrs_arena	arena;
		size_t		estimate;

		options.dim = 24;
		options.history.columns = switches & 4 ? 300 : 0;
		options.history.tied = switches & 4;
		options.history.interactions = switches & 8;
		options.validation.on = switches & 16;
		options.validation.by = switches & 4 ? TFRS_HELD_OUT_QUERY : TFRS_HELD_OUT_RANDOM;
		rows_draw(rows, COUNT, 600, 2000);
		CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, COUNT,
							  &check_error));
		CHECK_OK(tfrs_training_estimate(&options, interactions, NULL, &estimate,
										   &check_error));
		tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
		CHECK_OK(fit(&trainer, &arena, &options, interactions, &check_error));
		CHECK(arena.peak < estimate + 30000);
		CHECK(options.validation.on || arena.peak > estimate / 2);
		tfrs_arena_free(&arena);
		tfrs_interactions_destroy(interactions);
	}
}

static tfrs_status
train_with_times(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.history.steps = 6;
	options.history.columns = 8;
	options.threads = 2;
	return train_rows(&result, arena, &options, &timed, rows, 100, error);
}

static tfrs_status
train_interactions(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.history.interactions = true;
	options.history.steps = 3;
	return train_rows(&result, arena, &options, &timed, rows, 100, error);
}

static tfrs_status
train_tied(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_train_options options = small_options();
	tfrs_interactions_options collecting = {.budget = SIZE_MAX};
	trained		result;

	options.history.tied = true;
	options.history.steps = 3;
	return train_rows(&result, arena, &options, &collecting, rows, 100, error);
}

CHECK_TEST(lack_of_memory)
{
	rows_draw(rows, 100, 30, 20);
	check_lack_of_memory(train_with_times);
	check_lack_of_memory(train_tied);
	check_lack_of_memory(train_interactions);
}

/* Tables that begin with what is chosen together need a quarter of the steps, unless histories are
 * short or tell the order in which things were chosen. */
CHECK_TEST(a_spectral_start_saves_steps)
{
	tfrs_train_counts counts = {
		.candidates = 3000, .events = 80000, .queries = 1000, .history_length = 150, .lift = 1
	};
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	tfrs_train_options_resolve(&options, &counts);
	CHECK(options.history.spectral);
	CHECK_EQUAL(options.history.steps, 75);
	CHECK_NEAR(options.optimizer.learning_rate, 0.01, 1e-9);
	tfrs_train_options_default(&options);
	options.history.spectral = false;
	tfrs_train_options_resolve(&options, &counts);
	CHECK_EQUAL(options.history.steps, 300);
	CHECK_NEAR(options.optimizer.learning_rate, 0.02, 1e-9);
	counts.history_length = 15;
	tfrs_train_options_default(&options);
	tfrs_train_options_resolve(&options, &counts);
	CHECK(!options.history.spectral);
	CHECK_EQUAL(options.history.steps, 300);
	counts.history_length = 150;
	counts.candidates = 100;
	tfrs_train_options_default(&options);
	tfrs_train_options_resolve(&options, &counts);
	CHECK(!options.history.spectral);
	CHECK_EQUAL(options.history.steps, 300);
}
