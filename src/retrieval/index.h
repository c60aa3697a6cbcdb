/*
 * index.h: the one face of retrieval: vectors in, the best k out.
 *
 * An index is a set of named parts in a block ("index.*", or without prefix in a block of its own)
 * over N rows of D floats; ids are the caller's (base/id_set.h), rows are in id order.
 *
 *     build:  tfrs_index_builder_begin -> _step until not TFRS_MORE -> _save into a block writer
 *     read:   tfrs_index_load -> tfrs_index_search, or tfrs_index_many for many queries
 *
 * Both kinds carry the same structure (tree.h) where there are rows enough for it to pay.  Kind
 * exact answers by its bounds what the full scan would; kind tree by rank, as far as its tuning
 * found necessary for the target recall (and by its bounds where those cost less).
 */
#ifndef TFRS_INDEX_H
#define TFRS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/block.h"
#include "base/topk.h"
#include "retrieval/collector.h"
#include "retrieval/corpus.h"

typedef enum tfrs_index_kind
{
	TFRS_INDEX_EXACT = 1,
	TFRS_INDEX_TREE,
	TFRS_INDEX_AUTO				/* an option, never stored */
} tfrs_index_kind;

/* What is stored beside the vectors, to read less of them. */
typedef enum tfrs_quantization
{
	TFRS_QUANTIZATION_NONE = 1,	/* nothing: every search reads all of them */
	TFRS_QUANTIZATION_PQ4,		/* leaves and 4-bit codes, where there are rows enough */
	TFRS_QUANTIZATION_INT8		/* and rows in bytes, to look at before they are fetched */
} tfrs_quantization;

typedef struct tfrs_index_options
{
	tfrs_index_kind kind;
	tfrs_quantization quantization;
	tfrs_metric metric;
	float		target_recall;	/* of kind tree, at target_k */
	uint32_t	target_k;
	uint32_t	leaves;			/* 0: chosen */
	uint32_t	leaves_to_search;	/* 0: tuned */
	uint32_t	rerank;			/* 0: tuned */
	uint64_t	seed;
	int			threads;
} tfrs_index_options;

extern void tfrs_index_options_default(tfrs_index_options *options);
extern const char *tfrs_index_options_check(const tfrs_index_options *options);

/* A checked view.  vectors: (N, D), as they were given. */
typedef struct tfrs_index
{
	tfrs_index_kind kind;
	tfrs_metric metric;
	size_t		count;			/* N */
	size_t		dim;			/* D */
	const float *vectors;		/* (N, D) */
	const float *norms;			/* (N), cosine only; NULL where they are not stored */
	const struct tfrs_index_structure *structure;	/* NULL: plain; else in the arena of the load */
} tfrs_index;

/*
 * A plain exact index over vectors that lie elsewhere (a model's candidate table), without any
 * structure of its own.
 */
extern tfrs_index tfrs_index_over(const float *vectors, size_t count, size_t dim,
								  tfrs_metric metric);

/*
 * Reads the parts under prefix ("" or "index.").  Where the block carries no vectors under prefix
 * they are given by the caller (a model's candidate table), else NULL and 0.  Errors: memory,
 * TFRS_CORRUPT, TFRS_NEWER_FORMAT.
 */
extern tfrs_status tfrs_index_load(tfrs_index *index, const tfrs_block *block, const char *prefix,
								   const float *vectors, size_t count, tfrs_arena *arena,
								   tfrs_error *error);

/*
 * The best search->k rows for query (D), best first: exactly those of a full sort by (score
 * descending, row ascending) where the index is exact.  hits: room for min(k, N) entries, *count
 * of them filled.  Scratch memory is taken from the arena and given back.  Errors: memory,
 * TFRS_NOT_FINITE for a query that holds NaN or infinity, TFRS_INVALID_ARGUMENT for rows that are
 * not in the index.
 */
extern tfrs_status tfrs_index_search(const tfrs_index *index, const float *query,
									 const tfrs_search *search, tfrs_arena *arena, tfrs_hit *hits,
									 size_t *count, tfrs_error *error);

/* What index_info shows. */
typedef struct tfrs_index_facts
{
	size_t		leaves;			/* 0: no structure, every search reads all vectors */
	tfrs_quantization quantization;
	size_t		codes;			/* of 4 bits, a row */
	size_t		structure_bytes;	/* beside the vectors */
	uint32_t	leaves_to_search;	/* 0: as many as the bounds demand */
	uint32_t	rerank;
	float		reach;			/* how far the bounds are believed in; at 1 recall is 1 */
	float		recall;			/* at recall_k, as estimated by tuning; 1: certain */
	uint32_t	recall_k;
} tfrs_index_facts;

extern tfrs_index_facts tfrs_index_describe(const tfrs_index *index);

/*
 * The same for count queries (count, D) on several threads, with the results that
 * tfrs_index_search gives for each.  searches: one for each query, all with the same k; hits:
 * room for stride >= min(k, N) entries a query; counts (count): how many were filled.  All of
 * these stay the caller's until the end.  Errors: as of tfrs_index_search.
 */
typedef struct tfrs_index_many tfrs_index_many;

typedef struct tfrs_index_queries
{
	size_t		count;
	const float *queries;		/* (count, D) */
	const tfrs_search *searches;	/* (count) */
	int			threads;
	size_t		stride;
	tfrs_hit   *hits;			/* (count, stride) */
	size_t	   *counts;			/* (count) */
} tfrs_index_queries;

extern tfrs_status tfrs_index_many_begin(tfrs_index_many **many, const tfrs_index *index,
										 const tfrs_index_queries *queries, tfrs_arena *arena,
										 tfrs_error *error);

/* TFRS_MORE until all are answered. */
extern tfrs_status tfrs_index_many_step(tfrs_index_many *many);
extern void tfrs_index_many_destroy(tfrs_index_many *many);

typedef struct tfrs_index_builder tfrs_index_builder;

/* vectors (N, D) stay the caller's until the writer is done. */
extern tfrs_status tfrs_index_builder_begin(tfrs_index_builder **builder, tfrs_arena *arena,
											const tfrs_index_options *options,
											const float *vectors, size_t count, size_t dim,
											tfrs_error *error);

/*
 * A builder that only tunes: kind tree with the structure of index, which must outlive it, for
 * queries (count, D) like those to come.  Of the options target_recall, target_k,
 * leaves_to_search, rerank, seed and threads are looked at.  Error: TFRS_INVALID_ARGUMENT where the
 * index has no structure or there is no query.
 */
extern tfrs_status tfrs_index_builder_retune(tfrs_index_builder **builder, tfrs_arena *arena,
											 const tfrs_index_options *options,
											 const tfrs_index *index, const float *queries,
											 size_t count, tfrs_error *error);

/* TFRS_MORE until the index is complete. */
extern tfrs_status tfrs_index_builder_step(tfrs_index_builder *builder, double *share_done,
										   tfrs_error *error);

/*
 * The index as it now is, for searches before it is stored; valid until the builder is destroyed.
 */
extern tfrs_index tfrs_index_builder_index(const tfrs_index_builder *builder);

/*
 * with_vectors: whether the vectors become a part too (not for a model's own candidates).  Other
 * parts of the block are added before: rows in bytes are left out where they find no room.
 */
extern tfrs_status tfrs_index_builder_save(tfrs_index_builder *builder, bool with_vectors,
										   tfrs_block_writer *writer, tfrs_error *error);
extern void tfrs_index_builder_destroy(tfrs_index_builder *builder);

#endif							/* TFRS_INDEX_H */
