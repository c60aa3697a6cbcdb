/*
 * test_trainer_content.c: candidates that nobody has chosen are ranked by what they consist of.
 */
#include "trainings.h"

#include "base/kernels.h"

#define GROUPS 6
#define OF_GROUP 12				/* candidates; the last of each is new */
#define CANDIDATES (GROUPS * OF_GROUP)
#define QUERIES 240
#define EACH 5
#define COUNT (QUERIES * EACH)
#define TAGS 3					/* of a candidate, out of OF_GROUP / 2 for each group */

static test_row rows[COUNT];
static size_t start[CANDIDATES + 1];
static uint32_t tag[CANDIDATES * TAGS];

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
	rows_integer_candidates = true;
}

static const tfrs_interactions_options untimed = {.budget = SIZE_MAX};

static bool
is_new(uint32_t candidate)
{
	return candidate % OF_GROUP == OF_GROUP - 1;
}

/* A query chooses within its group, and tags belong to groups. */
static tfrs_content_source
draw(void)
{
	tfrs_random random;

	tfrs_random_init(&random, 3, 4, 7);
	for (size_t i = 0; i < COUNT; i++)
	{
		int64_t		query = (int64_t) (i / EACH);

		rows[i] = (test_row) {
			query, query % GROUPS * OF_GROUP + tfrs_random_below(&random, OF_GROUP - 1), 1, 0
		};
	}
	for (uint32_t c = 0; c < CANDIDATES; c++)
	{
		start[c + 1] = (c + 1) * TAGS;
		for (uint32_t t = 0; t < TAGS; t++)
			tag[c * TAGS + t] = c / OF_GROUP * (OF_GROUP / 2) +
				tfrs_random_below(&random, OF_GROUP / 2);
	}
	return (tfrs_content_source) {
		.candidates = CANDIDATES, .features = 1,
		.feature = {{.start = start, .item = tag, .end = GROUPS * OF_GROUP / 2}}
	};
}

static tfrs_status
collect(tfrs_interactions **interactions, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_status status = rows_begin(interactions, arena, &untimed, error);

	for (uint32_t c = 0; c < CANDIDATES && status == TFRS_OK; c++)
		status = tfrs_interactions_know_candidate(*interactions, tfrs_id_of_integer(c), error);
	if (status == TFRS_OK)
		status = rows_add(*interactions, rows, COUNT, error);
	return status == TFRS_OK ? rows_finish(*interactions, error) : status;
}

/* source: NULL: nothing is told of content. */
static tfrs_status
train(trained *result, tfrs_arena *arena, const tfrs_train_options *options,
	  const tfrs_content_source *source, tfrs_error *error)
{
	tfrs_interactions *interactions;
	tfrs_trainer *trainer = NULL;
	tfrs_train_progress progress;
	tfrs_status status = collect(&interactions, arena, error);

	if (status == TFRS_OK)
		status = tfrs_trainer_begin(&trainer, arena, options, interactions, NULL, error);
	if (status == TFRS_OK && source != NULL)
		tfrs_trainer_tell_content(trainer, source);
	while (status == TFRS_OK &&
		   (status = tfrs_trainer_step(trainer, &progress, error)) == TFRS_MORE)
		status = TFRS_OK;
	if (status == TFRS_OK)
		status = write_model(result, trainer, arena, error);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
	return status;
}

static tfrs_train_options
few_steps(void)
{
	tfrs_train_options options;

	tfrs_train_options_default(&options);
	options.dim = 8;
	options.history.steps = 40;
	return options;
}

/* Scores (N) of a query. */
static void
score(const tfrs_model *model, uint32_t query, float *scores)
{
	static float vector[64];
	static uint32_t touched[CANDIDATES + 1];
	static float value[CANDIDATES + 1];
	tfrs_part_sums sums;
	size_t		count;

	tfrs_model_query(model, query, vector);
	tfrs_kernels.dot_rows(vector, model->candidate_table, CANDIDATES, model->shape->dim, scores);
	CHECK_OK(tfrs_part_sums_get(&sums, check_arena(), CANDIDATES, &check_error));
	tfrs_model_add_parts(model, query, &sums);
	count = tfrs_part_sums_take(&sums, touched, value);
	for (size_t i = 0; i < count; i++)
		scores[touched[i]] += value[i];
	tfrs_part_sums_release(&sums, check_arena());
}

/* Queries whose best new candidate is that of their group. */
static size_t
found(const tfrs_model *model)
{
	size_t		right = 0;

	for (uint32_t q = 0; q < QUERIES; q++)
	{
		float		scores[CANDIDATES];
		uint32_t	best = OF_GROUP - 1;

		score(model, q, scores);
		for (uint32_t c = 0; c < CANDIDATES; c++)
			if (is_new(c) && scores[c] > scores[best])
				best = c;
		right += best / OF_GROUP == q % GROUPS;
	}
	return right;
}

CHECK_TEST(new_candidates_are_found_by_their_content)
{
	tfrs_content_source source = draw();
	tfrs_train_options options = few_steps();
	trained		with;
	trained		without;

	CHECK_OK(train(&with, check_arena(), &options, &source, &check_error));
	CHECK_OK(train(&without, check_arena(), &options, NULL, &check_error));
	CHECK_EQUAL(with.model.candidate_ids.count, CANDIDATES);
	CHECK_EQUAL(with.model.candidate_counts[OF_GROUP - 1], 0);
	CHECK(found(&with.model) > QUERIES * 9 / 10);
	CHECK(found(&without.model) < QUERIES / 2);
	CHECK(with.model.scores.shape[TFRS_LIKE_CONTENT].weight > 0);
}

/* Nobody learns to stay away from what nobody has chosen, and its id tells nothing. */
CHECK_TEST(new_candidates_are_no_negatives)
{
	tfrs_train_options options = few_steps();
	trained		result;
	size_t		dim;

	draw();
	for (int columns = 0; columns < 2; columns++)
	{
		options.history.columns = columns * 20;
		CHECK_OK(train(&result, check_arena(), &options, NULL, &check_error));
		dim = result.model.shape->dim;
		for (uint32_t c = 0; c < CANDIDATES; c++)
		{
			const float *row = result.model.candidate_table + c * dim;

			CHECK((row[dim - 1] == 0) == is_new(c));
			CHECK((row[0] == 0) == is_new(c));
		}
	}
}

/* Those that are known have the vectors that they have without, and no part of the new ones' weight. */
CHECK_TEST(known_candidates_stay_as_they_are)
{
	tfrs_content_source source = draw();
	tfrs_train_options options = few_steps();
	trained		with;
	trained		without;
	size_t		dim;

	options.parts.pilot = false;
	CHECK_OK(train(&with, check_arena(), &options, &source, &check_error));
	CHECK_OK(train(&without, check_arena(), &options, NULL, &check_error));
	dim = with.model.shape->dim;
	CHECK_NEAR(with.model.score->content, 0, 0);
	for (uint32_t c = 0; c < CANDIDATES; c++)
	{
		const float *scale = with.model.scores.neighbours[TFRS_LIKE_CONTENT].scale;

		if (!is_new(c))
			CHECK(memcmp(with.model.candidate_table + c * dim,
						 without.model.candidate_table + c * dim, dim * sizeof(float)) == 0);
		CHECK(is_new(c) ? scale[c] > 0 : scale[c] == 0);
	}
}

/* A weight of 0 that was given leaves the part out; vectors and biases tell of content still. */
CHECK_TEST(a_weight_that_is_given_stays)
{
	tfrs_content_source source = draw();
	tfrs_train_options options = few_steps();
	trained		result;

	options.parts.weight[TFRS_LIKE_CONTENT] = 0;
	CHECK_OK(train(&result, check_arena(), &options, &source, &check_error));
	CHECK_NEAR(result.model.scores.shape[TFRS_LIKE_CONTENT].weight, 0, 0);
	CHECK(found(&result.model) > QUERIES * 3 / 4);
	options.parts.weight[TFRS_LIKE_CONTENT] = 7;
	CHECK_OK(train(&result, check_arena(), &options, &source, &check_error));
	CHECK_NEAR(result.model.scores.shape[TFRS_LIKE_CONTENT].weight, 7, 0);
	CHECK_NEAR(result.model.score->content, 7, 0);
}

/* Tables of ids have no parts beside their vectors. */
CHECK_TEST(tables_of_ids_have_new_candidates_too)
{
	tfrs_content_source source = draw();
	tfrs_train_options options = few_steps();
	trained		result;

	tfrs_train_options_without_history(&options);
	options.epochs = 30;
	CHECK_OK(train(&result, check_arena(), &options, &source, &check_error));
	CHECK(found(&result.model) > QUERIES * 3 / 4);
}

CHECK_TEST(threads_do_not_change_a_byte)
{
	tfrs_content_source source = draw();
	tfrs_train_options options = few_steps();
	trained		one;
	trained		other;

	options.threads = 1;
	CHECK_OK(train(&one, check_arena(), &options, &source, &check_error));
	options.threads = 3;
	CHECK_OK(train(&other, check_arena(), &options, &source, &check_error));
	CHECK(same_bytes(&one, &other));
}

static tfrs_status
train_little(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_content_source source = draw();
	tfrs_train_options options = few_steps();
	trained		result;

	options.history.steps = 2;
	options.parts.pilot = false;
	return train(&result, arena, &options, &source, error);
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(train_little);
}
