/*
 * assertion.h: what must hold between two modules, checked where the tests run.
 *
 * TFRS_ASSERT stands where a caller's promise is relied on (a size, an order, a phase) and ends the
 * program where it is broken.  The C tests compile it in (TFRS_ASSERTIONS); in the server it costs
 * nothing.  It is never for what a user can bring about: that gets a status.
 */
#ifndef TFRS_ASSERTION_H
#define TFRS_ASSERTION_H

#ifdef TFRS_ASSERTIONS
#define TFRS_ASSERT(condition) ((condition) ? (void) 0 : __builtin_trap())
#else
#define TFRS_ASSERT(condition) ((void) sizeof(condition))
#endif

#endif							/* TFRS_ASSERTION_H */
