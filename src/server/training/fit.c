/*
 * fit.c: the loop around the core's trainer: limits before, a look at cancels between steps, the
 * value after.
 *
 * All memory of the training lies in one child context, which goes at the end, or with its parent
 * when the statement is cancelled.
 */
#include "server/training/fit.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/limits.h"
#include "learning/score_parts.h"
#include "learning/training.h"
#include "retrieval/index.h"
#include "server/host/bridge.h"
#include "server/values/index_type.h"
#include "server/values/model_type.h"
#include "server/host/progress.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"
#include "server/training/train_options.h"

#define MEGABYTE (1024.0 * 1024.0)

/* Bytes of a vocabulary's parts. */
static double
vocabulary_bytes(const tfrs_id_set *ids)
{
	tfrs_id_view view = tfrs_id_set_view(ids);
	double		bytes = view.kind == TFRS_ID_INTEGER ? 8.0 * view.count :
		8.0 * (view.count + 1) + view.offsets[view.count];

	return bytes + 4.0 * (view.slot_mask + 1) + 4.0 * view.count;
}

/* Vectors of all tables, and what is kept of the optimizer: two plain ones, or
 * the candidates' and one a bag. */
static double
table_bytes(const tfrs_fit *fit)
{
	const tfrs_history_options *history = &fit->options->history;
	double		queries = tfrs_interactions_queries(fit->interactions)->count + 1.0;
	double		candidates = tfrs_interactions_candidates(fit->interactions)->count + 1.0;
	bool		timed = tfrs_interactions_settings(fit->interactions)->has_time;
	double		rows = history->on ?
		candidates * (1.0 + history->all + (timed ? history->decays : 0)) : queries + candidates;

	if (fit->options->keep_optimizer_state)
		rows *= 1 + tfrs_optimizer_slots(&fit->options->optimizer);
	return 4.0 * rows *
		tfrs_train_options_most_dim(fit->options,
									tfrs_interactions_candidates(fit->interactions)->count);
}

/* What each query chose, where it is stored. */
static double
event_bytes(const tfrs_fit *fit)
{
	bool		timed = tfrs_interactions_settings(fit->interactions)->has_time;

	if (!fit->options->store)
		return 0;
	return 8.0 * (tfrs_interactions_queries(fit->interactions)->count + 1.0) +
		(timed ? 12.0 : 4.0) * (tfrs_interactions_count(fit->interactions) +
								(fit->model == NULL ? 0 : fit->model->events.count));
}

/* What stands beside the towers: of each candidate up to some tens of values in each part, of which
 * the one by content needs rows as candidates. */
static double
part_bytes(const tfrs_fit *fit)
{
	double		candidates = tfrs_interactions_candidates(fit->interactions)->count;
	int			parts = fit->options->candidate_tower == NULL ? TFRS_LIKE_CONTENT
		: TFRS_SCORE_PARTS;

	if (!fit->options->history.on)
		return 0;
	return parts * tfrs_neighbours_most(candidates) * 5.0 + candidates * 32.0;
}

/* ERROR where the model would not fit into a value: in double, where no count can overflow. */
static void
check_model_size(const tfrs_fit *fit)
{
	const tfrs_id_set *queries = tfrs_interactions_queries(fit->interactions);
	const tfrs_id_set *candidates = tfrs_interactions_candidates(fit->interactions);
	double		vectors = table_bytes(fit);
	double		ids = vocabulary_bytes(queries) + vocabulary_bytes(candidates);
	double		events = event_bytes(fit) + part_bytes(fit);

	if (vectors + ids + events <= TFRS_MAX_BLOCK_BYTES)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the model would be larger than %.0f MB", TFRS_MAX_BLOCK_BYTES / MEGABYTE),
			 errdetail("%zu queries and %zu candidates of dimension %u take %.0f MB for their "
					   "vectors, %.0f MB for their ids and %.0f MB for what each query chose and "
					   "what often goes together.",
					   queries->count, candidates->count,
					   tfrs_train_options_most_dim(fit->options, candidates->count),
					   vectors / MEGABYTE, ids / MEGABYTE, events / MEGABYTE),
			 errhint("Lower \"dim\", set \"store\": false or fewer decays, leave out rare queries "
					 "or candidates, or train one model for each part of the data with "
					 "GROUP BY.")));
}

/* The bytes that the training may take beside what was collected. */
static size_t
memory_left(const tfrs_fit *fit)
{
	size_t		limit = tfrs_settings_memory_bytes();

	return limit == SIZE_MAX ? limit : limit - Min(limit, fit->held);
}

/* ERROR where training would take more than one may. */
static void
check_memory(const tfrs_fit *fit)
{
	size_t		limit = tfrs_settings_memory_bytes();
	size_t		need;
	tfrs_error	error;

	tfrs_check(tfrs_training_estimate(fit->options, fit->interactions, fit->model, &need, &error),
			   &error);
	if (need <= memory_left(fit))
		return;
	need = tfrs_size_add(need, fit->held, &need) ? need : SIZE_MAX;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("training needs %zu kB of memory, more than tfrs.max_memory allows",
					need / 1024 + 1),
			 errdetail("tfrs.max_memory is %zu kB.", limit / 1024),
			 errhint("Lower \"dim\" or \"batch_size\", or have tfrs.max_memory raised.")));
}

static void
log_epoch(const tfrs_fit *fit, const tfrs_train_progress *progress)
{
	ereport(NOTICE,
			(errmsg("epoch %u of %u: loss %.6g, %.6g per row", progress->epoch,
					fit->options->epochs, progress->loss, progress->loss_per_row)));
}

static void
tell_progress(tfrs_progress *run, const tfrs_trainer *trainer, const tfrs_train_progress *progress)
{
	tfrs_progress_state state = {
		.phase = tfrs_trainer_phase(trainer),
		.epoch = progress->total > 0 ? progress->epoch : 0,
		.batch = progress->batch,
		.rows = progress->rows,
		.done = progress->done,
		.total = progress->total,
		.has_loss = progress->batch > 0,
		.loss = progress->loss_per_row
	};

	tfrs_progress_update(run, &state);
}

static void
run_epochs(const tfrs_fit *fit, tfrs_trainer *trainer, tfrs_progress *run)
{
	bool		log = tfrs_settings_log_progress();
	tfrs_train_progress progress = {0};
	tfrs_status status;
	tfrs_error	error;

	do
	{
		CHECK_FOR_INTERRUPTS();
		status = tfrs_trainer_step(trainer, &progress, &error);
		tfrs_check(status, &error);
		if (log && progress.epoch_finished)
			log_epoch(fit, &progress);
		tell_progress(run, trainer, &progress);
	} while (status == TFRS_MORE);
}

/* The model's own description, in UTF-8: names of columns are the database's. */
static void
describe(const tfrs_fit *fit, const tfrs_trainer *trainer, StringInfo about)
{
	char	   *utf8;

	initStringInfo(about);
	appendStringInfoString(about, "{\"options\": ");
	tfrs_train_options_write(tfrs_trainer_options(trainer), about);
	appendStringInfo(about, ", \"query\": {\"id\": \"%s\"}, \"candidate\": {\"id\": \"%s\"}}",
					 tfrs_id_tag_name(tfrs_interactions_queries(fit->interactions)->tag),
					 tfrs_id_tag_name(tfrs_interactions_candidates(fit->interactions)->tag));
	utf8 = pg_server_to_any(about->data, about->len, PG_UTF8);
	if (utf8 != about->data)
	{
		resetStringInfo(about);
		appendStringInfoString(about, utf8);
	}
}

/* With fewer floats a full scan takes less than half a millisecond, and building more than that. */
#define LEAST_INDEXED_FLOATS ((size_t) 2 * 1024 * 1024)

/* The search structure that a model of many candidates carries, or NULL:
 * exact, as top_k promises. */
static tfrs_index_builder *
build_index(const tfrs_fit *fit, const tfrs_trainer *trainer, tfrs_progress *run,
			tfrs_arena *arena)
{
	size_t		count;
	uint32_t	dim = tfrs_trainer_options(trainer)->dim;
	const float *vectors = tfrs_trainer_candidates(trainer, &count);
	tfrs_index_builder *builder;
	tfrs_index_options options;
	tfrs_error	error;

	if (count * dim < LEAST_INDEXED_FLOATS)
		return NULL;
	tfrs_index_options_default(&options);
	options.kind = TFRS_INDEX_EXACT;
	options.threads = tfrs_settings_threads();
	tfrs_check(tfrs_index_builder_begin(&builder, arena, &options, vectors, count, dim, &error),
			   &error);
	tfrs_index_run_builder(builder, count, run);
	return builder;
}

/* The value, in context; everything that is written into it lives until then. */
static tfrs_block_value *
save(const tfrs_fit *fit, tfrs_trainer *trainer, tfrs_progress *run, tfrs_arena *arena,
	 MemoryContext context)
{
	tfrs_block_writer *writer = palloc(sizeof(*writer));
	tfrs_index_builder *index = build_index(fit, trainer, run, arena);
	StringInfoData about;
	MemoryContext old_context;
	tfrs_block_value *value;
	size_t		bytes;
	tfrs_error	error;

	describe(fit, trainer, &about);
	tfrs_block_writer_init(writer, TFRS_BLOCK_MODEL);
	tfrs_check(tfrs_trainer_save(trainer, fit->skipped_query, fit->skipped_candidate, writer,
								 &error), &error);
	tfrs_check(tfrs_block_writer_add(writer, "about", about.data, (size_t) about.len, 1, &error),
			   &error);
	writer->prefix = "index.";
	if (index != NULL)
		tfrs_check(tfrs_index_builder_save(index, false, writer, &error), &error);
	tfrs_check(tfrs_block_writer_size(writer, &bytes, &error), &error);
	old_context = MemoryContextSwitchTo(context);
	value = tfrs_block_value_make(bytes);
	MemoryContextSwitchTo(old_context);
	tfrs_block_writer_begin(writer, value->block);
	while (tfrs_block_writer_step(writer) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	return value;
}

void
tfrs_fit_check(const tfrs_fit *fit)
{
	check_model_size(fit);
	check_memory(fit);
}

tfrs_block_value *
tfrs_fit_run(const tfrs_fit *fit)
{
	MemoryContext result_context = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(result_context, "tfrs fit",
												  ALLOCSET_DEFAULT_SIZES);
	tfrs_arena	arena;
	tfrs_arena	index_arena;
	tfrs_trainer *trainer;
	tfrs_progress *run;
	tfrs_block_value *value;
	tfrs_error	error;

	tfrs_fit_check(fit);
	MemoryContextSwitchTo(context);
	run = tfrs_progress_begin("train", NULL);
	tfrs_bridge_arena(&arena, context, memory_left(fit));
	tfrs_check(tfrs_trainer_begin(&trainer, &arena, fit->options, fit->interactions, fit->model,
								  &error), &error);
	run_epochs(fit, trainer, run);
	tfrs_bridge_arena(&index_arena, context, tfrs_settings_memory_bytes());
	value = save(fit, trainer, run, &index_arena, result_context);
	tfrs_progress_end(run);
	MemoryContextSwitchTo(result_context);
	MemoryContextDelete(context);
	return value;
}
