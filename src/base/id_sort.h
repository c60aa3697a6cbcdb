/*
 * id_sort.h: brings collected ids into their order (tfrs_id_compare), step by step.
 *
 * Afterwards what a set stores depends on its ids alone, not on the order of their arrival.  A step
 * handles some ten thousand ids, so that the host can act on a cancel between steps.
 */
#ifndef TFRS_ID_SORT_H
#define TFRS_ID_SORT_H

#include "base/id_set.h"

typedef struct tfrs_id_sort_entry tfrs_id_sort_entry;

typedef struct tfrs_id_sort
{
	tfrs_id_set *set;
	uint32_t   *new_row;		/* (N) the caller's */
	int			phase;
	size_t		position;		/* ids, entries or slots that the phase has passed */
	size_t		common;			/* bytes that all ids begin with */
	tfrs_id_sort_entry *entries;	/* (N) */
	tfrs_id_sort_entry *scratch;	/* (N) */
	uint64_t   *offsets;		/* (N + 1) of the ids in their order, TFRS_ID_BYTES */
	char	   *bytes;
	/* the two sorted runs that are being merged: entries [left, middle) and [right, end) */
	size_t		width;			/* of a run */
	size_t		left;
	size_t		middle;
	size_t		right;
	size_t		end;
} tfrs_id_sort;

/*
 * new_row (N) will receive for each old row its new one.  Until the end the set may not be used.
 * Takes 32 bytes an id, and a copy of byte ids; out of memory leaves the set as it was.
 */
extern tfrs_status tfrs_id_sort_begin(tfrs_id_sort *sort, tfrs_id_set *set, uint32_t *new_row,
									  tfrs_error *error);

/* TFRS_MORE until done.  TFRS_TOO_LARGE past TFRS_MAX_PROBES: the set can only be freed then. */
extern tfrs_status tfrs_id_sort_step(tfrs_id_sort *sort, tfrs_error *error);

/* Gives back what a sort holds, finished or not; an all-zero sort holds nothing. */
extern void tfrs_id_sort_end(tfrs_id_sort *sort);

#endif							/* TFRS_ID_SORT_H */
