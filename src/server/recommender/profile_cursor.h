/*
 * profile_cursor.h: the profiles of all queries, one after another.
 *
 * A cursor over the interactions in the order of the query, as its values are ordered by a given
 * collation.  It reads as the caller (but see tfrs_live_reader) and can only read.  Where it is to
 * outlive commits it is held, and all rows are read when it is opened.
 */
#ifndef TFRS_PROFILE_CURSOR_H
#define TFRS_PROFILE_CURSOR_H

#include "postgres.h"

#include "executor/spi.h"
#include "utils/portal.h"

#include "server/recommender/profile.h"
#include "server/recommender/registry.h"
#include "server/values/row_reader.h"

typedef struct tfrs_profile_cursor
{
	/* set by the caller */
	const tfrs_recommender *recommender;
	Oid			query_type;		/* base types that the columns have */
	Oid			candidate_type;
	Oid			collation;		/* of the order; InvalidOid: the queries' type has none */
	bool		held;

	Portal		portal;
	uint64		fetched;		/* rows of SPI_tuptable */
	SPITupleTable *rows;
	uint64		next;
	tfrs_id_reader query_reader;
	tfrs_id_reader candidate_reader;
	Oid			at_type;		/* InvalidOid: without times */
	FmgrInfo	compare;		/* queries */
	bool		by_value;		/* they are */
	int16		length;
} tfrs_profile_cursor;

/* Opens it in the current memory context, under the active snapshot; the SPI is connected. */
extern void tfrs_profile_cursor_open(tfrs_profile_cursor *cursor);
extern void tfrs_profile_cursor_close(tfrs_profile_cursor *cursor);

/* Goes to the first query; false where there is none. */
extern bool tfrs_profile_cursor_begin(tfrs_profile_cursor *cursor);

/*
 * A copy of the query at hand.  last: the query before it, or NULL; ERROR where the two are not in
 * the order.
 */
extern Datum tfrs_profile_cursor_query(tfrs_profile_cursor *cursor, const Datum *last);
extern Datum tfrs_profile_cursor_copy(const tfrs_profile_cursor *cursor, Datum query);

/*
 * Reads the profile of the query at hand, of which a copy is given that outlives it, and goes to the
 * next query; false at the end.
 */
extern bool tfrs_profile_cursor_read(tfrs_profile_cursor *cursor, const tfrs_model *model,
									 Datum query, tfrs_profile *profile);

#endif							/* TFRS_PROFILE_CURSOR_H */
