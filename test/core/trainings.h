/*
 * trainings.h: whole trainings for the tests: rows to a model that is read again.
 */
#ifndef TFRS_TEST_TRAININGS_H
#define TFRS_TEST_TRAININGS_H

#include "rows.h"

#include <string.h>

#include "learning/trainer.h"
#include "learning/training.h"

typedef struct trained
{
	void	   *bytes;
	size_t		length;
	tfrs_model	model;
} trained;

static inline tfrs_status
write_model(trained *result, tfrs_trainer *trainer, tfrs_arena *arena, tfrs_error *error)
{
	tfrs_block_writer writer;
	tfrs_status status;

	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	status = tfrs_block_writer_add(&writer, "about", "{}", 2, 1, error);
	if (status == TFRS_OK)
		status = tfrs_trainer_save(trainer, 3, 4, &writer, error);
	if (status == TFRS_OK)
		status = tfrs_block_writer_size(&writer, &result->length, error);
	if (status == TFRS_OK)
		status = tfrs_arena_get(arena, &result->bytes, result->length, 1, error);
	if (status != TFRS_OK)
		return status;
	tfrs_block_writer_begin(&writer, result->bytes);
	while (tfrs_block_writer_step(&writer) == TFRS_MORE)
		;
	return tfrs_model_load(&result->model, result->bytes, result->length, error);
}

/* model: NULL, or one to go on from.  *trainer is valid (or NULL) also after an error. */
static inline tfrs_status
fit_from(tfrs_trainer **trainer, tfrs_arena *arena, const tfrs_train_options *options,
		 tfrs_interactions *interactions, const tfrs_model *model, tfrs_error *error)
{
	tfrs_train_progress progress;
	tfrs_status status = tfrs_trainer_begin(trainer, arena, options, interactions, model, error);

	if (status != TFRS_OK)
		return status;
	do
		status = tfrs_trainer_step(*trainer, &progress, error);
	while (status == TFRS_MORE);
	return status;
}

static inline tfrs_status
fit(tfrs_trainer **trainer, tfrs_arena *arena, const tfrs_train_options *options,
	tfrs_interactions *interactions, tfrs_error *error)
{
	return fit_from(trainer, arena, options, interactions, NULL, error);
}

/* What a training is told, and the model to go on from, or NULL. */
typedef struct training
{
	const tfrs_train_options *options;
	const tfrs_interactions_options *collecting;
	const tfrs_model *model;
} training;

static inline tfrs_status
know_model(tfrs_interactions *interactions, const tfrs_model *model, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	for (uint32_t i = 0; i < model->query_ids.count && status == TFRS_OK; i++)
		status = tfrs_interactions_know_query(interactions,
											  tfrs_id_view_get(&model->query_ids, i), error);
	for (uint32_t i = 0; i < model->candidate_ids.count && status == TFRS_OK; i++)
		status = tfrs_interactions_know_candidate(interactions,
												  tfrs_id_view_get(&model->candidate_ids, i),
												  error);
	return status;
}

/* *interactions is valid (or NULL) also after an error. */
static inline tfrs_status
collect_training(tfrs_interactions **interactions, tfrs_arena *arena, const training *told,
				 const test_row *rows, size_t count, tfrs_error *error)
{
	tfrs_status status = rows_begin(interactions, arena, told->collecting, error);

	if (status == TFRS_OK && told->model != NULL)
		status = know_model(*interactions, told->model, error);
	if (status == TFRS_OK)
		status = rows_add(*interactions, rows, count, error);
	if (status == TFRS_OK)
		status = rows_finish(*interactions, error);
	return status;
}

/* Collects the rows and trains on them, all in one arena; the model's bytes stay in it. */
static inline tfrs_status
train_from(trained *result, tfrs_arena *arena, const training *told, const test_row *rows,
		   size_t count, tfrs_error *error)
{
	tfrs_interactions *interactions;
	tfrs_trainer *trainer = NULL;
	tfrs_status status = collect_training(&interactions, arena, told, rows, count, error);

	if (status == TFRS_OK)
		status = fit_from(&trainer, arena, told->options, interactions, told->model, error);
	if (status == TFRS_OK)
		status = write_model(result, trainer, arena, error);
	tfrs_trainer_destroy(trainer);
	tfrs_interactions_destroy(interactions);
	return status;
}

static inline tfrs_status
train_rows(trained *result, tfrs_arena *arena, const tfrs_train_options *options,
		   const tfrs_interactions_options *collecting, const test_row *rows, size_t count,
		   tfrs_error *error)
{
	training	told = {options, collecting, NULL};

	return train_from(result, arena, &told, rows, count, error);
}

static inline bool
same_bytes(const trained *a, const trained *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

#endif							/* TFRS_TEST_TRAININGS_H */
