/*
 * evaluation.c: rankings of the test's queries in tiles, and what they are worth.
 *
 * A task is a tile of queries: their vectors against block after block of candidates by matrix
 * product, each block's cells fed to the shortlist of their query and to its sum of exponentials
 * while they are in the second-level cache.  B x N numbers are never held.
 *
 * Tasks add up figures of their own, which are merged in the order of tasks; what is found out about
 * candidates (the best place that each ever had) is a minimum, so who found it does not matter.
 */
#include "learning/evaluation.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/shortlist.h"
#include "base/team.h"

/* A tile of MOST_ROWS queries and BLOCK candidates takes half of a common second-level cache. */
#define MOST_ROWS 64
#define LEAST_ROWS 16
#define BLOCK 2048

/* Multiply-adds of a tile, where the rows' bounds allow, and of a step for each thread. */
#define TILE_WORK ((size_t) 1 << 30)
#define STEP_WORK ((size_t) 1 << 29)

/* Tasks of a step: each holds figures of its own. */
#define MOST_TASKS 64

/* Scores stay finite below it, however they are summed. */
#define MOST_SCORE (FLT_MAX / 4)

/* What has been left of a query's relevant candidates: the known ones, moved to the front. */
typedef struct query_test
{
	uint32_t	known;
	uint32_t	unknown;
} query_test;

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
	float	   *vector;			/* (R, D) */
	float	   *cell;			/* (R, stride) */
	tfrs_shortlist *list;		/* (R) */
	uint64_t   *keys;			/* (R, room) */
	float	   *peak;			/* (R) largest logit so far */
	double	   *total;			/* (R) sum of exp(logit - peak) */
	uint64_t   *marked;			/* (N bits) zero between uses */
	uint32_t   *top;			/* (K) rows of a ranking */
	uint32_t   *rank;			/* (K) of relevant ones */
	uint16_t   *best;			/* (N) best place a candidate ever had */
} worker;

struct tfrs_evaluation
{
	tfrs_arena *owner;
	tfrs_arena	arena;			/* of its own: all is given back at once */
	tfrs_evaluation_test test;
	tfrs_evaluation_options options;
	size_t		candidates;		/* N */
	size_t		dim;			/* D */
	size_t		depth;			/* K: the largest cutoff, at most N */
	float		longest;		/* max |x| */
	float		inverse_temperature;
	size_t		rows;			/* R */
	size_t		width;			/* of a block */
	size_t		stride;			/* of a tile's row */
	size_t		tasks;
	size_t		step_tasks;
	size_t		next;			/* first task that is not done */
	tfrs_ranking ranking;		/* being computed */
	query_test *queries;		/* (B) */
	worker		workers[TFRS_MAX_THREADS];
	part	   *parts;			/* (step_tasks) */
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

static void
mark(uint64_t *marked, uint32_t row)
{
	marked[row / 64] |= UINT64_C(1) << row % 64;
}

static void
unmark(uint64_t *marked, uint32_t row)
{
	marked[row / 64] &= ~(UINT64_C(1) << row % 64);
}

static bool
is_marked(const uint64_t *marked, uint32_t row)
{
	return (marked[row / 64] >> row % 64 & 1) != 0;
}

/* Candidates that are left out of one query's ranking: two lists, either may be empty. */
typedef struct left_out
{
	const uint32_t *seen;
	size_t		seen_count;
	const uint64_t *excluded;	/* pairs */
	size_t		excluded_count;
} left_out;

static left_out
left_out_of(const tfrs_evaluation *evaluation, uint32_t query)
{
	const tfrs_evaluation_test *test = &evaluation->test;
	left_out	out = {0};
	size_t		list;

	if (test->seen.offsets != NULL && !evaluation->options.keep_seen &&
		query < test->model->query_ids.count)
	{
		out.seen = test->seen.candidate + test->seen.offsets[query];
		out.seen_count = test->seen.offsets[query + 1] - test->seen.offsets[query];
	}
	if (test->excluded != NULL && tfrs_pair_set_find(test->excluded, query, &list))
	{
		out.excluded = test->excluded->pairs + test->excluded->start[list];
		out.excluded_count = test->excluded->start[list + 1] - test->excluded->start[list];
	}
	return out;
}

static void
mark_left_out(uint64_t *marked, const left_out *out)
{
	for (size_t i = 0; i < out->seen_count; i++)
		mark(marked, out->seen[i]);
	for (size_t i = 0; i < out->excluded_count; i++)
		mark(marked, tfrs_pair_candidate(out->excluded[i]));
}

static void
unmark_left_out(uint64_t *marked, const left_out *out)
{
	for (size_t i = 0; i < out->seen_count; i++)
		unmark(marked, out->seen[i]);
	for (size_t i = 0; i < out->excluded_count; i++)
		unmark(marked, tfrs_pair_candidate(out->excluded[i]));
}

/* Puts -infinity where a block (first, width) holds a candidate that is left out. */
static void
hide(const left_out *out, float *cells, size_t first, size_t width)
{
	for (size_t i = 0; i < out->seen_count; i++)
		if (out->seen[i] - first < width)
			cells[out->seen[i] - first] = -INFINITY;
	for (size_t i = 0; i < out->excluded_count; i++)
		if (tfrs_pair_candidate(out->excluded[i]) - first < width)
			cells[tfrs_pair_candidate(out->excluded[i]) - first] = -INFINITY;
}

static uint64_t *
relevant_of(const tfrs_evaluation *evaluation, size_t list)
{
	return evaluation->test.relevant->pairs + evaluation->test.relevant->start[list];
}

static uint32_t
query_of(const tfrs_evaluation *evaluation, size_t list)
{
	return tfrs_pair_query(*relevant_of(evaluation, list));
}

/* Sorts out a query's relevant candidates and counts them. */
static void
take_test(tfrs_evaluation *evaluation, worker *worker, size_t list, part *part)
{
	const tfrs_pair_set *relevant = evaluation->test.relevant;
	uint64_t   *pairs = relevant_of(evaluation, list);
	size_t		count = relevant->start[list + 1] - relevant->start[list];
	uint32_t	query = query_of(evaluation, list);
	left_out	out = left_out_of(evaluation, query);
	query_test *test = &evaluation->queries[list];
	tfrs_evaluation_result *counts = &part->counts;

	*test = (query_test) {0, 0};
	mark_left_out(worker->marked, &out);
	for (size_t i = 0; i < count; i++)
	{
		uint32_t	candidate = tfrs_pair_candidate(pairs[i]);

		if (candidate >= evaluation->candidates)
			test->unknown++;
		else if (is_marked(worker->marked, candidate))
			counts->left_out_pairs++;
		else
			pairs[test->known++] = pairs[i];
	}
	unmark_left_out(worker->marked, &out);
	counts->pairs += test->known + test->unknown;
	counts->unknown_pairs += test->unknown;
	if (test->known + test->unknown == 0)
		return;
	counts->queries++;
	counts->unknown_queries += query >= evaluation->test.model->query_ids.count;
}

/* Adds what a query's ranking (the first places of it) is worth. */
static void
add_ranking(tfrs_evaluation *evaluation, worker *worker, size_t list, size_t places, part *part)
{
	const query_test *test = &evaluation->queries[list];
	const uint64_t *pairs = relevant_of(evaluation, list);
	tfrs_metrics *metrics = part->counts.figures[evaluation->ranking].metrics;
	size_t		found = 0;

	for (size_t i = 0; i < test->known; i++)
		mark(worker->marked, tfrs_pair_candidate(pairs[i]));
	for (size_t place = 0; place < places; place++)
	{
		uint32_t	row = worker->top[place];

		if (place < worker->best[row])
			worker->best[row] = (uint16_t) place;
		worker->rank[found] = (uint32_t) place + 1;
		found += is_marked(worker->marked, row);
	}
	for (size_t i = 0; i < test->known; i++)
		unmark(worker->marked, tfrs_pair_candidate(pairs[i]));
	for (size_t i = 0; i < evaluation->options.cutoff_count; i++)
		tfrs_metrics_add(&metrics[i], worker->rank, found, test->known + test->unknown, 1.0);
}

static bool
has_test(const tfrs_evaluation *evaluation, size_t list)
{
	return evaluation->queries[list].known + evaluation->queries[list].unknown > 0;
}

/* The vector of row r of a tile, and its empty shortlist. */
static void
begin_row(tfrs_evaluation *evaluation, worker *worker, size_t list, size_t r, part *part)
{
	const tfrs_model *model = evaluation->test.model;
	uint32_t	query = query_of(evaluation, list);
	float	   *vector = worker->vector + r * evaluation->dim;
	float		norm;

	tfrs_model_query(model, query < model->query_ids.count ? query : TFRS_NO_ROW, vector);
	norm = sqrtf(tfrs_kernels.dot(vector, vector, evaluation->dim));
	part->overflows = part->overflows || !(norm * evaluation->longest <= MOST_SCORE);
	worker->list[r] = (tfrs_shortlist) {
		.query = vector,
		.rows = model->candidate_table,
		.dim = evaluation->dim,
		.k = evaluation->depth,
		.keys = worker->keys + r * tfrs_shortlist_room(evaluation->depth)
	};
	tfrs_shortlist_begin(&worker->list[r], norm, evaluation->longest);
	worker->peak[r] = -INFINITY;
	worker->total[r] = 0;
}

/* Adds the exponentials of a block's cells, which are used up. */
static void
add_exponentials(const tfrs_evaluation *evaluation, worker *worker, size_t r, float *cells,
				 size_t width)
{
	float		peak;

	if (evaluation->inverse_temperature != 1.0f)
		for (size_t j = 0; j < width; j++)
			cells[j] *= evaluation->inverse_temperature;
	peak = tfrs_kernels.maximum(cells, width);
	if (peak > worker->peak[r])
	{
		worker->total[r] *= exp((double) worker->peak[r] - peak);
		worker->peak[r] = peak;
	}
	if (peak > -FLT_MAX)
		worker->total[r] += tfrs_kernels.exp_sum(cells, width, worker->peak[r]);
}

/* The rows of a tile, first of them being list first, against a block of candidates. */
static void
add_block(tfrs_evaluation *evaluation, worker *worker, size_t first, size_t rows, size_t block)
{
	size_t		from = block * evaluation->width;
	size_t		width = smaller(evaluation->width, evaluation->candidates - from);
	size_t		dim = evaluation->dim;

	tfrs_matmul_nt(rows, width, dim, 1.0f, worker->vector, dim,
				   evaluation->test.model->candidate_table + from * dim, dim, 0.0f, worker->cell,
				   evaluation->stride);
	for (size_t r = 0; r < rows; r++)
	{
		float	   *cells = worker->cell + r * evaluation->stride;
		left_out	out = left_out_of(evaluation, query_of(evaluation, first + r));

		if (!has_test(evaluation, first + r))
			continue;
		hide(&out, cells, from, width);
		tfrs_shortlist_add(&worker->list[r], cells, width, (uint32_t) from);
		if (evaluation->queries[first + r].known > 0)
			add_exponentials(evaluation, worker, r, cells, width);
	}
}

/* Adds what row r of a tile has come to. */
static void
end_row(tfrs_evaluation *evaluation, worker *worker, size_t list, size_t r, part *part)
{
	const tfrs_shortlist *shortlist = &worker->list[r];
	const uint64_t *pairs = relevant_of(evaluation, list);
	const float *table = evaluation->test.model->candidate_table;
	double		log_total = worker->peak[r] + log(worker->total[r]);

	tfrs_shortlist_finish(&worker->list[r]);
	for (size_t place = 0; place < shortlist->count; place++)
		worker->top[place] = tfrs_shortlist_row(shortlist, place);
	add_ranking(evaluation, worker, list, shortlist->count, part);
	for (size_t i = 0; i < evaluation->queries[list].known; i++)
	{
		float		score = tfrs_kernels.dot(shortlist->query,
											 table + tfrs_pair_candidate(pairs[i]) *
											 evaluation->dim, evaluation->dim);

		part->loss += log_total - (double) score * evaluation->inverse_temperature;
	}
}

/* A task: one tile of queries, ranked by the model. */
static void
run_tile(void *context, int number, size_t task)
{
	tfrs_evaluation *evaluation = context;
	worker	   *worker = &evaluation->workers[number];
	part	   *part = &evaluation->parts[task];
	size_t		first = (evaluation->next + task) * evaluation->rows;
	size_t		rows = smaller(evaluation->rows, evaluation->test.relevant->lists - first);

	for (size_t r = 0; r < rows; r++)
	{
		take_test(evaluation, worker, first + r, part);
		begin_row(evaluation, worker, first + r, r, part);
	}
	if (part->overflows)
		return;
	for (size_t from = 0; from < evaluation->candidates; from += evaluation->width)
		add_block(evaluation, worker, first, rows, from / evaluation->width);
	for (size_t r = 0; r < rows; r++)
		if (has_test(evaluation, first + r))
			end_row(evaluation, worker, first + r, r, part);
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

	for (size_t n = 0; n < evaluation->candidates; n++)
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

/* How the test is cut; depends on sizes alone. */
static void
choose_shape(tfrs_evaluation *evaluation)
{
	size_t		floats = evaluation->candidates * evaluation->dim;
	size_t		blocks = (evaluation->candidates + BLOCK - 1) / BLOCK;
	size_t		lists = evaluation->test.relevant->lists;

	evaluation->rows = TILE_WORK / (floats + 1);
	if (evaluation->rows < LEAST_ROWS)
		evaluation->rows = LEAST_ROWS;
	evaluation->rows = smaller(evaluation->rows, MOST_ROWS);
	evaluation->width = (evaluation->candidates + blocks - 1) / blocks;
	/* whole cache lines, and not a power of two of them, which would crowd a few cache sets */
	evaluation->stride = (evaluation->width + 15) / 16 * 16 + 16;
	evaluation->tasks = (lists + evaluation->rows - 1) / evaluation->rows;
	evaluation->step_tasks = (size_t) evaluation->options.threads * STEP_WORK /
		(floats * evaluation->rows + 1) + 1;
	evaluation->step_tasks = smaller(evaluation->step_tasks, MOST_TASKS);
}

static tfrs_status
get_worker(tfrs_evaluation *evaluation, worker *worker, tfrs_error *error)
{
	tfrs_arena *arena = &evaluation->arena;
	size_t		rows = evaluation->rows;
	size_t		keys = rows * tfrs_shortlist_room(evaluation->depth);
	size_t		candidates = evaluation->candidates;
	tfrs_status status = TFRS_GET(arena, &worker->vector, rows * evaluation->dim, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->cell, rows * evaluation->stride, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->list, rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->keys, keys, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->peak, rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->total, rows, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &worker->marked, candidates / 64 + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->top, evaluation->depth, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->rank, evaluation->depth, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &worker->best, candidates, error);
	if (status == TFRS_OK)
		memset(worker->best, 0xff, candidates * sizeof(*worker->best));
	return status;
}

static tfrs_status
get_memory(tfrs_evaluation *evaluation, tfrs_error *error)
{
	tfrs_status status = TFRS_GET(&evaluation->arena, &evaluation->queries,
								  evaluation->test.relevant->lists, error);

	if (status == TFRS_OK)
		status = TFRS_GET(&evaluation->arena, &evaluation->parts, evaluation->step_tasks, error);
	for (int w = 0; status == TFRS_OK && w < evaluation->options.threads; w++)
		status = get_worker(evaluation, &evaluation->workers[w], error);
	return status;
}

/* max |x|, infinity where one is too long. */
static float
longest(const tfrs_model *model)
{
	size_t		dim = model->shape->dim;
	float		square = 0.0f;

	for (size_t n = 0; n < model->candidate_ids.count; n++)
	{
		const float *vector = model->candidate_table + n * dim;

		square = fmaxf(square, tfrs_kernels.dot(vector, vector, dim));
	}
	return sqrtf(square);
}

tfrs_status
tfrs_evaluation_begin(tfrs_evaluation **evaluation, tfrs_arena *arena,
					  const tfrs_evaluation_test *test, const tfrs_evaluation_options *options,
					  tfrs_error *error)
{
	tfrs_evaluation *self;
	tfrs_status status = TFRS_GET_ZERO(arena, &self, 1, error);

	if (status != TFRS_OK)
		return status;
	tfrs_arena_init(&self->arena, arena->allocator, arena->budget - arena->used);
	self->owner = arena;
	self->test = *test;
	self->options = *options;
	if (self->options.threads > TFRS_MAX_THREADS)
		self->options.threads = TFRS_MAX_THREADS;
	self->candidates = test->model->candidate_ids.count;
	self->dim = test->model->shape->dim;
	self->depth = smaller(options->cutoffs[options->cutoff_count - 1], self->candidates);
	self->longest = longest(test->model);
	self->inverse_temperature = 1.0f / test->model->shape->temperature;
	choose_shape(self);
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
rank_tasks(tfrs_evaluation *evaluation, tfrs_error *error)
{
	size_t		tasks = smaller(evaluation->step_tasks, evaluation->tasks - evaluation->next);

	for (size_t task = 0; task < tasks; task++)
		begin_part(evaluation, &evaluation->parts[task]);
	tfrs_team_run(evaluation->options.threads, tasks, run_tile, evaluation);
	for (size_t task = 0; task < tasks; task++)
		merge_part(evaluation, &evaluation->parts[task]);
	evaluation->next += tasks;
	if (!evaluation->sum.overflows)
		return TFRS_MORE;
	tfrs_fail(error, TFRS_NOT_FINITE, "scores of the model overflow");
	tfrs_error_detail(error, "An embedding is too long for its products to be numbers.");
	return TFRS_NOT_FINITE;
}

tfrs_status
tfrs_evaluation_step(tfrs_evaluation *evaluation, tfrs_error *error)
{
	tfrs_evaluation_result *counts = &evaluation->sum.counts;

	if (evaluation->next < evaluation->tasks)
		return rank_tasks(evaluation, error);
	finish_ranking(evaluation);
	if (counts->pairs > counts->unknown_pairs)
		counts->loss = evaluation->sum.loss / (double) (counts->pairs - counts->unknown_pairs);
	return TFRS_OK;
}

const tfrs_evaluation_result *
tfrs_evaluation_result_of(const tfrs_evaluation *evaluation)
{
	return &evaluation->sum.counts;
}

void
tfrs_evaluation_destroy(tfrs_evaluation *evaluation)
{
	tfrs_arena_free(&evaluation->arena);
	tfrs_arena_release(evaluation->owner, evaluation);
}
