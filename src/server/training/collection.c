/*
 * collection.c: around tfrs_interactions.
 */
#include "server/training/collection.h"

#include "miscadmin.h"

#include "learning/warm_start.h"
#include "server/host/bridge.h"
#include "server/host/progress.h"
#include "server/host/settings.h"

static void
check_collected(tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OVER_BUDGET)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("collecting the rows needs more memory than tfrs.max_memory allows"),
				 errdetail("%s", error->detail),
				 errhint("Have tfrs.max_memory raised, or leave out rare queries or candidates: "
						 "distinct ids stay in memory.")));
	tfrs_check(status, error);
}

/* What rows may take beyond a small budget: buffers of the temporary files that they go to. */
#define ROW_BUFFERS ((size_t) 4 << 20)

void
tfrs_collection_bound(tfrs_collection *collection, size_t taken)
{
	size_t		limit = tfrs_settings_memory_bytes();

	if (limit == SIZE_MAX || !tfrs_size_add(limit - Min(limit, taken),
											collection->budget + ROW_BUFFERS, &limit))
		limit = SIZE_MAX;
	collection->arena.budget = limit;
}

size_t
tfrs_collection_excess(const tfrs_collection *collection)
{
	size_t		used = collection->arena.used;

	return used > collection->budget ? used - collection->budget : 0;
}

void
tfrs_collection_begin(tfrs_collection *collection)
{
	tfrs_interactions_options options = {
		.has_weight = collection->has_weight,
		.has_time = collection->has_time,
		.input_order = collection->options.input_order,
		.seed = collection->options.seed,
		.budget = collection->budget,
		.spools = &collection->spools.functions
	};
	tfrs_interactions **interactions = &collection->interactions;
	tfrs_error	error;

	tfrs_bridge_arena(&collection->arena, collection->context, SIZE_MAX);
	tfrs_collection_bound(collection, 0);
	tfrs_spools_init(&collection->spools, collection->context, collection->lasting);
	tfrs_check(tfrs_interactions_create(interactions, &collection->arena, &options, &error),
			   &error);
	tfrs_check(tfrs_interactions_set_query_type(*interactions, collection->query.kind,
												collection->query.tag, &error), &error);
	tfrs_check(tfrs_interactions_set_candidate_type(*interactions, collection->candidate.kind,
													collection->candidate.tag, &error), &error);
}

void
tfrs_collection_end(tfrs_collection *collection)
{
	tfrs_interactions_destroy(collection->interactions);
	collection->interactions = NULL;
}

/* Reads ids as the model has them; ERROR where they are of another type. */
static void
adopt_type(uint32 tag, tfrs_id_reader *reader, const char *role)
{
	if (!tfrs_id_reader_adopt(reader, tag))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s ids are of type %s, but the model's of type %s", role,
						tfrs_id_tag_name(reader->tag), tfrs_id_tag_name(tag)),
				 errhint("Cast them to %s.", tfrs_id_tag_name(tag))));
}

void
tfrs_collection_adopt_types(tfrs_collection *collection, const tfrs_model *model)
{
	adopt_type(model->query_ids.tag, &collection->query, "query");
	adopt_type(model->candidate_ids.tag, &collection->candidate, "candidate");
}

/* Ids that the interactions are told of between two looks at a cancel. */
#define IDS_AT_ONCE 4096

static void
know_ids(tfrs_collection *collection, const tfrs_id_view *ids,
		 tfrs_status (*know) (tfrs_interactions *, tfrs_id, tfrs_error *))
{
	tfrs_error	error;

	for (size_t i = 0; i < ids->count; i++)
	{
		if (i % IDS_AT_ONCE == 0)
			CHECK_FOR_INTERRUPTS();
		check_collected(know(collection->interactions, tfrs_id_view_get(ids, (uint32_t) i),
							 &error), &error);
	}
}

void
tfrs_collection_know_model(tfrs_collection *collection, const tfrs_model *model)
{
	tfrs_error	error;

	tfrs_check(tfrs_warm_start_check(model, &collection->options, collection->has_time, &error),
			   &error);
	know_ids(collection, &model->query_ids, tfrs_interactions_know_query);
	know_ids(collection, &model->candidate_ids, tfrs_interactions_know_candidate);
}

bool
tfrs_collection_ids(tfrs_collection *collection, const NullableDatum *query,
					const NullableDatum *candidate, tfrs_row_ids *ids)
{
	if (query->isnull)
		collection->skipped_query++;
	else if (candidate->isnull)
		collection->skipped_candidate++;
	if (query->isnull || candidate->isnull)
		return false;
	ids->query = tfrs_id_read(&collection->query, query->value);
	ids->candidate = tfrs_id_read(&collection->candidate, candidate->value);
	tfrs_id_check_length(ids->query, "query", collection->query_column);
	tfrs_id_check_length(ids->candidate, "candidate", collection->candidate_column);
	return true;
}

void
tfrs_collection_add(tfrs_collection *collection, const tfrs_row_ids *ids, float weight, int64 at)
{
	tfrs_error	error;

	check_collected(tfrs_interactions_add(collection->interactions, ids->query, ids->candidate,
										  weight, at, &error), &error);
}

void
tfrs_collection_finish(tfrs_collection *collection)
{
	tfrs_progress *run = tfrs_progress_begin("train", NULL);
	tfrs_progress_state progress = {.phase = "sorting rows"};
	tfrs_status status;
	tfrs_error	error;

	do
	{
		CHECK_FOR_INTERRUPTS();
		status = tfrs_interactions_finish_step(collection->interactions, &error);
		check_collected(status, &error);
		tfrs_progress_update(run, &progress);
	} while (status == TFRS_MORE);
	tfrs_progress_end(run);
}

void
tfrs_collection_warn(const tfrs_collection *collection, FunctionCallInfo fcinfo)
{
	if (tfrs_interactions_candidates(collection->interactions)->count == 1 &&
		tfrs_bridge_first_notice(fcinfo, 0))
		ereport(NOTICE,
				(errmsg("all rows have the same candidate"),
				 errdetail("There is nothing to tell it from, so the model has learned nothing.")));
	if (collection->options.history.on && !collection->options.store &&
		tfrs_bridge_first_notice(fcinfo, 1))
		ereport(NOTICE,
				(errmsg("the model stores no events, so it answers all queries alike"),
				 errhint("Leave out \"store\": false, or train with \"history\": false.")));
}

tfrs_fit
tfrs_collection_fit(const tfrs_collection *collection, const tfrs_model *model)
{
	return (tfrs_fit) {
		&collection->options, collection->interactions, model,
		collection->skipped_query, collection->skipped_candidate,
		tfrs_collection_excess(collection)
	};
}
