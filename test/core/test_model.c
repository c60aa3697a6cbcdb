/*
 * test_model.c: reading a model: what was written comes back; cut and flipped bytes are refused or
 * harmless (run it with SANITIZE=address,undefined).
 */
#include "rows.h"

#include <string.h>

#include "base/kernels.h"
#include "learning/trainer.h"

#define COUNT 60

static test_row rows[COUNT];
static uint64_t *bytes;			/* as uint64 for alignment */
static size_t length;

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

/* A model of integer queries and text candidates, small enough to flip each of its bytes. */
static void
make_model(bool history)
{
	tfrs_interactions_options collecting = {.budget = SIZE_MAX, .has_time = history};
	tfrs_train_options options;
	tfrs_interactions *interactions;
	tfrs_trainer *trainer;
	tfrs_train_progress progress;
	tfrs_block_writer writer;
	tfrs_status status;

	tfrs_train_options_default(&options);
	if (!history)
		tfrs_train_options_without_history(&options);
	options.dim = 3;
	options.epochs = 2;
	options.history.steps = history ? 4 : 0;
	rows_draw(rows, COUNT, 12, 9);
	CHECK_OK(rows_collect(&interactions, check_arena(), &collecting, rows, COUNT, &check_error));
	CHECK_OK(tfrs_trainer_begin(&trainer, check_arena(), &options, interactions, NULL,
								&check_error));
	while ((status = tfrs_trainer_step(trainer, &progress, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	CHECK_OK(tfrs_block_writer_add(&writer, "about", "{\"dim\": 3}", 10, 1, &check_error));
	CHECK_OK(tfrs_trainer_save(trainer, 0, 0, &writer, &check_error));
	CHECK_OK(tfrs_block_writer_size(&writer, &length, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &bytes, length / 8 + 1, &check_error));
	tfrs_block_writer_begin(&writer, bytes);
	while (tfrs_block_writer_step(&writer) == TFRS_MORE)
		;
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
}

static bool
digest_holds(const tfrs_block *block)
{
	tfrs_block_check check;
	tfrs_status status;

	tfrs_block_check_begin(&check, block);
	do
		status = tfrs_block_check_step(&check, &check_error);
	while (status == TFRS_MORE);
	return status == TFRS_OK;
}

/* Everything that a reader does with a model; the sum keeps it from being left out. */
static double
use_model(const tfrs_model *model)
{
	double		sum = model->shape->temperature;
	float	   *vector;

	CHECK_OK(TFRS_GET(check_arena(), &vector, model->shape->dim, &check_error));
	for (size_t i = 0; i < model->about_bytes; i++)
		sum += model->about[i];
	for (size_t i = 0; i < model->epoch_count; i++)
		sum += model->epochs[i].loss;
	for (uint32_t i = 0; i < model->query_ids.count; i++)
	{
		tfrs_id		id = tfrs_id_view_get(&model->query_ids, i);

		CHECK_EQUAL(tfrs_id_view_find(&model->query_ids, id), i);
		tfrs_model_query(model, i, vector);
		sum += vector[model->shape->dim - 1] + model->query_counts[i];
	}
	for (uint32_t i = 0; i < model->candidate_ids.count; i++)
	{
		tfrs_id		id = tfrs_id_view_get(&model->candidate_ids, i);

		CHECK_EQUAL(tfrs_id_view_find(&model->candidate_ids, id), i);
		tfrs_model_candidate(model, i, vector);
		sum += vector[model->shape->dim - 1] + model->candidate_counts[i];
	}
	tfrs_model_query(model, TFRS_NO_ROW, vector);
	tfrs_model_candidate(model, TFRS_NO_ROW, vector);
	CHECK_EQUAL(tfrs_id_view_find(&model->query_ids, tfrs_id_of_integer(-1)), TFRS_NO_ROW);
	CHECK_EQUAL(tfrs_id_view_find(&model->candidate_ids, tfrs_id_of_bytes("x", 1)), TFRS_NO_ROW);
	tfrs_arena_release(check_arena(), vector);
	return sum;
}

CHECK_TEST(what_was_written_is_read)
{
	tfrs_model	model;

	make_model(false);
	CHECK_OK(tfrs_model_load(&model, bytes, length, &check_error));
	CHECK(digest_holds(&model.block));
	CHECK_EQUAL(model.shape->dim, 3);
	CHECK_EQUAL(model.shape->rows, COUNT);
	CHECK_EQUAL(model.epoch_count, 2);
	CHECK(model.about_bytes == 10 && memcmp(model.about, "{\"dim\": 3}", 10) == 0);
	CHECK_EQUAL(model.query_ids.tag, 20);
	CHECK_EQUAL(model.candidate_ids.tag, 25);
	CHECK_EQUAL(model.query_ids.kind, TFRS_ID_INTEGER);
	CHECK_EQUAL(model.candidate_ids.kind, TFRS_ID_BYTES);
	CHECK(isfinite(use_model(&model)));
}

/* Bytes of exactly that length, so that a sanitizer sees a read past their end. */
static uint64_t *
copy_bytes(size_t count)
{
	uint64_t   *copy = aligned_alloc(8, (count + 7) / 8 * 8);

	memcpy(copy, bytes, count);
	return copy;
}

static void
cut_bytes(bool history)
{
	make_model(history);
	for (size_t count = 8; count < length; count++)
	{
		uint64_t   *copy = copy_bytes(count);
		tfrs_model	model;
		tfrs_status status = tfrs_model_load(&model, copy, count, &check_error);

		free(copy);
		CHECK_STATUS(status, TFRS_CORRUPT);
	}
}

CHECK_TEST(cut_bytes_are_refused)
{
	cut_bytes(false);
	cut_bytes(true);
}

/* One byte changed: refused, or a model that can be used; and its digest never holds. */
static void
flip_bytes(bool history)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x10};
	size_t		harmless = 0;
	size_t		tried = 0;

	make_model(history);
	for (size_t i = 0; i < length; i++)
	{
		for (size_t m = 0; m < sizeof(masks); m++)
		{
			uint64_t   *copy = copy_bytes(length);
			tfrs_model	model;
			tfrs_status status;

			((uint8_t *) copy)[i] ^= masks[m];
			memset(&model, 0, sizeof(model));
			status = tfrs_model_load(&model, copy, length, &check_error);
			tried++;
			if (status == TFRS_OK)
			{
				harmless++;
				CHECK(!digest_holds(&model.block));
				use_model(&model);
			}
			else
				CHECK(status == TFRS_CORRUPT || status == TFRS_NEWER_FORMAT);
			free(copy);
		}
	}
	CHECK(harmless < tried / 2);	/* the tables' and the text's bytes, but for exponents */
}

CHECK_TEST(flipped_bytes_are_refused_or_harmless)
{
	flip_bytes(false);
	flip_bytes(true);
}

/* Writes value over the start of a part and expects the model to be refused. */
static void
check_refused(const char *part, size_t offset, const void *value, size_t size)
{
	tfrs_model	model;
	tfrs_block	block;
	uint64_t   *copy = copy_bytes(length);
	tfrs_status status;

	CHECK_OK(tfrs_block_open(&block, copy, length, TFRS_BLOCK_MODEL, &check_error));
	for (uint32_t i = 0; i < block.header->part_count; i++)
	{
		if (strcmp(block.parts[i].name, part) == 0)
			memcpy((char *) copy + block.parts[i].offset + offset, value, size);
	}
	status = tfrs_model_load(&model, copy, length, &check_error);
	free(copy);
	CHECK_STATUS(status, TFRS_CORRUPT);
}

CHECK_TEST(nonsense_is_refused)
{
	static const uint32_t dims[] = {0, 2, 4, TFRS_MAX_DIM + 1};
	static const float floats[] = {INFINITY, -INFINITY, NAN, 0.0f, -1.0f};
	static const uint32_t counts[] = {0, 1000, UINT32_MAX};
	static const uint32_t one = 1;
	static const uint64_t no_rows = 0;
	static const double loss = NAN;

	make_model(false);
	for (size_t i = 0; i < 4; i++)
		check_refused("shape", offsetof(tfrs_model_shape, dim), &dims[i], sizeof(dims[i]));
	for (size_t i = 0; i < 5; i++)
		check_refused("shape", offsetof(tfrs_model_shape, temperature), &floats[i],
					  sizeof(floats[i]));
	check_refused("shape", offsetof(tfrs_model_shape, flags), &one, sizeof(one));
	check_refused("shape", offsetof(tfrs_model_shape, reserved), &one, sizeof(one));
	check_refused("shape", offsetof(tfrs_model_shape, rows), &no_rows, sizeof(no_rows));
	check_refused("epochs", sizeof(double), &loss, sizeof(loss));
	for (size_t i = 0; i < 3; i++)
	{
		check_refused("query.counts", 0, &counts[i], sizeof(counts[i]));
		check_refused("candidate.counts", 8, &counts[i], sizeof(counts[i]));
		check_refused("query.table", 12, &floats[i], sizeof(floats[i]));
		check_refused("candidate.table", 24, &floats[i], sizeof(floats[i]));
	}
}

CHECK_TEST(nonsense_in_a_history_tower_is_refused)
{
	static const float floats[] = {INFINITY, -INFINITY, NAN, -1.0f};
	static const uint32_t numbers[] = {0, 2, TFRS_MAX_BAGS + 1, UINT32_MAX};
	static const uint64_t offset = COUNT;
	static const int64_t late = INT64_MAX;

	make_model(true);
	for (size_t i = 0; i < 4; i++)
	{
		check_refused("query.tower", offsetof(tfrs_tower_shape, temperature), &floats[i], 4);
		check_refused("query.tower", offsetof(tfrs_tower_shape, decay), &floats[i], 4);
		check_refused("query.tower", offsetof(tfrs_tower_shape, dim), &numbers[i], 4);
	}
	for (size_t i = 0; i < 3; i++)
	{
		check_refused("bag0.table", 8, &floats[i], 4);
		check_refused("query.unknown", 4, &floats[i], 4);
	}
	check_refused("query.tower", offsetof(tfrs_tower_shape, bags), &numbers[0], 4);
	check_refused("query.tower", offsetof(tfrs_tower_shape, bags), &numbers[2], 4);
	check_refused("query.tower", offsetof(tfrs_tower_shape, length), &numbers[0], 4);
	check_refused("query.tower", offsetof(tfrs_tower_shape, bias), &numbers[1], 4);
	check_refused("query.tower", offsetof(tfrs_tower_shape, normalize), &numbers[1], 4);
	check_refused("events.offsets", 0, &offset, 8);
	check_refused("events.offsets", 8, &offset, 8);
	check_refused("events.candidate", 0, &numbers[3], 4);
	check_refused("events.at", 0, &late, 8);
}
