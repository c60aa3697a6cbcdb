/*
 * limits.h: every limit of the project, each with its reason.
 *
 * A limit is checked where a number enters (an option, a datum, bytes from outside) and may be
 * relied on everywhere behind that point.
 */
#ifndef TFRS_LIMITS_H
#define TFRS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* An embedding's int16 dimension would allow 32767; 16000 floats are 64 kB, as in pgvector. */
#define TFRS_MAX_DIM 16000

/*
 * A stored value is at most 1 GB and so is its base64 text form, which is 4/3 of it plus line ends;
 * 640 MB leaves room for both and for the copy that dump and restore make.
 */
#define TFRS_MAX_BLOCK_BYTES ((size_t) 640 * 1024 * 1024)

/* Parts of a block: a model of ids has about 30, one of 2 x 64 features up to 10 for each of these. */
#define TFRS_MAX_BLOCK_PARTS 2048

/* Length of a part's name, its terminating zero included. */
#define TFRS_MAX_PART_NAME 40

/* Rows of a table (ids, candidates, queries): row numbers are uint32 and UINT32_MAX means none. */
#define TFRS_MAX_ROWS ((size_t) 1 << 31)

/* Bytes of one text id: longer ones are almost surely documents passed by mistake. */
#define TFRS_MAX_ID_BYTES ((size_t) 2048)

/* Bytes of a value of a column: a long text.  What is longer is a file, or a mistake. */
#define TFRS_MAX_VALUE_BYTES ((size_t) 1 << 20)

/* Bins of a hash and unknown slots of a vocabulary: each is a row of a table. */
#define TFRS_MAX_BINS ((uint32_t) 1 << 30)

/*
 * Slots that a look-up in an id set may read.  At the load of at most 1/2 that id sets keep, a
 * chain of this length has a probability of about 1e-12 even for 2^31 ids: it is met only with ids
 * made to collide, and refusing them keeps look-ups, building and checking linear.
 */
#define TFRS_MAX_PROBES 256

/* Worker threads of one step, and the fixed number of lanes that sums are reduced over. */
#define TFRS_MAX_THREADS 64

/* Results of one search; above this a plain ORDER BY is the right tool. */
#define TFRS_MAX_K 1000000000

/* Numbers k of one evaluation, and the largest: the first k of every ranking are held. */
#define TFRS_MAX_CUTOFFS 32
#define TFRS_MAX_CUTOFF 10000

/* Epochs: the training history holds one row for each. */
#define TFRS_MAX_EPOCHS 100000

/* Steps of a history tower. */
#define TFRS_MAX_STEPS 100000000

/* Steps that an optimizer has done over all trainings of a model: beyond, it
 * is no model of ours. */
#define TFRS_MAX_MODEL_STEPS ((uint64_t) 1 << 48)

/* Rows of a batch: a batch's scores are computed in tiles, but its rows are held at once. */
#define TFRS_MAX_BATCH ((size_t) 1 << 20)

/* Interactions of one training: positions among them are drawn and counted as uint32. */
#define TFRS_MAX_INTERACTIONS ((size_t) UINT32_MAX - 1)

/* Row number that stands for "no row". */
#define TFRS_NO_ROW UINT32_MAX

#endif							/* TFRS_LIMITS_H */
