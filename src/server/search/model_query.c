/*
 * model_query.c: a query by its id, as a model knows it.
 */
#include "server/search/model_query.h"

#include <math.h>

#include "miscadmin.h"

#include "base/limits.h"
#include "server/host/bridge.h"
#include "server/values/candidate_ids.h"
#include "server/values/row_reader.h"

static bool
is_own(const tfrs_model *model, const tfrs_id_view *candidates)
{
	return candidates->slots == model->candidate_ids.slots;
}

void
tfrs_model_exclude(const tfrs_model *model, const tfrs_id_view *candidates,
				   const tfrs_event_list *events, tfrs_search *search)
{
	tfrs_row_list list = tfrs_row_list_copy(search->excluded, search->excluded_count,
											events->count);

	for (size_t i = 0; i < events->count; i++)
	{
		uint32_t	row = events->candidate[i];

		if (!is_own(model, candidates))
			row = tfrs_row_in_index(candidates, &model->candidate_ids, row);
		if (row != TFRS_NO_ROW)
			list.rows[list.count++] = row;
	}
	tfrs_row_list_sort(&list);
	search->excluded = list.rows;
	search->excluded_count = list.count;
}

tfrs_query_kind
tfrs_model_query_open(const tfrs_model *model, tfrs_id id, const tfrs_search_options *options,
					  float *vector, tfrs_event_list *events)
{
	uint32_t	row = tfrs_id_view_find(&model->query_ids, id);

	*events = (tfrs_event_list) {0};
	if (row == TFRS_NO_ROW && options->unknown == TFRS_UNKNOWN_ERROR)
		tfrs_report_unknown(&model->query_ids, id, "query");
	if (row == TFRS_NO_ROW && options->unknown == TFRS_UNKNOWN_NONE)
		return TFRS_QUERY_NOTHING;
	if (row == TFRS_NO_ROW && options->unknown == TFRS_UNKNOWN_POPULAR)
		return TFRS_QUERY_POPULAR;
	if (row != TFRS_NO_ROW && model->has_events)
		*events = tfrs_events_of(&model->events, row);
	tfrs_model_query(model, row, vector);
	return TFRS_QUERY_VECTOR;
}

/* Of the query's length, how far it is moved at most: where all directions are one. */
#define PUSH 0.25

void
tfrs_model_push_away(const tfrs_model *model, const tfrs_row_list *rows, float *vector)
{
	size_t		width = tfrs_tower_width(model->tower);
	double		length = tfrs_vector_norm(vector, width);
	float	   *candidate = palloc(model->shape->dim * sizeof(float));
	double	   *sum = palloc0(width * sizeof(double));

	for (size_t i = 0; i < rows->count; i++)
	{
		double		norm;

		tfrs_model_candidate(model, rows->rows[i], candidate);
		norm = tfrs_vector_norm(candidate, width);
		for (size_t d = 0; d < width && norm > 0; d++)
			sum[d] += candidate[d] / norm;
	}
	for (size_t d = 0; d < width && rows->count > 0; d++)
		vector[d] -= (float) (PUSH * length * sum[d] / (double) rows->count);
	pfree(candidate);
	pfree(sum);
}

bool
tfrs_model_is_trending(const tfrs_model *model)
{
	return model->score != NULL && model->score->trending;
}

static float
popularity_of(const tfrs_model *model, uint32_t row)
{
	return tfrs_model_is_trending(model) ? expf(model->recent_end[row])
		: (float) model->candidate_counts[row];
}

size_t
tfrs_popular_candidates(const tfrs_model *model, const tfrs_id_view *candidates,
						const tfrs_search *search, tfrs_hit *hits)
{
	bool		own = is_own(model, candidates);
	tfrs_collector collector;

	tfrs_collector_init(&collector, search, hits, candidates->count);
	for (uint32_t row = 0; row < candidates->count; row++)
	{
		uint32_t	trained = own ? row
			: tfrs_id_view_find(&model->candidate_ids, tfrs_id_view_get(candidates, row));
		float		score = trained == TFRS_NO_ROW ? 0 : popularity_of(model, trained);
		size_t		place;

		if (row % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		place = tfrs_place_of_row(search->adjusted, search->adjusted_count, row);
		if (place < search->adjusted_count && search->adjusted[place] == row)
			tfrs_collector_offer_adjusted(&collector, score + search->adjustment[place], row);
		else
			tfrs_collector_offer(&collector, score, row);
	}
	tfrs_topk_finish(&collector.topk);
	return collector.topk.count;
}

void
tfrs_search_many(const tfrs_index *index, const tfrs_index_queries *queries, tfrs_arena *arena)
{
	tfrs_index_many *many;
	tfrs_error	error;

	tfrs_check(tfrs_index_many_begin(&many, index, queries, arena, &error), &error);
	while (tfrs_index_many_step(many) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	tfrs_index_many_destroy(many);
}
