/*
 * part_choice.c: for each weight one pass over the queries, each of which is ranked by every value of
 * the grid.
 */
#include "learning/part_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/team.h"
#include "base/topk.h"

/* Queries that are ranked, and scores of all of them, at most. */
#define MOST_QUERIES ((size_t) 2000)
#define MOST_SCORES ((size_t) 1 << 25)

/* Withheld events of a query that are ranked, at most. */
#define MOST_EVENTS 20

/* A weight is changed where that gains more than as many standard errors, to the value of which that
 * is most certain. */
#define ERRORS 1.0

/* What is listed for queries that nothing is known of. */
#define LISTED 10

/* Scores of a step and thread, of all values of the grid. */
#define STEP_SCORES ((size_t) 1 << 21)

#define MOST_GRID 8

/* In the order in which they are tried. */
enum
{
	TRY_NEXT,
	TRY_TOGETHER,
	TRY_CONTENT,
	TRY_TOWERS,
	TRY_RECENT,
	LIST,
	CHOSEN
};

typedef struct grid
{
	size_t		count;
	float		value[MOST_GRID];
} grid;

static const grid grids[] = {
	[TRY_NEXT] = {8, {0, 1.25f, 2.5f, 5, 10, 20, 40, 80}},
	[TRY_TOGETHER] = {8, {0, 1.25f, 2.5f, 5, 10, 20, 40, 80}},
	[TRY_CONTENT] = {7, {0, 1.25f, 2.5f, 5, 10, 20, 40}},
	[TRY_TOWERS] = {4, {0.25f, 0.5f, 0.75f, 1}},
	[TRY_RECENT] = {5, {0, 0.25f, 0.5f, 0.75f, 1}}
};

/* The weight that is tried. */
static float *
tried_weight(tfrs_part_choice *choice)
{
	switch (choice->tried)
	{
		case TRY_NEXT:
			return &choice->weights.part[TFRS_NEXT];
		case TRY_TOGETHER:
			return &choice->weights.part[TFRS_TOGETHER];
		case TRY_CONTENT:
			return &choice->weights.part[TFRS_LIKE_CONTENT];
		case TRY_TOWERS:
			return &choice->weights.towers;
		default:
			return &choice->weights.recent;
	}
}

static bool
part_is_open(const tfrs_part_choice *choice, size_t part)
{
	return !choice->test.given.part[part] && choice->test.fit->neighbours[part].count > 0;
}

static bool
is_open(const tfrs_part_choice *choice)
{
	switch (choice->tried)
	{
		case TRY_NEXT:
			return part_is_open(choice, TFRS_NEXT);
		case TRY_TOGETHER:
			return part_is_open(choice, TFRS_TOGETHER);
		case TRY_CONTENT:
			return part_is_open(choice, TFRS_LIKE_CONTENT);
		case TRY_TOWERS:
			return !choice->test.given.towers;
		default:
			return !choice->test.given.recent && choice->test.fit->recent != NULL;
	}
}

static bool
is_shown(const tfrs_part_choice *choice, size_t list)
{
	const tfrs_pair_set *withheld = choice->test.withheld;
	uint32_t	query = tfrs_pair_query(withheld->pairs[withheld->start[list]]);

	return tfrs_events_of(choice->test.shown, query).count > 0;
}

/* Some of the lists of queries that are shown, evenly spaced. */
static void
choose_queries(tfrs_part_choice *choice)
{
	size_t		lists = choice->test.withheld->lists;
	size_t		most = tfrs_size_smaller(MOST_QUERIES, MOST_SCORES / (choice->candidates + 1) + 1);
	size_t		shown = 0;
	size_t		passed = 0;

	for (size_t list = 0; list < lists; list++)
		shown += is_shown(choice, list);
	for (size_t list = 0; list < lists; list++)
	{
		if (!is_shown(choice, list))
			continue;
		if (shown <= most || passed * most / shown != (passed + 1) * most / shown)
			choice->list[choice->queries++] = list;
		passed++;
	}
}

static void
mark_known(tfrs_part_choice *choice)
{
	const tfrs_events *shown = choice->test.shown;

	for (size_t e = 0; e < shown->count; e++)
		choice->known[shown->candidate[e] / 64] |= UINT64_C(1) << shown->candidate[e] % 64;
}

static tfrs_status
get_memory(tfrs_part_choice *choice, tfrs_error *error)
{
	tfrs_arena *arena = choice->arena;
	size_t		threads = (size_t) choice->test.threads;
	size_t		lists = choice->test.withheld->lists;
	tfrs_status status = TFRS_GET(arena, &choice->list, lists, error);

	choice->scratch_stride = (TFRS_SCORE_PARTS + 2) * choice->candidates + choice->test.shape->dim;
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->gain,
						  tfrs_size_smaller(lists, MOST_QUERIES) * MOST_GRID, error);
	if (status == TFRS_OK)
		status = TFRS_GET(arena, &choice->scratch, threads * choice->scratch_stride, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &choice->known, choice->candidates / 64 + 1, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(arena, &choice->sums, threads, error);
	for (size_t t = 0; t < threads && status == TFRS_OK; t++)
		status = tfrs_part_sums_get(&choice->sums[t], arena, choice->candidates, error);
	return status;
}

tfrs_status
tfrs_part_choice_begin(tfrs_part_choice *choice, tfrs_arena *arena, const tfrs_part_test *test,
					   size_t candidates, const tfrs_part_weights *weights, tfrs_error *error)
{
	tfrs_status status;

	memset(choice, 0, sizeof(*choice));
	choice->arena = arena;
	choice->test = *test;
	choice->candidates = candidates;
	choice->weights = *weights;
	status = get_memory(choice, error);
	if (status != TFRS_OK)
	{
		tfrs_part_choice_free(choice);
		return status;
	}
	choose_queries(choice);
	mark_known(choice);
	return TFRS_OK;
}

void
tfrs_part_choice_free(tfrs_part_choice *choice)
{
	tfrs_arena *arena = choice->arena;

	if (arena == NULL)
		return;
	for (int t = 0; choice->sums != NULL && t < choice->test.threads; t++)
		tfrs_part_sums_release(&choice->sums[t], arena);
	tfrs_arena_release(arena, choice->sums);
	tfrs_arena_release(arena, choice->list);
	tfrs_arena_release(arena, choice->gain);
	tfrs_arena_release(arena, choice->scratch);
	tfrs_arena_release(arena, choice->known);
	memset(choice, 0, sizeof(*choice));
}

/* What one query's candidates get by each part, (N) each. */
typedef struct query_scores
{
	float	   *part[TFRS_SCORE_PARTS];
	float	   *towers;
	float	   *score;			/* room for what is being ranked */
	float	   *vector;			/* (D) */
} query_scores;

static query_scores
scores_of_worker(const tfrs_part_choice *choice, int worker)
{
	float	   *scratch = choice->scratch + (size_t) worker * choice->scratch_stride;
	size_t		n = choice->candidates;

	query_scores scores = {
		.towers = scratch + TFRS_SCORE_PARTS * n, .score = scratch + (TFRS_SCORE_PARTS + 1) * n,
		.vector = scratch + (TFRS_SCORE_PARTS + 2) * n
	};

	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		scores.part[p] = scratch + p * n;
	return scores;
}

static void
fill_part(const tfrs_part_choice *choice, size_t part, const tfrs_event_list *list,
		  tfrs_part_sums *sums, float *score)
{
	tfrs_score_parts parts = {.candidates = choice->candidates};

	memset(score, 0, choice->candidates * sizeof(float));
	if (choice->test.fit->neighbours[part].count == 0)
		return;
	parts.shape[part] = tfrs_score_part_of(part, 1);
	parts.neighbours[part] = choice->test.fit->neighbours[part];
	tfrs_score_parts_add(&parts, part, list, sums);
	for (size_t i = 0; i < sums->count; i++)
	{
		score[sums->touched[i]] = sums->sum[sums->touched[i]];
		sums->sum[sums->touched[i]] = 0;
	}
	sums->count = 0;
}

static void
fill_scores(const tfrs_part_choice *choice, const tfrs_event_list *list, tfrs_part_sums *sums,
			query_scores *scores)
{
	const tfrs_part_test *test = &choice->test;

	tfrs_tower_encode(test->shape, test->bag, list, scores->vector);
	tfrs_kernels.dot_rows(scores->vector, test->candidate, choice->candidates, test->shape->dim,
						  scores->towers);
	for (size_t p = 0; p < TFRS_SCORE_PARTS; p++)
		fill_part(choice, p, list, sums, scores->part[p]);
}

static void
mix(const tfrs_part_choice *choice, const tfrs_part_weights *weights, query_scores *scores)
{
	const tfrs_recent_popularity *recent = choice->test.fit->recent;

	for (size_t c = 0; c < choice->candidates; c++)
		scores->score[c] = weights->towers * scores->towers[c] +
			weights->part[TFRS_TOGETHER] * scores->part[TFRS_TOGETHER][c] +
			weights->part[TFRS_NEXT] * scores->part[TFRS_NEXT][c] +
			weights->part[TFRS_LIKE_CONTENT] * scores->part[TFRS_LIKE_CONTENT][c];
	for (size_t c = 0; recent != NULL && weights->recent != 0 && c < choice->candidates; c++)
		scores->score[c] += weights->recent * (recent->end[c] - recent->all[c]);
}

/* The withheld events of a query that can be ranked. */
typedef struct targets
{
	size_t		count;
	uint32_t	candidate[MOST_EVENTS];
	float		score[MOST_EVENTS];	/* ascending */
	size_t		above[MOST_EVENTS];	/* candidates that reach this one, and no better one */
} targets;

static bool
is_known(const tfrs_part_choice *choice, uint32_t candidate)
{
	return (choice->known[candidate / 64] >> candidate % 64 & 1) != 0;
}

/* Reads the targets' scores, and takes out of the ranking what the query has or has withheld. */
static void
take_targets(const tfrs_part_choice *choice, size_t list, const tfrs_event_list *shown,
			 float *score, targets *t)
{
	const tfrs_pair_set *withheld = choice->test.withheld;

	t->count = 0;
	for (size_t i = withheld->start[list]; i < withheld->start[list + 1]; i++)
	{
		uint32_t	candidate = tfrs_pair_candidate(withheld->pairs[i]);

		if (t->count < MOST_EVENTS && is_known(choice, candidate))
		{
			size_t		place = t->count++;

			for (; place > 0 && t->score[place - 1] > score[candidate]; place--)
				t->score[place] = t->score[place - 1];
			t->score[place] = score[candidate];
		}
		score[candidate] = -INFINITY;
	}
	for (size_t i = 0; i < shown->count; i++)
		score[shown->candidate[i]] = -INFINITY;
}

/* Mean over the targets of 1 / log2(1 + rank). */
static double
gain_of(const tfrs_part_choice *choice, const float *score, targets *t)
{
	size_t		better = 0;
	double		gain = 0;

	memset(t->above, 0, sizeof(t->above));
	for (uint32_t c = 0; c < choice->candidates && t->count > 0; c++)
	{
		size_t		place = 0;

		if (score[c] < t->score[0] || !is_known(choice, c))
			continue;
		while (place + 1 < t->count && score[c] >= t->score[place + 1])
			place++;
		t->above[place]++;
	}
	for (size_t i = t->count; i-- > 0;)
	{
		better += t->above[i];
		gain += 1 / log2(2.0 + (double) better);
	}
	return t->count > 0 ? gain / (double) t->count : 0;
}

/* A task: one query, by each value of the weight that is tried. */
static void
try_query(void *context, int worker, size_t task)
{
	tfrs_part_choice *choice = context;
	const tfrs_pair_set *withheld = choice->test.withheld;
	size_t		number = choice->done + task;
	size_t		list = choice->list[number];
	uint32_t	query = tfrs_pair_query(withheld->pairs[withheld->start[list]]);
	tfrs_event_list shown = tfrs_events_of(choice->test.shown, query);
	query_scores scores = scores_of_worker(choice, worker);
	tfrs_part_choice copy = *choice;
	targets		t;

	fill_scores(choice, &shown, &choice->sums[worker], &scores);
	for (size_t i = 0; i < grids[choice->tried].count; i++)
	{
		*tried_weight(&copy) = grids[choice->tried].value[i];
		mix(choice, &copy.weights, &scores);
		take_targets(choice, list, &shown, scores.score, &t);
		choice->gain[number * MOST_GRID + i] = (float) gain_of(choice, scores.score, &t);
	}
}

static size_t
place_in_grid(const grid *grid, float value)
{
	for (size_t i = 0; i < grid->count; i++)
		if (grid->value[i] == value)
			return i;
	return 0;
}

/* Mean and standard error, over the queries, of what value i gains over the one in use. */
static double
gained(const tfrs_part_choice *choice, size_t i, size_t used, double *standard_error)
{
	double		n = (double) choice->queries;
	double		sum = 0;
	double		squares = 0;

	for (size_t q = 0; q < choice->queries; q++)
	{
		double		more = (double) choice->gain[q * MOST_GRID + i] -
			choice->gain[q * MOST_GRID + used];

		sum += more;
		squares += more * more;
	}
	*standard_error = sqrt(fmax(0, squares / n - sum / n * (sum / n)) / n);
	return sum / n;
}

static void
take_best(tfrs_part_choice *choice)
{
	const grid *grid = &grids[choice->tried];
	size_t		used = place_in_grid(grid, *tried_weight(choice));
	size_t		best = used;
	double		most = 0;

	for (size_t i = 0; i < grid->count; i++)
	{
		double		standard_error;
		double		gain = gained(choice, i, used, &standard_error);

		gain -= ERRORS * standard_error;
		if (gain <= most)
			continue;
		most = gain;
		best = i;
	}
	*tried_weight(choice) = grid->value[best];
}

static tfrs_status
try_queries(tfrs_part_choice *choice)
{
	size_t		each = choice->candidates * (grids[choice->tried].count + 8);
	size_t		tasks = STEP_SCORES * (size_t) choice->test.threads / each + 1;

	if (!is_open(choice) || choice->queries < 2)
		return TFRS_OK;
	tasks = tfrs_size_smaller(tasks, choice->queries - choice->done);
	tfrs_team_run(choice->test.threads, tasks, try_query, choice);
	choice->done += tasks;
	if (choice->done < choice->queries)
		return TFRS_MORE;
	take_best(choice);
	return TFRS_OK;
}

/* Withheld events of queries that are not shown which are on the list of the largest values. */
static size_t
listed_events(const tfrs_part_choice *choice, const float *value)
{
	const tfrs_pair_set *withheld = choice->test.withheld;
	tfrs_hit	hits[LISTED] = {{0, 0}};
	tfrs_topk	topk;
	size_t		found = 0;

	tfrs_topk_init(&topk, hits, tfrs_size_smaller(LISTED, choice->candidates));
	for (uint32_t c = 0; c < choice->candidates; c++)
		tfrs_topk_push(&topk, value[c], c);
	for (size_t list = 0; list < withheld->lists; list++)
		for (size_t i = withheld->start[list];
			 i < withheld->start[list + 1] && !is_shown(choice, list); i++)
			for (size_t h = 0; h < topk.count; h++)
				found += hits[h].row == tfrs_pair_candidate(withheld->pairs[i]);
	return found;
}

static void
choose_list(tfrs_part_choice *choice)
{
	const tfrs_recent_popularity *recent = choice->test.fit->recent;

	choice->weights.trending = recent != NULL &&
		listed_events(choice, recent->end) >= listed_events(choice, recent->all);
}

tfrs_status
tfrs_part_choice_step(tfrs_part_choice *choice)
{
	tfrs_status status = TFRS_OK;

	if (choice->tried < LIST)
		status = try_queries(choice);
	else if (choice->tried == LIST)
		choose_list(choice);
	if (status == TFRS_OK && choice->tried < CHOSEN)
	{
		choice->tried++;
		choice->done = 0;
	}
	return choice->tried < CHOSEN ? TFRS_MORE : TFRS_OK;
}

void
tfrs_part_choice_progress(const tfrs_part_choice *choice, uint64_t *done, uint64_t *total)
{
	uint64_t	tried = choice->tried < LIST ? (uint64_t) choice->tried : LIST;

	*total = LIST * (uint64_t) choice->queries;
	*done = tried * choice->queries + choice->done;
}
