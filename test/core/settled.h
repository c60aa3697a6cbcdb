/*
 * settled.h: towers with a feature of every kind, settled over some rows, for tests of features.
 *
 * Queries: key, history (a list that shares the candidates' table), device.  Candidates: key, brand,
 * title, price, tags, embedding, year.
 */
#ifndef TFRS_TEST_SETTLED_H
#define TFRS_TEST_SETTLED_H

#include "feature_makers.h"
#include "learning/feature_settling.h"

enum
{
	SETTLED_ID,
	SETTLED_HASH,
	SETTLED_CROSS,
	SETTLED_TEXT,
	SETTLED_NUMBER,
	SETTLED_BUCKET,
	SETTLED_BAG,
	SETTLED_SEQUENCE,
	SETTLED_VECTOR,
	SETTLED_YEAR
};

enum
{
	SETTLED_KEY,
	SETTLED_BRAND,
	SETTLED_TITLE,
	SETTLED_PRICE,
	SETTLED_TAGS,
	SETTLED_EMBEDDING,
	SETTLED_BUILT,
	SETTLED_COLUMNS
};

static inline tfrs_tower_options *
settled_candidate_options(void)
{
	static tfrs_tower_options options;
	tfrs_feature_options *cross;

	memset(&options, 0, sizeof(options));
	features_column(&options, "item", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(&options, "brand", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	features_column(&options, "title", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	features_column(&options, "price", TFRS_COLUMN_NUMBER, 0);
	features_column(&options, "tags", TFRS_COLUMN_LIST, TFRS_ID_BYTES);
	features_column(&options, "embedding", TFRS_COLUMN_VECTOR, 0);
	features_column(&options, "built", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_add(&options, TFRS_FEATURE_ID, SETTLED_BRAND);
	features_add(&options, TFRS_FEATURE_HASH, SETTLED_BRAND);
	cross = features_add(&options, TFRS_FEATURE_CROSS, SETTLED_BRAND);
	cross->columns = 2;
	cross->column[1] = SETTLED_BUILT;
	features_add(&options, TFRS_FEATURE_TEXT, SETTLED_TITLE);
	features_add(&options, TFRS_FEATURE_NUMBER, SETTLED_PRICE);
	features_add(&options, TFRS_FEATURE_BUCKET, SETTLED_PRICE);
	features_add(&options, TFRS_FEATURE_BAG, SETTLED_TAGS)->combiner = TFRS_COMBINER_IDF;
	features_add(&options, TFRS_FEATURE_SEQUENCE, SETTLED_TAGS);
	features_add(&options, TFRS_FEATURE_VECTOR, SETTLED_EMBEDDING);
	features_add(&options, TFRS_FEATURE_NUMBER, SETTLED_BUILT);
	return &options;
}

static inline tfrs_tower_options *
settled_query_options(void)
{
	static tfrs_tower_options options;
	tfrs_feature_options *bag;

	memset(&options, 0, sizeof(options));
	features_column(&options, "user", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(&options, "seen", TFRS_COLUMN_LIST, TFRS_ID_INTEGER);
	features_column(&options, "likes", TFRS_COLUMN_LIST, TFRS_ID_BYTES);
	bag = features_add(&options, TFRS_FEATURE_BAG, 1);
	snprintf(bag->share, sizeof(bag->share), "candidate.item");
	bag = features_add(&options, TFRS_FEATURE_BAG, 2);
	snprintf(bag->share, sizeof(bag->share), "candidate.brand.1");
	return &options;
}

static const char *const settled_brands[] = {"acme", "bolt", "core"};
static const char *const settled_titles[] = {
	"The red pump", "the blue pump", "A pump", "", "the valve (red)"
};
static const float settled_vectors[2][3] = {{1, 2, 3}, {-1, 0, 0.5f}};

/* The n-th candidate's values; element (2) is where its list lies. */
static inline void
settled_values(uint32_t n, tfrs_id element[2], tfrs_value value[SETTLED_COLUMNS])
{
	element[0] = tfrs_id_of_bytes("new", 3);
	element[1] = tfrs_id_of_bytes(n % 2 ? "sale" : "hot", n % 2 ? 4 : 3);
	value[SETTLED_KEY] = features_integer(n);
	value[SETTLED_BRAND] = n % 7 == 6 ? features_null() : features_text(settled_brands[n % 3]);
	value[SETTLED_TITLE] = n % 11 == 10 ? features_null() : features_text(settled_titles[n % 5]);
	value[SETTLED_PRICE] = n % 5 == 4 ? features_null() : features_number(10.0 * (n % 8));
	value[SETTLED_TAGS] = n % 9 == 8 ? features_null() : features_list(element, n % 3);
	value[SETTLED_EMBEDDING] = n % 13 == 12 ? features_null()
		: features_vector(settled_vectors[n % 2]);
	value[SETTLED_BUILT] = features_integer(1990 + n % 4);
}

typedef struct settled
{
	tfrs_arena *arena;
	size_t		candidates;
	tfrs_id_set ids;			/* of candidates */
	tfrs_id_view id_view;
	tfrs_feature_rows rows[2];	/* candidates, queries */
	uint32_t   *row;			/* (N) */
	uint32_t   *count[2];
	tfrs_settling *settling;
} settled;

static inline tfrs_status
settled_finish_rows(tfrs_feature_rows *rows, tfrs_error *error)
{
	tfrs_status status;

	do
		status = tfrs_feature_rows_finish_step(rows, error);
	while (status == TFRS_MORE);
	return status;
}

static inline tfrs_status
settled_collect_candidates(settled *s, uint32_t first, size_t count, tfrs_error *error)
{
	tfrs_status status = tfrs_feature_rows_init(&s->rows[0], s->arena, settled_candidate_options(),
												error);

	s->candidates = count;
	if (status == TFRS_OK)
		status = TFRS_GET(s->arena, &s->row, count, error);
	if (status == TFRS_OK)
		status = tfrs_id_set_init(&s->ids, s->arena, TFRS_ID_INTEGER, 0, error);
	for (uint32_t n = 0; n < count && status == TFRS_OK; n++)
	{
		tfrs_id		element[2];
		tfrs_value	value[SETTLED_COLUMNS];
		uint32_t	id;

		settled_values(first + n, element, value);
		status = tfrs_feature_rows_add(&s->rows[0], value, &s->row[n], error);
		if (status == TFRS_OK)
			status = tfrs_id_set_add(&s->ids, value[0].id, &id, error);
	}
	if (status == TFRS_OK)
		status = settled_finish_rows(&s->rows[0], error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(s->arena, &s->count[0], s->rows[0].tuples.count, error);
	for (uint32_t n = 0; n < count && status == TFRS_OK; n++)
	{
		s->row[n] = s->rows[0].new_row[s->row[n]];
		s->count[0][s->row[n]]++;
	}
	return status;
}

/* Three rows of queries. */
static inline tfrs_status
settled_collect_queries(settled *s, tfrs_error *error)
{
	tfrs_status status = tfrs_feature_rows_init(&s->rows[1], s->arena, settled_query_options(),
												error);
	uint32_t	row;

	for (uint32_t n = 0; n < 3 && status == TFRS_OK; n++)
	{
		tfrs_id		seen[2] = {tfrs_id_of_integer(n), tfrs_id_of_integer(1000)};
		tfrs_id		likes[1] = {tfrs_id_of_bytes("bolt", 4)};
		tfrs_value	value[3] = {
			features_integer(n), features_list(seen, n), features_list(likes, 1)
		};

		status = tfrs_feature_rows_add(&s->rows[1], value, &row, error);
	}
	if (status == TFRS_OK)
		status = settled_finish_rows(&s->rows[1], error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(s->arena, &s->count[1], s->rows[1].tuples.count, error);
	for (size_t r = 0; status == TFRS_OK && r + 1 < s->rows[1].tuples.count; r++)
		s->count[1][r] = 1;
	return status;
}

static inline tfrs_settling_side
settled_side(const settled *s, bool of_queries, const settled *earlier)
{
	return (tfrs_settling_side) {
		.options = s->rows[of_queries].options,
		.view = tfrs_feature_rows_view(&s->rows[of_queries]), .row_count = s->count[of_queries],
		.keys = of_queries ? NULL : &s->id_view, .counts_anew = !of_queries,
		.earlier = earlier == NULL ? NULL : tfrs_settling_features(earlier->settling, of_queries)
	};
}

/* Candidates first .. first + count - 1; *s is to be freed also after an error. */
static inline tfrs_status
settled_make(settled *s, tfrs_arena *arena, uint32_t first, size_t count, const settled *earlier,
			 tfrs_error *error)
{
	tfrs_settling_side query;
	tfrs_settling_side candidate;
	tfrs_status status;

	memset(s, 0, sizeof(*s));
	s->arena = arena;
	status = settled_collect_candidates(s, first, count, error);
	if (status == TFRS_OK)
		status = settled_collect_queries(s, error);
	if (status != TFRS_OK)
		return status;
	s->id_view = tfrs_id_set_view(&s->ids);
	query = settled_side(s, true, earlier);
	candidate = settled_side(s, false, earlier);
	status = tfrs_settling_begin(&s->settling, arena, &query, &candidate, error);
	if (status != TFRS_OK)
		return status;
	do
		status = tfrs_settling_step(s->settling, error);
	while (status == TFRS_MORE);
	return status;
}

static inline void
settled_free(settled *s)
{
	tfrs_settling_destroy(s->settling);
	tfrs_feature_rows_free(&s->rows[0]);
	tfrs_feature_rows_free(&s->rows[1]);
	tfrs_arena_release(s->arena, s->row);
	tfrs_arena_release(s->arena, s->count[0]);
	tfrs_arena_release(s->arena, s->count[1]);
	if (s->ids.arena != NULL)
		tfrs_id_set_free(&s->ids);
	memset(s, 0, sizeof(*s));
}

#endif							/* TFRS_TEST_SETTLED_H */
