/*
 * history_tables.h: the parameters of a history tower: candidates, and a table for each bag that is
 * not tied to them; their gradients of a step, and the optimizer's move.
 */
#ifndef TFRS_HISTORY_TABLES_H
#define TFRS_HISTORY_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/random.h"
#include "learning/history.h"
#include "learning/hyperparameters.h"
#include "learning/row_gradient.h"
#include "learning/table.h"
#include "learning/warm_start.h"

/* One table of parameters with this step's gradient; all zero where a bag is tied. */
typedef struct tfrs_history_table
{
	tfrs_table	table;			/* (N + 1, D) */
	tfrs_row_gradient gradient;
} tfrs_history_table;

typedef struct tfrs_history_tables
{
	tfrs_arena *arena;
	const tfrs_train_options *options;
	const tfrs_history_shape *shape;
	const tfrs_warm_start *warm;	/* or NULL */
	size_t		candidates;		/* N */
	uint32_t	at;				/* the table that a walk over them is at, the candidates' first */
	size_t		done;			/* of its rows */
	tfrs_random random;			/* of its initial values */
	tfrs_history_table candidate;
	tfrs_history_table bag[TFRS_MAX_BAGS];
} tfrs_history_tables;

/* What tables are made for; all of it must outlive them.  The values are not set. */
extern tfrs_status tfrs_history_tables_init(tfrs_history_tables *tables, tfrs_arena *arena,
											const tfrs_train_options *options,
											const tfrs_history_shape *shape, size_t candidates,
											tfrs_error *error);
extern void tfrs_history_tables_free(tfrs_history_tables *tables);

/* Initial values, then those of an earlier model (warm, if not NULL).  TFRS_MORE until done. */
extern tfrs_status tfrs_history_tables_fill_step(tfrs_history_tables *tables);
extern tfrs_status tfrs_history_tables_warm_step(tfrs_history_tables *tables);

/* Moves the rows that have a gradient; step: of this training, from 1.  TFRS_MORE until done;
 * TFRS_NOT_FINITE: a parameter overflowed. */
extern tfrs_status tfrs_history_tables_move_step(tfrs_history_tables *tables, uint64_t step);

/* Steps of the optimizer after that many of this training, earlier ones too. */
extern uint64_t tfrs_history_tables_steps(const tfrs_history_tables *tables, uint64_t step);

/* Whether a bag reads the candidates' table, and the table that it reads. */
extern bool tfrs_history_tables_is_tied(const tfrs_history_tables *tables, uint32_t bag);
extern tfrs_history_table *tfrs_history_tables_of(tfrs_history_tables *tables, uint32_t bag);
extern const float *tfrs_history_tables_values(const tfrs_history_tables *tables, uint32_t bag);

/* Adds to *bytes what a table takes whose gradient has at most that many rows; false where that
 * overflows. */
extern bool tfrs_history_table_bytes(const tfrs_train_options *options, size_t candidates,
									 size_t rows, size_t *bytes);

#endif							/* TFRS_HISTORY_TABLES_H */
