/*
 * interactions.c: collecting rows, their canonical form and the epochs over them.
 *
 *     add:     ids -> row numbers of arrival -> the arrival list, spooled past the budget; pairs of
 *              integers wait until there are some, so that their look-ups overlap
 *     finish:  sort ids, values and their rows -> count and renumber rows -> spread over buckets -> deal out crowded ones
 *     epoch:   row_epochs.h
 *
 * A finish step handles one block of rows (at most 8,192) or one step of id_sort.
 *
 * Ids and the values of columns stay in memory whatever the budget is, since the tables that belong
 * to them do; what they take is taken from the rows' share.  Past TFRS_MAX_BLOCK_BYTES they could not become a model.
 */
#include "learning/interactions.h"

#include <stdlib.h>

#include "base/id_sort.h"
#include "learning/row_epochs.h"

typedef enum finish_phase
{
	COLLECT,
	SORT_QUERIES,
	SORT_CANDIDATES,
	SORT_ROWS,
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
	tfrs_key_rows rows;			/* of its columns, where features read some */
} id_side;

/* The number of arrival of the row of NULLs. */
#define NULL_ROW 0

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

	tfrs_row_epochs epochs;		/* unless in input order */
	/* input order */
	size_t		position;		/* within the block */
	const uint8_t *block;
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
	tfrs_key_rows_free(&side->rows);
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
	tfrs_row_epochs_free(&interactions->epochs);
	tfrs_spread_free(&interactions->spread);
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

tfrs_status
tfrs_interactions_set_query_row(tfrs_interactions *interactions,
								const tfrs_tower_options *options, tfrs_error *error)
{
	tfrs_status status = tfrs_key_rows_init(&interactions->query.rows, interactions->arena,
											options, error);

	interactions->format.has_row = interactions->query.rows.arena != NULL;
	tfrs_row_store_init(&interactions->arrival_store, interactions->arena, interactions->format,
						interactions->options.spools);
	return status;
}

tfrs_status
tfrs_interactions_set_candidate_row(tfrs_interactions *interactions,
									const tfrs_tower_options *options, tfrs_error *error)
{
	return tfrs_key_rows_init(&interactions->candidate.rows, interactions->arena, options, error);
}

/* Bytes that a side holds; *content grows by what a model would store of its ids at least. */
static size_t
side_bytes(const id_side *side, size_t *content)
{
	const tfrs_id_set *set = &side->ids;
	size_t		bytes = set->capacity * sizeof(uint64_t);	/* integers or offsets */

	bytes += (set->slot_mask + 1) * sizeof(set->slots[0]) + set->bytes_capacity;
	*content += set->count * sizeof(uint64_t);
	if (set->kind == TFRS_ID_BYTES)
		*content += set->offsets[set->count];
	return bytes + tfrs_key_rows_bytes(&side->rows);
}

/* The bytes of the budget that ids and values leave to the rows. */
static size_t
budget_of_rows(const tfrs_interactions *interactions, size_t *content)
{
	size_t		budget = interactions->options.budget;
	size_t		ids;

	*content = 0;
	ids = side_bytes(&interactions->query, content);
	ids += side_bytes(&interactions->candidate, content);
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
			query[i], candidate[i], waiting->weight[i], NULL_ROW, waiting->at[i]
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
	tfrs_interaction row = {TFRS_NO_ROW, TFRS_NO_ROW, weight, NULL_ROW, at};
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

/* A key's number of arrival, and a row of it where the side has rows and there is one. */
static tfrs_status
add_key(id_side *side, tfrs_id id, const tfrs_key_given *given, uint32_t *key, uint32_t *row,
		tfrs_error *error)
{
	tfrs_status status = tfrs_id_set_add(&side->ids, id, key, error);

	*row = NULL_ROW;
	if (status != TFRS_OK || side->rows.arena == NULL || given->value == NULL)
		return status;
	return tfrs_key_rows_add(&side->rows, *key, given, row, error);
}

tfrs_status
tfrs_interactions_add_rows(tfrs_interactions *interactions, const tfrs_given_row *given,
						   tfrs_error *error)
{
	int64_t		at = interactions->format.has_time ? given->at : 0;
	tfrs_key_given query = {given->query_value, TFRS_ROW_OF_INTERACTION, at};
	tfrs_key_given candidate = {given->candidate_value, TFRS_ROW_OF_INTERACTION, at};
	tfrs_interaction row = {.weight = given->weight,.at = given->at};
	uint32_t	candidate_row;
	tfrs_status status = put_waiting(interactions, error);

	if (status == TFRS_OK)
		status = add_key(&interactions->query, given->query, &query, &row.query, &row.row, error);
	if (status == TFRS_OK)
		status = add_key(&interactions->candidate, given->candidate, &candidate, &row.candidate,
						 &candidate_row, error);
	return status == TFRS_OK ? put_row(interactions, &row, error) : status;
}

static tfrs_status
know_row(id_side *side, tfrs_id id, const tfrs_value *value, tfrs_row_origin origin,
		 tfrs_error *error)
{
	tfrs_key_given given = {value, origin, 0};
	uint32_t	key;
	uint32_t	row;

	return add_key(side, id, &given, &key, &row, error);
}

tfrs_status
tfrs_interactions_know_query_row(tfrs_interactions *interactions, tfrs_id query,
								 const tfrs_value *value, tfrs_row_origin origin,
								 tfrs_error *error)
{
	return know_row(&interactions->query, query, value, origin, error);
}

tfrs_status
tfrs_interactions_know_candidate_row(tfrs_interactions *interactions, tfrs_id candidate,
									 const tfrs_value *value, tfrs_row_origin origin,
									 tfrs_error *error)
{
	return know_row(&interactions->candidate, candidate, value, origin, error);
}

tfrs_status
tfrs_interactions_know_query(tfrs_interactions *interactions, tfrs_id query, tfrs_error *error)
{
	return know_row(&interactions->query, query, NULL, TFRS_ROW_OF_MODEL, error);
}

tfrs_status
tfrs_interactions_know_candidate(tfrs_interactions *interactions, tfrs_id candidate,
								 tfrs_error *error)
{
	return know_row(&interactions->candidate, candidate, NULL, TFRS_ROW_OF_MODEL, error);
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

/* The rows of both sides, one after the other; then counting begins. */
static tfrs_status
sort_rows(tfrs_interactions *interactions, tfrs_error *error)
{
	id_side    *query = &interactions->query;
	id_side    *candidate = &interactions->candidate;
	tfrs_status status = tfrs_key_rows_finish_step(&query->rows, query->new_row, query->ids.count,
												   error);

	if (status == TFRS_OK)
		status = tfrs_key_rows_finish_step(&candidate->rows, candidate->new_row,
										   candidate->ids.count, error);
	return status == TFRS_OK ? begin_counting(interactions, error) : status;
}

static void
renumber(const tfrs_interactions *interactions, const uint8_t *bytes, tfrs_interaction *row)
{
	tfrs_row_unpack(interactions->format, bytes, row);
	row->query = interactions->query.new_row[row->query];
	row->candidate = interactions->candidate.new_row[row->candidate];
	if (interactions->format.has_row)
		row->row = interactions->query.rows.rows.new_row[row->row];
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
		if (interactions->format.has_row)
			interactions->query.rows.row_count[row.row]++;
		if (!interactions->options.input_order)
			status = tfrs_spread_add(&interactions->spread, &row, error);
	}
	return status == TFRS_OK && count > 0 ? TFRS_MORE : status;
}

/* Memory for the epochs, in place of what only collecting needed. */
static tfrs_status
begin_epochs(tfrs_interactions *interactions, tfrs_error *error)
{
	tfrs_key_rows_count_keys(&interactions->candidate.rows, interactions->candidate.new_row,
							 interactions->candidate.counts);
	if (interactions->options.input_order)
		return TFRS_OK;
	tfrs_key_rows_forget_arrival(&interactions->query.rows);
	tfrs_key_rows_forget_arrival(&interactions->candidate.rows);
	tfrs_row_queue_free(&interactions->arrival_store, &interactions->arrival);
	tfrs_row_store_free(&interactions->arrival_store);
	tfrs_arena_release(interactions->arena, interactions->query.new_row);
	tfrs_arena_release(interactions->arena, interactions->candidate.new_row);
	interactions->query.new_row = interactions->candidate.new_row = NULL;
	return tfrs_row_epochs_begin(&interactions->epochs, &interactions->spread,
								 interactions->options.seed, error);
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
			return tfrs_id_sort_step(&interactions->sort, error);
		case SORT_ROWS:
			return sort_rows(interactions, error);
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

const tfrs_key_rows *
tfrs_interactions_query_rows(const tfrs_interactions *interactions)
{
	return interactions->query.rows.arena == NULL ? NULL : &interactions->query.rows;
}

const tfrs_key_rows *
tfrs_interactions_candidate_rows(const tfrs_interactions *interactions)
{
	return interactions->candidate.rows.arena == NULL ? NULL : &interactions->candidate.rows;
}

tfrs_status
tfrs_interactions_rewind(tfrs_interactions *interactions, uint32_t epoch, tfrs_error *error)
{
	if (interactions->phase != FINISHED)
		return tfrs_fail(error, TFRS_INVALID_ARGUMENT, "the interactions are not finished");
	interactions->position = 0;
	interactions->block_rows = 0;
	if (interactions->options.input_order)
		tfrs_row_reader_begin(&interactions->reader, &interactions->arrival_store,
							  &interactions->arrival, false);
	else
		tfrs_row_epochs_rewind(&interactions->epochs, epoch);
	return TFRS_OK;
}

/* The next rows in the order in which they came. */
static tfrs_status
read_arrival(tfrs_interactions *interactions, tfrs_interaction *rows, size_t limit, size_t *count,
			 tfrs_error *error)
{
	size_t		width = interactions->arrival_store.width;
	tfrs_status status = TFRS_OK;

	*count = 0;
	if (interactions->position == interactions->block_rows)
	{
		interactions->position = 0;
		status = tfrs_row_reader_next(&interactions->reader, &interactions->block,
									  &interactions->block_rows, error);
	}
	if (status != TFRS_OK)
		return status;
	*count = tfrs_size_smaller(limit, interactions->block_rows - interactions->position);
	for (size_t i = 0; i < *count; i++)
		renumber(interactions, interactions->block + interactions->position++ * width, &rows[i]);
	return TFRS_OK;
}

tfrs_status
tfrs_interactions_read(tfrs_interactions *interactions, tfrs_interaction *rows, size_t limit,
					   size_t *count, tfrs_error *error)
{
	return interactions->options.input_order
		? read_arrival(interactions, rows, limit, count, error)
		: tfrs_row_epochs_read(&interactions->epochs, rows, limit, count, error);
}
