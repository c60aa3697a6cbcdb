/*
 * score_adjustment.c: sums over a query's events become the lists that a search reads.
 *
 * The sums' arrays are kept for the session: in a join over many queries they would be allocated and
 * cleared for each.  An error in between leaves them marked as used, and the next call clears them.
 */
#include "server/search/score_adjustment.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/limits.h"
#include "base/team.h"
#include "server/host/bridge.h"
#include "server/host/settings.h"
#include "server/values/candidate_ids.h"
#include "server/values/row_reader.h"

/* Lists that are summed between two looks at interrupts: some 5 ms. */
#define STEP_LISTS ((size_t) 256)

static tfrs_part_sums kept;
static size_t kept_room;
static bool kept_is_used;

/* Some of the arrays may be missing, after an error. */
static void
free_kept(void)
{
	if (kept.sum != NULL)
		pfree(kept.sum);
	if (kept.raw != NULL)
		pfree(kept.raw);
	if (kept.touched != NULL)
		pfree(kept.touched);
	memset(&kept, 0, sizeof(kept));
	kept_room = 0;
}

/* Sums of that many candidates, all of them 0. */
static tfrs_part_sums *
take_sums(size_t candidates)
{
	if (kept_room < candidates)
	{
		free_kept();
		kept.sum = MemoryContextAllocHuge(TopMemoryContext, candidates * sizeof(float));
		kept.raw = MemoryContextAllocHuge(TopMemoryContext, candidates * sizeof(uint32_t));
		kept.touched = MemoryContextAllocHuge(TopMemoryContext,
											  (candidates + 1) * sizeof(uint32_t));
		kept_room = candidates;
		kept_is_used = true;
	}
	if (kept_is_used)
	{
		memset(kept.sum, 0, kept_room * sizeof(float));
		memset(kept.raw, 0, kept_room * sizeof(uint32_t));
	}
	kept.candidates = candidates;
	kept.count = 0;
	kept_is_used = true;
	return &kept;
}

static void *
allocate(size_t count, size_t size)
{
	return palloc_extended(count * size + 1, MCXT_ALLOC_HUGE);
}

typedef struct adjusted_row
{
	uint32_t	row;
	float		adjustment;
} adjusted_row;

static int
compare_rows(const void *a, const void *b)
{
	uint32_t	x = ((const adjusted_row *) a)->row;
	uint32_t	y = ((const adjusted_row *) b)->row;

	return x < y ? -1 : x > y;
}

/* From the model's rows to those of an index, as far as it has them. */
static size_t
find_in_index(const tfrs_model *model, const tfrs_id_view *candidates, uint32_t *rows,
			  float *adjustment, size_t count)
{
	adjusted_row *found = allocate(count, sizeof(adjusted_row));
	size_t		kept_rows = 0;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t	row = tfrs_row_in_index(candidates, &model->candidate_ids, rows[i]);

		if (row != TFRS_NO_ROW)
			found[kept_rows++] = (adjusted_row) {row, adjustment[i]};
	}
	qsort(found, kept_rows, sizeof(adjusted_row), compare_rows);
	for (size_t i = 0; i < kept_rows; i++)
	{
		rows[i] = found[i].row;
		adjustment[i] = found[i].adjustment;
	}
	pfree(found);
	return kept_rows;
}

/* Whether the events of a query can touch any of these candidates. */
static bool
may_adjust(const tfrs_model *model, const tfrs_id_view *candidates, const tfrs_event_list *list)
{
	return model->scores.candidates > 0 && list->count > 0 &&
		(candidates->tag == model->candidate_ids.tag ||
		 tfrs_id_tags_match(candidates->tag, TFRS_TAG_TEXT));
}

/* Rows of the model become those of an index, where candidates are others. */
static void
finish(const tfrs_model *model, const tfrs_id_view *candidates, tfrs_adjustment *adjusted)
{
	if (candidates->slots != model->candidate_ids.slots)
		adjusted->count = find_in_index(model, candidates, adjusted->rows, adjusted->values,
										adjusted->count);
}

void
tfrs_search_add_adjustment(tfrs_search *search, const tfrs_adjustment *adjusted)
{
	size_t		count = search->adjusted_count + adjusted->count;
	size_t		i = 0;
	size_t		j = 0;
	size_t		merged = 0;
	uint32_t   *rows;
	float	   *values;

	if (search->adjusted_count == 0)
	{
		search->adjusted = adjusted->rows;
		search->adjustment = adjusted->values;
		search->adjusted_count = adjusted->count;
		return;
	}
	rows = allocate(count, sizeof(uint32_t));
	values = allocate(count, sizeof(float));
	for (; i < search->adjusted_count || j < adjusted->count; merged++)
	{
		bool		first = j == adjusted->count ||
			(i < search->adjusted_count && search->adjusted[i] <= adjusted->rows[j]);
		bool		second = i == search->adjusted_count ||
			(j < adjusted->count && adjusted->rows[j] <= search->adjusted[i]);

		rows[merged] = first ? search->adjusted[i] : adjusted->rows[j];
		values[merged] = (first ? search->adjustment[i++] : 0);
		values[merged] += (second ? adjusted->values[j++] : 0);
	}
	search->adjusted = rows;
	search->adjustment = values;
	search->adjusted_count = merged;
}

void
tfrs_search_adjust(const tfrs_model *model, const tfrs_id_view *candidates,
				   const tfrs_event_list *list, tfrs_search *search)
{
	tfrs_adjustment adjusted;
	tfrs_part_sums *sums;
	size_t		reach;

	if (!may_adjust(model, candidates, list))
		return;
	reach = tfrs_score_parts_reach(&model->scores, list);
	sums = take_sums(model->scores.candidates);
	tfrs_model_add_parts_of(model, list, sums);
	adjusted.rows = allocate(reach, sizeof(uint32_t));
	adjusted.values = allocate(reach, sizeof(float));
	adjusted.count = tfrs_part_sums_take(sums, adjusted.rows, adjusted.values);
	kept_is_used = false;
	finish(model, candidates, &adjusted);
	tfrs_search_add_adjustment(search, &adjusted);
}

size_t
tfrs_adjuster_add(tfrs_adjuster *adjuster, const tfrs_event_list *list)
{
	size_t		i = adjuster->count++;
	tfrs_adjustment *adjusted = &adjuster->adjusted[i];

	memset(adjusted, 0, sizeof(*adjusted));
	if (!may_adjust(adjuster->model, adjuster->candidates, list))
		return 0;
	adjuster->lists[i] = *list;
	adjusted->count = tfrs_score_parts_reach(&adjuster->model->scores, list);
	return adjusted->count;
}

/* Works on memory that is there: a thread of the team never takes any. */
static void
sum_list(void *context, int worker, size_t task)
{
	tfrs_adjuster *adjuster = context;
	size_t		i = adjuster->done + task;
	tfrs_part_sums *sums = &adjuster->sums[worker];
	tfrs_adjustment *adjusted = &adjuster->adjusted[i];

	if (adjusted->count == 0)
		return;
	tfrs_model_add_parts_of(adjuster->model, &adjuster->lists[i], sums);
	adjusted->count = tfrs_part_sums_take(sums, adjusted->rows, adjusted->values);
}

void
tfrs_adjuster_begin(tfrs_adjuster *adjuster, const tfrs_model *model,
					const tfrs_id_view *candidates, size_t room)
{
	size_t		count = model->scores.candidates;
	tfrs_error	error;

	memset(adjuster, 0, sizeof(*adjuster));
	adjuster->model = model;
	adjuster->candidates = candidates;
	adjuster->threads = count == 0 ? 0 : tfrs_settings_threads();
	adjuster->lists = allocate(room, sizeof(tfrs_event_list));
	adjuster->adjusted = allocate(room, sizeof(tfrs_adjustment));
	tfrs_bridge_arena(&adjuster->arena, CurrentMemoryContext, tfrs_settings_memory_bytes());
	adjuster->sums = allocate(adjuster->threads, sizeof(tfrs_part_sums));
	for (int t = 0; t < adjuster->threads; t++)
		tfrs_check(tfrs_part_sums_get(&adjuster->sums[t], &adjuster->arena, count, &error), &error);
}

void
tfrs_adjuster_run(tfrs_adjuster *adjuster, tfrs_search *searches)
{
	for (size_t i = 0; i < adjuster->count; i++)
	{
		tfrs_adjustment *adjusted = &adjuster->adjusted[i];

		adjusted->rows = allocate(adjusted->count, sizeof(uint32_t));
		adjusted->values = allocate(adjusted->count, sizeof(float));
	}
	for (adjuster->done = 0; adjuster->threads > 0 && adjuster->done < adjuster->count;)
	{
		size_t		tasks = Min(adjuster->count - adjuster->done, STEP_LISTS);

		CHECK_FOR_INTERRUPTS();
		tfrs_team_run(adjuster->threads, tasks, sum_list, adjuster);
		adjuster->done += tasks;
	}
	for (size_t i = 0; i < adjuster->count; i++)
	{
		finish(adjuster->model, adjuster->candidates, &adjuster->adjusted[i]);
		tfrs_search_add_adjustment(&searches[i], &adjuster->adjusted[i]);
	}
	adjuster->count = 0;
}
