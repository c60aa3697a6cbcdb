/*
 * query_slice.c: queries that wait to be searched together.
 */
#include "server/search/query_slice.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "server/host/bridge.h"
#include "server/host/settings.h"
#include "server/search/model_query.h"

/* Adjusted rows of the queries that wait, at most: 16 MB, which a cache may hold. */
#define MOST_ADJUSTED ((size_t) 1 << 21)

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
}

static size_t
most_hits(const tfrs_query_slice *slice)
{
	return Min(slice->search.k, slice->index->count);
}

size_t
tfrs_query_slice_bytes(const tfrs_query_slice *slice)
{
	return slice->index->dim * sizeof(float) + most_hits(slice) * sizeof(tfrs_hit) +
		sizeof(tfrs_search) + sizeof(tfrs_event_list) + sizeof(tfrs_adjustment);
}

void
tfrs_query_slice_begin(tfrs_query_slice *slice, size_t room)
{
	slice->context = CurrentMemoryContext;
	slice->memory = AllocSetContextCreate(slice->context, "tfrs slice of queries",
										  ALLOCSET_DEFAULT_SIZES);
	slice->room = room;
	slice->waiting = slice->adjusted = 0;
	slice->k = most_hits(slice);
	slice->popular = allocate(room, sizeof(tfrs_hit *));
	slice->popular_counts = allocate(room, sizeof(size_t));
	slice->searches = allocate(room, sizeof(tfrs_search));
	slice->vectors = allocate(room * slice->index->dim, sizeof(float));
	slice->hits = allocate(room * slice->k, sizeof(tfrs_hit));
	slice->counts = allocate(room, sizeof(size_t));
	slice->popular_hits = NULL;
	tfrs_bridge_arena(&slice->arena, slice->context, tfrs_settings_memory_bytes());
	if (slice->model != NULL)
		tfrs_adjuster_begin(&slice->adjuster, slice->model, slice->candidates, room);
}

tfrs_search *
tfrs_query_slice_next(const tfrs_query_slice *slice, float **vector)
{
	tfrs_search *search = &slice->searches[slice->waiting];

	*search = slice->search;
	*vector = slice->vectors + slice->waiting * slice->index->dim;
	return search;
}

void
tfrs_query_slice_add(tfrs_query_slice *slice, const tfrs_event_list *events)
{
	if (slice->model != NULL)
		slice->adjusted += tfrs_adjuster_add(&slice->adjuster, events);
	slice->popular[slice->waiting++] = NULL;
}

static tfrs_hit *
find_popular(const tfrs_query_slice *slice, const tfrs_search *search, MemoryContext context,
			 size_t *count)
{
	tfrs_hit   *hits = MemoryContextAllocHuge(context, slice->k * sizeof(tfrs_hit) + 1);

	*count = tfrs_popular_candidates(slice->model, slice->candidates, search, hits);
	return hits;
}

void
tfrs_query_slice_add_popular(tfrs_query_slice *slice)
{
	static const tfrs_event_list none = {0};
	size_t		i = slice->waiting;
	tfrs_search *search = &slice->searches[i];
	bool		own = search->excluded_count != slice->search.excluded_count;

	if (!own && slice->popular_hits == NULL)
		slice->popular_hits = find_popular(slice, search, slice->context, &slice->popular_count);
	tfrs_query_slice_add(slice, &none);
	slice->popular[i] = slice->popular_hits;
	slice->popular_counts[i] = slice->popular_count;
	if (own)
		slice->popular[i] = find_popular(slice, search, slice->memory, &slice->popular_counts[i]);
	memset(slice->vectors + i * slice->index->dim, 0, slice->index->dim * sizeof(float));
	search->has_among = true;	/* nothing to search for */
	search->among_count = 0;
}

bool
tfrs_query_slice_is_full(const tfrs_query_slice *slice)
{
	return slice->waiting == slice->room || slice->adjusted > MOST_ADJUSTED;
}

void
tfrs_query_slice_answer(tfrs_query_slice *slice)
{
	tfrs_index_queries queries = {
		slice->waiting, slice->vectors, slice->searches, tfrs_settings_threads(), slice->k,
		slice->hits, slice->counts
	};
	MemoryContext caller;

	if (slice->waiting == 0)
		return;
	caller = MemoryContextSwitchTo(slice->memory);
	if (slice->model != NULL)
		tfrs_adjuster_run(&slice->adjuster, slice->searches);
	tfrs_search_many(slice->index, &queries, &slice->arena);
	MemoryContextSwitchTo(caller);
}

const tfrs_hit *
tfrs_query_slice_hits(const tfrs_query_slice *slice, size_t i, size_t *count)
{
	*count = slice->popular[i] != NULL ? slice->popular_counts[i] : slice->counts[i];
	return slice->popular[i] != NULL ? slice->popular[i] : slice->hits + i * slice->k;
}

void
tfrs_query_slice_clear(tfrs_query_slice *slice)
{
	slice->waiting = slice->adjusted = 0;
	MemoryContextReset(slice->memory);
}
