/*
 * tuning.c: how far a search must go to reach a recall.
 *
 * Recall grows with both numbers, so the border of what reaches the target is a staircase: leaves
 * grow, with as many re-ranked as there may be, until the target is reached; then the re-ranked
 * shrink while it holds, and where it no longer does leaves grow by another step.
 */
#include "retrieval/tuning.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "base/team.h"
#include "retrieval/exact.h"

/* Rows that stand in for queries where none are given. */
#define SAMPLE_QUERIES 256

/* Queries of a step and thread at most, and the bytes that they may read: some 10 ms. */
#define STEP_QUERIES 8
#define STEP_BYTES ((double) ((size_t) 1 << 28))

/* Steps of both numbers: each 1.33 or 1.5 times the one before (2, 3, 4, 6, 8, 12, ...). */
#define MOST_STEPS 40

/* Re-ranked: from k to 64 k. */
#define RERANK_STEPS 13

/* Reach from this on, in steps of so much, the last of them once more in small ones. */
#define LEAST_REACH 0.25f
#define REACH_STEP 0.05f
#define SMALL_REACH_STEP 0.01f

/* Steps of leaves beyond the first that reaches the target: more never paid. */
#define LEAVES_BEYOND 5

enum
{
	PURPOSE_QUERIES = 0x7475
};

typedef enum phase
{
	TRUTH,
	REACH,
	RANKS
} phase;

struct tfrs_tuning
{
	tfrs_arena *arena;
	tfrs_tuning_options options;
	const tfrs_tree *tree;
	const tfrs_corpus *corpus;
	tfrs_tuning_result result;
	size_t		count;			/* Q */
	size_t		k;				/* min(k, rows a query may find) */
	uint32_t   *query_rows;		/* (Q), where rows stand in for queries */
	tfrs_hit   *truth;			/* (Q, k) */
	uint32_t   *found;			/* (Q): true hits among those found */
	tfrs_hit   *hits;			/* (threads, k) */
	tfrs_probe_scratch **scratch;	/* (threads) */
	phase		phase;
	float		reach;
	float		reach_step;
	size_t		done;			/* queries of this round */
	/* the staircase */
	uint32_t	leaves_steps[MOST_STEPS];
	uint32_t	rerank_steps[RERANK_STEPS];
	int			leaves_count;
	int			rerank_count;
	int			leaves_at;
	int			rerank_at;
	int			reached_at;		/* leaves_at when the target was first reached, or -1 */
};

/* 1, 2, 3, 4, 6, 8, 12, ... times unit, the last one most. */
static int
fill_steps(uint32_t *steps, int room, size_t unit, size_t most)
{
	size_t		factor = 1;
	int			count = 0;

	while (count + 1 < room && unit * factor < most)
	{
		steps[count++] = (uint32_t) (unit * factor);
		factor = factor < 2 ? 2 : factor % 3 == 0 ? factor / 3 * 4 : factor * 3 / 2;
	}
	steps[count++] = (uint32_t) most;
	return count;
}

static void
plan_steps(tfrs_tuning *tuning)
{
	size_t		most = 64 * tuning->k;

	tuning->leaves_count = fill_steps(tuning->leaves_steps, MOST_STEPS, 1, tuning->tree->leaves);
	most = most < tuning->corpus->count ? most : tuning->corpus->count;
	tuning->rerank_count = fill_steps(tuning->rerank_steps, RERANK_STEPS, tuning->k, most);
	if (tuning->options.leaves > 0)
	{
		tuning->leaves_steps[0] = tuning->options.leaves;
		tuning->leaves_count = 1;
	}
	if (tuning->options.rerank > 0)
	{
		tuning->rerank_steps[0] = tuning->options.rerank;
		tuning->rerank_count = 1;
	}
	tuning->rerank_at = tuning->rerank_count - 1;
	tuning->reached_at = -1;
}

static void
draw_queries(tfrs_tuning *tuning)
{
	size_t		count = tuning->corpus->count;
	tfrs_random random;

	tfrs_random_init(&random, tuning->options.seed, PURPOSE_QUERIES, 0);
	for (size_t i = 0; i < tuning->count; i++)
		tuning->query_rows[i] = (uint32_t) tfrs_random_stratum(&random, i, tuning->count, count);
}

static tfrs_status
get_memory(tfrs_tuning *tuning, tfrs_error *error)
{
	tfrs_arena *arena = tuning->arena;
	int			threads = tuning->options.threads;
	tfrs_probe_room room = {tuning->rerank_steps[tuning->rerank_count - 1], 1};
	tfrs_status status;

	status = TFRS_GET(arena, &tuning->truth, tuning->count * tuning->k, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tuning->query_rows, tuning->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tuning->found, tuning->count, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &tuning->hits, threads * tuning->k, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &tuning->scratch, threads, error);
	for (int i = 0; status == TFRS_OK && i < threads; i++)
		status = tfrs_probe_scratch_get(&tuning->scratch[i], tuning->tree, room, arena, error);
	return status;
}

static tfrs_status
check_queries(const tfrs_tuning *tuning, tfrs_error *error)
{
	tfrs_scorer scorer;
	tfrs_status status = TFRS_OK;

	for (size_t i = 0; status == TFRS_OK && i < tuning->options.count; i++)
		status = tfrs_scorer_init(&scorer, tuning->corpus,
								  tuning->options.queries + i * tuning->corpus->dim, error);
	return status;
}

tfrs_status
tfrs_tuning_begin(tfrs_tuning **result, tfrs_arena *arena, const tfrs_tuning_options *options,
				  const tfrs_tree *tree, const tfrs_corpus *corpus, tfrs_error *error)
{
	size_t		rows = corpus->count - (options->queries == NULL);
	tfrs_tuning *tuning;
	tfrs_status status = TFRS_GET_ZERO(arena, &tuning, 1, error);

	if (status != TFRS_OK)
		return status;
	tuning->arena = arena;
	tuning->options = *options;
	tuning->tree = tree;
	tuning->corpus = corpus;
	tuning->count = options->queries != NULL ? options->count
		: corpus->count < SAMPLE_QUERIES ? corpus->count : SAMPLE_QUERIES;
	tuning->k = options->k < rows ? options->k : rows;
	plan_steps(tuning);
	status = get_memory(tuning, error);
	if (status == TFRS_OK && options->queries != NULL)
		status = check_queries(tuning, error);
	if (status != TFRS_OK)
	{
		tfrs_tuning_destroy(tuning);
		return status;
	}
	if (options->queries == NULL)
		draw_queries(tuning);
	*result = tuning;
	return TFRS_OK;
}

/* The search of one query; a row that stands in for a query is not to find itself. */
static void
set_query(const tfrs_tuning *tuning, size_t i, tfrs_search *search, tfrs_scorer *scorer)
{
	const tfrs_corpus *corpus = tuning->corpus;
	const float *query;

	tfrs_search_default(search);
	search->k = tuning->k;
	if (tuning->options.queries != NULL)
		query = tuning->options.queries + i * corpus->dim;
	else
	{
		query = corpus->vectors + (size_t) tuning->query_rows[i] * corpus->dim;
		search->excluded = &tuning->query_rows[i];
		search->excluded_count = 1;
	}
	/* Rows and queries are known to be finite. */
	(void) tfrs_scorer_init(scorer, corpus, query, NULL);
}

static tfrs_tree_effort
current_effort(const tfrs_tuning *tuning)
{
	switch (tuning->phase)
	{
		case REACH:
			return (tfrs_tree_effort) {0, 0, tuning->reach};
		case RANKS:
			return (tfrs_tree_effort) {tuning->leaves_steps[tuning->leaves_at],
				tuning->rerank_steps[tuning->rerank_at], tuning->reach};
		default:
			return (tfrs_tree_effort) {0, 0, 1};
	}
}

static void
search_query(const tfrs_tuning *tuning, int worker, size_t i, tfrs_hit *hits, size_t *count)
{
	tfrs_search search;
	tfrs_scorer scorer;
	tfrs_collector collector;

	set_query(tuning, i, &search, &scorer);
	tfrs_collector_init(&collector, &search, hits, tuning->corpus->count);
	if (tfrs_tree_serves(tuning->tree, &scorer))
		(void) tfrs_tree_search(&(tfrs_tree_request) {tuning->tree, &scorer, current_effort(tuning),
								INFINITY, tuning->scratch[worker]}, &collector);
	else
		tfrs_exact_scan(&scorer, &collector);
	tfrs_topk_finish(&collector.topk);
	*count = collector.topk.count;
}

/* One query of the round: the truth, or how much of it the current effort finds. */
static void
take_query(void *context, int worker, size_t task)
{
	tfrs_tuning *tuning = context;
	size_t		i = tuning->done + task;
	tfrs_hit   *truth = tuning->truth + i * tuning->k;
	tfrs_hit   *hits = tuning->hits + worker * tuning->k;
	size_t		count;

	if (tuning->phase == TRUTH)
	{
		search_query(tuning, worker, i, truth, &count);
		return;
	}
	search_query(tuning, worker, i, hits, &count);
	tuning->found[i] = 0;
	/* Equal scores are equally good: what counts is to reach the k-th true score. */
	for (size_t j = 0; j < count; j++)
		tuning->found[i] += hits[j].score >= truth[tuning->k - 1].score;
}

/* Bytes read by all queries of a round, for a query. */
static double
take_bytes(tfrs_tuning *tuning)
{
	uint64_t	bytes = 0;

	for (int i = 0; i < tuning->options.threads; i++)
		bytes += tfrs_probe_take_bytes_read(tuning->scratch[i]);
	return (double) bytes / (double) tuning->count;
}

static bool
is_given(const tfrs_tuning *tuning)
{
	return tuning->leaves_count == 1 && tuning->rerank_count == 1;
}

static double
measure_recall(const tfrs_tuning *tuning)
{
	uint64_t	found = 0;

	for (size_t i = 0; i < tuning->count; i++)
		found += tuning->found[i];
	return (double) found / (double) (tuning->count * tuning->k);
}

/* Keeps what the last round found where it is good enough and cheaper than what is known. */
static bool
judge(tfrs_tuning *tuning, double bytes)
{
	double		recall = measure_recall(tuning);
	bool		given = tuning->phase == RANKS && is_given(tuning);
	bool		reached = recall >= tuning->options.target_recall || given;

	if (reached && (bytes < tuning->result.bytes || given))
		tuning->result = (tfrs_tuning_result) {current_effort(tuning), recall, bytes,
			tuning->result.bounded_bytes};
	return reached;
}

/* After a round of each phase; true where another round is to follow. */

static bool
end_truth(tfrs_tuning *tuning, double bytes)
{
	tuning->result = (tfrs_tuning_result) {current_effort(tuning), 1, bytes, bytes};
	tuning->phase = REACH;
	tuning->reach = LEAST_REACH;
	tuning->reach_step = REACH_STEP;
	return !tuning->options.bounded_only;
}

static bool
end_reach(tfrs_tuning *tuning, double bytes)
{
	bool		reached = judge(tuning, bytes);

	if (tuning->reach_step == REACH_STEP &&
		(reached ? tuning->reach > LEAST_REACH : tuning->reach > 1 - 1.5f * REACH_STEP))
	{
		tuning->reach -= reached ? REACH_STEP : 0;
		tuning->reach_step = SMALL_REACH_STEP;
		reached = false;
	}
	if (reached)
		tuning->phase = RANKS;
	else
		tuning->reach += tuning->reach_step;
	if (tuning->reach > 1 - SMALL_REACH_STEP / 2)
	{
		tuning->reach = 1;
		tuning->phase = RANKS;
	}
	return true;
}

/* What the last round would have read, about, with the fewest rows re-ranked. */
static double
bytes_without_rerank(const tfrs_tuning *tuning, double bytes)
{
	uint32_t	spared = tuning->rerank_steps[tuning->rerank_at] - tuning->rerank_steps[0];
	size_t		each = tuning->tree->int8_codes != NULL
		? tfrs_tree_look_bytes(tuning->tree->space.width)
		: tfrs_tree_row_bytes(tuning->corpus->dim);

	return bytes - (double) spared * (double) each;
}

static bool
end_ranks(tfrs_tuning *tuning, double bytes)
{
	double		least = bytes_without_rerank(tuning, bytes);

	if (judge(tuning, bytes))
	{
		if (tuning->reached_at < 0)
			tuning->reached_at = tuning->leaves_at;
		return --tuning->rerank_at >= 0;
	}
	if (tuning->reached_at >= 0 && tuning->leaves_at >= tuning->reached_at + LEAVES_BEYOND)
		return false;
	/* More leaves only read more. */
	return ++tuning->leaves_at < tuning->leaves_count &&
		(tuning->options.leaves > 0 || least < tuning->result.bytes);
}

static size_t
queries_of_step(const tfrs_tuning *tuning)
{
	const tfrs_corpus *corpus = tuning->corpus;
	double		each = tuning->phase == TRUTH
		? (double) (corpus->count * corpus->dim * sizeof(float)) : tuning->result.bounded_bytes;
	size_t		most = each * STEP_QUERIES < STEP_BYTES ? STEP_QUERIES
		: (size_t) (STEP_BYTES / each) + 1;

	return tfrs_size_smaller(tuning->count - tuning->done, most * tuning->options.threads);
}

tfrs_status
tfrs_tuning_step(tfrs_tuning *tuning)
{
	size_t		tasks = queries_of_step(tuning);
	double		bytes;
	bool		more;

	tfrs_team_run(tuning->options.threads, tasks, take_query, tuning);
	tuning->done += tasks;
	if (tuning->done < tuning->count)
		return TFRS_MORE;
	tuning->done = 0;
	bytes = take_bytes(tuning);
	more = tuning->phase == TRUTH ? end_truth(tuning, bytes)
		: tuning->phase == REACH ? end_reach(tuning, bytes) : end_ranks(tuning, bytes);
	return more ? TFRS_MORE : TFRS_OK;
}

tfrs_tuning_result
tfrs_tuning_get(const tfrs_tuning *tuning)
{
	return tuning->result;
}

void
tfrs_tuning_destroy(tfrs_tuning *tuning)
{
	tfrs_arena *arena = tuning->arena;

	for (int i = 0; tuning->scratch != NULL && i < tuning->options.threads; i++)
		tfrs_arena_release(arena, tuning->scratch[i]);
	tfrs_arena_release(arena, tuning->scratch);
	tfrs_arena_release(arena, tuning->truth);
	tfrs_arena_release(arena, tuning->query_rows);
	tfrs_arena_release(arena, tuning->found);
	tfrs_arena_release(arena, tuning->hits);
	tfrs_arena_release(arena, tuning);
}
