/*
 * test_status.c: errors are filled whole, cut where too long, and may be unwanted.
 */
#include <string.h>

#include "base/status.h"
#include "check.h"

CHECK_TEST(fail_fills_and_clears)
{
	tfrs_error	error;

	memset(&error, 'x', sizeof(error));
	CHECK_EQUAL(tfrs_fail(&error, TFRS_CORRUPT, "bad %s %d", "thing", 7), TFRS_CORRUPT);
	CHECK_EQUAL(error.status, TFRS_CORRUPT);
	CHECK(strcmp(error.message, "bad thing 7") == 0);
	CHECK(error.detail[0] == '\0' && error.hint[0] == '\0');
	tfrs_error_detail(&error, "It has %d.", 3);
	tfrs_error_hint(&error, "Give %d.", 4);
	CHECK(strcmp(error.detail, "It has 3.") == 0);
	CHECK(strcmp(error.hint, "Give 4.") == 0);
	CHECK(strcmp(error.message, "bad thing 7") == 0);
}

CHECK_TEST(long_texts_are_cut)
{
	tfrs_error	error;

	tfrs_fail(&error, TFRS_IO_ERROR, "%0600d", 1);
	tfrs_error_detail(&error, "%0600d", 1);
	tfrs_error_hint(&error, "%0600d", 1);
	CHECK_EQUAL(strlen(error.message), sizeof(error.message) - 1);
	CHECK_EQUAL(strlen(error.detail), sizeof(error.detail) - 1);
	CHECK_EQUAL(strlen(error.hint), sizeof(error.hint) - 1);
}

CHECK_TEST(error_may_be_null)
{
	CHECK_EQUAL(tfrs_fail(NULL, TFRS_NOT_FINITE, "%d", 1), TFRS_NOT_FINITE);
	tfrs_error_detail(NULL, "%d", 1);
	tfrs_error_hint(NULL, "%d", 1);
	CHECK_EQUAL(tfrs_fail_memory(NULL, 1), TFRS_OUT_OF_MEMORY);
}

CHECK_TEST(memory_failure_names_the_bytes)
{
	tfrs_error	error;

	CHECK_EQUAL(tfrs_fail_memory(&error, 12345678901ULL), TFRS_OUT_OF_MEMORY);
	CHECK_EQUAL(error.status, TFRS_OUT_OF_MEMORY);
	CHECK(strcmp(error.detail, "Failed on a request of 12345678901 bytes.") == 0);
}
