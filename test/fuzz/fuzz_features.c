/*
 * fuzz_features.c: hostile bytes as the features of a model (libFuzzer): what loads must be safe to
 * use.
 *
 * The input is a list of patches (fuzzing.h) to the features of both sides and the rows of their
 * keys, one feature of each kind.  What loads encodes every row, as serving does, and values that
 * training never saw.
 */
#include "fuzzing.h"

#include "learning/feature_store.h"
#include "settled.h"

#define CANDIDATES 25
#define QUERIES 2

static good_block good;
static settled made;
static tfrs_arena made_arena;

static void
store_side(bool of_queries, tfrs_feature_store *store, tfrs_rows_view *view,
		   tfrs_block_writer *writer)
{
	static const uint32_t query_row[QUERIES] = {0, 1};
	tfrs_status status;

	*view = tfrs_feature_rows_view(&made.rows[of_queries]);
	status = tfrs_feature_store_begin(store, &made_arena,
									  tfrs_settling_features(made.settling, of_queries), view,
									  of_queries ? query_row : made.row,
									  of_queries ? QUERIES : CANDIDATES, &check_error);
	REQUIRE(status == TFRS_OK);
	do
		status = tfrs_feature_store_step(store, &check_error);
	while (status == TFRS_MORE);
	REQUIRE(status == TFRS_OK);
	REQUIRE(tfrs_feature_store_add(store, of_queries, writer, &check_error) == TFRS_OK);
}

static void
prepare(void)
{
	static tfrs_block_writer writer;
	static tfrs_feature_store stores[2];
	static tfrs_rows_view views[2];

	tfrs_arena_init(&made_arena, tfrs_allocator_malloc(), SIZE_MAX);
	REQUIRE(settled_make(&made, &made_arena, 0, CANDIDATES, NULL, &check_error) == TFRS_OK);
	tfrs_block_writer_init(&writer, TFRS_BLOCK_MODEL);
	store_side(false, &stores[0], &views[0], &writer);
	store_side(true, &stores[1], &views[1], &writer);
	good_block_write(&good, &writer);
}

/* What each feature makes of a row; a row of a table is one that is there. */
static void
encode(tfrs_arena *arena, const tfrs_features *features, const tfrs_value *value)
{
	for (uint32_t f = 0; f < features->count; f++)
	{
		const tfrs_feature *feature = &features->feature[f];
		tfrs_encoded_feature one;

		REQUIRE(tfrs_encoded_feature_init(&one, arena, feature, 1, 0, &check_error) == TFRS_OK);
		REQUIRE(tfrs_encoded_feature_add(&one, value, &check_error) == TFRS_OK);
		REQUIRE(one.id == NULL || one.id[0] == TFRS_NO_ROW || one.id[0] < feature->rows);
		for (size_t i = 0; i < one.items.count; i++)
			REQUIRE(one.items.item[i] < feature->rows);
		tfrs_encoded_feature_free(&one);
	}
}

static void
use(const tfrs_stored_features *stored, size_t keys)
{
	tfrs_value	value[TFRS_MAX_COLUMNS];
	tfrs_row_room room;
	tfrs_arena	arena;

	if (stored->features.options == NULL)
		return;
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_row_room_init(&room, &arena);
	for (uint32_t c = 0; c < TFRS_MAX_COLUMNS; c++)
		value[c] = features_null();
	encode(&arena, &stored->features, value);
	for (uint32_t row = 0; stored->has_rows && row < keys; row++)
	{
		REQUIRE(tfrs_rows_read(&stored->rows, row, &room, value, &check_error) == TFRS_OK);
		encode(&arena, &stored->features, value);
	}
	tfrs_arena_free(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static tfrs_stored_features stored[2];
	uint8_t    *copy = good_block_patched(&good, input, size);
	tfrs_block	block;

	if (tfrs_block_open(&block, copy, good.length, TFRS_BLOCK_MODEL, &check_error) == TFRS_OK &&
		tfrs_stored_features_load(&stored[0], &block, false, CANDIDATES,
								  &check_error) == TFRS_OK &&
		tfrs_stored_features_load(&stored[1], &block, true, QUERIES, &check_error) == TFRS_OK &&
		tfrs_features_link(&stored[1].features, &stored[0].features, &made.id_view, &made.id_view,
						   &check_error) == TFRS_OK)
	{
		use(&stored[0], CANDIDATES);
		use(&stored[1], QUERIES);
	}
	free(copy);
	return 0;
}
