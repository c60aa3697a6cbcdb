/*
 * fuzz_model.c: hostile bytes as a model (libFuzzer): what loads must be safe to use.
 *
 * The first byte chooses a good model (plain tables or histories, with or without times and
 * optimizer state); the rest are patches (fuzzing.h).  What loads is used as SQL uses it: ids are
 * looked up, every query and candidate is encoded, and histories are.
 */
#include "fuzzing.h"

#include "trainings.h"

#define MODELS 3
#define ROWS 200

static good_block good_models[MODELS];

static void
train_one(good_block *good, bool history, bool keep_state)
{
	tfrs_train_options options;
	tfrs_interactions_options collecting = {
		.budget = 1 << 20, .has_time = history, .spools = &rows_spools
	};
	test_row	rows[ROWS];
	tfrs_arena	arena;
	trained		made;

	tfrs_train_options_default(&options);
	if (!history)
		tfrs_train_options_without_history(&options);
	options.dim = 4;
	options.epochs = 1;
	options.history.steps = 3;
	options.keep_optimizer_state = keep_state;
	rows_draw(rows, ROWS, 20, 30);
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	CHECK_OK(train_rows(&made, &arena, &options, &collecting, rows, ROWS, &check_error));
	good->kind = TFRS_BLOCK_MODEL;
	good->length = made.length;
	good->bytes = malloc(made.length);
	REQUIRE(good->bytes != NULL);
	memcpy(good->bytes, made.bytes, made.length);
	tfrs_arena_free(&arena);
}

static void
prepare(void)
{
	train_one(&good_models[0], false, true);
	train_one(&good_models[1], true, true);
	train_one(&good_models[2], true, false);
}

static void
use_ids(const tfrs_id_view *view)
{
	for (uint32_t row = 0; row < view->count; row++)
		REQUIRE(tfrs_id_view_find(view, tfrs_id_view_get(view, row)) == row);
}

static void
use(const tfrs_model *model)
{
	float	   *vector = malloc((model->shape->dim + 1) * sizeof(float));

	REQUIRE(vector != NULL);
	use_ids(&model->query_ids);
	use_ids(&model->candidate_ids);
	for (uint32_t row = 0; row < model->query_ids.count; row++)
		tfrs_model_query(model, row, vector);
	tfrs_model_query(model, TFRS_NO_ROW, vector);
	for (uint32_t row = 0; row < model->candidate_ids.count; row++)
		tfrs_model_candidate(model, row, vector);
	for (size_t q = 0; model->has_events && q < model->events.queries; q++)
	{
		tfrs_event_list list = tfrs_events_of(&model->events, (uint32_t) q);

		tfrs_model_history(model, &list, vector);
	}
	free(vector);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const good_block *good;
	tfrs_model	model;
	void	   *copy;

	if (size < 1)
		return 0;
	good = &good_models[input[0] % MODELS];
	copy = good_block_patched(good, input + 1, size - 1);
	if (tfrs_model_load(&model, copy, good->length, &check_error) == TFRS_OK)
		use(&model);
	free(copy);
	return 0;
}
