/*
 * streams.h: what learning draws random numbers for: the purposes of base/random.h's streams.
 *
 * One list, so that no two uses of a seed draw the same numbers.  The numbers are part of what a
 * seed means: changing one changes models.
 */
#ifndef TFRS_STREAMS_H
#define TFRS_STREAMS_H

enum
{
	TFRS_STREAM_BUCKET_ORDER = 1,	/* index: epoch */
	TFRS_STREAM_ROW_ORDER = 2,	/* index: epoch * 2^32 + bucket */
	TFRS_STREAM_QUERY_TABLE = 3,	/* initial values */
	TFRS_STREAM_CANDIDATE_TABLE = 4,
	TFRS_STREAM_BAG_TABLE = 5,	/* index: the bag */
	TFRS_STREAM_HIDE_ORDER = 6, /* index: round over the states */
	TFRS_STREAM_NEXT_ORDER = 7,
	TFRS_STREAM_STATES = 8,		/* index: step */
	TFRS_STREAM_STEP = 9,		/* columns and dropout of a step; index: step */
	TFRS_STREAM_NEGATIVES = 10,	/* uniform negatives; index: step */
	TFRS_STREAM_ID_DROPOUT = 11,	/* index: epoch * 2^32 + batch */
	TFRS_STREAM_VALIDATION = 12,	/* which events are held out; index: query */
	TFRS_STREAM_ONE_ORDER = 13, /* as 6 and 7 */
	TFRS_STREAM_LIFT = 14,		/* pairs of the data, whatever the seed */
	TFRS_STREAM_SPECTRAL = 15,	/* the subspace that initial values are looked for in */
	TFRS_STREAM_FEATURES = 16,	/* initial values; index: tower * 2^32 + the tensor's number */
	TFRS_STREAM_KEY_DROPOUT = 17	/* rows without their key; index: 2 * step + tower */
};

#endif							/* TFRS_STREAMS_H */
