/*
 * conformance_optimizer.c: optimizer_cases and its tables; clippy_shrink.
 */
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "learning/optimizer.h"

typedef struct optimizer_tables
{
	table		cases;
	table		grads;
	table		state;
} optimizer_tables;

/* A table under training, and the gradient of one step (a row for each touched row). */
typedef struct optimizer_case
{
	const optimizer_tables *tables;
	const char *id;
	tfrs_optimizer optimizer;
	tfrs_optimizer_table table;
	double	   *sum;			/* (V, D) of the step's entries */
	bool	   *touched;		/* (V) */
	uint32_t   *touched_row;	/* (V) */
	float	   *gradient;		/* (V, D) */
	float		scale;			/* of the last step */
} optimizer_case;

static void
choose_kind(tfrs_optimizer *optimizer, const char *name)
{
	static const struct
	{
		const char *name;
		tfrs_optimizer_kind kind;
		bool		lazy;
	}			kinds[] = {
		{"sgd", TFRS_SGD, false},
		{"adagrad", TFRS_ADAGRAD, false},
		{"adam", TFRS_ADAM, false},
		{"adam_lazy", TFRS_ADAM, true},
		{"clippy_adagrad", TFRS_CLIPPY_ADAGRAD, false}
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		tfrs_optimizer_default(optimizer, kinds[i].kind);
		optimizer->lazy = kinds[i].lazy;
		return;
	}
	malformed("no optimizer \"%s\"", name);
}

static void
set_parameter(tfrs_optimizer *optimizer, const char *name, const char *value)
{
	const struct
	{
		const char *name;
		float	   *number;
	}			numbers[] = {
		{"lr", &optimizer->learning_rate},
		{"acc0", &optimizer->initial_accumulator_value},
		{"eps", &optimizer->epsilon},
		{"b1", &optimizer->beta_1},
		{"b2", &optimizer->beta_2},
		{"vrt", &optimizer->variable_relative_threshold},
		{"art", &optimizer->accumulator_relative_threshold},
		{"absolute", &optimizer->absolute_threshold}
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		if (strcmp(numbers[i].name, name) != 0)
			continue;
		*numbers[i].number = strtof(value, NULL);
		return;
	}
	if (strcmp(name, "clip_acc") == 0)
		optimizer->clip_accumulator_update = value[0] == 't';
	else if (strcmp(name, "standard") == 0)
		optimizer->use_standard_accumulator_update = value[0] == 't';
	else
		malformed("no parameter \"%s\" of an optimizer", name);
}

/* k=v;k=v */
static void
set_parameters(tfrs_optimizer *optimizer, const char *text)
{
	char	   *copy = strcpy(TAKE(strlen(text) + 1, char), text);

	while (copy[0] != '\0')
	{
		char	   *end = copy + strcspn(copy, ";");
		char	   *equals = strchr(copy, '=');
		bool		last = *end == '\0';

		*end = '\0';
		if (equals == NULL || equals > end)
			malformed("no parameter: \"%s\"", copy);
		*equals = '\0';
		set_parameter(optimizer, copy, equals + 1);
		copy = last ? end : end + 1;
	}
}

static bool
is_row(const optimizer_case *run, const table *table, size_t r, size_t step)
{
	return table_is(table, r, "case_id", run->id) && table_count(table, r, "step") == step;
}

static size_t
row_of(const optimizer_case *run, const table *table, size_t r)
{
	size_t		row = table_count(table, r, "row");

	if (row < 1 || row > run->table.rows)
		malformed("row %zu of %s is not in its table", row, run->id);
	return row - 1;
}

/* Sizes and the start, which is step 0 of the states. */
static void
read_start(optimizer_case *run)
{
	const table *state = &run->tables->state;
	tfrs_optimizer_table *table = &run->table;
	static const char *const slots[2] = {"slot1", "slot2"};

	for (size_t r = 0; r < state->rows; r++)
	{
		if (!is_row(run, state, r, 0))
			continue;
		table_vector(state, r, "var", &table->dim);
		if (table_count(state, r, "row") > table->rows)
			table->rows = table_count(state, r, "row");
	}
	table->values = TAKE(table->rows * table->dim, float);
	run->sum = TAKE(table->rows * table->dim, double);
	run->gradient = TAKE(table->rows * table->dim, float);
	run->touched = TAKE(table->rows, bool);
	run->touched_row = TAKE(table->rows, uint32_t);
	for (int s = 0; s < tfrs_optimizer_slots(&run->optimizer); s++)
	{
		table->slot[s] = TAKE(table->rows * table->dim, float);
		for (size_t i = 0; i < table->rows * table->dim; i++)
			table->slot[s][i] = tfrs_optimizer_initial(&run->optimizer, s);
	}
	for (size_t r = 0; r < state->rows; r++)
	{
		size_t		offset;

		if (!is_row(run, state, r, 0))
			continue;
		offset = row_of(run, state, r) * table->dim;
		table_floats(state, r, "var", table->values + offset, table->dim);
		for (int s = 0; s < 2; s++)
			if (table->slot[s] != NULL && !table_null(state, r, slots[s]))
				table_floats(state, r, slots[s], table->slot[s] + offset, table->dim);
	}
}

/* The step's entries, those of one row summed. */
static void
gather(optimizer_case *run, size_t step)
{
	const table *grads = &run->tables->grads;
	size_t		dim = run->table.dim;

	memset(run->sum, 0, run->table.rows * dim * sizeof(*run->sum));
	memset(run->touched, 0, run->table.rows * sizeof(*run->touched));
	for (size_t r = 0; r < grads->rows; r++)
	{
		size_t		row;
		size_t		length;
		double	   *grad;

		if (!is_row(run, grads, r, step))
			continue;
		row = row_of(run, grads, r);
		grad = table_vector(grads, r, "grad", &length);
		if (length != dim)
			malformed("grad has %zu elements, not %zu", length, dim);
		run->touched[row] = true;
		for (size_t d = 0; d < dim; d++)
			run->sum[row * dim + d] += grad[d];
	}
}

static void
apply(optimizer_case *run, size_t step)
{
	tfrs_optimizer_table *table = &run->table;

	table->touched = 0;
	for (size_t row = 0; row < table->rows; row++)
	{
		if (!run->touched[row])
			continue;
		for (size_t d = 0; d < table->dim; d++)
			run->gradient[table->touched * table->dim + d] =
				(float) run->sum[row * table->dim + d];
		run->touched_row[table->touched++] = (uint32_t) row;
	}
	table->touched_row = run->touched_row;
	table->gradient = run->gradient;
	run->scale = tfrs_optimizer_apply(&run->optimizer, step, table);
}

static void
compare_array(conformance_case *checked, const table *state, size_t r, const char *column,
			  const float *got, size_t dim)
{
	size_t		length;
	double	   *expected;

	if (table_null(state, r, column))
		return;
	expected = table_vector(state, r, column, &length);
	if (got == NULL)
		case_problem(checked, "there is no %s", column);
	for (size_t d = 0; got != NULL && d < dim && d < length; d++)
		case_near(checked, column, got[d], expected[d], table_count(state, r, "row"), d + 1);
}

static void
compare_step(const optimizer_case *run, conformance_case *checked, size_t step)
{
	const table *state = &run->tables->state;
	const tfrs_optimizer_table *table = &run->table;

	for (size_t r = 0; r < state->rows; r++)
	{
		size_t		offset;

		if (!is_row(run, state, r, step))
			continue;
		offset = row_of(run, state, r) * table->dim;
		compare_array(checked, state, r, "var", table->values + offset, table->dim);
		compare_array(checked, state, r, "slot1",
					  table->slot[0] == NULL ? NULL : table->slot[0] + offset, table->dim);
		compare_array(checked, state, r, "slot2",
					  table->slot[1] == NULL ? NULL : table->slot[1] + offset, table->dim);
		if (!table_null(state, r, "scale"))
			case_near(checked, "scale", run->scale, table_number(state, r, "scale"), 0, 0);
	}
}

static size_t
last_step(const optimizer_case *run)
{
	const table *state = &run->tables->state;
	size_t		last = 0;

	for (size_t r = 0; r < state->rows; r++)
		if (table_is(state, r, "case_id", run->id) && table_count(state, r, "step") > last)
			last = table_count(state, r, "step");
	return last;
}

static void
conform_case(const optimizer_tables *tables, size_t r)
{
	optimizer_case run = {.tables = tables};
	conformance_case checked;
	const char *wrong;
	size_t		last;

	run.id = table_text(&tables->cases, r, "case_id");
	case_begin(&checked, "optimizer", run.id);
	choose_kind(&run.optimizer, table_text(&tables->cases, r, "optimizer"));
	set_parameters(&run.optimizer, table_text(&tables->cases, r, "params"));
	wrong = tfrs_optimizer_check(&run.optimizer);
	if (wrong != NULL)
		case_problem(&checked, "%s", wrong);
	read_start(&run);
	last = last_step(&run);
	for (size_t step = 1; step <= last; step++)
	{
		gather(&run, step);
		apply(&run, step);
		compare_step(&run, &checked, step);
	}
	case_end(&checked);
}

void
conform_optimizer(void)
{
	optimizer_tables tables;

	if (!table_read(&tables.cases, "optimizer_cases") ||
		!table_read(&tables.grads, "optimizer_grads") ||
		!table_read(&tables.state, "optimizer_state"))
		return;
	for (size_t r = 0; r < tables.cases.rows; r++)
		conform_case(&tables, r);
}

/* Reads "{a,b}|{a,b}", the references' arrays. */
static void
read_references(const char *text, const float **reference, size_t count, size_t length)
{
	char	   *copy = strcpy(TAKE(strlen(text) + 1, char), text);

	for (size_t i = 0; i < count; i++)
	{
		char	   *end = copy + strcspn(copy, "|");
		char	   *next = *end == '\0' ? end : end + 1;
		size_t		found;
		double	   *vector;
		float	   *floats = TAKE(length, float);

		*end = '\0';
		vector = vector_parse(copy, &found);
		if (found != length)
			malformed("a reference has %zu elements, not %zu", found, length);
		for (size_t d = 0; d < length; d++)
			floats[d] = (float) vector[d];
		reference[i] = floats;
		copy = next;
	}
}

static void
conform_shrink_case(const table *cases, size_t r)
{
	tfrs_optimizer_limit limit;
	conformance_case checked;
	size_t		length;
	size_t		found;
	double	   *result;
	float	   *delta;
	float	   *factor;
	const float **reference;
	float		scale;

	case_begin(&checked, "clippy_shrink", table_text(cases, r, "case_id"));
	result = table_vector(cases, r, "result", &length);
	delta = TAKE(length, float);
	table_floats(cases, r, "delta", delta, length);
	table_vector(cases, r, "factors", &found);
	factor = TAKE(found, float);
	table_floats(cases, r, "factors", factor, found);
	reference = TAKE(found, const float *);
	read_references(table_text(cases, r, "refs"), reference, found, length);
	limit.references = found;
	limit.reference = reference;
	limit.factor = factor;
	limit.absolute = (float) table_number(cases, r, "absolute");
	scale = tfrs_optimizer_shrink(delta, length, &limit);
	case_near(&checked, "scale", scale, table_number(cases, r, "scale"), 0, 0);
	for (size_t d = 0; d < length; d++)
		case_near(&checked, "result", scale * delta[d], result[d], 0, d + 1);
	case_end(&checked);
}

void
conform_shrink(void)
{
	table		cases;

	if (!table_read(&cases, "clippy_shrink"))
		return;
	for (size_t r = 0; r < cases.rows; r++)
		conform_shrink_case(&cases, r);
}
