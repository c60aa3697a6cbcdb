/*
 * fuzz_index.c: hostile bytes as an index (libFuzzer): what loads must be safe to search.
 *
 * The first byte chooses a good index (kind, metric, quantization), the next two what is asked of
 * it; the rest are patches (fuzzing.h).  An answer has at most k rows, all of the index and no row
 * twice.
 */
#include "fuzzing.h"

#include "base/random.h"
#include "retrieval/index.h"

/* Rows enough for leaves and codes. */
#define ROWS 3000
#define DIM 24
#define INDEXES 6

static float vectors[ROWS * DIM];
static good_block good_indexes[INDEXES];

static void
build(good_block *good, const tfrs_index_options *options, tfrs_arena *arena)
{
	tfrs_index_builder *builder;
	tfrs_block_writer writer;
	double		done;
	tfrs_status status;

	CHECK_OK(tfrs_index_builder_begin(&builder, arena, options, vectors, ROWS, DIM, &check_error));
	do
		status = tfrs_index_builder_step(builder, &done, &check_error);
	while (status == TFRS_MORE);
	CHECK_OK(status);
	tfrs_block_writer_init(&writer, TFRS_BLOCK_INDEX);
	CHECK_OK(tfrs_index_builder_save(builder, true, &writer, &check_error));
	good_block_write(good, &writer);
	tfrs_index_builder_destroy(builder);
}

/* Tuning is given, as finding it takes most of a build's time. */
static void
prepare(void)
{
	static const tfrs_metric metrics[] = {TFRS_METRIC_DOT, TFRS_METRIC_COSINE, TFRS_METRIC_L2};
	tfrs_random random;
	tfrs_arena	arena;

	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_random_init(&random, 1, 0, 0);
	for (size_t i = 0; i < ROWS * DIM; i++)
		vectors[i] = tfrs_random_normal(&random);
	for (int i = 0; i < INDEXES; i++)
	{
		tfrs_index_options options;

		tfrs_index_options_default(&options);
		options.metric = metrics[i % 3];
		options.kind = i < 3 ? TFRS_INDEX_TREE : TFRS_INDEX_EXACT;
		options.quantization = i % 2 == 0 ? TFRS_QUANTIZATION_INT8 : TFRS_QUANTIZATION_PQ4;
		options.leaves_to_search = 8;
		options.rerank = 50;
		build(&good_indexes[i], &options, &arena);
	}
	tfrs_arena_free(&arena);
}

static void
ask(const tfrs_index *index, const uint8_t *question, tfrs_arena *arena)
{
	tfrs_search search;
	tfrs_hit	hits[256];
	size_t		count;
	const uint32_t excluded[] = {0, 7, 8, 2999};

	tfrs_search_default(&search);
	search.k = question[0];
	search.exact = question[1] & 1;
	search.excluded = excluded;
	search.excluded_count = question[1] & 2 ? 4 : 0;
	if (index->dim > DIM || tfrs_index_search(index, vectors, &search, arena, hits, &count,
											  &check_error) != TFRS_OK)
		return;
	REQUIRE(count <= search.k);
	for (size_t i = 0; i < count; i++)
	{
		REQUIRE(hits[i].row < index->count);
		for (size_t j = 0; j < i; j++)
			REQUIRE(hits[j].row != hits[i].row);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const good_block *good;
	tfrs_block	block;
	tfrs_index	index;
	tfrs_arena	arena;
	void	   *copy;

	if (size < 3)
		return 0;
	good = &good_indexes[input[0] % INDEXES];
	copy = good_block_patched(good, input + 3, size - 3);
	tfrs_arena_init(&arena, tfrs_allocator_malloc(), SIZE_MAX);
	if (tfrs_block_open(&block, copy, good->length, TFRS_BLOCK_INDEX, &check_error) == TFRS_OK &&
		tfrs_index_load(&index, &block, "", NULL, 0, &arena, &check_error) == TFRS_OK)
		ask(&index, input + 1, &arena);
	tfrs_arena_free(&arena);
	free(copy);
	return 0;
}
