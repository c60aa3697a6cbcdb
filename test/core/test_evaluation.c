/*
 * test_evaluation.c: an evaluation against full sorts, query by query.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"
#include "base/random.h"
#include "base/topk.h"
#include "check.h"
#include "learning/evaluation.h"

#define QUERIES 300				/* V */
#define UNKNOWN 5				/* queries, and candidates, that the model does not know */
#define MOST_CANDIDATES 2600
#define MOST_DIM 12
#define MOST_PAIRS 20000
#define MOST_CUTOFFS 4

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
}

/* A model of plain tables with events, and a test. */
typedef struct world
{
	tfrs_model_shape shape;
	tfrs_model	model;
	float		query_table[(QUERIES + 1) * MOST_DIM];
	tfrs_tower_shape tower;
	float		candidate_table[(MOST_CANDIDATES + 1) * MOST_DIM];
	uint32_t	counts[MOST_CANDIDATES];
	uint64_t	offsets[QUERIES + 1];
	uint32_t	candidate[MOST_PAIRS];
	uint64_t	relevant[MOST_PAIRS];	/* as they are given: in any order, repeated */
	size_t		relevant_count;
	uint64_t	excluded[MOST_PAIRS];
	size_t		excluded_count;
} world;

static world world_;

static void
fill_tables(world *world, tfrs_random *random)
{
	size_t		dim = world->shape.dim;
	size_t		candidates = world->model.candidate_ids.count;

	for (size_t i = 0; i < (QUERIES + 1) * dim; i++)
		world->query_table[i] = tfrs_random_normal(random);
	for (size_t i = 0; i < (candidates + 1) * dim; i++)
		world->candidate_table[i] = tfrs_random_normal(random);
	/* a third of the candidates are copies of others */
	for (size_t n = 0; n < candidates / 3; n++)
		memcpy(world->candidate_table + tfrs_random_below(random, (uint32_t) candidates) * dim,
			   world->candidate_table + tfrs_random_below(random, (uint32_t) candidates) * dim,
			   dim * sizeof(float));
}

static void
fill_events(world *world, tfrs_random *random)
{
	uint32_t	candidates = (uint32_t) world->model.candidate_ids.count;
	size_t		count = 0;

	for (size_t q = 0; q < QUERIES; q++)
	{
		uint32_t	step = 1 + tfrs_random_below(random, 7);
		uint32_t	first = tfrs_random_below(random, candidates);
		uint32_t	events = tfrs_random_below(random, 30);

		world->offsets[q] = count;
		for (uint32_t e = 0; e < events && e * step < candidates; e++)
		{
			world->candidate[count] = (first + e * step) % candidates;
			world->counts[world->candidate[count++]]++;
		}
	}
	world->offsets[QUERIES] = count;
}

static void
fill_pairs(const world *world, tfrs_random *random, uint64_t *pairs, size_t count, uint32_t beyond)
{
	uint32_t	candidates = (uint32_t) world->model.candidate_ids.count + beyond;

	for (size_t i = 0; i < count; i++)
		pairs[i] = (uint64_t) tfrs_random_below(random, QUERIES + UNKNOWN) << 32 |
			tfrs_random_below(random, candidates);
}

static world *
make_world(uint32_t candidates, uint32_t dim, float temperature)
{
	world	   *world = &world_;
	tfrs_random random;

	memset(world, 0, sizeof(*world));
	tfrs_random_init(&random, 1, candidates, dim);
	world->shape = (tfrs_model_shape) {.dim = dim, .temperature = temperature};
	world->model.shape = &world->shape;
	world->model.query_ids.count = QUERIES;
	world->model.candidate_ids.count = candidates;
	world->model.query_table = world->query_table;
	world->tower = (tfrs_tower_shape) {.dim = world->shape.dim,.temperature = 1.0f};
	world->model.tower = &world->tower;
	world->model.candidate_table = world->candidate_table;
	world->model.candidate_counts = world->counts;
	fill_tables(world, &random);
	fill_events(world, &random);
	world->model.has_events = true;
	world->model.events = (tfrs_events) {
		.queries = QUERIES, .count = world->offsets[QUERIES], .offsets = world->offsets,
		.candidate = world->candidate
	};
	world->relevant_count = 2500;
	fill_pairs(world, &random, world->relevant, world->relevant_count, UNKNOWN);
	world->excluded_count = 3000;
	fill_pairs(world, &random, world->excluded, world->excluded_count, 0);
	return world;
}

static const uint32_t cutoffs[MOST_CUTOFFS] = {1, 5, 10, 200};

/* What one query's part of the test comes to, by a full sort. */
typedef struct expectation
{
	tfrs_metrics metrics[MOST_CUTOFFS];
	bool		covered[MOST_CUTOFFS][MOST_CANDIDATES];
	double		loss;
	size_t		known_pairs;
	size_t		pairs;
	size_t		queries;
} expectation;

typedef enum candidate_state
{
	PLAIN = 0,
	RELEVANT = 1,
	LEFT_OUT = 2
} candidate_state;

static void
set_states(const world *world, uint32_t query, bool keep_seen, unsigned char *states,
		   size_t *unknown)
{
	size_t		candidates = world->model.candidate_ids.count;
	bool		unknown_one[UNKNOWN] = {false};

	memset(states, PLAIN, candidates);
	*unknown = 0;
	for (size_t i = 0; i < world->relevant_count; i++)
	{
		uint32_t	candidate = tfrs_pair_candidate(world->relevant[i]);

		if (tfrs_pair_query(world->relevant[i]) != query)
			continue;
		if (candidate < candidates)
			states[candidate] = RELEVANT;
		else
			unknown_one[candidate - candidates] = true;
	}
	for (size_t i = 0; i < UNKNOWN; i++)
		*unknown += unknown_one[i];
	for (size_t i = 0; i < world->excluded_count; i++)
		if (tfrs_pair_query(world->excluded[i]) == query)
			states[tfrs_pair_candidate(world->excluded[i])] = LEFT_OUT;
	if (query < QUERIES && world->model.has_events && !keep_seen)
		for (uint64_t e = world->offsets[query]; e < world->offsets[query + 1]; e++)
			states[world->candidate[e]] = LEFT_OUT;
}

static int
compare_hits(const void *a, const void *b)
{
	const tfrs_hit *x = a;
	const tfrs_hit *y = b;

	return tfrs_hit_before(*x, *y) ? -1 : tfrs_hit_before(*y, *x);
}

static void
expect_ranking(expectation *expected, tfrs_hit *hits, size_t count, const unsigned char *states,
			   size_t relevant)
{
	uint32_t	ranks[MOST_CANDIDATES];
	size_t		found = 0;

	qsort(hits, count, sizeof(*hits), compare_hits);
	for (size_t place = 0; place < count; place++)
	{
		if (states[hits[place].row] == RELEVANT)
			ranks[found++] = (uint32_t) place + 1;
		for (size_t c = 0; c < MOST_CUTOFFS; c++)
			if (place < cutoffs[c])
				expected->covered[c][hits[place].row] = true;
	}
	for (size_t c = 0; c < MOST_CUTOFFS; c++)
		tfrs_metrics_add(&expected->metrics[c], ranks, found, relevant, 1.0);
}

static void
expect_query(expectation *expected, const world *world, uint32_t query, bool keep_seen)
{
	size_t		candidates = world->model.candidate_ids.count;
	size_t		dim = world->shape.dim;
	const float *vector = world->query_table + (query < QUERIES ? query : QUERIES) * dim;
	unsigned char states[MOST_CANDIDATES];
	tfrs_hit	hits[MOST_CANDIDATES];
	size_t		count = 0;
	size_t		known = 0;
	size_t		unknown;
	double		total = 0;
	double		own = 0;

	set_states(world, query, keep_seen, states, &unknown);
	for (uint32_t n = 0; n < candidates; n++)
	{
		float		score = tfrs_kernels.dot(vector, world->candidate_table + n * dim, dim);

		if (states[n] == LEFT_OUT)
			continue;
		hits[count++] = (tfrs_hit) {score, n};
		total += exp((double) score / world->shape.temperature);
		own += states[n] == RELEVANT ? (double) score / world->shape.temperature : 0;
		known += states[n] == RELEVANT;
	}
	if (known + unknown == 0)
		return;
	expected->queries++;
	expected->pairs += known + unknown;
	expected->known_pairs += known;
	if (known > 0)
		expected->loss += (double) known * log(total) - own;
	expect_ranking(expected, hits, count, states, known + unknown);
}

static void
expect(expectation *expected, const world *world, bool keep_seen)
{
	memset(expected, 0, sizeof(*expected));
	for (size_t c = 0; c < MOST_CUTOFFS; c++)
		tfrs_metrics_init(&expected->metrics[c], cutoffs[c]);
	for (uint32_t q = 0; q < QUERIES + UNKNOWN; q++)
		expect_query(expected, world, q, keep_seen);
	for (size_t c = 0; c < MOST_CUTOFFS; c++)
		tfrs_metrics_finish(&expected->metrics[c]);
}

static tfrs_status
fill_set(tfrs_pair_set *set, tfrs_arena *arena, const uint64_t *pairs, size_t count,
		 tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	tfrs_pair_set_init(set, arena);
	for (size_t i = 0; status == TFRS_OK && i < count; i++)
		status = tfrs_pair_set_add(set, tfrs_pair_query(pairs[i]), tfrs_pair_candidate(pairs[i]),
								   error);
	if (status == TFRS_OK)
		while ((status = tfrs_pair_set_finish_step(set, error)) == TFRS_MORE)
			;
	return status;
}

static tfrs_status
run_steps(tfrs_evaluation *evaluation, tfrs_evaluation_result *result, tfrs_error *error)
{
	tfrs_status status;

	while ((status = tfrs_evaluation_step(evaluation, error)) == TFRS_MORE)
		;
	*result = *tfrs_evaluation_result_of(evaluation);
	tfrs_evaluation_destroy(evaluation);
	return status;
}

static tfrs_status
run(const world *world, tfrs_arena *arena, bool keep_seen, int threads,
	tfrs_evaluation_result *result, tfrs_error *error)
{
	tfrs_evaluation_options options;
	tfrs_evaluation *evaluation;
	tfrs_pair_set relevant;
	tfrs_pair_set excluded;
	tfrs_evaluation_test test = {&world->model, &relevant, &excluded};
	tfrs_status status = fill_set(&relevant, arena, world->relevant, world->relevant_count, error);

	if (status == TFRS_OK)
		status = fill_set(&excluded, arena, world->excluded, world->excluded_count, error);
	tfrs_evaluation_options_default(&options);
	memcpy(options.cutoffs, cutoffs, sizeof(cutoffs));
	options.cutoff_count = MOST_CUTOFFS;
	options.keep_seen = keep_seen;
	options.threads = threads;
	if (status == TFRS_OK)
		status = tfrs_evaluation_begin(&evaluation, arena, &test, &options, error);
	if (status == TFRS_OK)
		status = run_steps(evaluation, result, error);
	tfrs_arena_free(arena);
	return status;
}

static void
check_metrics(const tfrs_metrics *got, const tfrs_metrics *expected)
{
	CHECK_NEAR(got->hit, expected->hit, 1e-12);
	CHECK_NEAR(got->recall, expected->recall, 1e-12);
	CHECK_NEAR(got->capped_recall, expected->capped_recall, 1e-12);
	CHECK_NEAR(got->precision, expected->precision, 1e-12);
	CHECK_NEAR(got->ndcg, expected->ndcg, 1e-12);
	CHECK_NEAR(got->mrr, expected->mrr, 1e-12);
	CHECK_NEAR(got->map, expected->map, 1e-12);
}

static void
check_result(const tfrs_evaluation_result *got, const expectation *expected, size_t candidates)
{
	const tfrs_figures *figures = &got->figures[TFRS_RANKING_MODEL];

	CHECK_EQUAL(got->queries, expected->queries);
	CHECK_EQUAL(got->pairs, expected->pairs);
	CHECK_EQUAL(got->pairs - got->unknown_pairs, expected->known_pairs);
	CHECK_EQUAL(got->unknown_queries, UNKNOWN);
	CHECK_NEAR(got->loss, expected->loss / (double) expected->known_pairs, 1e-5 * got->loss);
	for (size_t c = 0; c < MOST_CUTOFFS; c++)
	{
		size_t		covered = 0;

		for (size_t n = 0; n < candidates; n++)
			covered += expected->covered[c][n];
		CHECK_EQUAL(figures->covered[c], covered);
		check_metrics(&figures->metrics[c], &expected->metrics[c]);
	}
}

static void
check_world(uint32_t candidates, uint32_t dim, float temperature)
{
	static expectation expected;
	const world *world = make_world(candidates, dim, temperature);
	tfrs_evaluation_result alone;
	tfrs_evaluation_result result;

	for (int keep_seen = 0; keep_seen < 2; keep_seen++)
	{
		expect(&expected, world, keep_seen);
		CHECK_OK(run(world, check_arena(), keep_seen, 1, &alone, &check_error));
		check_result(&alone, &expected, candidates);
		CHECK(alone.ranked[TFRS_RANKING_POPULARITY] && alone.ranked[TFRS_RANKING_ITEM_ITEM]);
		CHECK_OK(run(world, check_arena(), keep_seen, 3, &result, &check_error));
		CHECK(memcmp(&result, &alone, sizeof(result)) == 0);
	}
}

CHECK_TEST(few_candidates)
{
	check_world(7, 3, 1.0f);
	check_world(150, 12, 0.2f);
}

/* A block, and several, the last one shorter. */
CHECK_TEST(blocks_of_candidates)
{
	check_world(2040, 8, 1.0f);
	check_world(2600, 5, 2.0f);
}

/*
 * The ranking of our tiles and of the library's differ in no bit; the loss may, in the last ones.
 */
CHECK_TEST(library_and_own_tiles_agree)
{
	const world *world = make_world(2600, 8, 1.0f);
	tfrs_evaluation_result library;
	tfrs_evaluation_result own;

	CHECK_OK(run(world, check_arena(), false, 1, &library, &check_error));
	tfrs_matmul_use_blas(false);
	CHECK_OK(run(world, check_arena(), false, 1, &own, &check_error));
	tfrs_matmul_use_blas(true);
	CHECK_NEAR(own.loss, library.loss, 1e-6 * library.loss);
	own.loss = library.loss;
	CHECK(memcmp(&own, &library, sizeof(own)) == 0);
}

/* Popularity by hand: candidate 2 was chosen by all, 0 and 1 by one each; query 0 has chosen 2. */
CHECK_TEST(popularity_leaves_out_what_is_seen)
{
	world	   *world = make_world(4, 2, 1.0f);
	tfrs_evaluation_result result;
	const tfrs_metrics *metrics = result.figures[TFRS_RANKING_POPULARITY].metrics;

	for (size_t q = 0; q < QUERIES; q++)
		world->offsets[q] = q;
	world->offsets[QUERIES] = world->model.events.count = QUERIES;
	for (size_t q = 0; q < QUERIES; q++)
		world->candidate[q] = 2;
	world->candidate[10] = 1;
	world->candidate[11] = 0;
	world->excluded_count = 0;
	world->relevant_count = 2;
	world->relevant[0] = 1;		/* query 0: second after 0 */
	world->relevant[1] = (uint64_t) 10 << 32 | 2;	/* query 10: the first */
	CHECK_OK(run(world, check_arena(), false, 1, &result, &check_error));
	CHECK_NEAR(metrics[0].hit, 0.5, 0);
	CHECK_NEAR(metrics[1].mrr, 0.75, 0);
	CHECK_EQUAL(result.left_out_pairs, 0);
	world->relevant[2] = 2;		/* query 0 has it already */
	world->relevant_count = 3;
	CHECK_OK(run(world, check_arena(), false, 1, &result, &check_error));
	CHECK_EQUAL(result.left_out_pairs, 1);
	CHECK_EQUAL(result.pairs, 2);
	CHECK_NEAR(metrics[1].mrr, 0.75, 0);
}

CHECK_TEST(without_events_there_is_no_item_item)
{
	static expectation expected;
	world	   *world = make_world(60, 4, 1.0f);
	tfrs_evaluation_result result;

	world->model.has_events = false;
	expect(&expected, world, false);
	CHECK_OK(run(world, check_arena(), false, 2, &result, &check_error));
	check_result(&result, &expected, 60);
	CHECK(result.ranked[TFRS_RANKING_POPULARITY] && !result.ranked[TFRS_RANKING_ITEM_ITEM]);
}

CHECK_TEST(scores_that_overflow)
{
	world	   *world = make_world(60, 4, 1.0f);
	tfrs_evaluation_result result;

	for (size_t i = 0; i < 4; i++)
		world->query_table[20 * 4 + i] = world->candidate_table[i] = 1e20f;
	CHECK_STATUS(run(world, check_arena(), false, 2, &result, &check_error), TFRS_NOT_FINITE);
}

CHECK_TEST(nothing_to_test)
{
	world	   *world = make_world(60, 4, 1.0f);
	tfrs_evaluation_result result;

	world->relevant_count = 0;
	CHECK_OK(run(world, check_arena(), false, 2, &result, &check_error));
	CHECK_EQUAL(result.queries, 0);
	CHECK_NEAR(result.loss, 0, 0);
}

CHECK_TEST(options)
{
	tfrs_evaluation_options options;

	tfrs_evaluation_options_default(&options);
	CHECK(tfrs_evaluation_options_check(&options) == NULL);
	options.cutoffs[1] = 1;
	CHECK(tfrs_evaluation_options_check(&options) != NULL);
	tfrs_evaluation_options_default(&options);
	options.cutoffs[5] = TFRS_MAX_CUTOFF + 1;
	CHECK(tfrs_evaluation_options_check(&options) != NULL);
	options.cutoff_count = 0;
	CHECK(tfrs_evaluation_options_check(&options) != NULL);
}

static tfrs_status
evaluate_small(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_evaluation_result result;

	return run(make_world(60, 4, 1.0f), arena, false, 2, &result, error);
}

CHECK_TEST(lack_of_memory)
{
	check_lack_of_memory(evaluate_small);
}
