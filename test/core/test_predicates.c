/*
 * test_predicates.c: what an index promises under predicates.
 *
 * k means k: there are fewer rows only where fewer are allowed, whatever is excluded, asked for
 * among or demanded as a score, on data of every kind.  A tree keeps the recall that it was tuned
 * to where its best rows are not allowed.  Infinite scores are in the order of what they are
 * rounded from.  test_index.c has the searches that must be exact.
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "check.h"
#include "retrieval/index.h"

#define COUNT 4000
#define DIM 16
#define QUERIES 8

/* For recall. */
#define MANY 12000
#define ASKED 40

typedef enum shape
{
	CLUSTERS,					/* far apart; queries lie between them */
	ONE_CLUSTER,
	NORMAL,
	POWER_NORMS,
	EQUAL,						/* one row, again and again */
	ZEROS,
	DENORMAL,
	HUGE_VALUES,				/* norms beyond float */
	MIXED,						/* norms from 1e-30 to 1e30 */
	SHAPES
} shape;

typedef enum filter
{
	NO_FILTER,
	EXCLUDE_BEST,				/* 10, or 90, or 300 of them */
	EXCLUDE_HALF,
	EXCLUDE_MOST,				/* all but a few rows */
	AMONG_HALF,
	AMONG_WORST,				/* the tenth that is farthest from the query */
	AMONG_WITHOUT,				/* of those the better half excluded */
	AMONG_FEW,
	MIN_SCORE,					/* some rows reach it */
	MIN_SCORE_WITHOUT,			/* and the best of them are excluded */
	FILTERS
} filter;

typedef struct data
{
	tfrs_metric metric;
	size_t		count;
	float	   *rows;			/* (count, DIM) */
	float	   *queries;		/* (QUERIES, DIM) */
} data;

static const tfrs_metric metrics[] = {TFRS_METRIC_DOT, TFRS_METRIC_COSINE, TFRS_METRIC_L2};

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

static float
norm_of(shape shape, tfrs_random *random)
{
	switch (shape)
	{
		case POWER_NORMS:
			return powf(tfrs_random_float(random) + 1e-4f, -0.4f);
		case ZEROS:
			return 0;
		case DENORMAL:
			return 1e-42f;
		case HUGE_VALUES:
			return 5e37f;
		case MIXED:
			return powf(10, 60 * tfrs_random_float(random) - 30);
		default:
			return 1;
	}
}

static void
fill(shape shape, float *x, uint32_t cluster, tfrs_random *random)
{
	tfrs_random centre;
	float		norm = norm_of(shape, random);
	float		apart = shape == CLUSTERS ? 10 : shape == POWER_NORMS ? 2 : 0;

	tfrs_random_init(&centre, 3, shape == ONE_CLUSTER || shape == EQUAL ? 0 : cluster, 0);
	for (size_t d = 0; d < DIM; d++)
	{
		float		middle = tfrs_random_normal(&centre);
		float		own = tfrs_random_normal(random);

		x[d] = norm * (shape == EQUAL ? middle : shape == ONE_CLUSTER ? 30 * middle + own
					   : apart * middle + own);
	}
}

/* Queries lie between the clusters. */
static data
make_data(shape shape, tfrs_metric metric, size_t count)
{
	data		made = {metric, count, NULL, NULL};
	tfrs_random random;

	CHECK_OK(TFRS_GET(check_arena(), &made.rows, count * DIM, &check_error));
	CHECK_OK(TFRS_GET(check_arena(), &made.queries, QUERIES * DIM, &check_error));
	tfrs_random_init(&random, 7, (uint64_t) shape, 0);
	for (size_t i = 0; i < count; i++)
		fill(shape, made.rows + i * DIM, tfrs_random_below(&random, 40), &random);
	for (size_t i = 0; i < QUERIES; i++)
		fill(shape == CLUSTERS || shape == ONE_CLUSTER ? NORMAL : shape,
			 made.queries + i * DIM, (uint32_t) i, &random);
	return made;
}

static tfrs_index_builder *
build(const data *from, tfrs_quantization quantization, float target)
{
	tfrs_index_builder *builder;
	tfrs_index_options options;
	tfrs_status status;
	double		share;

	tfrs_index_options_default(&options);
	options.kind = quantization == TFRS_QUANTIZATION_NONE ? TFRS_INDEX_EXACT : TFRS_INDEX_TREE;
	options.quantization = quantization;
	options.metric = from->metric;
	options.target_recall = target;
	CHECK_OK(tfrs_index_builder_begin(&builder, check_arena(), &options, from->rows, from->count,
									  DIM, &check_error));
	while ((status = tfrs_index_builder_step(builder, &share, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
	return builder;
}

/* One search, with what it finds and what there is. */
typedef struct question
{
	const data *from;
	const float *query;
	tfrs_search search;
	tfrs_hit   *order;			/* (count): all rows, best first, by the full scan */
	size_t		order_count;
	uint32_t   *excluded;		/* (count) */
	uint32_t   *among;			/* (count) */
	tfrs_hit   *truth;			/* (count): the best of those that are allowed */
	size_t		truth_count;
	tfrs_hit   *hits;			/* (count) */
	size_t		hit_count;
} question;

static void
get_room(question *question, const data *from)
{
	tfrs_arena *arena = check_arena();

	memset(question, 0, sizeof(*question));
	question->from = from;
	CHECK_OK(TFRS_GET(arena, &question->order, from->count, &check_error));
	CHECK_OK(TFRS_GET(arena, &question->excluded, from->count, &check_error));
	CHECK_OK(TFRS_GET(arena, &question->among, from->count, &check_error));
	CHECK_OK(TFRS_GET(arena, &question->truth, from->count, &check_error));
	CHECK_OK(TFRS_GET(arena, &question->hits, from->count, &check_error));
}

static size_t
search_index(const question *question, const tfrs_index *index, const tfrs_search *search,
			 tfrs_hit *hits)
{
	size_t		count;

	CHECK_OK(tfrs_index_search(index, question->query, search, check_arena(), hits, &count,
							   &check_error));
	return count;
}

static size_t
search_all(const question *question, const tfrs_search *search, tfrs_hit *hits)
{
	const data *from = question->from;
	tfrs_index	plain = tfrs_index_over(from->rows, from->count, DIM, from->metric);

	return search_index(question, &plain, search, hits);
}

static void
set_query(question *question, const float *query)
{
	tfrs_search search;

	question->query = query;
	tfrs_search_default(&search);
	search.k = question->from->count;
	question->order_count = search_all(question, &search, question->order);
	CHECK_EQUAL(question->order_count, question->from->count);
}

static int
compare_rows(const void *a, const void *b)
{
	uint32_t	left = *(const uint32_t *) a;
	uint32_t	right = *(const uint32_t *) b;

	return left < right ? -1 : left > right;
}

/* rows[0 .. end - first) = those ranks, in the order of rows. */
static size_t
list_ranks(const question *question, size_t first, size_t end, uint32_t *rows)
{
	for (size_t i = first; i < end; i++)
		rows[i - first] = question->order[i].row;
	qsort(rows, end - first, sizeof(*rows), compare_rows);
	return end - first;
}

/* About that share of all rows. */
static size_t
list_random(const question *question, float share, uint64_t seed, uint32_t *rows)
{
	tfrs_random random;
	size_t		count = 0;

	tfrs_random_init(&random, seed, 5, 0);
	for (uint32_t row = 0; row < question->from->count; row++)
		if (tfrs_random_float(&random) < share)
			rows[count++] = row;
	return count;
}

static void
exclude(question *question, size_t count)
{
	question->search.excluded = question->excluded;
	question->search.excluded_count = count;
}

static void
ask_among(question *question, size_t count)
{
	question->search.has_among = true;
	question->search.among = question->among;
	question->search.among_count = count;
}

/* Sets the predicates; round makes them different. */
static void
set_filter(question *question, filter filter, size_t round)
{
	static const size_t bests[] = {10, 90, 300};
	size_t		count = question->from->count;
	size_t		best = bests[round % 3];

	tfrs_search_default(&question->search);
	if (filter == EXCLUDE_BEST || filter == MIN_SCORE_WITHOUT)
		exclude(question, list_ranks(question, 0, best, question->excluded));
	if (filter == EXCLUDE_HALF || filter == EXCLUDE_MOST)
		exclude(question, list_random(question, filter == EXCLUDE_HALF ? 0.5f : 0.995f, round,
									  question->excluded));
	if (filter == AMONG_HALF || filter == AMONG_FEW)
		ask_among(question, list_random(question, filter == AMONG_HALF ? 0.5f : 0.005f, round,
										question->among));
	if (filter == AMONG_WORST || filter == AMONG_WITHOUT)
		ask_among(question, list_ranks(question, count - count / 10, count, question->among));
	if (filter == AMONG_WITHOUT)
		exclude(question, list_ranks(question, count - count / 10, count - count / 20,
									 question->excluded));
	if (filter == MIN_SCORE)
		question->search.min_score = question->order[round % 5 * 20].score;
	if (filter == MIN_SCORE_WITHOUT)
		question->search.min_score = question->order[best + round % 5 * 20].score;
}

static bool
allows(const tfrs_search *search, tfrs_hit hit)
{
	return hit.score >= search->min_score && tfrs_search_allows(search, hit.row);
}

static bool
are_distinct(const tfrs_hit *hits, size_t count)
{
	static bool found[MANY];
	bool		distinct = true;

	memset(found, 0, sizeof(found));
	for (size_t i = 0; i < count; i++)
	{
		distinct &= !found[hits[i].row];
		found[hits[i].row] = true;
	}
	return distinct;
}

/* As many as the full scan finds, allowed, distinct, in order, with the scores that they have. */
static void
check_hits(const question *question, const tfrs_hit *hits, size_t count)
{
	const data *from = question->from;
	tfrs_corpus corpus = {from->metric, from->count, DIM, from->rows, NULL};
	tfrs_scorer scorer;

	CHECK_EQUAL(count, question->truth_count);
	CHECK_OK(tfrs_scorer_init(&scorer, &corpus, question->query, &check_error));
	for (size_t i = 0; i < count; i++)
	{
		CHECK(hits[i].score == tfrs_scorer_score(&scorer, hits[i].row));
		CHECK(allows(&question->search, hits[i]));
		CHECK(i == 0 || hits[i - 1].score >= hits[i].score);
	}
	CHECK(are_distinct(hits, count));
}

static void
ask_many(const question *question, const tfrs_index *index)
{
	float		queries[3 * DIM];
	tfrs_search searches[3] = {question->search, question->search, question->search};
	size_t		counts[3];
	size_t		stride = question->search.k;
	tfrs_hit   *hits;
	tfrs_index_many *many;

	CHECK_OK(TFRS_GET(check_arena(), &hits, 3 * stride, &check_error));
	for (size_t i = 0; i < 3; i++)
		memcpy(queries + i * DIM, question->query, DIM * sizeof(float));
	CHECK_OK(tfrs_index_many_begin(&many, index, &(tfrs_index_queries) {3, queries, searches, 2,
								   stride, hits, counts}, check_arena(), &check_error));
	while (tfrs_index_many_step(many) == TFRS_MORE)
		;
	tfrs_index_many_destroy(many);
	for (size_t i = 0; i < 3; i++)
		check_hits(question, hits + i * stride, counts[i]);
	tfrs_arena_release(check_arena(), hits);
}

static void
ask_all(question *question, const tfrs_index *index)
{
	static const size_t ks[] = {1, 3, 10, 60, 1500};

	for (size_t q = 0; q < QUERIES; q++)
	{
		set_query(question, question->from->queries + q * DIM);
		for (int filter = 0; filter < FILTERS; filter++)
		{
			set_filter(question, (enum filter) filter, q);
			question->search.k = ks[(q + (size_t) filter) % 5];
			question->truth_count = search_all(question, &question->search, question->truth);
			question->hit_count = search_index(question, index, &question->search,
											   question->hits);
			check_hits(question, question->hits, question->hit_count);
			if (q == 0)
				ask_many(question, index);
		}
	}
}

CHECK_TEST(k_means_k_under_every_predicate)
{
	for (int shape = 0; shape < SHAPES; shape++)
	{
		for (size_t m = 0; m < 3; m++)
		{
			data		made = make_data((enum shape) shape, metrics[m], COUNT);
			question	question;

			get_room(&question, &made);
			for (int q = TFRS_QUANTIZATION_NONE; q <= TFRS_QUANTIZATION_INT8; q++)
			{
				tfrs_index_builder *builder = build(&made, (tfrs_quantization) q, 0.9f);
				tfrs_index	index = tfrs_index_builder_index(builder);

				ask_all(&question, &index);
				tfrs_index_builder_destroy(builder);
			}
		}
	}
}

/* The least that a search may be told to do is no reason for fewer rows. */
CHECK_TEST(k_means_k_with_the_least_effort)
{
	data		made = make_data(CLUSTERS, TFRS_METRIC_L2, COUNT);
	tfrs_index_builder *builder = build(&made, TFRS_QUANTIZATION_INT8, 0.9f);
	tfrs_index	index = tfrs_index_builder_index(builder);
	question	question;

	get_room(&question, &made);
	for (size_t q = 0; q < QUERIES; q++)
	{
		set_query(&question, made.queries + q * DIM);
		for (int filter = 0; filter < FILTERS; filter++)
		{
			set_filter(&question, (enum filter) filter, q);
			question.search.leaves_to_search = q % 2;
			question.search.rerank = (q + 1) % 2;
			question.truth_count = search_all(&question, &question.search, question.truth);
			question.hit_count = search_index(&question, &index, &question.search, question.hits);
			check_hits(&question, question.hits, question.hit_count);
		}
	}
	tfrs_index_builder_destroy(builder);
}

/* Of the rows that a search with that filter is to find, the share that it does. */
static double
recall_under(question *question, const tfrs_index *index, filter filter, size_t round)
{
	const data *from = question->from;
	size_t		found = 0;
	size_t		wanted = 0;

	for (size_t i = 0; i < ASKED; i++)
	{
		set_query(question, from->rows + (i * 7919 + 5) % from->count * DIM);
		set_filter(question, filter, round < 3 ? round : i);
		question->truth_count = search_all(question, &question->search, question->truth);
		question->hit_count = search_index(question, index, &question->search, question->hits);
		CHECK_EQUAL(question->hit_count, question->truth_count);
		wanted += question->truth_count;
		for (size_t j = 0; j < question->hit_count; j++)
			found += question->hits[j].score >= question->truth[question->truth_count - 1].score;
	}
	return (double) found / (double) wanted;
}

/* What is measured on so few queries may be that much lower. */
#define NOISE 0.03

CHECK_TEST(recall_under_predicates_is_the_tuned_one)
{
	static const shape shapes[] = {CLUSTERS, POWER_NORMS, NORMAL};

	for (size_t m = 0; m < 3; m++)
	{
		data		made = make_data(shapes[m], metrics[m], MANY);
		tfrs_index_builder *builder = build(&made, TFRS_QUANTIZATION_INT8, 0.95f);
		tfrs_index	index = tfrs_index_builder_index(builder);
		question	question;

		get_room(&question, &made);
		for (size_t round = 0; round < 3; round++)
			CHECK(recall_under(&question, &index, EXCLUDE_BEST, round) > 0.95 - NOISE);
		for (int filter = EXCLUDE_HALF; filter < FILTERS; filter++)
			CHECK(recall_under(&question, &index, (enum filter) filter, 3) > 0.95 - NOISE);
		tfrs_index_builder_destroy(builder);
	}
}

/* Scores at the ends of float. */

static void
check_order(tfrs_metric metric, const float *rows, size_t count, const float *query,
			const uint32_t *expected)
{
	tfrs_index	index = tfrs_index_over(rows, count, 2, metric);
	tfrs_search searches[2];
	tfrs_hit	hits[2][8];
	float		queries[4] = {query[0], query[1], query[0], query[1]};
	size_t		counts[2];
	tfrs_index_many *many;

	for (size_t k = 1; k <= count; k++)
	{
		tfrs_search_default(&searches[0]);
		searches[0].k = k;
		searches[1] = searches[0];
		CHECK_OK(tfrs_index_search(&index, query, &searches[0], check_arena(), hits[0],
								   &counts[0], &check_error));
		CHECK_EQUAL(counts[0], k);
		for (size_t i = 0; i < k; i++)
			CHECK_EQUAL(hits[0][i].row, expected[i]);
		CHECK_OK(tfrs_index_many_begin(&many, &index, &(tfrs_index_queries) {2, queries, searches,
									   1, 8, hits[0], counts}, check_arena(), &check_error));
		while (tfrs_index_many_step(many) == TFRS_MORE)
			;
		tfrs_index_many_destroy(many);
		for (size_t i = 0; i < k; i++)
			CHECK_EQUAL(hits[1][i].row, expected[i]);
	}
}

CHECK_TEST(infinite_scores_are_ordered_by_what_they_are_rounded_from)
{
	static const float far[] = {3e38f, 3e38f, 0, 0, 3e38f, -3e38f, -3e38f, 3e38f, 1e38f, 0};
	static const float far_query[] = {3e38f, -3e38f};
	static const uint32_t far_order[] = {2, 4, 1, 0, 3};
	static const float large[] = {1e30f, 0, -2e30f, 0, 3e30f, 0, 1, 0, -1e30f, 0, 2e30f, 1};
	static const float large_query[] = {1e10f, 0};
	static const uint32_t dot_order[] = {2, 5, 0, 3, 4, 1};

	check_order(TFRS_METRIC_L2, far, 5, far_query, far_order);
	check_order(TFRS_METRIC_DOT, large, 6, large_query, dot_order);
}

/* A row at a list's edge, excluded or alone allowed, among rows of infinite scores. */
CHECK_TEST(infinite_scores_keep_predicates)
{
	static const float rows[] = {1e30f, 0, 2e30f, 0, 3e30f, 0, 4e30f, 0};
	static const float query[] = {1e10f, 0};
	static const uint32_t best[] = {3};
	static const uint32_t among[] = {0, 2, 3};
	tfrs_index	index = tfrs_index_over(rows, 4, 2, TFRS_METRIC_DOT);
	tfrs_search search;
	tfrs_hit	hits[4];
	size_t		count;

	tfrs_search_default(&search);
	search.k = 2;
	search.excluded = best;
	search.excluded_count = 1;
	CHECK_OK(tfrs_index_search(&index, query, &search, check_arena(), hits, &count, &check_error));
	CHECK(count == 2 && hits[0].row == 2 && hits[1].row == 1);
	search.has_among = true;
	search.among = among;
	search.among_count = 3;
	CHECK_OK(tfrs_index_search(&index, query, &search, check_arena(), hits, &count, &check_error));
	CHECK(count == 2 && hits[0].row == 2 && hits[1].row == 0);
	CHECK(hits[0].score == INFINITY);
}

CHECK_TEST(a_cosine_of_vectors_longer_than_float)
{
	float		x[3] = {FLT_MAX, FLT_MAX, -FLT_MAX};
	float		y[3] = {1, 0, 0};
	double		cosine = tfrs_vector_cosine(x, y, 3, FLT_MAX);

	CHECK_NEAR(cosine, 1 / sqrt(3), 1e-6);
}
