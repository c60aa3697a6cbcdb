/*
 * status.h: how the core reports what went wrong.
 *
 * base, learning and retrieval never print, exit, log or jump: a function that can fail returns a
 * tfrs_status and fills the caller's tfrs_error.  server/host/bridge.c turns both into SQLSTATE, DETAIL
 * and HINT.  Messages follow the server's style: lower case, no full stop; detail and hint are
 * sentences.
 */
#ifndef TFRS_STATUS_H
#define TFRS_STATUS_H

typedef enum tfrs_status
{
	TFRS_OK = 0,
	TFRS_MORE,					/* a step machine has work left; not an error */
	TFRS_OUT_OF_MEMORY,			/* the allocator said no */
	TFRS_OVER_BUDGET,			/* the arena's budget would be exceeded */
	TFRS_INVALID_ARGUMENT,		/* a parameter value that makes no sense */
	TFRS_OUT_OF_RANGE,			/* a number outside its documented range */
	TFRS_TOO_LARGE,				/* a program limit of limits.h */
	TFRS_NOT_FINITE,			/* NaN or infinity where a finite number is needed */
	TFRS_CORRUPT,				/* bytes from outside that are not what they claim */
	TFRS_NEWER_FORMAT,			/* a block written by a later release */
	TFRS_UNSUPPORTED,			/* valid, but not built yet */
	TFRS_IO_ERROR				/* the injected file functions said no */
} tfrs_status;

typedef struct tfrs_error
{
	tfrs_status status;
	char		message[256];
	char		detail[512];	/* empty where there is none */
	char		hint[512];		/* empty where there is none */
} tfrs_error;

/* Fill *error (which may be NULL) with a printf-style message, clear detail and hint, and return
 * status, so that a failure is one line: return tfrs_fail(error, TFRS_CORRUPT, "..."); */
extern tfrs_status tfrs_fail(tfrs_error *error, tfrs_status status, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* Add a detail or a hint to an error that is already set. */
extern void tfrs_error_detail(tfrs_error *error, const char *format,...)
			__attribute__((format(printf, 2, 3)));
extern void tfrs_error_hint(tfrs_error *error, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* The one wording for a failed allocation of that many bytes. */
extern tfrs_status tfrs_fail_memory(tfrs_error *error, unsigned long long bytes);

#endif							/* TFRS_STATUS_H */
