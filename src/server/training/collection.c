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

/* A tower of scalars: rows have theirs already. */
static void
resolve_scalars(tfrs_collection *collection)
{
	tfrs_train_request *request = &collection->request;

	if (collection->query_record == NULL)
		request->options.query_tower = tfrs_tower_of_scalars(&request->query, &collection->query,
															 "query");
	if (collection->candidate_record == NULL)
		request->options.candidate_tower =
			tfrs_tower_of_scalars(&request->candidate, &collection->candidate, "candidate");
}

/* Vectors whose length no row has said yet: any length, while the towers are checked. */
#define SUPPOSED_DIM (TFRS_MAX_DIM)

static void
suppose_dims(tfrs_record_reader *record)
{
	for (uint32 c = 0; record != NULL && c < record->open->columns; c++)
	{
		tfrs_column *column = &record->open->column[c];

		if (column->type == TFRS_COLUMN_VECTOR && column->dim == 0)
			column->dim = SUPPOSED_DIM;
	}
}

/* A column that is never read keeps it. */
static void
open_dims(tfrs_record_reader *record)
{
	for (uint32 c = 0; record != NULL && c < record->open->columns; c++)
	{
		tfrs_column *column = &record->open->column[c];

		if (column->type == TFRS_COLUMN_VECTOR && column->dim == SUPPOSED_DIM &&
			tfrs_tower_reads(record->open, c))
			column->dim = 0;
	}
}

/* What the training of towers can't do yet. */
static void
check_supported(const tfrs_train_options *options)
{
	const tfrs_tower_options *query = options->query_tower;
	const tfrs_tower_options *candidate = options->candidate_tower;

	if (query != NULL && (query->features > 0 || tfrs_tower_is_joined(query)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query towers with features or layers are not supported yet"),
				 errhint("Pass the column that identifies the query, alone.  Candidates can be "
						 "rows.")));
	if (candidate != NULL && candidate->features == 0 && tfrs_tower_is_joined(candidate))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("layers over nothing but the id of a candidate are not supported yet"),
				 errhint("Pass a row with more columns, or leave out \"layers\".")));
}

/* Before any row is read. */
static void
check_towers(const tfrs_train_options *options)
{
	tfrs_both_options both = {options->query_tower, options->candidate_tower};
	tfrs_error	error;

	check_supported(options);
	tfrs_check(tfrs_tower_options_check_both(&both, &error), &error);
}

/* What the towers read beside the ids. */
static void
set_rows(tfrs_collection *collection)
{
	const tfrs_train_options *options = &collection->request.options;
	tfrs_error	error;

	if (options->query_tower != NULL)
		tfrs_check(tfrs_interactions_set_query_row(collection->interactions,
												   options->query_tower, &error), &error);
	if (options->candidate_tower != NULL)
		tfrs_check(tfrs_interactions_set_candidate_row(collection->interactions,
													   options->candidate_tower, &error), &error);
}

void
tfrs_collection_begin(tfrs_collection *collection)
{
	tfrs_interactions_options options = {
		.has_weight = collection->has_weight,
		.has_time = collection->has_time,
		.input_order = collection->request.options.input_order,
		.seed = collection->request.options.seed,
		.budget = collection->budget,
		.spools = &collection->spools.functions
	};
	tfrs_interactions **interactions = &collection->interactions;
	tfrs_error	error;

	resolve_scalars(collection);
	suppose_dims(collection->query_record);
	suppose_dims(collection->candidate_record);
	check_towers(&collection->request.options);
	open_dims(collection->query_record);
	open_dims(collection->candidate_record);
	tfrs_bridge_arena(&collection->arena, collection->context, SIZE_MAX);
	tfrs_collection_bound(collection, 0);
	tfrs_spools_init(&collection->spools, collection->context, collection->lasting);
	tfrs_check(tfrs_interactions_create(interactions, &collection->arena, &options, &error),
			   &error);
	tfrs_check(tfrs_interactions_set_query_type(*interactions, collection->query.kind,
												collection->query.tag, &error), &error);
	tfrs_check(tfrs_interactions_set_candidate_type(*interactions, collection->candidate.kind,
													collection->candidate.tag, &error), &error);
	set_rows(collection);
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

	if (model->query_features.features.options != NULL ||
		model->candidate_features.features.options != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a model of rows cannot be trained further yet"),
				 errhint("Train it anew on all rows with tfrs.train.")));
	tfrs_check(tfrs_warm_start_check(model, &collection->request.options, collection->has_time, &error),
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

/* A side of a row, whose key is *id: false where it is NULL. */
static bool
read_side(tfrs_record_reader *record, const tfrs_id_reader *reader, const NullableDatum *value,
		  tfrs_id *id)
{
	if (value->isnull)
		return false;
	if (record == NULL)
	{
		*id = tfrs_id_read(reader, value->value);
		return true;
	}
	if (record->is_json)
		tfrs_record_read_json(record, DatumGetJsonbP(value->value));
	else
		tfrs_record_read(record, value->value);
	return tfrs_record_key(record, id);
}

bool
tfrs_collection_records(tfrs_collection *collection, const NullableDatum *query,
						const NullableDatum *candidate, tfrs_row_ids *ids)
{
	bool		has_query = read_side(collection->query_record, &collection->query, query,
									  &ids->query);
	bool		has_candidate = read_side(collection->candidate_record, &collection->candidate,
										  candidate, &ids->candidate);

	collection->skipped_query += !has_query;
	collection->skipped_candidate += has_query && !has_candidate;
	if (!has_query || !has_candidate)
		return false;
	tfrs_id_check_length(ids->query, "query", collection->query_column);
	tfrs_id_check_length(ids->candidate, "candidate", collection->candidate_column);
	return true;
}

void
tfrs_collection_add_records(tfrs_collection *collection, const tfrs_row_ids *ids, float weight,
							int64 at)
{
	const tfrs_record_reader *query = collection->query_record;
	const tfrs_record_reader *candidate = collection->candidate_record;
	tfrs_given_row given = {
		.query = ids->query, .candidate = ids->candidate, .weight = weight, .at = at,
		.query_value = query == NULL ? NULL : query->value,
		.candidate_value = candidate == NULL ? NULL : candidate->value
	};
	tfrs_error	error;

	check_collected(tfrs_interactions_add_rows(collection->interactions, &given, &error), &error);
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

static void
warn_of_rows(const tfrs_collection *collection, FunctionCallInfo fcinfo)
{
	const tfrs_key_rows *rows = tfrs_interactions_candidate_rows(collection->interactions);

	if (rows != NULL && rows->differ > 0 && tfrs_bridge_first_notice(fcinfo, 2))
		ereport(NOTICE,
				(errmsg("%zu candidates came with several different rows", rows->differ),
				 errdetail("The row of the latest time counts, without times the greatest one.")));
}

void
tfrs_collection_warn(const tfrs_collection *collection, FunctionCallInfo fcinfo)
{
	if (tfrs_interactions_candidates(collection->interactions)->count == 1 &&
		tfrs_bridge_first_notice(fcinfo, 0))
		ereport(NOTICE,
				(errmsg("all rows have the same candidate"),
				 errdetail("There is nothing to tell it from, so the model has learned nothing.")));
	if (collection->request.options.history.on && !collection->request.options.store &&
		tfrs_bridge_first_notice(fcinfo, 1))
		ereport(NOTICE,
				(errmsg("the model stores no events, so it answers all queries alike"),
				 errhint("Leave out \"store\": false, or train with \"history\": false.")));
	warn_of_rows(collection, fcinfo);
}

tfrs_fit
tfrs_collection_fit(const tfrs_collection *collection, const tfrs_model *model)
{
	return (tfrs_fit) {
		&collection->request.options, collection->interactions, model,
		collection->skipped_query, collection->skipped_candidate,
		tfrs_collection_excess(collection)
	};
}
