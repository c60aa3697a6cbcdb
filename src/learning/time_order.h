/*
 * time_order.h: the events of all queries in one order, oldest first.
 *
 * Times are seconds before the last event that has one: what is more than 136 years older, or has no
 * time, counts as old as that.  Events of one second keep the order of their queries.  A radix sort
 * of 8 bytes an event: three passes, each in pieces.
 */
#ifndef TFRS_TIME_ORDER_H
#define TFRS_TIME_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "learning/history.h"

#define TFRS_TIME_DIGITS 2048	/* values of a digit of the radix sort */

typedef struct tfrs_timed_event
{
	uint32_t	seconds;		/* UINT32_MAX: those of the last event */
	uint32_t	event;
} tfrs_timed_event;

typedef struct tfrs_time_order
{
	tfrs_arena *arena;
	const tfrs_events *events;
	int			phase;			/* what the next step does */
	uint32_t	pass;			/* digit of the sort */
	size_t		done;			/* events that the phase has passed */
	int64_t		last;			/* the latest time that is one */
	uint32_t	place[TFRS_TIME_DIGITS + 1];
	tfrs_timed_event *other;	/* (E) */
	tfrs_timed_event *order;	/* (E) the result, until free */
} tfrs_time_order;

/* The events have times and must outlive it.  Error: memory. */
extern tfrs_status tfrs_time_order_begin(tfrs_time_order *order, tfrs_arena *arena,
										 const tfrs_events *events, tfrs_error *error);

/* TFRS_MORE until the order is known. */
extern tfrs_status tfrs_time_order_step(tfrs_time_order *order);
extern void tfrs_time_order_free(tfrs_time_order *order);

#endif							/* TFRS_TIME_ORDER_H */
