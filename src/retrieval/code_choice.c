/*
 * code_choice.c: how many codes a row should have.
 */
#include "retrieval/code_choice.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/team.h"
#include "retrieval/exact.h"
#include "retrieval/tree.h"

/*
 * Rows of the corpus that stand in for queries, and the rank whose score is their threshold: deeper
 * than most ask for, since what a query has seen is often left out.
 */
#define QUERIES 16
#define RANK 32

/* Rows that are coded, fewer where they are long, and how many a task codes. */
#define SAMPLE_ROWS 4096
#define SAMPLE_FLOATS ((size_t) 2 * 1024 * 1024)
#define TASK_ROWS 64
#define MOST_TASKS (SAMPLE_ROWS / TASK_ROWS)

/* Codes for 8 components, in order of trial. */
static const size_t codes_for_8[] = {1, 2, 3, 4, 6, 8};

#define TRIALS (sizeof(codes_for_8) / sizeof(*codes_for_8))

/* The first trial for the ranked search: half a code a component, in narrow rows a whole one. */
#define RANKED_TRIAL 3
#define NARROW_TRIAL 5
#define NARROW 32

/*
 * A row that may be among the best by its codes costs the ranked search so much: it is kept in
 * mind, sorted, looked at, and often fetched (fitted to measurements at 32 and 100 components).
 */
#define CANDIDATE_BYTES 1500

/* Of the best rows, one in so many is not looked for in its leaf. */
#define MISSED 10

enum
{
	PURPOSE_QUERIES = 0x6363,
	PURPOSE_ROWS
};

struct tfrs_code_choice
{
	tfrs_arena *arena;
	const tfrs_partition_builder *partition;
	bool		ranked;
	float		trust;			/* share of an error's length that counts */
	size_t		reached_bytes;	/* what a row that reaches the threshold costs */
	size_t		queries;
	size_t		rows;			/* n */
	uint32_t	query_rows[QUERIES];
	float		thresholds[QUERIES];	/* as products */
	float		lengths[QUERIES];
	double		scanned[QUERIES];	/* share of the leaves whose codes are read */
	float	   *places;			/* (QUERIES, W) */
	float	   *sample;			/* (n, W): residuals */
	uint32_t   *leaf;			/* (n) */
	float	   *centres;		/* (W, 16) */
	tfrs_quantizer_training training;
	float	   *scratch;		/* (threads, scratch_stride) */
	size_t		scratch_stride;
	tfrs_quantizer quantizer;	/* on trial */
	uint32_t	reached[MOST_TASKS];	/* pairs of row and query */
	size_t		queries_done;
	size_t		trial;
	size_t		best_codes;
	double		best_bytes;
};

static void
draw_sample(tfrs_code_choice *choice)
{
	const tfrs_partition_builder *partition = choice->partition;
	size_t		width = partition->space->width;
	size_t		count = partition->corpus->count;
	tfrs_random random;

	tfrs_random_init(&random, partition->seed, PURPOSE_QUERIES, 0);
	for (size_t i = 0; i < choice->queries; i++)
		choice->query_rows[i] = (uint32_t) tfrs_random_stratum(&random, i, choice->queries, count);
	tfrs_random_init(&random, partition->seed, PURPOSE_ROWS, 0);
	for (size_t i = 0; i < choice->rows; i++)
	{
		size_t		row = tfrs_random_stratum(&random, i, choice->rows, count);
		uint32_t	leaf = partition->leaf_of[row];
		float	   *residual = choice->sample + i * width;

		choice->leaf[i] = leaf;
		tfrs_space_row(partition->space, partition->corpus, row, residual);
		tfrs_kernels.add_scaled(residual, partition->centroids + leaf * (width + 1), width, -1);
	}
}

static tfrs_status
get_memory(tfrs_code_choice *choice, tfrs_error *error)
{
	tfrs_arena *arena = choice->arena;
	size_t		width = choice->partition->space->width;
	size_t		threads = (size_t) choice->partition->threads;
	tfrs_quantizer coarsest = {width, 4, NULL};
	tfrs_status status;

	choice->scratch_stride = width + QUERIES + 2 * TFRS_MAX_CODES * TFRS_CENTRES;
	status = TFRS_GET(arena, &choice->places, QUERIES * width, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->sample, choice->rows * width, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->leaf, choice->rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &choice->centres, width * TFRS_CENTRES, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->scratch, threads * choice->scratch_stride, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->training.scratch, threads *
						  tfrs_quantizer_training_scratch(&coarsest, choice->rows), error);
	return status;
}

static void
choose_costs(tfrs_code_choice *choice, tfrs_code_choice_options options)
{
	size_t		width = choice->partition->space->width;

	choice->ranked = options.ranked;
	choice->trust = options.ranked ? fminf(1, TFRS_TREE_LIKELY_ERROR / sqrtf((float) width)) : 1;
	choice->trial = !options.ranked ? 0 : width < NARROW ? NARROW_TRIAL : RANKED_TRIAL;
	choice->reached_bytes = options.int8 ? tfrs_tree_look_bytes(width)
		: tfrs_tree_row_bytes(choice->partition->corpus->dim);
	if (options.ranked && choice->reached_bytes < CANDIDATE_BYTES)
		choice->reached_bytes = CANDIDATE_BYTES;
}

tfrs_status
tfrs_code_choice_begin(tfrs_code_choice **result, tfrs_arena *arena,
					   const tfrs_partition_builder *partition,
					   tfrs_code_choice_options options, tfrs_error *error)
{
	size_t		count = partition->corpus->count;
	size_t		most = SAMPLE_FLOATS / partition->space->width + 1;
	tfrs_code_choice *choice;
	tfrs_status status = TFRS_GET_ZERO(arena, &choice, 1, error);

	if (status != TFRS_OK)
		return status;
	most = most < SAMPLE_ROWS ? most : SAMPLE_ROWS;
	choice->arena = arena;
	choice->partition = partition;
	choose_costs(choice, options);
	choice->queries = count < QUERIES ? count : QUERIES;
	choice->rows = count < most ? count : most;
	choice->best_bytes = INFINITY;
	status = get_memory(choice, error);
	if (status != TFRS_OK)
	{
		tfrs_code_choice_destroy(choice);
		return status;
	}
	draw_sample(choice);
	*result = choice;
	return TFRS_OK;
}

static float
leaf_score(const tfrs_code_choice *choice, const float *place, size_t leaf)
{
	size_t		width = choice->partition->space->width;

	return tfrs_kernels.dot(place, choice->partition->centroids + leaf * (width + 1), width);
}

/* Share of the leaves that are as near as those that most of the hits lie in. */
static double
share_scanned(const tfrs_code_choice *choice, const float *place, const tfrs_hit *hits,
			  size_t count)
{
	const tfrs_partition_builder *partition = choice->partition;
	tfrs_hit	furthest[RANK / MISSED + 1] = {{0}};
	tfrs_topk	topk;
	size_t		near = 0;

	tfrs_topk_init(&topk, furthest, count / MISSED + 1);
	for (size_t i = 0; i < count; i++)
		tfrs_topk_push(&topk, -leaf_score(choice, place, partition->leaf_of[hits[i].row]),
					   (uint32_t) i);
	for (size_t leaf = 0; leaf < partition->leaves; leaf++)
		near += -leaf_score(choice, place, leaf) <= tfrs_topk_threshold(&topk);
	return (double) near / (double) partition->leaves;
}

/* The product that a row must reach to be among a query's best, by the full scan. */
static void
find_threshold(void *context, int worker, size_t task)
{
	tfrs_code_choice *choice = context;
	const tfrs_space *space = choice->partition->space;
	const tfrs_corpus *corpus = choice->partition->corpus;
	size_t		i = choice->queries_done + task;
	const float *query = corpus->vectors + (size_t) choice->query_rows[i] * corpus->dim;
	float	   *place = choice->places + i * space->width;
	tfrs_hit	hits[RANK];
	tfrs_search search;
	tfrs_scorer scorer;
	tfrs_collector collector;

	(void) worker;
	tfrs_search_default(&search);
	search.k = RANK;
	search.excluded = &choice->query_rows[i];
	search.excluded_count = 1;
	/* Rows are known to be finite. */
	(void) tfrs_scorer_init(&scorer, corpus, query, NULL);
	tfrs_collector_init(&collector, &search, hits, corpus->count);
	tfrs_exact_scan(&scorer, &collector);
	tfrs_space_query(space, &scorer, place);
	choice->lengths[i] = tfrs_vector_norm(place, space->width);
	choice->thresholds[i] = tfrs_space_product_of(space, place, collector.threshold);
	choice->scanned[i] = choice->ranked
		? share_scanned(choice, place, hits, collector.topk.count) : 1;
}

/* row (W) = centroid + what the codes stand for. */
static void
decode(const tfrs_code_choice *choice, size_t i, const uint8_t *codes, float *row)
{
	const tfrs_quantizer *quantizer = &choice->quantizer;
	size_t		width = quantizer->width;

	memcpy(row, choice->partition->centroids + choice->leaf[i] * (width + 1),
		   width * sizeof(float));
	for (size_t m = 0; m < quantizer->codes; m++)
	{
		for (size_t w = tfrs_quantizer_group(quantizer, m);
			 w < tfrs_quantizer_group(quantizer, m + 1); w++)
			row[w] += quantizer->centres[w * TFRS_CENTRES + codes[m]];
	}
}

/* Pairs of a row of the task and a query whose bound reaches the query's threshold. */
static void
count_reached(void *context, int worker, size_t task)
{
	tfrs_code_choice *choice = context;
	size_t		width = choice->quantizer.width;
	size_t		end = (task + 1) * TASK_ROWS < choice->rows ? (task + 1) * TASK_ROWS : choice->rows;
	float	   *row = choice->scratch + worker * choice->scratch_stride;
	float	   *products = row + width;
	float	   *measures = products + QUERIES;
	uint8_t		codes[TFRS_MAX_CODES];

	choice->reached[task] = 0;
	for (size_t i = task * TASK_ROWS; i < end; i++)
	{
		float		error = tfrs_quantizer_encode(&choice->quantizer, choice->sample + i * width,
												  NULL, 1, measures, codes);

		decode(choice, i, codes, row);
		tfrs_kernels.dot_rows(row, choice->places, choice->queries, width, products);
		for (size_t j = 0; j < choice->queries; j++)
			choice->reached[task] += products[j] +
				choice->trust * choice->lengths[j] * error >= choice->thresholds[j];
	}
}

/* What a search would read with the codes on trial, a row. */
static void
judge_codes(tfrs_code_choice *choice)
{
	size_t		tasks = (choice->rows + TASK_ROWS - 1) / TASK_ROWS;
	size_t		reached = 0;
	double		scanned = 0;
	double		bytes;

	tfrs_team_run(choice->partition->threads, tasks, count_reached, choice);
	for (size_t task = 0; task < tasks; task++)
		reached += choice->reached[task];
	for (size_t i = 0; i < choice->queries; i++)
		scanned += choice->scanned[i] / (double) choice->queries;
	bytes = scanned * (double) choice->quantizer.codes / 2 +
		(double) reached / (double) (choice->rows * choice->queries) *
		(double) choice->reached_bytes;
	if (bytes < choice->best_bytes)
	{
		choice->best_bytes = bytes;
		choice->best_codes = choice->quantizer.codes;
	}
}

/* The codes of a trial: a multiple of 4, at most as many as there may be. */
static size_t
codes_of(const tfrs_code_choice *choice, size_t trial)
{
	size_t		codes = (choice->partition->space->width * codes_for_8[trial] / 8 + 3) / 4 * 4;

	return codes < 4 ? 4 : codes < TFRS_MAX_CODES ? codes : TFRS_MAX_CODES;
}

static void
begin_trial(tfrs_code_choice *choice)
{
	const tfrs_partition_builder *partition = choice->partition;

	choice->quantizer = (tfrs_quantizer) {partition->space->width,
		codes_of(choice, choice->trial), choice->centres};
	choice->training = (tfrs_quantizer_training) {&choice->quantizer, choice->sample, choice->rows,
		partition->seed, partition->threads, choice->centres, choice->training.scratch, 0};
}

/* The next trial whose codes differ from the last one's; false when there is none. */
static bool
next_trial(tfrs_code_choice *choice)
{
	while (++choice->trial < TRIALS)
	{
		if (codes_of(choice, choice->trial) != choice->quantizer.codes)
			return true;
	}
	return false;
}

tfrs_status
tfrs_code_choice_step(tfrs_code_choice *choice)
{
	size_t		threads = (size_t) choice->partition->threads;
	size_t		left = choice->queries - choice->queries_done;

	if (left > 0)
	{
		size_t		tasks = left < threads ? left : threads;

		tfrs_team_run((int) threads, tasks, find_threshold, choice);
		choice->queries_done += tasks;
		return TFRS_MORE;
	}
	if (choice->quantizer.codes == 0)
		begin_trial(choice);
	if (tfrs_quantizer_training_step(&choice->training) == TFRS_MORE)
		return TFRS_MORE;
	judge_codes(choice);
	if (!next_trial(choice))
		return TFRS_OK;
	begin_trial(choice);
	return TFRS_MORE;
}

size_t
tfrs_code_choice_get(const tfrs_code_choice *choice)
{
	return choice->best_codes;
}

void
tfrs_code_choice_destroy(tfrs_code_choice *choice)
{
	tfrs_arena *arena = choice->arena;

	tfrs_arena_release(arena, choice->places);
	tfrs_arena_release(arena, choice->sample);
	tfrs_arena_release(arena, choice->leaf);
	tfrs_arena_release(arena, choice->centres);
	tfrs_arena_release(arena, choice->training.scratch);
	tfrs_arena_release(arena, choice->scratch);
	tfrs_arena_release(arena, choice);
}
