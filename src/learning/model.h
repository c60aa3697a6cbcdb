/*
 * model.h: a trained model as a block, and what reading it needs.
 *
 * Parts (names; N candidates, V queries, D dimensions):
 *     "shape"               tfrs_model_shape, one element
 *     "about"               UTF-8 JSON text: options as used and counts (made by the host)
 *     "epochs"              tfrs_model_epoch x epochs: the training history
 *     "epochs.cutoffs", "epochs.accuracy"   where asked for: uint32 (K), float (epochs, K) share of
 *                           rows whose positive was among the first k of its batch
 *     "epochs.validation"   where held-out events were ranked: double (epochs) the metric, -1 where
 *                           it was not measured
 *     "query.*"             id_set parts;  "query.counts" uint32 (V);  "query.table" float
 *                           (V + 1, D)
 *     "candidate.*"         the same with N
 *     "events.offsets", "events.candidate", "events.at"   what each query chose (history.h): uint64
 *                           (V + 1), uint32 (E), int64 (E) where times were given
 *     "history.shape"       tfrs_history_shape: the query tower is one of histories; then there is
 *                           no "query.table" but "history.bag0", ... float (N, D), "query.unknown"
 *                           (D)
 *     "optimizer"           tfrs_model_optimizer, where the optimizer's state is kept; then too
 *     "query.slot0", "query.slot1", "candidate.slot0", "history.bag0.slot0", ...   as large as the
 *                           tables
 *     "query.length", "candidate.length"   float (V + 1), (N + 1): lengths before normalization
 *     "index.*"             the candidate index where one is carried (retrieval/index.h)
 * Row V (N) of a table is the unknown slot.  Tables are stored as they are served: normalized and
 * scaled where the options say so.
 */
#ifndef TFRS_MODEL_H
#define TFRS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/block.h"
#include "base/id_view.h"
#include "learning/history.h"

typedef struct tfrs_model_shape
{
	uint32_t	dim;			/* D */
	uint32_t	flags;			/* reserved bits are zero */
	uint64_t	rows;			/* interactions trained on */
	uint64_t	skipped_query;	/* rows left out for a NULL query */
	uint64_t	skipped_candidate;	/* ... for a NULL candidate (query not NULL) */
	float		temperature;
	float		reserved;
} tfrs_model_shape;

typedef struct tfrs_model_epoch
{
	double		loss;			/* sum over the epoch's batches */
	double		loss_per_row;
} tfrs_model_epoch;

typedef struct tfrs_model_optimizer
{
	uint32_t	kind;			/* tfrs_optimizer_kind */
	uint32_t	slots;			/* 0 .. 2 */
	uint64_t	step;			/* steps done */
} tfrs_model_optimizer;

/* A table's state where it is kept; a bag that is tied has none. */
typedef struct tfrs_model_state
{
	const float *slot[2];		/* as large as the table, or NULL */
	const float *length;		/* (rows), or NULL */
} tfrs_model_state;

/* A checked view; pointers lie in the block. */
typedef struct tfrs_model
{
	tfrs_block	block;
	const tfrs_model_shape *shape;
	const char *about;
	size_t		about_bytes;
	const tfrs_model_epoch *epochs;
	size_t		epoch_count;
	size_t		cutoff_count;	/* K; 0 where no accuracy was measured */
	const uint32_t *cutoffs;	/* (K) */
	const float *accuracy;		/* (epochs, K) */
	const double *validation;	/* (epochs) or NULL */
	tfrs_id_view query_ids;		/* V */
	tfrs_id_view candidate_ids; /* N */
	const uint32_t *query_counts;
	const uint32_t *candidate_counts;
	const float *query_table;	/* (V + 1, D), NULL for a history tower */
	const float *candidate_table;	/* (N + 1, D) */
	bool		has_events;
	tfrs_events events;			/* no queries where none are stored */
	const tfrs_history_shape *history;	/* NULL for plain tables */
	const float *bag_table[TFRS_MAX_BAGS];	/* (N, D) each */
	const float *unknown_query; /* (D), history towers */
	const tfrs_model_optimizer *optimizer;	/* NULL: no state is kept */
	tfrs_model_state query_state;
	tfrs_model_state candidate_state;
	tfrs_model_state bag_state[TFRS_MAX_BAGS];
} tfrs_model;

/* The name of the part that holds the table of a bag. */
extern const char *tfrs_model_bag_part(uint32_t bag);

/* The name of a part of a table's state: "slot0", "slot1" or "length" of
 * "query", "candidate" or a bag's part. */
extern const char *tfrs_model_state_part(const char *table, const char *what,
										 char name[TFRS_MAX_PART_NAME]);

/* Checks that the parts fit together and, unless the block is trusted, that floats are finite (a
 * step machine would be needed only past 640 MB: this reads at memory speed).  The digest is the
 * caller's to verify. */
extern tfrs_status tfrs_model_of_block(tfrs_model *model, const tfrs_block *block,
									   tfrs_error *error);

/* The same from bytes, which are opened as a block first. */
extern tfrs_status tfrs_model_load(tfrs_model *model, const void *bytes, size_t length,
								   tfrs_error *error);

/*
 * The query vector of a row into vector (D).  TFRS_NO_ROW, and in a history tower a query whose
 * events are not stored: the unknown query.
 */
extern void tfrs_model_query(const tfrs_model *model, uint32_t row, float *vector);

/*
 * The query vector of any history, whose candidates are below N; an empty one is the unknown query.
 * Plain tables know no histories: there it is folded in, the direction of the sum of its
 * candidates' vectors with the mean length of the queries'.  (On MovieLens this is within .03
 * NDCG@10 of the rows that were trained; a ridge regression onto the candidates' vectors at most
 * reaches the same.)
 */
extern void tfrs_model_history(const tfrs_model *model, const tfrs_event_list *list,
							   float *vector);
extern void tfrs_model_candidate(const tfrs_model *model, uint32_t row, float *vector);

#endif							/* TFRS_MODEL_H */
