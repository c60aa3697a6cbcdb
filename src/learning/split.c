/*
 * split.c: three passes over what there is: queries, their latest events, rows to where they
 * belong.
 *
 * Where a query's last share begins is found with a heap of the times of its latest events, one
 * more than the share, so the memory is a share of the chosen queries' events, not all of them.
 * The earliest time in the heap is that of the last event before the share; where the last events
 * have that time too, they are more than the share, and a draw decides about all of them.
 */
#include "learning/split.h"

#include "base/limits.h"
#include "base/random.h"

#define MOST_QUERIES 10000
#define QUERIES_A_STEP 65536
#define ROWS_A_STEP 4096

/* So that these choices have nothing to do with the places of ids in tables. */
#define QUERY_SALT UINT64_C(0x9ae16a3b2f90404f)
#define PAIR_SALT UINT64_C(0xc949d7c7509e6557)
#define LAST_SALT UINT64_C(0x8cb92ba72f3d8dd7)

typedef enum split_phase
{
	CHOOSE,
	FIND_LATEST,
	DEAL,
	DONE
} split_phase;

/* Times of a chosen query's latest events: a heap, the earliest first. */
typedef struct latest
{
	size_t		start;			/* in times */
	uint32_t	capacity;		/* of the heap */
	uint32_t	count;
	uint32_t	at_last;		/* events at the last time */
	int64_t		first;			/* of all the query's events */
	int64_t		last;
} latest;

struct tfrs_split
{
	tfrs_arena *arena;
	tfrs_interactions *all;
	tfrs_interactions *training;
	double		fraction;
	bool		has_time;
	split_phase phase;
	tfrs_id_view query_ids;		/* V */
	tfrs_id_view candidate_ids;
	size_t		next_query;
	uint32_t   *list;			/* (V) place of each query in latest; TFRS_NO_ROW: not chosen */
	latest	   *latest;			/* (list_capacity) */
	size_t		lists;
	size_t		list_capacity;
	size_t		time_count;
	int64_t    *times;			/* (time_count) */
	tfrs_interaction *rows;		/* (ROWS_A_STEP) */
	tfrs_pair_set held_out;
	tfrs_pair_set trained;
};

static tfrs_status
allocate(tfrs_split *split, tfrs_error *error)
{
	size_t		queries = split->query_ids.count;
	tfrs_status status;

	/* twice what is expected: never reached but by ids that were made for it */
	split->list_capacity = queries < 2 * MOST_QUERIES ? queries : 2 * MOST_QUERIES;
	status = TFRS_GET(split->arena, &split->list, queries, error);
	if (status == TFRS_OK)
		status = TFRS_GET_ZERO(split->arena, &split->latest, split->list_capacity, error);
	if (status == TFRS_OK)
		status = TFRS_GET(split->arena, &split->rows, ROWS_A_STEP, error);
	return status;
}

tfrs_status
tfrs_split_begin(tfrs_split **split, tfrs_arena *arena, tfrs_interactions *all,
				 tfrs_interactions *training, double fraction, tfrs_error *error)
{
	tfrs_split *made;
	tfrs_status status = TFRS_GET_ZERO(arena, split, 1, error);

	if (status != TFRS_OK)
		return status;
	made = *split;
	made->arena = arena;
	made->all = all;
	made->training = training;
	made->fraction = fraction;
	made->has_time = tfrs_interactions_settings(all)->has_time;
	made->query_ids = tfrs_id_set_view(tfrs_interactions_queries(all));
	made->candidate_ids = tfrs_id_set_view(tfrs_interactions_candidates(all));
	tfrs_pair_set_init(&made->held_out, arena);
	tfrs_pair_set_init(&made->trained, arena);
	status = allocate(made, error);
	if (status != TFRS_OK)
	{
		tfrs_split_destroy(made);
		*split = NULL;
	}
	return status;
}

void
tfrs_split_destroy(tfrs_split *split)
{
	if (split == NULL)
		return;
	tfrs_pair_set_free(&split->trained);
	tfrs_pair_set_free(&split->held_out);
	tfrs_arena_release(split->arena, split->times);
	tfrs_arena_release(split->arena, split->rows);
	tfrs_arena_release(split->arena, split->latest);
	tfrs_arena_release(split->arena, split->list);
	tfrs_arena_release(split->arena, split);
}

static uint64_t
query_hash(const tfrs_split *split, uint32_t query)
{
	return tfrs_random_mix(tfrs_id_hash(tfrs_id_view_get(&split->query_ids, query)) ^ QUERY_SALT);
}

/* Whether the query is among those that events may be held out of. */
static bool
is_chosen(const tfrs_split *split, uint32_t query)
{
	size_t		queries = split->query_ids.count;

	return queries <= MOST_QUERIES ||
		(double) query_hash(split, query) / 0x1p64 < (double) MOST_QUERIES / (double) queries;
}

/* The most events of a query that are held out without a draw. */
static uint32_t
quota_of(const tfrs_split *split, uint32_t query)
{
	return (uint32_t) (split->fraction * tfrs_interactions_query_counts(split->all)[query]);
}

static void
choose_query(tfrs_split *split, uint32_t query)
{
	uint32_t	times = split->has_time ? quota_of(split, query) + 1 : 0;

	split->list[query] = TFRS_NO_ROW;
	if (split->lists == split->list_capacity || !is_chosen(split, query))
		return;
	split->list[query] = (uint32_t) split->lists;
	split->latest[split->lists++] = (latest) {
		split->time_count, times, 0, 0, INT64_MAX, INT64_MIN
	};
	split->time_count += times;
}

static tfrs_status
begin_pass(tfrs_split *split, split_phase phase, tfrs_error *error)
{
	tfrs_status status = tfrs_interactions_rewind(split->all, 0, error);

	split->phase = phase;
	return status == TFRS_OK ? TFRS_MORE : status;
}

static tfrs_status
choose_step(tfrs_split *split, tfrs_error *error)
{
	size_t		count = split->query_ids.count;
	size_t		end = split->next_query + QUERIES_A_STEP;
	tfrs_status status;

	if (end > count)
		end = count;
	for (; split->next_query < end; split->next_query++)
		choose_query(split, (uint32_t) split->next_query);
	if (end < count)
		return TFRS_MORE;
	if (!split->has_time)
		return begin_pass(split, DEAL, error);
	status = TFRS_GET(split->arena, &split->times, split->time_count, error);
	return status == TFRS_OK ? begin_pass(split, FIND_LATEST, error) : status;
}

static void
sift_up(int64_t *heap, uint32_t place, int64_t at)
{
	for (; place > 0 && at < heap[(place - 1) / 2]; place = (place - 1) / 2)
		heap[place] = heap[(place - 1) / 2];
	heap[place] = at;
}

/* Puts a time in the place of the earliest. */
static void
replace_earliest(int64_t *heap, uint32_t count, int64_t at)
{
	uint32_t	place = 0;

	for (;;)
	{
		uint32_t	child = 2 * place + 1;

		if (child + 1 < count && heap[child + 1] < heap[child])
			child++;
		if (child >= count || at <= heap[child])
			break;
		heap[place] = heap[child];
		place = child;
	}
	heap[place] = at;
}

static void
note_event(tfrs_split *split, const tfrs_interaction *row)
{
	latest	   *latest = &split->latest[split->list[row->query]];
	int64_t    *heap = split->times + latest->start;

	if (row->at < latest->first)
		latest->first = row->at;
	if (row->at > latest->last || latest->count == 0)
	{
		latest->last = row->at;
		latest->at_last = 0;
	}
	latest->at_last += row->at == latest->last;
	if (latest->count < latest->capacity)
		sift_up(heap, latest->count++, row->at);
	else if (heap[0] < row->at)
		replace_earliest(heap, latest->count, row->at);
}

/*
 * Whether all events of a query's last time are held out, which are more than its share: by a draw,
 * so that of all such queries' events the share is held out.  Some of the events would be no test:
 * what is bought together tells of each other.
 */
static bool
is_last_time_drawn(const tfrs_split *split, uint32_t query)
{
	const latest *latest = &split->latest[split->list[query]];
	double		share = split->fraction * tfrs_interactions_query_counts(split->all)[query];
	uint64_t	hash = tfrs_random_mix(query_hash(split, query) ^ LAST_SALT);

	return latest->first < latest->last && (double) hash / 0x1p64 < share / latest->at_last;
}

/* Whether an event is among those of the last share. */
static bool
is_late(const tfrs_split *split, const tfrs_interaction *row)
{
	const latest *latest = &split->latest[split->list[row->query]];
	int64_t		before = split->times[latest->start];

	if (before < latest->last)
		return row->at > before;
	return row->at == latest->last && is_last_time_drawn(split, row->query);
}

static bool
is_drawn(const tfrs_split *split, const tfrs_interaction *row)
{
	uint64_t	candidate = tfrs_id_hash(tfrs_id_view_get(&split->candidate_ids,
														  row->candidate)) ^ PAIR_SALT;
	uint64_t	hash = tfrs_random_mix(query_hash(split, row->query) +
									   tfrs_random_mix(candidate));

	return (double) hash / 0x1p64 < split->fraction;
}

/* A row of a query that is chosen. */
static bool
is_held_out(const tfrs_split *split, const tfrs_interaction *row)
{
	return split->has_time ? is_late(split, row) : is_drawn(split, row);
}

/* Gives a row to the training, or holds it out. */
static tfrs_status
deal_row(tfrs_split *split, const tfrs_interaction *row, tfrs_error *error)
{
	bool		chosen = split->list[row->query] != TFRS_NO_ROW;
	tfrs_status status = TFRS_OK;

	if (chosen && is_held_out(split, row))
		return tfrs_pair_set_add(&split->held_out, row->query, row->candidate, error);
	if (chosen)
		status = tfrs_pair_set_add(&split->trained, row->query, row->candidate, error);
	if (status != TFRS_OK)
		return status;
	return tfrs_interactions_add(split->training, tfrs_id_view_get(&split->query_ids, row->query),
								 tfrs_id_view_get(&split->candidate_ids, row->candidate),
								 row->weight, row->at, error);
}

static tfrs_status
row_step(tfrs_split *split, tfrs_error *error)
{
	size_t		count;
	tfrs_status status = tfrs_interactions_read(split->all, split->rows, ROWS_A_STEP, &count,
												error);

	for (size_t i = 0; i < count && status == TFRS_OK; i++)
	{
		if (split->phase == DEAL)
			status = deal_row(split, &split->rows[i], error);
		else if (split->list[split->rows[i].query] != TFRS_NO_ROW)
			note_event(split, &split->rows[i]);
	}
	if (status != TFRS_OK || count > 0)
		return status == TFRS_OK ? TFRS_MORE : status;
	if (split->phase == FIND_LATEST)
		return begin_pass(split, DEAL, error);
	split->phase = DONE;
	return TFRS_OK;
}

tfrs_status
tfrs_split_step(tfrs_split *split, tfrs_error *error)
{
	switch (split->phase)
	{
		case CHOOSE:
			return choose_step(split, error);
		case FIND_LATEST:
		case DEAL:
			return row_step(split, error);
		case DONE:
			break;
	}
	return TFRS_OK;
}

const tfrs_pair_set *
tfrs_split_held_out(const tfrs_split *split)
{
	return &split->held_out;
}

const tfrs_pair_set *
tfrs_split_trained(const tfrs_split *split)
{
	return &split->trained;
}
