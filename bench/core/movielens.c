/*
 * movielens.c: trains on MovieLens 100K as TFRS's tutorial does, and checks what comes out.
 *
 *     movielens ratings.tsv items.tsv [threads [seed [auto|plain]]]
 *
 * Queries are users, candidates are titles; 80,000 rows drawn by the seed train, 20,000 test.
 * Prints the loss of the first batch, the seconds of each epoch and the share of test rows whose
 * title is among the best 10 and 100 of the titles trained on (a title not trained on is served by
 * the unknown slot and competes with it once).  The data are not part of the project: see
 * README.md.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "learning/trainer.h"

#define ROWS 100000
#define TRAINING_ROWS 80000
#define ITEMS 1682

typedef struct rating
{
	int64_t		user;
	int64_t		item;
} rating;

static char title[ITEMS + 1][128];
static rating ratings[ROWS];

static void
fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static void
check(tfrs_status status, const tfrs_error *error)
{
	if (status != TFRS_OK && status != TFRS_MORE)
		fail(error->message);
}

/* Of the processor where one thread works: a busy machine stretches only the clock's. */
static double
seconds(uint32_t threads)
{
	struct timespec now;

	clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static FILE *
open_data(const char *path)
{
	FILE	   *file = fopen(path, "r");
	char		line[512];

	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		fail("cannot read the data");
	return file;
}

static void
read_data(const char *ratings_path, const char *items_path)
{
	char		line[512];
	long		item;
	int			rows = 0;
	FILE	   *file = open_data(items_path);

	while (fgets(line, sizeof(line), file) != NULL)
	{
		if (sscanf(line, "%ld\t%127[^\t]", &item, line) == 2 && item >= 1 && item <= ITEMS)
			strcpy(title[item], line);
	}
	fclose(file);
	file = open_data(ratings_path);
	while (rows < ROWS && fgets(line, sizeof(line), file) != NULL)
	{
		long		user;

		if (sscanf(line, "%ld\t%ld", &user, &item) != 2)
			fail("a rating is not what it should be");
		ratings[rows++] = (rating) {user, item};
	}
	fclose(file);
	if (rows != ROWS)
		fail("there are not 100,000 ratings");
}

static tfrs_id
title_id(int64_t item)
{
	return tfrs_id_of_bytes(title[item], strlen(title[item]));
}

static tfrs_interactions *
collect(tfrs_arena *arena, const uint32_t *order, uint64_t seed, tfrs_error *error)
{
	tfrs_interactions_options options = {.budget = SIZE_MAX, .seed = seed};
	tfrs_interactions *interactions;
	tfrs_status status;

	check(tfrs_interactions_create(&interactions, arena, &options, error), error);
	check(tfrs_interactions_set_query_type(interactions, TFRS_ID_INTEGER, 0, error), error);
	check(tfrs_interactions_set_candidate_type(interactions, TFRS_ID_BYTES, 0, error), error);
	for (int i = 0; i < TRAINING_ROWS; i++)
	{
		const rating *row = &ratings[order[i]];

		check(tfrs_interactions_add(interactions, tfrs_id_of_integer(row->user),
									title_id(row->item), 1.0f, INT64_MIN, error), error);
	}
	do
	{
		status = tfrs_interactions_finish_step(interactions, error);
		check(status, error);
	} while (status == TFRS_MORE);
	return interactions;
}

static void *
train(tfrs_arena *arena, const tfrs_train_options *options, tfrs_interactions *interactions,
	  size_t *bytes, tfrs_error *error)
{
	tfrs_trainer *trainer;
	tfrs_train_progress progress;
	tfrs_block_writer writer;
	tfrs_status status;
	void	   *block;
	double		start = seconds(options->threads);
	bool		first = true;

	check(tfrs_trainer_begin(&trainer, arena, options, interactions, NULL, error), error);
	do
	{
		status = tfrs_trainer_step(trainer, &progress, error);
		check(status, error);
		if (progress.batch == 1 && first)
		{
			printf("first batch: %llu rows, loss %.2f\n",
				   (unsigned long long) progress.rows_done, progress.batch_loss);
			first = false;
		}
		if (progress.epoch_finished)
		{
			printf("epoch %u: loss %.1f, %.4f s\n", progress.epoch, progress.loss,
				   seconds(options->threads) - start);
			start = seconds(options->threads);
		}
	} while (status == TFRS_MORE);
	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	check(tfrs_block_writer_add(&writer, "about", "{}", 2, 1, error), error);
	check(tfrs_trainer_save(trainer, 0, 0, &writer, error), error);
	check(tfrs_block_writer_size(&writer, bytes, error), error);
	check(tfrs_arena_get(arena, &block, *bytes, 1, error), error);
	tfrs_block_writer_begin(&writer, block);
	while (tfrs_block_writer_step(&writer) == TFRS_MORE)
		;
	return block;
}

/* 1-based rank of the row's title for its user, ties in the title's favour as TFRS has it. */
static int
rank_of(const tfrs_model *model, const rating *row, float *vector, float *scores)
{
	uint32_t	candidate = tfrs_id_view_find(&model->candidate_ids, title_id(row->item));
	size_t		count = model->candidate_ids.count;
	size_t		dim = model->shape->dim;
	int			above = 0;

	tfrs_model_query(model, tfrs_id_view_find(&model->query_ids, tfrs_id_of_integer(row->user)),
					 vector);
	tfrs_kernels.dot_rows(vector, model->candidate_table, count + 1, dim, scores);
	for (size_t i = 0; i < count; i++)
		above += scores[i] > scores[candidate == TFRS_NO_ROW ? count : candidate];
	return above + 1;
}

static void
evaluate(tfrs_arena *arena, const tfrs_model *model, const uint32_t *order, tfrs_error *error)
{
	float	   *scores;
	float	   *vector;
	int			hits_10 = 0;
	int			hits_100 = 0;

	check(TFRS_GET(arena, &scores, model->candidate_ids.count + 1, error), error);
	check(TFRS_GET(arena, &vector, model->shape->dim, error), error);
	for (int i = TRAINING_ROWS; i < ROWS; i++)
	{
		int			rank = rank_of(model, &ratings[order[i]], vector, scores);

		hits_10 += rank <= 10;
		hits_100 += rank <= 100;
	}
	printf("%zu titles, top-10 accuracy %.4f, top-100 accuracy %.4f\n",
		   model->candidate_ids.count, hits_10 / (double) (ROWS - TRAINING_ROWS),
		   hits_100 / (double) (ROWS - TRAINING_ROWS));
}

int
main(int argc, char **argv)
{
	tfrs_arena	arena;
	tfrs_error	error;
	tfrs_train_options options;
	tfrs_random random;
	tfrs_model	model;
	static uint32_t order[ROWS];
	void	   *block;
	size_t		bytes;

	if (argc < 3)
		fail("usage: movielens ratings.tsv items.tsv [threads [seed [auto|plain]]]");
	read_data(argv[1], argv[2]);
	tfrs_train_options_tfrs(&options);
	options.threads = argc > 3 ? atoi(argv[3]) : 1;
	options.seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	options.form = argc > 5 && strcmp(argv[5], "plain") == 0 ? TFRS_FORM_PLAIN : TFRS_FORM_AUTO;
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	for (uint32_t i = 0; i < ROWS; i++)
		order[i] = i;
	tfrs_random_init(&random, options.seed, 1000, 0);
	tfrs_random_shuffle(&random, order, ROWS);
	block = train(&arena, &options, collect(&arena, order, options.seed, &error), &bytes, &error);
	check(tfrs_model_load(&model, block, bytes, &error), &error);
	evaluate(&arena, &model, order, &error);
	tfrs_arena_free(&arena);
	return 0;
}
