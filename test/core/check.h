/*
 * check.h: the C tests' harness.
 *
 *     CHECK_TEST(sum_of_two) { CHECK_EQUAL(1 + 1, 2); }
 *
 * A file test_MODULE.c is a program of its own: its tests register themselves before main (check.c)
 * runs them, each until its first failed check.  Arguments select tests by a part of their name.
 * Tests pass &check_error wherever the core wants an error; CHECK_OK shows it.
 */
#ifndef TFRS_CHECK_H
#define TFRS_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct check_test
{
	const char *name;
	void		(*run) (void);
	struct check_test *next;
} check_test;

extern void check_register(check_test *test);

#define CHECK_TEST(test) \
	static void test(void); \
	static check_test test##_entry = {#test, test, NULL}; \
	__attribute__((constructor)) static void \
	test##_register(void) \
	{ \
		check_register(&test##_entry); \
	} \
	static void \
	test(void)

/* Ends the running test as failed. */
extern void check_fail(const char *file, int line, const char *format,...)
			__attribute__((noreturn, format(printf, 3, 4)));

extern tfrs_error check_error;

#define CHECK(condition) \
	((condition) ? (void) 0 : check_fail(__FILE__, __LINE__, "%s", #condition))

#define CHECK_OK(call) check_status(__FILE__, __LINE__, #call, (call), TFRS_OK)
#define CHECK_STATUS(call, expected) check_status(__FILE__, __LINE__, #call, (call), (expected))
#define CHECK_EQUAL(got, expected) \
	check_equal(__FILE__, __LINE__, #got, (long long) (got), (long long) (expected))
#define CHECK_NEAR(got, expected, tolerance) \
	check_near(__FILE__, __LINE__, #got, (got), (expected), (tolerance))

extern void check_status(const char *file, int line, const char *text, tfrs_status got,
						 tfrs_status expected);
extern void check_equal(const char *file, int line, const char *text, long long got,
						long long expected);
extern void check_near(const char *file, int line, const char *text, double got, double expected,
					   double tolerance);

/* An arena over malloc without a budget; what it held is given back when the test ends. */
extern tfrs_arena *check_arena(void);

/*
 * Runs operation(arena, error) with the 1st, 2nd, ... allocation failing until it succeeds without
 * a failure.  Each failure must be reported as TFRS_OUT_OF_MEMORY.
 */
typedef tfrs_status (*check_operation) (tfrs_arena *arena, tfrs_error *error);

extern void check_lack_of_memory(check_operation operation);

#endif							/* TFRS_CHECK_H */
