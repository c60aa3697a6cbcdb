/*
 * test_training_features.c: whole trainings whose candidates have columns: a model that is read again,
 * and candidates that nobody has chosen, whose columns speak for them.
 */
#include "feature_makers.h"
#include "trainings.h"

#include "base/kernels.h"
#include "base/matmul.h"

#define QUERIES 48
#define SEEN 60
#define CANDIDATES 68
#define GROUPS 4
#define EACH 9

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
}

/* Words of groups, which candidates are of by turns. */
static const char *const titles[GROUPS] = {"red car", "blue boat", "green bike", "old train"};

static void
add_feature(tfrs_tower_options *options, tfrs_feature_kind kind, uint32_t column, const char *name)
{
	tfrs_feature_options *feature = &options->feature[options->features++];

	memcpy(feature->name, name, strlen(name));
	feature->kind = kind;
	feature->columns = 1;
	feature->column[0] = column;
	feature->unknown_slots = 1;
	feature->min_count = 1;
	feature->quantiles = kind == TFRS_FEATURE_BUCKET ? 4 : 0;
}

static void
tower_options(tfrs_tower_options *options, uint32_t layers)
{
	uint32_t	title;
	uint32_t	price;

	*options = (tfrs_tower_options) {.id_dropout = 0.3f,.layers = layers,.layer = {16}};
	features_column(options, "id", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	title = features_column(options, "title", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	price = features_column(options, "price", TFRS_COLUMN_NUMBER, 0);
	add_feature(options, TFRS_FEATURE_TEXT, title, "title");
	add_feature(options, TFRS_FEATURE_NUMBER, price, "price");
	add_feature(options, TFRS_FEATURE_BUCKET, price, "price_bucket");
	options->activation = TFRS_RELU;
}

static void
fill_row(int64_t candidate, tfrs_value row[3])
{
	row[0] = features_integer(candidate);
	row[1] = features_text(titles[candidate % GROUPS]);
	row[2] = candidate == 7 ? features_null() : features_number((double) (candidate % 11));
}

/* Query q chooses EACH candidates of its group, in one order or the other. */
static void
collect(tfrs_interactions **interactions, const tfrs_tower_options *options, bool has_time,
		bool backwards)
{
	tfrs_interactions_options collecting = {.has_time = has_time,.budget = SIZE_MAX,.seed = 3};
	tfrs_value	row[3];
	tfrs_status status;

	rows_integer_candidates = true;
	CHECK_OK(rows_begin(interactions, check_arena(), &collecting, &check_error));
	CHECK_OK(tfrs_interactions_set_candidate_row(*interactions, options, &check_error));
	for (int64_t i = 0; i < QUERIES * EACH; i++)
	{
		int64_t		n = backwards ? QUERIES * EACH - 1 - i : i;
		int64_t		query = n / EACH;
		int64_t		candidate = (n * 7 % (SEEN / GROUPS)) * GROUPS + query % GROUPS;

		fill_row(candidate, row);
		CHECK_OK(tfrs_interactions_add_rows(*interactions, &(tfrs_given_row) {
			.query = tfrs_id_of_integer(query), .candidate = tfrs_id_of_integer(candidate),
			.candidate_value = row, .weight = 1.0f, .at = n
		}, &check_error));
	}
	for (int64_t candidate = SEEN; candidate < CANDIDATES; candidate++)
	{
		fill_row(candidate, row);
		CHECK_OK(tfrs_interactions_know_candidate_row(*interactions, tfrs_id_of_integer(candidate),
													  row, TFRS_ROW_OF_CATALOGUE, &check_error));
	}
	while ((status = tfrs_interactions_finish_step(*interactions, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
}

static tfrs_train_options
train_options(bool history)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	if (!history)
		tfrs_train_options_without_history(&options);
	options.dim = 16;
	options.epochs = 20;
	options.history.steps = 150;
	options.parts.pilot = false;
	options.threads = 1;
	return options;
}

static void
train(trained *result, const tfrs_tower_options *tower, bool history, bool backwards)
{
	tfrs_train_options options = train_options(history);
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;

	collect(&interactions, tower, history, backwards);
	CHECK_OK(fit(&trainer, check_arena(), &options, interactions, &check_error));
	CHECK_OK(write_model(result, trainer, check_arena(), &check_error));
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

/* The mean score that candidates without interactions have with queries of their group, less that
 * with all queries. */
static double
advantage_of_group(const tfrs_model *model)
{
	float		query[16];
	float		candidate[16];
	double		own = 0;
	double		all = 0;

	for (uint32_t q = 0; q < QUERIES; q++)
		for (uint32_t c = SEEN; c < CANDIDATES; c++)
		{
			double		score;

			tfrs_model_query(model, q, query);
			tfrs_model_candidate(model, c, candidate);
			score = tfrs_kernels.dot(query, candidate, 16);
			all += score / (QUERIES * (CANDIDATES - SEEN));
			if (q % GROUPS == c % GROUPS)
				own += score * GROUPS / (QUERIES * (CANDIDATES - SEEN));
		}
	return own - all;
}

CHECK_TEST(new_candidates_are_what_their_columns_say)
{
	for (int history = 0; history < 2; history++)
		for (uint32_t layers = 0; layers < 2; layers++)
		{
			tfrs_tower_options tower;
			trained		result;

			tower_options(&tower, layers);
			train(&result, &tower, history, false);
			CHECK_EQUAL(result.model.candidate_ids.count, CANDIDATES);
			CHECK_EQUAL(result.model.candidate_features.features.count, 3);
			CHECK(advantage_of_group(&result.model) > 0.5);
		}
}

CHECK_TEST(features_do_not_depend_on_the_order_of_rows)
{
	tfrs_tower_options tower;
	trained		one;
	trained		other;

	tower_options(&tower, 1);
	train(&one, &tower, false, false);
	train(&other, &tower, false, true);
	CHECK(same_bytes(&one, &other));
}

/* A clear error instead of a model that nothing can be asked of. */
CHECK_TEST(what_is_not_done_with_features)
{
	tfrs_tower_options tower;
	tfrs_train_options options = train_options(false);
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	trained		earlier;

	tower_options(&tower, 0);
	train(&earlier, &tower, false, false);
	collect(&interactions, &tower, false, false);
	CHECK_STATUS(fit_from(&trainer, check_arena(), &options, interactions, &earlier.model,
						  &check_error), TFRS_INVALID_ARGUMENT);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

/* Tables, numbers and layers of features: at its peak a training holds no more than its estimate. */
CHECK_TEST(the_estimate_counts_features)
{
	for (int history = 0; history < 2; history++)
	{
		tfrs_train_options options = train_options(history == 1);
		tfrs_tower_options tower;
		tfrs_interactions *interactions;
		tfrs_trainer *trainer;
		tfrs_arena	arena;
		size_t		estimate;

		tower_options(&tower, 1);
		tower.layer[0] = 1024;
		collect(&interactions, &tower, history == 1, false);
		CHECK_OK(tfrs_training_estimate(&options, interactions, NULL, &estimate, &check_error));
		tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
		CHECK_OK(fit(&trainer, &arena, &options, interactions, &check_error));
		CHECK(arena.peak <= estimate);
		CHECK(estimate > 1024 * 48 * sizeof(float) * 3);	/* the first kernel and what moves it */
		tfrs_arena_free(&arena);
		tfrs_interactions_destroy(interactions);
	}
}
