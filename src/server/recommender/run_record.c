/*
 * run_record.c: statements on the registry's tables of runs.
 */
#include "server/recommender/run_record.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* Runs of a recommender that are remembered. */
#define MOST_RUNS 1000

/* Bytes of an error that are: a function that a view calls may raise one of any length. */
#define MOST_ERROR_BYTES 4096

#define CHANNEL "tfrs_refresh"

/* The first column of row i of the last result. */
static Datum
value_of_row(uint64 i, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, null);
}

/* The same where there is one row, 0 for none and for NULL. */
static int
integer_of_result(uint64 rows)
{
	bool		null;
	Datum		value;

	if (rows == 0)
		return 0;
	value = value_of_row(0, &null);
	return null ? 0 : DatumGetInt32(value);
}

#define LAST_RUN "coalesce(greatest((SELECT max(run_id) FROM tfrs.recommender_run), " \
	"(SELECT max(run_id) FROM tfrs.recommender_version), " \
	"(SELECT max(run_id) FROM tfrs.recommender_epoch), " \
	"(SELECT max(run_id) FROM tfrs.recommender_metric)), 0)"

static int64
integer_of(const char *sql)
{
	tfrs_parameters none = {0};
	bool		null;

	tfrs_registry_execute(sql, &none);
	return DatumGetInt64(value_of_row(0, &null));
}

/*
 * The number of a new run, above all that there are.  A restore brings rows without the sequence's
 * state, which only its owner might set: then it is set here, by one session at a time.
 */
static int64
next_run(void)
{
	int64		run = integer_of("SELECT nextval('tfrs.recommender_run_id_seq')");

	if (run > integer_of("SELECT " LAST_RUN))
		return run;
	tfrs_registry_lock_sequence();
	integer_of("SELECT setval('tfrs.recommender_run_id_seq', greatest(last_value, " LAST_RUN ")) "
			   "FROM tfrs.recommender_run_id_seq");
	tfrs_registry_unlock_sequence();
	return integer_of("SELECT nextval('tfrs.recommender_run_id_seq')");
}

int64
tfrs_run_begin(const tfrs_recommender *recommender, const char *mode)
{
	tfrs_parameters parameters = {0};
	int64		run;

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_registry_execute("UPDATE tfrs.recommender_run SET state = 'abandoned', "
						  "finished_at = clock_timestamp(), "
						  "error = 'the session ended before the run did' "
						  "WHERE recommender_id = $1 AND state = 'running'", &parameters);
	run = next_run();
	tfrs_parameters_text(&parameters, mode);
	tfrs_parameters_integer(&parameters, MyProcPid);
	tfrs_parameters_integer(&parameters, run);
	tfrs_registry_execute("INSERT INTO tfrs.recommender_run "
						  "(recommender_id, mode, state, started_at, pid, run_id) "
						  "VALUES ($1::integer, $2, 'running', clock_timestamp(), $3::integer, $4)",
						  &parameters);
	return run;
}

int
tfrs_run_same_version(const tfrs_recommender *recommender, const char *fingerprint)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_text(&parameters, fingerprint);
	return integer_of_result(tfrs_registry_execute(
		"SELECT v.version FROM (SELECT version, fingerprint FROM tfrs.recommender_run "
		"WHERE recommender_id = $1 AND state = 'succeeded' ORDER BY run_id DESC LIMIT 1) r "
		"JOIN tfrs.recommender_version v ON v.recommender_id = $1 AND v.version = r.version "
		"WHERE r.fingerprint = $2 AND v.pruned_at IS NULL", &parameters));
}

/* A number of the first row of the last result; NaN for NULL. */
static double
float_of_column(int column)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null);

	return null ? NAN : DatumGetFloat8(value);
}

void
tfrs_run_of_version(const tfrs_recommender *recommender, int version, int cutoff,
					tfrs_run_version *made)
{
	tfrs_parameters parameters = {0};

	*made = (tfrs_run_version) {
		NAN, NAN, NAN, NULL, NAN
	};
	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_version(&parameters, version);
	tfrs_parameters_integer(&parameters, cutoff);
	if (tfrs_registry_execute("SELECT r.rows::float8, r.queries::float8, r.candidates::float8, "
							  "m.value, r.split FROM tfrs.recommender_version v "
							  "JOIN tfrs.recommender_run r ON r.run_id = v.run_id "
							  "LEFT JOIN tfrs.recommender_metric m ON m.run_id = r.run_id "
							  "AND m.version = v.version AND m.split = 'held_out' "
							  "AND m.metric = 'ndcg' AND m.k = $3 "
							  "WHERE v.recommender_id = $1 AND v.version = $2",
							  &parameters) == 0)
		return;
	made->rows = float_of_column(1);
	made->queries = float_of_column(2);
	made->candidates = float_of_column(3);
	made->ndcg = float_of_column(4);
	made->split = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5);
}

void
tfrs_run_unchanged(int64 run, int version, const tfrs_run_counts *counts)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, run);
	tfrs_parameters_version(&parameters, version);
	tfrs_parameters_integer(&parameters, (int64) counts->rows);
	tfrs_parameters_text(&parameters, counts->fingerprint);
	tfrs_registry_execute("UPDATE tfrs.recommender_run SET state = 'unchanged', version = $2, "
						  "rows = $3, fingerprint = $4, finished_at = clock_timestamp() "
						  "WHERE run_id = $1", &parameters);
}

void
tfrs_run_succeeded(int64 run, int version, const tfrs_run_counts *counts)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, run);
	tfrs_parameters_version(&parameters, version);
	tfrs_parameters_integer(&parameters, (int64) counts->rows);
	tfrs_parameters_integer(&parameters, (int64) counts->queries);
	tfrs_parameters_integer(&parameters, (int64) counts->candidates);
	tfrs_parameters_integer(&parameters, (int64) counts->held_out_rows);
	tfrs_parameters_text(&parameters, counts->fingerprint);
	tfrs_parameters_text(&parameters, counts->split);
	tfrs_parameters_integer(&parameters, (int64) counts->left_out_rows);
	tfrs_registry_execute("UPDATE tfrs.recommender_run SET state = 'succeeded', version = $2, "
						  "rows = $3, queries = $4, candidates = $5, held_out_rows = $6, "
						  "fingerprint = $7, split = $8, left_out_rows = $9, "
						  "finished_at = clock_timestamp() "
						  "WHERE run_id = $1", &parameters);
}

static void
append_clipped(StringInfo text, const char *words)
{
	int			length = (int) strlen(words);

	appendBinaryStringInfo(text, words, pg_mbcliplen(words, length, MOST_ERROR_BYTES));
	if (length > MOST_ERROR_BYTES)
		appendStringInfoString(text, "...");
}

void
tfrs_run_failed(int64 run, const char *state, const ErrorData *error)
{
	tfrs_parameters parameters = {0};
	StringInfoData text;

	initStringInfo(&text);
	append_clipped(&text, error->message == NULL ? "unknown error" : error->message);
	if (error->detail != NULL)
	{
		appendStringInfoString(&text, " (");
		append_clipped(&text, error->detail);
		appendStringInfoChar(&text, ')');
	}
	tfrs_parameters_integer(&parameters, run);
	tfrs_parameters_text(&parameters, state);
	tfrs_parameters_text(&parameters, text.data);
	tfrs_parameters_text(&parameters, unpack_sql_state(error->sqlerrcode));
	tfrs_registry_execute("UPDATE tfrs.recommender_run SET state = $2, error = $3, sqlstate = $4, "
						  "finished_at = clock_timestamp() WHERE run_id = $1", &parameters);
}

int
tfrs_run_next_version(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	return 1 + integer_of_result(tfrs_registry_execute(
		"SELECT max(version) FROM (SELECT version FROM tfrs.recommender_run "
		"WHERE recommender_id = $1 UNION ALL SELECT version FROM tfrs.recommender_version "
		"WHERE recommender_id = $1) v", &parameters));
}

void
tfrs_run_add_version(const tfrs_recommender *recommender, int64 run, int version,
					 const char *held_back, bool deliberate)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_version(&parameters, version);
	if (held_back == NULL)
		tfrs_registry_execute("UPDATE tfrs.recommender SET current_version = $2 "
							  "WHERE recommender_id = $1", &parameters);
	tfrs_parameters_integer(&parameters, run);
	tfrs_parameters_text(&parameters, held_back);
	tfrs_parameters_integer(&parameters, deliberate);
	tfrs_registry_execute("INSERT INTO tfrs.recommender_version (recommender_id, version, run_id, "
						  "created_at, published_at, held_back, deliberate) "
						  "VALUES ($1::integer, $2, $3, clock_timestamp(), "
						  "CASE WHEN $4 IS NULL THEN clock_timestamp() END, $4, $5 <> 0)",
						  &parameters);
}

void
tfrs_run_note_tags(const tfrs_recommender *recommender, int version, uint32 query_tag,
				   uint32 candidate_tag)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_version(&parameters, version);
	tfrs_parameters_integer(&parameters, query_tag);
	tfrs_parameters_integer(&parameters, candidate_tag);
	tfrs_registry_execute("UPDATE tfrs.recommender_version "
						  "SET query_tag = $3::integer, candidate_tag = $4::integer "
						  "WHERE recommender_id = $1::integer AND version = $2", &parameters);
}

void
tfrs_run_know_versions(const tfrs_recommender *recommender, ArrayType *versions,
					   ArrayType *created)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_array(&parameters, versions);
	tfrs_parameters_array(&parameters, created);
	tfrs_registry_execute(
		"INSERT INTO tfrs.recommender_version (recommender_id, version, created_at, published_at) "
		"SELECT r.recommender_id, m.version, m.created_at, "
		"CASE WHEN m.version = r.current_version THEN m.created_at END "
		"FROM tfrs.recommender r, unnest($2, $3) AS m (version, created_at) "
		"WHERE r.recommender_id = $1 ON CONFLICT DO NOTHING", &parameters);
}

int
tfrs_run_take_versions(const tfrs_recommender *recommender, ArrayType *versions,
					   ArrayType *created)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_array(&parameters, versions);
	tfrs_registry_execute("UPDATE tfrs.recommender_version SET pruned_at = "
						  "CASE WHEN version <> ALL ($2) THEN coalesce(pruned_at, now()) END "
						  "WHERE recommender_id = $1", &parameters);
	tfrs_registry_execute("UPDATE tfrs.recommender "
						  "SET current_version = (SELECT max(v) FROM unnest($2) v) "
						  "WHERE recommender_id = $1 "
						  "AND (current_version = ANY ($2)) IS NOT TRUE", &parameters);
	tfrs_run_know_versions(recommender, versions, created);
	parameters.count = 1;
	tfrs_registry_execute("UPDATE tfrs.recommender_version v "
						  "SET published_at = coalesce(published_at, now()), held_back = NULL "
						  "FROM tfrs.recommender r WHERE r.recommender_id = $1 "
						  "AND v.recommender_id = $1 AND v.version = r.current_version",
						  &parameters);
	return integer_of_result(tfrs_registry_execute("SELECT current_version FROM tfrs.recommender "
												   "WHERE recommender_id = $1", &parameters));
}

/* Runs that a condition names, with all that hangs on them.  There are no foreign keys: rows are
 * restored in any order, and by several sessions. */
#define DELETE_RUNS(condition) \
	"WITH run AS (DELETE FROM tfrs.recommender_run r WHERE recommender_id = $1 " condition \
	"RETURNING run_id), " \
	"epoch AS (DELETE FROM tfrs.recommender_epoch WHERE run_id IN (SELECT run_id FROM run)), " \
	"metric AS (DELETE FROM tfrs.recommender_metric WHERE run_id IN (SELECT run_id FROM run)) " \
	"DELETE FROM tfrs.recommender_version WHERE recommender_id = $1 AND " \
	"run_id IN (SELECT run_id FROM run)"

void
tfrs_run_forget(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_registry_execute(DELETE_RUNS(""), &parameters);
	tfrs_registry_execute("DELETE FROM tfrs.recommender_version WHERE recommender_id = $1",
						  &parameters);
	tfrs_registry_execute("DELETE FROM tfrs.recommender WHERE recommender_id = $1", &parameters);
}

int
tfrs_run_version_before(const tfrs_recommender *recommender)
{
	tfrs_parameters parameters = {0};

	tfrs_parameters_integer(&parameters, recommender->id);
	return integer_of_result(tfrs_registry_execute(
		"SELECT v.version FROM tfrs.recommender r JOIN tfrs.recommender_version c "
		"ON c.recommender_id = $1 AND c.version = r.current_version "
		"JOIN tfrs.recommender_version v ON v.recommender_id = $1 "
		"AND v.published_at < c.published_at "
		"WHERE r.recommender_id = $1 AND v.held_back IS NULL AND v.pruned_at IS NULL "
		"ORDER BY v.published_at DESC LIMIT 1", &parameters));
}

static ArrayType *
array_of_floats(const double *values, size_t stride, size_t count)
{
	Datum	   *elements = palloc((count + 1) * sizeof(Datum));

	for (size_t i = 0; i < count; i++)
		elements[i] = Float8GetDatum(values[i * stride]);
	return construct_array(elements, (int) count, FLOAT8OID, sizeof(double), FLOAT8PASSBYVAL,
						   TYPALIGN_DOUBLE);
}

void
tfrs_run_add_epochs(int64 run, const tfrs_model *model)
{
	const size_t stride = sizeof(tfrs_model_epoch) / sizeof(double);
	tfrs_parameters parameters = {0};

	if (model->epoch_count == 0)
		return;
	tfrs_parameters_integer(&parameters, run);
	tfrs_parameters_floats(&parameters, array_of_floats(&model->epochs->loss, stride,
														model->epoch_count));
	tfrs_parameters_floats(&parameters, array_of_floats(&model->epochs->loss_per_row, stride,
														model->epoch_count));
	tfrs_parameters_floats(&parameters, model->validation == NULL ? NULL :
						   array_of_floats(model->validation, 1, model->epoch_count));
	tfrs_registry_execute("INSERT INTO tfrs.recommender_epoch "
						  "(run_id, epoch, loss, loss_per_row, validation_value) "
						  "SELECT $1, e.epoch, e.loss, e.loss_per_row, nullif(e.validation, 'NaN') "
						  "FROM unnest($2, $3, $4) WITH ORDINALITY "
						  "AS e (loss, loss_per_row, validation, epoch)", &parameters);
}

void
tfrs_run_add_metrics(int64 run, int version, const char *split, const char *report)
{
	tfrs_parameters parameters = {0};

	if (report == NULL)
		return;
	tfrs_parameters_integer(&parameters, run);
	tfrs_parameters_version(&parameters, version);
	tfrs_parameters_text(&parameters, report);
	tfrs_parameters_text(&parameters, split);
	tfrs_registry_execute(
		"INSERT INTO tfrs.recommender_metric (run_id, version, recorded_at, split, metric, k, "
		"value, popularity_value, item_item_value) "
		"SELECT $1, $2, now(), $4, m.key, k.key::integer, k.value::float8, "
		"(r.report -> 'popularity' -> m.key ->> k.key)::float8, "
		"(r.report -> 'item_item' -> m.key ->> k.key)::float8 "
		"FROM (SELECT $3::jsonb) r (report) CROSS JOIN LATERAL jsonb_each(r.report) m "
		"CROSS JOIN LATERAL jsonb_each_text(CASE WHEN m.key IN ('popularity', 'item_item') OR "
		"jsonb_typeof(m.value) <> 'object' THEN '{}' ELSE m.value END) k "
		"UNION ALL SELECT $1, $2, now(), $4, 'loss_per_row', 0, "
		"($3::jsonb ->> 'loss_per_row')::float8, NULL, NULL", &parameters);
}

int *
tfrs_run_prune(const tfrs_recommender *recommender, int *count)
{
	tfrs_parameters parameters = {0};
	uint64		rows;
	int		   *versions;
	bool		null;

	tfrs_parameters_integer(&parameters, recommender->id);
	tfrs_parameters_integer(&parameters, MOST_RUNS);
	tfrs_registry_execute(DELETE_RUNS(
						  "AND run_id <= (SELECT run_id FROM tfrs.recommender_run "
						  "WHERE recommender_id = $1 ORDER BY run_id DESC OFFSET $2 LIMIT 1) "
						  "AND NOT EXISTS (SELECT FROM tfrs.recommender_version v "
						  "WHERE v.recommender_id = $1 AND v.run_id = r.run_id "
						  "AND v.pruned_at IS NULL) "), &parameters);
	parameters.count = 1;
	tfrs_parameters_integer(&parameters, recommender->keep_versions);
	tfrs_parameters_version(&parameters, recommender->keep_versions == 1 ? 0 :
							tfrs_run_version_before(recommender));
	rows = tfrs_registry_execute(
		"UPDATE tfrs.recommender_version SET pruned_at = clock_timestamp() "
		"WHERE recommender_id = $1 AND pruned_at IS NULL AND version NOT IN "
		"(SELECT version FROM tfrs.recommender_version WHERE recommender_id = $1 "
		"AND pruned_at IS NULL ORDER BY version DESC LIMIT $2) AND version IS DISTINCT FROM "
		"(SELECT current_version FROM tfrs.recommender WHERE recommender_id = $1) "
		"AND version IS DISTINCT FROM $3 RETURNING version", &parameters);
	versions = palloc((rows + 1) * sizeof(int));
	for (uint64 i = 0; i < rows; i++)
		versions[i] = DatumGetInt32(value_of_row(i, &null));
	*count = (int) rows;
	return versions;
}

void
tfrs_run_notify(const tfrs_recommender *recommender, int64 run, const char *state, int version)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfoString(&payload, "{\"recommender\": ");
	escape_json(&payload, recommender->name);
	appendStringInfo(&payload, ", \"run_id\": " INT64_FORMAT ", \"state\": \"%s\", \"version\": ",
					 run, state);
	if (version == 0)
		appendStringInfoString(&payload, "null}");
	else
		appendStringInfo(&payload, "%d}", version);
	Async_Notify(CHANNEL, payload.data);
}
