/*
 * history_tables.c: walks over the tables of history_tables.h, each a bounded piece a step.
 */
#include "learning/history_tables.h"

#include <string.h>

#include "learning/streams.h"

/* Floats that one step of the optimizer's walk passes, some milliseconds. */
#define PIECE_FLOATS ((size_t) 1 << 20)

bool
tfrs_history_tables_is_tied(const tfrs_history_tables *tables, uint32_t bag)
{
	return tables->options->history.tied && tables->shape->decay[bag] == 0;
}

tfrs_history_table *
tfrs_history_tables_of(tfrs_history_tables *tables, uint32_t bag)
{
	return tfrs_history_tables_is_tied(tables, bag) ? &tables->candidate : &tables->bag[bag];
}

const float *
tfrs_history_tables_values(const tfrs_history_tables *tables, uint32_t bag)
{
	return tfrs_history_tables_is_tied(tables, bag) ? tables->candidate.table.values
		: tables->bag[bag].table.values;
}

uint64_t
tfrs_history_tables_steps(const tfrs_history_tables *tables, uint64_t step)
{
	return step + (tables->warm != NULL ? tfrs_warm_start_steps(tables->warm) : 0);
}

bool
tfrs_history_table_bytes(const tfrs_train_options *options, size_t candidates, size_t rows,
						 size_t *bytes)
{
	return tfrs_table_bytes(candidates, options->dim, tfrs_optimizer_slots(&options->optimizer),
							bytes) &&
		tfrs_row_gradient_bytes(candidates, rows < candidates ? rows : candidates, options->dim,
								bytes);
}

static tfrs_status
init_table(tfrs_history_tables *tables, tfrs_history_table *table, tfrs_error *error)
{
	const tfrs_train_options *options = tables->options;
	tfrs_status status = tfrs_table_init(&table->table, tables->arena, tables->candidates,
										 options->dim, tfrs_optimizer_slots(&options->optimizer),
										 error);

	if (status == TFRS_OK)
		status = tfrs_row_gradient_init(&table->gradient, tables->arena, tables->candidates,
										options->dim, error);
	return status;
}

tfrs_status
tfrs_history_tables_init(tfrs_history_tables *tables, tfrs_arena *arena,
						 const tfrs_train_options *options, const tfrs_history_shape *shape,
						 size_t candidates, tfrs_error *error)
{
	tfrs_status status;

	memset(tables, 0, sizeof(*tables));
	tables->arena = arena;
	tables->options = options;
	tables->shape = shape;
	tables->candidates = candidates;
	status = init_table(tables, &tables->candidate, error);
	if (status == TFRS_OK && options->keep_optimizer_state && options->normalize)
		status = tfrs_table_keep_lengths(&tables->candidate.table, error);
	for (uint32_t b = 0; b < shape->bags && status == TFRS_OK; b++)
		if (!tfrs_history_tables_is_tied(tables, b))
			status = init_table(tables, &tables->bag[b], error);
	return status;
}

static void
free_table(tfrs_history_table *table, tfrs_arena *arena)
{
	tfrs_table_free(&table->table);
	tfrs_row_gradient_free(&table->gradient, arena);
}

void
tfrs_history_tables_free(tfrs_history_tables *tables)
{
	if (tables->arena == NULL)
		return;
	free_table(&tables->candidate, tables->arena);
	for (uint32_t b = 0; b < TFRS_MAX_BAGS; b++)
		free_table(&tables->bag[b], tables->arena);
	memset(tables, 0, sizeof(*tables));
}

/* The table that the walk is at; NULL past the last. */
static tfrs_history_table *
table_at(tfrs_history_tables *tables)
{
	if (tables->at == 0)
		return &tables->candidate;
	while (tables->at <= tables->shape->bags &&
		   tfrs_history_tables_is_tied(tables, tables->at - 1))
		tables->at++;
	return tables->at <= tables->shape->bags ? &tables->bag[tables->at - 1] : NULL;
}

/* Turns to the next table; TFRS_OK, and back at the first, behind the last one. */
static tfrs_status
pass(tfrs_history_tables *tables)
{
	tables->done = 0;
	tables->at++;
	if (table_at(tables) != NULL)
		return TFRS_MORE;
	tables->at = 0;
	return TFRS_OK;
}

/* A bias starts at 0, and where there is one the bags leave its place alone. */
static void
clear_bias(const tfrs_history_tables *tables, tfrs_table *table, size_t start)
{
	for (size_t row = start; row < table->done && tables->shape->bias; row++)
		table->values[(row + 1) * table->dim - 1] = 0.0f;
}

tfrs_status
tfrs_history_tables_fill_step(tfrs_history_tables *tables)
{
	tfrs_table *table = &table_at(tables)->table;
	size_t		start = table->done;

	if (start == 0)
		tfrs_random_init(&tables->random, tables->options->seed,
						 tables->at == 0 ? TFRS_STREAM_CANDIDATE_TABLE : TFRS_STREAM_BAG_TABLE,
						 tables->at);
	if (tfrs_table_fill_step(table, &tables->options->optimizer, &tables->random) == TFRS_OK)
		return pass(tables);
	clear_bias(tables, table, start);
	return TFRS_MORE;
}

tfrs_status
tfrs_history_tables_warm_step(tfrs_history_tables *tables)
{
	tfrs_table *table = &table_at(tables)->table;
	bool		tied = tfrs_history_tables_is_tied(tables, 0);
	tfrs_status status;

	if (tables->warm == NULL)
		return TFRS_OK;
	status = tables->at == 0
		? tfrs_warm_start_candidates(tables->warm, table, tied, &tables->done)
		: tfrs_warm_start_bag(tables->warm, tables->at - 1, table, &tables->done);
	return status == TFRS_OK ? pass(tables) : status;
}

/* Rows with a gradient from done on.  Only some optimizers allow for rows in pieces. */
static tfrs_status
move_rows(tfrs_history_tables *tables, tfrs_history_table *table, uint64_t step)
{
	tfrs_optimizer optimizer = tables->options->optimizer;
	const tfrs_row_gradient *gradient = &table->gradient;
	size_t		start = tables->done;
	size_t		left = gradient->count - start;
	size_t		piece = PIECE_FLOATS / gradient->dim + 1;
	size_t		count = left < piece || !tfrs_optimizer_is_by_rows(&optimizer) ? left : piece;
	tfrs_status status;

	optimizer.learning_rate *= tfrs_schedule_factor(&tables->options->schedule, step,
													tables->options->history.steps);
	status = tfrs_table_apply(&table->table, &optimizer, tfrs_history_tables_steps(tables, step),
							  gradient->row + start, count,
							  gradient->values + start * gradient->dim);
	tables->done = start + count;
	if (status != TFRS_OK)
		return status;
	return count < left ? TFRS_MORE : TFRS_OK;
}

tfrs_status
tfrs_history_tables_move_step(tfrs_history_tables *tables, uint64_t step)
{
	tfrs_history_table *table = table_at(tables);
	tfrs_status status = table->gradient.count > 0 ? move_rows(tables, table, step) : TFRS_OK;

	return status == TFRS_OK ? pass(tables) : status;
}
