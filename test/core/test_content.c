/*
 * test_content.c: content rows and what is fitted on them, against values that the numpy reference found
 * for the same data (drawn by the same generator).
 */
#include "check.h"

#include <string.h>

#include "base/kernels.h"
#include "base/limits.h"
#include "learning/content.h"
#include "learning/content_features.h"
#include "learning/content_neighbours.h"
#include "learning/count_regression.h"
#include "learning/new_items.h"
#include "learning/ridge.h"

#define QUERIES 80
#define CANDIDATES 60
#define TAGS 15
#define YEARS 9
#define MOST_TAGS 5
#define MOST_EVENTS 12
#define COLUMNS 5

static size_t start[CANDIDATES + 1];
static uint32_t tag[CANDIDATES * MOST_TAGS];
static uint32_t year[CANDIDATES];
static uint32_t counts[CANDIDATES];
static uint64_t offsets[QUERIES + 1];
static uint32_t chosen[QUERIES * MOST_EVENTS];

static uint32_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = (seed * 1103515245u + 12345u) & 0x7fffffff;
	return (seed >> 8) % below;
}

static uint32_t
draw_small(uint32_t below)
{
	uint32_t	one = draw(below);
	uint32_t	other = draw(below);

	return one < other ? one : other;
}

static bool
is_new(uint32_t candidate)
{
	return candidate % 7 == 3;
}

/* Tags with repetitions, two of which are no elements; one year each. */
static tfrs_content_source
draw_content(void)
{
	size_t		count = 0;

	seed = 12345;
	for (size_t i = 0; i < CANDIDATES; i++)
	{
		uint32_t	tags = draw(6);

		start[i] = count;
		for (uint32_t t = 0; t < tags; t++)
			tag[count++] = draw_small(TAGS + 2);
		year[i] = draw(YEARS);
	}
	start[CANDIDATES] = count;
	return (tfrs_content_source) {
		.candidates = CANDIDATES, .counts = counts, .features = 2,
		.feature = {
			{.start = start, .item = tag, .first = 2, .end = TAGS + 2},
			{.item = year, .end = YEARS}
		}
	};
}

static bool
has(uint64_t first, uint64_t end, uint32_t candidate)
{
	for (uint64_t e = first; e < end; e++)
		if (chosen[e] == candidate)
			return true;
	return false;
}

/* After the content, by the same generator: nobody chooses what is new. */
static tfrs_events
draw_events(void)
{
	uint64_t	count = 0;

	memset(counts, 0, sizeof(counts));
	for (size_t q = 0; q < QUERIES; q++)
	{
		uint32_t	events = 3 + draw(10);

		offsets[q] = count;
		for (uint32_t e = 0; e < events; e++)
		{
			uint32_t	candidate = draw_small(CANDIDATES);

			if (has(offsets[q], count, candidate) || is_new(candidate))
				continue;
			chosen[count++] = candidate;
			counts[candidate]++;
		}
	}
	offsets[QUERIES] = count;
	return (tfrs_events) {
		.queries = QUERIES, .count = count, .offsets = offsets, .candidate = chosen
	};
}

static tfrs_status
build_content(tfrs_content_build *build, tfrs_arena *arena, const tfrs_content_source *source,
			  tfrs_content *content, tfrs_error *error)
{
	tfrs_status status = tfrs_content_build_begin(build, arena, source, error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_content_build_step(build, content, error)) == TFRS_MORE)
		;
	if (status != TFRS_OK)
		tfrs_content_build_free(build);
	return status;
}

static tfrs_content
content_of(tfrs_content_build *build, tfrs_events *events)
{
	tfrs_content_source source = draw_content();
	tfrs_content content;

	tfrs_kernels_choose(true);
	*events = draw_events();
	CHECK_OK(build_content(build, check_arena(), &source, &content, &check_error));
	return content;
}

CHECK_TEST(rows_as_the_reference)
{
	tfrs_content_build build;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);
	double		sum = 0;

	CHECK_EQUAL(events.count, 466);
	CHECK_EQUAL(content.vocabulary.words, 23);
	CHECK_EQUAL(content.offsets[CANDIDATES], 164);
	for (size_t e = 0; e < 164; e++)
		sum += content.value[e];
	CHECK_NEAR(sum, 95.100555, 1e-4);
	for (size_t i = 0; i < CANDIDATES; i++)
	{
		double		square = 0;

		for (uint64_t e = content.offsets[i]; e < content.offsets[i + 1]; e++)
		{
			CHECK(e == content.offsets[i] || content.word[e] > content.word[e - 1]);
			square += (double) content.value[e] * content.value[e];
		}
		CHECK(content.offsets[i] == content.offsets[i + 1] || fabs(square - 1) < 1e-5);
	}
	tfrs_content_build_free(&build);
}

/* A candidate that comes later gets the row that it would have had. */
CHECK_TEST(a_later_row_is_the_same)
{
	tfrs_content_build build;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);
	tfrs_content_source source = draw_content();

	for (size_t i = 0; i < CANDIDATES; i++)
	{
		uint32_t	word[MOST_TAGS + 1];
		float		value[MOST_TAGS + 1];
		size_t		words = tfrs_content_row(&content.vocabulary, &source, i, word, value);
		uint64_t	at = content.offsets[i];

		CHECK(words <= tfrs_content_longest(&source, i));
		CHECK_EQUAL(words, content.offsets[i + 1] - at);
		CHECK(memcmp(word, content.word + at, words * sizeof(uint32_t)) == 0);
		CHECK(memcmp(value, content.value + at, words * sizeof(float)) == 0);
	}
	tfrs_content_build_free(&build);
}

/* What one known candidate has, or only new ones, or all of them, tells nothing. */
CHECK_TEST(elements_that_tell_nothing_are_left_out)
{
	static const size_t four[] = {0, 3, 6, 8, 10};
	static const uint32_t item[] = {0, 1, 2, 0, 2, 2, 0, 3, 3, 4};
	static const uint32_t count[] = {5, 1, 1, 0};
	tfrs_content_source source = {
		.candidates = 4, .counts = count, .features = 1,
		.feature = {{.start = four, .item = item, .end = 5}}
	};
	tfrs_content_build build;
	tfrs_content content;

	CHECK_OK(build_content(&build, check_arena(), &source, &content, &check_error));
	CHECK_EQUAL(content.vocabulary.elements, 5);
	CHECK_EQUAL(content.vocabulary.words, 1);
	CHECK_EQUAL(content.vocabulary.word[2], 0);
	CHECK_NEAR(content.vocabulary.idf[0], log(1.5), 1e-6);
	CHECK_EQUAL(content.offsets[3], 2);
	CHECK_EQUAL(content.offsets[4], 2);
	tfrs_content_build_free(&build);
}

/* Padding, unknown slots and NULL are no elements, and a number has none. */
CHECK_TEST(features_become_elements)
{
	static size_t starts[] = {0, 2, 3};
	static uint32_t words[] = {1, 5, 3};
	static uint32_t ids[] = {0, 4};
	static const uint32_t entry[] = {1, 0};
	static const tfrs_feature_options text = {.kind = TFRS_FEATURE_TEXT};
	static const tfrs_feature_options number = {.kind = TFRS_FEATURE_NUMBER};
	static const tfrs_feature_options hash = {.kind = TFRS_FEATURE_HASH};
	tfrs_features features = {
		.count = 3,
		.feature = {
			{.options = &text, .vocabulary = {.head = {.reserved = 1, .slots = 1}}, .rows = 6,
			.null_row = TFRS_NO_ROW},
			{.options = &number, .null_row = TFRS_NO_ROW},
			{.options = &hash, .rows = 5, .null_row = 4}
		}
	};
	tfrs_encoded_feature encoded[] = {
		{.items = {.start = starts, .item = words}, .entry = entry}, {.number = NULL}, {.id = ids}
	};
	tfrs_content_source source = {.candidates = 2};
	uint32_t	number_of[6] = {0, 1, 2, 3, 4, 5};
	float		idf[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	uint32_t	word[8] = {0, 1, 2, 3, 4, 5, 6, 7};
	tfrs_content_vocabulary vocabulary = {8, 8, word, idf};
	float		value[6];

	CHECK(tfrs_content_take_features(&source, &features, encoded));
	CHECK_EQUAL(source.features, 2);
	CHECK_EQUAL(tfrs_content_row(&vocabulary, &source, 0, number_of, value), 2);
	CHECK_EQUAL(number_of[0], 1);	/* word 3 of the text */
	CHECK_EQUAL(number_of[1], 4);	/* bin 0 */
	CHECK_NEAR(value[0], sqrt(0.5), 1e-6);
	CHECK_EQUAL(tfrs_content_row(&vocabulary, &source, 1, number_of, value), 1);
	CHECK_EQUAL(number_of[0], 3);	/* word 5; 1 is unknown, and 4 the row of NULL */
	features.count = 0;
	CHECK(!tfrs_content_take_features(&source, &features, encoded));
}

static void
fill_system(float *weight, float *target)
{
	double		mean = 466.0 / 48;

	for (size_t i = 0; i < CANDIDATES; i++)
	{
		weight[i] = (float) (counts[i] / mean);
		for (size_t d = 0; d < COLUMNS; d++)
			target[i * COLUMNS + d] = (float) sin((double) (i * 3 + d * 7 + 1));
	}
}

static void
check_ridge(const tfrs_content *content, int threads)
{
	static float weight[CANDIDATES];
	static float target[CANDIDATES * COLUMNS];
	tfrs_ridge_system system = {
		.content = content, .weight = weight, .target = target, .pitch = COLUMNS,
		.columns = COLUMNS, .penalty = 2, .threads = threads
	};
	tfrs_ridge	ridge;
	double		sum = 0;

	fill_system(weight, target);
	CHECK_OK(tfrs_ridge_begin(&ridge, check_arena(), &system, &check_error));
	while (tfrs_ridge_step(&ridge) == TFRS_MORE)
		;
	for (size_t w = 0; w < 23 * COLUMNS; w++)
		sum += fabs((double) ridge.solution[w]);
	CHECK_NEAR(sum, 21.833429, 0.02);
	CHECK_NEAR(ridge.solution[0], 0.266376, 1e-3);
	CHECK_NEAR(ridge.solution[7 * COLUMNS + 3], 0.128759, 1e-3);
	CHECK_NEAR(ridge.solution[22 * COLUMNS + 4], 0.365073, 1e-3);
	tfrs_ridge_free(&ridge);
}

CHECK_TEST(ridge_as_the_system_solved)
{
	tfrs_content_build build;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);

	check_ridge(&content, 1);
	check_ridge(&content, 3);
	tfrs_content_build_free(&build);
}

CHECK_TEST(counts_as_numpy_solves_them)
{
	static const double expected[] = {-0.13312007, 0.14449371, -0.04510053, 0.0401702};
	tfrs_content_build build;
	tfrs_count_regression regression;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);
	double		sum = 0;

	CHECK_OK(tfrs_count_regression_begin(&regression, check_arena(), &content, 1, &check_error));
	while (tfrs_count_regression_step(&regression, &check_error) == TFRS_MORE)
		;
	for (size_t w = 0; w < 23; w++)
		sum += fabs((double) regression.parameter[w]);
	for (size_t w = 0; w < 4; w++)
		CHECK_NEAR(regression.parameter[w], expected[w], 1e-3);
	CHECK_NEAR(regression.parameter[23], 0.012741, 1e-3);
	CHECK_NEAR(sum, 1.7233702, 5e-3);
	tfrs_count_regression_free(&regression);
	tfrs_content_build_free(&build);
}

static float candidate_rows[CANDIDATES * COLUMNS];
static float history_rows[CANDIDATES * COLUMNS];

/* Known rows have vectors and a bias, new ones what a tower makes of their content. */
static void
draw_rows(void)
{
	for (size_t i = 0; i < CANDIDATES; i++)
	{
		float	   *row = candidate_rows + i * COLUMNS;
		double		square = 0;

		for (size_t d = 0; d < COLUMNS; d++)
			history_rows[i * COLUMNS + d] = (float) sin((double) (i * 3 + d * 7 + 1));
		for (size_t d = 0; d < COLUMNS - 1; d++)
		{
			row[d] = counts[i] > 0 ? history_rows[i * COLUMNS + d]
				: (float) cos((double) (i * 2 + d * 5 + 2));
			square += (double) row[d] * row[d];
		}
		for (size_t d = 0; d < COLUMNS - 1; d++)
			row[d] /= (float) sqrt(square);
		row[COLUMNS - 1] = (float) (counts[i] > 0 ? 0.6 * log(counts[i]) + 0.25
									: sin((double) i));
	}
}

static tfrs_new_items_data
new_items_data(const tfrs_content *content, bool tower)
{
	return (tfrs_new_items_data) {
		.content = content, .dim = COLUMNS, .bias = true, .normalize = true, .tower = tower,
		.candidates = candidate_rows, .tables = 1, .table = {history_rows}, .threads = 1
	};
}

static void
check_row(const float *row, const double *expected)
{
	for (size_t d = 0; d < COLUMNS; d++)
		CHECK_NEAR(row[d], expected[d], 2e-3);
}

static tfrs_content_map
fill_new(tfrs_new_items *items, const tfrs_content *content, bool tower)
{
	tfrs_new_items_data data = new_items_data(content, tower);
	tfrs_content_map map;
	tfrs_status status;

	draw_rows();
	CHECK_OK(tfrs_new_items_begin(items, check_arena(), &data, &check_error));
	while ((status = tfrs_new_items_step(items, &map, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
	return map;
}

CHECK_TEST(new_items_as_numpy_solves_them)
{
	static const double blended[] = {0.109008, 0.647109, 0.253703, -0.710635, 0.778775};
	static const double alone[] = {-0.122958, 0.359426, 0.664902, 0.643117, 1.673176};
	static const double history[] = {0.084950, 0.003229, -0.080081, -0.123976, -0.106850};
	static const float known[] = {0.6f, 0.25f};
	tfrs_content_build build;
	tfrs_new_items items;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);

	fill_new(&items, &content, true);
	check_row(candidate_rows + 3 * COLUMNS, blended);
	check_row(history_rows + 3 * COLUMNS, history);
	CHECK_NEAR(candidate_rows[COLUMNS - 1], known[0] * logf((float) counts[0]) + known[1], 1e-6);
	CHECK_NEAR(history_rows[0], sin(1), 1e-6);
	tfrs_new_items_free(&items);
	fill_new(&items, &content, false);
	check_row(candidate_rows + 10 * COLUMNS, alone);
	tfrs_new_items_free(&items);
	tfrs_content_build_free(&build);
}

/* What comes after the training has the row that it would have had in it. */
CHECK_TEST(a_later_item_starts_where_it_would_have)
{
	tfrs_content_build build;
	tfrs_new_items items;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);
	tfrs_content_map map = fill_new(&items, &content, true);
	float		filled[COLUMNS];
	float		room[COLUMNS];
	uint64_t	at = content.offsets[10];
	tfrs_content_words words = {
		content.offsets[11] - at, content.word + at, content.value + at
	};

	memcpy(filled, candidate_rows + 10 * COLUMNS, sizeof(filled));
	draw_rows();
	tfrs_content_map_row(&map, &words, true, room, candidate_rows + 10 * COLUMNS);
	CHECK(memcmp(filled, candidate_rows + 10 * COLUMNS, sizeof(filled)) == 0);
	words.count = 0;
	tfrs_content_map_row(&map, &words, false, room, filled);
	CHECK_NEAR(filled[0], 0, 0);
	CHECK(isfinite(filled[COLUMNS - 1]));
	tfrs_new_items_free(&items);
	tfrs_content_build_free(&build);
}

static tfrs_neighbours
fitted(tfrs_content_fit *fit, const tfrs_content *content, const tfrs_events *events, int threads)
{
	tfrs_neighbours result;
	tfrs_status status;

	CHECK_OK(tfrs_content_fit_begin(fit, check_arena(), content, events, threads, &check_error));
	while ((status = tfrs_content_fit_step(fit, &result, &check_error)) == TFRS_MORE)
		;
	CHECK_OK(status);
	return result;
}

static float
value_of(const tfrs_neighbours *s, uint32_t j, uint32_t c)
{
	for (uint64_t i = s->offsets[j]; i < s->offsets[j + 1]; i++)
		if (s->candidate[i] == c)
			return (float) s->value[i] * s->scale[c];
	return 0;
}

/* The sum of the columns of known or of new candidates. */
static double
sum_of(const tfrs_neighbours *s, bool of_new)
{
	double		sum = 0;

	for (size_t i = 0; i < s->count; i++)
		if ((counts[s->candidate[i]] == 0) == of_new)
			sum += fabs(s->value[i] * (double) s->scale[s->candidate[i]]);
	return sum;
}

/* New candidates have twice the reference's values, which is how they are served. */
CHECK_TEST(content_neighbours_as_the_reference)
{
	static const struct
	{
		uint32_t	event;
		uint32_t	candidate;
		double		value;
	}			expected[] = {
		{0, 1, 0.033344}, {1, 35, 0.049824}, {6, 0, 0.049179}, {8, 48, 0.041354},
		{12, 49, 0.042532}, {15, 12, 0.046495}, {20, 42, 0.045328}, {2, 5, 0}, {0, 10, 0.044774}
	};
	tfrs_content_build build;
	tfrs_content_fit fit;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);
	tfrs_neighbours s = fitted(&fit, &content, &events, 1);

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		CHECK_NEAR(value_of(&s, expected[i].event, expected[i].candidate),
				   expected[i].value * (counts[expected[i].candidate] == 0 ? 2 : 1), 1e-3);
	CHECK_NEAR(fit.curve[0], 0.26531727, 1e-4);
	CHECK_NEAR(fit.curve[1], -0.38011532, 1e-4);
	CHECK_NEAR(fit.curve[2], 0.18087273, 1e-4);
	CHECK_NEAR(sum_of(&s, false), 27.378566, 0.1);
	CHECK_NEAR(sum_of(&s, true), 2 * 7.357959, 0.05);
	for (uint32_t c = 0; c < CANDIDATES; c++)
		CHECK_EQUAL(counts[c] == 0 ? s.offsets[c + 1] - s.offsets[c] : 0, 0);
	tfrs_content_fit_free(&fit);
	tfrs_content_build_free(&build);
}

CHECK_TEST(threads_leave_the_same_bytes)
{
	tfrs_content_build build;
	tfrs_content_fit one;
	tfrs_content_fit other;
	tfrs_events events;
	tfrs_content content = content_of(&build, &events);
	tfrs_neighbours a = fitted(&one, &content, &events, 1);
	tfrs_neighbours b = fitted(&other, &content, &events, 3);

	CHECK_EQUAL(a.count, b.count);
	CHECK(memcmp(a.offsets, b.offsets, (CANDIDATES + 1) * sizeof(uint64_t)) == 0);
	CHECK(memcmp(a.candidate, b.candidate, a.count * sizeof(uint32_t)) == 0);
	CHECK(memcmp(a.value, b.value, a.count) == 0);
	CHECK(memcmp(a.scale, b.scale, CANDIDATES * sizeof(float)) == 0);
	tfrs_content_fit_free(&one);
	tfrs_content_fit_free(&other);
	tfrs_content_build_free(&build);
}

/* Nothing is known of any candidate: there is nothing to fail at. */
CHECK_TEST(no_content_is_no_neighbour)
{
	tfrs_content_source source = {.candidates = CANDIDATES, .counts = counts};
	tfrs_events events = draw_events();
	tfrs_content_build build;
	tfrs_count_regression regression;
	tfrs_content_fit fit;
	tfrs_content content;
	tfrs_neighbours s;

	CHECK_OK(build_content(&build, check_arena(), &source, &content, &check_error));
	s = fitted(&fit, &content, &events, 2);
	CHECK_EQUAL(s.count, 0);
	CHECK_OK(tfrs_count_regression_begin(&regression, check_arena(), &content, 1, &check_error));
	while (tfrs_count_regression_step(&regression, &check_error) == TFRS_MORE)
		;
	CHECK_NEAR(regression.parameter[0], 0, 1e-3);
	tfrs_count_regression_free(&regression);
	tfrs_content_fit_free(&fit);
	tfrs_content_build_free(&build);
}

static tfrs_status
regress(tfrs_arena *arena, const tfrs_content *content, tfrs_error *error)
{
	tfrs_count_regression regression;
	tfrs_status status = tfrs_count_regression_begin(&regression, arena, content, 1, error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_count_regression_step(&regression, error)) == TFRS_MORE)
		;
	tfrs_count_regression_free(&regression);
	return status;
}

static tfrs_status
fit_neighbours(tfrs_arena *arena, const tfrs_content *content, const tfrs_events *events,
			   tfrs_error *error)
{
	tfrs_content_fit fit;
	tfrs_neighbours result;
	tfrs_status status = tfrs_content_fit_begin(&fit, arena, content, events, 1, error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_content_fit_step(&fit, &result, error)) == TFRS_MORE)
		;
	tfrs_content_fit_free(&fit);
	return status;
}

static tfrs_status
fill(tfrs_arena *arena, const tfrs_content *content, tfrs_error *error)
{
	tfrs_new_items_data data = new_items_data(content, false);
	tfrs_new_items items;
	tfrs_content_map map;
	tfrs_status status = tfrs_new_items_begin(&items, arena, &data, error);

	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_new_items_step(&items, &map, error)) == TFRS_MORE)
		;
	tfrs_new_items_free(&items);
	return status;
}

static tfrs_status
fit_all(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_content_source source = draw_content();
	tfrs_events events = draw_events();
	tfrs_content_build build;
	tfrs_content content;
	tfrs_status status = build_content(&build, arena, &source, &content, error);

	if (status != TFRS_OK)
		return status;
	status = regress(arena, &content, error);
	if (status == TFRS_OK)
		status = fit_neighbours(arena, &content, &events, error);
	if (status == TFRS_OK)
		status = fill(arena, &content, error);
	tfrs_content_build_free(&build);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	tfrs_kernels_choose(true);
	check_lack_of_memory(fit_all);
}
