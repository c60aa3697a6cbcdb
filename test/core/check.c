/*
 * check.c: main of every test program, and the failing allocator.
 */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORTED_FAILURES 100	/* exit status; any other but 0 is a crash */

tfrs_error	check_error;

static check_test *tests;
static check_test **tests_end = &tests;
static jmp_buf end_of_test;
static char failure[1024];
static tfrs_arena test_arena;

void
check_register(check_test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

void
check_fail(const char *file, int line, const char *format,...)
{
	va_list		arguments;
	int			used = snprintf(failure, sizeof(failure), "%s:%d: ", file, line);

	va_start(arguments, format);
	vsnprintf(failure + used, sizeof(failure) - (size_t) used, format, arguments);
	va_end(arguments);
	longjmp(end_of_test, 1);
}

void
check_status(const char *file, int line, const char *text, tfrs_status got, tfrs_status expected)
{
	if (got == expected)
		return;
	if (got == TFRS_OK || got == TFRS_MORE)
		check_fail(file, line, "%s is status %d, not %d", text, (int) got, (int) expected);
	check_fail(file, line, "%s is status %d, not %d: %s | %s", text, (int) got, (int) expected,
			   check_error.message, check_error.detail);
}

void
check_equal(const char *file, int line, const char *text, long long got, long long expected)
{
	if (got != expected)
		check_fail(file, line, "%s is %lld, not %lld", text, got, expected);
}

void
check_near(const char *file, int line, const char *text, double got, double expected,
		   double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		check_fail(file, line, "%s is %.17g, not %.17g (+- %g)", text, got, expected, tolerance);
}

tfrs_arena *
check_arena(void)
{
	return &test_arena;
}

typedef struct failing_allocator
{
	size_t		calls;
	size_t		fail_at;
	size_t		live;			/* allocations not yet given back */
} failing_allocator;

static void *
failing_allocate(void *context, size_t bytes)
{
	failing_allocator *failing = context;
	void	   *result = ++failing->calls == failing->fail_at ? NULL : malloc(bytes);

	failing->live += result != NULL;
	return result;
}

static void
failing_release(void *context, void *pointer)
{
	((failing_allocator *) context)->live--;
	free(pointer);
}

void
check_lack_of_memory(check_operation operation)
{
	failing_allocator failing = {0, 0, 0};
	tfrs_allocator allocator = {&failing, failing_allocate, failing_release};
	tfrs_status status;

	do
	{
		tfrs_arena	arena;

		failing.calls = 0;
		failing.fail_at++;
		tfrs_arena_init(&arena, allocator, SIZE_MAX);
		memset(&check_error, 0, sizeof(check_error));
		status = operation(&arena, &check_error);
		tfrs_arena_free(&arena);
		CHECK_EQUAL(failing.live, 0);
		CHECK_STATUS(status, failing.calls < failing.fail_at ? TFRS_OK : TFRS_OUT_OF_MEMORY);
		CHECK_EQUAL(check_error.status, status);
	} while (status != TFRS_OK);
	CHECK(failing.fail_at > 1);
}

static bool
selected(const char *name, int count, char **parts)
{
	for (int i = 0; i < count; i++)
		if (strstr(name, parts[i]) != NULL)
			return true;
	return count == 0;
}

int
main(int argc, char **argv)
{
	volatile int failed = 0;
	const char *slash = strrchr(argv[0], '/');
	const char *program = slash != NULL ? slash + 1 : argv[0];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (check_test *volatile test = tests; test != NULL; test = test->next)
	{
		if (!selected(test->name, argc - 1, argv + 1))
			continue;
		tfrs_arena_init(&test_arena, tfrs_allocator_malloc(), SIZE_MAX);
		if (setjmp(end_of_test) == 0)
		{
			test->run();
			printf("ok      %s: %s\n", program, test->name);
		}
		else
		{
			printf("FAILED  %s: %s\n        %s\n", program, test->name, failure);
			failed++;
		}
		tfrs_arena_free(&test_arena);
	}
	return failed == 0 ? 0 : REPORTED_FAILURES;
}
