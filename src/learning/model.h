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
 *     "query.*"             id_set parts;  "query.counts" uint32 (V)
 *     "query.options", "query.f0.*", ...   features of the queries' rows (feature_store.h), and of the
 *                           candidates' under "candidate."
 *     "candidate.*"         the same with N;  "candidate.table" float (N + 1, D) as they are served:
 *                           normalized where the options say so
 *     "query.tower"         tfrs_tower_shape, what query vectors are made of and how
 *     "query.table"         a tower of ids: float (V + 1, D) as trained: the tower's end makes the
 *                           vectors of them
 *     "bag0.table", ...     a tower of events: float (N, D) each, and "query.unknown" (D)
 *     "events.offsets", "events.candidate", "events.at"   what each query chose (history.h): uint64
 *                           (V + 1), uint32 (E), int64 (E) where times were given
 *     "together.*", "next.*"   parts of the score beside the towers (score_parts.h)
 *     "score"               tfrs_model_score of a tower of events; with times "score.end" and
 *                           "score.all" float (N): ln p of popularity now and of all time
 *     "optimizer"           tfrs_model_optimizer, where the optimizer's state is kept; then too
 *     "query.slot0", "query.slot1", "candidate.slot0", "bag0.slot0", ...   as large as the tables, and
 *     "candidate.length"    float (N + 1): lengths before normalization
 *     "index.*"             the candidate index where one is carried (retrieval/index.h)
 * Row V (N) of a table is the unknown slot.
 */
#ifndef TFRS_MODEL_H
#define TFRS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/block.h"
#include "base/id_view.h"
#include "learning/feature_store.h"
#include "learning/history.h"
#include "learning/popularity.h"
#include "learning/score_parts.h"
#include "learning/tensors.h"
#include "learning/tower.h"

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

/* What is folded into the tables as they are served, and what makes up the popularity of now. */
typedef struct tfrs_model_score
{
	float		towers;			/* weight of the towers: query vectors and biases are that much longer */
	float		recent;			/* added to a bias that many times: ln p of now less that of all time */
	float		mixture[TFRS_POPULARITY_PARTS];	/* weights of the half-lives */
	uint32_t	trending;		/* 1: unknown queries get what is popular now */
	float		content;		/* weight of the part by content for known candidates */
} tfrs_model_score;

typedef struct tfrs_model_optimizer
{
	uint32_t	kind;			/* tfrs_optimizer_kind */
	uint32_t	slots;			/* 0 .. 2 */
	uint64_t	step;			/* steps done */
} tfrs_model_optimizer;

/* A tensor (tensors.h) as it is stored. */
typedef struct tfrs_model_tensor
{
	const char *name;
	size_t		rows;
	const float *values;		/* (rows, D) */
	const float *slot[2];		/* (rows, D) where the optimizer's state is kept, or NULL */
	const float *length;		/* (rows) before they were normalized, or NULL */
} tfrs_model_tensor;

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
	const uint32_t *candidate_counts;	/* 0 of one that is known by its columns alone */
	tfrs_stored_features query_features;	/* no options: ids alone */
	tfrs_stored_features candidate_features;
	size_t		tensor_count;
	tfrs_model_tensor tensor[TFRS_MAX_TENSORS];
	const float *candidate_table;	/* (N + 1, D) */
	const float *query_table;	/* (V + 1, D) of a tower of ids, else NULL */
	const float *bag_table[TFRS_MAX_BAGS];	/* (N, D) each of a tower of events */
	const float *unknown_query; /* (D) likewise */
	const tfrs_tower_shape *tower;
	const tfrs_tower_shape *history;	/* the same where it is one of events, else NULL */
	tfrs_score_parts scores;	/* no candidates where there are none */
	const tfrs_model_score *score;	/* NULL: nothing is folded in */
	const float *recent_end;	/* (N) or NULL */
	const float *recent_all;	/* (N) or NULL */
	bool		has_events;
	tfrs_events events;			/* no queries where none are stored */
	const tfrs_model_optimizer *optimizer;	/* NULL: no state is kept */
} tfrs_model;

/* The tensor of that name, or NULL. */
extern const tfrs_model_tensor *tfrs_model_tensor_of(const tfrs_model *model, const char *name);

/* The names of a bag's tensor, and of a part of a tensor: "table", "slot0", "slot1" or "length". */
extern const char *tfrs_model_bag_name(uint32_t bag);
extern const char *tfrs_model_part_name(const char *tensor, const char *what,
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
/*
 * What the events of a history, or of a query of which they are stored, add to the inner products with
 * candidates: the sparse parts of the score, where the model has them (model->scores).
 */
extern void tfrs_model_add_parts_of(const tfrs_model *model, const tfrs_event_list *list,
									tfrs_part_sums *sums);
extern void tfrs_model_add_parts(const tfrs_model *model, uint32_t query, tfrs_part_sums *sums);

extern void tfrs_model_candidate(const tfrs_model *model, uint32_t row, float *vector);

#endif							/* TFRS_MODEL_H */
