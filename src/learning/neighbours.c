/*
 * neighbours.c: the fit, block by block: nearest candidates, who wants which row, rows, systems; in
 * the end columns become rows.
 */
#include "learning/neighbours.h"

#include <math.h>
#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "base/team.h"
#include "base/topk.h"
#include "learning/ragged.h"

#define RIDGE_TOGETHER 0.3f
#define RIDGE_NEXT 1.0f

/* Candidates whose systems are held at once: some 40 MB. */
#define MOST_BLOCK ((size_t) 8192)

/* Values in all, at most: 5 bytes each of a block that has to stay below TFRS_MAX_BLOCK_BYTES. */
#define MOST_VALUES ((size_t) 12000000)
#define LEAST_NEAR 8

/* Addends of a step and thread: some 20 ms, since they lie far apart. */
#define STEP_WORK ((uint64_t) 1 << 20)

/* Values of a step that counts or places them. */
#define STEP_VALUES ((size_t) 1 << 21)

/* Added to a row for each candidate that is looked at. */
#define CANDIDATE_WORK 500

enum
{
	LIST,
	FIND_NEAR,
	WANT,
	FILL,
	SOLVE,
	COUNT,
	PLACE,
	FITTED
};

size_t
tfrs_neighbours_within(size_t values, size_t candidates, size_t least, size_t most)
{
	size_t		near = values / (candidates + 1);

	return near > most ? most : near < least ? least : near;
}

static size_t
nearest_of(size_t candidates)
{
	return tfrs_neighbours_within(MOST_VALUES, candidates, LEAST_NEAR, TFRS_MAX_NEAR);
}

double
tfrs_neighbours_most(double candidates)
{
	return candidates * (double) nearest_of((size_t) candidates);
}

static size_t
system_size(size_t near)
{
	return near * (near + 1) / 2;
}

bool
tfrs_neighbour_fit_bytes(tfrs_neighbour_kind kind, const tfrs_events *events, size_t candidates,
						 int threads, size_t *bytes)
{
	size_t		near = nearest_of(candidates);
	size_t		block = tfrs_size_smaller(candidates, MOST_BLOCK);
	tfrs_layout layout = {0, true};

	tfrs_layout_place(&layout, candidates, 8 * (size_t) threads);
	tfrs_layout_place(&layout, block, (system_size(near) + 2 * near) * sizeof(float));
	tfrs_layout_place(&layout, candidates, 2 * near * (sizeof(uint32_t) + 1) + 32);
	return layout.fits && tfrs_size_add(*bytes, layout.bytes, bytes) &&
		tfrs_neighbour_examples_bytes(kind, events->queries, events->count, candidates, bytes);
}

/* What is needed until the columns are known. */
static void
free_work(tfrs_neighbour_fit *fit)
{
	tfrs_neighbour_examples_free(&fit->examples);
	tfrs_arena_release(fit->arena, fit->row);
	tfrs_arena_release(fit->arena, fit->touched);
	tfrs_arena_release(fit->arena, fit->solution);
	tfrs_arena_release(fit->arena, fit->target);
	tfrs_arena_release(fit->arena, fit->system);
	tfrs_arena_release(fit->arena, fit->want);
	tfrs_arena_release(fit->arena, fit->wanted);
	fit->row = fit->solution = fit->target = fit->system = NULL;
	fit->touched = fit->want = fit->wanted = NULL;
}

static void
free_columns(tfrs_neighbour_fit *fit)
{
	tfrs_arena_release(fit->arena, fit->near_count);
	tfrs_arena_release(fit->arena, fit->nearest);
	tfrs_arena_release(fit->arena, fit->column);
	fit->near_count = NULL;
	fit->nearest = NULL;
	fit->column = NULL;
}

void
tfrs_neighbour_fit_free(tfrs_neighbour_fit *fit)
{
	if (fit->arena == NULL)
		return;
	free_work(fit);
	free_columns(fit);
	tfrs_arena_release(fit->arena, fit->offsets);
	tfrs_arena_release(fit->arena, fit->candidate);
	tfrs_arena_release(fit->arena, fit->value);
	tfrs_arena_release(fit->arena, fit->scale);
	memset(fit, 0, sizeof(*fit));
}

static tfrs_status
get_work(tfrs_neighbour_fit *fit, tfrs_error *error)
{
	size_t		threads = (size_t) fit->threads;
	tfrs_status status = TFRS_GET_ZERO(fit->arena, &fit->row, threads * fit->candidates, error);

	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->touched, threads * (fit->candidates + 1), error);
	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->solution, threads * fit->near, error);
	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->target, fit->block * fit->near, error);
	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->system, fit->block * system_size(fit->near), error);
	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->want, fit->candidates + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->wanted, fit->block * fit->near, error);
	return status;
}

static tfrs_status
get_columns(tfrs_neighbour_fit *fit, tfrs_error *error)
{
	size_t		candidates = fit->candidates;
	tfrs_status status = TFRS_GET_ZERO(fit->arena, &fit->near_count, candidates, error);

	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->nearest, candidates * fit->near, error);
	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->column, candidates * fit->near, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(fit->arena, &fit->scale, candidates, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(fit->arena, &fit->offsets, candidates + 1, error);
	return status;
}

tfrs_status
tfrs_neighbour_fit_begin(tfrs_neighbour_fit *fit, tfrs_arena *arena, tfrs_neighbour_kind kind,
						 const tfrs_events *events, size_t candidates, int threads,
						 tfrs_error *error)
{
	tfrs_status status;

	memset(fit, 0, sizeof(*fit));
	fit->arena = arena;
	fit->candidates = candidates;
	fit->threads = threads;
	fit->ridge = kind == TFRS_TOGETHER ? RIDGE_TOGETHER : RIDGE_NEXT;
	fit->near = nearest_of(candidates);
	fit->block = tfrs_size_smaller(candidates, MOST_BLOCK);
	fit->block_end = fit->block;
	status = tfrs_neighbour_examples_begin(&fit->examples, arena, kind, events, candidates,
										   error);
	if (status == TFRS_OK)
		status = get_work(fit, error);
	if (status == TFRS_OK)
		status = get_columns(fit, error);
	if (status != TFRS_OK)
		tfrs_neighbour_fit_free(fit);
	return status;
}

/* A sum over examples: a row of N floats that are zero but for those touched. */
typedef struct row_sum
{
	float	   *sum;			/* (N) */
	uint32_t   *touched;		/* (N + 1): one more is written before it is known to be new */
	size_t		count;
	bool		listed;			/* touched is written with each addend; else when all are there */
} row_sum;

/* work: how many addends will come; where they are many a pass over the row costs less than a list. */
static row_sum
row_of_worker(const tfrs_neighbour_fit *fit, int worker, uint64_t work)
{
	return (row_sum) {
		fit->row + (size_t) worker * fit->candidates,
		fit->touched + (size_t) worker * (fit->candidates + 1), 0, work < 2 * fit->candidates
	};
}

/* The count is in a variable of its own: one in memory would be waited for at each event. */
static void
add_and_list(const tfrs_neighbour_examples *examples, const tfrs_neighbour_example *example,
			 float factor, row_sum *row)
{
	const uint32_t *candidate = examples->events->candidate;
	const uint32_t *time = examples->time;
	size_t		count = row->count;

	for (uint32_t e = example->begin; e < example->end; e++)
	{
		row->touched[count] = candidate[e];
		count += row->sum[candidate[e]] == 0;
		row->sum[candidate[e]] += time == NULL ? factor
			: factor * examples->power[example->time - 1 - time[e]];
	}
	row->count = count;
}

/* row += factor * what example x has */
static void
add_example(const tfrs_neighbour_examples *examples, size_t x, float factor, row_sum *row)
{
	const tfrs_neighbour_example *example = &examples->example[x];
	const uint32_t *candidate = examples->events->candidate;
	const uint32_t *time = examples->time;
	float	   *sum = row->sum;

	if (row->listed)
		add_and_list(examples, example, factor, row);
	else if (time == NULL)
		for (uint32_t e = example->begin; e < example->end; e++)
			sum[candidate[e]] += factor;
	else
		for (uint32_t e = example->begin; e < example->end; e++)
			sum[candidate[e]] += factor * examples->power[example->time - 1 - time[e]];
}

static void
list_touched(row_sum *row, size_t candidates)
{
	for (size_t j = 0; j < candidates && !row->listed; j++)
	{
		row->touched[row->count] = (uint32_t) j;
		row->count += row->sum[j] != 0;
	}
}

static void
clear_row(row_sum *row, size_t candidates)
{
	if (!row->listed)
		memset(row->sum, 0, candidates * sizeof(float));
	else
		for (size_t t = 0; t < row->count; t++)
			row->sum[row->touched[t]] = 0;
}

/* The nearest of candidate c, whose r is the row. */
static void
keep_nearest(tfrs_neighbour_fit *fit, size_t c, const row_sum *row)
{
	tfrs_hit	hits[TFRS_MAX_NEAR] = {{0, 0}};
	float	   *target = fit->target + (c - fit->block_first) * fit->near;
	tfrs_topk	topk;

	tfrs_topk_init(&topk, hits, fit->near);
	for (size_t t = 0; t < row->count; t++)
	{
		uint32_t	j = row->touched[t];
		double		r = row->sum[j];

		if (j != c)
			tfrs_topk_push(&topk, (float) (r * r / fmax(fit->examples.square[j], 1e-9)), j);
	}
	tfrs_topk_finish_by_row(&topk);
	fit->near_count[c] = (uint8_t) topk.count;
	for (size_t i = 0; i < topk.count; i++)
	{
		fit->nearest[c * fit->near + i] = hits[i].row;
		target[i] = row->sum[hits[i].row];
	}
}

/* r of a candidate: what was had where it was chosen. */
static void
find_near(void *context, int worker, size_t task)
{
	tfrs_neighbour_fit *fit = context;
	const tfrs_neighbour_examples *examples = &fit->examples;
	size_t		c = fit->task_first + task;
	row_sum		row = row_of_worker(fit, worker, examples->chosen_work[c]);

	for (uint32_t i = examples->place[c]; i < examples->place[c + 1]; i++)
	{
		uint32_t	x = examples->chosen[examples->event[i]];

		if (x != TFRS_NO_ROW)
			add_example(examples, x, examples->example[x].weight, &row);
	}
	list_touched(&row, fit->candidates);
	keep_nearest(fit, c, &row);
	clear_row(&row, fit->candidates);
}

/* Lists for each row the systems of the block that want it. */
static void
list_wanted(tfrs_neighbour_fit *fit)
{
	memset(fit->want, 0, (fit->candidates + 1) * sizeof(uint32_t));
	for (size_t c = fit->block_first; c < fit->block_end; c++)
		for (size_t i = 0; i < fit->near_count[c]; i++)
			fit->want[fit->nearest[c * fit->near + i] + 1]++;
	tfrs_small_counts_to_starts(fit->want, fit->candidates);
	for (size_t c = fit->block_first; c < fit->block_end; c++)
		for (size_t i = 0; i < fit->near_count[c]; i++)
			fit->wanted[fit->want[fit->nearest[c * fit->near + i] + 1]++] =
				(uint32_t) ((c - fit->block_first) * fit->near + i);
}

/* Row j of A: what was had where j was had. */
static void
sum_row(const tfrs_neighbour_examples *examples, size_t j, row_sum *row)
{
	for (uint32_t i = examples->place[j]; i < examples->place[j + 1]; i++)
	{
		uint32_t	e = examples->event[i];

		for (size_t x = examples->first[e]; x < examples->count; x++)
		{
			if (examples->example[x].begin > e || examples->example[x].end <= e)
				break;
			add_example(examples, x, examples->example[x].weight *
						tfrs_neighbour_value(examples, x, e), row);
		}
	}
}

/* Hands row j to the systems that want it. */
static void
fill(void *context, int worker, size_t task)
{
	tfrs_neighbour_fit *fit = context;
	size_t		j = fit->task_first + task;
	row_sum		row = row_of_worker(fit, worker, fit->examples.had_work[j]);

	if (fit->want[j] == fit->want[j + 1])
		return;
	sum_row(&fit->examples, j, &row);
	for (uint32_t w = fit->want[j]; w < fit->want[j + 1]; w++)
	{
		size_t		place = fit->wanted[w] / fit->near;
		size_t		i = fit->wanted[w] % fit->near;
		const uint32_t *near = fit->nearest + (fit->block_first + place) * fit->near;
		float	   *line = fit->system + place * system_size(fit->near) + i * (i + 1) / 2;

		for (size_t n = 0; n <= i; n++)
			line[n] = row.sum[near[n]];
	}
	clear_row(&row, fit->candidates);
}

/*
 * x (n) = (A + lambda I)^-1 x, where a (n (n + 1) / 2) is A's lower triangle, which becomes its
 * Cholesky factor.  No pivot is below lambda, for A is positive but for rounding.
 */
static void
solve_system(float *a, float *x, size_t n, float lambda)
{
	for (size_t i = 0; i < n; i++)
	{
		float	   *line = a + i * (i + 1) / 2;

		for (size_t j = 0; j < i; j++)
		{
			const float *other = a + j * (j + 1) / 2;

			line[j] = (line[j] - tfrs_kernels.dot(line, other, j)) / other[j];
		}
		line[i] = sqrtf(fmaxf(line[i] + lambda - tfrs_kernels.dot(line, line, i), lambda));
		x[i] = (x[i] - tfrs_kernels.dot(line, x, i)) / line[i];
	}
	for (size_t i = n; i-- > 0;)
	{
		const float *line = a + i * (i + 1) / 2;

		x[i] /= line[i];
		tfrs_kernels.add_scaled(x, line, i, -x[i]);
	}
}

static void
solve(void *context, int worker, size_t task)
{
	tfrs_neighbour_fit *fit = context;
	size_t		c = fit->task_first + task;
	size_t		place = c - fit->block_first;
	size_t		count = fit->near_count[c];
	float	   *x = fit->solution + (size_t) worker * fit->near;
	float		most = 0;

	memcpy(x, fit->target + place * fit->near, count * sizeof(float));
	solve_system(fit->system + place * system_size(fit->near), x, count, fit->lambda);
	for (size_t i = 0; i < count; i++)
		most = fmaxf(most, fabsf(x[i]));
	fit->scale[c] = most / INT8_MAX;
	for (size_t i = 0; i < count; i++)
		fit->column[c * fit->near + i] = (int8_t) (most > 0 ? lrintf(x[i] / fit->scale[c]) : 0);
}

/* Runs tasks for candidates from done up to end, as many as are work for a step. */
static tfrs_status
run(tfrs_neighbour_fit *fit, tfrs_team_work task, const uint64_t *work, size_t end)
{
	uint64_t	most = STEP_WORK * (uint64_t) fit->threads;
	uint64_t	sum = 0;

	fit->task_first = fit->done;
	for (; fit->done < end && sum < most; fit->done++)
		sum += CANDIDATE_WORK + (work == NULL ? fit->near * fit->near / 2 : work[fit->done]);
	tfrs_team_run(fit->threads, fit->done - fit->task_first, task, fit);
	return fit->done < end ? TFRS_MORE : TFRS_OK;
}

static void
settle(tfrs_neighbour_fit *fit)
{
	double		targets = fit->examples.targets > 0 ? (double) fit->examples.targets : 1;

	fit->lambda = (float) fmax(fit->ridge * fit->examples.mass / targets, 1e-6);
}

/* Counts or places the values of some columns; offsets[j + 1] is where the next of row j goes. */
static tfrs_status
pass_columns(tfrs_neighbour_fit *fit, bool placing)
{
	size_t		piece = STEP_VALUES / fit->near;
	size_t		end = fit->done + tfrs_size_smaller(piece, fit->candidates - fit->done);

	for (size_t c = fit->done; c < end; c++)
		for (size_t i = c * fit->near; i < c * fit->near + fit->near_count[c]; i++)
		{
			uint64_t	at;

			if (fit->column[i] == 0)
				continue;
			at = fit->offsets[fit->nearest[i] + 1]++;
			if (!placing)
				continue;
			fit->candidate[at] = (uint32_t) c;
			fit->value[at] = fit->column[i];
		}
	fit->done = end;
	return end < fit->candidates ? TFRS_MORE : TFRS_OK;
}

static tfrs_status
begin_placing(tfrs_neighbour_fit *fit, tfrs_error *error)
{
	uint64_t	sum = tfrs_counts_to_starts(fit->offsets, fit->candidates);
	tfrs_status status;

	free_work(fit);
	status = TFRS_GET(fit->arena, &fit->candidate, sum, error);
	return status == TFRS_OK ? TFRS_GET(fit->arena, &fit->value, sum, error) : status;
}

/* A phase is over: what the next one begins with. */
static tfrs_status
advance(tfrs_neighbour_fit *fit, tfrs_error *error)
{
	fit->done = 0;
	if (fit->phase == LIST)
		settle(fit);
	if (fit->phase == SOLVE && fit->block_end < fit->candidates)
	{
		fit->block_first = fit->block_end;
		fit->block_end += tfrs_size_smaller(fit->block, fit->candidates - fit->block_end);
		fit->phase = LIST;
	}
	fit->phase++;
	if (fit->phase == FIND_NEAR || fit->phase == SOLVE)
		fit->done = fit->block_first;
	if (fit->phase == PLACE)
		return begin_placing(fit, error);
	if (fit->phase == FITTED)
		free_columns(fit);
	return TFRS_OK;
}

static tfrs_status
step(tfrs_neighbour_fit *fit)
{
	switch (fit->phase)
	{
		case LIST:
			return tfrs_neighbour_examples_step(&fit->examples);
		case FIND_NEAR:
			return run(fit, find_near, fit->examples.chosen_work, fit->block_end);
		case WANT:
			list_wanted(fit);
			return TFRS_OK;
		case FILL:
			return run(fit, fill, fit->examples.had_work, fit->candidates);
		case SOLVE:
			return run(fit, solve, NULL, fit->block_end);
		default:
			return pass_columns(fit, fit->phase == PLACE);
	}
}

tfrs_status
tfrs_neighbour_fit_step(tfrs_neighbour_fit *fit, tfrs_neighbours *result, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	if (fit->phase < FITTED)
	{
		status = step(fit);
		if (status == TFRS_OK)
			status = advance(fit, error);
		if (status != TFRS_OK || fit->phase < FITTED)
			return status == TFRS_OK ? TFRS_MORE : status;
	}
	*result = (tfrs_neighbours) {
		fit->candidates, fit->offsets[fit->candidates], fit->offsets, fit->candidate, fit->value,
		fit->scale
	};
	return TFRS_OK;
}
