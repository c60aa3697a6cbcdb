/*
 * evaluation.c: rankings of the test's queries in tiles, and what they are worth.
 *
 * A task is a tile of queries (ranking_tile.h).  Tasks add up figures of their own, which are
 * merged in the order of tasks; what is found out about candidates (the best place that each ever
 * had) is a minimum, so who found it does not matter.
 */
#include "learning/evaluation.h"

#include <string.h>

#include "base/matmul.h"
#include "base/team.h"
#include "learning/baselines.h"
#include "learning/ranking_tile.h"

/* Multiply-adds of a step for each thread. */
#define STEP_WORK ((size_t) 1 << 28)

/* Tasks of a step: each holds figures of its own. */
#define MOST_TASKS 64

/* Queries of a task that ranks by a baseline. */
#define BASELINE_ROWS 16

/* Multiply-adds that take as long as one place of a ranking, or one sum of item-item. */
#define PLACE_WORK 128
#define SUM_WORK 192

/* Sums over the queries of a task, and of all. */
typedef struct part
{
	tfrs_evaluation_result counts;
	double		loss;
	bool		overflows;
} part;

/* Scratch memory of a worker. */
typedef struct worker
{
	tfrs_ranking_tile tile;
	uint64_t   *marked;			/* (N bits) zero between uses */
	uint32_t   *top;			/* (K) rows of a ranking */
	uint32_t   *rank;			/* (K) of relevant ones */
	uint16_t   *best;			/* (N) best place a candidate ever had */
} worker;

struct tfrs_evaluation
{
	tfrs_arena *owner;
	tfrs_arena	arena;			/* of its own: all is given back at once */
	const tfrs_model *model;
	tfrs_evaluation_options options;
	tfrs_held_out test;
	tfrs_ranking_shape shape;
	size_t		next;			/* first task that is not done */
	tfrs_ranking ranking;		/* being computed */
	bool		prepared;		/* what the ranking needs is there */
	tfrs_popularity popularity;
	tfrs_item_item item_item;
	tfrs_item_item_scratch scratch[TFRS_MAX_THREADS];
	worker		workers[TFRS_MAX_THREADS];
	part	   *parts;			/* (MOST_TASKS) */
	part		sum;
};

void
tfrs_evaluation_options_default(tfrs_evaluation_options *options)
{
	static const uint32_t cutoffs[] = {1, 5, 10, 20, 50, 100};

	memset(options, 0, sizeof(*options));
	memcpy(options->cutoffs, cutoffs, sizeof(cutoffs));
	options->cutoff_count = sizeof(cutoffs) / sizeof(cutoffs[0]);
	options->baselines = true;
	options->threads = 1;
}

const char *
tfrs_evaluation_options_check(const tfrs_evaluation_options *options)
{
	if (options->cutoff_count < 1 || options->cutoff_count > TFRS_MAX_CUTOFFS)
		return "there must be at least one k and not too many";
	for (size_t i = 0; i < options->cutoff_count; i++)
		if (options->cutoffs[i] < 1 || options->cutoffs[i] > TFRS_MAX_CUTOFF ||
			(i > 0 && options->cutoffs[i] <= options->cutoffs[i - 1]))
			return "the k must be ascending and within the limit";
	if (options->threads < 1)
		return "threads must be at least 1";
	return NULL;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Tasks are runs of queries: the first list of a task, or the number of lists behind the last. */
static size_t
first_list(const tfrs_evaluation *evaluation, size_t task)
{
	size_t		rows = evaluation->ranking == TFRS_RANKING_MODEL ? evaluation->shape.rows
		: BASELINE_ROWS;

	return smaller(task * rows, evaluation->test.relevant->lists);
}

static bool
has_task(const tfrs_evaluation *evaluation, size_t task)
{
	return first_list(evaluation, task) < evaluation->test.relevant->lists;
}

static tfrs_left_out
left_out_of(const tfrs_evaluation *evaluation, size_t list)
{
	return tfrs_held_out_left_out(&evaluation->test,
								  tfrs_held_out_query_of(&evaluation->test, list));
}

/* Sorts out what is tested of a query, and counts it. */
static void
take_query(tfrs_evaluation *evaluation, worker *worker, size_t list, part *part)
{
	uint32_t	query = tfrs_held_out_query_of(&evaluation->test, list);
	const tfrs_held_out_query *left = &evaluation->test.left[list];
	tfrs_evaluation_result *counts = &part->counts;

	counts->left_out_pairs += tfrs_held_out_take(&evaluation->test, list, worker->marked);
	counts->pairs += left->known + left->unknown;
	counts->unknown_pairs += left->unknown;
	if (left->known + left->unknown == 0)
		return;
	counts->queries++;
	counts->unknown_queries += query >= evaluation->test.queries;
}

/* Adds what a query's ranking (the first places of it) is worth. */
static void
add_ranking(tfrs_evaluation *evaluation, worker *worker, size_t list, size_t places, part *part)
{
	const tfrs_held_out_query *left = &evaluation->test.left[list];
	const uint64_t *pairs = tfrs_held_out_relevant(&evaluation->test, list);
	tfrs_metrics *metrics = part->counts.figures[evaluation->ranking].metrics;
	size_t		found = 0;

	for (size_t i = 0; i < left->known; i++)
		tfrs_mark(worker->marked, tfrs_pair_candidate(pairs[i]));
	for (size_t place = 0; place < places; place++)
	{
		uint32_t	row = worker->top[place];

		if (place < worker->best[row])
			worker->best[row] = (uint16_t) place;
		worker->rank[found] = (uint32_t) place + 1;
		found += tfrs_is_marked(worker->marked, row);
	}
	for (size_t i = 0; i < left->known; i++)
		tfrs_unmark(worker->marked, tfrs_pair_candidate(pairs[i]));
	for (size_t i = 0; i < evaluation->options.cutoff_count; i++)
		tfrs_metrics_add(&metrics[i], worker->rank, found, left->known + left->unknown, 1.0);
}

/* A task: one tile of queries, ranked by the model. */
static void
rank_by_model(void *context, int number, size_t task)
{
	tfrs_evaluation *evaluation = context;
	tfrs_held_out *test = &evaluation->test;
	worker	   *worker = &evaluation->workers[number];
	part	   *part = &evaluation->parts[task];
	size_t		first = first_list(evaluation, evaluation->next + task);
	size_t		rows = first_list(evaluation, evaluation->next + task + 1) - first;

	for (size_t list = first; list < first + rows; list++)
		take_query(evaluation, worker, list, part);
	part->overflows = !tfrs_ranking_tile_run(&worker->tile, test, first, rows);
	for (size_t r = 0; r < rows && !part->overflows; r++)
	{
		size_t		list = first + r;

		if (!tfrs_held_out_has(test, list))
			continue;
		add_ranking(evaluation, worker, list, tfrs_ranking_tile_top(&worker->tile, r, worker->top),
					part);
		part->loss += tfrs_ranking_tile_loss(&worker->tile, r, tfrs_held_out_relevant(test, list),
											 test->left[list].known);
	}
}

/* The same by a baseline. */
static void
rank_by_baseline(void *context, int number, size_t task)
{
	tfrs_evaluation *evaluation = context;
	worker	   *worker = &evaluation->workers[number];
	size_t		first = first_list(evaluation, evaluation->next + task);
	size_t		end = first_list(evaluation, evaluation->next + task + 1);

	for (size_t list = first; list < end; list++)
	{
		tfrs_left_out out = left_out_of(evaluation, list);
		size_t		places;

		if (!tfrs_held_out_has(&evaluation->test, list))
			continue;
		tfrs_left_out_mark(&out, worker->marked);
		if (evaluation->ranking == TFRS_RANKING_POPULARITY)
			places = tfrs_popularity_rank(&evaluation->popularity, worker->marked,
										  evaluation->shape.depth, worker->top);
		else
			places = tfrs_item_item_rank(&evaluation->item_item,
										 tfrs_held_out_query_of(&evaluation->test, list),
										 worker->marked, evaluation->shape.depth,
										 &evaluation->scratch[number], worker->top);
		tfrs_left_out_unmark(&out, worker->marked);
		add_ranking(evaluation, worker, list, places, &evaluation->parts[task]);
	}
}

static void
begin_part(const tfrs_evaluation *evaluation, part *part)
{
	memset(part, 0, sizeof(*part));
	for (size_t i = 0; i < evaluation->options.cutoff_count; i++)
		for (int ranking = 0; ranking < TFRS_RANKINGS; ranking++)
			tfrs_metrics_init(&part->counts.figures[ranking].metrics[i],
							  evaluation->options.cutoffs[i]);
}

static void
merge_part(tfrs_evaluation *evaluation, const part *part)
{
	tfrs_evaluation_result *sum = &evaluation->sum.counts;
	const tfrs_evaluation_result *more = &part->counts;
	tfrs_metrics *metrics = sum->figures[evaluation->ranking].metrics;

	sum->queries += more->queries;
	sum->unknown_queries += more->unknown_queries;
	sum->pairs += more->pairs;
	sum->unknown_pairs += more->unknown_pairs;
	sum->left_out_pairs += more->left_out_pairs;
	evaluation->sum.loss += part->loss;
	evaluation->sum.overflows = evaluation->sum.overflows || part->overflows;
	for (size_t i = 0; i < evaluation->options.cutoff_count; i++)
		tfrs_metrics_merge(&metrics[i], &more->figures[evaluation->ranking].metrics[i]);
}

/* Turns the sums of a ranking into what is reported of it, and clears what the workers found. */
static void
finish_ranking(tfrs_evaluation *evaluation)
{
	tfrs_figures *figures = &evaluation->sum.counts.figures[evaluation->ranking];
	size_t		cutoffs = evaluation->options.cutoff_count;

	for (size_t n = 0; n < evaluation->test.candidates; n++)
	{
		uint16_t	best = UINT16_MAX;

		for (int w = 0; w < evaluation->options.threads; w++)
		{
			best = (uint16_t) smaller(best, evaluation->workers[w].best[n]);
			evaluation->workers[w].best[n] = UINT16_MAX;
		}
		for (size_t i = 0; i < cutoffs; i++)
			figures->covered[i] += best < evaluation->options.cutoffs[i];
	}
	for (size_t i = 0; i < cutoffs; i++)
		tfrs_metrics_finish(&figures->metrics[i]);
	evaluation->sum.counts.ranked[evaluation->ranking] = true;
}

static tfrs_status
get_worker(tfrs_evaluation *evaluation, worker *worker, tfrs_error *error)
{
	tfrs_arena *arena = &evaluation->arena;
	size_t		candidates = evaluation->test.candidates;
	tfrs_status status = tfrs_ranking_tile_get(&worker->tile, arena, &evaluation->shape, error);

	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &worker->marked, candidates / 64 + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->top, evaluation->shape.depth, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->rank, evaluation->shape.depth, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->best, candidates, error);
	if (status == TFRS_OK)
		memset(worker->best, 0xff, candidates * sizeof(*worker->best));
	return status;
}

static tfrs_status
get_memory(tfrs_evaluation *evaluation, tfrs_error *error)
{
	tfrs_arena *arena = &evaluation->arena;
	tfrs_status status = TFRS_GET(arena, &evaluation->test.left,
								  evaluation->test.relevant->lists, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &evaluation->parts, MOST_TASKS, error);
	for (int w = 0; status == TFRS_OK && w < evaluation->options.threads; w++)
		status = get_worker(evaluation, &evaluation->workers[w], error);
	return status;
}

tfrs_status
tfrs_evaluation_begin(tfrs_evaluation **evaluation, tfrs_arena *arena,
					  const tfrs_evaluation_test *test, const tfrs_evaluation_options *options,
					  tfrs_error *error)
{
	const tfrs_model *model = test->model;
	tfrs_evaluation *self;
	tfrs_status status = TFRS_GET_ZERO(arena, &self, 1, error);

	if (status != TFRS_OK)
		return status;
	tfrs_arena_init(&self->arena, arena->allocator, arena->budget - arena->used);
	self->owner = arena;
	self->model = model;
	self->options = *options;
	self->options.threads = (int) smaller((size_t) options->threads, TFRS_MAX_THREADS);
	self->test = (tfrs_held_out) {
		.queries = model->query_ids.count,
		.candidates = model->candidate_ids.count,
		.events = model->has_events ? &model->events : NULL,
		.keep_seen = options->keep_seen,
		.relevant = test->relevant,
		.excluded = test->excluded
	};
	tfrs_ranking_shape_choose(&self->shape, model,
							  smaller(options->cutoffs[options->cutoff_count - 1],
									  model->candidate_ids.count));
	begin_part(self, &self->sum);
	tfrs_matmul_load();
	status = get_memory(self, error);
	if (status == TFRS_OK)
		*evaluation = self;
	else
		tfrs_evaluation_destroy(self);
	return status;
}

static tfrs_status
begin_item_item(tfrs_evaluation *evaluation, tfrs_error *error)
{
	tfrs_arena *arena = &evaluation->arena;
	tfrs_status status = TFRS_OK;

	for (int w = 0; status == TFRS_OK && w < evaluation->options.threads; w++)
		status = tfrs_item_item_scratch_get(&evaluation->scratch[w], arena,
											evaluation->test.candidates,
											evaluation->shape.depth, error);
	if (status != TFRS_OK)
		return status;
	return tfrs_item_item_begin(&evaluation->item_item, arena,
								evaluation->test.events, evaluation->test.candidates,
								evaluation->options.threads, evaluation->scratch, error);
}

/* On to a ranking that can be computed, or to TFRS_RANKINGS. */
static tfrs_status
next_ranking(tfrs_evaluation *evaluation, tfrs_error *error)
{
	finish_ranking(evaluation);
	evaluation->ranking++;
	evaluation->next = 0;
	evaluation->prepared = false;
	if (!evaluation->options.baselines ||
		(evaluation->ranking == TFRS_RANKING_ITEM_ITEM && evaluation->test.events == NULL))
		evaluation->ranking = TFRS_RANKINGS;
	if (evaluation->ranking == TFRS_RANKING_POPULARITY)
		return tfrs_popularity_begin(&evaluation->popularity, &evaluation->arena,
									 evaluation->test.events,
									 evaluation->model->candidate_counts,
									 evaluation->test.candidates, error);
	if (evaluation->ranking == TFRS_RANKING_ITEM_ITEM)
		return begin_item_item(evaluation, error);
	return TFRS_OK;
}

static tfrs_status
prepare(tfrs_evaluation *evaluation, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (evaluation->ranking == TFRS_RANKING_POPULARITY)
		status = tfrs_popularity_step(&evaluation->popularity, error);
	else if (evaluation->ranking == TFRS_RANKING_ITEM_ITEM)
		status = tfrs_item_item_step(&evaluation->item_item, error);
	evaluation->prepared = status == TFRS_OK;
	return status;
}

/* Multiply-adds of a task, or what takes as long. */
static double
task_work(const tfrs_evaluation *evaluation, size_t task)
{
	size_t		first = first_list(evaluation, task);
	size_t		end = first_list(evaluation, task + 1);
	double		places = (double) evaluation->shape.depth * PLACE_WORK;
	double		work = (double) (end - first) * places;

	if (evaluation->ranking == TFRS_RANKING_MODEL)
		return work + (double) (end - first) * (double) evaluation->shape.row_work;
	for (size_t list = first; list < end && evaluation->ranking == TFRS_RANKING_ITEM_ITEM; list++)
	{
		size_t		sums = tfrs_item_item_sums(&evaluation->item_item,
											   tfrs_held_out_query_of(&evaluation->test, list));
		size_t		touched = smaller(sums, evaluation->test.candidates);

		work += SUM_WORK * (double) sums + tfrs_topk_cost(evaluation->shape.depth, touched);
	}
	return work;
}

/* At least one for each thread; more while their work is short. */
static size_t
tasks_of_step(const tfrs_evaluation *evaluation)
{
	size_t		threads = (size_t) evaluation->options.threads;
	double		most = (double) threads * (double) STEP_WORK;
	double		work = 0;
	size_t		tasks = 0;

	while (tasks < MOST_TASKS && has_task(evaluation, evaluation->next + tasks) &&
		   (tasks < threads || work < most))
		work += task_work(evaluation, evaluation->next + tasks++);
	return tasks;
}

static tfrs_status
rank_tasks(tfrs_evaluation *evaluation, tfrs_error *error)
{
	size_t		tasks = tasks_of_step(evaluation);

	for (size_t task = 0; task < tasks; task++)
		begin_part(evaluation, &evaluation->parts[task]);
	tfrs_team_run(evaluation->options.threads, tasks,
				  evaluation->ranking == TFRS_RANKING_MODEL ? rank_by_model : rank_by_baseline,
				  evaluation);
	for (size_t task = 0; task < tasks; task++)
		merge_part(evaluation, &evaluation->parts[task]);
	evaluation->next += tasks;
	if (!evaluation->sum.overflows)
		return TFRS_OK;
	tfrs_fail(error, TFRS_NOT_FINITE, "scores of the model overflow");
	tfrs_error_detail(error, "An embedding is too long for its products to be numbers.");
	return TFRS_NOT_FINITE;
}

static void
finish(tfrs_evaluation *evaluation)
{
	tfrs_evaluation_result *counts = &evaluation->sum.counts;

	if (counts->pairs > counts->unknown_pairs)
		counts->loss = evaluation->sum.loss / (double) (counts->pairs - counts->unknown_pairs);
}

tfrs_status
tfrs_evaluation_step(tfrs_evaluation *evaluation, tfrs_error *error)
{
	tfrs_status status;

	if (evaluation->ranking == TFRS_RANKINGS)
	{
		finish(evaluation);
		return TFRS_OK;
	}
	if (!evaluation->prepared)
		status = prepare(evaluation, error);
	else if (has_task(evaluation, evaluation->next))
		status = rank_tasks(evaluation, error);
	else
		status = next_ranking(evaluation, error);
	return status == TFRS_OK ? TFRS_MORE : status;
}

const char *
tfrs_evaluation_phase(const tfrs_evaluation *evaluation, uint64_t *done, uint64_t *total)
{
	static const char *const words[] = {
		[TFRS_RANKING_MODEL] = "ranking by the model",
		[TFRS_RANKING_POPULARITY] = "ranking by popularity",
		[TFRS_RANKING_ITEM_ITEM] = "ranking by item-item cosine",
		[TFRS_RANKINGS] = "finishing"
	};

	*total = evaluation->test.relevant->lists;
	*done = first_list(evaluation, evaluation->next);
	return words[evaluation->ranking];
}

const tfrs_evaluation_result *
tfrs_evaluation_result_of(const tfrs_evaluation *evaluation)
{
	return &evaluation->sum.counts;
}

void
tfrs_evaluation_destroy(tfrs_evaluation *evaluation)
{
	if (evaluation == NULL)
		return;
	tfrs_arena_free(&evaluation->arena);
	tfrs_arena_release(evaluation->owner, evaluation);
}
