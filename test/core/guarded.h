/*
 * guarded.h: memory whose end lies at a page that may not be touched, so that a read or write past
 * the end of an array ends the program.  Includers define _DEFAULT_SOURCE (MAP_ANONYMOUS).
 */
#ifndef TFRS_GUARDED_H
#define TFRS_GUARDED_H

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

/* The byte after the last one of an area of at least that many bytes; never given back. */
static inline char *
guarded_end(size_t bytes)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	size_t		whole = (bytes + page - 1) / page * page;
	char	   *start = mmap(NULL, whole + page, PROT_READ | PROT_WRITE,
							 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(start != MAP_FAILED);
	CHECK_EQUAL(mprotect(start + whole, page, PROT_NONE), 0);
	return start + whole;
}

#endif							/* TFRS_GUARDED_H */
