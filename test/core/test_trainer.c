/*
 * test_trainer.c: whole trainings: same bytes, figures of progress, what is served, failures.
 */
#include "trainings.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/descent.h"
#include "learning/streams.h"
#include "learning/trainer.h"

#define COUNT 5000
#define MANY 150000				/* two buckets */

static test_row rows[MANY];

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static tfrs_status
collect_and_train(trained *result, const tfrs_train_options *options, size_t count, size_t budget,
				  tfrs_error *error)
{
	tfrs_interactions_options collecting = {
		.has_weight = true, .budget = budget, .seed = options->seed, .spools = &rows_spools,
		.input_order = options->input_order
	};

	return train_rows(result, check_arena(), options, &collecting, rows, count, error);
}

/* Small and quick; every switch that adds work is on. */
static tfrs_train_options
small_options(void)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	tfrs_train_options_without_history(&options);
	options.dim = 8;
	options.epochs = 2;
	options.batch_size = 700;
	options.seed = 11;
	options.loss.remove_accidental_hits = true;
	return options;
}

CHECK_TEST(order_threads_and_budget_do_not_show)
{
	tfrs_train_options options = small_options();
	trained		expected;

	options.batch_size = 5000;
	rows_draw(rows, MANY, 3000, 500);
	for (int form = TFRS_FORM_AUTO; form <= TFRS_FORM_PLAIN; form++)
	{
		options.form = (tfrs_loss_form) form;
		options.epochs = form == TFRS_FORM_AUTO ? 2 : 1;
		options.threads = 1;
		CHECK_OK(collect_and_train(&expected, &options, MANY, SIZE_MAX, &check_error));
		for (int i = 0; i < 3; i++)
		{
			static const size_t budgets[] = {SIZE_MAX, 500000, 0};
			static const int threads[] = {2, 4, 3};
			trained		got;

			rows_permute(rows, MANY, (uint64_t) i);
			options.threads = threads[i];
			CHECK_OK(collect_and_train(&got, &options, MANY, budgets[i], &check_error));
			CHECK(same_bytes(&got, &expected));
		}
	}
}

CHECK_TEST(a_seed_makes_a_model)
{
	tfrs_train_options options = small_options();
	trained		one;
	trained		other;

	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&one, &options, COUNT, SIZE_MAX, &check_error));
	options.seed++;
	CHECK_OK(collect_and_train(&other, &options, COUNT, SIZE_MAX, &check_error));
	CHECK(!same_bytes(&one, &other));
}

/* In input order the order of rows is part of the training. */
CHECK_TEST(input_order_shows)
{
	tfrs_train_options options = small_options();
	trained		one;
	trained		spooled;
	trained		other;

	options.input_order = true;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&one, &options, COUNT, SIZE_MAX, &check_error));
	CHECK_OK(collect_and_train(&spooled, &options, COUNT, 0, &check_error));
	CHECK(same_bytes(&one, &spooled));
	rows_permute(rows, COUNT, 1);
	CHECK_OK(collect_and_train(&other, &options, COUNT, SIZE_MAX, &check_error));
	CHECK(!same_bytes(&one, &other));
}

/* Numbers near 0 make all logits of the first batch equal, so its loss is B ln B. */
CHECK_TEST(progress_tells_what_happens)
{
	tfrs_interactions_options collecting = {.budget = SIZE_MAX};
	tfrs_train_options options;
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	tfrs_train_progress progress;
	tfrs_status status;
	trained		result;
	double		first = 0;
	double		sum = 0;
	uint64_t	batches = 0;
	uint32_t	epochs = 0;

	tfrs_train_options_tfrs(&options);
	options.batch_size = 512;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, COUNT, &check_error));
	CHECK_OK(tfrs_trainer_begin(&trainer, check_arena(), &options, interactions, NULL,
								&check_error));
	do
	{
		status = tfrs_trainer_step(trainer, &progress, &check_error);
		if (progress.batch == batches + 1)
		{
			batches++;
			sum += progress.batch_loss;
			CHECK_NEAR(progress.loss, sum, 1e-9 * sum);
			CHECK_EQUAL(progress.epoch, epochs + 1);
			CHECK_EQUAL(progress.rows_done, batches < 10 ? batches * 512 : COUNT);
			first = first == 0 ? sum : first;
		}
		CHECK(progress.epoch_finished == (batches == 10));
		if (progress.epoch_finished)
		{
			epochs++;
			batches = 0;
			sum = 0;
		}
	} while (status == TFRS_MORE && epochs < 3);
	CHECK_EQUAL(epochs, 3);
	CHECK_NEAR(first, 512 * log(512), 1.0);
	while ((status = tfrs_trainer_step(trainer, &progress, &check_error)) == TFRS_MORE)
		CHECK(!progress.epoch_finished);
	CHECK_OK(status);
	CHECK_OK(write_model(&result, trainer, check_arena(), &check_error));
	CHECK_EQUAL(result.model.epoch_count, 3);
	CHECK_NEAR(result.model.epochs[2].loss, progress.loss, 0);
	CHECK_NEAR(result.model.epochs[2].loss_per_row, progress.loss / COUNT, 1e-12);
	CHECK(result.model.epochs[0].loss > result.model.epochs[2].loss);
	CHECK_EQUAL(result.model.shape->rows, COUNT);
	CHECK_EQUAL(result.model.shape->skipped_query, 3);
	CHECK_EQUAL(result.model.shape->skipped_candidate, 4);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

/* Batches are full whatever the interactions are kept in, but for the epoch's last one. */
CHECK_TEST(batches_cross_the_borders_of_buckets)
{
	tfrs_interactions_options collecting = {.budget = SIZE_MAX};
	tfrs_train_options options = small_options();
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	tfrs_train_progress progress = {0};

	options.batch_size = 70000;
	rows_draw(rows, MANY, 300, 100);
	CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, MANY, &check_error));
	CHECK_OK(tfrs_trainer_begin(&trainer, check_arena(), &options, interactions, NULL,
								&check_error));
	while (!progress.epoch_finished)
		CHECK_STATUS(tfrs_trainer_step(trainer, &progress, &check_error), TFRS_MORE);
	CHECK_EQUAL(progress.batch, (MANY + 69999) / 70000);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

static double
length_of(const float *vector, size_t dim)
{
	double		square = 0;

	for (size_t j = 0; j < dim; j++)
		square += (double) vector[j] * vector[j];
	return sqrt(square);
}

CHECK_TEST(the_unknown_slot_is_the_mean)
{
	tfrs_train_options options = small_options();
	trained		result;
	float		vector[8];
	double		sum[8] = {0};
	size_t		rows_of_model = 0;

	options.normalize = false;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error));
	for (uint32_t i = 0; i < result.model.query_ids.count; i++)
	{
		tfrs_model_query(&result.model, i, vector);
		rows_of_model += result.model.query_counts[i];
		for (int j = 0; j < 8; j++)
			sum[j] += (double) result.model.query_counts[i] * vector[j];
	}
	CHECK_EQUAL(rows_of_model, COUNT);
	tfrs_model_query(&result.model, TFRS_NO_ROW, vector);
	for (int j = 0; j < 8; j++)
		CHECK_NEAR(vector[j], sum[j] / COUNT, 1e-6);
}

CHECK_TEST(served_vectors_have_unit_length)
{
	tfrs_train_options options = small_options();
	trained		result;
	float		vector[8];

	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error));
	for (uint32_t i = 0; i < result.model.candidate_ids.count; i++)
	{
		tfrs_model_candidate(&result.model, i, vector);
		CHECK_NEAR(length_of(vector, 8), 1.0, 1e-5);
	}
	tfrs_model_candidate(&result.model, TFRS_NO_ROW, vector);
	CHECK_NEAR(length_of(vector, 8), 1.0, 1e-5);
}

/* The preset leaves the unknown slot as it was drawn. */
CHECK_TEST(the_preset_keeps_the_unknown_slot)
{
	tfrs_train_options options;
	tfrs_random random;
	trained		result;
	float		vector[32];
	float		drawn[32];

	tfrs_train_options_tfrs(&options);
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error));
	tfrs_model_query(&result.model, TFRS_NO_ROW, vector);
	tfrs_random_init(&random, options.seed, TFRS_STREAM_QUERY_TABLE, 0);
	for (size_t i = 0; i <= result.model.query_ids.count; i++)
		tfrs_random_fill(&random, drawn, 32, -0.05f, 0.05f);
	CHECK(memcmp(vector, drawn, sizeof(drawn)) == 0);
}

/* Ten groups of queries choose among ten candidates of their own, but for some noise. */
static void
draw_groups(size_t count)
{
	tfrs_random random;

	tfrs_random_init(&random, 3, 1003, 0);
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	query = tfrs_random_below(&random, 500);
		uint32_t	group = tfrs_random_below(&random, 10) == 0 ? tfrs_random_below(&random, 10)
			: query % 10;

		rows[i] = (test_row) {query, group * 10 + tfrs_random_below(&random, 10), 1.0f, 0};
	}
}

/* How many of the queries have a candidate of their own group on top. */
static int
count_right(const tfrs_model *model)
{
	float		query[128];
	float		scores[100];
	int			right = 0;

	CHECK(model->shape->dim <= 128);
	for (uint32_t i = 0; i < model->query_ids.count; i++)
	{
		int			best = 0;
		tfrs_id		id;

		tfrs_model_query(model, i, query);
		tfrs_kernels.dot_rows(query, model->candidate_table, 100, model->shape->dim, scores);
		for (int j = 1; j < 100; j++)
			best = scores[j] > scores[best] ? j : best;
		id = tfrs_id_view_get(&model->candidate_ids, (uint32_t) best);
		right += atoi(id.bytes + 1) / 10 == tfrs_id_view_get(&model->query_ids, i).integer % 10;
	}
	return right;
}

CHECK_TEST(groups_are_learned)
{
	tfrs_train_options options;
	trained		result;

	draw_groups(20000);
	tfrs_train_options_default(&options);
	tfrs_train_options_without_history(&options);
	options.epochs = 10;
	CHECK_OK(collect_and_train(&result, &options, 20000, SIZE_MAX, &check_error));
	CHECK(count_right(&result.model) > 450);	/* popularity is right for 50 */
	tfrs_train_options_tfrs(&options);
	options.epochs = 20;
	CHECK_OK(collect_and_train(&result, &options, 20000, SIZE_MAX, &check_error));
	CHECK(count_right(&result.model) > 450);
	tfrs_train_options_default(&options);
	options.history.steps = 100;
	CHECK_OK(collect_and_train(&result, &options, 20000, SIZE_MAX, &check_error));
	CHECK(count_right(&result.model) > 450);
	options.validation.on = true;	/* by tables whose dim the data have chosen */
	CHECK_OK(collect_and_train(&result, &options, 20000, SIZE_MAX, &check_error));
	CHECK(count_right(&result.model) > 450);
}

/* Rows weigh count^-w, 1 on the average: as if the rows had been given those weights. */
CHECK_TEST(query_weights_are_row_weights)
{
	tfrs_train_options options = small_options();
	static int	count[COUNT];
	double		sum = 0;
	trained		weighed;
	trained		given;

	options.loss.remove_accidental_hits = false;
	options.query_weight = 0.5f;
	rows_draw(rows, COUNT, 40, 100);
	for (int i = 0; i < COUNT; i++)
	{
		rows[i].query = i < COUNT / 2 ? 7 : rows[i].query + 1000;
		rows[i].weight = 1.0f;
	}
	CHECK_OK(collect_and_train(&weighed, &options, COUNT, SIZE_MAX, &check_error));
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < COUNT; j++)
			count[i] += rows[i].query == rows[j].query;
	for (int i = 0; i < COUNT; i++)
		sum += 1 / sqrt(count[i]);
	for (int i = 0; i < COUNT; i++)
		rows[i].weight = (float) (pow(count[i], -0.5) * COUNT / sum);
	options.query_weight = 0.0f;
	CHECK_OK(collect_and_train(&given, &options, COUNT, SIZE_MAX, &check_error));
	for (int epoch = 0; epoch < 2; epoch++)
		CHECK_NEAR(weighed.model.epochs[epoch].loss / given.model.epochs[epoch].loss, 1, 1e-4);
}

CHECK_TEST(hardly_any_rows)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.batch_size = TFRS_MAX_BATCH;
	rows[0] = rows[1] = rows[2] = (test_row) {1, 2, 1.0f, 0};
	CHECK_OK(collect_and_train(&result, &options, 1, SIZE_MAX, &check_error));
	CHECK_EQUAL(result.model.candidate_ids.count, 1);
	CHECK_OK(collect_and_train(&result, &options, 3, SIZE_MAX, &check_error));
	rows[1].query = 7;			/* two queries, one candidate */
	CHECK_OK(collect_and_train(&result, &options, 3, SIZE_MAX, &check_error));
	CHECK_EQUAL(result.model.query_ids.count, 2);
	options.batch_size = 1;
	CHECK_OK(collect_and_train(&result, &options, 3, SIZE_MAX, &check_error));
	CHECK_STATUS(collect_and_train(&result, &options, 0, SIZE_MAX, &check_error),
				 TFRS_INVALID_ARGUMENT);
}

CHECK_TEST(a_loss_that_overflows_names_the_epoch)
{
	tfrs_train_options options;
	trained		result;

	tfrs_train_options_tfrs(&options);
	options.batch_size = COUNT;
	options.optimizer.learning_rate = 1e30f;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_STATUS(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error),
				 TFRS_NOT_FINITE);
	CHECK(strcmp(check_error.message, "loss is not finite in epoch 2") == 0);
	CHECK(strstr(check_error.hint, "learning_rate") != NULL);
	options.optimizer.learning_rate = 3e38f;	/* the parameters overflow at once */
	tfrs_optimizer_default(&options.optimizer, TFRS_SGD);
	options.optimizer.learning_rate = 3e38f;
	CHECK_STATUS(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error),
				 TFRS_NOT_FINITE);
	CHECK(strcmp(check_error.message, "loss is not finite in epoch 1") == 0);
}

typedef struct bad_option
{
	size_t		offset;
	uint32_t	value;
	const char *key;
} bad_option;

CHECK_TEST(options_are_checked)
{
	static const bad_option bad[] = {
		{offsetof(tfrs_train_options, dim), TFRS_MAX_DIM + 1, "dim"},
		{offsetof(tfrs_train_options, epochs), 0, "epochs"},
		{offsetof(tfrs_train_options, epochs), TFRS_MAX_EPOCHS + 1, "epochs"},
		{offsetof(tfrs_train_options, batch_size), 0, "batch_size"},
		{offsetof(tfrs_train_options, batch_size), TFRS_MAX_BATCH + 1, "batch_size"},
		{offsetof(tfrs_train_options, threads), 0, "threads"},
		{offsetof(tfrs_train_options, threads), TFRS_MAX_THREADS + 1, "threads"},
		{offsetof(tfrs_train_options, correction), 9, "sampling_correction"},
		{offsetof(tfrs_train_options, optimizer.learning_rate), 0xbf800000, "learning_rate"},
		{offsetof(tfrs_train_options, optimizer.learning_rate), 0x7fc00000, "learning_rate"},
		{offsetof(tfrs_train_options, loss.temperature), 0xbf800000, "temperature"},
		{offsetof(tfrs_train_options, loss.probability_floor), 0, "probability_floor"}
	};
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	CHECK(tfrs_train_options_check(&options) == NULL);
	tfrs_train_options_tfrs(&options);
	CHECK(tfrs_train_options_check(&options) == NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		const char *problem;

		tfrs_train_options_default(&options);
		memcpy((char *) &options + bad[i].offset, &bad[i].value, sizeof(uint32_t));
		problem = tfrs_train_options_check(&options);
		CHECK(problem != NULL && strncmp(problem, bad[i].key, strlen(bad[i].key)) == 0);
	}
}

CHECK_TEST(hard_negatives_take_the_plain_form)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.loss.hard_negatives = 5;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error));
	options.form = TFRS_FORM_DISTINCT;
	CHECK_STATUS(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error),
				 TFRS_INVALID_ARGUMENT);
}

/* What training holds at its peak lies between the estimate and a few pages more. */
CHECK_TEST(the_estimate_holds)
{
	for (int switches = 0; switches < 4; switches++)
	{
		tfrs_train_options options = small_options();
		tfrs_interactions_options collecting = {.budget = SIZE_MAX};
		tfrs_interactions *interactions;
		tfrs_trainer *trainer;
		tfrs_arena	arena;
		size_t		estimate;

		options.dim = 24;
		options.batch_size = COUNT;
		options.normalize = switches & 1;
		options.form = switches & 2 ? TFRS_FORM_PLAIN : TFRS_FORM_AUTO;
		/* cells of repeated columns: not told */
	options.mask_known = options.form != TFRS_FORM_PLAIN;
		rows_draw(rows, COUNT, 3000, 2000);
		CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, COUNT,
							  &check_error));
		CHECK_OK(tfrs_training_estimate(&options, interactions, NULL, &estimate,
										   &check_error));
		tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
		CHECK_OK(fit(&trainer, &arena, &options, interactions, &check_error));
		CHECK(arena.peak < estimate + 20000);
		CHECK(arena.peak > estimate / 10 * 9);
		tfrs_arena_free(&arena);
		tfrs_interactions_destroy(interactions);
	}
}

CHECK_TEST(an_estimate_that_overflows_is_no_number)
{
	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = small_options();
		tfrs_events events = {.queries = SIZE_MAX / 4,.count = 1,.several = 1};
		tfrs_descent_counts counts = {
			.queries = SIZE_MAX / 4, .candidates = SIZE_MAX / 4, .rows = 1, .events = &events,
			.longest = 1
		};
		tfrs_descent descent;
		size_t		bytes = 0;

		if (history)
			tfrs_train_options_default(&options);
		options.dim = 8;
		tfrs_descent_size(&descent, &options, &counts);
		CHECK_STATUS(tfrs_plan_count(tfrs_descent_arrays, &descent, &bytes, &check_error),
					 TFRS_TOO_LARGE);
		CHECK_EQUAL(bytes, 0);
	}
}

static tfrs_status
collect_and_train_in(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_train_options options = small_options();
	tfrs_interactions_options collecting = {.budget = SIZE_MAX};
	trained		result;

	options.loss.hard_negatives = 5;
	return train_rows(&result, arena, &options, &collecting, rows, 100, error);
}

CHECK_TEST(lack_of_memory)
{
	rows_draw(rows, 100, 30, 20);
	check_lack_of_memory(collect_and_train_in);
}

/* The best epoch's tables are those of a training that ended with it. */
CHECK_TEST(the_best_epoch_is_put_back)
{
	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = small_options();
		trained		longer;
		trained		shorter;
		uint32_t	best = 1;
		size_t		floats;

		if (history)
		{
			tfrs_train_options_default(&options);
			options.dim = 8;
			options.optimizer.learning_rate = 0.3f;
			options.schedule.kind = TFRS_SCHEDULE_CONSTANT;
			options.history.steps = 32;
		}
		options.epochs = 8;
		options.optimizer.learning_rate = 0.8f;
		options.validation.on = true;
		options.validation.patience = 0;
		rows_draw(rows, COUNT, 300, 100);
		CHECK_OK(collect_and_train(&longer, &options, COUNT, SIZE_MAX, &check_error));
		CHECK_EQUAL(longer.model.epoch_count, 8);
		for (uint32_t e = 1; e < 8; e++)
			if (longer.model.validation[e] > longer.model.validation[best - 1])
				best = e + 1;
		CHECK(best < 8);
		options.history.steps = options.history.steps / 8 * best;
		options.epochs = best;
		CHECK_OK(collect_and_train(&shorter, &options, COUNT, SIZE_MAX, &check_error));
		floats = longer.model.candidate_ids.count * options.dim;
		CHECK(memcmp(longer.model.candidate_table, shorter.model.candidate_table,
					 floats * sizeof(float)) == 0);
	}
}

CHECK_TEST(patience_ends_a_training)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.epochs = 50;
	options.optimizer.learning_rate = 0.5f;
	options.validation.on = true;
	options.validation.patience = 2;
	options.validation.every = 3;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_OK(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error));
	CHECK(result.model.epoch_count < 50);
	for (size_t e = 0; e < result.model.epoch_count; e++)
		CHECK((result.model.validation[e] >= 0.0) == ((e + 1) % 3 == 0));
}

CHECK_TEST(order_threads_and_budget_do_not_show_in_a_validation)
{
	for (int way = 0; way < 3; way++)
	{
		tfrs_train_options options = small_options();
		trained		expected;
		trained		got;

		if (way > 0)
		{
			tfrs_train_options_default(&options);
			options.dim = 8;
			options.history.steps = 20;
		}
		options.validation.on = true;
		options.validation.by = way == 2 ? TFRS_HELD_OUT_QUERY : TFRS_HELD_OUT_RANDOM;
		options.validation.metric = TFRS_METRIC_RECALL;
		options.id_dropout = 0.1f;
		options.uniform_negatives = way == 0 ? 20 : 0;
		rows_draw(rows, COUNT, 300, 100);
		CHECK_OK(collect_and_train(&expected, &options, COUNT, SIZE_MAX, &check_error));
		rows_permute(rows, COUNT, 3);
		options.threads = 3;
		CHECK_OK(collect_and_train(&got, &options, COUNT, 0, &check_error));
		CHECK(same_bytes(&got, &expected));
	}
}

/* Nothing of a plain table is about a query that it was not trained on. */
CHECK_TEST(whole_queries_need_a_history)
{
	tfrs_train_options options = small_options();

	options.validation.on = true;
	options.validation.by = TFRS_HELD_OUT_QUERY;
	CHECK(strstr(tfrs_train_options_check(&options), "needs the history tower") != NULL);
	tfrs_train_options_default(&options);
	options.validation.on = true;
	options.validation.by = TFRS_HELD_OUT_QUERY;
	CHECK(tfrs_train_options_check(&options) == NULL);
}

CHECK_TEST(the_last_events_need_times)
{
	tfrs_train_options options = small_options();
	trained		result;

	options.validation.on = true;
	options.validation.by = TFRS_HELD_OUT_LAST;
	rows_draw(rows, COUNT, 300, 100);
	CHECK_STATUS(collect_and_train(&result, &options, COUNT, SIZE_MAX, &check_error),
				 TFRS_INVALID_ARGUMENT);
}

static tfrs_status
validate_in(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_train_options options = small_options();
	tfrs_interactions_options collecting = {
		.budget = SIZE_MAX, .has_weight = true, .has_time = true
	};
	trained		result;

	options.validation.on = true;
	options.validation.by = TFRS_HELD_OUT_LAST;
	options.batch_accuracy = (tfrs_cutoffs) {.count = 1,.k = {10}};
	return train_rows(&result, arena, &options, &collecting, rows, 300, error);
}

CHECK_TEST(lack_of_memory_in_a_validation)
{
	rows_draw(rows, 300, 60, 40);
	check_lack_of_memory(validate_in);
}
