/*
 * conformance.c: runs every case of the files in the folder TFRS_FIXTURES (test/fixtures).
 *
 * The expected numbers are those of TensorFlow Recommenders and Keras; the format and the tolerance
 * are described in test/fixtures/README.md.  Prints a line a case; the exit status is 1 if one
 * failed or none ran.
 */
#include "conformance.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernels.h"
#include "base/matmul.h"

/* |got - expected| <= TOLERANCE * max(1, largest |expected| of the same case and quantity) */
#define TOLERANCE 1e-5

static size_t passed;
static size_t failed;
static size_t skipped;
static tfrs_arena memory;

tfrs_arena *
arena(void)
{
	return &memory;
}

void *
take(size_t count, size_t size)
{
	void	   *result;
	tfrs_error	error;

	if (tfrs_arena_get_zero(&memory, &result, count, size, &error) != TFRS_OK)
	{
		fprintf(stderr, "conformance: %s\n", error.message);
		exit(2);
	}
	return result;
}

void
malformed(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	fputs("conformance: malformed fixtures: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(2);
}

void
case_begin(conformance_case *checked, const char *suite, const char *id)
{
	memset(checked, 0, sizeof(*checked));
	checked->suite = suite;
	checked->id = id;
}

static quantity *
find_quantity(conformance_case *checked, const char *name)
{
	quantity   *found = checked->quantity;

	while (found < checked->quantity + checked->quantities && strcmp(found->name, name) != 0)
		found++;
	if (found == checked->quantity + MOST_QUANTITIES)
		malformed("more than %d quantities in a case", MOST_QUANTITIES);
	if (found == checked->quantity + checked->quantities)
	{
		found->name = name;
		found->worst = -1.0;
		checked->quantities++;
	}
	return found;
}

void
case_near(conformance_case *checked, const char *name, double got, double expected, size_t row,
		  size_t column)
{
	quantity   *quantity = find_quantity(checked, name);
	double		difference = isnan(got) ? INFINITY : fabs(got - expected);

	checked->comparisons++;
	quantity->largest = fmax(quantity->largest, fabs(expected));
	if (difference <= quantity->worst)
		return;
	quantity->worst = difference;
	quantity->got = got;
	quantity->expected = expected;
	quantity->row = row;
	quantity->column = column;
}

void
case_allow(conformance_case *checked, const char *name, double times)
{
	find_quantity(checked, name)->times = times;
}

void
case_problem(conformance_case *checked, const char *format,...)
{
	va_list		arguments;

	if (checked->problem[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(checked->problem, sizeof(checked->problem), format, arguments);
	va_end(arguments);
}

static double
tolerance(const quantity *quantity)
{
	return TOLERANCE * fmax(1.0, quantity->times) * fmax(1.0, quantity->largest);
}

/* Prints the quantities out of tolerance after the line of a failed case. */
static void
print_differences(const conformance_case *checked)
{
	if (checked->problem[0] != '\0')
		printf("         %s\n", checked->problem);
	for (size_t i = 0; i < checked->quantities; i++)
	{
		const quantity *quantity = &checked->quantity[i];

		if (quantity->worst <= tolerance(quantity))
			continue;
		printf("         %s", quantity->name);
		if (quantity->row > 0)
			printf(" of row %zu", quantity->row);
		if (quantity->column > 0)
			printf(", %zu", quantity->column);
		printf(" is %.9g, not %.9g (tolerance %.2g)\n", quantity->got, quantity->expected,
			   tolerance(quantity));
	}
}

void
case_end(const conformance_case *checked)
{
	bool		good = checked->problem[0] == '\0' && checked->comparisons > 0;
	double		worst = 0.0;

	for (size_t i = 0; i < checked->quantities; i++)
		worst = fmax(worst, checked->quantity[i].worst / tolerance(&checked->quantity[i]));
	good = good && worst <= 1.0;
	printf("%-8s %s %s (%zu numbers, worst %.0f %% of the tolerance)\n", good ? "ok" : "FAILED",
		   checked->suite, checked->id, checked->comparisons, 100.0 * worst);
	if (!good)
		print_differences(checked);
	passed += good;
	failed += !good;
}

void
case_skip(const char *suite, const char *id, const char *reason)
{
	printf("%-8s %s %s: %s\n", "skipped", suite, id, reason);
	skipped++;
}

static void
skip_later_files(void)
{
	static const char *const later[] = {"tower_params", "tower_rows"};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		case_skip("file", later[i], "whole trainings of two towers with features are checked instead");
}

int
main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	tfrs_arena_init(&memory, tfrs_allocator_malloc(), SIZE_MAX);
	tfrs_kernels_choose(true);
	tfrs_matmul_load();
	conform_loss();
	conform_optimizer();
	conform_shrink();
	conform_trajectory();
	conform_factorized();
	conform_hand();
	conform_ranking();
	conform_features();
	conform_layers();
	conform_two_tower();
	conform_lookups();
	skip_later_files();
	printf("%zu passed, %zu failed, %zu skipped (kernels %s, matrix products %s)\n", passed,
		   failed, skipped, tfrs_kernels.name, tfrs_matmul_library());
	tfrs_arena_free(&memory);
	return failed > 0 || passed == 0;
}
