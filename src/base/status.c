/*
 * status.c: filling the caller's error struct.  No allocation: it must work when memory is gone.
 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

tfrs_status
tfrs_fail(tfrs_error *error, tfrs_status status, const char *format,...)
{
	va_list		arguments;

	if (error == NULL)
		return status;
	error->status = status;
	error->detail[0] = '\0';
	error->hint[0] = '\0';
	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return status;
}

void
tfrs_error_detail(tfrs_error *error, const char *format,...)
{
	va_list		arguments;

	if (error == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(error->detail, sizeof(error->detail), format, arguments);
	va_end(arguments);
}

void
tfrs_error_hint(tfrs_error *error, const char *format,...)
{
	va_list		arguments;

	if (error == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(error->hint, sizeof(error->hint), format, arguments);
	va_end(arguments);
}

tfrs_status
tfrs_fail_memory(tfrs_error *error, unsigned long long bytes)
{
	tfrs_fail(error, TFRS_OUT_OF_MEMORY, "out of memory");
	tfrs_error_detail(error, "Failed on a request of %llu bytes.", bytes);
	return TFRS_OUT_OF_MEMORY;
}
