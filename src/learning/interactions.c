/*
 * interactions.c: collecting rows, their canonical form and the epochs over them.
 *
 *     add:     ids -> row numbers of arrival -> the arrival list, spooled past the budget; pairs of
 *              integers wait until there are some, so that their look-ups overlap
 *     finish:  sort ids -> count and renumber rows -> spread over buckets -> deal out crowded ones
 *     epoch:   buckets in random order; each is loaded, sorted and shuffled when its turn comes
 *
 * A finish step handles one block of rows (at most 8,192) or one step of id_sort.  Loading a bucket
 * during an epoch takes below 50 ms for the largest one.
 *
 * Ids stay in memory whatever the budget is, since the tables that belong to them do; what they
 * take is taken from the rows' share.  Past TFRS_MAX_BLOCK_BYTES they could not become a model.
 */
#include "learning/interactions.h"

#include <stdlib.h>

#include "base/id_sort.h"
#include "base/random.h"
#include "learning/bucket.h"
#include "learning/spread.h"
#include "learning/streams.h"

typedef enum finish_phase
{
	COLLECT,
	SORT_QUERIES,
	SORT_CANDIDATES,
	COUNT_ROWS,
	DEAL_ROWS,
	FINISHED
} finish_phase;

/* One side: the ids and, after sorting, what belongs to each. */
typedef struct id_side
{
	tfrs_id_set ids;
	uint32_t   *new_row;		/* (V) by row of arrival */
	uint32_t   *counts;			/* (V) interactions of each id */
} id_side;

/* Rows of integer ids that wait to be looked up together. */
#define WAITING_ROWS 128

typedef struct waiting_rows
{
	size_t		count;
	int64_t		query[WAITING_ROWS];
	int64_t		candidate[WAITING_ROWS];
	float		weight[WAITING_ROWS];
	int64_t		at[WAITING_ROWS];
} waiting_rows;

struct tfrs_interactions
{
	tfrs_arena *arena;
	tfrs_interactions_options options;
	tfrs_row_format format;
	id_side		query;
	id_side		candidate;
	tfrs_row_store arrival_store;
	tfrs_row_queue arrival;
	waiting_rows waiting;
	size_t		count;
	finish_phase phase;
	tfrs_id_sort sort;
	tfrs_row_reader reader;		/* of the arrival list: counting, then epochs in input order */
	tfrs_spread spread;

	/* the epoch */
	uint32_t	epoch;
	uint32_t   *bucket_order;	/* (spread.bucket_count) */
	uint32_t	next_bucket;	/* position in bucket_order */
	uint32_t	loaded;			/* bucket number in bucket, TFRS_NO_ROW: none */
	tfrs_bucket bucket;
	size_t		position;		/* within the bucket or block */
	const uint8_t *block;		/* input order */
	size_t		block_rows;
};

tfrs_status
tfrs_interactions_create(tfrs_interactions **interactions, tfrs_arena *arena,
						 const tfrs_interactions_options *options, tfrs_error *error)
{
	tfrs_interactions *made;
	tfrs_status status = TFRS_GET_ZERO(arena, interactions, 1, error);

	if (status != TFRS_OK)
		return status;
	made = *interactions;
	made->arena = arena;
	made->options = *options;
	made->format.has_weight = options->has_weight;
	made->format.has_time = options->has_time;
	tfrs_row_store_init(&made->arrival_store, arena, made->format, options->spools);
	return TFRS_OK;
}

static void
free_side(tfrs_arena *arena, id_side *side)
{
	if (side->ids.arena != NULL)
		tfrs_id_set_free(&side->ids);
	tfrs_arena_release(arena, side->new_row);
	tfrs_arena_release(arena, side->counts);
}

void
tfrs_interactions_destroy(tfrs_interactions *interactions)
{
	if (interactions == NULL)
		return;
	tfrs_id_sort_end(&interactions->sort);
	free_side(interactions->arena, &interactions->query);
	free_side(interactions->arena, &interactions->candidate);
	tfrs_row_queue_free(&interactions->arrival_store, &interactions->arrival);
	tfrs_row_store_free(&interactions->arrival_store);
	tfrs_spread_free(&interactions->spread);
	tfrs_bucket_free(&interactions->bucket);
	tfrs_arena_release(interactions->arena, interactions->bucket_order);
	tfrs_arena_release(interactions->arena, interactions);
}

tfrs_status
tfrs_interactions_set_query_type(tfrs_interactions *interactions, tfrs_id_kind kind, uint32_t tag,
								 tfrs_error *error)
{
	return tfrs_id_set_init(&interactions->query.ids, interactions->arena, kind, tag, error);
}

tfrs_status
tfrs_interactions_set_candidate_type(tfrs_interactions *interactions, tfrs_id_kind kind,
									 uint32_t tag, tfrs_error *error)
{
	return tfrs_id_set_init(&interactions->candidate.ids, interactions->arena, kind, tag, error);
}

/* Bytes that the ids hold; *content grows by what a model would store of them at least. */
static size_t
id_bytes(const tfrs_id_set *set, size_t *content)
{
	size_t		bytes = set->capacity * sizeof(uint64_t);	/* integers or offsets */

	bytes += (set->slot_mask + 1) * sizeof(set->slots[0]) + set->bytes_capacity;
	*content += set->count * sizeof(uint64_t);
	if (set->kind == TFRS_ID_BYTES)
		*content += set->offsets[set->count];
	return bytes;
}

/* The bytes of the budget that the ids leave to the rows. */
static size_t
budget_of_rows(const tfrs_interactions *interactions, size_t *content)
{
	size_t		budget = interactions->options.budget;
	size_t		ids;

	*content = 0;
	ids = id_bytes(&interactions->query.ids, content);
	ids += id_bytes(&interactions->candidate.ids, content);
	return budget > ids ? budget - ids : 0;
}

/* Called once a block: whatever is not needed for each row. */
static tfrs_status
begin_block(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_row_store *store = &interactions->arrival_store;
	size_t		content;

	store->limit = budget_of_rows(interactions, &content);
	if (content > TFRS_MAX_BLOCK_BYTES)
	{
		tfrs_fail(error, TFRS_TOO_LARGE, "the distinct ids are too many for one model");
		tfrs_error_detail(error, "They take %zu bytes, and a model may take at most %zu.",
						  content, TFRS_MAX_BLOCK_BYTES);
		return TFRS_TOO_LARGE;
	}
	if (interactions->count > TFRS_MAX_INTERACTIONS - store->most_rows)
		return tfrs_fail(error, TFRS_TOO_LARGE, "cannot train on more than %zu rows",
						 TFRS_MAX_INTERACTIONS - store->most_rows);
	return tfrs_row_queue_grow(store, &interactions->arrival, error);
}

/* Puts a row whose ids have their numbers at the end of the arrival list. */
static inline tfrs_status
put_row(tfrs_interactions *interactions, const tfrs_interaction *row, tfrs_error *error)
{
	tfrs_row_queue *arrival = &interactions->arrival;
	tfrs_status status = TFRS_OK;

	if (arrival->cursor == arrival->end)
		status = begin_block(interactions, error);
	if (status != TFRS_OK)
		return status;
	interactions->count++;
	return tfrs_row_queue_put(&interactions->arrival_store, arrival, row, error);
}

/* Looks the waiting rows up and puts them, in the order in which they came. */
static tfrs_status
put_waiting(tfrs_interactions *interactions, tfrs_error *error)
{
	waiting_rows *waiting = &interactions->waiting;
	tfrs_id_set *queries = &interactions->query.ids;
	tfrs_id_set *candidates = &interactions->candidate.ids;
	uint32_t	query[WAITING_ROWS];
	uint32_t	candidate[WAITING_ROWS];
	size_t		count = waiting->count;
	tfrs_status status = TFRS_OK;

	waiting->count = 0;
	tfrs_id_set_find_integers(queries, waiting->query, count, query);
	tfrs_id_set_find_integers(candidates, waiting->candidate, count, candidate);
	for (size_t i = 0; status == TFRS_OK && i < count; i++)
	{
		tfrs_interaction row = {
			query[i], candidate[i], waiting->weight[i], TFRS_NO_ROW, waiting->at[i]
		};

		if (row.query == TFRS_NO_ROW)
			status = tfrs_id_set_add(queries, tfrs_id_of_integer(waiting->query[i]), &row.query,
									 error);
		if (status == TFRS_OK && row.candidate == TFRS_NO_ROW)
			status = tfrs_id_set_add(candidates, tfrs_id_of_integer(waiting->candidate[i]),
									 &row.candidate, error);
		if (status == TFRS_OK)
			status = put_row(interactions, &row, error);
	}
	return status;
}

static tfrs_status
put_at_once(tfrs_interactions *interactions, tfrs_id query, tfrs_id candidate, float weight,
			int64_t at, tfrs_error *error)
{
	tfrs_interaction row = {TFRS_NO_ROW, TFRS_NO_ROW, weight, TFRS_NO_ROW, at};
	tfrs_status status = tfrs_id_set_add(&interactions->query.ids, query, &row.query, error);

	if (status == TFRS_OK)
		status = tfrs_id_set_add(&interactions->candidate.ids, candidate, &row.candidate, error);
	if (status == TFRS_OK)
		status = put_row(interactions, &row, error);
	return status;
}

tfrs_status
tfrs_interactions_add(tfrs_interactions *interactions, tfrs_id query, tfrs_id candidate,
					  float weight, int64_t at, tfrs_error *error)
{
	waiting_rows *waiting = &interactions->waiting;
	size_t		i = waiting->count;

	if (interactions->query.ids.kind != TFRS_ID_INTEGER || query.kind != TFRS_ID_INTEGER ||
		interactions->candidate.ids.kind != TFRS_ID_INTEGER || candidate.kind != TFRS_ID_INTEGER)
		return put_at_once(interactions, query, candidate, weight, at, error);
	waiting->query[i] = query.integer;
	waiting->candidate[i] = candidate.integer;
	waiting->weight[i] = weight;
	waiting->at[i] = at;
	waiting->count++;
	return waiting->count < WAITING_ROWS ? TFRS_OK : put_waiting(interactions, error);
}

tfrs_status
tfrs_interactions_know_query(tfrs_interactions *interactions, tfrs_id query, tfrs_error *error)
{
	uint32_t	row;

	return tfrs_id_set_add(&interactions->query.ids, query, &row, error);
}

tfrs_status
tfrs_interactions_know_candidate(tfrs_interactions *interactions, tfrs_id candidate,
								 tfrs_error *error)
{
	uint32_t	row;

	return tfrs_id_set_add(&interactions->candidate.ids, candidate, &row, error);
}

static tfrs_status
begin_sort(tfrs_interactions *interactions, id_side *side, tfrs_error *error)
{
	tfrs_status status;

	tfrs_id_sort_end(&interactions->sort);	/* that of the other side */
	status = TFRS_GET(interactions->arena, &side->new_row, side->ids.count, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(interactions->arena, &side->counts, side->ids.count, error);
	if (status == TFRS_OK)
		status = tfrs_id_sort_begin(&interactions->sort, &side->ids, side->new_row, error);
	return status;
}

/* Where rows were spooled the rest follows, so that the whole budget is there for the buckets. */
static tfrs_status
begin_counting(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_row_queue *arrival = &interactions->arrival;
	size_t		content;
	tfrs_spread_options options = {
		.format = interactions->format,
		.spools = interactions->options.spools,
		.limit = budget_of_rows(interactions, &content),
		.rows = interactions->count,
		.seed = interactions->options.seed
	};
	tfrs_status status = TFRS_OK;

	tfrs_id_sort_end(&interactions->sort);
	if (arrival->place_count > 0)
		status = tfrs_row_queue_spool(&interactions->arrival_store, arrival, error);
	if (status == TFRS_OK && !interactions->options.input_order)
		status = tfrs_spread_init(&interactions->spread, interactions->arena, &options, error);
	tfrs_row_reader_begin(&interactions->reader, &interactions->arrival_store, arrival,
						  !interactions->options.input_order);
	return status;
}

static void
renumber(const tfrs_interactions *interactions, const uint8_t *bytes, tfrs_interaction *row)
{
	tfrs_row_unpack(interactions->format, bytes, row);
	row->query = interactions->query.new_row[row->query];
	row->candidate = interactions->candidate.new_row[row->candidate];
}

/* Counts the rows of one block of arrival and, unless they are to be read as they came, spreads
 * them.  TFRS_MORE until there is no block left. */
static tfrs_status
count_block(tfrs_interactions *interactions, tfrs_error *error)
{
	const uint8_t *bytes;
	size_t		count;
	tfrs_status status = tfrs_row_reader_next(&interactions->reader, &bytes, &count, error);

	for (size_t i = 0; status == TFRS_OK && i < count; i++)
	{
		tfrs_interaction row;

		renumber(interactions, bytes + i * interactions->arrival_store.width, &row);
		interactions->query.counts[row.query]++;
		interactions->candidate.counts[row.candidate]++;
		if (!interactions->options.input_order)
			status = tfrs_spread_add(&interactions->spread, &row, error);
	}
	return status == TFRS_OK && count > 0 ? TFRS_MORE : status;
}

/* Memory for the epochs, in place of what only collecting needed. */
static tfrs_status
begin_epochs(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_status status;

	if (interactions->options.input_order)
		return TFRS_OK;
	tfrs_row_queue_free(&interactions->arrival_store, &interactions->arrival);
	tfrs_row_store_free(&interactions->arrival_store);
	tfrs_arena_release(interactions->arena, interactions->query.new_row);
	tfrs_arena_release(interactions->arena, interactions->candidate.new_row);
	interactions->query.new_row = interactions->candidate.new_row = NULL;
	status = TFRS_GET(interactions->arena, &interactions->bucket_order,
					  interactions->spread.bucket_count, error);
	if (status == TFRS_OK)
		status = tfrs_bucket_init(&interactions->bucket, interactions->arena,
								  interactions->format,
								  tfrs_spread_largest(&interactions->spread), error);
	interactions->loaded = TFRS_NO_ROW;
	return status;
}

/* One step of the phase; TFRS_OK where it has come to its end and the next one can begin. */
static tfrs_status
run_phase(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	switch (interactions->phase)
	{
		case COLLECT:
			status = put_waiting(interactions, error);
			if (status == TFRS_OK)
				status = begin_sort(interactions, &interactions->query, error);
			return status;
		case SORT_QUERIES:
			status = tfrs_id_sort_step(&interactions->sort, error);
			if (status == TFRS_OK)
				status = begin_sort(interactions, &interactions->candidate, error);
			return status;
		case SORT_CANDIDATES:
			status = tfrs_id_sort_step(&interactions->sort, error);
			if (status == TFRS_OK)
				status = begin_counting(interactions, error);
			return status;
		case COUNT_ROWS:
			return count_block(interactions, error);
		case DEAL_ROWS:
			if (!interactions->options.input_order)
				status = tfrs_spread_deal_step(&interactions->spread, error);
			return status == TFRS_OK ? begin_epochs(interactions, error) : status;
		default:
			return TFRS_OK;
	}
}

tfrs_status
tfrs_interactions_finish_step(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_status status = run_phase(interactions, error);

	if (status != TFRS_OK || interactions->phase == FINISHED)
		return status;
	interactions->phase++;
	return interactions->phase == FINISHED ? TFRS_OK : TFRS_MORE;
}

const tfrs_interactions_options *
tfrs_interactions_settings(const tfrs_interactions *interactions)
{
	return &interactions->options;
}

size_t
tfrs_interactions_count(const tfrs_interactions *interactions)
{
	return interactions->count;
}

const tfrs_id_set *
tfrs_interactions_queries(const tfrs_interactions *interactions)
{
	return &interactions->query.ids;
}

const tfrs_id_set *
tfrs_interactions_candidates(const tfrs_interactions *interactions)
{
	return &interactions->candidate.ids;
}

const uint32_t *
tfrs_interactions_query_counts(const tfrs_interactions *interactions)
{
	return interactions->query.counts;
}

const uint32_t *
tfrs_interactions_candidate_counts(const tfrs_interactions *interactions)
{
	return interactions->candidate.counts;
}

tfrs_status
tfrs_interactions_rewind(tfrs_interactions *interactions, uint32_t epoch, tfrs_error *error)
{
	tfrs_random random;

	if (interactions->phase != FINISHED)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the interactions are not finished");
	interactions->epoch = epoch;
	interactions->position = 0;
	interactions->block_rows = 0;
	if (interactions->options.input_order)
	{
		tfrs_row_reader_begin(&interactions->reader, &interactions->arrival_store,
							  &interactions->arrival, false);
		return TFRS_OK;
	}
	for (uint32_t i = 0; i < interactions->spread.bucket_count; i++)
		interactions->bucket_order[i] = i;
	tfrs_random_init(&random, interactions->options.seed, TFRS_STREAM_BUCKET_ORDER, epoch);
	tfrs_random_shuffle(&random, interactions->bucket_order, interactions->spread.bucket_count);
	interactions->next_bucket = 0;
	return TFRS_OK;
}

/* Brings a bucket into memory in canonical order, unless it is there. */
static tfrs_status
load_bucket(tfrs_interactions *interactions, uint32_t number, tfrs_error *error)
{
	tfrs_spread *spread = &interactions->spread;
	tfrs_row_reader reader;
	const uint8_t *bytes;
	size_t		count;
	tfrs_status status;

	if (interactions->loaded == number)
		return TFRS_OK;
	interactions->loaded = TFRS_NO_ROW;
	tfrs_bucket_clear(&interactions->bucket);
	tfrs_row_reader_begin(&reader, &spread->store, &spread->buckets[number], false);
	while ((status = tfrs_row_reader_next(&reader, &bytes, &count, error)) == TFRS_OK && count > 0)
	{
		for (size_t i = 0; i < count; i++)
		{
			tfrs_interaction row;

			tfrs_row_unpack(interactions->format, bytes + i * spread->store.width, &row);
			tfrs_bucket_put(&interactions->bucket, &row);
		}
	}
	if (status != TFRS_OK)
		return status;
	tfrs_bucket_sort(&interactions->bucket);
	interactions->loaded = number;
	return TFRS_OK;
}

/* Turns to the next bucket of the epoch's order. */
static tfrs_status
begin_bucket(tfrs_interactions *interactions, tfrs_error *error)
{
	uint32_t	number = interactions->bucket_order[interactions->next_bucket++];
	tfrs_status status = load_bucket(interactions, number, error);
	tfrs_random random;

	if (status != TFRS_OK)
		return status;
	tfrs_random_init(&random, interactions->options.seed, TFRS_STREAM_ROW_ORDER,
					 (uint64_t) interactions->epoch << 32 | number);
	tfrs_bucket_shuffle(&interactions->bucket, &random);
	interactions->block_rows = interactions->bucket.count;
	return TFRS_OK;
}

/* Makes the next run of rows current; block_rows is 0 at the epoch's end. */
static tfrs_status
begin_run(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_status status = TFRS_OK;

	interactions->position = 0;
	interactions->block_rows = 0;
	if (interactions->options.input_order)
		return tfrs_row_reader_next(&interactions->reader, &interactions->block,
									&interactions->block_rows, error);
	while (status == TFRS_OK && interactions->block_rows == 0 &&
		   interactions->next_bucket < interactions->spread.bucket_count)
		status = begin_bucket(interactions, error);
	return status;
}

tfrs_status
tfrs_interactions_read(tfrs_interactions *interactions, tfrs_interaction *rows, size_t limit,
					   size_t *count, tfrs_error *error)
{
	size_t		left = interactions->block_rows - interactions->position;

	*count = 0;
	if (left == 0)
	{
		tfrs_status status = begin_run(interactions, error);

		if (status != TFRS_OK)
			return status;
		left = interactions->block_rows;
	}
	*count = limit < left ? limit : left;
	for (size_t i = 0; i < *count; i++)
	{
		size_t		position = interactions->position++;

		if (interactions->options.input_order)
			renumber(interactions, interactions->block +
					 position * interactions->arrival_store.width, &rows[i]);
		else
			tfrs_bucket_get(&interactions->bucket, position, &rows[i]);
	}
	return TFRS_OK;
}
