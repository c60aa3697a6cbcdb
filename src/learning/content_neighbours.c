/*
 * content_neighbours.c: lists by word and by candidate, the nearest of each candidate, columns into
 * rows, the curve, and its values.
 */
#include "learning/content_neighbours.h"

#include <math.h>
#include <string.h>

#include "base/team.h"
#include "base/topk.h"
#include "learning/ragged.h"

/* Additions of a step and thread: some milliseconds. */
#define STEP_WORK ((uint64_t) 1 << 22)

/* Added for each candidate or query that is looked at. */
#define CANDIDATE_WORK 64

/* Of a word that more known candidates have, similarities would take long and tell little. */
#define MOST_SHARING 16384

/* Values in all, at most, and additions of the curve's sums. */
#define MOST_VALUES ((size_t) 6000000)
#define LEAST_NEAR 4
#define MOST_CURVE_WORK ((uint64_t) 1 << 31)

/* New candidates have no other part. */
#define NEW_SCALE 2.0f

enum
{
	COUNT_EVENTS,
	LIST_EVENTS,
	COUNT_WORDS,
	LIST_WORDS,
	FIND_NEAR,
	COUNT_ROWS,
	LIST_ROWS,
	SUM,
	DRAW_CURVE,
	PLACE,
	FITTED
};

static size_t
near_of(size_t candidates)
{
	return tfrs_neighbours_within(MOST_VALUES, candidates, LEAST_NEAR, TFRS_CONTENT_NEAR);
}

bool
tfrs_content_fit_bytes(const tfrs_events *events, size_t candidates, size_t words, int threads,
					   size_t *bytes)
{
	size_t		near = near_of(candidates);
	tfrs_layout layout = {*bytes, true};

	tfrs_layout_place(&layout, words, 2 * sizeof(uint64_t));
	tfrs_layout_place(&layout, events->count, sizeof(uint32_t));
	tfrs_layout_place(&layout, candidates + 1, 8 * (size_t) threads + 25);
	tfrs_layout_place(&layout, candidates, near * (4 * sizeof(uint32_t) + 1));
	*bytes = layout.bytes;
	return layout.fits;
}

static void
free_work(tfrs_content_fit *fit)
{
	void	  **pieces[] = {
		(void **) &fit->word_start, (void **) &fit->word_candidate, (void **) &fit->word_value,
		(void **) &fit->query_start, (void **) &fit->query, (void **) &fit->row,
		(void **) &fit->touched, (void **) &fit->near_count, (void **) &fit->nearest,
		(void **) &fit->similarity, (void **) &fit->place
	};

	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++)
	{
		tfrs_arena_release(fit->arena, *pieces[p]);
		*pieces[p] = NULL;
	}
}

void
tfrs_content_fit_free(tfrs_content_fit *fit)
{
	if (fit->arena == NULL)
		return;
	free_work(fit);
	tfrs_arena_release(fit->arena, fit->offsets);
	tfrs_arena_release(fit->arena, fit->candidate);
	tfrs_arena_release(fit->arena, fit->value);
	tfrs_arena_release(fit->arena, fit->scale);
	tfrs_arena_release(fit->arena, fit->level);
	memset(fit, 0, sizeof(*fit));
}

static tfrs_status
get_lists(tfrs_content_fit *fit, tfrs_error *error)
{
	tfrs_arena *arena = fit->arena;
	size_t		words = fit->content->offsets[fit->candidates];
	tfrs_status status = TFRS_GET_ZERO(arena, &fit->word_start,
									   fit->content->vocabulary.words + 1, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->word_candidate, words, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->word_value, words, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->query_start, fit->candidates + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->query, fit->events->count, error);
	return status;
}

static tfrs_status
get_columns(tfrs_content_fit *fit, tfrs_error *error)
{
	tfrs_arena *arena = fit->arena;
	size_t		n = fit->candidates;
	size_t		threads = (size_t) fit->threads;
	tfrs_status status = TFRS_GET_ZERO(arena, &fit->row, threads * n, error);

	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->touched, threads * (n + 1), error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->near_count, n, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->nearest, n * fit->near, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &fit->similarity, n * fit->near, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->offsets, n + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->scale, n, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &fit->level, n, error);
	return status;
}

/* Of many events, of which each has as many others beside it as its query. */
static size_t
stride_of(const tfrs_events *events)
{
	uint64_t	work = 0;

	for (size_t q = 0; q < events->queries; q++)
		work += (events->offsets[q + 1] - events->offsets[q]) *
			(events->offsets[q + 1] - events->offsets[q]);
	return (size_t) (work / MOST_CURVE_WORK) + 1;
}

tfrs_status
tfrs_content_fit_begin(tfrs_content_fit *fit, tfrs_arena *arena, const tfrs_content *content,
					   const tfrs_events *events, int threads, tfrs_error *error)
{
	tfrs_status status;

	memset(fit, 0, sizeof(*fit));
	fit->arena = arena;
	fit->content = content;
	fit->events = events;
	fit->candidates = content->candidates;
	fit->near = near_of(content->candidates);
	fit->threads = threads;
	fit->stride = stride_of(events);
	status = get_lists(fit, error);
	if (status == TFRS_OK)
		status = get_columns(fit, error);
	if (status != TFRS_OK)
		tfrs_content_fit_free(fit);
	return status;
}

static bool
is_known(const tfrs_content_fit *fit, size_t candidate)
{
	return fit->query_start[candidate + 1] > fit->query_start[candidate];
}

/* Counts or lists the known candidates of each word. */
static uint64_t
pass_words(tfrs_content_fit *fit, size_t candidate)
{
	const tfrs_content *content = fit->content;

	if (!is_known(fit, candidate))
		return CANDIDATE_WORK;
	for (uint64_t e = content->offsets[candidate]; e < content->offsets[candidate + 1]; e++)
	{
		uint64_t	at = fit->word_start[content->word[e] + 1]++;

		if (fit->phase == COUNT_WORDS)
			continue;
		fit->word_candidate[at] = (uint32_t) candidate;
		fit->word_value[at] = content->value[e];
	}
	return CANDIDATE_WORK + content->offsets[candidate + 1] - content->offsets[candidate];
}

/* Counts or lists the queries of each candidate. */
static uint64_t
pass_events(tfrs_content_fit *fit, size_t query)
{
	const tfrs_events *events = fit->events;

	for (uint64_t e = events->offsets[query]; e < events->offsets[query + 1]; e++)
	{
		uint64_t	at = fit->query_start[events->candidate[e] + 1]++;

		if (fit->phase == LIST_EVENTS)
			fit->query[at] = (uint32_t) query;
	}
	return CANDIDATE_WORK + events->offsets[query + 1] - events->offsets[query];
}

/* Similarities of a candidate with the known ones: row and touched; returns how many there are. */
static size_t
compare_with_known(const tfrs_content_fit *fit, size_t candidate, float *row, uint32_t *touched)
{
	const tfrs_content *content = fit->content;
	size_t		count = 0;

	for (uint64_t e = content->offsets[candidate]; e < content->offsets[candidate + 1]; e++)
	{
		uint64_t	end = fit->word_start[content->word[e] + 1];
		uint64_t	i = fit->word_start[content->word[e]];

		for (; i < end && end - fit->word_start[content->word[e]] <= MOST_SHARING; i++)
		{
			uint32_t	j = fit->word_candidate[i];

			touched[count] = j;
			count += row[j] == 0;
			row[j] += content->value[e] * fit->word_value[i];
		}
	}
	return count;
}

/* A task: the nearest of one candidate. */
static void
find_near(void *context, int worker, size_t task)
{
	tfrs_content_fit *fit = context;
	size_t		candidate = fit->first + task;
	float	   *row = fit->row + (size_t) worker * fit->candidates;
	uint32_t   *touched = fit->touched + (size_t) worker * (fit->candidates + 1);
	size_t		count = compare_with_known(fit, candidate, row, touched);
	tfrs_hit	hits[TFRS_CONTENT_NEAR] = {{0, 0}};
	tfrs_topk	topk;

	tfrs_topk_init(&topk, hits, fit->near);
	for (size_t t = 0; t < count; t++)
	{
		if (touched[t] != candidate)
			tfrs_topk_push(&topk, row[touched[t]], touched[t]);
		row[touched[t]] = 0;
	}
	tfrs_topk_finish_by_row(&topk);
	fit->near_count[candidate] = (uint8_t) topk.count;
	for (size_t i = 0; i < topk.count; i++)
	{
		fit->nearest[candidate * fit->near + i] = hits[i].row;
		fit->similarity[candidate * fit->near + i] = hits[i].score;
	}
}

static uint64_t
find_work(const tfrs_content_fit *fit, size_t candidate)
{
	const tfrs_content *content = fit->content;
	uint64_t	work = CANDIDATE_WORK;

	for (uint64_t e = content->offsets[candidate]; e < content->offsets[candidate + 1]; e++)
	{
		uint64_t	sharing = fit->word_start[content->word[e] + 1] -
			fit->word_start[content->word[e]];

		work += sharing <= MOST_SHARING ? sharing : 0;
	}
	return work;
}

static tfrs_status
find_some(tfrs_content_fit *fit)
{
	uint64_t	most = STEP_WORK * (uint64_t) fit->threads;
	uint64_t	work = 0;

	fit->first = fit->done;
	for (; fit->done < fit->candidates && work < most; fit->done++)
		work += find_work(fit, fit->done);
	tfrs_team_run(fit->threads, fit->done - fit->first, find_near, fit);
	return fit->done < fit->candidates ? TFRS_MORE : TFRS_OK;
}

/* Counts or lists the columns that have each candidate among their nearest. */
static uint64_t
pass_columns(tfrs_content_fit *fit, size_t candidate)
{
	size_t		first = candidate * fit->near;

	for (size_t i = first; i < first + fit->near_count[candidate]; i++)
	{
		uint64_t	at = fit->offsets[fit->nearest[i] + 1]++;

		if (fit->phase == COUNT_ROWS)
			continue;
		fit->candidate[at] = (uint32_t) candidate;
		fit->place[at] = (uint32_t) i;
	}
	return CANDIDATE_WORK;
}

/* row = sum over the queries that have j of n^-1/2 for each of their events; returns the work. */
static uint64_t
sum_company(const tfrs_content_fit *fit, size_t j, float *row)
{
	const tfrs_events *events = fit->events;
	uint64_t	work = 0;

	memset(row, 0, fit->candidates * sizeof(float));
	for (uint64_t i = fit->query_start[j]; i < fit->query_start[j + 1]; i++)
	{
		uint32_t	query = fit->query[i];
		uint64_t	end = events->offsets[query + 1];
		float		weight = 1 / sqrtf((float) (end - events->offsets[query]));

		if (query % fit->stride != 0)
			continue;
		for (uint64_t e = events->offsets[query]; e < end; e++)
			row[events->candidate[e]] += weight;
		work += end - events->offsets[query];
	}
	return work;
}

static void
fill_powers(double s, double power[TFRS_CONTENT_POWERS])
{
	power[0] = s;
	power[1] = s * s;
	power[2] = s * s * s * s;
}

/* Adds what the pair of a known candidate i and its neighbour, whose row it is, has in the system. */
static void
add_to_system(tfrs_content_fit *fit, size_t i, uint32_t place, const float *row)
{
	double		one[TFRS_CONTENT_POWERS];
	double		sum[TFRS_CONTENT_POWERS] = {0};

	fill_powers(fit->similarity[place], one);
	for (size_t n = i * fit->near; n < i * fit->near + fit->near_count[i]; n++)
	{
		double		other[TFRS_CONTENT_POWERS];

		fill_powers(fit->similarity[n], other);
		for (int q = 0; q < TFRS_CONTENT_POWERS; q++)
			sum[q] += row[fit->nearest[n]] * other[q];
	}
	for (int p = 0; p < TFRS_CONTENT_POWERS; p++)
	{
		fit->right[p] += one[p] * row[i];
		for (int q = 0; q < TFRS_CONTENT_POWERS; q++)
			fit->matrix[p][q] += one[p] * sum[q];
	}
}

static uint64_t
sum_row(tfrs_content_fit *fit, size_t j)
{
	uint64_t	work = fit->candidates / 8 + CANDIDATE_WORK;

	if (fit->offsets[j] == fit->offsets[j + 1])
		return CANDIDATE_WORK;
	work += sum_company(fit, j, fit->row);
	for (uint64_t m = fit->offsets[j]; m < fit->offsets[j + 1]; m++)
	{
		if (is_known(fit, fit->candidate[m]))
			add_to_system(fit, fit->candidate[m], fit->place[m], fit->row);
		work += 4 * fit->near;
	}
	return work;
}

/* x (n) = a^-1 x for a positive definite a, by elimination. */
static void
solve(double a[TFRS_CONTENT_POWERS][TFRS_CONTENT_POWERS], double *x)
{
	for (int p = 0; p < TFRS_CONTENT_POWERS; p++)
		for (int r = p + 1; r < TFRS_CONTENT_POWERS; r++)
		{
			double		factor = a[r][p] / a[p][p];

			for (int q = p; q < TFRS_CONTENT_POWERS; q++)
				a[r][q] -= factor * a[p][q];
			x[r] -= factor * x[p];
		}
	for (int p = TFRS_CONTENT_POWERS - 1; p >= 0; p--)
	{
		for (int q = p + 1; q < TFRS_CONTENT_POWERS; q++)
			x[p] -= a[p][q] * x[q];
		x[p] /= a[p][p];
	}
}

static void
fit_curve(tfrs_content_fit *fit)
{
	double		trace = 0;

	for (int p = 0; p < TFRS_CONTENT_POWERS; p++)
		trace += fit->matrix[p][p];
	for (int p = 0; p < TFRS_CONTENT_POWERS; p++)
		fit->matrix[p][p] += 1e-9 * fmax(trace, 1e-9);
	memcpy(fit->curve, fit->right, sizeof(fit->curve));
	solve(fit->matrix, fit->curve);
}

/* How often a query has candidate j. */
static float
share_of_queries(const tfrs_content_fit *fit, size_t j)
{
	return (float) (fit->query_start[j + 1] - fit->query_start[j]) / (float) fit->events->queries;
}

/* The values of a column, its scale and its level. */
static uint64_t
draw_column(tfrs_content_fit *fit, size_t candidate)
{
	float		whole = is_known(fit, candidate) ? 1 : NEW_SCALE;
	float	   *value = fit->similarity + candidate * fit->near;
	float		most = 0;

	for (size_t i = 0; i < fit->near_count[candidate]; i++)
	{
		double		power[TFRS_CONTENT_POWERS];
		double		sum = 0;

		fill_powers(value[i], power);
		for (int p = 0; p < TFRS_CONTENT_POWERS; p++)
			sum += fit->curve[p] * power[p];
		value[i] = (float) sum;
		fit->level[candidate] += whole * value[i] *
			share_of_queries(fit, fit->nearest[candidate * fit->near + i]);
		most = fmaxf(most, fabsf(value[i]));
	}
	for (size_t i = 0; i < fit->near_count[candidate]; i++)
		value[i] = most > 0 ? value[i] * INT8_MAX / most : 0;
	fit->scale[candidate] = most / INT8_MAX * whole;
	return CANDIDATE_WORK;
}

static uint64_t
place_row(tfrs_content_fit *fit, size_t j)
{
	for (uint64_t m = fit->offsets[j]; m < fit->offsets[j + 1]; m++)
		fit->value[m] = (int8_t) lrintf(fit->similarity[fit->place[m]]);
	return CANDIDATE_WORK + fit->offsets[j + 1] - fit->offsets[j];
}

/* Room for what was counted. */
static tfrs_status
get_rows(tfrs_content_fit *fit, tfrs_error *error)
{
	uint64_t	count = tfrs_counts_to_starts(fit->offsets, fit->candidates);
	tfrs_status status = TFRS_GET(fit->arena, &fit->candidate, count, error);

	if (status == TFRS_OK)
		status = TFRS_GET(fit->arena, &fit->place, count, error);
	return status == TFRS_OK ? TFRS_GET(fit->arena, &fit->value, count, error) : status;
}

/* A phase is over: what the next one needs. */
static tfrs_status
advance(tfrs_content_fit *fit, tfrs_error *error)
{
	fit->done = 0;
	switch (fit->phase++)
	{
		case COUNT_EVENTS:
			tfrs_counts_to_starts(fit->query_start, fit->candidates);
			return TFRS_OK;
		case COUNT_WORDS:
			tfrs_counts_to_starts(fit->word_start, fit->content->vocabulary.words);
			return TFRS_OK;
		case COUNT_ROWS:
			return get_rows(fit, error);
		case SUM:
			fit_curve(fit);
			return TFRS_OK;
		case PLACE:
			free_work(fit);
			return TFRS_OK;
		default:
			return TFRS_OK;
	}
}

static tfrs_status
step(tfrs_content_fit *fit)
{
	static uint64_t (*const pass[]) (tfrs_content_fit *, size_t) = {
		[COUNT_EVENTS] = pass_events, [LIST_EVENTS] = pass_events, [COUNT_WORDS] = pass_words,
		[LIST_WORDS] = pass_words, [COUNT_ROWS] = pass_columns, [LIST_ROWS] = pass_columns,
		[SUM] = sum_row, [DRAW_CURVE] = draw_column, [PLACE] = place_row
	};
	bool		by_query = fit->phase == COUNT_EVENTS || fit->phase == LIST_EVENTS;
	size_t		end = by_query ? fit->events->queries : fit->candidates;
	uint64_t	work = 0;

	if (fit->phase == FIND_NEAR)
		return find_some(fit);
	for (; fit->done < end && work < STEP_WORK; fit->done++)
		work += pass[fit->phase] (fit, fit->done);
	return fit->done < end ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_content_fit_step(tfrs_content_fit *fit, tfrs_neighbours *result, tfrs_error *error)
{
	if (fit->phase < FITTED)
	{
		if (step(fit) == TFRS_MORE)
			return TFRS_MORE;
		if (advance(fit, error) != TFRS_OK)
			return error->status;
		if (fit->phase < FITTED)
			return TFRS_MORE;
	}
	*result = (tfrs_neighbours) {
		fit->candidates, fit->offsets[fit->candidates], fit->offsets, fit->candidate, fit->value,
		fit->scale
	};
	return TFRS_OK;
}

void
tfrs_content_fit_weigh_known(tfrs_content_fit *fit, float share)
{
	for (size_t i = 0; i < fit->candidates; i++)
		if (tfrs_content_is_known(fit->content, i))
		{
			fit->scale[i] *= share;
			fit->level[i] *= share;
		}
}
