/*
 * score_adjustment.c: sums over a query's events become the lists that a search reads.
 *
 * The sums' arrays are kept for the session: in a join over many queries they would be allocated and
 * cleared for each.  An error in between leaves them marked as used, and the next call clears them.
 */
#include "server/search/score_adjustment.h"

#include "utils/memutils.h"

#include "base/limits.h"
#include "server/values/candidate_ids.h"
#include "server/values/row_reader.h"

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

void
tfrs_search_adjust(const tfrs_model *model, const tfrs_id_view *candidates,
				   const tfrs_event_list *list, tfrs_search *search)
{
	bool		own = candidates->slots == model->candidate_ids.slots;
	tfrs_part_sums *sums;
	uint32_t   *rows;
	float	   *adjustment;
	size_t		count;

	if (model->scores.candidates == 0 || list->count == 0)
		return;
	if (!own && candidates->tag != model->candidate_ids.tag &&
		!tfrs_id_tags_match(candidates->tag, TFRS_TAG_TEXT))
		return;					/* none of the ids is one of the model's */
	sums = take_sums(model->scores.candidates);
	tfrs_model_add_parts_of(model, list, sums);
	rows = allocate(sums->count, sizeof(uint32_t));
	adjustment = allocate(sums->count, sizeof(float));
	count = tfrs_part_sums_take(sums, rows, adjustment);
	kept_is_used = false;
	if (!own)
		count = find_in_index(model, candidates, rows, adjustment, count);
	search->adjusted = rows;
	search->adjustment = adjustment;
	search->adjusted_count = count;
}
