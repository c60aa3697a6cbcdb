/*
 * test_warm_start.c: going on from an earlier model: where its ids and parameters are now, what it
 * refuses, whole retrainings.
 */
#include "trainings.h"

#include "base/kernels.h"
#include "learning/warm_start.h"

#define COUNT 3000
#define DIM 8

static test_row rows[2 * COUNT];

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static const tfrs_interactions_options timed = {
	.has_weight = true, .has_time = true, .budget = SIZE_MAX
};

static tfrs_train_options
small_options(bool history)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	if (!history)
		tfrs_train_options_without_history(&options);
	options.dim = DIM;
	options.epochs = 2;
	options.batch_size = 150;
	options.seed = 5;
	options.history.steps = history ? 8 : 0;
	options.parts = (tfrs_part_options) {{5, 5}, 0.5f, 0, false};
	return options;
}

/* The first half of the rows has fewer queries and candidates than the second. */
static void
draw(void)
{
	rows_draw(rows, COUNT, 100, 40);
	rows_draw(rows + COUNT, COUNT, 150, 60);
	for (int i = COUNT; i < 2 * COUNT; i++)
		rows[i].at += 200000000000;
}

static void
train_first(trained *result, const tfrs_train_options *options)
{
	training	told = {options, &timed, NULL};

	CHECK_OK(train_from(result, check_arena(), &told, rows, COUNT, &check_error));
}

static void
retrain(trained *result, const tfrs_train_options *options, const trained *earlier,
		const test_row *more, size_t count)
{
	training	told = {options, &timed, &earlier->model};

	CHECK_OK(train_from(result, check_arena(), &told, more, count, &check_error));
}

/* The row in one model of an id of another. */
static uint32_t
row_of(const tfrs_id_view *in, const tfrs_id_view *ids, uint32_t row)
{
	return tfrs_id_view_find(in, tfrs_id_view_get(ids, row));
}

static void
check_near_rows(const float *a, const float *b, double tolerance)
{
	for (int d = 0; d < DIM; d++)
		CHECK_NEAR(a[d], b[d], tolerance);
}

/* With steps that move nothing the earlier parameters are there, and new ids have some. */
static void
check_kept(tfrs_train_options options)
{
	trained		earlier;
	trained		later;
	const tfrs_model *a = &earlier.model;
	const tfrs_model *b = &later.model;

	train_first(&earlier, &options);
	options.optimizer.learning_rate = 1e-20f;
	retrain(&later, &options, &earlier, rows + COUNT, COUNT);
	CHECK(b->query_ids.count > a->query_ids.count);
	CHECK(b->candidate_ids.count > a->candidate_ids.count);
	for (uint32_t c = 0; c < a->candidate_ids.count; c++)
	{
		uint32_t	now = row_of(&b->candidate_ids, &a->candidate_ids, c);

		check_near_rows(a->candidate_table + c * DIM, b->candidate_table + now * DIM, 1e-6);
		for (uint32_t bag = 0; a->history != NULL && bag < a->history->bags; bag++)
			CHECK(memcmp(a->bag_table[bag] + c * DIM, b->bag_table[bag] + now * DIM,
						 DIM * sizeof(float)) == 0);
	}
	for (uint32_t q = 0; a->history == NULL && q < a->query_ids.count; q++)
		check_near_rows(a->query_table + q * DIM,
						b->query_table + row_of(&b->query_ids, &a->query_ids, q) * DIM, 1e-6);
}

CHECK_TEST(parameters_are_kept)
{
	tfrs_train_options options;

	draw();
	for (int history = 0; history < 2; history++)
		for (int keep = 0; keep < 2; keep++)
		{
			options = small_options(history);
			options.keep_optimizer_state = keep;
			check_kept(options);
			options.normalize = false;
			check_kept(options);
		}
	options = small_options(true);
	options.history.tied = true;
	check_kept(options);
}

static uint64_t
sum_of(const uint32_t *counts, size_t count)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += counts[i];
	return sum;
}

/* The events are those of one training on all rows; so are the counts, but for equal rows. */
CHECK_TEST(events_are_merged)
{
	tfrs_train_options options = small_options(true);
	trained		earlier;
	trained		later;
	trained		whole;
	training	all = {&options, &timed, NULL};
	const tfrs_events *a = &later.model.events;
	const tfrs_events *b = &whole.model.events;

	draw();
	train_first(&earlier, &options);
	retrain(&later, &options, &earlier, rows + COUNT, COUNT);
	CHECK_OK(train_from(&whole, check_arena(), &all, rows, 2 * COUNT, &check_error));
	CHECK_EQUAL(a->count, b->count);
	CHECK(memcmp(a->offsets, b->offsets, (a->queries + 1) * sizeof(uint64_t)) == 0);
	CHECK(memcmp(a->candidate, b->candidate, a->count * sizeof(uint32_t)) == 0);
	CHECK(memcmp(a->at, b->at, a->count * sizeof(int64_t)) == 0);
	CHECK_EQUAL(later.model.shape->rows, 2 * COUNT);
	CHECK(memcmp(later.model.query_counts, whole.model.query_counts,
				 a->queries * sizeof(uint32_t)) == 0);
	CHECK_EQUAL(sum_of(later.model.candidate_counts, later.model.candidate_ids.count), 2 * COUNT);
	CHECK_EQUAL(later.model.shape->skipped_query, 6);
	CHECK_EQUAL(later.model.shape->skipped_candidate, 8);
}

/* Stored events as rows once more change nothing about what is counted. */
CHECK_TEST(the_same_rows_count_once)
{
	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = small_options(history);
		trained		earlier;
		trained		later;

		for (int i = 0; i < COUNT; i++)
			rows[i] = (test_row) {i % 50, i / 50 % 60, 1.0f, i};
		train_first(&earlier, &options);
		retrain(&later, &options, &earlier, rows, COUNT);
		CHECK_EQUAL(later.model.shape->rows, COUNT);
		CHECK_EQUAL(later.model.events.count, COUNT);
		CHECK(memcmp(later.model.query_counts, earlier.model.query_counts,
					 50 * sizeof(uint32_t)) == 0);
		CHECK(memcmp(later.model.candidate_counts, earlier.model.candidate_counts,
					 60 * sizeof(uint32_t)) == 0);
	}
}

/* Nothing stored: rows are added, whatever they are. */
CHECK_TEST(nothing_stored_nothing_merged)
{
	tfrs_train_options options = small_options(false);
	trained		earlier;
	trained		later;

	options.store = false;
	options.mask_known = false;
	draw();
	train_first(&earlier, &options);
	retrain(&later, &options, &earlier, rows, COUNT);
	CHECK_EQUAL(later.model.shape->rows, 2 * COUNT);
	CHECK(!later.model.has_events);
	for (uint32_t q = 0; q < later.model.query_ids.count; q++)
		CHECK_EQUAL(later.model.query_counts[q], 2 * earlier.model.query_counts[q]);
}

CHECK_TEST(order_threads_and_budget_do_not_show)
{
	static const size_t budgets[] = {SIZE_MAX, 50000, 0};

	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = small_options(history);
		trained		earlier;
		trained		expected;

		options.keep_optimizer_state = true;
		draw();
		train_first(&earlier, &options);
		retrain(&expected, &options, &earlier, rows + COUNT, COUNT);
		for (int i = 0; i < 3; i++)
		{
			tfrs_interactions_options collecting = timed;
			training	told = {&options, &collecting, &earlier.model};
			trained		got;

			collecting.budget = budgets[i];
			collecting.spools = &rows_spools;
			options.threads = i + 2;
			rows_permute(rows + COUNT, COUNT, (uint64_t) i);
			CHECK_OK(train_from(&got, check_arena(), &told, rows + COUNT, COUNT, &check_error));
			CHECK(same_bytes(&got, &expected));
		}
	}
}

/* The state is there where it is wanted, as large as the tables, and the steps go on. */
CHECK_TEST(the_optimizer_goes_on)
{
	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = small_options(history);
		trained		plain;
		trained		earlier;
		trained		later;

		draw();
		train_first(&plain, &options);
		CHECK(plain.model.optimizer == NULL);
		options.keep_optimizer_state = true;
		train_first(&earlier, &options);
		CHECK_EQUAL(earlier.model.optimizer->kind, options.optimizer.kind);
		CHECK_EQUAL(earlier.model.optimizer->slots, history ? 2 : 1);
		CHECK_EQUAL(earlier.model.optimizer->step, history ? 8 : 2 * COUNT / 150);
		CHECK(earlier.model.tensor[0].slot[0] != NULL);
		CHECK(earlier.model.tensor[0].length != NULL);
		CHECK(earlier.model.tensor[1].slot[0] != NULL);
		CHECK((tfrs_model_tensor_of(&earlier.model, "bag2") != NULL) == history);
		retrain(&later, &options, &earlier, rows + COUNT, COUNT);
		CHECK_EQUAL(later.model.optimizer->step, 2 * earlier.model.optimizer->step);
		tfrs_optimizer_default(&options.optimizer, TFRS_SGD);
		options.optimizer.learning_rate = 0.01f;
		retrain(&later, &options, &earlier, rows + COUNT, COUNT);
		CHECK_EQUAL(later.model.optimizer->step, earlier.model.optimizer->step);
	}
}

/*
 * Accumulators that only grow: where they are kept, those of an id that has been trained before are
 * not smaller after the second training.
 */
CHECK_TEST(accumulators_grow_on)
{
	tfrs_train_options options = small_options(false);
	trained		earlier;
	trained		later;
	double		grown = 0;

	options.keep_optimizer_state = true;
	draw();
	train_first(&earlier, &options);
	retrain(&later, &options, &earlier, rows + COUNT, COUNT);
	for (uint32_t c = 0; c < earlier.model.candidate_ids.count; c++)
	{
		uint32_t	now = row_of(&later.model.candidate_ids, &earlier.model.candidate_ids, c);

		for (uint32_t d = 0; d < DIM; d++)
		{
			float		before = earlier.model.tensor[0].slot[0][c * DIM + d];
			float		after = later.model.tensor[0].slot[0][now * DIM + d];

			CHECK(after >= before);
			grown += after - before;
		}
	}
	CHECK(grown > 0);
}

/* A loss that has fallen goes on from there. */
CHECK_TEST(learning_goes_on)
{
	tfrs_train_options options = small_options(true);
	trained		earlier;
	trained		later;

	options.history.steps = 60;
	options.loss.temperature = 0.3f;
	draw();
	train_first(&earlier, &options);
	options.optimizer.learning_rate = 0.005f;
	retrain(&later, &options, &earlier, rows, COUNT);
	CHECK(later.model.epochs[0].loss_per_row < earlier.model.epochs[0].loss_per_row);
	CHECK(later.model.epochs[1].loss_per_row < earlier.model.epochs[1].loss_per_row);
}

static void
check_refused(const trained *earlier, const tfrs_train_options *options,
			  const tfrs_interactions_options *collecting, const char *words)
{
	training	told = {options, collecting, &earlier->model};
	trained		result;

	CHECK_STATUS(train_from(&result, check_arena(), &told, rows, COUNT, &check_error),
				 TFRS_INVALID_ARGUMENT);
	CHECK(strstr(check_error.message, words) != NULL);
}

/* What would need tables of another shape. */
CHECK_TEST(another_shape_is_refused)
{
	tfrs_interactions_options untimed = {.budget = SIZE_MAX};
	const tfrs_train_options options = small_options(true);
	tfrs_train_options other = options;
	trained		earlier;

	draw();
	train_first(&earlier, &options);
	check_refused(&earlier, &options, &untimed, "was trained with event times");
	other.dim = 9;
	check_refused(&earlier, &other, &timed, "\"dim\"");
	other = options;
	other.history.decay[1] = 0.7f;
	check_refused(&earlier, &other, &timed, "\"decay\"");
	other.history.decays = 1;
	check_refused(&earlier, &other, &timed, "\"decay\"");
	other = options;
	other.history.all = false;
	check_refused(&earlier, &other, &timed, "\"all\"");
	other = options;
	other.candidate_bias = false;
	check_refused(&earlier, &other, &timed, "\"candidate_bias\"");
	other = options;
	other.normalize = false;
	check_refused(&earlier, &other, &timed, "\"normalize\"");
	other = small_options(false);
	check_refused(&earlier, &other, &timed, "\"history\"");
}

/* Without stored events new rows may have nothing to learn from; the tower keeps its bags. */
CHECK_TEST(a_tower_keeps_its_shape)
{
	tfrs_train_options options = small_options(true);
	trained		earlier;
	trained		later;
	training	told = {&options, &timed, &earlier.model};

	options.store = false;
	draw();
	train_first(&earlier, &options);
	for (int i = 0; i < 100; i++)
		rows[i] = (test_row) {i / 2, i % 2, 1.0f, 7};	/* no times that differ */
	retrain(&later, &options, &earlier, rows, 100);
	CHECK_EQUAL(later.model.history->bags, 3);
	for (int i = 0; i < 100; i++)
		rows[i] = (test_row) {i, i % 2, 1.0f, 7};	/* no two candidates */
	CHECK_STATUS(train_from(&later, check_arena(), &told, rows, 100, &check_error),
				 TFRS_INVALID_ARGUMENT);
}

CHECK_TEST(ids_that_are_not_known)
{
	tfrs_train_options options = small_options(true);
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	trained		earlier;

	draw();
	train_first(&earlier, &options);
	CHECK_OK(rows_collect(&interactions, check_arena(), &timed, rows, 10, &check_error));
	CHECK_STATUS(fit_from(&trainer, check_arena(), &options, interactions, &earlier.model,
						  &check_error), TFRS_INVALID_ARGUMENT);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

/* What retraining holds at its peak is not above the estimate, and not far below. */
CHECK_TEST(the_estimate_holds)
{
	for (int switches = 0; switches < 4; switches++)
	{
		tfrs_train_options options = small_options(switches & 1);
		trained		earlier;
		training	told = {&options, &timed, &earlier.model};
		tfrs_interactions *interactions;
		tfrs_trainer *trainer;
		tfrs_arena	arena;
		size_t		estimate;

		options.keep_optimizer_state = switches & 2;
		draw();
		train_first(&earlier, &options);
		CHECK_OK(collect_training(&interactions, check_arena(), &told, rows + COUNT, COUNT,
								  &check_error));
		CHECK_OK(tfrs_training_estimate(&options, interactions, &earlier.model, &estimate,
									   &check_error));
		tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
		CHECK_OK(fit_from(&trainer, &arena, &options, interactions, &earlier.model, &check_error));
		CHECK(arena.peak < estimate + 30000);
		CHECK(arena.peak > estimate / 3);
		tfrs_arena_free(&arena);
		tfrs_interactions_destroy(interactions);
	}
}

static trained earlier_of_lack;

static tfrs_status
retrain_in(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_train_options options = small_options(earlier_of_lack.model.history != NULL);
	training	told = {&options, &timed, &earlier_of_lack.model};
	trained		result;

	options.keep_optimizer_state = true;
	options.history.steps = options.history.on ? 3 : 0;
	return train_from(&result, arena, &told, rows + COUNT, 100, error);
}

CHECK_TEST(lack_of_memory)
{
	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = small_options(history);

		options.keep_optimizer_state = true;
		draw();
		train_first(&earlier_of_lack, &options);
		check_lack_of_memory(retrain_in);
	}
}
