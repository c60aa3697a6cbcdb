/*
 * training_run.c: what a refresh does, apart from its transactions.
 *
 * Everything that can run somebody's code (the interactions may be a view, the store may have
 * triggers) does so as the recommender's owner, security-restricted; the registry is written by
 * statements of our own as its owner.
 *
 * The guard: both versions are measured on the same held-out interactions, each query's trained
 * ones left out of its ranking, and compared by NDCG@10.  Where nothing was held out, or it was
 * not held out of the version in use, the new version is published.
 */
#include "server/training_run.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "server/bridge.h"
#include "server/evaluate_report.h"
#include "server/model_type.h"
#include "server/progress.h"
#include "server/recommender_sources.h"
#include "server/run_as.h"
#include "server/settings.h"
#include "server/source.h"
#include "server/statement.h"
#include "server/store.h"
#include "server/train_options.h"

/* What the guard compares. */
#define GUARD_CUTOFF 10

void
tfrs_training_run_begin(tfrs_training_run *run)
{
	tfrs_recommender_check_store(run->recommender);
	run->run = tfrs_run_begin(run->recommender, run->warm ? "warm" : "full");
	if (!tfrs_recommender_is_broken(run->recommender))
		tfrs_registry_note_relations(run->recommender);
	tfrs_store_note_versions(run->recommender);
}

/* The recommender as it is now: it may be gone, its store too, or given away. */
static void
look_again(tfrs_training_run *run)
{
	tfrs_recommender *before = run->recommender;
	tfrs_recommender *now = tfrs_recommender_of_id(before->id);

	if (now == NULL || now->registry != before->registry)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("recommender \"%s\" was dropped meanwhile", before->name)));
	run->recommender = now;
	tfrs_recommender_check_store(now);
	if (now->owner != before->owner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the owner of recommender \"%s\" has changed meanwhile",
						run->recommender->name),
				 errdetail("The interactions were read with the privileges of the former owner."),
				 errhint("Refresh it again.")));
}

/*
 * Waits for all that is read, before there is a snapshot: what is taken then sees the rows that a
 * load has written meanwhile, and the version and the columns are those of that moment.
 */
static void
lock_sources(tfrs_training_run *run)
{
	const tfrs_recommender *before;

	do
	{
		before = run->recommender;
		LockRelationOid(before->store, AccessShareLock);
		tfrs_source_lock(before);
		look_again(run);
	} while (run->recommender->interactions != before->interactions ||
			 run->recommender->store != before->store);
}

/* Reads the version in use from the store, as its owner. */
static void
read_current(tfrs_training_run *run)
{
	tfrs_recommender *recommender = run->recommender;
	Oid			type = INT4OID;
	Datum		version = Int32GetDatum(recommender->current_version);
	tfrs_run_as scope;
	bool		null;
	Datum		model;

	if (recommender->current_version == 0)
		return;
	tfrs_run_as_reader(&scope, recommender->owner);
	SPI_execute_with_args(psprintf("SELECT model FROM %s WHERE version = $1",
								   tfrs_relation_text(recommender->store)),
						  1, &type, &version, NULL, true, 1);
	if (SPI_processed == 1 && SPI_gettypeid(SPI_tuptable->tupdesc, 1) == tfrs_registry_model_type())
	{
		model = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
		if (!null)
			run->current = &tfrs_block_cache_get(&run->site, run->context, model,
												 TFRS_BLOCK_MODEL)->model;
	}
	tfrs_run_as_end(&scope);
	run->current_version = recommender->current_version;
	run->current_split = tfrs_run_split_of_version(recommender, run->current_version);
}

/* The model that the training goes on from. */
static const tfrs_model *
starting_model(const tfrs_training_run *run)
{
	return run->warm ? run->current : NULL;
}

static bool
holds_out(const tfrs_training_run *run)
{
	return run->recommender->held_out > 0;
}

/* The collection that is trained on. */
static tfrs_collection *
trained(tfrs_training_run *run)
{
	return holds_out(run) ? &run->training : &run->all;
}

/* Called when the types of the columns are known: what can be refused is refused before all rows
 * are read. */
static void
begin_collections(void *argument)
{
	tfrs_training_run *run = argument;

	if (starting_model(run) != NULL)
		tfrs_collection_adopt_types(&run->all, starting_model(run));
	tfrs_collection_begin(&run->all);
	if (holds_out(run))
	{
		run->training = run->all;
		run->training.interactions = NULL;
		tfrs_collection_begin(&run->training);
	}
	if (starting_model(run) != NULL)
		tfrs_collection_know_model(trained(run), starting_model(run));
}

static void
set_collection(tfrs_training_run *run)
{
	tfrs_collection *all = &run->all;
	size_t		budget = tfrs_bridge_maintenance_memory();

	all->context = run->context;
	all->lasting = true;
	all->query_column = run->recommender->query_column;
	all->candidate_column = run->recommender->candidate_column;
	all->budget = holds_out(run) ? budget / 2 : budget;
	if (starting_model(run) != NULL)
		tfrs_retrain_options_read(&all->options, starting_model(run), run->recommender->options);
	else
		tfrs_train_options_read(&all->options, run->recommender->options);
}

/* A digest of all that decides what a full training makes. */
static char *
fingerprint(const tfrs_training_run *run, const tfrs_source_sum *sum)
{
	const tfrs_recommender *recommender = run->recommender;
	const double numbers[] = {recommender->held_out};
	const uint32 tags[] = {
		run->all.query.tag, run->all.candidate.tag, run->all.has_weight, run->all.has_time
	};
	uint8		result[TFRS_DIGEST_BYTES];
	tfrs_digest digest;

	tfrs_digest_begin(&digest);
	tfrs_digest_add(&digest, TFRS_VERSION, sizeof(TFRS_VERSION));
	tfrs_digest_add(&digest, sum, sizeof(*sum));
	tfrs_digest_add(&digest, numbers, sizeof(numbers));
	tfrs_digest_add(&digest, tags, sizeof(tags));
	tfrs_digest_add(&digest, VARDATA_ANY(recommender->options),
					VARSIZE_ANY_EXHDR(recommender->options));
	tfrs_digest_end(&digest, result);
	return tfrs_block_digest_text(result);
}

static void
collect_rows(tfrs_training_run *run)
{
	tfrs_source source = {&run->all, begin_collections, run};
	tfrs_source_sum sum;

	set_collection(run);
	sum = tfrs_source_read(run->recommender, &source);
	if (sum.rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s has no row with a query and a candidate",
						tfrs_relation_text(run->recommender->interactions)),
				 run->all.skipped_weight == 0 ? 0
				 : errdetail("Rows of weight 0 count for nothing, and there are no others."),
				 errhint("Name other interactions with CALL tfrs.alter_recommender(...), or fill "
						 "them.")));
	run->counts.rows = sum.rows;
	run->counts.fingerprint = fingerprint(run, &sum);
	run->counts.split = psprintf("%s %g", run->all.has_time ? "time" : "pairs",
								 run->recommender->held_out);
}

/* The version that a run of now would make again, 0: none.  Where a model is missing, be it that
 * one's or that of the version in use, there is something to do whatever the rows are. */
static int
same_version(const tfrs_training_run *run)
{
	const tfrs_recommender *recommender = run->recommender;
	int			version;

	if (run->force || (recommender->current_version != 0 && run->current == NULL))
		return 0;
	version = tfrs_run_same_version(recommender, run->counts.fingerprint);
	return version != 0 && tfrs_store_lacks(recommender, version) ? 0 : version;
}

bool
tfrs_training_run_collect(tfrs_training_run *run)
{
	lock_sources(run);
	PushActiveSnapshot(GetTransactionSnapshot());
	read_current(run);
	if (run->warm && run->current == NULL)
		ereport(NOTICE,
				(errmsg("no version is in use to go on from: the training is a full one")));
	collect_rows(run);
	run->same_version = same_version(run);
	PopActiveSnapshot();
	if (run->same_version == 0)
		return true;
	tfrs_run_unchanged(run->run, run->same_version, &run->counts);
	return false;
}

/* Deals the rows to what is trained on and what is held out. */
static void
split_rows(tfrs_training_run *run)
{
	tfrs_progress_state state = {.phase = "holding out rows"};
	tfrs_progress *progress;
	tfrs_status status;
	tfrs_error	error;

	/* Temporary files may be made from here on: that reads the catalogs, once a transaction. */
	PrepareTempTablespaces();
	tfrs_collection_finish(&run->all);
	if (!holds_out(run))
		return;
	tfrs_bridge_arena(&run->split_arena, run->context, tfrs_settings_memory_bytes());
	tfrs_collection_bound(&run->training, tfrs_collection_excess(&run->all));
	tfrs_check(tfrs_split_begin(&run->split, &run->split_arena, run->all.interactions,
								run->training.interactions, run->recommender->held_out, &error),
			   &error);
	progress = tfrs_progress_begin("refresh", NULL);
	while ((status = tfrs_split_step(run->split, &error)) == TFRS_MORE)
	{
		CHECK_FOR_INTERRUPTS();
		tfrs_progress_update(progress, &state);
	}
	tfrs_check(status, &error);
	tfrs_progress_end(progress);
	tfrs_collection_finish(&run->training);
	run->training.skipped_query = run->all.skipped_query;
	run->training.skipped_candidate = run->all.skipped_candidate;
	run->training.skipped_weight = run->all.skipped_weight;
}

static void
count_rows(tfrs_training_run *run)
{
	const tfrs_interactions *rows = trained(run)->interactions;

	run->counts.rows = tfrs_interactions_count(rows);
	run->counts.queries = tfrs_interactions_queries(rows)->count;
	run->counts.candidates = tfrs_interactions_candidates(rows)->count;
	if (run->split != NULL)
		run->counts.held_out_rows = tfrs_interactions_count(run->all.interactions) -
			run->counts.rows;
}

static void
open_value(tfrs_training_run *run)
{
	tfrs_block	block;
	size_t		length;
	const void *bytes = tfrs_block_value_bytes(run->value, &length);
	tfrs_error	error;

	tfrs_check(tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, &error), &error);
	tfrs_check(tfrs_model_of_block(&run->model, &block, &error), &error);
}

static tfrs_id
id_of(const tfrs_id_set *ids, uint32 row)
{
	tfrs_id_view view = tfrs_id_set_view(ids);

	return tfrs_id_view_get(&view, row);
}

/* Pairs between two looks at a cancel. */
#define PAIRS_AT_ONCE 4096

/* What is held out and what is trained on, as the model numbers it. */
static void
add_pairs(const tfrs_training_run *run, tfrs_evaluation_run *evaluation)
{
	const tfrs_id_set *queries = tfrs_interactions_queries(run->all.interactions);
	const tfrs_id_set *candidates = tfrs_interactions_candidates(run->all.interactions);
	const tfrs_pair_set *held_out = tfrs_split_held_out(run->split);
	const tfrs_pair_set *known = tfrs_split_trained(run->split);

	for (size_t i = 0; i < held_out->count + known->count; i++)
	{
		bool		relevant = i < held_out->count;
		uint64		pair = relevant ? held_out->pairs[i] : known->pairs[i - held_out->count];
		uint32		query = tfrs_evaluation_run_query(evaluation,
													  id_of(queries, tfrs_pair_query(pair)));
		tfrs_id		candidate = id_of(candidates, tfrs_pair_candidate(pair));
		uint32		row;

		if (i % PAIRS_AT_ONCE == 0)
			CHECK_FOR_INTERRUPTS();
		if (relevant)
			tfrs_evaluation_run_add_relevant(evaluation, query, candidate);
		else if ((row = tfrs_id_view_find(&evaluation->model->candidate_ids,
										  candidate)) != TFRS_NO_ROW)
			tfrs_evaluation_run_add_excluded(evaluation, query, row);
	}
}

/* NDCG at the guard's k of each ranking that was measured. */
static void
take_ndcg(const tfrs_evaluation_result *result, const tfrs_evaluation_options *options,
		  double ndcg[TFRS_RANKINGS])
{
	for (size_t i = 0; i < options->cutoff_count; i++)
		for (int r = 0; r < TFRS_RANKINGS; r++)
			if (options->cutoffs[i] == GUARD_CUTOFF && result->queries > 0 && result->ranked[r])
				ndcg[r] = result->figures[r].metrics[i].ndcg;
}

/* Figures of a model as JSON, NULL where nothing is left to test; ndcg: what the guard compares. */
static char *
measure(const tfrs_training_run *run, const tfrs_model *model, bool warn,
		double ndcg[TFRS_RANKINGS])
{
	tfrs_evaluation_run evaluation = {0};
	tfrs_evaluation_options options;
	const tfrs_evaluation_result *result;
	tfrs_evaluate_rows rows = {0};
	char	   *report;

	tfrs_evaluation_options_default(&options);
	options.threads = tfrs_settings_threads();
	tfrs_evaluation_run_begin(&evaluation, run->context, model, "tfrs.max_memory");
	rows.rows = tfrs_split_held_out(run->split)->count;
	add_pairs(run, &evaluation);
	result = tfrs_evaluation_run_finish(&evaluation, &options, &rows.distinct);
	take_ndcg(result, &options, ndcg);
	report = result->queries == 0 ? NULL :
		tfrs_evaluate_report(result, &options, &rows, model->candidate_ids.count);
	if (warn && result->queries > 0)
		tfrs_evaluate_notice(result, &options, NULL);
	tfrs_evaluation_run_end(&evaluation);
	return report;
}

/* Whether the version in use can be measured on what is held out now. */
static bool
is_comparable(const tfrs_training_run *run)
{
	const tfrs_model *current = run->current;

	return current != NULL && run->current_split != NULL &&
		strcmp(run->current_split, run->counts.split) == 0 &&
		tfrs_id_tags_match(current->query_ids.tag, run->model.query_ids.tag) &&
		tfrs_id_tags_match(current->candidate_ids.tag, run->model.candidate_ids.tag);
}

static void
measure_versions(tfrs_training_run *run)
{
	for (int r = 0; r < TFRS_RANKINGS; r++)
		run->new_ndcg[r] = run->current_ndcg[r] = NAN;
	if (run->split == NULL || tfrs_split_held_out(run->split)->count == 0)
		return;
	run->new_report = measure(run, &run->model, true, run->new_ndcg);
	if (is_comparable(run))
		run->current_report = measure(run, run->current, false, run->current_ndcg);
}

/* Why the new version is not put to use, or NULL. */
static char *
reason_to_hold_back(const tfrs_training_run *run)
{
	double		ndcg = run->new_ndcg[TFRS_RANKING_MODEL];
	double		before = run->current_ndcg[TFRS_RANKING_MODEL];

	if (!run->publish)
		return "it was made with publish => false";
	if (ndcg < (1 - run->recommender->tolerance) * before)
		return psprintf("NDCG@%d is %.4f, and %.4f for version %d, which is in use",
						GUARD_CUTOFF, ndcg, before, run->current_version);
	return NULL;
}

void
tfrs_training_run_train(tfrs_training_run *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	tfrs_fit	fit;

	split_rows(run);
	count_rows(run);
	if (run->counts.rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("no interaction is left to train on"),
				 errhint("Lower \"held_out\" with CALL tfrs.alter_recommender(...).")));
	tfrs_collection_warn(trained(run), NULL);
	InvalidateCatalogSnapshot();
	fit = tfrs_collection_fit(trained(run), starting_model(run));
	if (run->split != NULL)
		fit.held += tfrs_collection_excess(&run->all) + run->split_arena.used;
	run->value = tfrs_fit_run(&fit);
	open_value(run);
	measure_versions(run);
	run->held_back = reason_to_hold_back(run);
	MemoryContextSwitchTo(caller);
}

/* The same, and it stays so until the transaction ends. */
static void
lock_to_write(tfrs_training_run *run)
{
	LockRelationOid(run->recommender->store, RowExclusiveLock);
	tfrs_registry_lock_row(run->recommender);
	look_again(run);
}

/* Returns the number of rows.  The name in the statement means the store that is locked. */
static uint64
execute_on_store(const tfrs_training_run *run, const char *sql, const tfrs_parameters *parameters)
{
	Oid			store = run->recommender->store;
	const tfrs_statement *statement;
	tfrs_run_as scope;
	uint64		rows;

	tfrs_run_as_begin(&scope, run->recommender->owner);
	statement = tfrs_statement_bind(psprintf(sql, tfrs_relation_text(store)), store,
									parameters->types, parameters->count);
	rows = tfrs_statement_run(statement, parameters->values, parameters->nulls, NULL, 0);
	tfrs_run_as_end(&scope);
	return rows;
}

/* One above all that the recommender has had, and all that are in its store. */
static int
next_version(const tfrs_recommender *recommender)
{
	tfrs_store_versions versions;

	tfrs_store_read_versions(recommender, &versions);
	return Max(tfrs_run_next_version(recommender), versions.last + 1);
}

static void
store_value(tfrs_training_run *run)
{
	tfrs_parameters parameters = {0};

	run->version = next_version(run->recommender);
	tfrs_parameters_version(&parameters, run->version);
	tfrs_parameters_model(&parameters, run->value);
	if (execute_on_store(run, "INSERT INTO %s (version, model) VALUES ($1, $2)", &parameters) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s did not take the model", tfrs_relation_text(run->recommender->store)),
				 errhint("Drop the trigger or rule that keeps rows out of it.")));
}

static void
prune(const tfrs_training_run *run)
{
	int			count;
	int		   *versions = tfrs_run_prune(run->recommender, &count);

	for (int i = 0; i < count; i++)
	{
		tfrs_parameters parameters = {0};

		tfrs_parameters_version(&parameters, versions[i]);
		execute_on_store(run, "DELETE FROM %s WHERE version = $1", &parameters);
	}
}

void
tfrs_training_run_write(tfrs_training_run *run)
{
	lock_to_write(run);
	store_value(run);
	tfrs_run_add_version(run->recommender, run->run, run->version, run->held_back,
						 !run->publish);
	tfrs_run_note_tags(run->recommender, run->version, run->model.query_ids.tag,
					   run->model.candidate_ids.tag);
	tfrs_run_add_epochs(run->run, &run->model);
	if (run->new_report != NULL)
		tfrs_run_add_metrics(run->run, run->version, run->new_report);
	if (run->current_report != NULL)
		tfrs_run_add_metrics(run->run, run->current_version, run->current_report);
	tfrs_run_succeeded(run->run, run->version, &run->counts);
	prune(run);
	tfrs_run_notify(run->recommender, run->run, "succeeded", run->version);
}

void
tfrs_training_run_end(tfrs_training_run *run)
{
	tfrs_collection_end(&run->all);
	tfrs_collection_end(&run->training);
}
