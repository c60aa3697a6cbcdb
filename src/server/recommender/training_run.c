/*
 * training_run.c: what a refresh does, apart from its transactions.
 *
 * Everything that can run somebody's code (the interactions may be a view, the store may have
 * triggers) does so as the recommender's owner, security-restricted; the registry is written by
 * statements of our own as its owner.
 *
 * A version is trained on all rows, the last days and what came new in them included.  What it is
 * worth is told by a training of the same kind before it, from which some rows are held out; that
 * model is forgotten.  Going on from it instead would save little (MovieLens, a fifth of the rows
 * new: NDCG@10 .199 with a fifth of the steps, .211 trained anew), and the version would depend on
 * what was held out: so it is what tfrs.train makes of the rows.
 *
 * The guard compares NDCG@10 with that of the version in use.  Where a third or more of what is
 * held out is new to that one too, both rank that part.  Where less is new, the figure counts that
 * it had when it was made: most of its test was the same.  What has shrunk too far, or can't be
 * measured, is held back too, unless the refresh is forced.
 */
#include "server/recommender/training_run.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "server/recommender/attached_code.h"
#include "server/host/bridge.h"
#include "server/values/model_type.h"
#include "server/host/progress.h"
#include "server/recommender/recommender_sources.h"
#include "server/host/run_as.h"
#include "server/host/settings.h"
#include "server/recommender/source.h"
#include "server/recommender/statement.h"
#include "server/recommender/store.h"
#include "server/training/train_options.h"

/* Both versions rank what is new to both where that is one of so many held-out pairs. */
#define LEAST_NEW_ONE_OF 3

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
	tfrs_run_of_version(recommender, run->current_version, TFRS_GUARD_CUTOFF, &run->current_made);
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

/* The model that the measured training goes on from: where nobody knows what it was trained on, it
 * may be what is held out. */
static const tfrs_model *
measured_start(const tfrs_training_run *run)
{
	const tfrs_model *start = starting_model(run);

	return start != NULL && start->has_events ? start : NULL;
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
		if (measured_start(run) != NULL)
			tfrs_collection_know_model(&run->training, measured_start(run));
	}
	if (starting_model(run) != NULL)
		tfrs_collection_know_model(&run->all, starting_model(run));
}

static void
set_collection(tfrs_training_run *run)
{
	tfrs_collection *all = &run->all;
	size_t		budget = tfrs_bridge_maintenance_memory();
	MemoryContext old_context = MemoryContextSwitchTo(run->context);

	all->context = run->context;
	all->lasting = true;
	all->query_column = run->recommender->query_column;
	all->candidate_column = run->recommender->candidate_column;
	all->budget = holds_out(run) ? budget / 2 : budget;
	if (starting_model(run) != NULL)
		tfrs_retrain_options_read(&all->request, starting_model(run), run->recommender->options);
	else
		tfrs_train_options_read(&all->request, run->recommender->options);
	MemoryContextSwitchTo(old_context);
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
	run->counts.split = psprintf("%s %g%s", run->all.has_time ? "time" : "pairs",
								 run->recommender->held_out,
								 measured_start(run) == NULL ? "" : " unseen");
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

/* Deals the rows to what is trained on at first and what is held out. */
static void
split_rows(tfrs_training_run *run)
{
	tfrs_progress_state state = {.phase = "holding out rows"};
	tfrs_progress *progress;
	tfrs_status status;
	tfrs_error	error;

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
	const tfrs_interactions *rows = run->all.interactions;

	run->counts.rows = tfrs_interactions_count(rows);
	run->counts.queries = tfrs_interactions_queries(rows)->count;
	run->counts.candidates = tfrs_interactions_candidates(rows)->count;
	run->counts.left_out_rows = run->all.skipped_query + run->all.skipped_candidate +
		run->all.skipped_weight;
}

static void
open_value(const tfrs_block_value *value, tfrs_model *model)
{
	tfrs_block	block;
	size_t		length;
	const void *bytes = tfrs_block_value_bytes(value, &length);
	tfrs_error	error;

	tfrs_check(tfrs_block_open(&block, bytes, length, TFRS_BLOCK_MODEL, &error), &error);
	tfrs_check(tfrs_model_of_block(model, &block, &error), &error);
}

/* Whether the version in use can rank what is held out and is new to it. */
static bool
is_comparable(const tfrs_training_run *run, const tfrs_model *model)
{
	const tfrs_model *current = run->current;

	return current != NULL && current->has_events &&
		current->query_ids.tag == model->query_ids.tag &&
		current->candidate_ids.tag == model->candidate_ids.tag;
}

/* Compares a model with the version in use on what is new to both, where that is enough. */
static void
measure_unseen(tfrs_training_run *run, const tfrs_version_test *unseen, const tfrs_model *model)
{
	size_t		pairs = tfrs_split_held_out(run->split)->count;

	if (LEAST_NEW_ONE_OF * tfrs_version_test_pairs(unseen) < pairs)
		return;
	tfrs_version_test_run(unseen, model, &run->new_unseen);
	tfrs_version_test_run(unseen, run->current, &run->current_unseen);
}

/* Measures a model of what was not held out, and the version in use beside it.  What the model went
 * on from has seen is no test. */
static void
measure(tfrs_training_run *run, const tfrs_model *model)
{
	tfrs_version_test whole = {run->context, run->all.interactions, run->split, NULL};
	tfrs_version_test unseen = whole;
	bool		comparable = is_comparable(run, model);
	tfrs_pair_set seen;

	tfrs_pair_set_init(&seen, &run->split_arena);
	if (comparable)
		tfrs_version_test_see(&whole, run->current, &seen);
	unseen.seen = &seen;
	if (measured_start(run) != NULL)
		whole = unseen;
	if (tfrs_version_test_pairs(&whole) > 0)
		tfrs_version_test_run(&whole, model, &run->figures);
	if (comparable)
		measure_unseen(run, &unseen, model);
	tfrs_pair_set_free(&seen);
}

/* Holds rows out, trains on the others and measures the model, which goes. */
static void
hold_out_and_measure(tfrs_training_run *run)
{
	tfrs_block_value *value;
	tfrs_model	model;
	tfrs_fit	fit;
	size_t		left;

	split_rows(run);
	left = tfrs_interactions_count(run->training.interactions);
	if (left > 0 && left < run->counts.rows)
	{
		fit = tfrs_collection_fit(&run->training, measured_start(run));
		fit.held += tfrs_collection_excess(&run->all) + run->split_arena.used;
		value = tfrs_fit_run(&fit);
		open_value(value, &model);
		measure(run, &model);
		pfree(value);
		run->counts.held_out_rows = run->counts.rows - left;
	}
	tfrs_split_destroy(run->split);
	run->split = NULL;
	tfrs_collection_end(&run->training);
}

/* Why there is too little of something, or NULL. */
static char *
shrinkage(const tfrs_training_run *run, const char *what, double now, double before)
{
	if (!(now < run->recommender->least_share * before))
		return NULL;
	return psprintf("it was made of %.0f %s, and version %d, which is in use, of %.0f", now, what,
					run->current_version, before);
}

/* Why it is doubtful that the rows are all that there should be, or NULL. */
static char *
reason_to_doubt(const tfrs_training_run *run)
{
	const tfrs_run_version *before = &run->current_made;
	char	   *reason = shrinkage(run, "rows", (double) run->counts.rows, before->rows);

	if (reason == NULL)
		reason = shrinkage(run, "queries", (double) run->counts.queries, before->queries);
	if (reason == NULL)
		reason = shrinkage(run, "candidates", (double) run->counts.candidates,
						   before->candidates);
	if (reason == NULL && holds_out(run) && run->figures.report == NULL)
		reason = "it could not be measured, as nothing new to its queries could be held out "
			"(with held_out => 0 versions are not measured)";
	return reason;
}

/* Why the new version is worse than that in use, or NULL. */
static char *
reason_to_reject(const tfrs_training_run *run)
{
	const tfrs_run_version *made = &run->current_made;
	double		ndcg = run->new_unseen.ndcg[TFRS_RANKING_MODEL];
	double		before = run->current_unseen.ndcg[TFRS_RANKING_MODEL];

	if (run->new_unseen.report == NULL && measured_start(run) == NULL && made->split != NULL &&
		strcmp(made->split, run->counts.split) == 0)
	{
		ndcg = run->figures.ndcg[TFRS_RANKING_MODEL];
		before = made->ndcg;
	}
	if (!(ndcg < (1 - run->recommender->tolerance) * before))
		return NULL;
	return psprintf("NDCG@%d is %.4f, and %.4f for version %d, which is in use",
					TFRS_GUARD_CUTOFF, ndcg, before, run->current_version);
}

/* Why the new version is not put to use, or NULL. */
static char *
reason_to_hold_back(const tfrs_training_run *run)
{
	char	   *reason = NULL;

	if (!run->publish)
		return "it was made with publish => false";
	if (run->current == NULL)
		return NULL;			/* anything is better than no answer */
	if (!run->force && starting_model(run) == NULL)
		reason = reason_to_doubt(run);	/* what goes on from the version in use has all of it */
	return reason != NULL ? reason : reason_to_reject(run);
}

void
tfrs_training_run_train(tfrs_training_run *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	tfrs_fit	fit;

	/* Temporary files may be made from here on: that reads the catalogs, once a transaction. */
	PrepareTempTablespaces();
	tfrs_collection_finish(&run->all);
	count_rows(run);
	tfrs_collection_warn(&run->all, NULL);
	InvalidateCatalogSnapshot();
	tfrs_version_figures_init(&run->figures);
	tfrs_version_figures_init(&run->new_unseen);
	tfrs_version_figures_init(&run->current_unseen);
	fit = tfrs_collection_fit(&run->all, starting_model(run));
	tfrs_fit_check(&fit);		/* before the time that a measurement takes */
	if (holds_out(run))
		hold_out_and_measure(run);
	run->value = tfrs_fit_run(&fit);
	open_value(run->value, &run->model);
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

	tfrs_attached_code_check(store);
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
	tfrs_run_add_metrics(run->run, run->version, "held_out", run->figures.report);
	tfrs_run_add_metrics(run->run, run->version, "unseen", run->new_unseen.report);
	tfrs_run_add_metrics(run->run, run->current_version, "unseen", run->current_unseen.report);
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
