/*
 * conformance_loss.c: loss_cases and its tables, through the plain form.
 */
#include <string.h>

#include "conformance.h"
#include "learning/loss.h"

typedef struct loss_tables
{
	table		cases;
	table		queries;
	table		candidates;
	table		masked;
	table		logits;
} loss_tables;

/* What a case gives to the loss, and the memory for what comes back. */
typedef struct loss_case
{
	const loss_tables *tables;
	size_t		row;			/* in cases */
	const char *id;
	tfrs_loss_batch batch;
	tfrs_loss_options options;
	float	   *query;			/* (B, H, D) */
	float	   *candidate;		/* (C, D) */
	float	   *weight;			/* (B) */
	float	   *probability;	/* (C) */
	uint32_t   *candidate_id;	/* (C) */
	double		loss;
} loss_case;

static bool
of_case(const loss_case *run, const table *table, size_t row)
{
	return table_is(table, row, "case_id", run->id);
}

/* A number from 1 to limit, as an index from 0. */
static size_t
position(const table *table, size_t row, const char *column, size_t limit)
{
	size_t		number = table_count(table, row, column);

	if (number < 1 || number > limit)
		malformed("%s %zu is not between 1 and %zu", column, number, limit);
	return number - 1;
}

static void
read_queries(loss_case *run)
{
	const table *queries = &run->tables->queries;
	const tfrs_loss_batch *batch = &run->batch;

	for (size_t r = 0; r < queries->rows; r++)
	{
		size_t		i;
		size_t		h;

		if (!of_case(run, queries, r))
			continue;
		i = position(queries, r, "row", batch->queries);
		h = position(queries, r, "head", batch->heads);
		table_floats(queries, r, "query", run->query + (i * batch->heads + h) * batch->dim,
					 batch->dim);
		run->weight[i] = (float) table_number_or(queries, r, "weight", 1.0);
	}
}

/* Numbers for the ids, which may be any text: the first column with the same one. */
static void
number_ids(const char *const *ids, uint32_t *numbers, size_t count)
{
	for (size_t j = 0; j < count; j++)
	{
		size_t		first = 0;

		while (strcmp(ids[first], ids[j]) != 0)
			first++;
		numbers[j] = (uint32_t) first;
	}
}

static void
read_candidates(loss_case *run)
{
	const table *candidates = &run->tables->candidates;
	const tfrs_loss_batch *batch = &run->batch;
	const char **ids = TAKE(batch->candidates, const char *);

	for (size_t j = 0; j < batch->candidates; j++)
		ids[j] = "";
	for (size_t r = 0; r < candidates->rows; r++)
	{
		size_t		j;

		if (!of_case(run, candidates, r))
			continue;
		j = position(candidates, r, "col", batch->candidates);
		table_floats(candidates, r, "candidate", run->candidate + j * batch->dim, batch->dim);
		run->probability[j] = (float) table_number_or(candidates, r, "p", 1.0);
		ids[j] = table_text(candidates, r, "candidate_id");
	}
	number_ids(ids, run->candidate_id, batch->candidates);
}

/* The file names cells in any order; the loss wants ascending keys. */
static void
read_mask(loss_case *run)
{
	const table *masked = &run->tables->masked;
	tfrs_loss_batch *batch = &run->batch;
	uint64_t   *keys = TAKE(masked->rows, uint64_t);

	for (size_t r = 0; r < masked->rows; r++)
	{
		uint64_t	key;
		size_t		at = batch->masked_count;

		if (!of_case(run, masked, r))
			continue;
		key = (uint64_t) position(masked, r, "row", batch->queries) * batch->candidates +
			position(masked, r, "col", batch->candidates);
		for (; at > 0 && keys[at - 1] > key; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
		batch->masked_count++;
	}
	batch->masked = keys;
}

static void
read_case(loss_case *run)
{
	const table *cases = &run->tables->cases;
	tfrs_loss_batch *batch = &run->batch;
	size_t		row = run->row;
	size_t		heads = table_count(cases, row, "heads");

	tfrs_loss_options_default(&run->options);
	run->options.temperature = (float) table_number_or(cases, row, "temperature", 1.0);
	run->options.remove_accidental_hits = table_flag(cases, row, "accidental_hits");
	run->options.hard_negatives = (uint32_t) table_number_or(cases, row, "hard_negatives", 0.0);
	batch->queries = table_count(cases, row, "b");
	batch->candidates = table_count(cases, row, "c");
	batch->dim = table_count(cases, row, "d");
	batch->heads = heads == 0 ? 1 : heads;
	run->query = TAKE(batch->queries * batch->heads * batch->dim, float);
	run->candidate = TAKE(batch->candidates * batch->dim, float);
	run->weight = TAKE(batch->queries, float);
	run->probability = TAKE(batch->candidates, float);
	run->candidate_id = TAKE(batch->candidates, uint32_t);
	read_queries(run);
	read_candidates(run);
	batch->query = run->query;
	batch->candidate = run->candidate;
	if (table_flag(cases, row, "has_weight"))
		batch->weight = run->weight;
	if (table_flag(cases, row, "has_p"))
		batch->probability = run->probability;
	if (run->options.remove_accidental_hits)
		batch->candidate_id = run->candidate_id;
	if (table_flag(cases, row, "has_mask"))
		read_mask(run);
}

static void
take_results(tfrs_loss_batch *batch)
{
	batch->d_query = TAKE(batch->queries * batch->heads * batch->dim, float);
	batch->d_candidate = TAKE(batch->candidates * batch->dim, float);
	batch->row_loss = TAKE(batch->queries, double);
	batch->row_above = TAKE(batch->queries, uint32_t);
	batch->logits = TAKE(batch->queries * batch->candidates, float);
	batch->d_logits = TAKE(batch->queries * batch->candidates, float);
}

static tfrs_status
run_loss(loss_case *run, tfrs_error *error)
{
	tfrs_loss  *loss;
	tfrs_status status = tfrs_loss_create(&loss, arena(), 2, error);

	if (status == TFRS_OK)
		status = tfrs_loss_begin(loss, &run->batch, &run->options, error);
	if (status != TFRS_OK)
		return status;
	while ((status = tfrs_loss_step(loss, &run->loss)) == TFRS_MORE)
		;
	tfrs_loss_destroy(loss);
	return status;
}

static void
compare_vector(conformance_case *checked, const char *quantity, const table *table, size_t row,
			   const float *got, size_t length, size_t number)
{
	size_t		found;
	double	   *expected = table_vector(table, row, quantity, &found);

	if (found != length)
		malformed("%s has %zu elements, not %zu", quantity, found, length);
	for (size_t i = 0; i < length; i++)
		case_near(checked, quantity, got[i], expected[i], number + 1, i + 1);
}

static void
compare_queries(const loss_case *run, conformance_case *checked)
{
	const table *queries = &run->tables->queries;
	const tfrs_loss_batch *batch = &run->batch;

	for (size_t r = 0; r < queries->rows; r++)
	{
		size_t		i;
		size_t		h;

		if (!of_case(run, queries, r))
			continue;
		i = position(queries, r, "row", batch->queries);
		h = position(queries, r, "head", batch->heads);
		case_near(checked, "row_loss", batch->row_loss[i], table_number(queries, r, "row_loss"),
				  i + 1, 0);
		compare_vector(checked, "grad", queries, r,
					   batch->d_query + (i * batch->heads + h) * batch->dim, batch->dim, i);
	}
}

static void
compare_candidates(const loss_case *run, conformance_case *checked)
{
	const table *candidates = &run->tables->candidates;
	const tfrs_loss_batch *batch = &run->batch;

	for (size_t r = 0; r < candidates->rows; r++)
	{
		size_t		j;
		size_t		length;
		double	   *expected;

		if (!of_case(run, candidates, r))
			continue;
		j = position(candidates, r, "col", batch->candidates);
		expected = table_vector(candidates, r, "grad", &length);
		if (length != batch->dim)
			malformed("grad has %zu elements, not %zu", length, batch->dim);
		for (size_t d = 0; d < length; d++)
			case_near(checked, "candidate grad", batch->d_candidate[j * length + d], expected[d],
					  j + 1, d + 1);
	}
}

/*
 * A hidden logit is -3.4e36, which would drown every other in the tolerance: it is compared as
 * hidden or not, the others among themselves.
 */
static void
compare_logit(conformance_case *checked, double got, double expected, size_t row, size_t column)
{
	bool		hidden = expected < -1e30;

	if (hidden != (got < -1e30))
		case_problem(checked, "logit %zu, %zu is %g, not %g", row, column, got, expected);
	if (!hidden)
		case_near(checked, "logit", got, expected, row, column);
}

static void
compare_logits(const loss_case *run, conformance_case *checked)
{
	const table *logits = &run->tables->logits;
	size_t		columns = run->batch.candidates;

	for (size_t r = 0; r < logits->rows; r++)
	{
		size_t		i;
		size_t		length;
		double	   *expected;
		char	  **kept;

		if (!of_case(run, logits, r))
			continue;
		i = position(logits, r, "row", run->batch.queries);
		compare_vector(checked, "dlogits", logits, r, run->batch.d_logits + i * columns, columns,
					   i);
		expected = table_vector(logits, r, "logits", &length);
		if (length != columns)
			malformed("logits has %zu elements, not %zu", length, columns);
		for (size_t j = 0; j < columns; j++)
			compare_logit(checked, run->batch.logits[i * columns + j], expected[j], i + 1, j + 1);
		kept = table_texts(logits, r, "kept", &length);
		for (size_t j = 0; j < columns && j < length; j++)
			if (strcmp(kept[j], "f") == 0 && run->batch.d_logits[i * columns + j] != 0.0f)
				case_problem(checked, "column %zu of row %zu is in the loss", j + 1, i + 1);
	}
}

/* Share of rows whose positive is on top, weighted as the loss is. */
static double
batch_top1(const tfrs_loss_batch *batch)
{
	double		hits = 0.0;
	double		all = 0.0;

	for (size_t i = 0; i < batch->queries; i++)
	{
		double		weight = batch->weight == NULL ? 1.0 : batch->weight[i];

		hits += batch->row_above[i] == 0 ? weight : 0.0;
		all += weight;
	}
	return hits / all;
}

static void
conform_case(const loss_tables *tables, size_t row)
{
	const table *cases = &tables->cases;
	loss_case	run = {.tables = tables,.row = row};
	conformance_case checked;
	tfrs_error	error;

	run.id = table_text(cases, row, "case_id");
	case_begin(&checked, "loss", run.id);
	read_case(&run);
	take_results(&run.batch);
	if (run_loss(&run, &error) != TFRS_OK)
		case_problem(&checked, "%s", error.message);
	else
	{
		case_near(&checked, "loss", run.loss, table_number(cases, row, "loss"), 0, 0);
		case_near(&checked, "batch_top1", batch_top1(&run.batch),
				  table_number(cases, row, "batch_top1"), 0, 0);
		compare_queries(&run, &checked);
		compare_candidates(&run, &checked);
		compare_logits(&run, &checked);
	}
	case_end(&checked);
}

/* hard_negatives = 0 with what TFRS makes of it: no negatives, a loss of 0. */
static bool
is_declared_difference(const table *cases, size_t row)
{
	return table_is(cases, row, "hard_negatives", "0") &&
		strstr(table_text(cases, row, "source"), "quirk") != NULL;
}

void
conform_loss(void)
{
	loss_tables tables;

	if (!table_read(&tables.cases, "loss_cases") || !table_read(&tables.queries, "loss_queries") ||
		!table_read(&tables.candidates, "loss_candidates"))
		return;
	table_read(&tables.masked, "loss_masked");
	table_read(&tables.logits, "loss_logits");
	for (size_t r = 0; r < tables.cases.rows; r++)
	{
		if (is_declared_difference(&tables.cases, r))
			case_skip("loss", table_text(&tables.cases, r, "case_id"),
					  "declared difference: hard_negatives = 0 keeps all, TFRS keeps none");
		else
			conform_case(&tables, r);
	}
}
