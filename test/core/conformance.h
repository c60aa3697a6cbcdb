/*
 * conformance.h: what the parts of the conformance runner share: tables, cases, memory.
 *
 * The runner knows the format of the files (test/fixtures/README.md) and nothing about the cases in
 * them.  A case gathers comparisons and prints one line at its end.
 */
#ifndef TFRS_CONFORMANCE_H
#define TFRS_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* A file of tab-separated values: a line of names, then rows of cells; an empty cell is NULL. */
typedef struct table
{
	size_t		columns;
	size_t		rows;
	char	  **names;			/* (columns) */
	char	  **cells;			/* (rows, columns) */
} table;

/* false: there is no such file (a line says so).  A malformed file ends the program. */
extern bool table_read(table *table, const char *name);

extern const char *table_text(const table *table, size_t row, const char *column);
extern bool table_null(const table *table, size_t row, const char *column);
extern bool table_is(const table *table, size_t row, const char *column, const char *text);
extern bool table_flag(const table *table, size_t row, const char *column);	/* t or f */
extern double table_number(const table *table, size_t row, const char *column);
extern size_t table_count(const table *table, size_t row, const char *column);	/* >= 0 */
extern double table_number_or(const table *table, size_t row, const char *column, double other);

/* An array literal {a,b}, as numbers or as texts. */
extern double *table_vector(const table *table, size_t row, const char *column, size_t *length);
extern char **table_texts(const table *table, size_t row, const char *column, size_t *length);
extern double *vector_parse(const char *text, size_t *length);

/* Copies the array, of which length numbers are expected, to floats. */
extern void table_floats(const table *table, size_t row, const char *column, float *target,
						 size_t length);

/* Zeroed memory that lives until the program ends. */
extern void *take(size_t count, size_t size);
#define TAKE(count, type) ((type *) take((count), sizeof(type)))
extern tfrs_arena *arena(void);

/* Ends the program: the files do not have the format. */
extern void malformed(const char *format,...) __attribute__((noreturn, format(printf, 1, 2)));

#define MOST_QUANTITIES 16

/* One quantity of a case; its tolerance depends on the largest expected value. */
typedef struct quantity
{
	const char *name;
	double		times;			/* what the tolerance is multiplied by; 0: 1 */
	double		largest;		/* |expected| */
	double		worst;			/* |got - expected| */
	double		got;
	double		expected;
	size_t		row;
	size_t		column;
} quantity;

typedef struct conformance_case
{
	const char *suite;
	const char *id;
	size_t		comparisons;
	size_t		quantities;
	quantity	quantity[MOST_QUANTITIES];
	char		problem[256];	/* the first that is no matter of tolerance */
} conformance_case;

extern void case_begin(conformance_case *checked, const char *suite, const char *id);

/* row and column say where in the quantity; both 0 for a single number. */
extern void case_near(conformance_case *checked, const char *quantity, double got, double expected,
					  size_t row, size_t column);

/* A quantity that float32 loses more of, over many steps. */
extern void case_allow(conformance_case *checked, const char *quantity, double times);
extern void case_problem(conformance_case *checked, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* Prints "ok", "FAILED" or "skipped" and counts it. */
extern void case_end(const conformance_case *checked);
extern void case_skip(const char *suite, const char *id, const char *reason);

/* The suites. */
extern void conform_loss(void);
extern void conform_optimizer(void);
extern void conform_shrink(void);
extern void conform_trajectory(void);
extern void conform_factorized(void);
extern void conform_hand(void);
extern void conform_ranking(void);
extern void conform_features(void);
extern void conform_layers(void);
extern void conform_two_tower(void);
extern void conform_lookups(void);

#endif							/* TFRS_CONFORMANCE_H */
