/*
 * popularity.c: candidates by how often they were chosen.
 */
#include "server/popularity.h"

#include "base/limits.h"

size_t
tfrs_popular_candidates(const tfrs_model *model, const tfrs_id_view *candidates,
						const tfrs_search *search, tfrs_hit *hits)
{
	bool		own = candidates->slots == model->candidate_ids.slots;
	tfrs_collector collector;

	tfrs_collector_init(&collector, search, hits, candidates->count);
	for (uint32_t row = 0; row < candidates->count; row++)
	{
		uint32_t	trained = own ? row
			: tfrs_id_view_find(&model->candidate_ids, tfrs_id_view_get(candidates, row));
		float		count = trained == TFRS_NO_ROW ? 0 : (float) model->candidate_counts[trained];

		tfrs_collector_offer(&collector, count, row);
	}
	tfrs_topk_finish(&collector.topk);
	return collector.topk.count;
}
