/*
 * test_index.c: what the index promises, whatever the data.
 *
 * Exact search equals a full sort by (score descending, row ascending; infinite scores by what they
 * are rounded from) on data of every kind, for all metrics, any k, with and without predicates.
 * Kind tree keeps its predicates, its k and its recall.  Many queries get the answers of single
 * ones.
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/random.h"
#include "check.h"
#include "retrieval/index.h"

/* Enough floats for a structure, at which a full scan stops being the fastest. */
#define COUNT 3000
#define DIM 24
#define QUERIES 6
#define CLUSTERS 40

typedef enum shape
{
	NORMAL,
	CLUSTERED,
	DUPLICATES,					/* 50 distinct rows */
	CONSTANT,
	EQUAL_NORMS,
	ONE_GIANT,
	POWER_NORMS,
	TINY,						/* some rows with components around 1e-42, some zero */
	FAR_AWAY,					/* all around (1000, 1000, ...) */
	EDGES,						/* components around 1e19 and 1e-23, squares beyond float32 */
	SHAPES
} shape;

typedef struct data
{
	size_t		count;
	size_t		dim;
	float	   *rows;			/* (count, dim) */
	float	   *queries;		/* (QUERIES, dim) */
} data;

static const tfrs_metric metrics[] = {TFRS_METRIC_DOT, TFRS_METRIC_COSINE, TFRS_METRIC_L2};

static float
norm_of_row(shape shape, size_t row, tfrs_random *random)
{
	switch (shape)
	{
		case ONE_GIANT:
			return row == 1234 ? 1e6f : 1;
		case POWER_NORMS:
			return powf(tfrs_random_float(random) + 1e-4f, -0.4f);
		case TINY:
			return row % 3 == 0 ? 1e-42f : row % 100 == 1 ? 0 : 1;
		case EDGES:
			return row % 3 == 0 ? 1e19f : row % 3 == 1 ? 1e-23f : 1;
		default:
			return 1;
	}
}

static void
fill_row(shape shape, float *x, size_t dim, size_t row, tfrs_random *random)
{
	tfrs_random centre;
	float		norm = norm_of_row(shape, row, random);
	float		length = 0;

	tfrs_random_init(&centre, 11,
					 tfrs_random_below(random, shape == DUPLICATES ? 50 : CLUSTERS), 0);
	for (size_t d = 0; d < dim; d++)
	{
		float		middle = tfrs_random_normal(&centre);
		float		own = tfrs_random_normal(random);

		x[d] = shape == CLUSTERED || shape == POWER_NORMS ? middle + 0.4f * own
			: shape == DUPLICATES ? middle : shape == CONSTANT ? 0.25f
			: shape == FAR_AWAY ? 1000 + own : own;
		x[d] *= norm;
		length += x[d] * x[d];
	}
	for (size_t d = 0; shape == EQUAL_NORMS && d < dim; d++)
		x[d] /= sqrtf(length);
}

static data
make_data(tfrs_arena *arena, shape shape, size_t count, size_t dim, uint64_t seed)
{
	data		made = {count, dim, NULL, NULL};
	tfrs_random random;

	CHECK_OK(TFRS_GET(arena, &made.rows, count * dim, &check_error));
	CHECK_OK(TFRS_GET(arena, &made.queries, QUERIES * dim, &check_error));
	tfrs_random_init(&random, seed, (uint64_t) shape, 0);
	for (size_t i = 0; i < count; i++)
		fill_row(shape, made.rows + i * dim, dim, i, &random);
	for (size_t i = 0; i < QUERIES; i++)
		fill_row(shape, made.queries + i * dim, dim, i + 1, &random);
	memset(made.queries, 0, dim * sizeof(float));
	if (count > 7)
		memcpy(made.queries + dim, made.rows + 7 * dim, dim * sizeof(float));
	return made;
}

static tfrs_index_builder *
build(tfrs_arena *arena, const data *from, const tfrs_index_options *options)
{
	tfrs_index_builder *builder;
	tfrs_status status;
	double		share;

	CHECK_OK(tfrs_index_builder_begin(&builder, arena, options, from->rows, from->count,
									  from->dim, &check_error));
	while ((status = tfrs_index_builder_step(builder, &share, &check_error)) == TFRS_MORE)
		CHECK(share >= 0 && share <= 1);
	CHECK_OK(status);
	CHECK(share == 1);
	return builder;
}

static tfrs_index_options
options_of(tfrs_index_kind kind, tfrs_metric metric)
{
	tfrs_index_options options;

	tfrs_index_options_default(&options);
	options.kind = kind;
	options.metric = metric;
	return options;
}

__attribute__((constructor)) static void
choose_kernels(void)
{
	tfrs_kernels_choose(true);
}

/* The definition of the answer. */

static const tfrs_scorer *compared;

static int
compare_hits(const void *a, const void *b)
{
	const tfrs_hit *left = a;
	const tfrs_hit *right = b;

	if (left->score != right->score)
		return left->score > right->score ? -1 : 1;
	if (isinf(left->score))
	{
		float		left_value = (float) (tfrs_scorer_value(compared, left->row) * 0x1p-150);
		float		right_value = (float) (tfrs_scorer_value(compared, right->row) * 0x1p-150);

		if (left_value != right_value)
			return left_value > right_value ? -1 : 1;
	}
	return left->row < right->row ? -1 : left->row > right->row;
}

static bool
lists(const uint32_t *rows, size_t count, uint32_t row)
{
	for (size_t i = 0; i < count; i++)
	{
		if (rows[i] == row)
			return true;
	}
	return false;
}

static bool
allows(const tfrs_search *search, uint32_t row)
{
	return !lists(search->excluded, search->excluded_count, row) &&
		(!search->has_among || lists(search->among, search->among_count, row));
}

static size_t
sort_all(const data *from, tfrs_metric metric, const float *query, const tfrs_search *search,
		 tfrs_hit *hits)
{
	tfrs_corpus corpus = {metric, from->count, from->dim, from->rows, NULL};
	tfrs_scorer scorer;
	size_t		count = 0;

	CHECK_OK(tfrs_scorer_init(&scorer, &corpus, query, &check_error));
	for (size_t row = 0, next = 0; row < from->count; row++)
	{
		tfrs_hit	hit = {tfrs_scorer_score(&scorer, row), (uint32_t) row};

		if (next < search->adjusted_count && search->adjusted[next] == row)
			hit.score += search->adjustment[next++];
		if (hit.score >= search->min_score && allows(search, hit.row))
			hits[count++] = hit;
	}
	compared = &scorer;
	qsort(hits, count, sizeof(*hits), compare_hits);
	return count < search->k ? count : search->k;
}

static void
check_answer(const data *from, const tfrs_index *index, const float *query,
			 const tfrs_search *search)
{
	tfrs_arena *arena = check_arena();
	tfrs_hit   *expected;
	tfrs_hit   *hits;
	size_t		used = arena->used;
	size_t		expected_count;
	size_t		count;

	CHECK_OK(TFRS_GET(arena, &expected, from->count, &check_error));
	CHECK_OK(TFRS_GET(arena, &hits, from->count, &check_error));
	expected_count = sort_all(from, index->metric, query, search, expected);
	CHECK_OK(tfrs_index_search(index, query, search, arena, hits, &count, &check_error));
	CHECK_EQUAL(count, expected_count);
	for (size_t i = 0; i < count; i++)
	{
		CHECK_EQUAL(hits[i].row, expected[i].row);
		CHECK(hits[i].score == expected[i].score);
	}
	tfrs_arena_release(arena, expected);
	tfrs_arena_release(arena, hits);
	CHECK_EQUAL(arena->used, used);
}

/* Every about-th row. */
static size_t
list_rows(uint32_t *rows, size_t count, size_t about, tfrs_random *random)
{
	size_t		listed = 0;

	for (size_t row = 0; row < count; row += 1 + tfrs_random_below(random, (uint32_t) about))
		rows[listed++] = (uint32_t) row;
	return listed;
}

static void
check_searches(const data *from, const tfrs_index *index, uint64_t seed)
{
	static const size_t ks[] = {1, 2, 10, 100, 1000};
	static uint32_t lists[3][COUNT];
	static float adjustment[COUNT];
	tfrs_random random;

	tfrs_random_init(&random, seed, 1, 0);
	for (size_t i = 0; i < 24; i++)
	{
		const float *query = from->queries + i % QUERIES * from->dim;
		tfrs_search search;

		tfrs_search_default(&search);
		search.exact = true;
		search.k = i % 6 == 5 ? from->count + 10 : ks[tfrs_random_below(&random, 5)];
		if (i % 3 == 1)
			search.k = 1 + tfrs_random_below(&random, (uint32_t) from->count + 10);
		if (i % 2 == 1)
		{
			search.excluded = lists[0];
			search.excluded_count = list_rows(lists[0], from->count, i % 3 == 0 ? 3 : 90, &random);
		}
		if (i % 4 >= 2)
		{
			search.has_among = true;
			search.among = lists[1];
			search.among_count = list_rows(lists[1], from->count, i % 3 == 0 ? 2 : 60, &random);
		}
		if (i % 8 >= 4)
		{
			search.adjusted = lists[2];
			search.adjustment = adjustment;
			search.adjusted_count = list_rows(lists[2], from->count, i % 3 == 0 ? 3 : 40, &random);
			tfrs_random_fill(&random, adjustment, search.adjusted_count, -1, i % 16 < 8 ? 2 : 0.1f);
		}
		if (i % 5 == 4)
			search.min_score = index->metric == TFRS_METRIC_L2 ? -6 : 0.25f;
		check_answer(from, index, query, &search);
	}
}

static void
check_built(const data *from, const tfrs_index_options *options, uint64_t seed)
{
	tfrs_index_builder *builder = build(check_arena(), from, options);
	tfrs_index	index = tfrs_index_builder_index(builder);

	check_searches(from, &index, seed);
	tfrs_index_builder_destroy(builder);
}

static void
check_exact(shape shape, size_t count, size_t dim, uint64_t seed)
{
	tfrs_arena *arena = check_arena();
	data		made = make_data(arena, shape, count, dim, seed);

	for (size_t m = 0; m < 3; m++)
	{
		tfrs_index	plain = tfrs_index_over(made.rows, count, dim, metrics[m]);

		check_searches(&made, &plain, seed);
		for (int kind = TFRS_INDEX_EXACT; kind <= TFRS_INDEX_TREE; kind++)
		{
			tfrs_index_options options = options_of((tfrs_index_kind) kind, metrics[m]);

			for (int q = TFRS_QUANTIZATION_PQ4; q <= TFRS_QUANTIZATION_INT8; q++)
			{
				options.quantization = (tfrs_quantization) q;
				check_built(&made, &options, seed);
			}
		}
	}
}

CHECK_TEST(exact_equals_a_full_sort_on_any_data)
{
	for (int shape = 0; shape < SHAPES; shape++)
		check_exact((enum shape) shape, COUNT, DIM, (uint64_t) shape);
}

CHECK_TEST(exact_equals_a_full_sort_in_any_dimension)
{
	static const size_t dims[] = {1, 2, 3, 5, 33, 100, 300};

	for (size_t i = 0; i < sizeof(dims) / sizeof(*dims); i++)
		check_exact(CLUSTERED, dims[i] < 32 ? COUNT : 700, dims[i], i);
}

CHECK_TEST(exact_with_the_reference_kernels)
{
	tfrs_kernels_choose(false);
	check_exact(POWER_NORMS, COUNT, DIM, 5);
	tfrs_kernels_choose(true);
}

CHECK_TEST(a_few_rows_and_none)
{
	check_exact(NORMAL, 1, 5, 1);
	check_exact(NORMAL, 2, 1, 2);
	check_exact(NORMAL, 0, 3, 3);
}

/* Products and squares beyond float32: scores are infinite or exact, never NaN. */
CHECK_TEST(largest_floats)
{
	static const float rows[][2] = {{FLT_MAX, -FLT_MAX}, {FLT_MAX, FLT_MAX}, {1, 2}, {-FLT_MAX, 0}};
	static const float query[2] = {FLT_MAX, FLT_MAX};
	tfrs_arena *arena = check_arena();
	tfrs_search search;
	tfrs_hit	hits[4];
	size_t		count;

	tfrs_search_default(&search);
	for (size_t m = 0; m < 3; m++)
	{
		tfrs_index	index = tfrs_index_over(rows[0], 4, 2, metrics[m]);

		CHECK_OK(tfrs_index_search(&index, query, &search, arena, hits, &count, &check_error));
		CHECK_EQUAL(count, 4);
		CHECK_EQUAL(hits[0].row, 1);
		for (size_t i = 0; i < 4; i++)
			CHECK(!isnan(hits[i].score));
		/* The products of row 0 cancel. */
		if (metrics[m] != TFRS_METRIC_L2)
			CHECK(hits[2].row == 0 && hits[2].score == 0);
	}
}

CHECK_TEST(wrong_searches)
{
	static const float rows[] = {1, 2, 3};
	static const uint32_t among[] = {0, 3};
	tfrs_arena *arena = check_arena();
	tfrs_index	index = tfrs_index_over(rows, 3, 1, TFRS_METRIC_DOT);
	float		query = NAN;
	tfrs_search search;
	tfrs_hit	hits[3];
	size_t		count = 7;

	tfrs_search_default(&search);
	CHECK_STATUS(tfrs_index_search(&index, &query, &search, arena, hits, &count, &check_error),
				 TFRS_NOT_FINITE);
	CHECK_EQUAL(count, 0);
	query = 1;
	search.min_score = NAN;
	CHECK_STATUS(tfrs_index_search(&index, &query, &search, arena, hits, &count, &check_error),
				 TFRS_NOT_FINITE);
	tfrs_search_default(&search);
	search.has_among = true;
	search.among = among;
	search.among_count = 2;
	CHECK_STATUS(tfrs_index_search(&index, &query, &search, arena, hits, &count, &check_error),
				 TFRS_INVALID_ARGUMENT);
	search.among_count = 0;
	CHECK_OK(tfrs_index_search(&index, &query, &search, arena, hits, &count, &check_error));
	CHECK_EQUAL(count, 0);
	tfrs_search_default(&search);
	search.k = 0;
	CHECK_OK(tfrs_index_search(&index, &query, &search, arena, hits, &count, &check_error));
	CHECK_EQUAL(count, 0);
}

CHECK_TEST(rows_that_are_not_finite)
{
	tfrs_arena *arena = check_arena();
	tfrs_index_options options = options_of(TFRS_INDEX_EXACT, TFRS_METRIC_DOT);
	float		rows[] = {1, 2, INFINITY, 4};
	tfrs_index_builder *builder;
	double		share;

	CHECK_OK(tfrs_index_builder_begin(&builder, arena, &options, rows, 2, 2, &check_error));
	CHECK_STATUS(tfrs_index_builder_step(builder, &share, &check_error), TFRS_NOT_FINITE);
	tfrs_index_builder_destroy(builder);
}

/* Kind tree. */

static double
recall_of(const data *from, const tfrs_index *index, const float *queries, size_t count,
		  const tfrs_search *like)
{
	tfrs_arena *arena = check_arena();
	size_t		found = 0;
	tfrs_hit   *truth;
	tfrs_hit   *hits;
	size_t		hit_count;

	CHECK_OK(TFRS_GET(arena, &truth, from->count, &check_error));
	CHECK_OK(TFRS_GET(arena, &hits, from->count, &check_error));
	for (size_t i = 0; i < count; i++)
	{
		const float *query = queries + i * from->dim;
		size_t		truth_count = sort_all(from, index->metric, query, like, truth);

		CHECK_OK(tfrs_index_search(index, query, like, arena, hits, &hit_count, &check_error));
		CHECK_EQUAL(hit_count, truth_count);
		for (size_t j = 0; j < hit_count; j++)
		{
			CHECK(allows(like, hits[j].row));
			CHECK(j == 0 || tfrs_hit_before(hits[j - 1], hits[j]));
			found += hits[j].score >= truth[truth_count - 1].score;
		}
	}
	tfrs_arena_release(arena, truth);
	tfrs_arena_release(arena, hits);
	return (double) found / (double) (count * like->k);
}

#define MANY 20000
#define MANY_QUERIES 60
#define HELD_OUT 250

/* 20,000 clustered rows; queries are of the same clusters but no rows. */
static data
make_many(tfrs_arena *arena, float **queries)
{
	data		made = make_data(arena, POWER_NORMS, MANY, DIM, 17);
	tfrs_random random;

	CHECK_OK(TFRS_GET(arena, queries, MANY_QUERIES * DIM, &check_error));
	tfrs_random_init(&random, 18, 0, 0);
	for (size_t i = 0; i < MANY_QUERIES; i++)
		fill_row(CLUSTERED, *queries + i * DIM, DIM, i, &random);
	return made;
}

static tfrs_index_builder *
retune(tfrs_arena *arena, const tfrs_index_options *options, const tfrs_index *index,
	   const float *queries, size_t count)
{
	tfrs_index_builder *builder;
	tfrs_status status;
	double		share;

	CHECK_OK(tfrs_index_builder_retune(&builder, arena, options, index, queries, count,
									   &check_error));
	while ((status = tfrs_index_builder_step(builder, &share, &check_error)) == TFRS_MORE)
		CHECK(share >= 0 && share <= 1);
	CHECK_OK(status);
	return builder;
}

CHECK_TEST(tree_reaches_its_recall)
{
	tfrs_arena *arena = check_arena();
	float	   *queries;
	data		made = make_many(arena, &queries);
	tfrs_search search;

	tfrs_search_default(&search);
	for (size_t m = 0; m < 3; m++)
	{
		tfrs_index_options options = options_of(TFRS_INDEX_TREE, metrics[m]);
		tfrs_index_builder *builder;
		tfrs_index_builder *retuned;
		tfrs_index	index;

		options.target_recall = 0.9f;
		builder = build(arena, &made, &options);
		index = tfrs_index_builder_index(builder);
		CHECK(tfrs_index_describe(&index).recall >= 0.9f);
		retuned = retune(arena, &options, &index, queries, MANY_QUERIES);
		index = tfrs_index_builder_index(retuned);
		CHECK(tfrs_index_describe(&index).leaves_to_search < tfrs_index_describe(&index).leaves);
		CHECK_NEAR(recall_of(&made, &index, queries, MANY_QUERIES, &search),
				   tfrs_index_describe(&index).recall, 1e-6);
		tfrs_index_builder_destroy(retuned);
		tfrs_index_builder_destroy(builder);
	}
}

/* Recall on rows that stand in for queries, each without itself. */
static double
recall_of_rows(const data *from, const tfrs_index *index)
{
	double		recall = 0;

	for (uint32_t row = 5; row < MANY; row += MANY / HELD_OUT)
	{
		tfrs_search search;

		tfrs_search_default(&search);
		search.excluded = &row;
		search.excluded_count = 1;
		recall += recall_of(from, index, from->rows + row * DIM, 1, &search) / HELD_OUT;
	}
	return recall;
}

/* Not under the stored estimate by more than 0.01 beyond its interval of 99 %. */
static void
check_estimate(const tfrs_index *index, double recall, size_t tuned_on)
{
	double		stored = tfrs_index_describe(index).recall;

	CHECK(recall >= stored - 0.01 - 2.576 * sqrt(stored * (1 - stored) / (double) tuned_on));
}

/* What an index says of its recall holds for queries that it was not tuned on. */
CHECK_TEST(recall_holds_for_other_queries)
{
	static const shape shapes[] = {NORMAL, CLUSTERED, POWER_NORMS};
	tfrs_arena *arena = check_arena();
	float	   *queries;
	tfrs_random random;
	tfrs_search search;

	tfrs_search_default(&search);
	CHECK_OK(TFRS_GET(arena, &queries, 2 * HELD_OUT * DIM, &check_error));
	tfrs_random_init(&random, 23, 0, 0);
	for (size_t i = 0; i < 2 * HELD_OUT; i++)
		fill_row(i % 3 == 0 ? NORMAL : CLUSTERED, queries + i * DIM, DIM, i, &random);
	for (size_t i = 0; i < 9; i += 2)
	{
		data		made = make_data(arena, shapes[i / 3], MANY, DIM, i);
		tfrs_index_options options = options_of(TFRS_INDEX_TREE, metrics[i % 3]);
		tfrs_index_builder *builder;
		tfrs_index_builder *tuned;
		tfrs_index	index;

		options.target_recall = i % 4 == 0 ? 0.9f : 0.97f;
		builder = build(arena, &made, &options);
		index = tfrs_index_builder_index(builder);
		check_estimate(&index, recall_of_rows(&made, &index), 256);
		tuned = retune(arena, &options, &index, queries, HELD_OUT);
		index = tfrs_index_builder_index(tuned);
		check_estimate(&index, recall_of(&made, &index, queries + HELD_OUT * DIM, HELD_OUT, &search),
					   HELD_OUT);
		tfrs_index_builder_destroy(tuned);
		tfrs_index_builder_destroy(builder);
		tfrs_arena_release(arena, made.rows);
		tfrs_arena_release(arena, made.queries);
	}
}

/* The best rows are the excluded ones, in the leaves that are searched first. */
CHECK_TEST(tree_widens_around_exclusions)
{
	tfrs_arena *arena = check_arena();
	float	   *queries;
	data		made = make_many(arena, &queries);
	tfrs_index_options options = options_of(TFRS_INDEX_TREE, TFRS_METRIC_DOT);
	tfrs_index_builder *builder;
	tfrs_index	index;
	tfrs_search search;
	tfrs_hit   *hits;
	uint32_t   *excluded;
	bool		is_excluded[MANY];
	double		recall = 0;

	options.target_recall = 0.95f;
	options.leaves_to_search = 12;
	options.rerank = 100;
	builder = build(arena, &made, &options);
	index = tfrs_index_builder_index(builder);
	CHECK_OK(TFRS_GET(arena, &hits, MANY, &check_error));
	CHECK_OK(TFRS_GET(arena, &excluded, MANY, &check_error));
	for (size_t i = 0; i < MANY_QUERIES; i++)
	{
		tfrs_search_default(&search);
		(void) sort_all(&made, TFRS_METRIC_DOT, queries + i * DIM, &search, hits);
		memset(is_excluded, 0, sizeof(is_excluded));
		for (size_t j = 0; j < 5000; j++)
			is_excluded[hits[j].row] = true;
		for (uint32_t row = 0; row < MANY; row++)
			if (is_excluded[row])
				excluded[search.excluded_count++] = row;
		search.excluded = excluded;
		recall += recall_of(&made, &index, queries + i * DIM, 1, &search) / MANY_QUERIES;
	}
	CHECK(recall > 0.95);
	tfrs_index_builder_destroy(builder);
}

/* k means k, however little is searched and however many are wanted. */
CHECK_TEST(tree_always_finds_k)
{
	tfrs_arena *arena = check_arena();
	float	   *queries;
	data		made = make_many(arena, &queries);
	tfrs_index_options options = options_of(TFRS_INDEX_TREE, TFRS_METRIC_L2);
	tfrs_index_builder *builder;
	tfrs_index	index;
	tfrs_search search;
	static const size_t ks[] = {1, 10, 500, 3000, MANY + 1};

	options.leaves_to_search = 1;
	options.rerank = 10;
	builder = build(arena, &made, &options);
	index = tfrs_index_builder_index(builder);
	for (size_t i = 0; i < sizeof(ks) / sizeof(*ks); i++)
	{
		tfrs_search_default(&search);
		search.k = ks[i];
		(void) recall_of(&made, &index, queries, 5, &search);
	}
	tfrs_index_builder_destroy(builder);
}

/* Kind auto takes what a measurement says, and that is the same every time. */
CHECK_TEST(auto_decides)
{
	tfrs_arena *arena = check_arena();
	float	   *queries;
	data		made = make_many(arena, &queries);
	data		few = make_data(arena, NORMAL, 100, DIM, 3);
	tfrs_index_options options = options_of(TFRS_INDEX_AUTO, TFRS_METRIC_DOT);
	tfrs_index_builder *builder = build(arena, &made, &options);
	tfrs_index	index = tfrs_index_builder_index(builder);

	CHECK_EQUAL(index.kind, TFRS_INDEX_EXACT);
	CHECK(tfrs_index_describe(&index).leaves > 0);
	tfrs_index_builder_destroy(builder);
	builder = build(arena, &few, &options);
	index = tfrs_index_builder_index(builder);
	CHECK_EQUAL(index.kind, TFRS_INDEX_EXACT);
	CHECK_EQUAL(tfrs_index_describe(&index).leaves, 0);
	tfrs_index_builder_destroy(builder);
}

/* Many queries. */

static void
check_many(const data *from, const tfrs_index *index, int threads)
{
	tfrs_arena *arena = check_arena();
	enum {ASKED = 300, K = 7};
	static tfrs_search searches[ASKED];
	static tfrs_hit hits[ASKED][K];
	static size_t counts[ASKED];
	static const uint32_t excluded[] = {1, 7, 1234};
	static const uint32_t adjusted[] = {0, 7, 30, 55};
	static const float adjustment[] = {0.5f, 3, -1, 0.25f};
	static uint32_t all[COUNT];
	static float of_all[COUNT];
	tfrs_random random;
	float	   *queries;
	tfrs_index_many *many;
	tfrs_hit	alone[K];
	size_t		alone_count;

	CHECK_OK(TFRS_GET(arena, &queries, ASKED * from->dim, &check_error));
	tfrs_random_init(&random, 3, 2, 0);
	tfrs_random_fill(&random, of_all, COUNT, -2, 2);
	for (uint32_t row = 0; row < COUNT; row++)
		all[row] = row;
	for (size_t i = 0; i < ASKED; i++)
	{
		memcpy(queries + i * from->dim, from->queries + i % QUERIES * from->dim,
			   from->dim * sizeof(float));
		queries[i * from->dim] += (float) i / ASKED;
		tfrs_search_default(&searches[i]);
		searches[i].k = K;
		searches[i].excluded = i % 2 == 0 ? excluded : NULL;
		searches[i].excluded_count = i % 2 == 0 ? 3 : 0;
		searches[i].adjusted = adjusted;
		searches[i].adjustment = adjustment;
		searches[i].adjusted_count = i % 3 == 0 && from->count > 60 ? 4 : 0;
		if (i % 3 == 1 && from->count == COUNT)
		{
			searches[i].adjusted = all;
			searches[i].adjustment = of_all;
			searches[i].adjusted_count = i % 2 == 0 ? COUNT : COUNT / 2;
		}
	}
	CHECK_OK(tfrs_index_many_begin(&many, index, &(tfrs_index_queries) {ASKED, queries, searches,
								   threads, K, hits[0], counts}, arena, &check_error));
	while (tfrs_index_many_step(many) == TFRS_MORE)
		;
	tfrs_index_many_destroy(many);
	for (size_t i = 0; i < ASKED; i++)
	{
		CHECK_OK(tfrs_index_search(index, queries + i * from->dim, &searches[i], arena, alone,
								   &alone_count, &check_error));
		CHECK_EQUAL(counts[i], alone_count);
		CHECK(memcmp(hits[i], alone, alone_count * sizeof(tfrs_hit)) == 0);
	}
	tfrs_arena_release(arena, queries);
}

CHECK_TEST(many_queries_get_the_answers_of_single_ones)
{
	tfrs_arena *arena = check_arena();

	for (int shape = 0; shape < SHAPES; shape++)
	{
		data		made = make_data(arena, (enum shape) shape, COUNT, DIM, 9);

		for (size_t m = 0; m < 3; m++)
		{
			tfrs_index	plain = tfrs_index_over(made.rows, COUNT, DIM, metrics[m]);
			tfrs_index_options options = options_of(TFRS_INDEX_TREE, metrics[m]);
			tfrs_index_builder *builder = build(arena, &made, &options);
			tfrs_index	tree = tfrs_index_builder_index(builder);

			check_many(&made, &plain, 1);
			check_many(&made, &plain, 3);
			check_many(&made, &tree, 2);
			tfrs_index_builder_destroy(builder);
		}
	}
}

/* Stored form. */

typedef struct stored
{
	void	   *bytes;
	size_t		length;
	tfrs_block	block;
} stored;

static stored
store(tfrs_arena *arena, tfrs_index_builder *builder, bool with_vectors)
{
	tfrs_block_writer writer;
	stored		result;

	tfrs_block_writer_init(&writer, TFRS_BLOCK_INDEX);
	writer.prefix = "index.";
	CHECK_OK(tfrs_index_builder_save(builder, with_vectors, &writer, &check_error));
	CHECK_OK(tfrs_block_writer_size(&writer, &result.length, &check_error));
	CHECK_OK(tfrs_arena_get(arena, &result.bytes, result.length, 1, &check_error));
	tfrs_block_writer_begin(&writer, result.bytes);
	while (tfrs_block_writer_step(&writer) == TFRS_MORE)
		;
	CHECK_OK(tfrs_block_open(&result.block, result.bytes, result.length, TFRS_BLOCK_INDEX,
							 &check_error));
	return result;
}

CHECK_TEST(stored_and_loaded)
{
	tfrs_arena *arena = check_arena();
	data		made = make_data(arena, POWER_NORMS, COUNT, DIM, 4);

	for (size_t m = 0; m < 3; m++)
	{
		for (int with_vectors = 0; with_vectors < 2; with_vectors++)
		{
			tfrs_index_options options = options_of(TFRS_INDEX_TREE, metrics[m]);
			tfrs_index_builder *builder;
			stored		kept;
			tfrs_index	index;
			tfrs_index_facts facts;
			size_t		least = COUNT * (with_vectors ? 1 : DIM);

			options.quantization = with_vectors ? TFRS_QUANTIZATION_PQ4 : TFRS_QUANTIZATION_INT8;
			builder = build(arena, &made, &options);
			kept = store(arena, builder, with_vectors);
			CHECK_OK(tfrs_index_load(&index, &kept.block, "index.",
									 with_vectors ? NULL : made.rows, COUNT, arena,
									 &check_error));
			facts = tfrs_index_describe(&index);
			CHECK(facts.leaves > 0 && facts.structure_bytes > least);
			CHECK_EQUAL(facts.quantization, options.quantization);
			CHECK_EQUAL(index.kind, TFRS_INDEX_TREE);
			check_searches(&made, &index, 4);
			CHECK_STATUS(tfrs_index_load(&index, &kept.block, "", made.rows, COUNT, arena,
										 &check_error), TFRS_CORRUPT);
			CHECK_STATUS(tfrs_index_load(&index, &kept.block, "index.", made.rows, COUNT - 1,
										 arena, &check_error), TFRS_CORRUPT);
			tfrs_index_builder_destroy(builder);
		}
	}
}

/* A part under another name is not there. */
static void
check_needed(const char *name)
{
	tfrs_arena *arena = check_arena();
	data		made = make_data(arena, CLUSTERED, COUNT, DIM, 4);
	tfrs_index_options options = options_of(TFRS_INDEX_EXACT, TFRS_METRIC_DOT);
	tfrs_index_builder *builder = build(arena, &made, &options);
	stored		kept = store(arena, builder, true);
	char	   *at = (char *) kept.bytes;
	tfrs_index	index;

	while (memcmp(at, name, strlen(name)) != 0)
		at++;
	at[strlen(name) - 1]++;
	CHECK_STATUS(tfrs_index_load(&index, &kept.block, "index.", NULL, 0, arena, &check_error),
				 TFRS_CORRUPT);
	tfrs_index_builder_destroy(builder);
}

CHECK_TEST(rows_in_bytes_have_both_parts)
{
	check_needed("index.tree.int8_codes");
	check_needed("index.tree.int8_scales");
}

CHECK_TEST(rows_in_bytes_are_left_out_for_lack_of_room)
{
	tfrs_arena *arena = check_arena();
	data		made = make_data(arena, CLUSTERED, COUNT, DIM, 4);
	tfrs_index_options options = options_of(TFRS_INDEX_EXACT, TFRS_METRIC_DOT);
	tfrs_index_builder *builder = build(arena, &made, &options);
	size_t		others = TFRS_MAX_BLOCK_BYTES - 120 * 1024;	/* 70 KB are needed, or 160 with bytes */
	uint32_t	parts[2];

	for (int full = 0; full < 2; full++)
	{
		tfrs_block_writer writer;
		size_t		bytes;

		tfrs_block_writer_init(&writer, TFRS_BLOCK_INDEX);
		CHECK_OK(tfrs_block_writer_add(&writer, "others", made.rows, full ? others : 1, 1,
									   &check_error));
		CHECK_OK(tfrs_index_builder_save(builder, false, &writer, &check_error));
		CHECK_OK(tfrs_block_writer_size(&writer, &bytes, &check_error));
		parts[full] = writer.part_count;
	}
	CHECK_EQUAL(parts[1], parts[0] - 2);
	tfrs_index_builder_destroy(builder);
}

CHECK_TEST(threads_do_not_change_a_byte)
{
	tfrs_arena *arena = check_arena();
	float	   *queries;
	data		made = make_many(arena, &queries);
	tfrs_index_options options = options_of(TFRS_INDEX_TREE, TFRS_METRIC_L2);
	tfrs_index_builder *builder = build(arena, &made, &options);
	stored		first = store(arena, builder, true);

	tfrs_index_builder_destroy(builder);
	for (options.threads = 2; options.threads <= 4; options.threads += 2)
	{
		stored		other;

		builder = build(arena, &made, &options);
		other = store(arena, builder, true);
		CHECK_EQUAL(other.length, first.length);
		CHECK(memcmp(other.bytes, first.bytes, first.length) == 0);
		tfrs_index_builder_destroy(builder);
	}
}

/* Bytes from outside: whatever they are, loading refuses them or searches stay within them. */
CHECK_TEST(hostile_bytes)
{
	tfrs_arena *arena = check_arena();
	data		made = make_data(arena, CLUSTERED, COUNT, DIM, 6);
	tfrs_random random;
	int			refused = 0;

	tfrs_random_init(&random, 6, 6, 6);
	for (size_t m = 0; m < 3; m++)
	{
		tfrs_index_options options = options_of(TFRS_INDEX_TREE, metrics[m]);
		tfrs_index_builder *builder = build(arena, &made, &options);
		stored		kept = store(arena, builder, true);
		size_t		start = sizeof(tfrs_block_header) +
			kept.block.header->part_count * sizeof(tfrs_block_part);

		for (int i = 0; i < 400; i++)
		{
			size_t		part = tfrs_random_below(&random, kept.block.header->part_count);
			const tfrs_block_part *hit = &kept.block.parts[part];
			size_t		at = hit->offset + tfrs_random_below(&random, (uint32_t) hit->bytes);
			uint8_t    *byte = (uint8_t *) kept.bytes + at;
			uint8_t		before = *byte;
			tfrs_hit	hits[10];
			size_t		count;
			tfrs_index	index;
			tfrs_search search;

			CHECK(at >= start);
			*byte = i % 3 == 0 ? 0xff : (uint8_t) tfrs_random_below(&random, 256);
			tfrs_search_default(&search);
			if (tfrs_index_load(&index, &kept.block, "index.", NULL, 0, arena,
								&check_error) != TFRS_OK)
				refused++;
			else
				for (size_t q = 0; q < 8; q++)
				{
					search.exact = q % 2 == 1;
					search.excluded_count = q / 4;
					search.excluded = &search.rerank;
					CHECK_OK(tfrs_index_search(&index, made.queries + q % QUERIES * DIM, &search,
											   arena, hits, &count, &check_error));
				}
			*byte = before;
		}
		tfrs_index_builder_destroy(builder);
	}
	CHECK(refused > 100);
}

static data lack_data;
static tfrs_index_options lack_options;

static tfrs_status
build_and_search(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_index_builder *builder;
	tfrs_index	index;
	tfrs_search search;
	tfrs_index_many *many;
	tfrs_hit	hits[10];
	size_t		count;
	double		share;
	tfrs_status status = tfrs_index_builder_begin(&builder, arena, &lack_options, lack_data.rows,
												  lack_data.count, lack_data.dim, error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_index_builder_step(builder, &share, error)) == TFRS_MORE)
		;
	index = tfrs_index_builder_index(builder);
	tfrs_search_default(&search);
	if (status == TFRS_OK)
		status = tfrs_index_search(&index, lack_data.queries, &search, arena, hits, &count, error);
	if (status == TFRS_OK)
		status = tfrs_index_many_begin(&many, &index, &(tfrs_index_queries) {1, lack_data.queries,
									   &search, 2, 10, hits, &count}, arena, error);
	if (status == TFRS_OK)
	{
		while (tfrs_index_many_step(many) == TFRS_MORE)
			;
		tfrs_index_many_destroy(many);
	}
	tfrs_index_builder_destroy(builder);
	CHECK_EQUAL(arena->used, 0);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	lack_data = make_data(check_arena(), CLUSTERED, 800, 100, 8);
	for (size_t m = 0; m < 3; m++)
	{
		for (int kind = TFRS_INDEX_EXACT; kind <= TFRS_INDEX_TREE; kind++)
		{
			lack_options = options_of((tfrs_index_kind) kind, metrics[m]);
			check_lack_of_memory(build_and_search);
		}
	}
}
