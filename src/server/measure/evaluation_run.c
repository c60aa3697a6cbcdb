/*
 * evaluation_run.c: ids to numbers, numbers to pairs, pairs to figures.
 */
#include "server/measure/evaluation_run.h"

#include "miscadmin.h"

#include "base/id_sort.h"
#include "server/host/bridge.h"
#include "server/host/progress.h"
#include "server/values/row_reader.h"
#include "server/host/settings.h"

/* Pairs renumbered between two looks at pending interrupts. */
#define PAIRS_AT_ONCE ((size_t) 1 << 20)

/* What is collected is bounded: the one wording for too much of it. */
static void
check_collected(const tfrs_evaluation_run *run, tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OVER_BUDGET)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the rows to evaluate do not fit into %s", run->setting),
				 errdetail("%s", error->detail),
				 errhint("Raise %s, or evaluate a sample of the queries.", run->setting)));
	tfrs_check(status, error);
}

void
tfrs_evaluation_run_begin(tfrs_evaluation_run *run, MemoryContext context,
						  const tfrs_model *model, const char *setting)
{
	size_t		budget = strcmp(setting, "tfrs.max_memory") == 0 ? tfrs_settings_memory_bytes()
		: tfrs_bridge_maintenance_memory();
	tfrs_error	error;

	run->setting = setting;

	run->context = context;
	run->model = model;
	tfrs_bridge_arena(&run->arena, context, budget);
	tfrs_pair_set_init(&run->relevant, &run->arena);
	tfrs_pair_set_init(&run->excluded, &run->arena);
	tfrs_check(tfrs_id_set_init(&run->unknown_queries, &run->arena, model->query_ids.kind,
								model->query_ids.tag, &error), &error);
	tfrs_check(tfrs_id_set_init(&run->unknown_candidates, &run->arena,
								model->candidate_ids.kind, model->candidate_ids.tag, &error),
			   &error);
}

/* The number of an id: the model's row, or one behind the model's rows. */
static uint32
number_of(const tfrs_evaluation_run *run, const tfrs_id_view *known, tfrs_id_set *unknown,
		  tfrs_id id)
{
	uint32		row = tfrs_id_view_find(known, id);
	tfrs_error	error;

	if (row != TFRS_NO_ROW)
		return row;
	check_collected(run, tfrs_id_set_add(unknown, id, &row, &error), &error);
	return (uint32) known->count + row;
}

uint32
tfrs_evaluation_run_query(tfrs_evaluation_run *run, tfrs_id id)
{
	tfrs_id_check_length(id, "query", NULL);
	return number_of(run, &run->model->query_ids, &run->unknown_queries, id);
}

void
tfrs_evaluation_run_add_relevant(tfrs_evaluation_run *run, uint32 query, tfrs_id id)
{
	uint32		number;
	tfrs_error	error;

	tfrs_id_check_length(id, "candidate", NULL);
	number = number_of(run, &run->model->candidate_ids, &run->unknown_candidates, id);
	check_collected(run, tfrs_pair_set_add(&run->relevant, query, number, &error), &error);
}

void
tfrs_evaluation_run_add_excluded(tfrs_evaluation_run *run, uint32 query, uint32 row)
{
	tfrs_error	error;

	check_collected(run, tfrs_pair_set_add(&run->excluded, query, row, &error), &error);
}

/*
 * Gives unknown queries their numbers in the order of their ids: sums over queries must not depend
 * on the order of the rows.
 */
static void
order_unknown_queries(tfrs_evaluation_run *run)
{
	uint32		known = (uint32) run->model->query_ids.count;
	tfrs_pair_set *sets[] = {&run->relevant, &run->excluded};
	tfrs_id_sort sort;
	uint32_t   *new_row;
	tfrs_status status;
	tfrs_error	error;

	check_collected(run, TFRS_GET(&run->arena, &new_row, run->unknown_queries.count, &error),
					&error);
	check_collected(run, tfrs_id_sort_begin(&sort, &run->unknown_queries, new_row, &error), &error);
	while ((status = tfrs_id_sort_step(&sort, &error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	check_collected(run, status, &error);
	tfrs_id_sort_end(&sort);
	for (int s = 0; s < lengthof(sets); s++)
		for (size_t i = 0; i < sets[s]->count; i++)
		{
			uint64_t	pair = sets[s]->pairs[i];

			if (i % PAIRS_AT_ONCE == 0)
				CHECK_FOR_INTERRUPTS();
			if (tfrs_pair_query(pair) >= known)
				sets[s]->pairs[i] = ((uint64_t) known + new_row[tfrs_pair_query(pair) - known])
					<< 32 | tfrs_pair_candidate(pair);
		}
}

static void
finish_pairs(const tfrs_evaluation_run *run, tfrs_pair_set *set)
{
	tfrs_status status;
	tfrs_error	error;

	while ((status = tfrs_pair_set_finish_step(set, &error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	check_collected(run, status, &error);
}

static void
check_evaluated(tfrs_status status, const tfrs_error *error)
{
	if (status == TFRS_OVER_BUDGET)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the evaluation does not fit into tfrs.max_memory"),
				 errdetail("%s", error->detail),
				 errhint("Raise tfrs.max_memory, lower tfrs.threads or the largest of \"ks\", or "
						 "leave item-item out with '{\"baselines\": false}'.")));
	tfrs_check(status, error);
}

static void
tell_progress(tfrs_progress *progress, const tfrs_evaluation *evaluation)
{
	tfrs_progress_state state = {0};

	state.phase = tfrs_evaluation_phase(evaluation, &state.done, &state.total);
	tfrs_progress_update(progress, &state);
}

const tfrs_evaluation_result *
tfrs_evaluation_run_finish(tfrs_evaluation_run *run, const tfrs_evaluation_options *options,
						   size_t *distinct)
{
	tfrs_evaluation_test test = {
		.model = run->model, .relevant = &run->relevant, .excluded = &run->excluded
	};
	tfrs_progress *progress = tfrs_progress_begin("evaluate", NULL);
	tfrs_status status;
	tfrs_error	error;

	tfrs_progress_update(progress, &(tfrs_progress_state) {.phase = "sorting rows"});
	if (run->unknown_queries.count > 1)
		order_unknown_queries(run);
	finish_pairs(run, &run->relevant);
	finish_pairs(run, &run->excluded);
	*distinct = run->relevant.count;
	tfrs_bridge_arena(&run->ranking_arena, run->context, tfrs_settings_memory_bytes());
	check_evaluated(tfrs_evaluation_begin(&run->evaluation, &run->ranking_arena, &test, options,
										  &error), &error);
	while ((status = tfrs_evaluation_step(run->evaluation, &error)) == TFRS_MORE)
	{
		CHECK_FOR_INTERRUPTS();
		tell_progress(progress, run->evaluation);
	}
	check_evaluated(status, &error);
	tfrs_progress_end(progress);
	return tfrs_evaluation_result_of(run->evaluation);
}

void
tfrs_evaluation_run_end(tfrs_evaluation_run *run)
{
	tfrs_evaluation_destroy(run->evaluation);
	tfrs_arena_free(&run->arena);
}
