/*
 * test_key_rows.c: interactions whose sides have columns: the row of each interaction, key and event.
 */
#include "feature_makers.h"
#include "rows.h"

#include "learning/event_collector.h"

#define MANY 400000				/* more than a bucket */

static test_row rows[MANY];
static const char *const devices[] = {"phone", "tablet", "tv"};

/* Queries: key and device; candidates: key and price. */
static const tfrs_tower_options *
query_options(void)
{
	static tfrs_tower_options options;

	memset(&options, 0, sizeof(options));
	features_column(&options, "user", TFRS_COLUMN_ID, TFRS_ID_INTEGER);
	features_column(&options, "device", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	features_add(&options, TFRS_FEATURE_ID, 1);
	return &options;
}

static const tfrs_tower_options *
candidate_options(void)
{
	static tfrs_tower_options options;

	memset(&options, 0, sizeof(options));
	features_column(&options, "item", TFRS_COLUMN_ID, TFRS_ID_BYTES);
	features_column(&options, "price", TFRS_COLUMN_NUMBER, 0);
	features_add(&options, TFRS_FEATURE_NUMBER, 1);
	return &options;
}

/* What a row says of its sides, by its content alone. */
static const char *
device_of(const test_row *row)
{
	return devices[(uint64_t) (row->query * 7 + row->candidate * 3 + row->at) % 3];
}

static double
price_of(const test_row *row)
{
	return (double) ((uint64_t) (row->candidate * 5 + row->at) % 4);
}

static tfrs_status
add_row(tfrs_interactions *interactions, const test_row *row, tfrs_error *error)
{
	char		text[32];
	tfrs_value	query[2] = {features_integer(row->query), features_text(device_of(row))};
	tfrs_value	candidate[2] = {features_null(), features_number(price_of(row))};
	tfrs_given_row given = {
		.query = tfrs_id_of_integer(row->query), .candidate = rows_candidate(row, text),
		.query_value = query, .candidate_value = candidate, .weight = row->weight,
		.at = row->at
	};

	return tfrs_interactions_add_rows(interactions, &given, error);
}

static tfrs_status
begin(tfrs_interactions **interactions, tfrs_arena *arena,
	  const tfrs_interactions_options *options, tfrs_error *error)
{
	tfrs_status status = rows_begin(interactions, arena, options, error);

	if (status == TFRS_OK)
		status = tfrs_interactions_set_query_row(*interactions, query_options(), error);
	if (status == TFRS_OK)
		status = tfrs_interactions_set_candidate_row(*interactions, candidate_options(), error);
	return status;
}

static tfrs_status
collect(tfrs_interactions **interactions, tfrs_arena *arena,
		const tfrs_interactions_options *options, size_t count, tfrs_error *error)
{
	tfrs_status status = begin(interactions, arena, options, error);

	for (size_t i = 0; i < count && status == TFRS_OK; i++)
		status = add_row(*interactions, &rows[i], error);
	return status == TFRS_OK ? rows_finish(*interactions, error) : status;
}

static size_t
read_all(tfrs_interactions *interactions, tfrs_interaction *sequence, size_t room)
{
	size_t		total = 0;
	size_t		count = 1;

	CHECK_OK(tfrs_interactions_rewind(interactions, 0, &check_error));
	for (; count > 0 && total < room; total += count)
		CHECK_OK(tfrs_interactions_read(interactions, sequence + total, room - total, &count,
										&check_error));
	return total;
}

/* The device in a row of queries; NULL for none. */
static const char *
device_in(const tfrs_interactions *interactions, uint32_t row, char text[32])
{
	tfrs_rows_view view = tfrs_feature_rows_view(&tfrs_interactions_query_rows(interactions)->rows);
	uint32_t	number = tfrs_rows_value_number(&view, 1, row);
	tfrs_id		id;

	if (number == TFRS_NO_ROW)
		return NULL;
	id = tfrs_id_view_get(&view.value[1], number);
	snprintf(text, 32, "%.*s", (int) id.length, id.bytes);
	return text;
}

/* The price of a candidate; NAN for none. */
static double
price_in(const tfrs_interactions *interactions, uint32_t candidate)
{
	const tfrs_key_rows *keys = tfrs_interactions_candidate_rows(interactions);
	tfrs_rows_view view = tfrs_feature_rows_view(&keys->rows);
	double		price = NAN;

	tfrs_rows_number(&view, 1, keys->row_of[candidate], &price);
	return price;
}

static int64_t
query_in(const tfrs_interactions *interactions, uint32_t query)
{
	return tfrs_interactions_queries(interactions)->integers[query];
}

static int64_t
candidate_in(const tfrs_interactions *interactions, uint32_t candidate)
{
	tfrs_id_view view = tfrs_id_set_view(tfrs_interactions_candidates(interactions));

	return atoll(tfrs_id_view_get(&view, candidate).bytes + 1);
}

CHECK_TEST(each_interaction_has_the_row_that_came_with_it)
{
	static tfrs_interaction sequence[5001];
	tfrs_interactions *interactions;

	rows_draw(rows, 5000, 40, 30);
	for (int mode = 0; mode < 4; mode++)
	{
		tfrs_interactions_options options = {
			.has_weight = mode & 1, .has_time = true, .input_order = mode & 2,
			.budget = mode == 3 ? 0 : SIZE_MAX, .spools = &rows_spools
		};

		CHECK_OK(collect(&interactions, check_arena(), &options, 5000, &check_error));
		CHECK_EQUAL(read_all(interactions, sequence, 5001), 5000);
		for (size_t i = 0; i < 5000; i++)
		{
			char		text[32];
			test_row	row = {
				query_in(interactions, sequence[i].query),
				candidate_in(interactions, sequence[i].candidate), 0, sequence[i].at
			};

			CHECK(strcmp(device_in(interactions, sequence[i].row, text), device_of(&row)) == 0);
		}
		tfrs_interactions_destroy(interactions);
	}
}

/* Also across buckets and spools: equal sets of rows are equal sequences. */
CHECK_TEST(rows_do_not_depend_on_the_order_of_arrival)
{
	static tfrs_interaction sequence[2][MANY + 1];
	tfrs_interactions *interactions[2];

	rows_draw(rows, MANY, 20, 15);
	for (size_t i = 0; i < MANY; i++)
		rows[i].at %= 40;		/* rows that are equal but for their device */
	for (int turn = 0; turn < 2; turn++)
	{
		tfrs_interactions_options options = {
			.has_weight = true, .has_time = true, .spools = &rows_spools,
			.budget = turn == 0 ? SIZE_MAX : 200000
		};

		if (turn == 1)
			rows_permute(rows, MANY, 3);
		CHECK_OK(collect(&interactions[turn], check_arena(), &options, MANY, &check_error));
		CHECK_EQUAL(read_all(interactions[turn], sequence[turn], MANY + 1), MANY);
	}
	for (size_t i = 0; i < MANY; i++)
	{
		CHECK_EQUAL(sequence[0][i].query, sequence[1][i].query);
		CHECK_EQUAL(sequence[0][i].candidate, sequence[1][i].candidate);
		CHECK_EQUAL(sequence[0][i].row, sequence[1][i].row);
	}
	for (uint32_t c = 0; c < tfrs_interactions_candidates(interactions[0])->count; c++)
		CHECK(price_in(interactions[0], c) == price_in(interactions[1], c));
	tfrs_interactions_destroy(interactions[0]);
	tfrs_interactions_destroy(interactions[1]);
}

/* Rows of candidate 1 at given times with given prices, in both orders. */
static double
chosen_price(const int64_t *at, const double *price, size_t count, bool has_time, bool backwards)
{
	tfrs_interactions_options options = {.has_time = has_time,.budget = SIZE_MAX};
	tfrs_interactions *interactions;
	double		chosen;

	CHECK_OK(begin(&interactions, check_arena(), &options, &check_error));
	for (size_t i = 0; i < count; i++)
	{
		size_t		n = backwards ? count - 1 - i : i;
		tfrs_value	candidate[2] = {features_null(), features_number(price[n])};
		tfrs_given_row given = {
			.query = tfrs_id_of_integer(4), .candidate = tfrs_id_of_bytes("c1", 2),
			.candidate_value = candidate, .weight = 1, .at = at[n]
		};

		if (price[n] < 0)
			candidate[1] = features_null();
		CHECK_OK(tfrs_interactions_add_rows(interactions, &given, &check_error));
	}
	CHECK_OK(rows_finish(interactions, &check_error));
	CHECK_EQUAL(tfrs_interactions_candidate_rows(interactions)->differ, 1);
	chosen = price_in(interactions, 0);
	tfrs_interactions_destroy(interactions);
	return chosen;
}

CHECK_TEST(the_latest_row_of_a_key_counts)
{
	static const int64_t at[] = {10, 30, 20, 30};
	static const double price[] = {9, 1, 7, 3};

	for (int backwards = 0; backwards < 2; backwards++)
	{
		CHECK_NEAR(chosen_price(at, price, 3, true, backwards), 1, 0);
		CHECK_NEAR(chosen_price(at, price, 4, true, backwards), 3, 0);	/* the greater of 1 and 3 */
		CHECK_NEAR(chosen_price(at, price, 4, false, backwards), 9, 0);
	}
}

CHECK_TEST(a_value_is_greater_than_null)
{
	static const int64_t at[] = {10, 10};
	static const double price[] = {-1, 0};

	for (int backwards = 0; backwards < 2; backwards++)
		CHECK_NEAR(chosen_price(at, price, 2, true, backwards), 0, 0);
}

static void
know_price(tfrs_interactions *interactions, const char *candidate, double price,
		   tfrs_row_origin origin)
{
	tfrs_value	value[2] = {features_null(), features_number(price)};

	CHECK_OK(tfrs_interactions_know_candidate_row(interactions,
												  tfrs_id_of_bytes(candidate, strlen(candidate)),
												  value, origin, &check_error));
}

/* c0: an interaction; c1: that and the model; c2: that and the catalogue; c3: the catalogue alone;
 * c4: the model alone; c5: nothing is known. */
CHECK_TEST(the_catalogue_counts_more_than_interactions_and_these_more_than_a_model)
{
	tfrs_interactions_options options = {.has_time = true,.budget = SIZE_MAX};
	tfrs_interactions *interactions;
	const tfrs_key_rows *keys;
	static const double expected[] = {0, 1, 20, 30, 40};
	uint64_t	counted = 0;

	CHECK_OK(begin(&interactions, check_arena(), &options, &check_error));
	know_price(interactions, "c1", 10, TFRS_ROW_OF_MODEL);
	know_price(interactions, "c2", 20, TFRS_ROW_OF_CATALOGUE);
	for (int i = 0; i < 3; i++)
	{
		char		text[8];
		tfrs_value	value[2] = {features_null(), features_number(i)};
		tfrs_given_row given = {
			.query = tfrs_id_of_integer(4), .candidate_value = value, .weight = 1,
			.at = INT64_MAX
		};

		given.candidate = tfrs_id_of_bytes(text, (size_t) snprintf(text, 8, "c%d", i));
		CHECK_OK(tfrs_interactions_add_rows(interactions, &given, &check_error));
	}
	know_price(interactions, "c3", 30, TFRS_ROW_OF_CATALOGUE);
	know_price(interactions, "c4", 40, TFRS_ROW_OF_MODEL);
	CHECK_OK(tfrs_interactions_know_candidate(interactions, tfrs_id_of_bytes("c5", 2),
											  &check_error));
	CHECK_OK(rows_finish(interactions, &check_error));
	for (uint32_t c = 0; c < 5; c++)
		CHECK_NEAR(price_in(interactions, c), expected[c], 0);
	CHECK(isnan(price_in(interactions, 5)));
	keys = tfrs_interactions_candidate_rows(interactions);
	CHECK_EQUAL(keys->differ, 0);
	/* those without interactions in any training do not count in statistics */
	for (size_t r = 0; r < keys->rows.tuples.count; r++)
		counted += keys->row_count[r];
	CHECK_EQUAL(counted, 4);
	CHECK_EQUAL(keys->row_count[keys->row_of[3]], 0);
	CHECK_EQUAL(keys->row_count[keys->row_of[4]], 1);
	tfrs_interactions_destroy(interactions);
}

CHECK_TEST(statistics_of_queries_count_interactions)
{
	tfrs_interactions_options options = {.has_time = true,.budget = SIZE_MAX};
	tfrs_interactions *interactions;
	const tfrs_key_rows *keys;
	size_t		expected[3] = {0};

	rows_draw(rows, 1000, 40, 30);
	CHECK_OK(collect(&interactions, check_arena(), &options, 1000, &check_error));
	keys = tfrs_interactions_query_rows(interactions);
	for (size_t i = 0; i < 1000; i++)
		for (int d = 0; d < 3; d++)
			expected[d] += strcmp(device_of(&rows[i]), devices[d]) == 0;
	CHECK_EQUAL(keys->rows.tuples.count, 4);
	for (uint32_t r = 0; r < 3; r++)
	{
		char		text[32];

		CHECK(strcmp(device_in(interactions, r, text), devices[r]) == 0);
		CHECK_EQUAL(keys->row_count[r], expected[r]);
	}
	CHECK_EQUAL(keys->row_count[3], 0);
	tfrs_interactions_destroy(interactions);
}

/* Where no feature reads a column all is as for ids alone. */
CHECK_TEST(columns_that_no_feature_reads_cost_nothing)
{
	static tfrs_tower_options without;
	tfrs_interactions_options options = {.budget = SIZE_MAX};
	tfrs_interactions *interactions;
	tfrs_interaction row;
	size_t		count;

	without = *query_options();
	without.features = 0;
	CHECK_OK(rows_begin(&interactions, check_arena(), &options, &check_error));
	CHECK_OK(tfrs_interactions_set_query_row(interactions, &without, &check_error));
	rows_draw(rows, 1, 40, 30);
	CHECK_OK(add_row(interactions, &rows[0], &check_error));
	CHECK_OK(rows_finish(interactions, &check_error));
	CHECK(tfrs_interactions_query_rows(interactions) == NULL);
	CHECK(tfrs_interactions_candidate_rows(interactions) == NULL);
	CHECK_OK(tfrs_interactions_rewind(interactions, 0, &check_error));
	CHECK_OK(tfrs_interactions_read(interactions, &row, 1, &count, &check_error));
	CHECK_EQUAL(row.row, TFRS_NO_ROW);
	tfrs_interactions_destroy(interactions);
}

/* Rows with and without columns in one collection. */
CHECK_TEST(an_interaction_without_columns_has_nulls)
{
	tfrs_interactions_options options = {.input_order = true,.budget = SIZE_MAX};
	tfrs_interactions *interactions;
	tfrs_interaction sequence[4];
	char		text[32];

	rows_integer_candidates = true;	/* so that the first row waits */
	CHECK_OK(begin(&interactions, check_arena(), &options, &check_error));
	rows_draw(rows, 3, 40, 30);
	CHECK_OK(rows_add(interactions, &rows[0], 1, &check_error));
	CHECK_OK(add_row(interactions, &rows[1], &check_error));
	CHECK_OK(rows_add(interactions, &rows[2], 1, &check_error));
	CHECK_OK(rows_finish(interactions, &check_error));
	CHECK_EQUAL(read_all(interactions, sequence, 4), 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQUAL(query_in(interactions, sequence[i].query), rows[i].query);
	CHECK(device_in(interactions, sequence[0].row, text) == NULL);
	CHECK(strcmp(device_in(interactions, sequence[1].row, text), device_of(&rows[1])) == 0);
	CHECK(device_in(interactions, sequence[2].row, text) == NULL);
	tfrs_interactions_destroy(interactions);
	rows_integer_candidates = false;
}

static tfrs_status
collect_events(tfrs_event_collector *collector, tfrs_arena *arena,
			   tfrs_interactions *interactions, const tfrs_event_options *options,
			   tfrs_events *events, tfrs_error *error)
{
	tfrs_status status = tfrs_event_collector_begin(collector, arena, interactions, options,
													error);

	if (status != TFRS_OK)
		return status;
	do
		status = tfrs_event_collector_step(collector, events, error);
	while (status == TFRS_MORE);
	return status;
}

CHECK_TEST(an_event_has_the_row_of_the_interaction_that_was_kept)
{
	for (int mode = 0; mode < 4; mode++)
	{
		tfrs_interactions_options collecting = {.has_time = mode & 1,.budget = SIZE_MAX};
		tfrs_event_options options = {
			.has_time = mode & 1, .keep_repeats = mode & 2, .has_row = true
		};
		tfrs_event_collector collector;
		tfrs_interactions *interactions;
		tfrs_events events;

		rows_draw(rows, 20000, 40, 30);
		for (int i = 0; i < 20000 && !collecting.has_time; i++)
			rows[i].at = 0;		/* which the device is made of */
		CHECK_OK(collect(&interactions, check_arena(), &collecting, 20000, &check_error));
		CHECK_OK(collect_events(&collector, check_arena(), interactions, &options, &events,
								&check_error));
		CHECK(events.count > 500);
		for (uint32_t q = 0; q < events.queries; q++)
			for (uint64_t e = events.offsets[q]; e < events.offsets[q + 1]; e++)
			{
				char		text[32];
				test_row	row = {
					query_in(interactions, q), candidate_in(interactions, events.candidate[e]),
					0, events.at == NULL ? 0 : events.at[e]
				};

				CHECK(strcmp(device_in(interactions, events.row[e], text), device_of(&row)) == 0);
			}
		tfrs_event_collector_free(&collector);
		tfrs_interactions_destroy(interactions);
	}
}

/* Devices of one query, candidate and time: the greatest row, in either order. */
CHECK_TEST(of_equal_interactions_an_event_has_the_greatest_row)
{
	for (int backwards = 0; backwards < 2; backwards++)
	{
		tfrs_interactions_options collecting = {.has_time = true,.budget = SIZE_MAX};
		tfrs_event_options options = {.has_time = true,.has_row = true};
		tfrs_event_collector collector;
		tfrs_interactions *interactions;
		tfrs_events events;
		char		text[32];

		CHECK_OK(begin(&interactions, check_arena(), &collecting, &check_error));
		for (int i = 0; i < 3; i++)
		{
			tfrs_value	value[2] = {
				features_null(), features_text(devices[backwards ? 2 - i : i])
			};
			tfrs_given_row given = {
				.query = tfrs_id_of_integer(4), .candidate = tfrs_id_of_bytes("c1", 2),
				.query_value = value, .weight = 1, .at = 5
			};

			CHECK_OK(tfrs_interactions_add_rows(interactions, &given, &check_error));
		}
		CHECK_OK(rows_finish(interactions, &check_error));
		CHECK_OK(collect_events(&collector, check_arena(), interactions, &options, &events,
								&check_error));
		CHECK_EQUAL(events.count, 1);
		CHECK(strcmp(device_in(interactions, events.row[0], text), "tv") == 0);
		tfrs_event_collector_free(&collector);
		tfrs_interactions_destroy(interactions);
	}
}

/* An earlier model's event has the row of its query's key, as that is all that a model stores. */
CHECK_TEST(a_stored_event_has_the_row_of_its_query)
{
	static const uint64_t offsets[] = {0, 1};
	static const uint32_t candidates[] = {0};
	static const int64_t at[] = {3};
	static const uint32_t query_place[] = {0};
	static const uint32_t candidate_place[] = {1};
	uint32_t	query_rows[1] = {2};
	uint32_t	candidate_rows[2] = {1, 1};
	tfrs_events earlier = {
		.queries = 1, .count = 1, .offsets = offsets, .candidate = candidates, .at = at
	};
	tfrs_stored_events stored = {
		&earlier, query_place, candidate_place, query_rows, candidate_rows
	};
	tfrs_interactions_options collecting = {.has_time = true,.budget = SIZE_MAX};
	tfrs_event_options options = {.has_time = true,.has_row = true,.stored = &stored};
	tfrs_event_collector collector;
	tfrs_interactions *interactions;
	tfrs_events events;
	tfrs_value	known[2] = {features_null(), features_text("tablet")};
	char		text[32];

	CHECK_OK(begin(&interactions, check_arena(), &collecting, &check_error));
	CHECK_OK(tfrs_interactions_know_query_row(interactions, tfrs_id_of_integer(4), known,
											  TFRS_ROW_OF_CATALOGUE, &check_error));
	CHECK_OK(tfrs_interactions_know_candidate(interactions, tfrs_id_of_bytes("c2", 2),
											  &check_error));
	rows[0] = (test_row) {4, 1, 1.0f, 10};
	CHECK_OK(add_row(interactions, &rows[0], &check_error));
	CHECK_OK(rows_finish(interactions, &check_error));
	CHECK_OK(collect_events(&collector, check_arena(), interactions, &options, &events,
							&check_error));
	CHECK_EQUAL(events.count, 2);
	CHECK(strcmp(device_in(interactions, events.row[0], text), "tablet") == 0);
	CHECK(strcmp(device_in(interactions, events.row[1], text), device_of(&rows[0])) == 0);
	tfrs_event_collector_free(&collector);
	tfrs_interactions_destroy(interactions);
}

static tfrs_status
collect_rows_and_events(tfrs_arena *arena, tfrs_error *error)
{
	tfrs_interactions_options collecting = {
		.has_time = true, .budget = SIZE_MAX, .spools = &rows_spools
	};
	tfrs_event_options options = {.has_time = true,.has_row = true};
	tfrs_event_collector collector = {0};
	tfrs_interactions *interactions = NULL;
	tfrs_events events;
	tfrs_status status = collect(&interactions, arena, &collecting, 500, error);

	if (status == TFRS_OK)
		status = collect_events(&collector, arena, interactions, &options, &events, error);
	tfrs_event_collector_free(&collector);
	tfrs_interactions_destroy(interactions);
	return status;
}

CHECK_TEST(lack_of_memory)
{
	rows_draw(rows, 500, 100, 50);
	check_lack_of_memory(collect_rows_and_events);
}
