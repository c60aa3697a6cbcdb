/*
 * version_figures.c: pairs of the split as a model numbers them, and its evaluation.
 */
#include "server/recommender/version_figures.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "learning/held_out.h"
#include "server/host/bridge.h"
#include "server/measure/evaluate_report.h"
#include "server/measure/evaluation_run.h"
#include "server/host/settings.h"

/* Pairs between two looks at a cancel. */
#define PAIRS_AT_ONCE 4096

void
tfrs_version_figures_init(tfrs_version_figures *figures)
{
	figures->report = NULL;
	for (int r = 0; r < TFRS_RANKINGS; r++)
		figures->ndcg[r] = NAN;
}

static tfrs_id
query_of(const tfrs_version_test *test, uint64 pair)
{
	tfrs_id_view view = tfrs_id_set_view(tfrs_interactions_queries(test->all));

	return tfrs_id_view_get(&view, tfrs_pair_query(pair));
}

static tfrs_id
candidate_of(const tfrs_version_test *test, uint64 pair)
{
	tfrs_id_view view = tfrs_id_set_view(tfrs_interactions_candidates(test->all));

	return tfrs_id_view_get(&view, tfrs_pair_candidate(pair));
}

/* Adds what a model was trained on of one query. */
static void
see_query(const tfrs_version_test *test, const tfrs_model *model, uint32 query, tfrs_pair_set *seen)
{
	tfrs_id_view candidates = tfrs_id_set_view(tfrs_interactions_candidates(test->all));
	uint32		row = tfrs_id_view_find(&model->query_ids, query_of(test, (uint64) query << 32));
	tfrs_event_list events;
	tfrs_error	error;

	if (row == TFRS_NO_ROW)
		return;
	events = tfrs_events_of(&model->events, row);
	for (size_t i = 0; i < events.count; i++)
	{
		tfrs_id		id = tfrs_id_view_get(&model->candidate_ids, events.candidate[i]);
		uint32		candidate = tfrs_id_view_find(&candidates, id);

		if (i % PAIRS_AT_ONCE == 0)
			CHECK_FOR_INTERRUPTS();
		if (candidate != TFRS_NO_ROW)
			tfrs_check(tfrs_pair_set_add(seen, query, candidate, &error), &error);
	}
}

void
tfrs_version_test_see(const tfrs_version_test *test, const tfrs_model *model, tfrs_pair_set *seen)
{
	const tfrs_pair_set *held_out = tfrs_split_held_out(test->split);
	size_t		queries = tfrs_interactions_queries(test->all)->count;
	uint64	   *marked = MemoryContextAllocExtended(test->context,
													(queries / 64 + 1) * sizeof(uint64),
													MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	tfrs_status status;
	tfrs_error	error;

	for (size_t i = 0; i < held_out->count; i++)
	{
		uint32		query = tfrs_pair_query(held_out->pairs[i]);

		if (!tfrs_is_marked(marked, query))
			see_query(test, model, query, seen);
		tfrs_mark(marked, query);
	}
	pfree(marked);
	while ((status = tfrs_pair_set_finish_step(seen, &error)) == TFRS_MORE)
		CHECK_FOR_INTERRUPTS();
	tfrs_check(status, &error);
}

static int
compare_pairs(const void *a, const void *b)
{
	uint64		first = *(const uint64 *) a;
	uint64		second = *(const uint64 *) b;

	return first < second ? -1 : first > second;
}

/* Whether a pair that is held out is tested. */
static bool
is_tested(const tfrs_version_test *test, uint64 pair)
{
	return test->seen == NULL || test->seen->count == 0 ||
		bsearch(&pair, test->seen->pairs, test->seen->count, sizeof(pair), compare_pairs) == NULL;
}

size_t
tfrs_version_test_pairs(const tfrs_version_test *test)
{
	const tfrs_pair_set *held_out = tfrs_split_held_out(test->split);
	size_t		count = 0;

	for (size_t i = 0; i < held_out->count; i++)
	{
		if (i % PAIRS_AT_ONCE == 0)
			CHECK_FOR_INTERRUPTS();
		count += is_tested(test, held_out->pairs[i]);
	}
	return count;
}

/* A pair is to be found, or left out of its query's ranking. */
static void
add_pair(const tfrs_version_test *test, tfrs_evaluation_run *evaluation, uint64 pair,
		 bool relevant)
{
	uint32		query = tfrs_evaluation_run_query(evaluation, query_of(test, pair));
	tfrs_id		candidate = candidate_of(test, pair);
	uint32		row;

	if (relevant)
	{
		tfrs_evaluation_run_add_relevant(evaluation, query, candidate);
		return;
	}
	row = tfrs_id_view_find(&evaluation->model->candidate_ids, candidate);
	if (row != TFRS_NO_ROW)
		tfrs_evaluation_run_add_excluded(evaluation, query, row);
}

/* Returns the number of pairs to be found. */
static size_t
add_pairs(const tfrs_version_test *test, tfrs_evaluation_run *evaluation)
{
	const tfrs_pair_set *held_out = tfrs_split_held_out(test->split);
	const tfrs_pair_set *trained = tfrs_split_trained(test->split);
	size_t		relevant_count = 0;

	for (size_t i = 0; i < held_out->count + trained->count; i++)
	{
		bool		held = i < held_out->count;
		uint64		pair = held ? held_out->pairs[i] : trained->pairs[i - held_out->count];
		bool		relevant = held && is_tested(test, pair);

		if (i % PAIRS_AT_ONCE == 0)
			CHECK_FOR_INTERRUPTS();
		add_pair(test, evaluation, pair, relevant);
		relevant_count += relevant;
	}
	return relevant_count;
}

/* NDCG at the guard's k of each ranking that was measured. */
static void
take_ndcg(const tfrs_evaluation_result *result, const tfrs_evaluation_options *options,
		  double ndcg[TFRS_RANKINGS])
{
	for (size_t i = 0; i < options->cutoff_count; i++)
		for (int r = 0; r < TFRS_RANKINGS; r++)
			if (options->cutoffs[i] == TFRS_GUARD_CUTOFF && result->queries > 0 &&
				result->ranked[r])
				ndcg[r] = result->figures[r].metrics[i].ndcg;
}

void
tfrs_version_test_run(const tfrs_version_test *test, const tfrs_model *model,
					  tfrs_version_figures *figures)
{
	tfrs_evaluation_run evaluation = {0};
	tfrs_evaluation_options options;
	const tfrs_evaluation_result *result;
	tfrs_evaluate_rows rows = {0};

	tfrs_version_figures_init(figures);
	tfrs_evaluation_options_default(&options);
	options.threads = tfrs_settings_threads();
	tfrs_evaluation_run_begin(&evaluation, test->context, model, "tfrs.max_memory");
	rows.rows = add_pairs(test, &evaluation);
	result = tfrs_evaluation_run_finish(&evaluation, &options, &rows.distinct);
	take_ndcg(result, &options, figures->ndcg);
	if (result->queries > 0)
	{
		figures->report = tfrs_evaluate_report(result, &options, &rows,
											   model->candidate_ids.count);
		if (test->seen == NULL)
			tfrs_evaluate_notice(result, &options, NULL);
	}
	tfrs_evaluation_run_end(&evaluation);
}
